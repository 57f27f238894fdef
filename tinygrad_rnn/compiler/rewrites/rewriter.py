"""Making a program anew: what a rewrite matches is made by its rule, all else as it was."""

import heapq
from array import array
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from ..program import FREE, Program, Value, count_of, whole_of
from .packing import is_stack, pack
from .peepholes import simpler

Group = Sequence[Value]


class Match(NamedTuple):
    """Values that a rule makes together.

    Args:
        values: each of them gets a value of the new program.
        found: what else the rule is to know.
        inside: what is read by these alone, and not made again.
        is_told: whether a report counts it, though one value is made of one.
    """

    values: Group
    found: Any = None
    inside: Group = ()
    is_told: bool = False

    @property
    def counts(self) -> bool:
        """Whether a report counts it."""
        return self.is_told or len(self.values) > 1 or bool(self.inside)


class Rewrite(NamedTuple):
    """One row: what `pattern(values, results)` finds, `rule(rewriter, match)` makes anew."""

    name: str
    pattern: Callable[[Sequence[Value], Sequence[Value]], list[Match]]
    rule: "Callable[[Rewriter, Match], Sequence[Value]]"


def rewritten(
    rewrites: Sequence[Rewrite],
    values: Sequence[Value],
    results: Sequence[Value],
    always: bool = True,
) -> tuple[Program, list[Value]] | None:
    """A program after one pass of rewrites that match different values, and its results in it.

    None: nothing matched, and it need not be made anew, `always`, to be simplified once.
    """
    rules: dict[Value, tuple[Rewrite, Match]] = {}
    matched: set[Value] = set()
    groups: list[Group] = []
    inside: dict[Value, Value] = {}  # the first value of the group
    for rewrite in rewrites:
        for match in rewrite.pattern(values, results):
            rules[match.values[0]] = rewrite, match
            matched.update(match.values, match.inside)
            groups.append(match.values)
            inside.update(dict.fromkeys(match.inside, match.values[0]))
    if not (groups or always):
        return None
    groups += [(value,) for value in values if value not in matched]
    groups.sort(key=lambda group: group[0].id)
    if any(len(group) > 1 for group in groups):
        groups = Users(values).in_order(groups, inside)
    rewriter = Rewriter(values)
    for group in groups:
        if group[0] in rules:
            rewrite, match = rules[group[0]]
            rewriter.put(group, rewrite.rule(rewriter, match))
            rewriter.program.rewrites[rewrite.name] += match.counts
        else:
            rewriter.make_again(group[0])
    return rewriter.program, [rewriter[x] for x in results]


class Rewriter:
    """A new program, and what has become of each value of the old one."""

    def __init__(self, values: Sequence[Value]) -> None:
        self.program = Program(simpler)
        self._new: list[Any] = [None] * count_of(values)

    def __getitem__(self, value: Value) -> Value:
        return self._new[value.id]

    def put(self, group: Group, made: Sequence[Value]) -> None:
        """Say what has become of each value of a group."""
        for value, new in zip(group, made, strict=True):
            self._new[value.id] = new

    def make_again(self, value: Value) -> None:
        """The same value in the new program, which may know a simpler one."""
        there = len(self.program.values)
        inputs = [self._new[x.id] for x in value.inputs]
        if is_stack(value):
            made = pack(self.program, inputs)
        else:
            made = self.program.add(value.kind, inputs, value.detail, value.shape, value.dtype)
        self.put((value,), (made,))
        stand_for((value,), made, there)


def stand_for(group: Group, made: Value, there: int) -> None:
    """Count a group among what a value stands for, which was one of the `there` values before."""
    if group[0].kind in FREE:
        return
    made = whole_of(made)
    before = made.stands_for if made.id < there else 0
    made.stands_for = before + sum(value.stands_for for value in group)


class Users:
    """Who reads each value, once an operand; ids in one array: sets would outgrow the program."""

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

    def in_order(self, groups: Sequence[Group], inside: Mapping[Value, Value] = {}) -> list[Group]:
        """The groups, each after those it needs, and else as early as its first member.

        A group also needs what is read by values `inside` it, given with its first member.

        Those in a cycle are left out; one that needs itself is a cycle. What values in no group
        make is there before.
        """
        owner = array("i", [-1]) * len(self._begin)
        waiting = array("i", [0]) * len(groups)
        for i, group in enumerate(groups):
            for value in group:
                owner[value.id] = i
        for value, first in inside.items():
            owner[value.id] = owner[first.id]
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
        """The owners of all who read a group, once for every operand."""
        users, begin = self._users, self._begin
        found = [owner[i] for value in group for i in users[begin[value.id] : begin[value.id + 1]]]
        return [i for i in found if i >= 0]


def key_of(value: Value) -> Any:
    """What values have in common that differ in their operands alone, or in the row they index."""
    detail = value.detail
    if value.head == "index":
        _, index = detail
        rows = tuple("row" if isinstance(entry, int) else entry for entry in index)
        return value.kind, rows, value.operand.shape, value.shape, value.dtype
    return value.kind, detail, value.shape, value.dtype
