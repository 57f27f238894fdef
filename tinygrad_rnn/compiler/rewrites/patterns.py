"""Patterns: what a value must be made by for a rule to apply."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..program import Value

ANY = object()  # in place of a head: whatever it is


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a value must be made by.

    Args:
        kind: its kind.
        head: its ufunc, or how it is seen; `ANY` of them.
        operands: the patterns of its first inputs, or the names by which the rule gets them.
    """

    kind: str
    head: Any = None
    operands: "tuple[Pattern | str, ...]" = ()

    def match(self, value: Value) -> dict[str, Value] | None:
        """The values by their names in the pattern; None: it does not match."""
        if value.kind != self.kind or (self.head is not ANY and value.head != self.head):
            return None
        return self.named(value.inputs)

    def named(self, inputs: Sequence[Value]) -> dict[str, Value] | None:
        """The same for the inputs of a value of this kind and head."""
        found: dict[str, Value] = {}
        for operand, x in zip(self.operands, inputs, strict=False):
            if isinstance(operand, str):
                found[operand] = x
                continue
            if x.kind != operand.kind:  # as most: a call fewer
                return None
            inner = operand.match(x)
            if inner is None:
                return None
            found |= inner
        return found


@dataclass(frozen=True, slots=True)
class Peephole:
    """One row: `rule(program, value, **named)` returns what is simpler than the value, or None."""

    name: str
    pattern: Pattern
    rule: Callable[..., Value | None]
    is_told: bool = True  # in a report; what only tidies up is not


def ufunc(function: Any, *operands: Pattern | str) -> Pattern:
    """A call of a ufunc."""
    return Pattern("ufunc", function, operands)


def view(how: Any, *operands: Pattern | str) -> Pattern:
    """The same memory, seen so."""
    return Pattern("view", how, operands)
