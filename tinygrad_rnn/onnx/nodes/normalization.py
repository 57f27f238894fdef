"""Values brought to mean 0 and variance 1."""

from typing import Any

import numpy as np

from ...autograd import ops
from ..reading.graph import Node
from .elementwise import converted
from .registry import handles
from .values import refuse


@handles("LayerNormalization")
def layer_normalization(node: Node, x: Any, scale: Any, bias: Any = None) -> Any:
    axis = node.attributes["axis"] % x.ndim
    axes = tuple(range(axis, x.ndim))
    y, mean, inverse = _normed(x, axes, node.attributes["epsilon"])
    y = ops.mul(y, scale)
    y = y if bias is None else ops.add(y, bias)
    return y, mean, inverse


def _normed(x: Any, axes: tuple[int, ...], epsilon: float) -> Any:
    mean = ops.mean(x, axes, True)
    apart = ops.sub(x, mean)
    deviation = ops.sqrt(ops.add(ops.mean(ops.square(apart), axes, True), epsilon))
    return ops.div(apart, deviation), mean, ops.div(1.0, deviation)


@handles("InstanceNormalization")
def instance_normalization(node: Node, x: Any, scale: Any, bias: Any) -> Any:
    y, _, _ = _normed(x, tuple(range(2, x.ndim)), node.attributes["epsilon"])
    return ops.add(ops.mul(y, _channels(scale, x)), _channels(bias, x))


@handles("BatchNormalization")
def batch_normalization(node: Node, x: Any, scale: Any, bias: Any, mean: Any, variance: Any) -> Any:
    """In evaluation, by the mean and the variance that training has left."""
    attributes = node.attributes
    if attributes.get("training_mode") or attributes.get("is_test") == 0:
        refuse(node, "it would train; export the model in evaluation")
    if attributes.get("spatial") == 0:
        refuse(node, "spatial=0 is not here")
    mean, variance = _channels(mean, x), _channels(variance, x)
    deviation = ops.sqrt(ops.add(variance, attributes["epsilon"]))
    y = ops.div(ops.sub(x, mean), deviation)
    y = ops.add(ops.mul(y, _channels(scale, x)), _channels(bias, x))
    return converted(y, x.dtype)


def _channels(parameter: Any, x: Any) -> Any:
    """One number a channel, along the second axis of x."""
    return ops.reshape(parameter, (-1, *(1,) * max(x.ndim - 2, 0)))


@handles("LpNormalization")
def lp_normalization(node: Node, x: Any) -> Any:
    axis, p = node.attributes["axis"], node.attributes["p"]
    if p == 1:
        size = ops.sum(ops.abs(x), axis, True)
    else:
        size = ops.sqrt(ops.sum(ops.square(x), axis, True))
    zero = ops.equal(size, 0)
    return ops.where(zero, np.zeros((), x.dtype), ops.div(x, ops.where(zero, 1, size)))
