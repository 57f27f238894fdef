"""Chains: h_0 … h_T-1, and h_-1 … h_T-2 beside it, are parts of one sequence, which is laid out once."""

from collections.abc import Callable, Mapping, Sequence

from ..packing import is_stack
from ..program import Program, Value, count_of
from ..rewrite import Rewriter, Users


class _Chain:
    """Parts in a row, and the stacks that are pieces of it, some of them backwards."""

    def __init__(self, stack: Value) -> None:
        self.parts = list(stack.inputs)
        self.stacks = [stack]

    def offset(self, parts: Sequence[Value]) -> int | None:
        """Where parts lie on the chain (negative: they begin before); None: they do not fit."""
        places = {part: i for i, part in enumerate(self.parts)}
        met = {
            places[part] - k
            for k, part in enumerate(parts)
            if part in places and part.kind != "constant"
        }
        if len(met) != 1:
            return None
        offset = met.pop()
        pairs = ((part, offset + k) for k, part in enumerate(parts))
        return (
            offset
            if all(self.parts[i] is part for part, i in pairs if 0 <= i < len(self.parts))
            else None
        )

    def fitting(self, stack: Value) -> "tuple[int, Sequence[Value]] | None":
        """Where a stack begins on the chain, and its parts in the chain's direction."""
        for parts in (stack.inputs, stack.inputs[::-1]):
            if (offset := self.offset(parts)) is not None:
                return offset, parts
        return None

    def extended(self, offset: int, parts: Sequence[Value]) -> list[Value]:
        """The chain with what reaches out of it before and behind."""
        return [*parts[: max(0, -offset)], *self.parts, *parts[max(0, len(self.parts) - offset) :]]

    def piece(self, program: Program, whole: Value, stack: Value) -> Value:
        """A stack as part of the whole chain."""
        found = self.fitting(stack)
        assert found is not None
        start, count = found[0], len(stack.inputs)
        if found[1] is stack.inputs:
            return program.index(whole, ((start, start + count, 1),))
        return program.index(whole, ((start + count - 1, start - 1 if start else None, -1),))


def merge_stacks(
    values: Sequence[Value], results: Sequence[Value]
) -> tuple[list[Value], list[Value]]:
    """The program with overlapping stacks as pieces of one; also its results in it."""
    chains: list[_Chain] = []
    for stack in sorted((x for x in values if is_stack(x)), key=lambda x: -len(x.inputs)):
        if not any(_join(chain, stack, values) for chain in chains):
            chains.append(_Chain(stack))
    merged = [chain for chain in chains if len(chain.stacks) > 1]
    taken = {stack for chain in merged for stack in chain.stacks}
    groups: list[Sequence[Value]] = [(value,) for value in values if value not in taken]
    groups += [sorted(chain.stacks, key=lambda x: x.id) for chain in merged]
    rewriter = Rewriter(values)
    rewriter.run(
        Users(values).in_order(groups),
        _laid_out({stack: chain for chain in merged for stack in chain.stacks}),
    )
    return rewriter.program.values, [rewriter[x] for x in results]


def _join(chain: _Chain, stack: Value, values: Sequence[Value]) -> bool:
    """Make the stack a piece of the chain, unless the one must be complete before the other can begin."""
    first = chain.stacks[0]
    if stack.shape[1:] != first.shape[1:] or stack.dtype != first.dtype:
        return False
    found = chain.fitting(stack)
    if found is None:
        return False
    parts = chain.extended(*found)
    if len({x for x in parts if x.kind != "constant"}) < len(
        [x for x in parts if x.kind != "constant"]
    ):
        return False
    if _follows(parts, [*chain.stacks, stack], values):
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


def _laid_out(chains: Mapping[Value, _Chain]) -> Callable[[Rewriter, Sequence[Value]], list[Value]]:
    def together(rewriter: Rewriter, stacks: Sequence[Value]) -> list[Value]:
        chain, program = chains[stacks[0]], rewriter.program
        whole = program.stack([rewriter[part] for part in chain.parts])
        return [chain.piece(program, whole, stack) for stack in stacks]

    return together
