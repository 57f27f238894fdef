"""Draws the connections of a grid along the ways that `wiring` chose, what they carry beside them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, Literal

from ..picture.curves import beside, on_outline, rounded
from ..picture.diagram import Edge, Point, Shape, Text
from ..picture.lanes import LANE_DISTANCE, LANE_WIDTH
from ..picture.ramp import Ramp, is_sick, look_of, norm_text, strength
from ..picture.stretches import drawn_once
from ..picture.text_metrics import fit, text_width
from .grid import FOLD, Connection
from .placement import (
    CIRCLE,
    EDGE_WIDTH,
    FOLD_STEP,
    LABEL_SIZE,
    LANE_ROOM,
    LOOP_LABEL_WIDTH,
    LOOP_WIDTH,
    MESSAGE_WIDTH,
    NOTE_SIZE,
    TRACK,
    Bands,
    Placement,
)
from .wiring import Along, Around, Loop, Step, Up, Way

CUT_SIZE = 17.0
# Out of an output's side, before the first bend: an arrowhead on the way back, in the widest lanes
# of any view.
_REACH_WITH_GRADIENTS = LANE_ROOM + LANE_DISTANCE


class Pen:
    """Makes the edges of one placed grid; `shapes` are its items and its fold by id."""

    def __init__(
        self,
        place: Placement,
        bands: Bands,
        shapes: Mapping[str, Shape],
        ramp: Ramp | None = None,
    ) -> None:
        self._place = place
        self._bands = bands
        self._shapes = shapes
        self._ramp = ramp
        self._arrivals = self._arrival_offsets()
        ways = place.wiring.ways
        self._crowded = {c.target for c in place.grid.connections if isinstance(ways[c.id], Around)}

    def edges(self) -> Iterable[Edge]:
        connections = self._place.grid.connections
        if self._ramp is None:
            return map(self._edge, connections)
        back = [
            (self._backward_lane(c, self._ramp), strength(c.norm))
            for c in connections
            if c.norm is not None
        ]
        return chain(map(self._forward_lane, connections), drawn_once(back))

    def _arrival_offsets(self) -> dict[str, float]:
        """Return how far from its middle edges that come around enter each item: beside straight ones."""
        straight: defaultdict[str, float] = defaultdict(float)
        for connection in self._place.grid.connections:
            way = self._place.wiring.ways[connection.id]
            if isinstance(way, Up):
                distance = abs(way.offset - self._place.frames[connection.target].offset)
                straight[connection.target] = max(straight[connection.target], distance)
        return {
            id: CIRCLE * 0.31 if frame.round else min(straight[id] + 24, frame.width / 2 - 10)
            for id, frame in self._place.frames.items()
        }

    def _edge(self, connection: Connection, **changes: Any) -> Edge:
        source, target = self._shapes[connection.source], self._shapes[connection.target]
        way = self._place.wiring.ways[connection.id]
        message = connection.kind in ("message", "initial") or isinstance(way, Step)
        label, note = (
            (None, None) if self._ramp else self._edge_texts(connection, way, source, target)
        )
        edge = Edge(
            id=connection.id,
            cls=connection.cls,
            source=connection.source,
            target=connection.target,
            points=self._points(connection, way, source, target),
            color="message" if message else "text",
            width=MESSAGE_WIDTH if message else EDGE_WIDTH,
            label=label,
            note=note,
            tooltip=connection.tooltip,
            arrow=not self._is_opened(connection.target),
        )
        return replace(edge, **changes)

    def _is_opened(self, id: str) -> bool:
        """Whether edges to an item go on inside it."""
        item = self._place.grid.items.get(id)
        return item is not None and item.plan is not None

    def _forward_lane(self, connection: Connection) -> Edge:
        """A thin grey edge beside the middle; in the middle where nothing comes back."""
        if connection.norm is None and not connection.laned:
            return self._edge(connection, color="muted", width=LANE_WIDTH)
        source, target = self._shapes[connection.source], self._shapes[connection.target]
        return self._edge(
            connection,
            points=rounded(self._lane(connection, 1, source, target)),
            color="muted",
            width=LANE_WIDTH,
        )

    def _backward_lane(self, connection: Connection, ramp: Ramp) -> Edge:
        source, target = self._shapes[connection.source], self._shapes[connection.target]
        corners = self._lane(connection, -1, source, target)[::-1]
        look = look_of(connection.norm or 0.0, ramp)
        return Edge(
            id=f"gradient-{connection.id}",
            cls="gradient",
            source=connection.target,
            target=connection.source,
            points=rounded(corners),
            color=look.color,
            width=look.width,
            dashed=look.dashed,
            label=self._mark(connection, corners),
            tooltip=connection.tooltip,
            arrow=not self._is_opened(connection.source),
        )

    def _mark(self, connection: Connection, corners: Sequence[Point]) -> Text | None:
        """What stands on a way back that is cut, or carries no number."""
        start, end = corners[-2:]
        x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
        if connection.cut:
            return Text("✂", x, y, CUT_SIZE, "backward", bold=True)
        if not is_sick(connection.norm):
            return None
        level = abs(start[0] - end[0]) > abs(start[1] - end[1])
        mark = Text(norm_text(connection.norm or 0.0), x, y, LABEL_SIZE, "alarm", bold=True)
        return mark.moved(0, -11) if level else mark.moved(mark.width / 2 + 6, 0)

    def _lane(self, connection: Connection, side: int, source: Shape, target: Shape) -> list[Point]:
        """The corners of an edge to the left (1) or right (-1) of the middle, between the two shapes' outlines."""
        way = self._place.wiring.ways[connection.id]
        crowded = isinstance(way, Around) or not self._crowded.isdisjoint(
            (connection.source, connection.target)
        )
        distance = self._place.grid.crowded_lane if crowded else self._place.grid.lane
        corners = beside(self._corners(connection, way, source, target), side * distance)
        return [
            on_outline(source, corners[0], corners[1]),
            *corners[1:-1],
            on_outline(target, corners[-1], corners[-2]),
        ]

    def _points(
        self, connection: Connection, way: Way, source: Shape, target: Shape
    ) -> tuple[Point, ...]:
        if isinstance(way, Loop):
            return _loop(source)
        return rounded(self._corners(connection, way, source, target))

    def _corners(
        self, connection: Connection, way: Way, source: Shape, target: Shape
    ) -> list[Point]:
        match way:
            case Along() | Loop():
                return self._level_line(connection, source, target)
            case Up(offset):
                x = self._place.middle[self._place.grid.items[connection.source].slot] + offset
                return [(x, _rim(source, x, 1)), (x, _rim(target, x, -1))]
            case Step():
                x = self._before_right_one(source, target)
                return [
                    (source.right, source.y),
                    (x, source.y),
                    (x, target.y),
                    (target.left, target.y),
                ]
            case Around():
                return self._detour(connection, way, source, target)

    def _level_line(self, connection: Connection, source: Shape, target: Shape) -> list[Point]:
        """Return the horizontal between two shapes, with a step where it leaves one at another height than it arrives.

        The fold's outline is that of its stack.
        """
        stack = 2 * FOLD_STEP
        arrives = self._state_height(connection, target, "arrives")
        leaves = self._state_height(connection, source, "leaves")
        start, end = leaves or arrives or source.y, arrives or leaves or target.y
        if source.x < target.x:
            ends = (source.right + (stack if source.id == FOLD else 0), target.left)
        else:
            ends = (source.left, target.right + (stack if target.id == FOLD else 0))
        if abs(start - end) < 0.5:
            return [(ends[0], end), (ends[1], end)]
        x = self._before_right_one(source, target) + (connection.state or 0) * TRACK
        return [(ends[0], start), (x, start), (x, end), (ends[1], end)]

    def _state_height(
        self, connection: Connection, shape: Shape, end: Literal["arrives", "leaves"]
    ) -> float | None:
        """Return the height at which a message meets a shape; None where the fold takes it as it comes."""
        if shape.id == FOLD:
            return None
        heights: Mapping[int, float] = getattr(self._place.frames[shape.id], end)
        return shape.y + heights.get(connection.state or 0, 0.0)

    def _detour(
        self, connection: Connection, way: Around, source: Shape, target: Shape
    ) -> list[Point]:
        leave = self._bands.gap_track(way.exit_gap, way.exit_track)
        arrive = self._bands.gap_track(way.entry_gap, way.entry_track)
        start = self._departure(connection, source)
        offset = self._arrivals[target.id] * (-1 if way.side == "left" else 1)
        frame = self._place.frames[target.id]
        offset = frame.entries.get(connection.id, offset)
        x = target.x + (0.0 if way.from_above else offset)
        end = [(x, arrive), (x, _rim(target, x, 1 if way.from_above else -1))]
        if way.lane is None:
            return [*start, (start[-1][0], leave), *end]
        sign = -1 if way.lane.side == "left" else 1
        column = way.lane.slot < len(self._place.grid.slots)
        content = self._place.content if column else self._place.half[way.lane.slot]
        lane = self._place.middle[way.lane.slot] + sign * (
            content + LANE_ROOM + way.lane.track * self._place.track
        )
        return [*start, (start[-1][0], leave), (lane, leave), (lane, arrive), *end]

    def _departure(self, connection: Connection, source: Shape) -> list[Point]:
        """Leave through the top; through the right side where a caption stands above."""
        if source.id == FOLD:
            return [(source.x + FOLD_STEP, self._bands.top)]
        item = self._place.grid.items[connection.source]
        if item.role == "output" and item.caption:
            reach = TRACK if connection.norm is None else _REACH_WITH_GRADIENTS
            return [(source.right, source.y), (source.right + reach, source.y)]
        return [(source.x + (self._place.frames[item.id].exit or 0.0), source.top)]

    def _edge_texts(
        self, connection: Connection, way: Way, source: Shape, target: Shape
    ) -> tuple[Text | None, Text | None]:
        match way:
            case Loop():
                return self._loop_text(connection, source), None
            case Along():
                return self._message_texts(connection, source, target)
            case Up(offset):
                return None, self._value_text(connection, source, offset)
            case _:
                return None, None

    def _loop_text(self, connection: Connection, shape: Shape) -> Text:
        label = fit(connection.label, LOOP_LABEL_WIDTH, LABEL_SIZE)
        x = shape.right + LOOP_WIDTH + 8 + text_width(label, LABEL_SIZE) / 2
        return Text(label, x, shape.y, LABEL_SIZE, "message")

    def _message_texts(
        self, connection: Connection, source: Shape, target: Shape
    ) -> tuple[Text | None, Text | None]:
        """Return a message's name above its edge and its shape below, where they fit between columns."""
        y = self._level_line(connection, source, target)[0][1]
        x, room = self._before_right_one(source, target), self._place.gap - 6
        label, note = connection.label, connection.note
        if not label:
            return None, None
        above = Text(fit(label, room, LABEL_SIZE), x, y + 12, LABEL_SIZE, "message")
        if not note or text_width(note, NOTE_SIZE) > room:
            return above, None
        return above, Text(note, x, y - 11, NOTE_SIZE, "muted")

    def _before_right_one(self, source: Shape, target: Shape) -> float:
        """Return the middle of the free strip between columns before the right one of two shapes."""
        right = max(source, target, key=lambda shape: shape.x)
        if right.id == FOLD:
            return right.left - self._place.gap / 2
        slot = self._place.grid.items[right.id].slot
        return self._place.middle[slot] - self._place.half[slot] - self._place.gap / 2

    def _value_text(self, connection: Connection, source: Shape, offset: float) -> Text | None:
        """Return the shape of a value, to the left of its way up, where it fits beside the items there."""
        if not connection.note or connection.note == self._place.grid.items[connection.source].note:
            return None  # the source says it already
        width = text_width(connection.note, NOTE_SIZE)
        ends = (self._place.frames[connection.source], self._place.frames[connection.target])
        alone = all(abs(frame.offset) < 0.5 for frame in ends)
        if width > (self._place.content - 6 if alone else CIRCLE):
            return None
        x = (
            self._place.middle[self._place.grid.items[connection.source].slot]
            + offset
            - 6
            - width / 2
        )
        return Text(connection.note, x, source.top + 18, NOTE_SIZE, "muted")


def _loop(shape: Shape) -> tuple[Point, ...]:
    """Out of the right side and back into it: half an ellipse."""
    spread, belly = shape.height / 4, shape.right + LOOP_WIDTH
    x, y = shape.right, shape.y
    return (
        (x, y - spread),
        (x + 0.6 * LOOP_WIDTH, y - spread),
        (belly, y - 0.6 * spread),
        (belly, y),
        (belly, y + 0.6 * spread),
        (x + 0.6 * LOOP_WIDTH, y + spread),
        (x, y + spread),
    )


def _rim(shape: Shape, x: float, side: int) -> float:
    """Return the height at which a vertical at `x` meets the top (`side` 1) or bottom (-1) of `shape`."""
    if shape.form != "circle":
        return shape.y + side * shape.height / 2
    return shape.y + side * max((shape.width / 2) ** 2 - (x - shape.x) ** 2, 0.0) ** 0.5
