"""Which way each connection goes, decided on the grid before anything has a place in points.

Most connections are straight: messages along their level, values up their slot. The rest leave
upwards into the gap above their source, change slot or pass other items in a lane, and enter their
target from the gap below it. Only then is it known how much room each gap and lane needs.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Literal

from ...tracing.network.quotient import Piece
from .grid import FOLD, Connection, Grid
from .items import Box, Item, Plate
from .tracks import TRACK, Tracks

Side = Literal["left", "right"]

# Where a slot and its lanes lie as long as no slot has a place in points: any numbers do that put
# them in their order.
_SLOT, _LANE = 1e5, 4e4
_EDGE = 12.0  # how near to a box's corner an arrow may touch it
_CLEARANCE = 4.0  # the least distance between two verticals
_AIR = 10.0  # … and between one and an item that it passes
_EXIT_PITCH = 16.0  # between two values that leave one item


@dataclass(frozen=True, slots=True)
class Frame:
    """An item's size, how far right of its slot's middle it stands, and where connections meet it.

    Offsets are from the slot's middle; `exits`, `entries`, `arrives` and `leaves` from the item's.
    """

    offset: float
    width: float
    height: float
    round: bool
    # how far above its level's middle it stands
    rise: float = 0.0
    # of an opened copy: where each connection leaves upwards, and where each enters from below
    exits: Mapping[str, float] = field(default_factory=dict[str, float])
    entries: Mapping[str, float] = field(default_factory=dict[str, float])
    spans: bool = False  # it stands over several slots, and is met anywhere
    # … and the height of each state, on either side
    arrives: Mapping[int, float] = field(default_factory=dict[int, float])
    leaves: Mapping[int, float] = field(default_factory=dict[int, float])

    def above(self, connection: str) -> float:
        """Where a connection leaves upwards."""
        return self.offset + self.exits.get(connection, 0.0)

    def below(self, connection: str) -> float:
        """Where a connection enters from below."""
        return self.offset + self.entries.get(connection, 0.0)

    def lets_out(self, offset: float, connection: str) -> bool:
        """Whether a vertical line at `offset` may leave it upwards."""
        if connection not in self.exits:
            return self._spans(offset)
        return abs(offset - self.above(connection)) < 0.5

    def lets_in(self, offset: float, connection: str) -> bool:
        """Whether a vertical line at `offset` may enter it from below."""
        if connection in self.entries:
            return abs(offset - self.below(connection)) < 0.5
        return self._spans(offset)

    def _spans(self, offset: float) -> bool:
        """Whether a vertical line at `offset` meets the item at a place fit for an arrow."""
        if self.spans:
            return True
        reach = 0.5 if self.round else self.width / 2 - _EDGE
        return abs(offset - self.offset) <= reach


@dataclass(frozen=True, slots=True)
class Loop:
    """From an item to itself."""


@dataclass(frozen=True, slots=True)
class Along:
    """Along the level, from side to side."""


@dataclass(frozen=True, slots=True)
class Beside:
    """From a copy to what stands beside it in its slot."""


@dataclass(frozen=True, slots=True)
class Up:
    """Up the slot, `offset` from its middle."""

    offset: float
    slot: int


@dataclass(frozen=True, slots=True)
class Between:
    """Out of the right side, up or down between two slots, into the left side."""

    number: int = 0  # which track before the target's slot


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
    slot: int = 0  # where it arrives at a target that spans several
    leaves: float = 0.0  # how far right of the source's middle it leaves
    into_side: bool = False  # from the lane straight into the target's side


Way = Loop | Along | Beside | Up | Between | Around


class Wiring:
    """The way of each connection of `grid`, and how many tracks each gap and lane needs."""

    def __init__(self, grid: Grid, frames: Mapping[str, Frame]) -> None:
        self._items = grid.items
        self._frames = frames
        self._fold_slot = grid.slots.index(None) if None in grid.slots else None
        self._top_gap = grid.levels - 1
        self._by_level: dict[int, dict[int, list[Item]]] = defaultdict(lambda: defaultdict(list))
        for item in grid.items.values():
            for slot in item.slots:
                self._by_level[item.level][slot].append(item)
        self._taken: set[tuple[str, Side, float]] = set()
        self._met: set[tuple[str, Side]] = set()  # sides with anything taken of them
        self._slots = [slot for item in grid.items.values() for slot in item.slots]
        # of each slot: verticals between items, where they are and whose
        self._uprights: dict[int, list[tuple[float, tuple[int, int], str]]] = defaultdict(list)
        self._strips: dict[int, Tracks] = defaultdict(Tracks)  # before each slot
        self._gaps: dict[int, Tracks] = defaultdict(Tracks)
        self._lanes: dict[tuple[int, Side], Tracks] = defaultdict(Tracks)
        # of a source that several values leave: where they do, right of its middle, and which
        self._exits: dict[str, list[tuple[float, frozenset[Piece]]]] = {
            source: [] for source in _sources_of_several(grid)
        }
        self._from_left = set(_levels_entered_from_left(grid))
        straight_first = sorted(
            grid.connections, key=lambda c: c.kind not in ("message", "initial")
        )
        self._leaving = _leaving_behind_taps(grid)
        # what enters a side from around has to know which sides are taken
        one_value_first = sorted(straight_first, key=lambda c: c.source in self._exits)
        straight = ((c.id, self._straight(c)) for c in one_value_first)
        ways: dict[str, Way] = {id: way for id, way in straight if way is not None}
        around = [c for c in straight_first if c.id not in ways]
        ways |= {c.id: self._around(c) for c in around if c.source not in self._exits}
        others = [c for c in around if c.source in self._exits]
        self._leaving |= self._spread(others)
        ways |= {c.id: self._around(c) for c in others}
        self.ways = {connection.id: ways[connection.id] for connection in grid.connections}

    @property
    def gap_tracks(self) -> dict[int, int]:
        return {gap: len(tracks) for gap, tracks in self._gaps.items()}

    @property
    def lane_tracks(self) -> dict[tuple[int, Side], int]:
        return {lane: len(tracks) for lane, tracks in self._lanes.items()}

    def _straight(self, connection: Connection) -> Way | None:
        """Any way but one around other items."""
        if connection.source == connection.target:
            return Loop()
        source, target = self._items.get(connection.source), self._items.get(connection.target)
        if source is None or target is None:
            return Along() if connection.kind == "message" else None  # into or out of the fold
        return (
            self._beside(connection, source, target)
            or self._along(connection, source, target)
            or self._up(connection, source, target)
            or self._between(connection, source, target)
        )

    def _beside(self, connection: Connection, source: Item, target: Item) -> Beside | None:
        """From a copy to a sign on the way of its message, or back into it from there."""
        same = source.level == target.level and source.slot == target.slot
        if not same or target.aside is None or self._stands_between(source, target):
            return None
        if source.aside not in (None, target.aside):
            return None
        rise = self._frames[target.id].rise
        side: Side = "right"
        if self._frames[target.id].offset < self._frames[source.id].offset:
            side = "left"
        into: Side = "left" if side == "right" else "right"
        leaves = 0.0 if source.aside is not None else rise
        if self._claim((source.id, side, leaves), (target.id, into, 0.0)):
            return Beside()
        return None

    def _stands_between(self, source: Item, target: Item) -> bool:
        """Whether a sign stands on the same way between a copy and another sign."""
        start, end = self._frames[source.id].offset, self._frames[target.id].offset
        return any(
            min(start, end) < self._frames[other.id].offset < max(start, end)
            for other in self._by_level[target.level][target.slot]
            if other.aside == target.aside
        )

    def _along(self, connection: Connection, source: Item, target: Item) -> Along | None:
        if source.level != target.level or source.slot == target.slot:
            return None
        if target.aside is not None:  # an old state passes over the copy
            return None
        low, high = sorted((source.slot, target.slot))
        between = range(low + 1, high)
        occupied = self._by_level[source.level]
        if self._fold_slot in between or any(slot in occupied for slot in between):
            return None
        forwards = source.slot < target.slot
        if self._is_behind_others(source, forwards) or self._is_behind_others(target, not forwards):
            return None
        out_of: Side = "right"
        into: Side = "left"
        if not forwards:
            out_of, into = into, out_of
        height = connection.state or self._frames[source.id].rise or 0
        if self._claim((source.id, out_of, height), (target.id, into, height)):
            return Along()
        return None

    def _is_behind_others(self, item: Item, rightwards: bool) -> bool:
        """Whether something stands between an item and that edge of its slot, at its height."""
        own = self._frames[item.id]
        for other in self._by_level[item.level][item.slot]:
            frame = self._frames[other.id]
            if other is item or (frame.offset > own.offset) != rightwards:
                continue
            if abs(frame.rise - own.rise) < (frame.height + own.height) / 2 and not (
                item.role == "cell" and other.aside is not None and abs(frame.rise) > 1
            ):
                return True
        return False

    def _claim(self, *ends: tuple[str, Side, float]) -> bool:
        """Take these sides of items, unless an edge is there already."""
        if not self._taken.isdisjoint(ends):
            return False
        self._taken.update(ends)
        self._met.update((id, side) for id, side, _ in ends)
        return True

    def _up(self, connection: Connection, source: Item, target: Item) -> Up | None:
        shared = [slot for slot in source.slots if slot in target.slots]
        if not shared or source.level >= target.level or source.aside is not None:
            return None
        if connection.leaves is not None:
            return None
        slot = shared[-1]
        start, end = self._frames[source.id], self._frames[target.id]
        if end.lets_in(start.above(connection.id), connection.id):
            offset = start.above(connection.id)
        elif start.lets_out(end.below(connection.id), connection.id):
            offset = end.below(connection.id)
        else:
            return None
        for level in range(source.level + 1, target.level):
            for item in self._by_level[level].get(slot, ()):
                frame = self._frames[item.id]
                if frame.spans or abs(frame.offset - offset) < frame.width / 2 + _AIR:
                    return None
        if not self._may_leave(connection, offset - start.offset):
            return None
        if not self._is_alone(slot, offset, source, target):
            return None
        self._leave(connection, offset - start.offset)
        return Up(offset, slot)

    def _may_leave(self, connection: Connection, offset: float) -> bool:
        """Whether no other value of its source leaves there."""
        taken = self._exits.get(connection.source, ())
        near = (passes for at, passes in taken if abs(at - offset) < _EXIT_PITCH - 1)
        return all(passes == connection.passes for passes in near)

    def _leave(self, connection: Connection, offset: float) -> None:
        if connection.source in self._exits:
            self._exits[connection.source].append((offset, connection.passes))

    def _spread(self, around: Sequence[Connection]) -> dict[str, float]:
        """How far right of the middle of its source each value leaves it to go around.

        Values that go to the left leave on the left of those that go to the right.
        """
        found: dict[str, float] = {}
        for source in self._exits:
            mine = [c for c in around if c.source == source]
            values = dict.fromkeys(c.passes for c in sorted(mine, key=self._place_of_target))
            places = self._places_beside(source, len(values))
            at = dict(zip(values, places, strict=False))
            found |= {c.id: at.get(c.passes, 0.0) for c in mine}
        return found

    def _place_of_target(self, connection: Connection) -> float:
        target = self._items[connection.target]
        return target.slot * _SLOT + self._frames[target.id].offset

    def _places_beside(self, source: str, count: int) -> list[float]:
        """Places to leave upwards, from left to right, beside those that are taken."""
        taken = [offset for offset, _ in self._exits[source]]
        room = self._frames[source].width / 2 - _EDGE
        pitch = min(_EXIT_PITCH, 2 * room / max(count - 1 + len(taken), 1))
        if not taken:
            return [pitch * (place - (count - 1) / 2) for place in range(count)]
        steps = (pitch * (k // 2 + 1) * (1 if k % 2 == 0 else -1) for k in range(4 * count + 4))
        free = (x for x in steps if all(abs(x - other) > pitch - 1 for other in taken))
        return sorted(islice(free, count))

    def _is_alone(self, slot: int, offset: float, source: Item, target: Item) -> bool:
        """Take a vertical stretch of a slot, unless it would lie on that of another source."""
        taken = self._uprights[slot]
        stretch = (source.level, target.level)
        for at, (low, high), owner in taken:
            if abs(at - offset) > _CLEARANCE or owner == source.id:
                continue
            if low < stretch[1] and stretch[0] < high:
                return False
        taken.append((offset, stretch, source.id))
        return True

    def _between(self, connection: Connection, source: Item, target: Item) -> Between | None:
        """A state handed to a copy at another height in a later column, if the sides are free."""
        if target.role != "cell" or source.slot >= target.slot or source.level == target.level:
            return None
        is_state = connection.kind in ("message", "initial")
        hands_on = source.role in ("cell", "initial") or (source.role == "between" and is_state)
        if not hands_on and source.aside is None:
            return None
        opened = source.plan is not None or target.plan is not None
        if opened and connection.state is None:
            return None
        between = range(source.slot + 1, target.slot)
        occupied = self._by_level[source.level]
        if self._fold_slot in between or any(slot in occupied for slot in between):
            return None
        if self._is_behind_others(source, True) or self._is_behind_others(target, False):
            return None
        rise = connection.state or self._frames[source.id].rise
        joins = connection.kind == "message"  # the children of a node of a tree come together
        if (source.id, "right", rise) in self._taken:
            return None
        if (target.id, "left", connection.state or 0) in self._taken and not joins:
            return None
        self._taken.add((source.id, "right", rise))
        self._met.update({(source.id, "right"), (target.id, "left")})
        strip = self._strips[target.slot]
        return Between(strip.take(source.level, target.level, connection.id))

    def _around(self, connection: Connection) -> Around:
        leaves = self._leaving.get(connection.id, 0.0)
        return replace(self._detour(connection, leaves), leaves=leaves)

    def _detour(self, connection: Connection, leaves: float) -> Around:
        target = self._items[connection.target]
        exit_gap, start = self._exit(connection)
        start += leaves
        from_above = self._comes_from_above(connection, target, exit_gap)
        entry_gap = target.level if from_above else target.level - 1
        frame = self._frames[target.id]
        slot = self._slot_at(target, connection)
        end = slot * _SLOT + frame.below(connection.id)
        owner = connection.target if connection.kind == "loss" else connection.source
        sidewards = self._enters_sidewards(connection, target) and not from_above
        if exit_gap == entry_gap and not sidewards:
            return self._within(exit_gap, start, end, owner, from_above, slot)
        low, high = sorted((exit_gap, entry_gap))
        passed = range(low + 1, high + 1)
        sides = self._sides(connection, target, leaves, passed)
        at, side = self._lane_of(connection, target, sides, passed)
        if target.last is not None:
            slot = target.slot if at <= target.slot else min(max(at, target.slot), target.last)
            end = slot * _SLOT + frame.below(connection.id)
        lane_x = at * _SLOT + (_LANE if side == "right" else -_LANE)
        into_side = sidewards and at == target.slot and self._may_enter(target, side)
        if exit_gap == entry_gap and not into_side:
            return self._within(exit_gap, start, end, owner, from_above, slot)
        exit_track = self._gaps[exit_gap].take(start, lane_x, owner)
        top = entry_gap + 0.5 if into_side else entry_gap
        lane_track = self._lanes[at, side].take(exit_gap, top, owner)
        lane = Lane(at, side, lane_track)
        if into_side:
            return Around(
                exit_gap, exit_track, lane, entry_gap, 0, False, side, slot, into_side=True
            )
        entry_track = self._gaps[entry_gap].take(lane_x, end, ("into", owner, target.id))
        return Around(exit_gap, exit_track, lane, entry_gap, entry_track, from_above, side, slot)

    def _within(
        self, gap: int, start: float, end: float, owner: str, from_above: bool, slot: int
    ) -> Around:
        """Through one gap, from below it to above it or back."""
        track = self._gaps[gap].take(start, end, owner)
        side: Side = "left" if start < end else "right"
        return Around(gap, track, None, gap, track, from_above, side, slot)

    def _slot_at(self, target: Item, connection: Connection) -> int:
        """Return the slot of a target in which something arrives: that of its source, or next."""
        source = self._items.get(connection.source)
        if source is None:
            return target.slot
        return min(max(source.slot, target.slot), target.last_slot)

    def _comes_from_above(self, connection: Connection, target: Item, exit_gap: int) -> bool:
        if target.level == 0 or (target.role == "loss" and exit_gap == self._top_gap):
            return True
        source = self._items.get(connection.source)
        return source is not None and target.aside is not None and source.level == target.level

    def _enters_sidewards(self, connection: Connection, target: Item) -> bool:
        """Whether what does not come straight from below comes in from the side.

        It does into a sign, and as a state into a closed copy.
        """
        is_state = connection.kind in ("message", "initial")
        is_copy = target.role == "cell" and target.plan is None
        return is_state if is_copy else target.role == "sign" and target.aside is None

    def _may_enter(self, target: Item, side: Side) -> bool:
        """Take a side of a sign or of a copy, if nothing else is there."""
        if self._is_behind_others(target, side == "right"):
            return False
        is_free = target.role == "sign" or (target.id, side) not in self._met
        return is_free and self._claim((target.id, side, -1.0))

    def _sides(
        self, connection: Connection, target: Item, leaves: float, passed: range
    ) -> tuple[Side, Side]:
        """On which side of its target something passes others, and where it does otherwise.

        Within a slot that is the side that it leaves on. From the middle what a copy makes goes to
        the right, and what goes into one to the left, so that these do not cross; nor what comes to
        the items passed from slots on their left.
        """
        source = self._items.get(connection.source)
        if connection.kind == "output":
            return "right", "left"
        if source is None or source.slot != target.slot or source.last is not None:
            return "left", "right"
        start = self._exit(connection)[1] + leaves - source.slot * _SLOT
        to_right = start > 0
        if abs(start) < 1:
            comes_left = not self._from_left.isdisjoint(passed)
            to_right = source.role == "cell" or (target.role == "sign" and comes_left)
        return ("right", "left") if to_right else ("left", "right")

    def _lane_of(
        self, connection: Connection, target: Item, sides: tuple[Side, Side], passed: range
    ) -> tuple[int, Side]:
        """Return the nearest lane that does not cross a bar on the levels that it passes."""
        start, last = self._slot_at(target, connection), max(self._slots)
        for distance in range(last + 2):
            for side in sides:
                slot = start - distance if side == "left" else start + distance
                if not self._crosses_a_bar(slot, side, passed):
                    return slot, side
        return start, sides[0]

    def _crosses_a_bar(self, slot: int, side: Side, levels: range) -> bool:
        inner = slot - 1 if side == "left" else slot + 1
        for level in levels:
            for item in self._by_level[level].get(slot, ()):
                if inner in item.slots and slot in item.slots:
                    return True
        return False

    def circles_above(self, item: Item) -> list[Item]:
        """The initial states that stand straight above one, so that it is left sidewards."""
        if item.role != "initial":
            return []
        own = self._frames[item.id]
        found: list[Item] = []
        for other in self._by_level[item.level][item.slot]:
            frame = self._frames[other.id]
            meets = abs(frame.offset - own.offset) < frame.width / 2 + _AIR
            if other.role == "initial" and frame.rise > own.rise and meets:
                found.append(other)
        return found

    def _exit(self, connection: Connection) -> tuple[int, float]:
        """Return the gap that something leaves into, and where: the fold, into the topmost."""
        source = connection.source
        if source == FOLD:
            assert self._fold_slot is not None
            return self._top_gap, self._fold_slot * _SLOT
        item = self._items[source]
        if item.last is not None:
            return item.level, item.last * _SLOT + _LANE / 2
        frame = self._frames[source]
        aside = frame.width if item.aside is not None else 0.0
        if self.circles_above(item):
            aside = frame.width if item.face_left else -frame.width
        if connection.leaves is not None:
            aside = frame.width / 2
        return item.level, item.slot * _SLOT + frame.above(connection.id) + aside


def _levels_entered_from_left(grid: Grid) -> Iterator[int]:
    """Yield the levels that are entered from below by what comes from slots before."""
    for connection in grid.connections:
        source, target = grid.items.get(connection.source), grid.items.get(connection.target)
        if source is None or target is None or source.level == target.level:
            continue
        if source.slot < target.slot:
            yield target.level


def _leaving_behind_taps(grid: Grid) -> dict[str, float]:
    """How much farther right than usual each old state leaves its sign, behind what goes up."""
    signs = {item.id: item for item in grid.items.values() if item.aside is not None}
    tapped = {c.source for c in grid.connections if c.kind not in ("message", "initial")}
    pitch = 2 * TRACK if grid.lane else TRACK
    return {
        c.id: -pitch if signs[c.source].face_left else pitch
        for c in grid.connections
        if c.source in signs and c.source in tapped and c.target in signs
    }


def _sources_of_several(grid: Grid) -> list[str]:
    """The closed copies and the boxes that several values leave upwards."""
    found: dict[str, set[frozenset[Piece]]] = defaultdict(set)
    for connection in grid.connections:
        item = grid.items.get(connection.source)
        if item is None or item.plan is not None or item.aside is not None:
            continue
        goes_up = connection.kind not in ("message", "initial")
        if goes_up and connection.passes and isinstance(item.face, Box | Plate):
            found[item.id].add(connection.passes)
    return [id for id, values in found.items() if len(values) > 1]
