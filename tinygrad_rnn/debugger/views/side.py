"""The right: what has come of it so far, and the line of the program that it came from."""

from functools import lru_cache

import numpy as np
from rich.syntax import Syntax
from rich.text import Text

from ...errors import TraceError
from ...text import elide
from ..commands import one_line
from ..events import calls_of, source_of
from ..session import Session
from .lines import HEADING, Lines, blank, cropped, line, pieces, safe, safe_lines, wrapped

_NAME_MOST = 16  # columns for a parameter's name
_PRINTED_MOST = 4  # lines


def side(session: Session, width: int, height: int) -> Lines:
    """Gradients so far, modules around the event, watches, the user's source, what the program printed."""
    blocks: list[tuple[str, Lines]] = [
        ("Gradients so far", gradients(session, width)),
        (
            "Modules",
            wrapped(safe(" › ".join(c.name for c in calls_of(session.event)) or "none"), width),
        ),
        ("Watches", watches(session, width)),
        (
            "Printed here",
            [line(text, width) for text in safe_lines(session.printed())[-_PRINTED_MOST:]],
        ),
    ]
    lines: Lines = []
    for heading, content in blocks:
        if content:
            lines += [line(heading, width, HEADING), *content, blank()]
    return [*lines, *_source(session, width, max(height - len(lines), 4))][:height]


def gradients(session: Session, width: int) -> Lines:
    """Each parameter's gradient so far, and how many of its terms have arrived in this pass."""
    queries, cursor = session.queries, session.cursor
    names = [safe(f"∂{queries.names.of(node)}") for node in session.parameters]
    column = min(max(map(len, names), default=0), _NAME_MOST)
    lines: Lines = []
    for node, name in zip(session.parameters, names, strict=True):
        name = f"{elide(name, column):<{column}}"
        try:
            held = queries.gradient(node, cursor)
        except TraceError:
            lines.append(line(f"{name} gone", width, "dim"))
            continue
        if held is None:
            lines.append(line(f"{name} —", width, "dim"))
            continue
        arrived, expected = len(queries.terms(node, cursor)), queries.expected(node, cursor)
        norm = float(np.linalg.norm(held))
        waiting = f"{arrived} of {expected}" if arrived < expected else "✓" if expected else ""
        style = "" if np.isfinite(norm) else "bold red"
        lines.append(
            pieces([(f"{name} ", ""), (f"‖·‖={norm:<10.4g}", style), (waiting, "yellow")], width)
        )
    return lines


def watches(session: Session, width: int) -> Lines:
    """Each watch and its value."""
    return [
        part
        for text, value in session.watched()
        for part in wrapped(safe(f"{text} = {one_line(value)}"), width)
    ]


def _source(session: Session, width: int, height: int) -> Lines:
    """The lines around the one that ran: that one whole, the others as far as they fit."""
    source = source_of(session.event)
    if source is None:
        return []
    head = line(f"{safe(source.file.rpartition('/')[2])}:{source.line}", width, HEADING)
    texts = session.source_lines(max((height - 2) // 2, 1))
    lead = min((len(text) - len(text.lstrip()) for _, text in texts if text.strip()), default=0)
    gutter = max((len(str(number)) for number, _ in texts), default=0) + 3
    lines: Lines = []
    for number, text in texts:
        code = _coloured(safe(text[lead:].expandtabs(4)))
        ran = number == source.line
        rows = _folded(code, max(width - gutter, 8)) if ran else [code]
        for i, row in enumerate(rows):
            mark = f"{'→' if ran and not i else ' '}{number if not i else '':>{gutter - 2}} "
            shown = Text(mark, style="bold" if ran else "dim", no_wrap=True, end="")
            lines.append(_elided(shown.append_text(row), width, "bold" if ran else ""))
    return [head, *lines]


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


def _elided(text: Text, width: int, style: str) -> Text:
    text.stylize(style)
    text.no_wrap, text.end = True, ""
    return cropped(text, width)
