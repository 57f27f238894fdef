"""The formula of a few ops, as a person would write it."""

from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import itemgetter
from typing import Any, NamedTuple, Protocol, cast

from ...recording.graph import Node
from ..slices import index_text

_LENGTH_MOST = 80
_DEPTH_MOST = 12
_ALIKE_LEAST = 3  # so many terms that are written alike become a sum
_WRITTEN_MOST = 400  # ops: what is read twice is written twice, and so is all that is in it
_TERMS_MOST = 12  # of a sum: more do not fit anyway
_OPPOSITE = {"+": "−", "−": "+"}
# of "a + b": how tightly it binds
_COMPARED, _SUM, _PRODUCT, _MATMUL, _POWER, _ATOM = range(6)

Text = tuple[str, int]  # and how tightly it binds


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

    def told_apart(
        self, operands: Sequence[Operand], *, at_any_step: bool
    ) -> Mapping[Operand, str]:
        """The names of several values in one formula: no two have the same.

        Args:
            operands: the values, each of which has a name.
            at_any_step: the formula is of each step, so that no name may say which.
        """
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
    """

    values: Collection[Node]
    read: Mapping[tuple[Node, int], Hashable] = field(
        default_factory=dict[tuple[Node, int], Hashable]
    )
    is_of_all: bool = False
    times: Mapping[Node, Collection[int]] = field(default_factory=dict[Node, Collection[int]])
    calls: Mapping[Node, Call] = field(default_factory=dict[Node, Call])

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
) -> str:
    """What makes a value; cut where it is longer than `most` characters."""
    text, _ = _written(node, region, operands, at_any_step=at_any_step)
    return text if len(text) <= most else text[: most - 1] + "…"


def is_cut(formula: str) -> bool:
    """Whether a formula is not all there."""
    return "…" in formula.replace("; …; ", "").replace("[…]", "")


def factor_of(node: Node, region: Region, operands: Operands, *, which: bool = True) -> str:
    """The same, as it stands in a product: what is more than one name in brackets."""
    return _bracketed(*_written(node, region, operands, which=which), _ATOM)


def _written(
    node: Node,
    region: Region,
    operands: Operands,
    *,
    at_any_step: bool = False,
    which: bool = True,
) -> Text:
    """A formula, after it was asked once which values it reads: no two of them have one name."""
    asking = _Writer(region, operands, {}, which)
    asking.text(node, 0)
    names = operands.told_apart(tuple(asking.asked), at_any_step=at_any_step)
    return _Writer(region, operands, names, which).text(node, 0)


# One value


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
        self, region: Region, operands: Operands, names: Mapping[Operand, str], which: bool
    ) -> None:
        self._region, self._operands, self._names = region, operands, names
        self._which = which
        self._left = _WRITTEN_MOST
        self.asked: dict[Operand, None] = {}

    def text(self, node: Node, depth: int, part: Hashable = None) -> Text:
        if node not in self._region or self._is_named_part(node):
            return self._outer(Operand(node, part))
        self._left -= 1
        if depth > _DEPTH_MOST or self._left < 0:
            return "…", _ATOM
        if node in self._region.calls:
            return self._call(self._region.calls[node], depth)
        picked = self._picked(node)
        if picked is not None:
            return self.text(picked, depth + 1)
        negated = _in_sigmoid(node, self._region)
        if negated is not None:
            return f"σ({self._read(negated, 0, depth)[0]})", _ATOM
        if self._region.is_of_all and node.op in ("add", "sub"):
            terms = _terms(node, self._region)
            if len(terms) >= _ALIKE_LEAST:
                return self._sum(terms, depth)
        operands = [self._read(node, slot, depth) for slot in self._region.slots(node)]
        return self._moved(node, operands) if node.is_move else _applied(node, operands)

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

    def _call(self, call: Call, depth: int) -> Text:
        if depth and not call.alone:
            return "…", _ATOM  # nobody would know which of its results
        given = (self._read(node, slot, depth)[0] for node, slot in call.given)
        return f"{call.name}({', '.join(given)})", _ATOM

    def _sum(self, terms: Sequence[tuple[str, Node | None, Any]], depth: int) -> Text:
        """A sum: what is added again and again, at each step, is written once."""
        for which in (True, False):  # an index may differ from step to step
            written = [
                (sign, *self._at_any_step(x, number, which=which)) for sign, x, number in terms
            ]
            count = Counter(written)
            if max(count.values()) >= _ALIKE_LEAST:
                break
        found: list[tuple[str, str, int]] = []
        numbers = sum(-number if sign == "−" else number for sign, x, number in terms if x is None)
        for alike, (sign, x, _) in zip(written, terms, strict=True):
            _, text, binds = alike
            if x is None:
                continue
            if count[alike] >= _ALIKE_LEAST:
                one = sign, f"Σₜ {_bracketed(text, binds, _PRODUCT)}", _PRODUCT
                if one not in found:
                    found.append(one)
            elif len(found) <= _TERMS_MOST:
                found.append((sign, *self.text(x, depth + 1)))
        if numbers:
            found.append(("−" if numbers < 0 else "+", *_number(abs(numbers))))
        return _added(found)

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
        return stack.inputs[index]

    def _outer(self, operand: Operand) -> Text:
        while not (name := self._operands.name(operand)):
            node = operand.node
            picked = self._picked(node)
            if picked is not None:
                operand = Operand(picked)
                continue
            joined = [Operand(x) for x in node.tensors()] if node.is_move else []
            if len(joined) > 1 and all(map(self._operands.name, joined)):
                return self._moved(node, list(map(self._outer, joined)))
            if len(joined) != 1:
                return "·", _ATOM
            (operand,) = joined
        self.asked[operand] = None
        written = self._names.get(operand, name)
        return written, _binding_of(written)

    def _moved(self, node: Node, operands: Sequence[Text]) -> Text:
        if not operands:
            return "·", _ATOM
        if len(operands) > 1:
            shown = list(dict.fromkeys(text for text, _ in operands))
            if len(shown) > 3:
                shown = [shown[0], "…", shown[-1]]
            return f"[{'; '.join(shown)}]", _ATOM
        ((text, binds),) = operands
        if node.op in ("transpose", "swapaxes"):
            return f"{_bracketed(text, binds, _ATOM)}ᵀ", _ATOM
        if node.op == "getitem":
            index = self._index(node)
            if index and self._is_reshaped(node.inputs[0]):
                index = "[…]"
            return (f"{_bracketed(text, binds, _ATOM)}{index}", _ATOM) if index else (text, binds)
        return text, binds

    def _is_reshaped(self, node: Node | None) -> bool:
        """Whether what is written has other axes than the value: an index of this is none of it."""
        while node is not None and (source := node.moved_from) is not None:
            if node not in self._region and self._operands.name(Operand(node)):
                return False
            if node.op == "reshape" and _axes(node) != _axes(source):
                return True
            node = source
        return False

    def _index(self, node: Node) -> str:
        """What an index leaves out, in brackets; "" of one that leaves out nothing."""
        index, whole = node.options["index"], node.inputs[0]
        parts = cast("tuple[Any, ...]", index) if isinstance(index, tuple) else (index,)
        is_whole = whole is not None and node.size == whole.size
        if is_whole and any(part is ... for part in parts):
            return ""  # `[..., 0]` takes away the axis of a column, a vector's
        times = self._region.times.get(node, ())
        left = [slice(None) if axis in times else part for axis, part in enumerate(parts)]
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


def _added(terms: Sequence[tuple[str, str, int]]) -> Text:
    """Terms with their signs."""
    ((sign, text, binds), *others) = terms
    first = f"−{_bracketed(text, binds, _PRODUCT)}" if sign == "−" else text
    if not others:
        return first, _PRODUCT if sign == "−" else binds
    written = [first]
    for sign, text, binds in others:
        written.append(f"{sign} {_bracketed(text, binds, _PRODUCT if sign == '−' else _SUM)}")
    return " ".join(written), _SUM


def _axes(node: Node) -> list[int]:
    """The lengths of its axes, but for those of one."""
    return [length for length in node.shape if length != 1]


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


def _number(x: object) -> Text:
    return (f"{x:.6g}" if isinstance(x, int | float) else "·"), _ATOM


def _bracketed(text: str, binds: int, least: int) -> str:
    return text if binds >= least else f"({text})"


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
    if not _is_outer_product(node):
        return None
    (a, how_a), (b, how_b) = operands
    return f"{_bracketed(a, how_a, _MATMUL)} {_bracketed(b, how_b, _ATOM)}ᵀ", _MATMUL


def _applied(node: Node, operands: Sequence[Text]) -> Text:
    op, shortened = node.op or "", _shortened(node, operands)
    if shortened is not None:
        return shortened
    if op in _INFIX:
        sign, binds = _INFIX[op]
        (a, how_a), (b, how_b) = operands
        closer = binds if op in ("add", "matmul", "mul") else binds + 1
        return _bracketed(a, how_a, binds) + sign + _bracketed(b, how_b, closer), binds
    match op, operands:
        case "linear", [(x, how), (W, _)]:
            return f"{W} {_bracketed(x, how, _ATOM)}", _MATMUL
        case "neg", [(x, how)]:
            return f"−{_bracketed(x, how, _PRODUCT)}", _PRODUCT
        case "pow", [(x, how), ("2", _)]:
            return f"{_bracketed(x, how, _ATOM)}²", _POWER
        case "pow", [(x, how), (p, _)]:
            return f"{_bracketed(x, how, _ATOM)}^{p}", _POWER
        case "sum", [(x, how)]:
            return f"Σ {_bracketed(x, how, _POWER)}", _PRODUCT
        case "sigmoid", [(x, _)]:
            return f"σ({x})", _ATOM
        case _:
            return f"{op}({', '.join(text for text, _ in operands)})", _ATOM
