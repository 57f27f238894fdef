"""In which column each copy stands, and to which column each element of a value belongs.

One pass in the order of creation: a copy stands as far left as it can. No arrow goes back, a chain
goes on by a column a copy, and what is fed by a slice of a sequence stands in that slice's column.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence

import numpy as np

from ..recording.graph import Node
from .cells import Cells, Copy, Entry
from .labels import TIMELESS, Label, Times, label_of, tokens_of
from .sequences import Sequences


class Placement:
    """The columns of the copies, and the label of every value outside of them.

    Args:
        nodes: all, in creation order.
        cells: the copies among them.
        loss: the nodes in the loss.
    """

    def __init__(self, nodes: Sequence[Node], cells: Cells, loss: Container[Node]) -> None:
        self.times = Times()
        self.columns: dict[Copy, int] = {}
        self.labels: dict[Node, Label] = {}
        # what mixes several times
        self.wide: set[Node] = set()
        self._cells = cells
        self._tokens: dict[Copy, int] = {}
        # the newest copy, by column, that a value depends on
        self._last: dict[Node, Copy] = {}
        self._starts: dict[int, int] = defaultdict(int)  # of a row: the first column that is free
        self._backwards: set[Copy] = set()
        # of a copy: the latest column that feeds it, but for its state
        self._lowest: dict[Copy, int] = {}
        self._readers = _leaf_readers(nodes, cells)
        self._sequences = Sequences(nodes, cells, loss)
        self._label_leaves(nodes)
        ends = {copy.nodes[-1]: copy for copy in cells.all}
        for node in nodes:
            if node.op is None:
                continue
            copy = cells.of(node)
            if copy is None:
                self._label(node)
            else:
                self._label_inside(node, copy)
                if ends.get(node) is copy:
                    self._place(copy)
        self._bind_the_rest()

    @property
    def count(self) -> int:
        """How many columns there are."""
        return max(self.columns.values(), default=-1) + 1

    def reversed(self, copy: Copy) -> bool:
        """Whether its chain runs from the right to the left."""
        return copy in self._backwards

    # Labels

    def _label_leaves(self, nodes: Iterable[Node]) -> None:
        axes = self._sequences.axes
        for node in nodes:
            if node.op is not None:
                continue
            if node.is_parameter:
                self.labels[node] = TIMELESS
            elif node in axes:
                axis = axes[node]
                n = node.shape[axis]
                shape = [1] * len(node.shape)
                shape[axis] = n
                tokens = [self.times.new(node, k) for k in range(n)]
                self.labels[node] = np.array(tokens, np.int32).reshape(shape)
            else:
                self.labels[node] = frozenset((self.times.new(node, 0),))

    def _label(self, node: Node) -> None:
        labels = [self._label_of(x) for x in node.tensors()]
        self.labels[node], wide = label_of(node, labels, self.times)
        if wide:
            self.wide.add(node)
        newest = max(
            (self._last[x] for x in node.tensors() if x in self._last),
            key=lambda copy: self.columns.get(copy, -1),
            default=None,
        )
        if newest is not None:
            self._last[node] = newest

    def _label_of(self, x: Node) -> Label:
        copy = self._cells.of(x)
        if copy is None:
            if x not in self.labels:  # what was made before these nodes, and is given to them
                self.labels[x] = frozenset((self.times.new(x, 0),))
            return self.labels[x]
        return frozenset((self._token(copy),))

    def _token(self, copy: Copy) -> int:
        token = self._tokens.get(copy)
        if token is None:
            token = self._tokens[copy] = self.times.new(copy, 0)
        return token

    def _label_inside(self, node: Node, copy: Copy) -> None:
        """What a move in a copy takes of a sequence outside: for `xs[t]` in the cell itself."""
        if not node.is_move or len(node.inputs) != 1:
            return
        (x,) = node.inputs
        if x is None or (self._cells.of(x) is copy and x not in self.labels):
            return
        label = self.labels.get(x, TIMELESS)
        if not isinstance(label, frozenset):
            self.labels[node], _ = label_of(node, [label], self.times)

    def taken(self, copy: Copy, entry: Entry) -> Label:
        """The label of what comes in at an entry: of a move in the copy, only what that takes."""
        op, _ = entry
        inside = self.labels.get(copy.nodes[op])
        return self._label_of(copy.read(entry)) if inside is None else inside

    # Columns

    def _place(self, copy: Copy) -> None:
        loop = self._cells.loops[copy.row]
        states: list[Node] = []
        fed: set[int] = set()
        slices: set[int] = set()
        for entry in (*copy.made.given, *copy.made.parameters):
            x = copy.read(entry)
            if loop.is_state(copy, entry):
                states.append(x)
                continue
            label = self.taken(copy, entry)
            fed |= tokens_of(label)
            if self._is_slice(x, label, copy):
                slices |= tokens_of(label)
        lowest = max(self.times.columns(frozenset(fed)), default=-1)
        lowest = max(lowest, *(self._earliest(token, copy) for token in fed), -1)
        self._lowest[copy] = lowest
        if copy.before:
            column = self._after(copy, lowest)
        else:
            begun = [column for x in states for column in self.times.columns(self._label_of(x))]
            column = max(lowest, 0, *begun)
            if not self.times.columns(frozenset(slices)) and not loop.is_tree:
                column = max(column, self._free(copy, states))
        self.columns[copy] = column
        self._starts[copy.row] = max(self._starts[copy.row], column + 1)
        self._bind(copy, column, fed)

    def _earliest(self, token: int, copy: Copy) -> int:
        """Before a slice of a leaf there must be room for those before it that were read."""
        if self.times.column(token) is not None:
            return -1
        sequence, position = self.times.place(token)
        return self._sequences.room(sequence, position, copy)

    def _free(self, copy: Copy, states: Iterable[Node]) -> int:
        """The first column after the chains of its row, and that from which its state comes."""
        makers = (self._last_of(x) for x in states)
        rows = [maker.row for maker in makers if maker is not None]
        return max(self._starts[row] for row in (copy.row, *rows))

    def _after(self, copy: Copy, lowest: int) -> int:
        """The column after that of the copy before; in a reversed row the one before it."""
        first = copy.before[0]
        before = max(self.columns[one] for one in copy.before)
        fed = lowest >= 0  # what reads nothing but its state goes on to the right
        turns = fed and self._lowest[first] == before and lowest == before - 1 and not first.before
        if turns or first in self._backwards:
            self._backwards |= {copy, first}
            return before - 1
        return max(before + 1, lowest)

    def _is_slice(self, x: Node, label: Label, copy: Copy) -> bool:
        """Whether it is fed one slice of a sequence: no other copy of its row reads that."""
        if not isinstance(label, frozenset):
            return False
        whole = self.labels.get(x)
        if whole is not None and not isinstance(whole, frozenset):
            return True
        if x in self._readers:
            return len(self._readers[x].get(copy.row, ())) == 1
        source = x
        while source.is_move and len(source.inputs) == 1 and source.inputs[0] is not None:
            source = source.inputs[0]
            whole = self.labels.get(source)
            if whole is not None and not isinstance(whole, frozenset):
                return True
        return False

    def _last_of(self, x: Node) -> Copy | None:
        return self._cells.of(x) or self._last.get(x)

    def _bind(self, copy: Copy, column: int, fed: Iterable[int]) -> None:
        """What it is the first to read stands in its column; neighbours beside that."""
        times = self.times
        times.bind(self._token(copy), column)
        free = [token for token in fed if times.column(token) is None]
        newest: dict[int, int] = {}
        for token in free:
            sequence, position = times.place(token)
            newest[id(sequence)] = max(position, newest.get(id(sequence), position))
        for token in free:
            sequence, position = times.place(token)
            at = column - newest[id(sequence)] + position
            if at >= 0:
                times.bind(token, at)
        for node in copy.nodes:
            self._last[node] = copy

    def _bind_the_rest(self) -> None:
        """Slices of a leaf that no copy reads stand beside those that one does."""
        for leaf in self._sequences.axes:
            tokens = sorted(tokens_of(self.labels[leaf]))
            shift: int | None = None
            for token in (*tokens, *reversed(tokens)):
                column, (_, position) = self.times.column(token), self.times.place(token)
                if column is not None:
                    shift = column - position
                elif shift is not None and 0 <= position + shift < self.count:
                    self.times.bind(token, position + shift)


def _leaf_readers(nodes: Iterable[Node], cells: Cells) -> Mapping[Node, Mapping[int, set[Copy]]]:
    """The copies that read a leaf, or what is made of leaves alone: by their row."""
    found: dict[Node, dict[int, set[Copy]]] = {}
    of_leaves: set[Node] = set()
    for node in nodes:
        if node.op is None:
            if not node.is_parameter:
                of_leaves.add(node)
            continue
        copy = cells.of(node)
        if copy is not None:
            for x in node.tensors():
                if x in of_leaves:
                    found.setdefault(x, {}).setdefault(copy.row, set()).add(copy)
        elif all(x in of_leaves or x.is_parameter for x in node.tensors()):
            of_leaves.add(node)
    return found
