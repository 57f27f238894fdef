"""A run as training: one row a step, and one row a parameter of a backward pass."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt

import numpy as np

from ...autograd.switches import quietly
from ...autograd.tensor import Array
from ...errors import TraceError
from ..recording.event import Accumulate, Event, Forward, Seed, Update
from ..recording.graph import Node
from .queries import Queries


@dataclass(frozen=True, slots=True)
class StepRow:
    """One training step; None for what is gone, or was not there."""

    step: int
    first: int  # its events
    last: int
    loss: float | None  # what its last backward pass started at, where that is one number
    gradient: float | None  # the norm of all that its passes added to .grad, before any clipping
    change: float | None  # ‖Δw‖ / ‖w‖ of all parameters that were updated
    optimizer: str  # "Adam lr=0.005", as its updates were made; "" without one of ours


@dataclass(frozen=True, slots=True)
class GradientRow:
    """What the passes of a training step brought to one parameter."""

    name: str  # as its module has it
    shape: tuple[int, ...]
    norm: float | None  # of .grad, or of what has arrived so far; None where nothing has
    uses: int  # ops of the step that read it, so far
    contributed: int  # terms that came back, in all passes of the step, so far
    is_to_come: bool  # more of either follows in this step

    @property
    def is_reached(self) -> bool:
        return self.norm is not None


def steps_of(queries: Queries) -> list[StepRow]:
    """The training steps of a run."""
    events, starts = queries.run.events, queries.steps.starts
    ends = [*starts[1:], len(events)]
    return [
        _step(queries, i, events[a:b]) for i, (a, b) in enumerate(zip(starts, ends, strict=True))
    ]


def _step(queries: Queries, step: int, events: Sequence[Event]) -> StepRow:
    loss: float | None = None
    added: dict[int, Array | None] = {}
    moved = weights = 0.0
    has_updates, optimizer = False, ""
    for event in events:
        match event:
            case Seed(output=root):
                loss = _number(root)
            case Accumulate(output=leaf):
                before = added.get(leaf.id)
                value = None if event.is_gone else event.value
                added[leaf.id] = value if before is None or value is None else before + value
            case Update() if not event.is_gone and (change := _change(queries, event)):
                has_updates = True
                moved, weights = moved + change[0], weights + change[1]
                optimizer = _optimizer(event) or optimizer
            case _:
                pass
    known = [value for value in added.values() if value is not None]
    gradient = sqrt(sum(map(_square, known))) if known and len(known) == len(added) else None
    ratio = sqrt(moved / weights) if weights else inf if moved else 0.0
    last = events[-1].index
    return StepRow(
        step, events[0].index, last, loss, gradient, ratio if has_updates else None, optimizer
    )


def _number(node: Node) -> float | None:
    if node.size != 1 or (node.is_gone and not node.arrays):
        return None
    return float(node.data.item())


def _change(queries: Queries, update: Update) -> tuple[float, float] | None:
    """The squared norms of a change and of what was changed."""
    try:
        before, after = queries.before(update), update.value
    except TraceError:
        return None
    if before is None or after is None or before.shape != after.shape:
        return None
    return _square(np.asarray(after - before)), _square(before)


def _optimizer(update: Update) -> str:
    calls = () if update.scope is None else update.scope.chain()
    return next((call.name for call in calls if " lr=" in call.name), "")


@quietly
def _square(array: Array) -> float:
    flat = array.astype(np.float64).ravel()
    return float(flat @ flat)


def gradients_of(queries: Queries, parameters: Sequence[Node], now: int) -> list[GradientRow]:
    """A row for each of these parameters, of the training step at a moment of the run."""
    steps, events = queries.steps, queries.run.events
    step = steps.of(now)
    first = steps.first(step)
    end = steps.first(step + 1) if step + 1 < len(steps) else len(events)
    ids = {node.id for node in parameters}
    uses, later = _reads(events[first : now + 1], ids), _reads(events[now + 1 : end], ids)
    rows: list[GradientRow] = []
    for node in parameters:
        gradient = queries.gradient(node, now)
        norm = None if gradient is None else sqrt(_square(gradient))
        contributed = len(queries.received(node, first - 1, now))
        is_to_come = later[node.id] > 0 or bool(queries.received(node, now, end - 1))
        name = queries.names.of(node)
        rows.append(GradientRow(name, node.shape, norm, uses[node.id], contributed, is_to_come))
    return rows


def _reads(events: Sequence[Event], ids: set[int]) -> Counter[int]:
    """How many ops of these events read each of these leaves."""
    reads = Counter[int]()
    for event in events:
        if isinstance(event, Forward):
            reads.update(x.id for x in event.output.tensors() if x.id in ids)
    return reads
