"""What a session looks like: pure functions from a session to lines of text, for the app, pipes and notebooks alike.

A line is a rich Text no wider than asked for. Nothing depends on colour: signs are always printed, the selected
element and what it was made of carry marks, and `plain_ascii` spells every other sign for terminals without UTF-8.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.text import Text

from ..autograd.scope import Scope
from ..autograd.tensor import Array
from ..errors import TinygradError, TraceError
from ..text import elide, for_terminal
from ..tracing.elements import Index
from ..tracing.event import Event, Stats
from ..tracing.explain import Why, element
from ..tracing.formulas import mentions, rule_of
from ..tracing.graph import Node
from ..tracing.queries import GRADIENT, Difference, Ledger
from ..tracing.verification import VjpCheck
from .commands import COMMANDS
from .expressions import CommandError
from .session import Message, Origin, Session, Value, describe_event, one_line

Lines = list[Text]

_ROOMY = 12  # lines; in less the numbers come before all else
_TALL = 24  # lines; in less each term of a sum would leave no room for the matrices
_OPERANDS_SHOWN = 6  # of a stack of many
NARROW = 110  # below this many columns there is no room for the right pane
SELECTED, PART = "◂", "·"  # behind a number: it is the selected element; it went into the selected element
_HEAT = 5  # shades of each sign
_SHADES = {
    1: ("#3a1d1d", "#5a2020", "#7d2424", "#a32a2a", "#c83232"),
    -1: ("#1d283a", "#20385a", "#244a7d", "#2a5ea3", "#3273c8"),
}
_ASCII = str.maketrans(
    {
        "∂": "d", "←": "<", "→": ">", "▶": ">", "▼": "v", "━": "-", "┅": "=", "┿": "+", "▪": "o", "█": "#",
        "●": "*", "·": "*", "◂": "<", "‖": "|", "Σ": "S", "ₖ": "k", "…": "~", "›": ">", "²": "^2", "³": "^3",
        "ȳ": "gy", "ā": "ga", "ᵀ": "'", "√": "sqrt ", "─": "-", "│": "|", "▌": "|", "≤": "<=", "≥": ">=", "≠": "!=",
        "−": "-", "×": "x", "▁": ".", "▂": ".", "▃": ":", "▄": ":", "▅": "+", "▆": "+", "▇": "#",
        "\N{COMBINING MACRON}": "'",
    }
)  # fmt: skip


def plain_ascii(text: str) -> str:
    """The text for a terminal that knows ASCII alone.

    >>> plain_ascii("∂L/∂h = ȳ · (1 - y²)")
    'dL/dh = gy * (1 - y^2)'
    """
    return text.translate(_ASCII).encode("ascii", "replace").decode()


def _line(text: str, width: int, style: str = "") -> Text:
    return Text(elide(text, max(width, 1)), style=style, no_wrap=True, end="")


def _safe(text: str) -> str:
    return for_terminal(text)


# Numbers


def number(value: Any) -> str:
    """A number in seven columns at most, its sign always there.

    >>> [number(v) for v in (0.5, -12.25, 12345.0, 1e-9, float("nan"), True, 3)]
    ['+0.500', '-12.250', '+1.2e+4', '+1.0e-9', 'nan', 'True', '+3']
    """
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, int | np.integer):
        return f"{value:+d}"
    size = abs(value)
    if not np.isfinite(value) or value == 0:
        return "0" if value == 0 else f"{value:+}" if np.isinf(value) else "nan"
    if 0.001 <= size < 1000:
        return f"{value:+.3f}"
    mantissa, exponent = f"{value:+.1e}".split("e")
    return f"{mantissa}e{int(exponent):+d}"


def summary(array: Any) -> str:
    """Shape and size of an array in one phrase, what is not finite first."""
    array = np.asarray(array)
    if array.dtype.kind not in "fiub" or not array.size:
        return f"{array.shape} {array.dtype}"
    stats = Stats.of(array)
    bad = [f"{n} {what}" for n, what in ((stats.nans, "NaN"), (stats.infs, "inf")) if n]
    return f"{array.shape} ‖·‖={stats.norm:.4g}{' ' if bad else ''}{', '.join(bad)}"


@dataclass(frozen=True, slots=True)
class Matrix:
    """An array to show: the two last axes around the selected element, the others fixed at it."""

    title: str
    array: Array
    selected: Index | None = None
    parts: frozenset[Index] = frozenset()  # the elements that the selected one was made of
    strong: bool = False

    @property
    def height(self) -> int:
        """The lines that all of it takes."""
        rows, columns = (1, 1, *self.array.shape)[-2:]
        return 1 + (rows + (columns > 1) if self.array.size else 0)

    def lines(self, width: int, height: int) -> Lines:
        """At most `height` lines: a title, the column numbers, rows."""
        mark = "▌" if self.strong else " "
        fixed = self._fixed()
        where = f" at [{', '.join(map(str, fixed))}, …]" if fixed else ""
        head = _line(f"{mark}{_safe(self.title)} {summary(self.array)}{where}", width, "bold" if self.strong else "")
        table = self.array[fixed] if fixed else self.array
        if not self.array.size or height < 2:
            return [head]
        return [head, *self._table(np.atleast_2d(table), len(fixed), width, height - 1)]

    def _centre(self) -> Index:
        """The element that has to be in sight."""
        if self.selected is not None:
            return self.selected
        return min(self.parts, default=(0,) * self.array.ndim)

    def _fixed(self) -> Index:
        return self._centre()[: max(self.array.ndim - 2, 0)]

    def _table(self, table: Array, fixed: int, width: int, height: int) -> Lines:
        centre = self._centre()[fixed:]
        row, column = (0,) * (2 - len(centre)) + tuple(centre)
        numbers = len(str(max(table.shape))) + 2
        cells = self._cell_width(table, row, column)
        columns = _window(column, table.shape[1], max((width - numbers) // cells, 1))
        lines: Lines = []
        if table.shape[1] > 1 and height > 1:
            heads = "".join(f"{c:>{cells - 1}} " for c in columns).rstrip()
            more = f" of {table.shape[1]}" if len(columns) < table.shape[1] else ""
            room = width - numbers - len(heads) - len(more)
            lines.append(_line(" " * numbers + heads + (more if room >= 0 else " …"[: room + len(more)]), width, "dim"))
        rows = _window(row, table.shape[0], max(height - len(lines), 1))
        scale = self._scale(table)
        lines += [self._row(table, r, columns, (numbers, cells), scale) for r in rows]
        if len(rows) < table.shape[0] and len(lines) > 2:
            seen = f"rows {rows[0]} to {rows[-2]}" if len(rows) > 2 else f"row {rows[0]}"
            lines[-1] = _line(f"{'…':>{numbers - 1}} {seen} of {table.shape[0]}", width, "dim")
        return [_cropped(line, width) for line in lines]

    @staticmethod
    def _cell_width(table: Array, row: int, column: int) -> int:
        """Columns for one number, its mark and a space: as wide as the widest near the selected element."""
        near = table[max(row - 50, 0) : row + 50, max(column - 50, 0) : column + 50]
        return max(len(number(value)) for value in near.flat) + 2

    @staticmethod
    def _scale(table: Array) -> float:
        finite = np.abs(table[np.isfinite(table)]) if table.dtype.kind == "f" else np.abs(table.astype(float))
        return float(finite.max(initial=0.0)) or 1.0

    def _row(self, table: Array, row: int, columns: range, widths: tuple[int, int], scale: float) -> Text:
        numbers, cells = widths
        line = Text(
            f"{row:>{numbers - 1}} " if self.array.ndim > 1 else " " * numbers, style="dim", no_wrap=True, end=""
        )
        fixed = self._fixed()
        for column in columns:
            index = (*fixed, row, column)[-self.array.ndim :] if self.array.ndim else ()
            mark = SELECTED if index == self.selected else PART if index in self.parts else " "
            value = table[row, column]
            style = _heat(float(value) / scale)
            if mark != " ":
                style += " bold underline" if mark == PART else " bold reverse"
            line.append(f"{number(value):>{cells - 1}}{mark}", style=f"not dim {style}".strip())
        return line


def _cropped(line: Text, width: int) -> Text:
    if line.cell_len > width:
        line.truncate(width, overflow="ellipsis")
    return line


def _window(centre: int, size: int, room: int) -> range:
    """At most `room` of 0..size-1, with `centre` among them."""
    start = min(max(centre - room // 2, 0), max(size - room, 0))
    return range(start, min(start + room, size))


def _heat(share: float) -> str:
    if not np.isfinite(share):
        return "black on #ffd75f"
    if share == 0:
        return ""
    shade = min(int(abs(share) * _HEAT), _HEAT - 1)
    return f"#ffffff on {_SHADES[1 if share > 0 else -1][shade]}"


# The middle: what this event computed


def title(session: Session, event: Event) -> str:
    """Number, phase, op, timestep, layer and modules of an event."""
    place = [f"t={event.copy}"] * (event.copy is not None) + [f"layer {event.layer}"] * (event.layer is not None)
    scope = session.scope_of(event)
    path = " › ".join(call.name for call in scope.chain()) if scope is not None else ""
    kind = {"vjp": "backward"}.get(event.kind, event.kind)
    return _safe(" · ".join([f"#{event.index}", kind, *filter(None, [event.op]), *place, *filter(None, [path])]))


def step(session: Session, width: int, height: int) -> Lines:
    """One step: the formula, the same with numbers, operands and result as matrices."""
    event = session.event
    lines = [_line(title(session, event), width, "bold")]
    if height >= _ROOMY:
        lines = _wrapped(title(session, event), width, "bold")
        lines += _wrapped(_safe(describe_event(session, event)), width)
    why = _why_or_none(session)
    if why is not None:
        lines += [*[_line("", width)] * (height >= _ROOMY), *answer(session, why, width)]
    lines += _wrapped(session.gone, width, "yellow") if session.gone else []
    lines += error_lines(event, width) + [
        _line(text, width, "yellow") for text in contributions(session, brief=height < _TALL)
    ]
    lines.append(_line("", width))
    return [*lines, *_stacked(matrices(session, why), width, height - len(lines))][:height]


def result(session: Session, width: int, height: int) -> Lines:
    """What the event wrote, and nothing else: as much of it as fits."""
    shown = matrices(session, _why_or_none(session))[-1:]
    head = [_line(title(session, session.event), width, "bold"), _line("", width)]
    return [*head, *(line for matrix in shown for line in matrix.lines(width, height - len(head)))]


def _wrapped(text: str, width: int, style: str = "") -> Lines:
    """A long line on several, the later ones below what follows its "="."""
    indent = text.find("= ") + 2 if "= " in text else 2
    indent = indent if indent < width // 2 else 2
    lines: Lines = []
    while len(text) > width:
        cut = text.rfind(" ", indent + 1, width + 1)
        if cut < 0:
            break
        lines.append(_line(text[:cut], width, style))
        text = " " * indent + text[cut:].lstrip()
    return [*lines, _line(text, width, style)]


def _why_or_none(session: Session) -> Why | None:
    try:
        return session.why_here()
    except TinygradError:
        return None


def error_lines(event: Event, width: int) -> Lines:
    """The message of an error event."""
    return [_line(text, width, "bold red") for text in _safe_lines(event.message or "")]


def _safe_lines(text: str) -> list[str]:
    return for_terminal(text, multiline=True).expandtabs(4).splitlines()


def contributions(session: Session, *, brief: bool = False) -> list[str]:
    """How many terms of its gradient a tensor has, which they are, and that it waits for the others."""
    event, node = session.event, session.event.output
    if event.kind != "vjp" or node is None or event.is_gone:
        return []
    queries = session.queries
    expected = queries.expected(node, session.cursor)
    if expected < 2:
        return []
    name = queries.names.of(node)
    terms = queries.terms(node, session.cursor)
    if brief:
        return [_safe(f"{len(terms)} of the {expected} terms of ∂L/∂{name} so far")]
    lines = [f"∂L/∂{name} = the sum of {expected} terms; {len(terms)} so far:"]
    lines += [f"  {_of_part(session, index)}  from {queries.origin_of_term(index)}" for index in terms[-3:]]
    total = queries.gradient(node, session.cursor)
    if total is not None:
        index = session.selected(total.shape)
        lines.append(f"  {number(float(total[index])):>8} ‖·‖={np.linalg.norm(total):.4g}  their sum at {list(index)}")
    if len(terms) < expected:
        lines.append(f"  it waits for {expected - len(terms)} more before it is handed on")
    return [_safe(line) for line in lines]


def _of_part(session: Session, index: int) -> str:
    value = session.queries.term(index)
    return f"{number(float(value[session.selected(value.shape)])):>8} ‖·‖={np.linalg.norm(value):.4g}"


def matrices(session: Session, why: Why | None) -> list[Matrix]:
    """The operands of this event, then its result; what went into the explained element is marked."""
    event, node, value = session.event, session.node_of(session.event), session.value
    found: list[Matrix] = []
    parts = _parts_of(why, backward=event.kind == "vjp")
    if event.is_gone:
        return []
    if node is not None and event.kind == "vjp" and event.cotangent is not None:
        found = _cotangent_and_output(session, event.cotangent, node, parts[0], why)
        factor = frozenset(t.factor_index for t in (why.terms if why else ()) if t.factor_index is not None)
        parts = [factor if slot == 1 - (event.slot or 0) else frozenset[Index]() for slot in range(len(node.inputs))]
    if node is not None and event.kind in ("forward", "vjp"):
        found += _operands(session, node, parts, why if event.kind == "vjp" else None)
    if value is not None:
        label = session.name_written(event) or ""
        label = label.replace(GRADIENT, "∂L/∂", 1) if label.startswith(GRADIENT) else label
        found.append(Matrix(label, value, session.selected(value.shape), strong=True))
    return found


def _cotangent_and_output(
    session: Session, cotangent: Array, node: Node, parts: frozenset[Index], why: Why | None
) -> list[Matrix]:
    """What every vjp starts from, and the output where its formula needs that."""
    name = session.queries.names.of(node)
    found = [Matrix(f"G = ∂L/∂{name}", cotangent, None, parts)]
    if why is not None and mentions(why.rule, "y"):
        found.append(Matrix(f"y = {name}", node.data, None, parts))
    return found


def _operands(session: Session, node: Node, parts: Sequence[frozenset[Index]], vjp: Why | None) -> list[Matrix]:
    """The operands; of a vjp those that its formula mentions."""
    found: list[Matrix] = []
    symbols = rule_of(node.rule).symbols if node.rule is not None else ()
    for slot, (x, operand) in enumerate(zip(node.inputs[:_OPERANDS_SHOWN], node.operands, strict=False)):
        array = np.asarray(operand)
        unused = vjp is not None and slot < len(symbols) and " = " in vjp.rule and not mentions(vjp.rule, symbols[slot])
        if array.dtype.kind in "fiub" and x is not None and not unused:
            letter = f"{'ABC'[slot]} = " if slot < 3 else ""
            marked = parts[slot] if slot < len(parts) else frozenset[Index]()
            found.append(Matrix(letter + session.queries.names.of(x), array, None, marked))
    return found


def _parts_of(why: Why | None, backward: bool) -> Sequence[frozenset[Index]]:
    """The elements that the explained one was made of, by operand; of a vjp those of the cotangent come first."""
    terms = why.terms if why is not None else ()
    slots = max((term.slot + 2 for term in terms), default=1)
    found: list[set[Index]] = [set() for _ in range(slots)]
    for term in terms:
        found[0 if backward else term.slot].add(term.index)
        if term.factor_index is not None:
            found[term.slot + 1].add(term.factor_index)
    return [frozenset(indices) for indices in found]


def _stacked(shown: Sequence[Matrix], width: int, height: int) -> Lines:
    """Matrices below each other; the result always, operands as far as there is room."""
    room = max(height, 0)
    wanted = [min(matrix.height, room) + 1 for matrix in shown]
    share = [0] * len(shown)
    for at in sorted(range(len(shown)), key=lambda i: (not shown[i].strong, i)):
        left = len([s for s in share if not s]) or 1
        fair = max(room // left, 3) if not shown[at].strong else max(room // 2, 3)
        share[at] = min(wanted[at], max(fair, room - sum(wanted) + wanted[at]), room)
        room -= share[at]
    for at, matrix in enumerate(shown):
        if share[at] < 3 and not matrix.strong:  # a title without a row says little: more of the result instead
            share[-1], share[at] = share[-1] + share[at], 0
    lines: Lines = []
    for matrix, size in zip(shown, share, strict=True):
        if size >= 2:
            lines += [*matrix.lines(width, size - 1), _line("", width)]
    return lines[:height]


# The left: everything that happened


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

    def _grow(self) -> None:
        session, current, started = self.session, None, None
        for event in session.trace.events:
            scope = session.scope_of(event)
            key = scope, session.phase_of(event)
            folded = session.folded_call(event)
            if key != current and folded is None:
                self._heading(event, scope)
            current = key
            if folded is None:
                depth = len(scope.chain()) if scope is not None else 0
                self.rows.append(Row(event.index, depth=depth))
            elif started == (folded, key[1]):
                self.rows[-1] = Row(event.index, folded, self.rows[-1].first, self.rows[-1].depth)
            else:
                self.rows.append(Row(event.index, folded, event.index, len(folded.chain()) - 1))
            started = (folded, key[1]) if folded is not None else None

    def _heading(self, event: Event, scope: Scope | None) -> None:
        if scope is not None:
            self.rows.append(Row(event.index, scope, event.index, len(scope.chain()) - 1))

    def position(self, event: int) -> int:
        """The row of an event, or that of the folded call around it."""
        at = bisect_left(self._events, event)
        if at < len(self._events) and self._events[at] == event:
            return self._positions[at]
        rows = self.rows
        low = bisect_left(rows, event, key=lambda row: row.event)
        return min(low, len(rows) - 1)

    def lines(self, top: int, width: int, height: int) -> Lines:
        """The rows from `top` on."""
        return [self._line(row, width) for row in self.rows[top : top + height]]

    def _line(self, row: Row, width: int) -> Text:
        session = self.session
        event = session.trace.events[row.event]
        indent = "  " * min(row.depth, 4)
        if row.call is None:
            text, current = describe_event(session, event), row.event == session.cursor
        else:
            text, current = self._call(row, event), row.call in session.folded and row.event == session.cursor
        style = "reverse bold" if current else "dim" if row.event > session.cursor else ""
        if row.call is not None and not current:
            style += " cyan"
        if event.kind == "error":
            style += " red"
        marker = "▶" if current else " "
        return _line(f"{marker}{indent}{_safe(text)}", width, style.strip()).copy()

    def _call(self, row: Row, event: Event) -> str:
        assert row.call is not None
        folded = row.call in self.session.folded
        place = [f"t={event.copy}"] * (event.copy is not None and event.layer is not None)
        count = f" ({row.event - row.first + 1} events)" if folded else ""
        phase = "∂ " if self.session.phase_of(event) == "backward" else ""
        return f"{'▶' if folded else '▼'} {phase}{' '.join([row.call.name, *place])}{count}"


# The right: what has come of it so far


def gradients(session: Session, width: int) -> Lines:
    """Each parameter's gradient so far, and how many of its terms have arrived in this pass."""
    queries, lines = session.queries, list[Text]()
    for node in session.parameters:
        name = f"∂{queries.names.of(node)}"
        try:
            held = queries.gradient(node, session.cursor)
        except TraceError:
            lines.append(_line(f"{_safe(name):<9} gone", width, "dim"))
            continue
        if held is None:
            lines.append(_line(f"{_safe(name):<9} —", width, "dim"))
            continue
        arrived, expected = len(queries.terms(node, session.cursor)), queries.expected(node, session.cursor)
        norm = float(np.linalg.norm(held))
        terms = f" {arrived}/{expected}" if expected else ""
        style = "bold red" if not np.isfinite(norm) else ""
        lines.append(_line(f"{_safe(name):<9} ‖·‖={norm:<9.4g}{terms}", width, style))
    return lines


def side(session: Session, width: int, height: int) -> Lines:
    """Gradients so far, modules around the event, watches, the user's source, what the program printed."""
    blocks: list[tuple[str, Lines]] = [
        ("Gradients so far (terms)", gradients(session, width)),
        ("Modules", [_line(_safe(" › ".join(c.name for c in session.calls()) or "none"), width)]),
        ("Watches", watches(session, width)),
    ]
    printed = session.printed()
    if printed:
        blocks.append(("Printed here", [_line(text, width) for text in _safe_lines(printed)[-4:]]))
    lines: Lines = []
    for heading, content in blocks:
        if content:
            lines += [_line(heading, width, "bold cyan"), *content, _line("", width)]
    source = session.source_of(session.event)
    if source is not None:
        lines.append(_line(f"{_safe(source.file.rpartition('/')[2])}:{source.line}", width, "bold cyan"))
        room = max(height - len(lines), 3)
        for text in session.source_lines(max((room - 1) // 2, 1)):
            lines.append(_line(_safe(text.expandtabs(4)), width, "bold" if text.startswith("→") else "dim"))
    return lines[:height]


def watches(session: Session, width: int) -> Lines:
    """Each watch and its value."""
    return [_line(_safe(f"{text} = {one_line(value)}"), width) for text, value in session.watched()]


# Below: where in the run, and what it holds

_PHASE_SIGNS = {"forward": "━", "seed": "┅", "vjp": "┅", "accumulate": "┿", "update": "▪", "zero": "▪", "error": "!"}


def timeline(session: Session, width: int) -> Text:
    """The whole run in one row: its phases, breakpoints ●, what is not finite !, and the cursor █."""
    events, line = session.trace.events, Text(no_wrap=True, end="")
    count = len(events)
    alerts, stops = session.alerts(), session.stops()
    at = min(session.cursor * width // count, width - 1)
    for column in range(width):
        low, high = column * count // width, max((column + 1) * count // width, column * count // width + 1)
        sign, style = _PHASE_SIGNS[events[min(low, count - 1)].kind], "" if low <= session.cursor else "dim"
        if bisect_left(alerts, high) > bisect_left(alerts, low):
            sign, style = "!", "bold red"
        if bisect_left(stops, high) > bisect_left(stops, low):
            sign, style = "●", "bold yellow"
        if column == at:
            sign, style = "█", "bold"
        line.append(sign, style=style)
    return line


def timeline_event(session: Session, column: int, width: int) -> int:
    """The event that a column of the timeline stands for."""
    return min(max(column, 0) * len(session.trace.events) // max(width, 1), len(session.trace.events) - 1)


def status(session: Session, width: int) -> Text:
    """Position, phase and memory in one line."""
    event = session.event
    place = [f"t={event.copy}"] * (event.copy is not None)
    parts = [
        f"event {session.cursor}/{len(session.trace.events) - 1}",
        session.phase_of(event),
        *place,
        session.memory(),
    ]
    alerts = session.alerts()
    if alerts:
        parts.append(f"first NaN or inf at event {alerts[0]}")
    return _line(" · ".join(parts), width)


def key_hints(width: int) -> Text:
    """The most used keys, as many as fit."""
    hints = [
        "n step", "p back", ": command", "? help", "q quit", "f fwd/bwd", "w why", "o origin", "d ledger", "]/[ run",
        "t/T time", "c/C cell", "m matrix",
    ]  # fmt: skip
    while len("  ".join(hints)) > width and len(hints) > 1:
        hints.pop()
    return _line("  ".join(hints), width, "dim")


# Answers to commands


def answer(session: Session, reply: Any, width: int) -> Lines:
    """The lines that a command's answer is shown as."""
    match reply:
        case None:
            return []
        case Message(lines=lines):
            return [line for text in lines for line in _wrapped(_safe(text), width)]
        case Value(text=text, value=value):
            return _value_lines(text, value, width)
        case Why():
            texts = str(reply).split("\n")
            return [one for i, text in enumerate(texts) for one in _wrapped(_safe(text), width, "" if i else "italic")]
        case Origin(steps=steps):
            return [_line(_safe(f"{'←' if i else ' '} {one}"), width) for i, one in enumerate(steps)]
        case Ledger():
            return _ledger_lines(session, reply, width)
        case Difference():
            return _difference_lines(session, reply, width)
        case _:
            assert isinstance(reply, VjpCheck)
            return _wrapped(check_text(reply), width, "green" if reply.passed else "bold red")


def _value_lines(text: str, value: Any, width: int) -> Lines:
    if np.size(value) == 1 or isinstance(value, tuple):
        return [_line(_safe(f"{text} = {one_line(value)}"), width)]
    return Matrix(text, np.asarray(value)).lines(width, 20)


def _ledger_lines(session: Session, ledger: Ledger, width: int) -> Lines:
    name, total = _safe(ledger.name), ledger.total
    index = session.noted(total)
    label = element("", index) or "value"
    head = f"{'event':>6} {'t':>4} {'layer':>5} {'‖term‖':>9} {label:>10}  from"
    lines = [_line(f"∂L/∂{name}: one row for each use", width, "bold"), _line(head, width, "dim")]
    largest = max((row.norm for row in ledger.rows), default=0.0) or 1.0
    for row in ledger.rows:
        t, layer = ("—" if n is None else str(n) for n in (row.t, row.layer))
        shown = f"{row.event:>6} {t:>4} {layer:>5} {row.norm:>9.3g} {row.value[index]:>+10.3g}  {_safe(row.source)} "
        shown += _bar(row.norm / largest, width - len(shown))
        lines.append(_line(shown, width))
    lines.append(_line(f"{'sum':>6} {'':>10} {np.linalg.norm(total):>9.3g} {total[index]:>+10.3g}", width, "bold"))
    return lines + [line for text in _ledger_verdict(ledger, index) for line in _wrapped(text, width)]


def _bar(share: float, room: int) -> str:
    """A share of the largest as a bar, if there is room for one."""
    if not np.isfinite(share):
        return "!"
    return "▇" * max(round(min(12, room) * share), 1) if share and room > 0 else ""


def _ledger_verdict(ledger: Ledger, index: Index) -> list[str]:
    if ledger.recorded is None:
        return ["the pass is under way: nothing was added to .grad yet"]
    added = f".grad {'grew by' if ledger.before is not None else 'became'} {ledger.recorded[index]:+.6g}"
    exact = "to the last bit" if ledger.is_exact else "NOT the same"
    return [
        f"{added} at {element('', index) or 'this value'}: the sum of the rows, but for rounding "
        f"({ledger.difference:.1e})",
        f"computed again in the engine's own order: {exact}",
    ]


def _difference_lines(session: Session, difference: Difference, width: int) -> Lines:
    a, b = difference.values
    index = session.noted(b)
    (one, other), (norm, after) = difference.names, difference.norms
    ratio = after / norm if norm else np.inf
    head = f"{one} and {other}: norms {norm:.4g} and {after:.4g}, ratio {ratio:.4g}"
    lines = _wrapped(_safe(head), width, "bold")
    half = max((width - 3) // 2, 12)
    left, right = (
        Matrix(name, value, index).lines(half, 10) for name, value in zip(difference.names, (a, b), strict=True)
    )
    for before, now in zip(left, right, strict=True):
        pair = before.copy()
        pair.pad_right(half - before.cell_len)
        pair.append(" │ ")
        pair.append_text(now)
        lines.append(_cropped(pair, width))
    return [*lines, *Matrix("change", difference.change, index, strong=True).lines(width, 10)]


def check_text(check: VjpCheck) -> str:
    """The verdict on one vjp."""
    verdict = "agree" if check.passed else "DIFFER"
    return (
        f"{check.op}, input {check.slot}: vjp and central difference {verdict}: largest relative error "
        f"{check.worst:.1e} at {list(check.index)} ({check.analytic:+.6g} and {check.numeric:+.6g}), "
        f"{check.checked} of {check.size} checked"
    )


def failure(error: Exception, width: int) -> Lines:
    """A command that could not be carried out: the line with a caret at the spot, and why."""
    texts = error.lines() if isinstance(error, CommandError) else [str(error)]
    return [_line(_safe(text), width, "red") for text in texts]


def help_lines(width: int) -> Lines:
    """Every command with its keys."""
    lines = [_line("Every key stands for a command of the `:` line; both work the same.", width), _line("", width)]
    for command in COMMANDS:
        keys = " ".join(key for key, _ in command.keys)
        lines.append(_line(f"{keys:<8} {command.usage:<36} {command.summary}", width))
    return lines
