"""Which time every element of a value belongs to: stacked sequences are cut into their timesteps.

A time is a token. Outputs of copies have one, and so has each slice of a leaf of which copies read
single slices. What only moves data is run once more on the tokens instead of the data; of other ops
it is known which elements of an input an element of the output depends on.
"""

from collections.abc import Hashable, Iterable, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ....autograd import ops
from ....autograd.tensor import Array
from ...recording.graph import Node, compute

Token = int  # 0: of no time
# Of a value of one time its tokens, few; else the token of every element, constant axes of length 1
Label = frozenset[Token] | Array

TIMELESS: frozenset[Token] = frozenset()
# An element may depend on so many neighbouring times, and stands in the latest; also on others, if
# all elements reach back alike.
_WINDOW = 3


@dataclass(frozen=True, slots=True)
class Extent:
    """From when to when a value reaches.

    Args:
        free: its tokens that are not bound.
        first: the first column of the others; -1: there are none.
        last: the token of their last one; 0: there are none.
        others: what else was not bound when its slices were made of it.
    """

    free: Set[Token]
    first: int
    last: Token
    others: Set[Token]


@dataclass(slots=True)
class Times:
    """The tokens: which column each is bound to, and which are the same.

    A slice of a leaf has a token before it is known when it is read: it is bound later.
    """

    _same: list[Token] = field(default_factory=lambda: [0])
    _column: list[int | None] = field(default_factory=lambda: [None])
    _sequence: list[tuple[object, int]] = field(default_factory=lambda: [(None, 0)])
    _of_column: dict[int, Token] = field(default_factory=dict[int, Token])
    # of what is joined to a sequence, as to fill it up: a token that it met; 0: none yet
    _beside: dict[Token, Token] = field(default_factory=dict[Token, Token])
    # of a sequence that has a bound token: how far its slices stand to the right of their places
    _shift: dict[int, int] = field(default_factory=dict[int, int])
    # of a token that is not bound: what its slice was made from, where that has a time
    _origin: dict[Token, frozenset[Token]] = field(default_factory=dict[Token, frozenset[Token]])
    # of a token that stands for a slice made of several: those that were not bound then
    _others: dict[Token, frozenset[Token]] = field(default_factory=dict[Token, frozenset[Token]])
    _extents: dict[int, "tuple[Label, Extent]"] = field(
        default_factory=lambda: dict[int, "tuple[Label, Extent]"]()
    )
    _firsts: dict[int, tuple[Array, Label]] = field(default_factory=dict[int, tuple[Array, Label]])

    def new(self, sequence: object, position: int, origin: Iterable[Token] = ()) -> Token:
        """A token that is not bound: of one slice of a sequence, and what that was made from."""
        token = len(self._same)
        self._same.append(token)
        self._column.append(None)
        self._sequence.append((sequence, position))
        self._add_origin(token, origin)
        return token

    def find(self, token: Token) -> Token:
        """The token that stands for this one and all that are the same."""
        while self._same[token] != token:
            self._same[token] = self._same[self._same[token]]
            token = self._same[token]
        return token

    def column(self, token: Token) -> int | None:
        """The column that it is bound to, if it is."""
        token = self.find(token)
        own = self._column[token]
        return own if own is not None else self._column[self.find(self._beside.get(token, 0))]

    def columns(self, label: Label) -> list[int]:
        """The columns of all its tokens that are bound."""
        found = {self.column(token) for token in tokens_of(label)}
        return sorted(column for column in found if column is not None)

    def keep_apart(self, tokens: Iterable[Token]) -> None:
        """Let these, unless they are bound, never be the same as others.

        They stand before or after a sequence that has what they meet at other places.
        """
        for token in map(self.find, tokens):
            if token and self._column[token] is None:
                self._beside.setdefault(token, 0)

    def are_apart(self, tokens: Set[Token]) -> bool:
        """Whether these are never the same as others."""
        return bool(tokens) and tokens <= self._beside.keys()

    def apart(self, tokens: Sequence[Token], made_of: Sequence[Hashable]) -> list[Token]:
        """The tokens of steps, where those of one column get others of that if they differ."""
        known: dict[tuple[Token, Hashable], Token] = {}
        taken: set[Token] = set()
        for token, step in zip(tokens, made_of, strict=True):
            if (token, step) not in known:
                known[token, step] = self._beside_of(token) if token in taken else token
                taken.add(token)
        return [known[key] for key in zip(tokens, made_of, strict=True)]

    def _beside_of(self, token: Token) -> Token:
        """Another one of the same column, which it stays apart from; itself, if it has none."""
        column = self.column(token)
        if column is None:
            return token
        found = self.new(*self._sequence[token])
        self._column[found], self._beside[found] = column, token
        return found

    def stand_for(self, token: Token, others: frozenset[Token]) -> None:
        """Say what a slice is made of for which a token stands: whoever reads it reads these."""
        free = frozenset(one for one in others if one != token and self.column(one) is None)
        if free:
            self._others[token] = self._others.get(token, TIMELESS) | free

    def read_with(self, tokens: Iterable[Token]) -> Set[Token]:
        """What else those read that read slices of these times, as long as it is not bound."""
        others = TIMELESS.union(*(self._others.get(token, TIMELESS) for token in tokens))
        return {token for token in others if self.column(token) is None}

    def bind(self, token: Token, column: int) -> None:
        """Say which column it is; one that is bound stays so."""
        sequence, place = self._sequence[token]
        token = self.find(token)
        if self._column[token] is not None or not token:
            return
        if token in self._beside:
            self._column[token] = column
            return
        self._shift.setdefault(id(sequence), column - place)
        known = self._of_column.get(column)
        if known is None:
            self._of_column[column] = token
            self._column[token] = column
        else:
            self._same[token] = known

    def origin(self, token: Token) -> frozenset[Token]:
        """What a token that is not bound was made from: tokens that are."""
        return self._origin.get(self.find(token), TIMELESS)

    def earliest(self, token: Token) -> int:
        """The first column that a token that is not bound may be bound to."""
        origin = self.origin(token)
        return max(self.columns(origin), default=0) if origin else 0

    def extent(self, label: Label) -> "Extent":
        """From when to when it reaches; of a sequence that is asked again and again known once."""
        known = self._extents.get(id(label))
        if known is not None and known[0] is label:
            return known[1]
        used = tokens_of(label)
        tokens = {self.find(token) for token in used}
        column = {token: x for token in tokens if (x := self._column[token]) is not None}
        last = max(column, key=column.__getitem__, default=0)
        first, others = min(column.values(), default=-1), self.read_with(used)
        found = Extent(tokens - column.keys(), first, last, others)
        if not found.free and not isinstance(label, frozenset):
            self._extents[id(label)] = label, found
        return found

    def first(self, label: Array) -> Label:
        """The label of `x[t]`, whatever t is, for an x with this label, which is constant there.

        Loops take every x[t] of a sequence, so it is kept.
        """
        known = self._firsts.get(id(label))
        if known is None:
            known = self._firsts[id(label)] = label, compressed(label[0])
        return known[1]

    def make_from(self, tokens: Iterable[Token], origin: Iterable[Token]) -> None:
        """Say that what slices of no column yet make is made from something, too."""
        for token in tokens:
            self._add_origin(token, origin)

    def _add_origin(self, token: Token, tokens: Iterable[Token]) -> None:
        bound = (one for one in tokens if self.column(one) is not None)
        found = self.latest((*self._origin.get(token, ()), *bound))
        if found:
            self._origin[token] = found

    def place(self, token: Token) -> tuple[object, int]:
        """The sequence that a token was made for, and which slice of it it is."""
        return self._sequence[token]

    def resolved(self, label: Array) -> Array:
        """The tokens of an array, each replaced by the one that stands for it."""
        used, inverse = np.unique(label, return_inverse=True)
        found = np.array([self.find(int(token)) for token in used], np.int32)
        return found[inverse].reshape(label.shape)

    def latest(self, tokens: Iterable[Token]) -> frozenset[Token]:
        """Of several tokens those that are not bound, and of the others the latest."""
        found = frozenset([self.find(token) for token in tokens])
        if len(found) < 2:
            return found
        bound = [token for token in found if self._column[token] is not None]
        last = max(bound, key=lambda token: self._column[token] or 0, default=None)
        return frozenset(token for token in found if token not in bound or token == last)

    def one(self, tokens: Iterable[Token]) -> Token:
        """The one of several tokens that stands for all; 0 of none."""
        found = self.latest(tokens)
        if len(found) < 2:
            return next(iter(found), 0)
        last = max((self._column[token] or 0 for token in found), default=0)
        free = sorted(token for token in found if self._column[token] is None)
        later = [token for token in free if self.earliest(token) > last]
        bound = [token for token in found if self._column[token] is not None]
        return next(iter(later or bound or free), 0)

    def window(self, tokens: set[Token], most: float = _WINDOW) -> Token | None:
        """The time of what depends on these: the latest of `most` neighbours; None: on too many.

        What stands at one place of several sequences is of one time: this is noted here.
        """
        beside = self._filling(tokens)
        if len(beside) < len(tokens):
            tokens = tokens - beside
        if len(tokens) < 2:
            found = next(iter(tokens), 0)
        else:
            found = self._window(tokens, most)
        if found is not None:
            self._beside |= {token: self._beside[token] or found for token in beside - tokens}
        return found

    def _filling(self, tokens: Set[Token]) -> Set[Token]:
        """Those of what fills a sequence up, which has no column of its own."""
        return {token for token in self._beside.keys() & tokens if self._column[token] is None}

    def reach(self, tokens: set[Token]) -> tuple[int, ...] | None:
        """How far back from the latest of these the others are; None: nobody knows."""
        tokens = tokens - self._filling(tokens)
        known = [self.expected(token) for token in tokens]
        places = [column for column in known if column is not None]
        if not places:
            sequences = {id(self._sequence[token][0]) for token in tokens}
            if len(sequences) > 1:
                return None
            places = [self._sequence[token][1] for token in tokens]
        if len(places) < len(tokens):
            return None
        return tuple(sorted(max(places) - place for place in places))

    def _window(self, tokens: set[Token], most: float) -> Token | None:
        known = {token: self.expected(token) for token in tokens}
        columns = {token: column for token, column in known.items() if column is not None}
        newest = max(columns, key=columns.__getitem__, default=None)
        if newest is not None and columns[newest] - min(columns.values()) >= most:
            return None
        if newest is not None and any(
            self.earliest(token) > columns[newest] for token in tokens - columns.keys()
        ):
            return None
        groups: dict[int, list[Token]] = {}
        for token in tokens - columns.keys():
            groups.setdefault(id(self._sequence[token][0]), []).append(token)
        for group in groups.values():
            group.sort(key=lambda token: self._sequence[token][1])
            if self._sequence[group[-1]][1] - self._sequence[group[0]][1] >= most:
                return None
        for group in groups.values():
            newest = group[-1] if newest is None else newest
            if group[-1] != newest:
                self._unite(group[-1], newest)
        return None if newest is None else self.find(newest)

    def expected(self, token: Token) -> int | None:
        """The column that a token has, or will have as its neighbours have theirs."""
        if self._column[token] is not None:
            return self._column[token]
        sequence, place = self._sequence[token]
        shift = self._shift.get(id(sequence))
        return None if shift is None else shift + place

    def _unite(self, token: Token, other: Token) -> None:
        """Say that two tokens, one of which is not bound, are the same."""
        column = self.expected(other)
        if column is not None and column >= 0:
            self.bind(token, column)
        elif self.find(token) != self.find(other):
            self._add_origin(self.find(other), self.origin(token))
            self._same[self.find(token)] = self.find(other)


def along(axis: int, tokens: Sequence[Token], ndim: int) -> Array:
    """The label of a value that has one token for each place of an axis."""
    shape = [1] * ndim
    shape[axis] = len(tokens)
    return np.array(tokens, np.int32).reshape(shape)


def tokens_of(label: Label) -> set[Token]:
    """All tokens in it but 0."""
    if isinstance(label, frozenset):
        return set(label)
    return {int(token) for token in np.unique(label) if token}


def label_of(
    node: Node, labels: Sequence[Label], times: Times, *, awaited: bool = False
) -> tuple[Label, bool]:
    """The label of what an op made from inputs with these labels, and whether it mixes times.

    Args:
        node: what was made.
        labels: those of its inputs.
        times: the tokens in them.
        awaited: one of the inputs is what a later chain begins with.
    """
    if node.op in ("astype", "detach") and len(labels) == 1:
        return labels[0], False
    ones = [label for label in labels if isinstance(label, frozenset)]
    if len(ones) == len(labels):
        return _of_ones(node, ones, times), False
    tensors = node.tensors()
    if node.is_move:
        return moved(node, tensors, labels, times), False
    if _is_later(labels, times, awaited=awaited):
        return _mixed(labels, times), True
    for label in labels if ones else ():
        if not isinstance(label, frozenset):
            times.make_from(times.extent(label).free, TIMELESS.union(*ones))
    found = _combined(node, tensors, labels, times)
    if found is None:
        return _mixed(labels, times), True
    return compressed(found), False


def _of_ones(node: Node, labels: Sequence[frozenset[Token]], times: Times) -> Label:
    """The label of what was made from values of one time each."""
    if node.op == "stack":
        return _stacked(node, labels, times)
    if len(labels) > 1 and node.is_move:
        tensors = node.tensors()
        if _is_sequence(node, tensors) and _differ(labels, times):
            return moved(node, tensors, labels, times)
    return times.latest(TIMELESS.union(*labels))


def _is_sequence(node: Node, tensors: Sequence[Node]) -> bool:
    """Whether a move joins the steps of a sequence, and not several features of one step."""
    if len({x.shape for x in tensors}) > 1:
        return False
    return len(tensors) > 2 or node.options["axis"] % len(node.shape) < len(node.shape) - 1


def _differ(labels: Sequence[Label], times: Times) -> bool:
    """Whether moved values of one time each are of different ones."""
    ones = {times.one(label) for label in labels if isinstance(label, frozenset)}
    return len(ones - {0}) > 1


def _mixed(labels: Sequence[Label], times: Times) -> frozenset[Token]:
    """The time of what mixes several: the latest.

    What mixes slices that nobody read yet is of no time but that of what they are made from.
    """
    extents = [times.extent(label) for label in labels]
    free = {token for extent in extents for token in extent.free}
    found = {extent.last for extent in extents if extent.last}
    found.update(one for token in free for one in times.origin(token))
    others = {token for extent in extents for token in extent.others}
    found.update(token for token in others if times.column(token) is None)
    return times.latest(found)


def _is_later(labels: Sequence[Label], times: Times, *, awaited: bool) -> bool:
    """Whether an operand of one time comes after a slice: then no column can hold that slice."""
    slices = (times.extent(label) for label in labels if not isinstance(label, frozenset))
    if awaited:
        return any(extent.last and not extent.free for extent in slices)
    ones = [times.columns(label) for label in labels if isinstance(label, frozenset)]
    last = max((column for columns in ones for column in columns), default=None)
    if last is None:
        return False
    return any(extent.first < last for extent in slices if extent.last)


# Moves


def _stacked(node: Node, labels: Sequence[frozenset[Token]], times: Times) -> Label:
    """One token for each slice along the new axis."""
    tokens = [times.one(label) for label in labels]
    if any(times.column(token) is not None for token in tokens):
        given = zip(node.tensors(), tokens, strict=True)
        times.keep_apart(token for x, token in given if x.op is None)
    if len(set(tokens)) > 1:
        tokens = times.apart(tokens, node.tensors())
    for token, label in zip(tokens, labels, strict=True):
        times.stand_for(token, label)
    axis = node.options["axis"] % len(node.shape)
    return compressed(along(axis, tokens, len(node.shape)))


def moved(node: Node, tensors: Sequence[Node], labels: Sequence[Label], times: Times) -> Label:
    """The op itself, run on the tokens."""
    if node.op == "getitem" and not isinstance(labels[0], frozenset):
        whole, index = labels[0], node.options["index"]
        if isinstance(index, int) and whole.shape[0] == 1:
            return times.first(whole)
        found = _indexed(whole, index)
        if found is not None:
            return compressed(found)
    if _lengthens(node, labels):
        labels = [_apart(x, label, node, times) for x, label in zip(tensors, labels, strict=True)]
    spread = [_spread(x, label, times) for x, label in zip(tensors, labels, strict=True)]
    options = dict(node.options)
    if "constant_values" in options:
        options["constant_values"] = 0
    assert node.rule is not None
    return compressed(compute(node.rule, spread, options))


def _lengthens(node: Node, labels: Sequence[Label]) -> bool:
    """Whether it joins something to a sequence in the direction of time."""
    if node.op != "concatenate":
        return False
    axis = node.options["axis"]
    return any(not isinstance(label, frozenset) and label.shape[axis] > 1 for label in labels)


def _apart(x: Node, label: Label, joined: Node, times: Times) -> Label:
    """The label of a leaf that stands before or after a sequence: each place of it is a time."""
    if not isinstance(label, frozenset) or x.op is not None:
        return label
    token = times.one(label)
    axis: int = joined.options["axis"]
    if not token or times.column(token) is not None:
        return label
    tokens = [token]
    if x.shape[axis] > 1:
        tokens = [times.new(x, place, times.origin(token)) for place in range(x.shape[axis])]
    times.keep_apart(tokens)
    return along(axis, tokens, len(x.shape))


def _spread(x: Node, label: Label, times: Times) -> Array:
    if isinstance(label, frozenset):
        return np.broadcast_to(np.int32(times.one(label)), x.shape)
    return np.broadcast_to(label, x.shape)


def _indexed(label: Array, index: Any) -> Array | None:
    """The tokens of `x[index]`, where it is made of numbers and slices: without spreading them."""
    parts = cast("tuple[Any, ...]", index) if isinstance(index, tuple) else (index,)
    if not all(isinstance(part, int | np.integer | slice) for part in parts):
        return None
    taken: list[Any] = []
    for axis, part in enumerate(parts):
        if label.shape[axis] > 1:
            taken.append(part)
        elif isinstance(part, slice):
            taken.append(slice(None))
        else:
            taken.append(0)
    return label[tuple(taken)]


def compressed(label: Array) -> Label:
    """Axes along which it is constant made of length 1; a set where all elements have one token."""
    if not label.size:
        return TIMELESS
    for axis, n in enumerate(label.shape):
        if n > 1 and (label.strides[axis] == 0 or _is_alike(label, axis)):
            label = label.take([0], axis)
    if label.size == 1:
        token = int(label.item())
        return frozenset((token,)) if token else TIMELESS
    return label


# Other ops: along the last axis of what is aligned stand all that an element depends on


def _combined(
    node: Node, tensors: Sequence[Node], labels: Sequence[Label], times: Times
) -> Array | None:
    """The time of each element; None where one depends on too many.

    What goes over all of an axis, as a mean does, reads a sequence and no window of it.
    """
    parts = [
        times.resolved(aligned(node, slot, label))
        for slot, label in enumerate(labels)
        if not isinstance(label, frozenset)
    ]
    shape = np.broadcast_shapes(*(part.shape[:-1] for part in parts))
    spread = [np.broadcast_to(part, (*shape, part.shape[-1])) for part in parts]
    rows = np.concatenate(spread, axis=-1)
    if (rows == rows[..., :1]).all():  # each is of one time
        return rows[..., 0]
    rows = rows.reshape(-1, rows.shape[-1])
    most = np.inf if _reach_back_alike(node, rows, times) else _WINDOW
    known: dict[bytes, Token | None] = {}
    found: list[Token] = []
    for row in rows:
        key = row.tobytes()
        if key not in known:
            tokens = _tokens_in(row)
            mixes = node.kind in ("along", "reduction") and len(tokens) > 1
            known[key] = None if mixes else times.window(tokens, most)
        token = known[key]
        if token is None:
            return None
        found.append(token)
    label = np.array(found, np.int32).reshape(shape)
    return _with_steps_apart(label, rows.reshape(*shape, -1), times)


def _with_steps_apart(label: Array, rows: Array, times: Times) -> Array:
    """Of several steps that read the same time last, each has a token of its own.

    So it is at the end of a sequence whose steps look ahead: hₜ + hₜ₊₁, and nothing after the last.
    """
    axes = [axis for axis, n in enumerate(label.shape) if n > 1 and not _is_alike(label, axis)]
    if len(axes) != 1:
        return label
    read = [row.tobytes() for row in np.moveaxis(rows, axes[0], 0)]
    tokens = [int(step.flat[0]) for step in np.moveaxis(label, axes[0], 0)]
    return along(axes[0], times.apart(tokens, read), label.ndim)


def _is_alike(label: Array, axis: int) -> bool:
    return bool((label == label.take([0], axis)).all())


def _reach_back_alike(node: Node, rows: Array, times: Times) -> bool:
    """Whether each element reads a step and those so many steps before: w₃ ⊙ xₜ + w₀ ⊙ xₜ₋₃."""
    if node.kind != "elementwise":
        return False
    given = {row.tobytes(): row for row in rows}
    reaches = {times.reach(_tokens_in(row)) for row in given.values()} - {(), (0,)}
    return len(reaches) == 1 and None not in reaches


def _tokens_in(row: Array) -> set[Token]:
    return {int(token) for token in np.unique(row) if token}


def aligned(node: Node, slot: int, label: Array) -> Array:
    """The tokens of an input as the output's elements read them, and their number as last axis.

    Its other axes are the output's, of length 1 where all along them read the same.
    """
    ndim = len(node.shape)
    match node.kind:
        case "elementwise":
            found = label[..., None]
        case "along":
            found = _gathered(label, node.options["axis"], keepdims=True)
        case "reduction":
            found = _gathered(label, node.options["axis"], node.options["keepdims"])
        case "lookup" if "axis" in node.options:
            axis = node.options["axis"]
            found = _gathered(label, axis, keepdims=True) if slot == 0 else label[..., None]
        case "lookup" if slot == 1:
            found = label[..., None, None]
        case "product" if node.rule is _LINEAR:
            found = label[..., None, :] if slot == 0 else label
        case "product":
            found = _of_product(node, slot, label)
        case _:
            found = label.reshape(*[1] * ndim, -1)
    return found.reshape(*[1] * (ndim + 1 - found.ndim), *found.shape)


_LINEAR = getattr(ops.linear, "op")  # noqa: B009


def _gathered(label: Array, axis: Any, keepdims: bool) -> Array:
    """All along some axes, as one axis at the end."""
    axes = range(label.ndim) if axis is None else normalize_axis_tuple(axis, label.ndim)
    kept = [i for i in range(label.ndim) if i not in axes]
    moved = np.transpose(label, (*kept, *axes))
    found = moved.reshape(*moved.shape[: len(kept)], -1)
    if keepdims:
        found = np.expand_dims(found, tuple(axes))
    return found


def _of_product(node: Node, slot: int, label: Array) -> Array:
    """Of a matrix product: the rows of the first, the columns of the second."""
    ndims = [len(x.shape) if x is not None else 0 for x in node.inputs]
    if slot == 0:
        found = label  # (…, rows, all)
        return found[..., None, :] if ndims[1] > 1 else found
    if label.ndim == 1:
        return label
    found = np.swapaxes(label, -1, -2)  # (…, columns, all)
    return found[..., None, :, :] if ndims[0] > 1 else found
