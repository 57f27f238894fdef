"""Windows that slide over axes of space: convolutions and pools."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...autograd import ops
from ...autograd.tensor import Tensor
from ..reading.graph import Node
from .registry import handles
from .values import refuse, sized


@dataclass(frozen=True, slots=True)
class _Windows:
    """Where windows of a shape lie on padded axes of space.

    Args:
        kernel: the shape of a window.
        strides: from one window to the next.
        dilations: from one of its elements to the next.
        pads: (before, after) of each axis.
        counts: how many windows along each axis.
    """

    kernel: Sequence[int]
    strides: Sequence[int]
    dilations: Sequence[int]
    pads: Sequence[tuple[int, int]]
    counts: Sequence[int]

    @classmethod
    def of(cls, node: Node, space: Sequence[int], kernel: Sequence[int]) -> "_Windows":
        """The windows that a node's attributes describe."""
        n, attributes = len(space), node.attributes
        if len(kernel) != n or min(kernel, default=1) < 1:
            refuse(node, f"a kernel of shape {tuple(kernel)} over {n} axes")
        strides = attributes.get("strides") or [1] * n
        dilations = attributes.get("dilations") or [1] * n
        if min(*strides, *dilations, 1) < 1:
            refuse(node, "strides and dilations are at least 1")
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        pads = _pads(node, space, reach, strides)
        up = bool(attributes.get("ceil_mode"))
        sizes = zip(space, pads, reach, strides, strict=True)
        counts = [_count(size, pad, span, stride, up) for size, pad, span, stride in sizes]
        if min(counts, default=1) < 1:
            refuse(node, f"no window of {tuple(reach)} fits into {tuple(space)}")
        return cls(kernel, strides, dilations, pads, counts)

    def padded(self, node: Node, x: Any, fill: float) -> Any:
        """x with borders, so wide that every window lies inside."""
        widths = [(0, 0), (0, 0)]
        ends = zip(self.kernel, self.dilations, self.strides, self.counts, strict=True)
        needed = [(c - 1) * s + (k - 1) * d + 1 for k, d, s, c in ends]
        for size, (before, after), whole in zip(x.shape[2:], self.pads, needed, strict=True):
            widths.append((before, max(after, whole - size - before)))
        if not any(itertools.chain(*widths)):
            return x
        sized(node, [n + sum(width) for n, width in zip(x.shape, widths, strict=True)])
        return ops.pad(x, widths, "constant", np.asarray(fill, x.dtype))

    def elements(self, x: Any) -> list[Tensor]:
        """Of padded x the first element of every window, then the second, and so on."""
        return [
            ops.getitem(x, (slice(None), slice(None), *self._slices(offsets)))
            for offsets in itertools.product(*map(range, self.kernel))
        ]

    def _slices(self, offsets: Sequence[int]) -> list[slice]:
        rows = zip(offsets, self.dilations, self.strides, self.counts, strict=True)
        return [slice(o * d, o * d + (c - 1) * s + 1, s) for o, d, s, c in rows]


def _count(size: int, pad: tuple[int, int], span: int, stride: int, up: bool) -> int:
    free = size + sum(pad) - span
    count = (-(-free // stride) if up else free // stride) + 1
    # The last window must begin inside, or in the border before.
    if up and (count - 1) * stride >= size + pad[0]:
        count -= 1
    return count


def _pads(
    node: Node, space: Sequence[int], reach: Sequence[int], strides: Sequence[int]
) -> list[tuple[int, int]]:
    how, n = node.attributes.get("auto_pad", "NOTSET"), len(space)
    if how == "VALID":
        return [(0, 0)] * n
    if how == "NOTSET":
        given = node.attributes.get("pads") or [0] * (2 * n)
        return list(zip(given[:n], given[n:], strict=True))
    pads: list[tuple[int, int]] = []
    for size, span, stride in zip(space, reach, strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + span - size, 0)
        small, large = total // 2, total - total // 2
        pads.append((small, large) if how == "SAME_UPPER" else (large, small))
    return pads


@handles("Conv")
def conv(node: Node, x: Any, weight: Any, bias: Any = None) -> Any:
    """Sum over channels and the elements of a window: x (B, C, …), weight (O, C / groups, …)."""
    if x.dtype == np.float16:  # whose sums are kept in more digits
        wide = (
            None if part is None else ops.astype(part, np.float32) for part in (x, weight, bias)
        )
        return ops.astype(conv(node, *wide), np.float16)
    windows = _Windows.of(node, x.shape[2:], weight.shape[2:])
    elements = ops.stack(windows.elements(windows.padded(node, x, 0.0)), 2)
    groups, space = node.attributes["group"], len(windows.kernel)
    batch, channels, count = elements.shape[:3]
    outputs = weight.shape[0]
    if channels != weight.shape[1] * groups or outputs % groups:
        refuse(node, f"{channels} channels in {groups} groups, weight {weight.shape}")
    at = windows.counts
    grouped = ops.reshape(elements, (batch, groups, channels // groups * count, *at))
    rows = ops.reshape(weight, (groups, outputs // groups, -1))
    letters = "xyzuvw"[:space]
    y = ops.einsum(f"bgk{letters},gok->bgo{letters}", grouped, rows)
    y = ops.reshape(y, (batch, outputs, *at))
    return y if bias is None else ops.add(y, ops.reshape(bias, (-1, *(1,) * space)))


@handles("MaxPool")
def max_pool(node: Node, x: Any) -> Any:
    if node.has_output(1):
        refuse(node, "the places of the largest are not here")
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    windows = _Windows.of(node, x.shape[2:], node.attributes["kernel_shape"])
    return ops.max(ops.stack(windows.elements(windows.padded(node, x, lowest))), 0)


@handles("AveragePool")
def average_pool(node: Node, x: Any) -> Any:
    windows = _Windows.of(node, x.shape[2:], node.attributes["kernel_shape"])
    total = ops.sum(ops.stack(windows.elements(windows.padded(node, x, 0.0))), 0)
    ones = np.ones((1, 1, *x.shape[2:]), x.dtype)
    if node.attributes.get("count_include_pad"):
        # What ceil_mode adds behind the border does not count.
        ones = np.pad(ones, [(0, 0), (0, 0), *windows.pads], constant_values=1)
        bare = _Windows(
            windows.kernel, windows.strides, windows.dilations,
            [(0, 0)] * len(windows.kernel), windows.counts,
        )  # fmt: skip
        counted = bare.elements(bare.padded(node, ones, 0.0))
    else:
        counted = windows.elements(windows.padded(node, ones, 0.0))
    return ops.div(total, ops.sum(ops.stack(counted), 0).data)


@handles("GlobalAveragePool")
def global_average_pool(node: Node, x: Any) -> Any:
    return ops.mean(x, tuple(range(2, x.ndim)), True)


@handles("GlobalMaxPool")
def global_max_pool(node: Node, x: Any) -> Any:
    return ops.max(x, tuple(range(2, x.ndim)), True)
