"""The cursor over a recorded run, and its answers. No terminal, no colours: views show it.

Cursor k means that events 0..k have happened. Every answer is a function of k alone, so stepping
back needs no undoing, and two ways to one event lead to the same answers.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from ..autograd.state import Scope
from ..autograd.switches import quietly
from ..autograd.tensor import Array
from ..cached import cached_property
from ..errors import TinygradError, TraceError
from ..tracing.questions.names import Place
from ..tracing.questions.notation import Index
from ..tracing.questions.training import StepRow, steps_of
from ..tracing.questions.why import Why
from ..tracing.recording.event import Event, Forward, not_finite
from ..tracing.recording.graph import Node
from ..tracing.recording.held import gone_error
from ..tracing.recording.source import Source
from ..tracing.trace import Trace
from ..tracing.whatif.edits import Edit
from .branches import Branches
from .breakpoints import Breakpoint
from .events import calls_of, lookup, name_written, phase_of, source_of
from .expressions import Expression, Lookup

UNITS = ("op", "cell", "t", "layer", "phase", "update")
_MARKED_EVENTS = 20_000
_COUNTED_EVENTS = 200_000


class Session:
    """A cursor over one recorded run, with its breakpoints, watches and branches.

    Raises:
        TraceError: nothing was recorded.
    """

    def __init__(self, trace: Trace, cursor: int = 0) -> None:
        if not trace.events:
            raise TraceError("nothing was recorded: no op of tinygrad_rnn ran inside the trace")
        self.run = self.trace = trace  # the run itself, and what is looked at: it or a branch of it
        self.branches = Branches(trace)
        self.explainer, self.queries = trace.explainer, trace.queries
        self.cursor = min(max(cursor, 0), self.last)
        self.breakpoints: list[Breakpoint] = []
        self.watches: list[Expression] = []
        self.folded: set[Scope] = set()
        # The element that formulas are shown for.
        self.index: Index = ()
        # What `/` alone looks for; and whether `n` and `N` go on with it.
        self.sought, self.is_searching = "", False
        # How many calls further out than the user's own line `up` went.
        self.frame = 0
        # What was said already, and is said once alone.
        self.told: set[str] = set()
        # The breakpoints that were looked for in the whole run, and where they are.
        self._stops: tuple[list[Breakpoint], list[int]] = ([], [])

    # Runs that would have been

    def change(self, edit: Edit) -> None:
        """Change a number, and look at the branch that comes of it, at the same event.

        Raises:
            TraceError: it does not fit.
        """
        self.branches.change(edit)
        self._look()

    def undo(self) -> str:
        """Take back the last change of the branch; returns its text.

        Raises:
            TraceError: this is the run itself.
        """
        undone = self.branches.undo()
        self._look()
        return undone

    def show(self, number: int | None) -> None:
        """Look at a branch, or at the run itself, at the same event.

        Raises:
            TraceError: there is no such branch.
        """
        self.branches.show(number)
        self._look()

    def toggle(self) -> None:
        """Go between the run and the branch that was looked at last.

        Raises:
            TraceError: there is no branch.
        """
        self.branches.toggle()
        self._look()

    def drop(self, number: int) -> None:
        """Forget a branch.

        Raises:
            TraceError: there is none of this number.
        """
        self.branches.drop(number)
        self._look()

    @property
    def set_here(self) -> list[str]:
        """The changes that set what the current event wrote."""
        return [edit.text for edit in self.trace.changes if edit.sets(self.run.events[self.cursor])]

    def _look(self) -> None:
        """From now on, answer for the run or branch that is looked at."""
        self.trace = self.branches.shown
        self.explainer, self.queries = self.trace.explainer, self.trace.queries
        for known in ("parameters", "training_steps", "alerts", "memory"):
            self.__dict__.pop(known, None)
        self._stops = ([], [])
        for breakpoint in self.breakpoints:
            breakpoint.restart()

    # Where we are

    @property
    def last(self) -> int:
        """The last event of the run."""
        return len(self.trace.events) - 1

    @property
    def event(self) -> Event:
        """The event at the cursor: the newest that has happened."""
        return self.trace.events[self.cursor]

    def move(self, to: int) -> bool:
        """Put the cursor at an event, or at the nearer end of the run; returns whether it moved."""
        before = self.cursor
        self.cursor = min(max(to, 0), self.last)
        if self.cursor != before:
            self.frame = 0
        return self.cursor != before

    @property
    def name(self) -> str | None:
        """What the current event writes, as expressions call it: "h@3", "d.h@3"."""
        return name_written(self.queries, self.event)

    @property
    def value(self) -> Array | None:
        """The array that the current event wrote; None if it wrote none, or if it is gone."""
        return None if self.event.is_gone else self.queries.written_by(self.event)

    @property
    def gone(self) -> str:
        """Why the numbers of the current event cannot be shown; "" where they can."""
        if not self.event.is_gone:
            return ""
        return str(gone_error(f"what event {self.cursor} ({self.event.kind}) wrote"))

    def why_here(self, index: Index | None = None) -> Why:
        """How the current event made one element, by default the selected one.

        Raises:
            TraceError: it wrote no numbers.
        """
        value = self.value
        if value is None:
            nothing = f"event {self.cursor} ({self.event.kind}) wrote no numbers"
            raise TraceError(self.gone or nothing)
        return self.explainer.event(
            self.event, self.selected(value.shape) if index is None else index
        )

    def calls(self) -> list[tuple[str, int, str]]:
        """File, line and function of each call that led here, the innermost first."""
        source = source_of(self.event)
        if source is None:
            return []
        # Python's own calls, which ran the script, are none of the user's.
        calls = [call for call in source.calls() if not call[0].startswith("<frozen")]
        return calls or [(source.file, source.line, "")]

    def call_at(self, frame: int) -> int:
        """The call that is so many calls outside the user's own line, or the outermost."""
        source, calls = source_of(self.event), self.calls()
        places = [call[:2] for call in calls]
        own = (source.file, source.line) if source is not None else None
        at = (places.index(own) if own in places else 0) + frame
        return min(max(at, 0), len(calls) - 1)

    def source_here(self) -> Source | None:
        """The line that ran; after `up` that of a caller."""
        source = source_of(self.event)
        if source is None or not self.frame:
            return source
        file, line, _ = self.calls()[self.call_at(self.frame)]
        return Source(file, line)

    def source_lines(self, around: int) -> list[tuple[int, str]]:
        """The user's lines around the one that ran, with their numbers."""
        source = self.source_here()
        lines = [] if source is None else source.lines
        if source is None or not lines:
            return []
        first, last = max(source.line - around, 1), min(source.line + around, len(lines))
        return [(number, lines[number - 1].rstrip()) for number in range(first, last + 1)]

    def printed(self) -> str:
        """What the program printed between this event and the next."""
        return self.trace.printed.get(self.cursor, "")

    # The selected element

    def selected(self, shape: tuple[int, ...]) -> Index:
        """The selected element, as far as it fits an array of `shape`.

        Until one is selected, it is the first one of what the event wrote; where that is 0 the
        largest, and the first that is not finite before all others.
        """
        value = None if self.index else self.value
        if value is not None and value.shape == shape and value.size:
            return _noteworthy(value)
        given = self.index[-len(shape) :] if shape else ()
        padded = (0,) * (len(shape) - len(given)) + given
        return tuple(max(min(i, n - 1), 0) for i, n in zip(padded, shape, strict=True))

    def noted(self, array: Array) -> Index:
        """The selected element of any array; where none was chosen, one worth looking at."""
        if self.index or not array.size:
            return self.selected(array.shape)
        return _noteworthy(array)

    # Values

    @property
    def lookup(self) -> Lookup:
        """What the names in an expression mean here."""
        return lookup(self.queries, self.cursor)

    def watched(self) -> list[tuple[str, Any]]:
        """Each watch with its value, or the error that says why it has none."""
        return [(watch.text, self._value_or_error(watch)) for watch in self.watches]

    def _value_or_error(self, expression: Expression) -> Any:
        try:
            return expression(self.lookup)
        except TinygradError as error:
            return error

    @cached_property
    def parameters(self) -> list[Node]:
        """The parameters as they were first seen, in order; at last those that no op read."""
        first: dict[int, Node] = {}
        names = self.queries.names
        for node in (*names.places, *names.unread):
            if node.is_parameter:
                first.setdefault(node.id, node)
        return list(first.values())

    @cached_property
    def training_steps(self) -> list[StepRow]:
        """A row for each training step of the run."""
        return steps_of(self.queries)

    # Stepping by units

    def over(self) -> int:
        """The next event that is in no call begun after this one: calls are stepped over."""
        events, calls = self.trace.events, calls_of(self.event)
        at = self.cursor + 1
        if at > self.last:
            return self.last
        inner = calls_of(events[at])
        if len(inner) <= len(calls) or inner[: len(calls)] != calls:
            return at
        entered, phase = inner[len(calls)], phase_of(events[at])
        while at < self.last:
            following = events[at + 1]
            if entered not in calls_of(following) or phase_of(following) != phase:
                break
            at += 1
        return at

    def ends(self, unit: str, after: int = -1) -> Iterator[int]:
        """The last event of each unit (op, cell, timestep …) after event `after`, in order."""
        key, events = self._key_of(unit), self.trace.events
        keys = (key(events[index]) for index in range(after + 1, self.last + 1))
        for index, (one, following) in enumerate(pairwise(keys), after + 1):
            if one != following:
                yield index
        if after < self.last:
            yield self.last

    def ends_before(self, unit: str, before: int) -> Iterator[int]:
        """The same, those before event `before`, the nearest first."""
        key, events = self._key_of(unit), self.trace.events
        keys = (key(events[index]) for index in range(before, -1, -1))
        for index, (following, one) in enumerate(pairwise(keys), 1):
            if one != following:
                yield before - index

    def _key_of(self, unit: str) -> Callable[[Event], Any]:
        """What events of one unit have in common, and neighbouring units do not."""
        if unit == "op":
            return self._op_key
        if unit == "phase":
            return phase_of
        if unit == "update":
            return lambda event: self.queries.steps.of(event.index)
        part = _PARTS_OF_PLACES[unit]

        def key(event: Event) -> Any:
            place = self.queries.here(event)
            return phase_of(event), None if place is None else part(place)

        return key

    def _op_key(self, event: Event) -> Any:
        """What a step treats as one: a folded call, or else the event itself."""
        call = self.folded_call(event)
        return event.index if call is None else (phase_of(event), call)

    def vjps_ahead(self) -> list[int]:
        """The events to come in which the op that ran here hands on its cotangent."""
        event = self.event
        if not isinstance(event, Forward):
            return []
        return [index for index in self.queries.handed(event.output) if index > self.cursor]

    # Folded calls

    def folded_call(self, event: Event) -> Scope | None:
        """The outermost folded call around an event."""
        if not self.folded:
            return None
        return next((call for call in calls_of(event) if call in self.folded), None)

    def unfolded_calls(self) -> list[Scope]:
        """The calls around the cursor down to the first folded one."""
        calls: list[Scope] = []
        for call in calls_of(self.event):
            if call in self.folded:
                break
            calls.append(call)
        return calls

    # What the timeline and the status line show

    @cached_property
    def alerts(self) -> list[int]:
        """The events that wrote a NaN or an infinity."""
        return not_finite(self.trace.events)

    def stops(self) -> list[int]:
        """The events that breakpoints stop at; in a very long run none are looked for."""
        if not self.breakpoints or self.last >= _MARKED_EVENTS:
            return []
        if self._stops[0] != self.breakpoints:
            events = self.trace.events
            hits = [event.index for event in events if self.breakpoint_at(event) is not None]
            self._stops = (list(self.breakpoints), hits)
        return self._stops[1]

    def hits(self, breakpoint: Breakpoint) -> list[int] | None:
        """Every event that a breakpoint stops at; None in a run too long to look through."""
        if self.last >= _COUNTED_EVENTS:
            return None
        events = self.trace.events
        return [event.index for event in events if breakpoint.matches(self.queries, event)]

    def breakpoint_at(self, event: Event) -> int | None:
        """The number of the first breakpoint that stops at an event."""
        numbered = enumerate(self.breakpoints)
        return next((i for i, one in numbered if one.matches(self.queries, event)), None)

    @cached_property
    def memory(self) -> str:
        """What the recording holds, in one phrase."""
        return str(self.trace.memory())


def _cell(place: Place) -> Any:
    return place.graph, place.layer, None if place.layer is None else place.t


_PARTS_OF_PLACES: dict[str, Callable[[Place], Any]] = {
    "cell": _cell,
    "t": lambda place: (place.graph, place.t),
    "layer": lambda place: (place.graph, place.layer),
}


def _noteworthy(value: Array) -> Index:
    """The element to explain if none was chosen."""
    if not _is_finite(value):
        flat = int(np.argmax(~np.isfinite(value)))
    elif value.flat[0]:
        flat = 0
    else:
        flat = int(np.argmax(np.abs(value)))
    return tuple(int(i) for i in np.unravel_index(flat, value.shape))


@quietly
def _is_finite(value: Array) -> bool:
    if value.dtype.kind != "f":
        return True
    return bool(np.isfinite(value.sum()) or np.isfinite(value).all())
