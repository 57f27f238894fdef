"""Recorded runs as safetensors files: every event, value and line of source, and no code.

The tables of events and nodes are columns of integers, the arrays lie one after the other in one
block of bytes, and what is text stands in a description. A view is kept as one, so that what is
computed again from a loaded recording is computed from the same bytes in the same order. `loading`
reads it.
"""

import os
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...archive import Archive
from ...autograd.state import Scope
from ...autograd.tensor import Array
from ...errors import TraceError
from ...nn.cells import Cell as RecurrentCell
from ...nn.module import Module
from ...nn.optim.optimizer import Move
from ..recording.event import Accumulate, Event, Failure, Forward, Seed, Update, Vjp, Zero
from ..recording.graph import Node
from ..recording.held import Gone, is_array, owner_of
from ..recording.notes import (
    Clipped,
    GradientTaken,
    Hooked,
    Look,
    Note,
    Optioned,
    Replaced,
    Symbolic,
)
from ..recording.place import plain_places
from ..recording.run import Run
from ..recording.source import Source
from .options import plain
from .rules import address, is_own

ARCHIVE = Archive("tinygrad_rnn.trace", 3, TraceError, "load_trace", "save", "tr.save")
KINDS = (Forward, Seed, Vjp, Accumulate, Update, Zero, Failure)  # in a file by their number here
NONE = -1
# How often larger than its memory a broadcast array may be, and the bytes that it always may.
STRETCHED = (4, 2**16)
NODE = ("id", "op", "data", "name", "requires_grad", "scope", "source", "options", "inputs")
EVENT = (
    "kind",
    "op",
    "output",
    "of",
    "slot",
    "value",
    "cotangent",
    "scope",
    "source",
    "message",
    "inputs",
)
NOTES = (Look, GradientTaken, Hooked, Replaced, Clipped, Optioned, Symbolic)  # as KINDS
NOTE = ("kind", "after", "tensor", "of", "text", "source", "array", "settings", "leaves")
MOVE = (
    "event",
    "kind",
    "owner",
    "follows",
    "gradient",
    "data",
    "settings",
    "names",
    "step",
    "state",
)
ARRAY = ("dtype", "owner", "offset", "ndim", "nans", "infs")
SCOPE = ("name", "owner", "parent", "id")


def save(run: Run, path: str | os.PathLike[str], term: Callable[[Vjp], Array]) -> None:
    """Write a recorded run; `term` computes a term again that is not held. See `Trace.save`."""
    tables = _Writer(run, term)
    ARCHIVE.write(path, tables.description(), tables.arrays())


@dataclass(slots=True)
class _Table:
    """Things that are written once and referred to by number."""

    rows: list[Any] = field(default_factory=list[Any])
    numbers: dict[Any, int] = field(default_factory=dict[Any, int])

    def number(self, key: Any, row: Callable[[], Any]) -> int:
        """The number of `key`; its row is made when it is new. None is NONE."""
        if key is None:
            return NONE
        found = self.numbers.get(key)
        if found is None:
            made = row()  # may add rows itself
            found = self.numbers[key] = len(self.rows)
            self.rows.append(made)
        return found


class _Writer:
    """Takes a run apart into columns of integers, bytes and text."""

    def __init__(self, run: Run, term: Callable[[Vjp], Array]) -> None:
        self.run, self.term = run, term
        self.strings, self.options, self.constants = _Table(), _Table(), _Table()
        self.ops, self.files, self.sources = _Table(), _Table(), _Table()
        self.owners, self.scopes, self.views, self.memory = _Table(), _Table(), _Table(), _Table()
        self.functions: dict[Hashable, int] = {}  # the number of each in which an op was called
        self.parts: list[list[int]] = []  # of each source which part of a tuple it makes
        self.shapes: list[int] = []
        self.strides: list[int] = []
        self.block: list[Array] = []  # the bytes of the arrays that own them
        self.nodes: dict[Node, list[int]] = {}
        self.inputs: list[int] = []
        self.operands: list[int] = []
        self.error_inputs: list[int] = []
        # Terms that are computed for the file alone: an array's id is its own while it lives.
        self.terms: list[Array] = []
        self.leaves: list[int] = []
        self.states: list[int] = []
        self.events = [self._event(event) for event in run.events]
        self.notes = [self._note(note) for note in run.notes] if run.has_notes else []
        updates = [event for event in run.events if isinstance(event, Update)]
        self.moves = [self._move(x.index, x.move) for x in updates if x.move is not None]

    def description(self) -> dict[str, Any]:
        """What is text, and the small tables."""
        run = self.run
        known = {node.id for node in self.nodes}
        return {
            "strings": self.strings.rows,
            "ops": self.ops.rows,
            "options": self.options.rows,
            "constants": self.constants.rows,
            "files": self.files.rows,
            "sources": self.sources.rows,
            "parts": self.parts,
            "owners": self.owners.rows,
            "names": [[id, name] for id, name in run.given_names().items() if id in known],
            "read_as": [
                [row[-1], *read, name]
                for node, row in self.nodes.items()
                for read, name in node.read_as.items()
            ],
            "printed": [[at, text] for at, text in run.printed.items()],
            "limit": run.limit,
            "gone": run.gone,
            "has_notes": run.has_notes,
        }

    def arrays(self) -> dict[str, Array]:
        """The columns, and the bytes of the arrays."""
        empty = np.zeros(0, np.uint8)
        return {
            **_columns("node", NODE, self.nodes.values()),
            **_columns("event", EVENT, self.events),
            **_columns("array", ARRAY, self.views.rows),
            **_columns("scope", SCOPE, self.scopes.rows),
            **_columns("note", NOTE, self.notes),
            **_columns("move", MOVE, self.moves),
            "note.leaves.flat": _integers(self.leaves),
            "move.state.flat": _integers(self.states),
            "node.inputs.flat": _integers(self.inputs),
            "node.operands.flat": _integers(self.operands),
            "event.inputs.flat": _integers(self.error_inputs),
            "array.shape.flat": _integers(self.shapes),
            "array.strides.flat": _integers(self.strides),
            "memory.size": _integers([len(bytes_) for bytes_ in self.block]),
            "memory": np.concatenate([empty, *self.block]),
        }

    def _string(self, text: str | None) -> int:
        return self.strings.number(text, lambda: text)

    def _event(self, event: Event) -> list[int]:
        value, of, slot, cotangent = event.held, None, NONE, None
        message, refused = None, ()
        match event:
            case Vjp():
                of, slot, cotangent = event.of, event.slot, event.held_cotangent
                if event.recomputable and not is_own(of.rule):
                    value = self.term(event)  # a reader may not have the op
                    self.terms.append(value)
            case Failure():
                message, refused = event.message, event.inputs
            case _:
                pass
        self.error_inputs += [self._node(x) for x in refused]
        return [
            KINDS.index(type(event)),
            self._string(event.op),
            self._node(event.output),
            self._node(of),
            slot,
            self._array(value),
            self._array(cotangent),
            self._scope(event.scope),
            self._source(event.source),
            self._string(message),
            len(refused),
        ]

    def _note(self, note: Note) -> list[int]:
        tensor = of = source = array = settings = text = NONE
        leaves: tuple[int, ...] = ()
        match note:
            case Look():
                tensor, text, source = note.tensor, self._string(note.kind), note.source
            case GradientTaken():
                tensor, of, text = note.tensor, note.of, self._string(note.origin)
            case Hooked():
                tensor, of, source = note.tensor, note.of, note.source
            case Replaced():
                tensor, of, source = note.tensor, note.leaf, note.source
                array = self._array(note.held)
                text = self._string("clipped") if note.is_clipped else NONE
            case Clipped():
                text, settings = self._string(note.rule), self._options(note.settings)
                leaves, source = note.leaves, note.source
            case Optioned():
                tensor, array = note.tensor, self._array(note.array)
            case Symbolic():
                pass
        self.leaves += leaves
        line = self._source(source) if isinstance(source, Source) else NONE
        kind = NOTES.index(type(note))
        return [kind, note.after, tensor, of, text, line, array, settings, len(leaves)]

    def _move(self, event: int, move: Move) -> list[int]:
        names = sorted(name for name in move.state if name != "step")
        self.states += [self._array(move.state[name]) for name in names]
        return [
            event,
            self._string(move.kind),
            move.owner,
            int(move.follows),
            self._array(move.gradient),
            self._array(move.data),
            self._options(move.settings),
            self._options({"names": names}),
            move.state.get("step", NONE),
            len(names),
        ]

    def _node(self, wanted: Node | None) -> int:
        """The number of a node, whose inputs have lower ones."""
        if wanted is None:
            return NONE
        stack = [wanted]
        while stack:
            node = stack.pop()
            if node in self.nodes:
                continue
            missing = [x for x in node.tensors() if x not in self.nodes]
            if missing:
                stack += [node, *missing]
            else:
                self._add_node(node)
        return self.nodes[wanted][-1]

    def _add_node(self, node: Node) -> None:
        data, operands = node.seen
        self.inputs += [NONE if x is None else self.nodes[x][-1] for x in node.inputs]
        self.operands += [self._operand(x) for x in operands]
        self.nodes[node] = [
            node.id,
            NONE if node.op is None else self._op(node),
            self._array(data),
            self._string(node.name),
            int(node.requires_grad),
            self._scope(node.scope),
            self._source(node.source),
            self._options(node.options),
            len(node.inputs),
            len(self.nodes),
        ]

    def _op(self, node: Node) -> int:
        key = (node.op, id(node.rule))
        return self.ops.number(key, lambda: [node.op, *address(node.rule)])

    def _operand(self, x: Any) -> int:
        """An array by its number; a Python number by minus its own and two."""
        if is_array(x) or isinstance(x, Gone):
            return self._array(x)
        return -2 - self.constants.number(
            (type(x).__name__, repr(x)), lambda: plain(x, self._array)
        )

    def _array(self, array: Array | Gone | None) -> int:
        if array is None:
            return NONE
        return self.views.number(id(array), lambda: self._view(array))

    def _view(self, array: Array | Gone) -> list[int]:
        self.shapes += array.shape
        if isinstance(array, Gone):
            self.strides += (0,) * len(array.shape)
            kind, found = self._string(array.dtype.str), [int(array.nans), int(array.infs)]
            return [kind, NONE, 0, len(array.shape), *found]
        if array.nbytes > STRETCHED[0] * owner_of(array).nbytes + STRETCHED[1]:
            array = np.ascontiguousarray(array)
        owner = owner_of(array)
        number = self.memory.number(id(owner), lambda: self._remember(owner))
        self.strides += array.strides
        offset = _address_of(array) - _address_of(owner) if array.size else 0
        return [self._string(array.dtype.str), number, offset, array.ndim, 0, 0]

    def _remember(self, owner: Array) -> Array:
        """Add the bytes of an array, in the order in which they lie.

        Returns it, so that it lives on and its id stays its own.
        """
        flat = owner.ravel(order="K")
        self.block.append(flat.view(np.uint8) if flat.size else np.zeros(0, np.uint8))
        return owner

    def _options(self, options: Mapping[str, Any]) -> int:
        row = {name: plain(value, self._array) for name, value in options.items()}
        return self.options.number(repr(row), lambda: row)

    def _scope(self, scope: Scope | None) -> int:
        if scope is None:
            return NONE
        if scope not in self.scopes.numbers:
            for call in scope.chain():
                self.scopes.number(call, lambda call=call: self._scope_row(call))
        return self.scopes.numbers[scope]

    def _scope_row(self, call: Scope) -> list[int]:
        parent = NONE if call.parent is None else self.scopes.numbers[call.parent]
        key = call.owner if isinstance(call.owner, str) else id(call.owner)
        variable = self.run.owners.get(id(call.owner))
        owner = self.owners.number(key, lambda: _described(call.owner, variable))
        return [self._string(call.name), owner, parent, call.id]

    def _source(self, source: Source | None) -> int:
        if source is None:
            return NONE
        return self.sources.number(id(source), lambda: self._source_row(source))

    def _source_row(self, source: Source) -> list[Any]:
        file = self.files.number(source.file, lambda: [source.file, "".join(source.lines)])
        places = plain_places(source.places, self.functions)
        self.parts.append(list(source.part_of))
        return [file, source.line, source.variable, source.is_inside_package, places]


def _integers(values: Iterable[int]) -> Array:
    return np.array(list(values), np.int64)


def _columns(table: str, names: Sequence[str], rows: Iterable[Sequence[int]]) -> dict[str, Array]:
    columns = np.array([row[: len(names)] for row in rows], np.int64).reshape(-1, len(names)).T
    return {f"{table}.{name}": column for name, column in zip(names, columns, strict=True)}


def _address_of(array: Array) -> int:
    return array.__array_interface__["data"][0]


def _described(owner: object, variable: str | None) -> Any:
    """What queries ask the owner of a call: of a module its class, variable and parameters."""
    if isinstance(owner, str):
        return owner
    cell = owner if isinstance(owner, RecurrentCell) else None
    return {
        "class": type(owner).__name__,
        "variable": variable,
        "module": isinstance(owner, Module),
        "parameters": [[p.id, name] for name, p in owner.named_parameters()]
        if isinstance(owner, Module)
        else [],
        "cell": None if cell is None else [cell.equation, list(cell.states), cell.W_xh.id],
    }
