"""Networks from the engine's ops: modules, recurrent cells and layers, losses, optimisers."""

from . import init, optim
from .cells import GRUCell, LSTMCell, RNNCell, detach
from .clipping import clip_grad_norm_, clip_grad_value_
from .layers import (
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
)
from .losses import binary_cross_entropy_with_logits, cross_entropy, mse_loss, nll_loss
from .module import Buffer, Module, Parameter
from .recurrent import GRU, LSTM, RNN
from .torch_checkpoint import load_torch

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Buffer",
    "Dropout",
    "Embedding",
    "GRUCell",
    "LSTMCell",
    "LayerNorm",
    "Linear",
    "Module",
    "Parameter",
    "RNNCell",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "binary_cross_entropy_with_logits",
    "clip_grad_norm_",
    "clip_grad_value_",
    "cross_entropy",
    "detach",
    "init",
    "load_torch",
    "mse_loss",
    "nll_loss",
    "optim",
]
