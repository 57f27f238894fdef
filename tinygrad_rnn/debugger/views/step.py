"""The middle: what one event computed, as a formula, with its numbers, and as matrices."""

import re
from collections.abc import Sequence

from rich.text import Text

from ...errors import TinygradError
from ...tracing.questions.notation import Index, element, number, precise
from ...tracing.questions.why import Why
from ...tracing.recording.event import Event, Failure, Vjp
from ..events import calls_of
from ..session import Session
from .lines import KIND_STYLES, Lines, blank, line, safe, safe_lines, wrapped
from .matrices import gradient_or_none, matrices
from .matrix import Matrix
from .wording import describe, place_of

_ROOMY = 12  # lines; in less the numbers come before all else
_TALL = 24  # lines; in less each term of a sum would leave no room for the matrices
_TERMS_LISTED = 4
_DOTS_MOST = 16


def step(session: Session, width: int, height: int) -> Lines:
    """One step: the formula, the same with numbers, operands and result as matrices."""
    why = _why_or_none(session)
    lines = _head(session, width) if height >= _TALL else _short_head(session, why, width)
    if why is not None and height >= _ROOMY:
        lines += explained(why, width, brief=height < _TALL)
    elif why is not None:
        lines += _in_few_lines(why, width)
    for text in session.set_here:
        lines += wrapped(safe(f"set here: {text}"), width, "bold yellow")
    if session.gone:
        lines += wrapped(session.gone, width, "yellow")
    if isinstance(session.event, Failure):
        for text in safe_lines(session.event.message):
            lines += wrapped(text, width, "bold red", indent=2)
    lines += contributions(session, width, brief=height < _TALL)
    if height >= _ROOMY:
        lines.append(blank())
    return [*lines, *_stacked(matrices(session, why), width, height - len(lines))][:height]


def result(session: Session, width: int, height: int) -> Lines:
    """What the event wrote, and nothing else: as much of it as fits."""
    lines = [*_title_lines(session, width), blank()]
    for matrix in matrices(session, _why_or_none(session))[-1:]:
        lines += matrix.lines(width, height - len(lines))
    return lines


def _why_or_none(session: Session) -> Why | None:
    try:
        return session.why_here()
    except TinygradError:
        return None


# The title


def title(session: Session, *, modules: bool = True) -> str:
    """Number, phase, op, training step, timestep, layer and modules of the event at the cursor."""
    event, steps = session.event, session.queries.steps.trained
    numbered = f"#{event.index}"
    parts = [session.branches.title, numbered, _phase(event), event.op, *place_of(event, steps)]
    if modules:
        parts.append(" › ".join(call.name for call in calls_of(event)))
    return safe(" · ".join(filter(None, parts)))


def _phase(event: Event) -> str:
    return "backward" if isinstance(event, Vjp) else event.kind


def _head(session: Session, width: int) -> Lines:
    event = session.event
    text = describe(session.queries.names, event, brief=isinstance(event, Failure))
    return [*_title_lines(session, width), *wrapped(safe(text), width), blank()]


def _short_head(session: Session, why: Why | None, width: int) -> Lines:
    """The title in one line, where need be without the modules; in words what no formula says."""
    event = session.event
    text = title(session)
    if len(text) > width:
        text = title(session, modules=False)
    lines = [_marked_phase(event, line(text, width, "bold"))]
    if why is None and not isinstance(event, Failure):
        lines += wrapped(safe(describe(session.queries.names, event)), width)
    return lines


def _title_lines(session: Session, width: int) -> Lines:
    first, *more = wrapped(title(session), width, "bold")
    return [_marked_phase(session.event, first), *more]


def _marked_phase(event: Event, text: Text) -> Text:
    text.highlight_words([_phase(event)], KIND_STYLES[event.kind])
    return text


# The formula


def _in_few_lines(why: Why, width: int) -> Lines:
    """The rule, what came of it, and then the numbers it was made from."""
    left, result = element(why.name, why.index), precise(why.value)
    lines = [line(safe(why.rule), width, "cyan"), line(safe(f"{left} = {result}"), width, "bold")]
    numbers = [text.partition(" = ")[2] for text in why.lines if " = " in text]
    if result in numbers:
        for text in numbers[: numbers.index(result)][-1:]:
            lines += wrapped(safe(f"= {text}"), width)
    return lines


def explained(why: Why, width: int, *, brief: bool = False) -> Lines:
    """A rule, the same with names and numbers, and what came of it; in brief, nothing twice."""
    rule, *others = str(why).split("\n")
    lines = wrapped(safe(rule), width, "cyan")
    before = rule.partition(" = ")[2]
    for text in others:
        numbers = text.partition(" = ")[2]
        is_listed = text.startswith("  ") and not text.lstrip().startswith("=")
        is_repeated = numbers != "" and numbers == before and not is_listed
        before = numbers
        if not brief or not (is_repeated or ", the term from " in text):
            lines += wrapped(safe(text), width, _style_of(text))
    return lines


def _style_of(text: str) -> str:
    """A result is bold, a remark yellow, a formula plain."""
    if re.fullmatch(r"\s*= [^ ·]+", text):
        return "bold"
    return "" if " = " in text or text.endswith(":") else "yellow"


# A node waits for all terms of its gradient


def contributions(session: Session, width: int, *, brief: bool = False) -> Lines:
    """Which terms of its gradient a tensor has by now, their sum, and whether it waits for more."""
    event, queries = session.event, session.queries
    if not isinstance(event, Vjp) or event.is_gone:
        return []
    node = event.output
    terms, expected = queries.terms(node, session.cursor), queries.expected(node, session.cursor)
    total = gradient_or_none(session, node)
    if expected < 2 or total is None:
        return []
    index, name = session.selected(total.shape), f"∂L/∂{queries.names.in_formula(node, event.of)}"
    whole = number(float(total[index]))
    counted = f"{len(terms)} of {expected} terms{_dots(len(terms), expected)}"
    newest = [(_term(session, i, index), queries.origin_of_term(i)) for i in terms[-_TERMS_LISTED:]]
    if brief:
        return _briefly(counted, len(terms), newest[-2:], whole, width)
    is_whole = len(terms) == expected
    state = "all are there" if is_whole else f"it waits for {expected - len(terms)} more"
    lines = [blank(), *wrapped(safe(f"{name}: {counted}, {state}"), width, "yellow")]
    column = max(map(len, [whole, *(value for value, _ in newest)]))
    if len(terms) > len(newest):
        lines.append(line(f"  {'…':>{column}}  {len(terms) - len(newest)} before", width))
    for value, source in newest:
        lines.append(line(safe(f"  {value:>{column}}  from {source}"), width))
    if len(terms) > 1:
        so_far = "" if is_whole else " so far"
        text = f"  {whole:>{column}}  {element(name, index)}{so_far}"
        lines.append(line(safe(text), width, "bold"))
    return lines


def _briefly(
    counted: str, arrived: int, newest: Sequence[tuple[str, str]], whole: str, width: int
) -> Lines:
    text = f"{counted}: "
    if arrived > len(newest):
        text += f"… ({arrived - len(newest)} more) "
    text += " ".join(f"{value} from {source}" for value, source in newest)
    if arrived > 1:
        text += f" = {whole}"
    return wrapped(safe(text), width, "yellow", indent=2)


def _term(session: Session, index: int, at: Index) -> str:
    if session.trace.events[index].is_gone:
        return "gone"
    return number(float(session.queries.term(index)[at]))


def _dots(arrived: int, expected: int) -> str:
    if expected > _DOTS_MOST:
        return ""
    return f" {'●' * arrived}{'○' * (expected - arrived)}"


# Matrices below each other


def _stacked(shown: Sequence[Matrix], width: int, height: int) -> Lines:
    """Matrices below each other; the result always, operands as far as there is room."""
    room = max(height, 0)
    wanted = [min(matrix.height, room) + 1 for matrix in shown]
    share = [0] * len(shown)
    for at in sorted(range(len(shown)), key=lambda i: not shown[i].strong):
        parts = 2 if shown[at].strong else share.count(0)
        fair = max(room // parts, 3)
        left_by_others = room - sum(wanted) + wanted[at]
        share[at] = min(wanted[at], max(fair, left_by_others), room)
        room -= share[at]
    for at, matrix in enumerate(shown):
        if share[at] < 3 and not matrix.strong:
            # A title without a row says little: more of the result instead.
            share[-1], share[at] = share[-1] + share[at], 0
    lines: Lines = []
    for matrix, size in zip(shown, share, strict=True):
        if size >= 2:
            lines += [*matrix.lines(width, size - 1), blank()]
    return lines[:height]
