"""In which column each copy stands, and to which column each element of a value belongs.

One pass in the order of creation: a copy stands as far left as it can. No arrow goes back, a chain
goes on by a column a copy, and what is fed by a slice of a sequence stands in that slice's column.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence, Set
from itertools import pairwise

import numpy as np

from ....autograd.tensor import Array
from ....cached import cached_property
from ...recording.graph import Node
from ..copies.beginnings import STATE
from ..copies.cells import Cells
from ..copies.copies import Copy, Entry, Loop, newest
from ..copies.recurrence import is_light
from .labels import TIMELESS, Label, Times, along, compressed, label_of, tokens_of
from .parts import Part, siblings_among
from .sequences import Sequences


class Placement:
    """The columns of the copies, and the label of every value outside of them.

    Args:
        nodes: all, in creation order.
        cells: the copies among them.
        loss: the nodes in the loss.
        steady: what every step reads, so that it is of no time.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        cells: Cells,
        loss: Container[Node],
        steady: Container[Node] = (),
    ) -> None:
        self._cells, self._steady = cells, steady
        self._readers = _leaf_readers(nodes, cells)
        self._begins = _first_copies(cells)
        self._sequences = Sequences(nodes, cells, loss, steady)
        # chains that a first attempt let run backwards, and that something later feeds
        self._forwards: set[Copy] = set()
        while not self._is_placed(nodes):
            pass
        self._bind_the_rest()
        self._bind_siblings(nodes)
        self._filling: dict[Node, bool] = {}

    def _is_placed(self, nodes: Iterable[Node]) -> bool:
        """Place everything; False where a chain cannot run backwards: then all is done anew."""
        self.times = Times()
        self.columns: dict[Copy, int] = {}
        self.labels: dict[Node, Label] = {}
        # what mixes several times
        self.wide: set[Node] = set()
        # what hands on the state of a row that runs backwards, and so runs backwards with it
        self.carriers: dict[Node, Copy] = {}
        self._carried: dict[Node, dict[int, Copy]] = {}
        self._tokens: dict[Copy, int] = {}
        # the newest copy, by column, that a value depends on
        self._last: dict[Node, Copy] = {}
        self._starts: dict[int, int] = defaultdict(int)  # of a row: the first column that is free
        self._backwards: dict[Copy, Copy] = {}  # and the first one of its chain
        # first copies of chains that read no sequence which an earlier chain of their row reads
        self.anew: set[Copy] = set()
        # of a copy: the latest column that feeds it, but for its state
        self.lowest: dict[Copy, int] = {}
        # copies that several columns feed, beside their states
        self.joining: set[Copy] = set()
        # of a leaf that is a slice of a sequence: that, and the token of the slice
        self.slice_of: dict[Node, tuple[Node, int]] = {}
        self._first_parts: dict[Node, int] = {}  # of a joined leaf: the token of what is no state
        # of what met a state before a copy read that: the column of the copy before
        self._latest: dict[int, int] = {}
        self._label_leaves(nodes)
        ends = {copy.nodes[-1]: copy for copy in self._cells.all}
        tried = len(self._forwards)
        for node in nodes:
            if node.op is None:
                continue
            copy = self._cells.of(node)
            if copy is None:
                self._label(node)
            else:
                self._label_inside(node, copy)
                if ends.get(node) is copy:
                    self._place(copy)
            if len(self._forwards) > tried:
                return False
        return True

    def reversed(self, copy: Copy) -> bool:
        """Whether its chain runs from the right to the left."""
        return copy in self._backwards

    @cached_property
    def backwards(self) -> Set[int]:
        """The rows of which a chain runs from the right to the left."""
        return {copy.row for copy in self._backwards}

    def fills(self, leaf: Node) -> bool:
        """Whether it stands before or after a sequence, which it fills up."""
        if leaf not in self._filling:  # asked of a sequence once for each of its steps
            self._filling[leaf] = self.times.are_apart(tokens_of(self.labels[leaf]))
        return self._filling[leaf]

    @cached_property
    def slow(self) -> Set[int]:
        """The rows that leave out columns between two of their copies."""
        return {
            number
            for number, loop in enumerate(self._cells.loops)
            if any(abs(self.columns[b] - self.columns[a]) > 1 for a, b in pairwise(loop.copies))
        }

    # Labels

    def _label_leaves(self, nodes: Iterable[Node]) -> None:
        axes = self._sequences.axes
        for node in nodes:
            if node.op is not None:
                continue
            if node.is_parameter or node in self._steady:
                self.labels[node] = TIMELESS
            elif node in self._cells.joined:
                self._label_joined(node, self._cells.joined[node])
            elif node in axes:
                axis = axes[node]
                tokens = [self.times.new(node, k) for k in range(node.shape[axis])]
                self.labels[node] = along(axis, tokens, len(node.shape))
            elif node not in self._sequences.parts:
                self.labels[node] = frozenset((self.times.new(node, 0),))
        for node, part in self._sequences.parts.items():
            if node not in self.labels:
                self.labels[node] = frozenset((self._token_of_part(node, part),))

    def _token_of_part(self, leaf: Node, part: Part) -> int:
        """Of a leaf that is a slice of a sequence the token of that slice."""
        label = self.labels.get(part.whole, TIMELESS)
        if isinstance(label, frozenset) or self._sequences.axes.get(part.whole) != part.axis:
            return self.times.new(leaf, 0)
        token = int(label.ravel()[part.place])
        self.slice_of[leaf] = part.whole, token
        return token

    def _label_joined(self, leaf: Node, parts: Array) -> None:
        """A part is of the state before the first copy, and a part of the first time."""
        before, first = self.times.new(leaf, 0), self.times.new(leaf, 1)
        self.labels[leaf] = compressed(np.where(parts == STATE, before, first).astype(np.int32))
        self._first_parts[leaf] = first

    def _label(self, node: Node) -> None:
        read = node.tensors()
        labels = [self._label_of(x) for x in read]
        awaited = any(not self._begins[x] <= self.columns.keys() for x in read if x in self._begins)
        self.labels[node], wide = label_of(node, labels, self.times, awaited=awaited)
        if node in self._sequences.later:
            self._begin_anew(node, labels)
        if wide:
            self.wide.add(node)
        if is_light(node):
            self._carry(node, labels)
        made = [self._last[x] for x in read if x in self._last]
        if made:
            self._last[node] = max(made, key=lambda copy: self.columns.get(copy, -1))

    def _begin_anew(self, node: Node, given: Iterable[Label]) -> None:
        """Of what is made as one and then read slice by slice, each slice has a time of its own.

        So it is where slices that nobody read yet meet something that has a time.
        """
        label, axis = self.labels[node], self._sequences.later[node]
        if isinstance(label, frozenset):
            origin = label
            self.wide.add(node)
        else:
            ones = (token for one in given if isinstance(one, frozenset) for token in one)
            origin = frozenset(token for token in ones if self.times.column(token) is not None)
            if not origin or self.times.extent(label).last:
                return
        tokens = [self.times.new(node, k, origin) for k in range(node.shape[axis])]
        self.labels[node] = along(axis, tokens, len(node.shape))

    def _carry(self, node: Node, labels: Sequence[Label]) -> None:
        """Let what hands on a state of a row that runs backwards stand where the newest copy does.

        Unless it also depends on something that stands to the right of that.
        """
        given, label = list(zip(node.tensors(), labels, strict=True)), self.labels[node]
        if not all(isinstance(one, frozenset) for one in (label, *labels)):
            return
        carried = self._carried[node] = newest([self._states_of(x) for x, _ in given])
        for row, copy in list(carried.items()):
            if copy not in self._backwards:
                continue
            latest = max(self.times.columns(label), default=-1)
            column = self.columns.get(copy, latest)
            if column >= latest:
                continue
            others = (one for x, one in given if row not in self._states_of(x))
            if max((c for one in others for c in self.times.columns(one)), default=-1) > column:
                del carried[row]
                continue
            free = {token for token in tokens_of(label) if self.times.column(token) is None}
            self.labels[node] = frozenset((*free, self._token(copy)))
            self.carriers[node] = copy
            return

    def _states_of(self, x: Node) -> Mapping[int, Copy]:
        """Of each row the newest copy whose state a value is."""
        copy = self._cells.of(x)
        return self._carried.get(x, {}) if copy is None else {copy.row: copy}

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
        states = [copy.read(entry) for entries in loop.states[copy.made] for entry in entries]
        fed = {self._first_parts[x] for x in states if x in self._first_parts}
        slices: set[int] = set()
        read_whole = self._read_whole(loop, copy)
        for entry in loop.fed(copy):
            label = self.taken(copy, entry)
            tokens = tokens_of(label) - read_whole
            fed |= tokens
            if tokens and not copy.before and self._is_slice(copy.read(entry), label, copy):
                slices |= tokens
        fed |= self.times.read_with(fed)
        columns = self.times.columns(frozenset(fed))
        lowest = max(columns, default=-1)
        if len(columns) > 1:
            self.joining.add(copy)
        lowest = max([lowest, *[self._earliest(token, copy) for token in fed]])
        self.lowest[copy] = lowest
        if copy.before:
            column = self._after(copy, lowest)
        else:
            begun = [column for x in states for column in self.times.columns(self._label_of(x))]
            column = max(lowest, 0, *begun)
            if not self._have_a_place(slices, begun) and not loop.is_tree:
                in_step = len(columns) == 1 and lowest > max(begun, default=lowest)
                column = max(column, self._free(copy, () if in_step else states))
                if self._starts[copy.row]:
                    self.anew.add(copy)
        self.columns[copy] = column
        self._starts[copy.row] = max(self._starts[copy.row], column + 1)
        self._bind(copy, column, fed)
        for x in states:
            self._note_latest(x)

    def _read_whole(self, loop: Loop, copy: Copy) -> Set[int]:
        """Slices of no column yet that all copies read, where each also reads one of its own."""
        shared = loop.shared(copy)
        if not shared:
            return TIMELESS
        own = self._taken_at(copy, (one for one in loop.fed(copy) if one not in shared))
        sequences = {id(self.times.place(token)[0]) for token in own}
        return {
            token
            for token in self._taken_at(copy, shared) - own
            if self.times.column(token) is None and id(self.times.place(token)[0]) in sequences
        }

    def _taken_at(self, copy: Copy, entries: Iterable[Entry]) -> set[int]:
        return {token for entry in entries for token in tokens_of(self.taken(copy, entry))}

    def _note_latest(self, state: Node) -> None:
        """What has no column yet, and is in a state already, is no later than what made that."""
        tokens = tokens_of(self._label_of(state))
        known = self.times.columns(frozenset(tokens))
        for token in tokens if known else ():
            if self.times.column(token) is None:
                self._latest.setdefault(token, max(known))

    def _have_a_place(self, slices: Iterable[int], begun: Sequence[int]) -> bool:
        """Whether slices of a sequence stand in columns already, or their neighbours do.

        And not before that of what the chain begins with: then it reads them once more.
        """
        expected = (self.times.expected(token) for token in slices)
        known = [column for column in expected if column is not None and column >= 0]
        return bool(known) and max(known) >= max(begun, default=0)

    def _earliest(self, token: int, copy: Copy) -> int:
        """Before a slice of a leaf there must be room for those before it that were read."""
        if self.times.column(token) is not None:
            return -1
        sequence, position = self.times.place(token)
        return self.times.earliest(token) + self._sequences.room(sequence, position, copy)

    def _free(self, copy: Copy, states: Iterable[Node]) -> int:
        """The first column after the chains of its row, and those from which its states come."""
        makers = (self._last_of(x) for x in states)
        rows = [maker.row for maker in makers if maker is not None]
        return max(self._starts[row] for row in (copy.row, *rows))

    def _after(self, copy: Copy, lowest: int) -> int:
        """The column after that of the copy before; in a reversed row the one before it."""
        first = copy.before[0]
        before = max(self.columns[one] for one in copy.before)
        head = self._backwards.get(first)
        if head is None and self._turns(copy, first, lowest):
            head = self._backwards[first] = first
        if head is None:
            return max(before + 1, lowest)
        self._backwards[copy] = head
        if lowest >= before or not before:
            self._forwards.add(head)
        return before - 1

    def _turns(self, copy: Copy, first: Copy, lowest: int) -> bool:
        """Whether a chain runs backwards from its first copy on: what feeds it does so."""
        before = self.columns[first]
        if lowest < 0 or first.before or first in self._forwards:
            return False  # what reads nothing but its state goes on to the right
        return self.lowest[first] == before and lowest == before - 1

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
        while source.moved_from is not None:
            source = source.moved_from
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
            at = min(at, self._latest.get(token, at))
            if at >= times.earliest(token):
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
                elif shift is not None and position + shift >= 0:
                    self.times.bind(token, position + shift)

    def _bind_siblings(self, nodes: Iterable[Node]) -> None:
        """Rows of one array that no copy reads stand beside those that copies do."""
        for places in siblings_among(node for node in nodes if node.op is None):
            column: dict[int, int] = {}
            free: list[tuple[int, int]] = []
            for leaf, place in places.items():
                label = self.labels.get(leaf, TIMELESS)
                for token in label if isinstance(label, frozenset) else ():
                    at = self.times.column(token)
                    if at is None:
                        free.append((token, place))
                    else:
                        column[place] = at
            shifts = {at - place for place, at in column.items()}
            if len(column) > 1 and len(shifts) == 1:
                (shift,) = shifts
                for token, place in free:
                    if place + shift >= 0:
                        self.times.bind(token, place + shift)


def _first_copies(cells: Cells) -> Mapping[Node, Set[Copy]]:
    """Of a leaf the chains that begin with it, by their first copies."""
    found: dict[Node, set[Copy]] = {}
    for copy in cells.all:
        entries = () if copy.before else cells.loops[copy.row].states[copy.made]
        for x in (copy.read(entry) for several in entries for entry in several):
            if x.op is None:
                found.setdefault(x, set()).add(copy)
    return found


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
            for x in of_leaves.intersection(node.inputs):
                found.setdefault(x, {}).setdefault(copy.row, set()).add(copy)
        elif all(x in of_leaves or x.is_parameter for x in node.tensors()):
            of_leaves.add(node)
    return found
