"""What a recording holds in memory.

Arrays are held by reference, so one that several events share is counted once, and a view counts as
what it looks at.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass
from math import prod
from typing import Any, Self, TypeGuard

import numpy as np

from ...autograd.tensor import Array
from ...errors import TraceError

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
# Elements: for so few a dot product is the quickest look at all of them, and wakes no threads.
SMALL = 4096
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:iB|B)?\s*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Memory:
    """How many events there are, and bytes of arrays: held, computed again when asked for, gone.

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
            number, own_unit = in_units(count)
            if count and own_unit != unit:
                number += f" {own_unit}"
            parts.append(f"{number} {what}")
        return " · ".join(parts)


def in_units(count: int) -> tuple[str, str]:
    """A number of bytes as people read it, and its unit.

    >>> in_units(512), in_units(96 * 2**20), in_units(0)
    (('0.5', 'KiB'), ('96', 'MiB'), ('0', 'KiB'))
    """
    size, name = 2**10, "KiB"
    if count >= 2**30:
        size, name = 2**30, "GiB"
    elif count >= 2**20:
        size, name = 2**20, "MiB"
    number = count / size
    # above this, three digits would be written with an exponent
    return f"{number:.0f}" if number >= 999.5 else f"{number:.3g}", name


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
    return array.base if hasattr(array.base, "nbytes") else array


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
        if array.dtype.kind != "f" or np.isfinite(array).all():
            return cls(array.shape, array.dtype)
        nans, infs = bool(np.isnan(array).any()), bool(np.isinf(array).any())
        return cls(array.shape, array.dtype, nans, infs)

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize


def gone_error(what: str) -> TraceError:
    """What a question about a value that is gone is answered with."""
    return TraceError(
        f"{what} is gone: the recording went over its max_memory and let go of what was oldest"
    )


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
