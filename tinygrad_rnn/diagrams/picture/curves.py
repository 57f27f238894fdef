"""Edges as orthogonal paths with rounded corners."""

import math
from collections.abc import Sequence
from itertools import pairwise

from .shapes import Point, Shape

CORNER = 9.0  # radius of a bend
_CIRCLE = 0.5523  # a quarter circle as one Bézier curve: the control points' share of the radius


def rounded(corners: Sequence[Point], most: float = CORNER) -> tuple[Point, ...]:
    """Return the Bézier points of a polyline, its bends rounded with a radius of at most `most`."""
    corners = _bends(corners)
    points = [corners[0]]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        radius = min(most, math.dist(before, corner) / 2, math.dist(corner, after) / 2)
        start, end = _towards(corner, before, radius), _towards(corner, after, radius)
        points += _line(points[-1], start)
        points += [
            _towards(start, corner, radius * _CIRCLE),
            _towards(end, corner, radius * _CIRCLE),
            end,
        ]
    return (*points, *_line(points[-1], corners[-1]))


def beside(corners: Sequence[Point], distance: float) -> list[Point]:
    """Return the orthogonal polyline that runs `distance` to the left of `corners`."""
    corners = _bends(corners)
    normals = [_left_of(a, b) for a, b in pairwise(corners)]
    moved: list[Point] = []
    for index, (x, y) in enumerate(corners):
        around = {normals[max(index - 1, 0)], normals[min(index, len(normals) - 1)]}
        moved.append(
            (x + distance * sum(n[0] for n in around), y + distance * sum(n[1] for n in around))
        )
    return moved


def _left_of(start: Point, end: Point) -> Point:
    length = math.dist(start, end)
    return (start[1] - end[1]) / length, (end[0] - start[0]) / length


def _bends(corners: Sequence[Point]) -> list[Point]:
    """Drop points that are repeated, or in the middle of a straight stretch."""
    kept: list[Point] = []
    for point in corners:
        if kept and math.dist(kept[-1], point) < 0.01:
            continue
        if len(kept) > 1 and _straight(kept[-2], kept[-1], point):
            kept.pop()
        kept.append(point)
    return kept


def _straight(a: Point, b: Point, c: Point) -> bool:
    return abs((b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0])) < 0.01


def _towards(start: Point, end: Point, length: float) -> Point:
    share = length / (math.dist(start, end) or 1)
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _line(start: Point, end: Point) -> list[Point]:
    length = math.dist(start, end)
    return [_towards(start, end, length / 3), _towards(end, start, length / 3), end]


def on_outline(shape: Shape, end: Point, before: Point) -> Point:
    """Move the end of an orthogonal line within a shape to its outline, on the side of `before`."""
    level = abs(end[1] - before[1]) < 0.01
    if level:
        half = _half(shape, shape.width, end[1] - shape.y)
        return shape.x + math.copysign(half, before[0] - shape.x), end[1]
    half = _half(shape, shape.height, end[0] - shape.x)
    return end[0], shape.y + math.copysign(half, before[1] - shape.y)


def _half(shape: Shape, length: float, aside: float) -> float:
    """Half of what a shape measures along a line that passes its middle at a distance."""
    if shape.form == "circle":
        return max((length / 2) ** 2 - aside**2, 0.0) ** 0.5
    return length / 2
