"""Probabilities from scores."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...autograd import ops
from ...autograd.tensor import Tensor
from ..reading.graph import Node
from .registry import handles
from .values import aside, plain


@handles("Softmax")
def softmax(node: Node, x: Any) -> Any:
    return _along(ops.softmax, node, x)


@handles("LogSoftmax")
def log_softmax(node: Node, x: Any) -> Any:
    return _along(ops.log_softmax, node, x)


@handles("Hardmax")
def hardmax(node: Node, x: Any) -> Any:
    def chosen(x: Any, axis: int) -> Any:
        def largest(x: Any) -> Any:
            place = np.expand_dims(np.argmax(x, axis), axis)
            y = np.zeros(x.shape, x.dtype)
            np.put_along_axis(y, place, 1, axis)
            return y

        return aside(node, largest, x)

    return _along(chosen, node, x)


def _along(function: Callable[..., Tensor], node: Node, x: Any) -> Any:
    """Along the axis; before opset 13 along it and all behind it, as one."""
    axis = node.attributes["axis"]
    if node.version >= 13:
        return function(x, axis)
    axis %= x.ndim
    if axis == x.ndim - 1:
        return function(x, -1)
    flat = ops.reshape(x, (int(np.prod(x.shape[:axis])), -1))
    return ops.reshape(function(flat, -1), x.shape)


@handles("NegativeLogLikelihoodLoss")
def nll(node: Node, x: Any, targets: Any, weight: Any = None) -> Any:
    """Minus the score of each target, times its class's weight: x (B, C, …), targets (B, …)."""
    reduction, ignored = node.attributes["reduction"], node.attributes.get("ignore_index")
    classes = plain(targets)
    counted = np.ones(classes.shape, bool) if ignored is None else classes != ignored
    there = np.where(counted, classes, 0)
    score = ops.take_along_axis(x, np.expand_dims(there, 1), 1)
    loss = ops.neg(ops.squeeze(score, 1))
    shares: Any = counted.astype(x.dtype)
    if weight is not None:
        shares = ops.mul(ops.getitem(weight, there), shares)
    loss = ops.mul(loss, shares)
    if reduction == "none":
        return loss
    total = ops.sum(loss)
    return total if reduction == "sum" else ops.div(total, ops.sum(shares))
