"""Functions of one number, elementwise."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportFunctionMemberAccess=false

import numpy as np

from ..op import op
from ..tensor import Array

__all__ = ["abs", "cos", "exp", "log", "relu", "sigmoid", "sin", "sqrt", "tanh"]


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


@op(lambda g, y, x: g * np.cos(x), numpy=np.sin)
def sin(x: Array):
    """Sine, of radians: y = sin x; x̄ = ȳ cos x."""


@op(lambda g, y, x: -g * np.sin(x), numpy=np.cos)
def cos(x: Array):
    """Cosine, of radians: y = cos x; x̄ = -ȳ sin x."""
