"""The recorder: an observer of the engine that writes down what happens, forward and backward."""

# The `data` of a tensor tells observers that it is read, and this is one of them.
# pyright: reportPrivateUsage=false

from collections.abc import Callable, Mapping, Sequence
from os.path import dirname, join
from typing import Any, ClassVar

import numpy as np

from ...autograd.op import Op
from ...autograd.state import STATE
from ...autograd.tensor import Array, Tensor
from ...nn import clipping, optim
from ...nn.optim.methods import KINDS
from ...nn.optim.optimizer import Move, Optimizer
from .budget import Budget
from .event import Accumulate, Event, Failure, Forward, Places, Seed, Update, Vjp, Zero
from .graph import GivenArrays, Node, leaf_node, reached
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
from .source import ArrayNames, Source, Sources, callers_name, variable_name

NO_TENSOR = -1  # what is no tensor has this id
NO_MOVE: tuple[int, Move | None] = (NO_TENSOR, None)
_PACKAGE = dirname(dirname(clipping.__file__))
_CLIPPING = (clipping.__file__,)
# Files of this package whose looks at values are computed again, and files that only show them.
_FOLLOWED = (
    *_CLIPPING,
    dirname(optim.__file__),
    join(_PACKAGE, "debugger"),
    join(_PACKAGE, "diagrams"),
)


class Recorder:
    """Writes a run, and keeps it under its limit.

    Args:
        run: what it writes.
        places: asked by the events for the copy that they belong to.
    """

    def __init__(self, run: Run, places: Callable[[], Places | None] | None = None) -> None:
        self.run, self.budget = run, None
        if run.limit is not None:
            self.budget = Budget(run.limit, run.release_tensor)
        self._places, self._sources = places, Sources()
        self._given, self._array_names = GivenArrays(), ArrayNames()
        # What the next update is made from; and what steps left of a parameter's state.
        self._move = NO_MOVE
        self._optimizers: dict[Optimizer, int] = {}
        self._states: dict[tuple[int, int], dict[str, Any]] = {}
        self._asked = "data"  # how much of what is read next
        self._pass_is_noted = False

    def observe(self, kind: str, *facts: Any) -> None:
        """Write down one thing that the engine did; what it has no word for is left out."""
        write = self._writers.get(kind)
        if write is not None:
            write(self, *facts)

    def _write(self, event: Event) -> None:
        self.run.events.append(event)
        if self.budget is not None:
            self.budget.add(event)
            self.run.gone = self.budget.gone

    def _forward(
        self,
        output: Tensor,
        op: Op,
        inputs: tuple[Tensor | None, ...],
        arrays: tuple[Any, ...],
        options: Any,
    ) -> None:
        run, nodes = self.run, self._inputs(inputs, arrays)
        id, scope, data, source = output.id, output.scope, output._data, self._sources.of_caller()
        node = Node(
            id, op.name, nodes, arrays, data, None, output.requires_grad, options, scope, source, op
        )
        run.nodes[id], run.tensors[id] = node, output
        self._write(Forward(len(run.events), scope, source, self._places, data, node))

    def _vjp(self, node: Tensor, slot: int, cotangent: Any, contribution: Any) -> None:
        nodes = self.run.nodes
        if not self._pass_is_noted and isinstance(cotangent, Tensor):
            self._pass_is_noted = True
            self._note(Symbolic(len(self.run.events)))
        of = nodes.get(node.id) or self._node(node, node._data)
        if of.rule is None:
            self._complete(of, node)
        elif self.budget is not None and of.is_gone:
            self.budget.revive(of, node._data, node.arrays)
        receiver = node.inputs[slot]
        assert receiver is not None
        output = nodes.get(receiver.id) or self._node(receiver, node.arrays[slot])
        index, scope = len(self.run.events), STATE.get().scope
        term, g = _array(contribution), _array(cotangent)
        self._write(Vjp(index, scope, None, self._places, term, output, of, slot, g))

    def _seed(self, output: Tensor, gradient: Array) -> None:
        self._pass_is_noted = False
        self._about(Seed, self._node(output, output._data), gradient, self._sources.of_caller())

    def _accumulate(self, leaf: Tensor, gradient: Any) -> None:
        self._about(Accumulate, self._node(leaf, leaf._data), _array(gradient), None)

    def _update(self, leaf: Tensor, before: Array, after: Array) -> None:
        self.run.nodes.pop(leaf.id, None)
        (of, move), self._move = self._move, NO_MOVE
        index, scope, source = len(self.run.events), STATE.get().scope, self._sources.of_caller()
        node = self._node(leaf, after)
        made = Update(index, scope, source, self._places, after, node)
        if of == leaf.id:
            made.move = move
        self._write(made)

    def _zero(self, leaf: Tensor) -> None:
        self._about(Zero, self._node(leaf, leaf._data), None, self._sources.of_caller())

    def _about(
        self,
        kind: type[Seed | Accumulate | Zero],
        node: Node,
        value: Array | None,
        source: Source | None,
    ) -> None:
        """Write down what happened to one tensor."""
        index, scope = len(self.run.events), STATE.get().scope
        self._write(kind(index, scope, source, self._places, value, node))

    def _error(self, op: Op, inputs: tuple[Tensor | None, ...], error: Exception) -> None:
        nodes = tuple(None if x is None else self._node(x, x._data) for x in inputs)
        for x in nodes:
            if x is not None and x.source is not None:
                error.add_note(f"{self.run.name(x)} {x.shape} was made by {x.op} at {x.source}")
        self._fail(op.name, nodes, str(error), self._sources.of_caller())

    def fail(self, message: str, source: Source | None) -> None:
        """Write down that the program raised."""
        self._fail(None, (), message, source)

    def _fail(
        self, op: str | None, inputs: tuple[Node | None, ...], message: str, source: Source | None
    ) -> None:
        index, scope = len(self.run.events), STATE.get().scope
        self._write(Failure(index, scope, source, self._places, None, op, inputs, message))

    # Between the events

    def _note(self, note: Note) -> None:
        self.run.notes.append(note)
        if self.budget is not None and note.arrays:
            self.budget.add(note)
            self.run.gone = self.budget.gone

    def _ask(self, tensor: Tensor, kind: str) -> None:
        self._asked = kind

    def _read(self, owner: Any, attribute: str) -> None:
        """Python looks at a value; a module's switch is none."""
        asked, self._asked = self._asked, "data"
        if not isinstance(owner, Tensor):
            return
        if attribute == "grad":
            if owner._grad is not None:
                taken = GradientTaken(len(self.run.events), owner._grad.id, owner.id, "grad")
                self._note(taken)
            return
        source = self._sources.of_caller()
        if not source.is_of(_FOLLOWED):
            self._note(Look(len(self.run.events), owner.id, asked, source))

    def _option(self, tensor: Tensor, array: Array) -> None:
        self._note(Optioned(len(self.run.events), tensor.id, array))

    def _hook(self, node: Tensor, given: Tensor, replaced: Any) -> None:
        after = len(self.run.events)
        self._note(GradientTaken(after, given.id, node.id, "hook"))
        id = replaced.id if isinstance(replaced, Tensor) else NO_TENSOR
        self._note(Hooked(after, id, node.id, self._sources.of_caller()))

    def _gradients(self, tensors: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        after, nodes = len(self.run.events), self.run.nodes
        for x, gradient in zip(tensors, gradients, strict=True):
            if gradient.id not in nodes:  # else the pass was recorded itself
                self._note(GradientTaken(after, gradient.id, x.id, "pass"))

    def _replace(self, leaf: Tensor, gradient: Tensor) -> None:
        source, held = self._sources.of_caller(), gradient._data
        is_clipped = source.is_of(_CLIPPING)
        after = len(self.run.events)
        self._note(Replaced(after, gradient.id, leaf.id, held, is_clipped, source))

    def _clip(self, leaves: Sequence[Tensor], rule: str, settings: Mapping[str, Any]) -> None:
        ids, source = tuple([x.id for x in leaves]), self._sources.of_caller()
        self._note(Clipped(len(self.run.events), ids, rule, settings, source))

    def _step(
        self, optimizer: Optimizer, leaf: Tensor, move: Move, state: Mapping[str, Any]
    ) -> None:
        """An update follows; what a person's own optimiser does cannot be followed."""
        if KINDS.get(move.kind) is not type(optimizer):
            return
        move.owner = self._optimizers.setdefault(optimizer, len(self._optimizers))
        left = self._states.get((move.owner, leaf.id))
        if left is not None and left.keys() == move.state.keys():
            move.follows = all(left[name] is value for name, value in move.state.items())
        self._states[move.owner, leaf.id] = dict(state)
        self._move = leaf.id, move

    def forget(self, keep_last: int) -> None:
        """Drop all but the last events: they begin the recording."""
        run = self.run
        dropped = len(run.events) - keep_last
        run.events[:] = run.events[-keep_last:]
        for index, event in enumerate(run.events):
            event.index = index
        run.notes[:] = [note for note in run.notes if note.after >= dropped]
        for note in run.notes:
            note.after -= dropped
        run.printed.clear()
        self._given = GivenArrays()  # it holds nodes that are dropped
        if self.budget is not None:
            self.budget.restart([*run.events, *(note for note in run.notes if note.arrays)])
            run.gone = self.budget.gone
        kept = {x.id for x in reached(x for event in run.events for x in event.used)}
        for id in [id for id, x in run.nodes.items() if x.id not in kept and not x.is_parameter]:
            run.nodes.pop(id)
            run.tensors.pop(id, None)

    # Nodes

    def _inputs(
        self, inputs: tuple[Tensor | None, ...], arrays: tuple[Any, ...]
    ) -> tuple[Node | None, ...]:
        if self.budget is None:
            nodes = self.run.nodes
            try:
                return tuple([None if x is None else nodes[x.id] for x in inputs])
            except KeyError:
                pass
        pairs = zip(inputs, arrays, strict=True)
        return tuple([None if x is None else self._node(x, array) for x, array in pairs])

    def _node(self, tensor: Tensor, array: Array) -> Node:
        """The node of a tensor; one made outside the recording is a leaf to it at first."""
        node = self.run.nodes.get(tensor.id)
        if node is None:
            node = self._given.leaf(tensor, array, self._leaf)
            self.run.nodes[tensor.id] = node
            self.run.tensors.setdefault(node.id, tensor)
        elif self.budget is not None and node.is_gone:
            self.budget.revive(node, array)
        return node

    def _leaf(self, tensor: Tensor, array: Array) -> Node:
        """A leaf under its variable's name: of what is trained the program's own, no helper's."""
        name = tensor._name
        if not name and tensor._requires_grad and tensor.op is None:
            name = callers_name(tensor)
        elif not name:
            name, origin = variable_name(tensor), getattr(tensor, "origin", None)
            if name is None and origin is not None:
                name = self._array_names.of(origin)
        return leaf_node(tensor, array, name)

    def _complete(self, node: Node, tensor: Tensor) -> None:
        """Say how a tensor from before the recording was made: its op hands its gradient on."""
        if self.budget is not None and node.is_gone:
            self.budget.revive(node, tensor._data)
        held = len(node.arrays)
        inputs = self._inputs(tensor.inputs, tensor.arrays)
        node.complete(tensor.op, inputs, tensor.arrays, tensor.options)
        if self.budget is not None:
            self.budget.completed(node, held)

    def _enter(self, module: Any) -> None:
        """A module that no other one calls has the name of its variable."""
        if STATE.get().scope is None and id(module) not in self.run.owners:
            name = callers_name(module)
            if name is not None:
                self.run.owners[id(module)] = name

    _writers: ClassVar[dict[str, Callable[..., None]]] = {
        "forward": _forward,
        "error": _error,
        "seed": _seed,
        "vjp": _vjp,
        "accumulate": _accumulate,
        "update": _update,
        "zero": _zero,
        "asked": _ask,
        "read": _read,
        "option": _option,
        "hook": _hook,
        "gradients": _gradients,
        "replace": _replace,
        "clip": _clip,
        "step": _step,
        "enter": _enter,
    }


def _array(value: Any) -> Any:
    """A gradient's array, which from now on nobody may write into.

    In a recorded backward pass gradients are Tensors; a term that is summed later is None.
    """
    if value is None:
        return None
    if isinstance(value, Tensor):
        return value._data
    array: Any = value if type(value) is np.ndarray else np.asarray(value)
    array.setflags(False)  # sooner than by a keyword, or by its flags
    return array
