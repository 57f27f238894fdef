"""What a compiled function does at each call, as plain data: for pictures and reports."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """What is read at each call: an argument, a parameter, or a gradient that was there before."""

    id: str
    name: str
    shape: Shape
    is_parameter: bool


@dataclass(frozen=True, slots=True)
class Stage:
    """Calls of NumPy that are alike: one for many values at once, or some, one after the other.

    Args:
        id: what others read it by.
        what: the name of the call.
        operands: the shapes that one call reads.
        shape: what one call makes.
        calls: how many there are, one after the other.
        at_once: the most values of the recording that one of the calls computes.
        reads: ids of sources and stages; its own, where one call reads what another made.
        why: several calls are not one: what stands in the way.
    """

    id: str
    what: str
    operands: tuple[Shape, ...]
    shape: Shape
    calls: int
    at_once: int
    reads: tuple[str, ...]
    why: str = ""

    def __str__(self) -> str:
        shapes = self.operands if self.what == "matmul" else (self.shape,)
        return f"{self.what} {' × '.join(map(str, shapes))}"

    @property
    def manner(self) -> str:
        """How its values are computed: "25 at once", "24, one after the other", or ""."""
        many = [f"{self.at_once} at once"] if self.at_once > 1 else []
        many += [f"{self.calls}, one after the other"] if self.calls > 1 else []
        return " in each of ".join(many)


@dataclass(frozen=True, slots=True)
class Outline:
    """All that is read, called and returned.

    Args:
        sources: what is read.
        stages: in the order of their first calls.
        results: the name of each, and the ids of the stages and sources that make it.
    """

    sources: tuple[Source, ...]
    stages: tuple[Stage, ...]
    results: tuple[tuple[str, tuple[str, ...]], ...]


@runtime_checkable
class Outlined(Protocol):
    """What has an outline: a function that `compile` returned."""

    def outline(self) -> Outline:
        """What it does at each call."""
        ...
