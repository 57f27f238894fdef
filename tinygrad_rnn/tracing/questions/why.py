"""Why a number is what it is: the rule that made it, its numbers, and where these came from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...autograd.tensor import Array
from ...errors import TraceError
from ...text import printable
from ..recording.event import Accumulate, Event, Failure, Forward, Seed, Update, Vjp, Zero
from ..recording.graph import Node
from .formulas import Rule, is_elementwise, rule_of, substituted
from .notation import Index, checked_index, element, number, precise, shared_index
from .queries import GRADIENT, Queries
from .terms import Term, Terms, backward_terms, forward_terms

_SHOWN = 4  # terms of a sum that are written out
_STEEPEST = {"tanh": 1.0, "sigmoid": 0.25}  # the slope at 0 of what saturates
_SATURATED = 0.1  # of the steepest slope
_OPTION_MOST = 8  # elements of an option that is written out
# Why the gradient of an op's input is 0 there; of two inputs, {0} is this one.
_STOPS = {
    "relu": "its input is not above 0: the rectifier is closed",
    "where": "the condition chose the other operand",
    "maximum": "{1} is larger than {0}",
    "minimum": "{1} is smaller than {0}",
    "max": "another element is the largest",
    "min": "another element is the smallest",
    "clip": "the input is outside of the bounds",
    "abs": "the input is 0",
    "astype": "integers and booleans pass no gradient on",
}


@dataclass(frozen=True, slots=True)
class Why:
    """One element explained: `str()` gives the lines that the debugger shows."""

    event: int
    name: str
    index: Index
    value: float
    rule: str  # "x̄ = ȳ (1 - y²)"
    lines: tuple[str, ...]
    terms: Terms = field(default_factory=Terms)

    def __str__(self) -> str:
        # a name with a line end makes no line
        return "\n".join(map(printable, [self.rule, *self.lines]))


class Explainer:
    """Explains elements of one run."""

    def __init__(self, queries: Queries) -> None:
        self.queries, self.names = queries, queries.names

    # One event

    def event(self, event: Event, index: Index) -> Why:
        """How an event made element `index` of what it wrote.

        Raises:
            TraceError: it wrote nothing, or the index is not in it.
        """
        value = self.queries.written_by(event)
        if value is None or isinstance(event, Failure | Zero):
            raise TraceError(f"event {event.index} ({event.kind}) wrote no numbers")
        name, at_index = self.names.of(event.output), event.index
        checked_index(index, value.shape, name)
        match event:
            case Forward():
                return self._forward(event, index)
            case Vjp():
                return self._vjp(event, index)
            case Seed():
                rule = "the backward pass starts here, with ∂L/∂L = 1 or what was given"
                return _plain(at_index, f"∂L/∂{name}", index, value, rule)
            case Accumulate():
                rule = "the sum of all terms of this pass was added to .grad"
                return _plain(at_index, f"∂L/∂{name}", index, value, rule)
            case Update():
                return self._update(event, index)

    def _update(self, event: Update, index: Index) -> Why:
        """What it was before, and by how much it moved."""
        name, after = self.names.of(event.output), float(event.output.data[index])
        scope, before = event.scope, self.queries.before(event)
        rule = "bound to new values" if scope is None else f"updated by {scope.name}"
        if before is None or before.shape != event.output.shape:
            return _plain(event.index, name, index, event.output.data, rule)
        label, old = element(name, index), float(before[index])
        lines = [
            f"{label} = what it was before + its change",
            f"{_below(label)} = {precise(old)} {precise(after - old)}",
            f"{_below(label)} = {precise(after)}",
        ]
        gradient = self.queries.accumulated(event.output, event.index)
        if gradient is not None and gradient.shape == before.shape:
            lines.append(
                f"its gradient: {element(f'∂L/∂{name}', index)} = {precise(float(gradient[index]))}"
            )
        return Why(event.index, name, index, after, rule, tuple(lines))

    def _forward(self, event: Forward, index: Index) -> Why:
        node = event.output
        assert node.rule is not None
        rule, terms = rule_of(node.rule), forward_terms(node, index)
        name, value = self.names.of(node), float(node.data[index])
        label = element(name, index)
        if node.kind == "product":
            lines = self._product(node, label, terms)
        elif _is_elementwise(node):
            names = dict(zip(rule.symbols, self._operand_names(node), strict=False))
            numbers = _operand_values(rule, node, index)
            lines = [
                f"{name} = {substituted(rule.forward, names)}",
                f"{label} = {substituted(rule.forward, numbers)}",
            ]
        else:
            lines = [f"{label}, from the elements that weigh most:", *self._weights(node, terms)]
        lines.append(f"{_below(label)} = {precise(value)}")
        lines += self._stretched(node)
        if node.op in _STEEPEST:
            slope = number(_only_slope(terms))
            lines.append(f"slope ∂{name}/∂{self._operand_names(node)[0]} = {slope}")
            lines += _saturation(node, terms)
        lines += _dead(node, index)
        text = (rule.forward or rule.summary) + _options(node)
        return Why(event.index, name, index, value, text, tuple(lines), terms)

    def _vjp(self, event: Vjp, index: Index) -> Why:
        of, slot = event.of, event.slot
        assert of.rule is not None
        rule, terms = rule_of(of.rule), backward_terms(of, slot, event.cotangent, index)
        formula = rule.of_slot(slot)
        name = f"∂L/∂{self.names.in_formula(event.output, of)}"
        label = element(name, index)
        value = float(self.queries.term(event.index)[index])
        at = _one_place(event, index, terms)
        if at is not None and _is_elementwise(of) and rule.states(formula):
            lines = self._slope(formula, event, name, label, at, terms)
        else:
            lines = [f"{label}, the term from {self.names.of(of)}:"]
            lines += self._sum_of_cotangents(of, label, terms)
        lines.append(f"{_below(label)} = {precise(value)}")
        lines += _saturation(of, terms)
        lines += _stopped(of, slot, value, terms, event.cotangent)
        lines += _broadcasting(of, np.shape(of.operands[slot]))
        return Why(event.index, name, index, value, formula + _options(of), tuple(lines), terms)

    # Lines

    def _operand_names(self, node: Node) -> list[str]:
        pairs = zip(node.inputs, node.operands, strict=True)
        return [
            f"{float(a):.4g}" if x is None else self.names.in_formula(x, node) for x, a in pairs
        ]

    def _stretched(self, node: Node) -> list[str]:
        """That both operands were broadcast, which is seldom meant: (B, 1) and (B,) make (B, B)."""
        shapes = {np.shape(operand) for operand in node.operands if np.ndim(operand)}
        if node.kind != "elementwise" or len(shapes) < 2 or node.shape in shapes:
            return []
        names = [
            f"{x} {np.shape(a)}"
            for x, a in zip(self._operand_names(node), node.operands, strict=True)
        ]
        return [f"broadcast: {' and '.join(names)} make {node.shape}"]

    def _slope(
        self, formula: str, event: Vjp, name: str, label: str, at: Index, terms: Terms
    ) -> list[str]:
        """An elementwise VJP at an element: names, numbers, then the cotangent times the slope."""
        of = event.of
        assert of.rule is not None
        rule = rule_of(of.rule)
        names = dict(zip(rule.symbols, self._operand_names(of), strict=False))
        names |= {"y": self.names.of(of), "ȳ": f"∂L/∂{self.names.of(of)}"}
        values = _operand_values(rule, of, at)
        values |= {"y": number(float(of.data[at])), "ȳ": number(float(event.cotangent[at]))}
        lines = [
            f"{name} = {substituted(formula, names)}",
            f"{label} = {substituted(formula, values)}",
        ]
        for term in terms:
            lines.append(f"{_below(label)} = {number(term.value)} · {number(term.factor)}")
        return lines

    def _product(self, node: Node, label: str, terms: Terms) -> list[str]:
        left, right = self._operand_names(node)
        if not terms:
            return [f"{label} = 0, a sum without terms"]
        return [
            f"{label} = Σₖ {left}{_places(terms)} · {right}{_factor_places(terms)}",
            f"{_below(label)} = {_largest(terms)}",
        ]

    def _sum_of_cotangents(self, of: Node, label: str, terms: Terms) -> list[str]:
        if not terms:
            return []
        factor = "slope"
        if of.kind == "product":
            factor = self._operand_names(of)[1 - terms[0].slot] + _factor_places(terms)
        sum_sign = "Σₖ " if len(terms) > 1 else ""
        return [
            f"{label} = {sum_sign}∂L/∂{self.names.of(of)}{_places(terms)} · {factor}",
            f"{_below(label)} = {_largest(terms)}",
        ]

    def _weights(self, of: Node, terms: Terms) -> list[str]:
        ordered = _heaviest_first(terms)
        lines = [
            f"  {self._term_name(of, term)} = {number(term.value)}, slope {number(term.factor)}"
            for term in ordered[:_SHOWN]
        ]
        left_out = len(ordered) - _SHOWN + terms.others
        if left_out > 0:
            lines.append(f"  and {left_out} smaller")
        return lines

    def _term_name(self, of: Node, term: Term) -> str:
        if term.node is None:
            return "the number"
        return element(self.names.in_formula(term.node, of), term.index)

    # One name

    def why(self, name: str, index: Index, now: int) -> Why:
        """Why `name[index]` is what it is at a moment; for "d.name" its terms and their sum.

        Raises:
            TraceError: it is not there, or not yet.
        """
        if name.startswith(GRADIENT):
            return self._why_gradient(name, index, now)
        value, written = self.queries.value(name, now), self.queries.find(name, now)
        checked_index(index, value.shape, name)
        written_at = self.queries.run.events[written.event] if written.event >= 0 else None
        if isinstance(written_at, Update) or written.node.op is not None:
            assert written_at is not None
            return self.event(written_at, index)
        rule = "given: nothing in this run computed it"
        return _plain(written.event, self.names.of(written.node), index, value, rule)

    def _why_gradient(self, name: str, index: Index, now: int) -> Why:
        total = self.queries.value(name, now)
        node = self.queries.find(name.removeprefix(GRADIENT), now).node
        checked_index(index, total.shape, name)
        parts = self.queries.contributions(node, now)
        if len(parts) == 1:
            return self.event(self.queries.run.events[parts[0].event], index)
        label, value = f"∂L/∂{self.names.of(node)}", float(total[index])
        numbers = [precise(float(part.value[index])) for part in parts]
        width = max(map(len, numbers), default=0)
        lines = [f"{element(label, index)} ="]
        for text, part in zip(numbers, parts, strict=True):
            lines.append(f"  {text:<{width}}  from {part.source} (event {part.event})")
        lines.append(f"= {precise(value)}")
        expected = self.queries.expected(node, now)
        if expected > len(parts):
            lines.append(f"{len(parts)} of {expected} terms so far: it waits for all of them")
        rule = f"{label} = the sum of its {len(parts)} terms"
        event = parts[-1].event if parts else now
        return Why(event, label, index, value, rule, tuple(lines))


def _plain(event: int, name: str, index: Index, values: Array, rule: str) -> Why:
    """An element that was given, or only copied: there is nothing to compute."""
    value = float(values[index])
    return Why(event, name, index, value, rule, (f"{element(name, index)} = {precise(value)}",))


def _is_elementwise(node: Node) -> bool:
    assert node.rule is not None
    fits = all(_broadcasts(np.shape(operand), node.shape) for operand in node.operands)
    return is_elementwise(node.rule) and fits


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    padded = (1,) * (len(to) - len(shape)) + shape
    return len(padded) == len(to) and all(n in (1, m) for n, m in zip(padded, to, strict=True))


def _operand_values(rule: Rule, node: Node, index: Index) -> dict[str, str]:
    values = (_operand(np.broadcast_to(a, node.shape)[index]) for a in node.operands)
    return dict(zip(rule.symbols, values, strict=False))


def _operand(value: Any) -> str:
    return number(float(value)) if value.dtype.kind != "b" else str(bool(value.item()))


def _options(node: Node) -> str:
    """The op's other arguments behind its formula; the index of a part stands in its name."""
    shown = {name: value for name, value in node.options.items() if name != "index"}
    named = {name: getattr(value, "__name__", value) for name, value in shown.items()}  # a dtype's
    given = [f"{name} = {value}" for name, value in named.items() if _is_told(value)]
    return f", with {', '.join(given)}" if given else ""


def _is_told(value: Any) -> bool:
    return value is not None and value is not False and np.size(value) <= _OPTION_MOST


def _one_place(event: Vjp, index: Index, terms: Terms) -> Index | None:
    """The element of a cotangent that element `index` of the term came from; None for several."""
    if len(terms) == 1 and not terms.others:
        return terms[0].index
    is_same_shape = np.shape(event.of.operands[event.slot]) == event.cotangent.shape
    return index if is_same_shape and not terms else None


def _stopped(of: Node, slot: int, value: float, terms: Terms, cotangent: Array) -> list[str]:
    """Why nothing comes through an op, where something came to it."""
    if value or not np.any(cotangent):
        return []
    reason = _STOPS.get(of.op or "")
    if reason is not None:
        return [f"0 since {reason.format('AB'[slot % 2], 'BA'[slot % 2])}"]
    if terms or of.kind not in ("move", "lookup"):
        return []
    return ["0 since no element of the result was made from it"]


def _dead(node: Node, index: Index) -> list[str]:
    """A unit of a rectifier that is 0 in all rows at once."""
    if node.op != "relu" or not index or node.data[..., index[-1]].any():
        return []
    rows = node.size // node.shape[-1]
    if rows == 1:
        return ["closed: its input is not above 0"]
    return [f"unit {index[-1]} is dead here: 0 in all {rows} rows"]


def _places(terms: Iterable[Term]) -> str:
    return shared_index([term.index for term in terms])


def _factor_places(terms: Iterable[Term]) -> str:
    return shared_index([term.factor_index or () for term in terms])


def _heaviest_first(terms: Iterable[Term]) -> list[Term]:
    return sorted(terms, key=lambda term: -term.weight)


def _largest(terms: Terms) -> str:
    """The largest products, and how many are left out."""
    ordered = _heaviest_first(terms)
    shown = " ".join(f"{number(t.value)}·{number(t.factor)}" for t in ordered[:_SHOWN])
    rest = ordered[_SHOWN:]
    if not rest:
        return shown
    left_out = number(sum(term.product for term in rest) + terms.rest)
    return f"{shown} {left_out} ({len(rest) + terms.others} smaller)"


def _only_slope(terms: Sequence[Term]) -> float:
    return terms[0].factor if terms else 0.0


def _saturation(of: Node, terms: Sequence[Term]) -> list[str]:
    """That little comes through, where that is so."""
    steepest = _STEEPEST.get(of.op or "")
    if steepest is None or len(terms) > 1:
        return []
    passed = abs(_only_slope(terms)) / steepest
    if passed >= _SATURATED:
        return []
    return [f"saturated: it lets {passed:.1%} of the steepest slope {steepest:g} through"]


def _broadcasting(of: Node, shape: tuple[int, ...]) -> list[str]:
    """Over which axes the term was summed, where the input was broadcast."""
    padded = (1,) * (len(of.shape) - len(shape)) + shape
    assert of.rule is not None
    is_stretched = is_elementwise(of.rule) or of.op == "broadcast_to"
    if not is_stretched or not _broadcasts(shape, of.shape) or padded == of.shape:
        return []
    axes = [i for i, n in enumerate(padded) if n != of.shape[i]]
    sizes = ", ".join(f"axis {i} (of {of.shape[i]})" for i in axes)
    return [f"summed over {sizes}: there it was broadcast"]


def _below(label: str) -> str:
    """Room as wide as a label, for the lines below it."""
    return " " * len(label)
