"""What there is to look at: each tensor that is shown, its value, gradient and how it was made.

Numbers are rounded to `DIGITS`, and of large arrays only a corner is kept, so that a page stays
small; it says so.
"""

import itertools
import math
import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import numpy as np

from ...autograd.op import Op
from ...autograd.tensor import Array
from ...tracing.network.quotient import Piece, Quotient, indexed, primes
from ...tracing.questions.formulas import is_elementwise, rule_of, substituted
from ...tracing.recording.graph import Node
from ...tracing.recording.source import Source
from ..views.states import StateEntries
from .score import Clock

DIGITS = 4
Record = dict[str, Any]

_SHAPES = re.compile(r", \w+ \(.*")  # what a docstring says of its operands behind the formula


@dataclass(slots=True)
class Corner:
    """Keeps at most `limit` elements of each array: its first rows and columns, as a table."""

    limit: int

    def size(self, shape: tuple[int, ...]) -> tuple[int, int]:
        rows, columns = table_size(shape)
        if rows * columns <= self.limit:
            return rows, columns
        side = max(math.isqrt(self.limit), 1)
        kept = min(columns, max(side, self.limit // max(rows, 1)))
        return min(rows, max(self.limit // max(kept, 1), 1)), kept

    def numbers(self, array: Array) -> list[float | int | str]:
        rows, columns = self.size(array.shape)
        table = np.asarray(array).reshape(table_size(array.shape))[:rows, :columns]
        return [rounded(value) for value in table.ravel().tolist()]


def table_size(shape: tuple[int, ...]) -> tuple[int, int]:
    """An array as rows of its last axis: (2, 3, 4) is written as 6 rows of 4.

    >>> table_size((2, 3, 4)), table_size((5,)), table_size(())
    ((6, 4), (1, 5), (1, 1))
    """
    *rows, columns = shape or (1,)
    return math.prod(rows), columns


def rounded(value: float | int | bool) -> float | int | str:
    """A number that JSON can hold: what is not finite is spelled as JavaScript reads it.

    >>> rounded(2 / 3), rounded(2.0), rounded(float("inf"))
    (0.6667, 2, 'Infinity')
    """
    if isinstance(value, int):
        return int(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    rounded = float(f"{value:.{DIGITS}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e6 else rounded


@dataclass(slots=True)
class Tensors:
    """Collects tensors for the page: each once, what many have in common in tables of its own.

    A record is [kind, name, value, gradient, inputs]; a kind is a shape, an op and a source line.
    """

    quotient: Quotient
    corner: Corner
    clock: Clock
    records: list[list[Any]] = field(default_factory=list[list[Any]])
    kinds: dict[Any, Record] = field(default_factory=dict[Any, Record])
    ops: dict[Op, Record] = field(default_factory=dict[Op, Record])
    shapes: dict[tuple[int, ...], Record] = field(default_factory=dict[tuple[int, ...], Record])
    sources: dict[Source, Record] = field(default_factory=dict[Source, Record])
    _numbers: dict[Piece, int] = field(default_factory=dict[Piece, int])
    _of_node: dict[Node, int] = field(default_factory=dict[Node, int])
    _names: Mapping[Node, str] = field(init=False)
    _near: Mapping[Piece, set[Node]] = field(init=False)  # what parts of stacks are made of
    _first_use: Mapping[int, int] = field(init=False)  # leaf id -> the oldest tensor made of it

    def __post_init__(self) -> None:
        self._names = _names_in(self.quotient)
        uses = [
            (x.id, node.id)
            for node in _all_nodes(self.quotient)
            for x in node.tensors()
            if x.op is None
        ]
        self._first_use = dict(reversed(uses))
        self._near = dict(_parts_of_stacks(self.quotient))

    def add(self, piece: Piece) -> int:
        """The number of the record of a value, or of a part of one."""
        if piece not in self._numbers:
            number = self._numbers[piece] = len(self.records)
            node = piece.node
            self._of_node.setdefault(node, number)
            record = [
                self._kind(piece),
                self._names.get(node, ""),
                self.corner.numbers(piece.of(node.data)),
                0,
            ]
            if node.id in self.quotient.gradients:
                record[-1] = self.corner.numbers(piece.of(self.quotient.gradients[node.id]))
            self.records.append(record)
        return self._numbers[piece]

    def times(self, node: Node) -> Record:
        """The steps that make a tensor, 0 for what is given, and complete its gradient."""
        times: Record = {"made": self.clock.made(node.id) if node.op is not None else 0}
        if node.id in self.quotient.gradients:
            times["arrives"] = self.clock.handed_on(self._first_use.get(node.id, node.id))
        return times

    def link_inputs(self) -> None:
        """Add to each record what its tensor is made of: a record, a name, or [a number]."""
        for piece, number in list(self._numbers.items()):
            node = piece.node
            if node.rule is not None:
                pairs = zip(node.inputs, node.operands, strict=True)
                if piece.where is not None and node.rule.variadic:
                    known = self._near.get(piece, ())
                    pairs = [(x, operand) for x, operand in pairs if x in known]
                self.records[number].append([self._input(x, operand) for x, operand in pairs])

    def _input(self, node: Node | None, operand: Any) -> int | str | list[float | int | str]:
        if node is None:
            return [rounded(operand)]
        if node in self._of_node:
            return self._of_node[node]
        return [rounded(node.data.item())] if node.size == 1 else self._names.get(node, "…")

    def _kind(self, piece: Piece) -> int:
        """The number of a tensor's kind: its shape, and its op and source where known."""
        op = source = None
        node = piece.node
        if node.rule is not None:
            op = _placed(self.ops, node.rule, op_record)
        if node.source is not None:
            source = _placed(self.sources, node.source, _source_record)
        kind = (_placed(self.shapes, piece.shape, self._shape), op, source)
        named: Record = dict(zip(("shape", "op", "source"), kind, strict=True))
        return _placed(self.kinds, kind, lambda _: named)

    def _shape(self, shape: tuple[int, ...]) -> Record:
        rows, columns = table_size(shape)
        return {
            "shape": list(shape),
            "rows": rows,
            "columns": columns,
            "kept": list(self.corner.size(shape)),
        }


def _placed(table: dict[Any, Record], key: Any, make: Callable[[Any], Record]) -> int:
    """The place of a record in a table, where it is made if it is not there yet."""
    if key not in table:
        table[key] = {"at": len(table), **make(key)}
    return table[key]["at"]


def op_record(op: Op) -> Record:
    """An op's rule with places for numbers: {0}, {1} are its inputs, {y} its output, {g} ȳ."""
    rule = rule_of(op)
    forward = _SHAPES.sub("", rule.forward)
    places = {"y": "{y}", "ȳ": "{g}", "Y": "{y}", "Ȳ": "{g}"}
    for slot, symbol in enumerate(rule.symbols):
        places |= {symbol: f"{{{slot}}}", symbol.upper(): f"{{{slot}}}"}
    backward = [rule.of_slot(slot) for slot in range(len(rule.symbols))]
    kind = "other"
    if op.kind == "product":
        kind = "product"
    elif is_elementwise(op):
        kind = "elementwise"
    return {
        "name": op.name,
        "rule": forward or rule.summary,
        "forward": substituted(forward, places),
        "backward": [
            {"rule": formula, "formula": substituted(formula, places)} for formula in backward
        ],
        "kind": kind,
    }


def _source_record(source: Source) -> Record:
    """Of the file its name alone: a page is shown to others, who need not know its folder."""
    return {"line": f"{PurePath(source.file).name}:{source.line}", "text": source.text}


def _parts_of_stacks(quotient: Quotient) -> Iterator[tuple[Piece, set[Node]]]:
    """Yield the parts of stacked sequences, each with what its block has or reads."""
    for block in quotient.blocks:
        parts = [piece for piece in block.pieces if piece.where is not None]
        if parts:
            near = {read.value.node for arrow in quotient.entering[block] for read in arrow.reads}
            near.update(block.nodes)
            yield from ((piece, near) for piece in parts)


def _all_nodes(quotient: Quotient) -> list[Node]:
    """Every value of a network, in the order of creation."""
    nodes = {node for block in quotient.blocks for node in block.nodes}
    return sorted(nodes, key=lambda node: node.id)


def _shown_names(quotient: Quotient) -> Iterator[tuple[Node, str]]:
    """Yield what the picture itself calls values: states, parameters, inputs, the loss."""
    for block in quotient.blocks:
        if block.row is not None and block.kind == "cell":
            for piece, state in zip(block.states, block.state_names, strict=False):
                yield piece.node, indexed(state, block.time)
        elif block.kind in ("input", "initial", "parameter") and len(block.pieces) == 1:
            yield block.pieces[0].node, block.trained or block.label
    if quotient.loss is not None:
        yield quotient.root, quotient.loss.label


def _names_of_initial_states(quotient: Quotient) -> Iterator[tuple[Node, str]]:
    """Yield the states that one circle stands for, "h₋₁, c₋₁", each with its own name."""
    entries = StateEntries(quotient)
    for arrow in quotient.arrows:
        if arrow.source.kind != "initial" or len(arrow.source.pieces) < 2:
            continue
        states: dict[int, Node] = {}
        for read in arrow.reads:
            state = entries.state(arrow.source, arrow.target, read)
            if state is not None:
                states.setdefault(state, read.value.node)
        names = arrow.source.label.split(", ")
        if len(names) == len(states):
            yield from zip((states[state] for state in sorted(states)), names, strict=True)


def _names_in(quotient: Quotient) -> dict[Node, str]:
    """What values are called: by the program, else v₁, v₂ … in each block."""
    names = dict(_shown_names(quotient)) | dict(_names_of_initial_states(quotient))
    for block in quotient.blocks:
        unnamed = 0
        near = {near for node in block.nodes for near in (node, *node.tensors())}
        taken = {names[node] for node in near if node in names}
        for node in block.nodes:
            if node in names:
                continue
            name, time = quotient.names.get(node), quotient.time_of(node)
            if name is None and node.op is None:
                names[node] = block.trained or block.label or node.name or ""
                continue
            if name is None:
                name = node.given_name
                time = block.time if block.kind == "cell" else block.column
            if name is None:
                # v₁, v₂ … as intermediate values are called in the literature on autodiff
                unnamed += 1
                names[node] = indexed("v", unnamed)
                continue
            names[node] = _free_name(name, time, taken)
            taken.add(names[node])
    return names


def _free_name(name: str, time: int | None, taken: Container[str]) -> str:
    """A name with its time, and with primes where another value there is called so."""
    primed = (name + primes(count) for count in itertools.count())
    timed = (one if time is None else indexed(one, time) for one in primed)
    return next(one for one in timed if one not in taken)
