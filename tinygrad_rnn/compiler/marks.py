"""What a run of a function does, in numbers: by these a later run is held against the first.

A replay would silently do what the first run did. What is compared is what the engine tells, op by
op, and not the program that is made of it: that takes several times as long.
"""

import inspect
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd.op import Op
from ..errors import CompileError
from ..tracing.recording.source import Source
from .program import Value


@dataclass(eq=False, slots=True)
class Known:
    """An array of a run.

    Attributes:
        number: what it is among all that the run made and read.
        is_constant: it is the same at every call.
        value: what it is in the program, of a run of which one is made.
    """

    number: int
    is_constant: bool
    value: Value | None

    @property
    def in_program(self) -> Value:
        """Its value, in a run of which a program is made."""
        assert self.value is not None
        return self.value


class Marks:
    """A number for all that a run makes and reads, in order.

    Args:
        first: those of the first run, where this is a later one.

    Attributes:
        constants: what is the same at every call, as the first run found it.
        looked_at: what the program looked at in the first run and may look at again.
    """

    def __init__(self, first: "Marks | None" = None) -> None:
        self.constants: set[int] = set() if first is None else first.constants
        self.looked_at: set[int] = set() if first is None else first.looked_at
        self._first = first
        self._numbers = array("q")

    def take(self, kind: Any, inputs: Any, detail: Any, like: np.ndarray[Any, Any]) -> int:
        """Note an array and what it is made from, as the next number.

        Raises:
            CompileError: another one came in its place at the first run.
        """
        number = len(self._numbers)
        mark = hash((kind, inputs, detail, like.shape, like.dtype))
        if self._first is not None:
            numbers = self._first._numbers
            if number >= len(numbers) or numbers[number] != mark:
                raise CompileError(
                    f"compile: {Source.of_caller()}: {_called(kind)} {like.shape} is not what it "
                    "was at the first call: random numbers, a clock or changing data; "
                    "pass it as an argument"
                )
        self._numbers.append(mark)
        return number

    @property
    def are_all(self) -> bool:
        """Whether a later run did all that the first one did."""
        return self._first is None or len(self._numbers) == len(self._first._numbers)


def _called(kind: Any) -> str:
    """An op, or what else is noted, in a word."""
    if not isinstance(kind, Op):
        return kind
    forward = inspect.unwrap(kind.forward)
    return forward.__name__ if isinstance(forward, np.ufunc) else kind.name


def of_operands(operands: Sequence[Any]) -> tuple[Any, ...]:
    """What tells operands from others."""
    return tuple([x.number if isinstance(x, Known) else repr(x) for x in operands])


def of_option(part: Any) -> Any:
    """What tells an option from others; what has no other name is itself alone."""
    match part:
        case Known():
            return "known", part.number
        case slice():
            return "slice", repr(part)
        case np.ndarray():
            return part.dtype, part.shape, part.tobytes()
        case dict():
            return tuple([(name, of_option(value)) for name, value in part.items()])
        case tuple() | list():
            return (type(part), *map(of_option, part))
        case int() | float() | np.generic() | str() | None:
            return repr(part)  # hash(-1) is hash(-2)
    try:
        hash(part)
    except TypeError:
        return of_option(vars(part)) if hasattr(part, "__dict__") else id(part)
    return part
