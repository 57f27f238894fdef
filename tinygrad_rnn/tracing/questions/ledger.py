"""The ledger of a parameter: what each use of it added to its gradient in one backward pass."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...autograd.switches import quietly
from ...autograd.tensor import Array
from ...errors import TraceError
from ..network.gradients.flow import norm_of
from ..network.quotient import Block, Quotient
from ..recording.event import Vjp
from ..recording.graph import Node
from ..recording.held import SMALL
from .names import BEFORE, Place
from .queries import GRADIENT, Queries
from .terms import vjp_term


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What one use of a parameter added to its gradient."""

    event: int
    t: int | None
    layer: int | None
    norm: float
    _queries: Queries = field(repr=False)

    @property
    def source(self) -> str:
        """The nearest named tensor that the term came from: "h@4", "y@3".

        Of an earlier training step than the pass it is "h@3:4", h at t = 4 of step 3.
        """
        names, event = self._queries.names, self._queries.run.events[self.event]
        assert isinstance(event, Vjp)
        source = self._queries.origin_of_term(self.event)
        step = names.steps.of(max(names.made_at(event.of), 0))
        if step == names.steps.of(self.event) or "#" in source:
            return source
        base, _, t = source.partition("@")
        return f"{base}@{step}:{t}"

    @property
    def value(self) -> Array:
        """The term; it may have to be computed again."""
        return self._queries.term(self.event)


@dataclass(frozen=True, slots=True)
class Ledger:
    """A parameter's gradient in one backward pass, one row per use."""

    name: str
    rows: tuple[LedgerRow, ...]
    total: Array  # the sum of the rows
    before: Array | None  # .grad before the pass
    recorded: Array | None  # what the pass added to .grad; None while it is under way
    again: Array  # the same computed again from the rows' own numbers, in the engine's order

    @property
    def is_exact(self) -> bool:
        """Whether computing the whole again gives what was accumulated, to the last bit."""
        if self.recorded is None:
            return False
        return np.array_equal(self.again, self.recorded, equal_nan=True)

    @property
    @quietly
    def difference(self) -> float:
        """The largest difference between the sum of the rows and what was accumulated: rounding."""
        if self.recorded is None:
            return 0.0
        return float(np.max(np.abs(self.total - self.recorded), initial=0.0))


@quietly
def ledger_of(queries: Queries, name: str, now: int) -> Ledger:
    """The ledger of a parameter in the backward pass of a moment.

    Raises:
        TraceError: no such name, or no term has reached it.
    """
    node = queries.find(name, now).node
    start, terms = queries.pass_of(now), queries.terms(node, now)
    label = queries.names.of(node)
    if start is None or not terms:
        # where there is no gradient at all, this says why
        queries.value(GRADIENT + name, now)
        raise TraceError(f"the backward pass of this moment has handed {label} nothing")
    # one after the other: together the terms may be larger than memory
    total: Any = 0
    for index in terms:
        total = total + queries.term(index)
    return Ledger(
        name=label,
        rows=tuple(_row(queries, index) for index in terms),
        total=np.asarray(total),
        before=queries.accumulated(node, start),
        recorded=queries.added_to_grad(node, now),
        again=queries.summed_as_the_engine_does(terms),
    )


def _row(queries: Queries, index: int) -> LedgerRow:
    place = queries.here(queries.run.events[index]) or Place(BEFORE)
    term = queries.term(index)
    norm = np.sqrt(np.vdot(term, term)) if term.size <= SMALL else norm_of(term)
    return LedgerRow(index, place.t, place.layer, float(norm), queries)


# Of a network that is drawn, whose gradients need not come from a recorded run


@dataclass(frozen=True, slots=True)
class Uses:
    """The ops that hand a gradient to one parameter, and which of their inputs it is.

    They are those that the backward pass went through, in its order.
    """

    parameter: Block
    places: Sequence[tuple[Node, int]]

    def terms(self, quotient: Quotient) -> Iterator[tuple[Node, Array]]:
        """Each of the ops, with the term that it adds to the parameter's gradient."""
        for node, slot in self.places:
            yield node, vjp_term(node, slot, quotient.gradients[node.id])


def _passes_on(node: Node, slot: int) -> bool:
    """Whether a gradient goes back to this input: none goes to the condition of a `where`."""
    return node.rule is not None and node.rule.differentiable(slot)


def uses_in(quotient: Quotient) -> list[Uses]:
    """The uses of each parameter of a network; none where it has no gradients."""
    if not quotient.gradients:
        return []
    parameters = [block for block in quotient.parameters if block.trained]
    places: dict[int, list[tuple[Node, int]]] = {x.parameter.node.id: [] for x in parameters}
    nodes = {node for block in quotient.blocks for node in block.nodes}
    for node in sorted(nodes, key=lambda node: -node.id):
        if node.id in quotient.gradients:
            for slot, x in enumerate(node.inputs):
                if x is not None and x.id in places and _passes_on(node, slot):
                    places[x.id].append((node, slot))
    return [Uses(parameter, places[parameter.parameter.node.id]) for parameter in parameters]
