"""The same numbers in another shape or order, and values made of a shape."""

import math
from typing import Any

import numpy as np

from ...autograd import ops
from ..reading.graph import Node
from ..reading.tensors import dtype_of
from .registry import handles
from .values import aside, integer, integers, plain, refuse, sized


@handles("Constant")
def constant(node: Node) -> Any:
    found = [
        (name, value)
        for name, value in node.attributes.items()
        if name == "value" or name.startswith("value_")
    ]
    if len(found) != 1:
        refuse(node, f"it must have one value, and has {len(found)}")
    name, value = found[0]
    if "string" in name:
        refuse(node, "texts are not read")
    floats = {"value_float": np.float32, "value_floats": np.float32}
    return value if name == "value" else np.asarray(value, floats.get(name, np.int64))


@handles("ConstantOfShape")
def constant_of_shape(node: Node, shape: Any) -> Any:
    value = node.attributes.get("value", np.zeros(1, np.float32))
    return np.full(sized(node, integers(shape)), value.reshape(()), value.dtype)


@handles("Range")
def arange(node: Node, start: Any, limit: Any, delta: Any) -> Any:
    first, end, step = (plain(x).reshape(()) for x in (start, limit, delta))
    if not step:
        refuse(node, "its step is 0")
    count = max(0, math.ceil((float(end) - float(first)) / float(step)))
    sized(node, (count,))
    return (first + np.arange(count) * step).astype(first.dtype)


@handles("EyeLike")
def eye_like(node: Node, x: Any) -> Any:
    number = node.attributes.get("dtype")
    dtype = x.dtype if number is None else dtype_of(number)
    return np.eye(*sized(node, x.shape), k=node.attributes["k"], dtype=dtype)


@handles("Shape")
def shape(node: Node, x: Any) -> Any:
    start, end = node.attributes.get("start", 0), node.attributes.get("end")
    return np.array(x.shape[start:end], np.int64)


@handles("Size")
def size(node: Node, x: Any) -> Any:
    return np.array(x.size, np.int64)


@handles("Reshape")
def reshape(node: Node, x: Any, shape: Any = None) -> Any:
    wanted = node.attributes["shape"] if shape is None else integers(shape)
    if not node.attributes.get("allowzero"):  # 0: as it was
        wanted = [n or x.shape[i] for i, n in enumerate(wanted)]
    return ops.reshape(x, tuple(wanted))


@handles("Flatten")
def flatten(node: Node, x: Any) -> Any:
    axis = node.attributes["axis"]
    axis = axis + x.ndim if axis < 0 else axis
    return ops.reshape(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


@handles("Squeeze")
def squeeze(node: Node, x: Any, axes: Any = None) -> Any:
    given = node.attributes.get("axes") if axes is None else integers(axes)
    return ops.squeeze(x, None if given is None else tuple(given))


@handles("Unsqueeze")
def unsqueeze(node: Node, x: Any, axes: Any = None) -> Any:
    given = node.attributes["axes"] if axes is None else integers(axes)
    return ops.expand_dims(x, tuple(given))


@handles("Transpose")
def transpose(node: Node, x: Any) -> Any:
    axes = node.attributes.get("perm")
    return ops.transpose(x, None if axes is None else tuple(axes))


@handles("Expand")
def expand(node: Node, x: Any, shape: Any) -> Any:
    whole = np.broadcast_shapes(x.shape, tuple(integers(shape)))
    return ops.broadcast_to(x, sized(node, whole))


@handles("Tile")
def tile(node: Node, x: Any, repeats: Any, axis: Any = None) -> Any:
    times = integers(repeats)
    if axis is not None:  # opset 1: so often along one axis
        times = [times[0] if i == integer(axis) else 1 for i in range(x.ndim)]
    sized(node, [n * m for n, m in zip(x.shape, times, strict=True)])
    return ops.tile(x, times)


@handles("Concat")
def concat(node: Node, *xs: Any) -> Any:
    return ops.concatenate(xs, node.attributes.get("axis", 1))


@handles("Split")
def split(node: Node, x: Any, lengths: Any = None) -> Any:
    axis = node.attributes.get("axis", 0)
    given = node.attributes.get("split") if lengths is None else integers(lengths)
    if given is None:
        count = node.attributes.get("num_outputs") or len(node.outputs)
        step = -(-x.shape[axis] // count)
        given = [step] * (count - 1)
        given.append(x.shape[axis] - sum(given))
    return tuple(ops.split(x, np.cumsum(given)[:-1].tolist(), axis))


@handles("DepthToSpace")
def depth_to_space(node: Node, x: Any) -> Any:
    b, block = x.shape, node.attributes["blocksize"]
    depth = b[1] // block**2
    if node.attributes.get("mode", "DCR") == "DCR":
        x = ops.reshape(x, (b[0], block, block, depth, b[2], b[3]))
        x = ops.transpose(x, (0, 3, 4, 1, 5, 2))
    else:
        x = ops.reshape(x, (b[0], depth, block, block, b[2], b[3]))
        x = ops.transpose(x, (0, 1, 4, 2, 5, 3))
    return ops.reshape(x, (b[0], depth, b[2] * block, b[3] * block))


@handles("SpaceToDepth")
def space_to_depth(node: Node, x: Any) -> Any:
    n, c, h, w = x.shape
    block = node.attributes["blocksize"]
    x = ops.reshape(x, (n, c, h // block, block, w // block, block))
    crd = node.attributes.get("mode", "DCR") == "CRD"
    x = ops.transpose(x, (0, 1, 3, 5, 2, 4) if crd else (0, 3, 5, 1, 2, 4))
    return ops.reshape(x, (n, c * block**2, h // block, w // block))


@handles("Trilu")
def trilu(node: Node, x: Any, k: Any = None) -> Any:
    """The triangle above a diagonal, or below; zeros elsewhere."""
    offset = 0 if k is None else integer(k)
    rows, columns = np.indices(x.shape[-2:])
    above = node.attributes["upper"]
    kept = columns - rows >= offset if above else columns - rows <= offset
    return ops.where(kept, x, np.zeros((), x.dtype))


@handles("OneHot")
def one_hot(node: Node, ids: Any, depth: Any, values: Any) -> Any:
    count, axis = integer(depth), node.attributes["axis"]
    off, on = (values[i] for i in (0, 1))
    sized(node, (*ids.shape, count))
    chosen = aside(node, lambda ids: _chosen(ids, count, axis), ids)
    return ops.where(chosen, on, off)


def _chosen(ids: Any, count: int, axis: int) -> Any:
    """Where the id is the number along a new axis; negative ids count from the end."""
    wrapped = np.where(ids < 0, ids + count, ids)
    wrapped = np.where((ids < -count) | (ids >= count), -1, wrapped)
    axis = axis + ids.ndim + 1 if axis < 0 else axis
    numbers = np.arange(count).reshape([-1 if i == axis else 1 for i in range(ids.ndim + 1)])
    return np.expand_dims(wrapped, axis) == numbers
