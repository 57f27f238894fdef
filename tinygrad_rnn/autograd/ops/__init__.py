"""Every op with its VJP: the pages to read, one a chapter.

In the formulas `x a b` are inputs, `y` is the output and `g` its cotangent ∂L/∂y, written ȳ in the
docstrings; x̄ is what the formula returns. A formula serves ndarrays and Tensors alike. Broadcasting
is undone elsewhere (`op.py`), once for all.

>>> from tinygrad_rnn import ops, tensor
>>> ops.tanh(tensor(0.0, requires_grad=True))
tensor(0., op=tanh)
"""

from .arithmetic import add, div, mul, neg, pow, sub
from .choices import (
    bitwise_and,
    bitwise_or,
    bitwise_xor,
    clip,
    equal,
    greater,
    greater_equal,
    invert,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    maximum,
    minimum,
    not_equal,
    where,
)
from .functions import abs, cos, exp, log, relu, sigmoid, sin, sqrt, tanh
from .parts import concatenate, embedding, getitem, scatter, split, stack, unstack
from .probabilities import cross_entropy, log_softmax, logsumexp, softmax
from .products import linear, matmul
from .reductions import all, any, max, mean, min, sum
from .shapes import (
    astype,
    broadcast_to,
    detach,
    expand_dims,
    reshape,
    squeeze,
    swapaxes,
    transpose,
)

__all__ = [
    "abs",
    "add",
    "all",
    "any",
    "astype",
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "broadcast_to",
    "clip",
    "concatenate",
    "cos",
    "cross_entropy",
    "detach",
    "div",
    "embedding",
    "equal",
    "exp",
    "expand_dims",
    "getitem",
    "greater",
    "greater_equal",
    "invert",
    "less",
    "less_equal",
    "linear",
    "log",
    "log_softmax",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "logsumexp",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mul",
    "neg",
    "not_equal",
    "pow",
    "relu",
    "reshape",
    "scatter",
    "sigmoid",
    "sin",
    "softmax",
    "split",
    "sqrt",
    "squeeze",
    "stack",
    "sub",
    "sum",
    "swapaxes",
    "tanh",
    "transpose",
    "unstack",
    "where",
]
