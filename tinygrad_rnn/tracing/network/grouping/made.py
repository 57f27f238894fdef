"""What is made of parameters and constants alone, and what fills a sequence up."""

from collections import defaultdict
from collections.abc import Mapping

from ...recording.graph import Node
from ..timesteps.pieces import WHOLE, Atom
from .groups import Group, Groups
from .regions import alike


class Made:
    """Groups what is made of parameters and constants.

    Args:
        groups: those of the copies, of the loss and of the leaves are made.
    """

    def __init__(self, groups: Groups) -> None:
        self.groups = groups

    def group(self) -> None:
        """What is made of parameters and constants alone: a part of a parameter belongs to it.

        What is made anew at each step is one thing, and so is what is made for one thing alone.
        """
        made = [
            node
            for node in self.groups.nodes
            if node in self.groups.derived or node in self.groups.constants
        ]
        number = alike(made, self.groups.leaves.same_as)
        readers = self._readers_of(number)
        group_of: dict[int, Group] = {}
        for node in made:
            whole = self._whole_parameter(node)
            if whole is not None:
                self.groups.add(whole, [Atom(node, WHOLE)])
                continue
            own = number[node]
            if own not in group_of:
                group_of[own] = self._made_group(node, own, number, readers, group_of)
            self.groups.add(group_of[own], [Atom(node, WHOLE)])

    def group_filled(self) -> None:
        """What fills a sequence up, before or after the steps that it has: a number, no step."""
        filled: dict[Atom, Group] = {}
        for node in self.groups.nodes:
            if not node.is_move or self.groups.cells.of(node) is not None:
                continue
            for atom in self.groups.pieces.atoms[node]:
                known = {filled.get(read.value) for read in self.groups.entering[atom]}
                if None in known or atom in self.groups.group_of or not (known or atom.node.inputs):
                    continue
                first = next(iter(known), None)
                filled[atom] = self.groups.new("constant") if first is None else first
                self.groups.add(filled[atom], [atom])

    def _readers_of(self, number: Mapping[Node, int]) -> Mapping[int, set[int]]:
        """What reads each of some numbered ops, by their numbers; -1: anything else."""
        found: dict[int, set[int]] = defaultdict(set)
        for node, own in number.items():
            for read in self.groups.readers[Atom(node, WHOLE)]:
                found[own].add(number.get(read.reader.node, -1))
        return found

    def _made_group(
        self,
        node: Node,
        own: int,
        number: Mapping[Node, int],
        readers: Mapping[int, set[int]],
        group_of: dict[int, Group],
    ) -> Group:
        """A group for an op and for what was made for it alone."""
        kind = "derived" if node in self.groups.derived else "constant"
        before = {number[x] for x in node.tensors() if x in number and number[x] in group_of}
        alone = [one for one in sorted(before) if readers[one] == {own}]
        alone = [one for one in alone if group_of[one].kind == kind]
        if not alone:
            return self.groups.new(kind)
        group, *others = [group_of[one] for one in alone]
        for other in others:
            if other is not group and other in self.groups.groups:
                self.groups.groups.remove(other)
                self.groups.add(group, other.atoms)
                group_of |= {one: group for one, held in group_of.items() if held is other}
        return group

    def _whole_parameter(self, node: Node) -> Group | None:
        """The parameter that something only moves, a part of it or all; or the state it begins."""
        given = node.tensors()
        if not node.is_move or len(given) != 1:
            return None
        group = self.groups.group_of.get(Atom(given[0], WHOLE))
        return group if group is not None and group.kind in ("parameter", "initial") else None
