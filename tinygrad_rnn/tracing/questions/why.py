"""Why a number is what it is: the rule that made it, the same with its numbers, and where the numbers came from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...errors import TraceError
from ...text import printable
from ..recording.event import Accumulate, Event, Failure, Forward, Seed, Update, Vjp, Zero
from ..recording.graph import Node
from .formulas import Rule, is_elementwise, rule_of, substituted
from .queries import GRADIENT, Queries
from .terms import PRODUCTS, Index, Term, Terms, backward_terms, forward_terms

_WHOLE_FROM, _WHOLE_UNTIL = 1e4, 1e6  # numbers of this size are written out, without a power of ten
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
    terms: Terms

    def __str__(self) -> str:
        return "\n".join(
            map(printable, [self.rule, *self.lines])
        )  # a name with a line end makes no line


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


def number(value: float) -> str:
    """A number as formulas show it: the sign always, so that it reads without colour.

    >>> number(0.64781), number(-3), number(12003.4), number(4.1e6)
    ('+0.6478', '-3', '+12003', '+4.1e+06')
    """
    if _WHOLE_FROM <= abs(value) < _WHOLE_UNTIL:
        return f"{value:+.0f}"
    return f"{value:+.4g}" if value == value else "nan"


def precise(value: float) -> str:
    """A number as results show it: with more digits."""
    return f"{value:+.6g}" if value == value else "nan"


def element(name: str, index: Index) -> str:
    """One element of a tensor as people write it; a scalar has no index.

    >>> element("h@3", (1, 2))
    'h@3[1,2]'
    """
    return f"{name}[{','.join(map(str, index))}]" if index else name


class Explainer:
    """Explains elements of one trace."""

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
        checked_index(index, value.shape, self.names.of(event.output))
        match event:
            case Forward():
                return self._forward(event, index)
            case Vjp():
                return self._vjp(event, index)
            case Seed() | Accumulate() | Update():
                return self._copied(event, index, float(value[index]))

    def _copied(self, event: Seed | Accumulate | Update, index: Index, value: float) -> Why:
        name = self.names.of(event.output)
        match event:
            case Seed():
                rule = "the backward pass starts here, with ∂L/∂L = 1 or what was given"
                label = f"∂L/∂{name}"
            case Accumulate():
                rule = "the sum of all terms of this pass was added to .grad"
                label = f"∂L/∂{name}"
            case Update():
                rule, label = "bound to new values", name
        return Why(
            event.index,
            label,
            index,
            value,
            rule,
            (f"{element(label, index)} = {precise(value)}",),
            Terms(),
        )

    def _forward(self, event: Forward, index: Index) -> Why:
        node = event.output
        assert node.rule is not None
        rule, terms = rule_of(node.rule), forward_terms(node, index)
        name, value = self.names.of(node), float(node.data[index])
        label = element(name, index)
        if node.op in PRODUCTS:
            lines = self._product(node, label, terms)
        elif self._is_elementwise(rule, node):
            operands = self._operand_values(rule, node, index)
            named = dict(zip(rule.symbols, self._operand_names(node), strict=False))
            lines = [f"{name} = {substituted(rule.forward, named)}"]
            lines.append(f"{label} = {substituted(rule.forward, operands)}")
        else:
            lines = [f"{label}, from the elements that weigh most:", *self._weights(terms)]
        lines.append(f"{' ' * len(label)} = {precise(value)}")
        if node.op in _STEEPEST:
            slope = number(terms[0].factor if terms else 0.0)
            lines += [
                f"slope ∂{name}/∂{self._operand_names(node)[0]} = {slope}",
                *self._saturation(node, terms),
            ]
        return Why(
            event.index, name, index, value, rule.forward or rule.summary, tuple(lines), terms
        )

    def _vjp(self, event: Vjp, index: Index) -> Why:
        of, slot, g = event.of, event.slot, event.cotangent
        assert of.rule is not None
        rule, terms = rule_of(of.rule), backward_terms(of, slot, g, index)
        formula = rule.of_slot(slot)
        label = f"∂L/∂{self.names.of(event.output)}"
        value = float(self.queries.term(event.index)[index])
        lines = [f"{element(label, index)}, the term from {self.names.of(of)}:"]
        if self._is_elementwise(rule, of) and len(terms) == 1 and " = " in formula:
            lines = self._slope(rule, formula, of, label, index, terms[0])
        elif terms:
            lines += self._sum_of_cotangents(of, label, index, terms)
        lines.append(f"{' ' * len(element(label, index))} = {precise(value)}")
        lines += self._remarks(of, terms, np.shape(of.operands[slot]))
        return Why(event.index, label, index, value, formula, tuple(lines), terms)

    # Lines

    @staticmethod
    def _is_elementwise(rule: Rule, node: Node) -> bool:
        fits = all(_broadcasts(np.shape(operand), node.shape) for operand in node.operands)
        return is_elementwise(rule) and fits

    def _operand_names(self, node: Node) -> list[str]:
        pairs = zip(node.inputs, node.operands, strict=True)
        return [self.names.of(x) if x is not None else f"{float(a):.4g}" for x, a in pairs]

    @staticmethod
    def _operand_values(rule: Rule, node: Node, index: Index) -> dict[str, str]:
        values = (number(float(np.broadcast_to(a, node.shape)[index])) for a in node.operands)
        return dict(zip(rule.symbols, values, strict=False))

    def _slope(
        self, rule: Rule, formula: str, of: Node, label: str, index: Index, term: Term
    ) -> list[str]:
        """An elementwise VJP: names, numbers, then the cotangent times the slope."""
        names = dict(zip(rule.symbols, self._operand_names(of), strict=False))
        names |= {"y": self.names.of(of), "ȳ": f"∂L/∂{self.names.of(of)}"}
        values = self._operand_values(rule, of, term.index)
        values |= {"y": number(float(of.data[term.index])), "ȳ": number(term.value)}
        left = element(label, index)
        return [
            f"{label} = {substituted(formula, names)}",
            f"{left} = {substituted(formula, values)}",
            f"{' ' * len(left)} = {number(term.value)} · {number(term.factor)}",
        ]

    def _product(self, node: Node, label: str, terms: Terms) -> list[str]:
        left, right = self._operand_names(node)
        if not terms:
            return [f"{label} = 0, a sum without terms"]
        at = _with_letter([term.index for term in terms])
        of = _with_letter([term.factor_index or () for term in terms])
        return [
            f"{label} = Σₖ {left}{at} · {right}{of}",
            f"{' ' * len(label)} = {self._largest(terms)}",
        ]

    def _sum_of_cotangents(self, of: Node, label: str, index: Index, terms: Terms) -> list[str]:
        left, g = element(label, index), f"∂L/∂{self.names.of(of)}"
        at = _with_letter([term.index for term in terms])
        letter, factor = "Σₖ " if len(terms) > 1 else "", "slope"
        if of.op in PRODUCTS:
            factor = self._operand_names(of)[1 - terms[0].slot] + _with_letter(
                [t.factor_index or () for t in terms]
            )
        return [
            f"{left} = {letter}{g}{at} · {factor}",
            f"{' ' * len(left)} = {self._largest(terms)}",
        ]

    @staticmethod
    def _largest(terms: Terms) -> str:
        """The largest products, and how many are left out."""
        ordered = sorted(terms, key=lambda term: -term.weight)
        shown = " ".join(f"{number(t.value)}·{number(t.factor)}" for t in ordered[:_SHOWN])
        rest = ordered[_SHOWN:]
        if not rest:
            return shown
        return f"{shown} {number(sum(t.product for t in rest) + terms.rest)} ({len(rest) + terms.others} smaller)"

    def _weights(self, terms: Terms) -> list[str]:
        ordered = sorted(terms, key=lambda term: -term.weight)
        lines = [
            f"  {self._term_name(t)} = {number(t.value)}, slope {number(t.factor)}"
            for t in ordered[:_SHOWN]
        ]
        left_out = len(ordered) - _SHOWN + terms.others
        return lines + ([f"  and {left_out} smaller"] if left_out > 0 else [])

    def _term_name(self, term: Term) -> str:
        return (
            element(self.names.of(term.node), term.index) if term.node is not None else "the number"
        )

    @staticmethod
    def _saturation(of: Node, terms: Sequence[Term]) -> list[str]:
        """That little comes through, where that is so."""
        steepest = _STEEPEST.get(of.op or "")
        if steepest is None or len(terms) > 1:
            return []
        passed = abs(terms[0].factor) / steepest if terms else 0.0
        saturated = f"saturated: it lets {passed:.1%} of the steepest slope {steepest:g} through"
        return [saturated] if passed < _SATURATED else []

    def _remarks(self, of: Node, terms: Sequence[Term], shape: tuple[int, ...]) -> list[str]:
        remarks = self._saturation(of, terms)
        padded = (1,) * (len(of.shape) - len(shape)) + shape
        if _broadcasts(shape, of.shape) and padded != of.shape and of.op not in PRODUCTS:
            axes = [i for i, n in enumerate(padded) if n != of.shape[i]]
            sizes = ", ".join(f"axis {i} (of {of.shape[i]})" for i in axes)
            remarks.append(f"summed over {sizes}: there it was broadcast")
        return remarks

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
        if written.node.op is None:
            number_ = float(value[index])
            label, rule = self.names.of(written.node), "given: nothing in this run computed it"
            return Why(
                written.event,
                label,
                index,
                number_,
                rule,
                (f"{element(label, index)} = {precise(number_)}",),
                Terms(),
            )
        return self.event(self.queries.run.events[written.event], index)

    def _why_gradient(self, name: str, index: Index, now: int) -> Why:
        total = self.queries.value(name, now)
        node = self.queries.find(name.removeprefix(GRADIENT), now).node
        checked_index(index, total.shape, name)
        events, parts = self.queries.run.events, self.queries.parts(node, now)
        if len(parts) == 1:
            return self.event(events[parts[0].event], index)
        label = f"∂L/∂{self.names.of(node)}"
        left = element(label, index)
        numbers = [f"{precise(float(part.value[index]))}" for part in parts]
        width = max(map(len, numbers), default=0)
        lines = [f"{left} ="]
        lines += [
            f"  {n:<{width}}  from {p.source} (event {p.event})"
            for n, p in zip(numbers, parts, strict=True)
        ]
        lines.append(f"= {precise(float(total[index]))}")
        waiting = self.queries.expected(node, now) - len(parts)
        if waiting > 0:
            lines.append(
                f"{len(parts)} of {len(parts) + waiting} terms so far: it waits for all of them"
            )
        rule = f"{label} = the sum of its {len(parts)} terms"
        return Why(
            parts[-1].event if parts else now,
            label,
            index,
            float(total[index]),
            rule,
            tuple(lines),
            Terms(),
        )

    def origin(self, name: str, index: Index, now: int) -> list[OriginStep]:
        """Follow the largest contribution back: to a leaf, or, for a gradient, to the loss.

        Raises:
            TraceError: it is not there, or not yet.
        """
        value = self.queries.value(name, now)
        checked_index(index, value.shape, name)
        gradient = name.startswith(GRADIENT)
        node: Node | None = self.queries.find(name.removeprefix(GRADIENT), now).node
        steps: list[OriginStep] = []
        share = 1.0
        while node is not None and len(steps) < _LONGEST_ORIGIN:
            steps.append(self._step(node, index, share, gradient, now))
            terms = (
                self._backward_contributions(node, index, now)
                if gradient
                else forward_terms(node, index)
            )
            largest = max(
                (term for term in terms if term.node is not None),
                key=lambda term: term.weight,
                default=None,
            )
            if largest is None:
                break
            if not largest.weight:
                break  # of zeros none contributed more than another
            share = _share(largest, terms)
            at_factor = not gradient and largest.factor_index is not None and _is_constant(largest)
            node, index = largest.node, largest.index
            if at_factor:
                break
        return steps

    def _step(self, node: Node, index: Index, share: float, gradient: bool, now: int) -> OriginStep:
        name = self.names.of(node)
        if not gradient:
            return OriginStep(self.names.made_at(node), name, index, float(node.data[index]), share)
        held = self.queries.gradient(node, now)
        events = self.queries.terms(node, now)
        value = float(held[index]) if held is not None else 0.0
        return OriginStep(
            events[-1] if events else self.queries.pass_of(now) or 0,
            f"∂L/∂{name}",
            index,
            value,
            share,
        )

    def _backward_contributions(self, node: Node, index: Index, now: int) -> Terms:
        events = self.queries.run.events
        found = Terms()
        for event in (events[i] for i in self.queries.terms(node, now)):
            if isinstance(event, Vjp):
                found += backward_terms(event.of, event.slot, event.cotangent, index)
        return found


def _is_constant(term: Term) -> bool:
    """Where the path ends in data, it is at its source."""
    return term.node is not None and term.node.op is None and not term.node.requires_grad


def _share(largest: Term, terms: Terms) -> float:
    total = sum(term.weight for term in terms if term.node is not None) + terms.weight
    return 1.0 if not np.isfinite(total) or total == 0 else largest.weight / total


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    padded = (1,) * (len(to) - len(shape)) + shape
    return len(padded) == len(to) and all(n in (1, m) for n, m in zip(padded, to, strict=True))


def _with_letter(indices: Sequence[Index]) -> str:
    """Return "[0,k]" for [0,0], [0,1], [0,2]: the axes along which the indices differ are called k."""
    if not indices[0]:
        return ""
    same = [len({index[axis] for index in indices}) == 1 for axis in range(len(indices[0]))]
    if len(indices) == 1:
        same = [True] * len(same)
    return (
        "["
        + ",".join(str(indices[0][axis]) if fixed else "k" for axis, fixed in enumerate(same))
        + "]"
    )


def checked_index(index: Index, shape: tuple[int, ...], name: str) -> None:
    """Refuse an index that is not one element of `shape`.

    Raises:
        TraceError: it is not.
    """
    if len(index) != len(shape) or not all(-n <= i < n for i, n in zip(index, shape, strict=True)):
        example = element(name, tuple(0 for _ in shape))
        raise TraceError(
            f"{element(name, index)} is no element of a tensor of shape {shape}; one is {example}"
        )
