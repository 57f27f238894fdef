"""Where a number came from: its largest contributions, back to data, or to the loss."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...text import printable
from ..recording.event import Vjp
from ..recording.graph import Node
from .notation import Index, checked_index, element, number
from .queries import GRADIENT, Queries
from .terms import Term, Terms, backward_terms, forward_terms

_LONGEST = 100_000
_ALIKE = 1e-9  # relative difference of contributions that count as one size


@dataclass(frozen=True, slots=True)
class OriginStep:
    """One step back: the element that contributed most to the one before it in the list."""

    event: int
    name: str
    index: Index
    value: float
    share: float  # of the size of all contributions, 0 to 1

    def __str__(self) -> str:
        where = f"event {self.event}" if self.event >= 0 else "before the recording"
        name = printable(element(self.name, self.index))
        return f"{name} = {number(self.value)}  ({self.share:.0%}, {where})"


class _Cause(NamedTuple):
    """The element to go on with, back in time."""

    node: Node
    place: Index
    share: float
    is_gradient: bool = False


def origin_of(queries: Queries, name: str, index: Index, now: int) -> list[OriginStep]:
    """Follow the largest contribution back: to a leaf, or, for a gradient, to the loss.

    For a NaN or an infinity, follow what made it so.

    Raises:
        TraceError: it is not there, or not yet.
    """
    checked_index(index, queries.value(name, now).shape, name)
    is_gradient = name.startswith(GRADIENT)
    bare = name.removeprefix(GRADIENT)
    node, now = queries.find(bare, now).node, queries.moment(bare, now)
    at: _Cause | None = _Cause(node, index, 1.0, is_gradient)
    steps: list[OriginStep] = []
    while at is not None and len(steps) < _LONGEST:
        if at.is_gradient:
            steps.append(_gradient_step(queries, at, now))
            at = _behind_gradient(queries, at, now, steps[-1].value)
        else:
            steps.append(_value_step(queries, at))
            at = _behind_value(at, steps[-1].value)
    return steps


def _value_step(queries: Queries, at: _Cause) -> OriginStep:
    event, value = queries.names.made_at(at.node), float(at.node.data[at.place])
    return OriginStep(event, queries.names.of(at.node), at.place, value, at.share)


def _gradient_step(queries: Queries, at: _Cause, now: int) -> OriginStep:
    held = queries.gradient(at.node, now)
    value = float(held[at.place]) if held is not None else 0.0
    events = queries.terms(at.node, now)
    event = events[-1] if events else queries.pass_of(now) or 0
    return OriginStep(event, f"∂L/∂{queries.names.of(at.node)}", at.place, value, at.share)


def _behind_gradient(queries: Queries, at: _Cause, now: int, value: float) -> _Cause | None:
    """Which cotangent contributed most; of a NaN, what made it one."""
    events = [queries.vjp(event) for event in queries.terms(at.node, now)]
    found = Terms()
    for event in events:
        found += backward_terms(event.of, event.slot, event.cotangent, at.place)
    known = [term for term in found if term.node is not None and term.weight]
    if np.isfinite(value):
        return _largest_of(known, sum(term.weight for term in known) + found.weight, True)
    bad = [term for term in known if not np.isfinite(term.value)]
    if bad:
        return _largest_of([max(bad, key=lambda term: bool(np.isnan(term.value)))], 0.0, True)
    for event in events:
        if not np.isfinite(queries.term(event.index)[at.place]):
            return _behind_slope(event, at.place)
    return None


def _behind_value(at: _Cause, value: float) -> _Cause | None:
    """Which operand contributed most; of a NaN or an infinity, what made it one."""
    node, terms = at.node, forward_terms(at.node, at.place)
    if not np.isfinite(value):
        cause = _what_made_it(node, at.place, terms)
        if cause is not None:
            return cause
    known = [term for term in terms if term.node is not None and term.weight]
    total = sum(term.weight for term in known) + terms.weight
    if node.kind == "product" and known:
        return _factor(node, max(known, key=lambda term: term.weight), total)
    return _largest_of(known, total, False)


def _factor(node: Node, best: Term, total: float) -> _Cause | None:
    """The factor of a product to go on with: one that was computed says more than a given one."""
    left, right = node.inputs
    share = _share(best, total)
    if right is None or best.factor_index is None or (left is not None and left.op is not None):
        return None if best.node is None else _Cause(best.node, best.index, share)
    if right.op is not None:
        return _Cause(right, best.factor_index, share)
    # Of data and a parameter: the path is at its source.
    return None if left is None or _is_data(left) else _Cause(left, best.index, share)


def _largest_of(terms: Sequence[Term], total: float, is_gradient: bool) -> _Cause | None:
    """The largest term; of those that are alike, one that was computed, else one that is trained.

    Of zeros none contributed more than another.
    """
    if not terms:
        return None
    largest = max(term.weight for term in terms)
    alike = [term for term in terms if term.weight >= largest * (1 - _ALIKE)]
    best = max(alike, key=_tells)
    return (
        None
        if best.node is None
        else _Cause(best.node, best.index, _share(best, total), is_gradient)
    )


def _tells(term: Term) -> int:
    if term.node is None:
        return 0
    return 2 * (term.node.op is not None) + (not _is_data(term.node))


def _what_made_it(node: Node, index: Index, terms: Terms) -> _Cause | None:
    """The operand that made an element NaN or infinite: a NaN, an infinity, the zero divided by."""
    found = [
        (_suspicion(value), x, at)
        for x, at, value, is_divisor in _elements(node, index, terms)
        if not np.isfinite(value) or (is_divisor and not value)
    ]
    if not found:
        return None
    _, x, at = max(found, key=lambda one: one[0])
    return _Cause(x, at, 1.0)


def _elements(node: Node, index: Index, terms: Terms) -> Iterator[tuple[Node, Index, float, bool]]:
    """The operands' elements that an element was made from, and whether it was divided by them."""
    if node.kind == "elementwise":
        for slot, x in enumerate(node.inputs):
            if x is not None:
                at = _broadcast_from(index, x.shape)
                yield x, at, float(x.data[at]), node.op == "div" and slot == 1
        return
    other = node.inputs[1] if node.kind == "product" else None
    for term in terms:
        if term.node is not None:
            yield term.node, term.index, term.value, False
        if other is not None and term.factor_index is not None:
            yield other, term.factor_index, term.factor, False


def _broadcast_from(index: Index, shape: tuple[int, ...]) -> Index:
    """The element of an operand of this shape that stands at an element of the result."""
    last = index[len(index) - len(shape) :]
    return tuple(i if n > 1 else 0 for i, n in zip(last, shape, strict=True))


def _behind_slope(event: Vjp, index: Index) -> _Cause | None:
    """What made a term NaN or infinite: the cotangent, else what its slope was made from."""
    of = event.of
    if of.kind != "elementwise" or len(index) > len(of.shape):
        return None
    at = (0,) * (len(of.shape) - len(index)) + index
    if not np.isfinite(event.cotangent[at]):
        return _Cause(of, at, 1.0, True)
    values = [(x, place, value) for x, place, value, _ in _elements(of, at, Terms())]
    values.append((of, at, float(of.data[at])))
    worst = max(values, key=lambda one: _suspicion(one[2]))
    return _Cause(*worst[:2], 1.0) if _suspicion(worst[2]) else None


def _suspicion(value: float) -> int:
    """How likely a number is the cause of a NaN: a NaN most of all, then an infinity, a zero."""
    if np.isnan(value):
        return 3
    return 2 if np.isinf(value) else int(value == 0)


def _is_data(node: Node) -> bool:
    return node.op is None and not node.requires_grad


def _share(term: Term, total: float) -> float:
    return term.weight / total if np.isfinite(total) and total else 1.0
