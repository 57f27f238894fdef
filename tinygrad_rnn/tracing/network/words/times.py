"""In which timestep what stands in a picture was made."""

from ...recording.graph import Node
from ..copies.copies import Copy
from ..grouping.groups import Group, Groups
from .naming import Naming


class Times:
    """The timesteps that a picture has in the names of what stands in it.

    Args:
        groups: what stands in it.
        naming: the timesteps of copies.
    """

    def __init__(self, groups: Groups, naming: Naming) -> None:
        self.groups, self.cells, self.naming = groups, groups.cells, naming

    def of(self, group: Group) -> int | None:
        """The timestep of a group, where it has one."""
        if group.copy is not None:
            return self.naming.time(group.copy)
        if group.begins is not None:
            return self.naming.time_before(group.begins)
        if group.kind == "initial":
            return self.naming.time_in(group.columns[0]) - 1
        if group.kind in ("between", "input") and len(group.columns) == 1:
            return self.made_at(group, group.columns[0])
        return None

    def of_node(self, node: Node) -> int | None:
        """The timestep of what a copy made."""
        copy = self.cells.of(node)
        return None if copy is None else self.naming.time(copy)

    def made_at(self, group: Group, column: int) -> int:
        """The timestep of the highest copy of its column that it is made of.

        A slow row counts its own steps: they are the output's only where it reads nothing quicker.
        """
        placement = self.groups.placement
        waiting, seen, made_of = [group], {id(group)}, list[Copy]()
        while waiting:
            group = waiting.pop()
            copy = group.copy
            if copy is not None:
                if placement.columns[copy] == column and not placement.reversed(copy):
                    made_of.append(copy)
                continue
            reads = (read for atom in group.atoms for read in self.groups.entering[atom])
            for below in (self.groups.group_of[read.value] for read in reads):
                if id(below) not in seen and below.kind in ("cell", "between", "bar"):
                    seen.add(id(below))
                    waiting.append(below)
        if not made_of:
            return self.naming.time_in(column)
        quick = [copy for copy in made_of if copy.row not in placement.slow]
        return self.naming.time(max(quick or made_of, key=lambda copy: copy.row))
