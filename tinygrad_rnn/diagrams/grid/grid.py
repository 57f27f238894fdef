"""What stands where, without any measures: a network as a grid of slots and levels.

Slots are columns, levels are rows. Level 0 holds the inputs, the levels above it the layers, the
topmost the outputs. Slot 0 is the first column; slot -1 and the one after the last are the margins,
for initial states and the loss. Both the unrolled and the rolled view are grids, so that they are
laid out by the same hand and match side by side.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ...errors import DrawError
from ...tracing.network.network import Cell, Link, LinkKind, Network, Port, Row, Section, indexed
from ...tracing.network.quotient import Read
from ...tracing.recording.graph import Node
from ..picture.notation import at_any_step, shape_text
from .items import Box, Circle, Item

FOLD = "fold"  # the id of the panel that stands for the columns left out
MARGIN = -1  # in place of a column: a slot for the initial state of a chain that begins later
_FOLD_ABOVE, _FOLD_KEEPS = 16, 3

Fold = int | Literal["auto"] | None
_Slots = Sequence[int | None]  # the column in each slot; None: the fold


@dataclass(frozen=True, slots=True)
class Connection:
    """A link between two items; one from an item to itself is the rolled view's loop."""

    id: str
    cls: str
    kind: LinkKind
    source: str
    target: str
    label: str = ""
    note: str = ""
    tooltip: str = ""
    norm: float | None = None  # of the gradient that comes back, where one is drawn
    cut: bool = False  # a `detach` stops the gradient
    # Where copies are opened: which state it hands on, or as what it enters from below.
    state: int | None = None
    inlet: int | None = None
    outlet: int | None = None  # … and the place of the part whose value it is
    leaves: int | None = None  # the state as which it leaves on the right, where it is no message
    link: str = ""  # the id of the connection that it is a part of, where that is another
    reads: tuple[Read, ...] = ()  # what it stands for
    in_time: bool = False  # it hands something on to a later column
    laned: bool = False  # it keeps to its lane even if nothing comes back


def drawn_id(id: str, which: int | Literal["in"] = 0) -> str:
    """Return the id of one of several things that are drawn for one link or port of opened copies.

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
class Bracket:
    """Slots that belong to one step of an outer loop, drawn below them."""

    first: int
    last: int
    label: str


@dataclass(frozen=True, slots=True)
class Grid:
    """Items by id, connections between them, and the column in each slot (None: the fold).

    `lane` is how far beside the middle of each connection its way back is drawn, and
    `crowded_lane` how far where one comes around to its source or target; 0: no way back is drawn.
    """

    items: Mapping[str, Item]
    connections: tuple[Connection, ...]
    headings: tuple[Heading, ...]
    slots: tuple[int | None, ...]
    levels: int
    folded: int = 0  # how many columns the fold stands for
    left_out: int = 0  # links to or from folded columns that are not drawn
    unlike: tuple[int, ...] = ()  # folded columns with a copy made otherwise than any shown
    brackets: tuple[Bracket, ...] = ()
    panels: bool = True  # draw each column as a panel with its timestep
    lane: float = 0.0
    crowded_lane: float = 0.0


def unrolled_grid(network: Network, fold: Fold, *, headings: bool = True) -> Grid:
    """Return every copy of `network` in its column, the middle ones folded as `fold` says.

    Raises:
        DrawError: `fold` is not "auto", None or a positive int.
    """
    slots = slots_of(network.columns, fold)
    levels = _Levels.of(network)
    slot_of = {column: slot for slot, column in enumerate(slots) if column is not None}
    section = network.section(slot_of)
    items = {item.id: item for item in _placed(network, section, levels, slot_of, slots)}
    return Grid(
        items=items,
        connections=tuple(_connections(network, section, items.keys())),
        headings=levels.headings(network) if headings else (),
        slots=slots,
        levels=levels.count,
        folded=network.columns - len(slot_of),
        left_out=sum(_is_left_out(link, items.keys()) for link in section.links),
        unlike=section.odd,
    )


def rolled_grid(network: Network, *, prefix: str = "") -> Grid:
    """Return `network` with each row drawn as one cell, a loop for the messages between its copies.

    `prefix` goes before each id and class, so that the rolled picture can stand beside the unrolled
    one.
    """
    levels = _Levels.of(network)
    names = {cell.id: f"cell-{cell.layer}" for cell in network.cells}
    names |= _rolled_ports(network.ports)
    connections: dict[str, Connection] = {}
    states = {f"cell-{row.layer}": row.states for row in network.rows}
    for link in network.links:
        source, target = names.get(link.source), names.get(link.target)
        if source is None or target is None:
            continue
        if link.kind == "message" and source == target:
            connection = _loop(source, states[source], prefix)
        elif source != target:
            connection = _rolled_connection(link, source, target, prefix)
        else:
            continue
        connections.setdefault(connection.id, connection)
    return Grid(
        items={item.id: item for item in _rolled_items(network, levels, names, prefix)},
        connections=tuple(connections.values()),
        headings=levels.headings(network),
        slots=(0,),
        levels=levels.count,
        panels=False,
    )


def slots_of(columns: int, fold: Fold) -> tuple[int | None, ...]:
    """Return the column in each slot, None for the fold.

    Raises:
        DrawError: `fold` is not "auto", None or a positive int.
    """
    keep = columns
    if fold == "auto":
        if columns > _FOLD_ABOVE:
            keep = _FOLD_KEEPS
    elif fold is not None:
        if not isinstance(fold, int) or isinstance(fold, bool) or fold < 1:
            raise DrawError(
                'fold is "auto", None or how many copies to keep at each end (at least 1), '
                f"not {fold!r}"
            )
        keep = fold
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
        outputs = first + len(layers) - 1
        if network.has_outputs:
            outputs += 1
        rows = {layer: level for level, layer in enumerate(layers, first)}
        return cls(rows, 0, outputs, outputs + 1)

    def of_port(self, port: Port) -> int:
        if port.kind == "initial" and port.layer is not None:
            return self.rows[port.layer]
        return self.inputs if port.kind == "input" else self.outputs

    def headings(self, network: Network) -> tuple[Heading, ...]:
        headings = [
            Heading(self.rows[row.layer], f"layer {row.layer}", _heading_lines(row))
            for row in network.rows
        ]
        if network.has_inputs:
            headings.insert(0, Heading(self.inputs, "", ("inputs",)))
        if network.has_outputs:
            headings.append(Heading(self.outputs, "", ("outputs",)))
        return tuple(headings)


def _heading_lines(row: Row) -> tuple[str, ...]:
    module = row.path if row.path == row.kind else f"{row.path} · {row.kind}"
    if row.reverse:
        module += ", from right to left"
    return (module, *_with_own_names(row).splitlines())


def _with_own_names(row: Row) -> str:
    """Return a row's equation with its own parameters' names in this network: W_hh_l1 for W_hh."""
    names = [name.rpartition(".")[2] for name in row.parameters]

    def own(match: re.Match[str]) -> str:
        written = match[0]
        for name in names:
            if name == written or name.startswith(f"{written}_"):
                return name
        return written

    return re.sub(r"\b[Wwb]_[a-z]+\b", own, row.equation or "")


def _placed(
    network: Network, section: Section, levels: _Levels, slot_of: Mapping[int, int], slots: _Slots
) -> Iterable[Item]:
    rows = {row.layer: row for row in network.rows}
    cells = {cell.id: cell for cell in section.cells}
    for cell in section.cells:
        yield _cell_item(cell, rows[cell.layer], slot_of[cell.column], levels)
    first_cell = {link.source: cells[link.target] for link in section.links if link.target in cells}
    for port in section.ports:
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
    tooltip = f"layer {cell.layer}, call {cell.t} of {row.path} ({row.kind}): {label} {note}"
    level = levels.rows[cell.layer]
    return Item(
        id=cell.id,
        cls="cell",
        role="cell",
        slot=slot,
        level=level,
        label=label,
        face=Box(row=level - min(levels.rows.values()), note=note),
        tooltip=tooltip.rstrip(),
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
        face=Circle(caption=port.caption),
        tooltip=" ".join(filter(None, words)),
    )


def _initial_slot(
    first: Cell | None, rows: Mapping[int, Row], slot_of: Mapping[int, int], slots: _Slots
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


def _connections(
    network: Network, section: Section, shown: Collection[str]
) -> Iterable[Connection]:
    """Yield the links between shown items; messages and losses also to and from the fold."""
    cells = {cell.id: cell for cell in section.cells}
    rows = {row.layer: row for row in network.rows}
    for link in section.links:
        source = link.source if link.source in shown else FOLD
        target = link.target if link.target in shown else FOLD
        if source == target == FOLD or _is_left_out(link, shown):
            continue
        yield _connection(link, source, target, _message_label(link, cells, rows))


def _is_left_out(link: Link, shown: Collection[str]) -> bool:
    """Whether a link joins something shown with something folded away, and is not drawn."""
    return (link.source in shown) != (link.target in shown) and link.kind not in ("message", "loss")


def _message_label(link: Link, cells: Mapping[str, Cell], rows: Mapping[int, Row]) -> str:
    """Return the states that it hands on, with their timestep: one of the two copies is shown."""
    if link.kind not in ("message", "initial"):
        return ""
    if link.target in cells:
        after = cells[link.target]
        layer, t = after.layer, after.t - 1
    else:
        layer, t = cells[link.source].layer, cells[link.source].t
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


# The rolled view


def _loop(cell: str, states: Sequence[str], prefix: str) -> Connection:
    return Connection(
        id=f"{prefix}message-{cell}-{cell}",
        cls=f"{prefix}message",
        kind="message",
        source=prefix + cell,
        target=prefix + cell,
        label=", ".join(f"{state}ₜ₋₁" for state in states),
        tooltip="what each copy passes to the next",
    )


def _rolled_connection(link: Link, source: str, target: str, prefix: str) -> Connection:
    kind = "other" if link.kind == "message" else link.kind
    return Connection(
        id=f"{prefix}{kind}-{source}-{target}",
        cls=f"{prefix}link",
        kind=kind,
        source=prefix + source,
        target=prefix + target,
        note=_shapes(link),
    )


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
    rolled: dict[str, Item] = {}
    for cell in network.cells:
        if names[cell.id] not in rolled:
            row = rows[cell.layer]
            item = _cell_item(cell, row, 0, levels)
            about = f"layer {cell.layer}: every copy of {row.path}"
            rolled[names[cell.id]] = replace(item, tooltip=about)
    for port in network.ports:
        name = names.get(port.id)
        if name is not None and name not in rolled:
            item = replace(_port_item(port, 0, levels), face=Circle())
            rolled[name] = replace(item, tooltip=at_any_step(item.label))
    for name, item in rolled.items():
        label = at_any_step(item.label)
        yield replace(item, id=prefix + name, cls=prefix + item.cls, label=label)
