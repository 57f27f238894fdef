"""The grid of the ops view: every shown copy opened, and the ops between copies and outputs."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

from ...tracing.network.network import Cell, Link, Network
from ...tracing.recording.graph import Node
from ..grid.grid import Connection, Grid, drawn_id
from ..grid.items import Box, Glyph, Item, Opened
from ..inside.anatomy import Anatomy, Inlet, Part, cell_anatomy, is_state
from ..inside.drawn import plan_of, signature
from ..inside.parts import Ink, part_shapes
from ..inside.plan import Plan
from ..inside.ways_back import Inside
from ..picture.lanes import LANE_INSIDE

_FROM_A_COPY = Inlet(state=False)  # of all that an op outside the copies reads from one
_HEAD_MOST = 4  # ops between a copy and its output that are drawn one by one


def opened_grid(grid: Grid, network: Network, *, lanes: bool = False) -> Grid:
    """Return `grid` with its cells opened, a connection for each state, and the outputs' ops.

    With `lanes` there is room for what comes back along every wire, and it is said what each is of.

    Raises:
        DrawError: Graphviz had no layout for a copy in time.
    """
    lane = LANE_INSIDE if lanes else 0.0
    opening = _Opening(network, lane)
    opening.look_into(grid.items)
    items = {id: opening.item(item) for id, item in grid.items.items()}
    connections = [
        c for connection in grid.connections for c in opening.connections(connection, items)
    ]
    for c in connections:
        if c.kind == "initial" and c.state is not None:
            items[c.source] = replace(items[opening.port_of(c)], id=c.source, label=c.label)
    heads = _Heads(network, grid, opening)
    top = grid.levels - 1
    raised = top + heads.height
    for id, item in items.items():
        if item.role in ("output", "loss") and item.level == top:
            items[id] = replace(item, level=raised)
    headings = list(grid.headings)
    for place, heading in enumerate(headings):
        if heading.level == top and not heading.title:
            headings[place] = replace(heading, level=raised)
    return replace(
        grid,
        items=items | heads.items,
        connections=tuple(c for connection in connections for c in heads.connections(connection)),
        headings=tuple(headings),
        levels=grid.levels + heads.height,
        lane=lane,
        crowded_lane=lane,  # the same, since lanes go on inside the copies
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
        # Layer, and number of what may carry a gradient into its copies from below.
        self._carrying: set[tuple[int, int]] = set()

    def look_into(self, items: Iterable[str]) -> None:
        """See what the copies among these items are made of, and what carries gradients there."""
        for cell in filter(None, map(self._cells.get, items)):
            links = self._into.get(cell.id, ())
            anatomy = cell_anatomy(cell, self._network, links)
            self._anatomies[cell.id] = anatomy
            others = [link for link in links if not is_state(link)]
            for number, link in enumerate(others):
                if any(value.requires_grad for value in link.values):
                    self._carrying.add((cell.layer, number))
            for _, inlet, x in _entering(anatomy):
                if x.requires_grad:
                    self._carrying.add((cell.layer, inlet.number))

    def item(self, item: Item) -> Item:
        """Return a cell with its plan; anything else, and what cannot be opened, as it is."""
        cell, box = self._cells.get(item.id), item.face
        if cell is None or not isinstance(box, Box):
            return item
        plan = self._plan(cell, box)
        if plan is None:
            return item
        inside = None
        if self._lane:
            inside = Inside.of(self._anatomies[cell.id].parts, plan, self._handing.get(cell.id))
        opened = Opened(
            row=box.row, note=box.note, heat=box.heat, cell=cell, plan=plan, inside=inside
        )
        return replace(item, face=opened)

    def _plan(self, cell: Cell, box: Box) -> Plan | None:
        key = (cell.layer, signature(self._anatomies[cell.id], cell.outputs))
        if key not in self._plans:
            self._plans[key] = self._new_plan(cell, box)
        return self._plans[key]

    def _new_plan(self, cell: Cell, box: Box) -> Plan | None:
        row = self._rows[cell.layer]
        noted = bool(self._lane or box.heat)
        ink = Ink(f"cell.{box.row}.border", self._fills, self._lane, noted)
        plan = plan_of(self._anatomies[cell.id], cell.outputs, len(row.states), ink)
        if plan and row.reverse:
            plan = plan.mirrored()
        if plan and self._lane:
            plan = plan.with_lanes(self._single(cell))
        return plan

    def _single(self, cell: Cell) -> set[str]:
        """The wires from below that never carry a gradient, in no copy of the layer."""
        return {
            f"wire/{wire}"
            for wire, inlet, _ in _entering(self._anatomies[cell.id])
            if (cell.layer, inlet.number) not in self._carrying
        }

    def connections(
        self, connection: Connection, items: Mapping[str, Item]
    ) -> Iterator[Connection]:
        """Yield a connection for each state of a link; say of any other link where it enters."""
        link = self._links[connection.id]
        source, target = items.get(connection.source), items.get(connection.target)
        if is_state(link):
            cells = [item for item in (source, target) if item and item.role == "cell"]
            if all(item.plan for item in cells):
                yield from self._states(connection, link)
                return
        inlet = None
        if target is not None and target.plan is not None and not is_state(link):
            inlet = self._number(link)
        yield replace(connection, inlet=inlet, laned=self._is_laned(link, source, inlet))

    def _states(self, connection: Connection, link: Link) -> Iterator[Connection]:
        labels = connection.label.split(", ")
        first_note, several, _ = connection.note.partition("), ")
        for state, _ in enumerate(link.values):
            source = connection.source
            if connection.kind == "initial":
                source = drawn_id(source, state)
            yield replace(
                connection,
                id=drawn_id(connection.id, state),
                cls=connection.cls if state == 0 else "memory",
                source=source,
                label=labels[state] if state < len(labels) else "",
                note=first_note + ")" if several else first_note,
                state=state,
                link=link.id,
                laned=bool(self._lane),
            )

    def _is_laned(self, link: Link, source: Item | None, inlet: int | None) -> bool:
        """Whether a connection goes on in a lane inside one of the copies that it joins."""
        if not self._lane:
            return False
        if source is not None and source.plan is not None:
            return True
        return inlet is not None and (self._cells[link.target].layer, inlet) in self._carrying

    def port_of(self, connection: Connection) -> str:
        """Return the port that an initial state of one or several values is."""
        return self._links[connection.link].source

    def _number(self, link: Link) -> int:
        return [other.id for other in self._into[link.target] if not is_state(other)].index(link.id)

    def glyph(self, part: Part, id: str) -> Glyph:
        """Return the drawing of one op outside the copies."""
        box, *chips = part_shapes(part, 0.0, 0.0, Ink("text", self._fills, self._lane))
        named = [replace(chip, id=f"{id}-chip-{k}") for k, chip in enumerate(chips)]
        return Glyph((replace(box, id=id), *named))


def _entering(anatomy: Anatomy) -> Iterator[tuple[int, Inlet, Node]]:
    """Yield for each wire from below its number, where it enters, and the tensor that is read."""
    reads = [(part, read) for part in anatomy.parts for read in part.reads]
    for number, (part, (source, _, slot)) in enumerate(reads):
        x = part.reader.inputs[slot]
        if isinstance(source, Inlet) and not source.state and x is not None:
            yield number, source, x


class _Heads:
    """The ops between the copies and the outputs: y_t = W_hy h_t + b_y."""

    def __init__(self, network: Network, grid: Grid, opening: _Opening) -> None:
        self._opening = opening
        self._names = {parameter.node.id: parameter.name for parameter in network.parameters}
        self._inside = {node for cell in network.cells for node in cell.nodes}
        # The ops of each output by their ids, the lowest first.
        self._chains: dict[str, dict[str, Part]] = {}
        self._drawn: set[str] = set()
        self.items: dict[str, Item] = {}
        for port in network.ports:
            output = grid.items.get(port.id) if port.kind == "output" else None
            if output is not None and port.node and port.node not in self._inside:
                self._add(output, port.node)
        self.height = max((len(chain) for chain in self._chains.values()), default=0)

    def _add(self, output: Item, node: Node) -> None:
        nodes = self._between(node)
        inlets = {x: _FROM_A_COPY for made in nodes for x in made.tensors() if x in self._inside}
        parts = Anatomy(nodes, self._names, inlets).parts
        if not parts:
            return
        if len(parts) > _HEAD_MOST or not _is_chain(parts):
            absorbed = [part.node for part in parts]
            parts = [Part(node, 0, f"{len(parts)} ops", "several", absorbed=absorbed)]
        chain = {f"op-{output.id}-{k}": part for k, part in enumerate(parts)}
        self._chains[output.id] = chain
        for level, (id, part) in enumerate(chain.items(), output.level):
            self.items[id] = Item(
                id=id,
                cls="op",
                role="head",
                slot=output.slot,
                level=level,
                label="",
                face=self._opening.glyph(part, id),
                tooltip=part.tooltip,
            )

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
        """Yield the way from a copy to an output over the ops in between, these only once."""
        output = connection.target
        chain = self._chains.get(output) if connection.kind == "output" else None
        if chain is None:
            yield connection
            return
        id, link = connection.id, connection.link or connection.id
        ops = list(chain)
        yield replace(connection, id=drawn_id(id, "in"), target=ops[0], note="", link=link)
        if output in self._drawn:
            return
        self._drawn.add(output)
        for place, (source, target) in enumerate(pairwise(ops), 1):
            part = chain[target]
            yield replace(
                connection,
                id=drawn_id(id, len(ops) - place),
                source=source,
                target=target,
                note="",
                link=link,
                reader=(part.reader, part.reads[0].slot),
            )
        yield replace(connection, id=drawn_id(id), source=ops[-1], link=link)


def _is_chain(parts: Iterable[Part]) -> bool:
    """Whether each part reads the one before, and nothing else."""
    return all(
        [read.source for read in after.reads] == [before] for before, after in pairwise(parts)
    )
