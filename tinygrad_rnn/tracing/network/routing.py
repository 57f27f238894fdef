"""Seeing through data movement: which tensors a stack, a slice or a reshape really holds.

Each op that only moves data is run once more, on the names of the data instead of the data: what
comes out says, for every element, which tensor it came from. So `stack(hs)[t]` is known to be
`hs[t]`, whatever happened in between.
"""

import numpy as np

from ...autograd.tensor import Array
from ..recording.graph import Node, compute

_MOVES = frozenset({
    "getitem", "stack", "concatenate", "reshape", "transpose", "swapaxes", "squeeze", "expand_dims", "broadcast_to",
    "detach", "astype",
})  # fmt: skip

_Names = (
    int | Array
)  # one name for all elements, or one for each; negative where no gradient comes back


class Routing:
    """Where the elements of nodes come from: worked out when somebody asks."""

    def __init__(self) -> None:
        self._named: list[Node] = []  # number i has the name i + 1
        self._names: dict[Node, _Names] = {}
        self._sources: dict[Node, list[Node]] = {}

    def sources(self, node: Node) -> list[Node]:
        """The tensors whose elements `node` holds; itself unless it only moves data."""
        if node.op not in _MOVES:
            return [node]
        x = node.inputs[0]
        if len(node.inputs) == 1 and x is not None and x.op not in _MOVES:
            return [x] if node.size else []
        found = self._sources.get(node)
        if found is None:
            names = self._names_of(node)
            numbers = [names] if isinstance(names, int) else np.unique(names).tolist()
            found = (
                list(dict.fromkeys(self._named[abs(name) - 1] for name in numbers))
                if node.size
                else []
            )
            self._sources[node] = found
        return found

    def is_cut(self, node: Node) -> bool:
        """Whether some of its elements passed a `detach`, so that their gradient stops there."""
        if node.op not in _MOVES:
            return False
        names = self._names_of(node)
        return bool(np.any(np.less(names, 0))) and node.size > 0

    def _names_of(self, node: Node) -> _Names:
        """The names of a node's elements, after those of everything that it was moved from."""
        pending = [node]
        while pending:
            x = pending[-1]
            if x not in self._names:
                missing = [y for y in x.tensors() if y not in self._names] if is_move(x) else []
                if missing:
                    pending += reversed(missing)
                    continue
                self._names[x] = self._moved(x) if is_move(x) else self._new_name(x)
            pending.pop()
        return self._names[node]

    def _new_name(self, node: Node) -> int:
        self._named.append(node)
        return len(self._named)

    def _moved(self, node: Node) -> _Names:
        names = [self._names[x] for x in node.tensors()]
        first = names[0]
        if node.op == "detach":
            return -abs(first)
        if node.op == "astype" or all(isinstance(name, int) and name == first for name in names):
            return first
        if node.op == "stack" and all(
            isinstance(name, int) for name in names
        ):  # of all timesteps, say: in one go
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
    first = int(names.flat[0]) if names.size else 0
    return first if names.size and (names == first).all() else names


def is_move(node: Node) -> bool:
    """Whether the op only moves data."""
    return node.op in _MOVES
