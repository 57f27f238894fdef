"""What a recorder has taken down becomes events, nodes and notes of a run."""

# The `data` of a tensor tells observers that it is read, and one of them is asking.
# pyright: reportPrivateUsage=false

from collections.abc import Callable, Mapping, Sequence
from os.path import dirname, join
from typing import Any

import numpy as np

from ...autograd.op import Op
from ...autograd.state import Scope
from ...autograd.tensor import Array, Tensor
from ...locks import Lock
from ...nn import clipping, optim
from ...nn.optim.optimizer import Move
from .budget import Budget
from .event import Accumulate, Event, Failure, Forward, Places, Seed, Update, Vjp, Zero
from .graph import Node, collector_paused
from .notes import (
    Clipped,
    GradientTaken,
    Hooked,
    Look,
    Note,
    Optioned,
    Replaced,
    Symbolic,
)
from .run import Run
from .source import Source, Sources

_PACKAGE = dirname(dirname(clipping.__file__))
_CLIPPING = (clipping.__file__,)
# Files of this package whose looks at values are computed again, and files that only show them.
_FOLLOWED = (
    *_CLIPPING,
    dirname(optim.__file__),
    join(_PACKAGE, "debugger"),
    join(_PACKAGE, "diagrams"),
)


class Told:
    """What was taken down and is not written yet.

    Attributes:
        facts: a function that writes, what that is given, and so on.
        calls: what led to the lines of these facts, see `Sources`; a fact says where its own begin.
        done: up to where they were written, how long the run was then, and its last line.
    """

    __slots__ = ("calls", "done", "facts")

    def __init__(self) -> None:
        self.facts: list[Any] = []
        self.calls: list[Any] = []
        self.done: tuple[int, int, int, Any] | None = None


class Writer:
    """Writes a run, and keeps it under its limit.

    Args:
        run: what it writes.
        places: asked by the events for the copy that they belong to.

    Attributes:
        told: what is to be written.
        sources: the lines of the program.
    """

    def __init__(self, run: Run, places: Callable[[], Places | None] | None) -> None:
        self.run, self.budget = run, None
        if run.limit is not None:
            self.budget = Budget(run.limit, run.release_tensor)
        self._places, self.sources, self.told = places, Sources(), Told()
        self._lock = Lock()
        self._pass_is_noted = False

    def write(self) -> None:
        """Write what was taken down since the last time.

        Where Ctrl-C came in the midst of it, what was begun then is written again.
        """
        with self._lock.here():  # several threads may ask when the recording is over
            self._write_told()

    @collector_paused()
    def _write_told(self) -> None:
        told, run, sources = self.told, self.run, self.sources
        facts = told.facts
        if told.done is None:
            told.done = 0, len(run.events), len(run.notes), sources.before
        at, events, notes, sources.before = told.done
        del run.events[events:], run.notes[notes:]
        while at < len(facts):
            write = facts[at]
            after = at + write.__code__.co_argcount
            write(self, *facts[at + 1 : after])
            at = after
            told.done = at, len(run.events), len(run.notes), sources.before
        if facts:
            self.told = Told()

    def count_anew(self) -> None:
        """Count what the run holds, which has lost its first events."""
        run = self.run
        if self.budget is not None:
            self.budget.restart([*run.events, *(note for note in run.notes if note.arrays)])
            run.gone = self.budget.gone

    def _source(self, line: int) -> Source:
        """The line that the calls led to which were taken down there."""
        return self.sources.at(self.told.calls, line)

    # What is taken down: functions, and what they are given

    def leaf(self, id: int, node: Node) -> None:
        self.run.nodes[id] = node

    def forward(
        self,
        output: Tensor,
        op: Op,
        inputs: tuple[Tensor | None, ...],
        arrays: tuple[Any, ...],
        options: Any,
        line: int,
    ) -> None:
        run, source, data = self.run, self._source(line), output._data
        nodes, requires_grad = self._inputs(inputs, arrays), output.op is not None
        id, scope = output.id, output.scope
        run.nodes[id] = node = Node(
            id, op.name, nodes, arrays, data, None, requires_grad, options, scope, source, op
        )
        self._write(Forward(len(run.events), scope, source, self._places, data, node))

    def vjp(
        self, node: Tensor, slot: int, cotangent: Any, contribution: Any, scope: Scope | None
    ) -> None:
        run, nodes = self.run, self.run.nodes
        if not self._pass_is_noted and isinstance(cotangent, Tensor):
            self._pass_is_noted = True
            self._note(Symbolic(len(run.events)))
        of = nodes[node.id]
        if of.rule is None:
            self._complete(of, node)
        elif self.budget is not None and of.is_gone:
            self.budget.revive(of, node._data, node.arrays)
        receiver = node.inputs[slot]
        assert receiver is not None
        term, g = _array(contribution), _array(cotangent)
        index, output = len(run.events), nodes[receiver.id]
        self._write(Vjp(index, scope, None, self._places, term, output, of, slot, g))

    def seed(self, output: int, gradient: Array, scope: Scope | None, line: int) -> None:
        self._pass_is_noted = False
        self._about(Seed, output, gradient, scope, self._source(line))

    def accumulate(self, leaf: int, gradient: Any, scope: Scope | None) -> None:
        self._about(Accumulate, leaf, _array(gradient), scope, None)

    def zero(self, leaf: int, _: None, scope: Scope | None, line: int) -> None:
        self._about(Zero, leaf, None, scope, self._source(line))

    def _about(
        self,
        kind: type[Seed | Accumulate | Zero],
        tensor: int,
        value: Array | None,
        scope: Scope | None,
        source: Source | None,
    ) -> None:
        """Write what happened to one tensor."""
        run = self.run
        node = run.nodes[tensor]
        self._write(kind(len(run.events), scope, source, self._places, value, node))

    def update(
        self,
        leaf: int,
        node: Node,
        after: Array,
        move: Move | None,
        scope: Scope | None,
        line: int,
    ) -> None:
        run, source = self.run, self._source(line)
        run.nodes.pop(leaf, None)
        run.nodes[leaf] = node
        self._write(Update(len(run.events), scope, source, self._places, after, node, move))

    def refusal(
        self,
        op: str,
        inputs: tuple[Node | None, ...],
        message: str,
        scope: Scope | None,
        line: int,
    ) -> None:
        self.failure(op, inputs, message, scope, self._source(line))

    def failure(
        self,
        op: str | None,
        inputs: tuple[Node | None, ...],
        message: str,
        scope: Scope | None,
        source: Source | None,
    ) -> None:
        index = len(self.run.events)
        self._write(Failure(index, scope, source, self._places, None, op, inputs, message))

    def look(self, tensor: int, asked: str, line: int) -> None:
        source = self._source(line)
        if not source.is_of(_FOLLOWED):
            self._note(Look(len(self.run.events), tensor, asked, source))

    def option(self, tensor: int, array: Array) -> None:
        self._note(Optioned(len(self.run.events), tensor, array))

    def gradient_taken(self, gradient: int, of: int, origin: Any) -> None:
        self._note(GradientTaken(len(self.run.events), gradient, of, origin))

    def gradients_found(self, found: Sequence[tuple[int, int]]) -> None:
        nodes = self.run.nodes
        gradients = {id: place for place, (id, _) in enumerate(found)}
        for event in reversed(self.run.events):
            if isinstance(event, Seed):
                break
            if isinstance(event, Forward) and event.source is not None:
                node = event.output  # of a pass that was recorded itself
                node.source = self.sources.in_pass(event.source, gradients.get(node.id))
        for gradient, of in found:
            if gradient not in nodes:
                self.gradient_taken(gradient, of, "pass")

    def hooked(self, replaced: int, of: int, line: int) -> None:
        self._note(Hooked(len(self.run.events), replaced, of, self._source(line)))

    def replaced(self, gradient: int, leaf: int, held: Array, line: int) -> None:
        after, source = len(self.run.events), self._source(line)
        self._note(Replaced(after, gradient, leaf, held, source.is_of(_CLIPPING), source))

    def clipped(
        self, leaves: tuple[int, ...], rule: str, settings: Mapping[str, Any], line: int
    ) -> None:
        source = self._source(line)
        self._note(Clipped(len(self.run.events), leaves, rule, settings, source))

    # The run

    def _write(self, event: Event) -> None:
        self.run.events.append(event)
        if self.budget is not None:
            self.budget.add(event)
            self.run.gone = self.budget.gone

    def _note(self, note: Note) -> None:
        self.run.notes.append(note)
        if self.budget is not None and note.arrays:
            self.budget.add(note)
            self.run.gone = self.budget.gone

    def _inputs(
        self, inputs: tuple[Tensor | None, ...], arrays: tuple[Any, ...]
    ) -> tuple[Node | None, ...]:
        nodes = self.run.nodes
        if self.budget is not None:
            for x, array in zip(inputs, arrays, strict=True):
                if x is not None and nodes[x.id].is_gone:
                    self.budget.revive(nodes[x.id], array)
        return tuple([None if x is None else nodes[x.id] for x in inputs])

    def _complete(self, node: Node, tensor: Tensor) -> None:
        """Say how a tensor from before the recording was made: its op hands its gradient on."""
        if self.budget is not None and node.is_gone:
            self.budget.revive(node, tensor._data)
        held = len(node.arrays)
        inputs = self._inputs(tensor.inputs, tensor.arrays)
        node.complete(tensor.op, inputs, tensor.arrays, tensor.options)
        if self.budget is not None:
            self.budget.completed(node, held)


def _array(value: Any) -> Any:
    """A gradient's array, into which nobody may write.

    In a recorded backward pass gradients are Tensors; a term that is summed later is None.
    """
    if value is None:
        return None
    if isinstance(value, Tensor):
        return value._data
    array: Any = value if type(value) is np.ndarray else np.asarray(value)
    array.setflags(False)  # sooner than by a keyword, or by its flags
    return array
