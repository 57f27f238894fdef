"""Which axes a formula has to speak of: those of one element are left out where they say nothing.

A text has the shape of the array that one reads there. `x` may stand for `x[:, None]`, whose axis
of one says only how it is broadcast: in `x ⊙ h` that may be as well without.
"""

import inspect
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ....autograd.op import Op
from ...recording.graph import Node

Shape = tuple[int, ...]


def without(shape: Shape, axes: Collection[int]) -> Shape:
    """A shape without some axes."""
    return tuple(n for axis, n in enumerate(shape) if axis not in axes)


def live(shape: Shape) -> Shape:
    """The lengths of its axes, but for those of one."""
    return tuple(n for n in shape if n != 1)


def index_to(read: Shape, shape: Shape) -> str:
    """The index that gives an array another shape, which differs in axes of one: `[:, None]`.

    >>> index_to((4,), (4, 1)), index_to((4, 1), (4,)), index_to((3, 4), (1, 3, 4))
    ('[:, None]', '[:, 0]', '[None]')
    """
    parts: list[str] = []
    left = list(read)
    for length in shape:
        while length != 1 and left[0] == 1:
            parts.append("0")
            left.pop(0)
        is_kept = bool(left) and left[0] == length
        parts.append(":" if is_kept else "None")
        del left[:is_kept]
    parts += ["0"] * len(left)
    while parts and parts[-1] == ":":
        parts.pop()
    return f"[{', '.join(parts)}]" if parts else ""


def broadcast(read: Sequence[Shape], shapes: Sequence[Shape]) -> Shape | None:
    """What texts make together whose values have some shapes; None if these do not fit as read."""
    count = max(map(len, shapes), default=0)
    padded = [(1,) * (count - len(shape)) + shape for shape in shapes]
    alone = {axis for axis in range(count) if all(shape[axis] == 1 for shape in padded)}
    fits = all(
        _without_first_ones(own) == _without_first_ones(without(shape, alone))
        for own, shape in zip(read, padded, strict=True)
    )
    return np.broadcast_shapes(*read) if fits else None


def is_column(read: Shape, shape: Shape) -> bool:
    """Whether what is read as a vector is an array of that one column."""
    return len(read) == 1 and shape == (*read, 1)


def multiplied(by_rows: bool, a: Shape, b: Shape) -> Shape:
    """The shape of a @ b; by rows of a @ b.T."""
    if by_rows:
        return a[:-1] + b[:1]
    return np.broadcast_shapes(a[:-2], b[:-2]) + a[-2:-1] * (len(a) > 1) + b[-1:] * (len(b) > 1)


def is_as_read(read: Shape, shape: Shape) -> bool:
    """Whether a text has the shape of its value, but for axes of one before all others."""
    return _without_first_ones(read) == _without_first_ones(shape)


def _without_first_ones(shape: Shape) -> Shape:
    first = next((axis for axis, n in enumerate(shape) if n != 1), len(shape))
    return shape[first:]


def options_of(node: Node) -> Mapping[str, Any]:
    """The options of an op that need not be said, each with what it then is."""
    return {} if node.rule is None else _defaults(node.rule)


@lru_cache
def _defaults(rule: Op) -> Mapping[str, Any]:
    # Of what people call: NumPy tells of its own functions only since lately.
    function = rule.function or rule.forward
    parameters = inspect.signature(function).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not one.empty}
