"""The grid of a quotient: every block in its columns, every arrow between the items it joins."""

import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ...cached import cached_property
from ...tracing.network.quotient import Arrow, Block, Chain, Output, Quotient, Row
from ...tracing.recording.graph import Node
from ..picture.notation import shape_text, without_step
from ..picture.text_metrics import broken_behind_names, statements
from .grid import Bracket, Fold, Grid, Heading
from .items import NOTE_SIZE, Bar, Box, Circle, Item, Plate, Sign
from .links import Links
from .passages import with_passages
from .slots import Slots
from .standing import Standing, about_block
from .steps import named_stretches, steps_of

_LOSS_LINE, _LOSS_LINES = 170.0, 280.0
_NAMED_MOST = 3  # of what the loss reads under one name
_LAST = "input", "initial", "loss"


def unrolled_grid(quotient: Quotient, fold: Fold, *, headings: bool = True) -> Grid:
    """Return every block in its columns, the middle ones folded as `fold` says.

    Raises:
        DrawError: `fold` is not "auto", None or a positive int.
    """
    return _Unrolled(Standing(quotient), fold, headings).grid()


class _Unrolled:
    """Makes the grid of a quotient."""

    def __init__(self, standing: Standing, fold: Fold, headings: bool) -> None:
        self._standing, self._quotient = standing, standing.quotient
        self._headings = headings
        self._slots = Slots(standing, fold)
        self._steps = steps_of(standing.quotient)
        # of signs on the way of a message: which way; and those that another follows there
        self._ways: dict[Block, int] = {}
        self._followed: set[Block] = set()

    def grid(self) -> Grid:
        """Return the grid."""
        items = {item.id: item for item in self._items()}
        parts, left_out = Links(self._standing, self._slots).all(items)
        connections = with_passages(parts, items)
        order = {id: place for place, id in enumerate(items)}
        connections.sort(key=lambda c: (order.get(c.target, -1), order.get(c.source, -1)))
        return Grid(
            items=items,
            connections=tuple(connections),
            headings=tuple(self._all_headings()) if self._headings else (),
            slots=self._slots.all,
            levels=self._standing.count,
            folded=self._quotient.columns - len(self._slots.slot_of),
            left_out=left_out,
            detached=self._detached(),
            unlike=tuple(self._unlike()),
            brackets=tuple(self._brackets()),
            steps=self._steps,
        )

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
        span, row = self._slots.span(block), block.row
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
        span, row = self._slots.span(block), block.row
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
            row=f"{row.kind}-{row.number}",
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
        span = reader and self._slots.span(reader)
        if reader is None or span is None or reader.row is None:
            return None
        way = chain.direction if chain else 1
        begun = self._slots.slot_of.get(self._slots.column_begun(chain)) if chain else None
        slot = span[1] + 1
        if way == 1:
            slot = (span[0] if begun is None else begun) - 1
        if 0 <= slot < len(self._slots.all) and self._slots.all[slot] is None:
            slot = len(self._slots.all) if way == -1 else -1
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
        chip = self._chips.get(block.pieces[0].node)
        ids, labels = block.circles or (block.id,), block.labels or (block.label,)
        for id, label, column in zip(ids, labels, block.columns, strict=False):
            slot = self._slots.slot_of.get(column)
            if slot is not None:
                words = ["input", label, block.caption, shape]
                yield Item(
                    id=id,
                    cls="input",
                    role="input",
                    slot=slot,
                    level=level,
                    label=label,
                    face=replace(Circle.named(label, block.caption), chip=chip),
                    tooltip=" ".join(filter(None, words)),
                )

    @cached_property
    def _chips(self) -> Mapping[Node, int]:
        """The place of each parameter in the legend."""
        blocks = self._quotient.parameters
        return {block.parameter.node: place for place, block in enumerate(blocks)}

    def _output(self, output: Output) -> Item | None:
        column = output.column
        if column is None:
            column = max((*output.source.columns, 0))
        slot = self._slots.slot_of.get(column)
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
        given = [
            arrow
            for arrow in self._quotient.entering[block]
            if arrow.source.kind in ("target", "input")
        ]
        targets = [
            arrow.source.label if arrow.source.kind == "target" else _called(arrow.source)
            for arrow in given
        ]
        told = set(re.findall(r"[\w′]+", block.formula))
        told |= {without_step(name) for name in told}
        stems = {name: without_step(name.partition("[")[0]) for name in targets if name}
        others = [n for n, stem in stems.items() if stem not in told and n not in block.formula]
        others = self._as_told(given, others, told)
        formulas = statements(block.formula)
        width = _LOSS_LINES if len(formulas) > 1 else _LOSS_LINE
        texts = filter(None, (*formulas, ", ".join(others)))
        lines = [line for text in texts for line in broken_behind_names(text, width, NOTE_SIZE + 1)]
        about = f"loss {block.label}"
        if block.formula:
            about += f" = {block.formula}"
        return Item(
            id=block.id,
            cls="loss",
            role="loss",
            slot=len(self._slots.all),
            level=self._standing.outputs_level,
            label=block.label,
            face=Circle(caption="", lines=tuple(lines)),
            tooltip=about,
        )

    def _as_told(
        self, given: Iterable[Arrow], others: Sequence[str], told: Container[str]
    ) -> Sequence[str]:
        """What the loss reads under a name that its formula has, behind that: "target: x₁, x₂".

        What it alone reads stands nowhere else in the picture: of that it is said how many.
        """
        found: dict[str, list[str]] = {}
        unseen = Counter[str]()
        for arrow in given:
            label = _called(arrow.source)
            unseen[label] += len(arrow.values) * (arrow.source.kind == "target")
            if label in others:
                names = {self._quotient.name_of(value.node) for value in arrow.values}
                own = names.pop() if len(names) == 1 else ""
                found.setdefault(own if own in told else "", []).append(label)
        return [
            f"{own}: {', '.join(_ends(labels))}{_more(unseen[own])}" if own else ", ".join(labels)
            for own, labels in found.items()
        ]

    def _detached(self) -> int:
        """How many folded copies receive a state that was detached before."""
        arrows = (a for a in self._quotient.arrows if a.kind == "message" and a.cut)
        return len({a.target for a in arrows if self._slots.span(a.target) is None})

    def _unlike(self) -> list[str]:
        """Return of each folded column a copy that is made otherwise than any shown."""
        cells = [block for block in self._quotient.blocks if block.kind == "cell"]
        shown = {(b.row, b.structure) for b in cells if self._slots.span(b) is not None}
        unlike = {
            block.columns[0]: block.label
            for block in cells
            if self._slots.span(block) is None and (block.row, block.structure) not in shown
        }
        return [unlike[column] for column in sorted(unlike)]

    def _brackets(self) -> Iterator[Bracket]:
        """Yield what outer steps stand below, else chains that follow each other.

        Those that the fold hides are one.
        """
        outer = [(one.first, one.last, one.label) for one in self._quotient.brackets]
        folded: list[Bracket] = []
        for first, last, label in outer or named_stretches(self._quotient, self._steps):
            (begin, begins, _), (end, _, ends) = map(self._slots.share, (first, last))
            found = Bracket(begin, end, label, begins, ends)
            if begin == end == self._slots.fold:
                folded.append(found)
            else:
                yield found
        if folded:
            labels = dict.fromkeys((folded[0].label, folded[-1].label))
            yield replace(folded[0], label=" … ".join(labels), ends=folded[-1].ends)

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


def _more(count: int) -> str:
    return f" and {count} more" if count else ""


def _ends(labels: Sequence[str]) -> Sequence[str]:
    """The first and the last one of many."""
    return labels if len(labels) <= _NAMED_MOST else (labels[0], "…", labels[-1])


def _called(block: Block) -> str:
    return block.caption or block.label


def _drawn_order(block: Block) -> tuple[int, tuple[int, ...], int]:
    """The order of drawing: rows as they stand, then what is given, and the loss."""
    if block.kind not in _LAST:
        return 0, (), 0
    newest = block.pieces[-1].node.id if block.kind == "input" else 0
    return 1 + _LAST.index(block.kind), block.columns, newest


def _plate(label: str, block: Block, shape: str) -> Plate:
    """Return the face of a box between the copies: its formula stands in it, or its shape."""
    formula = block.formula
    says_more = formula and block.label and formula != block.label
    is_whole = not formula.endswith("…")
    note = formula if says_more and is_whole and Plate.has_room(formula) else shape
    return Plate(label=label, note=note)


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
