"""The outputs of a network: what crosses into the loss, or is the root; and their names."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence, Set

from ....cached import cached_property
from ...recording.graph import Node
from ..grouping.groups import Group, Groups
from ..quotient import Block, Output, element_of, indexed, says_more, timeless
from ..results import results_of
from ..timesteps.pieces import WHOLE, Atom
from .inputs import Inputs
from .naming import Naming, first_free
from .times import Times


class Outputs:
    """What is shown as an output, and what it is called.

    Args:
        groups: what stands in the picture.
        naming: the names in the program.
        inputs: what inputs are called: an output is not so called.
        times: the timesteps of what is made.
        root: what everything leads to.
    """

    def __init__(
        self, groups: Groups, naming: Naming, inputs: Inputs, times: Times, root: Node
    ) -> None:
        self.groups, self.cells, self.naming = groups, groups.cells, naming
        self.inputs, self.times, self.root = inputs, times, root

    def of(self, blocks: Mapping[int, Block]) -> Iterator[Output]:
        """What crosses into the loss; where there is none, what the root is."""
        count: dict[int | None, int] = defaultdict(int)
        for atom, used in self._leaving:
            group, column = self.groups.group_of[atom], self._column(atom)
            k = count[column]
            count[column] += 1
            own = "output" if column is None else f"output-{column}"
            name = self.names[atom]
            caption = self.naming.part_caption(atom.node, self.groups.pieces.piece(atom).where)
            if not says_more(caption, timeless(name)):
                caption = ""
            step = None if column is None else self._step(atom, column)
            yield Output(
                id=f"{own}-{k}" if k else own,
                value=self.groups.pieces.piece(atom),
                source=blocks[id(group)],
                column=column,
                label=name if step is None else indexed(name, step),
                caption=caption,
                used=used,
            )

    def _step(self, atom: Atom, column: int) -> int:
        """Its timestep; of a sequence in another order which of the program's it is."""
        made_at = self.times.made_at(self.groups.group_of[atom], column)
        return self._rows_out_of_step.get(atom, made_at)

    @cached_property
    def _rows_out_of_step(self) -> Mapping[Atom, int]:
        """Which rows of its sequences the program gave a name, where these do not follow the steps.

        As where it turned one: its logits[0] are those of the last step.
        """
        found: dict[Node, dict[Atom, tuple[int, int]]] = defaultdict(dict)
        for atom, _ in self._leaving:
            where, column = self.groups.pieces.piece(atom).where, self._column(atom)
            row = where.index[-1] if where is not None and where.index is not None else None
            if type(row) is int and column is not None and self._own_name(atom):
                made_at = self.times.made_at(self.groups.group_of[atom], column)
                found[atom.node][atom] = row, made_at
        rows: dict[Atom, int] = {}
        for those in found.values():
            if len({made_at - row for row, made_at in those.values()}) > 1:
                rows |= {atom: row for atom, (row, _) in those.items()}
        return rows

    def _column(self, atom: Atom) -> int | None:
        column = self.groups.pieces.column(atom) if atom.label != WHOLE else None
        columns = self.groups.group_of[atom].columns
        return columns[-1] if column is None and columns else column

    @cached_property
    def names(self) -> Mapping[Atom, str]:
        """What each output is called, without its step: two of one column have two names.

        What is the same in several columns has the same name in all of them.
        """
        own = {atom: self._own_name(atom) for atom, _ in self._leaving}
        nameless = [atom for atom, name in own.items() if not name]
        alone = (
            len({self.naming.path_in(self.groups.group_of[atom].nodes) for atom in nameless}) == 1
        )
        own |= {atom: self.name_of_nameless(atom, alone=alone) for atom in nameless}
        alike: dict[str, dict[Hashable, list[Atom]]] = defaultdict(lambda: defaultdict(list))
        count: Counter[Hashable] = Counter()  # a block may make several in one column
        for atom, name in own.items():
            row = self.groups.group_of[atom].id.rpartition("-")[0]
            place = id(self.groups.group_of[atom]), self._column(atom)
            alike[name][row, count[place]].append(atom)
            count[place] += 1
        primed: dict[Atom, str] = {}
        for name, several in alike.items():
            taken: list[set[int | None]] = []  # the columns that have the name, the name′ …
            for atoms in several.values():
                k = first_free(taken, set(map(self._column, atoms)))
                primed |= dict.fromkeys(atoms, name + "′" * k)
        return {atom: primed[atom] for atom in own}

    @cached_property
    def _leaving(self) -> list[tuple[Atom, bool]]:
        """What is shown as an output, and whether the root was made of it."""
        found: dict[Atom, bool] = {}
        for read in self.groups.reads:
            group = self.groups.group_of[read.value]
            if self.groups.group_of[read.reader].kind != "loss" or group.kind == "loss":
                continue
            if read.reader in self.groups.dropped:
                continue
            if group.copy is not None or group.kind in ("between", "bar"):
                found[read.value] = True
        if not self.groups.loss:
            found |= dict.fromkeys(self._results(), True)
        for group in self.groups.groups:
            if group.copy is not None or (group.kind == "between" and not group.only_moves):
                found |= {atom: False for atom in self._ends(group) if self._leads_nowhere(atom)}
        return list(found.items())

    def _ends(self, group: Group) -> Iterable[Atom]:
        """What a block makes and, if it is a copy, does not use itself."""
        copy = group.copy
        if copy is None:
            return group.own
        return [Atom(copy.nodes[i], WHOLE) for i in copy.made.ends]

    def _leads_nowhere(self, atom: Atom) -> bool:
        """Whether nobody else reads what a block makes, but for what is then left out."""
        groups = self.groups
        readers = [read.reader for read in groups.readers[atom]]
        if atom.node is self.root or (not readers and self.cells.of(atom.node) is not None):
            return False
        own = groups.group_of[atom]
        return all(one in groups.dropped and groups.group_of[one] is not own for one in readers)

    def _results(self) -> list[Atom]:
        """What the root is: of several results that were put together, each."""
        roots = results_of(self.root)
        atoms = [atom for root in roots for atom in self.groups.pieces.atoms[root]]
        if len(roots) < 2:
            return atoms
        return list(dict.fromkeys(one for atom in atoms for one in self.groups.seen_through(atom)))

    def _own_name(self, atom: Atom) -> str:
        """The name of the state that an output is, else the program's; "" of what has none."""
        state = self.naming.state_name(atom.node)
        if state:
            return state
        where = self.groups.pieces.piece(atom).where
        caption = self.naming.part_caption(atom.node, where)
        name = "" if self.naming.is_titled(atom.node, where) else element_of(timeless(caption))
        if name and name in self._names_in_row(atom):  # of a copy that hands on none of its states
            return name
        return name if name.isidentifier() and name not in self._other_names else ""

    def _names_in_row(self, atom: Atom) -> Sequence[str]:
        """What the states of the copies are called of which one makes a value."""
        copy = self.cells.of(atom.node)
        return () if copy is None else self.naming.states[id(self.cells.loops[copy.row])]

    def name_of_nameless(self, atom: Atom, *, alone: bool) -> str:
        """What an output is called that the program does not name.

        It is y where nothing else is; of several outputs each is called as the module that makes
        it.
        """
        taken = self._other_names | self._names_of_others
        made_by = self.naming.module(self.groups.moved_from(atom).node)
        made_by = made_by or self.naming.path_in(self.groups.group_of[atom].nodes)
        if not alone and made_by.isidentifier() and made_by not in taken:
            return made_by
        return next((name for name in ("y", "out", "output") if name not in taken), "result")

    @cached_property
    def _names_of_others(self) -> Set[str]:
        """What the program calls values that are no outputs, and the one of several such."""
        atoms = [atom for atom, _ in self._leaving]
        moved = (one for atom in atoms for one in self.groups.seen_through(atom))
        return self.naming.names_but(atom.node for atom in (*atoms, *moved))

    @cached_property
    def _other_names(self) -> set[str]:
        """What outputs must not be called: the names of states, inputs and targets.

        But for what stands for an output, before there is one.
        """
        found = {name for names in self.naming.states.values() for name in names} | {"L"}
        for group in self.groups.groups:
            if group.kind not in ("input", "target"):
                continue
            if group.atoms[0].node not in self.naming.fed_back:
                found.add(element_of(self.inputs.names(group)))
        return found
