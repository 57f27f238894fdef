"""Batching: what a loop does at every step, without the step before, is done at once for all.

Values of one *class* (the same op, shapes and parameters, with operands alike) are computed in one
call along a new first axis, unless one of them is an ancestor of another: those are the recurrence,
and stay in their order. What is laid side by side for such a call is computed there in the first
place (see `plan`), so it costs no copy.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..program import ELEMENTWISE, Program, Value, uses_of, whole_of
from .ancestry import self_dependent
from .packing import is_stack, pack, padded, row_of
from .rewriter import Group, Match, Rewriter, Users, key_of, stand_for

_FEW = 6  # reads, of what one step alone reads
_PICKED = frozenset({"take", "pick", "less_one"})  # the second operand says which
_FINEST = 4  # how far operands of operands are compared before a class is computed singly


def alike(values: Sequence[Value], _results: Sequence[Value]) -> list[Match]:
    """Values that can be rows of one: classes, split where one member needs another."""
    return [Match(group) for group in _acyclic(Classes(values), values) if len(group) > 1]


def in_one_call(rewriter: Rewriter, match: Match) -> list[Value]:
    """All members in one call; each is a row of the result."""
    members, program = match.values, rewriter.program
    there = len(program.values)
    inputs = [[rewriter[x] for x in member.inputs] for member in members]
    columns = list(zip(*inputs, strict=True))
    order = _order(columns, len(members))
    packs = [pack(program, [column[i] for i in order]) for column in columns]
    whole = _BATCH[members[0].kind](program, members[0], packs, len(members))
    stand_for(members, whole, there)
    if whole.kind == "check":
        return [whole] * len(members)
    rows = {i: program.index(whole, (row,)) for row, i in enumerate(order)}
    return [rows[i] for i in range(len(members))]


# Classes


class Classes:
    """Numbers for values: equal where op, shapes, parameters, and operands are alike."""

    def __init__(self, values: Sequence[Value]) -> None:
        self.values = values
        self.uses = uses_of(values)
        self.numbers: dict[Any, int] = {}
        self.levels: list[list[int | None]] = [[None] * len(self.uses)]

    def level(self, depth: int) -> Sequence[int | None]:
        """The class of every value, by id, where operands are compared to this depth."""
        while len(self.levels) <= depth + 1:
            below = self.levels[-1]
            level: list[int | None] = [None] * len(self.uses)
            for value in self.values:
                level[value.id] = self._number((key_of(value), *self._operands(value, below)))
            self.levels.append(level)
        return self.levels[depth + 1]

    def _operands(self, value: Value, below: Sequence[int | None]) -> list[Any]:
        found: list[Any] = []
        for place, x in enumerate(value.inputs):
            if self._is_own(value, place, x):
                found.append(("alike", x.shape, x.dtype, x.kind))
            elif x.kind == "source" or (x.is_fixed and not _is_row_for(value, x)):
                found.append(("the same", x.id))
            else:
                found.append(("alike", x.shape, x.dtype, below[x.id]))
        return found

    def _is_own(self, value: Value, place: int, x: Value) -> bool:
        """Whether an operand is such as the input of one step, where inputs come in a list.

        It is read forward and back alone. Constants are found again where they are equal, as
        one-hot rows are: they count, unless they stand where the matrix of a product does.
        """
        is_few = self.uses[x.id] <= _FEW
        if x.kind == "constant":
            if value.kind in _PICKED:
                return place == 1
            return x.size > 1 and (is_few or value.kind != "matmul" or place == 0)
        return is_few and x.kind == "source" and x.detail[0] in ("argument", "data")

    def _number(self, key: Any) -> int:
        return self.numbers.setdefault(key, len(self.numbers))


def _is_row_for(value: Value, x: Value) -> bool:
    """Whether an operand is a row of a parameter, which may be another one at every step."""
    return value.kind in ELEMENTWISE and row_of(x) is not None


def _acyclic(classes: Classes, values: Sequence[Value]) -> list[Group]:
    """Groups that can be computed one after the other."""
    users = Users(values)
    stuck = _split(classes, values, 1)
    depth = {id(group): 1 for group in stuck}
    free: list[Group] = []
    while stuck:
        ordered = users.in_order(stuck)
        free += ordered
        stuck = _without(stuck, ordered)
        bad = self_dependent(stuck, [value for group in stuck for value in group])
        if stuck and not bad:  # several wait for each other: the smallest gives way
            bad = [min((group for group in stuck if len(group) > 1), key=len)]
        stuck = _without(stuck, bad)
        for group in bad:
            finer = depth[id(group)] + 1
            parts = _split(classes, group, finer)
            depth.update({id(part): finer for part in parts if len(part) > 1})
            stuck += parts
    return free


def _without(groups: Sequence[Group], others: Sequence[Group]) -> list[Group]:
    gone = {id(group) for group in others}
    return [group for group in groups if id(group) not in gone]


def _split(classes: Classes, group: Group, depth: int) -> list[Group]:
    """What is alike where operands are compared to this depth; beyond the finest nothing is."""
    alone: list[Group] = []
    parts: dict[Any, list[Value]] = defaultdict(list)
    for value in group:
        if depth <= _FINEST and _can_be_batched(value):
            parts[classes.level(depth)[value.id]].append(value)
        else:
            alone.append((value,))
    return [*parts.values(), *alone]


def _can_be_batched(value: Value) -> bool:
    if value.is_fixed or value.kind not in _BATCH or is_stack(value):
        return False
    if value.kind == "matmul":
        return all(x.ndim <= 2 for x in value.inputs) and not _is_of_all_rows(value)
    return value.kind != "take" or value.operand.is_fixed


def _is_of_all_rows(product: Value) -> bool:
    """Whether both factors are laid together from all timesteps: it is one call for them."""
    return all(whole_of(x).kind == "assemble" for x in product.inputs)


# One call for a class


def _order(columns: Sequence[Sequence[Value]], count: int) -> list[int]:
    """The order of the rows: that in which an operand already lies in memory, else was made."""
    for column in columns:
        rows = [row for x in column if (row := row_of(x))]
        numbers = [row.number for row in rows]
        is_one_whole = len({(row.whole, row.axis) for row in rows}) == 1
        if is_one_whole and len(rows) == len(set(numbers)) == count:
            return sorted(range(count), key=numbers.__getitem__)
    for column in columns:
        if len(set(column)) == count:
            return sorted(range(count), key=lambda i: column[i].id)
    return list(range(count))


def _elementwise(program: Program, like: Value, packs: list[Value], count: int) -> Value:
    operands = [_unspread(padded(program, x, like.ndim)) for x in packs]
    # One row, where all rows turn out to be the same.
    shape = np.broadcast_shapes(*(x.shape for x in operands))
    made = program.add(like.kind, operands, like.detail, shape, like.dtype)
    return program.broadcast(made, (count, *like.shape))


def _unspread(x: Value) -> Value:
    """What is the same for all rows broadcasts by itself."""
    return x.operand if x.head == "broadcast" else x


def _matmul(program: Program, like: Value, packs: list[Value], count: int) -> Value:
    shape = (count, *like.shape)
    left, right = like.inputs
    a, b = packs
    one_a, one_b = _shared(program, a), _shared(program, b)
    if one_b is not b and one_b.ndim == 2:
        return program.broadcast(program.matmul(one_a, one_b), shape)
    if one_a is not a and one_a.ndim == 2 and right.ndim == 1:
        return program.broadcast(program.matmul(one_b, program.transpose(one_a, (1, 0))), shape)
    if left.ndim == 1:
        a = program.reshape(a, (count, 1, a.shape[-1]))
    if right.ndim == 1:
        b = program.reshape(b, (count, b.shape[-1], 1))
    return program.reshape(program.matmul(a, b), shape)


def _shared(program: Program, x: Value) -> Value:
    """The one operand of all rows, where it is one."""
    if x.head == "broadcast" and x.operand.shape == (1, *x.shape[1:]):
        return program.reshape(x.operand, x.shape[1:])
    return x


def _reduce(program: Program, like: Value, packs: list[Value], _count: int) -> Value:
    function, axes = like.detail
    return program.reduce(function, packs[0], [axis + 1 for axis in axes], like.dtype)


def _take(program: Program, _like: Value, packs: list[Value], _count: int) -> Value:
    table, index = packs
    return program.take(_shared(program, table), index)


def _row_by_row(program: Program, like: Value, packs: list[Value], count: int) -> Value:
    return program.add(like.kind, packs, like.detail, (count, *like.shape), like.dtype)


def _check(program: Program, like: Value, packs: list[Value], _count: int) -> Value:
    return program.add("check", packs, like.detail, (), like.dtype)


def _assemble(program: Program, like: Value, packs: list[Value], count: int) -> Value:
    indices = [((0, count, 1), *index) for index in like.detail[0]]
    return program.assemble(packs, indices, (count, *like.shape), like.dtype)


# What can be batched, by kind.
_BATCH = dict.fromkeys(ELEMENTWISE, _elementwise) | {
    "matmul": _matmul,
    "reduce": _reduce,
    "take": _take,
    "check": _check,
    "assemble": _assemble,
    "pick": _row_by_row,
    "less_one": _row_by_row,
}
