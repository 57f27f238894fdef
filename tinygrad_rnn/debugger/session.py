"""The debugger's state machine: a cursor over a recorded run. No terminal, no colours: the views show what it answers.

Cursor k means that events 0..k have happened. Every question is a function of k alone, so stepping
back needs no undoing, and two ways to one event lead to the same answers.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, pairwise
from typing import Any

import numpy as np

from ..autograd.state import Scope
from ..autograd.tensor import Array
from ..errors import TinygradError, TraceError
from ..tracing.questions.checks import check_vjp
from ..tracing.questions.queries import GRADIENT
from ..tracing.questions.terms import Index
from ..tracing.questions.why import OriginStep
from ..tracing.recording.budget import gone_error
from ..tracing.recording.event import Event
from ..tracing.recording.graph import Node
from ..tracing.recording.source import Source
from ..tracing.trace import Trace
from .breakpoints import Breakpoint, parse_breakpoint
from .commands import BREAK_HELP, BY_NAME
from .expressions import CommandError, Expression, Lookup, parse

UNITS = ("op", "cell", "t", "layer", "phase")
_PHASES = {
    "seed": "backward",
    "vjp": "backward",
    "accumulate": "backward",
    "update": "update",
    "zero": "update",
}
_TARGET = re.compile(r"\s*(?P<name>[^\s\[\]]+)\s*(?:\[(?P<index>[-\d\s,]*)\])?\s*$")
_OPERANDS = "ABC"
_MARKED_EVENTS = 20_000
_OPERANDS_NAMED = 4  # of a stack of many
_LISTED_AROUND = 5  # lines of source before and after the one that ran


@dataclass(frozen=True, slots=True)
class Message:
    """Lines of plain text."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """What an expression is worth."""

    text: str
    value: Any


@dataclass(frozen=True, slots=True)
class Origin:
    """The way of the largest contribution."""

    steps: tuple[OriginStep, ...]


@dataclass(frozen=True, slots=True)
class Help:
    """Every command."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of one command."""

    answer: Any = None  # Message, Value, Why, Origin, Ledger, Difference, VjpCheck, Help; None: nothing but a move
    moved: bool = False
    failed: bool = False  # an assertion did not hold
    quit: bool = False


class Session:
    """One person's way through one recorded run.

    Raises:
        TraceError: nothing was recorded.
    """

    def __init__(self, trace: Trace, cursor: int = 0) -> None:
        if not trace.events:
            raise TraceError("nothing was recorded: no op of tinygrad_rnn ran inside the trace")
        self.trace = trace
        self.explainer, self.queries = trace.explainer, trace.queries
        self.cursor = min(max(cursor, 0), len(trace.events) - 1)
        self.breakpoints: list[Breakpoint] = []
        self.watches: list[Expression] = []
        self.folded: set[Scope] = set()
        self.index: Index = ()  # the element that formulas are shown for
        self._sought = ""
        self._memory = ""
        self._alerts: list[int] | None = None
        self._stops: tuple[Any, list[int]] = ((), [])

    # Where we are

    @property
    def event(self) -> Event:
        return self.trace.events[self.cursor]

    def node_of(self, event: Event) -> Node | None:
        """The node whose formula an event evaluates: of a vjp the one that hands its cotangent on."""
        return event.of if event.kind == "vjp" else event.output

    def scope_of(self, event: Event) -> Scope | None:
        """The call that an event belongs to: a vjp to that of its forward."""
        node = self.node_of(event)
        return node.scope if event.kind in ("forward", "vjp") and node is not None else event.scope

    def source_of(self, event: Event) -> Source | None:
        """The line that an event comes from: of a vjp, that of its forward."""
        node = self.node_of(event)
        return event.source or (node.source if node is not None else None)

    def module_paths(self, event: Event) -> list[str]:
        """The calls around an event, each as a dotted path, by its last part, and by its class."""
        scope = self.scope_of(event)
        chain = scope.chain() if scope is not None else ()
        names = [call.name for call in chain]
        paths = [".".join(names[: i + 1]) for i in range(len(names))]
        return [
            *paths,
            *names,
            *(type(call.owner).__name__ for call in chain if not isinstance(call.owner, str)),
        ]

    def name_written(self, event: Event) -> str | None:
        """What an event writes, as expressions call it: "h@3", "d.h@3"."""
        if event.output is None:
            return None
        gradient = event.kind in ("seed", "vjp", "accumulate", "zero")
        return (GRADIENT if gradient else "") + self.queries.names.of(event.output)

    def phase_of(self, event: Event) -> str:
        return _PHASES.get(event.kind, "forward")

    @property
    def value(self) -> Array | None:
        """The array that the current event wrote; None where it wrote none, or that is gone."""
        return None if self.event.is_gone else self.queries.written_by(self.event)

    @property
    def gone(self) -> str:
        """Why the numbers of the current event cannot be shown; "" where they can."""
        return (
            str(gone_error(f"what event {self.cursor} ({self.event.kind}) wrote"))
            if self.event.is_gone
            else ""
        )

    def selected(self, shape: tuple[int, ...]) -> Index:
        """The selected element, as far as it fits an array of `shape`.

        Until one is selected, it is the first one of what the event wrote; where that is 0 the
        largest, and the first that is not finite before all others.
        """
        value = self.value if not self.index else None
        if value is not None and value.shape == shape and value.size:
            return _noteworthy(value)
        given = self.index[-len(shape) :] if shape else ()
        padded = (0,) * (len(shape) - len(given)) + given
        return tuple(min(i, n - 1) if n else 0 for i, n in zip(padded, shape, strict=True))

    def noted(self, array: Array) -> Index:
        """The selected element of any array; where none was chosen, one worth looking at."""
        return self.selected(array.shape) if self.index or not array.size else _noteworthy(array)

    # Values

    def lookup(self, at: int) -> Lookup:
        """What a name means after event `at`: out, A, B, C and G of the event, else what the run calls so."""

        def value(name: str) -> Array:
            special = self._special(name, at)
            return self.queries.value(name, at) if special is None else special

        return value

    def _special(self, name: str, at: int) -> Any:
        event = self.trace.events[at]
        if name == "out":
            value = self.queries.written_by(event)
        elif name == "G":
            value = (
                event.cotangent
                if event.kind == "vjp"
                else event.value
                if event.kind == "seed"
                else None
            )
        elif len(name) == 1 and name in _OPERANDS:
            value = self._operand(event, _OPERANDS.index(name))
        else:
            return None
        if value is None:
            yours = f"; your own {name} is my.{name}" if name in self.queries.names else ""
            raise TraceError(f"event {at} ({event.kind}) has no {name}{yours}")
        return value

    def _operand(self, event: Event, slot: int) -> Any:
        node = self.node_of(event)
        operands = node.operands if node is not None and event.kind in ("forward", "vjp") else ()
        return operands[slot] if slot < len(operands) else None

    def watched(self) -> list[tuple[str, Any]]:
        """Each watch with its value, or the error that says why it has none."""
        return [(watch.text, self._value_or_error(watch)) for watch in self.watches]

    def _value_or_error(self, expression: Expression) -> Any:
        try:
            return expression(self.lookup(self.cursor))
        except TinygradError as error:
            return error

    # Moving

    def move(self, to: int) -> Reply:
        """Put the cursor somewhere, at either end at the latest."""
        before = self.cursor
        self.cursor = min(max(to, 0), len(self.trace.events) - 1)
        return Reply(moved=self.cursor != before)

    def ends(self, unit: str, after: int = -1) -> Iterator[int]:
        """The last event of each op, cell, timestep, layer or phase, in order: those after event `after`."""
        key, events, last = self._key_of(unit), self.trace.events, len(self.trace.events) - 1
        keys = (key(events[index]) for index in range(after + 1, last + 1))
        for index, (one, following) in enumerate(pairwise(keys), after + 1):
            if one != following:
                yield index
        if after < last:
            yield last

    def ends_before(self, unit: str, before: int) -> Iterator[int]:
        """The same, those before event `before`, the nearest first."""
        key, events = self._key_of(unit), self.trace.events
        keys = (key(events[index]) for index in range(before, -1, -1))
        for index, (following, one) in enumerate(pairwise(keys), 1):
            if one != following:
                yield before - index

    def _key_of(self, unit: str) -> Callable[[Event], Any]:
        if unit == "op":
            return self._row_of
        if unit == "phase":
            return self.phase_of
        here = self.queries.here
        parts: dict[str, Callable[[Any], Any]] = {
            "cell": lambda place: (
                place.graph,
                place.layer,
                place.t if place.layer is not None else None,
            ),
            "t": lambda place: (place.graph, place.t),
            "layer": lambda place: (place.graph, place.layer),
        }

        def key(event: Event) -> Any:
            place = here(event)
            return self.phase_of(event), parts[unit](place) if place is not None else None

        return key

    def _row_of(self, event: Event) -> Any:
        """What one step shows as one: a folded call, else the event itself."""
        call = self.folded_call(event)
        return event.index if call is None else (self.phase_of(event), call)

    def folded_call(self, event: Event) -> Scope | None:
        """The outermost folded call around an event."""
        scope = self.scope_of(event) if self.folded else None
        return (
            next((call for call in scope.chain() if call in self.folded), None)
            if scope is not None
            else None
        )

    def calls(self) -> list[Scope]:
        """The calls around the cursor, the outermost first."""
        scope = self.scope_of(self.event)
        return list(scope.chain()) if scope is not None else []

    def _fold(self, call: Scope, folded: bool) -> Reply:
        (self.folded.add if folded else self.folded.discard)(call)
        return self.move(next(self.ends("op", self.cursor - 1))) if folded else Reply(moved=True)

    # What the timeline and the status line show

    def alerts(self) -> list[int]:
        """The events that wrote a NaN or an infinity."""
        if self._alerts is None:
            self._alerts = [event.index for event in self.trace.events if not event.is_finite]
        return self._alerts

    def stops(self) -> list[int]:
        """Where the breakpoints are; none are looked for in a run so long that it would take a while."""
        if not self.breakpoints or len(self.trace.events) > _MARKED_EVENTS:
            return []
        key = tuple(self.breakpoints)
        if self._stops[0] != key:
            hits = [
                e.index
                for e in self.trace.events
                if any(b.matches(self, e) for b in self.breakpoints)
            ]
            self._stops = (key, hits)
        return self._stops[1]

    def printed(self) -> str:
        """What the program printed between this event and the next."""
        return self.trace.printed.get(self.cursor, "")

    def memory(self) -> str:
        """What the recording holds, in one phrase."""
        self._memory = self._memory or str(self.trace.memory())
        return self._memory

    # Commands

    def execute(self, line: str) -> Reply:
        """Carry out one command line.

        Raises:
            CommandError: it is no command, or not one that can be carried out here; says where.
            TraceError: the run has no answer to it.
        """
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            return Reply()
        if stripped.startswith("/"):
            return self._search(stripped[1:])
        word = re.match(r"\s*([^\s\[]*)", line)
        assert word is not None
        return self._commands[self._command(word[1], line)](line, word.end())

    def _command(self, word: str, line: str) -> str:
        """A command's name, which may be cut short while it is clear."""
        if word in BY_NAME:
            return word
        found = [name for name in BY_NAME if name.startswith(word)]
        if len(found) == 1:
            return found[0]
        which = (
            f"{word!r} may be {', '.join(found)}"
            if found
            else f"there is no command {word!r}; `help` lists them"
        )
        raise CommandError(which, line, line.find(word))

    @cached_property
    def _commands(self) -> dict[str, Callable[[str, int], Reply]]:
        return {name: getattr(self, f"_do_{name}") for name in BY_NAME if name != "search"} | {
            "search": lambda line, at: self._search(line[at:].strip())
        }

    def _do_step(self, line: str, at: int) -> Reply:
        return self._walk(line, at, 1)

    def _do_back(self, line: str, at: int) -> Reply:
        return self._walk(line, at, -1)

    def _walk(self, line: str, at: int, way: int) -> Reply:
        words = line[at:].split()
        unit = words.pop(0) if words and not words[0].isdecimal() else "op"
        if unit not in UNITS:
            raise CommandError(
                f"one of {', '.join(UNITS)}, not {unit!r}", line, line.index(unit, at)
            )
        count = self._number(words.pop(0), line, at) if words else 1
        self._nothing_more(words, line)
        if count == 0:
            return Reply()
        ends = self.ends(unit, self.cursor) if way > 0 else self.ends_before(unit, self.cursor)
        return self.move(
            next(islice(ends, count - 1, None), len(self.trace.events) - 1 if way > 0 else 0)
        )

    @staticmethod
    def _number(text: str, line: str, at: int) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise CommandError(f"a whole number, not {text!r}", line, line.index(text, at))
        return int(text)

    @staticmethod
    def _nothing_more(words: Sequence[str], line: str) -> None:
        if words:
            raise CommandError(
                f"nothing is expected here: {words[0]!r}", line, line.rindex(words[0])
            )

    def _do_into(self, line: str, at: int) -> Reply:
        self._nothing_more(line[at:].split(), line)
        call = self.folded_call(self.event)
        if call is None:
            return Reply(
                Message(("no folded module is here: `out` folds the one around the cursor",))
            )
        return self._fold(call, folded=False)

    def _do_out(self, line: str, at: int) -> Reply:
        self._nothing_more(line[at:].split(), line)
        unfolded = self._unfolded_calls()
        if not unfolded:
            return Reply(Message(("no module is around this event",)))
        return self._fold(unfolded[-1], folded=True)

    def _unfolded_calls(self) -> list[Scope]:
        """The calls around the cursor down to the first folded one."""
        calls = self.calls()
        folded = next((i for i, call in enumerate(calls) if call in self.folded), len(calls))
        return calls[:folded]

    def _do_continue(self, line: str, at: int) -> Reply:
        return self._run(
            line, at, range(self.cursor + 1, len(self.trace.events)), len(self.trace.events) - 1
        )

    def _do_rcontinue(self, line: str, at: int) -> Reply:
        return self._run(line, at, range(self.cursor - 1, -1, -1), 0)

    def _run(self, line: str, at: int, events: range, end: int) -> Reply:
        self._nothing_more(line[at:].split(), line)
        enabled = [(i, b) for i, b in enumerate(self.breakpoints) if b.enabled]
        for index in events:
            event = self.trace.events[index]
            hit = next(((i, b) for i, b in enabled if b.matches(self, event)), None)
            if hit is not None:
                self.cursor = index
                return Reply(Message((f"breakpoint {hit[0]}: {hit[1].text}",)), moved=True)
        where = "end" if end else "start"
        return Reply(
            Message((f"no breakpoint on the way to the {where}",)), moved=self.move(end).moved
        )

    def _do_jump(self, line: str, at: int) -> Reply:
        where = line[at:].strip()
        last = len(self.trace.events) - 1
        if where in ("start", "end"):
            return self.move(0 if where == "start" else last)
        if not re.fullmatch(r"[+-]?\d{1,9}", where, re.ASCII):
            raise CommandError(
                f"an event number, +N, -N, start or end, not {where!r}", line, at + 1
            )
        to = int(where) + (self.cursor if where[0] in "+-" else 0)
        if where[0] not in "+-" and to > last:
            raise CommandError(f"the last event is {last}", line, line.index(where, at))
        return self.move(to)

    def _do_flip(self, line: str, at: int) -> Reply:
        self._nothing_more(line[at:].split(), line)
        event = self.event
        if event.kind == "vjp" and event.of is not None:
            return self.move(self.queries.names.made_at(event.of))
        node = event.output
        vjps = self.queries.handed(node) if event.kind == "forward" and node is not None else []
        after = [i for i in vjps if i > self.cursor]
        if not after:
            return Reply(Message(("this event has no vjp: no backward pass came through it",)))
        return self.move(after[0])

    def _do_last(self, line: str, at: int) -> Reply:
        name = line[at:].strip() or self._own_name()
        return self._go(
            self.queries.last(name, self.cursor - 1),
            f"nothing wrote {name} before event {self.cursor}",
        )

    def _do_next(self, line: str, at: int) -> Reply:
        name = line[at:].strip() or self._own_name()
        return self._go(
            self.queries.next(name, self.cursor), f"nothing writes {name} after event {self.cursor}"
        )

    def _own_name(self) -> str:
        """The name of what is written here, at any timestep."""
        name = self.name_written(self.event)
        if name is None:
            raise TraceError(f"event {self.cursor} ({self.event.kind}) writes nothing: say of what")
        return name.partition("@")[0]

    def _go(self, to: int | None, otherwise: str) -> Reply:
        return Reply(Message((otherwise,))) if to is None else self.move(to)

    def _search(self, text: str) -> Reply:
        text = text.strip() or self._sought
        if not text:
            raise CommandError(
                "search for what? /h finds the next event whose name, op or line contains h", "/", 1
            )
        self._sought = text
        count = len(self.trace.events)
        for step in range(1, count + 1):
            event = self.trace.events[(self.cursor + step) % count]
            if any(text in part for part in self._searchable(event)):
                return self.move(event.index)
        return Reply(Message((f"no event contains {text!r}",)))

    def _searchable(self, event: Event) -> tuple[str, ...]:
        source = self.source_of(event)
        return (
            self.name_written(event) or "",
            event.op or event.kind,
            source.text if source is not None else "",
        )

    # Questions

    def _target(self, line: str, at: int) -> tuple[str, Index | None] | None:
        """The tensor and element that a command names; None when it names none."""
        if not line[at:].strip():
            return None
        match = _TARGET.match(line, at)
        if match is None:
            raise CommandError("a name and perhaps an element: h@3[0,2]", line, at + 1)
        index = match["index"]
        if index is None:
            return match["name"], None
        parts = [part.strip() for part in index.split(",")] if index.strip() else []
        if not all(re.fullmatch(r"-?\d{1,9}", part, re.ASCII) for part in parts):
            raise CommandError(
                "an element is named by whole numbers: [0,2]", line, match.start("index")
            )
        return match["name"], tuple(int(part) for part in parts)

    def _do_why(self, line: str, at: int) -> Reply:
        target = self._target(line, at)
        if target is None or target[0] == "out":
            return Reply(self.why_here(target[1] if target else None))
        name, index = self._resolved(*target)
        return Reply(self.explainer.why(name, index, self.cursor))

    def why_here(self, index: Index | None = None) -> Any:
        """How the current event made the selected element.

        Raises:
            TraceError: it wrote no numbers.
        """
        value = self.value
        if value is None:
            raise TraceError(
                self.gone or f"event {self.cursor} ({self.event.kind}) wrote no numbers"
            )
        return self.explainer.event(
            self.event, self.selected(value.shape) if index is None else index
        )

    def _do_origin(self, line: str, at: int) -> Reply:
        target = self._target(line, at)
        name = self.name_written(self.event)
        if target is None or target[0] == "out":
            if name is None:
                raise TraceError(
                    f"event {self.cursor} ({self.event.kind}) writes nothing: say of what"
                )
            target = name, target[1] if target else None
        name, index = self._resolved(*target)
        return Reply(Origin(tuple(self.explainer.origin(name, index, self.cursor))))

    def _resolved(self, name: str, index: Index | None) -> tuple[str, Index]:
        """A, B, C and G by the names they have in the run; the selected element where none is named."""
        event, node = self.event, self.node_of(self.event)
        if node is not None and event.kind in ("forward", "vjp") and name in tuple(_OPERANDS):
            slot = _OPERANDS.index(name)
            operand = node.inputs[slot] if slot < len(node.inputs) else None
            if operand is None:
                raise TraceError(f"event {self.cursor} has no tensor {name}")
            name = self.queries.names.of(operand)
        elif name == "G" and node is not None:
            name = GRADIENT + self.queries.names.of(node)
        return name, self.noted(self.queries.value(name, self.cursor)) if index is None else index

    def _do_diff(self, line: str, at: int) -> Reply:
        words = line[at:].split()
        if words and len(words) != 3:
            raise CommandError("a name and two timesteps: diff h 2 5", line, at + 1)
        if not words:
            words = self._neighbours()
        i, j = (self._number(word, line, at) for word in words[1:])
        return Reply(self.queries.diff(words[0], i, j, self.cursor))

    def _neighbours(self) -> list[str]:
        """What is written here, and the same one timestep before."""
        name, t = self.name_written(self.event), self.event.copy
        if name is None or "@" not in name or not t:
            raise TraceError("nothing here has a timestep before it: say which, as in `diff h 2 5`")
        return [name.partition("@")[0], str(t - 1), str(t)]

    def _do_ledger(self, line: str, at: int) -> Reply:
        name = line[at:].strip() or self._parameter_here()
        return Reply(self.queries.ledger(name, self.cursor))

    def _parameter_here(self) -> str:
        """The parameter that this event is about, else the first of the run."""
        node = self.node_of(self.event)
        candidates = [
            x for x in (self.event.output, *(node.inputs if node else ())) if x is not None
        ]
        own = next((x for x in candidates if x.is_parameter), None)
        known = self.parameters
        if own is None and not known:
            raise TraceError("this run has no parameters")
        return self.queries.names.of(own or known[0])

    @cached_property
    def parameters(self) -> list[Node]:
        """The parameters as they were first seen, in order."""
        first: dict[int, Node] = {}
        for node in self.queries.names.places:
            if node.is_parameter:
                first.setdefault(node.id, node)
        return list(first.values())

    def _do_verify(self, line: str, at: int) -> Reply:
        self._nothing_more(line[at:].split(), line)
        event = self.event
        if event.kind == "forward" and event.output is not None:
            handed = [i for i in self.queries.handed(event.output) if i > self.cursor]
            event = self.trace.events[handed[0]] if handed else event
        if event.kind != "vjp" or event.of is None or event.slot is None or event.cotangent is None:
            raise TraceError(
                "no vjp is here: verify at an op of the backward pass, or at a forward that has one"
            )
        return Reply(check_vjp(event.of, event.slot, event.cotangent))

    # Watching and stopping

    def _do_select(self, line: str, at: int) -> Reply:
        text = line[at:].strip().strip("[]")
        if not re.fullmatch(r"\d{1,9}(\s*,\s*\d{1,9})*", text, re.ASCII):
            raise CommandError("an element: select 0,2", line, at + 1)
        self.index = tuple(int(part) for part in text.split(","))
        return Reply(moved=True)

    def _do_watch(self, line: str, at: int) -> Reply:
        if line[at:].strip():
            self.watches.append(self._expression(line, at))
        return Reply(
            Message(
                tuple(
                    f"{i}: {text} = {one_line(value)}"
                    for i, (text, value) in enumerate(self.watched())
                )
            )
        )

    def _do_unwatch(self, line: str, at: int) -> Reply:
        return self._remove(self.watches, "watch", line, at)

    def _do_delete(self, line: str, at: int) -> Reply:
        return self._remove(self.breakpoints, "breakpoint", line, at)

    def _remove(self, items: list[Any], what: str, line: str, at: int) -> Reply:
        text = line[at:].strip()
        if not text:
            items.clear()
            return Reply(Message((f"no {what} is left",)))
        number = self._number(text, line, at)
        if number >= len(items):
            raise CommandError(f"there is no {what} {number}", line, line.index(text, at))
        del items[number]
        return Reply(Message((f"{what} {number} removed",)))

    @staticmethod
    def _expression(line: str, at: int) -> Expression:
        text = line[at:]
        lead = len(text) - len(text.lstrip())
        return parse(text.strip(), line, at + lead)

    def _do_print(self, line: str, at: int) -> Reply:
        expression = self._expression(line, at)
        return Reply(Value(expression.text, expression(self.lookup(self.cursor))))

    def _do_assert(self, line: str, at: int) -> Reply:
        expression = self._expression(line, at)
        if expression.holds(self.lookup(self.cursor)):
            return Reply(Message((f"holds: {expression.text}",)))
        values = [
            f"{name} = {one_line(self.lookup(self.cursor)(name))}" for name in expression.names
        ]
        return Reply(
            Message((f"assertion failed at event {self.cursor}: {expression.text}", *values)),
            failed=True,
        )

    def _do_break(self, line: str, at: int) -> Reply:
        made = parse_breakpoint(line, at)
        self.breakpoints.append(made)
        return Reply(
            Message((f"breakpoint {len(self.breakpoints) - 1}: {made.text or 'every event'}",))
        )

    # About the session

    def _do_info(self, line: str, at: int) -> Reply:
        self._nothing_more(line[at:].split(), line)
        stops = [
            f"breakpoint {i}: {b.text or 'every event'}" for i, b in enumerate(self.breakpoints)
        ]
        watches = [
            f"watch {i}: {text} = {one_line(value)}"
            for i, (text, value) in enumerate(self.watched())
        ]
        folded = [
            f"folded: {'.'.join(c.name for c in call.chain())}"
            for call in sorted(self.folded, key=lambda c: c.id)
        ]
        where = f"event {self.cursor} of {len(self.trace.events) - 1}", self.memory()
        return Reply(Message((*where, *stops, *watches, *folded)))

    def _do_list(self, line: str, at: int) -> Reply:
        self._nothing_more(line[at:].split(), line)
        source, lines = self.source_of(self.event), self.source_lines(_LISTED_AROUND)
        if source is None or not lines:
            return Reply(Message(("this event has no line of source that can be read",)))
        marked = [
            f"{'→' if number == source.line else ' '}{number:>4} {text}" for number, text in lines
        ]
        return Reply(Message(tuple(marked)))

    def source_lines(self, around: int) -> list[tuple[int, str]]:
        """The user's lines around the one that ran, with their numbers."""
        source = self.source_of(self.event)
        lines = source.lines if source is not None else []
        if source is None or not lines:
            return []
        first = max(source.line - around, 1)
        return [
            (n, lines[n - 1].rstrip())
            for n in range(first, min(source.line + around, len(lines)) + 1)
        ]

    def _do_help(self, line: str, at: int) -> Reply:
        word = line[at:].strip()
        if not word:
            return Reply(Help())
        command = BY_NAME[self._command(word, line)]
        keys = [f"key {key}: {does}" for key, does in command.keys]
        more = (
            BREAK_HELP.splitlines() if command.name in ("break", "print", "watch", "assert") else []
        )
        return Reply(Message((f"{command.usage}: {command.summary}", *keys, *more)))

    def _do_quit(self, line: str, at: int) -> Reply:
        self._nothing_more(line[at:].split(), line)
        return Reply(quit=True)


def _is_finite(value: Array) -> bool:
    with np.errstate(all="ignore"):
        return (
            value.dtype.kind != "f"
            or bool(np.isfinite(value.sum()))
            or bool(np.isfinite(value).all())
        )


def _noteworthy(value: Array) -> Index:
    """The element to explain where nobody chose one."""
    if not _is_finite(value):
        flat = int(np.argmax(~np.isfinite(value)))
    else:
        flat = 0 if value.flat[0] else int(np.argmax(np.abs(value)))
    return tuple(int(i) for i in np.unravel_index(flat, value.shape))


def one_line(value: Any) -> str:
    """A value in one line."""
    if isinstance(value, Exception):
        return str(value)
    if isinstance(value, tuple):
        return str(value)
    array = np.asarray(value)
    if array.size == 1:
        return f"{array.item():.6g}" if array.dtype.kind == "f" else str(array.item())
    return f"{array.dtype} {array.shape}, norm {np.linalg.norm(array.astype(float)):.4g}"


def _index_text(options: Mapping[str, Any]) -> str:
    """An index as it is written: 0, 1:3, ..., or the shape of an array of indices."""

    def one(part: Any) -> str:
        if isinstance(part, slice):
            ends = ["" if end is None else str(end) for end in (part.start, part.stop)]
            return ":".join(ends) + (f":{part.step}" if part.step is not None else "")
        if part is Ellipsis:
            return "..."
        return str(part) if np.ndim(part) == 0 else f"array of {np.shape(part)}"

    index = options.get("index")
    return ", ".join(map(one, index)) if isinstance(index, tuple) else one(index)


def describe_event(session: Session, event: Event, *, brief: bool = False) -> str:
    """An event in one line: "h@2 = tanh(z@2)", "∂L/∂z@2 ← h@2 (tanh)"; in brief, "h@2 = tanh", "∂L/∂z@2 ← tanh"."""
    names = session.queries.names
    if event.output is None:
        return (
            f"{event.op or 'the program'} raised"
            if brief
            else (event.message or "").partition("\n")[0]
        )
    name = names.of(event.output)
    match event.kind:
        case "forward":
            own = name.startswith(f"{event.op}#")  # "tanh#12(z@2)", and not "tanh#12 = tanh(z@2)"
            if brief:
                made = f"[{_index_text(event.output.options)}]" if event.op == "getitem" else ""
                return name + made if own else f"{name} = {event.op}"
            made = _call_text(session, event, event.output)
            return (
                f"{name}{made.removeprefix(event.op or '')}"
                if own and event.op != "getitem"
                else f"{name} = {made}"
            )
        case "vjp":
            assert event.of is not None
            source = names.of(event.of)
            return f"∂L/∂{name} ← " + (
                f"{event.op}" if brief else source + ("" if "#" in source else f" ({event.op})")
            )
        case "seed":
            return f"∂L/∂{name} = " + ("start" if brief else "the start of the backward pass")
        case "accumulate":
            return f"{name}.grad +=" + ("" if brief else f" ∂L/∂{name}")
        case "update":
            return f"{name} ← new values"
        case _:
            return f"{name}.grad ← None"


def _call_text(session: Session, event: Event, output: Node) -> str:
    """An op with its operands: "tanh(z@2)", "xs[0, 1:3]"."""
    pairs = list(zip(event.inputs, output.numbers, strict=True))
    shown = [
        session.queries.names.of(x) if x is not None else f"{a:.4g}"
        for x, a in pairs[:_OPERANDS_NAMED]
    ]
    more = [f"… {len(pairs)} in all"] if len(pairs) > _OPERANDS_NAMED else []
    operands = ", ".join([*shown, *more])
    return (
        f"{operands}[{_index_text(output.options)}]"
        if event.op == "getitem"
        else f"{event.op}({operands})"
    )
