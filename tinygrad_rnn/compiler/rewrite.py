"""Making a program anew: its values in units, each of which is emitted once everything it needs is there."""

import heapq
from array import array
from collections.abc import Callable, Sequence
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

    def run(
        self, groups: Sequence[Group], together: "Callable[[Rewriter, Group], Sequence[Value]]"
    ) -> None:
        """Make every group, in an order in which that can be done; `together` makes those of several values."""
        for group in groups:
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


class Users:
    """Who reads each value, once for every operand: ids in one array, since sets would be larger than the program."""

    def __init__(self, values: Sequence[Value]) -> None:
        begin = array("i", [0]) * (count_of(values) + 1)
        for value in values:
            for x in value.inputs:
                begin[x.id] += 1
        self._begin = array("i", accumulate(begin))
        self._users = array("i", [0]) * self._begin[-1]
        for value in values:
            for x in value.inputs:
                self._begin[x.id] -= 1
                self._users[self._begin[x.id]] = value.id

    def in_order(self, groups: Sequence[Group]) -> list[Group]:
        """The groups, each after those it needs and else as early as its first member; those in a cycle are left out.

        One that needs itself is a cycle. What values in no group make is there before.
        """
        owner, waiting = array("i", [-1]) * len(self._begin), array("i", [0]) * len(groups)
        for i, group in enumerate(groups):
            for value in group:
                owner[value.id] = i
        for group in groups:
            for i in self._among(group, owner):
                waiting[i] += 1
        ready = [group[0].id for group, count in zip(groups, waiting, strict=True) if not count]
        heapq.heapify(ready)
        ordered: list[Group] = []
        while ready:
            group = groups[owner[heapq.heappop(ready)]]
            ordered.append(group)
            for i in self._among(group, owner):
                waiting[i] -= 1
                if not waiting[i]:
                    heapq.heappush(ready, groups[i][0].id)
        return ordered

    def _among(self, group: Group, owner: Sequence[int]) -> list[int]:
        """The owners of all who read a group, once for every operand; those in no group have none."""
        users, begin = self._users, self._begin
        found = [owner[i] for value in group for i in users[begin[value.id] : begin[value.id + 1]]]
        return [i for i in found if i >= 0]


def key_of(value: Value) -> Any:
    """What values have in common that differ in their operands alone; of an index, which row does not matter."""
    if value.kind == "view" and value.detail[0] == "index":
        rows = tuple("row" if isinstance(entry, int) else entry for entry in value.detail[1])
        return value.kind, rows, value.inputs[0].shape, value.shape, value.dtype
    return value.kind, value.detail, value.shape, value.dtype
