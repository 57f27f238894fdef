"""Leaves that are a part of another leaf: `xs[3]` beside `xs`, told by where they lie in memory."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from math import gcd
from typing import NamedTuple

import numpy as np

from ....autograd.origin import Origin
from ...recording.graph import Node

# So many arrays that are larger are tried for one: of a program's arrays few lie in one memory.
_TRIED_MOST = 4


class Part(NamedTuple):
    """Slice `place` of an axis of a leaf."""

    whole: Node
    axis: int
    place: int


def parts_among(leaves: Iterable[Node]) -> dict[Node, Part]:
    """The leaves that are one slice of another one."""
    by_memory: defaultdict[int, list[tuple[Node, Origin]]] = defaultdict(list)
    for leaf in leaves:
        if leaf.is_parameter or leaf.is_gone:
            continue
        for origin in _origins(leaf):
            by_memory[id(origin.owner)].append((leaf, origin))
    found: dict[Node, Part] = {}
    for together in by_memory.values():
        if len(together) < 2:
            continue
        largest = sorted(together, key=lambda one: one[0].size, reverse=True)[:_TRIED_MOST]
        for leaf, origin in together:
            for whole, other in largest:
                part = _part(leaf, origin, whole, other) if whole.size > leaf.size else None
                if part is not None and leaf not in found:
                    found[leaf] = part
    return found


def siblings_among(leaves: Iterable[Node]) -> list[dict[Node, int]]:
    """The leaves that are slices of one array, together: and how many slices each one is on."""
    alike: defaultdict[Hashable, list[tuple[Node, int]]] = defaultdict(list)
    for leaf in leaves:
        if leaf.is_parameter or leaf.is_gone:
            continue
        for origin in _origins(leaf):
            key = id(origin.owner), origin.dtype, origin.shape, origin.strides
            alike[key].append((leaf, origin.address))
    found: list[dict[Node, int]] = []
    for together in alike.values():
        first = min(address for _, address in together)
        step = gcd(*(address - first for _, address in together))
        if step:
            found.append({leaf: (address - first) // step for leaf, address in together})
    return found


def _origins(leaf: Node) -> Iterator[Origin]:
    """The program's array that it was, and its own copy of that: results are views of the copy."""
    own = Origin.of(leaf.data)
    for origin in (leaf.origin, own):
        if origin is not None and origin.shape:
            yield origin if origin.address else origin._replace(address=_address(origin))


def _address(origin: Origin) -> int:
    """Where an array begins that has its memory for itself; 0 where it is gone."""
    array = origin.owner()
    return 0 if array is None else array.__array_interface__["data"][0]


def _part(leaf: Node, origin: Origin, whole: Node, other: Origin) -> Part | None:
    if not origin.address or not other.address or origin.dtype != other.dtype:
        return None
    if origin.owner is not other.owner:
        return None
    offset = origin.address - other.address
    for axis, (n, stride) in enumerate(zip(other.shape, other.strides, strict=True)):
        if n < 2 or stride <= 0 or offset % stride or not 0 <= offset // stride < n:
            continue
        place = offset // stride
        if _layout(origin) == _layout(other, axis) and _holds(leaf, whole, axis, place):
            return Part(whole, axis, place)
    return None


def _layout(origin: Origin, left_out: int = -1) -> list[tuple[int, int]]:
    """Length and stride of each axis that is longer than 1."""
    axes = enumerate(zip(origin.shape, origin.strides, strict=True))
    return [(n, stride) for axis, (n, stride) in axes if n > 1 and axis != left_out]


def _holds(leaf: Node, whole: Node, axis: int, place: int) -> bool:
    """Whether the numbers are the same, as they were when each was read."""
    part = np.take(whole.data, place, axis)
    return part.size == leaf.size and part.tobytes() == leaf.data.tobytes()
