"""Runs one node, and says whose an error is."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...autograd.switches import switched
from ...autograd.tensor import Tensor
from ...errors import TinygradError
from ..reading.graph import Node
from .registry import HANDLERS

# What a handler raises when the numbers in a file make no sense.
REFUSALS = (
    TinygradError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    MemoryError,
    ZeroDivisionError,
)


def run_node(node: Node, inputs: Sequence[Any]) -> tuple[Any, ...]:
    """The outputs of a node, one for each that its op has.

    Where all inputs are constants, or made of shapes, the result is a plain array again: it is
    computed unseen, so that no picture is full of what only says how to reshape.

    Raises:
        OnnxError: names the node, and what was wrong.
    """
    handler = HANDLERS[node.key]
    try:
        if _depends_on_tensors(inputs):
            made = handler(node, *inputs)
        else:
            with switched(observers=(), recording=False):
                made = _as_arrays(handler(node, *inputs))
    except REFUSALS as error:
        raise _named(node, error) from error
    return made if isinstance(made, tuple) else (made,)


def _named(node: Node, error: Exception) -> Exception:
    reason = str(error) or type(error).__name__
    return error if reason.startswith(node.title) else node.refused(reason)


def _depends_on_tensors(values: Sequence[Any]) -> bool:
    return any(
        isinstance(x, Tensor) or (isinstance(x, list) and _depends_on_tensors(x)) for x in values
    )


def _as_arrays(made: Any) -> Any:
    if isinstance(made, tuple):
        return tuple(map(_as_arrays, made))
    if isinstance(made, list):
        return list(map(_as_arrays, made))
    if made is None or isinstance(made, np.ndarray):
        return made
    return made.data if isinstance(made, Tensor) else np.asarray(made)
