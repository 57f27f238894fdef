"""The recorder: an observer of the engine that takes down what happens, forward and backward."""

# The `data` of a tensor tells observers that it is read, and this is one of them.
# pyright: reportPrivateUsage=false

from collections.abc import Callable, Mapping, Sequence
from sys import _getframe as getframe  # pyright: ignore[reportPrivateUsage]
from threading import get_ident
from typing import Any, ClassVar

from ...autograd.op import Op
from ...autograd.state import STATE
from ...autograd.tensor import Array, Tensor
from ...nn.optim.methods import KINDS
from ...nn.optim.optimizer import Move, Optimizer
from .array_names import ArrayNames
from .event import Places
from .graph import GivenArrays, Node, leaf_node, reached
from .run import Run
from .source import Source
from .variables import callers_name, modules_name, variable_name
from .writer import Writer

# Frames between what takes down an op and who called that: the observer, and the engine's own.
_ENGINE = 3
NO_TENSOR = -1  # what is no tensor has this id
NO_MOVE: tuple[int, Move | None] = (NO_TENSOR, None)


class Recorder:
    """Takes down what the engine does, and writes it into a run when somebody asks for that.

    Taking down is quick: facts are kept as they were told. What would be another later is looked at
    at once: which calls led to an op, and what the program calls the arrays that it gives to ops.

    Args:
        run: what it writes.
        places: asked by the events for the copy that they belong to.
    """

    def __init__(self, run: Run, places: Callable[[], Places | None] | None = None) -> None:
        self._run, self._writer = run, Writer(run, places)
        self.budget, self._walk = self._writer.budget, self._writer.sources.walk
        self._thread, self._is_over = get_ident(), False
        # By their tensors' ids: the leaves, some of which stand for several tensors of one array.
        self._leaves: dict[int, Node] = {}
        self._given, self._array_names = GivenArrays(), ArrayNames()
        # What the next update is made from; and what steps left of a parameter's state.
        self._move = NO_MOVE
        self._optimizers: dict[Optimizer, int] = {}
        self._states: dict[tuple[int, int], dict[str, Any]] = {}
        self._asked = "data"  # how much of what is read next

    @property
    def run(self) -> Run:
        """The run, with all that happened by now.

        Another thread gets it as far as it is written: what is recorded here goes on meanwhile.
        """
        if self._is_over or self._thread == get_ident():
            self._writer.write()
        return self._run

    def end(self) -> None:
        """The recording is over: names that tensors are given from now on are not its own."""
        self._run.release_tensors()
        self._is_over = True

    def observe(self, kind: str, *facts: Any) -> None:
        """Take down one thing that the engine did; what it has no word for is left out."""
        # Most are terms: these are not handed on to a function of their own.
        if kind == "vjp":
            node, slot, cotangent, contribution = facts
            if node.id in self._leaves or node.id not in self._run.tensors:
                self._meet(node, node._data)
                self._meet_all(node.inputs, node.arrays)
            told, scope = self._writer.told.facts, STATE.get().scope
            told.extend((Writer.vjp, node, slot, cotangent, contribution, scope))
        else:
            take = self._takers.get(kind)
            if take is None:
                return
            take(self, *facts)
        if self.budget is not None:  # it may have to let go of something
            self._writer.write()

    # Taking down: each puts the function that writes it, and what that is given

    def _take_forward(
        self,
        output: Tensor,
        op: Op,
        inputs: tuple[Tensor | None, ...],
        arrays: tuple[Any, ...],
        options: Any,
    ) -> None:
        told, tensors = self._writer.told, self._run.tensors
        for x in inputs:
            if x is not None and x.id not in tensors:
                self._meet_all(inputs, arrays, output.id)
                break
        tensors[output.id] = output
        # The calls come first: where Ctrl-C cuts them off no fact says that they are its own.
        calls = told.calls
        line = len(calls)
        self._walk(getframe(_ENGINE), -1, output.scope, calls.append)
        told.facts.extend((Writer.forward, output, op, inputs, arrays, options, line))

    def _take_seed(self, output: Tensor, gradient: Array) -> None:
        self._take_about(Writer.seed, output, gradient)

    def _take_accumulate(self, leaf: Tensor, gradient: Any) -> None:
        self._meet(leaf, leaf._data)
        self._take(Writer.accumulate, leaf.id, gradient, STATE.get().scope)

    def _take_zero(self, leaf: Tensor) -> None:
        self._take_about(Writer.zero, leaf, None)

    def _take_about(self, write: Callable[..., None], tensor: Tensor, value: Array | None) -> None:
        """What the program did with one tensor."""
        self._meet(tensor, tensor._data)
        self._take_line(write, tensor.id, value, STATE.get().scope)

    def _take_update(self, leaf: Tensor, before: Array, after: Array) -> None:
        (of, move), self._move = self._move, NO_MOVE
        node = self._leaf_of(leaf, after)
        made_by = move if of == leaf.id else None
        self._take_line(Writer.update, leaf.id, node, after, made_by, STATE.get().scope)

    def _take_error(self, op: Op, inputs: tuple[Tensor | None, ...], error: Exception) -> None:
        for x in inputs:
            if x is not None:
                self._meet(x, x._data)
        nodes = tuple(None if x is None else self.run.nodes[x.id] for x in inputs)
        for x in nodes:
            if x is not None and x.source is not None:
                error.add_note(f"{self._run.name(x)} {x.shape} was made by {x.op} at {x.source}")
        self._take_line(Writer.refusal, op.name, nodes, str(error), STATE.get().scope)

    def _take_asked(self, tensor: Tensor, kind: str) -> None:
        self._asked = kind

    def _take_read(self, owner: Any, attribute: str) -> None:
        """Python looks at a value; a module's switch is none."""
        asked, self._asked = self._asked, "data"
        if not isinstance(owner, Tensor):
            return
        if attribute != "grad":
            self._take_line(Writer.look, owner.id, asked)
        elif owner._grad is not None:
            self._take(Writer.gradient_taken, owner._grad.id, owner.id, "grad")

    def _take_option(self, tensor: Tensor, array: Array) -> None:
        self._take(Writer.option, tensor.id, array)

    def _take_hook(self, node: Tensor, given: Tensor, replaced: Any) -> None:
        self._take(Writer.gradient_taken, given.id, node.id, "hook")
        id = replaced.id if isinstance(replaced, Tensor) else NO_TENSOR
        self._take_line(Writer.hooked, id, node.id)

    def _take_gradients(self, tensors: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        found = [(gradient.id, x.id) for x, gradient in zip(tensors, gradients, strict=True)]
        self._take(Writer.gradients_found, found)

    def _take_replace(self, leaf: Tensor, gradient: Tensor) -> None:
        self._take_line(Writer.replaced, gradient.id, leaf.id, gradient._data)

    def _take_clip(self, leaves: Sequence[Tensor], rule: str, settings: Mapping[str, Any]) -> None:
        self._take_line(Writer.clipped, tuple([x.id for x in leaves]), rule, settings)

    def _take_step(
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

    def _take_enter(self, module: Any) -> None:
        """A module that no other one calls has the name of its variable."""
        scope = STATE.get().scope
        while scope is not None and isinstance(scope.owner, str):  # tg.scope
            scope = scope.parent
        if scope is None and id(module) not in self._run.owners:
            name = modules_name(module)
            if name is not None:
                self._run.owners[id(module)] = name

    def fail(self, message: str, source: Source | None) -> None:
        """Write down that the program raised."""
        self._take(Writer.failure, None, (), message, STATE.get().scope, source)

    def _take(self, write: Callable[..., None], *facts: Any) -> None:
        self._writer.told.facts.extend((write, *facts))

    def _take_line(self, write: Callable[..., None], *facts: Any) -> None:
        """Take down what the program did itself, in one of its lines."""
        told = self._writer.told
        line = len(told.calls)
        self._walk(getframe(_ENGINE), -1, STATE.get().scope, told.calls.append)
        told.facts.extend((write, *facts, line))

    _takers: ClassVar[dict[str, Callable[..., None]]] = {
        "forward": _take_forward,
        "error": _take_error,
        "seed": _take_seed,
        "accumulate": _take_accumulate,
        "update": _take_update,
        "zero": _take_zero,
        "asked": _take_asked,
        "read": _take_read,
        "option": _take_option,
        "hook": _take_hook,
        "gradients": _take_gradients,
        "replace": _take_replace,
        "clip": _take_clip,
        "step": _take_step,
        "enter": _take_enter,
    }

    # Leaves: what is made outside the recording is one to it at first

    def _meet_all(
        self,
        inputs: tuple[Tensor | None, ...],
        arrays: tuple[Any, ...],
        reader: int = NO_TENSOR,
    ) -> None:
        for slot, (x, array) in enumerate(zip(inputs, arrays, strict=True)):
            if x is not None:
                self._meet(x, array)
                node = self._leaves.get(x.id)
                if reader != NO_TENSOR and node is not None and node.id != x.id:
                    self._meet_again(node, reader, slot)

    def _meet_again(self, leaf: Node, reader: int, slot: int) -> None:
        """An array is read once more: maybe under another one of its names."""
        if leaf.name and leaf.origin is not None and leaf.name.isidentifier():
            said = self._array_names.said(leaf.origin, leaf.name)
            if said != leaf.name:
                leaf.call_also(reader, slot, said)

    def _meet(self, tensor: Tensor, array: Array) -> None:
        """Take down what is given for the first time, under its variable's name."""
        id, run = tensor.id, self._run
        if id not in self._leaves and id not in run.tensors and id not in run.nodes:
            self._take(Writer.leaf, id, self._leaf_of(tensor, array))

    def _leaf_of(self, tensor: Tensor, array: Array) -> Node:
        node = self._leaves[tensor.id] = self._given.leaf(tensor, array, self._named_leaf)
        self._run.tensors.setdefault(node.id, tensor)
        return node

    def _named_leaf(self, tensor: Tensor, array: Array) -> Node:
        """A leaf under its variable's name: of what is trained the program's own, no helper's."""
        name = tensor._name
        if not name and tensor._requires_grad and tensor.op is None:
            name = callers_name(tensor)
        elif not name:
            name, origin = variable_name(tensor), getattr(tensor, "origin", None)
            if name is None and origin is not None:
                name = self._array_names.of(origin, array)
                name = self._array_names.said(origin, name) if name else None
        return leaf_node(tensor, array, name)

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
        self._writer.count_anew()
        kept = {x.id for x in reached(x for event in run.events for x in event.used)}
        for id in [id for id, x in run.nodes.items() if x.id not in kept and not x.is_parameter]:
            run.nodes.pop(id)
            run.tensors.pop(id, None)
            self._leaves.pop(id, None)
