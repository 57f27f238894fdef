"""Draws the connections of a grid along the ways that `wiring` chose, what they carry beside them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from .diagram import Edge, Point, Shape, Text
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
from .routes import rounded
from .text_metrics import fit, text_width
from .theme import Theme
from .wiring import Along, Around, Loop, Step, Up, Way


class Pen:
    """Makes the edges of one placed grid; `shapes` are its items and its fold by id."""

    def __init__(self, place: Placement, bands: Bands, theme: Theme, shapes: Mapping[str, Shape]) -> None:
        self._place = place
        self._bands = bands
        self._theme = theme
        self._shapes = shapes
        self._arrivals = self._arrival_offsets()

    def edges(self) -> Iterable[Edge]:
        return map(self._edge, self._place.grid.connections)

    def _arrival_offsets(self) -> dict[str, float]:
        """Return how far from its middle edges that come around enter each item: beside straight ones."""
        straight: defaultdict[str, float] = defaultdict(float)
        for connection in self._place.grid.connections:
            way = self._place.wiring.ways[connection.id]
            if isinstance(way, Up):
                distance = abs(way.offset - self._place.frames[connection.target].offset)
                straight[connection.target] = max(straight[connection.target], distance)
        return {
            id: CIRCLE * 0.3 if frame.round else min(straight[id] + 24, frame.width / 2 - 10)
            for id, frame in self._place.frames.items()
        }

    def _edge(self, connection: Connection) -> Edge:
        source, target = self._shapes[connection.source], self._shapes[connection.target]
        way = self._place.wiring.ways[connection.id]
        message = connection.kind in ("message", "initial")
        label, note = self._edge_texts(connection, way, source, target)
        return Edge(
            id=connection.id,
            cls=connection.cls,
            source=connection.source,
            target=connection.target,
            points=self._points(connection, way, source, target),
            color=self._theme.message if message or isinstance(way, Step) else self._theme.text,
            width=MESSAGE_WIDTH if message or isinstance(way, Step) else EDGE_WIDTH,
            label=label,
            note=note,
            tooltip=connection.tooltip,
        )

    def _points(self, connection: Connection, way: Way, source: Shape, target: Shape) -> tuple[Point, ...]:
        match way:
            case Loop():
                return _loop(source)
            case Along():
                return rounded(self._level_line(source, target))
            case Up(offset):
                x = self._place.middle[self._place.grid.items[connection.source].slot] + offset
                return rounded([(x, _rim(source, x, 1)), (x, _rim(target, x, -1))])
            case Step():
                x = self._before_right_one(source, target)
                return rounded([(source.right, source.y), (x, source.y), (x, target.y), (target.left, target.y)])
            case Around():
                return rounded(self._detour(connection, way, source, target))

    def _level_line(self, source: Shape, target: Shape) -> list[Point]:
        """Return the horizontal between two shapes; the fold's outline is that of its stack."""
        y = target.y if source.id == FOLD else source.y
        stack = 2 * FOLD_STEP
        if source.x < target.x:
            return [(source.right + (stack if source.id == FOLD else 0), y), (target.left, y)]
        return [(source.left, y), (target.right + (stack if target.id == FOLD else 0), y)]

    def _detour(self, connection: Connection, way: Around, source: Shape, target: Shape) -> list[Point]:
        leave = self._bands.gap_track(way.exit_gap, way.exit_track)
        arrive = self._bands.gap_track(way.entry_gap, way.entry_track)
        start = self._departure(connection, source)
        offset = self._arrivals[target.id] * (-1 if way.side == "left" else 1)
        x = target.x + (0.0 if way.from_above else offset)
        end = [(x, arrive), (x, _rim(target, x, 1 if way.from_above else -1))]
        if way.lane is None:
            return [*start, (start[-1][0], leave), *end]
        sign = -1 if way.lane.side == "left" else 1
        column = way.lane.slot < len(self._place.grid.slots)
        content = self._place.content if column else self._place.half[way.lane.slot]
        lane = self._place.middle[way.lane.slot] + sign * (content + LANE_ROOM + way.lane.track * TRACK)
        return [*start, (start[-1][0], leave), (lane, leave), (lane, arrive), *end]

    def _departure(self, connection: Connection, source: Shape) -> list[Point]:
        """Leave through the top; through the right side where a caption stands above."""
        if source.id == FOLD:
            return [(source.x + FOLD_STEP, self._bands.top)]
        item = self._place.grid.items[connection.source]
        if item.role == "output" and item.caption:
            return [(source.right, source.y), (source.right + TRACK, source.y)]
        return [(source.x, source.top)]

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
        return Text(label, x, shape.y, LABEL_SIZE, self._theme.message)

    def _message_texts(self, connection: Connection, source: Shape, target: Shape) -> tuple[Text | None, Text | None]:
        """Return a message's name above its edge and its shape below, where they fit between columns."""
        y = source.y if target.id == FOLD else target.y
        x, room = self._before_right_one(source, target), self._place.gap - 6
        label, note = connection.label, connection.note
        if not label:
            return None, None
        above = Text(fit(label, room, LABEL_SIZE), x, y + 12, LABEL_SIZE, self._theme.message)
        if not note or text_width(note, NOTE_SIZE) > room:
            return above, None
        return above, Text(note, x, y - 11, NOTE_SIZE, self._theme.muted)

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
        x = self._place.middle[self._place.grid.items[connection.source].slot] + offset - 6 - width / 2
        return Text(connection.note, x, source.top + 18, NOTE_SIZE, self._theme.muted)


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
