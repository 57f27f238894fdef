"""The rule of each op as text, from its docstring, and the same with one element's numbers in it.

A docstring states "what: y = …; x̄ = …": the forward after the first colon, then the cotangent of
each input. That one line is what people read in `ops/`, and what the debugger shows.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from inspect import signature

from ...autograd.op import Op

_BAR = "\N{COMBINING MACRON}"
_ASSIGNMENT = re.compile(rf"(?P<name>\w)(?P<bar>{_BAR})?ᵢ? = ")
_TOKEN = re.compile(rf"\w+{_BAR}|[a-zA-Z]+|\d+(?:\.\d+)?|[√Σ·]|\^|[²³ᵀ]|\S")
# What a docstring says about the formula, behind it.
_ASIDE = re.compile(r";|, computed|, elementwise|, 0 (?:at|where|outside)|, \w+ \(")
_FUNCTIONS = frozenset({"ln", "sin", "cos", "tanh", "sign", "max", "min"})
_WORDS = frozenset({"where", "else", "is", "at", "the", "condition", "holds"})


@dataclass(frozen=True, slots=True)
class Rule:
    """The text of one op."""

    summary: str
    forward: str  # "y = tanh x"
    backward: Mapping[str, str]  # the symbol of an input -> "x̄ = ȳ (1 - y²)", where stated
    symbols: tuple[str, ...]  # of the inputs, in order

    def of_slot(self, slot: int) -> str:
        """The formula of one input's cotangent; where the docstring says it in prose, the prose."""
        if slot >= len(self.symbols):
            return next(iter(self.backward.values()), self.summary)
        symbol = self.symbols[slot]
        return self.backward.get(symbol) or self.backward.get(symbol[0].lower(), self.summary)

    def states(self, formula: str) -> bool:
        """Whether it is the formula of a cotangent, in which numbers can stand for letters."""
        return formula in self.backward.values()


@lru_cache(maxsize=1024)
def rule_of(op: Op) -> Rule:
    """The rule that an op's docstring states; without one, its name says what it is."""
    stated = op.function.__doc__ if op.function is not None else None
    first, _, _ = (stated or op.name).partition("\n\n")
    text = " ".join(first.split())
    return _parsed(unicodedata.normalize("NFD", text).rstrip("."), _operands(op))


def _operands(op: Op) -> tuple[str, ...]:
    """What the function of an op calls its inputs; nothing where they are one sequence."""
    if op.function is None or op.variadic:
        return ()
    names = list(signature(op.function).parameters)[: len(op.vjps)]
    return tuple(name.lower() if len(name) == 1 else name for name in names)


def _parsed(text: str, operands: tuple[str, ...] = ()) -> Rule:
    _, _, statement = text.partition(": ")
    found = list(_ASSIGNMENT.finditer(statement))
    ends = [*(match.start() for match in found[1:]), len(statement)]
    forward, backward = "", dict[str, str]()
    for match, end in zip(found, ends, strict=False):
        formula = statement[match.start() : end].rstrip(" ,;")
        if match["bar"]:
            backward.setdefault(match["name"].lower(), formula)
        elif not forward:
            forward = _ASIDE.split(formula)[0]
    composed = {name: unicodedata.normalize("NFC", formula) for name, formula in backward.items()}
    symbols = _symbols(forward, backward, operands)
    return Rule(unicodedata.normalize("NFC", text), forward, composed, symbols)


def _symbols(
    forward: str, backward: Mapping[str, str], operands: tuple[str, ...]
) -> tuple[str, ...]:
    """The parameters of the function where the rule speaks of these, else its letters in order."""
    _, _, right = forward.partition("=")
    tokens = [token.lower() if len(token) == 1 else token for token in _TOKEN.findall(right)]
    if not backward.keys().isdisjoint(operands) or any(name in tokens for name in operands):
        return operands
    letters = [token for token in tokens if token in tuple("cxabw")]
    return tuple(dict.fromkeys([*letters, *backward]))


def is_elementwise(op: Op) -> bool:
    """Whether its formula is of single numbers: no sum over others, no matrices.

    A user's op may not state its kind; then its formula tells.
    """
    rule = rule_of(op)
    if op.kind != "other":
        return op.kind == "elementwise" and bool(rule.forward)
    text = "".join([rule.forward, *rule.backward.values()])
    return bool(rule.forward) and not re.search(r"[ΣᵀA-Z\[\]]|\bn\b", text)


def mentions(formula: str, symbol: str) -> bool:
    """Whether the right side of a formula needs a symbol: x̄ = ȳ (1 - y²) needs y, and not x."""
    right = unicodedata.normalize("NFD", formula).partition(" = ")[2]
    return symbol in {token.lower() for token in _TOKEN.findall(right)}


def substituted(formula: str, values: Mapping[str, str]) -> str:
    """The right side of a formula with each symbol replaced, and every product written with "·".

    >>> substituted("x̄ = ȳ (1 - y²)", {"ȳ": "-0.5", "y": "+0.6"})
    '-0.5 · (1 - (+0.6)²)'
    """
    known = {unicodedata.normalize("NFD", name): value for name, value in values.items()}
    _, _, right = unicodedata.normalize("NFD", _ASIDE.split(formula)[0]).partition(" = ")
    # with the two tokens before each, and the one after
    tokens: list[str] = ["", "", *_TOKEN.findall(right), ""]
    out = ""
    for earlier, before, token, after in zip(
        tokens, tokens[1:], tokens[2:], tokens[3:], strict=False
    ):
        text = known.get(token, token)
        is_signed = token in known and text[:1] in "+-"
        if is_signed and (after in ("²", "³", "^") or before in ("-", "+", "^")):
            text = f"({text})"
        is_unary_minus = before == "-" and earlier in ("", "(", "^", ",")
        if not is_unary_minus:
            out += _joint(before, token, known)
        out += text
    return out.strip()


def _joint(before: str, token: str, known: Mapping[str, str]) -> str:
    """What stands between two tokens: nothing, a space, or the dot of a product."""
    if not before or token in ("²", "³", "ᵀ", "^", ")", ",", "]") or before in ("(", "^", "√", "["):
        return ""
    if before in _FUNCTIONS and token == "(":
        return ""
    if token in _WORDS or before in _WORDS or before in _FUNCTIONS or before == ",":
        return " "
    ends = before in known or before in (")", "²", "³", "e") or before.isdigit()
    begins = token in known or token in ("(", "√", "e") or token in _FUNCTIONS
    return " · " if ends and begins else " "
