"""Calls that are not NumPy's own, and NumPy's in the form with the least overhead."""

# ruff: noqa: D103  (each is what its name says)
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..autograd.tensor import Array
from ..errors import OpError

_METHODS = (np.dot, np.take)


def quickest(function: Callable[..., Any], arguments: Sequence[Any]) -> tuple[Any, ...]:
    """The same call, function first, without asking which array library the arguments are from."""
    if function in _METHODS:
        return getattr(arguments[0], function.__name__), *arguments[1:]
    if function is put:
        return arguments[0].__setitem__, *arguments[1:]
    if function is cast or (function is np.copyto and len(arguments) == 2):
        return arguments[0].__setitem__, ..., arguments[1]
    return function, *arguments


def maximum(a: Array, b: Array, out: Array) -> None:
    np.maximum(a, b, out=out)


def minimum(a: Array, b: Array, out: Array) -> None:
    np.minimum(a, b, out=out)


# NumPy wants their `out` by name; by position it is deprecated.
NAMED_OUT: dict[Any, Callable[..., Any]] = {np.maximum: maximum, np.minimum: minimum}


def cast(out: Array, x: Array) -> None:
    np.copyto(out, x, casting="unsafe")


def copy_rows(table: Array, index: Array, out: Array) -> None:
    out[...] = table[index]


def largest_of_rows(matrix: Array, rows: Array, index: Array, out: Array) -> None:
    """The largest of each row, found by argmax, which is faster than max; of NaNs the first.

    `rows` says where each begins, counted in elements.
    """
    matrix.argmax(1, index)
    np.add(index, rows, index)
    matrix.take(index, None, out, "clip")


def put(x: Array, places: Array, values: Array) -> None:
    x[places] = values


def check(index: Array, unsigned: Array, bound: int, what: str, limit: int) -> None:
    """The same integers twice: seen without a sign, a negative one reaches the bound."""
    if index.size and unsigned.item(unsigned.argmax()) >= bound:  # sooner than `max`
        raise OpError(f"every {what} must be in 0..{limit - 1}, got {index}")
