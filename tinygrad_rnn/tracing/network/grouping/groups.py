"""The groups of atoms that become blocks: what is in one, and what they read of each other."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ....autograd.state import Scope
from ....cached import cached_property
from ...recording.graph import Node
from ..copies.cells import Cells
from ..copies.copies import Copy
from ..copies.recurrence import is_moved
from ..parameters import parameter_names
from ..quotient import BlockKind
from ..timesteps.pieces import WHOLE, Atom, Pieces, RawRead
from ..timesteps.placement import Placement
from .leaves import Leaves
from .regions import derived_parameters, fed_back, loss_of, made_of_constants

_IN_COLUMNS = ("cell", "bar", "between")
FIXED = ("parameter", "derived", "constant")  # what a step is not given, but has


@dataclass(slots=True, eq=False)
class Group:
    """A block that is being made."""

    kind: BlockKind
    own: list[Atom] = field(default_factory=list[Atom])
    copy: Copy | None = None
    begins: Copy | None = None  # of an initial state the copy that it is for
    before: Node | None = None  # … or the value that its reader gets in the next step in its place
    columns: tuple[int, ...] = ()
    id: str = ""
    label: str = ""
    circles: tuple[str, ...] = ()
    carries: int | None = None  # the row whose states it hands on, where that runs backwards

    @property
    def atoms(self) -> Sequence[Atom]:
        """What is in it; of a copy that is made when it is asked for."""
        if self.copy is None:
            return self.own
        return [Atom(node, WHOLE) for node in self.copy.nodes]

    @property
    def nodes(self) -> Sequence[Node]:
        """The values that it has, or of which it has a part."""
        return [atom.node for atom in self.own] if self.copy is None else self.copy.nodes

    @property
    def only_moves(self) -> bool:
        """Whether nothing is computed in it."""
        return all(node.is_move for node in self.nodes)

    @property
    def ops(self) -> tuple[str | None, ...]:
        """The ops that made what is in it."""
        if self.copy is None:
            return tuple(atom.node.op for atom in self.own)
        return self.copy.made.ops


class Groups:
    """All atoms of a graph, and what reads what: a group for each is made by `grouped`.

    Args:
        root: what everything leads to.
        nodes: all, in creation order.
        cells: the copies among them.
        owners: id of a module that the program itself called -> its variable there.

    Attributes:
        nodes: all but what lies in one copy.
        reads: all but those that lie in one copy.
        readers: atom -> the reads of it.
        entering: atom -> the reads that made it.
        groups: the groups, of copies those of what others read, or what reads others.
        group_of: atom -> its group.
        of_copy: copy -> its group.
    """

    def __init__(
        self, root: Node, nodes: Sequence[Node], cells: Cells, owners: Mapping[int, str]
    ) -> None:
        self.cells = cells
        self.nodes = surface = cells.surface(nodes)
        self.leaves = Leaves(nodes, surface, cells)
        updated = fed_back(surface, cells)
        self.derived = derived_parameters(surface, cells, self.leaves, updated)
        self.constants = made_of_constants(surface, cells, self.leaves)
        self.loss = loss_of(surface, root, cells, self.derived, self.leaves)
        read_by_loss = {x for node in self.loss for x in node.tensors()}
        self.updated = {x: after for x, after in updated.items() if x not in read_by_loss}
        self.placement = Placement(surface, cells, self.loss, self.leaves.steady)
        made = self.derived | self.constants
        self.pieces = Pieces(surface, cells, self.loss, made, self.placement)
        self.reads = list(self._crossing_reads())
        self.readers: dict[Atom, list[RawRead]] = defaultdict(list)
        self.entering: dict[Atom, list[RawRead]] = defaultdict(list)
        for read in self.reads:
            self.readers[read.value].append(read)
            self.entering[read.reader].append(read)
        self.groups: list[Group] = []
        self.group_of: dict[Atom, Group] = {}
        self.of_copy: dict[Copy, Group] = {}
        self.dropped: set[Atom] = set()
        # what groups read, and what reads them: known when all atoms are in one
        self._sources: dict[Group, Sequence[Group]] = {}
        self._targets: dict[Group, Sequence[tuple[Group, bool]]] = {}
        self.parameter_names = parameter_names(surface, owners)
        self.containers = _containers_of(root, cells)

    @property
    def count(self) -> int:
        """How many columns there are."""
        return max((group.columns[-1] for group in self.groups if group.columns), default=-1) + 1

    def _crossing_reads(self) -> Iterator[RawRead]:
        for node in self.nodes:
            yield from self.pieces.reads(node, but_of=self.cells.of(node))

    def find_dropped(self) -> set[Atom]:
        """What is only moved, or in the loss, and then left out by those who take a part of it."""
        found: set[Atom] = set()
        for node in reversed(self.nodes[:-1]):
            if node.op is None or self.cells.of(node) is not None:
                continue
            if not (node.is_move or node in self.loss):
                continue
            for atom in self.pieces.atoms[node]:
                if all(read.reader in found for read in self.readers[atom]):
                    found.add(atom)
        return found

    def reads_in(self, group: Group) -> Iterator[RawRead]:
        """The reads within a group."""
        for atom in group.atoms:
            reads = self.entering[atom] if group.copy is None else self.pieces.reads(atom.node)
            yield from (read for read in reads if self.of(read.value) is group)

    def read_of(self, group: Group) -> Iterator[RawRead]:
        """The reads of a group's values by others."""
        reads = (read for atom in group.atoms for read in self.readers[atom])
        yield from (read for read in reads if self.group_of[read.reader] is not group)

    @cached_property
    def of_inputs(self) -> set[int]:
        """The between-blocks that are made of inputs alone, of no copy."""
        found: set[int] = set()
        for group in self.in_order():
            if all(id(source) in found for source in self.sources(group)):
                found.add(id(group))
        return found

    def is_of_no_step(self, group: Group) -> bool:
        """Whether an input is one for all steps: a sequence that is read as a whole, say."""
        if any(atom.node in self.leaves.steady for atom in group.atoms):
            return True
        if any(self.pieces.column(atom) is not None for atom in group.atoms):
            return False
        columns: set[int] = set()
        waiting, seen = [group], {id(group)}
        for one in waiting:  # grows
            for read in self.read_of(one):
                reader = self.group_of[read.reader]
                if id(reader) not in self.of_inputs:
                    columns.update(reader.columns)
                elif id(reader) not in seen:
                    seen.add(id(reader))
                    waiting.append(reader)
        return len(columns) > 1

    def of(self, atom: Atom) -> Group | None:
        """The group that an atom is in, if it is in one."""
        found = self.group_of.get(atom)
        if found is not None:
            return found
        copy = self.cells.of(atom.node)
        return None if copy is None else self.of_copy[copy]

    def moved_from(self, atom: Atom) -> Atom:
        """The value that something is, but for what only moves it."""
        while atom.node.is_move and self.cells.of(atom.node) is None:
            given = {read.value for read in self.entering[atom]}
            if len(given) != 1:
                break
            (atom,) = given
        return atom

    def seen_through(self, atom: Atom) -> Iterator[Atom]:
        """What a value was only moved from, or joined of."""
        waiting, seen = [atom], {atom}
        while waiting:
            atom = waiting.pop()
            reads = self.entering[atom]
            if not atom.node.is_move or not reads:
                yield atom
                continue
            given = dict.fromkeys(read.value for read in reversed(reads))
            waiting += [value for value in given if value not in seen]
            seen.update(given)

    def add(self, group: Group, atoms: Iterable[Atom]) -> None:
        for atom in atoms:
            group.own.append(atom)
            self.group_of[atom] = group

    def new(self, kind: BlockKind, atoms: Iterable[Atom] = (), copy: Copy | None = None) -> Group:
        group = Group(kind, copy=copy)
        self.groups.append(group)
        self.add(group, atoms)
        return group

    def states_begun(self, copy: Copy, atom: Atom) -> list[int]:
        """Which of the states of a copy a value comes in as, by their numbers."""
        states = self.cells.loops[copy.row].states[copy.made]
        waiting = list(self.readers[atom])
        entries: set[tuple[int, int]] = set()
        for read in waiting:  # grows
            node = read.reader.node
            if self.cells.of(node) is copy:
                entries.add((self.cells.place[node], read.slot))
            elif is_moved(node):
                waiting += self.readers[read.reader]
        return [k for k, own in enumerate(states) if entries.intersection(own)]

    def of_other_weights(self, alike: Iterable[Group]) -> Iterable[list[Group]]:
        """The same ops with other weights are another thing, as are those of the next layer."""
        rows: list[tuple[dict[tuple[int, int], int], list[Group]]] = []
        for group in alike:
            own = self._weights_of(group)
            for weights, groups in rows:
                if all(weights.get(place, weight) == weight for place, weight in own.items()):
                    weights |= own
                    groups.append(group)
                    break
            else:
                rows.append((own, [group]))
        return (groups for _, groups in rows)

    def _weights_of(self, group: Group) -> dict[tuple[int, int], int]:
        """What its ops read of the legend, by op and input; a first step may read more of it."""
        found: dict[tuple[int, int], int] = {}
        for i, atom in enumerate(group.atoms):
            for read in self.entering[atom]:
                source = self.group_of[read.value]
                if source.kind in ("parameter", "derived"):
                    found[i, read.slot] = id(source)
        return found

    @cached_property
    def deriving(self) -> Mapping[Node, Sequence[RawRead]]:
        """Of a parameter the reads by what is a part of it, or derived of parameters alone."""
        found: dict[Node, list[RawRead]] = defaultdict(list)
        for group in self.groups:
            for atom in group.atoms if group.kind in ("parameter", "derived") else ():
                for read in self.entering[atom]:
                    found[read.value.node].append(read)
        return found

    def sources(self, group: Group) -> Sequence[Group]:
        """What it reads and has a column."""
        found = self._sources.get(group)
        if found is None:
            reads = (read for atom in group.atoms for read in self.entering[atom])
            groups = [self.group_of[read.value] for read in reads]
            found = [one for one in groups if one is not group and one.kind in _IN_COLUMNS]
            self._sources[group] = found
        return found

    def targets(self, group: Group) -> Sequence[tuple[Group, bool]]:
        """What reads it, and whether as something else than a state."""
        found = self._targets.get(group)
        if found is None:
            reads = [read for atom in group.atoms for read in self.readers[atom]]
            groups = [(self.group_of[read.reader], not self.is_state(read)) for read in reads]
            found = self._targets[group] = [one for one in groups if one[0] is not group]
        return found

    def in_order(self) -> list[Group]:
        """The between-blocks, each after those that it reads."""
        waiting = {
            id(group): len({id(one) for one in self.sources(group) if one.kind == "between"})
            for group in self.groups
            if group.kind == "between"
        }
        free = [group for group in reversed(self.groups) if waiting.get(id(group)) == 0]
        order: list[Group] = []
        while free:
            group = free.pop()
            order.append(group)
            following = {id(to): to for to, _ in self.targets(group) if id(to) in waiting}
            for key, to in following.items():
                waiting[key] -= 1
                if not waiting[key]:
                    free.append(to)
        return order

    def is_state(self, read: RawRead) -> bool:
        """Whether a state enters a copy there."""
        return self.cells.is_state(read.reader.node, read.slot)


def _containers_of(root: Node, cells: Cells) -> set[Scope]:
    """Calls in which copies are made, or the root: they are the whole model, and no part."""
    found: set[Scope] = set(root.calls)
    for copy in cells.all:
        if copy.call is not None:
            found.update(copy.call.chain()[:-1])
        else:
            found.update(call for node in copy.nodes[:1] for call in node.calls)
    return found
