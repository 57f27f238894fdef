"""What handlers share: values that must be known, limits, what has no gradient."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeAlias

import numpy as np

from ...autograd.state import STATE
from ...autograd.tensor import Array, Tensor
from ..reading.graph import Node

# A list is a sequence of ONNX's; None an optional value that is not there.
Value: TypeAlias = "Tensor | Array | list[Any] | None"
# Elements that a node may make of small operands: 1 GiB of float64.
MOST_ELEMENTS = 2**27


def plain(x: Any) -> Array:
    """The array in a value: its numbers are looked at, which a compiled function refuses."""
    return x.data if isinstance(x, Tensor) else np.asarray(x)


def integers(x: Any) -> list[int]:
    """A shape, or axes, as Python's integers."""
    return [int(n) for n in plain(x).ravel()]


def integer(x: Any) -> int:
    """One integer."""
    return int(plain(x).reshape(()))


def sized(node: Node, shape: Sequence[int]) -> tuple[int, ...]:
    """A shape that a file asks for, if memory justifies it.

    Raises:
        OnnxError: it has too many elements.
    """
    if math.prod(shape) > MOST_ELEMENTS:
        raise node.refused(f"shape {tuple(shape)}: more than {MOST_ELEMENTS} elements")
    return tuple(shape)


def aside(node: Node, function: Callable[..., Any], *xs: Any) -> Any:
    """Compute with NumPy what has no gradient.

    Raises:
        OnnxError: a gradient would be lost.
    """
    lost = [x for x in xs if isinstance(x, Tensor) and x.requires_grad]
    y = function(*(None if x is None else plain(x) for x in xs))
    of_floats = any(np.asarray(part).dtype.kind == "f" for part in _parts(y))
    if lost and of_floats and STATE.get().recording:
        raise node.refused("no gradient flows through this op; run it under tg.no_grad()")
    if isinstance(y, tuple):
        return tuple(Tensor(part) for part in y)
    return Tensor(y)


def _parts(y: Any) -> Sequence[Any]:
    return y if isinstance(y, tuple) else (y,)


def refuse(node: Node, reason: str) -> NoReturn:
    """Raise the error that names the node."""
    raise node.refused(reason)


def numbers(*xs: Any) -> Sequence[Any]:
    """Operands, of which constants without axes are Python's numbers beside tensors.

    A number is not a value of its own: nothing is drawn for the 1 in 1 - z.
    """
    if not any(isinstance(x, Tensor) for x in xs):
        return xs
    return [x.item() if isinstance(x, np.ndarray) and not x.ndim else x for x in xs]


def kind_of(x: Any) -> str:
    """NumPy's letter for a value's dtype: "f", "i", "u", "b"."""
    return x.dtype.kind
