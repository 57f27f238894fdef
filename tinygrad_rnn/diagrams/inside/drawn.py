"""How a copy is opened into its ops: a recognised cell in its canonical drawing, any other as Graphviz lays it out.

What comes from the copy before enters on the left and leaves on the right, inputs enter below,
outputs leave above.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from ...tracing.recording.graph import Node
from ..picture.curves import CORNER, on_outline, rounded
from ..picture.diagram import Drawing, Edge, Point, Shape, Text
from ..picture.text_metrics import text_width
from .anatomy import Anatomy, Entry, Part
from .canonical import Layout, layout_of, recognised
from .generic import generic_plan
from .parts import CHIP_SIZE, OP_HEIGHT, TAP_SIZE, Ink, part_shapes, part_width
from .plan import STATE_WIRE, WIRE, Plan

OPS_MOST = 150  # more than that in one copy are not opened
_TAP_MOST = 58.0


def signature(anatomy: Anatomy, outputs: Sequence[Node]) -> tuple[object, ...]:
    """Return what two copies have in common when their drawings are the same."""
    number = {part: index for index, part in enumerate(anatomy.parts)}

    def read(source: Part | Entry) -> object:
        if isinstance(source, Part):
            return number[source]
        return (source.state, source.number, source.place)

    parts = tuple(
        (
            part.sign,
            part.op,
            part.place,
            tuple(part.chips),
            tuple((read(source), cut) for source, cut in part.reads),
        )
        for part in anatomy.parts
    )
    return parts, tuple(number.get(part, -1) for part in _state_parts(anatomy, outputs))


def _state_parts(anatomy: Anatomy, outputs: Iterable[Node]) -> list[Part]:
    drawn = [anatomy.part(node) for node in outputs]
    return [source for source, _ in filter(None, drawn) if isinstance(source, Part)]


def plan_of(anatomy: Anatomy, outputs: Sequence[Node], states: int, ink: Ink) -> Plan | None:
    """Return how to draw a copy with these parts; None where it is too large to be opened, or has no op of its own.

    Raises:
        DrawError: Graphviz had no layout for it in time.
    """
    leaving = _state_parts(anatomy, outputs)
    if not leaving or not 0 < len(anatomy.parts) <= OPS_MOST:
        return None
    known = recognised(anatomy.parts, leaving[0])
    if known is not None:
        return _canonical(anatomy, *known, ink)
    return generic_plan(anatomy, leaving[:states], leaving[0], ink)


# Known cells


def _canonical(anatomy: Anatomy, name: str, roles: Mapping[str, Part], ink: Ink) -> Plan:
    layout = layout_of(
        name, roles, {role: part_width(part) for role, part in roles.items()}, 1.2 * ink.lane
    )
    role_of = {part: role for role, part in roles.items()}
    shapes = {
        part: list(part_shapes(part, *layout.at[role_of[part]], ink)) for part in anatomy.parts
    }
    edges: list[Edge] = []
    notes = list(_gate_names(layout, ink))
    below: dict[int, float] = {}
    for part in anatomy.parts:
        target, end = shapes[part][0], role_of[part]
        for source, cut in part.reads:
            corners, start = _canonical_wire(layout, source, target, role_of, end, below)
            edges.append(
                _wire(
                    len(edges), shapes.get(source, [None])[0], target, corners, start, layout, ink
                )
            )  # type: ignore[arg-type]
            tap = _tap_text(cut, corners, ink)
            notes += [tap] if tap else []
    leaving = {state: f"wire/{number}" for number, state in enumerate(layout.states, len(edges))}
    for state, height in layout.states.items():
        role = "h" if state == 0 else "c"
        source = shapes[roles[role]][0]
        way = [layout.at[role], *layout.leave.get(state, []), (layout.size[0], height)]
        edges.append(_wire(len(edges), source, None, way, "", layout, ink))
    upward = _wire(
        len(edges), shapes[roles["h"]][0], None, [layout.at["h"], *layout.exit], "", layout, ink
    )
    texts = tuple(notes)
    label = (
        Shape("gates/", "gates", "text", 0.0, 0.0, 0.0, 0.0, texts=texts, tooltip="gates")
        if texts
        else None
    )
    drawn = tuple(shape for part in anatomy.parts for shape in shapes[part]) + (
        (label,) if label else ()
    )
    edges.sort(key=lambda edge: edge.width)  # the way of the states over what branches off it
    width, height = layout.size
    return Plan(
        width=width,
        height=height,
        drawing=Drawing(drawn, tuple(edges)),
        left=layout.states,
        right=layout.states,
        below=below or {0: layout.entry},
        upward=upward,
        exit=layout.exit[-1][0],
        leaving=leaving,
    )


def _canonical_wire(
    layout: Layout,
    source: Part | Entry,
    target: Shape,
    role_of: Mapping[Part, str],
    end: str,
    below: dict[int, float],
) -> tuple[list[Point], str]:
    """Return the corners from the middle of what is read to the middle of what reads it, and the start's role."""
    if isinstance(source, Part):
        start = role_of[source]
        first = layout.at[start]
    elif source.state:
        start = "@c" if source.place else "@h"
        first = (0.0, layout.states[source.place])
    else:
        start = "@x"
        below[0] = layout.entry
        first = (layout.entry, 0.0)
    via = layout.via.get((start, end))
    if via is None:
        via = _elbow(first, (target.x, target.y))
    return [first, *via, (target.x, target.y)], start


def _elbow(start: Point, end: Point) -> list[Point]:
    straight = abs(start[0] - end[0]) < 0.5 or abs(start[1] - end[1]) < 0.5
    return [] if straight else [(end[0], start[1])]


def _wire(
    number: int,
    source: Shape | None,
    target: Shape | None,
    corners: list[Point],
    start: str,
    layout: Layout,
    ink: Ink,
) -> Edge:
    first, last = corners[0], corners[-1]
    if (
        len(corners) > 2
        and start in ("@h", "@c", "c")
        and first[1] == corners[1][1]
        and not ink.lane
    ):
        first = (
            corners[1][0] - math.copysign(CORNER, corners[1][0] - first[0]),
            first[1],
        )  # it branches off there
    elif source is not None:
        first = on_outline(source, corners[0], corners[1])
    if target is not None:
        last = on_outline(target, corners[-1], corners[-2])
    heights = layout.states.values()
    level = all(abs(a[1] - b[1]) < 0.5 for a, b in pairwise(corners))
    leaves = target is None and abs(last[0] - layout.size[0]) < 0.5
    state = leaves or (level and first[1] in heights and start in ("@h", "@c", "keep"))
    return Edge(
        id=f"wire/{number}",
        cls="wire",
        source=source.id if source else "",
        target=target.id if target else "",
        points=rounded([first, *corners[1:-1], last], CORNER + ink.lane / 2),
        color="message" if state else "text",
        width=STATE_WIRE if state else WIRE,
        arrow=target is not None,
    )


def _gate_names(layout: Layout, ink: Ink) -> Iterator[Text]:
    for role, name in layout.names.items():
        x, y = layout.at[role]
        yield Text(
            name,
            x - 8 - ink.lane / 2,
            y + OP_HEIGHT / 2 + 9,
            CHIP_SIZE,
            "muted",
            align="right",
        )


def _tap_text(cut: str, corners: Sequence[Point], ink: Ink) -> Text | None:
    """Say which slice leaves a bus, beside the wire that goes up from it, where there is room."""
    (x, y), (end, top) = corners[-2:]
    if not cut or abs(x - end) > 0.5 or top - y < 30 or text_width(cut, TAP_SIZE) > _TAP_MOST:
        return None
    return Text(cut, x + 4 + ink.lane, y + 8 + ink.lane, TAP_SIZE, "muted", align="left")
