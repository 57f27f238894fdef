"""The sign that a block between the copies may shrink to, on its arrow: ⊕ ⊙ ∥ ◇."""

from collections.abc import Iterable

from .arrows import Arrows
from .grouping.groups import Group, Groups
from .timesteps.pieces import Atom


class Signs:
    """What blocks may shrink to.

    Args:
        groups: the blocks.
        arrows: what they read of each other.
    """

    def __init__(self, groups: Groups, arrows: Arrows) -> None:
        self.groups, self.arrows = groups, arrows

    def of(self, group: Group, read: Iterable[Atom]) -> str | None:
        """What it may shrink to; None of what reads a weight: a sign would hide that."""
        if group.kind != "between":
            return None
        for one in (one for atom in group.own for one in self.groups.entering[atom]):
            kind = self.groups.group_of[one.value].kind
            if kind == "parameter" or (kind == "derived" and one.value.node.size > 1):
                return None
        return _sign(group, self.arrows.sources.get(id(group), 0), self._results_of(group, read))

    def _results_of(self, group: Group, read: Iterable[Atom]) -> int:
        """How many of the values that others read of a block are not only another one, moved."""
        found: set[Atom] = set()
        for atom in read:
            source = self.groups.moved_from(atom)
            found.add(source if self.groups.group_of[source] is group else atom)
        return len(found)


_SIGNS = {"add": "⊕", "sub": "⊖", "mul": "⊙", "div": "⊘", "where": "◇", "sigmoid": "σ"}


def _sign(group: Group, sources: int, results: int) -> str | None:
    """What a block of one op with one result may shrink to; "" for pure moves, None for a box.

    Args:
        group: the block, which is no copy.
        sources: how many others it reads.
        results: how many values others read of it, where the same one moved is no other.
    """
    computing = [atom.node for atom in group.atoms if not atom.node.is_move]
    if not computing and sources < 2:
        return ""
    if not computing:
        return "∥" if results < 2 else None
    if len(computing) > 1 or results > 1:
        return None
    op = computing[0].op or ""
    return _SIGNS.get(op, op if len(op) <= 4 else None)
