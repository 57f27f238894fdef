"""Measures a grid: how large its items are, where its slots and levels lie in points.

Everything repeated has the same measures throughout a picture, so that columns stay straight and
copies look like copies; the measures grow with the longest text and the number of edges that have
to pass.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from ..inside.plan import Plan
from ..picture.text_metrics import text_width
from .grid import Connection, Grid
from .items import (
    CELL_WIDTH,
    CELL_WIDTH_MOST,
    CIRCLE,
    LABEL_SIZE,
    NOTE_SIZE,
    Box,
    Circle,
    Item,
)
from .wiring import Frame, Wiring

PANEL_PADDING = 16.0
SLOT_GAP, SLOT_GAP_MOST = 44.0, 100.0
TRACK = 9.0  # between parallel edges
LANE_ROOM = 20.0  # between a cell and the first edge that passes it: an arrowhead and some air
LABEL_ROOM, ARROW_ROOM = 27.0, 23.0  # of a gap: for the text beside edges, for arrowheads and bends
STEP_ROOM, CAPTION_ROOM = 42.0, 18.0  # for "t = 0", for what a user named an input or an output
FOLD_STEP = 9.0  # how far each sheet of the stack shows behind the next
HEADING_SIZE = 14.0


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


class Placement:
    """A grid with its items measured, its connections wired and its slots placed."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.frames = _frames(grid)
        # With lanes each edge is two.
        self.track = 2 * TRACK if grid.lane else TRACK
        self.wiring = Wiring(grid, self.frames)
        lanes = max(self.wiring.lane_tracks.values(), default=0)
        self.lanes_width = LANE_ROOM + (lanes - 1) * self.track if lanes else 0.0
        self.gap = min(max([SLOT_GAP, *(w + 14 for w in self._label_widths())]), SLOT_GAP_MOST)
        self.half = self._slot_half_widths()
        self.middle = self._slot_middles()

    def bands(self, *others: "Placement") -> Bands:
        """Return heights with room for everything in this picture and in `others`."""
        placements = (self, *others)
        track = max(placement.track for placement in placements)
        tracks: Counter[int] = Counter()
        for placement in placements:
            tracks |= Counter(placement.wiring.gap_tracks)
        levels = self.grid.levels
        half = [CIRCLE / 2] * levels
        captioned: set[str] = set()
        for placement in placements:
            for item in placement.grid.items.values():
                half[item.level] = max(half[item.level], placement.frames[item.id].height / 2)
                if item.caption:
                    captioned.add(item.role)
        y = 0.0
        if any(placement.grid.panels for placement in placements):
            y += STEP_ROOM
        if "input" in captioned:
            y += CAPTION_ROOM
        middles: list[float] = []
        for level in range(levels):
            middles.append(y + half[level])
            y += 2 * half[level]
            if level < levels - 1:
                y += LABEL_ROOM + ARROW_ROOM + tracks[level] * track
        y += PANEL_PADDING
        if "output" in captioned:
            y += CAPTION_ROOM
        return Bands(tuple(middles), tuple(half), 0.0, y, track)

    def _label_widths(self) -> Iterable[float]:
        for connection in self.grid.connections:
            if connection.label and connection.source != connection.target:
                yield text_width(connection.label, LABEL_SIZE)
                yield text_width(connection.note, NOTE_SIZE)

    def _slot_half_widths(self) -> dict[int, float]:
        """Return half the width of each slot.

        All columns have the same, margins are as wide as what stands there.
        """
        content: defaultdict[int, float] = defaultdict(float)
        for item in self.grid.items.values():
            frame = self.frames[item.id]
            content[item.slot] = max(content[item.slot], abs(frame.offset) + frame.width / 2)
        columns = range(len(self.grid.slots))
        self.content = max((content[slot] for slot in columns), default=0.0)
        panel = self.content + PANEL_PADDING + self.lanes_width
        half = {**content, **dict.fromkeys(columns, panel)}
        if None in self.grid.slots:
            widest = max(text_width(line, size) for line, size, _ in fold_lines(self.grid))
            half[self.grid.slots.index(None)] = widest / 2 + PANEL_PADDING + FOLD_STEP
        return half

    def _slot_middles(self) -> dict[int, float]:
        middles: dict[int, float] = {}
        right = -self.gap
        for slot in sorted(self.half):
            extra = self.lanes_width if slot == len(self.grid.slots) else 0.0
            middles[slot] = right + self.gap + extra + self.half[slot]
            right = middles[slot] + self.half[slot]
        return middles

    def x(self, item: Item) -> float:
        return self.middle[item.slot] + self.frames[item.id].offset


def fold_lines(grid: Grid) -> list[tuple[str, float, float]]:
    """Return the texts of the fold, each with its size and its height above the middle."""
    noun = "copy" if grid.folded == 1 else "copies"
    lines = [
        ("…", 26.0, 24.0),
        (f"{grid.folded} more {noun}", HEADING_SIZE, -6.0),
        ("same weights", LABEL_SIZE - 1, -23.0),
    ]
    more: list[str] = []
    if grid.unlike:
        more += [f"but {len(grid.unlike)} made otherwise,", f"the first at t = {grid.unlike[0]}"]
    if grid.left_out:
        links = "link" if grid.left_out == 1 else "links"
        more += [f"{grid.left_out} more {links}", "to and from here"]
    lines += [(line, LABEL_SIZE - 1, -41.0 - 15.0 * number) for number, line in enumerate(more)]
    return lines


def _frames(grid: Grid) -> dict[str, Frame]:
    """Measure every item; those that share a slot and a level stand side by side."""
    groups: defaultdict[tuple[int, int], list[Item]] = defaultdict(list)
    for item in grid.items.values():
        groups[item.slot, item.level].append(item)
    notes = [
        text_width(c.note, NOTE_SIZE) for c in grid.connections if c.kind in ("input", "output")
    ]
    spacing = CIRCLE + 10 + min(max(notes, default=0.0), 40.0) * 0.5
    crowd = max(len(group) for group in groups.values())
    cell_width = max(_cell_width(grid), (crowd - 1) * spacing + 30)
    arriving: defaultdict[str, list[Connection]] = defaultdict(list)
    for connection in grid.connections:
        arriving[connection.target].append(connection)
    frames: dict[str, Frame] = {}
    for group in groups.values():
        for place, item in enumerate(group):
            if item.plan:
                together = grid.lane > 0
                frames[item.id] = _opened_frame(item.plan, arriving[item.id], together=together)
                continue
            width, height = item.face.size(cell_width)
            pitch = cell_width + 20 if isinstance(item.face, Box) else spacing
            offset = (place - (len(group) - 1) / 2) * pitch
            frames[item.id] = Frame(offset, width, height, isinstance(item.face, Circle))
    alone = {group[0].id for group in groups.values() if len(group) == 1}
    return _aligned(frames, grid, alone)


def _opened_frame(plan: Plan, arriving: Iterable[Connection], *, together: bool) -> Frame:
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
        exit=plan.exit - plan.width / 2,
        entries={id: x - plan.width / 2 for id, x in below.items() if x is not None},
        arrives={state: y - plan.height / 2 for state, y in plan.left.items()},
        leaves={state: y - plan.height / 2 for state, y in plan.right.items()},
    )


def _aligned(frames: dict[str, Frame], grid: Grid, alone: Collection[str]) -> dict[str, Frame]:
    """Put what stands alone straight below, above or beside where it meets an opened copy."""
    ends = [
        (grid.items[c.target], grid.items[c.source], c)
        for c in grid.connections
        if c.source in grid.items and c.target in grid.items
    ]
    for target, source, c in sorted(ends, key=lambda end: (end[0].level, end[1].level)):
        start, end = frames[source.id], frames[target.id]
        if c.kind == "initial" and c.state is not None:
            rise = end.arrives.get(c.state, 0.0)
            frames[source.id] = replace(start, offset=0.0, rise=rise)
        elif source.slot != target.slot:
            continue
        elif source.role == "input" and c.inlet is not None and source.id in alone:
            frames[source.id] = replace(start, offset=end.below(c.id))
        elif target.role in ("head", "output") and target.id in alone:
            frames[target.id] = replace(end, offset=start.above)
    return frames


def _cell_width(grid: Grid) -> float:
    """Return the width of all closed copies: that of the longest text in them."""
    widths = [
        item.face.least_width(item.label) + 20
        for item in grid.items.values()
        if isinstance(item.face, Box) and not item.plan
    ]
    return min(max(CELL_WIDTH, *widths, 0.0), CELL_WIDTH_MOST)
