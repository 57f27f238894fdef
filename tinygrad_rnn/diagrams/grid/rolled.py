"""The rolled grid of a quotient: each row once, with a loop for what its copies pass on."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ...tracing.network.quotient import Arrow, Block, Output, Quotient, indexed, shapes_passed
from ..picture.notation import at_any_step, id_of, shape_text
from .grid import Connection, Grid, Heading
from .items import Box, Circle, Item, Plate, Sign
from .standing import Standing, value_name
from .unrolled import heading_lines

_End = Block | Output


def rolled_grid(quotient: Quotient, *, prefix: str = "") -> Grid:
    """Return `quotient` with each row drawn once.

    What is read in the step that it is made in goes straight. A value of another step is a circle
    that says which: "hₜ₋₁", or "h₂" for the last one of an encoder.

    `prefix` goes before each id and class, so that the rolled picture can stand beside the unrolled
    one.
    """
    return _Rolled(quotient, prefix).grid()


@dataclass(slots=True)
class _Way:
    """All arrows between two items: how many steps later each is read, and what passes."""

    arrows: list[Arrow]
    shifts: set[int]
    names: dict[str, None]


class _Rolled:
    def __init__(self, quotient: Quotient, prefix: str) -> None:
        self._quotient = quotient
        self._standing = Standing(quotient)
        self._prefix = prefix
        self._items: dict[str, Item] = {}
        self._connections: dict[str, Connection] = {}
        self._item_of: dict[_End, str] = {}
        self._asides: defaultdict[int, int] = defaultdict(int)

    def grid(self) -> Grid:
        """Return the grid."""
        for row in self._standing.levels:
            self._add_row(row.blocks)
        self._add_inputs()
        self._add_outputs()
        for (source, target, _), way in self._ways().items():
            self._connect(source, target, way)
        prefix = self._prefix
        return Grid(
            items={
                prefix + id: replace(item, id=prefix + id, cls=prefix + item.cls)
                for id, item in self._items.items()
            },
            connections=tuple(map(self._prefixed, self._connections.values())),
            headings=tuple(self._headings()),
            slots=(0,),
            levels=self._standing.count,
            panels=False,
        )

    def _prefixed(self, connection: Connection) -> Connection:
        prefix = self._prefix
        return replace(
            connection,
            id=prefix + connection.id,
            cls=prefix + connection.cls,
            source=prefix + connection.source,
            target=prefix + connection.target,
        )

    # Items

    def _add_row(self, blocks: tuple[Block, ...]) -> None:
        standing = [block for block in blocks if self._standing.stands(block)]
        if not standing:
            return
        first = standing[0]
        row = first.row
        assert row is not None
        id = f"{'cell' if row.kind in ('cell', 'loop') else row.kind}-{row.number}"
        self._item_of.update(dict.fromkeys(standing, id))
        level = self._standing.levels[row]
        label = at_any_step(first.label) if len(standing) > 1 else first.label
        shape = shape_text(first.outputs[0].shape) if len(first.outputs) == 1 else ""
        item = Item(
            id, first.kind, "between", 0, level, label, Plate(label=label, note=shape), row.path
        )
        if row.kind in ("cell", "loop"):
            shape = "" if first.shown is None else shape_text(first.shown.shape)
            face = Box(row=row.number, note=shape, dashed=row.kind == "loop")
            about = f"{row.title}: every copy of {row.path or row.name}"
            item = replace(item, role="cell", face=face, tooltip=about)
        elif first.sign is not None and len(first.columns) == 1:
            item = replace(item, role="sign", label=first.sign or "∥", face=Sign())
        host = self._standing.hosts.get(row)
        if host is not None:
            item = replace(item, aside=self._asides[level])
            self._asides[level] += 1
        self._items[id] = item

    def _add_inputs(self) -> None:
        readers: defaultdict[Block, set[str]] = defaultdict(set)
        for source, arrow in self._standing.arrows:
            if source.kind == "input" and arrow.target in self._item_of:
                readers[source].add(self._item_of[arrow.target])
        groups: dict[object, list[Block]] = {}
        for block, items in readers.items():
            key = (at_any_step(block.label), *sorted(items))
            groups.setdefault(key, []).append(block)
        for number, blocks in enumerate(groups.values()):
            id = f"input-{number}" if number else "input"
            self._item_of.update(dict.fromkeys(blocks, id))
            first = blocks[0]
            label = at_any_step(first.label) if len(blocks) > 1 else first.label
            self._items[id] = Item(id, "input", "input", 0, 0, label, Circle(), label)

    def _add_outputs(self) -> None:
        groups: dict[object, list[Output]] = {}
        for output in self._quotient.outputs:
            source = self._standing.resolved(output.source)
            key = self._item_of.get(source), at_any_step(output.label)
            groups.setdefault(key, []).append(output)
        for number, outputs in enumerate(groups.values()):
            id = f"output-{number}" if number else "output"
            self._item_of.update(dict.fromkeys(outputs, id))
            first = outputs[0]
            label = at_any_step(first.label) if len(outputs) > 1 else first.label
            level = self._standing.outputs_level
            self._items[id] = Item(id, "output", "output", 0, level, label, Circle(), label)

    # Connections

    def _ways(self) -> dict[tuple[str, str, bool], _Way]:
        """The ways between two items, within a step and from other steps."""
        ways: dict[tuple[str, str, bool], _Way] = {}
        for source, arrow in self._standing.arrows:
            start, end = self._item_of.get(source), self._item_of.get(arrow.target)
            if start is None or end is None:
                continue
            shift = _shift(source, arrow.target)
            way = ways.setdefault((start, end, shift == 0), _Way([], set(), {}))
            way.arrows.append(arrow)
            way.shifts.add(shift)
            for read in arrow.reads:
                way.names[value_name(read.value, [arrow], self._standing)] = None
        for output in self._quotient.outputs:
            source = self._standing.resolved(output.source)
            start, end = self._item_of.get(source), self._item_of[output]
            if start is not None:
                ways.setdefault((start, end, True), _Way([], {0}, {}))
        return ways

    def _connect(self, source: str, target: str, way: _Way) -> None:
        is_loop = source == target and self._items[source].role == "cell"
        if is_loop and not self._asides[self._items[source].level]:
            self._add_loop(source, way)
        elif way.shifts == {0}:
            self._add(source, target, way)
        else:
            self._through_a_circle(source, target, way)

    def _add(self, source: str, target: str, way: _Way, *, in_time: bool = False) -> None:
        reads = (read for arrow in way.arrows for read in arrow.reads)
        shapes = dict.fromkeys(map(shape_text, shapes_passed(reads)))
        kinds = {arrow.kind for arrow in way.arrows}
        kind = "input" if source.startswith("input") else "other"
        if target.startswith("output"):
            kind = "output"
        message = kinds == {"message"} or kinds == {"initial"}
        self._connections[f"{kind}-{source}-{target}"] = Connection(
            id=f"{kind}-{source}-{target}",
            cls="message" if message else "link",
            kind="message" if message else kind,
            source=source,
            target=target,
            note=", ".join(shapes),
            in_time=in_time,
        )

    def _add_loop(self, cell: str, way: _Way) -> None:
        """Let a cell read what it made itself; with signs beside it there would be no room."""
        states = dict.fromkeys(map(at_any_step, way.names))
        self._connections[f"message-{cell}-{cell}"] = Connection(
            id=f"message-{cell}-{cell}",
            cls="message",
            kind="message",
            source=cell,
            target=cell,
            label=", ".join(name.replace("ₜ", "ₜ₋₁") for name in states),
            tooltip="what each copy passes to the next",
        )

    def _through_a_circle(self, source: str, target: str, way: _Way) -> None:
        """A value of another step: a circle that says of which, read from there."""
        label = self._label(way)
        id = id_of(f"earlier-{source}", label)
        if id not in self._items:
            level = self._items[target].level
            tooltip = f"{label}, made by another step"
            self._items[id] = Item(id, "state", "initial", -1, level, label, Circle(), tooltip)
            self._add(source, id, way, in_time=True)
        self._add(id, target, way, in_time=True)

    def _label(self, way: _Way) -> str:
        names, shifts = list(filter(None, way.names)), sorted(way.shifts)
        if not names:
            return f"t − {shifts[0]}" if len(shifts) == 1 and shifts[0] > 0 else "another step"
        if len(way.arrows) == 1:
            return ", ".join(names)
        base = ", ".join(dict.fromkeys(map(at_any_step, names)))
        if len(shifts) == 1 and shifts[0] > 0:
            return base.replace("ₜ", indexed("ₜ", -shifts[0]))
        return base.replace("ₜ", "")

    def _headings(self) -> Iterator[Heading]:
        if self._standing.has_inputs:
            yield Heading(0, "", ("inputs",))
        for row, level in self._standing.levels.items():
            if row.kind in ("cell", "loop"):
                yield Heading(level, row.title, heading_lines(row))
        if self._quotient.outputs:
            yield Heading(self._standing.outputs_level, "", ("outputs",))


def _shift(source: Block, target: Block) -> int:
    """How many columns later something is read: 0 where either spans several."""
    if len(source.columns) != 1 or len(target.columns) != 1:
        return 0
    return target.columns[0] - source.columns[0]
