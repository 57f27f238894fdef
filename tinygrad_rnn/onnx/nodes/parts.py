"""Parts of values, and values put into others."""

from typing import Any

import numpy as np

from ...autograd import ops
from ...autograd.tensor import Array
from ...errors import OpError
from ..reading.graph import Node
from .elementwise import converted
from .registry import handles
from .values import aside, integer, integers, plain, refuse, sized


@handles("Slice")
def part(
    node: Node, x: Any, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None
) -> Any:
    if starts is None:
        starts, ends, axes = (node.attributes.get(name) for name in ("starts", "ends", "axes"))
    first, last = integers(starts), integers(ends)
    along = list(range(len(first))) if axes is None else integers(axes)
    strides = [1] * len(first) if steps is None else integers(steps)
    index = [slice(None)] * x.ndim
    for axis, start, end, step in zip(along, first, last, strides, strict=True):
        index[axis] = _within(x.shape[axis], start, end, step)
    return ops.getitem(x, tuple(index))


def _within(n: int, start: int, end: int, step: int) -> slice:
    """A slice of ONNX as Python's: below 0 counts from the end, and what is outside is cut."""
    if step < 0 and end < -n:
        return slice(start, None, step)
    return slice(start, end, step)


@handles("Gather")
def gather(node: Node, x: Any, index: Any) -> Any:
    """Rows of a table along an axis: of a matrix's rows it is our `embedding`."""
    axis = node.attributes["axis"] % x.ndim
    if axis == 0 and x.ndim == 2 and x.dtype.kind == "f" and index.ndim:
        return _rows(x, index)
    if isinstance(index, np.ndarray) and not index.ndim:
        index = int(index)
    return ops.getitem(x, (slice(None),) * axis + (index,))


def _rows(x: Any, index: Any) -> Any:
    """Rows by their numbers, of which those below 0 count from the end."""
    try:
        return ops.embedding(x, index)
    except OpError:
        return ops.embedding(x, _counted(index, x.shape[0]))


def _counted(index: Any, n: int) -> Any:
    """Indices from 0: negative ones count from the end."""
    return ops.where(ops.less(index, 0), ops.add(index, n), index)


@handles("GatherElements")
def gather_elements(node: Node, x: Any, index: Any) -> Any:
    axis = node.attributes["axis"] % x.ndim
    if x.ndim != index.ndim:
        refuse(node, f"an index of {index.ndim} axes into {x.ndim}")
    ends = [slice(n) for n in index.shape]
    ends[axis] = slice(None)
    if any(n != m for i, (n, m) in enumerate(zip(index.shape, x.shape, strict=True)) if i != axis):
        x = ops.getitem(x, tuple(ends))  # of the other axes the index may take less
    return ops.take_along_axis(x, index, axis)


def _places(index: Array, axis: int) -> tuple[Any, ...]:
    """The full index of each element whose place along an axis is given."""
    places: list[Any] = list(np.ogrid[tuple(map(slice, index.shape))])
    places[axis] = index
    return tuple(places)


@handles("GatherND")
def gather_nd(node: Node, x: Any, index: Any) -> Any:
    batch = node.attributes.get("batch_dims", 0)
    indices = plain(index)
    if not batch:
        return ops.getitem(x, tuple(np.moveaxis(indices, -1, 0)))
    rows = np.ogrid[tuple(map(slice, x.shape[:batch]))]
    behind = indices.ndim - 1 - batch
    rows = [row.reshape((*row.shape, *(1,) * behind)) for row in rows]
    return ops.getitem(x, (*rows, *np.moveaxis(indices, -1, 0)))


@handles("ScatterElements", "Scatter")
def scatter_elements(node: Node, x: Any, index: Any, updates: Any) -> Any:
    axis = node.attributes["axis"]
    counted = plain(_counted(index, x.shape[axis]))
    return _put(node, x, _places(counted, axis % x.ndim), updates)


@handles("ScatterND")
def scatter_nd(node: Node, x: Any, index: Any, updates: Any) -> Any:
    return _put(node, x, tuple(np.moveaxis(plain(index), -1, 0)), updates)


_REDUCTIONS = {"mul": np.multiply, "max": np.maximum, "min": np.minimum}


def _put(node: Node, x: Any, index: tuple[Any, ...], updates: Any) -> Any:
    """x with updates at an index: in its place, or added to it, or the like."""
    how = node.attributes.get("reduction", "none")
    if how in _REDUCTIONS:

        def reduced(x: Any, updates: Any) -> Any:
            y = x.copy()
            _REDUCTIONS[how].at(y, index, updates)
            return y

        return aside(node, reduced, x, updates)
    if how not in ("none", "add"):
        refuse(node, f"no reduction {how!r}")
    there = converted(ops.scatter([updates], [index], x.shape), x.dtype)
    if how == "add":
        return ops.add(x, there)
    kept = np.ones(x.shape, bool)
    kept[index] = False
    return ops.where(kept, x, there)


@handles("TensorScatter")
def tensor_scatter(node: Node, x: Any, updates: Any, first: Any = None) -> Any:
    """Updates written along an axis of a cache, from a place of each sequence on."""
    axis = node.attributes["axis"] % x.ndim
    starts = np.zeros(x.shape[0], np.int64) if first is None else plain(first)
    count, most = updates.shape[axis], x.shape[axis]
    steps = starts[:, None] + np.arange(count)
    if node.attributes["mode"] == "circular":
        steps %= most
    shape = [1] * x.ndim
    shape[0], shape[axis] = steps.shape
    places = list(np.ogrid[tuple(map(slice, updates.shape))])
    places[axis] = steps.reshape(shape)
    return _put(node, x, tuple(places), updates)


@handles("Pad")
def pad(node: Node, x: Any, pads: Any = None, value: Any = None, axes: Any = None) -> Any:
    given: Any = node.attributes.get("pads") or node.attributes.get("paddings")
    widths = given if pads is None else integers(pads)
    along = range(x.ndim) if axes is None else [axis % x.ndim for axis in integers(axes)]
    whole = [(0, 0)] * x.ndim
    half = len(widths) // 2
    for axis, before, after in zip(along, widths[:half], widths[half:], strict=True):
        whole[axis] = (before, after)
    fill = node.attributes.get("value", 0) if value is None else plain(value).reshape(())
    # A negative width cuts off.
    cuts = tuple(
        slice(max(-before, 0), n - max(-after, 0))
        for n, (before, after) in zip(x.shape, whole, strict=True)
    )
    if any(before < 0 or after < 0 for before, after in whole):
        x = ops.getitem(x, cuts)
    added = [(max(before, 0), max(after, 0)) for before, after in whole]
    sized(node, [n + sum(width) for n, width in zip(x.shape, added, strict=True)])
    return ops.pad(x, added, node.attributes["mode"], np.asarray(fill, x.dtype))


@handles("TopK")
def top_k(node: Node, x: Any, k: Any = None) -> Any:
    axis = node.attributes["axis"] % x.ndim
    count = node.attributes["k"] if k is None else integer(k)
    values = plain(x)
    order = _order(values, axis, bool(node.attributes.get("largest", 1)))
    places = np.take(order, np.arange(count), axis)
    return ops.getitem(x, _places(places, axis)), places.astype(np.int64)


def _order(values: Array, axis: int, largest: bool) -> Array:
    """The places of sorted values, of equal ones the first first."""
    if not largest:
        return np.argsort(values, axis, kind="stable")
    turned = np.flip(values, axis)
    order = np.flip(np.argsort(turned, axis, kind="stable"), axis)
    return values.shape[axis] - 1 - order


@handles("ReverseSequence")
def reverse_sequence(node: Node, x: Any, lengths: Any) -> Any:
    """The first steps of each sequence in reverse, as many as it is long."""
    batch, time = node.attributes["batch_axis"], node.attributes["time_axis"]
    steps = np.arange(x.shape[time])
    ends = plain(lengths)[:, None]
    places = np.where(steps < ends, ends - 1 - steps, steps)
    if batch > time:
        places = places.T
    shape = [1] * x.ndim
    shape[batch], shape[time] = x.shape[batch], x.shape[time]
    places = np.broadcast_to(places.reshape(shape), x.shape)
    return ops.getitem(x, _places(places, time))
