"""What a recording holds in memory, and how it is kept under a budget.

Arrays are held by reference, so one that several events share is counted once, and a view counts as
what it looks at.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeGuard

import numpy as np

from ...autograd.tensor import Array
from ...errors import TraceError

if TYPE_CHECKING:
    from .event import Event
    from .graph import Node

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
SMALL = 4096  # elements; for so few a dot product is the quickest look at all of them, and wakes no threads
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:iB|B)?\s*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Memory:
    """How many events there are, and bytes of arrays: held, computed again when asked for, and gone for good.

    `str()` is one phrase: "3410 events · 96 MiB held · 249 recomputable · 0 gone".
    """

    events: int
    held: int
    recomputable: int
    gone: int = 0

    def __str__(self) -> str:
        held, unit = in_units(self.held)
        parts = [f"{self.events} events", f"{held} {unit} held"]
        for count, what in ((self.recomputable, "recomputable"), (self.gone, "gone")):
            number, own = in_units(count)
            parts.append(
                f"{number} {what}" if own == unit or not count else f"{number} {own} {what}"
            )
        return " · ".join(parts)

    @classmethod
    def of(cls, events: "Iterable[Event]", gone: int = 0) -> Self:
        """Count every array once, whoever shares it."""
        sizes: dict[int, int] = {}
        seen: set[Node] = set()
        subjects: set[Node | Event] = set()
        count = recomputable = 0
        for event in events:
            count += 1
            recomputable += event.recomputable
            arrays = event.arrays
            if (
                event.subject not in subjects
            ):  # the subject of many events may have many inputs: they come once
                subjects.add(event.subject)
                for node in event.used:
                    if node not in seen:
                        seen.add(node)
                        arrays += node.arrays
            for array in arrays:
                owner = array if array.base is None else owner_of(array)
                if id(owner) not in sizes:
                    sizes[id(owner)] = owner.nbytes
        return cls(count, sum(sizes.values()), recomputable, gone)


def in_units(count: int) -> tuple[str, str]:
    """A number of bytes as people read it, and its unit.

    >>> in_units(512), in_units(96 * 2**20), in_units(0)
    (('0.5', 'KiB'), ('96', 'MiB'), ('0', 'KiB'))
    """
    for unit, name in ((2**30, "GiB"), (2**20, "MiB")):
        if count >= unit:
            return f"{count / unit:.3g}" if count < 999.5 * unit else f"{count / unit:.0f}", name
    return f"{count / 2**10:.3g}" if count < 999.5 * 2**10 else f"{count / 2**10:.0f}", "KiB"


def parse_size(size: int | str) -> int:
    """A number of bytes, given as one or as "256M": K, M, G and T are powers of 1024.

    Raises:
        TraceError: it is neither, or not above zero.

    >>> parse_size("256M"), parse_size("1.5 GiB"), parse_size(4096)
    (268435456, 1610612736, 4096)
    """
    match = _SIZE.fullmatch(size) if isinstance(size, str) else None
    count = int(float(match[1]) * _UNITS[match[2].upper()]) if match else size
    if not isinstance(count, int) or isinstance(count, bool) or count <= 0:
        raise TraceError(f'memory is a number of bytes above 0, "256M" or "1G", not {size!r}')
    return count


def is_array(x: Any) -> TypeGuard[Array]:
    """Whether it is an array, whatever its dtype."""
    return isinstance(x, np.ndarray)


def owner_of(array: Any) -> Any:
    """What holds the memory that an array looks at."""
    return array if array.base is None or not hasattr(array.base, "nbytes") else array.base


@dataclass(frozen=True, slots=True)
class Gone:
    """What a recording remembers of an array that it let go of."""

    shape: tuple[int, ...]
    dtype: "np.dtype[Any]"
    nans: bool = False
    infs: bool = False

    @classmethod
    def of(cls, array: Array) -> Self:
        """What is remembered of a value that was written: also whether it was finite."""
        finite = array.dtype.kind != "f" or bool(np.isfinite(array).all())
        nans, infs = (
            (False, False) if finite else (bool(np.isnan(array).any()), bool(np.isinf(array).any()))
        )
        return cls(array.shape, array.dtype, nans, infs)

    @property
    def nbytes(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


def gone_error(what: str) -> TraceError:
    """What a question about a value that is gone is answered with."""
    return TraceError(
        f"{what} is gone: the recording went over its max_memory and let go of what was oldest"
    )


class Budget:
    """Lets a recording go of values while it holds more than `limit` bytes.

    First of terms handed to parameters, which can be computed again exactly; then of all that the
    oldest events alone need. So an event has either everything that made its value, or nothing of
    it, and the newest event always has it.

    Args:
        limit: bytes of arrays.
        released: is told each node that was let go of.
    """

    def __init__(self, limit: int, released: "Callable[[Node], None]") -> None:
        self.limit, self._released = limit, released
        self.restart()

    def restart(self, events: "Iterable[Event]" = ()) -> None:
        """Count anew, for a recording that begins with these events."""
        self.held = self.gone = 0
        self._events: list[Event] = []
        self._next_term = self._oldest = (
            0  # the next event to lose its term, and the next to lose everything
        )
        self._holders: dict[
            int, int
        ] = {}  # id of an array that owns memory -> how many nodes and events hold it
        self._about: dict[
            Node | Event, int
        ] = {}  # subject -> how many events that are not gone are about it
        self._uses: dict[Node, int] = {}  # how many of these subjects use a node
        for event in events:
            self.add(event)

    def add(self, event: "Event") -> None:
        """Count an event that was just recorded, and let go of what is too much."""
        self._events.append(event)
        about = self._about.get(event.subject, 0)
        self._about[event.subject] = about + 1
        for node in event.used if not about else ():
            self._use(node)
        self._hold(event.arrays)
        while self.held > self.limit and self._let_go():
            pass

    def revive(self, node: "Node", data: Array, operands: tuple[Any, ...] | None = None) -> None:
        """Give a node that was let go of its arrays again: the program used it once more."""
        before = len(node.arrays)
        node.revive(data, operands)
        if node in self._uses:
            self._hold(node.arrays[before:])

    def completed(self, node: "Node", held: int) -> None:
        """Count what a node has come to hold and to use, now that its op is known; it held so many arrays before."""
        if node in self._uses:
            self._hold(node.arrays[held:])
        for x in node.tensors() if node in self._about else ():
            self._use(x)

    def _use(self, node: "Node") -> None:
        uses = self._uses.get(node, 0)
        self._uses[node] = uses + 1
        if not uses:
            self._hold(node.arrays)

    def _let_go(self) -> bool:
        """Take one step towards holding less; False when only the newest event is left."""
        if self._next_term < len(self._events):
            event = self._events[self._next_term]
            self._next_term += 1
            self._drop(event.release_term())
            return True
        if self._oldest >= len(self._events) - 1:
            return False
        event = self._events[self._oldest]
        self._oldest += 1
        self._release(event)
        return True

    def _release(self, event: "Event") -> None:
        before = self.held
        self.gone += event.recomputable
        self._about[event.subject] -= 1
        is_last = not self._about[event.subject]
        if is_last:
            del self._about[event.subject]
        arrays = event.arrays
        for node in event.used if is_last else ():
            self._uses[node] -= 1
            if not self._uses[node]:
                del self._uses[node]
                self._drop(node.arrays)
                node.release()
                self._released(node)
        self._drop(arrays)
        event.release()
        self.gone += before - self.held

    def _hold(self, arrays: Iterable[Array]) -> None:
        for array in arrays:
            owner = owner_of(array)
            holders = self._holders.get(id(owner), 0)
            self._holders[id(owner)] = holders + 1
            if not holders:
                self.held += owner.nbytes

    def _drop(self, arrays: Iterable[Array]) -> None:
        for array in arrays:
            owner = owner_of(array)
            self._holders[id(owner)] -= 1
            if not self._holders[id(owner)]:
                del self._holders[id(owner)]
                self.held -= owner.nbytes


class Recent:
    """The arrays that were computed most recently, up to so many bytes of them."""

    def __init__(self, limit: int) -> None:
        self.limit, self.held = limit, 0
        self._arrays: OrderedDict[Any, Array] = OrderedDict()

    def get(self, key: Any) -> Array | None:
        array = self._arrays.get(key)
        if array is not None:
            self._arrays.move_to_end(key)
        return array

    def put(self, key: Any, array: Array) -> None:
        if key in self._arrays or array.nbytes > self.limit:
            return
        self._arrays[key] = array
        self.held += array.nbytes
        while self.held > self.limit:
            self.held -= self._arrays.popitem(last=False)[1].nbytes
