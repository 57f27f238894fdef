"""Elements and rows that integers pick, where these differ from call to call."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ..autograd.tensor import Array
from .program import Program, Value


@dataclass(frozen=True, slots=True)
class Picked:
    """One element of each row along an axis: `x[np.arange(n), i]` or `x[i, np.arange(n)]`.

    Args:
        axis: along which the elements lie.
        index: which of them, a number for each of the other axes' places.
    """

    axis: int
    index: Value

    def of(self, program: Program, x: Value) -> Value:
        """The elements, in the index's shape."""
        rows = program.transpose(x, self._order(x.ndim))
        return program.add("pick", (rows, self.index), None, self.index.shape, x.dtype)

    def put(self, program: Program, g: Value, shape: Sequence[int]) -> Value:
        """Zeros of this shape, and g where the elements are."""
        order = self._order(len(shape))
        count = shape[self.axis]
        number = program.reshape(self.index, (*self.index.shape, 1))
        chosen = program.ufunc(np.equal, number, program.constant(np.arange(count)), dtype=np.bool_)
        column = program.reshape(g, (*self.index.shape, 1))
        zero = program.constant(0, g.dtype)
        rows = program.where(chosen, column, zero, dtype=g.dtype)
        return program.transpose(rows, tuple(map(order.index, range(len(shape)))))

    def _order(self, ndim: int) -> tuple[int, ...]:
        """The axes, with that of the elements last."""
        return (*(k for k in range(ndim) if k != self.axis), self.axis)


def picked(program: Program, index: Any, shape: Sequence[int]) -> Picked | None:
    """What an index picks of an array of this shape, if it picks one element of each row."""
    parts = index if isinstance(index, tuple) else (index,)
    if len(parts) != len(shape) or not all(map(_is_of_integers, parts)):
        return None
    varying = [k for k, part in enumerate(parts) if isinstance(part, Value)]
    candidates = varying or range(len(shape))[::-1]
    found = (_picked_along(program, axis, parts, shape) for axis in candidates)
    return next(filter(None, found), None) if len(varying) < 2 else None


def _picked_along(
    program: Program, axis: int, parts: Sequence[Any], shape: Sequence[int]
) -> Picked | None:
    others = [np.asarray(part) for k, part in enumerate(parts) if k != axis]
    number = parts[axis]
    lead = tuple(n for k, n in enumerate(shape) if k != axis)
    whole = np.broadcast_shapes(number.shape, *(part.shape for part in others))
    if number.shape != whole or prod(whole) != prod(lead) or not _count_up(others, whole, lead):
        return None
    laid = program.reshape(number, lead) if isinstance(number, Value) else number.reshape(lead)
    return Picked(axis, counted(program, laid, shape[axis]))


def _is_of_integers(part: Any) -> bool:
    return isinstance(part, Value | np.ndarray) and part.dtype.kind in "iu"


def _count_up(parts: Sequence[Array], shape: Sequence[int], lead: Sequence[int]) -> bool:
    """Whether the parts together name every place of the leading axes, in order."""
    places = np.indices(lead)
    pairs = zip(parts, places, strict=True)
    return all((np.broadcast_to(a, shape).reshape(lead) == place).all() for a, place in pairs)


def counted(program: Program, index: Value | Array, limit: int) -> Value:
    """The same places counted from 0, where NumPy counts negative ones from the end; checked."""
    if not isinstance(index, Value):  # the same at every call, and NumPy has checked it
        index = index.astype(np.intp)
        return program.constant(np.where(index < 0, index + limit, index))
    if index.dtype.kind == "i":
        index = program.cast(index, np.result_type(index.dtype, np.min_scalar_type(-limit - 1)))
        zero, all_ = (program.constant(n, index.dtype) for n in (0, limit))
        is_negative = program.ufunc(np.less, index, zero, dtype=np.bool_)
        moved = program.ufunc(np.add, index, all_, dtype=index.dtype)
        index = program.where(is_negative, moved, index, dtype=index.dtype)
    program.add("check", (index,), ("index", limit), (), np.bool_)
    return index


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a table whose first axis is some axes of an array: `x[i]`, `x[i, j]`, `x[:, i]`.

    Args:
        axes: those that the integers pick from; they stand next to each other.
        index: the number of each row.
    """

    axes: range
    index: Value

    def of(self, program: Program, x: Value) -> Value:
        """The rows; the index's axes stand where those that it picks from stood."""
        table = self._table(program, x)
        rows = program.take(table, self.index)
        kept = [n for k, n in enumerate(x.shape) if k not in self.axes]
        rows = program.reshape(rows, (*self.index.shape, *kept))
        first, count = self.axes.start, self.index.ndim
        before, after = range(count, count + first), range(count + first, rows.ndim)
        return program.transpose(rows, (*before, *range(count), *after))

    def laid(self, program: Program, part: Value, shape: Sequence[int]) -> Value | None:
        """What is added at the index of an array of this shape, row by row."""
        first, count = self.axes.start, self.index.ndim
        kept = [n for k, n in enumerate(shape) if k not in self.axes]
        if part.shape != (*kept[:first], *self.index.shape, *kept[first:]):
            return None  # it is broadcast
        index = range(first, first + count)
        order = (*index, *range(first), *range(first + count, part.ndim))
        return program.reshape(program.transpose(part, order), (self.index.size, prod(kept)))

    def back(self, program: Program, table: Value, shape: Sequence[int]) -> Value:
        """An array of this shape, of its table."""
        kept = [k for k in range(len(shape)) if k not in self.axes]
        order = [*self.axes, *kept]
        whole = program.reshape(table, [shape[k] for k in order])
        return program.transpose(whole, [order.index(k) for k in range(len(shape))])

    def size(self, shape: Sequence[int]) -> tuple[int, int]:
        """Rows and columns of the table of an array of this shape."""
        count = prod(shape[k] for k in self.axes)
        return count, prod(n for k, n in enumerate(shape) if k not in self.axes)

    def _table(self, program: Program, x: Value) -> Value:
        order = (*self.axes, *(k for k in range(x.ndim) if k not in self.axes))
        return program.reshape(program.transpose(x, order), self.size(x.shape))


def rows(program: Program, index: Any, shape: Sequence[int]) -> Rows | None:
    """The rows that arrays of integers pick from axes next to each other; None: something else."""
    parts = index if isinstance(index, tuple) else (index,)
    if not any(isinstance(part, Value | np.ndarray) for part in parts):
        return None
    at = [k for k, part in enumerate(parts) if not _is_everything(part)]
    if len(parts) > len(shape) or not at or at != [*range(at[0], at[-1] + 1)]:
        return None
    given = [parts[k] if isinstance(parts[k], Value) else np.asarray(parts[k]) for k in at]
    if not all(map(_is_of_integers, given)):
        return None
    whole: Value | None = None
    for k, part in zip(at, given, strict=True):
        part = program.cast(counted(program, part, shape[k]), np.intp)
        if whole is not None:
            before = program.ufunc(np.multiply, whole, program.constant(shape[k]), dtype=np.intp)
            part = program.ufunc(np.add, before, part, dtype=np.intp)
        whole = part
    assert whole is not None
    return Rows(range(at[0], at[-1] + 1), whole)


def _is_everything(part: Any) -> bool:
    return isinstance(part, slice) and part == slice(None)


def has_value(index: Any) -> bool:
    """Whether an index, or a part of it, differs from call to call."""
    if isinstance(index, tuple | list):
        return any(map(has_value, index))
    return isinstance(index, Value)


def gathered(program: Program, x: Value, index: Any, like: Array) -> Value | None:
    """x[index], where the index holds arrays of integers; None: not known."""
    pick = picked(program, index, x.shape) or rows(program, index, x.shape)
    return None if pick is None else program.reshape(pick.of(program, x), like.shape)


def added(
    program: Program, parts: Sequence[Value], indices: Sequence[Any], shape: tuple[int, ...]
) -> Value | None:
    """Zeros of this shape, and each part added at its index; None: not known."""
    picks = [picked(program, index, shape) for index in indices]
    if all(pick is not None for pick in picks):
        pairs = zip(picks, parts, strict=True)
        return _sum(program, [pick.put(program, part, shape) for pick, part in pairs if pick])
    found = [rows(program, index, shape) for index in indices]
    first = found[0]
    terms: list[Value] = []
    numbers: list[Value] = []
    for one, part in zip(found, parts, strict=True):
        if first is None or one is None or one.axes != first.axes:
            return None
        laid = one.laid(program, part, shape)
        if laid is None:
            return None
        terms.append(laid)
        numbers.append(program.reshape(one.index, (one.index.size,)))
    assert first is not None
    both = program.concatenate(terms), program.concatenate(numbers)
    table = program.add("sum_rows", both, None, first.size(shape), terms[0].dtype)
    return first.back(program, table, shape)


def _sum(program: Program, terms: Sequence[Value]) -> Value:
    total = terms[0]
    for term in terms[1:]:
        total = program.ufunc(np.add, total, term, dtype=total.dtype)
    return total
