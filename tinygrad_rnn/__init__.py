"""A NumPy autograd that you can read in one sitting, with recurrent networks as its subject."""

from . import nn
from .autograd import ops
from .autograd.backward import grad
from .autograd.check import gradcheck, gradgradcheck
from .autograd.op import op
from .autograd.scope import no_grad, scope
from .autograd.tensor import Tensor, tensor
from .nn import optim
from .nn.checkpoint import load, save
from .tracing.anomaly import detect_anomaly
