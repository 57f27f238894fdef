"""Arithmetic and functions of each number."""

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from ...autograd import ops
from ...autograd.tensor import Tensor
from ..reading.graph import Node
from ..reading.tensors import dtype_of
from .registry import HANDLERS, handles
from .values import aside, kind_of, numbers, plain, refuse

_ONE = {
    "Abs": ops.abs, "Acos": ops.arccos, "Acosh": ops.arccosh, "Asin": ops.arcsin,
    "Asinh": ops.arcsinh, "Atan": ops.arctan, "Atanh": ops.arctanh, "Ceil": ops.ceil,
    "Cos": ops.cos, "Cosh": ops.cosh, "Erf": ops.erf, "Exp": ops.exp, "Floor": ops.floor,
    "IsNaN": ops.isnan, "Log": ops.log, "Neg": ops.neg, "Not": ops.logical_not, "Relu": ops.relu,
    "Round": ops.rint, "Sigmoid": ops.sigmoid, "Sign": ops.sign, "Sin": ops.sin, "Sinh": ops.sinh,
    "Softplus": ops.softplus, "Sqrt": ops.sqrt, "Tan": ops.tan, "Tanh": ops.tanh,
    "BitwiseNot": ops.invert,
}  # fmt: skip
_TWO = {
    "Add": ops.add, "Sub": ops.sub, "Mul": ops.mul, "And": ops.logical_and, "Or": ops.logical_or,
    "Xor": ops.logical_xor, "Equal": ops.equal, "Less": ops.less, "LessOrEqual": ops.less_equal,
    "Greater": ops.greater, "GreaterOrEqual": ops.greater_equal, "BitwiseAnd": ops.bitwise_and,
    "BitwiseOr": ops.bitwise_or, "BitwiseXor": ops.bitwise_xor,
}  # fmt: skip


def _of_one(function: Callable[..., Tensor]) -> Callable[..., Any]:
    return lambda node, x: function(x)


def _of_two(function: Callable[..., Tensor]) -> Callable[..., Any]:
    return lambda node, a, b: function(*numbers(a, _aligned(node, a, b)))


HANDLERS.update({("", name): _of_one(function) for name, function in _ONE.items()})
HANDLERS.update({("", name): _of_two(function) for name, function in _TWO.items()})


def _aligned(node: Node, a: Any, b: Any) -> Any:
    """The second operand; before opset 7 an attribute said where its axes begin."""
    axis = node.attributes.get("axis")
    if node.version >= 7 or axis is None or not node.attributes.get("broadcast"):
        return b
    behind = a.ndim - axis % (a.ndim or 1) - b.ndim
    return ops.reshape(b, (*b.shape, *(1,) * behind)) if behind > 0 else b


@handles("Div")
def div(node: Node, a: Any, b: Any) -> Any:
    b = _aligned(node, a, b)
    if kind_of(a) == "f":
        return ops.div(*numbers(a, b))
    return aside(node, _integer_quotient, a, b)


def _integer_quotient(a: Any, b: Any) -> Any:
    """A quotient of integers, rounded towards 0."""
    down = np.floor_divide(a, b)
    return (down + ((down < 0) & (down * b != a))).astype(a.dtype)


@handles("Mod")
def mod(node: Node, a: Any, b: Any) -> Any:
    return ops.fmod(a, b) if node.attributes["fmod"] else ops.remainder(a, b)


@handles("Pow")
def pow(node: Node, a: Any, b: Any) -> Any:
    y = ops.pow(*numbers(a, _aligned(node, a, b)))
    return y if y.dtype == a.dtype else ops.astype(y, a.dtype)


@handles("Max")
def maximum(node: Node, *xs: Any) -> Any:
    return _folded(ops.maximum, xs)


@handles("Min")
def minimum(node: Node, *xs: Any) -> Any:
    return _folded(ops.minimum, xs)


@handles("Sum")
def total(node: Node, *xs: Any) -> Any:
    return _folded(ops.add, xs)


@handles("Mean")
def mean(node: Node, *xs: Any) -> Any:
    return ops.div(_folded(ops.add, xs), float(len(xs)))


def _folded(function: Callable[..., Tensor], xs: Any) -> Any:
    return reduce(function, numbers(*xs)) if len(xs) > 1 else xs[0]


@handles("Identity")
def identity(node: Node, x: Any) -> Any:
    return x


@handles("Dropout")
def dropout(node: Node, x: Any, ratio: Any = None, training: Any = None) -> Any:
    """In evaluation, the identity and a mask of True."""
    is_training = training is not None and bool(plain(training))
    if is_training and (ratio is None or float(plain(ratio)) != 0):
        refuse(node, "its mask is drawn at random in training; export the model in evaluation")
    if not node.has_output(1):
        return x
    return x, np.ones(x.shape, bool if node.version >= 7 else x.dtype)


@handles("Cast")
def cast(node: Node, x: Any) -> Any:
    to = node.attributes["to"]
    if not isinstance(to, int):
        refuse(node, f"opset {node.version} is older than what is read here")
    return converted(x, dtype_of(to))


@handles("CastLike")
def cast_like(node: Node, x: Any, like: Any) -> Any:
    return converted(x, like.dtype)


def converted(x: Any, dtype: Any) -> Any:
    """A value in another dtype, if it is not in it."""
    return x if x.dtype == dtype else ops.astype(x, dtype)


@handles("BitShift")
def bit_shift(node: Node, a: Any, b: Any) -> Any:
    is_left = node.attributes["direction"] == "LEFT"
    return aside(node, np.left_shift if is_left else np.right_shift, a, b)


@handles("IsInf")
def is_inf(node: Node, x: Any) -> Any:
    wanted = node.attributes
    if wanted["detect_positive"] and wanted["detect_negative"]:
        return ops.isinf(x)
    if not wanted["detect_positive"] and not wanted["detect_negative"]:
        return np.zeros(x.shape, bool)
    return ops.equal(x, np.asarray(np.inf if wanted["detect_positive"] else -np.inf, x.dtype))


# Quotients and powers


@handles("Reciprocal")
def reciprocal(node: Node, x: Any) -> Any:
    return ops.div(1.0, x)


# Rectifiers


@handles("Softsign")
def softsign(node: Node, x: Any) -> Any:
    return ops.div(x, ops.add(1.0, ops.abs(x)))


@handles("LeakyRelu")
def leaky_relu(node: Node, x: Any) -> Any:
    return ops.where(ops.less(x, 0), ops.mul(x, node.attributes["alpha"]), x)


@handles("PRelu")
def prelu(node: Node, x: Any, slope: Any) -> Any:
    if node.version < 7 and slope.ndim == 1 and x.ndim > 2:  # one a channel
        slope = ops.reshape(slope, (-1, *(1,) * (x.ndim - 2)))
    return ops.where(ops.less(x, 0), ops.mul(x, slope), x)


@handles("ThresholdedRelu")
def thresholded_relu(node: Node, x: Any) -> Any:
    return ops.where(ops.greater(x, node.attributes["alpha"]), x, _zero(x))


@handles("Elu")
def elu(node: Node, x: Any) -> Any:
    return _exponential_below(x, node.attributes["alpha"])


@handles("Selu")
def selu(node: Node, x: Any) -> Any:
    rounded = np.float32  # the constants are such numbers
    alpha, gamma = (float(rounded(node.attributes[name])) for name in ("alpha", "gamma"))
    return ops.mul(gamma, _exponential_below(x, alpha))


@handles("Celu")
def celu(node: Node, x: Any) -> Any:
    alpha = node.attributes["alpha"]
    return ops.mul(_exponential_below(ops.div(x, alpha), 1.0), alpha)


def _exponential_below(x: Any, alpha: float) -> Tensor:
    """x above 0, alpha (e^x - 1) below."""
    below = ops.mul(alpha, ops.expm1(ops.minimum(x, _zero(x))))
    return ops.where(ops.greater(x, 0), x, below)


@handles("HardSigmoid")
def hard_sigmoid(node: Node, x: Any) -> Any:
    return hard(x, node.attributes["alpha"], node.attributes["beta"])


def hard(x: Any, alpha: float, beta: float) -> Tensor:
    """A straight line from 0 to 1."""
    return ops.clip(ops.add(ops.mul(x, alpha), beta), 0.0, 1.0)


@handles("HardSwish")
def hard_swish(node: Node, x: Any) -> Any:
    return ops.mul(x, hard(x, 1 / 6, 0.5))


@handles("Swish")
def swish(node: Node, x: Any) -> Any:
    return ops.mul(x, ops.sigmoid(ops.mul(x, node.attributes["alpha"])))


@handles("Mish")
def mish(node: Node, x: Any) -> Any:
    return ops.mul(x, ops.tanh(ops.softplus(x)))


@handles("Gelu")
def gelu(node: Node, x: Any) -> Any:
    return ops.gelu(x, node.attributes["approximate"])


@handles("Shrink")
def shrink(node: Node, x: Any) -> Any:
    bias, threshold = node.attributes["bias"], node.attributes["lambd"]
    above = ops.where(ops.greater(x, threshold), ops.sub(x, bias), _zero(x))
    y = ops.where(ops.less(x, -threshold), ops.add(x, bias), above)
    return converted(y, x.dtype)


def _zero(x: Any) -> Any:
    return np.zeros((), x.dtype)
