"""Steps in the calls of modules that a file tells of, one inside another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..reading.graph import Call
from .steps import Part, Section, Step, Stretch
from .tree import Tree


@dataclass(frozen=True, slots=True)
class Placed:
    """A step, the calls that it stands in, and the parameters that it reads, by op and name."""

    step: Step
    calls: Sequence[Call]
    reads: frozenset[tuple[str, str]]


@dataclass(slots=True)
class _Open:
    """A call that steps are being added to."""

    call: Call | None
    steps: list[Step] = field(default_factory=list[Step])
    used: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])


def sections(tree: Tree, steps: Sequence[Placed]) -> Callable[[], list[Any]]:
    """The steps, in sections; as a function, since a list would be looked through for modules.

    Steps that follow each other in one call of a module are a section of it. Where the file numbers
    no calls, another one begins where a parameter is used again by the same op.
    """
    whole = _Open(None)
    stack = [whole]
    for placed in steps:
        del stack[_shared(stack, placed) + 1 :]
        for depth in range(len(stack) - 1, len(placed.calls)):
            inner = _Open(placed.calls[depth])
            stack[-1].steps.append(_opened(tree, placed.calls[: depth + 1], inner.steps))
            stack.append(inner)
        stack[-1].steps.append(placed.step)
        stack[-1].used.update(placed.reads)
    return lambda: whole.steps


def _shared(stack: Sequence[_Open], placed: Placed) -> int:
    """How many of the calls that are open a step stands in."""
    count = 0
    for one, call in zip(stack[1:], placed.calls, strict=False):
        assert one.call is not None
        if (one.call.name, one.call.number) != (call.name, call.number):
            break
        is_innermost = count == len(placed.calls) - 1
        if is_innermost and call.number is None and one.used & placed.reads:
            break
        count += 1
    return count


def _opened(tree: Tree, calls: Sequence[Call], steps: Sequence[Step]) -> Step:
    if calls[-1].is_scope:
        return Stretch(calls[-1].name, steps)
    part = tree.called(calls)
    assert isinstance(part, Part)
    return Section(part, steps)
