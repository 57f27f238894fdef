"""The recorded run as plain data for the page: steps, parts, tensors, ledgers, by their numbers."""

import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Any

from ...autograd.tensor import Array
from ...tracing.network.flow import norm_of
from ...tracing.network.namer import made_outside, shown_elsewhere
from ...tracing.network.network import Cell, Link, Network, Port, Row
from ...tracing.questions.ledger import Uses, uses_in
from ...tracing.recording.graph import Node
from ..grid.grid import FOLD, drawn_id
from .score import Clock, Moment, Step, equation_at, moments_of, steps_of
from .tensors import DIGITS, Corner, Record, Tensors, rounded

PAGE_MOST = 1_000_000  # bytes that a page may have, in most cases
_INSIDE = re.compile(r"(?:op|chip|wire)-(?:(output-\d+)|(\d+-\d+))-")
_ELEMENTS = (256, 128, 64, 32, 16, 8, 4)  # kept of an array
# Bytes, about: of a step with its part, of a tensor, of a number.
_STEP_SIZE, _TENSOR_SIZE, _NUMBER_SIZE = 420, 45, 9


def recording(network: Network, shown: Collection[str], room: int) -> Record:
    """Everything that the page plays and shows, in about `room` bytes; `shown` are its ids."""
    moments = moments_of(network)
    steps = steps_of(network, moments)
    ledgers = uses_in(network)
    detail = _detail(network, ledgers, room - _STEP_SIZE * len(steps))
    tensors = Tensors(network, detail.corner, Clock(steps))
    parts = dict(_parts(network, tensors, shown, detail))
    opened = _opened(shown)
    for moment in moments:
        parts[moment.part] |= _appearance(moment, shown, opened)
    accounts = [_account(uses, network, steps, tensors) for uses in ledgers]
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
        "notes": _notes(detail, tensors),
    }


@dataclass(frozen=True, slots=True)
class _Detail:
    """How much a page holds: a corner of each array; all that cells compute, or only outputs."""

    corner: Corner
    inside: bool

    def size(self, network: Network, ledgers: Sequence[Uses]) -> int:
        """About how many bytes the tensors take."""
        nodes = {node for cell in network.cells for node in cell.outputs}
        if self.inside:
            nodes |= {node for cell in network.cells for node in cell.nodes}
        nodes |= {port.node for port in network.ports if port.node is not None}
        arrays = [node.shape for node in nodes]
        arrays += [node.shape for node in nodes if node.id in network.gradients]
        numbers = sum(map(self._kept, arrays))
        for uses in ledgers:
            numbers += self._kept(uses.parameter.shape) * (len(uses.places) + 2)
        rows = sum(len(uses.places) for uses in ledgers)
        return _NUMBER_SIZE * numbers + _TENSOR_SIZE * (len(nodes) + rows)

    def _kept(self, shape: tuple[int, ...]) -> int:
        return math.prod(self.corner.size(shape))


def _detail(network: Network, ledgers: Sequence[Uses], room: int) -> _Detail:
    """As much as there is room for; the least of all where there is none."""
    options = [_Detail(Corner(limit), inside) for inside in (True, False) for limit in _ELEMENTS]
    fitting = (option for option in options if option.size(network, ledgers) <= room)
    return next(fitting, options[-1])


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


def _drawn_for(link: Link, shown: Collection[str]) -> Iterator[str]:
    """The ids drawn for a link: between opened copies one edge a state, and one to each op."""
    yield from filter(shown.__contains__, (drawn_id(link.id), drawn_id(link.id, "in")))
    yield from takewhile(shown.__contains__, (drawn_id(link.id, number) for number in count(1)))


def _element(part: str, shown: Collection[str]) -> str:
    """The element that stands for a part: its own, that of all copies, or the fold."""
    kind, *numbers = part.split("-")
    rolled = f"cell-{numbers[0]}" if kind == "cell" else kind
    return next((id for id in (part, rolled, FOLD) if id in shown), "")


# Parts: what can be looked at


def _parts(
    network: Network, tensors: Tensors, shown: Collection[str], detail: _Detail
) -> Iterator[tuple[str, Record]]:
    """All cells and ports, since all are played, folded away or not; the links that are shown."""
    for cell in network.cells:
        yield cell.id, _cell(cell, network.rows[cell.layer], tensors, shown, detail)
    elsewhere = shown_elsewhere(network)
    for port in network.ports:
        if port.node is not None:
            nodes = [port.node]
            if detail.inside:
                nodes += made_outside(port, elsewhere)
            yield port.id, _port(port, nodes, tensors)
    for link in network.links:
        if link.id in shown:
            yield link.id, _link(link, tensors)


def _cell(
    cell: Cell, row: Row, tensors: Tensors, shown: Collection[str], detail: _Detail
) -> Record:
    """A copy's outputs come first, then what it computed on the way, the newest first."""
    nodes = [*cell.outputs]
    if detail.inside:
        nodes += [node for node in reversed(cell.nodes) if node not in cell.outputs]
    ops = {f"op-{cell.layer}-{cell.t}-{place}": node for place, node in enumerate(cell.nodes)}
    return {
        "title": f"Layer {cell.layer}, t = {cell.t}",
        "about": row.path if row.path == row.kind else f"{row.path} · {row.kind}",
        "equation": equation_at(row.equation, cell.t),
        "layer": cell.layer,
        "t": cell.t,
        "column": cell.column,
        "marks": [f"mark-{cell.layer}-{state}-{cell.column}" for state in range(len(row.states))],
        "tensors": [tensors.add(node) for node in nodes],
        "ops": {id: nodes.index(node) for id, node in ops.items() if id in shown and node in nodes},
    }


def _port(port: Port, nodes: Sequence[Node], tensors: Tensors) -> Record:
    kinds = {"input": "Input", "output": "Output", "initial": "Initial state", "loss": "Loss"}
    record: Record = {
        "title": f"{kinds[port.kind]} {port.label}",
        "about": port.caption,
        **tensors.times(nodes[0]),
    }
    if port.column is not None:
        record |= {"t": port.column, "column": port.column}
    return record | {"tensors": [tensors.add(node) for node in nodes]}


def _link(link: Link, tensors: Tensors) -> Record:
    record: Record = {"from": link.source, "to": link.target}
    if link.cut:
        record["cut"] = True
    return record | {"tensors": [tensors.add(value) for value in link.values]}


# Ledgers: what each use of a parameter added to its gradient


def _account(uses: Uses, network: Network, steps: Sequence[Step], tensors: Tensors) -> Record:
    clock, rows = Clock(steps), list[Record]()
    total: Any = 0
    for node, term in uses.terms(network):
        total = total + term
        row: Record = {"step": clock.handed_on(node.id), "term": tensors.corner.numbers(term)}
        rows.append(row | {"norm": _norm(term), "total": _norm(total)})
    parameter = uses.parameter
    return {"name": parameter.name, "tensor": tensors.add(parameter.node), "rows": rows}


def _norm(array: Array) -> float | int | str:
    return rounded(norm_of(array))


def _notes(detail: _Detail, tensors: Tensors) -> list[str]:
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
    return notes
