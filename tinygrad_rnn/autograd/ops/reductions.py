"""Reductions: axes are summed, or the like."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportFunctionMemberAccess=false

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..methods import Array, Axis
from ..op import op

__all__ = ["all", "any", "argmax", "argmin", "cumsum", "max", "mean", "min", "prod", "sum"]


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
    chosen = (x == y) | (x != x)
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


@op(None, numpy=np.argmax, kind="reduction")
def argmax(x: Array, axis: int | None = None, keepdims: bool = False):
    """Where the largest is, the first of several: y = arg max x; not differentiable."""


@op(None, numpy=np.argmin, kind="reduction")
def argmin(x: Array, axis: int | None = None, keepdims: bool = False):
    """Where the smallest is, the first of several: y = arg min x; not differentiable."""


def _products_of_others(x: Any) -> Any:
    """For each element the product of all others of the last axis, without a division.

    Pairs are multiplied, then pairs of pairs, up to one; on the way down each half receives the
    product of what is not in its pair, times the other half. Zeros need no exception.
    """
    levels = [x]
    while levels[-1].shape[-1] > 1:
        level = levels[-1]
        if level.shape[-1] % 2:
            level = np.concatenate([level, np.ones((*level.shape[:-1], 1), level.dtype)], axis=-1)
            levels[-1] = level
        levels.append(level[..., ::2] * level[..., 1::2])
    others: Any = np.ones(levels.pop().shape, x.dtype)
    for level in reversed(levels):
        outside = others[..., : level.shape[-1] // 2]
        halves = [outside * level[..., 1::2], outside * level[..., ::2]]
        others = np.stack(halves, axis=-1).reshape(level.shape)
    return others[..., : x.shape[-1]]


def _prod_x(g: Any, y: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    every = tuple(range(x.ndim))
    axes = normalize_axis_tuple(axis, x.ndim) if x.ndim and axis is not None else every
    kept = [i for i in every if i not in axes]
    order = (*kept, *axes)
    shape = tuple(x.shape[i] for i in order)
    n = math.prod(shape[len(kept) :])
    rows = np.transpose(x, order).reshape((*shape[: len(kept)], n))
    others = np.transpose(_products_of_others(rows).reshape(shape), tuple(np.argsort(order)))
    return restored(g, x, axis, keepdims) * others


@op(_prod_x, numpy=np.prod, kind="reduction", sign="∏")
def prod(x: Array, axis: Axis = None, keepdims: bool = False):
    """Product over axes: y = ∏ x; x̄ = ȳ ∏ of all the others, zeros or not."""


def _cumsum_x(g: Any, y: Any, x: Any, axis: int | None) -> Any:
    return np.flip(np.cumsum(np.flip(g, axis), axis), axis).reshape(x.shape)


@op(_cumsum_x, numpy=np.cumsum, kind="along")
def cumsum(x: Array, axis: int | None = None):
    """Running sum along an axis: y = Σ x up to there; x̄ = Σ ȳ from there on."""
