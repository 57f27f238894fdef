"""The grid of the ops view: every shown copy opened, and what stands between the copies."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ...tracing.network.quotient import Block, Quotient, Read
from ...tracing.network.slices import index_text
from ...tracing.recording.graph import Node
from ..grid.grid import Connection, Grid, Heading, drawn_id
from ..grid.items import Box, Circle, Glyph, Item, Opened, Plate
from ..inside.anatomy import Anatomy, Inlet, Part, parts_of_modules
from ..inside.drawn import OPS_MOST, plan_of, signature
from ..inside.parts import Ink, chip_labels, part_shapes
from ..inside.plan import Plan
from ..inside.ways_back import Inside
from ..picture.lanes import LANE_INSIDE
from .states import StateEntries

OPS_READABLE = 40  # a copy of more parts is opened by its modules


def opened_grid(
    grid: Grid, quotient: Quotient, *, lanes: bool = False, depth: int | None = None
) -> Grid:
    """Return `grid` with its blocks opened, and a connection for each state.

    With `lanes` there is room for what comes back along every wire, and it is said what each is of.
    `depth` says how many levels of modules are opened; None: all, down to the ops.

    Raises:
        DrawError: Graphviz had no layout for a copy in time.
    """
    lane = LANE_INSIDE if lanes else 0.0
    return _Opening(grid, quotient, lane, depth).grid()


def opened_blocks(grid: Grid, quotient: Quotient) -> tuple[Grid, Mapping[str, Anatomy]]:
    """Return `grid` with its blocks opened down to the ops, and of each what it is made of.

    Raises:
        DrawError: Graphviz had no layout for a copy in time.
    """
    opening = _Opening(grid, quotient, 0.0, None)
    return opening.grid(), opening.anatomies


@dataclass(slots=True)
class _Inner:
    """A block that is opened: its parts, what it hands on, and which of its parts others read."""

    block: Block
    anatomy: Anatomy
    states: tuple[Node, ...]


class _Opening:
    """Opens the blocks of a network, each structure once."""

    def __init__(self, grid: Grid, quotient: Quotient, lane: float, depth: int | None) -> None:
        self._grid, self._quotient, self._lane, self._depth = grid, quotient, lane, depth
        self._entries = StateEntries(quotient)
        self._fills: dict[int, str] = {}
        self._names: dict[int, str] = {}
        for index, block in enumerate(quotient.parameters):
            self._name(block, block.trained or block.label, f"chip.{index}")
        for block in quotient.constants:
            self._name(block, block.label, "chip.constant")
        self._labels = chip_labels(self._names.values())
        blocks = {id: quotient.by_id.get(id) for id in grid.items}
        self._inner: dict[str, _Inner] = {}
        self._plans: dict[object, Plan | None] = {}
        self._opened = {
            id: block
            for id, block in blocks.items()
            if block is not None and _can_open(grid.items[id], depth)
        }
        self._circles = dict(self._initial_circles())
        self._split = list(self._splitted())
        into: defaultdict[str, list[Connection]] = defaultdict(list)
        for connection in self._split:
            into[connection.target].append(connection)
        for id, block in self._opened.items():
            self._inner[id] = self._look_into(block, into[id])
        # Row of blocks, and number of what may carry a gradient into them from below.
        self._carrying = set(self._carried(into))

    def grid(self) -> Grid:
        """Return the grid with everything opened."""
        connections = tuple(self.connections())
        items = dict(self.items(connections))
        return replace(
            self._grid,
            items=items,
            connections=tuple(self.led(connections, items)),
            headings=tuple(self.headings()),
            lane=self._lane,
            crowded_lane=self._lane,  # the same, since lanes go on inside the copies
        )

    @property
    def anatomies(self) -> Mapping[str, Anatomy]:
        """What each block that is opened is made of."""
        return {id: inner.anatomy for id, inner in self._inner.items()}

    def _name(self, block: Block, name: str, fill: str) -> None:
        """Note how a parameter or a constant is drawn where an op reads it, or a part of it."""
        for piece in block.outputs or block.pieces:
            node = piece.node
            index = index_text(node.options["index"]) if node.op == "getitem" else ""
            self._fills[node.id] = fill
            self._names[node.id] = name + index

    # Connections

    def connections(self) -> Iterator[Connection]:
        """Yield all connections, one for each state, with where they leave and enter copies."""
        numbers: defaultdict[str, int] = defaultdict(int)
        for connection in self._split:
            inlet = outlet = leaves = None
            if connection.target in self._inner and connection.state is None:
                inlet = numbers[connection.target]
                numbers[connection.target] += 1
            source = self._inner.get(connection.source)
            values = [read.value for read in connection.reads]
            values += [] if connection.value is None else [connection.value]
            if source is not None and values:
                node = values[0].node
                part = source.anatomy.part(node)
                outlet = None if part is None else part.place
                if connection.state is None and node in source.states[1:]:
                    leaves = source.states.index(node)
            yield replace(connection, inlet=inlet, outlet=outlet, leaves=leaves)

    def led(
        self, connections: Iterable[Connection], items: Mapping[str, Item]
    ) -> Iterator[Connection]:
        """Yield the connections, in a lane where they go on in one inside a copy."""
        for connection in connections:
            if connection.inlet is not None and items[connection.target].plan is None:
                connection = replace(connection, inlet=None)
            if connection.outlet is not None and items[connection.source].plan is None:
                connection = replace(connection, outlet=None, leaves=None)
            if connection.leaves is not None:
                connection = replace(connection, outlet=None)
            yield replace(connection, laned=self._is_laned(connection, items))

    def _splitted(self) -> Iterator[Connection]:
        """Yield each connection; those of several states one for each."""
        for connection in self._grid.connections:
            reads = self._states_of(connection)
            if reads is None:
                yield from self._from_their_circles(connection)
                continue
            labels = dict(zip(reads, connection.label.split(", "), strict=False))
            for state, ones in reads.items():
                shape = ones[0].value.shape
                source = self._circles.get((connection.source, ones[0].value.node))
                yield replace(
                    connection,
                    id=drawn_id(connection.id, state),
                    source=connection.source if source is None else source.id,
                    cls=connection.cls if state == 0 else "memory",
                    label=labels.get(state, ""),
                    note=str(shape),
                    state=state,
                    link=connection.id,
                    reads=tuple(ones),
                    laned=bool(self._lane),
                )

    def _from_their_circles(self, connection: Connection) -> Iterator[Connection]:
        """Yield a connection; one for each circle if its source is divided."""
        found: defaultdict[str, list[Read]] = defaultdict(list)
        for read in connection.reads:
            circle = self._circles.get((connection.source, read.value.node))
            found[connection.source if circle is None else circle.id].append(read)
        if len(found) < 2:
            source = next(iter(found), connection.source)
            yield replace(connection, source=source)
            return
        for number, (source, reads) in enumerate(found.items()):
            id = drawn_id(connection.id, number)
            yield replace(connection, id=id, source=source, link=connection.id, reads=tuple(reads))

    def _initial_circles(self) -> Iterator[tuple[tuple[str, Node], Item]]:
        """Yield a circle for each array of several initial states of a copy that is opened."""
        begun = [block for block in self._quotient.blocks if block.kind == "initial"]
        captions = {b.pieces[0].node: b.caption for b in begun if len(b.pieces) == 1}
        for connection in self._grid.connections:
            item = self._grid.items.get(connection.source)
            if connection.kind != "initial" or item is None or item.role != "initial":
                continue
            reads = self._states_of(connection)
            if reads is None:
                continue
            labels = dict(zip(reads, item.label.split(", "), strict=False))
            named: defaultdict[Node, list[str]] = defaultdict(list)
            for state, ones in reads.items():
                named[ones[0].value.node].append(labels.get(state, item.label))
            if len(named) < 2:
                continue
            for number, (node, names) in enumerate(named.items()):
                id = drawn_id(item.id, number)
                while number and id in self._grid.items:
                    id += "-c"
                label = ", ".join(names)
                about = item.tooltip.replace(item.label, label)
                face = Circle.named(label, captions.get(node, ""))
                found = replace(item, id=id, label=label, tooltip=about, face=face)
                yield (item.id, node), found

    def _states_of(self, connection: Connection) -> dict[int, list[Read]] | None:
        """Return the reads of a message by the state that each is; None if it is not a message."""
        ends = (connection.source, connection.target)
        target = self._quotient.by_id.get(ends[1])
        if connection.kind not in ("message", "initial") and not (
            connection.reads and all(self._entries.is_state(target, r) for r in connection.reads)
        ):
            return None
        if not any(id in self._opened for id in ends):
            return None
        found: dict[int, list[Read]] = {}
        for read in connection.reads:
            state = self._entries.state(
                self._quotient.by_id.get(ends[0]), self._quotient.by_id.get(ends[1]), read
            )
            if state is not None:
                found.setdefault(state, []).append(read)
        return dict(sorted(found.items())) or None

    def _is_laned(self, connection: Connection, items: Mapping[str, Item]) -> bool:
        """Whether a connection goes on in a lane inside one of the copies that it joins."""
        if not self._lane:
            return False
        source, target = items.get(connection.source), items.get(connection.target)
        if source is not None and source.plan is not None:
            return True
        if connection.state is not None:
            return True
        if target is None or target.plan is None:
            return False
        return (_row(connection.target), connection.inlet) in self._carrying

    # Blocks

    def _look_into(self, block: Block, into: Iterable[Connection]) -> _Inner:
        inlets: dict[Node, Inlet] = {}
        entering: dict[tuple[Node, int], Inlet] = {}
        others = 0
        for connection in into:
            if connection.state is not None:
                for read in connection.reads:
                    inlet = Inlet(True, 0, connection.state)
                    inlets.setdefault(read.value.node, inlet)
                    entering[read.reader.node, read.slot] = inlet
                continue
            for place, read in enumerate(connection.reads):
                inlets.setdefault(read.value.node, Inlet(False, others, place))
            others += 1
        states = tuple(piece.node for piece in block.states)
        deepest, *others = self._depths()
        anatomy = self._anatomy(block, inlets, entering, deepest)
        for depth in others:
            if len(anatomy.parts) <= OPS_READABLE:
                break
            anatomy = self._anatomy(block, inlets, entering, depth)
        return _Inner(block, anatomy, states)

    def _anatomy(
        self,
        block: Block,
        inlets: Mapping[Node, Inlet],
        entering: Mapping[tuple[Node, int], Inlet],
        depth: int,
    ) -> Anatomy:
        modules = parts_of_modules(block.nodes, block.call, depth) if depth else {}
        shared = {piece.node for piece in block.pieces if piece.where is not None}
        labels = self._labels
        return Anatomy(block.nodes, self._names, inlets, modules, shared, entering, labels)

    def _depths(self) -> Sequence[int]:
        """How deep modules may be opened, the deepest first; 0: down to the ops."""
        if self._depth is not None:
            return (max(self._depth - 1, 1),)
        return (0, 3, 2, 1)

    def _carried(self, into: Mapping[str, Iterable[Connection]]) -> Iterator[tuple[str, int]]:
        for id in self._inner:
            number = 0
            for connection in into[id]:
                if connection.state is not None:
                    continue
                if any(read.value.node.requires_grad for read in connection.reads):
                    yield _row(id), number
                number += 1

    def items(self, connections: Sequence[Connection]) -> Iterator[tuple[str, Item]]:
        """Yield all items, blocks with their plans."""
        keys = {id: self._key(inner) for id, inner in self._inner.items()}
        upward = self._upward(connections, keys)
        handed = _handed_on(connections)
        divided = {id for id, _ in self._circles}
        for circle in self._circles.values():
            yield circle.id, circle
        for id, item in self._grid.items.items():
            inner = self._inner.get(id)
            if inner is not None:
                yield id, self._item(item, inner, keys[id], upward[keys[id]], handed[id])
            elif id not in divided:
                yield id, item

    def headings(self) -> Iterator[Heading]:
        """Yield what stands beside the rows, which says where copies are too large to be opened."""
        closed: dict[int, int] = {}
        for id, inner in self._inner.items():
            if len(inner.anatomy.parts) > OPS_MOST:
                ops = sum(node.op is not None for node in inner.block.nodes)
                level = self._grid.items[id].level
                closed[level] = max(closed.get(level, 0), ops)
        for heading in self._grid.headings:
            if heading.level in closed:
                line = f"{closed[heading.level]:,} ops: too many to open"
                heading = replace(heading, lines=(*heading.lines, line))
            yield heading

    def _upward(
        self, connections: Iterable[Connection], keys: Mapping[str, object]
    ) -> Mapping[object, set[int]]:
        """Return which parts something above reads, in any of the blocks that are made alike."""
        upward: defaultdict[object, set[int]] = defaultdict(set)
        for c in connections:
            if c.outlet is None or c.leaves is not None:
                continue
            if c.state is None or _leaves_upwards(c, self._grid):
                upward[keys[c.source]].add(c.outlet)
        return upward

    def _key(self, inner: _Inner) -> object:
        row = inner.block.row
        return row and (row.kind, row.number), signature(inner.anatomy, inner.states)

    def _item(
        self,
        item: Item,
        inner: _Inner,
        key: object,
        upward: set[int],
        handed: Mapping[int, tuple[Read, ...]],
    ) -> Item:
        """Return a block with its plan; beside a copy, or where that cannot be made, as it is."""
        between = item.role != "cell"
        if between and len(inner.anatomy.parts) == 1:
            return replace(item, face=self._glyph(inner.anatomy.parts[0], item.id))
        if item.aside is not None:  # opened it would stand on the ways of other states
            return item
        box = item.face if isinstance(item.face, Box) else Box(row=0)
        if key not in self._plans:
            self._plans[key] = self._new_plan(inner, box, between, sorted(upward))
        plan = self._plans[key]
        if plan is None:
            return item
        inside = None
        if self._lane:
            inside = Inside.of(inner.anatomy.parts, plan, handed)
        block = inner.block
        assert block.row is not None
        name = f"{block.row.number}-{block.t}"
        if between:
            name = f"{block.row.kind}-{name}"
        opened = Opened(
            row=box.row,
            note=box.note,
            heat=box.heat,
            dashed=box.dashed,
            name=name,
            plan=plan,
            inside=inside,
            white=between,
        )
        return replace(item, face=opened)

    def _new_plan(
        self, inner: _Inner, box: Box, between: bool, upward: Sequence[int]
    ) -> Plan | None:
        row = inner.block.row
        noted = bool(self._lane or box.heat)
        line = "text" if between else f"cell.{box.row}.border"
        plan = plan_of(
            inner.anatomy, inner.states, upward, Ink(line, self._fills, self._lane, noted)
        )
        if plan and row is not None and row.reverse:
            plan = plan.mirrored()
        if plan and self._lane:
            plan = plan.with_lanes(self._single(inner))
        return plan

    def _single(self, inner: _Inner) -> set[str]:
        """The wires from below that never carry a gradient, in no copy of the row."""
        return {
            f"wire/{wire}"
            for wire, inlet in _entering(inner.anatomy)
            if (_row(inner.block.id), inlet.number) not in self._carrying
        }

    def _glyph(self, part: Part, id: str) -> Glyph:
        """Return the drawing of one op outside the copies."""
        box, *chips = part_shapes(part, 0.0, 0.0, Ink("text", self._fills, self._lane))
        named = [replace(chip, id=f"{id}-chip-{k}") for k, chip in enumerate(chips)]
        return Glyph((replace(box, id=id), *named))


def _handed_on(
    connections: Iterable[Connection],
) -> Mapping[str, dict[int, tuple[Read, ...]]]:
    """Return the reads of each state that leaves a block on its right."""
    handed: defaultdict[str, dict[int, tuple[Read, ...]]] = defaultdict(dict)
    for c in connections:
        state = c.leaves if c.state is None else c.state
        if state is not None:
            handed[c.source][state] = handed[c.source].get(state, ()) + c.reads
    return handed


def _can_open(item: Item, depth: int | None) -> bool:
    """Whether an item is opened: a call of a module between copies is closed at every depth."""
    return isinstance(item.face, Box if depth is not None else Box | Plate)


def _row(id: str) -> str:
    return id.rpartition("-")[0]


def _leaves_upwards(connection: Connection, grid: Grid) -> bool:
    """Whether a state goes to what does not stand beside its copy."""
    source, target = grid.items.get(connection.source), grid.items.get(connection.target)
    return (
        source is not None
        and target is not None
        and target.slot <= source.slot
        and (target.aside is None)
    )


def _entering(anatomy: Anatomy) -> Iterator[tuple[int, Inlet]]:
    """Yield for each wire from below its number, and where it enters."""
    reads = [read for part in anatomy.parts for read in part.reads]
    for number, read in enumerate(reads):
        if isinstance(read.source, Inlet) and not read.source.state:
            yield number, read.source
