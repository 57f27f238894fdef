"""The plan of a cell of no known kind: Graphviz lays out its ops, and what enters and leaves is led to the outline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..picture.curves import CORNER, rounded
from ..picture.diagram import Drawing, Edge, Point, Shape, Text
from ..picture.dot_layout import APART, Arrangement, arrange
from ..picture.text_metrics import text_width
from .anatomy import Anatomy, Entry, Part
from .parts import OP_HEIGHT, POINT, TAP_SIZE, Ink, is_point, part_shapes, part_width
from .plan import STATE_WIRE, WIRE, Plan

_PAD = 14.0  # at either side of the ops, and above what is over them
_TRACK = 48.0  # between the lines of two states: each comes from a circle, its name beside it
_BEND = 12.0  # between the ops and the first of either
_NAME = 26.0  # below them, for the name of the copy
_APART_WITH_LANES = 28.0, 38.0  # between two ops at each other's side, and two ranks of them
_NOTE = 18.0  # above them, for the values of the copy and what comes back to it
_LANE = 14.0  # between their ways back to these lines, over the ops and down behind them


def generic_plan(anatomy: Anatomy, leaving: Sequence[Part], exit: Part, ink: Ink) -> Plan:
    """Let Graphviz lay out the ops: what enters on the lowest rank, what leaves on the highest."""
    sizes = {f"p{part.place}": _size(part, 2 * ink.lane) for part in anatomy.parts}
    reads = [(source, part, cut) for part in anatomy.parts for source, cut in part.reads]
    entries = sorted({_entry_name(source) for source, _, _ in reads if isinstance(source, Entry)})
    leaves = ["e", *(f"r{number}" for number in range(len(leaving)))]
    sizes |= dict.fromkeys([*entries, *leaves], (2.0, 2.0))
    edges = [(_read_name(source), f"p{part.place}") for source, part, _ in reads]
    edges += [
        (f"p{exit.place}", "e"),
        *((f"p{part.place}", f"r{k}") for k, part in enumerate(leaving)),
    ]
    labels = [
        (text_width(cut, TAP_SIZE) + 4 + 2 * ink.lane, TAP_SIZE + 2) if cut else None
        for _, _, cut in reads
    ]
    circles = {f"p{part.place}" for part in anatomy.parts if is_point(part)}
    ranks, straight = [("source", entries), ("sink", leaves)], {*entries, *leaves}
    apart = _APART_WITH_LANES if ink.lane else APART
    found = arrange(
        sizes, edges, labels=labels, ranks=ranks, straight=straight, circles=circles, apart=apart
    )
    states = sum(name.startswith("a") for name in entries)
    lane = _LANE + 2 * ink.lane
    bend = _BEND + ink.lane
    below, above = (
        _NAME + bend + _TRACK * max(states - 1, 0),
        _PAD + bend + lane * (len(leaving) - 1),
    )
    above += _NOTE if ink.noted else 0.0
    return _Generic(anatomy, found, ink, below, found.height + below + above, lane, bend).plan(
        reads, edges, entries, leaves
    )


def _size(part: Part, room: float) -> tuple[float, float]:
    """Return the size of a part, with room beside it for the lanes of wires that pass."""
    return (POINT + room, POINT + room) if is_point(part) else (part_width(part) + room, OP_HEIGHT)


def _read_name(source: Part | Entry) -> str:
    return f"p{source.place}" if isinstance(source, Part) else _entry_name(source)


def _entry_name(entry: Entry) -> str:
    """Name an entry so that states come first in the order of names."""
    return f"a{entry.place}" if entry.state else f"x{entry.number}"


@dataclass(frozen=True, slots=True)
class _Generic:
    """Puts what Graphviz laid out into a plan, its entries and exits led to the outline."""

    anatomy: Anatomy
    found: Arrangement
    ink: Ink
    below: float  # room under the lowest rank
    height: float
    lane: float  # between the ways of two states
    bend: float  # between the ops and the first of them

    def plan(
        self,
        reads: Sequence[tuple[Part | Entry, Part, str]],
        ends: Sequence[tuple[str, str]],
        entries: Sequence[str],
        leaves: Sequence[str],
    ) -> Plan:
        at = {name: self._moved(point) for name, point in self.found.nodes.items()}
        outs = leaves[1:]
        width = self.found.width + 2 * _PAD + self.lane * len(outs)
        shapes: list[Shape] = []
        for part in self.anatomy.parts:
            shapes += part_shapes(part, *at[f"p{part.place}"], self.ink)
        states = [name for name in entries if name.startswith("a")]
        left = {
            int(name[1:]): at[name][1] - self.bend - _TRACK * k for k, name in enumerate(states)
        }
        over = {
            k: at[name][1] + self.bend + self.lane * (len(outs) - 1 - k)
            for k, name in enumerate(outs)
        }
        right = {k: left.get(k, height) for k, height in over.items()}
        edges: list[Edge] = []
        for number, (source, target) in enumerate(ends):
            curve = [self._moved(point) for point in self.found.edges[number]]
            points = self._led_in(curve, source, at, left)
            points = self._led_out(points, target, at, over, right, width)
            cut = reads[number][2] if number < len(reads) else ""
            edges.append(self._edge(number, source, target, points, cut))
        inputs = {int(name[1:]): at[name][0] for name in entries if name.startswith("x")}
        upward = edges.pop(len(reads))
        leaving = {k: edge.id for k, edge in enumerate(edges[len(reads) :])}
        drawing, exit = Drawing(tuple(shapes), tuple(edges)), upward.points[-1][0]
        return Plan(
            width=width,
            height=self.height,
            drawing=drawing,
            left=left,
            right=right,
            below=inputs,
            upward=upward,
            exit=exit,
            leaving=leaving,
        )

    def _moved(self, point: Point) -> Point:
        return point[0] + _PAD, point[1] + self.below

    def _led_in(
        self, curve: list[Point], source: str, at: Mapping[str, Point], left: Mapping[int, float]
    ) -> list[Point]:
        """A curve of Graphviz's, from the outline on where it enters the copy."""
        if source[0] == "p":
            return curve
        x, y = at[source]
        height = left.get(int(source[1:]), y)
        if self.ink.lane:  # two lanes show each kink
            curve = [curve[0], (x, y + min(_BEND, (curve[3][1] - y) / 4)), *curve[2:]]
        way = [(x, 0.0), (x, y)] if source[0] == "x" else [(0.0, height), (x, height), (x, y)]
        return [*rounded(way, CORNER + self.ink.lane / 2), *curve[1:]]

    def _led_out(
        self,
        curve: list[Point],
        target: str,
        at: Mapping[str, Point],
        over: Mapping[int, float],
        right: Mapping[int, float],
        width: float,
    ) -> list[Point]:
        """A curve with the rest of its way out: up, or over the ops and down to where the next copy is entered."""
        if target[0] == "p":
            return curve
        x, y = at[target]
        rest = [(x, self.height)]
        if target != "e":
            number = int(target[1:])
            down, height = width - _PAD - self.lane * number, right[number]
            rest = [(x, over[number]), (down, over[number]), (down, height), (width, height)]
        if self.ink.lane:
            curve = [*curve[:-2], (x, y - min(_BEND, (y - curve[-4][1]) / 4)), curve[-1]]
        return [*curve[:-1], *rounded([(x, y), *rest], CORNER + self.ink.lane / 2)]

    def _edge(
        self, number: int, source: str, target: str, points: Sequence[Point], cut: str
    ) -> Edge:
        state = source[0] == "a" or target[0] == "r"
        label = None
        spot = self.found.labels[number]
        if cut and spot:
            x, y = self._moved(spot)
            label = Text(cut, x + self.ink.lane, y, TAP_SIZE, "muted")
        return Edge(
            id=f"wire/{number}",
            cls="wire",
            source=f"op/{source[1:]}" if source[0] == "p" else "",
            target=f"op/{target[1:]}" if target[0] == "p" else "",
            points=tuple(points),
            color="message" if state else "text",
            width=STATE_WIRE if state else WIRE,
            label=label,
            arrow=target[0] == "p",
        )
