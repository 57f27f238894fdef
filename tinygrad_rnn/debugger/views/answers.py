"""Answers to commands."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.text import Text

from ...tracing.questions.checks import GradientCheck
from ...tracing.questions.queries import Difference, Ledger
from ...tracing.questions.terms import Index
from ...tracing.questions.why import Why, element, number
from ..commands import COMMANDS, Help, Message, Origin, Value, one_line
from ..expressions import CommandError
from ..session import Session
from .lines import HEADING, DrawnLater, Lines, blank, cropped, line, pieces, safe, wrapped
from .matrix import Matrix
from .step import explained

_VALUE_ROWS = 20
_DIFFERENCE_ROWS = 10
_BAR = 12  # columns, one of them before it
_LAYERS_FROM = 46  # columns; a narrower answer has no room for layers
_BAR_FROM = 64  # columns; a narrower answer has no room for bars
_NORM_DIGITS = 4


def answer(session: Session, reply: Any, width: int) -> Sequence[Text]:
    """The lines that a command's answer is shown as."""
    match reply:
        case None:
            return []
        case Message(lines=lines):
            return [part for text in lines for part in wrapped(safe(text), width)]
        case Value(text=text, value=value):
            return _value(text, value, width)
        case Why():
            return explained(reply, width)
        case Help():
            return help_lines(width)
        case Origin(steps=steps):
            return [
                part
                for i, one in enumerate(steps)
                for part in wrapped(safe(f"{'←' if i else ' '} {one}"), width)
            ]
        case Ledger():
            return _ledger(session, reply, width)
        case Difference():
            return _difference(session, reply, width)
        case _:
            assert isinstance(reply, GradientCheck)
            return wrapped(check_text(reply), width, "green" if reply.passed else "bold red")


def _value(text: str, value: Any, width: int) -> Lines:
    if np.size(value) == 1 or isinstance(value, tuple):
        return wrapped(safe(f"{text} = {one_line(value)}"), width)
    return Matrix(text, np.asarray(value)).lines(width, _VALUE_ROWS)


def _ledger(session: Session, ledger: Ledger, width: int) -> Sequence[Text]:
    """A row for each use, their sum, and what became of `.grad`."""
    name, rows = safe(ledger.name), ledger.rows
    index = session.noted(ledger.total)
    label = element("", index) or "value"
    bar = _BAR if width >= _BAR_FROM else 0
    layers = width >= _LAYERS_FROM
    head = f"{'event':>6} {'t':>4}{' layer' * layers} {'‖term‖':>9}{' ' * bar} {label:>10}  from"
    above = [line(f"∂L/∂{name}: one row for each use", width, "bold"), line(head, width, "dim")]
    total = float(np.linalg.norm(ledger.total)), number(float(ledger.total[index]))
    below = [
        line(
            f"{'sum':>6} {'':>4}{' ' * 6 * layers} {total[0]:>9.3g}{' ' * bar} {total[1]:>10}",
            width,
            "bold",
        )
    ]
    below += [part for text in _verdict(ledger, index) for part in wrapped(text, width)]
    largest = max((row.norm for row in rows if np.isfinite(row.norm)), default=0.0) or 1.0

    def draw(at: int) -> Text:
        if not len(above) <= at < len(above) + len(rows):
            return above[at] if at < len(above) else below[at - len(above) - len(rows)]
        row = rows[at - len(above)]
        t, layer = ("—" if n is None else str(n) for n in (row.t, row.layer))
        shown = f"{row.event:>6} {t:>4}{f' {layer:>5}' * layers} {row.norm:>9.3g}{' ' * (bar > 0)}"
        value = f" {number(float(row.value[index])):>10}  {safe(row.source)}"
        return pieces(
            [(shown, ""), (_bar(row.norm / largest, bar - 1), "cyan"), (value, "")], width
        )

    return DrawnLater(len(above) + len(rows) + len(below), draw)


def _bar(share: float, room: int) -> str:
    """A share of the largest as a bar, if there is room for one."""
    if room < 1:
        return ""
    filled = "▇" * max(round(room * share), share > 0) if np.isfinite(share) else "!"
    return f"{filled[:room]:<{room}}"


def _verdict(ledger: Ledger, index: Index) -> list[str]:
    if ledger.recorded is None:
        return ["the pass is under way: nothing was added to .grad yet"]
    added = f".grad {'grew by' if ledger.before is not None else 'became'} {ledger.recorded[index]:+.6g}"
    exact = "to the last bit" if ledger.is_exact else "NOT the same"
    return [
        f"{added} at {element('', index) or 'this value'}: the sum of the rows, but for rounding "
        f"({ledger.difference:.1e})",
        f"computed again in the engine's own order: {exact}",
    ]


def _difference(session: Session, difference: Difference, width: int) -> Lines:
    """Two values side by side where both fit, else one below the other; and what changed."""
    a, b = difference.values
    index = session.noted(b)
    (one, other), (norm, after) = difference.names, difference.norms
    ratio = after / norm if norm else np.inf
    head = f"{one} and {other}: norms {norm:.4g} and {after:.4g}, ratio {ratio:.4g}"
    half = max((width - 3) // 2, 1)
    both = [
        Matrix(name, value, index) for name, value in zip(difference.names, (a, b), strict=True)
    ]
    change = Matrix("change", difference.change, index, strong=True).lines(width, _DIFFERENCE_ROWS)
    return [*wrapped(safe(head), width, "bold"), *_two(both, half, width), blank(), *change]


def _two(both: list[Matrix], half: int, width: int) -> Lines:
    left, right = (matrix.lines(half, _DIFFERENCE_ROWS) for matrix in both)
    if any(
        matrix.lines(width, _DIFFERENCE_ROWS)[1:] != drawn[1:]
        for matrix, drawn in zip(both, (left, right), strict=True)
    ):
        above, below = (matrix.lines(width, _DIFFERENCE_ROWS) for matrix in both)
        return [*above, blank(), *below]
    lines: Lines = []
    for before, now in zip(left, right, strict=True):
        pair = before.copy()
        pair.pad_right(half - before.cell_len)
        pair.append(" │ ", "dim")
        pair.append_text(now)
        lines.append(cropped(pair, width))
    return lines


def check_text(check: GradientCheck) -> str:
    """The verdict on one vjp."""
    verdict = "agree" if check.passed else "DIFFER"
    return (
        f"{check.name}: vjp and central difference {verdict}: "
        f"largest relative error {check.worst:.1e} at {list(check.index)} "
        f"({check.analytic:+.6g} and {check.numeric:+.6g}), "
        f"{check.checked} of {check.size} checked"
    )


def failure(error: Exception, width: int) -> Lines:
    """A command that could not be carried out: the line with a caret at the spot, and why."""
    if not isinstance(error, CommandError) or error.column is None:
        return wrapped(safe(str(error)), width, "red", indent=2)
    text, caret, reason = error.lines()
    skipped = max(error.column - width + 10, 0)  # the spot has to be in sight
    shown = f"…{text[skipped + 1 :]}" if skipped else text
    return [
        line(safe(shown), width, "red"),
        line(caret[skipped:], width, "bold red"),
        *wrapped(safe(reason), width, "red", indent=2),
    ]


SCREEN_KEYS = (
    (":", ("colon",), "type a command; Up and Down bring back earlier ones, Esc leaves the line"),
    ("arrows", ("up", "down", "left", "right"), "select the element that formulas are shown for"),
    ("m", ("m",), "the matrix alone, on the whole screen; an answer, too"),
    ("PgUp PgDn", ("pageup", "pagedown"), "scroll the answer, else the events; so does the wheel"),
    ("Home End", ("home", "end"), "the first event, the last"),
    ("Esc", ("escape",), "close the answer"),
    ("Ctrl-P", ("ctrl+p",), "find a command by what it does"),
    ("Ctrl-C", ("ctrl+c",), "leave"),
)
"""What is no command: keys of the screen, as people write them and as Textual does."""


def help_lines(width: int) -> Lines:
    """Every command with its keys."""
    lines = [
        *wrapped(
            "Every key stands for a command of the `:` line; both work the same.", width, indent=0
        ),
        blank(),
    ]
    rows = [(" ".join(key for key, _ in c.keys), c.usage, c.summary) for c in COMMANDS]
    keys, usage = (max(len(row[i]) for row in rows) for i in (0, 1))
    for key, use, summary in rows:
        lines += _help_row(f"{key:<{keys}}", use, summary, usage, width)
    lines += [blank(), line("On the screen alone", width, HEADING)]
    for key, _, does in SCREEN_KEYS:
        lines += _help_row(f"{key:<{keys}}", "", does, 0, width)
    return lines


def _help_row(key: str, use: str, summary: str, column: int, width: int) -> Lines:
    """Key, command, what it does: in columns where there is room, else below each other."""
    if len(key) + column + len(summary) + 4 <= width:
        return [
            pieces(
                [
                    (f"{key}  ", "bold"),
                    (f"{use:<{column}}{'  ' * bool(column)}", "cyan"),
                    (summary, ""),
                ],
                width,
            )
        ]
    first = [pieces([(f"{key}  ", "bold"), (use, "cyan")], width)] if use else []
    return first + wrapped(
        f"{' ' * len(key) if use else key}  {summary}", width, indent=len(key) + 2
    )
