"""Initial states of what no copy carries: values that are fed back beside the copies."""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence

from ...recording.graph import Node
from ..copies.sites import places_of
from ..timesteps.pieces import RawRead
from .groups import Group, Groups


class FedBack:
    """Finds initial states among the inputs.

    Args:
        groups: all of them, in their columns.
    """

    def __init__(self, groups: Groups) -> None:
        self.groups = groups

    def find(self) -> None:
        """Tell initial states among the inputs that are read beside the copies.

        What is read at the same place in later columns was made in a column before: it is fed back,
        and this is what it is at first.
        """
        alike: dict[object, list[Group]] = defaultdict(list)
        for group in self.groups.groups:
            if group.kind == "between" and len(group.columns) == 1:
                alike[_row_key(group)].append(group)
        rows: dict[int, list[Group]] = {}
        for row in (
            row for groups in alike.values() for row in self.groups.of_other_weights(groups)
        ):
            row.sort(key=lambda group: group.columns)
            rows |= {id(group): row for group in row}
        count = 0
        for group in self.groups.groups:
            if group.before is not None:
                read = (read for atom in group.atoms for read in self.groups.readers[atom])
                group.columns = (min(self.groups.group_of[one.reader].columns[0] for one in read),)
                group.id = f"initial-fed-{count}"
                count += 1
            if group.kind != "input" or len(group.atoms) != 1:
                continue
            reads = self.groups.readers[group.atoms[0]]
            if all(self._read_later(read, rows) for read in reads):
                group.kind, group.before = "initial", self._read_later(reads[0], rows)
                group.columns = min(self.groups.group_of[read.reader].columns for read in reads)
                group.id = f"initial-fed-{count}"
                count += 1

    def _read_later(self, read: RawRead, rows: Mapping[int, Sequence[Group]]) -> Node | None:
        """Return what is read at the same place next, if it is always fed back."""
        reader = self.groups.group_of[read.reader]
        alike = rows.get(id(reader), ())
        if not alike or self._is_moved(reader):
            return None
        place = reader.atoms.index(read.reader), read.slot
        if not self._fed_back(alike[-1], *place):
            return None  # soon known of most, and there may be as many as steps
        later = [one for one in alike if one.columns > reader.columns]
        given = [self._fed_back(one, *place) for one in later]
        return given[0] if given and all(given) else None

    def _is_moved(self, group: Group) -> bool:
        """Whether a block is one value of another one, moved."""
        entering = [read.value for atom in group.atoms for read in self.groups.entering[atom]]
        given = {value for value in entering if self.groups.group_of[value] is not group}
        return len(given) < 2 and all(atom.node.is_move for atom in group.atoms)

    def _fed_back(self, group: Group, place: int, slot: int) -> Node | None:
        """Return what a block reads at a place, if it was made of an earlier column's values."""
        for read in self.groups.entering[group.atoms[place]]:
            source = self.groups.group_of[read.value]
            if read.slot == slot and self._is_carried(source, group.columns[0]):
                return read.value.node
        return None

    def _is_carried(self, group: Group, column: int) -> bool:
        """Whether of what copies made only that of earlier columns comes to a column by a block."""
        waiting, seen, found = [group], {id(group)}, False
        for one in waiting:  # grows
            if one.kind in ("cell", "between") and one.columns[-1] < column:
                found = True
            elif one.kind == "between":
                fresh = {id(to): to for to in self.groups.sources(one) if id(to) not in seen}
                seen.update(fresh)
                waiting += fresh.values()
            else:
                return False
        return found


def _row_key(group: Group) -> Hashable:
    """Equal for blocks of the same ops, made at the same place of the program if that is known."""
    return group.ops, places_of(group.atoms[-1].node, 1)
