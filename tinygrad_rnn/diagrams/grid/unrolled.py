"""The grid of a quotient: every block in its columns, every arrow between the items it joins."""

import re
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

from ...tracing.network.quotient import (
    Arrow,
    Block,
    Chain,
    Output,
    Piece,
    Quotient,
    Read,
    Row,
    shapes_passed,
)
from ..picture.notation import shape_text, without_step
from ..picture.shapes import Passage
from ..picture.text_metrics import broken
from .grid import FOLD, MARGIN, Bracket, Connection, Fold, Grid, Heading, slots_of
from .items import NOTE_SIZE, Bar, Box, Circle, Item, Plate, Sign
from .passages import with_passages
from .standing import Ends, Standing, about_block, output_reads, value_name

# How wide a line below the loss may be: of one formula, and of several.
_LOSS_LINE, _LOSS_LINES = 170.0, 240.0
_NAMED_MOST = 3  # of what the loss reads under one name


def unrolled_grid(quotient: Quotient, fold: Fold, *, headings: bool = True) -> Grid:
    """Return every block in its columns, the middle ones folded as `fold` says.

    Raises:
        DrawError: `fold` is not "auto", None or a positive int.
    """
    return _Unrolled(Standing(quotient), fold, headings).grid()


class _Unrolled:
    """Makes the grid of a quotient."""

    def __init__(self, standing: Standing, fold: Fold, headings: bool) -> None:
        self._standing = standing
        self._quotient = quotient = standing.quotient
        self._headings = headings
        columns = slots_of(quotient.columns, fold)
        self._slots = self._with_margins(columns)
        self._slot_of = {
            column: slot
            for slot, column in enumerate(self._slots)
            if column is not None and column != MARGIN
        }
        # of signs on the way of a message: which way; and those that another follows there
        self._ways: dict[Block, int] = {}
        self._followed: set[Block] = set()
        self._left_by_several: dict[Block, bool] = {}  # as far as somebody asked
        self._fold_slot = self._slots.index(None) if None in self._slots else None

    def grid(self) -> Grid:
        """Return the grid."""
        items = {item.id: item for item in self._items()}
        parts, left_out = self._connections(items)
        connections = with_passages(parts, items)
        order = {id: place for place, id in enumerate(items)}
        connections.sort(key=lambda c: (order.get(c.target, -1), order.get(c.source, -1)))
        return Grid(
            items=items,
            connections=tuple(connections),
            headings=tuple(self._all_headings()) if self._headings else (),
            slots=self._slots,
            levels=self._standing.count,
            folded=self._quotient.columns - len(self._slot_of),
            left_out=left_out,
            unlike=tuple(self._unlike()),
            brackets=tuple(self._brackets()),
        )

    # Slots

    def _with_margins(self, columns: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Leave room before each chain whose initial state would stand in another's way."""
        quotient, standing = self._quotient, self._standing
        occupied = {
            (standing.level(block), column)
            for block in quotient.blocks
            if block.row is not None and standing.stands(block)
            for column in block.columns
        }
        occupied.update(self._passed())
        before: set[int] = set()
        after: set[int] = set()
        for chain in quotient.chains:
            if not chain.initial or not chain.copies:
                continue
            first = chain.copies[0]
            column, way = self._column_begun(chain), chain.direction
            if (standing.level(first), column - way) in occupied:
                (before if way == 1 else after).add(column)
        for block in quotient.blocks:
            if block.kind == "initial" and block not in standing.begun:
                before.update(block.columns)  # it would stand in the way of what goes up there
        slots: list[int | None] = []
        for column in columns:
            if column in before and slots and slots[-1] is not None:
                slots.append(MARGIN)
            slots.append(column)
            if column in after:
                slots.append(MARGIN)
        return tuple(slots)

    def _column_begun(self, chain: Chain) -> int:
        """Return the column beside which a chain's initial state stands.

        Something else may read it before the first copy does.
        """
        first = chain.copies[0].columns[0]
        if chain.direction == -1 or len(self._standing.begun[chain.initial[0]]) > 1:
            return first
        return min(first, *(block.columns[0] for block in chain.initial))

    def _passed(self) -> Iterator[tuple[int, int]]:
        """Yield the level and the column of each place that something goes up through."""
        standing = self._standing
        for source, arrow in standing.arrows():
            target = arrow.target
            if target.row is None or target.row.tree or len(target.columns) != 1:
                continue
            (column,) = target.columns
            if column not in source.columns or source.kind == "initial":
                continue
            level = 0 if source.row is None else standing.level(source)
            for between in range(level + 1, standing.level(target)):
                yield between, column

    def _span(self, block: Block) -> tuple[int, int] | None:
        """Return the first and the last slot of a block; None where it is folded away."""
        slots = [self._slot_of[column] for column in block.columns if column in self._slot_of]
        if not slots:
            return None
        first, last = min(slots), max(slots)
        fold = self._fold_slot
        if fold is not None:
            hidden = [column for column in block.columns if column not in self._slot_of]
            if hidden:
                first, last = min(first, fold), max(last, fold)
        return first, last

    # Items

    def _items(self) -> Iterator[Item]:
        quotient, standing = self._quotient, self._standing
        seen: set[str] = set()
        asides: defaultdict[tuple[Row, int], int] = defaultdict(int)
        for block in sorted(quotient.blocks, key=_drawn_order):
            id = standing.item_of.get(block)
            if block.kind == "initial":
                yield from self._initials(block)
                continue
            if id is None or id in seen or not standing.stands(block):
                continue
            seen.add(id)
            match block.kind:
                case "input":
                    yield from self._inputs(block)
                    continue
                case "loss":
                    item = self._loss(block)
                case "cell":
                    item = self._cell(block)
                case _:
                    item = self._between(block, asides)
            if item is not None:
                yield item
        for output in quotient.outputs:
            item = self._output(output)
            if item is not None:
                yield item

    def _cell(self, block: Block) -> Item | None:
        span, row = self._span(block), block.row
        if span is None or row is None:
            return None
        # the shape below its name is that of what it is called by
        shapes = "" if block.shown is None else shape_text(block.shown.shape)
        about = f"{row.title}, call {block.t} of {row.path} ({row.name}): {block.label}"
        return Item(
            id=block.id,
            cls="cell",
            role="cell",
            slot=span[0],
            level=self._standing.level(block),
            label=block.label,
            face=Box(row=row.number, note=shapes, dashed=row.kind == "loop"),
            tooltip=f"{about} {shapes}".rstrip(),
        )

    def _between(self, block: Block, asides: dict[tuple[Row, int], int]) -> Item | None:
        span, row = self._span(block), block.row
        if span is None or row is None:
            return None
        first, last = span
        host = self._standing.hosts.get(row)
        aside = None
        if host is not None:
            aside = self._way_beside(block, host, first, asides)
        item = Item(
            id=block.id,
            cls=block.kind,
            role="between",
            slot=first,
            level=self._standing.level(block),
            label=block.label or block.formula,
            face=Sign(),
            tooltip=about_block(block),
            aside=aside,
            face_left=host is not None and host.reverse,
        )
        shape = shape_text(block.outputs[0].shape) if len(block.outputs) == 1 else ""
        if block.kind == "bar" or len(block.columns) > 1:
            return replace(item, role="bar", face=Bar(note=shape), last=last)
        if block.sign is not None:
            return replace(item, role="sign", label=block.sign or "∥")
        return replace(item, face=_plate(item.label, block, shape))

    def _way_beside(
        self, block: Block, host: Row, slot: int, asides: dict[tuple[Row, int], int]
    ) -> int:
        """Return on which way past a copy a sign is: that of the one before, or a new one."""
        for arrow in self._quotient.entering[block]:
            source = self._standing.resolved(arrow.source)
            free = source in self._ways and source not in self._followed
            if free and source.columns == block.columns:
                self._followed.add(source)
                self._ways[block] = self._ways[source]
                return self._ways[block]
        self._ways[block] = asides[host, slot]
        asides[host, slot] += 1
        return self._ways[block]

    def _initials(self, block: Block) -> Iterator[Item]:
        """Yield a circle for each chain whose first initial state it is."""
        for chain in self._standing.begun.get(block, [None]):
            if chain is not None and chain.initial[0] is not block:
                continue
            item = self._initial(block, chain)
            if item is not None:
                yield item

    def _initial(self, block: Block, chain: Chain | None) -> Item | None:
        blocks = (block,) if chain is None else chain.initial
        readers = [*self._standing.readers(block)]
        cells = [reader for reader in readers if reader.kind == "cell"]
        reader = chain.copies[0] if chain else next(iter(cells or readers), None)
        span = reader and self._span(reader)
        if reader is None or span is None or reader.row is None:
            return None
        way = chain.direction if chain else 1
        begun = self._slot_of.get(self._column_begun(chain)) if chain else None
        slot = span[1] + 1
        if way == 1:
            slot = (span[0] if begun is None else begun) - 1
        if 0 <= slot < len(self._slots) and self._slots[slot] is None:
            slot = len(self._slots) if way == -1 else -1
        named = (one.label if chain is None else chain.begun(one) for one in blocks)
        label = ", ".join(dict.fromkeys(named))
        caption = ", ".join(dict.fromkeys(one.caption for one in blocks if one.caption))
        shape = shape_text(block.pieces[0].shape)
        return Item(
            id=block.id if chain is None else chain.circle,
            cls="state",
            role="initial",
            slot=slot,
            level=self._standing.level(reader),
            label=label,
            face=Circle.named(label, caption, has_room=True),
            tooltip=" ".join(filter(None, ("initial state", label, caption, shape))),
            face_left=way == -1,
        )

    def _inputs(self, block: Block) -> Iterator[Item]:
        """Yield a circle of an input in each column that reads it."""
        level = 0
        readers = [
            a.target for a in self._quotient.leaving[block] if self._standing.stands(a.target)
        ]
        if readers and all(r.row is not None and r.row.tree for r in readers):
            level = self._standing.level(readers[0]) - 1
        shape = shape_text(block.pieces[0].shape)
        ids, labels = block.circles or (block.id,), block.labels or (block.label,)
        for id, label, column in zip(ids, labels, block.columns, strict=False):
            slot = self._slot_of.get(column)
            words = ["input", label, block.caption, shape]
            if slot is not None:
                yield Item(
                    id=id,
                    cls="input",
                    role="input",
                    slot=slot,
                    level=level,
                    label=label,
                    face=Circle.named(label, block.caption),
                    tooltip=" ".join(filter(None, words)),
                )

    def _output(self, output: Output) -> Item | None:
        column = output.column
        if column is None:
            column = max((*output.source.columns, 0))
        slot = self._slot_of.get(column)
        if slot is None:
            return None
        shape = shape_text(output.value.shape)
        words = ["output", output.label, output.caption, shape]
        return Item(
            id=output.id,
            cls="output",
            role="output",
            slot=slot,
            level=self._standing.outputs_level,
            label=output.label,
            face=replace(Circle.named(output.label, output.caption), unused=not output.used),
            tooltip=" ".join(filter(None, words)),
        )

    def _loss(self, block: Block) -> Item:
        targets = [
            arrow.source.label if arrow.source.kind == "target" else _called(arrow.source)
            for arrow in self._quotient.entering[block]
            if arrow.source.kind in ("target", "input")
        ]
        told = set(re.findall(r"[\w′]+", block.formula))
        told |= {without_step(name) for name in told}
        stems = {name: without_step(name.partition("[")[0]) for name in targets if name}
        others = [n for n, stem in stems.items() if stem not in told and n not in block.formula]
        others = self._as_told(block, others, told)
        texts = filter(None, (block.formula, ", ".join(others)))
        width = _LOSS_LINES if _has_several(block.formula) else _LOSS_LINE
        lines = [line for text in texts for line in broken(text, width, NOTE_SIZE + 1)]
        about = f"loss {block.label}"
        if block.formula:
            about += f" = {block.formula}"
        return Item(
            id=block.id,
            cls="loss",
            role="loss",
            slot=len(self._slots),
            level=self._standing.outputs_level,
            label=block.label,
            face=Circle(caption="", lines=tuple(lines)),
            tooltip=about,
        )

    def _as_told(self, block: Block, others: Sequence[str], told: Container[str]) -> Sequence[str]:
        """What the loss reads under a name that its formula has, behind that: "target: x₁, x₂"."""
        found: dict[str, list[str]] = {}
        for arrow in self._quotient.entering[block]:
            label = _called(arrow.source)
            if label in others:
                names = {self._quotient.name_of(value.node) for value in arrow.values}
                own = names.pop() if len(names) == 1 else ""
                found.setdefault(own if own in told else "", []).append(label)
        return [
            f"{own}: {', '.join(_ends(labels))}" if own else ", ".join(labels)
            for own, labels in found.items()
        ]

    # Connections

    def _connections(self, items: Mapping[str, Item]) -> tuple[list[Connection], int]:
        """Return what is drawn of the arrows, and how many to and from the fold are not."""
        quotient, standing = self._quotient, self._standing
        joined: dict[Ends, list[Arrow]] = {}
        for source, arrow in standing.arrows():
            if arrow.target is quotient.loss:
                continue
            if self._may_be_shown(source, items) or self._may_be_shown(arrow.target, items):
                joined.setdefault(standing.ends(source, arrow), []).append(arrow)
        at_fold = self._at_the_fold(joined, items)
        drawn: dict[object, tuple[Ends, list[Arrow]]] = {}
        left_out = 0
        for ends, arrows in joined.items():
            if ends.source in items and ends.target in items:
                drawn[ends] = ends, arrows
            elif ends in at_fold:
                way = at_fold[ends], ends.source in items
                drawn.setdefault(way, (ends, []))[1].extend(arrows)
            else:
                left_out += self._is_left_out(ends, items)
        found = [self._connection(ends, arrows, items) for ends, arrows in drawn.values()]
        for output in quotient.outputs:
            found += self._output_connections(output, items)
        found += self._from_the_fold_to_the_loss(items)
        return self._with_targets(found, items), left_out

    def _may_be_shown(self, block: Block, items: Mapping[str, Item]) -> bool:
        """Whether it is not folded away, as far as its own circles tell."""
        if block.kind == "initial":  # it may be drawn as another one's circle
            return True
        ids = block.circles or (self._standing.item_of[block],)
        return any(id in items for id in ids)

    def _with_targets(
        self, connections: Sequence[Connection], items: Mapping[str, Item]
    ) -> list[Connection]:
        """Let what the loss compares outputs with come along with one of these.

        Inputs and states before the first are named at the loss, and nothing comes back to them.
        """
        targets = [arrow for arrow in self._read_by_loss() if _is_compared(arrow)]
        found = list(connections)
        place = next((k for k, one in enumerate(found) if one.kind == "loss"), None)
        if targets and place is not None:
            found[place] = self._with_named(found[place], targets, items)
        return found

    def _with_named(
        self, connection: Connection, targets: Sequence[Arrow], items: Mapping[str, Item]
    ) -> Connection:
        """Return a way into the loss with what is named there, too."""
        names = ", ".join(dict.fromkeys(arrow.source.label for arrow in targets))
        ends = [self._standing.ends(arrow.source, arrow) for arrow in targets]
        return replace(
            connection,
            reads=connection.reads + tuple(read for arrow in targets for read in arrow.reads),
            tooltip=f"{connection.tooltip}; beside it {names}",
            passages=tuple(
                Passage(f"target-{one.source}-{one.target}", one.source, one.target, "target")
                for one in ends
                if one.source in items
            ),
        )

    def _read_by_loss(self) -> tuple[Arrow, ...]:
        loss = self._quotient.loss
        return () if loss is None else self._quotient.entering[loss]

    def _from_the_fold_to_the_loss(self, items: Mapping[str, Item]) -> Iterator[Connection]:
        """Yield one connection for what goes into the loss from the columns that are left out."""
        quotient, loss = self._quotient, self._quotient.loss
        hidden = [one for one in quotient.outputs if one.used and one.id not in items]
        if self._fold_slot is None or loss is None or not hidden:
            return
        yield Connection(
            id=f"loss-{hidden[0].id}-{loss.id}",
            cls="link",
            kind="loss",
            source=FOLD,
            target=loss.id,
            tooltip=f"{len(hidden)} outputs of the columns left out, to {loss.id}",
            reads=tuple(read for one in hidden for read in output_reads(one, quotient)),
        )

    def _at_the_fold(
        self, joined: Mapping[Ends, Sequence[Arrow]], items: Mapping[str, Item]
    ) -> Mapping[Ends, str]:
        """Find the messages into and out of the fold that are drawn, and what stands beside it.

        That has one way into the fold, for all that is read of it there, and one out of it, for all
        that it reads of the nearest column: another would lie on that one.
        """
        if self._fold_slot is None:
            return {}
        occupied = {(item.level, item.slot) for item in items.values()}
        into: dict[Ends, str] = {}
        out_of: defaultdict[str, defaultdict[int, list[Ends]]]
        out_of = defaultdict(lambda: defaultdict(list))
        for ends, arrows in joined.items():
            if not self._is_beside_the_fold(ends, items, occupied):
                continue
            if ends.source in items:
                into[ends] = ends.source
            else:
                out_of[ends.target][min(map(_steps, arrows))].append(ends)
        nearest = (found[min(found)] for found in out_of.values())
        return into | {ends: ends.target for ones in nearest for ends in ones}

    def _is_beside_the_fold(
        self, ends: Ends, items: Mapping[str, Item], occupied: Container[tuple[int, int]]
    ) -> bool:
        """Whether it is a message between the fold and what stands next to it in its row."""
        shown = [items[id] for id in (ends.source, ends.target) if id in items]
        if ends.kind != "message" or len(shown) != 1 or self._fold_slot is None:
            return False
        (item,) = shown
        if item.aside is not None and ends.target in items:  # it would pass through the copy
            return False
        low, high = sorted((item.slot, self._fold_slot))
        return not any((item.level, slot) in occupied for slot in range(low + 1, high))

    def _is_left_out(self, ends: Ends, items: Mapping[str, Item]) -> bool:
        """Whether it joins something shown with something folded, other than a bar over both."""
        shown = [items[id] for id in (ends.source, ends.target) if id in items]
        if len(shown) != 1:
            return False
        return self._fold_slot not in shown[0].slots

    def _connection(
        self, ends: Ends, arrows: Sequence[Arrow], items: Mapping[str, Item]
    ) -> Connection:
        reads = tuple(read for arrow in arrows for read in arrow.reads)
        reads = self._in_order(reads, arrows)
        label, in_time = "", any(map(self._is_in_time, arrows))
        is_told = ends.kind in ("message", "initial") or in_time
        if is_told or any(map(self._is_one_of_several, arrows)):
            label = self._message_label(reads, arrows)
        shapes = ", ".join(dict.fromkeys(map(shape_text, shapes_passed(reads))))
        caption = ", ".join(dict.fromkeys(a.caption for a in arrows if a.caption))
        kind = ends.kind if ends.kind in ("message", "initial", "input", "up") else "other"
        standing = self._standing
        joined = [standing.ends(standing.resolved(arrow.source), arrow) for arrow in arrows]
        sources = ", ".join(dict.fromkeys(one.source for one in joined))
        targets = ", ".join(dict.fromkeys(one.target for one in joined))
        about = f"{label or caption} {shapes} from {sources} to {targets}"
        folded = [
            f"through {about_block(arrow.source)}"
            for arrow in arrows
            if arrow.source in standing.moves and ends.kind != "input"
        ]
        return Connection(
            id=ends.id,
            cls=ends.kind if ends.kind in ("message", "initial") else "link",
            kind=kind,
            source=ends.source if ends.source in items else FOLD,
            target=ends.target if ends.target in items else FOLD,
            label=label,
            note=shapes,
            tooltip="; ".join((about.strip(), *dict.fromkeys(folded))),
            reads=reads,
            passes=frozenset(standing.made(read.value) for read in reads),
            cut=any(standing.is_cut(arrow.source) for arrow in arrows),
            in_time=in_time,
        )

    def _is_in_time(self, arrow: Arrow) -> bool:
        source, target = self._standing.resolved(arrow.source), arrow.target
        if source.kind == "initial":
            return True
        if source.kind != "cell" or len(target.columns) != 1:
            return False
        return source.columns != target.columns

    def _is_one_of_several(self, arrow: Arrow) -> bool:
        """Whether other values, or other named parts of one, leave its source, a box, as well."""
        source = self._standing.resolved(arrow.source)
        return arrow.target.kind != "bar" and self._is_left_by_several(source)

    def _is_left_by_several(self, block: Block) -> bool:
        """Whether several values leave a box, or parts of one with names of their own."""
        known = self._left_by_several.get(block)
        if known is None:
            found = {
                self._part_made(value)
                for arrow in self._leaving_boxes.get(block, ())
                for value in arrow.values
            }
            known = self._left_by_several[block] = len(found) > 1
        return known

    def _part_made(self, value: Piece) -> tuple[Piece, str]:
        """The value that another one is, moved, and the name of that, if it has one of its own."""
        made = self._standing.made(value)
        return made, "" if made == value else self._quotient.name_of(value.node)

    @cached_property
    def _leaving_boxes(self) -> Mapping[Block, Sequence[Arrow]]:
        """What leaves each box between the copies: it is many arrows, few of which are shown."""
        found: defaultdict[Block, list[Arrow]] = defaultdict(list)
        for source, arrow in self._standing.arrows():
            if source.kind == "between":
                found[source].append(arrow)
        return found

    def _in_order(self, reads: Iterable[Read], arrows: Iterable[Arrow]) -> tuple[Read, ...]:
        """The reads along arrows: those of states come first, in the order of these."""
        order: dict[Piece, int] = {}
        for source in (arrow.source for arrow in arrows):
            pieces = source.pieces if source.kind == "initial" else source.states
            for piece in pieces:
                order.setdefault(piece, len(order))
        made = self._standing.made
        return tuple(sorted(reads, key=lambda read: order.get(made(read.value), len(order))))

    def _message_label(self, reads: Iterable[Read], arrows: Iterable[Arrow]) -> str:
        """Return the names of what is handed on, with the time that they were made at."""
        labels: dict[str, None] = {}
        for piece in dict.fromkeys(read.value for read in reads):
            labels[value_name(piece, arrows, self._standing)] = None
        return ", ".join(filter(None, labels))

    def _output_connections(
        self, output: Output, items: Mapping[str, Item]
    ) -> Iterator[Connection]:
        """Yield the way to an output, and the way from there into the loss."""
        quotient, standing = self._quotient, self._standing
        source = standing.item_of.get(standing.resolved(output.source))
        if source is None:
            return
        reads = output_reads(output, quotient)
        shape = shape_text(output.value.shape)
        loss = quotient.loss.id if quotient.loss is not None else None
        shown = output.id in items
        if source in items and shown:
            yield Connection(
                id=f"output-{source}-{output.id}",
                cls="link",
                kind="output",
                source=source,
                target=output.id,
                note=shape,
                tooltip=f"{output.label} {shape} from {source} to {output.id}",
                reads=reads,
                passes=frozenset((standing.made(output.value),)),
                value=output.value,
            )
        if loss is not None and output.used and shown:
            yield Connection(
                id=f"loss-{output.id}-{loss}",
                cls="link",
                kind="loss",
                source=output.id,
                target=loss,
                note=shape,
                tooltip=f"{output.label} {shape} from {output.id} to {loss}",
                reads=reads,
            )

    # What stands around

    def _unlike(self) -> list[int]:
        """Return the folded columns with a copy that is made otherwise than any shown."""
        cells = [block for block in self._quotient.blocks if block.kind == "cell"]
        shown = {(b.row, b.structure) for b in cells if self._span(b) is not None}
        return sorted(
            {
                block.columns[0]
                for block in cells
                if self._span(block) is None and (block.row, block.structure) not in shown
            }
        )

    def _brackets(self) -> Iterator[Bracket]:
        for bracket in self._quotient.brackets:
            slots = [
                self._slot_of[column]
                for column in range(bracket.first, bracket.last + 1)
                if column in self._slot_of
            ]
            if slots:
                yield Bracket(min(slots), max(slots), bracket.label)

    def _all_headings(self) -> Iterator[Heading]:
        standing = self._standing
        if standing.has_inputs:
            yield Heading(0, "", ("inputs",))
        lines: defaultdict[int, list[str]] = defaultdict(list)
        for row, level in standing.levels.items():
            if row in standing.hosts or row.kind == "bar":
                continue
            if row.kind == "between":
                if all(b.sign is not None or len(b.columns) > 1 for b in row.blocks):
                    continue
                lines[level].append(row.path or row.name)
                continue
            yield Heading(level, row.title, heading_lines(row))
        for level, texts in lines.items():
            yield Heading(level, "", tuple(dict.fromkeys(texts)))
        if self._quotient.outputs:
            yield Heading(standing.outputs_level, "", ("outputs",))


def _steps(arrow: Arrow) -> int:
    """Return over how many columns it goes."""
    starts, ends = arrow.source.columns, arrow.target.columns
    return min(abs(start - end) for start in starts for end in ends)


def _has_several(formula: str) -> bool:
    """Whether it is several formulas: what is joined is none of them."""
    text, outside = "", formula
    while text != outside:
        text, outside = outside, re.sub(r"\[[^][]*\]", "", outside)
    return "; " in text


def _ends(labels: Sequence[str]) -> Sequence[str]:
    """The first and the last one of many."""
    return labels if len(labels) <= _NAMED_MOST else (labels[0], "…", labels[-1])


def _called(block: Block) -> str:
    return block.caption or block.label


def _is_compared(arrow: Arrow) -> bool:
    """Whether it is an input, or what a state that is not trained begins with."""
    if arrow.source.kind not in ("input", "initial"):
        return False
    return arrow.source.kind == "input" or all(read.flow == "none" for read in arrow.reads)


_LAST = "input", "initial", "loss"


def _drawn_order(block: Block) -> tuple[int, tuple[int, ...], int]:
    """The order of drawing: rows as they stand, then what is given, and the loss."""
    if block.kind not in _LAST:
        return 0, (), 0
    newest = block.pieces[-1].node.id if block.kind == "input" else 0
    return 1 + _LAST.index(block.kind), block.columns, newest


def _plate(label: str, block: Block, shape: str) -> Plate:
    """Return the face of a box between the copies: its formula stands in it, or its shape."""
    row, formula = block.row, block.formula
    assert row is not None
    says_more = formula and block.label and formula != block.label
    is_whole = not formula.endswith("…")
    note = formula if says_more and is_whole and Plate.has_room(formula) else shape
    return Plate(label=label, note=note, row=f"{row.kind}-{row.number}")


def heading_lines(row: Row) -> tuple[str, ...]:
    """Return what stands beside a row of copies: its module, and its equation."""
    module = row.path if row.path in (row.name, "") else f"{row.path} · {row.name}"
    module = module or row.name
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
