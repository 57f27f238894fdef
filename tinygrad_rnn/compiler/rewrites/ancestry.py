"""Which values are made from which: the recurrence of a program, found in one go.

A group is one bit; which groups a value has to do with is a number.
"""

from collections.abc import Sequence

from ..program import Value, count_of

Group = Sequence[Value]


def bits_of(groups: Sequence[Group], values: Sequence[Value]) -> list[int]:
    """By id the bit of the group that a value is in; 0: of none."""
    bits = [0] * count_of(values)
    for i, group in enumerate(groups):
        for value in group:
            bits[value.id] = 1 << i
    return bits


def above(bits: Sequence[int], values: Sequence[Value]) -> list[int]:
    """By id the groups of which a member is an ancestor; values come in order."""
    found = [0] * len(bits)
    same: dict[int, int] = {}  # many have the same groups: one number for all of them
    for value in values:
        mask = 0
        for x in value.inputs:
            mask |= found[x.id] | bits[x.id]
        found[value.id] = same.setdefault(mask, mask)
    return found


def below(bits: Sequence[int], values: Sequence[Value]) -> list[int]:
    """By id the groups of which a member is made from it; values come in order."""
    found = [0] * len(bits)
    for value in reversed(values):
        mask = found[value.id] | bits[value.id]
        if mask:
            for x in value.inputs:
                found[x.id] |= mask
    return found


def self_dependent(groups: Sequence[Group], among: Sequence[Value]) -> list[Group]:
    """The groups in which one member is another's ancestor: all of them at once.

    Args:
        groups: whose members are asked about.
        among: they, and the values on the ways between them.
    """
    inside = sorted(among, key=lambda value: value.id)
    several = [group for group in groups if len(group) > 1]
    bits = bits_of(several, inside)
    ancestors = above(bits, inside)
    found = 0
    for value in inside:
        found |= ancestors[value.id] & bits[value.id]
    return [group for i, group in enumerate(several) if found >> i & 1]
