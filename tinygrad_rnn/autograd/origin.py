"""Which array a tensor was made from. Two tensors of one array count as one leaf.

What a user's op returns is copied where somebody else could still write into it.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, cast
from weakref import ref

import numpy as np

from .methods import Array


class Origin(NamedTuple):
    """Identifies an array of the program while it is alive: its memory, and how that is read."""

    owner: Any  # a weak reference to the array that has the memory; of a scalar itself
    address: int
    shape: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    dtype: Any = None

    @classmethod
    def of(cls, array: Any) -> "Origin":
        """The origin of an array, or of a number, which is compared by identity."""
        if not isinstance(array, np.ndarray):
            return cls(array if isinstance(array, np.generic) else object(), 0)
        whole: Array = cast(Any, array)
        owner = base_of(whole)
        address = 0 if owner is whole else whole.__array_interface__["data"][0]
        return cls(ref(owner), address, whole.shape, whole.strides, whole.dtype)

    def is_of(self, array: Array) -> bool:
        """Whether it is the origin of `array`; what is cheap to compare comes first."""
        if array.shape != self.shape or array.strides != self.strides:
            return False
        owner, *layout = Origin.of(array)
        return owner is self.owner and layout == list(self[1:])


def base_of(array: Array) -> Array:
    """The array that owns the memory `array` looks at, through all views; itself if not a view."""
    while isinstance(base := cast(Any, array.base), np.ndarray):
        array = cast("Array", base)
    return array


def owned(made: Any) -> Array:
    """The result of a user's op, as an array into which nobody else can write.

    Raises:
        TypeError: it is not one array of numbers: a tuple, say.
    """
    kind, y = type(made).__name__, np.asarray(made)
    is_array = not isinstance(made, tuple | list | np.ma.MaskedArray)
    if not is_array or y.dtype.kind not in "fiub":
        raise TypeError(
            f"it makes a {kind} of dtype {y.dtype}, and an op makes one array of numbers"
        )
    base = base_of(y)
    return y.copy() if base is not y and base.flags.writeable else y


def owning(forward: Callable[..., Any]) -> Callable[..., Any]:
    """A user's forward, whose result nobody else can write into: a view of a buffer is copied."""

    @wraps(forward)
    def called(*operands: Any, **options: Any) -> Any:
        return owned(forward(*operands, **options))

    return called


def looking_on(rule: Callable[..., Any], variadic: bool) -> Callable[..., Any]:
    """A user's VJP, whose result the user may keep: a view is passed on, which a leaf copies.

    It cannot write into the cotangent, which other VJPs may use, too.
    """

    @wraps(rule)
    def called(*given: Any, **options: Any) -> Any:
        g = given[variadic]
        if type(g) is np.ndarray:
            g.setflags(False)  # pyright: ignore[reportCallIssue]
        term: Any = rule(*given, **options)
        return term.view() if type(term) is np.ndarray else term

    return called


_NUMBER = (int, float)


def is_number(x: Any, kind: str) -> bool:
    """Whether an operand is a plain Python number.

    NumPy's scalars are data, and so is a number that says which row is looked up.

    Args:
        x: the operand.
        kind: of the op that it is given to.
    """
    return isinstance(x, _NUMBER) and type(x) is not np.float64 and kind != "lookup"
