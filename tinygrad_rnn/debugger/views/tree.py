"""The left pane: everything that happened, under the calls it happened in."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.text import Text

from ...autograd.state import Scope
from ...text import elide
from ...tracing.recording.event import Event, Failure, Forward, Vjp
from ...tracing.recording.graph import collector_paused
from ..events import calls_of, phase_of
from ..session import Session
from .footer import has_any
from .lines import HEADING, Lines, pieces, safe
from .wording import describe

_GUIDES = 4  # deeper than that, calls are not indented further


class TreeRow(NamedTuple):
    """A line of the tree: an event, or the call (a module, a `tg.scope`) around those below it.

    Of a call, `event` is the last event in it and `first` the first.
    """

    event: int
    call: Scope | None = None
    first: int = 0
    depth: int = 0


class Tree:
    """The rows of a session's tree, found again by event.

    They are made from the start of the run on, as far as somebody looks.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self._rows: list[TreeRow] = []
        # The events that have a row of their own, and which row that is.
        self._events: list[int] = []
        self._positions: list[int] = []
        self._growth = self._grow(session.trace.events)

    def _grow(self, events: Sequence[Event]) -> Iterator[int]:
        """Make the rows of one event after another; the last one may still change."""
        rows, alone, positions = self._rows, self._events, self._positions
        phase, opened = "", tuple[Scope, ...]()
        here, kind, depth, is_folded = None, "", 0, False
        for index, event in enumerate(events):
            scope = event.of.scope if isinstance(event, Vjp) else event.scope
            if scope is not here or event.kind != kind:  # most events are where the one before is
                here, kind, now = scope, event.kind, phase_of(event)
                calls, is_folded = self._shown_calls(event)
                common = _common(opened, calls) if now == phase else 0
                for depth in range(common, len(calls)):
                    rows.append(TreeRow(index, calls[depth], index, depth))
                phase, opened, depth = now, calls, len(calls)
            if is_folded:
                rows[-1] = rows[-1]._replace(event=index)
            else:
                alone.append(index)
                positions.append(len(rows))
                rows.append(TreeRow(index, None, 0, depth))
            yield index

    @collector_paused()
    def _grow_to(self, row: int = -1, event: int = -1) -> None:
        """Make the rows up to a row and to an event, and the row after these."""
        rows = self._rows
        while len(rows) < row + 2 or rows[-1].event <= event:
            if next(self._growth, None) is None:
                break

    def _shown_calls(self, event: Event) -> tuple[tuple[Scope, ...], bool]:
        """The calls around an event, down to the first folded one; whether there is such a one."""
        calls, folded_calls = calls_of(event), self.session.folded
        if folded_calls:
            for i, call in enumerate(calls):
                if call in folded_calls:
                    return calls[: i + 1], True
        return calls, False

    def position(self, event: int) -> int:
        """The row of an event, or that of the folded call around it."""
        self._grow_to(event=event)
        at = bisect_left(self._events, event)
        if at < len(self._events) and self._events[at] == event:
            return self._positions[at]
        return min(bisect_left(self._rows, event, key=lambda row: row.event), len(self._rows) - 1)

    def top(self, wanted: int, height: int) -> int:
        """The row nearest to `wanted` from which on so many rows can be shown."""
        self._grow_to(row=wanted + height)
        return min(max(wanted, 0), max(len(self._rows) - height, 0))

    def row(self, number: int) -> TreeRow | None:
        """A row, if there is such a one."""
        self._grow_to(row=number)
        return self._rows[number] if number < len(self._rows) else None

    def lines(self, top: int, width: int, height: int) -> Lines:
        """The rows from `top` on."""
        self._grow_to(row=top + height)
        return [self._line(row, width) for row in self._rows[top : top + height]]

    def _line(self, row: TreeRow, width: int) -> Text:
        event, folded = self.session.trace.events[row.event], row.call in self.session.folded
        current = row.event == self.session.cursor and (row.call is None or folded)
        guides = "│ " * min(row.depth, _GUIDES)
        room = max(width - 2 - len(guides), 1)
        text = self._event(event, room)
        if row.call is not None:
            text = elide(self._call(row, row.call, event), room)
        style, guide_style = self._style(row, event), "dim"
        if current:
            style, guide_style = "reverse bold", "reverse"
        mark, colour = self._mark(row)
        parts = [
            ("▶" if current else " ", style),
            (mark, colour or style),
            (guides, guide_style),
            (text, style),
            (" " * (room - Text(text).cell_len), style),
        ]
        return pieces(parts, width)

    def _style(self, row: TreeRow, event: Event) -> str:
        if row.call is None and isinstance(event, Failure):
            return "bold red"
        dim = "dim" if row.event > self.session.cursor else ""
        return dim if row.call is None else f"{dim} {HEADING}".strip()

    def _mark(self, row: TreeRow) -> tuple[str, str]:
        """A breakpoint, or a value that is not finite, at this row; of a folded call, in it."""
        session, first = self.session, row.event
        if row.call is not None and row.call not in session.folded:
            return " ", ""
        if row.call is not None:
            first = row.first
        if has_any(session.alerts, first, row.event + 1):
            return "!", "bold red"
        if has_any(session.stops(), first, row.event + 1):
            return "●", "yellow"
        return " ", ""

    def _event(self, event: Event, room: int) -> str:
        """An event in one line: whole, else with its first operand alone, else without operands."""
        names = self.session.queries.names
        whole = safe(describe(names, event))
        if len(whole) <= room:
            return whole
        first, comma, _ = whole.partition(", ")
        shorter = f"{first}, …)"
        if isinstance(event, Forward) and comma and len(shorter) <= room:
            return shorter
        return elide(safe(describe(names, event, brief=True)), room)

    def _call(self, row: TreeRow, call: Scope, event: Event) -> str:
        words = [safe(call.name)]
        if event.copy is not None and event.layer is not None:
            words.append(f"t={event.copy}")
        sign = "▾"
        if call in self.session.folded:
            sign = "▸"
            words.append(f"({row.event - row.first + 1} events)")
        if phase_of(event) == "backward":
            words.insert(0, "∂")
        return " ".join([sign, *words])


def _common(one: tuple[Scope, ...], other: tuple[Scope, ...]) -> int:
    """How many calls two chains begin with together."""
    count = 0
    for a, b in zip(one, other, strict=False):
        if a is not b:
            break
        count += 1
    return count
