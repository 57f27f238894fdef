"""The connections of a grid: what is drawn of the arrows, and how many at the fold are not."""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ...cached import cached_property
from ...tracing.network.quotient import Arrow, Block, Output, Piece, Read, shapes_passed
from ..picture.notation import shape_text
from ..picture.shapes import Passage
from .grid import FOLD, Connection
from .items import Item
from .slots import Slots
from .standing import Ends, Standing, about_block, output_reads, value_name


class Links:
    """Makes the connections of a grid.

    Args:
        standing: what stands on which level, and which arrows are drawn.
        slots: the columns that are drawn.
    """

    def __init__(self, standing: Standing, slots: Slots) -> None:
        self._standing, self._quotient = standing, standing.quotient
        self._slots = slots
        self._left_by_several: dict[Block, bool] = {}  # as far as somebody asked

    def all(self, items: Mapping[str, Item]) -> tuple[list[Connection], int]:
        """Return what is drawn of the arrows, and how many to and from the fold are not."""
        quotient, standing = self._quotient, self._standing
        joined: dict[Ends, list[Arrow]] = {}
        for source, arrow in standing.arrows:
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
        if self._slots.fold is None or loss is None or not hidden:
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
        if self._slots.fold is None:
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
        if ends.kind != "message" or len(shown) != 1 or self._slots.fold is None:
            return False
        (item,) = shown
        if item.aside is not None and ends.target in items:  # it would pass through the copy
            return False
        low, high = sorted((item.slot, self._slots.fold))
        return not any((item.level, slot) in occupied for slot in range(low + 1, high))

    def _is_left_out(self, ends: Ends, items: Mapping[str, Item]) -> bool:
        """Whether it joins something shown with something folded, other than a bar over both."""
        shown = [items[id] for id in (ends.source, ends.target) if id in items]
        if len(shown) != 1:
            return False
        return self._slots.fold not in shown[0].slots

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
        kind = ends.kind if ends.kind in ("message", "initial", "input", "up") else "other"
        standing = self._standing
        joined = [standing.ends(standing.resolved(arrow.source), arrow) for arrow in arrows]
        sources = ", ".join(dict.fromkeys(one.source for one in joined))
        targets = ", ".join(dict.fromkeys(one.target for one in joined))
        about = f"{label} {shapes} from {sources} to {targets}"
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
        """Whether what was made in one column is read in another, or before the first."""
        source, target = self._standing.resolved(arrow.source), arrow.target
        if source.kind == "initial":
            return True
        if source.kind not in ("cell", "between"):
            return False
        return len(source.columns) == len(target.columns) == 1 and source.columns != target.columns

    def _is_one_of_several(self, arrow: Arrow) -> bool:
        """Whether other values, or other named parts of one, leave its source, a box, as well.

        A copy has the name of one value: what another one is has to be said.
        """
        source = self._standing.resolved(arrow.source)
        if source.kind == "cell" and source.called is not None:
            made = {self._standing.made(value).node for value in arrow.values}
            return arrow.target.kind != "bar" and made != {source.called.node}
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
        for source, arrow in self._standing.arrows:
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
        if source is None or output.id not in items:
            return
        reads = output_reads(output, quotient)
        shape = shape_text(output.value.shape)
        loss = quotient.loss.id if quotient.loss is not None else None
        if source in items:
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
        if loss is not None and output.used:
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


def _steps(arrow: Arrow) -> int:
    """Return over how many columns it goes."""
    starts, ends = arrow.source.columns, arrow.target.columns
    return min(abs(start - end) for start in starts for end in ends)


def _is_compared(arrow: Arrow) -> bool:
    """Whether it is an input, or what a state that is not trained begins with."""
    if arrow.source.kind not in ("input", "initial"):
        return False
    return arrow.source.kind == "input" or all(read.flow == "none" for read in arrow.reads)
