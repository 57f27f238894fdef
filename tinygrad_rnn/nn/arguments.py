"""What constructors take: each function returns Python's own value, or raises an OpError.

The error says whose argument it is, what it must be and what it was.
"""

import math
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..errors import OpError


def positive(owner: str, what: str, size: Any) -> int:
    """An integer of at least 1."""
    if not _is_integer(size) or size < 1:
        raise OpError(f"{owner}: {what} must be a positive integer, got {size!r}")
    return int(size)


def natural(owner: str, what: str, size: Any) -> int:
    """An integer of at least 0."""
    if not _is_integer(size) or size < 0:
        raise OpError(f"{owner}: {what} must be an integer, 0 or more, got {size!r}")
    return int(size)


def switch(owner: str, what: str, value: Any) -> bool:
    """True or False, and nothing else: a text such as "no" would count as true."""
    is_switch = isinstance(value, bool | np.bool_) or (_is_integer(value) and value in (0, 1))
    if not is_switch:
        raise OpError(f"{owner}: {what} must be True or False, got {value!r}")
    return bool(value)


def real(owner: str, what: str, value: Any) -> float:
    """Any number, infinities and NaN too."""
    if type(value) is float:
        return value
    plain = value.data if isinstance(value, Tensor) else value
    is_number = isinstance(plain, int | float | np.number | np.ndarray)
    array = np.asarray(plain) if is_number else np.asarray(None)
    if isinstance(plain, bool) or array.shape or array.dtype.kind not in "fiu":
        raise OpError(f"{owner}: {what} must be a number, got {value!r}")
    return float(array)


def number(owner: str, what: str, value: Any) -> float:
    """A finite number, 0 or more.

    A Python float, as an np.float64 would make float64 of float32 arrays.
    """
    found = real(owner, what, value)
    if not found >= 0:
        raise OpError(f"{owner}: {what} must not be negative, got {value}")
    if math.isinf(found):
        raise OpError(f"{owner}: {what} must be finite, got {value}")
    return found


def fraction(owner: str, what: str, value: Any) -> float:
    """A number of at least 0 and below 1."""
    found = real(owner, what, value)
    if not 0 <= found < 1:
        raise OpError(f"{owner}: {what} must be at least 0 and below 1, got {value}")
    return found


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
