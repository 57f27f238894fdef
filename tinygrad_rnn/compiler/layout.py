"""Where values lie while a plan is made: in pieces, of which it is known when they are needed."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd.tensor import Array
from .memory import Blank, Piece, Place, Places
from .program import PLACEABLE, Index, Value, count_of, numpy_index, uses_of


class Layout:
    """The array and the piece of every value, from when it is planned to its last use.

    Args:
        values: what is planned, in this order.
        results: those that are needed to the end.
    """

    def __init__(self, values: Sequence[Value], results: Sequence[Value]) -> None:
        self.uses = uses_of(values, results)  # that are to come, by id
        self.homes = _homes(values)
        self.arrays: list[Any] = [None] * len(self.uses)  # by id, until the last use
        self.pieces: list[Any] = [None] * len(self.uses)  # by id
        self.now = 0  # calls planned so far
        self._blank = Blank(max((value.nbytes for value in values), default=0))
        self._places = Places()
        self._made: list[Piece] = []  # of values
        # What no value stands for, by what it is; lent to the value that is planned.
        self._besides: dict[Any, tuple[Array, Piece]] = {}
        self._lent: list[Piece] = []

    def all_pieces(self) -> list[Piece]:
        """Every piece once."""
        return [*self._made, *(piece for _, piece in self._besides.values())]

    def place_of(self, array: Array) -> Place:
        return self._places.of(array)

    def given_away(self, results: Sequence[Value]) -> list[Piece]:
        """The pieces of memory each of which is exactly one result."""
        counts = Counter(id(self.pieces[x.id]) for x in results)
        found: list[Piece] = []
        for x in results:
            piece, array = self.pieces[x.id], self.arrays[x.id]
            is_whole = array.flags.c_contiguous and array.nbytes == piece.whole.nbytes
            if piece.shared and counts[id(piece)] == 1 and is_whole:
                found.append(piece)
        return found

    def place(self, value: Value, shared: bool = True) -> Array:
        """Memory for a value: part of the whole it will be laid into, or its own."""
        home = self.homes[value.id]
        if home is None:
            make = self._blank.array if shared else np.empty
            return self.own(value, make(value.shape, value.dtype), shared)
        whole, index = home
        if self.arrays[whole.id] is None:
            self.place(whole)
            self.pieces[whole.id].pending += 1  # until it is complete
        return self.put(value, self.arrays[whole.id][numpy_index(index)], self.pieces[whole.id])

    def own(self, value: Value, array: Array, shared: bool) -> Array:
        """A piece for a value."""
        piece = self._piece(array, shared)
        self._made.append(piece)
        return self.put(value, array, piece)

    def put(self, value: Value, array: Array, piece: Piece) -> Array:
        """Let a value be this array, in this piece."""
        self.arrays[value.id], self.pieces[value.id] = array, piece
        piece.pending += self.uses[value.id]
        return array

    def over_operand(self, value: Value) -> Array | None:
        """An operand's array that nobody else needs any more, for the value to be written there."""
        if self.homes[value.id] is not None:
            return None
        for x, reads in Counter(value.inputs).items():
            piece, array = self.pieces[x.id], self.arrays[x.id]
            alike = x.shape == value.shape and x.dtype == value.dtype and array is piece.whole
            if alike and piece.shared and piece.pending == reads:
                return self.put(value, array, piece)
        return None

    def lend(
        self,
        what: Any,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        make: Callable[[Array], None] | None = None,
    ) -> Array:
        """An array that is not a value of the program: made at its first use, kept to the last.

        Without `make` it is just room.
        """
        if what not in self._besides:
            array = self._blank.array(shape, dtype)
            self._besides[what] = array, self._piece(array)
            if make is not None:
                make(array)
        array, piece = self._besides[what]
        self._lent.append(piece)
        return array

    def always(self, what: Any, array: Array) -> Array:
        """What is the same at every call; once, however often it is needed."""
        key = what, array.tobytes()
        if key not in self._besides:
            self._besides[key] = array, self._piece(array, shared=False)
        return self._besides[key][0]

    def release(self, value: Value) -> None:
        """A value is planned: its inputs have been read once more."""
        for x in value.inputs:
            # A view only stands for the reads of its piece that are to come.
            piece = self.pieces[x.id]
            piece.pending -= 1
            piece.last = self.now
            self.uses[x.id] -= 1
            if not self.uses[x.id]:
                self.arrays[x.id] = None
        while self._lent:
            self._lent.pop().last = self.now

    def _piece(self, array: Array, shared: bool = True) -> Piece:
        piece = Piece(array, self.now, self.now, shared=shared)
        self._places.add(piece)
        return piece


def _homes(values: Sequence[Value]) -> list[tuple[Value, Index] | None]:
    """By id, the whole that a value is laid into, and where: it is computed there, not copied."""
    homes: list[tuple[Value, Index] | None] = [None] * count_of(values)
    for whole in values:
        if whole.kind != "assemble":
            continue
        indices, covered = whole.detail
        for part, index in zip(whole.inputs, indices, strict=True):
            fits = covered and part.kind in PLACEABLE and part.dtype == whole.dtype
            if fits and homes[part.id] is None:
                homes[part.id] = (whole, index)
    return homes
