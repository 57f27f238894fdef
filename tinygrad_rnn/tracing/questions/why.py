"""Why a number is what it is: the rule that made it, its numbers, and where these came from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

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
_LONGEST_ORIGIN = 100_000


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
                return _plain(at_index, name, index, value, "bound to new values")

    def _forward(self, event: Forward, index: Index) -> Why:
        node = event.output
        assert node.rule is not None
        rule, terms = rule_of(node.rule), forward_terms(node, index)
        name, value = self.names.of(node), float(node.data[index])
        label = element(name, index)
        if node.kind == "product":
            lines = self._product(node, label, terms)
        elif _is_elementwise(rule, node):
            names = dict(zip(rule.symbols, self._operand_names(node), strict=False))
            numbers = _operand_values(rule, node, index)
            lines = [
                f"{name} = {substituted(rule.forward, names)}",
                f"{label} = {substituted(rule.forward, numbers)}",
            ]
        else:
            lines = [f"{label}, from the elements that weigh most:", *self._weights(terms)]
        lines.append(f"{_below(label)} = {precise(value)}")
        if node.op in _STEEPEST:
            slope = number(_only_slope(terms))
            lines.append(f"slope ∂{name}/∂{self._operand_names(node)[0]} = {slope}")
            lines += _saturation(node, terms)
        text = rule.forward or rule.summary
        return Why(event.index, name, index, value, text, tuple(lines), terms)

    def _vjp(self, event: Vjp, index: Index) -> Why:
        of, slot = event.of, event.slot
        assert of.rule is not None
        rule, terms = rule_of(of.rule), backward_terms(of, slot, event.cotangent, index)
        formula = rule.of_slot(slot)
        name = f"∂L/∂{self.names.of(event.output)}"
        label = element(name, index)
        value = float(self.queries.term(event.index)[index])
        if _is_elementwise(rule, of) and len(terms) == 1 and " = " in formula:
            lines = self._slope(formula, of, name, label, terms[0])
        else:
            lines = [f"{label}, the term from {self.names.of(of)}:"]
            lines += self._sum_of_cotangents(of, label, terms)
        lines.append(f"{_below(label)} = {precise(value)}")
        lines += _saturation(of, terms)
        lines += _broadcasting(of, np.shape(of.operands[slot]))
        return Why(event.index, name, index, value, formula, tuple(lines), terms)

    # Lines

    def _operand_names(self, node: Node) -> list[str]:
        pairs = zip(node.inputs, node.operands, strict=True)
        return [self.names.of(x) if x is not None else f"{float(a):.4g}" for x, a in pairs]

    def _slope(self, formula: str, of: Node, name: str, label: str, term: Term) -> list[str]:
        """An elementwise VJP: names, numbers, then the cotangent times the slope."""
        assert of.rule is not None
        rule = rule_of(of.rule)
        names = dict(zip(rule.symbols, self._operand_names(of), strict=False))
        names |= {"y": self.names.of(of), "ȳ": f"∂L/∂{self.names.of(of)}"}
        values = _operand_values(rule, of, term.index)
        values |= {"y": number(float(of.data[term.index])), "ȳ": number(term.value)}
        return [
            f"{name} = {substituted(formula, names)}",
            f"{label} = {substituted(formula, values)}",
            f"{_below(label)} = {number(term.value)} · {number(term.factor)}",
        ]

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

    def _weights(self, terms: Terms) -> list[str]:
        ordered = _heaviest_first(terms)
        lines = [
            f"  {self._term_name(term)} = {number(term.value)}, slope {number(term.factor)}"
            for term in ordered[:_SHOWN]
        ]
        left_out = len(ordered) - _SHOWN + terms.others
        if left_out > 0:
            lines.append(f"  and {left_out} smaller")
        return lines

    def _term_name(self, term: Term) -> str:
        return "the number" if term.node is None else element(self.names.of(term.node), term.index)

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
        if written.node.op is not None:
            return self.event(self.queries.run.events[written.event], index)
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

    # Where it came from

    def origin(self, name: str, index: Index, now: int) -> list[OriginStep]:
        """Follow the largest contribution back: to a leaf, or, for a gradient, to the loss.

        Raises:
            TraceError: it is not there, or not yet.
        """
        checked_index(index, self.queries.value(name, now).shape, name)
        node = self.queries.find(name.removeprefix(GRADIENT), now).node
        is_gradient = name.startswith(GRADIENT)
        steps: list[OriginStep] = []
        share = 1.0
        while len(steps) < _LONGEST_ORIGIN:
            if is_gradient:
                steps.append(self._gradient_step(node, index, share, now))
                terms = self._backward_contributions(node, index, now)
            else:
                steps.append(self._value_step(node, index, share))
                terms = forward_terms(node, index)
            known = [term for term in terms if term.node is not None]
            largest = max(known, key=lambda term: term.weight, default=None)
            # of zeros none contributed more than another
            if largest is None or largest.node is None or not largest.weight:
                break
            # a product with data: the path is at its source
            if not is_gradient and largest.factor_index is not None and _is_data(largest.node):
                break
            share = _share(largest, sum(term.weight for term in known) + terms.weight)
            node, index = largest.node, largest.index
        return steps

    def _value_step(self, node: Node, index: Index, share: float) -> OriginStep:
        event, value = self.names.made_at(node), float(node.data[index])
        return OriginStep(event, self.names.of(node), index, value, share)

    def _gradient_step(self, node: Node, index: Index, share: float, now: int) -> OriginStep:
        held = self.queries.gradient(node, now)
        value = float(held[index]) if held is not None else 0.0
        events = self.queries.terms(node, now)
        event = events[-1] if events else self.queries.pass_of(now) or 0
        return OriginStep(event, f"∂L/∂{self.names.of(node)}", index, value, share)

    def _backward_contributions(self, node: Node, index: Index, now: int) -> Terms:
        found = Terms()
        for event in map(self.queries.vjp, self.queries.terms(node, now)):
            found += backward_terms(event.of, event.slot, event.cotangent, index)
        return found


def _plain(event: int, name: str, index: Index, values: Array, rule: str) -> Why:
    """An element that was given, or only copied: there is nothing to compute."""
    value = float(values[index])
    return Why(event, name, index, value, rule, (f"{element(name, index)} = {precise(value)}",))


def _is_data(node: Node) -> bool:
    return node.op is None and not node.requires_grad


def _share(term: Term, total: float) -> float:
    return term.weight / total if np.isfinite(total) and total else 1.0


def _is_elementwise(rule: Rule, node: Node) -> bool:
    fits = all(_broadcasts(np.shape(operand), node.shape) for operand in node.operands)
    return is_elementwise(rule) and fits


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    padded = (1,) * (len(to) - len(shape)) + shape
    return len(padded) == len(to) and all(n in (1, m) for n, m in zip(padded, to, strict=True))


def _operand_values(rule: Rule, node: Node, index: Index) -> dict[str, str]:
    values = (number(float(np.broadcast_to(a, node.shape)[index])) for a in node.operands)
    return dict(zip(rule.symbols, values, strict=False))


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
    if of.kind == "product" or not _broadcasts(shape, of.shape) or padded == of.shape:
        return []
    axes = [i for i, n in enumerate(padded) if n != of.shape[i]]
    sizes = ", ".join(f"axis {i} (of {of.shape[i]})" for i in axes)
    return [f"summed over {sizes}: there it was broadcast"]


def _below(label: str) -> str:
    """Room as wide as a label, for the lines below it."""
    return " " * len(label)
