"""What stands where, without any measures: a network as a grid of slots (columns) and levels (rows).

Level 0 holds the inputs, the levels above it the layers, the topmost the outputs. Slot 0 is the
first column; slot -1 and the one after the last are the margins, for initial states and the loss.
Both the unrolled and the rolled view are grids, so that they are laid out by the same hand and
match side by side.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ...errors import DrawError
from ...tracing.network.network import Cell, Link, LinkKind, Network, Port, Row, Section, indexed
from ...tracing.recording.graph import Node
from ..picture.diagram import Shape
from ..picture.notation import at_any_step, shape_text

if TYPE_CHECKING:
    from ..inside.plan import Plan
    from ..inside.ways_back import Inside
    from .heat import Heat

Role = Literal["cell", "head", "input", "output", "initial", "loss"]

FOLD = "fold"  # the id of the panel that stands for the columns left out
_FOLD_ABOVE, _FOLD_KEEPS = 16, 3


@dataclass(frozen=True, slots=True)
class Item:
    """A cell or a port in its place."""

    id: str
    cls: str
    role: Role
    slot: int
    level: int
    label: str
    note: str = ""
    caption: str = ""
    tooltip: str = ""
    row: int = 0  # chooses a cell's colour
    idle: bool = False  # its gradient is exactly zero
    sick: bool = False  # its gradient is NaN or infinite
    cell: Cell | None = None  # that it is a copy of …
    plan: "Plan | None" = None  # … and how its inside is drawn, in the ops view …
    inside: "Inside | None" = None  # … with gradients
    heat: "Heat | None" = None  # its values
    glyph: tuple[Shape, ...] = ()  # of an op outside the copies, its middle at (0, 0)
    state: int | None = None  # which of several initial states it is


@dataclass(frozen=True, slots=True)
class Connection:
    """A link between two items; one from an item to itself is the rolled view's loop.

    `norm` is that of the gradient which comes back, None where none is drawn.
    """

    id: str
    cls: str
    kind: LinkKind
    source: str
    target: str
    label: str = ""
    note: str = ""
    tooltip: str = ""
    norm: float | None = None
    cut: bool = False
    state: int | None = None  # which state it hands to an opened copy …
    entry: int | None = None  # … or which of the other things that enter one
    link: str = ""  # the id of the network's link that it is drawn for, where that is another
    reader: tuple[Node, int] | None = (
        None  # the op outside the copies that it leads to, as which input
    )
    laned: bool = False  # it keeps to its lane even if nothing comes back


def drawn_id(id: str, which: int | Literal["in"] = 0) -> str:
    """Return the id of one of several things that are drawn, where copies are opened, for one link or port.

    They are one for each state; or, on the way to an output, one from each op, counted from the
    output back, and the way "in" to the first op. Number 0 has the id of the link or port itself.
    """
    return f"{id}-{which}" if which else id


@dataclass(frozen=True, slots=True)
class Heading:
    """What stands to the left of a level."""

    level: int
    title: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grid:
    """Items by id, connections between them, and per slot its column (None where columns are folded)."""

    items: Mapping[str, Item]
    connections: tuple[Connection, ...]
    headings: tuple[Heading, ...]
    slots: tuple[int | None, ...]
    levels: int
    folded: int = 0  # how many columns the fold stands for
    left_out: int = 0  # links to or from folded columns that are not drawn
    odd: tuple[
        int, ...
    ] = ()  # folded columns with a copy that is made otherwise than any copy shown
    panels: bool = True  # draw each column as a panel with its timestep
    lane: float = (
        0.0  # how far beside the middle of each connection what comes back is drawn; 0: it is not …
    )
    crowded_lane: float = 0.0  # … and where one comes around to its source or target


def unrolled_grid(
    network: Network, fold: int | Literal["auto"] | None, *, headings: bool = True
) -> Grid:
    """Return every copy of `network` in its column, the middle ones folded as `fold` says.

    Raises:
        DrawError: `fold` is not "auto", None or a positive int.
    """
    slots = _slots(network.columns, fold)
    levels = _Levels.of(network)
    slot_of = {column: slot for slot, column in enumerate(slots) if column is not None}
    part = network.section(slot_of)
    items = {item.id: item for item in _placed(network, part, levels, slot_of, slots)}
    return Grid(
        items=items,
        connections=tuple(_connections(network, part, items.keys())),
        headings=levels.headings(network) if headings else (),
        slots=slots,
        levels=levels.count,
        folded=network.columns - len(slot_of),
        left_out=sum(_is_left_out(link, items.keys()) for link in part.links),
        odd=part.odd,
    )


def rolled_grid(network: Network, *, prefix: str = "") -> Grid:
    """Return `network` with all copies of a row drawn as one, a loop standing for the messages between them.

    `prefix` goes before each id and class, so that the rolled picture can stand beside the unrolled
    one.
    """
    levels = _Levels.of(network)
    names = {cell.id: f"cell-{cell.layer}" for cell in network.cells}
    names |= _rolled_ports(network.ports)
    items = {item.id: item for item in _rolled_items(network, levels, names, prefix)}
    connections: dict[str, Connection] = {}
    rows = {f"{prefix}cell-{row.layer}": row for row in network.rows}
    for link in network.links:
        if link.source in names and link.target in names:
            source, target = prefix + names[link.source], prefix + names[link.target]
            loop = link.kind == "message" and source == target
            kind = link.kind if loop or link.kind != "message" else "other"
            connection = Connection(
                id=f"{prefix}{kind}-{names[link.source]}-{names[link.target]}",
                cls=prefix + ("message" if loop else "link"),
                kind=kind,
                source=source,
                target=target,
                label=", ".join(f"{state}ₜ₋₁" for state in rows[source].states) if loop else "",
                note="" if loop else _shapes(link),
                tooltip="what each copy passes to the next" if loop else "",
            )
            if source != target or loop:
                connections.setdefault(connection.id, connection)
    return Grid(
        items,
        tuple(connections.values()),
        levels.headings(network),
        (0,),
        levels.count,
        panels=False,
    )


def _slots(columns: int, fold: int | Literal["auto"] | None) -> tuple[int | None, ...]:
    if fold == "auto":
        keep = _FOLD_KEEPS if columns > _FOLD_ABOVE else columns
    elif fold is None:
        keep = columns
    elif isinstance(fold, int) and not isinstance(fold, bool) and fold > 0:
        keep = fold
    else:
        raise DrawError(
            f'fold is "auto", None or how many copies to keep at each end (at least 1), not {fold!r}'
        )
    if columns <= 2 * keep:
        return tuple(range(columns))
    return (*range(keep), None, *range(columns - keep, columns))


@dataclass(frozen=True, slots=True)
class _Levels:
    """Which level each kind of item stands on: levels that would be empty do not exist."""

    rows: Mapping[int, int]  # layer -> level
    inputs: int
    outputs: int
    count: int

    @classmethod
    def of(cls, network: Network) -> "_Levels":
        first = 1 if network.has_inputs else 0
        layers = sorted({row.layer for row in network.rows})
        top = first + len(layers) - 1
        outputs = top + 1 if network.has_outputs else top
        return cls({layer: first + i for i, layer in enumerate(layers)}, 0, outputs, outputs + 1)

    def of_port(self, port: Port) -> int:
        if port.kind == "initial" and port.layer is not None:
            return self.rows[port.layer]
        return self.inputs if port.kind == "input" else self.outputs

    def headings(self, network: Network) -> tuple[Heading, ...]:
        rows = tuple(
            Heading(self.rows[row.layer], f"layer {row.layer}", _heading_lines(row))
            for row in network.rows
        )
        inputs = (Heading(self.inputs, "", ("inputs",)),) if network.has_inputs else ()
        outputs = (Heading(self.outputs, "", ("outputs",)),) if network.has_outputs else ()
        return inputs + rows + outputs


def _heading_lines(row: Row) -> tuple[str, ...]:
    module = row.path if row.path == row.kind else f"{row.path} · {row.kind}"
    direction = ", from right to left" if row.reverse else ""
    equations = _with_own_names(row).splitlines()
    return (module + direction, *equations)


def _with_own_names(row: Row) -> str:
    """Return a row's equation with the names that its own parameters have in this network: W_hh_l1 for W_hh."""
    names = [name.rpartition(".")[2] for name in row.parameters]

    def own(match: re.Match[str]) -> str:
        return next(
            (name for name in names if name == match[0] or name.startswith(f"{match[0]}_")),
            match[0],
        )

    return re.sub(r"\b[Wwb]_[a-z]+\b", own, row.equation or "")


def _placed(
    network: Network,
    part: Section,
    levels: _Levels,
    slot_of: Mapping[int, int],
    slots: tuple[int | None, ...],
) -> Iterable[Item]:
    rows = {row.layer: row for row in network.rows}
    cells = {cell.id: cell for cell in part.cells}
    for cell in part.cells:
        yield _cell_item(cell, rows[cell.layer], slot_of[cell.column], levels)
    first_cell = {link.source: cells[link.target] for link in part.links if link.target in cells}
    for port in part.ports:
        if port.kind == "loss":
            slot = len(slots)
        elif port.kind == "initial":
            slot = _initial_slot(first_cell.get(port.id), rows, slot_of, slots)
        else:
            slot = slot_of.get(port.column or 0)
        if slot is not None:
            yield _port_item(port, slot, levels)


def _cell_item(cell: Cell, row: Row, slot: int, levels: _Levels) -> Item:
    label = indexed(row.states[0], cell.t) if row.states else row.kind
    note = shape_text(cell.outputs[0].shape) if cell.outputs else ""
    return Item(
        id=cell.id,
        cls="cell",
        role="cell",
        slot=slot,
        level=levels.rows[cell.layer],
        label=label,
        note=note,
        tooltip=f"layer {cell.layer}, call {cell.t} of {row.path} ({row.kind}): {label} {note}".rstrip(),
        row=levels.rows[cell.layer] - min(levels.rows.values()),
    )


def _port_item(port: Port, slot: int, levels: _Levels) -> Item:
    shape = shape_text(port.node.shape) if port.node else ""
    words = (f"{port.kind} {port.label}", port.caption, shape)
    return Item(
        id=port.id,
        cls="state" if port.kind == "initial" else port.kind,
        role=port.kind,
        slot=slot,
        level=levels.of_port(port),
        label=port.label,
        caption=port.caption,
        tooltip=" ".join(filter(None, words)),
    )


def _initial_slot(
    first: Cell | None,
    rows: Mapping[int, Row],
    slot_of: Mapping[int, int],
    slots: tuple[int | None, ...],
) -> int | None:
    """Return the slot beside the row's first cell; None where that cell is folded away."""
    if first is None or first.column not in slot_of:
        return None
    reverse = rows[first.layer].reverse
    slot = slot_of[first.column] + (1 if reverse else -1)
    beside_fold = 0 <= slot < len(slots) and slots[slot] is None
    if not beside_fold:
        return slot
    return len(slots) if reverse else -1


def _connections(network: Network, part: Section, shown: Collection[str]) -> Iterable[Connection]:
    """Yield the links between shown items; messages and losses also to and from the fold."""
    cells = {cell.id: cell for cell in part.cells}
    rows = {row.layer: row for row in network.rows}
    for link in part.links:
        source = link.source if link.source in shown else FOLD
        target = link.target if link.target in shown else FOLD
        if source == target == FOLD or _is_left_out(link, shown):
            continue
        yield _connection(link, source, target, _message_label(link, cells, rows))


def _is_left_out(link: Link, shown: Collection[str]) -> bool:
    """Whether a link joins something shown with something folded away, and is not drawn as one with the fold."""
    return (link.source in shown) != (link.target in shown) and link.kind not in ("message", "loss")


def _message_label(link: Link, cells: Mapping[str, Cell], rows: Mapping[int, Row]) -> str:
    """Return the states that it hands on, with their timestep: one of the two copies is shown."""
    if link.kind not in ("message", "initial"):
        return ""
    after = cells.get(link.target)
    layer, t = (
        (after.layer, after.t - 1) if after else (cells[link.source].layer, cells[link.source].t)
    )
    return ", ".join(indexed(state, t) for state in rows[layer].states)


def _connection(link: Link, source: str, target: str, label: str) -> Connection:
    shapes = _shapes(link)
    return Connection(
        id=link.id,
        cls=link.kind if link.kind in ("message", "initial") else "link",
        kind=link.kind,
        source=source,
        target=target,
        label=label,
        note=shapes,
        tooltip=f"{label} {shapes} from {link.source} to {link.target}".strip(),
    )


def _shapes(link: Link) -> str:
    """Return the shape of what is handed over, once when all values share it."""
    return ", ".join(dict.fromkeys(shape_text(value.shape) for value in link.values))


def _rolled_ports(ports: Iterable[Port]) -> dict[str, str]:
    """Name each input and output by its place in its column: those of all columns become one."""
    names: dict[str, str] = {}
    seen: dict[tuple[str, int | None], int] = {}
    for port in ports:
        if port.kind in ("input", "output"):
            place = seen.get((port.kind, port.column), 0)
            seen[port.kind, port.column] = place + 1
            names[port.id] = f"{port.kind}-{place}" if place else port.kind
    return names


def _rolled_items(
    network: Network, levels: _Levels, names: Mapping[str, str], prefix: str
) -> Iterable[Item]:
    rows = {row.layer: row for row in network.rows}
    shown: set[str] = set()
    for part in (*network.cells, *network.ports):
        name = names.get(part.id)
        if name is None or name in shown:
            continue
        shown.add(name)
        if isinstance(part, Cell):
            item = _cell_item(part, rows[part.layer], 0, levels)
            about = f"layer {part.layer}: every copy of {rows[part.layer].path}"
        else:
            item = _port_item(part, 0, levels)
            about = at_any_step(item.label)
        yield Item(
            id=prefix + name,
            cls=prefix + item.cls,
            role=item.role,
            slot=0,
            level=item.level,
            label=at_any_step(item.label),
            note=item.note,
            tooltip=about,
            row=item.row,
        )
