"""What is needed in two arrangements is laid out once, and seen in both.

Chains: h_0 … h_T-1 and h_-1 … h_T-2 are parts of one sequence. Parts: the gates of each step lie
side by side for one product, and those of all steps below each other for another.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..program import Index, Program, Value, count_of, shape_at
from .packing import is_stack
from .rewriter import Match, Rewriter


class _Fit(NamedTuple):
    """Where parts begin on a chain (negative: before it), and these in the chain's direction."""

    start: int
    parts: Sequence[Value]


class _Chain:
    """Parts in a row, and the stacks that are pieces of it, some of them backwards."""

    def __init__(self, stack: Value) -> None:
        self.parts = list(stack.inputs)
        self.stacks = [stack]

    def fit(self, stack: Value) -> _Fit | None:
        """How a stack lies on the chain, if it does."""
        for parts in (stack.inputs, stack.inputs[::-1]):
            start = self._start(parts)
            if start is not None:
                return _Fit(start, parts)
        return None

    def _start(self, parts: Sequence[Value]) -> int | None:
        places = {part: i for i, part in enumerate(self.parts) if part.kind != "constant"}
        starts = {places[part] - k for k, part in enumerate(parts) if part in places}
        if len(starts) != 1:
            return None
        start = starts.pop()
        for i, part in enumerate(parts, start):
            if 0 <= i < len(self.parts) and self.parts[i] is not part:
                return None
        return start

    def extended(self, fit: _Fit) -> list[Value]:
        """The chain with what reaches out of it before and behind."""
        before = fit.parts[: max(0, -fit.start)]
        behind = fit.parts[max(0, len(self.parts) - fit.start) :]
        return [*before, *self.parts, *behind]

    def piece(self, program: Program, whole: Value, stack: Value) -> Value:
        """A stack as part of the whole chain."""
        fit = self.fit(stack)
        assert fit is not None
        stop = fit.start + len(stack.inputs)
        if fit.parts is stack.inputs:
            return program.index(whole, ((fit.start, stop, 1),))
        before = fit.start - 1 if fit.start else None
        return program.index(whole, ((stop - 1, before, -1),))


def overlapping_stacks(values: Sequence[Value], _results: Sequence[Value]) -> list[Match]:
    """Stacks that share parts, and the chain that they are pieces of."""
    chains: list[_Chain] = []
    for stack in sorted(filter(is_stack, values), key=lambda x: len(x.inputs), reverse=True):
        if not any(_join(chain, stack, values) for chain in chains):
            chains.append(_Chain(stack))
    merged = [chain for chain in chains if len(chain.stacks) > 1]
    return [Match(sorted(chain.stacks, key=lambda x: x.id), chain) for chain in merged]


def laid_out_once(rewriter: Rewriter, match: Match) -> list[Value]:
    """The stacks as pieces of their chain."""
    chain: _Chain = match.found
    whole = rewriter.program.stack([rewriter[part] for part in chain.parts])
    return [chain.piece(rewriter.program, whole, stack) for stack in match.values]


def _join(chain: _Chain, stack: Value, values: Sequence[Value]) -> bool:
    """Make it a piece, unless the chain or it must be complete before the other can begin."""
    first = chain.stacks[0]
    if stack.shape[1:] != first.shape[1:] or stack.dtype != first.dtype:
        return False
    fit = chain.fit(stack)
    if fit is None:
        return False
    parts = chain.extended(fit)
    computed = [x for x in parts if x.kind != "constant"]
    if len(set(computed)) < len(computed) or _follows(parts, [*chain.stacks, stack], values):
        return False
    chain.parts = parts
    chain.stacks.append(stack)
    return True


def _follows(parts: Sequence[Value], stacks: Sequence[Value], values: Sequence[Value]) -> bool:
    """Whether one of the parts is made from one of the stacks."""
    after = bytearray(count_of(values))
    for stack in stacks:
        after[stack.id] = True
    for value in values:
        if any(after[x.id] for x in value.inputs):
            after[value.id] = True
    return any(after[x.id] for x in parts)


# Parts that lie in other wholes already


class _Side(NamedTuple):
    """A whole that lies in rows of another one, and the stacks that are its parts, by index."""

    like: Value
    stacks: dict[Index, Value]


def stacks_of_parts(values: Sequence[Value], _results: Sequence[Value]) -> list[Match]:
    """Stacks, row by row, of what lies side by side in other wholes, and all there is in these."""
    places = _places(values)
    found: dict[Any, _Side] = {}
    for stack in filter(is_stack, values):
        wholes = [places.get(part, ()) for part in stack.inputs]
        for whole, index in next(filter(None, wholes), ()):
            rows = tuple(_whole_at(index, whole, of_part) for of_part in wholes)
            if sum(row is not None for row in rows) > 1:
                found.setdefault(rows, _Side(whole, {})).stacks.setdefault(index, stack)
    matches: list[Match] = []
    for side in found.values():
        stacks = [side.stacks.get(index) for index in side.like.detail[0]]
        laid = [stack for stack in stacks if stack is not None]
        distinct = len(laid) == len(stacks) == len(set(laid))
        parts = [part for stack in laid for part in stack.inputs]
        if distinct and not _follows(parts, laid, values):
            matches.append(Match(sorted(laid, key=lambda x: x.id), side))
    return matches


def _places(values: Sequence[Value]) -> dict[Value, list[tuple[Value, Index]]]:
    """By part, the wholes that it is laid into, and where; stacks do not count."""
    places: dict[Value, list[tuple[Value, Index]]] = defaultdict(list)
    for whole in values:
        if whole.kind == "assemble" and whole.detail[1] and not is_stack(whole):
            for part, index in zip(whole.inputs, whole.detail[0], strict=True):
                if part.shape == shape_at(whole.shape, index) and part.dtype == whole.dtype:
                    places[part].append((whole, index))
    return places


def _whole_at(index: Index, like: Value, places: Sequence[tuple[Value, Index]]) -> Value | None:
    """The one whole like this that has a part at this index."""
    layout = like.shape, like.detail[0]
    at = [w for w, i in places if i == index and (w.shape, w.detail[0]) == layout]
    return at[0] if len(at) == 1 else None


def seen_in_wholes(rewriter: Rewriter, match: Match) -> list[Value]:
    """The wholes below each other; each stack is a part of that."""
    program, side = rewriter.program, match.found
    indices = side.like.detail[0]
    columns = [[rewriter[part] for part in side.stacks[index].inputs] for index in indices]
    rows = [
        program.assemble(parts, indices, side.like.shape, side.like.dtype)
        for parts in zip(*columns, strict=True)
    ]
    whole = program.stack(rows)
    parts = {
        side.stacks[index]: program.index(whole, ((0, len(rows), 1), *index)) for index in indices
    }
    return [parts[stack] for stack in match.values]
