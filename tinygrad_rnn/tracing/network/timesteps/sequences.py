"""Which leaves are sequences: those that are read slice by slice, and in which order."""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import Any, cast

from ....cached import cached_property
from ...recording.graph import Node
from ..copies.cells import Cells
from ..copies.copies import Copy, Structure
from .labels import TIMELESS, Label, Times, along, label_of, tokens_of
from .parts import Part, parts_among

_Axis = tuple[Node, int]  # an axis of a leaf, which may be time

# Of axes of leaves that one op joins. Leaves by the dozen are steps themselves, and no sequences;
# to follow each through a stack of all of them would take the square of their number.
_JOINED_MOST = 32


@dataclass
class _Taken:
    """Who takes one place of an axis alone."""

    # place -> the id of the first op that uses it; -1: it is only moved
    first: dict[int, int] = field(default_factory=dict[int, int])
    takers: set[object] = field(default_factory=set[object])  # copies, and ops outside
    is_mixed: bool = False  # whether something reads all places at once
    # row -> the places that its copies take, in order
    by_row: dict[int, dict[Copy, int]] = field(default_factory=dict[int, dict[Copy, int]])

    @cached_property
    def places(self) -> list[int]:
        """Those that are taken, in order."""
        return sorted(self.first)

    @cached_property
    def ways(self) -> dict[int, int]:
        """Of each row which way it reads."""
        return {row: _way(list(places.values())) for row, places in self.by_row.items()}

    @property
    def feeds_a_row(self) -> bool:
        """Whether the copies of some row take one place each."""
        rows = (list(places.values()) for places in self.by_row.values())
        return any(len(places) > 1 and len(set(places)) == len(places) for places in rows)


class Sequences:
    """The leaves that are sequences.

    Args:
        nodes: all, in creation order.
        cells: the copies among them.
        loss: the nodes in the loss.
        steady: what every step reads, which is not a sequence.

    Attributes:
        axes: of each leaf that is one the axis of time.
        later: the same of what is not made slice by slice but read so, each by a copy, and by
            nothing as a whole.
        parts: leaves that are a slice of another one, sequence or not.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        cells: Cells,
        loss: Container[Node],
        steady: Container[Node],
    ) -> None:
        self.parts = parts_among(node for node in nodes if node.op is None)
        candidates = {
            node: [axis for axis, n in enumerate(node.shape) if n > 1]
            for node in nodes
            if node.op is None and not node.is_parameter and node not in steady
        }
        made = _taken_apart(nodes, cells, loss)
        taken = _taken(nodes, cells, loss, {**candidates, **made}, self.parts)
        self.axes: dict[Node, int] = {}
        self._taken: dict[object, _Taken] = {}
        for leaf, axes in candidates.items():
            counts = {axis: len(taken[leaf, axis].first) for axis in axes if (leaf, axis) in taken}
            best = max(counts, key=lambda axis: (counts[axis], -axis), default=None)
            if best is None or counts[best] < 2 or len(taken[leaf, best].takers) < 2:
                continue
            self.axes[leaf] = best
            self._taken[leaf] = taken[leaf, best]
        self.later: dict[Node, int] = {}
        for node, axes in made.items():
            for axis in axes:
                own = taken.get((node, axis))
                if own is not None and own.feeds_a_row and not own.is_mixed:
                    self.later[node] = axis
                    self._taken[node] = own

    def room(self, leaf: object, place: int, copy: Copy) -> int:
        """How many columns there must be before the copy that reads a place first.

        As many as places before it that something else read already. In a row that reads them from
        the end, where another one reads them from the beginning, as many as it still reads.
        """
        taken = self._taken.get(leaf)
        if taken is None:
            return 0
        if taken.ways.get(copy.row) == -1 and 1 in taken.ways.values():
            return place - min(taken.by_row[copy.row].values())
        begun = copy.nodes[0].id
        earlier = (k for k in taken.places if k < place)
        return place - next((k for k in earlier if 0 <= taken.first[k] < begun), place)


def _way(places: Sequence[int]) -> int:
    """1 where places are read forwards, -1 backwards, 0 neither."""
    steps = {b - a for a, b in pairwise(places)}
    if not steps:
        return 0
    return int(min(steps) > 0) - int(max(steps) < 0)


def _taken_apart(
    nodes: Iterable[Node], cells: Cells, loss: Container[Node]
) -> Mapping[Node, Sequence[int]]:
    """Of what is made outside the copies the axis of which several places are taken by number."""
    places: defaultdict[_Axis, set[int]] = defaultdict(set)
    for node in nodes:
        if node.op != "getitem":
            continue
        (x,) = node.tensors()
        index = node.options["index"]
        parts = cast("tuple[Any, ...]", index) if isinstance(index, tuple) else (index,)
        axes = [axis for axis, part in enumerate(parts) if isinstance(part, int)]
        plain = all(isinstance(part, int | slice) for part in parts) and len(axes) == 1
        if plain and x.op is not None and cells.of(x) is None and x not in loss:
            places[x, axes[0]].add(parts[axes[0]] % x.shape[axes[0]])
    return {node: [axis] for (node, axis), taken in places.items() if len(taken) > 1}


def _taken(
    nodes: Iterable[Node],
    cells: Cells,
    loss: Container[Node],
    candidates: Mapping[Node, Sequence[int]],
    parts: Mapping[Node, Part],
) -> dict[_Axis, _Taken]:
    """Try each axis of each leaf: label its places, and see who reads one of them alone."""
    times = Times()
    places: dict[int, int] = {}
    # node -> axis -> its label, if that axis were time
    labels = _leaf_labels(candidates, parts, times, places)
    found: defaultdict[_Axis, _Taken] = defaultdict(_Taken)
    inside: defaultdict[Copy, dict[_Axis, Label]] = defaultdict(dict)
    for node in _entered(nodes, cells, labels):
        if node in loss:
            continue
        copy = cells.of(node)
        given = [_known(x, node, slot, cells, labels, inside) for slot, x in _read(node)]
        for axis in _axes_of([known for known in given if known]):
            own = [known.get(axis, TIMELESS) for known in given]
            label = _label(node, copy, own, times)
            if label is None and not all(isinstance(one, frozenset) for one in own):
                found[axis].is_mixed = True
            if copy is None or not isinstance(label, frozenset):
                if label is not None:
                    labels.setdefault(node, {})[axis] = label
            elif axis[0].op is None:  # beyond a copy only leaves are followed
                inside[copy][axis] = label.union(tokens_of(inside[copy].get(axis, TIMELESS)))
            for token in label if isinstance(label, frozenset) else ():
                if token in places:
                    _note(found[axis], places[token], node, copy)
    return found


def _entered(nodes: Iterable[Node], cells: Cells, labels: Container[Node]) -> Iterator[Node]:
    """The ops but those that read nothing but what their own copy made, and states."""
    entered: set[Node] = set()
    for loop in cells.loops:
        fed: dict[Structure, set[int]] = {}
        for structure, states in loop.states.items():
            others = set(structure.given).difference(chain.from_iterable(states))
            fed[structure] = {op for op, _ in others}
        entered.update(copy.nodes[op] for copy in loop.copies for op in fed[copy.made])
    of = cells.of
    for node in nodes:
        if node.op is None:
            continue
        if of(node) is None or node in entered or any(x in labels for x in node.tensors()):
            yield node


def _read(node: Node) -> Iterable[tuple[int, Node]]:
    return [(slot, x) for slot, x in enumerate(node.inputs) if x is not None]


def _known(
    x: Node,
    reader: Node,
    slot: int,
    cells: Cells,
    labels: Mapping[Node, Mapping[_Axis, Label]],
    inside: Mapping[Copy, Mapping[_Axis, Label]],
) -> Mapping[_Axis, Label]:
    """The labels of what an op reads: of a copy's value what the copy took, but of no state."""
    maker, copy = cells.of(x), cells.of(reader)
    if maker is None or maker is copy:
        known = labels.get(x, {})
    else:
        known = inside.get(maker, {})
    return {} if known and cells.is_state(reader, slot) else known


def _leaf_labels(
    candidates: Mapping[Node, Sequence[int]],
    parts: Mapping[Node, Part],
    times: Times,
    places: dict[int, int],
) -> dict[Node, dict[_Axis, Label]]:
    """A token for each place of each axis; `places` is told which place each token is."""
    labels: dict[Node, dict[_Axis, Label]] = {}
    tokens: dict[_Axis, list[int]] = {}
    for node, axes in candidates.items():
        labels[node] = {}
        for axis in axes:
            n, sequence = node.shape[axis], (node, axis)
            own = tokens[sequence] = [times.new(sequence, k) for k in range(n)]
            places.update(zip(own, range(n), strict=True))
            labels[node][sequence] = along(axis, own, len(node.shape))
    for leaf, (whole, axis, place) in parts.items():
        if (whole, axis) in tokens:
            token = tokens[whole, axis][place]
            labels.setdefault(leaf, {})[whole, axis] = frozenset((token,))
    return labels


def _axes_of(given: Iterable[Mapping[_Axis, Label]]) -> Iterable[_Axis]:
    """The axes of which an op reads something; none where it joins too many."""
    axes = dict.fromkeys(chain.from_iterable(given))
    return axes if len(axes) <= _JOINED_MOST else ()


def _label(node: Node, copy: Copy | None, given: Sequence[Label], times: Times) -> Label | None:
    """What an op makes of labels; in a copy only what it takes matters."""
    if copy is not None and not node.is_move:
        ones = [label for label in given if isinstance(label, frozenset)]
        return frozenset(token for label in ones for token in label) or None
    label, wide = label_of(node, given, times)
    nothing = isinstance(label, frozenset) and not label
    return None if wide or nothing else label


def _note(taken: _Taken, place: int, node: Node, copy: Copy | None) -> None:
    # what only moves a slice on has not used it yet
    used = taken.first.get(place)
    if used is None or (copy is None and node.is_move) < (used < 0):
        taken.first[place] = -1 if copy is None and node.is_move else node.id
    taken.takers.add(copy or node)
    if copy is not None:
        taken.by_row.setdefault(copy.row, {}).setdefault(copy, place)
