"""Choices between values."""

from typing import Any

import numpy as np

from ...autograd import ops
from ...autograd.tensor import Tensor
from ..reading.graph import Node
from .registry import handles
from .values import aside, numbers, plain


@handles("Where")
def where(node: Node, condition: Any, a: Any, b: Any) -> Any:
    return ops.where(condition, *numbers(a, b))


@handles("Clip")
def clip(node: Node, x: Any, low: Any = None, high: Any = None) -> Any:
    if node.version < 11:
        attributes = node.attributes
        return ops.clip(x, attributes["min"], attributes["max"])
    if isinstance(low, Tensor) or isinstance(high, Tensor):
        x = x if low is None else ops.maximum(x, low)
        return x if high is None else ops.minimum(x, high)
    if low is None and high is None:
        return x
    return ops.clip(x, low, high)


@handles("NonZero")
def nonzero(node: Node, x: Any) -> Any:
    return aside(node, lambda x: np.array(np.nonzero(x), np.int64).reshape(x.ndim, -1), x)


@handles("Compress")
def compress(node: Node, x: Any, condition: Any) -> Any:
    axis = node.attributes.get("axis")
    places = np.flatnonzero(plain(condition))
    if axis is None:
        return ops.reshape(x, (-1,))[places]
    return ops.getitem(x, (slice(None),) * (axis % x.ndim) + (places,))


@handles("Unique")
def unique(node: Node, x: Any) -> Any:
    axis, in_order = node.attributes.get("axis"), node.attributes["sorted"]

    def found(x: Any) -> Any:
        values, first, inverse, counts = np.unique(x, True, True, True, axis=axis)
        inverse = inverse.ravel()
        if not in_order:  # as they come
            order = np.argsort(first)
            values = np.take(values, order, 0 if axis is None else axis)
            first, counts, inverse = first[order], counts[order], np.argsort(order)[inverse]
        return values, *(part.astype(np.int64) for part in (first, inverse, counts))

    return aside(node, found, x)
