"""Networks from the engine's ops: modules and parameters, recurrent cells and layers, losses, optimisers."""

from ..autograd.ops import cross_entropy
from .layers import Dropout, Embedding, Linear, Sequential
from .losses import mse_loss
from .module import Module, Parameter
from .recurrent import RNN, RNNCell

__all__ = [
    "RNN",
    "Dropout",
    "Embedding",
    "Linear",
    "Module",
    "Parameter",
    "RNNCell",
    "Sequential",
    "cross_entropy",
    "mse_loss",
]
