"""Two lanes along one line, forward thin and grey, back coloured: a curve beside another."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from .shapes import Edge, Point, Shape

# Of either lane from the middle: between copies, there beside one that comes around, and where they
# are opened.
LANE_DISTANCE, LANE_CROWDED, LANE_INSIDE = 8.0, 4.0, 5.0
LANE_WIDTH = 1.0  # of what carries no gradient

HERE = 0.05  # points nearer to each other than that are one
_NEAR = 16.0  # as far as the end of a lane may be from the outline that it is led to
_ROUND = 8.0  # of a box's side, at its corners


def lanes_of(
    edges: Iterable[Edge], shapes: Mapping[str, Shape], single: Collection[str]
) -> tuple[tuple[Edge, ...], tuple[Edge, ...]]:
    """Return the forward lane of each edge, and the way back of all but those in `single`.

    The way back still has the look of the way forward.
    """
    forward: list[Edge] = []
    back: list[Edge] = []
    for edge in edges:
        grey = replace(edge, color="muted", width=LANE_WIDTH)
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


def _beside(
    points: Sequence[Point], distance: float, source: Shape | None, target: Shape | None
) -> tuple[Point, ...]:
    """A curve beside another, its ends on the outlines of the shapes that it joins."""
    moved = list(curve_beside(points, distance))
    if source:
        moved[:2] = _led_to(source, moved[0], moved[1])
    if target:
        moved[-1:-3:-1] = _led_to(target, moved[-1], moved[-2])
    return tuple(moved)


def _led_to(shape: Shape, end: Point, handle: Point) -> tuple[Point, Point]:
    """Move the end of a curve and its handle onto a shape's outline, if that is near."""
    direction = _unit(_minus(end, handle))
    seen = _minus(end, (shape.x, shape.y))
    on_outline = _on_circle if shape.form == "circle" else _on_box
    x, y = on_outline(shape, seen, direction)
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
    """Return where a line meets a box, or passes it, off its corners; seen from its middle."""
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
    legs = [_minus(b, a) for a, b in pairwise(points) if math.dist(a, b) > HERE]
    legs = legs or [_minus(end, start)]
    ends = [_aside(start, legs[0], distance), _aside(end, legs[-1], distance)]
    chord, moved = _minus(end, start), _minus(ends[1], ends[0])
    growth = (chord[0] * moved[0] + chord[1] * moved[1]) / (chord[0] ** 2 + chord[1] ** 2 or 1.0)
    handles = [_grown(ends[0], _minus(one, start), growth)]
    handles.append(_grown(ends[1], _minus(other, end), growth))
    return [ends[0], *handles, ends[1]]


def _grown(end: Point, handle: Point, growth: float) -> Point:
    return end[0] + growth * handle[0], end[1] + growth * handle[1]


def _minus(a: Point, b: Point) -> Point:
    return a[0] - b[0], a[1] - b[1]


def _aside(point: Point, direction: Point, distance: float) -> Point:
    x, y = _unit(direction)
    return point[0] - y * distance, point[1] + x * distance


def _unit(vector: Point) -> Point:
    size = math.hypot(*vector) or 1.0
    return vector[0] / size, vector[1] / size
