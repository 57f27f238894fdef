"""The plan of a cell of no known kind: Graphviz lays out its ops.

What enters the copy and what leaves it has a place on Graphviz's lowest and highest rank; from
there it is led to the outline of the copy.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from ..picture.curves import CORNER, rounded
from ..picture.dot_layout import APART, Arrangement, arrange
from ..picture.shapes import Drawing, Edge, Point, Text
from ..picture.text_metrics import text_width
from .anatomy import Anatomy, Inlet, Part
from .parts import TAP_SIZE, Ink, is_point, part_height, part_shapes, part_width
from .plan import STATE_WIRE, WIRE, Plan

_PAD = 14.0  # at either side of the ops, and above what is over them
_TRACK = 48.0  # between the lines of two states: each comes from a circle, its name beside it
_BEND = 12.0  # between the ops and the first of either
_NAME = 26.0  # below them, for the name of the copy
_APART_WITH_LANES = 28.0, 38.0  # between two ops at each other's side, and two ranks of them
_NOTE = 18.0  # above them, for the values of the copy and what comes back to it
_NAMED = 32.0  # between two ways that leave at these heights
_LANE = 14.0  # between their ways back to these lines, over the ops and down behind them


class _Outlet(NamedTuple):
    """Where a state leaves the copy to the right; None: where a part's value leaves upwards."""

    state: int | None
    place: int = -1  # of that part


class _Wire(NamedTuple):
    source: Part | Inlet
    target: Part | _Outlet
    cut: str = ""  # which slice of a value it carries


def generic_plan(
    anatomy: Anatomy, leaving: Mapping[int, Part], exits: Sequence[Part], ink: Ink
) -> Plan:
    """Let Graphviz lay out the ops: what enters on the lowest rank, what leaves on the highest.

    Args:
        anatomy: the ops.
        leaving: what makes each state that leaves to the right.
        exits: what makes the values that leave upwards.
        ink: what it is drawn with.
    """
    wires = [
        _Wire(_start(read.source), part, read.cut) for part in anatomy.parts for read in part.reads
    ]
    inlets = {wire.source for wire in wires if isinstance(wire.source, Inlet)}
    states = sorted(inlet for inlet in inlets if inlet.state)
    inputs = sorted(inlet for inlet in inlets if not inlet.state)
    outlets = [_Outlet(state) for state in leaving]
    upward = [_Outlet(None, part.place) for part in exits]
    wires += map(_Wire, exits, upward)
    wires += map(_Wire, leaving.values(), outlets)
    found = _arranged(anatomy.parts, wires, [*states, *inputs], [*upward, *outlets], ink)
    return _Outline(anatomy, found, ink, states, inputs, outlets).plan(wires)


def _height(part: Part, room: float) -> float:
    return part_height(part) + room * is_point(part)


def _start(source: Part | Inlet) -> Part | Inlet:
    """Return where a wire starts: all values that one link brings from below enter as one."""
    if isinstance(source, Inlet) and not source.state:
        return source._replace(place=0)
    return source


def _arranged(
    parts: Sequence[Part],
    wires: Sequence[_Wire],
    inlets: Sequence[Inlet],
    outlets: Sequence[_Outlet],
    ink: Ink,
) -> Arrangement:
    room = 2 * ink.lane
    sizes: dict[Part | Inlet | _Outlet, tuple[float, float]] = {}
    for part in parts:
        sizes[part] = (part_width(part) + room, _height(part, room))
    for end in (*inlets, *outlets):
        sizes[end] = (2.0, 2.0)
    labels = [
        (text_width(wire.cut, TAP_SIZE) + 4 + room, TAP_SIZE + 2) if wire.cut else None
        for wire in wires
    ]
    return arrange(
        sizes,
        [(wire.source, wire.target) for wire in wires],
        labels=labels,
        ranks=[("source", inlets), ("sink", outlets)],
        straight={*inlets, *outlets},
        circles=set(filter(is_point, parts)),
        apart=_APART_WITH_LANES if ink.lane else APART,
    )


class _Outline:
    """Leads what enters and leaves from where Graphviz put it to the outline of the copy."""

    def __init__(
        self,
        anatomy: Anatomy,
        found: Arrangement,
        ink: Ink,
        states: Sequence[Inlet],
        inputs: Sequence[Inlet],
        outlets: Sequence[_Outlet],
    ) -> None:
        self._parts = anatomy.parts
        self._found = found
        self._ink = ink
        self._inputs = inputs
        self._lane = _LANE + 2 * ink.lane
        bend = _BEND + ink.lane
        self._below = _NAME + bend + _TRACK * max(len(states) - 1, 0)
        gaps = self._gaps(outlets, {inlet.place for inlet in states})
        above = _PAD + bend + sum(gaps)
        if ink.noted:
            above += _NOTE
        self._height = found.height + self._below + above
        self._width = found.width + 2 * _PAD + self._lane * len(outlets)
        self._at = {node: self._moved(point) for node, point in found.nodes.items()}
        # The height at which each state enters, is led over the ops, and leaves.
        self._left = {
            inlet.place: self._at[inlet][1] - bend - _TRACK * track
            for track, inlet in enumerate(states)
        }
        self._over = {
            outlet.state: self._at[outlet][1] + bend + sum(gaps[place:])
            for place, outlet in enumerate(outlets)
            if outlet.state is not None
        }
        self._right = {state: self._left.get(state, over) for state, over in self._over.items()}
        self._order = {outlet.state: place for place, outlet in enumerate(outlets)}

    def _gaps(self, outlets: Sequence[_Outlet], entering: Collection[int]) -> list[float]:
        """Return how far the way of each state over the ops is above the next one.

        What did not come in goes straight on to the next copy, its name and shape beside it.
        """
        new = [outlet.state not in entering for outlet in outlets]
        return [max(self._lane, _NAMED) if all(two) else self._lane for two in pairwise(new)]

    def plan(self, wires: Sequence[_Wire]) -> Plan:
        shapes = [
            shape for part in self._parts for shape in part_shapes(part, *self._at[part], self._ink)
        ]
        edges = [self._edge(number, wire) for number, wire in enumerate(wires)]
        upward: dict[int, Edge] = {}
        leaving: dict[int, str] = {}
        inner: list[Edge] = []
        for wire, edge in zip(wires, edges, strict=True):
            if not isinstance(wire.target, _Outlet):
                inner.append(edge)
            elif wire.target.state is None:
                upward[wire.target.place] = edge
            else:
                inner.append(edge)
                leaving[wire.target.state] = edge.id
        return Plan(
            width=self._width,
            height=self._height,
            drawing=Drawing(tuple(shapes), tuple(inner)),
            left=self._left,
            right=self._right,
            below={inlet.number: self._at[inlet][0] for inlet in self._inputs},
            upward=upward,
            exits={place: edge.points[-1][0] for place, edge in upward.items()},
            leaving=leaving,
        )

    def _moved(self, point: Point) -> Point:
        return point[0] + _PAD, point[1] + self._below

    def _edge(self, number: int, wire: _Wire) -> Edge:
        points = [self._moved(point) for point in self._found.edges[number]]
        source = target = ""
        if isinstance(wire.source, Inlet):
            points = self._led_in(points, wire.source)
        else:
            source = f"op/{wire.source.place}"
        if isinstance(wire.target, _Outlet):
            points = self._led_out(points, wire.target)
        else:
            target = f"op/{wire.target.place}"
        label = None
        spot = self._found.labels[number]
        if wire.cut and spot:
            x, y = self._moved(spot)
            label = Text(wire.cut, x + self._ink.lane, y, TAP_SIZE, "muted")
        state = _carries_state(wire)
        return Edge(
            id=f"wire/{number}",
            cls="wire",
            source=source,
            target=target,
            points=tuple(points),
            color="message" if state else "text",
            width=STATE_WIRE if state else WIRE,
            label=label,
            arrow=bool(target),
        )

    def _led_in(self, curve: list[Point], inlet: Inlet) -> list[Point]:
        """A curve of Graphviz's, from the outline on where it enters the copy."""
        x, y = self._at[inlet]
        if self._ink.lane:  # two lanes show each kink
            curve = [curve[0], (x, y + min(_BEND, (curve[3][1] - y) / 4)), *curve[2:]]
        way = [(x, 0.0), (x, y)]
        if inlet.state:
            height = self._left[inlet.place]
            way = [(0.0, height), (x, height), (x, y)]
        return [*rounded(way, CORNER + self._ink.lane / 2), *curve[1:]]

    def _led_out(self, curve: list[Point], outlet: _Outlet) -> list[Point]:
        """A curve with the rest of its way out.

        Upwards it is straight; a state goes over the ops, and down to where the next copy has it.
        """
        x, y = self._at[outlet]
        way = [(x, y), (x, self._height)]
        if outlet.state is not None:
            down = self._width - _PAD - self._lane * self._order[outlet.state]
            over, height = self._over[outlet.state], self._right[outlet.state]
            way = [(x, y), (x, over), (down, over), (down, height), (self._width, height)]
        if self._ink.lane:
            curve = [*curve[:-2], (x, y - min(_BEND, (y - curve[-4][1]) / 4)), curve[-1]]
        return [*curve[:-1], *rounded(way, CORNER + self._ink.lane / 2)]


def _carries_state(wire: _Wire) -> bool:
    if isinstance(wire.source, Inlet):
        return wire.source.state
    return isinstance(wire.target, _Outlet) and wire.target.state is not None
