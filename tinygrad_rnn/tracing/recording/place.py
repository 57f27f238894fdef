"""Where in a function the program stood: what tells the turns of its loops."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a function the program stood, when it called what came to make an op.

    Args:
        function: which function; equal for the same one.
        at: how far in it: the number of the instruction.
        loops: the line and column of each loop around that, in this function; the outermost first.
    """

    function: Hashable
    at: int
    loops: tuple[tuple[int, int], ...] = ()

    def is_with(self, other: "Place") -> bool:
        """Whether both are in one function."""
        # it takes long to compare code with itself
        return self.function is other.function or self.function == other.function


def plain_places(places: Iterable[Place], functions: dict[Hashable, int]) -> list[Any]:
    """Places as a file can hold them: functions by their numbers in `functions`, which grow."""
    return [
        [functions.setdefault(one.function, len(functions)), one.at, list(map(list, one.loops))]
        for one in places
    ]


def places_of(plain: Any) -> tuple[Place, ...]:
    """Places as a file holds them.

    Raises:
        TypeError, ValueError: they are none.
    """
    found: list[Place] = []
    for function, at, loops in plain:
        around = [(line, column) for line, column in loops]
        if any(type(number) is not int for number in (function, at, *chain.from_iterable(around))):
            raise TypeError(f"no place in a program: {function!r:.20}, {at!r:.20}")
        found.append(Place(function, at, tuple(around)))
    return tuple(found)
