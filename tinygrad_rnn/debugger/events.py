"""What the debugger asks of one event, wherever the cursor is."""

from typing import Any

import numpy as np

from ..autograd.state import Scope
from ..autograd.tensor import Array
from ..errors import TraceError
from ..tracing.questions.queries import GRADIENT, Queries
from ..tracing.recording.event import Event, Failure, Forward, Seed, Update, Vjp
from ..tracing.recording.graph import Node
from ..tracing.recording.source import Source
from .expressions import Gate, Lookup

OPERANDS = ("A", "B", "C")
# What a name means at an event alone; those of updates only where the run has no such name.
OWN = ("out", "G", *OPERANDS)
OF_UPDATES = ("before", "change")
_PHASES = {
    "seed": "backward",
    "vjp": "backward",
    "accumulate": "backward",
    "update": "update",
    "zero": "update",
}


def phase_of(event: Event) -> str:
    """Forward, backward or update; an error counts as forward."""
    return _PHASES.get(event.kind, "forward")


def node_of(event: Event) -> Node | None:
    """The node whose formula an event evaluates; for a vjp, the one that hands its cotangent on."""
    return None if isinstance(event, Failure) else event.subject


def computed_by(event: Event) -> Node | None:
    """The node whose op ran, forward or backward; None where no op did."""
    return event.subject if isinstance(event, Forward | Vjp) else None


def scope_of(event: Event) -> Scope | None:
    """The innermost call around an event; a vjp belongs to that of its forward."""
    return event.of.scope if isinstance(event, Vjp) else event.scope


def calls_of(event: Event) -> tuple[Scope, ...]:
    """The calls around an event, the outermost first."""
    scope = scope_of(event)
    return () if scope is None else scope.chain()


def source_of(event: Event) -> Source | None:
    """The line that an event comes from; for a vjp, the line of its forward."""
    node = node_of(event)
    if event.source is None and node is not None:
        return node.source
    return event.source


def module_paths(event: Event) -> list[str]:
    """The calls around an event, each as a dotted path, by its last part, and by its class."""
    calls = calls_of(event)
    names = [call.name for call in calls]
    paths = [".".join(names[: i + 1]) for i in range(len(names))]
    classes = [type(call.owner).__name__ for call in calls if not isinstance(call.owner, str)]
    return paths + names + classes


def name_written(queries: Queries, event: Event) -> str | None:
    """What an event writes, as expressions call it: "h@3", "d.h@3"."""
    if isinstance(event, Failure):
        return None
    if isinstance(event, Vjp):
        return GRADIENT + queries.names.in_formula(event.output, event.of)
    name = queries.names.of(event.output)
    return name if isinstance(event, Forward | Update) else GRADIENT + name


def lookup(queries: Queries, at: int) -> Lookup:
    """What names mean after event `at`: out, G, A, B and C are the event's, others the run's."""
    event = queries.run.events[at]

    def value(name: str) -> Array:
        if name not in OWN and (name not in OF_UPDATES or name in queries.names):
            found = queries.value(name, at)
            if name.startswith(GRADIENT):
                return found
            return _as_gate(queries.find(name, at).node, found)
        found = _own_value(queries, event, name)
        if found is None:
            yours = f"; your own {name} is my.{name}" if name in queries.names else ""
            raise TraceError(f"event {at} ({event.kind}) has no {name}{yours}")
        return found

    return value


def _as_gate(node: Node | None, value: Array) -> Array:
    """A value that a sigmoid made, perhaps moved since, as one of which `sat` knows the range."""
    while node is not None and node.kind == "move":
        node = next(iter(node.tensors()), None)
    is_gate = node is not None and node.op == "sigmoid"
    return value.view(Gate) if is_gate else value


def _own_value(queries: Queries, event: Event, name: str) -> Any:
    """The value of out, G, A, B or C at an event; None where it has none."""
    if name == "out":
        written = queries.written_by(event)
        if written is None or not isinstance(event, Forward):
            return written
        return _as_gate(event.output, written)
    if name == "G":
        return _cotangent(event)
    if isinstance(event, Update):
        return _of_update(queries, event, name)
    if name in OF_UPDATES:
        return None
    node, slot = computed_by(event), OPERANDS.index(name)
    if node is None or slot >= len(node.operands):
        return None
    operand = node.operands[slot]
    return _as_gate(node.inputs[slot], operand) if isinstance(operand, np.ndarray) else operand


def _of_update(queries: Queries, event: Update, name: str) -> Array | None:
    """What the leaf was before, which A is too, and by how much it changed."""
    before, after = queries.before(event), event.value
    if name in ("before", "A"):
        return before
    if name != "change" or before is None or after is None or before.shape != after.shape:
        return None
    return np.asarray(after - before)


def _cotangent(event: Event) -> Array | None:
    match event:
        case Vjp():
            return event.cotangent
        case Seed():
            return event.value
        case _:
            return None
