"""The first copy of a chain, of which NumPy computed a part: what its leaves are in the others.

Where a state begins as a plain array, NumPy computes what is made of it and of other arrays alone,
and no op is recorded: the first copy lacks ops that the others have, and reads their result as a
leaf. Which values that leaf stands for is seen in a copy that has these ops.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ....autograd.tensor import Array
from ...recording.graph import Node, compute
from .copies import Entry
from .sites import places_of

STATE, GIVEN = 1, 2  # what an element of a joined array is: of a state, or of something else


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a first copy reads.

    Args:
        states: the entries where states come in, as they are or after NumPy computed with them.
        joined: of arrays that were joined from a state and something else, what each element is.
        given: … and what else that is: what the first copy itself reads so, else the model.
    """

    states: frozenset[Entry]
    joined: Mapping[Node, Array]
    given: Mapping[Node, Node]


def beginning_of(
    first: Sequence[Node],
    model: Sequence[Node],
    is_state: Callable[[Entry], bool],
    is_steady: Callable[[Entry], bool],
) -> Beginning | None:
    """What the ops of a first copy read, as those of a model tell; None: they are made otherwise.

    Args:
        first: the ops of the first copy.
        model: those of a copy that all its states come into.
        is_state: whether a state enters the model somewhere.
        is_steady: whether the same enters all copies there.
    """
    places = _aligned(first, model)
    if places is None:
        return None
    alignment = _Alignment(first, model, places)
    states: set[Entry] = set()
    joined: dict[Node, Array] = {}
    given: dict[Node, Node] = {}
    for (i, slot), x in alignment.entering():
        found = alignment.behind(i, slot)
        if found is None:
            return None
        entries, made = found
        others = {entry for entry in entries if not is_state(entry)}
        if len(others) == len(entries):
            continue
        if others and all(node.is_move for node in made):
            joined[x] = _parts(made, alignment.place_of, is_state)
            values = {model[op].inputs[at] for op, at in others}
            if len(values) == 1 and (value := values.pop()) is not None:
                given[x] = alignment.known.get(value, value)
        if x in joined or all(map(is_steady, others)):
            states.add((i, slot))
    return Beginning(frozenset(states), joined, given)


def parts_of_join(joined: Node, is_state: Sequence[bool]) -> Array:
    """What each element of a joined array is: a part of a state, or of something else."""
    marks = [_mark(x, own) for x, own in zip(joined.tensors(), is_state, strict=True)]
    assert joined.rule is not None
    return compute(joined.rule, marks, joined.options)


class _Alignment:
    """The ops of a first copy beside those of a model that do the same.

    Attributes:
        place_of: of each op of the model, which it is.
        known: what the model reads -> what the first copy reads there.
    """

    def __init__(self, first: Sequence[Node], model: Sequence[Node], places: Sequence[int]) -> None:
        self._first, self._model, self._places = first, model, places
        self.place_of = {node: k for k, node in enumerate(model)}
        self._matched = set(places)
        entering = list(self.entering())
        there = ((self._there(i, slot), x) for (i, slot), x in entering)
        self.known = {y: x for y, x in there if y is not None and y not in self.place_of}

    def entering(self) -> Iterator[tuple[Entry, Node]]:
        """Where values enter the first copy that the model does not read as parameters."""
        own = set(self._first)
        for i, node in enumerate(self._first):
            for slot, x in enumerate(node.inputs):
                there = self._there(i, slot)
                if x is None or there is None or x in own or there.is_parameter:
                    continue
                yield (i, slot), x

    def _there(self, op: int, slot: int) -> Node | None:
        """What the model reads where an op of the first copy reads something."""
        return self._model[self._places[op]].inputs[slot]

    def behind(self, op: int, slot: int) -> tuple[set[Entry], list[Node]] | None:
        """Where it enters the model that the model reads there, and the ops on its way.

        None where one of them cannot have been NumPy's.
        """
        there = self._there(op, slot)
        assert there is not None
        if there not in self.place_of:
            return {(self._places[op], slot)}, []
        entries: set[Entry] = set()
        start = self.place_of[there]
        seen, waiting = {start}, [start]
        while waiting:
            k = waiting.pop()
            if k in self._matched or self._model[k].reads_a_parameter:
                return None
            for at, x in enumerate(self._model[k].inputs):
                before = self.place_of.get(x) if x is not None else None
                if before is None and x is not None:
                    entries.add((k, at))
                elif before is not None and before not in seen:
                    seen.add(before)
                    waiting.append(before)
        return entries, [self._model[k] for k in sorted(seen)]


def _aligned(first: Sequence[Node], model: Sequence[Node]) -> list[int] | None:
    """Which op of the model each op is; None where they are not a part of it, in order."""
    places: list[int] = []
    same: dict[Node, Node] = {}
    start = 0
    for node in first:
        rest = range(start, len(model))
        k = next((k for k in rest if _does_the_same(node, model[k], same)), None)
        if k is None:
            return None
        places.append(k)
        same[node] = model[k]
        start = k + 1
    return places


def _does_the_same(node: Node, other: Node, same: Mapping[Node, Node]) -> bool:
    """Whether it is the same op, of values that are known to be the `same`."""
    if node.op != other.op or len(node.inputs) != len(other.inputs):
        return False
    read = zip(node.inputs, other.inputs, strict=True)
    if any(x in same and same[x] is not there for x, there in read if x is not None):
        return False
    if node.source is not None and other.source is not None:
        places = places_of(node, 1), places_of(other, 1)
        if node.source != other.source or (all(places) and places[0] != places[1]):
            return False
    # where another copy reads a state, the first one may read a trained one
    pairs = zip(node.inputs, other.inputs, strict=True)
    return all(
        x is not None and x.id == there.id
        for x, there in pairs
        if there is not None and there.is_parameter
    )


def _parts(
    made: Sequence[Node], place_of: Mapping[Node, int], is_state: Callable[[Entry], bool]
) -> Array:
    """What each element of the last of some moves is: they are run on marks instead of the data."""
    marks: dict[Node, Array] = {}
    for node in made:
        operands = [
            marks[x] if x in marks else _mark(x, is_state((place_of[node], slot)))
            for slot, x in enumerate(node.inputs)
            if x is not None
        ]
        options = dict(node.options)
        if "constant_values" in options:
            options["constant_values"] = GIVEN
        assert node.rule is not None
        marks[node] = compute(node.rule, operands, options)
    return marks[made[-1]]


def _mark(x: Node, state: bool) -> Array:
    return np.full(x.shape, STATE if state else GIVEN, np.int32)
