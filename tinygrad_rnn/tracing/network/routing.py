"""Seeing through data movement: which tensors a stack, a slice or a reshape really holds.

Each op that only moves data is run once more, on the names of the data instead of the data: what
comes out says, for every element, which tensor it came from. So `stack(hs)[t]` is known to be
`hs[t]`, whatever happened in between.
"""

from collections.abc import Sequence
from operator import attrgetter

import numpy as np

from ...autograd.tensor import Array
from ..recording.graph import Node, compute
from .copies import Copies, Copy

# one name for all elements, or one for each; negative where no gradient comes back
_Names = int | Array


class Routing:
    """Where the elements of nodes come from: worked out when somebody asks."""

    def __init__(self) -> None:
        self._named: list[Node] = []  # number i has the name i + 1
        self._names: dict[Node, _Names] = {}
        self._sources: dict[Node, list[Node]] = {}

    def sources(self, node: Node) -> list[Node]:
        """The tensors whose elements `node` holds; itself unless it only moves data."""
        if not node.is_move:
            return [node]
        if not node.size:
            return []
        x = node.inputs[0]
        if len(node.inputs) == 1 and x is not None and not x.is_move:
            return [x]
        if node not in self._sources:
            names: list[int] = np.unique(self._names_of(node)).tolist()
            found = [self._named[abs(name) - 1] for name in names]
            self._sources[node] = list(dict.fromkeys(found))
        return self._sources[node]

    def is_cut(self, node: Node) -> bool:
        """Whether some of its elements passed a `detach`, so that their gradient stops there."""
        if not node.is_move or not node.size:
            return False
        return bool(np.any(np.less(self._names_of(node), 0)))

    def _names_of(self, node: Node) -> _Names:
        """The names of a node's elements, after those of everything that it was moved from."""
        pending = [node]
        while pending:
            x = pending[-1]
            if x in self._names:
                pending.pop()
            elif not x.is_move:
                self._named.append(x)
                self._names[x] = len(self._named)
            else:
                missing = [y for y in x.tensors() if y not in self._names]
                pending += reversed(missing)
                if not missing:
                    self._names[x] = self._moved(x)
        return self._names[node]

    def _moved(self, node: Node) -> _Names:
        names = [self._names[x] for x in node.tensors()]
        first = names[0]
        if node.op == "detach":
            return -abs(first)
        each_is_one = all(isinstance(name, int) for name in names)
        if node.op == "astype" or (each_is_one and all(name == first for name in names)):
            return first
        # a stack of all timesteps, say: in one go
        if node.op == "stack" and each_is_one:
            return _spread_along(np.array(names, np.int32), node.options["axis"], node.shape)
        assert node.rule is not None
        spread = [
            np.broadcast_to(np.int32(name), x.shape) if isinstance(name, int) else name
            for name, x in zip(names, node.tensors(), strict=True)
        ]
        return _one_if_same(compute(node.rule, spread, node.options))


def _spread_along(names: Array, axis: int, shape: tuple[int, ...]) -> Array:
    """One name for each slice along an axis."""
    column = np.expand_dims(names, tuple(range(1, len(shape))))
    return np.broadcast_to(np.moveaxis(column, 0, axis), shape)


def _one_if_same(names: Array) -> _Names:
    if not names.size:
        return names
    first = int(names.flat[0])
    return first if (names == first).all() else names


class Origins:
    """Which copies a value comes from, seeing through data movement and the ops outside."""

    def __init__(self, copies: Copies) -> None:
        self.routing = Routing()
        self._copies = copies
        # What is not in the graph is given to it, whatever op made it before.
        self._inside = {*copies.outside, *(node for copy in copies.all for node in copy.nodes)}
        self._made_from: dict[Node, list[Node]] = {}

    def roots(self, source: Node, unchanged: bool = False) -> Sequence[Copy]:
        """The copies that a value comes from, the bottom row first.

        It is the one that made it, else those behind it. With `unchanged`, only where no parameter
        of the ops on the way had a part in it: then it still is the copy's state.
        """
        copy = self._copies.of(source)
        if copy is not None:
            return (copy,)
        if source.op is None or source not in self._inside:
            return ()
        roots: set[Copy] = set()
        seen, stack = {source}, [source]
        while stack:
            node = stack.pop()
            if unchanged and node.reads_a_parameter:
                continue
            for x in self.made_from(node):
                if x not in seen:
                    seen.add(x)
                    copy = self._copies.of(x)
                    if copy is not None:
                        roots.add(copy)
                    else:
                        stack.append(x)
        return sorted(roots, key=attrgetter("layer", "t"))

    def made_from(self, node: Node) -> Sequence[Node]:
        """What other ops made of what an op outside reads, seeing through stacks and slices."""
        if node not in self._made_from:
            made = [x for x in node.tensors() if x.op is not None]
            sources = [source for x in made for source in self.routing.sources(x)]
            self._made_from[node] = [x for x in sources if x.op is not None and x in self._inside]
        return self._made_from[node]
