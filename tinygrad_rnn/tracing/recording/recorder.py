"""The recorder: an observer of the engine that writes down what happens, forward and backward."""

# The `data` of a tensor tells observers that it is read, and this is one of them.
# pyright: reportPrivateUsage=false

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ...autograd.op import Op
from ...autograd.state import STATE
from ...autograd.tensor import Array, Tensor
from .budget import Budget
from .event import Accumulate, Event, Failure, Forward, Places, Seed, Update, Vjp, Zero
from .graph import Node, leaf_node, reached
from .run import Run
from .source import Source, Sources, variable_name


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
        self._about(Seed, self._node(output, output._data), gradient, self._sources.of_caller())

    def _accumulate(self, leaf: Tensor, gradient: Any) -> None:
        self._about(Accumulate, self._node(leaf, leaf._data), _array(gradient), None)

    def _update(self, leaf: Tensor, before: Array, after: Array) -> None:
        self.run.nodes.pop(leaf.id, None)
        self._about(Update, self._node(leaf, after), after, self._sources.of_caller())

    def _zero(self, leaf: Tensor) -> None:
        self._about(Zero, self._node(leaf, leaf._data), None, self._sources.of_caller())

    def _about(
        self,
        kind: type[Seed | Accumulate | Update | Zero],
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

    def forget(self, keep_last: int) -> None:
        """Drop all but the last events: they begin the recording."""
        run = self.run
        run.events[:] = run.events[-keep_last:]
        for index, event in enumerate(run.events):
            event.index = index
        run.printed.clear()
        if self.budget is not None:
            self.budget.restart(run.events)
            run.gone = self.budget.gone
        kept = {x.id for x in reached(x for event in run.events for x in event.used)}
        for id in [id for id, x in run.nodes.items() if id not in kept and not x.is_parameter]:
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
            node = leaf_node(tensor, array, variable_name(tensor))
            self.run.nodes[tensor.id], self.run.tensors[tensor.id] = node, tensor
        elif self.budget is not None and node.is_gone:
            self.budget.revive(node, array)
        return node

    def _complete(self, node: Node, tensor: Tensor) -> None:
        """Say how a tensor from before the recording was made: its op hands its gradient on."""
        if self.budget is not None and node.is_gone:
            self.budget.revive(node, tensor._data)
        held = len(node.arrays)
        inputs = self._inputs(tensor.inputs, tensor.arrays)
        node.complete(tensor.op, inputs, tensor.arrays, tensor.options)
        if self.budget is not None:
            self.budget.completed(node, held)

    _writers: ClassVar[dict[str, Callable[..., None]]] = {
        "forward": _forward,
        "error": _error,
        "seed": _seed,
        "vjp": _vjp,
        "accumulate": _accumulate,
        "update": _update,
        "zero": _zero,
    }


def _array(value: Any) -> Any:
    """A gradient's array, which from now on nobody may write into.

    In a recorded backward pass gradients are Tensors; a term that is summed later is None.
    """
    if isinstance(value, Tensor):
        return value._data
    if value is None:
        return None
    array: Array = np.asarray(value)
    array.flags.writeable = False
    return array
