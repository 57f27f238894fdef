"""Which elements of a value belong to which time."""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from ...autograd.tensor import Array
from ...cached import cached_property

_LISTED_MOST = 8  # of the places that an index picks


@dataclass(frozen=True, eq=False)
class Slice:
    """The elements of one value that have one label.

    Two slices of one value are one and the same object where they are the same elements.

    Args:
        label: the time.
        labels: of all elements of the value; along axes where it is constant its length is 1.
        whole: the shape of the value.
    """

    label: int
    labels: Array
    whole: tuple[int, ...]

    @property
    def axes(self) -> list[int]:
        """The axes of time: those along which elements have different labels."""
        return [axis for axis, n in enumerate(self.labels.shape) if n > 1]

    @property
    def lost(self) -> list[int]:
        """The axes that it does not have: those of time, where one index takes it out."""
        return self.axes if self.index is not None and isinstance(self.index[-1], int) else []

    @cached_property
    def index(self) -> tuple[slice | int, ...] | None:
        """The index that takes them out, where they are one slice or range of one axis."""
        if len(self.axes) != 1:
            return None
        (axis,) = self.axes
        (places,) = np.nonzero(self.labels.ravel() == self.label)
        first, last = int(places[0]), int(places[-1])
        if last - first + 1 != len(places):
            return None
        part = first if len(places) == 1 else slice(first, last + 1)
        return (*[slice(None)] * axis, part)

    def of(self, array: Array) -> Array:
        """These elements of an array of the value's shape: a slice, or else one after the other."""
        if self.index is not None:
            return array[self.index]
        return array[np.broadcast_to(self.labels == self.label, array.shape)]

    def only(self, array: Array) -> Array:
        """An array of the value's shape, 0 at all elements but these."""
        return np.where(np.broadcast_to(self.labels == self.label, array.shape), array, 0)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The shape of `of`."""
        if self.index is not None:
            return np.broadcast_to(0, self.whole)[self.index].shape
        return (int(np.broadcast_to(self.labels == self.label, self.whole).sum()),)

    @property
    def text(self) -> str:
        """How the program would write it: "[3]", "[:, 3]", "[2:4]"; "" where no one index does."""
        if self.index is None:
            return ""
        return index_text(self.index)


def index_text(index: object) -> str:
    """How an index of numbers, ranges and short lists is written: "[:, 3]"; "" of any other."""
    parts = cast("tuple[object, ...]", index) if isinstance(index, tuple) else (index,)
    written = [_written(part) for part in parts]
    return f"[{', '.join(filter(None, written))}]" if all(written) else ""


def _written(part: Any) -> str:
    if isinstance(part, np.ndarray):
        places = cast("Array", part)
        is_short = places.dtype.kind in "iu" and places.size <= _LISTED_MOST
        return str(places.tolist()) if is_short else ""
    if isinstance(part, int):
        return str(part)
    if part is ... or part is None:
        return "…" if part else "None"
    if type(part) is not slice:
        return ""
    ends: list[Any] = [part.start, part.stop]
    if part.step is not None:
        ends.append(part.step)
    return ":".join("" if end is None else str(end) for end in ends)
