"""Seeing through data movement: which tensors a stack, a slice or a reshape really holds.

Each op that only moves data is run once more, on the names of the data instead of the data: what comes out says, for
every element, which tensor it came from. So `stack(hs)[t]` is known to be `hs[t]`, whatever happened in between.
"""

from collections.abc import Iterable

import numpy as np

from ..autograd.tensor import Array
from .graph import Node, compute

_MOVES = (
    "getitem",
    "stack",
    "concatenate",
    "reshape",
    "transpose",
    "swapaxes",
    "squeeze",
    "expand_dims",
    "broadcast_to",
)
_IDENTITIES = ("detach", "astype")


class Routing:
    """Where the elements of each node of a graph come from."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._named: dict[int, Node] = {}
        self._numbers: dict[Node, int] = {}
        self._names: dict[Node, Array] = {}  # of the nodes that only move data
        self._sources: dict[Node, list[Node]] = {}
        for node in nodes:  # in creation order, so the inputs' names are known
            if is_move(node):
                self._names[node] = self._moved(node)

    def _name(self, node: Node) -> Array:
        if node in self._names:
            return self._names[node]
        number = self._numbers.setdefault(node, len(self._numbers) + 1)
        self._named[number] = node
        return np.broadcast_to(np.int32(number), node.shape)

    def _moved(self, node: Node) -> Array:
        names = [self._name(x) for x in node.tensors()]
        if node.op == "detach":
            return -np.abs(names[0])  # a negative name: no gradient comes back this way
        if node.op == "astype":
            return names[0]
        assert node.rule is not None
        return compute(node.rule, names, node.options)

    def sources(self, node: Node) -> list[Node]:
        """The tensors whose elements `node` holds; itself unless it only moves data."""
        if node not in self._names:
            return [node]
        if node not in self._sources:
            names = self._names[node]
            first = names.flat[0] if names.size else 0
            found = np.unique(names).tolist() if (names != first).any() else [first] * bool(names.size)
            self._sources[node] = list(dict.fromkeys(self._named[abs(int(name))] for name in found))
        return self._sources[node]

    def is_cut(self, node: Node) -> bool:
        """Whether some of its elements passed a `detach`, so that their gradient stops there."""
        return node in self._names and bool((self._names[node] < 0).any())


def is_move(node: Node) -> bool:
    """Whether the op only moves data."""
    return node.op in _MOVES or node.op in _IDENTITIES
