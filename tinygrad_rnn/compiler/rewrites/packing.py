"""Packs: values along a new first axis, which lie so already more often than not."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..program import Index, Program, Value


def is_stack(x: Value) -> bool:
    """Whether x is parts laid along its first axis, in their order, and nothing else."""
    return (rows := rows_laid(x)) is not None and [*rows] == [*range(len(rows))]


def rows_laid(x: Value) -> dict[int, Value] | None:
    """The parts of x by row, where each is laid into one whole row as it is."""
    if x.kind != "assemble" or x.shape[:1] != (len(x.inputs),):
        return None
    indices, covered = x.detail
    row = tuple((0, n, 1) for n in x.shape[1:])
    pairs = zip(indices, x.inputs, strict=True)
    rows = {index[0]: part for index, part in pairs if index[1:] == row}
    if not covered or len(rows) < len(x.inputs) or not all(isinstance(i, int) for i in rows):
        return None
    return rows


class Row(NamedTuple):
    """A row of a whole, along an axis."""

    whole: Value
    axis: int
    number: int


def row_of(x: Value) -> Row | None:
    """The row that x is a view of, if it is one."""
    while x.kind == "view" and x.head != "index":
        (x,) = x.inputs
    if x.kind != "view":
        return None
    (whole,), (_, index) = x.inputs, x.detail
    axes = [axis for axis, entry in enumerate(index) if isinstance(entry, int)]
    pairs = zip(index, whole.shape, strict=True)
    others_whole = all(entry == (0, n, 1) for entry, n in pairs if not isinstance(entry, int))
    if len(axes) != 1 or not others_whole:
        return None
    return Row(whole, axes[0], index[axes[0]])


def pack(program: Program, parts: Sequence[Value]) -> Value:
    """Values along a new first axis: where they already lie so, a view."""
    first, count = parts[0], len(parts)
    if all(part is first for part in parts):
        one = program.reshape(first, (1, *first.shape))
        return program.broadcast(one, (count, *first.shape))
    if all(part.kind == "constant" for part in parts):
        return program.constant(np.stack([part.array() for part in parts]))
    if all(part.kind == "view" for part in parts):
        rows = _rows_between(program, parts)
        if rows is not None:
            return rows
        if len({(part.detail, part.operand.shape) for part in parts}) == 1:
            wholes = pack(program, [part.operand for part in parts])
            return _view_of_each(program, first, wholes, count)
    return _in_blocks(program, parts)


def _in_blocks(program: Program, parts: Sequence[Value]) -> Value:
    """Laid below each other; neighbours that are rows of one whole are one part, computed there."""
    runs = _runs(parts)
    if len(runs) == len(parts):
        return program.stack(parts)
    shape = (len(parts), *parts[0].shape)
    blocks: list[Value] = []
    indices: list[Index] = []
    start = 0
    for run in runs:
        rows = _rows_between(program, run)
        blocks.append(run[0] if rows is None else rows)
        indices.append((start,) if rows is None else ((start, start + len(run), 1),))
        start += len(run)
    return program.assemble(blocks, indices, shape, parts[0].dtype)


def _runs(parts: Sequence[Value]) -> list[list[Value]]:
    """Parts, split where the next one is not the next row of the same whole."""
    runs: list[list[Value]] = [[parts[0]]]
    step = 0
    for before, part in pairwise(parts):
        a, b = _own_row(before), _own_row(part)
        is_next = a and b and (a.whole, a.axis) == (b.whole, b.axis)
        if a and b and is_next and b.number - a.number == step and len(runs[-1]) > 1:
            runs[-1].append(part)
        elif a and b and is_next and abs(b.number - a.number) == 1 and len(runs[-1]) == 1:
            step = b.number - a.number
            runs[-1].append(part)
        else:
            runs.append([part])
    return runs


def _own_row(x: Value) -> Row | None:
    """The row that x is, not one seen in another shape."""
    return row_of(x) if x.head == "index" else None


def _rows_between(program: Program, parts: Sequence[Value]) -> Value | None:
    """Equally spaced rows of one whole."""
    rows = [row for part in parts if part.head == "index" and (row := row_of(part))]
    if len(rows) < len(parts) or len({(row.whole, row.axis) for row in rows}) > 1:
        return None
    steps = {b.number - a.number for a, b in pairwise(rows)}
    if len(steps) != 1 or 0 in steps:
        return None
    step = steps.pop()
    whole, axis, start = rows[0]
    stop: int | None = start + step * len(parts)
    if step > 0:
        stop = min(stop, whole.shape[axis])
    elif stop < 0:
        stop = None
    taken = program.index(whole, (*((0, n, 1) for n in whole.shape[:axis]), (start, stop, step)))
    return program.transpose(taken, (axis, *(k for k in range(whole.ndim) if k != axis)))


def _view_of_each(program: Program, view: Value, x: Value, count: int) -> Value:
    """A view of every row of x."""
    how, what = view.detail
    if how == "index":
        return program.index(x, ((0, count, 1), *what))
    if how == "transpose":
        return program.transpose(x, (0, *(axis + 1 for axis in what)))
    if how == "broadcast":
        return program.broadcast(padded(program, x, len(what)), (count, *what))
    return program.reshape(x, (count, *what))


def padded(program: Program, x: Value, ndim: int) -> Value:
    """Rows with axes of length 1 in front, so that they broadcast as each of them would."""
    return program.reshape(x, (x.shape[0], *(1,) * (ndim + 1 - x.ndim), *x.shape[1:]))
