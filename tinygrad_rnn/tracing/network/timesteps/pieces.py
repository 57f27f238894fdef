"""The values cut into pieces, and every read of one: what blocks and arrows are made of."""

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ....autograd.tensor import Array
from ...recording.graph import Node
from ..copies.cells import Cells
from ..copies.copies import Copy
from ..quotient import Piece
from ..slices import Slice
from .joins import Joins
from .labels import TIMELESS, Label, aligned
from .placement import Placement

WHOLE = -1  # the label of a piece that is all of its value
BAR = 3  # so many columns are read by way of a bar


class Atom(NamedTuple):
    """A piece, as long as it is sorted into blocks: a value and the time of the part."""

    node: Node
    label: int


class RawRead(NamedTuple):
    """A read between two atoms."""

    reader: Atom
    slot: int
    value: Atom


class _Atoms(dict[Node, list[Atom]]):
    """The atoms of values; one that nobody cut is whole, as is what lies in a copy."""

    def __missing__(self, node: Node) -> list[Atom]:
        self[node] = whole = [Atom(node, WHOLE)]
        return whole


class Pieces:
    """The atoms of all values.

    Args:
        nodes: all outside the copies, and where something enters one, in creation order.
        cells: the copies, which are not cut.
        loss: the loss: it is cut where it takes slices of something and drops the others.
        uncut: what is not cut, either: derived parameters.
        placement: the label of every value.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        cells: Cells,
        loss: set[Node],
        uncut: set[Node],
        placement: Placement,
    ) -> None:
        self._placement, self._copy_of = placement, cells.of
        # of what is cut: the time of each element, axes along which it is constant of length 1
        self._labels: dict[Node, Array] = {}
        self.slices: dict[Atom, Slice] = {}
        self._pieces: dict[Atom, Piece] = {}
        self.atoms: Mapping[Node, list[Atom]] = (atoms := _Atoms())
        wanted = self._wanted_in_slices(nodes, cells, loss | uncut)
        wanted |= self._dropped_in_part(nodes, loss)
        for node in nodes:
            if cells.of(node) is None:
                atoms[node] = self._cut(node, node in wanted)
        self._joins = Joins(nodes, cells, {*uncut, *self._labels}, BAR)
        for node, parts in self._joins.parts.items():
            atoms[node] = self._in_slices(node, -2 - parts)[::-1]

    def piece(self, atom: Atom) -> Piece:
        """What an atom is in a quotient."""
        found = self._pieces.get(atom)
        if found is None:
            found = self._pieces[atom] = Piece(atom.node, self.slices.get(atom))
        return found

    def _wanted_in_slices(self, nodes: Sequence[Node], cells: Cells, uncut: set[Node]) -> set[Node]:
        """What is cut: sequences, and what is computed from one and then taken slice by slice.

        What is only read as a whole, as by attention, is computed in one block, but for what is
        made step by step of something that is cut anyway: the sum of a layer's sequence with that
        of the layer below.
        """
        outside = {node for node in nodes if cells.of(node) is None} - uncut
        asked = set(nodes[-1:])
        while True:
            wanted = self._asked_for(nodes, outside, uncut, asked)
            before = len(asked)
            for node in nodes:
                if node in outside and node.op is not None and self._varies(node):
                    made = (x for x in node.tensors() if x.op is not None and self._varies(x))
                    asked.update({node} if any(x in asked for x in made) else ())
            if len(asked) == before:
                return wanted

    def _asked_for(
        self, nodes: Sequence[Node], outside: set[Node], uncut: set[Node], asked: set[Node]
    ) -> set[Node]:
        """What is cut where slices of some values are asked for; of others then, too."""
        wanted: set[Node] = set()
        for node in reversed(nodes):
            if node in outside and (node in asked or node.op is None or self._is_short(node)):
                wanted.add(node)
            if node.op is None:
                continue
            takes = node in uncut or (node in wanted and self._varies(node))
            takes = takes or (node.is_move and not self._varies(node))
            if takes:
                asked.update(node.tensors())
        return wanted

    def _dropped_in_part(self, nodes: Sequence[Node], loss: Container[Node]) -> set[Node]:
        """What in the loss is read slice by slice, and not every slice: `(ys - target)[2:]`."""
        found: set[Node] = set()
        for node in reversed(nodes):
            if node not in loss:
                continue
            for x in node.tensors():
                if x in loss and self._varies(x) and (node in found or self._drops(node, x)):
                    found.add(x)
        return found

    def _drops(self, node: Node, x: Node) -> bool:
        """Whether a move of one value leaves some of its times out."""
        if not node.is_move or len(node.inputs) > 1:
            return False
        labels = self._placement.labels
        return self._tokens(labels.get(node, TIMELESS)) < self._tokens(labels[x])

    def _is_short(self, node: Node) -> bool:
        """Whether it joins so few times that no bar is needed for those who read all of it."""
        return _joins(node) and len(self.times_of(node)) < BAR

    def times_of(self, node: Node) -> tuple[int, ...]:
        """The columns of a sequence, where they are known."""
        label = self._placement.labels.get(node, TIMELESS)
        if isinstance(label, frozenset):
            return ()
        return tuple(dict.fromkeys(self._placement.times.columns(label)))

    def is_whole_sequence(self, node: Node) -> bool:
        """Whether it joins several times, and is not cut, since nobody reads one alone.

        What joins values of one time, and is then read step by step, is there at that time.
        """
        if self.atoms[node][0].label != WHOLE or node in self._placement.wide:
            return False
        return _joins(node) and len(self.times_of(node)) >= BAR

    def _varies(self, node: Node) -> bool:
        label = self._placement.labels.get(node)
        return label is not None and not isinstance(label, frozenset)

    def _cut(self, node: Node, may: bool) -> list[Atom]:
        label = self._placement.labels.get(node)
        if not may or label is None or isinstance(label, frozenset) or node in self._placement.wide:
            return [Atom(node, WHOLE)]
        tokens = self._placement.times.resolved(label)
        if (tokens == tokens.flat[0]).all():
            return [Atom(node, WHOLE)]
        self._labels[node] = tokens
        return self._in_slices(node, tokens)

    def _in_slices(self, node: Node, labels: Array) -> list[Atom]:
        found = [Atom(node, int(label)) for label in np.unique(labels)]
        for atom in found:
            self.slices[atom] = Slice(atom.label, labels, node.shape)
        return found

    def column(self, atom: Atom) -> int | None:
        """The column that it belongs to by its label."""
        times = self._placement.times
        if atom.label < WHOLE:
            part = self._joins.value_of.get(-2 - atom.label)
            return None if part is None else self.column(Atom(part, WHOLE))
        if atom.label != WHOLE:
            return times.column(atom.label)
        label = self._placement.labels.get(atom.node)
        columns = times.columns(label) if isinstance(label, frozenset) else []
        return columns[-1] if columns else None

    def reads(self, node: Node, but_of: Copy | None = None) -> Iterator[RawRead]:
        """What an op reads: each pair of atoms once, and nothing of what has no elements.

        Nor what a copy made, if one is given.
        """
        own = self.atoms[node]
        for slot, x in enumerate(node.inputs):
            if x is None or not (x.size and node.size):
                continue
            if but_of is not None and self._copy_of(x) is but_of:
                continue
            if node in self._labels:
                yield from self._reads_of_parts(node, slot, x)
            elif node in self._joins.parts:
                yield from self._reads_of_join(node, slot, x)
            else:
                for value in self._taken(node, x):
                    yield RawRead(own[0], slot, value)

    def _taken(self, node: Node, x: Node) -> list[Atom]:
        """Of a value that is cut: all of it, of what a move takes only that."""
        every = self.atoms[x]
        if len(every) == 1 or not node.is_move:
            return every
        if x in self._joins.parts:
            parts = self._joins.taken(node, x)
            return every if parts is None else [atom for atom in every if -2 - atom.label in parts]
        label = self._placement.labels.get(node)
        if label is None or len(node.tensors()) > 1:
            return every
        taken = [Atom(x, token) for token in sorted(self._tokens(label))]
        return [atom for atom in taken if atom in self.slices] or every

    def _tokens(self, label: Label) -> set[int]:
        times = self._placement.times
        if isinstance(label, frozenset):
            return {times.find(token) for token in label} or {0}
        return {int(token) for token in np.unique(times.resolved(label))}

    def _reads_of_parts(self, node: Node, slot: int, x: Node) -> Iterator[RawRead]:
        if node.is_move:
            yield from self._reads_of_moved(node, slot, x)
            return
        labels = self._labels_of(x)
        if labels is None:
            for reader in self.atoms[node]:
                yield from (RawRead(reader, slot, value) for value in self.atoms[x])
            return
        read = aligned(node, slot, labels)
        mine = np.broadcast_arrays(self._labels[node][..., None], read)[0]
        pairs = np.unique(
            np.stack([mine.ravel(), np.broadcast_to(read, mine.shape).ravel()]), axis=1
        )
        for reader, value in pairs.T.tolist():
            yield RawRead(Atom(node, reader), slot, Atom(x, value))

    def _labels_of(self, node: Node) -> Array | None:
        """Of what is cut, or joined and taken apart, the atom that each element is of."""
        if node in self._joins.parts:
            return -2 - self._joins.parts[node]
        return self._labels.get(node)

    def _reads_of_moved(self, node: Node, slot: int, x: Node) -> Iterator[RawRead]:
        """What is moved keeps its time."""
        if x in self._labels:
            own = {atom.label for atom in self.atoms[node]}
            for atom in self.atoms[x]:
                if atom.label in own:
                    yield RawRead(Atom(node, atom.label), slot, atom)
            return
        for token in np.unique(self._where_moved(node, slot, self._labels[node])).tolist():
            yield from (RawRead(Atom(node, token), slot, value) for value in self.atoms[x])

    def _reads_of_join(self, node: Node, slot: int, x: Node) -> Iterator[RawRead]:
        """A part of a join stays the same part, wherever it is moved."""
        for part in np.unique(self._where_moved(node, slot, self._joins.parts[node])).tolist():
            reader = Atom(node, -2 - part)
            if x not in self._joins.parts:
                yield from (RawRead(reader, slot, value) for value in self.atoms[x])
            elif Atom(x, reader.label) in self.slices:
                yield RawRead(reader, slot, Atom(x, reader.label))

    def _where_moved(self, node: Node, slot: int, label: Array) -> Array:
        """The labels of the part of a joined array that an input went to."""
        if "axis" not in node.options or len(node.inputs) == 1:
            return label
        axis = node.options["axis"] % len(node.shape)
        if label.shape[axis] == 1:
            return label
        if node.op == "stack":
            return label.take([slot], axis)
        sizes: list[int] = [x.shape[axis] for x in node.tensors()]
        start = sum(sizes[:slot])
        return label.take(range(start, start + sizes[slot]), axis)


def _joins(node: Node) -> bool:
    """Whether it makes a sequence of several values."""
    return node.is_move and len(node.inputs) > 1
