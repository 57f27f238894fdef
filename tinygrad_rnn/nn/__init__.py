"""Networks from the engine's ops: modules, recurrent cells and layers, losses, optimisers."""

from ..autograd.ops import cross_entropy
from . import init, optim
from .cells import GRUCell, LSTMCell, RNNCell, detach
from .clipping import clip_grad_norm_, clip_grad_value_
from .layers import Dropout, Embedding, Linear, Sequential
from .losses import mse_loss
from .module import Module, Parameter
from .recurrent import GRU, LSTM, RNN

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Dropout",
    "Embedding",
    "GRUCell",
    "LSTMCell",
    "Linear",
    "Module",
    "Parameter",
    "RNNCell",
    "Sequential",
    "clip_grad_norm_",
    "clip_grad_value_",
    "cross_entropy",
    "detach",
    "init",
    "mse_loss",
    "optim",
]
