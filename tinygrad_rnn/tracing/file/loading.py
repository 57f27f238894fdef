"""Reading a recorded run that `saving` wrote: nothing that the file says is believed."""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from io import StringIO
from math import prod
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np

from ...autograd.op import Op
from ...autograd.state import Scope
from ...autograd.tensor import Array
from ...errors import TraceError, cut
from ...nn.cells import Cell as RecurrentCell
from ...nn.clipping import RULES
from ...nn.module import Module
from ...nn.optim.methods import check_step
from ...nn.optim.optimizer import Move
from ..recording.event import Event, Failure, Forward, Places, Update, Vjp, Zero
from ..recording.graph import Node
from ..recording.held import Gone, in_units
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
from ..recording.place import places_of
from ..recording.run import Run
from ..recording.source import Known, Source
from .options import counted, dtype_named, one_of, restored, typed
from .rules import OWN, MissingOp, defined, format_1, found
from .saving import ARCHIVE, ARRAY, EVENT, KINDS, MOVE, NODE, NONE, NOTE, NOTES, SCOPE
from .schema import check_extent, check_options, check_size, cost, excess

# What a file justifies: so many times its own bytes, and the bytes that any file does.
JUSTIFIED = (64, 2**24)
DEEPEST = 1000  # calls inside of each other: Python itself allows no more
STRANGE = 20  # calls that a warning lists
_T = TypeVar("_T")
# Of an event: its number in the run, and what `Happening` says of its call, line and places.
_Facts = tuple[int, Scope | None, Source | None, Any]


def load(
    path: str | os.PathLike[str],
    run: Run,
    places: Callable[[], Places | None],
    prove: Callable[[], object],
    trust: int = 0,
) -> None:
    """Read a recorded run that `save` wrote; see `load_trace`.

    Args:
        path: of the file.
        run: an empty one, which becomes what the file holds.
        places: asked by its events for the copy that they belong to.
        prove: asks the run about names and calls, where only the whole shows that a file lies.
        trust: bytes that it may grow to, if that is more than its size justifies.

    Raises:
        TraceError: there is no such file, or it is not one.

    Warns:
        UserWarning: the file chose options of an op of this program.
    """
    name = os.fspath(path)
    description, arrays = ARCHIVE.read(path)
    with ARCHIVE.blaming(name):
        try:
            reader = _Reader(description, arrays, run, places, _Allowance(arrays, trust))
            reader.read()
            prove()
        except TraceError as error:
            raise TraceError(f"load_trace: {name}: {error}") from error
    if reader.strange:
        said = ", ".join(sorted(reader.strange))
        warnings.warn(
            f"{name}: what is asked about these runs ops of this program "
            f"with options that the file chose: {said}",
            stacklevel=3,
        )


class _Allowance:
    """What the size of a file justifies to hold and to compute, in bytes that are read."""

    def __init__(self, arrays: Mapping[str, Array], trust: int) -> None:
        size = sum(array.nbytes for array in arrays.values())
        self.total = max(JUSTIFIED[0] * size + JUSTIFIED[1], trust)
        self.asked = 0

    def take(self, count: int) -> None:
        """Count what is asked for; refuse the file once that is too much."""
        self.asked += count
        if self.asked > self.total:
            needed, allowed = " ".join(in_units(self.asked)), " ".join(in_units(self.total))
            raise TraceError(
                f"it grows to {needed} or more when it is looked at, and a file of its size may "
                f"to {allowed}: if you know who made it, trust it with more, as --trust 8G"
            )


class _Reader:
    """Puts a run together again."""

    def __init__(
        self,
        description: Mapping[str, Any],
        arrays: Mapping[str, Array],
        run: Run,
        places: Callable[[], Places | None],
        allowance: _Allowance,
    ) -> None:
        self.text, self.columns, self.run, self.places = description, arrays, run, places
        self.allowance = allowance
        self.reads: dict[Node, int] = {}  # of the data and the operands of a node, see `excess`
        # Ops of this program, with the options that the file chose.
        self.strange: set[str] = set()
        self.strings: list[str] = [typed(text, str) for text in description["strings"]]
        limit = description["limit"]
        run.limit = None if limit is None else counted(limit)
        self.arrays = self._arrays()
        self.options = [self._options(options) for options in description["options"]]
        self.constants = [
            typed(restored(x, self._numbered), int | float | np.generic)
            for x in description["constants"]
        ]
        self.defined = defined()
        self.ops = [self._op(*op) for op in description["ops"]]
        self.sources = self._sources()
        self.scopes = self._scopes()
        self.nodes = self._nodes()

    def read(self) -> None:
        run, count = self.run, len(self.nodes)
        run.is_loaded, run.gone = True, counted(self.text["gone"])
        run.nodes.update((node.id, node) for node in self.nodes)
        run.names.update((counted(id), _name(name)) for id, name in self.text["names"])
        for node, reader, slot, name in self.text.get("read_as", ()):  # older files have none
            _entry(self.nodes, node).call_also(counted(reader), counted(slot), _name(name))
        run.printed.update((counted(at), typed(text, str)) for at, text in self.text["printed"])
        inputs = self._flat("event.inputs", "event.inputs.flat", NONE, count)
        for row in self._rows("event", EVENT):
            run.events.append(self._event(len(run.events), row, inputs[len(run.events)]))
        run.has_notes = self.text["format"] >= 3 and typed(self.text["has_notes"], bool)
        if run.has_notes:
            self._read_notes()
            self._read_moves()

    def _op(self, name: Any, module: Any, qualname: Any, version: Any) -> tuple[str, Op]:
        name = _name(name)
        row = [name, module, qualname, version]
        if self.text["format"] == 1:
            row = format_1(*row)
        return name, found(*row, ops=self.defined)

    def _rows(self, table: str, names: Sequence[str]) -> list[tuple[int, ...]]:
        columns = [self._column(f"{table}.{name}") for name in names]
        return list(zip(*(column.tolist() for column in columns), strict=True))

    def _column(self, name: str) -> Array:
        column = self.columns[name]
        if column.dtype != np.int64 or column.ndim != 1:
            raise ValueError(f"{name} is {column.dtype} {column.shape}")
        return column

    def _flat(self, counts: str, flat: str, low: int, high: int) -> list[list[int]]:
        """The rows of a table of unequal rows: numbers from `low` up to below `high`."""
        lengths, numbers = self._column(counts), self._column(flat)
        if numbers.size and not (low <= int(numbers.min()) and int(numbers.max()) < high):
            raise ValueError(f"{flat} has numbers outside of {low} to {high - 1}")
        if lengths.size and (int(lengths.min()) < 0 or int(lengths.max()) > len(numbers)):
            raise ValueError(f"{counts} has impossible lengths")
        if len(numbers) != int(lengths.sum()):
            raise ValueError(f"{flat} has {len(numbers)} numbers, not those that {counts} tells of")
        plain, ends = numbers.tolist(), np.cumsum(lengths).tolist()
        pairs = zip(ends, lengths.tolist(), strict=True)
        return [plain[end - length : end] for end, length in pairs]

    # Arrays

    def _arrays(self) -> list[Array | Gone]:
        block, sizes = self.columns["memory"], self._column("memory.size")
        if block.dtype != np.uint8 or block.ndim != 1:
            raise ValueError("the bytes of the arrays are not bytes")
        if sizes.size and (int(sizes.min()) < 0 or int(sizes.max()) > block.size):
            raise ValueError("memory.size has impossible sizes")
        if int(sizes.sum()) != block.size:
            raise ValueError("memory.size does not add up")
        ends = np.cumsum(sizes).tolist()
        owners = [block[end - size : end].copy() for end, size in zip(ends, sizes, strict=True)]
        high = 2**62
        shapes = self._flat("array.ndim", "array.shape.flat", 0, high)
        strides = self._flat("array.ndim", "array.strides.flat", -high, high)
        rows = self._rows("array", ARRAY)
        made = [self._array(owners, *three) for three in zip(rows, shapes, strides, strict=True)]
        self.allowance.take(sum(map(excess, made)))
        return made

    def _array(
        self,
        owners: Sequence[Array],
        row: tuple[int, ...],
        shape: Sequence[int],
        strides: Sequence[int],
    ) -> Array | Gone:
        dtype, owner, offset, _, nans, infs = row
        kind = dtype_named(_entry(self.strings, dtype))
        size = prod(shape) * kind.itemsize
        if size >= 2**62:
            raise ValueError(f"an array of shape {tuple(shape)}")
        if owner == NONE:
            return Gone(tuple(shape), kind, bool(nans), bool(infs))
        memory = _entry(owners, owner)
        if size > JUSTIFIED[0] * memory.nbytes + self.allowance.total:
            raise ValueError(f"an array of shape {tuple(shape)} in {memory.nbytes} bytes")
        check_extent(shape, strides, offset, kind.itemsize, memory)
        made = np.ndarray(tuple(shape), kind, memory, offset, tuple(strides))
        made.flags.writeable = False
        return made

    def _numbered(self, number: int) -> Array | Gone:
        return _entry(self.arrays, number)

    def _options(self, plain: Mapping[str, Any]) -> dict[str, Any]:
        items = typed(plain, dict).items()
        return {typed(name, str): restored(x, self._numbered) for name, x in items}

    # Where things happened

    def _sources(self) -> list[Source]:
        files = [
            (typed(name, str), StringIO(typed(text, str)).readlines())
            for name, text in self.text["files"]
        ]
        found: list[Source] = []
        sources = self.text["sources"]
        parts = self.text.get("parts", [()] * len(sources))  # older files have none
        for part, (file, line, variable, inside, *places) in zip(parts, sources, strict=True):
            name, lines = _entry(files, file)
            calls = tuple(place for found in places for place in places_of(found))
            part_of = tuple(typed(number, int) for number in part)
            known = Known(typed(variable, str | None), typed(inside, bool), lines, calls, part_of)
            found.append(Source(name, counted(line), (), known=known))
        return found

    def _scopes(self) -> list[Scope]:
        owners = [self._owner(described) for described in self.text["owners"]]
        scopes: list[Scope] = []
        depths: list[int] = []
        for name, owner, parent, id in self._rows("scope", SCOPE):
            above = _or_none(scopes, parent)  # only one before it
            depths.append(1 if above is None else 1 + depths[parent])
            if depths[-1] > DEEPEST:
                raise ValueError(f"calls inside of calls, more than {DEEPEST} deep")
            scopes.append(Scope(cut(_entry(self.strings, name)), _entry(owners, owner), above, id))
        return scopes

    def _owner(self, described: Any) -> object:
        if isinstance(described, str):
            return cut(described)
        owner = _stand_in(described)
        variable = typed(described.get("variable"), str | None)  # older files have none
        if variable is not None:
            self.run.owners[id(owner)] = cut(variable)
        return owner

    # Nodes and events

    def _nodes(self) -> list[Node]:
        rows = self._rows("node", NODE)
        inputs = self._flat("node.inputs", "node.inputs.flat", NONE, len(rows))
        operands = self._flat(
            "node.inputs", "node.operands.flat", -1 - len(self.constants), len(self.arrays)
        )
        nodes: list[Node] = []
        tensors: dict[int, Node] = {}
        for row, given, seen in zip(rows, inputs, operands, strict=True):
            node = self._node(nodes, row, given, seen)
            _check_same(tensors.setdefault(node.id, node), node)
            nodes.append(node)
        for node in nodes:
            self._check(node)
        return nodes

    def _check(self, node: Node) -> None:
        """Refuse a node that its op could not have made; no op of the program is called for it."""
        _check_inputs(node)
        own = OWN.get(node.op or "")
        # What pictures say of an op that is missing depends on its name.
        if own is not None and (node.rule is own or isinstance(node.rule, MissingOp)):
            check_options(own, node.options)
        self.allowance.take(cost(node))
        if own is not None and node.rule is own:
            if not node.is_gone:
                _check_result(own, node)
        elif node.options and not isinstance(node.rule, MissingOp):
            chosen = ", ".join(f"{name}={value!r:.80}" for name, value in node.options.items())
            if len(self.strange) < STRANGE:
                self.strange.add(f"{node.op}({chosen})")

    def _node(
        self,
        nodes: Sequence[Node],
        row: tuple[int, ...],
        inputs: Sequence[int],
        operands: Sequence[int],
    ) -> Node:
        id, op, data, name, requires_grad, scope, source, options, _ = row
        found, rule = (None, None) if op == NONE else _entry(self.ops, op)
        return Node(
            id,
            found,
            tuple(None if x == NONE else nodes[x] for x in inputs),  # only those before it
            tuple(self.constants[-2 - x] if x < NONE else self._numbered(x) for x in operands),
            self._numbered(data),
            _or_none(self.strings, name),
            bool(requires_grad),
            _entry(self.options, options),
            _or_none(self.scopes, scope),
            _or_none(self.sources, source),
            rule,
        )

    def _event(self, index: int, row: tuple[int, ...], inputs: Sequence[int]) -> Event:
        number, op, output, of, slot, value, cotangent, scope, source, message, _ = row
        kind, held = _entry(KINDS, number), _or_none(self.arrays, value)
        if (output == NONE) != (kind is Failure) or (of == NONE) == (kind is Vjp):
            raise ValueError(f"event {index} ({kind.kind}) is not about what it could be about")
        facts = index, _or_none(self.scopes, scope), _or_none(self.sources, source), self.places
        if kind is Failure and held is not None:
            raise ValueError(f"event {index} (error) wrote something")
        if kind is Failure:
            refused = tuple([_or_none(self.nodes, number) for number in inputs])
            text = typed(_or_none(self.strings, message), str)
            return Failure(*facts, None, _or_none(self.strings, op), refused, text)
        node = _entry(self.nodes, output)
        if kind is Forward and not isinstance(held, Gone):
            held = node.seen[0]
        if held is not None and held.shape != node.shape:
            raise ValueError(f"event {index} ({kind.kind}) wrote something of another shape")
        if kind is Vjp:
            return self._vjp(facts, held, node, _entry(self.nodes, of), slot, cotangent)
        if (held is None) != (kind is Zero):
            raise ValueError(f"event {index} ({kind.kind}) wrote something, or nothing")
        if kind is Forward and node.op is None:
            raise ValueError("a forward event of a leaf")
        return kind(*facts, held, node)

    def _vjp(
        self,
        facts: _Facts,
        term: Array | Gone | None,
        output: Node,
        of: Node,
        slot: int,
        number: int,
    ) -> Vjp:
        receiver = of.inputs[slot] if 0 <= slot < len(of.inputs) else None
        is_lost = of.rule is None or not of.rule.differentiable(slot)
        if receiver is None or receiver.id != output.id or is_lost:
            raise ValueError(f"event {facts[0]} (vjp) hands on to nothing that there is")
        cotangent = self._numbered(number)
        if cotangent.shape != of.shape:
            raise ValueError(f"event {facts[0]} (vjp) starts from no gradient of its op's output")
        if of not in self.reads:  # an op of many operands hands on as many terms
            seen, operands = of.seen
            self.reads[of] = sum(map(excess, (seen, *operands)))
        self.allowance.take(excess(term) + excess(cotangent) + self.reads[of])
        return Vjp(*facts, term, output, of, slot, cotangent)

    # Between the events

    def _read_notes(self) -> None:
        leaves = self._flat("note.leaves", "note.leaves.flat", 0, 2**62)
        for row, some in zip(self._rows("note", NOTE), leaves, strict=True):
            note, before = self._note(row, some), self.run.notes[-1:]
            if before and before[0].after > note.after:
                raise ValueError("notes that are not in order")
            self.run.notes.append(note)

    def _note(self, row: tuple[int, ...], leaves: Sequence[int]) -> Note:
        number, after, tensor, of, text, line, array, settings, _ = row
        if not 0 <= after <= len(self.run.events):
            raise ValueError(f"a note after {after} of {len(self.run.events)} events")
        kind, word = _entry(NOTES, number), _or_none(self.strings, text)
        if kind is Symbolic:
            return Symbolic(after)
        if kind is GradientTaken:
            return GradientTaken(after, tensor, of, one_of(word, ("grad", "pass", "hook")))
        if kind is Optioned:
            return Optioned(after, tensor, typed(self._numbered(array), np.ndarray))
        source = _entry(self.sources, line)
        if kind is Look:
            return Look(after, tensor, one_of(word, ("data", "bool", "int")), source)
        if kind is Hooked:
            return Hooked(after, tensor, of, source)
        if kind is Replaced:
            return Replaced(after, tensor, of, self._numbered(array), word is not None, source)
        rule, options = one_of(word, tuple(RULES)), _entry(self.options, settings)
        RULES[rule]([np.zeros(1)], options)  # settings that it cannot use are refused here
        return Clipped(after, tuple(leaves), rule, options, source)

    def _read_moves(self) -> None:
        states = self._flat("move.state", "move.state.flat", 0, len(self.arrays))
        for row, state in zip(self._rows("move", MOVE), states, strict=True):
            self._read_move(row, state)

    def _read_move(self, row: tuple[int, ...], state: Sequence[int]) -> None:
        """Say of an update which step of an optimiser it was, as far as there is such a step."""
        index, kind, owner, follows, gradient, data, settings, names, step, _ = row
        update = typed(_entry(self.run.events, index), Update)
        before, g = (typed(self._numbered(number), np.ndarray) for number in (data, gradient))
        like = update.output.seen[0]
        if not (before.shape == g.shape == like.shape and before.dtype == g.dtype == like.dtype):
            raise ValueError(f"event {index} (update) was made from something of another shape")
        named = typed(_entry(self.options, names)["names"], list)
        arrays = [self._numbered(number) for number in state]
        held: dict[str, Any] = dict(zip(named, arrays, strict=True))
        if step != NONE:
            held["step"] = step
        name, given = _entry(self.strings, kind), _entry(self.options, settings)
        check_step(name, before, held, given)
        update.move = Move(name, given, g, before, held, counted(owner), bool(follows))


def _check_same(first: Node, node: Node) -> None:
    """Refuse two tensors of one id; a leaf whose data was replaced is one tensor, in its shape."""
    are_leaves = node.op is None and first.op is None
    if node is not first and not (are_leaves and node.shape == first.shape):
        raise ValueError(
            f"two tensors of id {node.id}: {first.op or 'leaf'} {first.shape}, "
            f"{node.op or 'leaf'} {node.shape}"
        )


def _check_inputs(node: Node) -> None:
    """Refuse a node that was made before what it was made from, or from something else."""
    is_leaf = node.op is None
    if is_leaf != (node.rule is None) or (is_leaf and (node.inputs or node.options)):
        raise ValueError("a leaf that was made by an op, or an op that made nothing")
    _, operands = node.seen
    for x, operand in zip(node.inputs, operands, strict=True):
        if x is not None and x.id >= node.id:
            raise ValueError(f"tensor {node.id} is made from tensor {x.id}, which is newer")
        if (x is None) != (not hasattr(operand, "shape") or isinstance(operand, np.generic)):
            raise ValueError(f"an operand of {node.op} that is neither a number nor a tensor")
        if x is not None and operand.shape != x.shape:
            raise ValueError(
                f"{node.op} has an operand of shape {operand.shape}, made from {x.shape}"
            )


def _check_result(own: Op, node: Node) -> None:
    """Refuse data of another shape or dtype than the op makes of its operands."""
    data, operands = node.data, node.operands
    if not own.variadic and len(operands) != len(own.vjps):
        raise ValueError(f"{node.op} has {len(operands)} operands")
    check_size(own, node)
    with np.errstate(), np.errstate(all="ignore"):
        made = np.asarray(own.forward(*own.given(operands), **node.options))
    if (made.shape, made.dtype) != (data.shape, data.dtype):
        raise ValueError(
            f"{node.op} makes {made.dtype} {made.shape}, not {data.dtype} {data.shape}"
        )


def _entry(table: Sequence[_T], number: int) -> _T:
    """An entry of a table, counted from its start alone."""
    if number < 0:
        raise IndexError(f"no such number: {number}")
    return table[number]


def _name(value: Any) -> str:
    """What a file calls something: nobody reads more than the beginning."""
    return cut(typed(value, str))


def _or_none(table: Sequence[_T], number: int) -> _T | None:
    return None if number == NONE else _entry(table, number)


def _stand_in(described: Mapping[str, Any]) -> object:
    """What answers as the owner of a call did: of its class, its parameters and its states."""
    parameters = [
        (_name(name), SimpleNamespace(id=typed(id, int))) for id, name in described["parameters"]
    ]
    facts: dict[str, Any] = {"named_parameters": lambda _: iter(parameters)}  # pyright: ignore[reportUnknownLambdaType]
    base: type = Module if typed(described["module"], bool) else object
    if described["cell"] is not None:
        equation, states, W_xh = described["cell"]
        base = RecurrentCell
        facts["equation"] = typed(equation, str | None)
        facts["states"] = tuple(_name(state) for state in typed(states, list))
        if not facts["states"]:
            raise ValueError("a cell that passes nothing on")
        facts["W_xh"] = SimpleNamespace(id=typed(W_xh, int))
    kind: Any = type(_name(described["class"]), (base,), facts)
    return kind.__new__(kind)
