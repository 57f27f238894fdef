"""The formula of a few ops, as a person would write it."""

import re
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from math import isclose, pi, prod
from operator import itemgetter
from typing import Any, NamedTuple, Protocol, cast

import numpy as np

from ....cached import cached_property
from ...recording.graph import Node
from ..slices import index_text
from .shapes import (
    Shape,
    broadcast,
    index_to,
    is_as_read,
    is_column,
    live,
    multiplied,
    options_of,
    without,
)

_LENGTH_MOST = 80
_DEPTH_MOST = 12
_ALIKE_LEAST = 3  # so many terms that are written alike become a sum
_PICKED_MOST = 8  # so many steps say what each picks
_WRITTEN_MOST = 400  # ops: what is read twice is written twice, and so is all that is in it
_JOINED_MOST = 3  # of more that are put side by side the first and the last are written
# Moves that leave the elements in their order, and those that say nothing of their numbers.
_SAME_ORDER = {"reshape", "squeeze", "expand_dims", "stack", "concatenate"}
_UNSAID = {"broadcast_to", "astype", "detach"}
_TERMS_MOST = 12  # of a sum: more do not fit anyway
_NAME = re.compile(r"[^\W\d₀-₉ₜ][^\W₀-₉ₜ]*")
_NUMBER = re.compile(r"-?\d[\d.]*(e[-+]?\d+)?π?")
_TIMES_PI_MOST = 12  # 2π, not 6.28319
_DIGITS = "-−0123456789"  # what begins so does not stand right behind a number
_OPPOSITE = {"+": "−", "−": "+"}
ALL = "all"  # of what is cut in parts, where an op reads all of them
# of "a + b": how tightly it binds
_COMPARED, _SUM, _PRODUCT, _MATMUL, _POWER, _ATOM = range(6)


class Text(NamedTuple):
    """A part of a formula.

    Args:
        written: the text.
        binds: how tightly.
        shape: of the array that is read there; it may lack axes of one, see `shapes.py`.
    """

    written: str
    binds: int
    shape: Shape = ()


class Operand(NamedTuple):
    """What a formula reads.

    Args:
        node: the value.
        part: the part of it that is read, where it is one.
    """

    node: Node
    part: Hashable = None


class Call(NamedTuple):
    """A call of a module, by which a formula writes what it returns.

    Args:
        name: the module's.
        given: what it is given: the ops that read that first, and as which of their inputs.
        alone: whether it returns nothing else.
    """

    name: str
    given: tuple[tuple[Node, int], ...]
    alone: bool = True


class Operands(Protocol):
    """What the values are called that a formula reads."""

    def name(self, operand: Operand) -> str:
        """The name of a value, where nothing else has it; "" where it has none."""
        ...

    def made_of(self, operand: Operand) -> Sequence[Operand]:
        """What stands in the place of a value whose name is that of another; else nothing."""
        ...

    def told_apart(
        self, operands: Sequence[Operand], *, at_any_step: bool
    ) -> Mapping[Operand, str]:
        """The names of several values in one formula: no two have the same.

        Args:
            operands: the values, each of which has a name.
            at_any_step: the formula is of each step, so that no name may say which.
        """
        ...

    def step(self, operands: Sequence[Operand]) -> int | None:
        """The step t of a formula of any step that reads these."""
        ...


@dataclass(frozen=True)
class Region:
    """What a formula is of.

    Args:
        values: down to what is not among these, which goes by its name.
        read: the inputs that are read, of a stack of which only a part is meant not all; and which
            part of each.
        is_of_all: whether it is of all steps: a term for each of them is written once, as a sum.
        times: of an index along which axes it says the step: that is no part of a formula.
        calls: what is written as the call that returned it.
        cut: of what is cut into its timesteps, a value or the part of one that is read, the axes
            that one step does not have.
    """

    values: Collection[Node]
    read: Mapping[tuple[Node, int], Hashable] = field(
        default_factory=dict[tuple[Node, int], Hashable]
    )
    is_of_all: bool = False
    times: Mapping[Node, Collection[int]] = field(default_factory=dict[Node, Collection[int]])
    calls: Mapping[Node, Call] = field(default_factory=dict[Node, Call])
    cut: Mapping[Hashable, Collection[int]] = field(default_factory=dict[Hashable, Collection[int]])

    def shape(self, node: Node, part: Hashable = None) -> Shape:
        """The shape of a value in it, or of what is read of another one."""
        return without(node.shape, self.cut.get(node if self.holds(node, part) else part, ()))

    def holds(self, node: Node, part: Hashable = None) -> bool:
        """Whether what is read of a value is in it: it may be all steps, of which one is in it."""
        return node in self.values and not (part is ALL and node in self.cut)

    def __contains__(self, node: Node) -> bool:
        return node in self.values

    def slots(self, node: Node) -> Sequence[int]:
        """The inputs that are read: of anything but a stack all are."""
        if not node.is_move or len(node.inputs) < 2:
            return range(len(node.inputs))
        return self._slots_read.get(node, ())

    @cached_property
    def _slots_read(self) -> Mapping[Node, Sequence[int]]:
        found: dict[Node, list[int]] = {}
        for node, slot in sorted(self.read, key=itemgetter(1)):
            found.setdefault(node, []).append(slot)
        return found


def formula_of(
    node: Node,
    region: Region,
    operands: Operands,
    *,
    most: int = _LENGTH_MOST,
    at_any_step: bool = False,
    is_named: bool = False,
) -> str:
    """What makes a value; cut where it is longer than `most` characters.

    What has a name on the left has all its axes, also those of one before all others: an index
    counts them.
    """
    text = _written(node, region, operands, at_any_step=at_any_step)
    text = (_whole(text, region.shape(node)) if is_named else text).written
    return text if len(text) <= most else text[: most - 1] + "…"


def is_cut(formula: str) -> bool:
    """Whether a formula is not all there."""
    return "…" in re.sub(r"[;,] …[;,] |\[…[],]", "", formula)


def says_all(formula: str) -> bool:
    """Whether all in a formula has a name, and every index says which part."""
    return not any(sign in formula.replace("[…, ", "[") for sign in "·…")


def names_in(text: str) -> list[str]:
    """The names in a formula, without their steps.

    >>> names_in("hₜ = W(x₋₁) + 2 b_h")
    ['h', 'W', 'x', 'b_h']
    """
    return _NAME.findall(text)


def factor_of(node: Node, region: Region, operands: Operands, *, which: bool = True) -> str:
    """The same, as it stands in a product: what is more than one name in brackets."""
    return _bracketed(_written(node, region, operands, which=which), _ATOM)


def _written(
    node: Node,
    region: Region,
    operands: Operands,
    *,
    at_any_step: bool = False,
    which: bool = True,
) -> Text:
    """A formula, after it was asked once which values it reads: no two of them have one name."""
    asked = _asked(node, region, operands)
    names = operands.told_apart(asked, at_any_step=at_any_step)
    return _exact(_Writer(region, operands, names, which).text(node, 0), region.shape(node))


# One value


def _asked(node: Node, region: Region, operands: Operands) -> Sequence[Operand]:
    """The values that go by their names in a formula."""
    asking = _Writer(region, operands, {})
    asking.text(node, 0)
    return tuple(asking.asked)


class _Writer:
    """Writes one formula.

    Args:
        region: what it is of.
        operands: the names of all else.
        names: those that were found to tell them apart.
        which: whether an index says which part; if not, only that it is a part.

    Attributes:
        asked: the values that went by their names.
    """

    def __init__(
        self,
        region: Region,
        operands: Operands,
        names: Mapping[Operand, str],
        which: bool = True,
    ) -> None:
        self._region, self._operands, self._names = region, operands, names
        self._which = which
        self._left = _WRITTEN_MOST
        self.asked: dict[Operand, None] = {}

    def text(self, node: Node, depth: int, part: Hashable = None) -> Text:
        if not self._region.holds(node, part) or self._is_named_part(node):
            return self._joined_of(Operand(node, part), depth)
        self._left -= 1
        if depth > _DEPTH_MOST or self._left < 0:
            return Text("…", _ATOM)
        if node in self._region.calls:
            return self._call(node, depth)
        picked = self._picked(node)
        if picked is not None:
            return self.text(picked, depth + 1)
        negated = _in_sigmoid(node, self._region)
        if negated is not None:
            inside = self._read(negated, 0, depth)
            return Text(f"σ({inside.written})", _ATOM, inside.shape)
        if self._region.is_of_all and node.op in ("add", "sub"):
            terms = _terms(node, self._region)
            if len(terms) >= _ALIKE_LEAST:
                return self._sum(node, terms, depth)
        slots = self._region.slots(node)
        operands = [self._read(node, slot, depth) for slot in slots]
        shapes = [self._shape(node, slot) for slot in slots]
        if node.is_move:
            return self._moved(node, operands, shapes)
        if "axis" in node.options and len(operands) == 1:
            return self._along(node, operands[0], shapes[0])
        return _applied(node, operands, shapes, self._region.shape(node))

    def _is_named_part(self, node: Node) -> bool:
        """Whether the program calls a part of what a module returns by a name of its own."""
        whole = node.moved_from
        if node.op != "getitem" or whole is None or whole in self._region:
            return False
        own, other = (self._operands.name(Operand(x)) for x in (node, whole))
        return own.isidentifier() and bool(other) and not other.isidentifier()

    def _read(self, node: Node, slot: int, depth: int) -> Text:
        """What an op reads as one of its inputs."""
        x = node.inputs[slot]
        if x is None:
            return _number(node.numbers[slot])
        return self.text(x, depth + 1, self._region.read.get((node, slot)))

    def _shape(self, node: Node, slot: int) -> Shape:
        """The shape of what an op reads as one of its inputs."""
        x = node.inputs[slot]
        return () if x is None else self._region.shape(x, self._region.read.get((node, slot)))

    def _call(self, node: Node, depth: int) -> Text:
        call = self._region.calls[node]
        if depth and not call.alone:
            return Text("…", _ATOM)  # nobody would know which of its results
        given = (self._given(reader, slot, depth) for reader, slot in call.given)
        return Text(f"{call.name}({', '.join(given)})", _ATOM, self._region.shape(node))

    def _given(self, node: Node, slot: int, depth: int) -> str:
        return _exact(self._read(node, slot, depth), self._shape(node, slot)).written

    def _sum(self, node: Node, terms: Sequence[tuple[str, Node | None, Any]], depth: int) -> Text:
        """A sum: what is added again and again, at each step, is written once."""
        for which in (True, False):  # an index may differ from step to step
            written = [
                (sign, self._at_any_step(x, number, which=which)) for sign, x, number in terms
            ]
            count = Counter(written)
            if max(count.values()) >= _ALIKE_LEAST:
                break
        found: list[tuple[str, Text]] = []
        numbers = sum(-number if sign == "−" else number for sign, x, number in terms if x is None)
        for alike, (sign, x, _) in zip(written, terms, strict=True):
            _, text = alike
            if x is None:
                continue
            if count[alike] >= _ALIKE_LEAST:
                if not which:
                    same = (x for _, x, _ in compress(terms, map(alike.__eq__, written)))
                    text = self._with_indices(text, same)
                one = sign, Text(f"Σₜ {_bracketed(text, _PRODUCT)}", _PRODUCT, text.shape)
                if one not in found:
                    found.append(one)
            elif len(found) <= _TERMS_MOST:
                found.append((sign, self.text(x, depth + 1)))
        if numbers:
            found.append(("−" if numbers < 0 else "+", _number(abs(numbers))))
        return _added(found, self._region.shape(node))

    def _with_indices(self, text: Text, terms: Iterable[Node | None]) -> Text:
        """A term of any step, with what it picks in each: `p[(3, 5, 7)ₜ]` picks 5 at step 1."""
        pattern = re.compile(re.escape(text.written).replace(r"\[…\]", r"\[([^][]*)\]"))
        steps: list[Sequence[str]] = []
        for t, x in enumerate(terms):
            if x is None or t >= _PICKED_MOST:
                return text
            found = pattern.fullmatch(self._at_any_step(x, None, which=True).written)
            if found is None or self._operands.step(_asked(x, self._region, self._operands)) != t:
                return text
            steps.append(found.groups())
        indices = map(_index_at_each, zip(*steps, strict=True))
        return text._replace(written=re.sub(r"\[…\]", lambda _: next(indices), text.written))

    def _at_any_step(self, x: Node | None, number: Any, *, which: bool) -> Text:
        if x is None:
            return _number(number)
        which = which and self._which
        return _written(x, self._region, self._operands, at_any_step=True, which=which)

    def _picked(self, node: Node) -> Node | None:
        """Of what takes one of several out of the stack that they were put in: that one."""
        index = node.options.get("index")
        stack = node.inputs[0] if node.op == "getitem" else None
        if stack is None or stack.op != "stack":
            return None
        if not isinstance(index, int) or stack.options["axis"] % len(stack.shape):
            return None
        picked = stack.inputs[index]
        if picked is None or picked in self._region or self._operands.name(Operand(picked)):
            return picked
        return None if self._operands.name(Operand(stack)) else picked

    def _joined_of(self, operand: Operand, depth: int) -> Text:
        """What is not in the region: by its name, or what it is made of side by side."""
        parts = [self.text(x.node, depth + 1, x.part) for x in self._operands.made_of(operand)]
        if len(parts) < 2:
            return parts[0] if parts else self._outer(operand)
        written = "; ".join(part.written for part in parts)
        return Text(f"[{written}]", _ATOM, self._region.shape(*operand))

    def _outer(self, operand: Operand) -> Text:
        while not (name := self._operands.name(operand)):
            node = operand.node
            picked = self._picked(node)
            if picked is not None:
                operand = Operand(picked)
                continue
            joined = [Operand(x) for x in node.tensors()] if node.is_move else []
            if len(joined) > 1 and all(map(self._operands.name, joined)):
                shapes = [self._region.shape(x.node) for x in joined]
                return self._moved(node, list(map(self._outer, joined)), shapes)
            if len(joined) != 1:
                return Text("·", _ATOM)
            (operand,) = joined
        self.asked[operand] = None
        written = self._names.get(operand, name)
        shape = () if is_number(written) else self._region.shape(*operand)
        return Text(written, _binding_of(written), shape)

    def _moved(self, node: Node, operands: Sequence[Text], shapes: Sequence[Shape]) -> Text:
        if not operands:
            return Text("·", _ATOM)
        if len(node.inputs) > 1:
            return operands[0] if len(operands) == 1 else self._joined(node, operands, shapes)
        (text,), (before,), shape = operands, shapes, self._region.shape(node)
        if node.op == "getitem":
            index = self._index(node)
            if not index:
                return text
            return Text(_bracketed(_whole(text, before), _ATOM) + index, _ATOM, shape)
        if node.op in _SAME_ORDER and live(before) == live(shape):
            return text
        if node in self._region.cut or node.op in _UNSAID:
            return text
        if node.op in ("transpose", "swapaxes"):
            return _transposed(node, text, before)
        return Text(_called(node, [_whole(text, before).written]), _ATOM, shape)

    def _joined(self, node: Node, operands: Sequence[Text], shapes: Sequence[Shape]) -> Text:
        """What is put side by side: `[a, b]` on a new first axis, `[a; b]` along the last one."""
        is_stack, shape = node.op == "stack", self._region.shape(node)
        parts = [
            _repeated(text, 1 if is_stack else prod(own)) if is_number(text.written)
            else _whole(text, own).written
            for text, own in zip(operands, shapes, strict=True)
        ]  # fmt: skip
        if node in self._region.cut:  # nothing tells the step before from this one
            parts = list(dict.fromkeys(parts))
        if is_stack and self._region.is_of_all and len(set(parts)) == 1:
            return Text(f"[{parts[0]}]ₜ", _ATOM, shape)
        if len(parts) > _JOINED_MOST:
            parts = [parts[0], "…", parts[-1]]
        axis = node.options.get("axis", 0)  # several results of a program have none
        last = len(node.shape) - 1
        if node in self._region.cut or axis in ((0, -last - 1) if is_stack else (last, -1)):
            return Text(f"[{(', ' if is_stack else '; ').join(parts)}]", _ATOM, shape)
        return Text(f"{node.op}([{', '.join(parts)}], axis={axis})", _ATOM, shape)

    def _along(self, node: Node, text: Text, shape: Shape) -> Text:
        """What is computed along some axes, which are said where they are not all, or the last."""
        (x,) = node.tensors()
        usual, axes = options_of(node)["axis"], self._axes(node, x)
        reduces, rest = node.kind == "reduction", without(shape, axes)
        if usual is None and reduces and not live(rest):
            if node.op == "sum":
                return Text(f"Σ {_bracketed(text, _POWER)}", _PRODUCT)
            return Text(f"{node.op}({text.written})", _ATOM)
        is_last = len(axes) == 1 and text.shape[-1:] == (shape[axes[0]],)
        if usual == -1 and is_last and not live(shape[axes[0] + 1 :]):
            made = text.shape[:-1] if reduces else text.shape
            return Text(f"{node.op}({text.written})", _ATOM, made)
        (first, *others), text = axes, _whole(text, shape)
        axis = tuple(axes) if others else first - len(shape) * (first == len(shape) - 1)
        return Text(f"{node.op}({text.written}, axis={axis})", _ATOM, rest if reduces else shape)

    def _axes(self, node: Node, x: Node) -> Sequence[int]:
        """The axes along which an op computes, counted without those of time."""
        axis, part = node.options["axis"], self._region.read.get((node, 0))
        cut = self._region.cut.get(x if self._region.holds(x, part) else part, ())
        given = range(len(x.shape)) if axis is None else np.atleast_1d(axis) % len(x.shape)
        kept = [own for own in range(len(x.shape)) if own not in cut]
        return [kept.index(own) for own in given if own in kept]

    def _index(self, node: Node) -> str:
        """What an index leaves out, in brackets; "" of one that leaves out nothing."""
        index, whole = node.options["index"], node.inputs[0]
        parts = cast("tuple[Any, ...]", index) if isinstance(index, tuple) else (index,)
        is_whole = whole is not None and node.size == whole.size
        if is_whole and any(part is ... for part in parts):
            return ""  # `[..., 0]` takes away the axis of a column, a vector's
        times = self._region.times.get(node, ())
        left = [part for axis, part in enumerate(parts) if axis not in times]
        if all(map(_takes_all, left)):
            return ""
        written = index_text(tuple(left))
        return written if written and self._which else "[…]"


def _in_sigmoid(node: Node, region: Region) -> Node | None:
    """Of 1 / (1 + exp(−z)) the −z; None of anything else."""
    for op, number in (("div", 1), ("add", 1), ("exp", None), ("neg", None)):
        if node.op != op or node not in region or number not in (None, *node.numbers):
            return None
        if op == "neg":
            return node
        (*_, node) = node.tensors()
    return None


def _is_outer_product(node: Node) -> bool:
    """Whether a column is multiplied by a row: each element of the one by each of the other."""
    if node.op != "mul" or len(node.tensors()) < 2:
        return False
    column, row = (x.shape for x in node.tensors())
    is_column = len(column) > 1 and column[-1] == 1 < column[-2]
    return is_column and row[-1:] > (1,) and all(n == 1 for n in row[-2:-1])


def _terms(node: Node, region: Region) -> list[tuple[str, Node | None, Any]]:
    """What a running sum adds up, in order: the sign, and the value or the number."""
    terms: list[tuple[str, Node | None, Any]] = []
    waiting: list[tuple[str, Node | None, Any]] = [("+", node, None)]
    while waiting:
        sign, x, number = waiting.pop()
        if x is None or x not in region or x.op not in ("add", "sub"):
            if x is not None or number != 0:
                terms.append((sign, x, number))
            continue
        other = sign if x.op == "add" else _OPPOSITE[sign]
        waiting += zip((sign, other), x.inputs, x.numbers, strict=True)
    return terms[::-1]


def _added(terms: Sequence[tuple[str, Text]], shape: Shape) -> Text:
    """Terms with their signs."""
    ((sign, text), *others) = terms
    first = f"−{_bracketed(text, _PRODUCT)}" if sign == "−" else text.written
    if not others:
        return Text(first, _PRODUCT if sign == "−" else text.binds, text.shape)
    written = [first]
    for sign, text in others:
        written.append(f"{sign} {_bracketed(text, _PRODUCT if sign == '−' else _SUM)}")
    return Text(" ".join(written), _SUM, shape)


def _index_at_each(indices: Sequence[str]) -> str:
    """One index for all steps, where each has its own: a list of which each takes its part.

    >>> _index_at_each(["3, 0", "5, 0"]), _index_at_each(["0", "1, 2"])
    ('[(3, 5)ₜ, 0]', '[…]')
    """
    parts = [index.split(", ") for index in indices]
    if len({len(one) for one in parts}) > 1:
        return "[…]"
    each = (
        axis[0] if len(set(axis)) == 1 else f"({', '.join(axis)})ₜ"
        for axis in zip(*parts, strict=True)
    )
    return f"[{', '.join(each)}]"


def _takes_all(part: object) -> bool:
    """Whether a part of an index leaves out nothing."""
    return part is None or part is ... or (isinstance(part, slice) and part == slice(None))


def is_one_factor(name: str) -> bool:
    """Whether a name, which may be an expression, needs no brackets in a formula."""
    return _binding_of(name) == _ATOM


def _binding_of(name: str) -> int:
    """How tightly a name binds, which may be an expression of the program's."""
    outside, depth = "", 0
    for character in name:
        depth += (character in "([") - (character in ")]")
        outside += character if not depth else "_"
    loosest = (binds for sign, binds in _INFIX.values() if sign in outside)
    return min(loosest, default=_ATOM)


def is_number(name: str) -> bool:
    """Whether what a value is called is its number."""
    return _NUMBER.fullmatch(name) is not None


def _number(x: object) -> Text:
    return Text(number_text(x, 6) if isinstance(x, int | float) else "·", _ATOM)


def number_text(x: float, digits: int = 4) -> str:
    """A number as a formula has it: `-1e9`.

    >>> number_text(-1e9), number_text(2.5e-7), number_text(0.5), number_text(2 * pi)
    ('-1e9', '2.5e-7', '0.5', '2π')
    """
    times = round(x / pi) if abs(x) < _TIMES_PI_MOST * pi else 0
    if times and isclose(x, times * pi, rel_tol=1e-15):
        return {1: "π", -1: "-π"}.get(times, f"{times}π")
    return re.sub(r"e\+?(-?)0*", r"e\1", f"{x:.{digits}g}")


def _repeated(number: Text, count: int) -> str:
    """A number that stands for an array of it."""
    if count == 1:
        return number.written
    shown = [number.written] * min(count, _JOINED_MOST)
    return f"[{', '.join([*shown[:1], '…', *shown[:1]] if count > _JOINED_MOST else shown)}]"


def _bracketed(text: Text, least: int) -> str:
    return text.written if text.binds >= least else f"({text.written})"


def _exact(text: Text, shape: Shape) -> Text:
    """A text with the axes of one that its value has."""
    return text if is_as_read(text.shape, shape) else _whole(text, shape)


def _whole(text: Text, shape: Shape) -> Text:
    """The same, also with those of one before all others."""
    is_number_or_cut = is_number(text.written) or live(text.shape) != live(shape)
    if is_number_or_cut or text.shape == shape:
        return text
    return Text(_bracketed(text, _ATOM) + index_to(text.shape, shape), _ATOM, shape)


_INFIX = {
    "add": (" + ", _SUM), "sub": (" − ", _SUM), "mul": (" ⊙ ", _PRODUCT), "div": (" / ", _PRODUCT),
    "matmul": (" ", _MATMUL), "equal": (" = ", _COMPARED), "not_equal": (" ≠ ", _COMPARED),
    "greater": (" > ", _COMPARED), "greater_equal": (" ≥ ", _COMPARED),
    "less": (" < ", _COMPARED), "less_equal": (" ≤ ", _COMPARED),
}  # fmt: skip


def _is_one(x: Node | None, number: object) -> bool:
    """Whether an operand is 1, a number or an array of one."""
    while x is not None and x.moved_from is not None:
        x = x.moved_from
    if x is None:
        return number == 1
    return x.op is None and not x.is_parameter and not x.is_gone and x.size == 1 == x.data.item()


def _shortened(node: Node, operands: Sequence[Text]) -> Text | None:
    """What stands for a product by 1, as derivatives have them, or of a column by a row."""
    if node.op in ("mul", "pow"):
        ones = list(map(_is_one, node.inputs, node.numbers))
        if ones[1] or (ones[0] and node.op == "mul"):
            return operands[0 if ones[1] else 1]
    if not _is_outer_product(node) or any(len(text.shape) != 1 for text in operands):
        return None
    column, row = operands
    written = f"{_bracketed(column, _MATMUL)} {_bracketed(row, _ATOM)}ᵀ"
    return Text(written, _MATMUL, column.shape + row.shape)


def _applied(node: Node, operands: Sequence[Text], shapes: Sequence[Shape], shape: Shape) -> Text:
    """What an op of no move computes, which is not along an axis."""
    shortened = _shortened(node, operands)
    if shortened is not None:
        return shortened
    if node.kind == "elementwise":
        broadcast_shape = broadcast([text.shape for text in operands], shapes)
        if broadcast_shape is not None:
            return _function(node, operands)._replace(shape=broadcast_shape)
    if node.op == "matmul" and is_column(operands[1].shape, shapes[1]):
        shapes = shapes[0], operands[1].shape
    exact = list(map(_exact, operands, shapes))
    if node.kind == "product":
        shape = multiplied(node.op == "linear", *(text.shape for text in exact))
    return _function(node, exact)._replace(shape=shape)


def _infix(op: str, a: Text, b: Text) -> Text:
    """What is written with a sign between."""
    if op == "mul" and (is_number(a.written) or is_number(b.written)):
        return _times(a, b) if is_number(a.written) else _times(b, a)
    sign, binds = _INFIX[op]
    closer = binds if op in ("add", "matmul", "mul") else binds + 1
    if op == "div" and b.binds == _MATMUL:
        binds_a = closer = _POWER
    else:  # `Σ a ⊙ b` would be read as the sum of all of that
        is_sum = op in ("mul", "matmul") and a.written.startswith("Σ")
        binds_a = _ATOM if is_sum else binds
    return Text(_bracketed(a, binds_a) + sign + _bracketed(b, closer), binds)


def _function(node: Node, operands: Sequence[Text]) -> Text:
    op = node.op or ""
    if op in _INFIX:
        return _infix(op, *operands)
    match op, [text.written for text in operands]:
        case "linear", [_, W]:
            return Text(f"{W} {_bracketed(operands[0], _ATOM)}", _MATMUL)
        case "neg", [_]:
            return Text(f"−{_bracketed(operands[0], _PRODUCT)}", _PRODUCT)
        case "pow", [_, "2"]:
            return Text(f"{_bracketed(operands[0], _ATOM)}²", _POWER)
        case "pow", [_, _]:
            p = operands[1]
            return Text(f"{_bracketed(operands[0], _ATOM)}^{_bracketed(p, _ATOM)}", _POWER)
        case "sigmoid", [x]:
            return Text(f"σ({x})", _ATOM)
        case "embedding", [_, row]:
            return Text(f"{_bracketed(operands[0], _ATOM)}[{row}]", _ATOM)
        case _, given:
            return Text(_called(node, given), _ATOM)


def _times(number: Text, text: Text) -> Text:
    """A value so many times: `2 x`."""
    written = _bracketed(text, _PRODUCT)
    sign = " ⊙ " if written[0] in _DIGITS else " "
    return Text(number.written + sign + written, _PRODUCT)


def _called(node: Node, given: Sequence[str]) -> str:
    """A call of an op, with the options that are not what they usually are."""
    usual = options_of(node)
    options = [
        f"{name}={value}" if name in usual else str(value)
        for name, value in node.options.items()
        if value != usual.get(name) and not isinstance(value, np.ndarray)
    ]
    return f"{node.op}({', '.join([*given, *options])})"


def _transposed(node: Node, text: Text, shape: Shape) -> Text:
    """What has its axes in another order: nothing is said of those of one that change places."""
    order = list(range(len(shape)))
    if node.op == "swapaxes":
        a, b = node.options["axis1"], node.options["axis2"]
        order[a], order[b] = order[b], order[a]
    else:
        order = [axis % len(shape) for axis in node.options["axes"] or order[::-1]]
    moved = [axis for axis in order if shape[axis] != 1]
    if moved == sorted(moved):
        return text
    text, made = _whole(text, shape), tuple(shape[axis] for axis in order)
    if order[:-2] == sorted(order)[:-2]:
        return Text(f"{_bracketed(text, _ATOM)}ᵀ", _ATOM, made)
    return Text(_called(node, [text.written]), _ATOM, made)
