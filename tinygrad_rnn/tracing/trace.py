"""The tracer: an observer of the engine that writes down everything that happens, forward and backward."""

import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from ..autograd.op import Op
from ..autograd.state import STATE, observed
from ..autograd.tensor import Array, Tensor
from ..errors import TraceError
from .recording.budget import Budget, memory_of
from .recording.event import Accumulate, Event, Failure, Forward, Seed, Update, Vjp, Zero
from .recording.graph import Graph, Node, collector_paused, leaf_node, reached
from .recording.held import Memory, parse_size
from .recording.source import Source, Sources, variable_name

if TYPE_CHECKING:
    from .questions.names import Place
    from .questions.queries import Difference, Ledger, Queries
    from .questions.why import Explainer, OriginStep, Why


class Trace:
    """A recorded run: `events` in order, and the graphs they make. Opened by `trace()`.

    Args:
        limit: bytes of arrays that it may hold; None for as many as there are.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.events: list[Event] = []
        self.printed: dict[
            int, str
        ] = {}  # what the program printed after an event, where a script was run
        self.limit = limit
        self._nodes: dict[int, Node] = {}  # tensor id -> its newest node
        self._names: dict[int, str] = {}  # what the user named, by tensor id
        self._tensors: dict[
            int, Tensor
        ] = {}  # while recording: a name may be given after the event
        self._budget = (
            None
            if limit is None
            else Budget(limit, partial(_keep_name, self._names, self._tensors))
        )
        self._sources = Sources()
        self.reference: ref[Trace] = ref(self)  # for its events, which are no reason for it to live
        self._explainer: Explainer | None = None  # of the run as long as it was when last asked
        self._asked_at = 0
        self._gone = 0  # bytes
        self._was_loaded = False

    def graph(self) -> Graph:
        """The last graph that reached `backward()`, else that of the last output.

        Raises:
            TraceError: nothing was computed.
        """
        seed = next((event for event in reversed(self.events) if isinstance(event, Seed)), None)
        last = seed or next(
            (event for event in reversed(self.events) if isinstance(event, Forward)), None
        )
        if last is not None:
            gradients = Gradients(self.events[seed.index :] if seed else ())
            return Graph.leading_to(
                last.output, self._nodes.values(), self.given_names(), gradients
            )
        raise TraceError(
            "nothing was recorded: no op of tinygrad_rnn ran (what other threads compute is not recorded)"
        )

    def given_names(self) -> dict[int, str]:
        """The names that tensors have by now, by their ids."""
        return self._names | {
            id: tensor.name for id, tensor in self._tensors.items() if tensor.name
        }

    def close(self) -> None:
        """End the recording: read the names that tensors have by now, and let go of the tensors."""
        self._names |= self.given_names()
        self._tensors.clear()

    def name(self, node: Node) -> str:
        """What the user calls a tensor: its `.name`, else the variable its line assigns, else "op#id"."""
        tensor = self._tensors.get(node.id)
        given = tensor.name if tensor is not None else self._names.get(node.id)
        return given or node.given_name or f"{node.op or 'leaf'}#{node.id}"

    def __repr__(self) -> str:
        kinds = [event.kind for event in self.events]
        counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
        return f"<trace of {len(self.events)} events{': ' if counts else ''}{counts}>"

    # Asking: `at` is the event after which the question is asked, by default the last

    @property
    def explainer(self) -> "Explainer":
        """What answers questions about the run, as far as it was recorded by now."""
        from .questions.queries import Queries
        from .questions.why import Explainer

        if self._explainer is None or self._asked_at != len(self.events):
            self._explainer, self._asked_at = Explainer(Queries(self)), len(self.events)
        return self._explainer

    @property
    def queries(self) -> "Queries":
        return self.explainer.queries

    @collector_paused()
    def memory(self) -> Memory:
        """What the recording holds; `str()` is one phrase.

        >>> import tinygrad_rnn as tg
        >>> with tg.trace() as tr:
        ...     _ = tg.ops.tanh(tg.tensor([0.5] * 128))
        >>> print(tr.memory())
        1 events · 2 KiB held · 0 recomputable · 0 gone
        """
        return memory_of(self.events, self._gone if self._budget is None else self._budget.gone)

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

    def origin(
        self, name: str, index: Sequence[int] = (), at: int | None = None
    ) -> "list[OriginStep]":
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
            if self._was_loaded:
                raise TraceError(
                    "ledger: a loaded run knows its parameters by name, not this program's tensors"
                )
            node = next((x for x in self.queries.names.places if x.id == parameter.id), None)
            if node is None:
                raise TraceError("this tensor is not in this run")
            parameter = self.queries.names.of(node)
        return self.queries.ledger(parameter, self._moment(at))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the run to a file, whole or not at all: events, values, and the lines of source that are shown.

        Args:
            path: where; `.tgtrace` is the usual ending, which `tinygrad-rnn debug` and `draw` take.
                `load_trace` reads it.

        Raises:
            TraceError: it cannot be written; what was there before is then still there.
        """
        from .file.saving import save

        save(self, path)

    def restore(
        self,
        events: list[Event],
        nodes: Sequence[Node],
        names: dict[int, str],
        printed: dict[int, str],
        gone: int,
    ) -> None:
        """Be the run that a file holds."""
        self.events, self.printed, self._names, self._gone = events, printed, names, gone
        self._nodes = {node.id: node for node in nodes}
        self._budget, self._was_loaded = None, True

    def debug(self) -> None:
        """Open the debugger on this run; return when the person leaves it.

        Raises:
            TraceError: nothing was recorded.
        """
        from ..debugger.start import debug_trace

        debug_trace(self)

    # What the engine reports

    def place_of(self, event: Event) -> "Place | None":
        """The copy that an event belongs to."""
        return self.queries.here(event)

    def observe(self, kind: str, *facts: Any) -> None:
        record = _RECORDERS.get(kind)
        if record is not None:
            record(self, *facts)

    def _write(self, event: Event) -> None:
        self.events.append(event)
        if self._budget is not None:
            self._budget.add(event)

    def _on_forward(
        self,
        output: Tensor,
        op: Op,
        inputs: "tuple[Tensor | None, ...]",
        arrays: tuple[Any, ...],
        options: Any,
    ) -> None:
        nodes = self._inputs(inputs, arrays)
        id, scope, data, source = output.id, output.scope, output.data, self._sources.of_caller()
        node = Node(
            id, op.name, nodes, arrays, data, None, output.requires_grad, options, scope, source, op
        )
        self._nodes[id], self._tensors[id] = node, output
        self._write(Forward(len(self.events), scope, source, self.reference, data, node))

    def _on_error(self, op: Op, inputs: "tuple[Tensor | None, ...]", error: Exception) -> None:
        nodes = tuple(None if x is None else self._node(x, x.data) for x in inputs)
        for x in nodes:
            if x is not None and x.source is not None:
                error.add_note(f"{self.name(x)} {x.shape} was made by {x.op} at {x.source}")
        self._write(self._failure(op.name, nodes, str(error), self._sources.of_caller()))

    def fail(self, message: str, source: Source | None) -> None:
        """Write down that the program raised."""
        self._write(self._failure(None, (), message, source))

    def _failure(
        self, op: str | None, inputs: "tuple[Node | None, ...]", message: str, source: Source | None
    ) -> Failure:
        scope = STATE.get().scope
        return Failure(len(self.events), scope, source, self.reference, None, op, inputs, message)

    def forget(self, keep_last: int) -> None:
        """Drop all but the last events: they begin the recording."""
        self.events[:] = self.events[-keep_last:]
        for index, event in enumerate(self.events):
            event.index = index
        self.printed.clear()
        if self._budget is not None:
            self._budget.restart(self.events)
        kept = {x.id for x in reached(x for event in self.events for x in event.used)}
        for id in [id for id, x in self._nodes.items() if id not in kept and not x.is_parameter]:
            self._nodes.pop(id)
            self._tensors.pop(id, None)

    def _on_seed(self, output: Tensor, gradient: Array) -> None:
        self._about(Seed, self._node(output, output.data), gradient, self._sources.of_caller())

    def _on_vjp(self, node: Tensor, slot: int, cotangent: Any, contribution: Any) -> None:
        of = self._nodes.get(node.id) or self._node(node, node.data)
        if of.rule is None:
            self._complete(of, node)
        elif self._budget is not None and of.is_gone:
            self._budget.revive(of, node.data, node.arrays)
        receiver = node.inputs[slot]
        assert receiver is not None
        output = self._nodes.get(receiver.id) or self._node(receiver, node.arrays[slot])
        g = cotangent.data if isinstance(cotangent, Tensor) else cotangent
        term = contribution.data if isinstance(contribution, Tensor) else contribution
        scope = STATE.get().scope
        self._write(Vjp(len(self.events), scope, None, self.reference, term, output, of, slot, g))

    def _on_accumulate(self, leaf: Tensor, gradient: Any) -> None:
        g = gradient.data if isinstance(gradient, Tensor) else gradient
        self._about(Accumulate, self._node(leaf, leaf.data), g, None)

    def _on_update(self, leaf: Tensor, before: Array, after: Array) -> None:
        self._nodes.pop(leaf.id, None)
        self._about(Update, self._node(leaf, after), after, self._sources.of_caller())

    def _on_zero(self, leaf: Tensor) -> None:
        self._about(Zero, self._node(leaf, leaf.data), None, self._sources.of_caller())

    def _about(
        self,
        kind: type[Seed | Accumulate | Update | Zero],
        node: Node,
        value: Array | None,
        source: Source | None,
    ) -> None:
        """Write down what happened to one tensor."""
        scope = STATE.get().scope
        self._write(kind(len(self.events), scope, source, self.reference, value, node))

    def _inputs(
        self, inputs: "tuple[Tensor | None, ...]", arrays: tuple[Any, ...]
    ) -> "tuple[Node | None, ...]":
        if self._budget is None:
            try:
                return tuple([None if x is None else self._nodes[x.id] for x in inputs])
            except KeyError:
                pass
        return tuple(
            [None if x is None else self._node(x, a) for x, a in zip(inputs, arrays, strict=True)]
        )

    def _node(self, tensor: Tensor, array: Array) -> Node:
        """The node of a tensor; one that was made outside the trace is a leaf to it at first."""
        node = self._nodes.get(tensor.id)
        if node is None:
            node = self._nodes[tensor.id] = leaf_node(tensor, array, variable_name(tensor))
            self._tensors[tensor.id] = tensor
        elif self._budget is not None and node.is_gone:
            self._budget.revive(node, array)
        return node

    def _complete(self, node: Node, tensor: Tensor) -> None:
        """A tensor that was made outside the trace, now that its op hands its gradient on."""
        if self._budget is not None and node.is_gone:
            self._budget.revive(node, tensor.data)
        held = len(node.arrays)
        node.complete(
            tensor.op, self._inputs(tensor.inputs, tensor.arrays), tensor.arrays, tensor.options
        )
        if self._budget is not None:
            self._budget.completed(node, held)


_RECORDERS: dict[str, Callable[..., None]] = {
    "forward": Trace._on_forward,  # pyright: ignore[reportPrivateUsage]
    "error": Trace._on_error,  # pyright: ignore[reportPrivateUsage]
    "seed": Trace._on_seed,  # pyright: ignore[reportPrivateUsage]
    "vjp": Trace._on_vjp,  # pyright: ignore[reportPrivateUsage]
    "accumulate": Trace._on_accumulate,  # pyright: ignore[reportPrivateUsage]
    "update": Trace._on_update,  # pyright: ignore[reportPrivateUsage]
    "zero": Trace._on_zero,  # pyright: ignore[reportPrivateUsage]
}


def _keep_name(names: dict[int, str], tensors: dict[int, Tensor], node: Node) -> None:
    """Let go of the tensor of a node, which holds the node's arrays as well; its name stays."""
    tensor = tensors.pop(node.id, None)
    if tensor is not None and tensor.name:
        names[node.id] = tensor.name


class Gradients(Mapping[int, Array]):
    """∂L/∂node of a backward pass, by node id; a gradient that is gone is there, but raises a TraceError.

    Args:
        events: of the pass, its seed first; they are read when the first gradient is asked for.
    """

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events

    def __getitem__(self, id: int) -> Array:
        event = self._written[id]
        array = event.cotangent if isinstance(event, Vjp) else event.value
        assert array is not None
        return array

    def __contains__(self, id: object) -> bool:
        return id in self._written

    def __iter__(self) -> Iterator[int]:
        return iter(self._written)

    def __len__(self) -> int:
        return len(self._written)

    def __bool__(self) -> bool:
        return bool(self._events)

    @cached_property
    def _written(self) -> dict[int, Vjp | Seed | Accumulate]:
        """The last event that has the whole gradient of each node."""
        written: dict[int, Vjp | Seed | Accumulate] = {}
        for event in self._events:
            match event:
                case Vjp(of=node) | Seed(output=node) | Accumulate(output=node):
                    written[node.id] = event
                case _:
                    pass
        return written


@contextmanager
def trace(max_memory: int | str | None = None) -> Generator[Trace, None, None]:
    """Record everything that is computed in a block, forward and backward.

    Args:
        max_memory: how much the recorded arrays may take: bytes, or "256M" or "1G". Above it the
            recording lets go of terms that can be computed again exactly, then of what the oldest
            events alone need; a question about a value that is gone says so. None keeps everything.

    Raises:
        TraceError: `max_memory` is no such size.

    >>> import tinygrad_rnn as tg
    >>> with tg.trace() as tr:
    ...     x = tg.tensor(3.0, requires_grad=True)
    ...     (x * x).backward()
    >>> [event.kind for event in tr.events]
    ['forward', 'seed', 'vjp', 'vjp', 'accumulate']
    """
    recorded = Trace(None if max_memory is None else parse_size(max_memory))
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
