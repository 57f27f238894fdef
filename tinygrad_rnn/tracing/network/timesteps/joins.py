"""Joins that are taken apart again: which of the joined values each of their elements is.

A program puts the states of all layers into one array, and the next module takes them out again.
Nothing is mixed there, so each part is followed by itself: what only moves data is run once more on
the numbers of the parts instead of the data.
"""

from collections.abc import Container, Iterator, Mapping, Sequence

from ....autograd.tensor import Array
from ...recording.graph import Node
from ..copies.cells import Cells
from .labels import Label, Times, moved, tokens_of


class Joins:
    """The joins whose parts are taken apart.

    Args:
        nodes: all outside the copies, and where something enters one, in creation order.
        cells: the copies.
        others: what is cut otherwise, or not at all.
        most: a join that something also reads as a whole has fewer parts than that.

    Attributes:
        parts: of each of them which part its elements are, as numbers from 1, 0 of none; axes
            along which that is constant have length 1.
        value_of: of each part the value that was joined.
    """

    def __init__(
        self, nodes: Sequence[Node], cells: Cells, others: Container[Node], most: int
    ) -> None:
        self._times = Times()
        self._labels: dict[Node, Label] = {}
        self._of: dict[Node, frozenset[int]] = {}
        self.value_of: dict[int, Node] = {}
        self._find(nodes, cells, others)
        self.parts: Mapping[Node, Array] = {
            node: label
            for node in self._taken_apart(nodes, most)
            if not isinstance(label := self._labels[node], frozenset)
        }

    def taken(self, node: Node, x: Node) -> frozenset[int] | None:
        """The parts that something takes of a join by moving it; None where it reads all."""
        if node in self._labels:
            return self._parts_of(node)
        if not node.is_move or len(node.tensors()) > 1:
            return None
        return frozenset(tokens_of(self._moved(node, [x], {})))

    def _find(self, nodes: Sequence[Node], cells: Cells, others: Container[Node]) -> None:
        asked = _asked(nodes)
        token_of: dict[Node, int] = {}
        for node in nodes:
            if node not in asked or node in others or not node.is_move or cells.of(node):
                continue
            tensors = node.tensors()
            if len(tensors) < 2 and tensors[0] not in self._labels:
                continue
            for x in tensors:
                if x not in self._labels and x not in token_of:
                    token_of[x] = self._times.new(x, 0)
                    self.value_of[token_of[x]] = x
            self._labels[node] = self._moved(node, tensors, token_of)

    def _moved(self, node: Node, tensors: Sequence[Node], token_of: Mapping[Node, int]) -> Label:
        known = self._labels
        labels = [known[x] if x in known else frozenset((token_of[x],)) for x in tensors]
        if node.op in ("astype", "detach"):
            return labels[0]
        return moved(node, tensors, labels, self._times)

    def _parts_of(self, node: Node) -> frozenset[int]:
        if node not in self._of:
            self._of[node] = frozenset(tokens_of(self._labels[node]))
        return self._of[node]

    def _taken_apart(self, nodes: Sequence[Node], most: int) -> Iterator[Node]:
        """Those of which each reader takes a part; small ones where only some reader does so."""
        apart: set[Node] = set()
        wanted: set[Node] = set()
        whole: set[Node] = set(nodes[-1:])
        for node in reversed(nodes):
            if node in wanted and (node not in whole or len(self._parts_of(node)) < most):
                apart.add(node)
                yield node
            for x in node.tensors():
                if x not in self._labels:
                    continue
                taken = self.taken(node, x)
                if node in apart or (taken is not None and taken < self._parts_of(x)):
                    wanted.add(x)
                else:
                    whole.add(x)


def _asked(nodes: Sequence[Node]) -> set[Node]:
    """What something takes a part of, and what that was moved from."""
    asked: set[Node] = set()
    for node in reversed(nodes):
        if node.is_move and (node in asked or node.op == "getitem"):
            asked.update(node.tensors())
    return asked
