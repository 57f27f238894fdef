"""Peepholes: a value that is to be made, and a simpler way to it.

Each is one row: a pattern, and a rule that says what to make of what matches. A program asks for
them whenever a value is added; to try another, add a row.
"""

from typing import Any

import numpy as np

from ...autograd.switches import quietly
from ...autograd.tensor import Array
from ..program import Program, Value, for_all_axes, numpy_index, seen, whole_of
from .patterns import ANY, Pattern, Peephole, ufunc, view
from .transposes import TRANSPOSES, seen_constant


def simpler(program: Program, value: Value) -> Value | None:
    """What the first peephole that matches a value makes of it."""
    by_head = _ROWS.get(value.kind)
    if by_head is None:
        return None
    for row in by_head.get(value.head) or by_head[ANY]:
        named = row.pattern.named(value.inputs)
        if named is None:
            continue
        made = row.rule(program, value, **named)
        if made is not None:
            if row.is_told:
                program.rewrites[row.name] += 1
            return made
    return None


# Arithmetic


@quietly
def _folded(program: Program, value: Value) -> Value | None:
    arrays = [array for x in value.inputs if (array := _array_of(x)) is not None]
    if len(arrays) < len(value.inputs):
        return None
    function = np.where if value.kind == "where" else value.detail
    return program.constant(function(*arrays), value.dtype)


@quietly
def _folded_sum(program: Program, value: Value, x: Value) -> Value | None:
    function, axes = value.detail
    array = _array_of(x)
    return None if array is None else program.constant(function.reduce(array, axes, value.dtype))


def _array_of(x: Value) -> Array | None:
    """What a constant holds, or a view of one."""
    if x.kind == "constant":
        return x.array()
    if x.kind != "view" or whole_of(x).kind != "constant":
        return None
    array = _array_of(x.operand)
    return None if array is None else seen(array, *x.detail)


def _times_one(_: Program, value: Value, one: Value, x: Value) -> Value | None:
    """What a backward pass starts with."""
    alike = x.shape == value.shape and x.dtype == value.dtype
    return x if alike and one.is_all(1) else None


def _cast(program: Program, value: Value, x: Value) -> Value | None:
    if x.kind == "constant":
        return program.constant(x.array(), value.dtype)
    return x if x.dtype == value.dtype else None


def _over_one_element(program: Program, value: Value, x: Value) -> Value | None:
    """As where a bias was broadcast over a batch of one; also over no axes at all."""
    if x.size != value.size:
        return None
    return program.reshape(program.cast(x, value.dtype), value.shape)


# Cross-entropy and its gradient


def _less_one(
    program: Program, value: Value, x: Value, numbers: Value, classes: Value
) -> Value | None:
    index = _one_hot_index(program, numbers, classes, x.shape)
    if index is None:
        return None
    return program.add("less_one", (x, index), None, value.shape, value.dtype)


def _pick(
    program: Program, value: Value, x: Value, numbers: Value, classes: Value, rest: Value
) -> Value | None:
    if value.detail[1] != (x.ndim - 1,) or not rest.is_all(0):
        return None
    index = _one_hot_index(program, numbers, classes, x.shape)
    if index is None:
        return None
    return program.add("pick", (x, index), None, value.shape, x.dtype)


def _softmax(program: Program, value: Value, z: Value, total: Value) -> Value | None:
    """e^(z - ln Σ e^z) is e^z / Σ e^z, which the forward pass of a log-softmax has made.

    Only where z is less its largest: elsewhere e^z overflows, and the quotient is no number.
    """
    summed = total.operand if total.head == "reshape" else total
    if summed.kind != "reduce" or summed.head is not np.add:
        return None
    e = summed.operand
    if e.head is not np.exp or e.operand is not z or not _is_from_top(z, summed.detail[1]):
        return None
    return program.ufunc(np.divide, e, total, dtype=value.dtype)


def _is_from_top(z: Value, axes: tuple[int, ...]) -> bool:
    """Whether it is something less its largest element along these axes."""
    if z.head is not np.subtract:
        return False
    x, top = z.inputs
    largest = top.operand if top.head == "reshape" else top
    return largest.detail == (np.maximum, axes) and largest.operand is x


def _one_hot_index(
    program: Program, numbers: Value, classes: Value, shape: tuple[int, ...]
) -> Value | None:
    """i for i[..., None] == [0, 1, …] of this shape, if i is known to be one of these."""
    if not shape or numbers.shape != (*shape[:-1], 1) or classes.shape != shape[-1:]:
        return None
    count = shape[-1]
    if classes.kind != "constant" or not (classes.array() == np.arange(count)).all():
        return None
    index = program.reshape(numbers, shape[:-1])
    for what in ("target", "index", "id"):
        if program.find("check", (index,), (what, count), (), np.bool_) is not None:
            return index
    return None


# Views


def _unchanged(_: Program, value: Value, x: Value) -> Value | None:
    how, what = value.detail
    everything: tuple[Any, ...] = x.shape
    if how == "transpose":
        everything = tuple(range(x.ndim))
    if how == "index":
        everything = for_all_axes((), x.shape)
    return x if what == everything else None


def _reshaped_twice(program: Program, value: Value, x: Value) -> Value:
    return program.reshape(x, value.shape)


def _transposed_twice(program: Program, value: Value, x: Value) -> Value:
    (_, first), (_, then) = value.operand.detail, value.detail
    return program.transpose(x, [first[axis] for axis in then])


def _part_of_whole(program: Program, value: Value) -> Value | None:
    _, index = value.detail
    part = program.part_at(value.operand, index)
    return None if part is None else program.reshape(part, value.shape)


def _part_of_repeated(program: Program, value: Value, x: Value) -> Value:
    """A part of what is the same along an axis is one of fewer, or none."""
    shape, (_, index) = value.operand.shape, value.detail
    padded = program.reshape(x, (1,) * (len(shape) - x.ndim) + x.shape)
    entries: list[Any] = []
    for own, n, entry in zip(padded.shape, shape, index, strict=True):
        if own != n:
            entry = 0 if isinstance(entry, int) else (0, 1, 1)
        entries.append(entry)
    return program.broadcast(program.index(padded, tuple(entries)), value.shape)


def _one_part(program: Program, value: Value, part: Value) -> Value | None:
    indices, _ = value.detail
    is_whole = indices == (for_all_axes((), value.shape),)
    return program.cast(part, value.dtype) if is_whole else None


def _laid_constants(program: Program, value: Value) -> Value | None:
    indices, is_covered = value.detail
    if not is_covered or any(part.kind != "constant" for part in value.inputs):
        return None
    whole = np.empty(value.shape, value.dtype)
    for index, part in zip(indices, value.inputs, strict=True):
        whole[numpy_index(index)] = part.array()
    return program.constant(whole)


_ONE_HOT = ufunc(np.equal, "numbers", "classes")
_LOG_SOFTMAX = ufunc(np.subtract, "z", ufunc(np.log, "total"))
_CHOSEN = Pattern("where", None, (_ONE_HOT, "x", "rest"))
_TRANSPOSED = view("transpose", "x")

PEEPHOLES = (
    Peephole("what follows from constants", ufunc(ANY), _folded),
    Peephole("choice of constants", Pattern("where"), _folded, False),
    Peephole("1 · x", ufunc(np.multiply, "one", "x"), _times_one),
    Peephole("x · 1", ufunc(np.multiply, "x", "one"), _times_one),
    Peephole("x less a one-hot row", ufunc(np.subtract, "x", _ONE_HOT), _less_one),
    Peephole("e to a log-softmax", ufunc(np.exp, _LOG_SOFTMAX), _softmax),
    Peephole("sum of x where one-hot", Pattern("reduce", np.add, (_CHOSEN,)), _pick),
    Peephole("reduction of constants", Pattern("reduce", ANY, ("x",)), _folded_sum, False),
    Peephole(
        "reduction over one element", Pattern("reduce", ANY, ("x",)), _over_one_element, False
    ),
    Peephole("cast to the same dtype, of a constant", Pattern("cast", None, ("x",)), _cast, False),
    Peephole("reshape of a reshape", view("reshape", view("reshape", "x")), _reshaped_twice, False),
    Peephole("reshape of a constant", view("reshape", "x"), seen_constant, False),
    Peephole("transpose of a transpose", view("transpose", _TRANSPOSED), _transposed_twice, False),
    Peephole("view of everything as it is", view(ANY, "x"), _unchanged, False),
    Peephole(
        "part of what is laid together", view("index", Pattern("assemble")), _part_of_whole, False
    ),
    Peephole("part of what is repeated", view("index", view("broadcast", "x")), _part_of_repeated),
    Peephole("one part alone", Pattern("assemble", None, ("part",)), _one_part, False),
    Peephole("constants laid together", Pattern("assemble"), _laid_constants, False),
    *TRANSPOSES,
)

# By kind and head, each with those for any head of the kind.
_ROWS: dict[str, dict[Any, list[Peephole]]] = {}
for _kind in {row.pattern.kind for row in PEEPHOLES}:
    _of_kind = [row for row in PEEPHOLES if row.pattern.kind == _kind]
    _ROWS[_kind] = {
        head: [row for row in _of_kind if row.pattern.head in (ANY, head)]
        for head in {ANY, *(row.pattern.head for row in _of_kind)}
    }
