"""Parts of arrays, and wholes made of parts."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportFunctionMemberAccess=false

from collections.abc import Callable, Iterable, Sequence
from types import EllipsisType
from typing import Any

import numpy as np

from ...errors import OpError, describe
from ..op import op, recorder
from ..tensor import Array, Tensor

__all__ = [
    "concatenate",
    "embedding",
    "getitem",
    "one_hot",
    "pad",
    "repeat",
    "scatter",
    "split",
    "stack",
    "take_along_axis",
    "unstack",
]


@op(lambda i, g, y, parts, indices, shape: g[indices[i]], variadic=True)
def scatter(parts: Sequence[Array], indices: Sequence[Any], shape: tuple[int, ...]) -> Array:
    """Zeros, and part i added at index i: the adjoint of indexing; x̄ᵢ = ȳ[index i]."""
    y = np.zeros(shape, dtype=np.result_type(*parts))
    for part, index in zip(parts, indices, strict=True):
        place = y[index]
        if type(place) is np.ndarray and place.base is y:  # a view
            place += part
        elif _may_repeat(index):
            _add_at(y, index, np.broadcast_to(part, place.shape))
        else:
            y[index] += part
    return y


def _add_at(y: Array, index: Any, part: Array) -> None:
    """`np.add.at`; by the elements' numbers where there are enough: NumPy adds sooner to a vector.

    The order of the terms is the same, and so is the sum, bit for bit.
    """
    if y.size > _NUMBERED * part.size:
        np.add.at(y, index, part)
        return
    places = np.arange(y.size).reshape(y.shape)[index]
    np.add.at(y.reshape(-1), places.reshape(-1), part.reshape(-1))


_NUMBERED = 8  # elements of an array for one that is added, up to which all are numbered


def as_index(index: Any) -> Any:
    """An index of plain parts: ints, slices, None, Ellipsis, and arrays for all other sequences."""
    if isinstance(index, tuple):
        return tuple(_index_part(part) for part in index)
    return _index_part(index)


_BASIC = int | np.integer | slice | None | EllipsisType
_PLAIN = frozenset({int, slice, type(None), EllipsisType})


def _index_part(part: Any) -> Any:
    if not isinstance(part, Sequence) or isinstance(part, str | bytes):
        return part
    array = np.array(part)
    return array if array.size else array.astype(np.intp)  # [] is no list of floats


def _may_repeat(index: Any) -> bool:
    """Whether an index may name an element twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return not all(isinstance(part, _BASIC) for part in parts)


def _is_plain(index: Any) -> bool:
    """Whether it is of whole numbers, slices, None and dots: what it picks is a view."""
    if type(index) is not tuple:
        return type(index) in _PLAIN
    for part in index:  # a loop, which takes half the time of what is made of a generator
        if type(part) not in _PLAIN:
            return False
    return True


def _scattered(gs: Sequence[Any], indices: Sequence[Any], shape: tuple[int, ...]) -> Any:
    if isinstance(gs[0], Tensor):
        return scatter(gs, indices, shape)
    return scatter.op.forward(gs, indices, shape)


def _getitem_x(gs: Sequence[Any], inputs: Sequence[Any], options: Sequence[Any]) -> Any:
    """The sum over t of ȳ_t, each at its own index, in one array of zeros: linear in the terms."""
    return _scattered(gs, [given["index"] for given in options], inputs[0][0].shape)


@op(
    lambda g, y, x, index: _scattered([g], [index], x.shape),
    together={0: _getitem_x},
    options={"index": as_index},
    sign="[ ]",
    kind="move",
)
def getitem(x: Array, index: Any) -> Array:
    """Part of an array, by NumPy's indexing: y = x[index]; x̄ = zeros, with ȳ added at the index."""
    return x[index]


_record_getitem = recorder(getitem.op)


def part_of(x: Tensor, index: Any) -> Tensor:
    """x[index]: `getitem`, faster where nothing in the index must be read or copied first.

    What data says of a table that is trained, `E[token]`, is looked up: the numbers are an input.
    """
    if x.requires_grad and x.op is None and x.ndim == 2 and _are_rows(index):
        return embedding(x, index)
    return plain_part(x, index) if _is_plain(index) else getitem(x, index)


def _are_rows(index: Any) -> bool:
    """Whether an index is data that says which rows: NumPy's integers, counted from the front."""
    if not isinstance(index, np.integer | np.ndarray):
        return False
    return index.dtype.kind in "iu" and bool((index >= 0).all())


def plain_part(x: Tensor, index: Any) -> Tensor:
    """x[index], for an index of whole numbers, slices, None and dots."""
    return _record_getitem(x, options={"index": index})


def _embedding_W(gs: Sequence[Any], inputs: Sequence[Any], options: Sequence[Any]) -> Any:
    return _scattered(gs, [index for _, index in inputs], inputs[0][0].shape)


@op(
    lambda g, y, W, index: _scattered([g], [index], W.shape),
    None,
    together={0: _embedding_W},
    kind="lookup",
)
def embedding(weight: Array, index: Array) -> Array:
    """Rows of a table: y = weight[index]; W̄ = ȳ added to its rows.

    Args:
        weight: (N, D).
        index: (…), integers in 0..N-1; y is (…, D).
    """
    return weight[class_numbers("index", index, len(weight))]


def class_numbers(what: str, numbers: Any, limit: int) -> Array:
    """The numbers, if each is an integer in 0..limit-1."""
    numbers = np.asarray(numbers)
    if numbers.dtype.kind not in "iu":
        raise TypeError(f"every {what} must be an integer, got dtype {numbers.dtype}")
    # Read without a sign, a number below 0 is larger than any other: one look finds both kinds.
    unsigned = numbers.astype(np.int64, copy=False).view(np.uint64)
    if numbers.size and np.maximum.reduce(unsigned, None) >= limit:
        raise IndexError(f"every {what} must be in 0..{limit - 1}, got {numbers}")
    return numbers


@op(None)
def one_hot(ids: Array, num_classes: int) -> Array:
    """Rows of zeros, each with a 1 at its id; not differentiable.

    Args:
        ids: (…), integers in 0..num_classes-1.
        num_classes: the length of the rows: y is (…, num_classes), of integers, as torch's.
    """
    chosen = np.expand_dims(class_numbers("id", ids, num_classes), -1) == np.arange(num_classes)
    return chosen.astype(np.int64)


def slice_of(axis: int, ndim: int, index: Any) -> Any:
    """The index that picks `index` of one axis, and all of the others."""
    return (slice(None),) * (axis % ndim) + (index,) if axis % ndim else index


def _in_flat(g: Any, index: Any, like: Any) -> Any:
    """ȳ added at the indices of the elements in a row, one after the other."""
    return _scattered([g], [index], (like.size,)).reshape(like.shape)


def _repeat_x(g: Any, y: Any, x: Any, repeats: Any, axis: int | None) -> Any:
    n = x.size if axis is None else x.shape[axis]
    origins = np.repeat(np.arange(n), repeats)
    if axis is None:
        return _in_flat(g, origins, x)
    return _scattered([g], [slice_of(axis, x.ndim, origins)], x.shape)


@op(_repeat_x, numpy=np.repeat, kind="move")
def repeat(x: Array, repeats: int | Sequence[int], axis: int | None = None):
    """Each element repeated in place, as NumPy's `repeat`; x̄ = ȳ summed over the repetitions."""


def _take_along_axis_x(g: Any, y: Any, x: Any, indices: Any, axis: int | None) -> Any:
    if axis is None:
        return _in_flat(g, indices, x)
    places: list[Any] = list(np.ix_(*map(np.arange, x.shape)))
    places[axis] = indices
    return _scattered([g], [tuple(places)], x.shape)


@op(_take_along_axis_x, None, numpy=np.take_along_axis, kind="lookup")
def take_along_axis(x: Array, indices: Array, axis: int | None = -1):
    """Elements of each row at that row's indices: y = x[…, indices]; x̄ = zeros, ȳ added there."""


# How the border is made; NumPy's other modes compute numbers that x does not hold.
_BORDERS: Sequence[Any] = ("constant", "edge", "reflect", "symmetric", "wrap")


def _pad_x(g: Any, y: Any, x: Any, pad_width: Any, mode: Any, constant_values: Any) -> Any:
    widths = np.broadcast_to(pad_width, (x.ndim, 2)).tolist()
    if mode == "constant":
        inside = [slice(before, before + n) for (before, _), n in zip(widths, x.shape, strict=True)]
        return g[tuple(inside)]
    origins = [np.pad(np.arange(n), width, mode) for n, width in zip(x.shape, widths, strict=True)]
    return _scattered([g], [np.ix_(*origins)], x.shape)


@op(_pad_x, options={"pad_width": np.array}, kind="move")
def pad(x: Array, pad_width: Any, mode: Any = "constant", constant_values: Any = 0) -> Array:
    """A border on all sides, as `np.pad`; x̄ = ȳ inside, plus ȳ of the border copied from there.

    Args:
        x: any shape.
        pad_width: how wide: one number, (before, after), or such a pair for each axis.
        mode: "constant", "edge", "reflect", "symmetric" or "wrap".
        constant_values: what a constant border holds; given as the widths are.
    """
    if mode not in _BORDERS:
        raise ValueError(f"the mode must be one of {', '.join(_BORDERS)}")
    if mode == "constant":
        return np.pad(x, pad_width, "constant", constant_values=constant_values)
    return np.pad(x, pad_width, mode)


def _concatenate_x(i: int, g: Any, y: Any, xs: Sequence[Any], axis: int | None) -> Any:
    if axis is None:
        start = sum(x.size for x in xs[:i])
        return g[start : start + xs[i].size].reshape(xs[i].shape)
    return g[slice_of(axis, g.ndim, _span(xs, i, axis))]


@op(_concatenate_x, variadic=True, numpy=np.concatenate, kind="move")
def concatenate(xs: Sequence[Array], axis: int | None = 0):
    """Arrays joined along an axis, or with None all elements; x̄ᵢ = the part of ȳ where xᵢ went."""


def _span(xs: Sequence[Any], i: int, axis: int) -> slice:
    start = int(np.sum([x.shape[axis] for x in xs[:i]]))
    return slice(start, start + xs[i].shape[axis])


@op(
    lambda i, g, y, xs, axis: g[slice_of(axis, g.ndim, i)],
    variadic=True,
    numpy=np.stack,
    kind="move",
)
def stack(xs: Sequence[Array], axis: int = 0):
    """Arrays of one shape laid side by side along a new axis; x̄ᵢ = slice i of ȳ."""


def _cut(name: str, x: Tensor, axis: int, indices: Callable[[int], Iterable[Any]]) -> list[Tensor]:
    try:
        return [part_of(x, slice_of(axis, x.ndim, i)) for i in indices(x.shape[axis])]
    except (ValueError, IndexError, TypeError) as reason:
        raise OpError(f"{name}: axis {axis} of {describe(x)}: {reason}") from None


def unstack(x: Tensor, axis: int = 0) -> list[Tensor]:
    """The slices along an axis, that axis gone: the inverse of `stack`."""
    return _cut("unstack", x, axis, range)


def split(x: Tensor, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """The parts along an axis, as `np.split`: so many equal ones, or cut at these indices."""

    def parts(n: int) -> Iterable[slice]:
        for places in np.split(np.arange(n), indices_or_sections):
            yield slice(places[0], places[-1] + 1) if places.size else slice(0)

    return _cut("split", x, axis, parts)
