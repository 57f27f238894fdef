"""The formula of a few ops, as a person would write it."""

from collections.abc import Callable, Container, Sequence

from ..recording.graph import Node
from .slices import index_text

_LENGTH_MOST = 60
_DEPTH_MOST = 12
# of "a + b": how tightly it binds
_SUM, _PRODUCT, _POWER, _ATOM = range(4)

Named = Callable[[Node], str]  # the name of a value, "" where it has none

Text = tuple[str, int]  # and how tightly it binds


def formula_of(
    node: Node, inside: Container[Node], name_of: Named, read: Container[tuple[Node, int]]
) -> str:
    """What makes a value, down to what is not `inside`, which goes by its name.

    The same term again and again is written once, as a sum. `read` holds the inputs that are read:
    of a stack of which only a part is meant, not all.
    """
    region = _Region(inside, read)
    text, _ = _sum_of_alike(node, region, name_of) or _written(node, region, name_of, 0)
    return text if len(text) <= _LENGTH_MOST else text[: _LENGTH_MOST - 1] + "…"


class _Region:
    """What a formula is of: the values in it, and which inputs of them are read."""

    def __init__(self, values: Container[Node], read: Container[tuple[Node, int]]) -> None:
        self._values, self._read = values, read

    def __contains__(self, node: Node) -> bool:
        return node in self._values

    def reads(self, node: Node, slot: int) -> bool:
        """Whether an input is read: of anything but a stack all are."""
        return not node.is_move or len(node.inputs) < 2 or (node, slot) in self._read


def _sum_of_alike(node: Node, inside: _Region, name_of: Named) -> Text | None:
    """Σ of terms that one loop added up."""
    divided = ""
    while node in inside and (node.op == "div" or _is_scaled(node)):
        divided = " / n" if node.op == "div" else divided
        (node, *_) = node.tensors()
    terms = _terms(node, inside)
    if len(terms) < 3 or len({term.op for term in terms}) > 1:
        return None
    text, binds = _written(terms[0], inside, name_of, 1)
    return f"Σₜ {_bracketed(text, binds, _PRODUCT)}{divided}", _PRODUCT


def _is_scaled(node: Node) -> bool:
    return node.op == "mul" and len(list(node.tensors())) == 1


def _terms(node: Node, inside: _Region) -> list[Node]:
    """What a running sum adds up, in order."""
    terms: list[Node] = []
    waiting = [node]
    while waiting:
        x = waiting.pop()
        if x.op == "add" and x in inside:
            waiting += x.tensors()
        else:
            terms.append(x)
    return sorted((x for x in terms if x in inside), key=lambda x: x.id)


def _written(node: Node, inside: _Region, name_of: Named, depth: int) -> Text:
    if node not in inside:
        return _outer(node, name_of), _ATOM
    if depth > _DEPTH_MOST:
        return "…", _ATOM
    operands = [
        _number(number) if x is None else _written(x, inside, name_of, depth + 1)
        for slot, (x, number) in enumerate(zip(node.inputs, node.numbers, strict=True))
        if inside.reads(node, slot)
    ]
    if node.is_move:
        return _moved(node, operands)
    return _applied(node, operands)


def _outer(node: Node, name_of: Named) -> str:
    while not (name := name_of(node)):
        if not node.is_move or node.inputs[:1] == (None,) or not node.inputs:
            return "·"
        node = next(node.tensors())
    return name


def _number(x: object) -> Text:
    return (f"{x:.6g}" if isinstance(x, int | float) else "·"), _ATOM


def _bracketed(text: str, binds: int, least: int) -> str:
    return text if binds >= least else f"({text})"


def _moved(node: Node, operands: Sequence[Text]) -> Text:
    if not operands:
        return "·", _ATOM
    if len(operands) > 1:
        shown = [text for text, _ in operands]
        if len(shown) > 3:
            shown = [shown[0], "…", shown[-1]]
        return f"[{'; '.join(dict.fromkeys(shown))}]", _ATOM
    ((text, binds),) = operands
    if node.op in ("transpose", "swapaxes"):
        return f"{_bracketed(text, binds, _ATOM)}ᵀ", _ATOM
    if node.op == "getitem" and next(node.tensors()).is_parameter:
        return f"{_bracketed(text, binds, _ATOM)}{index_text(node.options['index'])}", _ATOM
    return text, binds


_INFIX = {
    "add": (" + ", _SUM), "sub": (" − ", _SUM), "mul": (" ⊙ ", _PRODUCT), "div": (" / ", _PRODUCT),
    "matmul": (" ", _PRODUCT),
}  # fmt: skip


def _applied(node: Node, operands: Sequence[Text]) -> Text:
    op = node.op or ""
    if op in _INFIX:
        sign, binds = _INFIX[op]
        (a, how_a), (b, how_b) = operands
        closer = binds if op in ("add", "matmul", "mul") else binds + 1
        return _bracketed(a, how_a, binds) + sign + _bracketed(b, how_b, closer), binds
    match op, operands:
        case "linear", [(x, how), (W, _)]:
            return f"{W} {_bracketed(x, how, _ATOM)}", _PRODUCT
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
