"""Which values are made from which: the recurrence of a program, found in one go."""

from collections.abc import Sequence

from ..program import Value, count_of

Group = Sequence[Value]


def self_dependent(groups: Sequence[Group], among: Sequence[Value]) -> list[Group]:
    """The groups in which one member is another's ancestor: all of them at once, one bit each.

    Args:
        groups: whose members are asked about.
        among: they, and the values on the ways between them.
    """
    inside = sorted(among, key=lambda value: value.id)
    bits = [0] * count_of(inside)
    several = [group for group in groups if len(group) > 1]
    for i, group in enumerate(several):
        for value in group:
            bits[value.id] = 1 << i
    above = [0] * len(bits)
    same: dict[int, int] = {}
    found = 0
    for value in inside:
        mask = 0
        for x in value.inputs:
            mask |= above[x.id] | bits[x.id]
        above[value.id] = same.setdefault(mask, mask)
        found |= mask & bits[value.id]
    return [group for i, group in enumerate(several) if found >> i & 1]
