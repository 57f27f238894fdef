"""The reads across between blocks: which there are, and of which kind their arrow is."""

from collections import defaultdict
from collections.abc import Sequence

from ..recording.graph import Node
from .copies.recurrence import is_light
from .grouping.groups import Group, Groups
from .quotient import ArrowKind
from .timesteps.pieces import Atom, RawRead


class Arrows:
    """The reads of one group's values by another one: what the arrows of a picture are made of.

    Args:
        groups: all atoms of a graph in their groups, and these in their columns.
        root: what everything leads to.

    Attributes:
        between: (id of a group, id of one that reads it) -> those reads, which are one arrow.
        dropped: the reads that lead to nothing.
        shown: id of a group -> what is read of it by another one, or is the root.
        sources: id of a group -> how many others it reads, seen through what only moves a value.
    """

    def __init__(self, groups: Groups, root: Node) -> None:
        self.groups, self.cells = groups, groups.cells
        self.between: dict[tuple[int, int], list[RawRead]] = {}
        self.dropped: list[RawRead] = []
        self.shown: dict[int, set[Atom]] = defaultdict(set)
        for read in groups.reads:
            source, target = groups.group_of[read.value], groups.group_of[read.reader]
            if source is target:
                continue
            if read.reader in groups.dropped:
                self.dropped.append(read)
            else:
                self.between.setdefault((id(source), id(target)), []).append(read)
        sources: dict[int, set[int]] = defaultdict(set)
        for (a, b), reads in self.between.items():
            self.shown[a].update(read.value for read in reads)
            values = {groups.moved_from(read.value) for read in reads}
            sources[b].update(id(groups.group_of[value]) for value in values)
        self.sources = {b: len(others) for b, others in sources.items()}
        for atom in (*groups.pieces.atoms[root], *(read.value for read in self.dropped)):
            self.shown[id(groups.group_of[atom])].add(atom)

    def kind(self, reads: Sequence[RawRead]) -> ArrowKind:
        source = self.groups.group_of[reads[0].value]
        target = self.groups.group_of[reads[0].reader]
        match source.kind, target.kind:
            case ("parameter" | "derived" | "constant", _):
                return "parameter"
            case (_, "loss"):
                return "loss"
            case ("initial", _):
                return "initial"
            case ("input", _):
                return "input"
            case ("bar", _):
                return "tap"
            case (_, "bar"):
                return "up"
            case _:
                pass
        if self._is_message(source, target, reads):
            return "message"
        return "up" if source.columns[-1] == target.columns[0] else "other"

    def _is_message(self, source: Group, target: Group, reads: Sequence[RawRead]) -> bool:
        """Whether a state goes on there: to a copy, or beside them from one column to another."""
        if target.copy is None:
            return self._goes_on_beside(source, target)
        if any(self.groups.is_state(read) for read in reads):
            return source.copy is None or source.copy in target.copy.before
        return False

    def _goes_on_beside(self, source: Group, target: Group) -> bool:
        """Whether what is no state of a copy is handed on to where the same is done to it again."""
        if source.ops != target.ops or source.columns >= target.columns:
            return False
        if any(map(self.groups.is_state, self.groups.read_of(source))):
            return False
        return all(is_light(atom.node) for atom in target.atoms)

    def read_of(self, group: Group) -> Sequence[Atom]:
        """What others read of a group, and the root, in the order of creation."""
        shown = self.shown[id(group)]
        if group.copy is None:
            return [atom for atom in group.own if atom in shown]
        return sorted(shown, key=lambda atom: self.cells.place[atom.node])
