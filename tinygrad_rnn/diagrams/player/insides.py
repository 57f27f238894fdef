"""What opens in the page: the inside of each structure of a block, drawn once.

The page stamps a drawing where a block is opened, and what stands around it makes room. So each is
drawn with the frame that the block then has: its arrows meet the frame where they met the closed
block, counted from its middle, and from there they are led to where they belong inside.
"""

import builtins
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from ...errors import DrawError
from ...tracing.network.quotient import Quotient
from ..grid.grid import Connection
from ..grid.items import Opened
from ..inside.anatomy import Anatomy
from ..inside.plan import Plan, Spot
from ..picture.curves import rounded
from ..picture.shapes import Drawing, Edge, Point, Shape
from ..views.columns import copies_grid
from ..views.opening import opened_blocks
from ..views.options import Options

STAMPED = "@"  # in the ids of a drawing, in place of the block's
FRAMES_MOST = 24  # structures that a page holds
_VIEWS = "unrolled", "both"  # whose copies are closed, and stand for one timestep each
_PAD, _CHANNEL, _FIRST = 14.0, 6.0, 9.0  # around what is inside, and the ways in it
_LINE, _VALUES = 17.0, 16.0  # at the top: the name and norms, and a row of values
_LEAST = 210.0  # the width of a frame, for these

_Side = Literal["left", "right", "top", "bottom"]
_OPPOSITE: dict[_Side, _Side] = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}
_SIDES = tuple(_OPPOSITE)


class Port(NamedTuple):
    """Where an arrow meets a frame, and where it goes on inside: both from the middle."""

    side: _Side
    outer: float  # along that side
    inner_side: _Side
    inner: float
    state: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """The drawing of an opened block around (0, 0), and the order of what it shows."""

    width: float
    height: float
    drawing: Drawing
    # By the ids in the drawing: the op with which it appears.
    order: Mapping[str, int]


class Way(NamedTuple):
    """A way through the frame, from an arrow outside to where it goes on inside."""

    points: tuple[Point, ...]
    state: bool


@dataclass(frozen=True, slots=True)
class Inside:
    """The inside of one block: which frame it has, the ways through it, what it is made of."""

    frame: int
    ways: tuple[Way, ...]
    anatomy: Anatomy


@dataclass(frozen=True, slots=True)
class Insides:
    """The frames of a picture, and the inside of each block that can be opened."""

    frames: tuple[Frame, ...] = ()
    of: Mapping[str, Inside] = field(default_factory=dict[str, Inside])
    left_out: bool = False  # for want of room, or of a layout in time


NOTHING_OPENS = Insides()


def insides_of(quotient: Quotient, options: Options, picture: Drawing) -> Insides:
    """Return what can be opened in a picture whose copies are closed."""
    if options.view not in _VIEWS or options.levels > 1 or options.against is not None:
        return NOTHING_OPENS
    grid = copies_grid(quotient, replace(options, values=False))
    try:
        opened, anatomies = opened_blocks(grid, quotient)
    except DrawError:
        return Insides(left_out=True)
    shapes = {shape.id: shape for shape in picture.shapes}
    plans = {
        item.id: item.face.plan
        for item in opened.items.values()
        if isinstance(item.face, Opened) and item.id in shapes
    }
    edges = {edge.id: edge for edge in picture.edges}
    ports: defaultdict[str, set[Port]] = defaultdict(set)
    for c in opened.connections:
        edge = edges.get(c.link or c.id)
        if edge is None:
            continue
        for id, port in _ports(c, edge, shapes, plans, quotient):
            ports[id].add(port)
    alike: defaultdict[object, list[str]] = defaultdict(list)
    for id, plan in plans.items():
        alike[builtins.id(plan), _head(id, shapes)].append(id)
    frames: list[Frame] = []
    of: dict[str, Inside] = {}
    for ids in list(alike.values())[:FRAMES_MOST]:
        first = shapes[ids[0]]
        framing = _Framing(plans[ids[0]], _head(ids[0], shapes), first, [ports[id] for id in ids])
        for id in ids:
            of[id] = Inside(len(frames), tuple(framing.ways(ports[id])), anatomies[id])
        frames.append(framing.frame(anatomies[ids[0]]))
    return Insides(tuple(frames), of, left_out=len(alike) > FRAMES_MOST)


def _head(id: str, shapes: Mapping[str, Shape]) -> float:
    """Return how high the top of a frame is: for what the closed block says, and its values."""
    lines = max(len(shapes[id].texts) - 1, 1)
    return _LINE * lines + _VALUES * (f"value-{id}-0" in shapes)


def _ports(
    c: Connection,
    edge: Edge,
    shapes: Mapping[str, Shape],
    plans: Mapping[str, Plan],
    quotient: Quotient,
) -> Iterator[tuple[str, Port]]:
    """Yield where a connection meets the blocks at its ends, and where it goes on inside."""
    if c.target in plans:
        met = _met(shapes[c.target], edge.points[-1])
        inner = _entrance(
            c, plans[c.target], "right" if _is_reversed(c.target, quotient) else "left"
        )
        if inner is not None:
            yield c.target, Port(*met, *inner)
    if c.source in plans:
        met = _met(shapes[c.source], edge.points[0])
        right: _Side = "left" if _is_reversed(c.source, quotient) else "right"
        inner = _exit(c, plans[c.source], right, upwards=met[0] == "top")
        if inner is not None:
            yield c.source, Port(*met, *inner)


_Inner = tuple[_Side, float, bool]


def _entrance(c: Connection, plan: Plan, states: _Side) -> _Inner | None:
    """Return where a connection enters the inside of a block, whose states enter on a side."""
    if c.state is not None and c.state in plan.left:
        return states, plan.left[c.state] - plan.height / 2, True
    if c.inlet is not None and c.inlet in plan.below:
        return "bottom", plan.below[c.inlet] - plan.width / 2, False
    return None


def _exit(c: Connection, plan: Plan, states: _Side, *, upwards: bool) -> _Inner | None:
    """Return where a connection leaves the inside of a block, whose states leave on a side."""
    state = c.leaves if c.state is None else c.state
    sideways = None
    if state is not None and state in plan.right:
        sideways = states, plan.right[state] - plan.height / 2, True
    if c.outlet is not None and c.outlet in plan.exits and (upwards or sideways is None):
        return "top", plan.exits[c.outlet] - plan.width / 2, False
    return sideways


def _is_reversed(id: str, quotient: Quotient) -> bool:
    row = quotient.by_id[id].row
    return row is not None and row.reverse


def _met(shape: Shape, end: Point) -> tuple[_Side, float]:
    """Return on which side of a block an arrow ends or begins, and where: from its middle."""
    x, y = end[0] - shape.x, end[1] - shape.y
    distances: dict[_Side, float] = {
        "left": abs(x + shape.width / 2),
        "right": abs(x - shape.width / 2),
        "bottom": abs(y + shape.height / 2),
        "top": abs(y - shape.height / 2),
    }
    side = min(distances, key=lambda side: distances[side])
    return side, round(y if side in ("left", "right") else x, 2)


def _channels(ports: Collection[Port]) -> Mapping[Port, int]:
    """Return the channel of each port: an arrow's ways part in one, and two arrows have two."""
    found: dict[Port, int] = {}
    arrows: defaultdict[_Side, list[float]] = defaultdict(list)
    for port in sorted(ports):
        ways = arrows[port.side]
        if port.outer not in ways:
            ways.append(port.outer)
        found[port] = ways.index(port.outer)
    return found


class _Framing:
    """Draws the frame of blocks that are alike, and the ways from their arrows into it."""

    def __init__(
        self, plan: Plan, head: float, closed: Shape, ports: Iterable[Collection[Port]]
    ) -> None:
        self._plan, self._head = plan, head
        self._upward: set[float] = set()
        room: defaultdict[_Side, int] = defaultdict(int)
        for ones in ports:
            for port, channel in _channels(ones).items():
                for side in (port.side, port.inner_side):
                    room[side] = max(room[side], channel + 1)
                if port.inner_side == "top":
                    self._upward.add(port.inner)
        pads = {side: _FIRST + _CHANNEL * room[side] for side in _SIDES}
        sides = max(pads["left"], pads["right"], _PAD)
        top = head + pads["top"]
        self._width = max(plan.width + 2 * sides, closed.width, _LEAST)
        self._height = max(plan.height + pads["bottom"] + top, closed.height)
        self._rise = (pads["bottom"] - top) / 2  # of the plan's middle over that of the frame

    def frame(self, anatomy: Anatomy) -> Frame:
        """Return the drawing, with what leaves upwards in any of the blocks."""
        plan = self._plan
        spot = Spot(STAMPED, STAMPED, -plan.width / 2, self._rise - plan.height / 2)
        exits = {x - plan.width / 2: place for place, x in plan.exits.items()}
        stamped = plan.stamped(spot, upward={exits[x] for x in self._upward})
        size = self._width, self._height
        outline = Shape(STAMPED, "inside", "box", 0.0, 0.0, *size, "background", "background")
        drawing = Drawing((outline, *stamped.shapes), stamped.edges)
        return Frame(*size, drawing, _order(drawing, anatomy))

    def ways(self, ports: Collection[Port]) -> Iterator[Way]:
        """Yield the ways through the frame of one of the blocks."""
        for port, channel in _channels(ports).items():
            if _OPPOSITE[port.side] != port.inner_side:
                yield Way(rounded(list(self._way(port, channel)), 5.0), port.state)

    def _way(self, port: Port, channel: int) -> Iterator[Point]:
        here = self._edge(port.side, channel)
        inner = self._inner(port)
        yield self._at(port.side, port.outer, self._edge(port.side))
        yield self._at(port.side, port.outer, here)
        if port.side == port.inner_side:
            yield self._at(port.side, self._along(port.side, inner), here)
        else:
            there = self._edge(port.inner_side, channel)
            yield self._at(port.side, there, here)
            yield self._at(port.inner_side, self._along(port.inner_side, inner), there)
        yield inner

    def _edge(self, side: _Side, channel: int | None = None) -> float:
        """Return where a side of the frame is, or a channel along it: x, or y."""
        half = (self._width if side in ("left", "right") else self._height) / 2
        inside = 0.0 if channel is None else _FIRST + _CHANNEL * channel
        if side == "top" and channel is not None:
            inside += self._head
        return inside - half if side in ("left", "bottom") else half - inside

    def _inner(self, port: Port) -> Point:
        width, height = self._plan.width / 2, self._plan.height / 2
        match port.inner_side:
            case "left":
                return -width, port.inner + self._rise
            case "right":
                return width, port.inner + self._rise
            case "bottom":
                return port.inner, self._rise - height
            case "top":
                return port.inner, self._rise + height

    @staticmethod
    def _at(side: _Side, along: float, across: float) -> Point:
        return (across, along) if side in ("left", "right") else (along, across)

    @staticmethod
    def _along(side: _Side, point: Point) -> float:
        return point[1] if side in ("left", "right") else point[0]


def _order(drawing: Drawing, anatomy: Anatomy) -> Mapping[str, int]:
    """Return by id with which op each part of the drawing appears."""
    number = {part.place: order for order, part in enumerate(anatomy.parts)}
    order: dict[str, int] = {}
    for shape in drawing.shapes:
        kind, _, place = shape.id.partition(f"-{STAMPED}-")
        if kind in ("op", "chip"):
            order[shape.id] = number[int(place.partition("-")[0])]
    for edge in drawing.edges:
        known = [order[id] for id in (edge.target, edge.source) if id in order]
        if known:
            order[edge.id] = known[0]
    return order
