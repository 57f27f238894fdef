"""Reads an SVG as a viewer sees it: groups by class, boxes, and the points along each edge."""

import math
import re
from dataclasses import dataclass
from functools import cache, cached_property
from xml.etree import ElementTree

import numpy as np

SVG = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True)
class Part:
    id: str
    classes: frozenset[str]
    title: str
    texts: tuple[str, ...]
    points: tuple[tuple[float, float], ...]  # of the outline, or along the edge
    round: bool = False

    @cached_property
    def box(self):
        xs, ys = zip(*self.points, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    def covers(self, point, margin):
        """Whether `point` lies inside, the outline moved outwards by `margin`."""
        left, top, right, bottom = self.box
        if self.round:
            return (
                math.dist(point, ((left + right) / 2, (top + bottom) / 2))
                < (right - left) / 2 + margin
            )
        return (
            left - margin < point[0] < right + margin and top - margin < point[1] < bottom + margin
        )


def overlap(a, b):
    """Whether two boxes do, by more than half a point."""
    return a[0] < b[2] - 0.5 and b[0] < a[2] - 0.5 and a[1] < b[3] - 0.5 and b[1] < a[3] - 0.5


def overlapping(ones, others):
    """All pairs of boxes that overlap: the place of the one and of the other."""
    if not (ones and others):
        return []
    low, high = (np.array(ones)[:, None, part] for part in (slice(2), slice(2, 4)))
    low_of_others, high_of_others = (np.array(others)[:, part] for part in (slice(2), slice(2, 4)))
    both = (low < high_of_others - 0.5) & (low_of_others < high - 0.5)
    return np.argwhere(both.all(-1)).tolist()


def overlapping_parts(parts):
    """The ids of all pairs of parts whose boxes overlap."""
    boxes = [part.box for part in parts]
    return [(parts[i].id, parts[j].id) for i, j in overlapping(boxes, boxes) if i < j]


@cache
def picture_of(diagram):
    """A diagram's SVG, read once."""
    return Picture(diagram.svg)


class Picture:
    def __init__(self, svg):
        self.root = ElementTree.fromstring(svg.encode())
        self.size = tuple(
            float(self.root.get(name).removesuffix("pt")) for name in ("width", "height")
        )
        groups = self.root.find(f"{SVG}g").findall(f"{SVG}g")
        # A passage is no part of its own: its edges are.
        self.parts = [_part(group) for group in groups if group.get("class") != "way"]

    def all(self, *classes):
        return [part for part in self.parts if part.classes & set(classes)]

    def ids(self, *classes):
        return [part.id for part in self.all(*classes)]


def _part(group):
    return Part(
        group.get("id"),
        frozenset(group.get("class").split()),
        group.find(f"{SVG}title").text,
        tuple(text.text for text in group.iter(f"{SVG}text")),
        tuple(_points(group)),
        next(group.iter(f"{SVG}ellipse"), None) is not None,
    )


def _points(group):
    for ellipse in group.iter(f"{SVG}ellipse"):
        x, y, rx, ry = (float(ellipse.get(name)) for name in ("cx", "cy", "rx", "ry"))
        yield from ((x - rx, y - ry), (x + rx, y + ry))
    paths = [path.get("d") for path in group.iter(f"{SVG}path")]
    if "edge" in group.get("class"):
        for path in paths:
            yield from _along(_numbers(path))
    else:
        paths += [polygon.get("points") for polygon in group.iter(f"{SVG}polygon")]
        for path in paths:
            yield from _numbers(path)


def _numbers(path):
    numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", path)]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _along(points, steps=12):
    """Points on the Bézier curves, not their control points."""
    yield points[0]
    for start in range(0, len(points) - 1, 3):
        (x0, y0), (x1, y1), (x2, y2), (x3, y3) = points[start : start + 4]
        for step in range(1, steps + 1):
            t = step / steps
            a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
            yield a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3
