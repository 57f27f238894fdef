"""Batching: what a loop does at every step, and does not depend on the step before, is done for all steps at once.

Values of one *class* (the same op, shapes and parameters, with operands alike) are computed in one
call along a new first axis, unless one of them is an ancestor of another: those are the recurrence,
and stay in their order. What is laid side by side for such a call is computed there in the first
place (see `plan`), so it costs no copy.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..packing import is_stack, pack, padded, row_of
from ..program import Program, Value, count_of, uses_of
from ..rewrite import Group, Rewriter, Users, key_of

_FINEST = (
    4  # how far operands of operands are compared before values are taken for different after all
)
_ELEMENTWISE = frozenset({"ufunc", "where", "cast"})
_BATCHED = _ELEMENTWISE | {"matmul", "reduce", "take", "pick", "less_one", "check", "assemble"}


def batch(values: Sequence[Value], results: Sequence[Value]) -> tuple[list[Value], list[Value]]:
    """The program with every class in one call; also its results in it."""
    users = Users(values)
    groups = _acyclic(Classes(values), values, users)
    rewriter = Rewriter(values)
    rewriter.run(users.in_order(groups), _together)
    return rewriter.program.values, [rewriter[x] for x in results]


# Classes


class Classes:
    """Numbers for values: equal where op, shapes, parameters, and operands to some depth are alike."""

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
        return [self._operand(x, below) for x in value.inputs]

    def _operand(self, x: Value, below: Sequence[int | None]) -> Any:
        own = (
            x.kind == "constant" and x.size > 1 and self.uses[x.id] == 1
        )  # such as the input of one step
        if x.kind == "source" or (x.fixed and not own):
            return "the same", x.id
        return "alike", x.shape, x.dtype, x.kind if own else below[x.id]

    def _number(self, key: Any) -> int:
        return self.numbers.setdefault(key, len(self.numbers))


def _acyclic(classes: Classes, values: Sequence[Value], users: Users) -> list[Group]:
    """Groups that can be computed one after the other: classes, split where one member needs another."""
    stuck = _split(classes, values, 1)
    depth = {id(group): 1 for group in stuck}
    free: list[Group] = []
    while True:
        ordered = users.in_order(stuck)
        free += ordered
        done = set(map(id, ordered))
        stuck = [group for group in stuck if id(group) not in done]
        if not stuck:
            return free
        bad = _self_dependent(stuck) or [min((g for g in stuck if len(g) > 1), key=len)]
        kept = {id(group) for group in bad}
        stuck = [group for group in stuck if id(group) not in kept]
        for group in bad:
            finer = depth[id(group)] + 1
            parts = (
                _split(classes, group, finer) if finer <= _FINEST else [(value,) for value in group]
            )
            depth.update({id(part): finer for part in parts if len(part) > 1})
            stuck += parts


def _split(classes: Classes, group: Group, depth: int) -> list[Group]:
    level = classes.level(depth)
    alone: list[Group] = []
    parts: dict[Any, list[Value]] = defaultdict(list)
    for value in group:
        if _can_be_batched(value):
            parts[level[value.id]].append(value)
        else:
            alone.append((value,))
    return [*parts.values(), *alone]


def _can_be_batched(value: Value) -> bool:
    if value.fixed or value.kind not in _BATCHED or is_stack(value):
        return False
    if value.kind == "matmul":
        return all(x.ndim <= 2 for x in value.inputs)
    return value.kind != "take" or value.inputs[0].fixed


def _self_dependent(groups: Sequence[Group]) -> list[Group]:
    """The groups in which one member is another's ancestor; all groups of several at once, one bit each."""
    inside = sorted((value for group in groups for value in group), key=lambda value: value.id)
    bits = [0] * count_of(inside)
    several = [group for group in groups if len(group) > 1]
    for i, group in enumerate(several):
        for value in group:
            bits[value.id] = 1 << i
    above = [0] * len(bits)
    same: dict[int, int] = {}
    found = 0
    for value in inside:
        mask = 0
        for x in value.inputs:
            mask |= above[x.id] | bits[x.id]
        above[value.id] = same.setdefault(mask, mask)
        found |= mask & bits[value.id]
    return [group for i, group in enumerate(several) if found >> i & 1]


# One call for a class


def _together(rewriter: Rewriter, members: Group) -> list[Value]:
    """All members in one call; each is a row of the result."""
    operands = [
        [rewriter[x] for x in column]
        for column in zip(*(value.inputs for value in members), strict=True)
    ]
    order = _order(operands, len(members))
    program = rewriter.program
    packs = [pack(program, [column[i] for i in order]) for column in operands]
    whole = _BATCH[members[0].kind](program, members[0], packs, len(members))
    if members[0].kind == "check":
        return [whole] * len(members)
    rows = {i: program.index(whole, (row,)) for row, i in enumerate(order)}
    return [rows[i] for i in range(len(members))]


def _order(operands: Sequence[Sequence[Value]], count: int) -> list[int]:
    """The order of the rows: that in which an operand already lies in memory, if one does, else was made."""
    for column in operands:
        rows = [row_of(x) for x in column]
        if len({row and row[:2] for row in rows}) == 1 and rows[0] is not None:
            numbers = [row[2] for row in rows if row]
            if len(set(numbers)) == count:
                return sorted(range(count), key=numbers.__getitem__)
    ids = [[x.id for x in column] for column in operands]
    return sorted(
        range(count), key=next((i for i in ids if len(set(i)) == count), range(count)).__getitem__
    )


def _elementwise(program: Program, like: Value, packs: list[Value], count: int) -> Value:
    operands = [_unspread(padded(program, x, like.ndim)) for x in packs]
    shape = np.broadcast_shapes(
        *(x.shape for x in operands)
    )  # one row, where all rows turn out to be the same
    return program.broadcast(
        program.add(like.kind, operands, like.detail, shape, like.dtype), (count, *like.shape)
    )


def _unspread(x: Value) -> Value:
    """What is the same for all rows broadcasts by itself."""
    return x.inputs[0] if x.kind == "view" and x.detail[0] == "broadcast" else x


def _matmul(program: Program, like: Value, packs: list[Value], count: int) -> Value:
    a, b = (_shared(program, x) for x in packs)
    a_is_one, b_is_one = a is not packs[0], b is not packs[1]
    if b_is_one and b.ndim == 2:
        return program.broadcast(program.matmul(a, b), (count, *like.shape))
    if a_is_one and a.ndim == 2 and like.inputs[1].ndim == 1:
        return program.broadcast(
            program.matmul(b, program.transpose(a, (1, 0))), (count, *like.shape)
        )
    a, b = packs
    if like.inputs[0].ndim == 1:
        a = program.reshape(a, (count, 1, a.shape[-1]))
    if like.inputs[1].ndim == 1:
        b = program.reshape(b, (count, b.shape[-1], 1))
    return program.reshape(program.matmul(a, b), (count, *like.shape))


def _shared(program: Program, x: Value) -> Value:
    """The one operand of all rows, where it is one."""
    if x.kind == "view" and x.detail[0] == "broadcast" and x.inputs[0].shape == (1, *x.shape[1:]):
        return program.reshape(x.inputs[0], x.shape[1:])
    return x


def _reduce(program: Program, like: Value, packs: list[Value], count: int) -> Value:
    function, axes = like.detail
    return program.reduce(function, packs[0], [axis + 1 for axis in axes], like.dtype)


def _take(program: Program, like: Value, packs: list[Value], count: int) -> Value:
    return program.take(_shared(program, packs[0]), packs[1])


def _row_by_row(program: Program, like: Value, packs: list[Value], count: int) -> Value:
    return program.add(like.kind, packs, like.detail, (count, *like.shape), like.dtype)


def _check(program: Program, like: Value, packs: list[Value], count: int) -> Value:
    return program.add("check", packs, like.detail, (), like.dtype)


def _assemble(program: Program, like: Value, packs: list[Value], count: int) -> Value:
    indices, _ = like.detail
    return program.assemble(
        packs, [((0, count, 1), *index) for index in indices], (count, *like.shape), like.dtype
    )


_BATCH = dict.fromkeys(_ELEMENTWISE, _elementwise) | {
    "matmul": _matmul, "reduce": _reduce, "take": _take, "check": _check, "assemble": _assemble,
    "pick": _row_by_row, "less_one": _row_by_row,
}  # fmt: skip
