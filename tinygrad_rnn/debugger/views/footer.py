"""Below: where in the run we are, what it holds, and the keys."""

from bisect import bisect_left
from collections.abc import Sequence

from rich.text import Text

from ..events import phase_of
from ..session import Session
from .lines import KIND_STYLES, fitting, line
from .wording import place_of

_SIGNS = {
    "forward": "━",
    "seed": "┅",
    "vjp": "┅",
    "accumulate": "┿",
    "update": "▪",
    "zero": "▪",
    "error": "!",
}
_HINTS = (
    ("n", "step"), ("p", "back"), (":", "command"), ("?", "help"), ("q", "quit"), ("f", "fwd/bwd"),
    ("w", "why"), ("o", "origin"), ("d", "ledger"), ("[ ]", "run"), ("t T", "time"),
    ("c C", "cell"), ("m", "matrix"), ("i", "info"), ("D", "diff"),
)  # fmt: skip


def timeline(session: Session, width: int) -> Text:
    """The whole run in one row: its phases, breakpoints ●, NaN and inf !, and the cursor █."""
    events, row = session.trace.events, Text(no_wrap=True, end="")
    count = len(events)
    alerts, stops = session.alerts, session.stops()
    at = min(session.cursor * width // count, width - 1)
    for column in range(width):
        low = column * count // width
        high = max((column + 1) * count // width, low + 1)
        kind = events[min(low, count - 1)].kind
        sign, style = _SIGNS[kind], KIND_STYLES[kind]
        if low > session.cursor:
            style += " dim"
        if has_any(alerts, low, high):
            sign, style = "!", "bold red"
        if has_any(stops, low, high):
            sign, style = "●", "bold yellow"
        if column == at:
            sign, style = "█", "bold"
        row.append(sign, style=style)
    return row


def has_any(events: Sequence[int], low: int, high: int) -> bool:
    """Whether one of the sorted `events` is in low..high-1."""
    return bisect_left(events, high) > bisect_left(events, low)


def timeline_event(session: Session, column: int, width: int) -> int:
    """The event that a column of the timeline stands for."""
    count = len(session.trace.events)
    return min(max(column, 0) * count // max(width, 1), count - 1)


def status(session: Session, width: int) -> Text:
    """Position, phase and memory in one line; what there is no room for is left out."""
    event, alerts = session.event, session.alerts
    phase = phase_of(event)
    warning = [f"first NaN or inf: event {alerts[0]}"] if alerts else []
    branch = [session.branches.title] if session.branches.title else []
    parts = [
        *branch,
        f"event {session.cursor}/{session.last}",
        phase,
        *place_of(event, session.queries.steps.trained),
        *warning,
        *session.memory.split(" · "),
    ]
    shown = line(fitting(parts, width), width)
    shown.highlight_words(warning, "bold red")
    shown.highlight_words(branch, "bold yellow")
    shown.highlight_words([phase], KIND_STYLES[event.kind])
    return shown


def key_hints(width: int) -> Text:
    """The most used keys, as many as fit."""
    shown = fitting([f"{key} {does}" for key, does in _HINTS], width, "  ")
    hints = Text(no_wrap=True, end="")
    for key, does in _HINTS[: shown.count("  ") + 1]:
        if hints:
            hints.append("  ")
        hints.append(key, "bold").append(f" {does}", "dim")
    return hints if hints.cell_len <= width else line(hints.plain, width)
