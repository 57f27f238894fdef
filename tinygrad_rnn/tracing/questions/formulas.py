"""The rule of each op as text, from its docstring, and the same with one element's numbers in it.

A docstring states "what: y = …; x̄ = …": the forward after the first colon, then the cotangent of
each input. That one line is what people read in `ops.py`, and what the debugger shows.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ...autograd.op import NUMPY, Op

_BAR = "\N{COMBINING MACRON}"
_ASSIGNMENT = re.compile(rf"(?P<name>\w)(?P<bar>{_BAR})?ᵢ? = ")
_TOKEN = re.compile(rf"\w+{_BAR}|[a-zA-Z]+|\d+(?:\.\d+)?|[√Σ·]|\^|[²³ᵀ]|\S")
_ASIDE = re.compile(r";|, computed|, \w+ \(")  # what a docstring says about the formula, behind it
_FUNCTIONS = frozenset({"ln", "sin", "cos", "tanh", "sign", "max", "min"})
_WORDS = frozenset({"where", "else", "is", "at", "the", "condition", "holds"})


@dataclass(frozen=True, slots=True)
class Rule:
    """The text of one op: `forward` "y = tanh x", `backward` one "x̄ = ȳ (1 - y²)" per input that states one."""

    summary: str
    forward: str
    backward: Mapping[str, str]  # the input's symbol -> its formula
    symbols: tuple[str, ...]  # of the inputs, in order

    def of_slot(self, slot: int) -> str:
        """The formula of one input's cotangent; where the docstring says it in prose, the prose."""
        symbol = self.symbols[min(slot, len(self.symbols) - 1)] if self.symbols else ""
        return self.backward.get(symbol, self.summary)


@lru_cache(maxsize=1024)
def rule_of(op: Op) -> Rule:
    """The rule that an op's docstring states; without one, its name says what it is."""
    public = next((f for f in NUMPY.values() if getattr(f, "op", None) is op), None)
    text = " ".join(((public.__doc__ if public else None) or op.name).partition("\n\n")[0].split())
    return _parsed(unicodedata.normalize("NFD", text).rstrip("."))


def _parsed(text: str) -> Rule:
    _, _, statement = text.partition(": ")
    found = list(_ASSIGNMENT.finditer(statement))
    forward, backward = "", dict[str, str]()
    for match, end in zip(found, [*(m.start() for m in found[1:]), len(statement)], strict=False):
        formula = statement[match.start() : end].rstrip(" ,;")
        if match["bar"]:
            backward.setdefault(match["name"].lower(), formula)
        elif not forward:
            forward = _ASIDE.split(formula)[0]
    composed = {name: unicodedata.normalize("NFC", formula) for name, formula in backward.items()}
    return Rule(unicodedata.normalize("NFC", text), forward, composed, _symbols(forward, backward))


def _symbols(forward: str, backward: Mapping[str, str]) -> tuple[str, ...]:
    used = [
        token.lower()
        for token in _TOKEN.findall(forward.partition("=")[2])
        if len(token) == 1 and token.isalpha()
    ]
    return tuple(dict.fromkeys([*(s for s in used if s in "cxabw"), *backward]))


def is_elementwise(rule: Rule) -> bool:
    """Whether the formula is of single numbers: no sum over others, no matrices."""
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
    known: dict[str, str] = {
        unicodedata.normalize("NFD", name): value for name, value in values.items()
    }
    tokens: list[str] = _TOKEN.findall(unicodedata.normalize("NFD", formula).partition(" = ")[2])
    out = ""
    for i, token in enumerate(tokens):
        before, after = tokens[i - 1] if i else "", tokens[i + 1] if i + 1 < len(tokens) else ""
        text: str = known.get(token, token)
        if (
            token in known
            and text[:1] in "+-"
            and (after in ("²", "³", "^") or before in ("-", "+", "^"))
        ):
            text = f"({text})"
        unary = before == "-" and (i < 2 or tokens[i - 2] in ("(", "^", ","))
        out += text if unary else _joint(before, token, known) + text
    return out.strip()


def _joint(before: str, token: str, known: Mapping[str, str]) -> str:
    """What stands between two tokens: nothing, a space, or the dot of a product."""
    if not before or token in ("²", "³", "ᵀ", "^", ")", ",", "]") or before in ("(", "^", "√", "["):
        return ""
    if token in _WORDS or before in _WORDS or before in _FUNCTIONS or before == ",":
        return "" if before in _FUNCTIONS and token == "(" else " "
    ends = before in known or before in (")", "²", "³", "e") or before.isdigit()
    begins = token in known or token in ("(", "√", "e") or token in _FUNCTIONS
    return " · " if ends and begins else " "
