"""The middle: what one event computed, as a formula, with its numbers, and as matrices."""

import re
from collections.abc import Sequence

import numpy as np
from rich.text import Text

from ...autograd.tensor import Array
from ...errors import TinygradError, TraceError
from ...tracing.questions.formulas import mentions, rule_of
from ...tracing.questions.queries import GRADIENT
from ...tracing.questions.terms import Index
from ...tracing.questions.why import Why, element, number, precise
from ...tracing.recording.event import Event
from ...tracing.recording.graph import Node
from ..events import name_written, node_of, scope_of
from ..session import Session
from .lines import KIND_STYLES, Lines, blank, line, safe, safe_lines, wrapped
from .matrix import Matrix, Parts
from .wording import describe

_ROOMY = 12  # lines; in less the numbers come before all else
_TALL = 24  # lines; in less each term of a sum would leave no room for the matrices
_OPERANDS_SHOWN = 6  # of a stack of many
_TERMS_LISTED = 4
_DOTS_MOST = 16


def step(session: Session, width: int, height: int) -> Lines:
    """One step: the formula, the same with numbers, operands and result as matrices."""
    event, tall = session.event, height >= _TALL
    lines = _title_lines(session, width) if tall else [_short_title(session, width)]
    lines += (
        [
            *wrapped(
                safe(describe(session.queries.names, event, brief=event.kind == "error")), width
            ),
            blank(),
        ]
        if tall
        else []
    )
    why = _why_or_none(session)
    if why is not None:
        lines += (
            explained(why, width, brief=not tall) if height >= _ROOMY else _in_few_lines(why, width)
        )
    elif not tall and event.kind != "error":
        lines += wrapped(safe(describe(session.queries.names, event)), width)
    lines += wrapped(session.gone, width, "yellow") if session.gone else []
    lines += _error(event, width)
    lines += contributions(session, width, brief=not tall)
    lines += [blank()] * (height >= _ROOMY)
    return [*lines, *_stacked(matrices(session, why), width, height - len(lines))][:height]


def result(session: Session, width: int, height: int) -> Lines:
    """What the event wrote, and nothing else: as much of it as fits."""
    shown = matrices(session, _why_or_none(session))[-1:]
    head = [*_title_lines(session, width), blank()]
    return [*head, *(one for matrix in shown for one in matrix.lines(width, height - len(head)))]


def title(session: Session, event: Event, *, modules: bool = True) -> str:
    """Number, phase, op, timestep, layer and modules of an event."""
    place = [f"t={event.copy}"] * (event.copy is not None) + [f"layer {event.layer}"] * (
        event.layer is not None
    )
    scope = scope_of(event)
    path = " › ".join(call.name for call in scope.chain()) if scope is not None and modules else ""
    return safe(
        " · ".join(
            [
                f"#{event.index}",
                _phase(event),
                *filter(None, [event.op]),
                *place,
                *filter(None, [path]),
            ]
        )
    )


def _phase(event: Event) -> str:
    return {"vjp": "backward"}.get(event.kind, event.kind)


def _title_lines(session: Session, width: int) -> Lines:
    lines = wrapped(title(session, session.event), width, "bold")
    lines[0].highlight_words([_phase(session.event)], KIND_STYLES[session.event.kind])
    return lines


def _short_title(session: Session, width: int) -> Text:
    """The title in one line; where that is too long, without the modules."""
    text = title(session, session.event)
    shown = line(
        text if len(text) <= width else title(session, session.event, modules=False), width, "bold"
    )
    shown.highlight_words([_phase(session.event)], KIND_STYLES[session.event.kind])
    return shown


def _in_few_lines(why: Why, width: int) -> Lines:
    """The rule, what came of it, and then the numbers it was made from."""
    left, result = element(why.name, why.index), precise(why.value)
    numbers = [text.partition(" = ")[2] for text in why.lines if " = " in text]
    last = numbers[: numbers.index(result)][-1:] if result in numbers else []
    lines = [line(safe(why.rule), width, "cyan"), line(safe(f"{left} = {result}"), width, "bold")]
    return lines + [part for text in last for part in wrapped(safe(f"= {text}"), width)]


def explained(why: Why, width: int, *, brief: bool = False) -> Lines:
    """A rule, the same with names and numbers, and what came of it; in brief, with no line that others say too."""
    lines: Lines = []
    numbers = ""
    for i, text in enumerate(str(why).split("\n")):
        is_listed = text.startswith("  ") and not text.lstrip().startswith("=")
        repeats = numbers == (numbers := text.partition(" = ")[2]) != "" and not is_listed
        if brief and (repeats or ", the term from " in text):
            continue
        is_result = re.fullmatch(r"\s*= [^ ·]+", text) is not None
        is_remark = i > 0 and " = " not in text and not is_result and not text.endswith(":")
        style = "cyan" if not i else "bold" if is_result else "yellow" if is_remark else ""
        lines += wrapped(safe(text), width, style)
    return lines


def _why_or_none(session: Session) -> Why | None:
    try:
        return session.why_here()
    except TinygradError:
        return None


def _error(event: Event, width: int) -> Lines:
    """The message of an error event."""
    return [
        part
        for text in safe_lines(event.message or "")
        for part in wrapped(text, width, "bold red", indent=2)
    ]


# A node waits for all terms of its gradient


def contributions(session: Session, width: int, *, brief: bool = False) -> Lines:
    """Which terms of its gradient a tensor has by now, their sum, and that it waits for the others."""
    event, node = session.event, session.event.output
    if event.kind != "vjp" or node is None or event.is_gone:
        return []
    queries = session.queries
    terms, expected = queries.terms(node, session.cursor), queries.expected(node, session.cursor)
    total = _gradient_or_none(session, node)
    if expected < 2 or total is None:
        return []
    index, name = session.selected(total.shape), f"∂L/∂{queries.names.of(node)}"
    whole = number(float(total[index]))
    state = (
        "all are there" if len(terms) == expected else f"it waits for {expected - len(terms)} more"
    )
    counted = f"{len(terms)} of {expected} terms{_dots(len(terms), expected)}"
    head = f"{name}: {counted}, {state}"
    shown = [
        (_of_term(session, i, index), queries.origin_of_term(i)) for i in terms[-_TERMS_LISTED:]
    ]
    left_out = len(terms) - len(shown)
    if brief:
        parts = " ".join(f"{value} from {source}" for value, source in shown[-2:])
        more = "" if len(terms) <= 2 else f"… ({len(terms) - 2} more) "
        summed = f" = {whole}" if len(terms) > 1 else ""
        return wrapped(safe(f"{counted}: {more}{parts}{summed}"), width, "yellow", indent=2)
    column = max(map(len, [whole, *(value for value, _ in shown)]))
    lines = [blank(), *wrapped(safe(head), width, "yellow")]
    lines += [line(f"  {'…':>{column}}  {left_out} before", width)] * (left_out > 0)
    lines += [line(safe(f"  {value:>{column}}  from {source}"), width) for value, source in shown]
    so_far = "" if len(terms) == expected else " so far"
    return (
        [*lines, line(safe(f"  {whole:>{column}}  {element(name, index)}{so_far}"), width, "bold")]
        if len(terms) > 1
        else lines
    )


def _gradient_or_none(session: Session, node: Node) -> Array | None:
    """∂L/∂node so far; None also where a part of it is gone."""
    try:
        return session.queries.gradient(node, session.cursor)
    except TraceError:
        return None


def _of_term(session: Session, index: int, at: Index) -> str:
    return (
        "gone"
        if session.trace.events[index].is_gone
        else number(float(session.queries.term(index)[at]))
    )


def _dots(arrived: int, expected: int) -> str:
    return f" {'●' * arrived}{'○' * (expected - arrived)}" if expected <= _DOTS_MOST else ""


# Matrices


def matrices(session: Session, why: Why | None) -> list[Matrix]:
    """The operands of this event, then its result; what went into the explained element is marked."""
    event, node, value = session.event, node_of(session.event), session.value
    if event.is_gone:
        return []
    if event.kind == "error":
        return _refused(session, event)
    found: list[Matrix] = []
    parts = _parts_of(why, backward=event.kind == "vjp")
    if node is not None and event.kind == "vjp" and event.cotangent is not None:
        found = _cotangent_and_output(session, event.cotangent, node, parts[0], why)
        factor = parts[1] if len(parts) > 1 else {}
        parts = [
            factor if slot == 1 - (event.slot or 0) else {} for slot in range(len(node.inputs))
        ]
    if node is not None and event.kind in ("forward", "vjp"):
        found += _operands(session, node, parts, why if event.kind == "vjp" else None)
    if event.kind == "update" and value is not None:
        found += _before(session, event, value)
    if event.kind in ("accumulate", "zero"):
        found += _held(session, event, -1, " before")
    if event.kind == "seed" and node is not None:
        found.append(Matrix(session.queries.names.of(node), node.data))
    if value is not None:
        found += _sum_so_far(session, event)
        found.append(
            Matrix(_result_label(session, event), value, session.selected(value.shape), strong=True)
        )
    if event.kind == "accumulate" and len(found) > 1:
        found += _held(session, event, 0, " after")
    return found


def _result_label(session: Session, event: Event) -> str:
    name = name_written(session.queries, event) or ""
    label = name.replace(GRADIENT, "∂L/∂", 1) if name.startswith(GRADIENT) else name
    waits = event.kind == "vjp" and event.output is not None
    if waits and session.queries.expected(event.output, session.cursor) > 1:  # type: ignore[arg-type]
        label += f" from {session.queries.origin_of_term(event.index)}"
    return label


def _refused(session: Session, event: Event) -> list[Matrix]:
    """The operands that an op refused."""
    names, found = session.queries.names, list[Matrix]()
    for x in event.inputs:
        try:
            found += [Matrix(names.of(x), np.asarray(x.data))] if x is not None else []
        except TraceError:
            continue  # what is gone cannot be shown
    return found


def _held(session: Session, event: Event, by: int, when: str) -> list[Matrix]:
    """What `.grad` held a moment ago, or holds now."""
    assert event.output is not None
    held = session.queries.accumulated(event.output, session.cursor + by)
    return (
        []
        if held is None
        else [Matrix(f"{session.queries.names.of(event.output)}.grad{when}", held)]
    )


def _before(session: Session, event: Event, after: Array) -> list[Matrix]:
    """What an update replaced, and by how much it moved it."""
    assert event.output is not None
    name = session.queries.names.of(event.output)
    try:
        before = session.queries.value(name, session.cursor - 1)
    except TraceError:
        return []
    if before.shape != after.shape:
        return []
    return [Matrix(f"{name} before", before), Matrix("change", np.asarray(after - before))]


def _sum_so_far(session: Session, event: Event) -> list[Matrix]:
    """The gradient that the term of this event was added to."""
    node = event.output
    if event.kind != "vjp" or node is None or len(session.queries.terms(node, session.cursor)) < 2:
        return []
    queries = session.queries
    total = _gradient_or_none(session, node)
    is_whole = len(queries.terms(node, session.cursor)) == queries.expected(node, session.cursor)
    name = f"∂L/∂{queries.names.of(node)}{'' if is_whole else ' so far'}"
    return [Matrix(name, total, session.selected(total.shape))] if total is not None else []


def _cotangent_and_output(
    session: Session, cotangent: Array, node: Node, parts: Parts, why: Why | None
) -> list[Matrix]:
    """What every vjp starts from, and the output where its formula needs that."""
    name = session.queries.names.of(node)
    found = [Matrix(f"G = ∂L/∂{name}", cotangent, None, parts)]
    if why is not None and mentions(why.rule, "y"):
        found.append(Matrix(f"y = {name}", node.data, None, parts))
    return found


def _operands(
    session: Session, node: Node, parts: Sequence[Parts], vjp: Why | None
) -> list[Matrix]:
    """The operands; of a vjp those that its formula mentions."""
    found: list[Matrix] = []
    symbols = rule_of(node.rule).symbols if node.rule is not None else ()
    for slot, (x, operand) in enumerate(
        zip(node.inputs[:_OPERANDS_SHOWN], node.operands, strict=False)
    ):
        array = np.asarray(operand)
        unused = (
            vjp is not None
            and slot < len(symbols)
            and " = " in vjp.rule
            and not mentions(vjp.rule, symbols[slot])
        )
        if array.dtype.kind in "fiub" and x is not None and not unused:
            letter = f"{'ABC'[slot]} = " if slot < 3 else ""
            marked = parts[slot] if slot < len(parts) else {}
            found.append(Matrix(letter + session.queries.names.of(x), array, None, marked))
    return found


def _parts_of(why: Why | None, backward: bool) -> Sequence[Parts]:
    """The elements that the explained one was made of, by operand; of a vjp those of the cotangent come first."""
    terms = sorted(why.terms, key=lambda term: -term.weight) if why is not None else []
    slots = max((term.slot + 2 for term in terms), default=1)
    found: list[dict[Index, None]] = [{} for _ in range(slots)]
    for term in terms:
        found[0 if backward else term.slot][term.index] = None
        if term.factor_index is not None:
            found[1 if backward else term.slot + 1][term.factor_index] = None
    return found


def _stacked(shown: Sequence[Matrix], width: int, height: int) -> list[Text]:
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
        if (
            share[at] < 3 and not matrix.strong
        ):  # a title without a row says little: more of the result instead
            share[-1], share[at] = share[-1] + share[at], 0
    lines: Lines = []
    for matrix, size in zip(shown, share, strict=True):
        if size >= 2:
            lines += [*matrix.lines(width, size - 1), blank()]
    return lines[:height]
