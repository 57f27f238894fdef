"""Draws a grid's connections along the ways that `wiring` chose, what they carry beside them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from ..picture.curves import beside, on_outline, rounded
from ..picture.lanes import LANE_DISTANCE, LANE_WIDTH
from ..picture.ramp import Ramp, is_non_finite, look_of, norm_text, strength
from ..picture.shapes import Edge, Point, Shape, Text
from ..picture.stretches import drawn_once
from ..picture.text_metrics import fit, text_width
from .grid import FOLD, Connection
from .items import CIRCLE, LABEL_SIZE, NOTE_SIZE, Item
from .placement import (
    FOLD_STEP,
    LABEL_LINE,
    LANE_ROOM,
    Bands,
    Placement,
    label_lines,
)
from .room import Room
from .tracks import TRACK
from .wiring import Along, Around, Beside, Between, Frame, Loop, Up, Way

_MESSAGE_WIDTH, _EDGE_WIDTH = 2.4, 1.2
_LOOP_WIDTH, _LOOP_LABEL_WIDTH = 38.0, 120.0
_CUT_SIZE = 17.0
_NAME_SIZE, _NAME_MOST = LABEL_SIZE - 1, 110.0  # of what goes around
ENTRY_PITCH = 12.0  # between what comes around to one side of a box
# Out of an output's side, before the first bend: an arrowhead on the way back, in the widest lanes
# of any view.
_REACH_WITH_GRADIENTS = LANE_ROOM + LANE_DISTANCE


class _Line(NamedTuple):
    """A connection, the way that it goes, and the shapes that it joins."""

    connection: Connection
    way: Way
    source: Shape
    target: Shape

    @property
    def is_message(self) -> bool:
        return self.connection.kind in ("message", "initial") or isinstance(self.way, Between)


class Pen:
    """Makes the edges of one placed grid; `shapes` are its items and its fold by id."""

    def __init__(
        self, place: Placement, bands: Bands, shapes: Mapping[str, Shape], ramp: Ramp | None = None
    ) -> None:
        self._place, self._shapes = place, shapes
        self._items = place.grid.items
        self._bands = bands
        self._ramp = ramp
        self._lines = [
            _Line(c, place.wiring.ways[c.id], shapes[c.source], shapes[c.target])
            for c in place.grid.connections
        ]
        self._arrivals = self._arrival_offsets()
        self._crowded = {line.target.id for line in self._lines if isinstance(line.way, Around)}

    @property
    def _has_lanes(self) -> bool:
        """Whether norms are of what comes back, beside the edges, and not of what goes forward."""
        return self._ramp is not None and self._place.grid.lane > 0

    def edges(self) -> list[Edge]:
        if self._ramp is None:
            return list(map(self._labelled, self._lines))
        if not self._has_lanes:
            ramp = self._ramp
            return [self._coloured(line, ramp) for line in self._lines]
        back: list[tuple[Edge, float]] = []
        for line in self._lines:
            norm = line.connection.norm
            if norm is not None:
                back.append((self._backward_lane(line, norm, self._ramp), strength(norm)))
        return [*map(self._forward_lane, self._lines), *drawn_once(back)]

    def named(self, edges: Sequence[Edge]) -> list[Edge]:
        """The edges with the names of what goes around or between columns, where there is room."""
        named = list(edges)
        bent = [
            (k, line)
            for k, line in enumerate(self._lines)
            if isinstance(line.way, Around | Between) and line.connection.label
        ]
        if self._has_lanes or not bent:
            return named
        ways = (self._corners(line) for line in self._lines)
        room = Room(self._shapes.values(), edges, ways)
        told: set[tuple[Point, str]] = set()  # what goes to several is named once
        for k, line in bent:
            corners = self._corners(line)
            if (corners[0], line.connection.label) in told:
                continue
            color = "message" if edges[k].color == "message" else "muted"
            text = Text(line.connection.label, 0.0, 0.0, _NAME_SIZE, color)
            if text.width <= _NAME_MOST:
                label = room.named(corners, text)
                named[k] = replace(edges[k], label=label)
                if label is not None:
                    told.add((corners[0], text.text))
        return named

    def _arrival_offsets(self) -> dict[str, float]:
        """Return how far from its target's middle each connection enters that comes around."""
        straight: defaultdict[str, float] = defaultdict(float)
        around: defaultdict[tuple[str, str], dict[str, list[str]]] = defaultdict(dict)
        near_first = sorted(self._lines, key=_from_near)
        for line in near_first:
            target = line.target.id
            frame = self._place.frames.get(target)
            if isinstance(line.way, Up) and frame is not None and not frame.spans:
                straight[target] = max(straight[target], abs(line.way.offset - frame.offset))
            if isinstance(line.way, Around) and not self._goes_straight_up(line, line.way):
                ways = around[target, line.way.side]
                ways.setdefault(line.source.id, []).append(line.connection.id)
        offsets: dict[str, float] = {}
        for (target, side), ways in around.items():
            frame = self._place.frames[target]
            sign = -1 if side == "left" else 1
            other = (target, "right" if side == "left" else "left")
            for place, ids in enumerate(ways.values()):
                offset = frame.width * 0.31
                if place and frame.round:  # the second one comes from its other side, if it can
                    is_taken = place > 1 or other in around
                    offset = 0.0 if is_taken else -offset
                if frame.spans:
                    offset = 24 + place * ENTRY_PITCH
                elif not frame.round:
                    farther = place * ENTRY_PITCH
                    offset = min(straight[target] + 24 + farther, frame.width / 2 - 10)
                offsets.update(dict.fromkeys(ids, sign * offset))
        return offsets

    def _labelled(self, line: _Line) -> Edge:
        label, note = self._texts(line)
        if len(self._names(line)) > 1:  # these have shapes of their own
            label = note = None
        return replace(self._edge(line, self._points(line)), label=label, note=note)

    def _names(self, line: _Line) -> list[str]:
        """The names beside a message, in lines."""
        if not isinstance(line.way, Along | Between) or not line.connection.label:
            return []
        return label_lines(line.connection.label, self._place.gap - 6)

    def labels(self) -> Iterator[Shape]:
        """Yield the names beside messages of several lines."""
        for line in () if self._has_lanes else self._lines:
            names = self._names(line)
            if len(names) < 2 or not isinstance(line.way, Along):
                continue
            x, y = self._label_at(line), self._label_height(line)
            texts = tuple(
                Text(name, x, y + 12 + LABEL_LINE * place, LABEL_SIZE, "message")
                for place, name in enumerate(reversed(names))
            )
            yield Shape(
                id=f"names-{line.connection.id}",
                cls="label",
                form="text",
                x=x,
                y=y + 12,
                width=max(text.width for text in texts),
                height=LABEL_LINE * len(texts),
                texts=texts,
                tooltip=line.connection.label,
            )

    def _label_at(self, line: _Line) -> float:
        """Where the name of a message stands: between two columns, those after its source."""
        source, target = line.source, line.target
        if FOLD in (source.id, target.id) or source.x > target.x:
            return self._before_right_one(line)
        slot = self._items[source.id].slot
        return self._place.edges(slot)[1] + self._place.gap / 2

    def _label_height(self, line: _Line) -> float:
        """Return the height that the name of a message stands above.

        What leaves a circle that is several states goes to the height of each at once.
        """
        corners = self._level_line(line)
        return corners[-1 if self._is_initial(line.source) else 0][1]

    def _coloured(self, line: _Line, ramp: Ramp) -> Edge:
        """An edge with its labels, in the colour of what it hands on."""
        edge, norm = self._labelled(line), line.connection.norm
        if norm is None:
            return edge
        look = look_of(norm, ramp)
        return replace(edge, color=look.color, width=look.width, dashed=look.dashed)

    def _edge(self, line: _Line, points: tuple[Point, ...]) -> Edge:
        return Edge(
            id=line.connection.id,
            cls=line.connection.cls,
            source=line.source.id,
            target=line.target.id,
            points=points,
            color="message" if line.is_message or line.connection.in_time else "text",
            width=_MESSAGE_WIDTH if line.is_message else _EDGE_WIDTH,
            tooltip=line.connection.tooltip,
            arrow=not self._is_opened(line.target.id),
            passages=line.connection.passages,
        )

    def _is_opened(self, id: str) -> bool:
        """Whether edges to an item go on inside it."""
        return id in self._items and self._items[id].plan is not None

    def _forward_lane(self, line: _Line) -> Edge:
        """A thin grey edge beside the middle; in the middle where nothing comes back."""
        if line.connection.norm is None and not line.connection.laned:
            points = self._points(line)
        else:
            points = rounded(self._lane(line, 1))
        return replace(self._edge(line, points), color="muted", width=LANE_WIDTH)

    def _backward_lane(self, line: _Line, norm: float, ramp: Ramp) -> Edge:
        corners = self._lane(line, -1)[::-1]
        look = look_of(norm, ramp)
        return Edge(
            id=f"gradient-{line.connection.id}",
            cls="gradient",
            source=line.target.id,
            target=line.source.id,
            points=rounded(corners),
            color=look.color,
            width=look.width,
            dashed=look.dashed,
            label=_mark(line.connection, norm, corners),
            tooltip=line.connection.tooltip,
            arrow=not self._is_opened(line.source.id),
        )

    def _lane(self, line: _Line, side: int) -> list[Point]:
        """The corners of an edge to the left (1) or right (-1) of the middle, to the outlines."""
        distance = self._place.grid.lane
        ends = (line.source.id, line.target.id)
        if isinstance(line.way, Around) or not self._crowded.isdisjoint(ends):
            distance = self._place.grid.crowded_lane
        corners = beside(self._corners(line), side * distance)
        return [
            on_outline(line.source, corners[0], corners[1]),
            *corners[1:-1],
            on_outline(line.target, corners[-1], corners[-2]),
        ]

    def _points(self, line: _Line) -> tuple[Point, ...]:
        if isinstance(line.way, Loop):
            return _loop(line.source)
        return rounded(self._corners(line))

    def _corners(self, line: _Line) -> list[Point]:
        source, target = line.source, line.target
        match line.way:
            case Along() | Loop():
                return self._level_line(line)
            case Beside():
                ends = source.right, target.left
                if source.x > target.x:
                    ends = source.left, target.right
                return [(ends[0], target.y), (ends[1], target.y)]
            case Up(offset, slot):
                x = self._place.middle[slot] + offset
                return [(x, _rim(source, x, 1)), (x, _rim(target, x, -1))]
            case Between(number):
                x = self._before_right_one(line) - TRACK * number
                state = line.connection.state or 0
                leaves = source.y + self._frame(source).leaves.get(state, 0.0)
                arrives = target.y + self._frame(target).arrives.get(state, 0.0)
                start, end = (source.right, leaves), (target.left, arrives)
                return [start, (x, leaves), (x, arrives), end]
            case Around() as way:
                return self._detour(line, way)

    def _level_line(self, line: _Line) -> list[Point]:
        """Return the horizontal between two shapes.

        It has a step where it leaves one at another height than it arrives at the other. The fold's
        outline is that of its stack.
        """
        source, target = line.source, line.target
        state = line.connection.state or 0
        leaves = arrives = None
        if source.id != FOLD:
            leaves = source.y + self._frame(source).leaves.get(state, 0.0)
        if target.id != FOLD:
            arrives = target.y + self._frame(target).arrives.get(state, 0.0)
            straight = leaves is not None and not self._is_opened(target.id)
            if straight and abs((leaves or 0.0) - target.y) < target.height / 2 - 6:
                arrives = leaves
        start, end = leaves or arrives or source.y, arrives or leaves or target.y
        left, right = source.right, target.left
        if source.x >= target.x:
            left, right = source.left, target.right
            if target.id == FOLD:
                right += 2 * FOLD_STEP
        elif source.id == FOLD:
            left += 2 * FOLD_STEP
        if abs(start - end) < 0.5:
            return [(left, end), (right, end)]
        x = self._before_right_one(line) + state * TRACK
        if self._is_initial(source):
            away = self._place.track * (1 + state)
            x = left + (away if left < right else -away)
        return [(left, start), (x, start), (x, end), (right, end)]

    def _is_initial(self, shape: Shape) -> bool:
        return shape.id in self._items and self._items[shape.id].role == "initial"

    def _frame(self, shape: Shape) -> Frame:
        return self._place.frames[shape.id]

    def _detour(self, line: _Line, way: Around) -> list[Point]:
        leave = self._bands.gap_track(way.exit_gap, way.exit_track)
        arrive = self._bands.gap_track(way.entry_gap, way.entry_track)
        start = self._departure(line)
        target = line.target
        x, side = target.x, 1
        if self._frame(target).spans:
            x = self._place.middle[way.slot] + self._arrivals[line.connection.id]
            side = 1 if way.from_above else -1
        elif not way.from_above:
            aside = self._arrivals.get(line.connection.id, 0.0)
            x += self._frame(target).entries.get(line.connection.id, aside)
            side = -1
        elif not self._frame(target).round:  # beside what leaves it there
            x += self._arrivals[line.connection.id]
        end = [(x, arrive), (x, _rim(target, x, side))]
        turn = (start[-1][0], leave)
        if self._goes_straight_up(line, way):
            return [*start, end[-1]]
        if way.lane is None:
            return [*start, turn, *end]
        lane = self._place.lane(way.lane)
        if way.into_side:
            edge = target.left if way.side == "left" else target.right
            return [*start, turn, (lane, leave), (lane, target.y), (edge, target.y)]
        return [*start, turn, (lane, leave), (lane, arrive), *end]

    def _goes_straight_up(self, line: _Line, way: Around) -> bool:
        """Whether a circle stands straight above where something comes up beside its source."""
        if way.lane is not None or way.from_above or not self._frame(line.target).round:
            return False
        return abs(self._departure(line)[-1][0] - line.target.x) < 0.5

    def _departure(self, line: _Line) -> list[Point]:
        """Leave through the top; through the right side where a caption stands above."""
        source = line.source
        if source.id == FOLD:
            return [(source.x + FOLD_STEP, self._bands.top)]
        item = self._items[source.id]
        if item.last is not None:
            return [(source.right, source.y), (source.right + TRACK, source.y)]
        if line.connection.leaves is not None:
            height = source.y + self._frame(source).leaves.get(line.connection.leaves, 0.0)
            reach = TRACK * (1 + line.connection.leaves)
            return [(source.right, height), (source.right + reach, height)]
        if item.aside is not None:
            end = source.left if item.face_left else source.right
            away = -TRACK if item.face_left else TRACK
            if isinstance(line.way, Around):
                away += line.way.leaves
            return [(end, source.y), (end + away, source.y)]
        if item.role == "output" and item.caption:
            lane = 0.0 if line.connection.norm is None else self._place.grid.lane
            reach = TRACK if line.connection.norm is None else _REACH_WITH_GRADIENTS
            caption = max(text_width(text.text, text.size) for text in source.texts)
            reach = max(reach, (caption - source.width) / 2 + TRACK / 2 + lane)
            return [(source.right, source.y), (source.right + reach, source.y)]
        above = self._place.wiring.circles_above(item)
        if above:
            return self._beside_circles(source, item, [self._shapes[one.id] for one in above])
        exit = self._frame(source).exits.get(line.connection.id, 0.0)
        if isinstance(line.way, Around):
            exit += line.way.leaves
        return [(source.x + exit, source.top)]

    def _beside_circles(self, source: Shape, item: Item, above: Sequence[Shape]) -> list[Point]:
        """Leave a circle by its side, and go up beside those above it."""
        away = self._place.track * len(above)
        circles = (source, *above)
        if item.face_left:
            start, x = source.right, max(shape.right for shape in circles) + away
        else:
            start, x = source.left, min(shape.left for shape in circles) - away
        return [(start, source.y), (x, source.y)]

    def _before_right_one(self, line: _Line) -> float:
        """Return the middle of the strip between columns, before the right one of two shapes."""
        right = max(line.source, line.target, key=lambda shape: shape.x)
        if right.id == FOLD:
            return right.left - self._place.gap / 2
        slot = self._items[right.id].slot
        return self._place.edges(slot)[0] - self._place.gap / 2

    def _texts(self, line: _Line) -> tuple[Text | None, Text | None]:
        """Return the label and the note beside an edge."""
        match line.way:
            case Loop():
                return _loop_text(line), None
            case Along() if line.connection.label:
                return self._message_texts(line)
            case Up(offset, slot):
                return None, self._value_text(line, offset, slot)
            case _:
                return None, None

    def _message_texts(self, line: _Line) -> tuple[Text, Text | None]:
        """Return a message's name above its edge, and its shape below where that fits."""
        y = self._label_height(line)
        x, room = self._label_at(line), self._place.gap - 6
        label = fit(line.connection.label, room, LABEL_SIZE)
        above = Text(label, x, y + 12, LABEL_SIZE, "message")
        note = line.connection.note
        if not note or text_width(note, NOTE_SIZE) > room:
            return above, None
        return above, Text(note, x, y - 11, NOTE_SIZE, "muted")

    def _value_text(self, line: _Line, offset: float, slot: int) -> Text | None:
        """Return a value's shape, or also its name, left of its way up, where that fits."""
        source, note = self._items[line.source.id], line.connection.note
        note = "" if note == source.note else note  # the source says it already
        ends = (self._frame(line.source), self._frame(line.target))
        alone = all(abs(frame.offset) < 0.5 for frame in ends)
        room = self._place.reach(slot).left - 6 if alone else CIRCLE
        name = line.connection.label
        for text in (f"{name} {note}".strip(), name, note):
            width = text_width(text, NOTE_SIZE)
            if text and width <= room:
                x = self._place.middle[slot] + offset - 6 - width / 2
                return Text(text, x, line.source.top + 18, NOTE_SIZE, "muted")
        return None


def _from_near(line: _Line) -> tuple[bool, float]:
    """What comes around without a lane before what has one; before that what comes from afar."""
    way = line.way
    if not isinstance(way, Around) or way.lane is not None:
        return isinstance(way, Around), 0.0
    return False, line.source.x if way.side == "right" else -line.source.x


def _mark(connection: Connection, norm: float, corners: Sequence[Point]) -> Text | None:
    """What stands on a way back that is cut, or carries no number."""
    start, end = corners[-2:]
    x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    if connection.cut:
        return Text("✂", x, y, _CUT_SIZE, "backward", bold=True)
    if not is_non_finite(norm):
        return None
    mark = Text(norm_text(norm), x, y, LABEL_SIZE, "alarm", bold=True)
    level = abs(start[0] - end[0]) > abs(start[1] - end[1])
    return mark.moved(0, -11) if level else mark.moved(mark.width / 2 + 6, 0)


def _loop_text(line: _Line) -> Text:
    label = fit(line.connection.label, _LOOP_LABEL_WIDTH, LABEL_SIZE)
    x = line.source.right + _LOOP_WIDTH + 8 + text_width(label, LABEL_SIZE) / 2
    return Text(label, x, line.source.y, LABEL_SIZE, "message")


def _loop(shape: Shape) -> tuple[Point, ...]:
    """Out of the right side and back into it: half an ellipse."""
    spread, belly = shape.height / 4, shape.right + _LOOP_WIDTH
    x, y = shape.right, shape.y
    return (
        (x, y - spread),
        (x + 0.6 * _LOOP_WIDTH, y - spread),
        (belly, y - 0.6 * spread),
        (belly, y),
        (belly, y + 0.6 * spread),
        (x + 0.6 * _LOOP_WIDTH, y + spread),
        (x, y + spread),
    )


def _rim(shape: Shape, x: float, side: int) -> float:
    """Return the height at which a vertical meets the top (`side` 1) or bottom (-1) of a shape."""
    if shape.form != "circle":
        return shape.y + side * shape.height / 2
    return shape.y + side * max((shape.width / 2) ** 2 - (x - shape.x) ** 2, 0.0) ** 0.5
