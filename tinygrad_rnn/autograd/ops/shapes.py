"""The same numbers in another shape, order or dtype."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportFunctionMemberAccess=false

from typing import Any

import numpy as np

from ..methods import Array, Axis
from ..op import op

__all__ = [
    "astype",
    "broadcast_to",
    "detach",
    "expand_dims",
    "flip",
    "reshape",
    "roll",
    "squeeze",
    "swapaxes",
    "transpose",
]


@op(lambda g, y, x, shape: g.reshape(x.shape), numpy=np.reshape, kind="move")
def reshape(x: Array, shape: int | tuple[int, ...]):
    """The same values in another shape; x̄ = ȳ in the old one."""


def _transpose_x(g: Any, y: Any, x: Any, axes: Any) -> Any:
    return np.transpose(g, axes and tuple(np.argsort(np.mod(axes, x.ndim))))


@op(_transpose_x, numpy=np.transpose, kind="move")
def transpose(x: Array, axes: tuple[int, ...] | None = None):
    """Axes in another order (reversed by default); x̄ = ȳ with the order undone."""


@op(lambda g, y, x, axis1, axis2: np.swapaxes(g, axis1, axis2), numpy=np.swapaxes, kind="move")
def swapaxes(x: Array, axis1: int, axis2: int):
    """Two axes exchanged; x̄ = ȳ with the same two exchanged."""


@op(lambda g, y, x, shape: g, numpy=np.broadcast_to, kind="move")
def broadcast_to(x: Array, shape: int | tuple[int, ...]):
    """The values repeated to a larger shape; x̄ = ȳ summed over the copies."""


@op(lambda g, y, x, axis: g.reshape(x.shape), numpy=np.squeeze, kind="move")
def squeeze(x: Array, axis: Axis = None):
    """Axes of length 1 removed; x̄ = ȳ in the old shape."""


@op(lambda g, y, x, axis: g.reshape(x.shape), numpy=np.expand_dims, kind="move")
def expand_dims(x: Array, axis: int | tuple[int, ...]):
    """New axes of length 1; x̄ = ȳ in the old shape."""


@op(lambda g, y, x, dtype: g.astype(x.dtype) * (y.dtype.kind == "f"), kind="move")
def astype(x: Array, dtype: Any) -> Array:
    """The values in another dtype; x̄ = ȳ in the old one, 0 from integers and booleans (steps)."""
    return x.astype(dtype)


@op(None, kind="move")
def detach(x: Array) -> Array:
    """The same values, through which no gradient flows back."""
    return x


@op(lambda g, y, x, axis: np.flip(g, axis), numpy=np.flip, kind="move")
def flip(x: Array, axis: Axis = None):
    """Elements in reverse order along axes, by default all; x̄ = ȳ reversed back."""


@op(lambda g, y, x, shift, axis: np.roll(g, np.negative(shift), axis), numpy=np.roll, kind="move")
def roll(x: Array, shift: int | tuple[int, ...], axis: Axis = None):
    """Elements moved on along axes, the last ones to the front; x̄ = ȳ moved back."""
