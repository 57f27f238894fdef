"""Below: where in the run we are, what it holds, and the keys."""

from bisect import bisect_left

from rich.text import Text

from ..events import phase_of
from ..session import Session
from .lines import KIND_STYLES, fitting, line

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
    ("n", "step"), ("p", "back"), (":", "command"), ("?", "help"), ("q", "quit"), ("f", "fwd/bwd"), ("w", "why"),
    ("o", "origin"), ("d", "ledger"), ("[ ]", "run"), ("t T", "time"), ("c C", "cell"), ("m", "matrix"), ("i", "info"),
    ("D", "diff"),
)  # fmt: skip


def timeline(session: Session, width: int) -> Text:
    """The whole run in one row: its phases, breakpoints ●, what is not finite !, and the cursor █."""
    events, row = session.trace.events, Text(no_wrap=True, end="")
    count = len(events)
    alerts, stops = session.alerts, session.stops()
    at = min(session.cursor * width // count, width - 1)
    for column in range(width):
        low, high = (
            column * count // width,
            max((column + 1) * count // width, column * count // width + 1),
        )
        kind = events[min(low, count - 1)].kind
        sign, style = _SIGNS[kind], KIND_STYLES[kind] + ("" if low <= session.cursor else " dim")
        if bisect_left(alerts, high) > bisect_left(alerts, low):
            sign, style = "!", "bold red"
        if bisect_left(stops, high) > bisect_left(stops, low):
            sign, style = "●", "bold yellow"
        if column == at:
            sign, style = "█", "bold"
        row.append(sign, style=style)
    return row


def timeline_event(session: Session, column: int, width: int) -> int:
    """The event that a column of the timeline stands for."""
    return min(
        max(column, 0) * len(session.trace.events) // max(width, 1), len(session.trace.events) - 1
    )


def status(session: Session, width: int) -> Text:
    """Position, phase and memory in one line; what there is no room for is left out."""
    event, alerts = session.event, session.alerts
    place = [f"t={event.copy}"] * (event.copy is not None) + [f"layer {event.layer}"] * (
        event.layer is not None
    )
    warning = [f"first NaN or inf: event {alerts[0]}"] if alerts else []
    memory = session.memory.split(" · ")
    parts = [
        f"event {session.cursor}/{len(session.trace.events) - 1}",
        phase_of(event),
        *place,
        *warning,
    ]
    shown = line(fitting([*parts, *memory], width), width)
    shown.highlight_words(warning, "bold red")
    shown.highlight_words(parts[1:2], KIND_STYLES[event.kind])
    return shown


def key_hints(width: int) -> Text:
    """The most used keys, as many as fit."""
    shown = fitting([f"{key} {does}" for key, does in _HINTS], width, "  ")
    hints = Text(no_wrap=True, end="")
    for i, (key, does) in enumerate(_HINTS[: shown.count("  ") + 1]):
        hints.append("  " * (i > 0)).append(key, "bold").append(f" {does}", "dim")
    return hints if hints.cell_len <= width else line(hints.plain, width)
