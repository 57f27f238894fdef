"""The recorded run as plain data for the page: steps, parts, tensors, ledgers, by their numbers."""

import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...autograd.tensor import Array
from ...tracing.network.gradients.flow import norm_of
from ...tracing.network.quotient import Block, Output, Piece, Quotient
from ...tracing.questions.ledger import Uses, uses_in
from ...tracing.recording.graph import Node
from ..grid.grid import FOLD, drawn_id
from ..grid.standing import Shown, Standing, shown_arrows
from .insides import NOTHING_OPENS, Inside, Insides
from .picture import path_of
from .score import (
    Clock,
    Moment,
    Step,
    between_equation,
    between_label,
    equation_at,
    moments_of,
    steps_of,
)
from .tensors import DIGITS, Corner, Record, Tensors, rounded

PAGE_MOST = 1_000_000  # bytes that a page may have, in most cases
_INSIDE = re.compile(r"(?:op|chip|wire)-(?:(between-\d+-\d+)|(\d+-\d+))-")
_STATES = 12  # that may be drawn one by one
_ELEMENTS = (256, 128, 64, 32, 16, 8, 4)  # kept of an array
# Bytes, about: of a step with its part, of a tensor, of a number.
_STEP_SIZE, _PART_SIZE, _TENSOR_SIZE, _NUMBER_SIZE = 420, 130, 45, 9


def recording(
    quotient: Quotient, shown: Collection[str], room: int, insides: Insides = NOTHING_OPENS
) -> Record:
    """Everything that the page plays and shows, in about `room` bytes.

    Args:
        quotient: the network.
        shown: the ids of the picture.
        room: as many bytes as it may take, about.
        insides: what can be opened in the picture.
    """
    moments = moments_of(quotient)
    steps = steps_of(quotient, moments)
    ledgers = uses_in(quotient)
    room -= _size_of_steps(quotient, steps, shown)
    detail = _detail(quotient, ledgers, room)
    tensors = Tensors(quotient, detail.corner, Clock(steps))
    parts = dict(_parts(quotient, tensors, shown, detail))
    inner: dict[object, Record] = {}  # alike in most blocks of a row
    for id, one in insides.of.items():
        block = quotient.by_id[id]
        inside = _inside(one, block, list(_kept(block, inside=detail.inside)))
        known = inner.setdefault(str(inside), {"at": len(inner), **inside})
        parts[id]["inside"] = known["at"]
    opened = _opened(shown)
    for moment in moments:
        parts[moment.part] |= _appearance(moment, shown, opened)
    accounts = [_account(uses, quotient, steps, tensors) for uses in ledgers]
    tensors.link_inputs()
    return {
        "steps": [{"phase": step.phase, "text": step.text, "part": step.part} for step in steps],
        "parts": parts,
        "standIns": {id: element for id in parts if (element := _element(id, shown)) != id},
        "tensors": tensors.records,
        "kinds": list(tensors.kinds.values()),
        "ops": list(tensors.ops.values()),
        "shapes": list(tensors.shapes.values()),
        "sources": list(tensors.sources.values()),
        "ledgers": accounts,
        "insides": list(inner.values()),
        "frames": [
            {"width": round(frame.width, 1), "height": round(frame.height, 1), "order": frame.order}
            for frame in insides.frames
        ],
        "notes": _notes(detail, tensors, insides),
    }


def has_room(quotient: Quotient, shown: Collection[str], room: int) -> bool:
    """Whether `recording` has room for some numbers of every value."""
    steps = steps_of(quotient, moments_of(quotient))
    room -= _size_of_steps(quotient, steps, shown)
    least = _Detail(Corner(_ELEMENTS[-1]), inside=False)
    return least.size(quotient, uses_in(quotient)) <= room


def _size_of_steps(quotient: Quotient, steps: Sequence[Step], shown: Collection[str]) -> int:
    """About how many bytes they take, with what can be looked at."""
    links = sum(id in shown for id in _link_ids(quotient))
    return _STEP_SIZE * len(steps) + _PART_SIZE * (len(quotient.outputs) + links)


@dataclass(frozen=True, slots=True)
class _Detail:
    """How much a page holds: a corner of each array; all that cells compute, or only outputs."""

    corner: Corner
    inside: bool
    links: bool = True  # what passes along each arrow

    def size(self, quotient: Quotient, ledgers: Sequence[Uses]) -> int:
        """About how many bytes the tensors take."""
        pieces = {piece for block in quotient.blocks for piece in _kept(block, inside=self.inside)}
        arrays = [piece.shape for piece in pieces]
        arrays += [piece.shape for piece in pieces if piece.node.id in quotient.gradients]
        numbers = sum(map(self._kept, arrays))
        for uses in ledgers:
            numbers += self._kept(uses.parameter.parameter.shape) * (len(uses.places) + 2)
        rows = sum(len(uses.places) for uses in ledgers)
        return _NUMBER_SIZE * numbers + _TENSOR_SIZE * (len(pieces) + rows)

    def _kept(self, shape: tuple[int, ...]) -> int:
        return math.prod(self.corner.size(shape))


def _inside(inside: Inside, block: Block, kept: Sequence[Piece]) -> Record:
    """The inside of a block that opens: of each op its value, of each value its op.

    A value is given by its place among those of the block, -1 where the page does not hold it.
    """
    anatomy = inside.anatomy
    place = {piece.node: number for number, piece in enumerate(kept)}
    ends = {part.node: order for order, part in enumerate(anatomy.parts)}
    op_of: dict[Node, int] = {}
    order = 0
    for node in block.nodes:
        order = min(order, len(anatomy.parts) - 1)
        op_of[node] = order
        if node in ends:
            order = ends[node] + 1
    return {
        "frame": inside.frame,
        "ways": [[path_of([(x, -y) for x, y in points]), state] for points, state in inside.ways],
        "values": [place.get(part.node, -1) for part in anatomy.parts],
        "ops": [op_of.get(piece.node, 0) for piece in kept],
    }


def _kept(block: Block, *, inside: bool) -> Iterator[Piece]:
    """The values of a block that a page holds: what others read first, the newest of the rest.

    What is computed between copies comes before the stack, say, in which it is handed on.
    """
    shown = dict.fromkeys((*block.states, *block.outputs))
    if inside and block.kind == "between":
        computed = [piece for piece in block.pieces if not piece.node.is_move]
        shown = dict.fromkeys((*computed[-1:], *shown))
    if not shown:
        shown = dict.fromkeys(block.pieces[-1:])
    yield from shown
    if inside and block.kind in ("cell", "between", "bar"):
        yield from (piece for piece in reversed(block.pieces) if piece not in shown)


def _detail(quotient: Quotient, ledgers: Sequence[Uses], room: int) -> _Detail:
    """As much as there is room for; the least of all where there is none."""
    options = [_Detail(Corner(limit), inside) for inside in (True, False) for limit in _ELEMENTS]
    options.append(_Detail(Corner(_ELEMENTS[-1]), inside=False, links=False))
    fitting = (option for option in options if option.size(quotient, ledgers) <= room)
    return next(fitting, options[-1])


def _link_ids(quotient: Quotient) -> Iterator[str]:
    return (link.id for link in shown_arrows(Standing(quotient)))


def _opened(shown: Iterable[str]) -> Mapping[str, list[str]]:
    """Of opened copies: the ids of what is drawn inside each part."""
    inside: defaultdict[str, list[str]] = defaultdict(list)
    for id in shown:
        if place := _INSIDE.match(id):
            inside[place[1] or f"cell-{place[2]}"].append(id)
    return inside


def _appearance(moment: Moment, shown: Collection[str], opened: Mapping[str, list[str]]) -> Record:
    """What of the picture comes with a part: the links to it, and what is drawn inside it."""
    along = [id for link in moment.links for id in _drawn_for(link, shown)]
    others = [id for id in moment.appears[1:] if id in shown]
    others += [id for part in moment.appears for id in opened.get(part, ())]
    appearance: Record = {"links": along}
    if others:
        appearance["also"] = others
    return appearance


def _drawn_for(link: str, shown: Collection[str]) -> Iterator[str]:
    """The ids drawn for a link: between opened copies one edge a state."""
    yield from (id for id in (drawn_id(link, state) for state in range(_STATES)) if id in shown)


def _element(part: str, shown: Collection[str]) -> str:
    """The element that stands for a part: its own, that of all copies, or the fold."""
    kind, *numbers = part.split("-")
    rolled = f"{kind}-{numbers[0]}" if kind in ("cell", "between", "bar") else kind
    return next((id for id in (part, rolled, FOLD) if id in shown), "")


# Parts: what can be looked at


def _parts(
    quotient: Quotient, tensors: Tensors, shown: Collection[str], detail: _Detail
) -> Iterator[tuple[str, Record]]:
    """All blocks, since all are played, folded away or not; the links that are shown."""
    standing = Standing(quotient)
    for block in quotient.blocks:
        if not standing.stands(block) or standing.item_of[block] != block.id:
            continue
        record = _block(block, quotient, tensors, shown, detail)
        chains = {chain.circle: chain for chain in standing.begun.get(block, ())}
        for id in block.circles or (block.id,):
            if id in chains:
                record |= {"title": f"{_TITLES['initial']} {chains[id].begun(block)}"}
            yield id, dict(record)
    for output in quotient.outputs:
        yield output.id, _output(output, tensors)
    for link in shown_arrows(standing):
        if link.id in shown and detail.links:
            yield link.id, _link(link, tensors)


_TITLES = {"input": "Input", "initial": "Initial state", "loss": "Loss"}


def _block(
    block: Block, quotient: Quotient, tensors: Tensors, shown: Collection[str], detail: _Detail
) -> Record:
    """What is known of a block: what others read of it comes first, the newest of the rest."""
    pieces = list(_kept(block, inside=detail.inside))
    if block.kind == "loss":
        pieces = [Piece(quotient.root)]
    numbers = [tensors.add(piece) for piece in pieces]
    if block.kind == "cell" and block.row is not None:
        cell = _cell(block, pieces, numbers, shown)
        # where room is scarce the step alone says it
        return cell if detail.links else cell | {"equation": ""}
    record: Record = {
        "title": f"{_TITLES.get(block.kind, '')} {block.label or block.formula}".strip(),
        "about": block.caption or block.formula,
        "tensors": numbers,
    }
    if block.kind in _TITLES:
        record |= tensors.times(pieces[0].node)
    elif block.formula:
        record["title"] = between_label(block)
        record["equation"] = between_equation(block, quotient) if detail.links else ""
        record["about"] = block.caption if block.caption != block.label else ""
    if len(block.columns) == 1:
        record |= {"t": block.column, "column": block.column}
    return record


def _cell(
    block: Block, pieces: Sequence[Piece], numbers: Sequence[int], shown: Collection[str]
) -> Record:
    row = block.row
    assert row is not None
    place = {piece.node: number for number, piece in enumerate(pieces)}
    ops = {f"op-{row.number}-{block.t}-{k}": node for k, node in enumerate(block.nodes)}
    return {
        "title": f"Layer {row.number}, t = {block.time}",
        "about": row.name if row.path in (row.name, "") else f"{row.path} · {row.name}",
        "equation": equation_at(block.equation, block.time),
        "layer": row.number,
        "t": block.time,
        "column": block.column,
        "marks": [f"mark-{row.number}-{state}-{block.column}" for state in range(len(row.states))],
        "tensors": list(numbers),
        "ops": {id: place[node] for id, node in ops.items() if id in shown and node in place},
    }


def _output(output: Output, tensors: Tensors) -> Record:
    record: Record = {
        "title": f"Output {output.label}",
        "about": output.caption,
        **tensors.times(output.value.node),
    }
    if output.column is not None:
        record |= {"t": output.column, "column": output.column}
    return record | {"tensors": [tensors.add(output.value)]}


def _link(link: Shown, tensors: Tensors) -> Record:
    record: Record = {"from": link.source, "to": link.target}
    flows = {read.flow for read in link.reads}
    if "cut" in flows and "gradient" not in flows:
        record["cut"] = True
    values = dict.fromkeys(read.value for read in link.reads)
    return record | {"tensors": [tensors.add(value) for value in values]}


# Ledgers: what each use of a parameter added to its gradient


def _account(uses: Uses, quotient: Quotient, steps: Sequence[Step], tensors: Tensors) -> Record:
    clock, rows = Clock(steps), list[Record]()
    total: Any = 0
    for node, term in uses.terms(quotient):
        total = total + term
        row: Record = {"step": clock.handed_on(node.id), "term": tensors.corner.numbers(term)}
        rows.append(row | {"norm": _norm(term), "total": _norm(total)})
    parameter = uses.parameter
    number = tensors.add(parameter.parameter)
    return {"name": parameter.trained or parameter.label, "tensor": number, "rows": rows}


def _norm(array: Array) -> float | int | str:
    return rounded(norm_of(array))


def _notes(detail: _Detail, tensors: Tensors, insides: Insides) -> list[str]:
    """What the page leaves out."""
    notes = [f"Numbers are rounded to {DIGITS} significant digits."]
    if any(shape["kept"] != [shape["rows"], shape["columns"]] for shape in tensors.shapes.values()):
        notes.append(
            f"Of arrays with more than {detail.corner.limit} elements only the first rows and "
            "columns are in this page; norms are of the whole."
        )
    if not detail.inside:
        notes.append(
            "Of each copy only what it passes on is in this page, not what it computes on the way."
        )
    if insides.left_out:
        notes.append("Some copies cannot be opened in this page, for want of room or of a layout.")
    if not detail.links:
        notes.append("What passes along an arrow is in this page at the parts that it joins.")
    return notes
