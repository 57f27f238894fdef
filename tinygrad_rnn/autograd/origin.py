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
        owner = whole
        while isinstance(base := cast(Any, owner.base), np.ndarray):
            owner = cast("Array", base)
        address = 0 if owner is whole else whole.__array_interface__["data"][0]
        return cls(ref(owner), address, whole.shape, whole.strides, whole.dtype)


_NUMBER = (int, float)


def is_number(x: Any, kind: str) -> bool:
    """Whether an operand is a plain number, and no data: a scalar of NumPy's, or which row it is.

    Args:
        x: the operand.
        kind: of the op that it is given to.
    """
    return isinstance(x, _NUMBER) and type(x) is not np.float64 and kind != "lookup"
