"""Memory: values lie in pieces, which move together into one arena or are the caller's own.

While a plan is made, every piece has memory that nobody touches and that is the same for all, and
NumPy itself says where in it a view lies. `Place` keeps that, and makes the same view of wherever
the piece is in the end.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from math import prod
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from ..autograd.origin import base_of
from ..autograd.tensor import Array
from .program import once

_ALIGNMENT = 64  # bytes: a cache line
_SPAN = 64  # calls
_BINDING = 2048  # bytes that are copied in the time it takes to bind one argument

Bind = Callable[[int, int, Array], None]  # call, argument, and what it is from now on


class Blank:
    """Arrays to plan with: each has its shape and strides, and all share one memory."""

    def __init__(self, nbytes: int) -> None:
        # No array: NumPy takes a view of a view of one for a view of the first.
        self._memory = bytearray(nbytes)

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        nbytes = prod(shape) * dtype.itemsize
        if len(self._memory) < nbytes:
            self._memory = bytearray(nbytes)
        return np.ndarray(shape, dtype, self._memory)


@dataclass(slots=True, eq=False)
class Piece:
    """Memory for a value and all views of it, needed from the `first` to the `last` call."""

    whole: Array  # while the plan is made
    first: int
    last: int
    pending: int = 0  # values that will still read it
    shared: bool = True  # with other values over time; else its content lasts from call to call
    offset: int = 0

    @property
    def nbytes(self) -> int:
        return -(-self.whole.nbytes // _ALIGNMENT) * _ALIGNMENT


class Place(NamedTuple):
    """A view of a piece, wherever that lies."""

    piece: Piece
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype[Any]

    def within(self, memory: Array, begin: int = 0) -> Array:
        """The view, in the piece's memory, or where that begins."""
        return np.ndarray(self.shape, self.dtype, memory, begin + self.offset, self.strides)


class Places:
    """Finds the place of an array that was made while the pieces lay alone."""

    def __init__(self) -> None:
        self._pieces: dict[int, Piece] = {}

    def add(self, piece: Piece) -> None:
        self._pieces[id(piece.whole)] = piece

    def of(self, array: Array) -> Place:
        base = base_of(array)
        offset = 0
        if array.size and array is not base:
            offset = array.ctypes.data - base.ctypes.data
        shape, strides = once(array.shape), once(array.strides)
        return Place(self._pieces[id(base)], offset, shape, strides, array.dtype)


_Taken = tuple[int, int, int, int]  # from this byte to that, from this call to that


def share(pieces: Sequence[Piece]) -> int:
    """Give each piece its offset, the largest first; those needed at the same time lie apart.

    Returns how many bytes all take.
    """
    # What begins in each span of calls, and what is there from an earlier one: a piece is compared
    # with those of its spans alone, since most are needed during few of many calls.
    begun: dict[int, list[_Taken]] = defaultdict(list)
    held: dict[int, list[_Taken]] = defaultdict(list)
    size = 0
    for piece in sorted(pieces, key=attrgetter("nbytes"), reverse=True):
        nbytes, spans = piece.nbytes, range(piece.first // _SPAN, piece.last // _SPAN + 1)
        near = chain(held[spans[0]], *(begun[span] for span in spans))
        rivals = [taken for taken in near if taken[2] <= piece.last and piece.first <= taken[3]]
        for start, end, *_ in sorted(rivals):
            if piece.offset + nbytes <= start:
                break
            piece.offset = max(piece.offset, end)
        taken = piece.offset, piece.offset + nbytes, piece.first, piece.last
        begun[spans[0]].append(taken)
        for span in spans[1:]:
            held[span].append(taken)
        size = max(size, piece.offset + nbytes)
    return size


class Arena:
    """The memory of all pieces that are the plan's own."""

    def __init__(self, nbytes: int) -> None:
        memory = np.empty(nbytes + _ALIGNMENT, np.uint8)
        self.memory = memory[-memory.ctypes.data % _ALIGNMENT :]
        self.made: dict[Place, Array] = {}

    def array(self, place: Place) -> Array:
        """The array at a place; always the same one."""
        if place not in self.made:
            piece = place.piece
            memory, begin = (self.memory, piece.offset) if piece.shared else (piece.whole, 0)
            self.made[place] = place.within(memory, begin)
        return self.made[place]


class Port:
    """Where a plan meets its caller: a piece that is the array of a source, or of a result."""

    def __init__(self, piece: Piece, uses: Sequence[tuple[int, int, Place]]) -> None:
        self.uses = uses  # call, argument, place
        self.dtype = piece.whole.dtype
        self.bound: Any = None
        self.idle = 0  # references to what is bound, when nobody else has it

    def read(self, array: Array, bind: Bind) -> None:
        """Take an array as it lies, if it lies as planned; else a copy, made at every call."""
        if array.flags.c_contiguous and array.flags.aligned:
            self._take(array, bind)
            self.bound = array
        else:
            self._take(array.copy("C"), bind)
            self.bound = None

    def fresh(self, shape: tuple[int, ...], bind: Bind) -> Array:
        """An array for a result: that of the call before, once its owner has forgotten it."""
        if sys.getrefcount(self.bound) != self.idle:
            self.bound = None
            self.bound = np.empty(shape, self.dtype)
            self._take(self.bound, bind)
            self.idle = sys.getrefcount(self.bound)
        return self.bound

    def _take(self, memory: Array, bind: Bind) -> None:
        made: dict[Place, Array] = {}
        for call, position, place in self.uses:
            if place not in made:
                made[place] = place.within(memory)
            bind(call, position, made[place])


def worth_binding(piece: Piece, uses: int) -> bool:
    """Whether binding a piece is quicker than copying it."""
    return uses * _BINDING <= piece.whole.nbytes


def with_fewest_axes(places: Sequence[Place]) -> list[Place]:
    """Operands of an elementwise call, the last the output, over as few axes as all allow."""
    shape = places[-1].shape
    if 0 in shape:
        return list(places)
    strides = [_aligned(place, shape) for place in places]
    kept: list[int] = []
    lengths: list[int] = []
    for axis, n in enumerate(shape):
        if n == 1:
            continue
        if kept and all(s[kept[-1]] == n * s[axis] for s in strides):
            kept[-1] = axis
            lengths[-1] *= n
        else:
            kept.append(axis)
            lengths.append(n)
    made: list[Place] = []
    for place, s in zip(places, strides, strict=True):
        steps = tuple(s[axis] for axis in kept)
        is_one_number = not any(steps) and place is not places[-1]
        if is_one_number:
            made.append(place._replace(shape=(), strides=()))
        else:
            made.append(place._replace(shape=once(tuple(lengths)), strides=once(steps)))
    return made


def _aligned(place: Place, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides for the broadcast shape."""
    missing = len(shape) - len(place.shape)
    own = (0 if n == 1 else stride for n, stride in zip(place.shape, place.strides, strict=True))
    return (0,) * missing + tuple(own)
