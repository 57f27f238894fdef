"""The grid of the ops view: every shown copy with its inside, and the ops between the copies and each output."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

from ..tracing.graph import Node
from ..tracing.network import Cell, Link, Network
from .anatomy import Anatomy, Entry, Part, cell_anatomy, is_state
from .diagram import Shape
from .grid import Connection, Grid, Item
from .opened import Ink, Plan, part_shapes, plan_of, signature
from .theme import Theme

_ENTRY = Entry("", state=False, place=0, number=0)  # whatever a copy made may enter an op outside
_HEAD_MOST = 4  # ops between a copy and its output that are drawn one by one


def opened_grid(grid: Grid, network: Network, theme: Theme) -> Grid:
    """Return `grid` with its cells opened, a connection for each state, and the ops that make the outputs.

    Raises:
        DrawError: Graphviz had no layout for a copy in time.
    """
    opening = _Opening(network, theme)
    items = {id: opening.item(item) for id, item in grid.items.items()}
    connections = [c for connection in grid.connections for c in opening.connections(connection, items)]
    for c in connections:
        if c.kind == "initial" and c.state is not None:
            first = items[opening.port_of(c)]
            items[c.source] = replace(first, id=c.source, label=c.label, state=c.state)
    heads = _Heads(network, grid, opening)
    top = grid.levels - 1
    raised = {id for id, item in items.items() if item.role in ("output", "loss") and item.level == top}
    items = {id: replace(item, level=top + heads.height) if id in raised else item for id, item in items.items()}
    headings = tuple(
        replace(heading, level=top + heads.height) if heading.level == top and not heading.title else heading
        for heading in grid.headings
    )
    return replace(
        grid,
        items=items | heads.items,
        connections=tuple(c for connection in connections for c in heads.connections(connection)),
        headings=headings,
        levels=grid.levels + heads.height,
    )


class _Opening:
    """Opens the copies of a network, each structure once."""

    def __init__(self, network: Network, theme: Theme) -> None:
        self._theme = theme
        self._network = network
        self._cells = {cell.id: cell for cell in network.cells}
        self._rows = {row.layer: row for row in network.rows}
        self._ports = {port.id for port in network.ports}
        self._links = {link.id: link for link in network.links}
        self._into: dict[str, list[Link]] = {}
        for link in network.links:
            self._into.setdefault(link.target, []).append(link)
        self._fills = {p.node.id: theme.parameter(index) for index, p in enumerate(network.parameters)}
        self._plans: dict[object, Plan | None] = {}

    def item(self, item: Item) -> Item:
        """Return a cell with its plan; anything else as it is."""
        cell = self._cells.get(item.id)
        return item if cell is None else replace(item, cell=cell, plan=self._plan(cell, item))

    def _plan(self, cell: Cell, item: Item) -> Plan | None:
        row = self._rows[cell.layer]
        anatomy = cell_anatomy(cell, self._network, self._into.get(cell.id, ()))
        key = (cell.layer, signature(anatomy, cell.outputs))
        if key not in self._plans:
            line = self._theme.cell(item.row).line
            plan = plan_of(anatomy, cell.outputs, len(row.states), self._fills, line, self._theme)
            self._plans[key] = plan.mirrored() if plan and row.reverse else plan
        return self._plans[key]

    def connections(self, connection: Connection, items: Mapping[str, Item]) -> Iterator[Connection]:
        """Yield a connection for each state that a link hands on; say for any other where it enters."""
        link = self._links[connection.id]
        ends = [items.get(connection.target), items.get(connection.source)]
        cells = [item for item in ends if item is not None and item.role == "cell"]
        if not is_state(link) or not all(item.plan for item in cells):
            opened = ends[0] is not None and ends[0].plan is not None and not is_state(link)
            yield replace(connection, entry=self._number(link) if opened else None)
            return
        labels = connection.label.split(", ")
        for state, _ in enumerate(link.values):
            suffix = f"-{state}" if state else ""
            yield replace(
                connection,
                id=connection.id + suffix,
                cls=connection.cls if state == 0 else "memory",
                source=connection.source + (suffix if connection.kind == "initial" else ""),
                label=labels[state] if state < len(labels) else "",
                note=connection.note.split("), ")[0] + ")" * ("), " in connection.note),
                state=state,
            )

    def port_of(self, connection: Connection) -> str:
        """Return the port that an initial state of one or several values is."""
        return next(id for id in (connection.source, connection.source.rpartition("-")[0]) if id in self._ports)

    def _number(self, link: Link) -> int:
        return [other.id for other in self._into[link.target] if not is_state(other)].index(link.id)

    def glyph(self, part: Part, id: str) -> tuple[Shape, ...]:
        """Return the drawing of one op outside the copies, its middle at (0, 0)."""
        ink = Ink(self._theme, self._theme.text, self._fills)
        shapes = part_shapes(part, 0.0, 0.0, ink)
        return tuple(replace(shape, id=id if k == 0 else f"{id}-chip-{k - 1}") for k, shape in enumerate(shapes))


class _Heads:
    """The ops between the copies and the outputs: y_t = W_hy h_t + b_y."""

    def __init__(self, network: Network, grid: Grid, opening: _Opening) -> None:
        self._opening = opening
        self._names = {parameter.node.id: parameter.name for parameter in network.parameters}
        self._inside = {node for cell in network.cells for node in cell.nodes}
        self._chains: dict[str, list[str]] = {}  # output -> the ids of its ops, the lowest first
        self._drawn: set[str] = set()
        self.items: dict[str, Item] = {}
        for port in network.ports:
            if port.kind == "output" and port.id in grid.items and port.node and port.node not in self._inside:
                self._add(grid.items[port.id], port.node)
        self.height = max((len(chain) for chain in self._chains.values()), default=0)

    def _add(self, output: Item, node: Node) -> None:
        nodes = self._between(node)
        entries = {x: _ENTRY for made in nodes for x in made.tensors() if x in self._inside}
        parts = Anatomy(nodes, self._names, entries).parts
        if not parts:
            return
        chained = all([source for source, _ in after.reads] == [before] for before, after in pairwise(parts))
        if not chained or len(parts) > _HEAD_MOST:
            parts = [Part(node, 0, f"{len(parts)} ops", "several", absorbed=[part.node for part in parts])]
        chain = self._chains[output.id] = [f"op-{output.id}-{k}" for k in range(len(parts))]
        for k, (id, part) in enumerate(zip(chain, parts, strict=True)):
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
        yield replace(connection, id=f"{connection.id}-in", target=chain[0], note="")
        if connection.target in self._drawn:
            return
        self._drawn.add(connection.target)
        ways = [*pairwise(chain), (chain[-1], connection.target)]
        for k, (source, target) in enumerate(ways, 1 - len(ways)):
            id = connection.id if k == 0 else f"{connection.id}{k}"
            yield replace(connection, id=id, source=source, target=target, note=connection.note if k == 0 else "")
