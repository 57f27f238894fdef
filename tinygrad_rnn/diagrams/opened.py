"""A copy opened into its ops: drawn once per structure, then stamped wherever that structure occurs.

A recognised cell gets its canonical drawing, any other is laid out by Graphviz: what comes from the copy before enters
on the left and leaves on the right, inputs enter below, outputs leave above.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ..tracing.graph import Node
from ..tracing.network import Cell
from .anatomy import Anatomy, Entry, Part
from .canonical import Layout, layout_of, recognised
from .diagram import Drawing, Edge, Point, Shape, Text
from .dot_layout import APART, Arrangement, arrange
from .lanes import with_lanes
from .routes import CORNER, on_outline, rounded
from .text_metrics import fit, text_width
from .theme import Theme

OP_HEIGHT, CHIP_HEIGHT, POINT, GATE_WIDTH = 30.0, 20.0, 24.0, 44.0
SIGN_SIZE, CHIP_SIZE, TAP_SIZE = 14.0, 11.0, 8.5
CHIP_MOST, TAP_MOST = 90.0, 58.0
OPS_MOST = 150  # more than that in one copy are not opened
_WIRE, _STATE_WIRE = 1.1, 2.4
_PAD = 14.0
_POINTWISE = ("add", "sub", "mul", "div", "truediv", "neg")


@dataclass(frozen=True, slots=True)
class Plan:
    """The drawing of a copy's inside, its lower left corner at (0, 0), and where its connections meet its outline."""

    width: float
    height: float
    drawing: Drawing  # the ids in it end in "/": what follows is the place of the op
    left: Mapping[int, float]  # the height at which each state enters, by its number
    right: Mapping[int, float]  # … and leaves
    below: Mapping[int, float]  # where the link number k that enters from below does
    upward: Edge  # the way of the first state out of the top, for copies that hand it to something above
    exit: float  # where that is
    leaving: Mapping[int, str]  # the id of each state's way out to the right
    back: tuple[Edge, ...] = ()  # what comes back along each wire, as drawn before it is known how much that is

    def mirrored(self) -> "Plan":
        """Return the drawing of a copy whose states run from right to left."""
        middle = {shape.id.split("/")[1]: shape.x for shape in self.drawing.shapes if shape.cls == "op"}
        shapes = tuple(_mirrored_shape(shape, self.width, middle) for shape in self.drawing.shapes)
        edges = tuple(_mirrored_edge(edge, self.width) for edge in self.drawing.edges)
        below = {number: self.width - x for number, x in self.below.items()}
        upward = _mirrored_edge(self.upward, self.width)
        exit = self.width - self.exit
        return replace(self, drawing=Drawing(shapes, edges), below=below, upward=upward, exit=exit)

    def with_lanes(self, single: Collection[str], theme: Theme) -> "Plan":
        """Return the drawing with two lanes for each wire, but one for those in `single`."""
        shapes = {shape.id: shape for shape in self.drawing.shapes}
        (*forward, upward), back = with_lanes([*self.drawing.edges, self.upward], shapes, single, theme)
        drawing = Drawing(self.drawing.shapes, tuple(forward))
        return replace(self, drawing=drawing, upward=upward, back=back)

    def stamped(self, spot: "Spot", *, upward: bool) -> Drawing:
        """Return the drawing for one copy, at its place and under its ids; `upward`: its state leaves there too."""
        edges = (self.upward, *self.drawing.edges) if upward else self.drawing.edges
        return Drawing(tuple(map(spot.shape, self.drawing.shapes)), tuple(map(spot.edge, edges)))


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a plan is drawn, and for which copy."""

    cell: Cell
    left: float
    bottom: float

    def named(self, id: str) -> str:
        """Return what a part of the plan is called here; what has no name is the outline of the copy."""
        return id.replace("/", f"-{self.cell.layer}-{self.cell.t}-") if id else self.cell.id

    def shape(self, shape: Shape) -> Shape:
        return replace(shape.moved(self.left, self.bottom), id=self.named(shape.id))

    def edge(self, edge: Edge) -> Edge:
        moved = edge.moved(self.left, self.bottom)
        return replace(moved, id=self.named(edge.id), source=self.named(edge.source), target=self.named(edge.target))


def _mirrored_shape(shape: Shape, width: float, middle: Mapping[str, float]) -> Shape:
    """Return a shape at its mirrored place: an op with its chips as a whole, so that they can still be read."""
    if shape.cls != "gates":
        return shape.moved(width - 2 * middle[shape.id.split("/")[1].split("-")[0]], 0.0)
    sides = {"left": "right", "right": "left", "center": "center"}
    texts = tuple(replace(text, x=width - text.x, align=sides[text.align]) for text in shape.texts)
    return replace(shape, texts=texts)


def _mirrored_edge(edge: Edge, width: float) -> Edge:
    return replace(
        edge,
        points=tuple((width - x, y) for x, y in edge.points),
        label=edge.label and replace(edge.label, x=width - edge.label.x),
    )


@dataclass(frozen=True, slots=True)
class Ink:
    """What a plan is drawn with."""

    theme: Theme
    line: str  # of the cell
    fills: Mapping[int, str]  # of each parameter, by its node id
    lane: float = 0.0  # how far from the middle of each wire its two lanes will run, if there will be two
    noted: bool = False  # whether something will be told along the upper edge


def signature(anatomy: Anatomy, outputs: Sequence[Node]) -> tuple[object, ...]:
    """Return what two copies have in common when their drawings are the same."""
    number = {part: index for index, part in enumerate(anatomy.parts)}

    def read(source: Part | Entry) -> object:
        if isinstance(source, Part):
            return number[source]
        return (source.state, source.number, source.place)

    parts = tuple(
        (part.sign, part.op, part.place, tuple(part.chips), tuple((read(source), cut) for source, cut in part.reads))
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
    return _generic(anatomy, leaving[:states], leaving[0], ink)


# The parts


def part_width(part: Part) -> float:
    """Return how wide a part is drawn."""
    if not part.chips:
        sign = text_width(part.sign, SIGN_SIZE)
        return POINT if is_point(part) else max(GATE_WIDTH, sign + 16)
    return 8.0 + sum(width for _, width, _ in _contents(part)) + 4.0


def is_point(part: Part) -> bool:
    """Whether a part is drawn as a small circle: what acts on each element and needs no name."""
    return part.op in _POINTWISE and not part.chips and len(part.sign) == 1


def _contents(part: Part) -> Iterator[tuple[str, float, int | None]]:
    """What stands in the box of a part with chips, from left to right; the width of each, and which parameter it is.

    The sign stands before what is read from elsewhere, between two parameters, and a bias is added at the end.
    """
    own = len(part.chips) - len(part.absorbed)
    infix = own > 1 and not part.reads
    for number, (parameter, name) in enumerate(part.chips):
        if number or not infix:
            sign = part.sign if number < own else "+"
            yield sign, text_width(sign, SIGN_SIZE) + 5, None
        label = fit(name, CHIP_MOST, CHIP_SIZE)
        yield label, text_width(label, CHIP_SIZE) + 12, parameter


def part_shapes(part: Part, x: float, y: float, ink: Ink) -> Iterator[Shape]:
    """Yield the box or circle of a part around (x, y), and its chips."""
    width = part_width(part)
    active = not part.chips and part.op not in _POINTWISE
    texts: list[Text] = []
    chips: list[Shape] = []
    if not part.chips:
        texts.append(Text(part.sign, x, y, SIGN_SIZE, ink.theme.text))
    left = x - width / 2 + 6.0
    for label, space, parameter in _contents(part):
        middle = left + space / 2
        if parameter is None:
            texts.append(Text(label, middle, y, SIGN_SIZE, ink.theme.text))
        else:
            chips.append(
                _chip(f"chip/{part.place}-{len(chips)}", label, middle, y, space - 2, ink.fills[parameter], ink)
            )
        left += space
    yield Shape(
        id=f"op/{part.place}",
        cls="op",
        form="circle" if is_point(part) else "box",
        x=x,
        y=y,
        width=width,
        height=POINT if is_point(part) else OP_HEIGHT,
        fill=ink.theme.background,
        line=ink.line if active else ink.theme.text,
        line_width=1.6 if active else 1.0,
        texts=tuple(texts),
        tooltip=part.tooltip,
    )
    yield from chips


def _chip(id: str, label: str, x: float, y: float, width: float, fill: str, ink: Ink) -> Shape:
    text = Text(label, x, y, CHIP_SIZE, ink.theme.parameter_text)
    return Shape(id, "chip", "chip", x, y, width, CHIP_HEIGHT, fill, ink.theme.muted, 0.5, texts=(text,), tooltip=label)


# Known cells


def _canonical(anatomy: Anatomy, name: str, roles: Mapping[str, Part], ink: Ink) -> Plan:
    layout = layout_of(name, roles, {role: part_width(part) for role, part in roles.items()}, 1.2 * ink.lane)
    role_of = {part: role for role, part in roles.items()}
    shapes = {part: list(part_shapes(part, *layout.at[role_of[part]], ink)) for part in anatomy.parts}
    edges: list[Edge] = []
    notes = list(_gate_names(layout, ink))
    below: dict[int, float] = {}
    for part in anatomy.parts:
        target, end = shapes[part][0], role_of[part]
        for source, cut in part.reads:
            corners, start = _canonical_wire(layout, source, target, role_of, end, below)
            edges.append(_wire(len(edges), shapes.get(source, [None])[0], target, corners, start, layout, ink))  # type: ignore[arg-type]
            tap = _tap_text(cut, corners, ink)
            notes += [tap] if tap else []
    leaving = {state: f"wire/{number}" for number, state in enumerate(layout.states, len(edges))}
    for state, height in layout.states.items():
        role = "h" if state == 0 else "c"
        source = shapes[roles[role]][0]
        way = [layout.at[role], *layout.leave.get(state, []), (layout.size[0], height)]
        edges.append(_wire(len(edges), source, None, way, "", layout, ink))
    upward = _wire(len(edges), shapes[roles["h"]][0], None, [layout.at["h"], *layout.exit], "", layout, ink)
    texts = tuple(notes)
    label = Shape("gates/", "gates", "text", 0.0, 0.0, 0.0, 0.0, texts=texts, tooltip="gates") if texts else None
    drawn = tuple(shape for part in anatomy.parts for shape in shapes[part]) + ((label,) if label else ())
    edges.sort(key=lambda edge: edge.width)  # the way of the states over what branches off it
    return Plan(
        *layout.size,
        Drawing(drawn, tuple(edges)),
        layout.states,
        layout.states,
        below or {0: layout.entry},
        upward,
        layout.exit[-1][0],
        leaving,
    )


def _canonical_wire(
    layout: Layout, source: Part | Entry, target: Shape, role_of: Mapping[Part, str], end: str, below: dict[int, float]
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
    number: int, source: Shape | None, target: Shape | None, corners: list[Point], start: str, layout: Layout, ink: Ink
) -> Edge:
    first, last = corners[0], corners[-1]
    if len(corners) > 2 and start in ("@h", "@c", "c") and first[1] == corners[1][1] and not ink.lane:
        first = (corners[1][0] - math.copysign(CORNER, corners[1][0] - first[0]), first[1])  # it branches off there
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
        color=ink.theme.message if state else ink.theme.text,
        width=_STATE_WIRE if state else _WIRE,
        arrow=target is not None,
    )


def _gate_names(layout: Layout, ink: Ink) -> Iterator[Text]:
    for role, name in layout.names.items():
        x, y = layout.at[role]
        yield Text(name, x - 8 - ink.lane / 2, y + OP_HEIGHT / 2 + 9, CHIP_SIZE, ink.theme.muted, align="right")


def _tap_text(cut: str, corners: Sequence[Point], ink: Ink) -> Text | None:
    """Say which slice leaves a bus, beside the wire that goes up from it, where there is room."""
    (x, y), (end, top) = corners[-2:]
    if not cut or abs(x - end) > 0.5 or top - y < 30 or text_width(cut, TAP_SIZE) > TAP_MOST:
        return None
    return Text(cut, x + 4 + ink.lane, y + 8 + ink.lane, TAP_SIZE, ink.theme.muted, align="left")


# Any other cell


def _generic(anatomy: Anatomy, leaving: Sequence[Part], exit: Part, ink: Ink) -> Plan:
    """Let Graphviz lay out the ops: what enters on the lowest rank, what leaves on the highest."""
    sizes = {f"p{part.place}": _size(part, 2 * ink.lane) for part in anatomy.parts}
    reads = [(source, part, cut) for part in anatomy.parts for source, cut in part.reads]
    entries = sorted({_entry_name(source) for source, _, _ in reads if isinstance(source, Entry)})
    leaves = ["e", *(f"r{number}" for number in range(len(leaving)))]
    sizes |= dict.fromkeys([*entries, *leaves], (2.0, 2.0))
    edges = [(_read_name(source), f"p{part.place}") for source, part, _ in reads]
    edges += [(f"p{exit.place}", "e"), *((f"p{part.place}", f"r{k}") for k, part in enumerate(leaving))]
    labels = [(text_width(cut, TAP_SIZE) + 4 + 2 * ink.lane, TAP_SIZE + 2) if cut else None for _, _, cut in reads]
    circles = {f"p{part.place}" for part in anatomy.parts if is_point(part)}
    ranks, straight = [("source", entries), ("sink", leaves)], {*entries, *leaves}
    apart = _APART if ink.lane else APART
    found = arrange(sizes, edges, labels=labels, ranks=ranks, straight=straight, circles=circles, apart=apart)
    states = sum(name.startswith("a") for name in entries)
    lane = _LANE + 2 * ink.lane
    bend = _BEND + ink.lane
    below, above = _NAME + bend + _TRACK * max(states - 1, 0), _PAD + bend + lane * (len(leaving) - 1)
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


_TRACK = 48.0  # between the lines of two states: each comes from a circle, its name beside it
_BEND = 12.0  # between the ops and the first of either
_NAME = 26.0  # below them, for the name of the copy
_APART = 28.0, 38.0  # between two ops at each other's side, and two ranks of them, where there are two lanes
_NOTE = 18.0  # above them, for the values of the copy and what comes back to it
_LANE = 14.0  # between their ways back to these lines, over the ops and down behind them


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
        left = {int(name[1:]): at[name][1] - self.bend - _TRACK * k for k, name in enumerate(states)}
        over = {k: at[name][1] + self.bend + self.lane * (len(outs) - 1 - k) for k, name in enumerate(outs)}
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
        return Plan(width, self.height, drawing, left, right, inputs, upward, exit, leaving)

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

    def _edge(self, number: int, source: str, target: str, points: Sequence[Point], cut: str) -> Edge:
        state = source[0] == "a" or target[0] == "r"
        label = None
        spot = self.found.labels[number]
        if cut and spot:
            x, y = self._moved(spot)
            label = Text(cut, x + self.ink.lane, y, TAP_SIZE, self.ink.theme.muted)
        return Edge(
            id=f"wire/{number}",
            cls="wire",
            source=f"op/{source[1:]}" if source[0] == "p" else "",
            target=f"op/{target[1:]}" if target[0] == "p" else "",
            points=tuple(points),
            color=self.ink.theme.message if state else self.ink.theme.text,
            width=_STATE_WIRE if state else _WIRE,
            label=label,
            arrow=target[0] == "p",
        )
