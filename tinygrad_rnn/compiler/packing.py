"""Packs: values along a new first axis, which lie so already more often than not."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from .program import Program, Value


def is_stack(x: Value) -> bool:
    """Whether x is parts laid side by side along its first axis, in their order, and nothing else."""
    return (rows := rows_laid(x)) is not None and [*rows] == [*range(len(rows))]


def rows_laid(x: Value) -> dict[int, Value] | None:
    """The parts of x by row, where each is laid into one whole row as it is."""
    if x.kind != "assemble" or not x.detail[1] or x.shape[:1] != (len(x.inputs),):
        return None
    row = tuple((0, n, 1) for n in x.shape[1:])
    rows = {
        index[0]: part
        for index, part in zip(x.detail[0], x.inputs, strict=True)
        if index[1:] == row
    }
    return rows if len(rows) == len(x.inputs) and all(isinstance(i, int) for i in rows) else None


def row_of(x: Value) -> tuple[int, int, int] | None:
    """(whole, axis, i) of what is row i of a whole, along an axis."""
    while x.kind == "view" and x.detail[0] != "index":
        x = x.inputs[0]
    if x.kind != "view":
        return None
    whole, index = x.inputs[0], x.detail[1]
    axes = [axis for axis, entry in enumerate(index) if isinstance(entry, int)]
    others = [
        entry == (0, n, 1)
        for entry, n in zip(index, whole.shape, strict=True)
        if not isinstance(entry, int)
    ]
    return (whole.id, axes[0], index[axes[0]]) if len(axes) == 1 and all(others) else None


def pack(program: Program, parts: Sequence[Value]) -> Value:
    """Values along a new first axis: where they already lie so, a view."""
    first = parts[0]
    if all(part is first for part in parts):
        return program.broadcast(
            program.reshape(first, (1, *first.shape)), (len(parts), *first.shape)
        )
    if all(part.kind == "constant" for part in parts):
        return program.constant(np.stack([part.array() for part in parts]))
    if all(part.kind == "view" for part in parts):
        if first.detail[0] == "index" and (rows := _rows_between(program, parts)) is not None:
            return rows
        if all(
            part.detail == first.detail and part.inputs[0].shape == first.inputs[0].shape
            for part in parts
        ):
            return _view_of_each(
                program, first, pack(program, [part.inputs[0] for part in parts]), len(parts)
            )
    return program.stack(parts)


def _rows_between(program: Program, parts: Sequence[Value]) -> Value | None:
    """Equally spaced rows of one whole."""
    rows = [row_of(part) if part.detail[0] == "index" else None for part in parts]
    if rows[0] is None or len({row and row[:2] for row in rows}) > 1:
        return None
    (_, axis, start), whole = rows[0], parts[0].inputs[0]
    steps = {b[2] - a[2] for a, b in pairwise(rows) if a and b}
    if len(steps) > 1 or 0 in steps:
        return None
    step = steps.pop()
    stop: int | None = start + step * len(parts)
    stop = min(stop, whole.shape[axis]) if step > 0 else stop if stop >= 0 else None
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
