"""Measures a grid: how large its items are, where its slots and levels lie in points.

Everything repeated has the same measures throughout a picture, so that columns stay straight and
copies look like copies; the measures grow with the longest text and the number of edges that have
to pass.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise
from operator import or_
from typing import NamedTuple

from ..inside.plan import Plan
from ..picture.text_metrics import broken, fit_middle, text_width
from .grid import MARGIN, Connection, Grid, Heading
from .items import (
    BAR_HEIGHT,
    CAPTION_SIZE,
    CELL_WIDTH,
    CELL_WIDTH_MOST,
    CIRCLE,
    LABEL_SIZE,
    NOTE_SIZE,
    Box,
    Circle,
    Glyph,
    Item,
    Plate,
    Sign,
)
from .tracks import TRACK
from .wiring import Around, Frame, Lane, Side, Wiring

PANEL_PADDING = 16.0
SLOT_GAP, SLOT_GAP_MOST = 44.0, 100.0
LANE_ROOM = 20.0  # between a cell and the first edge that passes it: an arrowhead and some air
LABEL_ROOM, ARROW_ROOM = 27.0, 23.0  # of a gap: for the text beside edges, for arrowheads and bends
LABEL_LINE = 14.0
_NARROW = 0.6  # of the widest column: what holds no more than that has a width of its own
STEP_ROOM, CAPTION_ROOM = 42.0, 18.0  # for "t = 0", for what a user named an input or an output
FOLD_STEP = 9.0  # how far each sheet of the stack shows behind the next
HEADING_SIZE, HEADING_WIDTH, LEADING = 14.0, 360.0, 1.3
HEADING_ROOM = 8.0  # between the last line beside one level and the title beside the next


@dataclass(frozen=True, slots=True)
class Bands:
    """The heights of everything: shared by pictures that stand side by side."""

    levels: tuple[float, ...]  # middle of each level
    half: tuple[float, ...]  # half the height of each level
    bottom: float  # of the panels
    top: float
    track: float  # between parallel edges

    def gap_track(self, gap: int, track: int) -> float:
        """Return the height of a track in the gap above level `gap`."""
        if gap == len(self.levels) - 1:
            return self.top + (track + 1.5) * self.track
        return self.levels[gap] + self.half[gap] + LABEL_ROOM + track * self.track


class Sides(NamedTuple):
    """How far something reaches to the left and to the right of the middle of its slot."""

    left: float
    right: float

    @property
    def width(self) -> float:
        return self.left + self.right

    def __or__(self, other: "Sides") -> "Sides":
        return Sides(max(self.left, other.left), max(self.right, other.right))

    def with_beside(self, other: "Sides") -> "Sides":
        """Return both, one beside the other."""
        return Sides(self.left + other.left, self.right + other.right)


class Placement:
    """A grid with its items measured, its connections wired and its slots placed."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid = _with_room_for_ways(grid)
        self.frames = _frames(grid)
        # With lanes each edge is two.
        self.track = 2 * TRACK if grid.lane else TRACK
        self.wiring = Wiring(grid, self.frames)
        self.gap = min(max([SLOT_GAP, *(w + 14 for w in self._label_widths())]), SLOT_GAP_MOST)
        self.content, self.sides = self._slot_sides()
        self.middle = self._slot_middles()
        for item in grid.items.values():
            if item.last is not None:
                self.frames[item.id] = self._spanning(item)

    def bands(self, *others: "Placement") -> Bands:
        """Return heights with room for everything in this picture and in `others`."""
        placements = (self, *others)
        track = max(placement.track for placement in placements)
        tracks: Counter[int] = Counter()
        for placement in placements:
            tracks |= Counter(placement.wiring.gap_tracks)
        levels = self.grid.levels
        half = [BAR_HEIGHT / 2] * levels
        captioned: set[str] = set()
        for placement in placements:
            for level, height in placement.half_heights().items():
                half[level] = max(half[level], height)
            captioned |= {i.role for i in placement.grid.items.values() if i.caption}
        y = max(map(_room_below, placements))
        if "input" in captioned:
            y += CAPTION_ROOM
        tall = _half_heights_of_headings(placements)
        middles: list[float] = []
        below = -math.inf  # where the heading of a lower level ends
        for level in range(levels):
            middle = y + half[level]
            if level in tall:
                middle = max(middle, below + HEADING_ROOM + tall[level])
                below = middle + tall[level]
            middles.append(middle)
            y = middle + half[level]
            if level < levels - 1:
                y += LABEL_ROOM + ARROW_ROOM + tracks[level] * track
        y += PANEL_PADDING
        if "output" in captioned:
            y += CAPTION_ROOM
        return Bands(tuple(middles), tuple(half), 0.0, y, track)

    def half_heights(self) -> dict[int, float]:
        """Return half the height of what stands on each level, and of the names beside messages."""
        half: defaultdict[int, float] = defaultdict(float)
        for id, item in self.grid.items.items():
            frame = self.frames[id]
            half[item.level] = max(half[item.level], abs(frame.rise) + frame.height / 2)
        for level, lines in self._stacked_labels().items():
            half[level] = max(half[level], LABEL_LINE * lines)
        return half

    def _stacked_labels(self) -> dict[int, int]:
        """Return how many lines the names beside messages have on each level, if several."""
        lines: dict[int, int] = {}
        for connection in self.grid.connections:
            names = label_lines(connection.label, self.gap - 6)
            ends = (connection.source, connection.target)
            for item in filter(None, map(self.grid.items.get, ends)):
                if len(names) > 1:
                    lines[item.level] = max(lines.get(item.level, 0), len(names))
        return lines

    def _label_widths(self) -> Iterable[float]:
        for connection in self.grid.connections:
            if connection.label and connection.source != connection.target:
                yield text_width(connection.label, LABEL_SIZE)
                yield text_width(connection.note, NOTE_SIZE)

    def _slot_sides(self) -> tuple[dict[int, Sides], dict[int, Sides]]:
        """Return how far the content of each column reaches, and each slot with what is beside it.

        All columns of one stretch of time have the same, but those that hold far less than the
        widest one; margins are as wide as what stands there.
        """
        content = defaultdict(lambda: Sides(0.0, 0.0))
        for item in self.grid.items.values():
            if item.last is None:
                content[item.slot] = content[item.slot] | self._sides_of(item)
        columns = [slot for slot, column in enumerate(self.grid.slots) if column != MARGIN]
        stretches = self._stretches()
        widest: defaultdict[int, float] = defaultdict(float)
        for slot in columns:
            stretch = stretches[slot]
            widest[stretch] = max(widest[stretch], content[slot].width)
        alike: defaultdict[tuple[int, bool], list[int]] = defaultdict(list)
        for slot in columns:
            stretch = stretches[slot]
            alike[stretch, content[slot].width < _NARROW * widest[stretch]].append(slot)
        reaches: dict[int, Sides] = {}
        sides: dict[int, Sides] = {}
        for slots in alike.values():
            reach = reduce(or_, (content[slot] for slot in slots))
            lanes = reduce(or_, (self._beside(slot) for slot in slots))
            reaches |= dict.fromkeys(slots, reach)
            sides |= dict.fromkeys(slots, reach.with_beside(lanes))
        for slot in content.keys() - set(columns) | {len(self.grid.slots)}:
            half = max(*content[slot], CIRCLE / 2) + self._tracks_beside(slot) * self.track
            sides[slot] = Sides(half, half)
        if None in self.grid.slots:
            lines = max(text_width(line, size) for line, size, _ in fold_lines(self.grid))
            half = lines / 2 + PANEL_PADDING + FOLD_STEP
            sides[self.grid.slots.index(None)] = Sides(half, half)
        return reaches, sides

    def _stretches(self) -> list[int]:
        """Return of each slot how often time began anew up to it."""
        stretches: list[int] = []
        begun = last = 0
        for column in self.grid.slots:
            step = last if column is None else self.grid.steps.get(column, last)
            begun += step < last
            last = step
            stretches.append(begun)
        return stretches

    def _sides_of(self, item: Item) -> Sides:
        frame = self.frames[item.id]
        width = max(frame.width, _lines_width(item))
        if item.role == "initial":
            width = max(width, caption_width(item, _MARGIN_CAPTION_MOST) + CAPTION_AIR)
        return Sides(width / 2 - frame.offset, width / 2 + frame.offset)

    def _beside(self, slot: int) -> Sides:
        """Return the room for the lanes beside a column's content, up to its edges."""
        left, right = (self._lanes_width(slot, side) for side in ("left", "right"))
        return Sides(PANEL_PADDING + left, PANEL_PADDING + right)

    def _lanes_width(self, slot: int, side: Side) -> float:
        lanes = self.wiring.lane_tracks.get((slot, side), 0)
        return LANE_ROOM + (lanes - 1) * self.track if lanes else 0.0

    def reach(self, slot: int) -> Sides:
        """Return how far from the middle of a slot there is room for what stands in it."""
        if slot not in self.content:
            return self.sides[slot]
        if self.grid.slots[slot] is None:
            most = self.sides[slot].left - PANEL_PADDING
            return Sides(*(min(reach, most) for reach in self.content[slot]))
        return self.content[slot]

    def edges(self, slot: int) -> tuple[float, float]:
        """Return where a slot begins and ends."""
        middle, sides = self.middle[slot], self.sides[slot]
        return middle - sides.left, middle + sides.right

    def lane(self, lane: Lane) -> float:
        """Return where a lane is."""
        reach, away = self.reach(lane.slot), LANE_ROOM + lane.track * self.track
        if lane.side == "left":
            return self.middle[lane.slot] - reach.left - away
        return self.middle[lane.slot] + reach.right + away

    def _spanning(self, item: Item) -> Frame:
        """Return the frame of what spans several slots, from the middle between these."""
        assert item.last is not None
        left, right = self.reach(item.slot).left, self.reach(item.last).right
        width = left + self.middle[item.last] - self.middle[item.slot] + right
        return replace(self.frames[item.id], width=width, offset=(right - left) / 2)

    def _tracks_beside(self, slot: int) -> int:
        """Return how many ways go up beside the circles of a margin, past those above."""
        circles = [item for item in self.grid.items.values() if item.slot == slot]
        left = {
            connection.source
            for connection in self.grid.connections
            if isinstance(self.wiring.ways[connection.id], Around)
        }
        above = (len(self.wiring.circles_above(item)) for item in circles if item.id in left)
        return max(above, default=0)

    def _slot_middles(self) -> dict[int, float]:
        middles: dict[int, float] = {}
        right = -self.gap
        for slot, sides in sorted(self.sides.items()):
            extra = self._lanes_width(slot, "left") if slot == len(self.grid.slots) else 0.0
            middles[slot] = right + self.gap + extra + sides.left
            right = middles[slot] + sides.right
        return middles

    def x(self, item: Item) -> float:
        """Return where the middle of an item is."""
        if item.last is not None:
            middle = (self.middle[item.slot] + self.middle[item.last]) / 2
            return middle + self.frames[item.id].offset
        return self.middle[item.slot] + self.frames[item.id].offset


def heading_texts(heading: Heading) -> list[tuple[str, float, bool, str]]:
    """Return the lines of a heading: each with its size, whether it is bold, and its colour."""
    size = LABEL_SIZE - 1 if heading.title else HEADING_SIZE
    parts = (part for line in heading.lines for part in broken(line, HEADING_WIDTH, size))
    lines = [(part, size, False, "muted") for part in parts]
    title = [(heading.title, HEADING_SIZE, True, "text")] if heading.title else []
    return title + lines


def heading_height(heading: Heading) -> float:
    """Return how high the lines of a heading are."""
    return sum(LEADING * size for _, size, _, _ in heading_texts(heading))


def _room_below(placement: Placement) -> float:
    """Return how much is below the lowest level: what a column is headed by, or its edge."""
    if placement.grid.steps:
        return STEP_ROOM
    return PANEL_PADDING if placement.grid.panels else 0.0


def _half_heights_of_headings(placements: Iterable[Placement]) -> Mapping[int, float]:
    """Return half the height of what stands beside each level."""
    half: dict[int, float] = {}
    for placement in placements:
        for heading in placement.grid.headings:
            height = heading_height(heading) / 2
            half[heading.level] = max(half.get(heading.level, 0.0), height)
    return half


def label_lines(label: str, room: float) -> list[str]:
    """Return the names beside a message in lines that fit, as many names in each as there may be.

    >>> label_lines("h₀, c₀", 100.0)
    ['h₀, c₀']
    """
    lines: list[str] = []
    for name in label.split(", "):
        longer = f"{lines[-1]}, {name}" if lines else name
        if lines and text_width(longer, LABEL_SIZE) <= room:
            lines[-1] = longer
        else:
            lines.append(fit_middle(name, room, LABEL_SIZE))
    return lines


def fold_lines(grid: Grid) -> list[tuple[str, float, float]]:
    """Return the texts of the fold, each with its size and its height above the middle."""
    noun = "copy" if grid.folded == 1 else "copies"
    lines = [
        ("…", 26.0, 24.0),
        (f"{grid.folded} more {noun}", HEADING_SIZE, -6.0),
        ("same parameters", LABEL_SIZE - 1, -23.0),
    ]
    more: list[str] = []
    if grid.detached:
        more.append(f"detached {grid.detached} times" if grid.detached > 1 else "detached once")
    if grid.unlike:
        more += [f"but {len(grid.unlike)} made otherwise,", f"the first is {grid.unlike[0]}"]
    if grid.left_out:
        links = "link" if grid.left_out == 1 else "links"
        more += [f"{grid.left_out} more {links}", "to and from here"]
    lines += [(line, LABEL_SIZE - 1, -41.0 - 15.0 * number) for number, line in enumerate(more)]
    return lines


def _with_room_for_ways(grid: Grid) -> Grid:
    """Let closed copies be as high as the ways that leave them need; those of one row alike."""
    beside: defaultdict[tuple[int, int], list[Item]] = defaultdict(list)
    closed = [item for item in grid.items.values() if type(item.face) is Box]
    for item in grid.items.values():
        if item.aside is not None:
            beside[item.slot, item.level].append(item)
    heights: defaultdict[int, float] = defaultdict(float)
    for item in closed if beside else ():
        signs = beside[item.slot, item.level]
        rises = _rises(signs, {one.id: one.face.size(0.0) for one in signs}, _rise_gap(grid))
        if rises:
            assert isinstance(item.face, Box)
            heights[item.face.row] = max(heights[item.face.row], 2 * max(rises.values()) + _EDGES)
    items = dict(grid.items)
    for item in closed:
        assert isinstance(item.face, Box)
        if item.face.row in heights:
            face = replace(item.face, least_height=heights[item.face.row])
            items[item.id] = replace(item, face=face)
    return replace(grid, items=items)


def _rise_gap(grid: Grid) -> float:
    """Return how far apart two ways past a copy are, from edge to edge of their signs."""
    return _RISE_GAP + 2 * grid.lane


def _frames(grid: Grid) -> dict[str, Frame]:
    """Measure every item; those that share a slot and a level stand side by side."""
    groups: defaultdict[tuple[int, int], list[Item]] = defaultdict(list)
    for item in grid.items.values():
        groups[item.slot, item.level].append(item)
    notes = [
        text_width(c.note, NOTE_SIZE) for c in grid.connections if c.kind in ("input", "output")
    ]
    spacing = CIRCLE + 10 + min(max(notes, default=0.0), 40.0) * 0.5
    own = _own_widths(grid)
    crowd = _widest_crowd_at_a_copy(grid, own, spacing - CIRCLE)
    cell_width = max(_cell_width(grid), crowd - CIRCLE + 30)
    arriving: defaultdict[str, list[Connection]] = defaultdict(list)
    leaving: defaultdict[str, list[Connection]] = defaultdict(list)
    for connection in grid.connections:
        arriving[connection.target].append(connection)
        leaving[connection.source].append(connection)
    frames: dict[str, Frame] = {}
    for group in groups.values():
        sizes: dict[str, tuple[float, float]] = {}
        for item in group:
            if item.plan:
                together = grid.lane > 0
                frames[item.id] = _opened_frame(
                    item.plan, arriving[item.id], leaving[item.id], together=together
                )
                sizes[item.id] = item.plan.width, item.plan.height
            else:
                sizes[item.id] = item.face.size(own.get(item.id, cell_width))
        offsets = _offsets(group, sizes, spacing, grid.lane)
        rises = _rises(group, sizes, _rise_gap(grid))
        for item in group:
            if item.plan:
                frames[item.id] = replace(frames[item.id], offset=offsets[item.id])
                continue
            width, height = sizes[item.id]
            frames[item.id] = Frame(
                offset=offsets[item.id],
                width=width,
                height=height,
                round=isinstance(item.face, Circle | Sign) and width == height,
                rise=rises.get(item.id, 0.0),
                spans=item.last is not None,
            )
    frames |= _in_their_rows(groups.values(), frames)
    frames |= _circles_in_line(groups.values(), grid, frames, spacing)
    alone = {group[0].id for group in groups.values() if len(group) == 1}
    return _aligned(frames, grid, alone)


def _in_their_rows(
    groups: Iterable[Sequence[Item]], frames: Mapping[str, Frame]
) -> dict[str, Frame]:
    """Leave in the middle what stands there alone in other columns, and others on its left.

    On the right goes what a copy makes that is led around the next.
    """
    between = [group for group in groups if all(_is_between(item) for item in group)]
    alone = {(group[0].level, group[0].row) for group in between if len(group) == 1}
    moved: dict[str, Frame] = {}
    for group in between:
        kept = [item for item in group if (item.level, item.row) in alone]
        if len(kept) != 1 or len(group) == 1:
            continue
        edge = -frames[kept[0].id].width / 2
        moved[kept[0].id] = replace(frames[kept[0].id], offset=0.0)
        for item in (item for item in reversed(group) if item is not kept[0]):
            frame = frames[item.id]
            moved[item.id] = replace(frame, offset=edge - _BESIDE_GAP - frame.width / 2)
            edge -= _BESIDE_GAP + frame.width
    return moved


def _is_between(item: Item) -> bool:
    return item.role in ("between", "sign") and item.aside is None


def _lines_width(item: Item) -> float:
    """Return how wide what stands below the loss is."""
    lines = item.face.lines if isinstance(item.face, Circle) else ()
    return max((text_width(line, NOTE_SIZE + 1) for line in lines), default=0.0)


_CAPTION_MOST, _MARGIN_CAPTION_MOST = 90.0, 180.0
CAPTION_AIR = 4.0  # beside a caption, in all
_ASIDE_GAP, _BESIDE_GAP, _RISE_GAP = 20.0, 16.0, 10.0
_EDGES = 16.0  # of a box's height, what an arrow may not leave


def _offsets(
    group: Sequence[Item], sizes: Mapping[str, tuple[float, float]], spacing: float, lane: float
) -> dict[str, float]:
    """Return where each item of a group stands, right of the middle of its slot.

    What is on the way of a message stands behind its copy, the next one behind and below it. An
    output that has a caption above it is left beside that, in front of the next one.
    """
    aside = [item for item in group if item.aside is not None]
    others = [item for item in group if item.aside is None]
    reach = 0.0
    # Between two of them goes up what leaves the first, and its old state behind that.
    behind = _ASIDE_GAP / 2 + TRACK + 2 * lane
    if aside:
        reach = _ASIDE_GAP + sum(sizes[item.id][0] for item in aside) + behind * (len(aside) - 1)
    rooms: list[float] = []
    for item, after in pairwise(others):
        widths = (sizes[item.id][0] + sizes[after.id][0]) / 2
        gap = widths + _BESIDE_GAP
        if isinstance(item.face, Circle) and isinstance(after.face, Circle):
            gap = _from_circle_to_circle(item, after, widths, spacing, lane)
        rooms.append(gap)
    backwards = bool(aside) and aside[0].face_left
    shift = reach / 2 if backwards else -reach / 2
    x = -sum(rooms) / 2 + shift
    offsets: dict[str, float] = {}
    for item, room in zip(others, [*rooms, 0.0], strict=True):
        offsets[item.id] = x
        x += room
    if not others:
        return dict.fromkeys((item.id for item in aside), 0.0)
    edge = others[-1] if not backwards else others[0]
    way = -1 if backwards else 1
    distance = sizes[edge.id][0] / 2 + _ASIDE_GAP
    for item in sorted(aside, key=lambda item: item.aside or 0):
        width = sizes[item.id][0]
        offsets[item.id] = offsets[edge.id] + way * (distance + width / 2)
        distance += width + behind
    return offsets


def _from_circle_to_circle(
    item: Item, after: Item, widths: float, spacing: float, lane: float
) -> float:
    """Return how far apart two neighbours are, from middle to middle.

    `widths` is the mean of theirs, `spacing` how far apart two are that are no wider than a circle.
    """
    captions = (caption_width(item) + caption_width(after)) / 2
    room = max(spacing - CIRCLE + widths, captions + 10 if captions else 0.0)
    return max(room, _room_for_a_way(item, after, widths, lane))


def _room_for_a_way(item: Item, after: Item, widths: float, lane: float) -> float:
    """Return how far an output is from the next, if it is left beside the caption above it."""
    if item.role != "output" or not item.caption:
        return 0.0
    captions = (caption_width(item) + caption_width(after)) / 2
    return max(captions, widths) + 3 * TRACK + 2 * lane


def caption_width(item: Item, most: float = _CAPTION_MOST) -> float:
    """Return how wide what a user named it is, at most."""
    return min(text_width(item.caption, CAPTION_SIZE), most) if item.caption else 0.0


def _rises(
    group: Sequence[Item], sizes: Mapping[str, tuple[float, float]], gap: float
) -> dict[str, float]:
    """Return how far above the middle each stands of several that are beside one copy."""
    heights: dict[int, float] = {}
    for item in group:
        if item.aside is not None:
            heights[item.aside] = max(heights.get(item.aside, 0.0), sizes[item.id][1])
    y = (sum(heights.values()) + gap * (len(heights) - 1)) / 2
    middles: dict[int, float] = {}
    for way, height in sorted(heights.items()):
        middles[way] = y - height / 2
        y -= height + gap
    return {item.id: middles[item.aside] for item in group if item.aside is not None}


def _widest_crowd_at_a_copy(grid: Grid, widths: Mapping[str, float], gap: float) -> float:
    """Return how wide all inputs, or outputs, of one column at a copy are at most."""
    found: defaultdict[tuple[str, str], float] = defaultdict(float)
    for c in grid.connections:
        source, target = grid.items.get(c.source), grid.items.get(c.target)
        if source is None or target is None or source.slot != target.slot:
            continue
        if source.role == "input" and target.role == "cell":
            found[target.id, "below"] += widths[source.id] + gap
        if source.role == "cell" and target.role == "output":
            found[source.id, "above"] += widths[target.id] + gap
    return max(found.values(), default=CIRCLE + gap) - gap


def _own_widths(grid: Grid) -> dict[str, float]:
    """Return the widths of boxes between copies, those of one row have the same, and of circles."""
    widest: defaultdict[str, float] = defaultdict(float)
    rows: dict[str, str] = {}
    for id, item in grid.items.items():
        if isinstance(item.face, Plate):
            rows[id] = item.row or id
        elif isinstance(item.face, Circle):
            rows[id] = id
        else:
            continue
        widest[rows[id]] = max(widest[rows[id]], item.face.least_width(item.label))
    return {id: widest[row] for id, row in rows.items()}


def _opened_frame(
    plan: Plan, arriving: Iterable[Connection], leaving: Iterable[Connection], *, together: bool
) -> Frame:
    """Measure an opened copy.

    With `together`, what was joined before it was read enters where the rest of it does.
    """
    below = {c.id: plan.below.get(c.inlet) for c in arriving if c.inlet is not None}
    if together and len(plan.below) == 1:
        below = dict.fromkeys(below, *plan.below.values())
    return Frame(
        offset=0.0,
        width=plan.width,
        height=plan.height,
        round=False,
        exits={
            c.id: plan.exits[c.outlet] - plan.width / 2
            for c in leaving
            if c.outlet is not None and c.outlet in plan.exits
        },
        entries={id: x - plan.width / 2 for id, x in below.items() if x is not None},
        arrives={state: y - plan.height / 2 for state, y in plan.left.items()},
        leaves={state: y - plan.height / 2 for state, y in plan.right.items()},
    )


def _circles_in_line(
    groups: Iterable[Sequence[Item]], grid: Grid, frames: Mapping[str, Frame], spacing: float
) -> dict[str, Frame]:
    """Put inputs and outputs straight below and above what they are joined with, as far as it goes.

    Those of one slot keep their distance, and stand in the order of what they are joined with.
    """
    wanted = _wanted_offsets(grid, frames)
    moved: dict[str, Frame] = {}
    for group in groups:
        circles = all(isinstance(item.face, Circle) for item in group)
        if not circles or not any(wanted.get(item.id) for item in group):
            continue
        desired = {item.id: min(wanted.get(item.id, [0.0]), key=abs) for item in group}
        order = sorted(group, key=lambda item: desired[item.id])
        half = [frames[item.id].width / 2 for item in order]
        rooms = [
            _from_circle_to_circle(item, after, sum(widths), spacing, grid.lane)
            for (item, after), widths in zip(pairwise(order), pairwise(half), strict=True)
        ]
        places = _kept_apart([desired[item.id] for item in order], rooms, half)
        for item, place in zip(order, places, strict=True):
            moved[item.id] = replace(frames[item.id], offset=place)
    return moved


def _wanted_offsets(grid: Grid, frames: Mapping[str, Frame]) -> Mapping[str, list[float]]:
    """Return where what each input and output is joined with in its slot stands."""
    wanted: defaultdict[str, list[float]] = defaultdict(list)
    for c in grid.connections:
        source, target = grid.items.get(c.source), grid.items.get(c.target)
        if source is None or target is None or source.slot != target.slot:
            continue
        if source.role == "input" and target.last is None:
            wanted[source.id].append(frames[target.id].offset)
        if target.role == "output" and source.last is None:
            offset = frames[source.id].offset
            if source.aside is not None:
                away = frames[source.id].width / 2 + TRACK
                offset += -away if source.face_left else away
            wanted[target.id].append(offset)
    return wanted


def _kept_apart(
    wanted: Sequence[float], rooms: Sequence[float], half: Sequence[float]
) -> list[float]:
    """Return places in rising order, each near the one wanted, with room between neighbours.

    What stands there has its middle, from edge to edge, where it would have it without that.
    """
    places = [wanted[0]]
    for place, room in zip(wanted[1:], rooms, strict=True):
        places.append(max(place, places[-1] + room))
    shift = _middle(wanted, half) - _middle(places, half)
    return [place + shift for place in places]


def _middle(places: Sequence[float], half: Sequence[float]) -> float:
    """Return the middle between the edges of what stands at some places."""
    low = min(place - reach for place, reach in zip(places, half, strict=True))
    return (low + max(place + reach for place, reach in zip(places, half, strict=True))) / 2


_ABOVE = "between", "sign", "output"


def _aligned(frames: dict[str, Frame], grid: Grid, alone: Collection[str]) -> dict[str, Frame]:
    """Put what stands alone straight below, above or beside where it meets an opened copy."""
    ends = [
        (grid.items[c.target], grid.items[c.source], c)
        for c in grid.connections
        if c.source in grid.items and c.target in grid.items
    ]
    beside: set[str] = set()  # a copy already: what is several states stands beside the first
    for target, source, c in sorted(ends, key=lambda end: (end[0].level, end[1].level)):
        start, end = frames[source.id], frames[target.id]
        if c.kind == "initial" and c.state is not None:
            if source.id not in beside:
                rise = end.arrives.get(c.state, 0.0)
                frames[source.id] = replace(start, offset=0.0, rise=rise)
                beside.add(source.id)
        elif source.slot != target.slot:
            continue
        elif source.role == "input" and c.inlet is not None and source.id in alone:
            frames[source.id] = replace(start, offset=end.below(c.id))
        elif target.role in _ABOVE and target.id in alone and source.plan is not None:
            frames[target.id] = replace(end, offset=start.above(c.id))
        elif target.role == "output" and target.id in alone and isinstance(source.face, Glyph):
            frames[target.id] = replace(end, offset=start.offset)
    frames |= _at_the_height_of_states(frames, grid)
    return frames | _circles_behind(frames, grid, beside)


def _at_the_height_of_states(frames: Mapping[str, Frame], grid: Grid) -> dict[str, Frame]:
    """Put all signs of a way past an opened copy where the state leaves it."""
    rises: dict[tuple[int, int, int | None], float] = {}
    for c in grid.connections:
        source, target = grid.items.get(c.source), grid.items.get(c.target)
        if source is None or target is None or target.aside is None or source.plan is None:
            continue
        if c.state is not None and source.slot == target.slot:
            leaves = frames[source.id].leaves.get(c.state, frames[target.id].rise)
            rises[target.slot, target.level, target.aside] = leaves
    places = {item.id: (item.slot, item.level, item.aside) for item in grid.items.values()}
    return {
        id: replace(frames[id], rise=rises[place]) for id, place in places.items() if place in rises
    }


def _circles_behind(
    frames: Mapping[str, Frame], grid: Grid, beside: Collection[str]
) -> dict[str, Frame]:
    """Put other initial states behind those that stand beside a copy, out of their ways."""
    groups: defaultdict[tuple[int, int, bool], list[Item]] = defaultdict(list)
    for item in grid.items.values():
        if item.role == "initial":
            groups[item.slot, item.level, item.face_left].append(item)
    moved: dict[str, Frame] = {}
    for (_, _, face_left), group in groups.items():
        others = [item for item in group if item.id not in beside]
        if not 0 < len(others) < len(group):
            continue
        first = max(frames[item.id].width for item in group if item.id in beside)
        widths = [first, *(frames[item.id].width for item in others)]
        rooms = [(a + b) / 2 + _BESIDE_GAP for a, b in pairwise(widths)]
        places = [sum(rooms[:k]) - sum(rooms) / 2 for k in range(len(widths))]
        way = 1 if face_left else -1
        for item in group:
            place = places[0] if item.id in beside else places[1 + others.index(item)]
            moved[item.id] = replace(frames[item.id], offset=way * place)
    return moved


def _cell_width(grid: Grid) -> float:
    """Return the width of all closed copies: that of the longest text in them."""
    widths = [
        item.face.least_width(item.label) + 20
        for item in grid.items.values()
        if isinstance(item.face, Box) and not item.plan
    ]
    return min(max(CELL_WIDTH, *widths, 0.0), CELL_WIDTH_MOST)
