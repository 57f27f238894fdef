"""Functions of NumPy that are made of other ops, and so have no VJP of their own."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportFunctionMemberAccess=false

import math
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ...errors import OpError, describe
from ..methods import Axis
from ..tensor import Tensor
from .arithmetic import div, mul, pow, sub
from .choices import equal, not_equal, where
from .functions import abs, sqrt
from .parts import concatenate, getitem, slice_of
from .products import matmul
from .reductions import max, mean, min, sum
from .shapes import astype, broadcast_to, reshape, squeeze, transpose

__all__ = ["diff", "dot", "hstack", "norm", "outer", "std", "tensordot", "tile", "var", "vstack"]

_P = ParamSpec("_P")


def _named(function: Callable[_P, Tensor]) -> Callable[_P, Tensor]:
    """Errors of the ops inside say whose they are: "var: mean(tensor float64 (2,), axis=1, …"."""

    @wraps(function)
    def named(*args: _P.args, **kwargs: _P.kwargs) -> Tensor:
        try:
            return function(*args, **kwargs)
        except (OpError, ValueError) as reason:
            raise OpError(f"{function.__name__}: {reason}") from None

    return named


def _tensor(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else Tensor(x)


# Products


@_named
def dot(a: Any, b: Any) -> Tensor:
    """Product, as `np.dot`: y = a b of numbers, Σ aᵢ bᵢ of vectors, A B of matrices.

    Of more axes, a's last and b's last but one are summed.
    """
    axes = np.ndim(a), np.ndim(b)
    if 0 in axes:
        return mul(a, b)
    if np.max(axes) <= 2:
        return matmul(a, b)
    return _tensordot(a, b, (-1, -2 if axes[1] > 1 else 0))


@_named
def tensordot(a: Any, b: Any, axes: Any = 2) -> Tensor:
    """Product summed over pairs of axes: y = Σ a b, with a's other axes, then b's; `np.tensordot`.

    Args:
        a: any shape.
        b: any shape.
        axes: how many of a's last and of b's first axes; or (axes of a, axes of b).
    """
    return _tensordot(a, b, axes)


def _tensordot(a: Any, b: Any, axes: Any) -> Tensor:
    a, b = _tensor(a), _tensor(b)
    if isinstance(axes, int):
        axes = range(a.ndim - axes, a.ndim), range(axes)
    of_a, of_b = axes
    of_a, of_b = normalize_axis_tuple(of_a, a.ndim), normalize_axis_tuple(of_b, b.ndim)
    summed = [a.shape[i] for i in of_a]
    if summed != [b.shape[i] for i in of_b]:
        raise OpError(f"axes {of_a} of {describe(a)} and {of_b} of {describe(b)} are not as long")
    rows = [i for i in range(a.ndim) if i not in of_a]
    columns = [i for i in range(b.ndim) if i not in of_b]
    n = math.prod(summed)
    shape = [a.shape[i] for i in rows] + [b.shape[i] for i in columns]
    m = math.prod(shape[: len(rows)])
    left = reshape(transpose(a, (*rows, *of_a)), (m, n))
    right = reshape(transpose(b, (*of_b, *columns)), (n, math.prod(shape[len(rows) :])))
    return reshape(matmul(left, right), tuple(shape))


@_named
def outer(a: Any, b: Any) -> Tensor:
    """All products: y[i, j] = aᵢ bⱼ, of the elements in a row, one after the other."""
    return mul(reshape(a, (-1, 1)), reshape(b, (1, -1)))


# Spread


@_named
def var(
    x: Any,
    axis: Axis = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """Variance over axes of n values: y = Σ (x - mean)² / (n - ddof).

    Args:
        x: floats or integers.
        axis: which axes; by default all.
        ddof: 0 by default, as NumPy's (PyTorch's is 1).
        keepdims: keep the axes, with length 1.
        correction: another name of ddof, NumPy's and PyTorch's.
    """
    return _var(x, axis, ddof, keepdims, correction)


def _var(x: Any, axis: Axis, ddof: float, keepdims: bool, correction: float | None) -> Tensor:
    x = _tensor(x)
    if correction is not None:
        ddof = correction
    apart = sub(x, mean(x, axis, True))
    total = sum(mul(apart, apart), axis, keepdims)
    count = np.maximum(x.size / (total.size or 1) - ddof, 0)
    return div(total, float(count))


@_named
def std(
    x: Any,
    axis: Axis = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    correction: float | None = None,
) -> Tensor:
    """Standard deviation: y = √var; its slope where all values are equal is 0, as PyTorch's.

    Arguments are those of `var`.
    """
    return _root(_var(x, axis, ddof, keepdims, correction))


def _root(x: Tensor) -> Tensor:
    """The square root, with slope 0 at 0."""
    zero = equal(x, 0)
    return where(zero, 0, sqrt(where(zero, 1, x)))


# Norms


@_named
def norm(x: Any, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Size of vectors or matrices, as `np.linalg.norm`: y = √Σ x², or (Σ |x|^ord)^(1/ord).

    Slopes at 0 are 0, as PyTorch's.

    Args:
        x: floats or integers.
        ord: of vectors any number, inf and -inf too; of matrices "fro", 1, -1, inf or -inf. The
            others need singular values, for which there is no op. By default √Σ x².
        axis: one axis for vectors, two for matrices; by default x is one vector or matrix, and
            without an `ord` may have any shape.
        keepdims: keep the axes, with length 1.
    """
    x = _tensor(x)
    if x.dtype.kind != "f":
        x = astype(x, np.float64)
    if axis is None and ord is None:
        return _root(sum(mul(x, x), None, keepdims))
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    if len(axes) == 1:
        y = _norm_of_vectors(x, ord, axes)
    elif len(axes) == 2:
        y = _norm_of_matrices(x, ord, axes)
    else:
        raise OpError(f"{describe(x)} has {len(axes)} axes here: a vector has 1, a matrix 2")
    if keepdims:
        return y
    return squeeze(y, axes)


def _norm_of_vectors(x: Tensor, ord: Any, axes: tuple[int, ...]) -> Tensor:
    """The norm along one axis, which stays."""
    if ord is None or ord == 2:
        return _root(sum(mul(x, x), axes, True))
    if isinstance(ord, str):
        raise OpError(f"ord={ord!r} is not a norm of vectors")
    if ord == np.inf:
        return max(abs(x), axes, True)
    if ord == -np.inf:
        return min(abs(x), axes, True)
    if ord == 0:
        return astype(sum(not_equal(x, 0), axes, True), x.dtype)
    if ord == 1:
        return sum(abs(x), axes, True)
    return _power(sum(_power(abs(x), ord), axes, True), 1 / ord)


def _power(x: Tensor, exponent: float) -> Tensor:
    """x to a power, where x ≥ 0; with slope 0 at 0."""
    zero = equal(x, 0)
    at_zero = 0 if exponent > 0 else np.inf
    return where(zero, at_zero, pow(where(zero, 1, x), exponent))


def _norm_of_matrices(x: Tensor, ord: Any, axes: tuple[int, ...]) -> Tensor:
    """The norm over two axes, which stay."""
    row, column = axes
    if ord is None or ord == "fro":
        return _root(sum(mul(x, x), axes, True))
    if ord not in (1, -1, np.inf, -np.inf):
        raise OpError(
            f"ord={ord!r} is not a norm of matrices, or needs singular values, "
            "for which there is no op"
        )
    if math.isinf(ord):  # of the rows' sums, else of the columns'
        row, column = column, row
    extremum = max if ord > 0 else min
    return extremum(sum(abs(x), row, True), column, True)


# Wholes and differences


@_named
def vstack(tup: Sequence[Any]) -> Tensor:
    """Arrays below each other, vectors as rows: `concatenate` along the first axis."""
    return concatenate([_rows(_tensor(x)) for x in tup])


def _rows(x: Tensor) -> Tensor:
    if x.ndim > 1:
        return x
    return reshape(x, (1, -1))


@_named
def hstack(tup: Sequence[Any]) -> Tensor:
    """Arrays beside each other: `concatenate` along the second axis, or the only one."""
    columns = [_tensor(x) for x in tup]
    have_rows = any(x.ndim > 1 for x in columns[:1])
    columns = [x if x.ndim else reshape(x, 1) for x in columns]
    return concatenate(columns, int(have_rows))


@_named
def tile(A: Any, reps: int | Sequence[int]) -> Tensor:
    """The whole array, repeated `reps` times along each axis, as `np.tile` (PyTorch's `repeat`)."""
    x = _tensor(A)
    times = tuple(np.atleast_1d(reps).tolist())
    shape = (1,) * (len(times) - x.ndim) + x.shape
    times = (1,) * (x.ndim - len(times)) + times
    copies = [part for pair in zip(times, shape, strict=True) for part in pair]
    apart = [part for n in shape for part in (1, n)]
    whole = tuple(r * n for r, n in zip(times, shape, strict=True))
    return reshape(broadcast_to(reshape(x, tuple(apart)), tuple(copies)), whole)


@_named
def diff(a: Any, n: int = 1, axis: int = -1) -> Tensor:
    """Differences of neighbours along an axis, n times: yᵢ = aᵢ₊₁ - aᵢ."""
    a = _tensor(a)
    if n < 0 or a.ndim == 0:
        raise OpError(f"n must be 0 or more, and {describe(a)} must have an axis; n is {n}")
    (axis,) = normalize_axis_tuple(axis, a.ndim)
    difference = not_equal if a.dtype.kind == "b" else sub
    for _ in range(n):
        later, earlier = (
            getitem(a, slice_of(axis, a.ndim, part)) for part in (slice(1, None), slice(None, -1))
        )
        a = difference(later, earlier)
    return a
