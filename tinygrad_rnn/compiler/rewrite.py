"""Making a program anew: its values in units, each of which is emitted once everything it needs is there."""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .packing import is_stack, pack
from .program import FREE, Program, Value, whole_of


@dataclass(slots=True, eq=False)
class Unit:
    """Values that are made together."""

    members: list[Value]
    emit: "Callable[[Rewriter, list[Value]], Sequence[Value]] | None" = None  # the new values; None: as they were


@dataclass(slots=True)
class Rewriter:
    """A new program, and what has become of each value of the old one."""

    program: Program = field(default_factory=Program)
    new: dict[Value, Value] = field(default_factory=dict[Value, Value])

    def inputs(self, value: Value) -> list[Value]:
        return [self.new[x] for x in value.inputs]

    def run(self, units: Sequence[Unit]) -> None:
        """Emit every unit, in an order in which that can be done."""
        for unit in in_order(units):
            there = len(self.program.values)
            if unit.emit is None:
                for value in unit.members:
                    self.new[value] = again(self.program, value, self.inputs(value))
            else:
                self.new.update(zip(unit.members, unit.emit(self, unit.members), strict=True))
            self._count(unit, there)

    def _count(self, unit: Unit, there: int) -> None:
        """Say how many values of the recording those of a unit stand for; `there` were in the program before."""
        computed = [value for value in unit.members if value.kind not in FREE]
        made = {whole_of(self.new[value]) for value in computed}
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


def in_order(units: Sequence[Unit]) -> list[Unit]:
    """The units, each after those it needs and else as early as its first member; those in a cycle are left out."""
    owner = {value: i for i, unit in enumerate(units) for value in unit.members}
    needs: list[set[int]] = [
        {owner[x] for value in unit.members for x in value.inputs}  # itself too: then it is never ready
        for unit in units
    ]
    users: list[list[int]] = [[] for _ in units]
    for i, needed in enumerate(needs):
        for j in needed:
            users[j].append(i)
    waiting = [len(needed) for needed in needs]
    ready = [(unit.members[0].id, i) for i, unit in enumerate(units) if not waiting[i]]
    heapq.heapify(ready)
    ordered: list[Unit] = []
    while ready:
        _, i = heapq.heappop(ready)
        ordered.append(units[i])
        for user in users[i]:
            waiting[user] -= 1
            if not waiting[user]:
                heapq.heappush(ready, (units[user].members[0].id, user))
    return ordered


def key_of(value: Value) -> Any:
    """What values have in common that differ in their operands alone; of an index, which row does not matter."""
    if value.kind == "view" and value.detail[0] == "index":
        rows = tuple("row" if isinstance(entry, int) else entry for entry in value.detail[1])
        return value.kind, rows, value.inputs[0].shape, value.shape, value.dtype
    return value.kind, value.detail, value.shape, value.dtype
