"""The left: everything that happened, under the calls it happened in."""

from bisect import bisect_left
from dataclasses import dataclass

from rich.text import Text

from ...autograd.state import Scope
from ...text import elide
from ...tracing.recording.event import Event
from ...tracing.recording.graph import collector_paused
from ..events import phase_of, scope_of
from ..session import Session
from .lines import HEADING, Lines, pieces, safe
from .wording import describe

_GUIDES = 4  # deeper than that, calls are not indented further


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the tree: an event, or the call (a module, a `tg.scope`) that the events below it ran in."""

    event: int  # of a call, the last one in it
    call: Scope | None = None
    first: int = 0  # of a call, the first event in it
    depth: int = 0


class Tree:
    """The rows of a session's tree, made once and found again by event."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.rows: list[Row] = []
        self._grow()
        self._events = [row.event for row in self.rows if row.call is None]
        self._positions = [i for i, row in enumerate(self.rows) if row.call is None]

    @collector_paused()
    def _grow(self) -> None:
        session, rows = self.session, self.rows
        phase, opened = "", tuple[Scope, ...]()
        chains: dict[Scope | None, tuple[Scope, ...]] = {None: ()}
        for event in session.trace.events:
            scope = scope_of(event)
            if scope not in chains:
                assert scope is not None
                chains[scope] = scope.chain()
            calls, now = chains[scope], phase_of(event)
            folded = next((i for i, call in enumerate(calls) if call in session.folded), None)
            calls = calls if folded is None else calls[: folded + 1]
            if now != phase or calls != opened:
                common = _common(opened, calls) if now == phase else 0
                rows += [
                    Row(event.index, call, event.index, i)
                    for i, call in enumerate(calls)
                    if i >= common
                ]
                phase, opened = now, calls
            if folded is None:
                rows.append(Row(event.index, depth=len(calls)))
            else:
                rows[-1] = Row(event.index, rows[-1].call, rows[-1].first, rows[-1].depth)

    def position(self, event: int) -> int:
        """The row of an event, or that of the folded call around it."""
        at = bisect_left(self._events, event)
        if at < len(self._events) and self._events[at] == event:
            return self._positions[at]
        return min(bisect_left(self.rows, event, key=lambda row: row.event), len(self.rows) - 1)

    def lines(self, top: int, width: int, height: int) -> Lines:
        """The rows from `top` on."""
        return [self._line(row, width) for row in self.rows[top : top + height]]

    def _line(self, row: Row, width: int) -> Text:
        session = self.session
        event = session.trace.events[row.event]
        folded = row.call is not None and row.call in session.folded
        current = (row.call is None or folded) and row.event == session.cursor
        guides = "│ " * min(row.depth, _GUIDES)
        room = max(width - 2 - len(guides), 1)
        text = (
            self._event(event, room)
            if row.call is None
            else elide(self._call(row, event, folded), room)
        )
        style = "reverse bold" if current else "dim" if row.event > session.cursor else ""
        if not current and row.call is not None:
            style = f"{style} {HEADING}".strip()
        elif not current and event.kind == "error":
            style = "bold red"
        mark, colour = self._mark(row, folded)
        guide_style = "reverse" if current else "dim"
        parts = [
            ("▶" if current else " ", style),
            (mark, colour or style),
            (guides, guide_style),
            (text, style),
        ]
        return pieces([*parts, (" " * (room - Text(text).cell_len), style)], width)

    def _mark(self, row: Row, folded: bool) -> tuple[str, str]:
        """A breakpoint, or a value that is not finite, at this row."""
        if row.call is not None and not folded:
            return " ", ""
        first = row.first if folded else row.event
        for events, mark, style in (
            (self.session.alerts, "!", "bold red"),
            (self.session.stops(), "●", "yellow"),
        ):
            if bisect_left(events, row.event + 1) > bisect_left(events, first):
                return mark, style
        return " ", ""

    def _event(self, event: Event, room: int) -> str:
        """An event in one line; where that is too long, with its first operand alone, then without operands."""
        texts = [
            safe(describe(self.session.queries.names, event, brief=brief))
            for brief in (False, True)
        ]
        first, comma, _ = texts[0].partition(", ")
        texts[1:1] = [f"{first}, …)"] * (event.kind == "forward" and comma != "")
        return next((text for text in texts if len(text) <= room), elide(texts[-1], room))

    def _call(self, row: Row, event: Event, folded: bool) -> str:
        assert row.call is not None
        place = [f"t={event.copy}"] * (event.copy is not None and event.layer is not None)
        count = f" ({row.event - row.first + 1} events)" if folded else ""
        phase = "∂ " if phase_of(event) == "backward" else ""
        return f"{'▸' if folded else '▾'} {phase}{' '.join([safe(row.call.name), *place])}{count}"


def _common(one: tuple[Scope, ...], other: tuple[Scope, ...]) -> int:
    """How many calls two chains begin with together."""
    return next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a is not b),
        min(len(one), len(other)),
    )
