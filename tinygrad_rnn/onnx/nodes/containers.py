"""Sequences of values, and values that may be absent: Python's lists, and None."""

from typing import Any

import numpy as np

from ...autograd import ops
from ..reading.graph import Node
from .registry import handles
from .values import integer, integers, refuse


@handles("SequenceConstruct")
def construct(node: Node, *xs: Any) -> Any:
    return list(xs)


@handles("SequenceEmpty")
def empty(node: Node) -> Any:
    return []


@handles("SequenceInsert")
def insert(node: Node, xs: list[Any], x: Any, place: Any = None) -> Any:
    made = list(xs)
    n = len(xs)
    found = n if place is None else integer(place)
    if not -n <= found <= n:
        refuse(node, f"position {found} of {n}")
    made.insert(found, x)
    return made


@handles("SequenceErase")
def erase(node: Node, xs: list[Any], place: Any = None) -> Any:
    made = list(xs)
    del made[-1 if place is None else _checked(node, place, len(xs))]
    return made


@handles("SequenceAt")
def at(node: Node, xs: list[Any], place: Any) -> Any:
    return xs[_checked(node, place, len(xs))]


def _checked(node: Node, place: Any, n: int) -> int:
    found = integer(place)
    if not -n <= found < n:
        refuse(node, f"position {found} of {n}")
    return found % n


@handles("SequenceLength")
def length(node: Node, xs: list[Any]) -> Any:
    return np.array(len(xs), np.int64)


@handles("SplitToSequence")
def split(node: Node, x: Any, lengths: Any = None) -> Any:
    axis = node.attributes["axis"]
    n = x.shape[axis]
    if lengths is None:
        parts = ops.split(x, list(range(1, n)), axis)
        return parts if node.attributes["keepdims"] else [ops.squeeze(p, axis) for p in parts]
    given = integers(lengths)
    if not lengths.ndim:
        if given[0] < 1:
            refuse(node, f"parts of length {given[0]}")
        return ops.split(x, list(range(given[0], n, given[0])), axis)
    return ops.split(x, np.cumsum(given)[:-1].tolist(), axis)


@handles("ConcatFromSequence")
def concat(node: Node, xs: list[Any]) -> Any:
    join = ops.stack if node.attributes["new_axis"] else ops.concatenate
    return join(xs, node.attributes["axis"])


@handles("Optional")
def optional(node: Node, x: Any = None) -> Any:
    return x


@handles("OptionalHasElement")
def has_element(node: Node, x: Any = None) -> Any:
    return np.array(x is not None)


@handles("OptionalGetElement")
def get_element(node: Node, x: Any) -> Any:
    if x is None:
        refuse(node, "it is absent")
    return x
