"""Questions to a recorded run, each answered for a moment of it: after event `now`, and no later.

So going back and forth in time needs no undoing: the same question at the same moment has the same
answer.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ...autograd.state import Scope
from ...autograd.tensor import Array
from ...errors import TraceError
from ..recording.event import Accumulate, Event, Failure, Forward, Seed, Update, Vjp, Zero
from ..recording.graph import Node, collector_paused
from ..recording.held import SMALL, Recent, gone_error
from ..recording.run import Run
from .names import Names, Place, Written
from .terms import vjp_term

GRADIENT = "d."  # before a name: ∂L/∂name
_TERMS_KEPT = 256 * 2**20  # bytes of terms and sums that were computed again; less under a budget
_STEPS_TO_A_NAME = 16
_SUMMED_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Part:
    """One term of a gradient: what `source` handed back, in event `event`."""

    event: int
    source: str  # the nearest named tensor that the term came from: "h@4", "y@3"
    value: Array


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What one use of a parameter added to its gradient."""

    event: int
    t: int | None
    layer: int | None
    norm: float
    _queries: "Queries" = field(repr=False)

    @property
    def source(self) -> str:
        """The nearest named tensor that the term came from: "h@4", "y@3"."""
        return self._queries.origin_of_term(self.event)

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
        return self.recorded is not None and np.array_equal(
            self.again, self.recorded, equal_nan=True
        )

    @property
    def difference(self) -> float:
        """The largest difference between the sum of the rows and what was accumulated: rounding."""
        return (
            0.0
            if self.recorded is None
            else float(np.max(np.abs(self.total - self.recorded), initial=0.0))
        )


@dataclass(frozen=True, slots=True)
class Difference:
    """Two copies of one name side by side."""

    names: tuple[str, str]
    values: tuple[Array, Array]

    @property
    def change(self) -> Array:
        return self.values[1] - self.values[0]

    @property
    def norms(self) -> tuple[float, float]:
        return float(np.linalg.norm(self.values[0])), float(np.linalg.norm(self.values[1]))


class Queries:
    """An index of one trace, as long as it was when it was made."""

    @collector_paused()
    def __init__(self, run: Run) -> None:
        self.run = run
        self.names = Names(run)
        self.seeds: list[int] = []
        self._received: dict[int, list[int]] = defaultdict(
            list
        )  # node id -> vjp events that hand it a term
        self._handed: dict[int, list[int]] = defaultdict(
            list
        )  # node id -> vjp events that hand on its cotangent
        self._grads: dict[int, list[int]] = defaultdict(
            list
        )  # leaf id -> what happened to its .grad
        self._bound: dict[int, list[int]] = defaultdict(list)  # leaf id -> update events
        self.readers: dict[Node, list[int]] = defaultdict(
            list
        )  # node -> the forward events that read it
        self._pass_ends: dict[int, int] = {}
        for event in run.events:
            self._file(event)
        self._computed = Recent(
            _TERMS_KEPT if run.limit is None else min(_TERMS_KEPT, run.limit // 4)
        )

    def _file(self, event: Event) -> None:
        match event:
            case Seed():
                self.seeds.append(event.index)
            case Vjp(output=node, of=of):
                self._received[node.id].append(event.index)
                self._handed[of.id].append(event.index)
            case Accumulate(output=leaf) | Zero(output=leaf):
                self._grads[leaf.id].append(event.index)
            case Update(output=leaf):
                self._bound[leaf.id].append(event.index)
            case Forward(output=node):
                for x in dict.fromkeys(node.tensors()):
                    self.readers[x].append(event.index)
            case Failure():
                pass
        if self.seeds and isinstance(event, Vjp | Accumulate):
            self._pass_ends[self.seeds[-1]] = event.index

    # Values

    def term(self, index: int) -> Array:
        """The term that a vjp event handed on, computed again where it is not held.

        Raises:
            TraceError: it is gone.
        """
        event = self._vjp(index)
        found = event.value if event.value is not None else self._computed.get(index)
        if found is None:
            found = vjp_term(event.of, event.slot, event.cotangent)
            self._computed.put(index, found)
        return found

    def _vjp(self, index: int) -> Vjp:
        event = self.run.events[index]
        assert isinstance(event, Vjp)
        return event

    def written_by(self, event: Event) -> Array | None:
        """The array that an event wrote; the term of its own where the engine summed several in one call."""
        return self.term(event.index) if isinstance(event, Vjp) else event.value

    def here(self, event: Event | None) -> Place | None:
        """Where an event stands: a term of the backward pass belongs to the copy that hands it on."""
        match event:
            case None:
                return None
            case Failure():
                return self._of_call(event)
            case _:
                node = event.subject
                return None if node.op is None else self.names.places.get(node)

    def _of_call(self, event: Failure) -> Place | None:
        """The copy that an error happened in: one that got further, or the one after that which made an operand."""
        calls = event.scope.chain() if event.scope is not None else ()
        found = next((self._copies[call] for call in calls if call in self._copies), None)
        if found is not None:
            return found
        owners = [call.owner for call in calls]
        for x in event.inputs:
            place = self.names.places.get(x) if x is not None else None
            made_in = x.scope.chain() if x is not None and x.scope is not None else ()
            if (
                place is not None
                and place.t is not None
                and any(call.owner in owners for call in made_in)
            ):
                return Place(place.graph, place.t + 1, place.layer)
        return None

    @cached_property
    def _copies(self) -> dict[Scope, Place]:
        """The place of each call that is a copy, or lies in one."""
        return {
            call: place
            for node, place in self.names.places.items()
            if node.scope is not None and node.op is not None and place.layer is not None
            for call in node.scope.chain()[-1:]
        }

    def find(self, name: str, now: int) -> Written:
        """The tensor that a name (without "d.") means at a moment.

        Raises:
            TraceError: there is none.
        """
        events = self.run.events
        return self.names.find(
            name, now, self.here(events[now]) if 0 <= now < len(events) else None
        )

    def value(self, name: str, now: int) -> Array:
        """What `name`, or ∂L/∂name for "d.name", holds at a moment.

        Raises:
            TraceError: it is not written yet; says where it will be.
        """
        if name.startswith(GRADIENT):
            return self._gradient_named(name.removeprefix(GRADIENT), now)
        written = self.find(name, now)
        if written.event > now:
            raise TraceError(self._not_yet(self.names.of(written.node), written.event, now))
        if written.node.is_gone and not written.node.arrays:
            raise gone_error(self.names.of(written.node))
        return written.node.data

    def _gradient_named(self, name: str, now: int) -> Array:
        node = self.find(name, now).node
        gradient = self.gradient(node, now)
        if gradient is None:
            label = f"∂L/∂{self.names.of(node)}"
            first = next((i for i in self._received[node.id] if i > now), None)
            if first is None:
                raise TraceError(f"{label} is not there: no backward pass reaches it after this")
            raise TraceError(self._not_yet(label, first, now))
        return gradient

    @staticmethod
    def _not_yet(label: str, event: int, now: int) -> str:
        return f"{label} is first written at event {event} (now {now})"

    # Gradients

    def pass_of(self, now: int) -> int | None:
        """The event that began the backward pass under way, or the last one."""
        at = bisect_right(self.seeds, now)
        return self.seeds[at - 1] if at else None

    def pass_end(self, seed: int) -> int:
        return self._pass_ends.get(seed, seed)

    def terms(self, node: Node, now: int) -> list[int]:
        """The events that handed `node` a term in the pass of this moment, so far."""
        start = self.pass_of(now)
        return [] if start is None else _between(self._received[node.id], start, now)

    def handed(self, node: Node) -> list[int]:
        """The events of all passes that handed on ∂L/∂node."""
        return self._handed.get(node.id, [])

    def expected(self, node: Node, now: int) -> int:
        """How many terms the pass of this moment hands to `node` altogether: it waits for all of them."""
        start = self.pass_of(now)
        return (
            0
            if start is None
            else len(_between(self._received[node.id], start, self.pass_end(start)))
        )

    def gradient(self, node: Node, now: int) -> Array | None:
        """∂L/∂node so far: of a leaf what `.grad` holds and what the pass under way has found."""
        if node.op is not None:
            return self._in_pass(node, now)
        held = self.accumulated(node, now)
        start = self.pass_of(now)
        if (
            start is None
            or now >= self.pass_end(start)
            or _between(self._grads[node.id], start, now)
        ):
            return held
        under_way = self._in_pass(node, now)
        return under_way if held is None else held if under_way is None else held + under_way

    def accumulated(self, node: Node, now: int) -> Array | None:
        """`.grad` of a leaf at a moment."""
        events = self.run.events
        seen = self._grads[node.id][: bisect_right(self._grads[node.id], now)]
        held: Array | None = None
        cleared = max((i for i, e in enumerate(seen) if isinstance(events[e], Zero)), default=-1)
        for index in seen[cleared + 1 :]:
            value = events[index].value
            held = value if held is None or value is None else held + value
        return held

    def _in_pass(self, node: Node, now: int) -> Array | None:
        """The sum of the terms so far; once the node has handed it on, the very array that it handed on."""
        start = self.pass_of(now)
        if start is None:
            return None
        handed = _between(self._handed[node.id], start, now)
        if handed:
            return self._vjp(handed[0]).cotangent
        seed = self.run.events[start]
        first = seed.value if isinstance(seed, Seed) and seed.output.id == node.id else None
        return self._summed(node.id, start, self.terms(node, now), first)

    def _summed(
        self, id: int, start: int, terms: Sequence[int], first: Array | None
    ) -> Array | None:
        """The sum of terms, so many in one call; it is kept, since the next question is one term further."""
        whole = len(terms) // _SUMMED_AT_ONCE * _SUMMED_AT_ONCE
        done, total = 0, first
        for count in range(whole, 0, -_SUMMED_AT_ONCE):
            kept = self._computed.get((id, start, count))
            if kept is not None:
                done, total = count, kept
                break
        for count in range(done, whole, _SUMMED_AT_ONCE):
            some = self._summed_as_the_engine_does(terms[count : count + _SUMMED_AT_ONCE])
            total = some if total is None else total + some
            self._computed.put((id, start, count + _SUMMED_AT_ONCE), total)
        for index in terms[whole:]:
            total = self.term(index) if total is None else total + self.term(index)
        return total

    def parts(self, node: Node, now: int) -> list[Part]:
        """The terms of ∂L/∂node so far, and whom each came from: at h_t, from y_t and from h_{t+1}."""
        return [Part(i, self.origin_of_term(i), self.term(i)) for i in self.terms(node, now)]

    def origin_of_term(self, index: int) -> str:
        """What a term came back through: the next h, c or y behind it, else the next tensor with a name."""
        node = first = self._vjp(index).of
        for _ in range(_STEPS_TO_A_NAME):
            if node in self.names.roles:
                return self.names.of(node)
            if "#" in self.names.of(first):
                first = node
            readers = self.readers.get(node, ())
            after = self.run.events[readers[0]].output if readers else None
            if after is None:
                break
            node = after
        return self.names.of(first)

    def ledger(self, name: str, now: int) -> Ledger:
        """What each use of a parameter added to its gradient in the pass of this moment.

        Raises:
            TraceError: no such name, or no term has reached it.
        """
        node = self.find(name, now).node
        terms = self.terms(node, now)
        if not terms:
            self._gradient_named(name, now)
            raise TraceError(
                f"the backward pass of this moment has handed {self.names.of(node)} nothing"
            )
        start = self.pass_of(now)
        assert start is not None
        written = [
            i
            for i in _between(self._grads[node.id], start, now)
            if isinstance(self.run.events[i], Accumulate)
        ]
        return Ledger(
            name=self.names.of(node),
            rows=tuple(self._ledger_row(i) for i in terms),
            total=self._total(terms),
            before=self.accumulated(node, start),
            recorded=self.run.events[written[0]].value if written else None,
            again=self._summed_as_the_engine_does(terms),
        )

    def _ledger_row(self, index: int) -> LedgerRow:
        event = self.run.events[index]
        place = self.here(event)
        t, layer = (place.t, place.layer) if place is not None else (None, None)
        term = self.term(index)
        norm = float(np.sqrt(np.vdot(term, term)) if term.size <= SMALL else np.linalg.norm(term))
        return LedgerRow(index, t, layer, norm, self)

    def _total(self, terms: Iterable[int]) -> Array:
        """The sum of all terms, one after the other: they may be larger than memory together."""
        total: Any = 0
        for index in terms:
            total = total + self.term(index)
        return np.asarray(total)

    def _summed_as_the_engine_does(self, terms: Iterable[int]) -> Array:
        """Terms in order, then those of one op in one call: floating-point sums depend on the order."""
        total: Any = None
        together: dict[tuple[Any, int], list[Vjp]] = {}
        for event in map(self._vjp, terms):
            rule, slot = event.of.rule, event.slot
            if rule is not None and slot in rule.together:
                together.setdefault((rule, slot), []).append(event)
            else:
                total = self.term(event.index) if total is None else total + self.term(event.index)
        for (op, slot), events in together.items():
            summed = self._in_one_call(op, slot, events)
            total = summed if total is None else total + summed
        return total

    def _in_one_call(self, op: Any, slot: int, events: Sequence[Vjp]) -> Array:
        if len(events) == 1:
            return self.term(events[0].index)
        nodes = [event.of for event in events]
        made = op.together[slot](
            [event.cotangent for event in events],
            [n.operands for n in nodes],
            [n.options for n in nodes],
        )
        like = np.asarray(nodes[0].operands[slot])
        return op.fitted(made, slot, like)

    # Who wrote it

    def writers(self, name: str) -> list[int]:
        """The events that wrote a name, or, for "d.name", handed it a term or accumulated it.

        Raises:
            TraceError: there is no such name.
        """
        if not name.startswith(GRADIENT):
            return sorted({one.event for one in self.names.all_of(name) if one.event >= 0})
        ids = {one.node.id for one in self.names.all_of(name.removeprefix(GRADIENT))}
        return sorted({i for id in ids for i in (*self._received[id], *self._grads[id])})

    def last(self, name: str, now: int) -> int | None:
        """The event at or before this moment that wrote `name`."""
        writers = self.writers(name)
        at = bisect_right(writers, now)
        return writers[at - 1] if at else None

    def next(self, name: str, now: int) -> int | None:
        """The first event after this moment that writes `name`."""
        writers = self.writers(name)
        at = bisect_right(writers, now)
        return writers[at] if at < len(writers) else None

    def diff(self, name: str, i: int, j: int, now: int) -> Difference:
        """`name` at timesteps i and j, side by side.

        Raises:
            TraceError: one is not there, or the shapes differ.
        """
        both = f"{name}@{i}", f"{name}@{j}"
        a, b = (self.value(one, now) for one in both)
        if a.shape != b.shape:
            raise TraceError(f"{both[0]} has shape {a.shape}, but {both[1]} has {b.shape}")
        return Difference(both, (a, b))


def _between(events: list[int], after: int, until: int) -> list[int]:
    """Those of the sorted `events` in (after, until]."""
    return events[bisect_left(events, after + 1) : bisect_right(events, until)]
