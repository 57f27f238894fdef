"""Functions of one number, elementwise."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportFunctionMemberAccess=false

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..op import op
from ..tensor import Array, Tensor

__all__ = [
    "abs",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctanh",
    "ceil",
    "cos",
    "cosh",
    "erf",
    "erfc",
    "exp",
    "expm1",
    "floor",
    "gelu",
    "isinf",
    "isnan",
    "log",
    "log1p",
    "log_sigmoid",
    "relu",
    "rint",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sinh",
    "softplus",
    "sqrt",
    "square",
    "tan",
    "tanh",
    "trunc",
]


@op(lambda g, y, x: g * (1.0 - y * y), numpy=np.tanh)  # 1.0: faster than an integer
def tanh(x: Array):
    """Hyperbolic tangent: y = tanh x; x̄ = ȳ (1 - y²)."""


@op(lambda g, y, x: g * (y * (1.0 - y)), kind="elementwise", sign="σ", quiet=True)
def sigmoid(x: Array) -> Array:
    """Logistic function: y = 1 / (1 + e^-x); x̄ = ȳ y (1 - y)."""
    return 1.0 / (1.0 + np.exp(-x))


@op(lambda g, y, x: np.where(x <= 0, 0, g), kind="elementwise")
def relu(x: Array) -> Array:
    """Rectifier: y = max(x, 0); x̄ = ȳ where x > 0, else 0."""
    return np.maximum(x, 0)


@op(lambda g, y, x: g * y, numpy=np.exp, quiet=True)
def exp(x: Array):
    """Exponential: y = e^x; x̄ = ȳ y."""


@op(lambda g, y, x: g / x, numpy=np.log, quiet=True)
def log(x: Array):
    """Natural logarithm: y = ln x; x̄ = ȳ / x."""


@op(lambda g, y, x: g / (2 * y), numpy=np.sqrt, quiet=True)
def sqrt(x: Array):
    """Square root: y = √x; x̄ = ȳ / (2 y)."""


@op(lambda g, y, x: g * ((x > 0) * 1.0 - (x < 0)), numpy=np.abs)
def abs(x: Array):
    """Absolute value: y = |x|; x̄ = ȳ sign x, 0 at 0."""


@op(lambda g, y, x: g * np.cos(x), numpy=np.sin, quiet=True)
def sin(x: Array):
    """Sine, of radians: y = sin x; x̄ = ȳ cos x."""


@op(lambda g, y, x: -g * np.sin(x), numpy=np.cos, quiet=True)
def cos(x: Array):
    """Cosine, of radians: y = cos x; x̄ = -ȳ sin x."""


@op(lambda g, y, x: g / (1 + x), numpy=np.log1p, quiet=True)
def log1p(x: Array):
    """Logarithm, exact near 0: y = ln(1 + x); x̄ = ȳ / (1 + x)."""


@op(lambda g, y, x: g * (y + 1.0), numpy=np.expm1, quiet=True)
def expm1(x: Array):
    """Exponential, exact near 0: y = e^x - 1; x̄ = ȳ (y + 1)."""


@op(lambda g, y, x: g * (2 * x), numpy=np.square)
def square(x: Array):
    """Square: y = x²; x̄ = 2 x ȳ."""


@op(lambda g, y, x: g * (1.0 + y * y), numpy=np.tan, quiet=True)
def tan(x: Array):
    """Tangent, of radians: y = tan x; x̄ = ȳ (1 + y²)."""


@op(lambda g, y, x: g / np.sqrt(1.0 - x * x), numpy=np.arcsin, quiet=True)
def arcsin(x: Array):
    """Inverse sine, in radians: y = arcsin x; x̄ = ȳ / √(1 - x²)."""


@op(lambda g, y, x: -g / np.sqrt(1.0 - x * x), numpy=np.arccos, quiet=True)
def arccos(x: Array):
    """Inverse cosine, in radians: y = arccos x; x̄ = -ȳ / √(1 - x²)."""


@op(lambda g, y, x: g / (1.0 + x * x), numpy=np.arctan)
def arctan(x: Array):
    """Inverse tangent, in radians: y = arctan x; x̄ = ȳ / (1 + x²)."""


@op(lambda g, y, x: g * np.cosh(x), numpy=np.sinh, quiet=True)
def sinh(x: Array):
    """Hyperbolic sine: y = sinh x; x̄ = ȳ cosh x."""


@op(lambda g, y, x: g * np.sinh(x), numpy=np.cosh, quiet=True)
def cosh(x: Array):
    """Hyperbolic cosine: y = cosh x; x̄ = ȳ sinh x."""


@op(lambda g, y, x: g / np.sqrt(x * x + 1.0), numpy=np.arcsinh)
def arcsinh(x: Array):
    """Inverse hyperbolic sine: y = arsinh x; x̄ = ȳ / √(x² + 1)."""


@op(lambda g, y, x: g / np.sqrt(x * x - 1.0), numpy=np.arccosh, quiet=True)
def arccosh(x: Array):
    """Inverse hyperbolic cosine: y = arcosh x; x̄ = ȳ / √(x² - 1)."""


@op(lambda g, y, x: g / (1.0 - x * x), numpy=np.arctanh, quiet=True)
def arctanh(x: Array):
    """Inverse hyperbolic tangent: y = artanh x; x̄ = ȳ / (1 - x²)."""


# Steps: flat but for their jumps, so that no gradient flows back


@op(lambda g, y, x: np.zeros_like(g), numpy=np.floor)
def floor(x: Array):
    """The integer below: y = ⌊x⌋; x̄ = 0 ȳ."""


@op(lambda g, y, x: np.zeros_like(g), numpy=np.ceil)
def ceil(x: Array):
    """The integer above: y = ⌈x⌉; x̄ = 0 ȳ."""


@op(lambda g, y, x: np.zeros_like(g), numpy=np.rint)
def rint(x: Array):
    """The nearest integer, from the middle the even one: y = rint x; x̄ = 0 ȳ."""


@op(lambda g, y, x: np.zeros_like(g), numpy=np.trunc)
def trunc(x: Array):
    """The integer towards 0: y = x without its fraction; x̄ = 0 ȳ."""


@op(lambda g, y, x: np.zeros_like(g), numpy=np.sign)
def sign(x: Array):
    """Sign: y = -1, 0 or 1; x̄ = 0 ȳ."""


@op(None, numpy=np.isnan)
def isnan(x: Array):
    """Whether x is not a number (NaN): y = (x ≠ x), elementwise; not differentiable."""


@op(None, numpy=np.isinf)
def isinf(x: Array):
    """Whether x is infinite: y = (|x| = ∞), elementwise; not differentiable."""


# Functions of Gauss, which NumPy does not have


def _of_each(function: Callable[[float], float], x: Array) -> Array:
    """A function of Python numbers applied to each element: some six times as slow as `np.tanh`."""
    array = np.asarray(x)
    values = np.fromiter(map(function, array.ravel().tolist()), np.float64, array.size)
    return values.reshape(array.shape).astype(np.result_type(array, np.float16))


_SLOPE = 2 / math.sqrt(math.pi)  # of erf at 0


@op(lambda g, y, x: g * (_SLOPE * np.exp(-x * x)), kind="elementwise", quiet=True)
def erf(x: Array) -> Array:
    """Error function, 2/√π ∫ e^-t² dt from 0 to x: y = erf x; x̄ = ȳ 2/√π e^-x²."""
    return _of_each(math.erf, x)


@op(lambda g, y, x: g * (-_SLOPE * np.exp(-x * x)), kind="elementwise", quiet=True)
def erfc(x: Array) -> Array:
    """Complementary error function, exact where small: y = 1 - erf x; x̄ = -ȳ 2/√π e^-x²."""
    return _of_each(math.erfc, x)


# Smooth rectifiers. Their formulas need other functions, which for ndarrays are plain forwards.


def _of(function: Any, x: Any) -> Any:
    return function(x) if isinstance(x, Tensor) else function.op.forward(x)


@op(lambda g, y, x: g * _of(sigmoid, x), kind="elementwise", quiet=True)
def softplus(x: Array) -> Array:
    """Smooth rectifier, exact in both tails: y = ln(1 + e^x); x̄ = ȳ σ(x)."""
    return np.logaddexp(x, 0)


@op(lambda g, y, x: g * _of(sigmoid, -x), kind="elementwise", quiet=True)
def log_sigmoid(x: Array) -> Array:
    """Logarithm of `sigmoid`, exact in both tails: y = -ln(1 + e^-x); x̄ = ȳ σ(-x)."""
    return -np.logaddexp(-x, 0)


@op(
    lambda g, y, x: g * (_of(sigmoid, x) * (1.0 + x * _of(sigmoid, -x))),
    kind="elementwise",
    quiet=True,
)
def silu(x: Array) -> Array:
    """Sigmoid linear unit, or swish: y = x σ(x); x̄ = ȳ σ(x) (1 + x σ(-x)).

    Elfwing, Uchibe and Doya 2018, Sigmoid-Weighted Linear Units for Neural Network Function
    Approximation in Reinforcement Learning.
    """
    return x / (1.0 + np.exp(-x))


_TANH = math.sqrt(2 / math.pi)
_CUBIC = 0.044715


def _share(x: Any, approximate: str) -> Any:
    """Φ(x), the part of the normal distribution below x."""
    if approximate == "none":
        return 0.5 * _of(erfc, x * -math.sqrt(0.5))
    return _of(sigmoid, 2 * _TANH * (x + _CUBIC * x * x * x))  # (1 + tanh z) / 2 = σ(2 z)


def _gelu_x(g: Any, y: Any, x: Any, approximate: str) -> Any:
    share = _share(x, approximate)
    if approximate == "none":
        slope = _TANH / 2 * np.exp(-0.5 * x * x)
    else:
        slope = share * (1.0 - share) * (2 * _TANH * (1.0 + 3 * _CUBIC * x * x))
    return g * (share + x * slope)


@op(_gelu_x, kind="elementwise", quiet=True)
def gelu(x: Array, approximate: str = "none") -> Array:
    """Gaussian error linear unit: y = x Φ(x); x̄ = ȳ (Φ(x) + x φ(x)).

    Φ(x) = erfc(-x/√2) / 2 is the part of the normal distribution below x, φ its density.

    NumPy has no error function: this one is Python's, element by element, some six times as slow as
    `tanh`. `approximate="tanh"`, as torch names it, takes (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2
    for Φ.

    Hendrycks and Gimpel 2016, Gaussian Error Linear Units.
    """
    if approximate not in ("none", "tanh"):
        raise ValueError('approximate must be "none" or "tanh"')
    return x * _share(x, approximate)
