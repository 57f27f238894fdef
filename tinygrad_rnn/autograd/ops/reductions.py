"""Reductions: axes are summed, or the like."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportFunctionMemberAccess=false

from typing import Any

import numpy as np

from ..op import op
from ..tensor import Array, Axis

__all__ = ["all", "any", "max", "mean", "min", "sum"]


def restored(g: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    """A reduced array with its lost axes back, each of length 1."""
    if keepdims or x.ndim == 0:
        return g
    return np.expand_dims(g, tuple(range(x.ndim)) if axis is None else axis)


@op(
    lambda g, y, x, **o: np.broadcast_to(restored(g, x, **o), x.shape),
    numpy=np.sum,
    kind="reduction",
)
def sum(x: Array, axis: Axis = None, keepdims: bool = False):
    """Sum over axes: y = Σ x; x̄ = ȳ, the same for every term."""


def _mean_x(g: Any, y: Any, x: Any, **options: Any) -> Any:
    share = y.size / (x.size or 1)
    return np.broadcast_to(restored(g * share, x, **options), x.shape)


@op(_mean_x, quiet=True, kind="reduction")
def mean(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Mean over axes of n values: y = Σ x / n; x̄ = ȳ / n."""
    if x.dtype == np.float16:  # whose sums overflow at 65,504
        return np.mean(x, axis=axis, keepdims=keepdims)
    total = np.sum(x, axis=axis, keepdims=keepdims)
    return total / (x.size // (total.size or 1))


def _extremum(g: Any, y: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    """ȳ in equal parts for all that equal the extremum; NaN is one where there is any."""
    y = restored(y, x, axis, keepdims)
    chosen = (x == y) | ((x != x) & (y != y))
    share = restored(g, x, axis, keepdims) / np.sum(chosen, axis=axis, keepdims=True)
    return np.where(chosen, share, 0)


@op(_extremum, numpy=np.max, kind="reduction")
def max(x: Array, axis: Axis = None, keepdims: bool = False):
    """Largest over axes: y = max x; ȳ goes to the largest, in equal parts where several are."""


@op(_extremum, numpy=np.min, kind="reduction")
def min(x: Array, axis: Axis = None, keepdims: bool = False):
    """Smallest over axes: y = min x; ȳ goes to the smallest, in equal parts where several are."""


@op(None, numpy=np.any, kind="reduction")
def any(x: Array, axis: Axis = None, keepdims: bool = False):
    """Whether any element over axes is not 0; not differentiable."""


@op(None, numpy=np.all, kind="reduction")
def all(x: Array, axis: Axis = None, keepdims: bool = False):
    """Whether all elements over axes are not 0; not differentiable."""
