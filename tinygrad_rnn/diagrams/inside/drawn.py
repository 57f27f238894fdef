"""How a copy is opened into its ops: a well-known cell in its canonical drawing.

Any other is as Graphviz lays it out. What comes from the copy before enters on the left and leaves
on the right, inputs enter below, outputs leave above.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from ...tracing.recording.graph import Node
from ..picture.curves import CORNER, on_outline, rounded
from ..picture.shapes import Drawing, Edge, Point, Shape, Text
from ..picture.text_metrics import text_width
from .anatomy import Anatomy, Inlet, Part
from .canonical import STATES, Layout, inlet_role, recognised
from .generic import generic_plan
from .parts import CHIP_SIZE, OP_HEIGHT, TAP_SIZE, Ink, part_shapes, part_width
from .plan import STATE_WIRE, WIRE, Plan

OPS_MOST = 150  # more than that in one copy are not opened
_TAP_MOST = 58.0


def signature(anatomy: Anatomy, outputs: Sequence[Node]) -> tuple[object, ...]:
    """Return what two copies have in common when their drawings are the same."""
    number = {part: index for index, part in enumerate(anatomy.parts)}

    def source(one: Part | Inlet) -> object:
        return number[one] if isinstance(one, Part) else one

    parts = tuple(
        (
            part.sign,
            part.op,
            part.place,
            tuple(part.chips),
            tuple((source(read.source), read.cut) for read in part.reads),
        )
        for part in anatomy.parts
    )
    found = map(anatomy.part, outputs)
    return parts, tuple(-1 if part is None else number[part] for part in found)


def plan_of(
    anatomy: Anatomy, states: Sequence[Node], upward: Sequence[int], ink: Ink
) -> Plan | None:
    """Return how to draw a copy; None where it is too large to be opened, or has no op of its own.

    Args:
        anatomy: its parts.
        states: what it hands on to the next copy.
        upward: the places of the parts that something above reads.
        ink: what it is drawn with.

    Raises:
        DrawError: Graphviz had no layout for it in time.
    """
    if not 0 < len(anatomy.parts) <= OPS_MOST:
        return None
    leaving = {
        number: part for number, part in enumerate(map(anatomy.part, states)) if part is not None
    }
    known = recognised(anatomy.parts, leaving[0]) if 0 in leaving else None
    if known is None or not {leaving[0].place}.issuperset(upward):
        exits = [part for part in anatomy.parts if part.place in upward]
        return generic_plan(anatomy, leaving, exits, ink)
    canonical, roles = known
    widths = {role: part_width(part) for role, part in roles.items()}
    layout = canonical.layout(roles, widths, 1.2 * ink.lane)
    return _Canonical(anatomy.parts, roles, layout, ink).plan()


class _Way(NamedTuple):
    """A wire of a canonical drawing, from the middle of what is read to that of what reads it."""

    corners: list[Point]
    start: str  # the role of what is read
    end: Part | None  # None: it leaves the copy
    cut: str = ""


class _Canonical:
    """Draws a recognised cell: the part of each role at its place in a layout."""

    def __init__(
        self, parts: Sequence[Part], roles: Mapping[str, Part], layout: Layout, ink: Ink
    ) -> None:
        self._parts = parts
        self._roles = roles
        self._role_of = {part: role for role, part in roles.items()}
        self._layout = layout
        self._ink = ink
        self._shapes = {
            part: list(part_shapes(part, *layout.at[self._role_of[part]], ink)) for part in parts
        }

    def plan(self) -> Plan:
        layout = self._layout
        width, height = layout.size
        reads = list(self._reads())
        ways = [*reads, *self._state_ways()]
        edges = [self._wire(number, way) for number, way in enumerate(ways)]
        edges.sort(key=lambda edge: edge.width)  # the way of a state over what branches off it
        upward = _Way([layout.at["h"], *layout.exit], "h", None)
        shapes = [shape for part in self._parts for shape in self._shapes[part]]
        notes = (*self._gate_names(), *filter(None, map(self._tap_text, reads)))
        if notes:
            label = Shape("gates/", "gates", "text", 0, 0, 0, 0, texts=notes, tooltip="gates")
            shapes.append(label)
        leaving = {
            state: f"wire/{number}" for number, state in enumerate(layout.states, len(reads))
        }
        return Plan(
            width=width,
            height=height,
            drawing=Drawing(tuple(shapes), tuple(edges)),
            left=layout.states,
            right=layout.states,
            below={0: layout.entry},
            upward={self._roles["h"].place: self._wire(len(ways), upward)},
            exits={self._roles["h"].place: layout.exit[-1][0]},
            leaving=leaving,
        )

    def _reads(self) -> Iterable[_Way]:
        for part in self._parts:
            end = self._role_of[part]
            last = self._layout.at[end]
            for source, cut, *_ in part.reads:
                start, first = self._start(source)
                via = self._layout.via.get((start, end))
                if via is None:
                    via = _elbow(first, last)
                yield _Way([first, *via, last], start, part, cut)

    def _start(self, source: Part | Inlet) -> tuple[str, Point]:
        """Return the role of what is read, and where it is."""
        layout = self._layout
        if isinstance(source, Part):
            role = self._role_of[source]
            return role, layout.at[role]
        if source.state:
            return inlet_role(source), (0.0, layout.states[source.place])
        return inlet_role(source), (layout.entry, 0.0)

    def _state_ways(self) -> Iterable[_Way]:
        """Yield the way of each state to the right edge."""
        layout = self._layout
        for state, height in layout.states.items():
            role = STATES[state]
            end = (layout.size[0], height)
            yield _Way([layout.at[role], *layout.leave.get(state, []), end], role, None)

    def _wire(self, number: int, way: _Way) -> Edge:
        corners, start, end, _ = way
        source = target = None
        first, last = corners[0], corners[-1]
        if start in self._roles:
            source = self._shapes[self._roles[start]][0]
            first = on_outline(source, corners[0], corners[1])
        if self._branches_off(way):
            x, turn = corners[0][0], corners[1][0]
            first = (turn - math.copysign(CORNER, turn - x), corners[0][1])
        if end is not None:
            target = self._shapes[end][0]
            last = on_outline(target, corners[-1], corners[-2])
        state = self._is_line_of_a_state(way, first)
        return Edge(
            id=f"wire/{number}",
            cls="wire",
            source=source.id if source else "",
            target=target.id if target else "",
            points=rounded([first, *corners[1:-1], last], CORNER + self._ink.lane / 2),
            color="message" if state else "text",
            width=STATE_WIRE if state else WIRE,
            arrow=target is not None,
        )

    def _branches_off(self, way: _Way) -> bool:
        """Whether a wire without lanes begins where it leaves the line of a state."""
        corners = way.corners
        return (
            not self._ink.lane
            and way.end is not None
            and len(corners) > 2
            and way.start in ("@h", "@c", "c")
            and corners[0][1] == corners[1][1]
        )

    def _is_line_of_a_state(self, way: _Way, first: Point) -> bool:
        """Whether a wire is a piece of the line on which a state passes through the copy."""
        if way.end is None:
            return abs(way.corners[-1][0] - self._layout.size[0]) < 0.5
        level = all(abs(a[1] - b[1]) < 0.5 for a, b in pairwise(way.corners))
        passes = way.start in ("@h", "@c", "keep")
        return level and passes and first[1] in self._layout.states.values()

    def _gate_names(self) -> Iterable[Text]:
        for role, name in self._layout.names.items():
            x, y = self._layout.at[role]
            left, above = x - 8 - self._ink.lane / 2, y + OP_HEIGHT / 2 + 9
            yield Text(name, left, above, CHIP_SIZE, "muted", align="right")

    def _tap_text(self, way: _Way) -> Text | None:
        """Say which slice leaves a bus, beside the wire that goes up from it, if there is room."""
        (x, y), (end, top) = way.corners[-2:]
        upwards = abs(x - end) <= 0.5 and top - y >= 30
        if not way.cut or not upwards or text_width(way.cut, TAP_SIZE) > _TAP_MOST:
            return None
        lane = self._ink.lane
        return Text(way.cut, x + 4 + lane, y + 8 + lane, TAP_SIZE, "muted", align="left")


def _elbow(start: Point, end: Point) -> list[Point]:
    straight = abs(start[0] - end[0]) < 0.5 or abs(start[1] - end[1]) < 0.5
    return [] if straight else [(end[0], start[1])]
