"""The grid of the ops view: every shown copy with its inside, and the ops between the copies and each output."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

from ...tracing.network.network import Cell, Link, Network
from ...tracing.recording.graph import Node
from ..grid.grid import Connection, Grid, Item, drawn_id
from ..inside.anatomy import Anatomy, Entry, Part, cell_anatomy, is_state
from ..inside.drawn import plan_of, signature
from ..inside.parts import Ink, part_shapes
from ..inside.plan import Plan
from ..inside.ways_back import Inside
from ..picture.diagram import Shape
from ..picture.lanes import LANE_INSIDE

_ENTRY = Entry("", state=False, place=0, number=0)  # whatever a copy made may enter an op outside
_HEAD_MOST = 4  # ops between a copy and its output that are drawn one by one


def opened_grid(grid: Grid, network: Network, *, lanes: bool = False) -> Grid:
    """Return `grid` with its cells opened, a connection for each state, and the ops that make the outputs.

    `lanes`: with room for what comes back along every wire, and said of each what it is of.

    Raises:
        DrawError: Graphviz had no layout for a copy in time.
    """
    opening = _Opening(network, LANE_INSIDE if lanes else 0.0)
    opening.look_into(grid.items)
    items = {id: opening.item(item) for id, item in grid.items.items()}
    connections = [
        c for connection in grid.connections for c in opening.connections(connection, items)
    ]
    for c in connections:
        if c.kind == "initial" and c.state is not None:
            first = items[opening.port_of(c)]
            items[c.source] = replace(first, id=c.source, label=c.label, state=c.state)
    heads = _Heads(network, grid, opening)
    top = grid.levels - 1
    raised = {
        id for id, item in items.items() if item.role in ("output", "loss") and item.level == top
    }
    items = {
        id: replace(item, level=top + heads.height) if id in raised else item
        for id, item in items.items()
    }
    headings = tuple(
        replace(heading, level=top + heads.height)
        if heading.level == top and not heading.title
        else heading
        for heading in grid.headings
    )
    return replace(
        grid,
        items=items | heads.items,
        connections=tuple(c for connection in connections for c in heads.connections(connection)),
        headings=headings,
        levels=grid.levels + heads.height,
        lane=LANE_INSIDE if lanes else 0.0,
        crowded_lane=LANE_INSIDE if lanes else 0.0,  # the same, since lanes go on inside the copies
    )


class _Opening:
    """Opens the copies of a network, each structure once."""

    def __init__(self, network: Network, lane: float) -> None:
        self._lane = lane
        self._network = network
        self._cells = {cell.id: cell for cell in network.cells}
        self._rows = {row.layer: row for row in network.rows}
        self._links = {link.id: link for link in network.links}
        self._into: dict[str, list[Link]] = {}
        for link in network.links:
            self._into.setdefault(link.target, []).append(link)
        self._fills = {p.node.id: f"chip.{index}" for index, p in enumerate(network.parameters)}
        self._handing = {
            link.source: link for link in reversed(network.links) if link.kind == "message"
        }
        self._plans: dict[object, Plan | None] = {}
        self._anatomies: dict[str, Anatomy] = {}
        self._carrying: set[tuple[int, int]] = (
            set()
        )  # layer, and number of what enters its copies from below

    def look_into(self, items: Iterable[str]) -> None:
        """See what the copies among these items are made of, and what enters them that may carry a gradient."""
        for cell in filter(None, map(self._cells.get, items)):
            anatomy = cell_anatomy(cell, self._network, self._into.get(cell.id, ()))
            self._anatomies[cell.id] = anatomy
            others = [link for link in self._into.get(cell.id, ()) if not is_state(link)]
            entered = [
                (number, value) for number, link in enumerate(others) for value in link.values
            ]
            entered += [(source.number, x) for _, source, x in _entering(anatomy)]
            self._carrying |= {(cell.layer, number) for number, x in entered if x.requires_grad}

    def item(self, item: Item) -> Item:
        """Return a cell with its plan; anything else as it is."""
        cell = self._cells.get(item.id)
        if cell is None:
            return item
        plan = self._plan(cell, item)
        if plan is None or not self._lane:
            return replace(item, cell=cell, plan=plan)
        inside = Inside.of(self._anatomies[cell.id].parts, plan, self._handing.get(cell.id))
        return replace(item, cell=cell, plan=plan, inside=inside)

    def _plan(self, cell: Cell, item: Item) -> Plan | None:
        row = self._rows[cell.layer]
        anatomy = self._anatomies[cell.id]
        key = (cell.layer, signature(anatomy, cell.outputs))
        if key not in self._plans:
            line, noted = f"cell.{item.row}.border", bool(self._lane or item.heat)
            ink = Ink(line, self._fills, self._lane, noted)
            plan = plan_of(anatomy, cell.outputs, len(row.states), ink)
            plan = plan.mirrored() if plan and row.reverse else plan
            self._plans[key] = plan.with_lanes(self._single(cell)) if plan and self._lane else plan
        return self._plans[key]

    def _single(self, cell: Cell) -> set[str]:
        """The wires from what enters the copies of a layer from below and never carries a gradient."""
        entering = _entering(self._anatomies[cell.id])
        return {
            f"wire/{wire}"
            for wire, source, _ in entering
            if (cell.layer, source.number) not in self._carrying
        }

    def connections(
        self, connection: Connection, items: Mapping[str, Item]
    ) -> Iterator[Connection]:
        """Yield a connection for each state that a link hands on; say for any other where it enters."""
        link = self._links[connection.id]
        ends = [items.get(connection.target), items.get(connection.source)]
        cells = [item for item in ends if item is not None and item.role == "cell"]
        if not is_state(link) or not all(item.plan for item in cells):
            opened = ends[0] is not None and ends[0].plan is not None and not is_state(link)
            entry = self._number(link) if opened else None
            yield replace(connection, entry=entry, laned=self._is_laned(link, ends[1], entry))
            return
        labels = connection.label.split(", ")
        for state, _ in enumerate(link.values):
            initial = connection.kind == "initial"
            yield replace(
                connection,
                id=drawn_id(connection.id, state),
                cls=connection.cls if state == 0 else "memory",
                source=drawn_id(connection.source, state) if initial else connection.source,
                label=labels[state] if state < len(labels) else "",
                note=connection.note.split("), ")[0] + ")" * ("), " in connection.note),
                state=state,
                link=link.id,
                laned=bool(self._lane),
            )

    def _is_laned(self, link: Link, source: Item | None, entry: int | None) -> bool:
        """Whether a connection goes on in a lane inside one of the copies that it joins."""
        if not self._lane:
            return False
        entered = entry is not None and (self._cells[link.target].layer, entry) in self._carrying
        return entered or (source is not None and source.plan is not None)

    def port_of(self, connection: Connection) -> str:
        """Return the port that an initial state of one or several values is."""
        return self._links[connection.link].source

    def _number(self, link: Link) -> int:
        return [other.id for other in self._into[link.target] if not is_state(other)].index(link.id)

    def glyph(self, part: Part, id: str) -> tuple[Shape, ...]:
        """Return the drawing of one op outside the copies, its middle at (0, 0)."""
        ink = Ink("text", self._fills, self._lane)
        shapes = part_shapes(part, 0.0, 0.0, ink)
        return tuple(
            replace(shape, id=id if k == 0 else f"{id}-chip-{k - 1}")
            for k, shape in enumerate(shapes)
        )


def _entering(anatomy: Anatomy) -> Iterator[tuple[int, Entry, Node]]:
    """Yield for each wire from below its number, what it comes from, and the tensor that an op reads by it."""
    reads = [
        (part, *read) for part in anatomy.parts for read in zip(part.reads, part.slots, strict=True)
    ]
    for number, (part, (source, _), slot) in enumerate(reads):
        x = part.reader.inputs[slot]
        if isinstance(source, Entry) and not source.state and x is not None:
            yield number, source, x


class _Heads:
    """The ops between the copies and the outputs: y_t = W_hy h_t + b_y."""

    def __init__(self, network: Network, grid: Grid, opening: _Opening) -> None:
        self._opening = opening
        self._names = {parameter.node.id: parameter.name for parameter in network.parameters}
        self._inside = {node for cell in network.cells for node in cell.nodes}
        self._chains: dict[
            str, dict[str, Part]
        ] = {}  # output -> its ops by their ids, the lowest first
        self._drawn: set[str] = set()
        self.items: dict[str, Item] = {}
        for port in network.ports:
            if (
                port.kind == "output"
                and port.id in grid.items
                and port.node
                and port.node not in self._inside
            ):
                self._add(grid.items[port.id], port.node)
        self.height = max((len(chain) for chain in self._chains.values()), default=0)

    def _add(self, output: Item, node: Node) -> None:
        nodes = self._between(node)
        entries = {x: _ENTRY for made in nodes for x in made.tensors() if x in self._inside}
        parts = Anatomy(nodes, self._names, entries).parts
        if not parts:
            return
        chained = all(
            [source for source, _ in after.reads] == [before] for before, after in pairwise(parts)
        )
        if not chained or len(parts) > _HEAD_MOST:
            parts = [
                Part(
                    node, 0, f"{len(parts)} ops", "several", absorbed=[part.node for part in parts]
                )
            ]
        chain = self._chains[output.id] = {
            f"op-{output.id}-{k}": part for k, part in enumerate(parts)
        }
        for k, (id, part) in enumerate(chain.items()):
            self.items[id] = replace(
                output, id=id, cls="op", role="head", level=output.level + k, label="", caption="",
                glyph=self._opening.glyph(part, id), tooltip=part.tooltip,
            )  # fmt: skip

    def _between(self, node: Node) -> list[Node]:
        """The ops outside the copies that `node` was made by, in creation order."""
        seen, stack = {node}, [node]
        while stack:
            for x in stack.pop().tensors():
                if x.op is not None and x not in self._inside and x not in seen:
                    seen.add(x)
                    stack.append(x)
        return sorted(seen, key=lambda made: made.id)

    def connections(self, connection: Connection) -> Iterator[Connection]:
        """Yield the way from a copy to an output over the ops in between; the ops' own only once."""
        chain = self._chains.get(connection.target) if connection.kind == "output" else None
        if chain is None:
            yield connection
            return
        first, *others = chain
        link = connection.link or connection.id
        yield replace(
            connection, id=drawn_id(connection.id, "in"), target=first, note="", link=link
        )
        if connection.target in self._drawn:
            return
        self._drawn.add(connection.target)
        ways = [*pairwise(chain), ([first, *others][-1], connection.target)]
        for place, (source, target) in enumerate(ways, 1):
            id = drawn_id(connection.id, len(ways) - place)
            note = connection.note if target == connection.target else ""
            reader = (chain[target].reader, chain[target].slots[0]) if target in chain else None
            yield replace(
                connection, id=id, source=source, target=target, note=note, link=link, reader=reader
            )
