"""The tracer: an observer of the engine that writes down everything that happens, forward and backward."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from ..autograd.op import Op
from ..autograd.scope import STATE, Scope, observed
from ..autograd.tensor import Array, Tensor
from ..errors import TraceError
from .graph import Graph, Node, leaf_node
from .source import Source, assigned_name, variable_name

EventKind = Literal["forward", "seed", "vjp", "accumulate", "update", "zero", "error"]


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """One thing that happened. Values are kept by reference: arrays of a graph are never written into.

    Kinds: "forward" (`op` made `node`), "seed" (a backward pass starts at `node`), "vjp" (`of` handed a term of its
    cotangent to its input `slot`, which is `node`), "accumulate" (a term was added to `node`'s grad), "update" (`node`
    was bound to new data), "zero" (`node`'s grad was cleared), "error" (`op` refused its inputs; `node` is None).
    """

    index: int
    kind: EventKind
    op: str | None
    node: Node | None
    inputs: "tuple[Node | None, ...]" = ()
    value: Array | None = None  # the array this event wrote; None for a vjp term that was summed with others later
    of: Node | None = None
    slot: int | None = None
    scope: Scope | None = None
    source: Source | None = None
    message: str | None = None  # of an error


class Trace:
    """A recorded run: `events` in order, and the graphs they make. Opened by `trace()`."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._nodes: dict[int, Node] = {}  # tensor id -> its newest node
        self._names: dict[int, str] = {}  # what the user named, by tensor id
        self._tensors: dict[int, Tensor] = {}  # while recording: a name may be given after the event
        self._gradients: dict[int, Array] = {}

    def graph(self) -> Graph:
        """The last graph that reached `backward()`, else that of the last output.

        Raises:
            TraceError: nothing was computed.
        """
        for kind in ("seed", "forward"):
            for event in reversed(self.events):
                if event.kind == kind and event.node is not None:
                    names = self._given_names()
                    named = [self._nodes[id] for id in names if id in self._nodes]
                    return Graph.leading_to(event.node, names, named, self._gradients)
        raise TraceError("nothing was recorded: no op of tinygrad_rnn ran inside the trace")

    def _given_names(self) -> dict[int, str]:
        return self._names | {id: tensor.name for id, tensor in self._tensors.items() if tensor.name}

    def close(self) -> None:
        """End the recording: read the names that tensors have by now, and let go of the tensors."""
        self._names = self._given_names()
        self._tensors.clear()

    def name(self, node: Node) -> str:
        """What the user calls a tensor: its `.name`, else the variable its line assigns, else "op#id"."""
        tensor = self._tensors.get(node.id)
        given = tensor.name if tensor is not None else self._names.get(node.id)
        assigned = assigned_name(node.source) if node.source is not None else None
        return given or node.name or assigned or f"{node.op or 'leaf'}#{node.id}"

    def __repr__(self) -> str:
        kinds = [event.kind for event in self.events]
        counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
        return f"<trace of {len(self.events)} events{': ' if counts else ''}{counts}>"

    # What the engine reports

    def observe(self, kind: EventKind, *facts: Any) -> None:
        getattr(self, f"_on_{kind}")(*facts)

    def _write(self, kind: EventKind, node: Node | None, **facts: Any) -> None:
        scope = STATE.get().scope
        self.events.append(Event(len(self.events), kind, facts.pop("op", None), node, scope=scope, **facts))

    def _on_forward(
        self, output: Tensor, op: Op, inputs: "tuple[Tensor | None, ...]", arrays: tuple[Any, ...], options: Any
    ) -> None:
        source = Source.of_caller()
        nodes = tuple(self._node(x, array) for x, array in zip(inputs, arrays, strict=True))
        node = Node(
            id=output.id,
            op=op.name,
            inputs=nodes,
            operands=arrays,
            data=output.data,
            name=None,
            requires_grad=output.requires_grad,
            options=options,
            scope=output.scope,
            source=source,
            rule=op,
        )
        self._nodes[output.id] = node
        self._tensors[output.id] = output
        self._write("forward", node, op=op.name, inputs=nodes, value=output.data, source=source)

    def _on_error(self, op: Op, inputs: "tuple[Tensor | None, ...]", error: Exception) -> None:
        nodes = tuple(self._node(x, None if x is None else x.data) for x in inputs)
        for x in nodes:
            if x is not None and x.source is not None:
                error.add_note(f"{self.name(x)} {x.shape} was made by {x.op} at {x.source}")
        self._write("error", None, op=op.name, inputs=nodes, source=Source.of_caller(), message=str(error))

    def _on_seed(self, output: Tensor, gradient: Array) -> None:
        node = self._node(output, output.data)
        self._gradients = {output.id: gradient}
        self._write("seed", node, value=gradient, source=Source.of_caller())

    def _on_vjp(self, node: Tensor, slot: int, cotangent: Any, contribution: Any) -> None:
        of, receiver = self._node(node, node.data), node.inputs[slot]
        assert of is not None
        assert receiver is not None
        self._gradients[node.id] = _array(cotangent)
        value = None if contribution is None else _array(contribution)
        self._write("vjp", self._node(receiver, node.arrays[slot]), op=of.op, value=value, of=of, slot=slot)

    def _on_accumulate(self, leaf: Tensor, gradient: Array) -> None:
        self._gradients[leaf.id] = gradient
        self._write("accumulate", self._node(leaf, leaf.data), value=gradient)

    def _on_update(self, leaf: Tensor, before: Array, after: Array) -> None:
        self._nodes.pop(leaf.id, None)
        self._write("update", self._node(leaf, after), value=after, source=Source.of_caller())

    def _on_zero(self, leaf: Tensor) -> None:
        self._write("zero", self._node(leaf, leaf.data), source=Source.of_caller())

    def _node(self, tensor: Tensor | None, array: Any) -> Node | None:
        """The node of a tensor; one that was made outside the trace is a leaf to it."""
        if tensor is None:
            return None
        node = self._nodes.get(tensor.id)
        if node is None:
            node = self._nodes[tensor.id] = leaf_node(tensor, array, variable_name(tensor))
            self._tensors[tensor.id] = tensor
        return node


def _array(value: Any) -> Array:
    return value.data if isinstance(value, Tensor) else value


@contextmanager
def trace() -> Generator[Trace, None, None]:
    """Record everything that is computed in a block, forward and backward.

    >>> import tinygrad_rnn as tg
    >>> with tg.trace() as tr:
    ...     x = tg.tensor(3.0, requires_grad=True)
    ...     (x * x).backward()
    >>> [event.kind for event in tr.events]
    ['forward', 'seed', 'vjp', 'vjp', 'accumulate']
    """
    recorded = Trace()
    try:
        with observed(recorded.observe):
            yield recorded
    finally:
        recorded.close()
