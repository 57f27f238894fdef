"""Chains: h_0 … h_T-1, and h_-1 … h_T-2 beside it, are parts of one sequence, which is laid out once."""

from collections.abc import Sequence

from .program import Program, Value
from .rewrite import Rewriter, Unit


class _Chain:
    """Parts in a row, and the stacks that are pieces of it."""

    def __init__(self, stack: Value) -> None:
        self.parts = list(stack.inputs)
        self.stacks = [stack]

    def offset(self, stack: Value) -> int | None:
        """Where a stack lies on the chain (negative: it begins before); None: it does not fit."""
        places = {part: i for i, part in enumerate(self.parts)}
        met = [(places[part] - k) for k, part in enumerate(stack.inputs) if part in places and part.kind != "constant"]
        if not met:
            return None
        offset = met[0]
        pairs = ((part, offset + k) for k, part in enumerate(stack.inputs))
        fits = all(self.parts[i] is part for part, i in pairs if 0 <= i < len(self.parts))
        return offset if fits and all(m == offset for m in met) else None

    def extended(self, stack: Value, offset: int) -> list[Value]:
        """The parts with those of a stack before and behind."""
        before = list(stack.inputs[: max(0, -offset)])
        behind = list(stack.inputs[max(0, len(self.parts) - offset) :])
        return [*before, *self.parts, *behind]


def merge_stacks(values: Sequence[Value], results: Sequence[Value]) -> tuple[list[Value], list[Value]]:
    """The program with overlapping stacks as pieces of one; also its results in it."""
    chains: list[_Chain] = []
    for stack in sorted((x for x in values if _is_stack(x)), key=lambda x: -len(x.inputs)):
        if not any(_join(chain, stack, values) for chain in chains):
            chains.append(_Chain(stack))
    merged = [chain for chain in chains if len(chain.stacks) > 1]
    taken = {stack for chain in merged for stack in chain.stacks}
    units = [Unit([value]) for value in values if value not in taken]
    for chain in merged:
        units.append(Unit(sorted(chain.stacks, key=lambda x: x.id), _laid_out(chain)))
    rewriter = Rewriter()
    rewriter.run(units)
    return rewriter.program.values, [rewriter.new[x] for x in results]


def _is_stack(x: Value) -> bool:
    return x.kind == "assemble" and all(index[0] == i for i, index in enumerate(x.detail[0])) and x.detail[1]


def _join(chain: _Chain, stack: Value, values: Sequence[Value]) -> bool:
    """Make the stack a piece of the chain, unless the one must be complete before the other can begin."""
    first = chain.stacks[0]
    if stack.shape[1:] != first.shape[1:] or stack.dtype != first.dtype:
        return False
    offset = chain.offset(stack)
    if offset is None:
        return False
    parts = chain.extended(stack, offset)
    if len({x for x in parts if x.kind != "constant"}) < len([x for x in parts if x.kind != "constant"]):
        return False
    if _follows(parts, [*chain.stacks, stack], values):
        return False
    chain.parts = parts
    chain.stacks.append(stack)
    return True


def _follows(parts: Sequence[Value], stacks: Sequence[Value], values: Sequence[Value]) -> bool:
    """Whether one of the parts is made from one of the stacks."""
    after = set(stacks)
    for value in values:
        if any(x in after for x in value.inputs):
            after.add(value)
    return not after.isdisjoint(parts)


def _laid_out(chain: _Chain):
    def emit(rewriter: Rewriter, stacks: list[Value]) -> list[Value]:
        program: Program = rewriter.program
        whole = program.stack([rewriter.new[part] for part in chain.parts])
        starts = [chain.offset(stack) for stack in stacks]
        return [
            program.index(whole, ((start or 0, (start or 0) + len(stack.inputs), 1),))
            for start, stack in zip(starts, stacks, strict=True)
        ]

    return emit
