"""The right pane: the gradients so far, watches, and the line of the program."""

from functools import lru_cache

import numpy as np
from rich.syntax import Syntax
from rich.text import Text

from ...errors import TraceError
from ...text import elide
from ...tracing.network.gradients.flow import norm_of
from ...tracing.recording.graph import Node
from ..commands import one_line
from ..events import calls_of
from ..session import Session
from .lines import HEADING, Lines, blank, cropped, line, pieces, safe, safe_lines, wrapped

_HEAD = 4  # letters of a long name that stay before its end
_NAME_MOST = 16  # columns for a parameter's name
_PRINTED_MOST = 4  # lines


def side(session: Session, width: int, height: int) -> Lines:
    """Gradients so far, modules, watches, the user's source, what the program printed."""
    modules = " › ".join(call.name for call in calls_of(session.event)) or "none"
    printed = safe_lines(session.printed())[-_PRINTED_MOST:]
    blocks = {
        "Gradients so far": gradients(session, width),
        "Modules": wrapped(safe(modules), width),
        "Watches": watches(session, width),
        "Printed here": [line(text, width) for text in printed],
    }
    lines: Lines = []
    for heading, content in blocks.items():
        if content:
            lines += [line(heading, width, HEADING), *content, blank()]
    return [*lines, *_source(session, width, max(height - len(lines), 4))][:height]


def gradients(session: Session, width: int) -> Lines:
    """Each parameter's gradient so far, and how many of its terms have arrived in this pass."""
    names = [safe(f"∂{session.queries.names.of(node)}") for node in session.parameters]
    column = min(max(map(len, names), default=0), _NAME_MOST)
    lines: Lines = []
    for node, name in zip(session.parameters, names, strict=True):
        lines.append(_gradient(session, node, f"{_shortened(name, column):<{column}}", width))
    return lines


def _shortened(name: str, width: int) -> str:
    """A name without its middle: the end of "encoder.cells.0.W_hh" tells it from the others."""
    if len(name) > width > _HEAD + 1:
        name = f"{name[:_HEAD]}…{name[_HEAD + 1 - width :]}"
    return elide(name, width)


def _gradient(session: Session, node: Node, name: str, width: int) -> Text:
    queries, cursor = session.queries, session.cursor
    try:
        held = queries.gradient(node, cursor)
    except TraceError:
        return line(f"{name} gone", width, "dim")
    if held is None:
        return line(f"{name} —", width, "dim")
    arrived, expected = len(queries.terms(node, cursor)), queries.expected(node, cursor)
    state = "✓" if expected else ""
    if arrived < expected:
        state = f"{arrived} of {expected}"
    norm = norm_of(held)
    style = "" if np.isfinite(norm) else "bold red"
    return pieces([(f"{name} ", ""), (f"‖·‖={norm:<10.4g}", style), (state, "yellow")], width)


def watches(session: Session, width: int) -> Lines:
    """Each watch and its value."""
    lines: Lines = []
    for text, value in session.watched():
        lines += wrapped(safe(f"{text} = {one_line(value)}"), width)
    return lines


def _source(session: Session, width: int, height: int) -> Lines:
    """The lines around the one that ran: that one whole, the others as far as they fit."""
    source = session.source_here()
    if source is None:
        return []
    lines = [line(f"{safe(source.file.rpartition('/')[2])}:{source.line}", width, HEADING)]
    texts = session.source_lines(max((height - 2) // 2, 1))
    lead = min((len(text) - len(text.lstrip()) for _, text in texts if text.strip()), default=0)
    column = max((len(str(number)) for number, _ in texts), default=0) + 1
    for number, text in texts:
        code = _coloured(safe(text[lead:].expandtabs(4)))
        if number != source.line:
            lines.append(_numbered(f" {number:>{column}} ", "dim", code, width))
            continue
        first, *more = _folded(code, max(width - column - 2, 8))
        lines.append(_numbered(f"→{number:>{column}} ", "bold", first, width, "bold"))
        for rest in more:
            lines.append(_numbered(" " * (column + 2), "bold", rest, width, "bold"))
    return lines


def _numbered(number: str, style: str, code: Text, width: int, whole: str = "") -> Text:
    """A line of code behind its number; `whole` is the style of both."""
    shown = Text(number, style=style, no_wrap=True, end="").append_text(code)
    shown.stylize(whole)
    return cropped(shown, width)


@lru_cache(maxsize=4096)
def _coloured(text: str) -> Text:
    coloured = Syntax("", "python", theme="ansi_dark").highlight(text)
    coloured.rstrip()
    return coloured


def _folded(code: Text, width: int) -> list[Text]:
    """A line of code on as many as it takes, cut at spaces where there are some."""
    rows: list[Text] = []
    while code.cell_len > width:
        cut = code.plain.rfind(" ", width // 2, width) + 1 or width
        head, code = code[:cut], code[cut:]
        rows.append(head)
        code = Text("  ").append_text(code)
    return [*rows, code]
