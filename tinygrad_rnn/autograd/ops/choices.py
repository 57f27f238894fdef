"""Choices and comparisons, elementwise."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportFunctionMemberAccess=false

from typing import Any

import numpy as np

from ..op import op
from ..tensor import Array

__all__ = [
    "bitwise_and",
    "bitwise_or",
    "bitwise_xor",
    "clip",
    "equal",
    "greater",
    "greater_equal",
    "invert",
    "isclose",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "maximum",
    "minimum",
    "not_equal",
    "where",
]


def _to_larger(g: Any, a: Any, b: Any) -> Any:
    """The part of ȳ for a: all where a is larger, half where they are equal, else none."""
    return np.where(a < b, 0, np.where(a == b, g / 2, g))


@op(
    lambda g, y, a, b: _to_larger(g, a, b),
    lambda g, y, a, b: _to_larger(g, b, a),
    numpy=np.maximum,
)
def maximum(a: Array, b: Array):
    """The larger: y = max(a, b); ā = ȳ where a > b, else 0, b̄ = ȳ where b > a, else 0.

    Where they are equal, each gets half of ȳ.
    """


@op(
    lambda g, y, a, b: _to_larger(g, b, a),
    lambda g, y, a, b: _to_larger(g, a, b),
    numpy=np.minimum,
)
def minimum(a: Array, b: Array):
    """The smaller: y = min(a, b); ā = ȳ where a < b, else 0, b̄ = ȳ where b < a, else 0.

    Where they are equal, each gets half of ȳ.
    """


@op(
    None,
    lambda g, y, c, a, b: np.where(c, g, 0),
    lambda g, y, c, a, b: np.where(c, 0, g),
    numpy=np.where,
    kind="elementwise",
)
def where(c: Array, a: Array, b: Array):
    """Choice: y = a where the condition c holds, else b; ā = ȳ where c, else 0, b̄ = 0 where c, else ȳ."""  # noqa: E501


@op(lambda g, y, x, min, max: np.where(x == y, g, 0), numpy=np.clip, kind="elementwise")
def clip(x: Array, min: Any = None, max: Any = None):
    """Limit to [min, max]: y = min(max(x, min), max); x̄ = ȳ inside and at the bounds, 0 outside."""


@op(None, None, numpy=np.equal)
def equal(a: Array, b: Array):
    """Comparison: y = (a == b), elementwise; not differentiable."""


@op(None, None, numpy=np.not_equal)
def not_equal(a: Array, b: Array):
    """Comparison: y = (a ≠ b), elementwise; not differentiable."""


@op(None, None, numpy=np.less)
def less(a: Array, b: Array):
    """Comparison: y = (a < b), elementwise; not differentiable."""


@op(None, None, numpy=np.less_equal)
def less_equal(a: Array, b: Array):
    """Comparison: y = (a ≤ b), elementwise; not differentiable."""


@op(None, None, numpy=np.greater)
def greater(a: Array, b: Array):
    """Comparison: y = (a > b), elementwise; not differentiable."""


@op(None, None, numpy=np.greater_equal)
def greater_equal(a: Array, b: Array):
    """Comparison: y = (a ≥ b), elementwise; not differentiable."""


@op(None, None, numpy=np.isclose, kind="elementwise", sign="≈")
def isclose(a: Array, b: Array, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False):
    """Comparison: y = (|a - b| ≤ atol + rtol |b|), elementwise; not differentiable."""


# Logic: of booleans, and bit by bit of integers


@op(None, None, numpy=np.logical_and, sign="∧")
def logical_and(a: Array, b: Array):
    """Logic: y = (a ∧ b), elementwise; not differentiable."""


@op(None, None, numpy=np.logical_or, sign="∨")
def logical_or(a: Array, b: Array):
    """Logic: y = (a ∨ b), elementwise; not differentiable."""


@op(None, None, numpy=np.logical_xor, sign="⊻")
def logical_xor(a: Array, b: Array):
    """Logic: y = (a ⊻ b), elementwise; not differentiable."""


@op(None, None, numpy=np.bitwise_and, sign="&")
def bitwise_and(a: Array, b: Array):
    """Logic: y = (a & b), elementwise; not differentiable."""


@op(None, None, numpy=np.bitwise_or, sign="|")
def bitwise_or(a: Array, b: Array):
    """Logic: y = (a | b), elementwise; not differentiable."""


@op(None, None, numpy=np.bitwise_xor, sign="^")
def bitwise_xor(a: Array, b: Array):
    """Logic: y = (a ^ b), elementwise; not differentiable."""


@op(None, numpy=np.logical_not, sign="¬")
def logical_not(x: Array):
    """Logic: y = not x, elementwise; not differentiable."""


@op(None, numpy=np.invert, sign="~")
def invert(x: Array):
    """Logic: y = ~x, not of booleans and every bit of integers flipped; not differentiable."""
