"""Reductions, and what runs along an axis."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...autograd import ops
from ...autograd.tensor import Tensor
from ..reading.graph import Node
from .elementwise import converted
from .registry import HANDLERS, handles
from .values import aside, integer, integers


def _axes(node: Node, x: Any, axes: Any) -> tuple[int, ...] | None:
    """The axes that are reduced; None: the values stay as they are."""
    given = node.attributes.get("axes") if axes is None else integers(axes)
    if given:
        return tuple(given)
    if node.attributes.get("noop_with_empty_axes"):
        return None
    return tuple(range(x.ndim))


def _reduction(
    function: Callable[..., Tensor], before: Any = None, after: Any = None
) -> Callable[..., Any]:
    """The handler of a reduction: of a function of each number, then another of the result."""

    def handler(node: Node, x: Any, axes: Any = None) -> Any:
        dtype, reduced = x.dtype, _axes(node, x, axes)
        x = x if before is None else before(x)
        if reduced is not None:
            x = function(x, reduced, bool(node.attributes["keepdims"]))
        return converted(x if after is None else after(x), dtype)

    return handler


def _largest(x: Any, axes: Any, keepdims: bool) -> Any:
    return _extremum(ops.max, -1, x, axes, keepdims)


def _smallest(x: Any, axes: Any, keepdims: bool) -> Any:
    return _extremum(ops.min, 1, x, axes, keepdims)


def _extremum(function: Callable[..., Tensor], side: int, x: Any, axes: Any, keepdims: bool) -> Any:
    if all(x.shape[axis] for axis in axes):
        return function(x, axes, keepdims)
    # of no numbers: the end of the dtype's range
    if x.dtype.kind == "f":
        end: Any = side * np.inf
    elif x.dtype.kind == "b":
        end = side > 0
    else:
        info = np.iinfo(x.dtype)
        end = info.max if side > 0 else info.min
    return np.full(np.sum(np.zeros(x.shape), axes, keepdims=keepdims).shape, end, x.dtype)


def _logsumexp(x: Any, axes: Any, keepdims: bool) -> Any:
    if not all(x.shape[axis] for axis in axes):
        return ops.log(ops.sum(x, axes, keepdims))
    return ops.logsumexp(x, axes, keepdims)


HANDLERS.update(
    {
        ("", "ReduceSum"): _reduction(ops.sum),
        ("", "ReduceMean"): _reduction(ops.mean),
        ("", "ReduceProd"): _reduction(ops.prod),
        ("", "ReduceMax"): _reduction(_largest),
        ("", "ReduceMin"): _reduction(_smallest),
        ("", "ReduceL1"): _reduction(ops.sum, before=ops.abs),
        ("", "ReduceL2"): _reduction(ops.sum, before=ops.square, after=ops.sqrt),
        ("", "ReduceSumSquare"): _reduction(ops.sum, before=ops.square),
        ("", "ReduceLogSum"): _reduction(ops.sum, after=ops.log),
        ("", "ReduceLogSumExp"): _reduction(_logsumexp),
    }
)


@handles("ArgMax")
def argmax(node: Node, x: Any) -> Any:
    return _place(ops.argmax, node, x)


@handles("ArgMin")
def argmin(node: Node, x: Any) -> Any:
    return _place(ops.argmin, node, x)


def _place(function: Callable[..., Tensor], node: Node, x: Any) -> Any:
    axis, keepdims = node.attributes["axis"], bool(node.attributes["keepdims"])
    if node.attributes.get("select_last_index"):
        return ops.sub(x.shape[axis] - 1, function(ops.flip(x, axis), axis, keepdims))
    return function(x, axis, keepdims)


@handles("CumSum")
def cumsum(node: Node, x: Any, axis: Any) -> Any:
    return _running(ops.cumsum, 0, node, x, integer(axis))


@handles("CumProd")
def cumprod(node: Node, x: Any, axis: Any) -> Any:
    def along(x: Any, axis: int) -> Any:
        return aside(node, lambda x: np.cumprod(x, axis, x.dtype), x)

    return _running(along, 1, node, x, integer(axis))


def _running(function: Callable[..., Any], start: int, node: Node, x: Any, axis: int) -> Any:
    dtype, reverse = x.dtype, node.attributes["reverse"]
    if reverse:
        x = ops.flip(x, axis)
    if node.attributes["exclusive"]:
        axis = axis % x.ndim
        widths = [(int(i == axis), 0) for i in range(x.ndim)]
        whole = (slice(None),) * axis + (slice(0, x.shape[axis]),)
        x = ops.pad(x, widths, "constant", start)[whole]
    y = converted(function(x, axis), dtype)
    return ops.flip(y, axis) if reverse else y
