"""A recorded run once more, with some of its numbers changed: exactly what would have been.

Whatever depends on a change is computed again, by the ops' own forwards and VJPs, in the recorded
order, and summed as the engine sums. Everything else is the recording's own, by reference. What
comes out as it was, to the last bit, is the recording's own array again.
"""

from bisect import bisect_left
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ...autograd.op import Op
from ...autograd.switches import switched
from ...autograd.tensor import Array
from ...errors import TinygradError, TraceError
from ...nn.clipping import RULES
from ...nn.optim.methods import moved_again
from ...nn.optim.optimizer import Move, State
from ..questions.terms import loud_vjp_term
from ..recording.event import (
    Accumulate,
    Event,
    Failure,
    Forward,
    Places,
    Seed,
    Update,
    Vjp,
    Zero,
)
from ..recording.graph import Node, compute
from ..recording.held import Gone, gone_error, is_array
from ..recording.notes import Clipped, GradientTaken, Look, Replaced
from ..recording.source import Source
from .edits import Edit, OfGradient, OfNode, OfTerm
from .program import Program, before_event


@dataclass(frozen=True, slots=True)
class Unfollowed:
    """Where the program itself, run with the change, might have gone another way.

    What it did in the recorded run is kept. `str()` is one line.

    Args:
        event: how many events came before.
        what: what it did: "looked at loss", "updated W_hh itself".
        source: where it stands in the program.
    """

    event: int
    what: str
    source: Source | None

    def __str__(self) -> str:
        where = f"{self.source}: " if self.source is not None else ""
        text = f"   {self.source.text}" if self.source is not None else ""
        return f"{where}{self.what} before event {self.event}{text}"


def same_bits(a: Array, b: Array) -> bool:
    """Whether two arrays hold the same numbers to the last bit: a NaN is itself, and -0 is not 0.

    Arrays of different shapes or dtypes are never the same.
    """
    if a is b:
        return True
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return a.tobytes() == b.tobytes()


class Replay:
    """One run with changes.

    Args:
        program: the run as it was recorded.
        changes: in the order in which they are made.
        places: asked by the new events for the copy that they belong to.

    Attributes:
        events: the events that differ, by their indices.
        nodes: recorded node -> the node in its place: other numbers, or made from other nodes.
        unfollowed: where the program might have gone another way.
    """

    def __init__(
        self,
        program: Program,
        changes: Sequence[Edit],
        places: Callable[[], Places | None] | None,
    ) -> None:
        self.program, self.run, self.queries = program, program.run, program.queries
        self.places = places
        self.events: dict[int, Event] = {}
        self.nodes: dict[Node, Node] = {}
        self.unfollowed: list[Unfollowed] = []
        # Tensor id -> what it holds by now, where that is another than recorded.
        self._now: dict[int, Array] = {}
        # Leaf id -> what `.grad` holds by now, where that is another.
        self._grads: dict[int, Array] = {}
        # What steps of optimisers left: (optimiser, leaf id) -> state.
        self._states: dict[tuple[int, int], State] = {}
        # Nodes of which data or operands are others; all others in `nodes` are made from such.
        self._renewed: set[Node] = set()
        self._of_nodes: dict[Node, list[Edit]] = {}
        self._of_terms: dict[int, list[Edit]] = {}
        self._of_gradients: dict[tuple[int, int], list[Edit]] = {}
        for change in changes:
            self._file(change)
        self._first = min((change.first for change in changes), default=len(self.run.events))
        self._begin_pass(None)

    def _file(self, change: Edit) -> None:
        match change.target:
            case OfNode(node=node):
                self._of_nodes.setdefault(node, []).append(change)
            case OfTerm(event=event):
                self._of_terms.setdefault(event, []).append(change)
            case OfGradient(id=id, seed=seed):
                self._of_gradients.setdefault((seed, id), []).append(change)

    def play(self) -> None:
        """Compute all that depends on the changes.

        Raises:
            TraceError: a value that is needed was let go of, or an op cannot be run on another.
        """
        events, notes = self.run.events, self.run.notes
        with np.errstate(), np.errstate(all="ignore"), switched(observers=()):
            for node, changes in self._of_nodes.items():
                if node.op is None and not self._is_updated(node, changes[0].first):
                    self._change_leaf(node, changes)
            self._begin_pass(self.queries.pass_of(self._first - 1))
            number = bisect_left(notes, self._first, key=lambda note: note.after)
            for index in range(self._first, len(events)):
                while number < len(notes) and notes[number].after <= index:
                    self._follow(number)
                    number += 1
                event = events[index]
                try:
                    self._handlers[type(event)](self, event)
                except TinygradError as error:
                    of = f" of {event.op}" if event.op else ""
                    raise TraceError(
                        f"what_if: event {index} ({event.kind}{of}): "
                        f"{str(error).removeprefix('what_if: ')}"
                    ) from error
            for rest in range(number, len(notes)):
                self._follow(rest)

    # Values

    def _is_updated(self, node: Node, event: int) -> bool:
        """Whether a leaf is another by an update, and not from its first read on."""
        made = self.run.events[event]
        return isinstance(made, Update) and made.output is node

    def _change_leaf(self, node: Node, changes: Iterable[Edit]) -> None:
        """A leaf holds something else from its first read on."""
        data = node.data
        for change in changes:
            data = change.applied(data)
        if not same_bits(data, node.data):
            self._renew_leaf(node, data)

    def _renew_leaf(self, node: Node, data: Array) -> None:
        self.nodes[node] = _with(node, (), (), data, node.options)
        self._renewed.add(node)
        self._now[node.id] = data

    def _forward(self, event: Forward) -> None:
        node, nodes = event.output, self.nodes
        program = self.program
        is_another = node in self._of_nodes
        for x in node.inputs:
            if x in nodes:
                is_another = True
            elif x in program.linked:
                is_another |= self._follow_link(x, event.index)
        options = node.options
        if event.index in program.options:
            options = self._options(event)
            is_another |= options is not node.options
        if is_another:
            self._forward_again(event, options)

    def _forward_again(self, event: Forward, options: Mapping[str, Any]) -> None:
        node, nodes = event.output, self.nodes
        data, operands = node.seen
        inputs = tuple([x if x is None else nodes.get(x, x) for x in node.inputs])
        given = tuple(
            [
                nodes[x].data if x in self._renewed else operand
                for x, operand in zip(node.inputs, operands, strict=True)
            ]
        )
        is_renewed = options is not node.options
        if not is_renewed:
            is_renewed = any(a is not b for a, b in zip(given, operands, strict=True))
        if is_renewed:
            data = self._result(node, given, options)
        for change in self._of_nodes.get(node, ()):
            if isinstance(data, Gone):
                raise gone_error(f"the value of {self.queries.names.of(node)}")
            data = change.applied(data)
        made = nodes[node] = _with(node, inputs, given, data, options)
        if is_renewed or data is not node.seen[0]:
            self._renewed.add(node)
        if data is not node.seen[0] and is_array(data):
            self._now[node.id] = data
        self.events[event.index] = Forward(
            event.index, event.scope, event.source, self.places, data, made
        )

    def _result(self, node: Node, operands: Sequence[Any], options: Mapping[str, Any]) -> Array:
        """What the op makes of other operands; the recorded array where that is the same."""
        if any(isinstance(x, Gone) for x in operands):
            raise gone_error(f"what {self.queries.names.of(node)} was made from")
        assert node.rule is not None
        made = compute(node.rule, operands, options)
        made.flags.writeable = False
        recorded = node.seen[0]
        if made.shape != recorded.shape:
            raise TraceError(
                f"{self.queries.names.of(node)} would have shape {made.shape} in place of "
                f"{recorded.shape}: what follows was recorded for that shape alone"
            )
        return recorded if is_array(recorded) and same_bits(made, recorded) else made

    def _follow_link(self, leaf: Node, now: int) -> bool:
        """Renew a leaf that is a gradient, or a result's own array, where that is another."""
        data = self._now.get(leaf.id)
        taken = self.program.taken.get(leaf.id)
        if data is None and taken is not None and taken.origin == "hook":
            data = self._another_sum(taken.of, now)
        if data is None:
            data = self._of_maker(leaf.seen[0])
        if data is None:
            return False
        self._renew_leaf(leaf, data)
        return True

    def _of_maker(self, array: Any) -> Array | None:
        """What a recorded array is now, where it is a result's own and that is another."""
        maker = self.program.maker(array)
        if maker is None or maker not in self.nodes:
            return None
        data = self.nodes[maker].data
        return None if data is array else data

    def _options(self, event: Forward) -> Mapping[str, Any]:
        """The options of an op, tensors among them as they are now."""
        others: dict[int, Array] = {}
        for note in self.program.options[event.index]:
            if note.tensor in self._now:
                others[id(note.array)] = self._now[note.tensor]
        options = event.output.options
        if not others:
            return options
        return {name: _replaced(value, others) for name, value in options.items()}

    # The backward pass

    def _begin_pass(self, seed: int | None) -> None:
        self._pass = seed
        self._is_symbolic = seed in self.program.symbolic
        # Tensor id -> its whole cotangent, where it was asked for.
        self._cotangents: dict[int, Array] = {}
        # Tensors that were handed another term than recorded.
        self._reached: set[int] = set()
        # Events whose terms stand for themselves, though others of their kind are one sum.
        self._alone: set[int] = set()
        self._changed = {id for at, id in self._of_gradients if at == seed}

    def _seed(self, event: Seed) -> None:
        self._begin_pass(event.index)
        output, value = event.output, event.held
        linked = self._of_maker(value)
        if linked is not None:
            value = linked
        for change in self._of_gradients.get((event.index, output.id), ()):
            if isinstance(value, Gone):
                raise gone_error("what the backward pass started from")
            value = change.applied(value) if value is not None else None
        if value is not event.held:
            self._reached.add(output.id)
        elif output not in self.nodes:
            return
        node = self.nodes.get(output, output)
        self.events[event.index] = Seed(
            event.index, event.scope, event.source, self.places, value, node
        )

    def _vjp(self, event: Vjp) -> None:
        of, receiver = event.of, event.output
        id, nodes = of.id, self.nodes
        if (
            id in self._reached
            or of in nodes
            or receiver in nodes
            or id in self._changed
            or event.index in self._of_terms
        ):
            self._vjp_again(event)

    def _vjp_again(self, event: Vjp) -> None:
        if self._is_symbolic:
            term, g = self._linked(event.held), self._linked(event.held_cotangent)
        else:
            g = self._whole(event.of.id, event.held_cotangent, event.index)
            term = self._term(event, g)
        of, receiver = (
            self.nodes.get(event.of, event.of),
            self.nodes.get(event.output, event.output),
        )
        self.events[event.index] = Vjp(
            event.index, event.scope, None, self.places, term, receiver, of, event.slot, g
        )

    def _linked(self, array: Any) -> Any:
        linked = self._of_maker(array)
        return array if linked is None else linked

    def _term(self, event: Vjp, g: Any) -> Any:
        """The term that an op hands on, from its cotangent."""
        term, id = event.held, event.output.id
        node = self.nodes.get(event.of, event.of)
        is_later = node.rule is not None and event.slot in node.rule.together
        if g is not event.held_cotangent or event.of in self._renewed:
            if is_later:
                self._reached.add(id)
            else:
                made = loud_vjp_term(node, event.slot, _there(g, event))
                if not (is_array(term) and same_bits(made, term)):
                    term = made
                    self._reached.add(id)
        for change in self._of_terms.get(event.index, ()):
            if term is None:
                term = loud_vjp_term(node, event.slot, _there(g, event))
            term = change.applied(_there(term, event))
            self._reached.add(id)
            self._alone.add(event.index)
        return term

    def _whole(self, id: int, recorded: Any, now: int) -> Any:
        """The whole cotangent of a tensor, which the pass is through with."""
        if id in self._cotangents:
            return self._cotangents[id]
        g = recorded
        if id in self._reached:
            g = self._sum(id, now)
            g = self._after_hooks(id, g, recorded)
        for change in self._of_gradients.get((self._pass or 0, id), ()):
            g = self._sum(id, now) if g is None else g
            if isinstance(g, Gone):
                raise gone_error(f"∂L/∂{self._name(id)}")
            g = change.applied(g)
        if is_array(g) and is_array(recorded) and same_bits(g, recorded):
            g = recorded
        self._cotangents[id] = g
        return g

    def _another_sum(self, id: int, now: int) -> Array | None:
        """The cotangent that a hook is given, where it is another."""
        return self._sum(id, now) if id in self._reached else None

    def _after_hooks(self, id: int, g: Array, recorded: Any) -> Any:
        """What hooks put in the place of a cotangent."""
        found = [note for note in self.program.hooked.get(id, ()) if self._is_in_pass(note.after)]
        for note in found[-1:]:
            if note.tensor in self._now:
                return self._now[note.tensor].astype(g.dtype, copy=False)
            made = self.run.nodes.get(note.tensor)
            if made is None or made.op is None:
                name = self._name(id)
                self._leave(note.after, f"a hook replaced ∂L/∂{name}", note.source)
            return recorded
        return g

    def _is_in_pass(self, after: int) -> bool:
        return self._pass is not None and self.queries.pass_of(after - 1) == self._pass

    def _sum(self, id: int, until: int) -> Array:
        seed, events = self._pass or 0, self.run.events
        return summed(
            self.program,
            id,
            seed,
            until,
            lambda index: self.events.get(index, events[index]),
            self._alone,
        )

    def _accumulate(self, event: Accumulate) -> None:
        leaf, g = event.output, event.held
        if self._is_symbolic:
            g = self._linked(g)
        elif leaf.id in self._reached or leaf.id in self._changed:
            g = self._whole(leaf.id, g, event.index)
        if g is not event.held or leaf.id in self._grads:
            self._add(leaf.id, event, _there(g, event))
        if g is not event.held or leaf in self.nodes:
            node = self.nodes.get(leaf, leaf)
            self.events[event.index] = Accumulate(
                event.index, event.scope, event.source, self.places, g, node
            )

    def _add(self, leaf: int, event: Accumulate, g: Array) -> None:
        """Add the gradient of a pass to `.grad`, where either is another."""
        recorded = self.program.grad_of(leaf, before_event(event.index))
        before = self._grads.get(leaf, recorded)
        after = g if before is None else np.asarray(before + g)
        self._grads[leaf] = after
        if recorded is not None and event.held is not None:
            g = _there(event.held, event)
            if same_bits(after, np.asarray(recorded + g)):
                del self._grads[leaf]

    def _zero(self, event: Zero) -> None:
        leaf = event.output
        self._grads.pop(leaf.id, None)
        if leaf in self.nodes:
            node = self.nodes[leaf]
            self.events[event.index] = Zero(
                event.index, event.scope, event.source, self.places, None, node
            )

    # Parameters

    def _update(self, event: Update) -> None:
        leaf, value, move = event.output, event.held, event.move
        if move is not None:
            value, move = self._moved(event, move)
        else:
            value = self._linked(value)
            if value is event.held and (leaf.id in self._now or leaf.id in self._grads):
                if isinstance(value, Gone):
                    raise gone_error(f"what {self._name(leaf.id)} was updated from")
                self._leave(
                    event.index, f"updated {self.queries.names.of(leaf)} by itself", event.source
                )
        for change in self._of_nodes.get(leaf, ()):
            value = change.applied(_there(value, event))
        self._now.pop(leaf.id, None)
        if value is event.held or value is None:
            return
        self._renew_leaf(leaf, _there(value, event))
        self.events[event.index] = Update(
            event.index,
            event.scope,
            event.source,
            self.places,
            value,
            self.nodes[leaf],
            move,
        )

    def _failure(self, event: Failure) -> None:
        if any(x in self.nodes for x in event.used):
            inputs = tuple([x if x is None else self.nodes.get(x, x) for x in event.inputs])
            self.events[event.index] = Failure(
                event.index,
                event.scope,
                event.source,
                self.places,
                None,
                event.op,
                inputs,
                event.message,
            )

    _handlers: ClassVar[dict[type, Callable[..., None]]] = {
        Forward: _forward,
        Seed: _seed,
        Vjp: _vjp,
        Accumulate: _accumulate,
        Update: _update,
        Zero: _zero,
        Failure: _failure,
    }

    def _moved(self, event: Update, move: Move) -> tuple[Any, Move]:
        """The values that a step of an optimiser gives a parameter, and what it makes them from."""
        id = event.output.id
        data = self._now.get(id, move.data)
        gradient = self._grads.get(id, move.gradient).astype(data.dtype, copy=False)
        state = self._states.get((move.owner, id)) if move.follows else None
        if data is move.data and gradient is move.gradient and state is None:
            return event.held, move
        begun = dict(move.state if state is None else state)
        left = dict(begun)
        value = np.asarray(moved_again(move.kind, gradient, data, left, move.settings))
        self._states[move.owner, id] = left
        made = replace(move, gradient=gradient, data=data, state=begun)
        if is_array(event.held) and same_bits(value, event.held):
            return event.held, made
        value.flags.writeable = False
        return value, made

    # Between the events

    def _follow(self, number: int) -> None:
        """A note: what a tensor holds by now, or where the program may go another way."""
        note = self.run.notes[number]
        match note:
            case GradientTaken(tensor=tensor, of=of, origin="grad") if of in self._grads:
                self._now[tensor] = self._grads[of]
            case GradientTaken(tensor=tensor, of=of, origin="pass"):
                if of in self._reached or of in self._changed:
                    self._now[tensor] = self._whole(of, None, note.after - 1)
            case Clipped():
                self._clip(number, note)
            case Replaced(is_clipped=False):
                self._replace(note)
            case Look() if note.tensor in self._now:
                self._look(note)
            case _:
                pass

    def _clip(self, number: int, note: Clipped) -> None:
        if not any(leaf in self._grads for leaf in note.leaves):
            return
        moment = note.after, number
        gradients: list[Array] = []
        for leaf in note.leaves:
            held = self._grads.get(leaf)
            held = self.program.grad_of(leaf, moment) if held is None else held
            if held is None:
                raise TraceError("what_if: the recording began after a gradient that was clipped")
            gradients.append(held)
        for leaf, gradient in zip(
            note.leaves, RULES[note.rule](gradients, note.settings), strict=True
        ):
            self._grads[leaf] = gradient
        if note.rule == "norm":
            self._leave(note.after, "was told the norm of the gradients", note.source)

    def _replace(self, note: Replaced) -> None:
        """The program bound `.grad` by itself: to what ops made, or to something unknown."""
        if note.tensor in self._now:
            held = self._now[note.tensor]
            self._grads[note.leaf] = held.astype(_there(note.held, note).dtype, copy=False)
        elif self._grads.pop(note.leaf, None) is not None:
            made = self.run.nodes.get(note.tensor)
            if made is None or made.op is None:
                name = self._name(note.leaf)
                self._leave(note.after, f"replaced the gradient of {name} by itself", note.source)

    def _look(self, note: Look) -> None:
        made, recorded = self._now[note.tensor], self.run.nodes.get(note.tensor)
        if note.kind != "data" and recorded is not None and is_array(recorded.seen[0]):
            function = bool if note.kind == "bool" else int
            if _answer(function, made) == _answer(function, recorded.seen[0]):
                return
        self._leave(note.after, f"looked at {self._name(note.tensor)}", note.source)

    def _leave(self, event: int, what: str, source: Source | None) -> None:
        self.unfollowed.append(Unfollowed(event, what, source))

    def _name(self, id: int) -> str:
        taken = self.program.taken.get(id)
        before = ""
        if taken is not None:
            before, id = "∂L/∂", taken.of
        node = self.run.nodes.get(id)
        return f"{before}tensor#{id}" if node is None else before + self.queries.names.of(node)


def summed(
    program: Program,
    id: int,
    seed: int,
    until: int,
    event_at: Callable[[int], Event],
    alone: Container[int] = (),
) -> Array:
    """What a tensor has received in a backward pass, summed as the engine sums it.

    In order; then the terms of one op in one call, but for those of the events `alone`.
    """
    total: Any = None
    if program.starts_at(seed, id):
        start = event_at(seed)
        assert isinstance(start, Seed)
        assert start.value is not None
        total = start.value.astype(start.output.data.dtype, copy=False)
    together: dict[tuple[Op, int], list[Vjp]] = {}
    for index in program.queries.received_by(id, seed, until):
        event = event_at(index)
        assert isinstance(event, Vjp)
        rule = event.of.rule
        if rule is not None and event.slot in rule.together and index not in alone:
            together.setdefault((rule, event.slot), []).append(event)
            continue
        term = event.value
        if term is None:
            term = loud_vjp_term(event.of, event.slot, event.cotangent)
        total = term if total is None else total + term
    for (rule, slot), events in together.items():
        term = _in_one_call(rule, slot, events)
        total = term if total is None else total + term
    made = np.asarray(total)
    made.flags.writeable = False
    return made


def _in_one_call(rule: Op, slot: int, events: Sequence[Vjp]) -> Array:
    cotangents = [event.cotangent for event in events]
    operands = [event.of.operands for event in events]
    options = [event.of.options for event in events]
    made = rule.together[slot](cotangents, operands, options)
    return rule.fitted(made, slot, operands[0][slot])


def _answer(function: Callable[[Any], Any], array: Array) -> Any:
    try:
        return function(array.item())
    except (ValueError, OverflowError):  # a NaN, or several values
        return None


def _there(array: Any, event: Any) -> Array:
    """An array that a recording may have let go of."""
    if isinstance(array, Gone):
        raise gone_error(f"what event {getattr(event, 'index', event.after)} wrote")
    return array


def _replaced(value: Any, others: Mapping[int, Array]) -> Any:
    """An option, with other arrays in it."""
    if is_array(value):
        return others.get(id(value), value)
    if type(value) in (tuple, list):
        return type(value)(_replaced(part, others) for part in value)
    return value


def _with(
    node: Node,
    inputs: tuple[Node | None, ...],
    operands: tuple[Any, ...],
    data: Any,
    options: Mapping[str, Any],
) -> Node:
    """A node like another, of other numbers."""
    return Node(
        node.id,
        node.op,
        inputs,
        operands,
        data,
        node.name,
        node.requires_grad,
        options,
        node.scope,
        node.source,
        node.rule,
    )
