"""Which arrays an event shows: its operands and what it wrote."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np

from ...autograd.tensor import Array
from ...errors import TraceError
from ...tracing.questions.formulas import mentions, rule_of
from ...tracing.questions.queries import GRADIENT
from ...tracing.questions.terms import Index, Term
from ...tracing.questions.why import Why
from ...tracing.recording.event import Accumulate, Failure, Forward, Seed, Update, Vjp, Zero
from ...tracing.recording.graph import Node
from ..session import Session
from .matrix import Marked, Matrix

_OPERANDS_SHOWN = 6  # of a stack of many


def matrices(session: Session, why: Why | None) -> list[Matrix]:
    """The operands of this event, then its result; what made the explained element is marked."""
    event = session.event
    if event.is_gone:
        return []
    match event:
        case Forward(output=node):
            return _forward(session, node, why)
        case Vjp():
            return _vjp(session, event, why)
        case Seed(output=node):
            return [Matrix(session.queries.names.of(node), node.data), *_result(session)]
        case Accumulate(output=leaf):
            before = _held(session, leaf, session.cursor - 1, "before")
            after = _held(session, leaf, session.cursor, "after") if before else []
            return [*before, *_result(session), *after]
        case Update():
            return _update(session, event)
        case Zero(output=leaf):
            return _held(session, leaf, session.cursor - 1, "before")
        case Failure(inputs=inputs):
            return _refused(session, inputs)


def gradient_or_none(session: Session, node: Node) -> Array | None:
    """∂L/∂node so far; None also where a part of it is gone."""
    try:
        return session.queries.gradient(node, session.cursor)
    except TraceError:
        return None


def _forward(session: Session, node: Node, why: Why | None) -> list[Matrix]:
    marks: dict[int, dict[Index, None]] = defaultdict(dict)
    for term in _by_weight(why):
        marks[term.slot][term.index] = None
        if term.factor_index is not None:
            marks[term.slot + 1][term.factor_index] = None
    return [*_operands(session, node, marks), *_result(session)]


def _vjp(session: Session, event: Vjp, why: Why | None) -> list[Matrix]:
    """The cotangent, what else the formula needs, the sum so far, and the term."""
    node, slot = event.of, event.slot
    terms, formula = _by_weight(why), "" if why is None else why.rule
    marked = dict.fromkeys(term.index for term in terms)
    factors = dict.fromkeys(term.factor_index for term in terms if term.factor_index is not None)
    name = session.queries.names.of(node)
    found = [Matrix(f"G = ∂L/∂{name}", event.cotangent, None, marked)]
    if mentions(formula, "y"):
        found.append(Matrix(f"y = {name}", node.data, None, marked))
    found += _operands(session, node, {1 - slot: factors}, formula)
    return [*found, *_sum_so_far(session, event), *_result(session)]


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
        name = session.queries.names.in_formula(x, node)
        title = f"{'ABC'[slot]} = {name}" if slot < 3 else name
        found.append(Matrix(title, array, None, marks.get(slot, {})))
    return found


def _sum_so_far(session: Session, event: Vjp) -> list[Matrix]:
    """The gradient that the term of this event was added to."""
    queries, node = session.queries, event.output
    arrived = len(queries.terms(node, session.cursor))
    total = gradient_or_none(session, node)
    if arrived < 2 or total is None:
        return []
    so_far = "" if arrived == queries.expected(node, session.cursor) else " so far"
    title = f"∂L/∂{queries.names.in_formula(node, event.of)}{so_far}"
    return [Matrix(title, total, session.selected(total.shape))]


def _result(session: Session) -> list[Matrix]:
    """What the event wrote."""
    event, value, queries = session.event, session.value, session.queries
    if value is None:
        return []
    title = session.name or ""
    if title.startswith(GRADIENT):
        title = f"∂L/∂{title.removeprefix(GRADIENT)}"
    if isinstance(event, Vjp) and queries.expected(event.output, session.cursor) > 1:
        title += f" from {queries.origin_of_term(event.index)}"
    return [Matrix(title, value, session.selected(value.shape), strong=True)]


def _held(session: Session, node: Node, at: int, when: str) -> list[Matrix]:
    """What `.grad` held at a moment."""
    held = session.queries.accumulated(node, at)
    if held is None:
        return []
    return [Matrix(f"{session.queries.names.of(node)}.grad {when}", held)]


def _update(session: Session, event: Update) -> list[Matrix]:
    """What was replaced, by how much it moved, and what it is now."""
    after, result = session.value, _result(session)
    try:
        before = session.queries.before(event)
    except TraceError:
        return result
    if before is None or after is None or before.shape != after.shape:
        return result
    change = np.asarray(after - before)
    return [Matrix(f"{session.name} before", before), Matrix("change", change), *result]


def _refused(session: Session, inputs: Sequence[Node | None]) -> list[Matrix]:
    """The operands that an op refused, as far as they are not gone."""
    found: list[Matrix] = []
    for x in inputs:
        if x is None:
            continue
        with suppress(TraceError):
            found.append(Matrix(session.queries.names.of(x), np.asarray(x.data)))
    return found
