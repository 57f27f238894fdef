"""Making a program anew: its values in units, each of which is emitted once everything it needs is there."""

import heapq
from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from .packing import is_stack, pack
from .program import FREE, Program, Value, count_of, whole_of

Group = Sequence[Value]


class Rewriter:
    """A new program, and what has become of each value of the old one."""

    def __init__(self, values: Sequence[Value]) -> None:
        self.program = Program()
        self._new: list[Any] = [None] * count_of(values)

    def __getitem__(self, value: Value) -> Value:
        return self._new[value.id]

    def __setitem__(self, value: Value, made: Value) -> None:
        self._new[value.id] = made

    def inputs(self, value: Value) -> list[Value]:
        return [self._new[x.id] for x in value.inputs]

    def run(self, groups: Sequence[Group], together: "Callable[[Rewriter, Group], Sequence[Value]]") -> None:
        """Make every group, `together` those of several values, in an order in which that can be done."""
        for group in in_order(groups):
            there = len(self.program.values)
            if len(group) == 1:
                self[group[0]] = again(self.program, group[0], self.inputs(group[0]))
            else:
                for value, made in zip(group, together(self, group), strict=True):
                    self[value] = made
            self._count(group, there)

    def _count(self, group: Group, there: int) -> None:
        """Say how many values of the recording those of a group stand for; `there` were in the program before."""
        computed = [value for value in group if value.kind not in FREE]
        made = {whole_of(self[value]) for value in computed}
        if len(made) == 1:
            (value,) = made
            before = value.stands_for if value.id < there else 0
            value.stands_for = before + sum(x.stands_for for x in computed)


def again(program: Program, value: Value, inputs: Sequence[Value]) -> Value:
    """The same value in another program, which may know a simpler one."""
    if value.kind == "ufunc":
        return program.ufunc(value.detail, *inputs, dtype=value.dtype)
    if value.kind == "view":
        how, what = value.detail
        return getattr(program, how)(inputs[0], what)
    if value.kind == "matmul":
        return program.matmul(*inputs)
    if is_stack(value):
        return pack(program, inputs)
    return program.add(value.kind, inputs, value.detail, value.shape, value.dtype)


def in_order(groups: Sequence[Group]) -> list[Group]:
    """The groups, each after those it needs and else as early as its first member; those in a cycle are left out."""
    owner = array("l", [0]) * count_of(value for group in groups for value in group)
    for i, group in enumerate(groups):
        for value in group:
            owner[value.id] = i
    waiting, users = array("l", [0]) * len(groups), _Users(groups, owner)
    for i, _ in _needs(groups, owner):
        waiting[i] += 1
    ready = [group[0].id for group, count in zip(groups, waiting, strict=True) if not count]
    heapq.heapify(ready)
    ordered: list[Group] = []
    while ready:
        i = owner[heapq.heappop(ready)]
        ordered.append(groups[i])
        for user in users.of(i):
            waiting[user] -= 1
            if not waiting[user]:
                heapq.heappush(ready, groups[user][0].id)
    return ordered


def _needs(groups: Sequence[Group], owner: Sequence[int]) -> Iterator[tuple[int, int]]:
    """For every operand the numbers of who needs it and who makes it; if they are one, that group is never ready."""
    return ((i, owner[x.id]) for i, group in enumerate(groups) for value in group for x in value.inputs)


class _Users:
    """Who needs each group, once for every operand: one after the other in one array, since sets would be larger."""

    def __init__(self, groups: Sequence[Group], owner: Sequence[int]) -> None:
        begin = array("l", [0]) * (len(groups) + 1)
        for _, needed in _needs(groups, owner):
            begin[needed] += 1
        begin = array("l", accumulate(begin))
        self._users = array("l", [0]) * begin[-1]
        for user, needed in _needs(groups, owner):
            begin[needed] -= 1
            self._users[begin[needed]] = user
        self._begin = begin

    def of(self, i: int) -> Sequence[int]:
        return self._users[self._begin[i] : self._begin[i + 1]]


def key_of(value: Value) -> Any:
    """What values have in common that differ in their operands alone; of an index, which row does not matter."""
    if value.kind == "view" and value.detail[0] == "index":
        rows = tuple("row" if isinstance(entry, int) else entry for entry in value.detail[1])
        return value.kind, rows, value.inputs[0].shape, value.shape, value.dtype
    return value.kind, value.detail, value.shape, value.dtype
