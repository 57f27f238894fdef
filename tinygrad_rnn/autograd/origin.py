"""Which array of the program a tensor was made of: two tensors of one array are one leaf to us."""

from typing import Any, NamedTuple, cast
from weakref import ref

import numpy as np

from .methods import Array


class Origin(NamedTuple):
    """Which array of the program it is, as long as that lives: its memory, and how it is read."""

    owner: Any  # a weak reference to the array that has the memory; of a scalar itself
    address: int
    shape: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    dtype: Any = None

    @classmethod
    def of(cls, array: Any) -> "Origin":
        """That of an array, or of numbers that are none."""
        if not isinstance(array, np.ndarray):
            return cls(array if isinstance(array, np.generic) else object(), 0)
        whole: Array = cast(Any, array)
        owner = base_of(whole)
        address = 0 if owner is whole else whole.__array_interface__["data"][0]
        return cls(ref(owner), address, whole.shape, whole.strides, whole.dtype)

    def is_of(self, array: Array) -> bool:
        """Whether it is that of an array: what is cheap is compared first."""
        if array.shape != self.shape or array.strides != self.strides:
            return False
        owner, *layout = Origin.of(array)
        return owner is self.owner and layout == list(self[1:])


def base_of(array: Array) -> Array:
    """The array whose memory an array looks at, through all views; itself if it is no view."""
    while isinstance(base := cast(Any, array.base), np.ndarray):
        array = cast("Array", base)
    return array


_NUMBER = (int, float)


def is_number(x: Any, kind: str) -> bool:
    """Whether an operand is a plain number, and no data: a scalar of NumPy's, or which row it is.

    Args:
        x: the operand.
        kind: of the op that it is given to.
    """
    return isinstance(x, _NUMBER) and type(x) is not np.float64 and kind != "lookup"
