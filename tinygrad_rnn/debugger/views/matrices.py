"""Which arrays an event shows: its operands and what it wrote; one function a kind."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress

import numpy as np

from ...autograd.tensor import Array
from ...errors import TraceError
from ...tracing.questions.formulas import mentions, rule_of
from ...tracing.questions.queries import GRADIENT
from ...tracing.questions.terms import Index, Term
from ...tracing.questions.why import Why
from ...tracing.recording.graph import Node
from ..session import Session
from .matrix import Marked, Matrix

_OPERANDS_SHOWN = 6  # of a stack of many


def matrices(session: Session, why: Why | None) -> list[Matrix]:
    """The operands of this event, then its result; what made the explained element is marked."""
    if session.event.is_gone:
        return []
    return _SHOWN[session.event.kind](session, why)


def gradient_or_none(session: Session, node: Node) -> Array | None:
    """∂L/∂node so far; None also where a part of it is gone."""
    try:
        return session.queries.gradient(node, session.cursor)
    except TraceError:
        return None


def _forward(session: Session, why: Why | None) -> list[Matrix]:
    marks: dict[int, dict[Index, None]] = defaultdict(dict)
    for term in _by_weight(why):
        marks[term.slot][term.index] = None
        if term.factor_index is not None:
            marks[term.slot + 1][term.factor_index] = None
    node = session.event.output
    assert node is not None
    return [*_operands(session, node, marks), *_result(session)]


def _vjp(session: Session, why: Why | None) -> list[Matrix]:
    """The cotangent, what else the formula needs, the sum so far, and the term."""
    event = session.event
    node, cotangent, slot, to = event.of, event.cotangent, event.slot, event.output
    assert node is not None
    assert cotangent is not None
    assert slot is not None
    assert to is not None
    terms, formula = _by_weight(why), "" if why is None else why.rule
    marked = dict.fromkeys(term.index for term in terms)
    factors = dict.fromkeys(term.factor_index for term in terms if term.factor_index is not None)
    name = session.queries.names.of(node)
    found = [Matrix(f"G = ∂L/∂{name}", cotangent, None, marked)]
    if mentions(formula, "y"):
        found.append(Matrix(f"y = {name}", node.data, None, marked))
    found += _operands(session, node, {1 - slot: factors}, formula)
    return [*found, *_sum_so_far(session, to), *_result(session)]


def _by_weight(why: Why | None) -> list[Term]:
    """The terms of the explained element, the largest first."""
    return [] if why is None else sorted(why.terms, key=lambda term: -term.weight)


def _operands(
    session: Session, node: Node, marks: Mapping[int, Marked], formula: str = ""
) -> list[Matrix]:
    """The operands of an op, with marks by slot; of a vjp those that its formula mentions."""
    found: list[Matrix] = []
    symbols = () if node.rule is None else rule_of(node.rule).symbols
    operands = zip(node.inputs[:_OPERANDS_SHOWN], node.operands, strict=False)
    for slot, (x, operand) in enumerate(operands):
        array = np.asarray(operand)
        if x is None or array.dtype.kind not in "fiub":
            continue
        if " = " in formula and slot < len(symbols) and not mentions(formula, symbols[slot]):
            continue
        name = session.queries.names.of(x)
        title = f"{'ABC'[slot]} = {name}" if slot < 3 else name
        found.append(Matrix(title, array, None, marks.get(slot, {})))
    return found


def _sum_so_far(session: Session, node: Node) -> list[Matrix]:
    """The gradient that the term of this event was added to."""
    queries = session.queries
    arrived = len(queries.terms(node, session.cursor))
    total = gradient_or_none(session, node)
    if arrived < 2 or total is None:
        return []
    so_far = "" if arrived == queries.expected(node, session.cursor) else " so far"
    title = f"∂L/∂{queries.names.of(node)}{so_far}"
    return [Matrix(title, total, session.selected(total.shape))]


def _result(session: Session) -> list[Matrix]:
    """What the event wrote."""
    event, value, queries = session.event, session.value, session.queries
    if value is None:
        return []
    title = session.name or ""
    if title.startswith(GRADIENT):
        title = f"∂L/∂{title.removeprefix(GRADIENT)}"
    waits = event.kind == "vjp" and event.output is not None
    if waits and queries.expected(event.output, session.cursor) > 1:  # type: ignore[arg-type]
        title += f" from {queries.origin_of_term(event.index)}"
    return [Matrix(title, value, session.selected(value.shape), strong=True)]


def _seed(session: Session, why: Why | None) -> list[Matrix]:
    node = session.event.output
    assert node is not None
    return [Matrix(session.queries.names.of(node), node.data), *_result(session)]


def _accumulate(session: Session, why: Why | None) -> list[Matrix]:
    before = _held(session, session.cursor - 1, "before")
    after = _held(session, session.cursor, "after") if before else []
    return [*before, *_result(session), *after]


def _zero(session: Session, why: Why | None) -> list[Matrix]:
    return _held(session, session.cursor - 1, "before")


def _held(session: Session, at: int, when: str) -> list[Matrix]:
    """What `.grad` held at a moment."""
    node = session.event.output
    assert node is not None
    held = session.queries.accumulated(node, at)
    if held is None:
        return []
    return [Matrix(f"{session.queries.names.of(node)}.grad {when}", held)]


def _update(session: Session, why: Why | None) -> list[Matrix]:
    """What was replaced, by how much it moved, and what it is now."""
    name, after = session.name, session.value
    if name is None or after is None:
        return []
    result = _result(session)
    try:
        before = session.queries.value(name, session.cursor - 1)
    except TraceError:
        return result
    if before.shape != after.shape:
        return result
    change = np.asarray(after - before)
    return [Matrix(f"{name} before", before), Matrix("change", change), *result]


def _error(session: Session, why: Why | None) -> list[Matrix]:
    """The operands that an op refused, as far as they are not gone."""
    found: list[Matrix] = []
    for x in session.event.inputs:
        if x is None:
            continue
        with suppress(TraceError):
            found.append(Matrix(session.queries.names.of(x), np.asarray(x.data)))
    return found


_SHOWN: dict[str, Callable[[Session, Why | None], list[Matrix]]] = {
    "forward": _forward,
    "seed": _seed,
    "vjp": _vjp,
    "accumulate": _accumulate,
    "update": _update,
    "zero": _zero,
    "error": _error,
}
