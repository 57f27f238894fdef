"""Questions to a recorded run, each answered for a moment of it: after event `now`, and no later.

So going back and forth in time needs no undoing: the same question at the same moment has the same
answer.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...autograd.op import Op
from ...autograd.state import Scope
from ...autograd.switches import quietly
from ...autograd.tensor import Array
from ...cached import cached_property
from ...errors import TraceError
from ..network.gradients.flow import norm_of
from ..recording.event import Accumulate, Event, Failure, Forward, Seed, Update, Vjp, Zero
from ..recording.graph import Node, collector_paused
from ..recording.held import Recent, gone_error
from ..recording.run import Run
from ..recording.steps import Steps
from .names import BEFORE, Names, Place, Written
from .terms import vjp_term

GRADIENT = "d."  # before a name: ∂L/∂name
_TERMS_KEPT = 256 * 2**20  # bytes of terms and sums that were computed again; less under a budget
_STEPS_TO_A_NAME = 16
_SUMMED_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Contribution:
    """One term of a gradient: what `source` handed back, in event `event`."""

    event: int
    source: str  # the nearest named tensor that the term came from: "h@4", "y@3"
    value: Array


@dataclass(frozen=True, slots=True)
class Difference:
    """Two copies of one name side by side."""

    names: tuple[str, str]
    values: tuple[Array, Array]

    @property
    @quietly
    def change(self) -> Array:
        return self.values[1] - self.values[0]

    @property
    def norms(self) -> tuple[float, float]:
        return norm_of(self.values[0]), norm_of(self.values[1])


class Queries:
    """An index of one run, as long as it was when it was made.

    Attributes:
        base: the index of the recorded run, where this is a run that would have been.
    """

    base: "Queries | None" = None

    @collector_paused()
    def __init__(self, run: Run) -> None:
        self.run = run
        self.names = Names(run)
        self.seeds: list[int] = []
        # by node id: the vjp events that hand it a term, and those that hand on its cotangent
        self._received: defaultdict[int, list[int]] = defaultdict(list)
        self._handed: defaultdict[int, list[int]] = defaultdict(list)
        # by leaf id: what happened to its .grad
        self._grads: defaultdict[int, list[int]] = defaultdict(list)
        # what the first op that read a node made of it
        self._made_of: dict[Node, Node] = {}
        # seed -> the last event of its pass
        self._pass_ends: dict[int, int] = {}
        self._file(run.events)
        limit = _TERMS_KEPT if run.limit is None else min(_TERMS_KEPT, run.limit // 4)
        self._computed = Recent(limit)

    def _file(self, events: Iterable[Event]) -> None:
        received, handed, made_of = self._received, self._handed, self._made_of
        last = -1  # event of the pass under way
        for event in events:
            if isinstance(event, Vjp):  # the most frequent first: there are tens of thousands
                last = event.index
                received[event.output.id].append(last)
                handed[event.of.id].append(last)
            elif isinstance(event, Forward):
                node = event.output
                for x in node.inputs:
                    if x is not None and x not in made_of:
                        made_of[x] = node
            elif isinstance(event, Accumulate | Zero):
                self._grads[event.output.id].append(event.index)
                last = event.index if isinstance(event, Accumulate) else last
            elif isinstance(event, Seed):
                self._end_pass(last)
                self.seeds.append(event.index)
                last = -1
        self._end_pass(last)

    def _end_pass(self, last: int) -> None:
        if self.seeds and last >= 0:
            self._pass_ends[self.seeds[-1]] = last

    def of_branch(self, run: Run, nodes: Mapping[Node, Node]) -> "Queries":
        """The index of a run of the same events, in which `nodes` stand for some of these nodes."""
        made = copy(self)
        for name in ("_values", "_copies"):
            made.__dict__.pop(name, None)
        made.base = self
        made.run, made.names = run, self.names.of_branch(run, nodes)
        made._made_of = {nodes.get(x, x): nodes.get(y, y) for x, y in self._made_of.items()}
        made._computed = Recent(self._computed.limit)
        return made

    def vjp(self, index: int) -> Vjp:
        """The event of this number, which handed on a term."""
        event = self.run.events[index]
        assert isinstance(event, Vjp)
        return event

    # Training steps

    @property
    def steps(self) -> Steps:
        """The training steps of the run."""
        return self.names.steps

    def before(self, update: Update) -> Array | None:
        """What a leaf held before an update; None where the recording never saw that.

        Raises:
            TraceError: it is gone.
        """
        values = self._values[update.output.id]
        at = values.index(update.output)
        return values[at - 1].data if at else None

    @cached_property
    def _values(self) -> dict[int, list[Node]]:
        """The nodes of each leaf in the order of writing: one for each value that it had."""
        values: defaultdict[int, list[Node]] = defaultdict(list)
        for node in sorted(self.names.places, key=self.names.made_at):
            if node.op is None:
                values[node.id].append(node)
        return values

    # Where it happened

    def here(self, event: Event | None) -> Place | None:
        """Where an event stands: a term belongs to the copy that hands it on."""
        match event:
            case None:
                return None
            case Failure():
                return self._of_call(event)
            case _:
                node = event.subject
                return None if node.op is None else self.names.places.get(node)

    def _of_call(self, event: Failure) -> Place | None:
        """The copy that an error happened in: one that got further, or the one after an operand."""
        calls = event.scope.chain() if event.scope is not None else ()
        for call in calls:
            if call in self._copies:
                return self._copies[call]
        owners = [call.owner for call in calls]
        for x in event.used:
            place = self.names.places.get(x)
            is_same_module = any(call.owner in owners for call in x.calls)
            if is_same_module and place is not None and place.t is not None:
                return place._replace(t=place.t + 1)
        return None

    @cached_property
    def _copies(self) -> dict[Scope, Place]:
        """The place of each call that is a copy, or lies in one."""
        return {
            node.scope: place
            for node, place in self.names.places.items()
            if node.scope is not None and node.op is not None and place.layer is not None
        }

    # Values

    def find(self, name: str, now: int) -> Written:
        """The tensor that a name (without "d.") means at a moment.

        Raises:
            TraceError: there is none.
        """
        events = self.run.events
        event = events[now] if 0 <= now < len(events) else None
        return self._in_formula(name, event) or self.names.find(name, now, self.here(event))

    def _in_formula(self, name: str, event: Event | None) -> Written | None:
        """What an event's formula calls so: of several tensors of one name it is that one."""
        if event is None or isinstance(event, Failure):
            return None
        subject = event.subject
        for node in (subject, *subject.tensors()):
            if self.names.of(node) == name:
                return self.names.written(node)
        return None

    def value(self, name: str, now: int) -> Array:
        """What `name`, or ∂L/∂name for "d.name", holds at a moment.

        Raises:
            TraceError: it is not written yet; says where it will be.
        """
        if name.startswith(GRADIENT):
            return self._gradient_named(name.removeprefix(GRADIENT), now)
        written = self.find(name, now)
        label = self.names.of(written.node)
        if written.event > now:
            raise _not_yet(label, written.event, now)
        if written.node.is_gone and not written.node.arrays:
            raise gone_error(label)
        return written.node.data

    def _gradient_named(self, name: str, now: int) -> Array:
        node = self.find(name, now).node
        gradient = self.gradient(node, self.moment(name, now))
        if gradient is not None:
            return gradient
        label = f"∂L/∂{self.names.of(node)}"
        for event in self._received[node.id]:
            if event > now:
                raise _not_yet(label, event, now)
        if not self._received[node.id]:
            raise TraceError(f"{label} is not there: no backward pass reaches it")
        raise TraceError(f"{label} is not there: no backward pass reaches it after this")

    def moment(self, name: str, now: int) -> int:
        """When a gradient is meant: in "W@30:" at the end of the passes of step 30, else now."""
        step, colon, _ = name.partition("@")[2].rpartition(":")
        if not colon:
            return now
        seeds = [seed for seed in self.seeds if self.steps.of(seed) == int(step)]
        return min(self.pass_end(seeds[-1]), now) if seeds else now

    def written_by(self, event: Event) -> Array | None:
        """The array that an event wrote; of a vjp its own term, even if several were summed."""
        return self.term(event.index) if isinstance(event, Vjp) else event.value

    def diff(self, name: str, i: int, j: int, now: int) -> Difference:
        """`name` at timesteps i and j, side by side.

        Raises:
            TraceError: one is not there, or the shapes differ.
        """
        one, other = f"{name}@{i}", f"{name}@{j}"
        a, b = self.value(one, now), self.value(other, now)
        if a.shape != b.shape:
            raise TraceError(f"{one} has shape {a.shape}, but {other} has {b.shape}")
        return Difference((one, other), (a, b))

    # The terms of a gradient

    def pass_of(self, now: int) -> int | None:
        """The event that began the backward pass under way, or the last one."""
        at = bisect_right(self.seeds, now)
        return self.seeds[at - 1] if at else None

    def pass_end(self, seed: int) -> int:
        """The last event of a backward pass."""
        return self._pass_ends.get(seed, seed)

    def pass_for(self, node: Node, now: int) -> int | None:
        """The pass of this moment; of a result, the newest so far that came to it."""
        if node.op is None:
            return self.pass_of(now)
        events = self._received[node.id], self._handed[node.id]
        came = [found[at - 1] for found in events if (at := bisect_right(found, now))]
        return self.pass_of(max(came, default=now))

    def terms(self, node: Node, now: int) -> list[int]:
        """The events that handed `node` a term in the pass of this moment, so far."""
        start = self.pass_for(node, now)
        return [] if start is None else _between(self._received[node.id], start, now)

    def received(self, node: Node, after: int, until: int) -> list[int]:
        """The events after one, up to another, that handed `node` a term, in whatever pass."""
        return self.received_by(node.id, after, until)

    def received_by(self, id: int, after: int, until: int) -> list[int]:
        """The same of the tensor of an id."""
        return _between(self._received.get(id, []), after, until)

    def expected(self, node: Node, now: int) -> int:
        """How many terms the pass of this moment hands to `node`: it waits for all of them."""
        start = self.pass_for(node, now)
        return 0 if start is None else len(self.terms(node, self.pass_end(start)))

    def handed(self, node: Node) -> list[int]:
        """The events of all passes that handed on ∂L/∂node."""
        return self._handed.get(node.id, [])

    def term(self, index: int) -> Array:
        """The term that a vjp event handed on, computed again where it is not held.

        Raises:
            TraceError: it is gone.
        """
        event = self.vjp(index)
        if event.value is not None:
            return event.value
        found = self._computed.get(index)
        if found is None:
            found = vjp_term(event.of, event.slot, event.cotangent)
            self._computed.put(index, found)
        return found

    def contributions(self, node: Node, now: int) -> list[Contribution]:
        """The terms of ∂L/∂node so far, and whom each came from: at h_t, from y_t and h_{t+1}."""
        terms = self.terms(node, now)
        return [Contribution(i, self.origin_of_term(i), self.term(i)) for i in terms]

    def origin_of_term(self, index: int) -> str:
        """What a term came back through: the next h, c or y, else the next tensor with a name."""
        node = first = self.vjp(index).of
        for _ in range(_STEPS_TO_A_NAME):
            if node in self.names.roles:
                return self.names.of(node)
            if "#" in self.names.of(first):
                first = node
            if node not in self._made_of:
                break
            node = self._made_of[node]
        return self.names.of(first)

    # Gradients

    def gradient(self, node: Node, now: int) -> Array | None:
        """∂L/∂node so far: of a leaf what `.grad` holds and what the pass under way has found."""
        if node.op is not None:
            return self._in_pass(node, now)
        held, start = self.accumulated(node, now), self.pass_of(now)
        if start is None or now >= self.pass_end(start):
            return held
        if _between(self._grads[node.id], start, now):
            return held
        found = self._in_pass(node, now)
        return held if found is None else _plus(held, found)

    def accumulated(self, node: Node, now: int) -> Array | None:
        """`.grad` of a leaf at a moment."""
        added: list[Array] = []
        for index in reversed(_between(self._grads[node.id], BEFORE, now)):
            value = self.run.events[index].value
            if value is None:  # cleared
                break
            added.append(value)
        held: Array | None = None
        for value in reversed(added):
            held = _plus(held, value)
        return held

    def added_to_grad(self, node: Node, now: int) -> Array | None:
        """What the pass of this moment added to `.grad` of a leaf; None while it is under way."""
        start = self.pass_of(now)
        if start is not None:
            for index in _between(self._grads[node.id], start, now):
                event = self.run.events[index]
                if isinstance(event, Accumulate):
                    return event.value
        return None

    def _in_pass(self, node: Node, now: int) -> Array | None:
        """The sum of the terms so far; once the node has handed it on, what it handed on."""
        start = self.pass_for(node, now)
        if start is None:
            return None
        handed = _between(self._handed[node.id], start, now)
        if handed:
            return self.vjp(handed[0]).cotangent
        seed = self.run.events[start]
        first = seed.value if isinstance(seed, Seed) and seed.output.id == node.id else None
        return self._summed(node.id, start, self.terms(node, now), first)

    def _summed(
        self, id: int, start: int, terms: Sequence[int], first: Array | None
    ) -> Array | None:
        """The sum of terms, some in one call; kept, since the next question is a term further."""
        whole = len(terms) // _SUMMED_AT_ONCE * _SUMMED_AT_ONCE
        done, total = 0, first
        for count in range(whole, 0, -_SUMMED_AT_ONCE):
            kept = self._computed.get((id, start, count))
            if kept is not None:
                done, total = count, kept
                break
        for count in range(done, whole, _SUMMED_AT_ONCE):
            some = self.summed_as_the_engine_does(terms[count : count + _SUMMED_AT_ONCE])
            total = _plus(total, some)
            self._computed.put((id, start, count + _SUMMED_AT_ONCE), total)
        for index in terms[whole:]:
            total = _plus(total, self.term(index))
        return total

    def summed_as_the_engine_does(self, terms: Iterable[int]) -> Array:
        """The sum of at least one term: in order, then those of one op in one call.

        Floating-point sums depend on the order.
        """
        total: Array | None = None
        together: dict[tuple[Op, int], list[Vjp]] = {}
        for event in map(self.vjp, terms):
            rule = event.of.rule
            if rule is not None and event.slot in rule.together:
                together.setdefault((rule, event.slot), []).append(event)
            else:
                total = _plus(total, self.term(event.index))
        for (rule, slot), events in together.items():
            total = _plus(total, self._in_one_call(rule, slot, events))
        assert total is not None
        return total

    def _in_one_call(self, rule: Op, slot: int, events: Sequence[Vjp]) -> Array:
        if len(events) == 1:
            return self.term(events[0].index)
        cotangents = [event.cotangent for event in events]
        operands = [event.of.operands for event in events]
        options = [event.of.options for event in events]
        made: Any = rule.together[slot](cotangents, operands, options)
        return rule.fitted(made, slot, np.asarray(operands[0][slot]))

    # Who wrote it

    def writers(self, name: str) -> set[int]:
        """The events that wrote a name, or, for "d.name", handed it a term or accumulated it.

        Raises:
            TraceError: there is no such name.
        """
        if not name.startswith(GRADIENT):
            return {one.event for one in self.names.all_of(name) if one.event >= 0}
        ids = {one.node.id for one in self.names.all_of(name.removeprefix(GRADIENT))}
        return {i for id in ids for i in (*self._received[id], *self._grads[id])}

    def last(self, name: str, now: int) -> int | None:
        """The event at or before this moment that wrote `name`."""
        return max((i for i in self.writers(name) if i <= now), default=None)

    def next(self, name: str, now: int) -> int | None:
        """The first event after this moment that writes `name`."""
        return min((i for i in self.writers(name) if i > now), default=None)


def _not_yet(label: str, event: int, now: int) -> TraceError:
    return TraceError(f"{label} is first written at event {event} (now {now})")


def _plus(total: Array | None, term: Array) -> Array:
    """The sum so far, and one more term."""
    return term if total is None else total + term


def _between(events: list[int], after: int, until: int) -> list[int]:
    """Those of the sorted `events` in (after, until]."""
    return events[bisect_left(events, after + 1) : bisect_right(events, until)]
