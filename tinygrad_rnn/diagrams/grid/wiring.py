"""Which way each connection goes, decided on the grid before anything has a place in points.

Most connections are straight: messages along their level, values up their slot. The rest leave
upwards into the gap above their source, change slot or pass other items in a lane, and enter their
target from the gap below it. Only then is it known how much room each gap and lane needs.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from .grid import FOLD, Connection, Grid, Item
from .tracks import Tracks

Side = Literal["left", "right"]

# Where a slot and its lanes lie as long as no slot has a place in points: any numbers do that put
# them in their order.
_SLOT, _LANE = 1e5, 4e4
_EDGE = 12.0  # how near to a box's corner an arrow may touch it
_CLEARANCE = 4.0  # the least distance between an edge and an item it passes


@dataclass(frozen=True, slots=True)
class Frame:
    """An item's size, how far right of its slot's middle it stands, and where connections meet it.

    Offsets are from the slot's middle; `exit`, `entries`, `arrives` and `leaves` from the item's.
    """

    offset: float
    width: float
    height: float
    round: bool
    # how far above its level's middle it stands
    rise: float = 0.0
    # of an opened copy: where connections leave upwards, and where each enters from below
    exit: float | None = None
    entries: Mapping[str, float] = field(default_factory=dict[str, float])
    # … and the height of each state, on either side
    arrives: Mapping[int, float] = field(default_factory=dict[int, float])
    leaves: Mapping[int, float] = field(default_factory=dict[int, float])

    @property
    def above(self) -> float:
        """Where a connection leaves upwards."""
        return self.offset + (self.exit or 0.0)

    def below(self, connection: str) -> float:
        """Where a connection enters from below."""
        return self.offset + self.entries.get(connection, 0.0)

    def lets_out(self, offset: float) -> bool:
        """Whether a vertical line at `offset` may leave it upwards."""
        if self.exit is None:
            return self._spans(offset)
        return abs(offset - self.above) < 0.5

    def lets_in(self, offset: float, connection: str) -> bool:
        """Whether a vertical line at `offset` may enter it from below."""
        if connection in self.entries:
            return abs(offset - self.below(connection)) < 0.5
        return self._spans(offset)

    def _spans(self, offset: float) -> bool:
        """Whether a vertical line at `offset` meets the item at a place fit for an arrow."""
        reach = 0.5 if self.round else self.width / 2 - _EDGE
        return abs(offset - self.offset) <= reach


@dataclass(frozen=True, slots=True)
class Loop:
    """From an item to itself."""


@dataclass(frozen=True, slots=True)
class Along:
    """Along the level, from side to side."""


@dataclass(frozen=True, slots=True)
class Up:
    """Up (or down) the slot, `offset` from its middle."""

    offset: float


@dataclass(frozen=True, slots=True)
class Between:
    """Out of the right side, up or down between two slots, into the left side."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One track beside the items of a slot."""

    slot: int
    side: Side
    track: int


@dataclass(frozen=True, slots=True)
class Around:
    """Through the gap above the source, a lane and the gap below the target, if that is another."""

    exit_gap: int
    exit_track: int
    lane: Lane | None
    entry_gap: int
    entry_track: int
    from_above: bool
    side: Side  # where on the target it arrives


Way = Loop | Along | Up | Between | Around


class Wiring:
    """The way of each connection of `grid`, and how many tracks each gap and lane needs."""

    def __init__(self, grid: Grid, frames: Mapping[str, Frame]) -> None:
        self._items = grid.items
        self._frames = frames
        self._fold_slot = grid.slots.index(None) if None in grid.slots else None
        self._top_gap = grid.levels - 1
        self._by_level: dict[int, dict[int, list[Item]]] = defaultdict(lambda: defaultdict(list))
        for item in grid.items.values():
            self._by_level[item.level][item.slot].append(item)
        self._taken: set[tuple[str, Side, int]] = set()
        self._gaps: dict[int, Tracks] = defaultdict(Tracks)
        self._lanes: dict[tuple[int, Side], Tracks] = defaultdict(Tracks)
        straight_first = sorted(
            grid.connections, key=lambda c: c.kind not in ("message", "initial")
        )
        ways = {connection.id: self._way(connection) for connection in straight_first}
        self.ways = {connection.id: ways[connection.id] for connection in grid.connections}

    @property
    def gap_tracks(self) -> dict[int, int]:
        return {gap: len(tracks) for gap, tracks in self._gaps.items()}

    @property
    def lane_tracks(self) -> dict[tuple[int, Side], int]:
        return {lane: len(tracks) for lane, tracks in self._lanes.items()}

    def _way(self, connection: Connection) -> Way:
        if connection.source == connection.target:
            return Loop()
        source, target = self._items.get(connection.source), self._items.get(connection.target)
        if source is None or target is None:
            if connection.kind == "message":  # into or out of the fold
                return Along()
            return self._around(connection)
        return (
            self._along(connection, source, target)
            or self._up(connection, source, target)
            or self._between(source, target)
            or self._around(connection)
        )

    def _along(self, connection: Connection, source: Item, target: Item) -> Along | None:
        if source.level != target.level or source.slot == target.slot:
            return None
        between = range(min(source.slot, target.slot) + 1, max(source.slot, target.slot))
        occupied = self._by_level[source.level]
        if self._fold_slot in between or any(slot in occupied for slot in between):
            return None
        out_of: Side = "right"
        into: Side = "left"
        if source.slot > target.slot:
            out_of, into = into, out_of
        state = connection.state or 0
        if self._claim((source.id, out_of, state), (target.id, into, state)):
            return Along()
        return None

    def _claim(self, *ends: tuple[str, Side, int]) -> bool:
        """Take these sides of items, unless an edge is there already."""
        if not self._taken.isdisjoint(ends):
            return False
        self._taken.update(ends)
        return True

    def _up(self, connection: Connection, source: Item, target: Item) -> Up | None:
        if source.slot != target.slot or source.level >= target.level:
            return None
        start, end = self._frames[source.id], self._frames[target.id]
        if end.lets_in(start.above, connection.id):
            offset = start.above
        elif start.lets_out(end.below(connection.id)):
            offset = end.below(connection.id)
        else:
            return None
        for level in range(source.level + 1, target.level):
            for item in self._by_level[level].get(source.slot, ()):
                frame = self._frames[item.id]
                if abs(frame.offset - offset) < frame.width / 2 + _CLEARANCE:
                    return None
        return Up(offset)

    def _between(self, source: Item, target: Item) -> Between | None:
        """A state handed to a cell of another row in the next column, if those sides are free."""
        if source.role != "cell" or target.role != "cell":
            return None
        if source.slot + 1 != target.slot or source.level == target.level:
            return None
        if source.plan is not None or target.plan is not None:
            return None
        if self._claim((source.id, "right", 0), (target.id, "left", 0)):
            return Between()
        return None

    def _around(self, connection: Connection) -> Around:
        target = self._items[connection.target]
        exit_gap, start = self._exit(connection.source)
        from_above = target.level == 0 or (target.role == "loss" and exit_gap == self._top_gap)
        entry_gap = target.level if from_above else target.level - 1
        end = target.slot * _SLOT + self._frames[target.id].below(connection.id)
        owner = connection.target if connection.kind == "loss" else connection.source
        side: Side
        if exit_gap == entry_gap:
            track = self._gaps[exit_gap].take(start, end, owner)
            side = "left" if start < end else "right"
            return Around(exit_gap, track, None, entry_gap, track, from_above, side)
        side, lane_x = "left", target.slot * _SLOT - _LANE
        if connection.kind == "output":
            side, lane_x = "right", target.slot * _SLOT + _LANE
        exit_track = self._gaps[exit_gap].take(start, lane_x, owner)
        lane_track = self._lanes[target.slot, side].take(exit_gap, entry_gap, target.id)
        entry_track = self._gaps[entry_gap].take(lane_x, end, ("into", target.id))
        lane = Lane(target.slot, side, lane_track)
        return Around(exit_gap, exit_track, lane, entry_gap, entry_track, from_above, side)

    def _exit(self, source: str) -> tuple[int, float]:
        """Return the gap that something leaves into, and where: the fold, into the topmost."""
        if source == FOLD:
            assert self._fold_slot is not None
            return self._top_gap, self._fold_slot * _SLOT
        item = self._items[source]
        return item.level, item.slot * _SLOT + self._frames[source].above
