"""Contents: arrays around a function, whose numbers may change in place, and whether they did."""

from array import array as machine_array
from mmap import mmap
from operator import attrgetter
from types import SimpleNamespace
from typing import Any
from weakref import ref

import numpy as np

from ..autograd.origin import base_of
from ..autograd.tensor import Array

BUFFERS = (np.ndarray, bytearray, memoryview, machine_array, mmap)
MOST_BYTES = 2**23  # that are compared at a call: about a millisecond

_SMALL = 2**12  # bytes: so many are copied and compared sooner than compared where they are
_form = attrgetter("shape", "dtype")


class Contents:
    """The numbers in arrays and other buffers before a run; then what must be so again.

    An array that is read-only, and owns its numbers or has them of one that does, is left alone:
    whoever makes it so says that it stays.
    """

    def __init__(self) -> None:
        self.nbytes = 0  # in all; more than MOST_BYTES are neither copied nor compared
        self._met: list[tuple[Any, Any]] = []
        self._taken: dict[Any, tuple[ref[Array], Any]] = {}
        self._fixed: list[Array] = []
        self._small: list[Any] = []
        self._before: list[Any] = []  # what was read of these
        self._large: list[tuple[Array, bytearray, Array, Any]] = []

    def meet(self, buffer: Any) -> None:
        """Something of BUFFERS is around the function."""
        if _is_fixed(buffer):
            self._fixed.append(buffer)
            return
        self.nbytes += _size_of(buffer)
        if self.nbytes <= MOST_BYTES:
            self._met.append((buffer, _read(buffer)))

    def take(self, data: Array) -> None:
        """While the function runs, `data` is copied into a tensor or an option."""
        if _is_fixed(data):
            return
        owner, memory = base_of(data), data.__array_interface__
        key = id(owner), memory["data"], data.shape, data.strides, data.dtype
        self._taken.setdefault(key, (ref(owner), memory))

    def settle(self) -> None:
        """The run is over. What it changed itself is not compared: a replay will not change it."""
        for buffer, before in self._met:
            if _read(buffer) == before:
                self._keep(buffer, before)
        known = {id(buffer) for buffer, _ in self._met}
        for owner, memory in self._taken.values():
            array = owner()
            if array is None or id(array) in known:  # made by the run itself, and gone
                continue
            part = _at(memory, array)
            self.nbytes += part.nbytes
            if self.nbytes <= MOST_BYTES:
                self._keep(part, _read(part))
        self._met, self._taken = [], {}

    def hold(self) -> bool:
        """Whether every number is what it was."""
        if self._small and [*map(_read, self._small)] != self._before:
            return False
        for array in self._fixed:
            if array.flags.writeable:
                return False
        for now, before, array, form in self._large:
            if _form(array) != form or bytearray.__eq__(before, now) is not True:
                return False
        return True

    def _keep(self, buffer: Any, before: Any) -> None:
        now = _in_one_piece(buffer)
        if now is None:
            self._small.append(buffer)
            self._before.append(before)
        else:
            *_, numbers = before
            self._large.append((now, bytearray(numbers), buffer, _form(buffer)))


def _read(buffer: Any) -> Any:
    """What is in it now. Nobody is kept from making it longer afterwards."""
    if isinstance(buffer, np.ndarray):
        return buffer.shape, buffer.dtype, buffer.tobytes()
    return bytes(buffer)


def _size_of(buffer: Any) -> int:
    return memoryview(buffer).nbytes if not isinstance(buffer, np.ndarray) else buffer.nbytes


def _is_fixed(buffer: Any) -> bool:
    """Whether nobody can write into it."""
    if not isinstance(buffer, np.ndarray):
        return isinstance(buffer, memoryview) and isinstance(buffer.obj, bytes)
    while not buffer.flags.writeable:
        if not isinstance(buffer.base, np.ndarray):
            return buffer.base is None or isinstance(buffer.base, bytes)
        buffer = buffer.base
    return False


def _in_one_piece(buffer: Any) -> Array | None:
    """The memory of a large array as bytes, where nothing lies between them."""
    if not isinstance(buffer, np.ndarray) or buffer.nbytes <= _SMALL or buffer.dtype.hasobject:
        return None
    for whole in (np.asarray(buffer), np.asarray(buffer).T):
        if whole.flags.c_contiguous:
            return whole.reshape(-1).view(np.uint8)
    return None


def _at(memory: Any, owner: Array) -> Array:
    """The array that was a view of this owner's memory."""
    return np.asarray(SimpleNamespace(__array_interface__=memory, owner=owner))
