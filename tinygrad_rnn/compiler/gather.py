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
    varying = [k for k, part in enumerate(parts) if isinstance(part, Value)]
    if len(parts) != len(shape) or len(varying) != 1:
        return None
    (axis,) = varying
    others = [np.asarray(part) for part in parts if not isinstance(part, Value)]
    number = parts[axis]
    if any(part.dtype.kind not in "iu" for part in (number, *others)):
        return None
    lead = tuple(n for k, n in enumerate(shape) if k != axis)
    whole = np.broadcast_shapes(number.shape, *(part.shape for part in others))
    if number.shape != whole or prod(whole) != prod(lead) or not _count_up(others, whole, lead):
        return None
    return Picked(axis, counted(program, program.reshape(number, lead), shape[axis]))


def _count_up(parts: Sequence[Array], shape: Sequence[int], lead: Sequence[int]) -> bool:
    """Whether the parts together name every place of the leading axes, in order."""
    places = np.indices(lead)
    pairs = zip(parts, places, strict=True)
    return all((np.broadcast_to(a, shape).reshape(lead) == place).all() for a, place in pairs)


def counted(program: Program, index: Value, limit: int) -> Value:
    """The same places counted from 0, where NumPy counts negative ones from the end; checked."""
    if index.dtype.kind == "i":
        index = program.cast(index, np.result_type(index.dtype, np.min_scalar_type(-limit - 1)))
        zero, all_ = (program.constant(n, index.dtype) for n in (0, limit))
        is_negative = program.ufunc(np.less, index, zero, dtype=np.bool_)
        moved = program.ufunc(np.add, index, all_, dtype=index.dtype)
        index = program.where(is_negative, moved, index, dtype=index.dtype)
    program.add("check", (index,), ("index", limit), (), np.bool_)
    return index


def flat(program: Program, index: Any, shape: Sequence[int]) -> Value | None:
    """Integers for the first axes as one for all of these; None: there is something else."""
    parts = index if isinstance(index, tuple) else (index,)
    if len(parts) > len(shape) or not any(isinstance(part, Value) for part in parts):
        return None
    whole: Value | None = None
    for part, n in zip(parts, shape, strict=False):
        if not isinstance(part, Value):
            part = program.constant(np.asarray(part))
        if part.dtype.kind not in "iu":
            return None
        part = program.cast(counted(program, part, n), np.intp)
        if whole is not None:
            before = program.ufunc(np.multiply, whole, program.constant(n), dtype=np.intp)
            part = program.ufunc(np.add, before, part, dtype=np.intp)
        whole = part
    return whole


def gathered(program: Program, x: Value, index: Any, like: Array) -> Value | None:
    """x[index], where the index holds integers that differ from call to call; None: not known."""
    pick = picked(program, index, x.shape)
    if pick is not None:
        return program.reshape(pick.of(program, x), like.shape)
    rows = flat(program, index, x.shape)
    if rows is None:
        return None
    return program.take(program.reshape(x, _table(index, x.shape)), rows)


def _table(index: Any, shape: Sequence[int]) -> tuple[int, ...]:
    """A shape in which the axes that an index picks from are one."""
    count = len(index) if isinstance(index, tuple) else 1
    return prod(shape[:count]), *shape[count:]


def added(
    program: Program, parts: Sequence[Value], indices: Sequence[Any], shape: tuple[int, ...]
) -> Value | None:
    """Zeros of this shape, and each part added at its index; None: not known."""
    picks = [picked(program, index, shape) for index in indices]
    if all(pick is not None for pick in picks):
        pairs = zip(picks, parts, strict=True)
        return _sum(program, [pick.put(program, part, shape) for pick, part in pairs if pick])
    numbers: list[Value] = []
    rows: list[Value] = []
    for index, part in zip(indices, parts, strict=True):
        found = flat(program, index, shape)
        table = _table(index, shape)
        if (
            found is None
            or part.shape != (*found.shape, *table[1:])
            or table != _table(indices[0], shape)
        ):
            return None
        numbers.append(program.reshape(found, (found.size,)))
        rows.append(program.reshape(part, (found.size, *table[1:])))
    both = [program.concatenate(x) for x in (rows, numbers)]
    table = _table(indices[0], shape)
    return program.reshape(program.add("sum_rows", both, None, table, parts[0].dtype), shape)


def _sum(program: Program, terms: Sequence[Value]) -> Value:
    total = terms[0]
    for term in terms[1:]:
        total = program.ufunc(np.add, total, term, dtype=total.dtype)
    return total
