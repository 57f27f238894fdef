"""Answers to commands."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from rich.text import Text

from ...tracing.network.gradients.flow import norm_of
from ...tracing.questions.checks import GradientCheck
from ...tracing.questions.ledger import Ledger
from ...tracing.questions.notation import Index, element, number
from ...tracing.questions.queries import Difference
from ...tracing.questions.training import GradientRow, StepRow
from ...tracing.questions.why import Why
from ..commands import (
    COMMANDS,
    Answer,
    Beside,
    Gradients,
    Help,
    Message,
    Origin,
    TrainingSteps,
    Value,
    one_line,
)
from ..expressions import CommandError
from ..session import Session
from .lines import HEADING, DrawnLater, Lines, blank, cropped, line, pieces, safe, wrapped
from .matrix import Matrix
from .step import explained

_VALUE_ROWS = 20
_DIFFERENCE_ROWS = 10
_BAR = 11  # columns
_LAYERS_FROM = 46  # columns; a narrower answer has no room for layers
_BAR_FROM = 64  # columns; a narrower answer has no room for bars
_OPTIMIZER_AND_BAR_FROM = 84


def answer(session: Session, reply: Answer | None, width: int) -> Sequence[Text]:
    """The lines that a command's answer is shown as."""
    match reply:
        case None:
            return []
        case Message(lines):
            return _paragraphs(lines, width)
        case Value(text, value):
            return _value(text, value, width)
        case Why():
            return explained(reply, width)
        case Help():
            return help_lines(width)
        case Origin(steps):
            marks = ["  ", *["← "] * len(steps)]
            texts = [f"{mark}{step}" for mark, step in zip(marks, steps, strict=False)]
            return _paragraphs(texts, width)
        case GradientCheck():
            style = "green" if reply.passed else "bold red"
            return wrapped(check_text(reply), width, style)
        case Beside(difference, lines):
            return [*_difference(session, difference, width), blank(), *_paragraphs(lines, width)]
        case Ledger() | TrainingSteps() | Gradients() | Difference():
            return _table(session, reply, width)


def remark(text: str, width: int) -> Lines:
    """What is said beside an answer."""
    return wrapped(safe(text), width, "yellow")


def _table(
    session: Session, reply: Ledger | TrainingSteps | Gradients | Difference, width: int
) -> Sequence[Text]:
    match reply:
        case Ledger():
            return _ledger(session, reply, width)
        case TrainingSteps():
            return _training_steps(reply, width)
        case Gradients():
            return _gradients(reply, width)
        case Difference():
            return _difference(session, reply, width)


def _paragraphs(texts: Iterable[str], width: int) -> Lines:
    lines: Lines = []
    for text in texts:
        lines += wrapped(safe(text), width)
    return lines


def _value(text: str, value: Any, width: int) -> Lines:
    if np.size(value) == 1 or isinstance(value, tuple):
        return wrapped(safe(f"{text} = {one_line(value)}"), width)
    return Matrix(text, np.asarray(value)).lines(width, _VALUE_ROWS)


# The ledger. A table of rich's own would draw all of its rows at once, and a parameter may have
# been used thousands of times.


def _ledger(session: Session, ledger: Ledger, width: int) -> Sequence[Text]:
    """A row for each use, their sum, and what became of `.grad`."""
    name, rows, index = safe(ledger.name), ledger.rows, session.noted(ledger.total)
    label = element("", index) or "value"
    columns = {"event": 6, "t": 4, "layer": 5, "‖term‖": 9, "bar": _BAR, label: 10}
    if width < _LAYERS_FROM:
        del columns["layer"]
    if width < _BAR_FROM:
        del columns["bar"]
    heads = {head: head for head in columns} | {"bar": ""}
    sums = {
        "event": "sum",
        "‖term‖": f"{norm_of(ledger.total):.3g}",
        label: number(float(ledger.total[index])),
    }
    above = [
        line(f"∂L/∂{name}: one row for each use", width, "bold"),
        line(f"{_aligned(columns, heads)}  from", width, "dim"),
    ]
    below = [line(_aligned(columns, sums), width, "bold")]
    for text in _verdict(ledger, index):
        below += wrapped(text, width)
    largest = max((row.norm for row in rows if np.isfinite(row.norm)), default=0.0) or 1.0

    def draw(at: int) -> Text:
        row = rows[at]
        cells = {
            "event": str(row.event),
            "t": "—" if row.t is None else str(row.t),
            "layer": "—" if row.layer is None else str(row.layer),
            "‖term‖": f"{row.norm:.3g}",
            "bar": _bar(row.norm / largest),
            label: number(float(row.value[index])),
        }
        drawn = pieces([(f"{_aligned(columns, cells)}  {safe(row.source)}", "")], width)
        drawn.highlight_regex("▇+", "cyan")
        return drawn

    return DrawnLater(above, len(rows), draw, below)


# Training steps, and the gradients of one


def _training_steps(reply: TrainingSteps, width: int) -> Sequence[Text]:
    """A row for each training step, with a bar for the norm of its gradient."""
    columns = {"step": 6, "event": 7, "loss": 9, "‖gradient‖": 10, "‖Δw‖/‖w‖": 9, "bar": _BAR}
    if width < _OPTIMIZER_AND_BAR_FROM:
        del columns["bar"]
    if width < _BAR_FROM:
        del columns["event"]
    common = _common_optimizer(reply.rows)
    heads = {head: head for head in columns} | {"bar": ""}
    above = [line(f"{_aligned(columns, heads)}  {safe(common)}", width, "dim")]
    norms = [row.gradient for row in reply.rows if row.gradient is not None]
    largest = max(filter(np.isfinite, norms), default=0.0) or 1.0

    def draw(at: int) -> Text:
        row = reply.rows[at]
        mark = "▶" if row.step == reply.here else ""
        cells = {
            "step": f"{mark} {row.step}",
            "event": str(row.first),
            "loss": _cell(row.loss),
            "‖gradient‖": _cell(row.gradient),
            "‖Δw‖/‖w‖": _cell(row.change),
            "bar": _bar(0.0 if row.gradient is None else row.gradient / largest),
        }
        optimizer = row.optimizer.removeprefix(common).removeprefix("=")
        drawn = pieces([(f"{_aligned(columns, cells)}  {safe(optimizer)}", "")], width)
        drawn.highlight_regex("▇+", "cyan")
        return drawn

    return DrawnLater(above, len(reply.rows), draw, [])


def _common_optimizer(rows: Sequence[StepRow]) -> str:
    """What stands before the "=" of all: "Adam lr", where every step was one of Adam; else ""."""
    heads = {row.optimizer.partition("=")[0] for row in rows if row.optimizer}
    return heads.pop() if len(heads) == 1 else ""


def _cell(value: float | None) -> str:
    return "—" if value is None else f"{value:.4g}"


def _gradients(reply: Gradients, width: int) -> Lines:
    """A row for each parameter; those that no gradient reached say so."""
    names = [safe(row.name) for row in reply.rows]
    column = max([9, *map(len, names)])
    columns = {"parameter": -column, "shape": 12, "‖gradient‖": 10, "contributed": 14}
    notes = [_note(row) for row in reply.rows]
    if sum(abs(room) + 1 for room in columns.values()) + max(map(len, notes), default=0) >= width:
        columns |= {"shape": 8, "contributed": 11}
    lines = [line(_aligned(columns, {head: head for head in columns}), width, "dim")]
    for name, row, note in zip(names, reply.rows, notes, strict=True):
        cells = {
            "parameter": name,
            "shape": str(row.shape),
            "‖gradient‖": _cell(row.norm),
            "contributed": f"{row.contributed} of {row.uses}",
        }
        text, style = _aligned(columns, cells), ""
        if not row.is_reached and not row.is_to_come:
            style = "yellow"
        whole = f"{text}  {note}".rstrip()
        # What is said of a row comes below it, where it has no room behind.
        parts = [whole] if len(whole) <= width else [text, f"    {note}"]
        lines += [line(part, width, style) for part in parts]
    return lines or [line("this run has no parameters", width)]


def _note(row: GradientRow) -> str:
    """What there is to say of the gradient of a parameter."""
    if row.is_reached:
        return "from earlier steps too" if row.contributed > row.uses else ""
    if row.is_to_come:
        return "not reached yet" if row.uses else "not used yet"
    return "never reached" if row.uses else "never used"


def _aligned(columns: Mapping[str, int], cells: Mapping[str, str]) -> str:
    """A row of a table: each cell at the right of its column; at the left of a negative one."""
    aligned = ((cells.get(head, ""), room) for head, room in columns.items())
    return " ".join(f"{cell:>{room}}" if room > 0 else f"{cell:<{-room}}" for cell, room in aligned)


def _bar(share: float) -> str:
    """A share of the largest as a bar; one that is not finite as a sign."""
    filled = "!"
    if np.isfinite(share):
        filled = "▇" * max(round(_BAR * share), share > 0)
    return f"{filled:<{_BAR}}"


def _verdict(ledger: Ledger, index: Index) -> list[str]:
    """How the sum of the rows compares with what was added to `.grad`."""
    if ledger.recorded is None:
        return ["the pass is under way: nothing was added to .grad yet"]
    became = "became" if ledger.before is None else "grew by"
    place = element("", index) or "this value"
    exact = "to the last bit" if ledger.is_exact else "NOT the same"
    return [
        f".grad {became} {ledger.recorded[index]:+.6g} at {place}: the sum of the rows, but for "
        f"rounding ({ledger.difference:.1e})",
        f"computed again in the engine's own order: {exact}",
    ]


def _difference(session: Session, difference: Difference, width: int) -> Lines:
    """Two values side by side where both fit, else one below the other; and what changed."""
    (one, other), (a, b), (before, after) = difference.names, difference.values, difference.norms
    index = session.noted(b)
    ratio = after / before if before else np.inf
    head = f"{one} and {other}: norms {before:.4g} and {after:.4g}, ratio {ratio:.4g}"
    both = _beside(Matrix(one, a, index), Matrix(other, b, index), width)
    change = Matrix("change", difference.change, index, strong=True).lines(width, _DIFFERENCE_ROWS)
    return [*wrapped(safe(head), width, "bold"), *both, blank(), *change]


def _beside(one: Matrix, other: Matrix, width: int) -> Lines:
    """Two matrices side by side where that shows as much as one below the other does."""
    half = max((width - 3) // 2, 1)
    left, right = one.lines(half, _DIFFERENCE_ROWS), other.lines(half, _DIFFERENCE_ROWS)
    above, below = one.lines(width, _DIFFERENCE_ROWS), other.lines(width, _DIFFERENCE_ROWS)
    if left[1:] != above[1:] or right[1:] != below[1:]:
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
    reason = wrapped(safe(str(error)), width, "red", indent=2)
    if not isinstance(error, CommandError) or error.column is None:
        return reason
    shown, caret, _ = error.lines()
    # The spot has to be in sight.
    skipped = max(error.column - width + 10, 0)
    if skipped:
        shown = f"…{shown[skipped + 1 :]}"
    return [line(safe(shown), width, "red"), line(caret[skipped:], width, "bold red"), *reason]


SCREEN_KEYS = (
    (":", ("colon",), "type a command; Up and Down bring back earlier ones, Esc leaves the line"),
    ("arrows", ("up", "down", "left", "right"), "select the element that formulas are shown for"),
    ("m", ("m",), "the matrix alone, on the whole screen; an answer, too"),
    ("PgUp PgDn", ("pageup", "pagedown"), "scroll the answer, else the events; so does the wheel"),
    ("Home End", ("home", "end"), "the first event, the last"),
    (
        "{ }",
        ("left_curly_bracket", "right_curly_bracket"),
        "page through axis 0, where there are 3",
    ),
    ("N", ("N",), "while a search is open the match before; n the next one"),
    ("10n", (), "a count before a motion repeats it"),
    ("Esc", ("escape",), "close the answer, end the search"),
    ("Ctrl-P", ("ctrl+p",), "find a command by what it does"),
    ("Ctrl-Z", ("ctrl+z",), "suspend, as other programs; `fg` comes back"),
    ("Ctrl-C", ("ctrl+c",), "leave"),
)
"""Keys of the screen that are not commands: as people write them, and as Textual does."""


def help_lines(width: int) -> Lines:
    """Every command with its keys."""
    intro = "Every key stands for a command of the `:` line; both work the same."
    rows = [(" ".join(key for key, _ in one.keys), one.usage, one.summary) for one in COMMANDS]
    keys = max(len(key) for key, _, _ in rows)
    usages = max(len(usage) for _, usage, _ in rows)
    lines = [*wrapped(intro, width, indent=0), blank()]
    for key, usage, summary in rows:
        lines += _help_row(f"{key:<{keys}}  ", usage, summary, usages + 2, width)
    lines += [blank(), line("On the screen alone", width, HEADING)]
    for key, _, does in SCREEN_KEYS:
        lines += _help_row(f"{key:<{keys}}  ", "", does, 0, width)
    return lines


def _help_row(key: str, usage: str, summary: str, column: int, width: int) -> Lines:
    """Key, command, what it does: in columns where there is room, else below each other."""
    if len(key) + column + len(summary) <= width - 2 * (not column):
        return [pieces([(key, "bold"), (f"{usage:<{column}}", "cyan"), (summary, "")], width)]
    if not usage:
        return wrapped(key + summary, width, indent=len(key))
    first = pieces([(key, "bold"), (usage, "cyan")], width)
    return [first, *wrapped(" " * len(key) + summary, width, indent=len(key))]
