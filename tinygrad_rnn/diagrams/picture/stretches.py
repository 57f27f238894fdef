"""Ways that lie on each other for a stretch: the strongest of them is drawn there, once.

Graphviz does not let us say which of two edges is drawn over the other, so no two may lie on each
other.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from .lanes import HERE
from .shapes import Edge, Point

_EARLY, _MOST = 4.0, 0.84  # before a bend of another way; how much is left of one's own

_Segment = Sequence[Point]


def drawn_once(ways: Collection[tuple[Edge, float]]) -> list[Edge]:
    """Return ways back so that no two lie on each other where they start or end together.

    The strongest, by the numbers given, is drawn there. Each is compared with the nearest stronger
    one on either side alone: a thousand take no longer than they must.
    """
    edges = {edge.id: edge for edge, _ in ways}
    ranks = {edge.id: (strength, edge.id) for edge, strength in ways}
    for start in (True, False):
        for group in _groups(edges.values(), start=start):
            for edge, stronger in _with_stronger(group, ranks):
                edges[edge.id] = _cut_short(edge, stronger, start=start)
    return list(edges.values())


def _groups(edges: Iterable[Edge], *, start: bool) -> Iterable[list[Edge]]:
    """The edges that start together, or that end together, in the order of their other ends."""
    groups: defaultdict[str, list[Edge]] = defaultdict(list)
    for edge in edges:
        together = edge.source if start else edge.target
        groups[together].append(edge)
    for group in groups.values():
        group.sort(key=lambda edge: edge.points[-1 if start else 0])
    return groups.values()


def _with_stronger(
    edges: Sequence[Edge], ranks: Mapping[str, tuple[float, str]]
) -> Iterator[tuple[Edge, list[Edge]]]:
    """Yield each edge with the nearest one of a higher rank before it and after it."""
    found: dict[str, list[Edge]] = {edge.id: [] for edge in edges}
    for way in (edges, edges[::-1]):
        higher: list[Edge] = []
        for edge in way:
            while higher and ranks[higher[-1].id] < ranks[edge.id]:
                higher.pop()
            found[edge.id] += higher[-1:]
            higher.append(edge)
    return ((edge, found[edge.id]) for edge in edges)


def _cut_short(edge: Edge, stronger: Iterable[Edge], *, start: bool) -> Edge:
    """Return an edge without what it shares with stronger ones, at its start or at its end."""
    turn = -1 if start else 1
    kept = [joined(edge.points[::turn], other.points[::turn]) for other in stronger]
    shortest = min(filter(None, kept), key=_length, default=None)
    if shortest is None:
        return edge
    return replace(edge, points=shortest[::turn], arrow=edge.arrow and start)


def joined(points: Sequence[Point], other: Sequence[Point]) -> tuple[Point, ...] | None:
    """Return a curve as far as where it joins another that ends where it does, if it does."""
    ours, others = _segments(points)[::-1], _segments(other)[::-1]
    shared = 0
    while shared < min(len(ours), len(others)) and _same(ours[shared], others[shared]):
        shared += 1
    rest = ours[shared:]
    own = rest if shared else []
    if rest and shared < len(others) and (shared or _same(rest[0][3:], others[0][3:])):
        own = _off_the_straight(rest, others[shared]) or own
    if not own:
        return None
    return own[-1][0], *(point for segment in reversed(own) for point in segment[1:])


def _off_the_straight(rest: list[_Segment], other: _Segment) -> list[_Segment]:
    """Return what is left of segments whose last lies on another straight line; the last one first.

    It ends a little before the two are one, where the wider line covers its end already.
    """
    (start, *_, end), begin = rest[0], other[0]
    ours, others = (math.dist(point, end) for point in (start, begin))
    if not (_is_straight(rest[0]) and _is_straight(other)):
        return []
    if math.dist(_between(end, start, others / ours), begin) > HERE:
        return []
    if ours > others + HERE:
        stop = _between(begin, start, min(_EARLY / (ours - others), 0.5))
        return [
            (start, _between(start, stop, 1 / 3), _between(start, stop, 2 / 3), stop),
            *rest[1:],
        ]
    return [_most_of(bend) for bend in rest[1:2]] + rest[2:]


def _most_of(segment: _Segment) -> _Segment:
    """Return a Bézier segment without its last part (de Casteljau)."""
    ab, bc, cd = (_between(p, q, _MOST) for p, q in pairwise(segment))
    abc, bcd = _between(ab, bc, _MOST), _between(bc, cd, _MOST)
    return segment[0], ab, abc, _between(abc, bcd, _MOST)


def _segments(points: Sequence[Point]) -> list[_Segment]:
    """The Bézier segments of a curve, without those that lead nowhere."""
    found = [points[first : first + 4] for first in range(0, len(points) - 1, 3)]
    return [segment for segment in found if math.dist(segment[0], segment[3]) > HERE]


def _same(a: _Segment, b: _Segment) -> bool:
    return all(math.dist(p, q) < HERE for p, q in zip(a, b, strict=True))


def _is_straight(segment: _Segment) -> bool:
    return abs(_length(segment) - math.dist(segment[0], segment[3])) < 0.01


def _length(points: Sequence[Point]) -> float:
    """Return how long a curve is, as far as it matters for comparing it with a part of it."""
    return sum(math.dist(a, b) for a, b in pairwise(points))


def _between(a: Point, b: Point, share: float) -> Point:
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share
