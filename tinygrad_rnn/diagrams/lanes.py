"""Two lanes along one line, forward thin and grey, the way back coloured: how a curve runs beside another."""

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from .diagram import Edge, Point, Shape
from .theme import Theme

LANE_DISTANCE, LANE_INSIDE = 8.0, 5.0  # of either lane from the middle: between copies, and where they are opened
LANE_WIDTH = 1.0  # of what carries no gradient

_NEAR = 16.0  # as far as the end of a lane may be from the outline that it is led to
_ROUND = 8.0  # of a box's side, at its corners
_EARLY, _MOST = 4.0, 0.84  # before a bend of another way; how much is left of one's own
_HERE = 0.05  # points nearer to each other than that are one

_Segment = Sequence[Point]


def with_lanes(
    edges: Iterable[Edge], shapes: Mapping[str, Shape], single: Collection[str], theme: Theme
) -> tuple[tuple[Edge, ...], tuple[Edge, ...]]:
    """Return the forward lane of each edge, and of all but those in `single` the way back, still without its look."""
    forward: list[Edge] = []
    back: list[Edge] = []
    for edge in edges:
        grey = replace(edge, color=theme.muted, width=LANE_WIDTH)
        ends = shapes.get(edge.source), shapes.get(edge.target)
        if edge.id in single:
            forward.append(replace(grey, points=_beside(edge.points, 0.0, *ends)))
            continue
        forward.append(replace(grey, points=_beside(edge.points, LANE_INSIDE, *ends)))
        points = _beside(edge.points, -LANE_INSIDE, *ends)[::-1]
        back.append(
            replace(
                grey,
                id=f"gradient-{edge.id}",
                cls="gradient",
                source=edge.target,
                target=edge.source,
                points=points,
                label=None,
                arrow=bool(edge.source),
            )
        )
    return tuple(forward), tuple(back)


def curve_beside(points: Sequence[Point], distance: float) -> tuple[Point, ...]:
    """Return the Bézier curve that runs `distance` to the left of another, seen along it.

    >>> curve_beside([(0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (3.0, 0.0)], 2.0)
    ((0.0, 2.0), (1.0, 2.0), (2.0, 2.0), (3.0, 2.0))
    """
    moved: list[Point] = []
    for first in range(0, len(points) - 1, 3):
        start, *others = _segment_beside(points[first : first + 4], distance)
        if moved:
            moved[-1] = ((moved[-1][0] + start[0]) / 2, (moved[-1][1] + start[1]) / 2)
            moved += others
        else:
            moved = [start, *others]
    return tuple(moved)


def joined(points: Sequence[Point], other: Sequence[Point]) -> tuple[Point, ...] | None:
    """Return a curve as far as where it joins another, that ends where it does; None where they share no stretch.

    Graphviz does not let us say which of two edges is drawn over the other, so they must not lie on each other.
    """
    ours, others = _segments(points)[::-1], _segments(other)[::-1]
    shared = 0
    while shared < min(len(ours), len(others)) and _same(ours[shared], others[shared]):
        shared += 1
    rest = ours[shared:]
    if rest and shared < len(others) and (shared or _same(rest[0][3:], others[0][3:])):
        rest = _off_the_straight(rest, others[shared]) or (rest if shared else [])
    elif not shared:
        rest = []
    return (rest[-1][0], *(point for segment in reversed(rest) for point in segment[1:])) if rest else None


def drawn_once(ways: Collection[tuple[Edge, float]]) -> list[Edge]:
    """Return ways back with these strengths so that no two lie on each other where they start or end together.

    The strongest is drawn there. Of each only the nearest stronger ones are looked at, on either side, so that a
    thousand of them take no longer than they must.
    """
    edges = {edge.id: edge for edge, _ in ways}
    ranks = {edge.id: (strength, edge.id) for edge, strength in ways}
    for start in (True, False):
        groups: defaultdict[str, list[Edge]] = defaultdict(list)
        for edge in edges.values():
            groups[edge.source if start else edge.target].append(edge)
        for group in groups.values():
            group.sort(key=lambda edge: edge.points[-1 if start else 0])
            for edge, stronger in _with_stronger(group, ranks):
                edges[edge.id] = _cut_short(edge, stronger, start=start)
    return list(edges.values())


def _with_stronger(edges: Sequence[Edge], ranks: Mapping[str, tuple[float, str]]) -> Iterator[tuple[Edge, list[Edge]]]:
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


def _length(points: Sequence[Point]) -> float:
    """Return how long a curve is, as far as it matters for comparing it with a part of it."""
    return sum(math.dist(a, b) for a, b in pairwise(points))


def _segments(points: Sequence[Point]) -> list[_Segment]:
    """The Bézier segments of a curve, without those that lead nowhere."""
    found = [points[first : first + 4] for first in range(0, len(points) - 1, 3)]
    return [segment for segment in found if math.dist(segment[0], segment[3]) > _HERE]


def _same(a: _Segment, b: _Segment) -> bool:
    return all(math.dist(p, q) < _HERE for p, q in zip(a, b, strict=True))


def _off_the_straight(rest: list[_Segment], other: _Segment) -> list[_Segment]:
    """Return what is left of segments, the last one first, whose last is on the same straight line as another.

    It ends a little before the two are one, where the wider line covers its end already.
    """
    (start, *_, end), begin = rest[0], other[0]
    ours, others = (math.dist(point, end) for point in (start, begin))
    if not (_is_straight(rest[0]) and _is_straight(other)):
        return []
    if math.dist(_between(end, start, others / ours), begin) > _HERE:
        return []
    if ours > others + _HERE:
        stop = _between(begin, start, min(_EARLY / (ours - others), 0.5))
        return [(start, _between(start, stop, 1 / 3), _between(start, stop, 2 / 3), stop), *rest[1:]]
    bend, *before = rest[1:] or [()]
    return [_most_of(bend), *before] if bend else []


def _most_of(segment: _Segment) -> _Segment:
    """Return a Bézier segment without its last part (de Casteljau)."""
    ab, bc, cd = (_between(p, q, _MOST) for p, q in pairwise(segment))
    abc, bcd = _between(ab, bc, _MOST), _between(bc, cd, _MOST)
    return segment[0], ab, abc, _between(abc, bcd, _MOST)


def _is_straight(segment: _Segment) -> bool:
    return abs(_length(segment) - math.dist(segment[0], segment[3])) < 0.01


def _between(a: Point, b: Point, share: float) -> Point:
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share


def _beside(points: Sequence[Point], distance: float, source: Shape | None, target: Shape | None) -> tuple[Point, ...]:
    """A curve beside another, its ends on the outlines of the shapes that it joins."""
    moved = list(curve_beside(points, distance))
    if source:
        moved[:2] = _led_to(source, moved[0], moved[1])
    if target:
        moved[-1:-3:-1] = _led_to(target, moved[-1], moved[-2])
    return tuple(moved)


def _led_to(shape: Shape, end: Point, handle: Point) -> tuple[Point, Point]:
    """Move the end of a curve and the handle before it, so that it ends on a shape's outline, if that is near."""
    direction = _unit(_minus(end, handle))
    seen = _minus(end, (shape.x, shape.y))
    x, y = (_on_circle if shape.form == "circle" else _on_box)(shape, seen, direction)
    shift = _minus((shape.x + x, shape.y + y), end)
    if math.hypot(*shift) > _NEAR:
        return end, handle
    return (end[0] + shift[0], end[1] + shift[1]), (handle[0] + shift[0], handle[1] + shift[1])


def _on_circle(shape: Shape, end: Point, direction: Point) -> Point:
    """Return where a line meets a circle; all points are seen from its middle."""
    along = end[0] * direction[0] + end[1] * direction[1]
    inside = along**2 - end[0] ** 2 - end[1] ** 2 + (shape.width / 2) ** 2
    way = -along - max(inside, 0.0) ** 0.5
    return end[0] + way * direction[0], end[1] + way * direction[1]


def _on_box(shape: Shape, end: Point, direction: Point) -> Point:
    """Return where a line meets a box, or passes it, but not at one of its round corners; seen from its middle."""
    half = shape.width / 2, shape.height / 2
    level = abs(end[0]) - half[0] > abs(end[1]) - half[1]
    side, other = (0, 1) if level else (1, 0)
    edge = math.copysign(half[side], end[side])
    aside = (edge - end[side]) * direction[other] / (direction[side] or 1.0)
    aside = min(max(aside, -_ROUND), _ROUND)  # of a line that hardly comes nearer
    most = half[other] - _ROUND
    at = min(max(end[other] + aside, -most), most)
    return (edge, at) if level else (at, edge)


def _segment_beside(points: Sequence[Point], distance: float) -> list[Point]:
    """A Bézier curve whose ends are moved, and whose handles grow as what is between the ends does.

    So an arc of a circle stays one, with the same centre.
    """
    start, one, other, end = points
    legs = [leg for a, b in pairwise(points) if math.hypot(*(leg := _minus(b, a))) > _HERE] or [_minus(end, start)]
    ends = [_aside(start, legs[0], distance), _aside(end, legs[-1], distance)]
    chord, moved = _minus(end, start), _minus(ends[1], ends[0])
    growth = (chord[0] * moved[0] + chord[1] * moved[1]) / (chord[0] ** 2 + chord[1] ** 2 or 1.0)
    handles = _minus(one, start), _minus(other, end)
    return [ends[0], *((x + growth * a, y + growth * b) for (x, y), (a, b) in zip(ends, handles, strict=True)), ends[1]]


def _minus(a: Point, b: Point) -> Point:
    return a[0] - b[0], a[1] - b[1]


def _aside(point: Point, direction: Point, distance: float) -> Point:
    x, y = _unit(direction)
    return point[0] - y * distance, point[1] + x * distance


def _unit(vector: Point) -> Point:
    size = math.hypot(*vector) or 1.0
    return vector[0] / size, vector[1] / size
