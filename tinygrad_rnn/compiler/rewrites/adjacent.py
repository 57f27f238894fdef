"""What is done to parts that lie beside each other is done once to both.

The sigmoids of three gates, columns of one product, are one call of as many columns; so are the
sums of these with a bias for each gate.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from ..program import ELEMENTWISE, Program, Value
from .rewriter import Match, Rewriter


class _Part(NamedTuple):
    """Columns of a value, or of what a run of members makes together."""

    whole: Any
    start: int
    stop: int


@dataclass(eq=False)
class _Run:
    """Members beside each other: by operand, the part that each reads, or what all of them do."""

    members: list[Value]
    operands: list[list[_Part] | None]


def beside_each_other(values: Sequence[Value], _results: Sequence[Value]) -> list[Match]:
    """Elementwise values of one kind that read columns beside each other."""
    levels = _levels(values)
    parts: dict[Value, _Part] = {}
    runs: list[_Run] = []
    for level in sorted(levels):
        alike: dict[Any, list[Value]] = defaultdict(list)
        for value in levels[level]:
            part = _part_of(value)
            if part is not None:
                parts[value] = part
            elif value.kind in ELEMENTWISE and value.ndim and not value.is_fixed:
                signature = _signature(value, parts)
                if signature is not None:
                    alike[signature].append(value)
        for members in alike.values():
            for run in _runs(members, parts):
                runs.append(run)
                start = 0
                for value in run.members:
                    parts[value] = _Part(run, start, start + value.shape[-1])
                    start += value.shape[-1]
    return [Match(sorted(run.members, key=lambda x: x.id), run) for run in runs]


def _levels(values: Sequence[Value]) -> dict[int, list[Value]]:
    """The values by how far they are from the sources; views are as far as what they show."""
    depths: dict[Value, int] = {}
    levels: dict[int, list[Value]] = defaultdict(list)
    for value in values:
        depth = 1 + max((depths[x] for x in value.inputs), default=0)
        depths[value] = depth
        levels[depth].append(value)
    return levels


def _part_of(value: Value) -> _Part | None:
    """The columns that a view shows of a computed value, all rows of them."""
    if value.head != "index" or not value.ndim:
        return None
    (whole,), (_, index) = value.inputs, value.detail
    *rows, columns = index
    all_rows = all(entry == (0, n, 1) for entry, n in zip(rows, whole.shape, strict=False))
    if not all_rows or isinstance(columns, int) or columns[2] != 1 or whole.is_fixed:
        return None
    return _Part(whole, columns[0], columns[0] + value.shape[-1])


def _signature(value: Value, parts: dict[Value, _Part]) -> Any:
    """What two values have in common that are one call of more columns."""
    operands: list[Any] = []
    for x in value.inputs:
        part = parts.get(x)
        if part is not None and x.shape == value.shape:
            operands.append(("part", id(part.whole)))
        elif not x.ndim or x.shape[-1] == 1:
            operands.append(("same", x.id))
        elif x.is_weight and x.size == x.shape[-1] == value.shape[-1]:
            operands.append(("row of its own", x.ndim))
        else:
            return None
    if all(kind != "part" for kind, _ in operands):
        return None
    return value.kind, value.detail, value.shape[:-1], value.dtype, tuple(operands)


def _runs(members: list[Value], parts: dict[Value, _Part]) -> list[_Run]:
    """Members whose operands follow each other without a gap."""

    def places(value: Value) -> list[_Part]:
        return [parts[x] for x in value.inputs if x in parts and x.shape == value.shape]

    members = sorted(members, key=lambda value: [part.start for part in places(value)])
    found = [[members[0]]]
    for before, value in pairwise(members):
        pairs = zip(places(before), places(value), strict=True)
        if all(a.stop == b.start for a, b in pairs):
            found[-1].append(value)
        else:
            found.append([value])
    return [
        _Run(run, [_of_each(run, i, parts) for i in range(len(run[0].inputs))])
        for run in found
        if len(run) > 1
    ]


def _of_each(run: list[Value], i: int, parts: dict[Value, _Part]) -> list[_Part] | None:
    read = [value.inputs[i] for value in run]
    if any(x not in parts or x.shape != value.shape for x, value in zip(read, run, strict=True)):
        return None
    return [parts[x] for x in read]


def in_one_row(rewriter: Rewriter, match: Match) -> list[Value]:
    """All members in one call; each is some columns of the result."""
    run: _Run = match.found
    program, first = rewriter.program, run.members[0]
    inputs: list[Value] = []
    for i, places in enumerate(run.operands):
        read = [rewriter[value.inputs[i]] for value in run.members]
        is_same = places is None and read[0].shape[-1:] in ((), (1,))
        inputs.append(read[0] if is_same else _together(program, read))
    width = sum(value.shape[-1] for value in run.members)
    shape = (*first.shape[:-1], width)
    whole = program.add(first.kind, inputs, first.detail, shape, first.dtype)
    made: dict[Value, Value] = {}
    start = 0
    for value in run.members:
        made[value] = program.index(whole, _columns(value, start))
        start += value.shape[-1]
    return [made[value] for value in match.values]


def _columns(value: Value, start: int) -> Any:
    rows = ((0, n, 1) for n in value.shape[:-1])
    return (*rows, (start, start + value.shape[-1], 1))


def _together(program: Program, read: list[Value]) -> Value:
    """Parts beside each other as one part; laid together where they are no longer parts."""
    places = [_part_of(x) for x in read]
    first, last = places[0], places[-1]
    whole = None if first is None else first.whole
    if any(place is None or place.whole is not whole for place in places):
        return program.concatenate(read, read[0].ndim - 1)
    assert first is not None
    assert last is not None
    index = (*((0, n, 1) for n in read[0].shape[:-1]), (first.start, last.stop, 1))
    return program.index(first.whole, index)
