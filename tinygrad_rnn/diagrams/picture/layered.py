"""Wires through the ranks of a large graph, where dot's own routing would take minutes.

Nodes stand in ranks, one above the other. A value that is read further up gets a place in every
rank that it passes, so that nothing stands there; in between, where there are no nodes, wires bend.
A value has one trunk, however many read it.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from .dot_process import Arrangement, Wanted, laid_out
from .lanes import HERE
from .shapes import Point

_TRUNK = 6.0  # points that a wire needs where it passes a rank
_SPREAD = 0.6  # of a node's width, in which its wires end
_HEAD = 14.0  # points of a straight end, for the arrowhead
_SAME_RANK = 1.0  # points by which the middles of one rank may differ


@dataclass(frozen=True)
class _Passing:
    """Where a value passes a rank, or where one wire of it does that has a label."""

    source: Hashable
    rank: int
    edge: int | None = None


def passes(found: Arrangement, edges: Sequence[tuple[Hashable, Hashable]]) -> int:
    """Return how many ranks all edges of a layout pass, taken together."""
    rank = _ranks(found.nodes)
    return sum(max(rank[target] - rank[source] - 1, 0) for source, target in edges)


def _ranks(nodes: Mapping[Any, Point]) -> dict[Any, int]:
    """Number the ranks of a layout from the bottom."""
    ranks: dict[Any, int] = {}
    number, height = -1, -math.inf
    for node, (_, y) in sorted(nodes.items(), key=lambda item: item[1][1]):
        if y > height + _SAME_RANK:
            number, height = number + 1, y
        ranks[node] = number
    return ranks


def through_the_ranks(wanted: Wanted, found: Arrangement, seconds: float) -> Arrangement:
    """Return a layout with the ranks of one that was found.

    Raises:
        DrawError: it took longer than so many seconds, or Graphviz failed.
    """
    ways = _ways(wanted, _ranks(found.nodes))
    sizes: dict[Any, tuple[float, float]] = dict(wanted.sizes)
    steps: dict[tuple[Hashable, Hashable], None] = {}
    for number, way in enumerate(ways):
        label = wanted.labels[number] if number < len(wanted.labels) else None
        for stop in way[1:-1]:
            sizes[stop] = (_TRUNK, _TRUNK)
            if isinstance(stop, _Passing) and stop.edge is not None and label is not None:
                sizes[stop] = (2 * label[0] + _TRUNK, label[1])  # it stands right of the wire
        steps |= dict.fromkeys(pairwise(way))
    layout = laid_out(
        Wanted(
            sizes, tuple(steps), (), wanted.ranks, wanted.straight, wanted.circles, wanted.apart
        ),
        seconds,
        quick=True,
    )
    return _routed(wanted, ways, layout, sizes)


def _ways(wanted: Wanted, rank: Mapping[Any, int]) -> list[list[Any]]:
    """What each edge leads through, from its source to its target."""
    ways: list[list[Any]] = []
    for number, (source, target) in enumerate(wanted.edges):
        labelled = number < len(wanted.labels) and wanted.labels[number] is not None
        between = range(rank[source] + 1, rank[target])
        way: list[Any] = [_Passing(source, at) for at in between]
        if labelled and way:
            way[-1] = _Passing(source, between[-1], number)
        ways.append([source, *way, target])
    return ways


def _routed(
    wanted: Wanted,
    ways: Sequence[Sequence[Any]],
    layout: Arrangement,
    sizes: Mapping[Any, tuple[float, float]],
) -> Arrangement:
    places = layout.nodes
    halves = _half_heights(places, sizes)
    ends = _ends(wanted, ways, places)
    curves: list[tuple[Point, ...]] = []
    spots: list[Point | None] = []
    for number, way in enumerate(ways):
        curves.append(tuple(_curve(way, places, halves, ends[number])))
        label = wanted.labels[number] if number < len(wanted.labels) else None
        spots.append(None if label is None else _spot(way, places, label))
    nodes = {node: places[node] for node in wanted.sizes}
    return Arrangement(layout.width, layout.height, nodes, tuple(curves), tuple(spots))


def _half_heights(
    places: Mapping[Any, Point], sizes: Mapping[Any, tuple[float, float]]
) -> dict[Any, float]:
    """Half of what the highest node of each one's rank measures."""
    ranks = _ranks(places)
    most: defaultdict[int, float] = defaultdict(float)
    for node, rank in ranks.items():
        most[rank] = max(most[rank], sizes[node][1] / 2)
    return {node: most[rank] for node, rank in ranks.items()}


def _ends(
    wanted: Wanted, ways: Sequence[Sequence[Any]], places: Mapping[Any, Point]
) -> list[tuple[Point, Point]]:
    """Where each edge starts and ends: those that end at a node side by side, in their order."""
    into: defaultdict[Any, list[int]] = defaultdict(list)
    for number, way in enumerate(ways):
        into[way[-1]].append(number)
    found: dict[int, Point] = {}
    for target, numbers in into.items():
        numbers.sort(key=lambda number: places[ways[number][-2]])
        for place, number in enumerate(numbers):
            share = (place + 1) / (len(numbers) + 1) - 0.5
            found[number] = _on_outline(target, share, -1, wanted, places)
    return [
        (_on_outline(way[0], 0.0, 1, wanted, places), found[number])
        for number, way in enumerate(ways)
    ]


def _on_outline(
    node: Any, share: float, side: int, wanted: Wanted, places: Mapping[Any, Point]
) -> Point:
    """A point of a node's upper or lower side, at a share of its width from its middle."""
    (x, y), (width, height) = places[node], wanted.sizes[node]
    aside = share * width * _SPREAD * 2
    if node in wanted.circles:
        return x + aside, y + side * math.sqrt(max((height / 2) ** 2 - aside**2, 0.0))
    return x + aside, y + side * height / 2


def _curve(
    way: Sequence[Any],
    places: Mapping[Any, Point],
    halves: Mapping[Any, float],
    ends: tuple[Point, Point],
) -> Iterator[Point]:
    """The Bézier points of an edge: upright past each rank, bent between two of them."""
    (x, y), last = ends
    yield x, y
    stops = [(x, places[way[0]][1] + halves[way[0]])]
    for stop in way[1:-1]:
        at, middle = places[stop]
        stops += [(at, middle - halves[stop]), (at, middle + halves[stop])]
    below = min(places[way[-1]][1] - halves[way[-1]], last[1] - _HEAD)
    stops += [(last[0], below), last]
    for number, to in enumerate(stops):
        goes_on = number + 1 < len(stops) and x == to[0] == stops[number + 1][0]
        if goes_on or math.dist((x, y), to) < HERE:
            continue  # it runs straight here, or nowhere
        half = (to[1] - y) / 2
        yield from ((x, y + half), (to[0], to[1] - half), to)
        x, y = to


def _spot(way: Sequence[Any], places: Mapping[Any, Point], label: tuple[float, float]) -> Point:
    """The middle of an edge's label: right of the wire, where it has room."""
    if len(way) > 2:
        x, y = places[way[-2]]
    else:
        (x, low), (_, high) = places[way[-1]], places[way[0]]
        y = (low + high) / 2
    return x + _TRUNK / 2 + label[0] / 2, y
