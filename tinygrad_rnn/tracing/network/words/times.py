"""In which timestep what stands in a picture was made."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from ....cached import cached_property
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
        What is made once in each step of an outer loop has the number of that step.
        """
        if id(group) in self._made_once:
            return self._made_once[id(group)]
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

    @cached_property
    def outer_steps(self) -> Sequence[Sequence[range]]:
        """The columns of each step of outer loops; of several rows that have such the lowest."""
        steps: dict[int, dict[object, list[int]]] = defaultdict(lambda: defaultdict(list))
        for copy, step in self.cells.step_of.items():
            steps[copy.row][step].append(self.groups.placement.columns[copy])
        known: set[int] = set()
        found: list[Sequence[range]] = []
        for of_row in steps.values():
            spans = [range(min(columns), max(columns) + 1) for columns in of_row.values()]
            if all(known.isdisjoint(span) for span in spans):
                known.update(*spans)
                found.append(spans)
        return found

    @cached_property
    def _made_once(self) -> Mapping[int, int]:
        """Of the blocks of a row that has one at most in each step of an outer loop: that step."""
        step_of = {
            column: step
            for spans in self.outer_steps
            for step, columns in enumerate(spans)
            for column in columns
        }
        rows: dict[str, list[Group]] = defaultdict(list)
        for group in self.groups.groups:
            if group.kind == "between" and len(group.columns) == 1:
                rows[group.id.rpartition("-")[0]].append(group)
        found: dict[int, int] = {}
        for groups in rows.values():
            known = {
                id(group): step_of[group.columns[0]]
                for group in groups
                if group.columns[0] in step_of
            }
            if len(known) == len(groups) == len(set(known.values())):
                found |= known
        return found
