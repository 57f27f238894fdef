"""In which column each group stands that is no copy."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from ....cached import cached_property
from ...recording.graph import Node
from ..copies.copies import Copy
from ..copies.turns import Turn
from ..timesteps.pieces import WHOLE
from .groups import Group, Groups


class Columns:
    """Places the groups that are no copies.

    Args:
        groups: all of them; the copies stand in their columns.
    """

    def __init__(self, groups: Groups) -> None:
        self.groups = groups

    def place_between(self) -> None:
        """The blocks between the copies, and the ends of the bars that they feed."""
        self._place_between()
        while self._stretch_bars():
            self._place_between()

    def place_leaves(self) -> None:
        """Inputs and initial states, in the columns of what reads them."""
        self._place_inputs()
        self._place_initial()

    def _place_between(self) -> None:
        """After what they read; or with the copies that they feed, if it is these alone.

        What is made of inputs alone is there before the first copy that depends on it.
        """
        between = self.groups.in_order()
        needed = self._columns_of_need(between)
        self._find_carriers(between)
        for group in between:
            if group.carries is not None:
                self._place_carrier(group)
            else:
                self._place_after_sources(group, needed)
        late: set[int] = set()
        for group in reversed(between):
            if group.carries is not None:
                continue
            targets = self.groups.targets(group)
            if targets and all(feeds and self._is_late(to, late) for to, feeds in targets):
                late.add(id(group))
                group.columns = (min(to.columns[0] for to, _ in targets),)
        for group in between:
            if group.carries is not None or id(group) in self.groups.of_inputs:
                continue
            if id(group) not in late:  # what it reads may have been placed in its turn by now
                self._place_after_sources(group, needed)
            self._place_in_its_turn(group, is_late=id(group) in late)

    def _place_after_sources(self, group: Group, needed: Mapping[int, int]) -> None:
        known = [column for source in self.groups.sources(group) for column in source.columns[-1:]]
        parts = [atom for atom in group.atoms if atom.label != WHOLE or not known]
        times = [self.groups.pieces.column(atom) for atom in parts]
        known += [time for time in times if time is not None]
        known += self._columns_of_inputs(group)
        column = max(known, default=0)
        if not known:
            column = self._column_of_its_turn(group) or 0
        elif id(group) in self.groups.of_inputs:
            column = min(column, needed.get(id(group), column))
        group.columns = (column,)

    def _columns_of_need(self, between: Sequence[Group]) -> Mapping[int, int]:
        """Of blocks the column of the first copy that depends on them, if one does."""
        found: dict[int, int] = {}
        for group in reversed(between):
            columns: list[int] = []
            for to, _ in self.groups.targets(group):
                if to.copy is not None:
                    columns += to.columns
                elif id(to) in found:
                    columns.append(found[id(to)])
            if columns:
                found[id(group)] = min(columns)
        return found

    def _place_in_its_turn(self, group: Group, is_late: bool) -> None:
        """Where several columns may be meant: with the copies that the same turn of a loop made.

        What is done to a state before the next copy has the step of that, what masks it afterwards
        has not. What is made for the next step is left there, but for what reads an input of this.
        """
        first = max((source.columns[-1] for source in self.groups.sources(group)), default=0)
        last = min(
            (to.columns[0] for to, _ in self.groups.targets(group) if to.columns), default=-1
        )
        if first > last:
            return
        column = self._column_of_its_turn(group)
        if column is None or not first <= column <= last:
            return
        if not is_late or self._reads_input_of_its_own(group, column):
            group.columns = (column,)

    def _column_of_its_turn(self, group: Group) -> int | None:
        """The column of the copies that one turn of a loop made, and all of a group, too."""
        made = [atom.node for atom in group.atoms if not atom.node.is_move]
        meant = set(map(self._column_in_program, made))
        return meant.pop() if len(meant) == 1 else None

    def _reads_input_of_its_own(self, group: Group, column: int) -> bool:
        """Whether it reads an input that only what was made in the same turn reads."""
        for value in {read.value for atom in group.atoms for read in self.groups.entering[atom]}:
            is_input = self.groups.group_of[value].kind == "input"
            if is_input and self.groups.pieces.column(value) is None:
                readers = (read.reader.node for read in self.groups.readers[value])
                if {self._column_in_program(reader) for reader in readers} == {column}:
                    return True
        return False

    def _column_in_program(self, node: Node) -> int | None:
        """The column of the copies that a turn of a loop made, in which a value was made too."""
        copy, turn = self.groups.cells.of(node), self.groups.cells.turns.get(node)
        if copy is not None:
            return self.groups.placement.columns[copy]
        around = reversed(turn.chain()) if turn is not None else ()
        return next(
            (self._columns_of_turns[one] for one in around if one in self._columns_of_turns), None
        )

    @cached_property
    def _columns_of_turns(self) -> Mapping[Turn, int | None]:
        """Of the turns that copies were made in their column; None where they have several.

        A slow row has columns of its own only where no other has a copy in the turn.
        """
        found = self._columns_of_copies(one for one in self.groups.cells.all if self._is_slow(one))
        return found | self._columns_of_copies(
            x for x in self.groups.cells.all if not self._is_slow(x)
        )

    def _is_slow(self, copy: Copy) -> bool:
        return copy.row in self.groups.placement.slow

    def _columns_of_copies(self, copies: Iterable[Copy]) -> dict[Turn, int | None]:
        """The columns of the turns that some copies were made in."""
        found: dict[Turn, int | None] = {}
        for copy in copies:
            column, turn = (
                self.groups.placement.columns[copy],
                self.groups.cells.turns.get(copy.nodes[0]),
            )
            for one in turn.chain() if turn is not None else ():
                found[one] = column if found.get(one, column) == column else None
        return found

    def _columns_of_inputs(self, group: Group) -> list[int]:
        """The columns of the slices of leaves that it reads: none after those that it feeds."""
        reads = [read for atom in group.atoms for read in self.groups.entering[atom]]
        inputs = [one.value for one in reads if self.groups.group_of[one.value].kind == "input"]
        columns = [self.groups.pieces.column(atom) for atom in inputs]
        last = min((to.columns[0] for to, _ in self.groups.targets(group) if to.copy), default=None)
        return [c for c in columns if c is not None and (last is None or c <= last)]

    def _stretch_bars(self) -> bool:
        """Let each bar reach to the last of what feeds it; whether one had to."""
        stretched = False
        for group in self.groups.groups:
            if group.kind == "bar" and group.columns:
                last = max(
                    (one.columns[-1] for one in self.groups.sources(group) if one.columns),
                    default=0,
                )
                if last > group.columns[-1]:
                    group.columns = (*group.columns, last)
                    stretched = True
        return stretched

    def _find_carriers(self, between: Sequence[Group]) -> None:
        """What hands on the states of a row that runs backwards: it does so, too."""
        for group in reversed(between):
            for to, feeds in self.groups.targets(group):
                if to.carries is not None:
                    group.carries = to.carries
                elif not feeds and to.copy is not None and self.groups.placement.reversed(to.copy):
                    group.carries = to.copy.row
            for copy in map(
                self.groups.placement.carriers.get, (atom.node for atom in group.atoms)
            ):
                if copy is not None:
                    group.carries = copy.row
        for group in between:  # what the row begins with comes from elsewhere
            rows = {one.copy.row if one.copy else one.carries for one in self.groups.sources(group)}
            if group.carries not in rows:
                group.carries = None

    def _place_carrier(self, group: Group) -> None:
        """With the last of the copies that it hands on: the leftmost."""
        found: list[int] = []
        for source in self.groups.sources(group):
            row = source.copy.row if source.copy is not None else source.carries
            if row == group.carries:
                found += source.columns[:1]
        own = [self.groups.pieces.column(atom) for atom in group.atoms]
        known = [column for column in own if column is not None]
        group.columns = (min(found, default=max(known, default=0)),)

    def _is_late(self, group: Group, late: set[int]) -> bool:
        return group.copy is not None or id(group) in late

    def _place_initial(self) -> None:
        """With the first copy of its chain, or with what reads it before that."""
        for group in self.groups.groups:
            if group.begins is not None:
                reads = (read for atom in group.atoms for read in self.groups.readers[atom])
                copies = [self.groups.cells.of(read.reader.node) for read in reads]
                columns = [
                    self.groups.placement.columns[copy] for copy in copies if copy is not None
                ]
                group.columns = (min([self.groups.placement.columns[group.begins], *columns]),)

    def _place_inputs(self) -> None:
        count: dict[int, int] = defaultdict(int)
        for group in self.groups.groups:
            if group.kind != "input":
                continue
            columns: set[int] = set()
            for atom in group.atoms:
                for read in self.groups.readers[atom]:
                    columns |= set(self.groups.group_of[read.reader].columns[:1])
                own = self.groups.pieces.column(atom)
                if atom.label != WHOLE and own is not None:
                    columns = {own}
            group.columns = tuple(sorted(columns)) or (0,)
            ids: list[str] = []
            for column in group.columns:
                k = count[column]
                count[column] += 1
                ids.append(f"input-{column}-{k}" if k else f"input-{column}")
            group.circles = tuple(ids)
            group.id = ids[0]
