"""The tracer: an observer of the engine that writes down everything that happens, forward and backward."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal
from weakref import ref

import numpy as np

from ..autograd.op import Op
from ..autograd.scope import STATE, Scope, observed
from ..autograd.tensor import Array, Tensor
from ..errors import TraceError
from .graph import Graph, Node, leaf_node
from .memory import Memory
from .source import Source, assigned_name, variable_name

if TYPE_CHECKING:
    from .explain import Explainer, OriginStep, Why
    from .queries import Difference, Ledger, Queries

EventKind = Literal["forward", "seed", "vjp", "accumulate", "update", "zero", "error"]


@dataclass(frozen=True, slots=True)
class Stats:
    """An array in a few numbers; of the finite values where there are others."""

    shape: tuple[int, ...]
    low: float
    high: float
    mean: float
    norm: float
    nans: int
    infs: int

    @classmethod
    def of(cls, array: Array) -> "Stats":
        with np.errstate(all="ignore"):
            norm = float(np.linalg.norm(array.astype(np.float64)))
            nans, infs = int(np.isnan(array).sum()), int(np.isinf(array).sum())
            finite = array[np.isfinite(array)] if nans or infs else array
            if not finite.size:
                return cls(array.shape, np.nan, np.nan, np.nan, norm, nans, infs)
            return cls(array.shape, float(finite.min()), float(finite.max()), float(finite.mean()), norm, nans, infs)


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """One thing that happened. Values are kept by reference: arrays of a graph are never written into.

    Kinds: "forward" (`op` made `output`), "seed" (a backward pass starts at `output`), "vjp" (`of` handed a term of its
    cotangent to its input `slot`, which is `output`), "accumulate" (`value` was added to `output`'s grad), "update"
    (`output` was bound to new data), "zero" (`output`'s grad was cleared), "error" (`op` refused its inputs, or the
    program raised; `output` is None).
    """

    index: int
    kind: EventKind
    op: str | None
    output: Node | None
    inputs: "tuple[Node | None, ...]" = ()
    value: Array | None = None  # the array this event wrote; None for a vjp term that was summed with others later
    of: Node | None = None
    cotangent: Array | None = None  # of a vjp: ∂L/∂of, which the term was made from
    slot: int | None = None
    scope: Scope | None = None
    source: Source | None = None
    message: str | None = None  # of an error
    run: "ref[Trace] | None" = field(default=None, repr=False)

    @property
    def saved(self) -> tuple[Any, ...]:
        """What it was computed from: the operands, and for a vjp ∂L/∂of and `of` before them."""
        if self.kind == "vjp" and self.of is not None:
            return (self.cotangent, self.of.data, *self.of.operands)
        return self.output.operands if self.kind == "forward" and self.output is not None else ()

    @property
    def copy(self) -> int | None:
        """The timestep: which call of its copies it belongs to."""
        place = self._place()
        return place.t if place is not None else None

    @property
    def layer(self) -> int | None:
        """The row of its copies, 0 at the bottom."""
        place = self._place()
        return place.layer if place is not None else None

    def _place(self) -> Any:
        trace = self.run() if self.run is not None else None
        return trace.queries.here(self) if trace is not None else None

    @property
    def stats(self) -> Stats | None:
        """The array it wrote in a few numbers; None where it wrote none of its own."""
        return Stats.of(self.value) if self.value is not None else None


class Trace:
    """A recorded run: `events` in order, and the graphs they make. Opened by `trace()`."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.printed: dict[int, str] = {}  # what the program printed after an event, where a script was run
        self._nodes: dict[int, Node] = {}  # tensor id -> its newest node
        self._names: dict[int, str] = {}  # what the user named, by tensor id
        self._tensors: dict[int, Tensor] = {}  # while recording: a name may be given after the event
        self._gradients: dict[int, Array] = {}
        self._self: ref[Trace] | None = ref(self)
        self._explainer: Explainer | None = None  # of the run as long as it was when last asked
        self._asked_at = 0

    def graph(self) -> Graph:
        """The last graph that reached `backward()`, else that of the last output.

        Raises:
            TraceError: nothing was computed.
        """
        for kind in ("seed", "forward"):
            for event in reversed(self.events):
                if event.kind == kind and event.output is not None:
                    names = self._given_names()
                    named = [self._nodes[id] for id in names if id in self._nodes]
                    return Graph.leading_to(event.output, names, named, self._gradients)
        raise TraceError("nothing was recorded: no op of tinygrad_rnn ran (what other threads compute is not recorded)")

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

    # Asking: `at` is the event after which the question is asked, by default the last

    @property
    def explainer(self) -> "Explainer":
        """What answers questions about the run, as far as it was recorded by now."""
        from .explain import Explainer
        from .queries import Queries

        if self._explainer is None or self._asked_at != len(self.events):
            self._explainer, self._asked_at = Explainer(Queries(self)), len(self.events)
        return self._explainer

    @property
    def queries(self) -> "Queries":
        return self.explainer.queries

    def memory(self) -> Memory:
        """What the recording holds."""
        return Memory.of(self.events)

    def _moment(self, at: int | None) -> int:
        return len(self.events) - 1 if at is None else at

    def why(self, name: str, index: Sequence[int] = (), at: int | None = None) -> "Why":
        """Why one element is what it is: the rule that made it, with its numbers.

        Args:
            name: "h@3" (h at timestep 3), "W_hh", or "d.h@3" for ∂L/∂h@3.
            index: of the element: (0, 2).
            at: the event after which the question is asked; the last when left out.

        Raises:
            TraceError: there is no such name or element, or it is not written yet.

        >>> import tinygrad_rnn as tg
        >>> with tg.trace() as tr:
        ...     z = tg.tensor(0.5, requires_grad=True, name="z")
        ...     h = tg.ops.tanh(z)
        ...     h.name = "h"
        ...     h.backward()
        >>> print(tr.why("d.z"))
        x̄ = ȳ (1 - y²)
        ∂L/∂z = ∂L/∂h · (1 - h²)
        ∂L/∂z = +1 · (1 - (+0.4621)²)
              = +1 · +0.7864
              = +0.786448
        """
        return self.explainer.why(name, tuple(index), self._moment(at))

    def origin(self, name: str, index: Sequence[int] = (), at: int | None = None) -> "list[OriginStep]":
        """Follow the largest contribution to one element back, to data or, for a gradient, to the loss.

        Arguments and errors are those of `why`.
        """
        return self.explainer.origin(name, tuple(index), self._moment(at))

    def last(self, name: str, at: int | None = None) -> Event | None:
        """The event that wrote `name` last; None before the first.

        Raises:
            TraceError: there is no such name.
        """
        index = self.queries.last(name, self._moment(at))
        return None if index is None else self.events[index]

    def next(self, name: str, at: int = -1) -> Event | None:
        """The first event after `at` that writes `name`; by default the first of all.

        Raises:
            TraceError: there is no such name.
        """
        index = self.queries.next(name, at)
        return None if index is None else self.events[index]

    def diff(self, name: str, i: int, j: int, at: int | None = None) -> "Difference":
        """`name` at timesteps i and j, side by side.

        Raises:
            TraceError: one is not there, or the shapes differ.
        """
        return self.queries.diff(name, i, j, self._moment(at))

    def ledger(self, parameter: str | Tensor, at: int | None = None) -> "Ledger":
        """What each use of a parameter added to its gradient, in the last backward pass.

        Args:
            parameter: its name, "W_hh", or the Tensor itself.
            at: the event after which the question is asked; the last when left out.

        Raises:
            TraceError: there is no such parameter in this run, or no gradient reached it.
        """
        if isinstance(parameter, Tensor):
            node = next((x for x in self.queries.names.places if x.id == parameter.id), None)
            if node is None:
                raise TraceError("this tensor is not in this run")
            parameter = self.queries.names.of(node)
        return self.queries.ledger(parameter, self._moment(at))

    def debug(self) -> None:
        """Open the debugger on this run; return when the person leaves it.

        Raises:
            TraceError: nothing was recorded.
        """
        from ..debugger.start import debug_trace

        debug_trace(self)

    # What the engine reports

    def observe(self, kind: EventKind, *facts: Any) -> None:
        getattr(self, f"_on_{kind}")(*facts)

    def _write(self, kind: EventKind, output: Node | None, **facts: Any) -> None:
        scope = STATE.get().scope
        facts |= {"scope": scope, "run": self._self}
        self.events.append(Event(len(self.events), kind, facts.pop("op", None), output, **facts))

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

    def fail(self, message: str, source: Source | None) -> None:
        """Write down that the program raised."""
        self._write("error", None, source=source, message=message)

    def forget(self, keep_last: int) -> None:
        """Drop all but the last events: they begin the recording."""
        self.events = [replace(event, index=i) for i, event in enumerate(self.events[-keep_last:])]
        self.printed.clear()

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
        output = self._node(receiver, node.arrays[slot])
        self._write("vjp", output, op=of.op, value=value, of=of, cotangent=_array(cotangent), slot=slot)

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


def breakpoint() -> None:
    """Open the debugger on what the innermost open trace has recorded so far, at its last event; then go on.

    Raises:
        TraceError: no trace is open, or nothing was recorded yet.
    """
    owners = (getattr(observer, "__self__", None) for observer in reversed(STATE.get().observers))
    recorded = next((owner for owner in owners if isinstance(owner, Trace)), None)
    if recorded is None:
        raise TraceError("breakpoint: no trace is open: put the code under `with tg.trace():`")
    from ..debugger.start import debug_trace

    debug_trace(recorded, len(recorded.events) - 1)
