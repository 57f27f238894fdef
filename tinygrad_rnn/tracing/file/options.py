"""The options of ops as JSON can hold them, and back.

What is more than a number or text is a list that begins with a tag.
"""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# What JSON holds has no one type.

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Any, TypeVar

import numpy as np

from ..recording.held import is_array

_DTYPE = re.compile(r"[<>|][fiub]\d{1,2}", re.ASCII)
_Word = TypeVar("_Word", bound=str)
_PLAIN = (bool, str, int, float, type(None))


@dataclass(frozen=True, slots=True)
class Unknown:
    """An option of a user's op that no file can hold."""

    text: str

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class _Form:
    """One kind of value: what it is made of, and how it is made again."""

    kind: Any
    parts: Callable[[Any], Any]
    make: Callable[..., Any]


_FORMS: dict[str, _Form] = {
    "tuple": _Form(tuple, list, lambda *parts: parts),
    "list": _Form(list, list, lambda *parts: list(parts)),
    "slice": _Form(
        slice,
        lambda x: [x.start, x.stop, x.step],
        lambda start, stop, step: slice(start, stop, step),
    ),
    "number": _Form(
        np.generic, lambda x: [x.dtype.str, x.item()], lambda dtype, x: dtype_named(dtype).type(x)
    ),
    "dtype": _Form(np.dtype, lambda x: [x.str], lambda name: dtype_named(name)),
    # np.float64, float
    "type": _Form(type, lambda x: [np.dtype(x).str], lambda name: dtype_named(name).type),
    "ellipsis": _Form(EllipsisType, lambda _: [], lambda: Ellipsis),
    "unknown": _Form(object, lambda x: [repr(x)], lambda text: Unknown(typed(text, str))),
}


def plain(value: Any, number_of: Callable[[Any], int]) -> Any:
    """A value as JSON can hold it; an array is the number that `number_of` gives it."""
    if is_array(value):
        return ["array", number_of(value)]
    if isinstance(value, _PLAIN) and not isinstance(value, np.generic):
        return value
    for tag, form in _FORMS.items():
        if isinstance(value, form.kind) and (tag != "type" or _is_number_type(value)):
            return [tag, *(plain(part, number_of) for part in form.parts(value))]
    raise AssertionError("everything is an object")


def _is_number_type(kind: Any) -> bool:
    return issubclass(kind, np.generic | int | float)


def restored(value: Any, array_of: Callable[[int], Any]) -> Any:
    """The value that `plain` made JSON of.

    Raises:
        ValueError, TypeError: it is not of such a form.
    """
    if not isinstance(value, list):
        return typed(value, _PLAIN)
    tag, *parts = value  # pyright: ignore[reportUnknownVariableType]
    if tag == "array":
        return array_of(typed(parts[0], int))
    if tag not in _FORMS:
        raise ValueError(f"there is no kind of value {tag!r:.40}")
    return _FORMS[tag].make(*(restored(part, array_of) for part in parts))  # pyright: ignore[reportUnknownVariableType]


def typed(value: Any, kind: Any) -> Any:
    """`value`, which must be of this kind.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{value!r:.40} is {type(value).__name__}, not {kind}")
    return value


def one_of(value: Any, known: Sequence[_Word]) -> _Word:
    """`value`, which must be one of these words.

    Raises:
        ValueError: it is not.
    """
    if value not in known:
        raise ValueError(f"{value!r:.40} is none of {', '.join(known)}")
    return value


def counted(value: Any, low: int = 0) -> int:
    """`value`, which must be a whole number from `low` on that a column could hold.

    Raises:
        ValueError: it is not.
    """
    if type(value) is not int or not low <= value < 2**63:
        raise ValueError(f"{value!r:.40} is not a number from {low} on")
    return value


def dtype_named(text: Any) -> "np.dtype[Any]":
    """The dtype of numbers that a text such as "<f8" names.

    Raises:
        ValueError, TypeError: it names none.
    """
    if not _DTYPE.fullmatch(typed(text, str)):
        raise ValueError(f"no dtype of numbers: {text!r:.40}")
    return np.dtype(text)
