"""Which block every piece belongs to: the groups of atoms of a graph."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np

from ...autograd.state import Scope
from ..recording.graph import Node
from .beginnings import STATE
from .cells import Cells
from .copies import Copy
from .leaves import Leaves
from .parameters import parameter_names
from .pieces import BAR, WHOLE, Atom, Pieces, RawRead
from .placement import Placement
from .quotient import BlockKind
from .recurrence import is_moved
from .regions import alike, derived_parameters, fed_back, loss_of, made_of_constants
from .sites import Sites, places_of
from .turns import Turn

_IN_COLUMNS = ("cell", "bar", "between")


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
    """All atoms of a graph, sorted into groups: of copies those that others read, or read others.

    Args:
        root: what everything leads to.
        nodes: all, in creation order.
        cells: the copies among them.
        owners: id of a module that the program itself called -> its variable there.
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
        # but for those that lie in one copy
        self.reads = list(self.crossing_reads())
        self.readers: dict[Atom, list[RawRead]] = defaultdict(list)
        self.entering: dict[Atom, list[RawRead]] = defaultdict(list)
        for read in self.reads:
            self.readers[read.value].append(read)
            self.entering[read.reader].append(read)
        self.groups: list[Group] = []
        self.group_of: dict[Atom, Group] = {}
        self.of_copy: dict[Copy, Group] = {}
        # what groups read, and what reads them: known when all atoms are in one
        self._sources: dict[Group, Sequence[Group]] = {}
        self._targets: dict[Group, Sequence[tuple[Group, bool]]] = {}
        self.parameter_names = parameter_names(surface, owners)
        self.containers = containers_of(root, cells)
        self.group_copies()
        self.group_loss()
        self.parameters: dict[int, Group] = {}
        self.inputs: dict[Atom, Group] = {}
        self.group_leaves()
        self.group_made()
        self.group_filled()
        self.group_bars()
        self.group_between()
        self.place_between()
        while self.stretch_bars():
            self.place_between()
        self.find_fed_back()
        self.place_inputs()
        self.place_initial()
        self.dropped = self.find_dropped()

    @property
    def count(self) -> int:
        """How many columns there are."""
        return max((group.columns[-1] for group in self.groups if group.columns), default=-1) + 1

    def crossing_reads(self) -> Iterator[RawRead]:
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

    # Groups

    def add(self, group: Group, atoms: Iterable[Atom]) -> None:
        for atom in atoms:
            group.own.append(atom)
            self.group_of[atom] = group

    def new(self, kind: BlockKind, atoms: Iterable[Atom] = (), copy: Copy | None = None) -> Group:
        group = Group(kind, copy=copy)
        self.groups.append(group)
        self.add(group, atoms)
        return group

    def group_copies(self) -> None:
        for copy in self.cells.all:
            group = self.of_copy[copy] = self.new("cell", copy=copy)
            group.id = f"cell-{copy.row}-{copy.t}"
            group.columns = (self.placement.columns[copy],)
        met = [Atom(node, WHOLE) for node in self.nodes if self.cells.of(node) is not None]
        for atom in (*met, *self.readers):
            copy = self.cells.of(atom.node)
            if copy is not None:
                self.group_of[atom] = self.of_copy[copy]

    def group_loss(self) -> None:
        if self.loss:
            own = (node for node in self.nodes if node in self.loss)
            group = self.new("loss", [atom for node in own for atom in self.pieces.atoms[node]])
            group.id, group.label = "loss", "L"

    def group_leaves(self) -> None:
        """Leaves, and what is made of parameters and constants alone."""
        initial: dict[Copy, Group] = {}
        constants: dict[Node, Group] = {}
        leaves = [node for node in self.nodes if node.op is None]
        # what is a part of them may be found among the others
        for node in sorted(leaves, key=self.cells.joined.__contains__):
            for atom in self.pieces.atoms[node]:
                begun = self.begins(atom)
                if begun is not None:
                    if begun not in initial:
                        initial[begun] = self.new("initial")
                        t = f"-{begun.t}" if begun.t else ""
                        initial[begun].begins = begun
                        initial[begun].id = f"initial-{begun.row}{t}"
                    self.add(initial[begun], [atom])
                elif node in self.updated:
                    group = self.new("initial", [atom])
                    group.before = self.updated[node]
                elif node.is_parameter:
                    self.add(self.parameter(node), [atom])
                else:
                    self.group_input(atom, constants)
        for copy, group in initial.items():
            if len(group.atoms) > 1:
                group.own.sort(key=partial(self.states_begun, copy))

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

    def parameter(self, node: Node) -> Group:
        """One block a parameter: where it was updated in between, each of its values is a piece."""
        if node.id not in self.parameters:
            group = self.parameters[node.id] = self.new("parameter")
            group.label = self.parameter_names.get(node.id, "parameter")
            group.id = f"parameter-{group.label}"
        return self.parameters[node.id]

    def group_made(self) -> None:
        """What is made of parameters and constants alone: a part of a parameter belongs to it.

        What is made anew at each step is one thing, and so is what is made for one thing alone.
        """
        made = [node for node in self.nodes if node in self.derived or node in self.constants]
        number = alike(made, self.leaves.same_as)
        readers = self.readers_of(number)
        group_of: dict[int, Group] = {}
        for node in made:
            whole = self.whole_parameter(node)
            if whole is not None:
                self.add(whole, [Atom(node, WHOLE)])
                continue
            own = number[node]
            if own not in group_of:
                group_of[own] = self.made_group(node, own, number, readers, group_of)
            self.add(group_of[own], [Atom(node, WHOLE)])

    def group_filled(self) -> None:
        """What fills a sequence up, before or after the steps that it has: a number, no step."""
        filled: dict[Atom, Group] = {}
        for node in self.nodes:
            if not node.is_move or self.cells.of(node) is not None:
                continue
            for atom in self.pieces.atoms[node]:
                known = {filled.get(read.value) for read in self.entering[atom]}
                if None in known or atom in self.group_of or not (known or atom.node.inputs):
                    continue
                first = next(iter(known), None)
                filled[atom] = self.new("constant") if first is None else first
                self.add(filled[atom], [atom])

    def readers_of(self, number: Mapping[Node, int]) -> Mapping[int, set[int]]:
        """What reads each of some numbered ops, by their numbers; -1: anything else."""
        found: dict[int, set[int]] = defaultdict(set)
        for node, own in number.items():
            for read in self.readers[Atom(node, WHOLE)]:
                found[own].add(number.get(read.reader.node, -1))
        return found

    def made_group(
        self,
        node: Node,
        own: int,
        number: Mapping[Node, int],
        readers: Mapping[int, set[int]],
        group_of: dict[int, Group],
    ) -> Group:
        """A group for an op and for what was made for it alone."""
        kind = "derived" if node in self.derived else "constant"
        before = {number[x] for x in node.tensors() if x in number and number[x] in group_of}
        alone = [one for one in sorted(before) if readers[one] == {own}]
        alone = [one for one in alone if group_of[one].kind == kind]
        if not alone:
            return self.new(kind)
        group, *others = [group_of[one] for one in alone]
        for other in others:
            if other is not group and other in self.groups:
                self.groups.remove(other)
                self.add(group, other.atoms)
                group_of |= {one: group for one, held in group_of.items() if held is other}
        return group

    def whole_parameter(self, node: Node) -> Group | None:
        """The parameter that something only moves, a part of it or all; or the state it begins."""
        given = node.tensors()
        if not node.is_move or len(given) != 1:
            return None
        group = self.group_of.get(Atom(given[0], WHOLE))
        return group if group is not None and group.kind in ("parameter", "initial") else None

    def begins(self, atom: Atom) -> Copy | None:
        """The first copy of a chain whose state it is at first."""
        parts, own = self.cells.joined.get(atom.node), self.pieces.slices.get(atom)
        if parts is not None and own is not None and (own.of(parts) != STATE).any():
            return None
        if own is not None and atom.node in self.cells.begun:
            return self.cells.begun[atom.node]
        waiting = list(self.readers[atom])
        for read in waiting:  # grows
            copy = self.cells.of(read.reader.node)
            if copy is None and is_moved(read.reader.node):
                waiting += self.readers[read.reader]
            elif copy is not None and not copy.before and self.is_state(read):
                return copy
        return None

    def group_input(self, atom: Atom, constants: dict[Node, Group]) -> None:
        known = self.given_by_another(atom)
        if known is not None:
            self.add(known, [atom])
            return
        readers = [read.reader for read in self.readers[atom]]
        groups = [self.group_of.get(reader) for reader in readers]
        if readers and all(group is not None and group.kind == "loss" for group in groups):
            self.new("target", [atom])
        elif not readers or self.leaves.is_constant(atom.node):
            first = self.leaves.same_as.get(atom.node, atom.node)
            if first not in constants:
                constants[first] = self.new("constant")
            self.add(constants[first], [atom])
        else:
            whole = self.as_slice(atom)
            if whole not in self.inputs:
                self.inputs[whole] = self.new("input")
            self.add(self.inputs[whole], [atom])

    def as_slice(self, atom: Atom) -> Atom:
        """Of a leaf that is a slice of another one, which is cut, that slice."""
        if atom.node not in self.placement.slice_of:
            return atom
        whole, token = self.placement.slice_of[atom.node]
        cut = Atom(whole, self.placement.times.find(token))
        return cut if cut in self.pieces.slices else atom

    def given_by_another(self, atom: Atom) -> Group | None:
        """Of a part of a joined array the input or constant that it is, where it is known."""
        value = self.cells.given.get(atom.node)
        if value is None or value.op is not None:
            return None
        group = self.group_of.get(Atom(value, WHOLE))
        if group is None or group.kind not in ("input", "constant"):
            return None
        part = self.pieces.slices[atom].of(atom.node.data)
        same = np.array_equal(np.ravel(part), np.ravel(value.data), equal_nan=True)
        read_here = self.cells.of(self.readers[atom][0].reader.node) in self.copies_reading(group)
        return group if same and (read_here or group.kind == "constant") else None

    def copies_reading(self, group: Group) -> set[Copy | None]:
        reads = (read for atom in group.atoms for read in self.readers[atom])
        return {self.cells.of(read.reader.node) for read in reads}

    def group_bars(self) -> None:
        """Values of which another op reads three columns or more."""
        for node in self.nodes:
            atoms = self.pieces.atoms[node]
            if node.op is None or atoms[0] in self.group_of or atoms[0].label < WHOLE:
                continue
            if self.pieces.is_whole_sequence(node):
                self.new("bar", atoms).columns = self.pieces.times_of(node)
            elif len(atoms) >= BAR and any(map(self.reads_all(atoms), self.whole_readers(atoms))):
                columns = {self.pieces.column(atom) for atom in atoms}
                self.new("bar", atoms).columns = tuple(sorted(c for c in columns if c is not None))

    def whole_readers(self, atoms: Sequence[Atom]) -> Iterator[Atom]:
        """The uncut ops that read a value's first piece."""
        for read in self.readers[atoms[-1]]:
            if read.reader.label == WHOLE and read.reader.node not in self.loss:
                yield read.reader

    def reads_all(self, atoms: Sequence[Atom]) -> Callable[[Atom], bool]:
        """Ask of a reader whether it reads so many pieces of a value that these are a bar."""

        def reads_all(reader: Atom) -> bool:
            count = 0
            for atom in atoms:
                count += any(read.reader == reader for read in self.readers[atom])
                if count >= BAR:
                    return True
            return False

        return reads_all

    def group_between(self) -> None:
        """All others: together where they depend on the same and lead to the same.

        Neighbours that are apart in one column are so in all: the last steps of a sequence, where
        nothing follows, are divided as the others are.
        """
        keys = self.keys()
        inside = [read for read in self.reads if read.value in keys and read.reader in keys]
        sites = Sites()
        joints = {
            read: sites.joint(read.reader.node, read.slot, read.value.node) for read in inside
        }
        apart = {joints[read] for read in inside if keys[read.value] != keys[read.reader]}
        together = [read for read in inside if keys[read.value] == keys[read.reader]]
        together = [read for read in together if not self.is_passed_to_several(read.value)]
        groups = _joined(keys, [read for read in together if joints[read] not in apart])
        if not _is_acyclic(groups, inside):
            groups = _joined(keys, together)
        for block in self.with_weighed(self.with_whole_calls(groups, together), sites):
            for atoms in self.without_passing(block):
                self.new("between", atoms)

    def is_passed_to_several(self, atom: Atom) -> bool:
        """Whether several read what a copy, say, made, and is only moved: they share nothing else.

        Two heads on a stacked sequence are two blocks.
        """
        if len({read.reader for read in self.readers[atom]}) < 2:
            return False
        while atom not in self.group_of:
            given = {read.value for read in self.entering[atom]}
            if not atom.node.is_move or len(given) != 1:
                return False
            (atom,) = given
        return True

    def without_passing(self, atoms: list[Atom]) -> Iterator[list[Atom]]:
        """A block, and apart from it what it only lets pass: read, moved, and used after it.

        Where that is only joined in the end with what the block makes, the join is apart, too.
        """
        atoms = sorted(atoms, key=lambda atom: atom.node.id)
        moved = self.moved_in(atoms)
        if len(moved) == len(atoms):
            yield atoms
            return
        left = set(atoms)
        passing: list[Atom] = []
        joins: list[Atom] = []
        for atom in reversed(atoms):
            readers = [read.reader for read in self.readers[atom]]
            if atom in moved and not left.issuperset(readers):
                passing.append(atom)
                left.discard(atom)
            elif atom not in moved and left.isdisjoint(readers) and self.joins(atom, left - moved):
                joins.append(atom)
                left.discard(atom)
        if all(atom.node.is_move for atom in left):
            yield atoms
            return
        for alone in (passing, joins):
            inside = (read for atom in alone for read in self.entering[atom])
            yield from _joined(alone[::-1], (read for read in inside if read.value in alone))
        yield [atom for atom in atoms if atom in left]

    def joins(self, atom: Atom, made: set[Atom]) -> bool:
        """Whether it is joined of several values, of which some were not made there."""
        given = {read.value for read in self.entering[atom]}
        return atom.node.is_move and len(given) > 1 and not given <= made

    def moved_in(self, atoms: Sequence[Atom]) -> set[Atom]:
        """What in a block is one value that entered it, and was only moved."""
        own, moved = set(atoms), set[Atom]()
        for atom in atoms:
            given = {read.value for read in self.entering[atom]}
            if atom.node.is_move and len(given) == 1 and (given <= moved or given.isdisjoint(own)):
                moved.add(atom)
        return moved

    def with_whole_calls(
        self, groups: list[list[Atom]], together: Sequence[RawRead]
    ) -> list[list[Atom]]:
        """Blocks none of which holds a part of a call and something else, if there is a way."""
        apart = self.divided_calls(groups)
        while apart:
            found = self.by_calls(self.with_calls_apart(groups, together, apart))
            divided = self.divided_calls(found) & apart
            if not divided:
                return found
            apart -= divided
        return self.by_calls(groups)

    def divided_calls(self, groups: Iterable[list[Atom]]) -> set[Hashable]:
        """What one call makes for one column, where it is in several blocks."""
        blocks_of: dict[Hashable, set[int]] = defaultdict(set)
        for i, atoms in enumerate(groups):
            for atom in atoms:
                if not atom.node.is_move:
                    blocks_of[self.call_in_column(atom)].add(i)
        return {call for call, blocks in blocks_of.items() if call and len(blocks) > 1}

    def call_in_column(self, atom: Atom) -> Hashable:
        """The call of a module that an atom belongs to, and its column; None: no call's."""
        call = self.part_of(atom.node)
        column = None if atom.label == WHOLE else self.pieces.column(atom)
        return None if call is None else (call, column)

    def with_calls_apart(
        self, groups: list[list[Atom]], together: Sequence[RawRead], apart: set[Hashable]
    ) -> list[list[Atom]]:
        """Take what some calls make out of the blocks that it shares with something else."""
        place: dict[Atom, tuple[int, Hashable]] = {}
        for i, atoms in enumerate(groups):
            for atom in atoms:
                call = self.call_in_column(atom)
                place[atom] = i, call if call in apart else None
        return _joined(
            place, (read for read in together if place[read.value] == place[read.reader])
        )

    def with_weighed(self, groups: list[list[Atom]], sites: Sites) -> list[list[Atom]]:
        """Together with a sum, or the like, what weighs a term for it alone: w₀ ⊙ x₀ + w₁ ⊙ x₁.

        So with what is made of constants. Where this holds in one column only it is left.
        """
        number = {atom: i for i, atoms in enumerate(groups) for atom in atoms}
        weighed = {i for i, atoms in enumerate(groups) if self.is_weighed(atoms)}
        into: dict[int, int] = {}
        joints: dict[int, set[Hashable]] = {}
        order = sorted(range(len(groups)), key=lambda i: max(atom.node.id for atom in groups[i]))
        for i in order:  # each before what reads it
            reads = [read for atom in groups[i] for read in self.readers[atom]]
            out = [read for read in reads if number.get(read.reader) != i]
            readers = {number.get(read.reader, -1) for read in out}
            joints[i] = {sites.joint(one.reader.node, one.slot, one.value.node) for one in out}
            reader = readers.pop() if len(readers) == 1 else -1
            if reader >= 0 and i in weighed and self.may_join(groups[i], groups[reader]):
                into[i] = reader
                weighed.add(reader)
        left = {joint for i, own in joints.items() if i not in into for joint in own}
        into = {i: reader for i, reader in into.items() if joints[i].isdisjoint(left)}
        found: dict[int, list[Atom]] = {}
        for i, atoms in enumerate(groups):
            while i in into:
                i = into[i]
            found.setdefault(i, []).extend(atoms)
        return list(found.values())

    def is_weighed(self, atoms: Iterable[Atom]) -> bool:
        """Whether a weight is read there, or nothing but constants."""
        own = set(atoms)
        reads = (read for atom in atoms for read in self.entering[atom])
        groups = [self.group_of.get(read.value) for read in reads if read.value not in own]
        kinds = {"between" if group is None else group.kind for group in groups}
        return kinds == {"constant"} or not kinds.isdisjoint(("parameter", "derived"))

    def may_join(self, atoms: Sequence[Atom], reader: Sequence[Atom]) -> bool:
        """Whether the reader is of one column, and no module is called in either."""
        if any(self.part_of(atom.node) is not None for atom in (*atoms, *reader)):
            return False
        return len({self.pieces.column(atom) for atom in reader}) == 1

    def by_calls(self, groups: list[list[Atom]]) -> list[list[Atom]]:
        """Together what one call of a module makes for one column, where nothing lies between."""
        calls = [self.call_of(atoms) for atoms in groups]
        joined = _merged(groups, calls)
        if len(joined) == len(groups):
            return joined
        number: dict[Atom | int, int] = {}
        for i, atoms in enumerate(joined):
            number |= dict.fromkeys(atoms, i)
        ring = _rings(len(joined), self.links(number, len(joined)))
        if not ring:
            return joined
        broken = {self.call_of(joined[i]) for i in ring if i < len(joined)}
        calls = [None if call in broken else call for call in calls]
        return _merged(groups, calls)

    def call_of(self, atoms: Sequence[Atom]) -> Hashable:
        """The one call of a module that some atoms belong to, and their column; None: several."""
        found = {self.part_of(atom.node) for atom in atoms if not atom.node.is_move}
        if len(found) != 1 or None in found:
            return None
        columns = {self.pieces.column(atom) for atom in atoms if atom.label != WHOLE}
        return found.pop(), frozenset(columns)

    def part_of(self, node: Node) -> Scope | None:
        """Of the calls that it was made in, the outermost that is only a part of the model."""
        return next((call for call in node.calls if call not in self.containers), None)

    def links(self, number: dict[Atom | int, int], count: int) -> Iterator[tuple[int, int]]:
        """What reads what, among numbered blocks and all others."""
        others: dict[int, int] = {}
        for read in self.reads:
            ends: list[int] = []
            for atom in (read.value, read.reader):
                if atom in number:
                    ends.append(number[atom])
                else:
                    key = id(self.group_of[atom])
                    ends.append(others.setdefault(key, count + len(others)))
            if ends[0] != ends[1]:
                yield ends[0], ends[1]

    def keys(self) -> dict[Atom, tuple[int, int]]:
        """Of each atom between the anchors: those it depends on, and those it leads to, as bits."""
        anchors: dict[int, int] = {}
        for group in self.groups:
            if group.kind in ("cell", "bar", "loss", "initial", "input"):
                anchors[id(group)] = 1 << 2 * len(anchors)
        down: dict[Atom, int] = {}
        up: dict[Atom, int] = {}
        order = [atom for node in self.nodes for atom in self.pieces.atoms[node]]
        for atom in order:
            if atom in self.group_of:
                continue
            mask = 0
            for read in self.entering[atom]:
                group = self.group_of.get(read.value)
                mask |= down[read.value] if group is None else anchors.get(id(group), 0)
            down[atom] = mask
        for atom in reversed(order):
            if atom in self.group_of:
                continue
            mask = 0
            for read in self.readers[atom]:
                group = self.group_of.get(read.reader)
                if group is None:
                    mask |= up[read.reader]
                else:  # as a state, or as something else
                    mask |= anchors.get(id(group), 0) << self.is_state(read)
            up[atom] = mask
        return {atom: (down[atom], up[atom]) for atom in order if atom not in self.group_of}

    # Rows

    def of_other_weights(self, alike: Iterable[Group]) -> Iterable[list[Group]]:
        """The same ops with other weights are another thing, as are those of the next layer."""
        rows: list[tuple[dict[tuple[int, int], int], list[Group]]] = []
        for group in alike:
            own = self.weights_of(group)
            for weights, groups in rows:
                if all(weights.get(place, weight) == weight for place, weight in own.items()):
                    weights |= own
                    groups.append(group)
                    break
            else:
                rows.append((own, [group]))
        return (groups for _, groups in rows)

    def weights_of(self, group: Group) -> dict[tuple[int, int], int]:
        """What its ops read of the legend, by op and input; a first step may read more of it."""
        found: dict[tuple[int, int], int] = {}
        for i, atom in enumerate(group.atoms):
            for read in self.entering[atom]:
                source = self.group_of[read.value]
                if source.kind in ("parameter", "derived"):
                    found[i, read.slot] = id(source)
        return found

    # Columns

    def place_between(self) -> None:
        """After what they read; or with the copies that they feed, if it is these alone.

        What is made of inputs alone is there before the first copy that depends on it.
        """
        between = self.in_order()
        needed = self.columns_of_need(between)
        self.find_carriers(between)
        for group in between:
            if group.carries is not None:
                self.place_carrier(group)
                continue
            known = [column for source in self.sources(group) for column in source.columns[-1:]]
            parts = [atom for atom in group.atoms if atom.label != WHOLE or not known]
            known += [self.pieces.column(atom) or 0 for atom in parts]
            known += self.columns_of_inputs(group)
            column = max(known, default=0)
            if id(group) in self.of_inputs:
                column = min(column, needed.get(id(group), column))
            group.columns = (column,)
        late: set[int] = set()
        for group in reversed(between):
            if group.carries is not None:
                continue
            targets = self.targets(group)
            if targets and all(feeds and self.is_late(to, late) for to, feeds in targets):
                late.add(id(group))
                group.columns = (min(to.columns[0] for to, _ in targets),)
        for group in between:
            if group.carries is None and id(group) not in self.of_inputs:
                self.place_in_its_turn(group, is_late=id(group) in late)

    def columns_of_need(self, between: Sequence[Group]) -> Mapping[int, int]:
        """Of blocks the column of the first copy that depends on them, if one does."""
        found: dict[int, int] = {}
        for group in reversed(between):
            columns: list[int] = []
            for to, _ in self.targets(group):
                if to.copy is not None:
                    columns += to.columns
                elif id(to) in found:
                    columns.append(found[id(to)])
            if columns:
                found[id(group)] = min(columns)
        return found

    def place_in_its_turn(self, group: Group, is_late: bool) -> None:
        """Where several columns may be meant: with the copies that the same turn of a loop made.

        What is done to a state before the next copy has the step of that, what masks it afterwards
        has not. What is made for the next step is left there, but for what reads an input of this.
        """
        first = max((source.columns[-1] for source in self.sources(group)), default=0)
        last = min((to.columns[0] for to, _ in self.targets(group) if to.columns), default=-1)
        if first > last:
            return
        made = [atom.node for atom in group.atoms if not atom.node.is_move]
        meant = set(map(self.column_in_program, made))
        column = meant.pop() if len(meant) == 1 else None
        if column is None or not first <= column <= last:
            return
        if not is_late or self.reads_input_of_its_own(group, column):
            group.columns = (column,)

    def reads_input_of_its_own(self, group: Group, column: int) -> bool:
        """Whether it reads an input that only what was made in the same turn reads."""
        for value in {read.value for atom in group.atoms for read in self.entering[atom]}:
            if self.group_of[value].kind == "input" and self.pieces.column(value) is None:
                readers = (read.reader.node for read in self.readers[value])
                if {self.column_in_program(reader) for reader in readers} == {column}:
                    return True
        return False

    def column_in_program(self, node: Node) -> int | None:
        """The column of the copies that a turn of a loop made, in which a value was made too."""
        copy, turn = self.cells.of(node), self.cells.turns.get(node)
        if copy is not None:
            return self.placement.columns[copy]
        around = reversed(turn.chain()) if turn is not None else ()
        return next(
            (self.columns_of_turns[one] for one in around if one in self.columns_of_turns), None
        )

    @cached_property
    def columns_of_turns(self) -> Mapping[Turn, int | None]:
        """Of the turns that copies were made in their column; None where they have several.

        A slow row has columns of its own only where no other has a copy in the turn.
        """
        found = self.columns_of_copies(one for one in self.cells.all if self.is_slow(one))
        return found | self.columns_of_copies(x for x in self.cells.all if not self.is_slow(x))

    def is_slow(self, copy: Copy) -> bool:
        return copy.row in self.placement.slow

    def columns_of_copies(self, copies: Iterable[Copy]) -> dict[Turn, int | None]:
        """The columns of the turns that some copies were made in."""
        found: dict[Turn, int | None] = {}
        for copy in copies:
            column, turn = self.placement.columns[copy], self.cells.turns.get(copy.nodes[0])
            for one in turn.chain() if turn is not None else ():
                found[one] = column if found.get(one, column) == column else None
        return found

    def columns_of_inputs(self, group: Group) -> list[int]:
        """The columns of the slices of leaves that it reads: none after those that it feeds."""
        reads = [read for atom in group.atoms for read in self.entering[atom]]
        inputs = [one.value for one in reads if self.group_of[one.value].kind == "input"]
        columns = [self.pieces.column(atom) for atom in inputs]
        last = min((to.columns[0] for to, _ in self.targets(group) if to.copy), default=None)
        return [c for c in columns if c is not None and (last is None or c <= last)]

    def stretch_bars(self) -> bool:
        """Let each bar reach to the last of what feeds it; whether one had to."""
        stretched = False
        for group in self.groups:
            if group.kind == "bar" and group.columns:
                last = max(
                    (one.columns[-1] for one in self.sources(group) if one.columns), default=0
                )
                if last > group.columns[-1]:
                    group.columns = (*group.columns, last)
                    stretched = True
        return stretched

    def find_carriers(self, between: Sequence[Group]) -> None:
        """What hands on the states of a row that runs backwards: it does so, too."""
        for group in reversed(between):
            for to, feeds in self.targets(group):
                if to.carries is not None:
                    group.carries = to.carries
                elif not feeds and to.copy is not None and self.placement.reversed(to.copy):
                    group.carries = to.copy.row
            for copy in map(self.placement.carriers.get, (atom.node for atom in group.atoms)):
                if copy is not None:
                    group.carries = copy.row
        for group in between:  # what the row begins with comes from elsewhere
            rows = {one.copy.row if one.copy else one.carries for one in self.sources(group)}
            if group.carries not in rows:
                group.carries = None

    def place_carrier(self, group: Group) -> None:
        """With the last of the copies that it hands on: the leftmost."""
        found: list[int] = []
        for source in self.sources(group):
            row = source.copy.row if source.copy is not None else source.carries
            if row == group.carries:
                found += source.columns[:1]
        own = [self.pieces.column(atom) for atom in group.atoms]
        known = [column for column in own if column is not None]
        group.columns = (min(found, default=max(known, default=0)),)

    def is_late(self, group: Group, late: set[int]) -> bool:
        return group.copy is not None or id(group) in late

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

    def find_fed_back(self) -> None:
        """Tell initial states among the inputs that are read beside the copies.

        What is read at the same place in later columns was made in a column before: it is fed back,
        and this is what it is at first.
        """
        alike: dict[object, list[Group]] = defaultdict(list)
        for group in self.groups:
            if group.kind == "between" and len(group.columns) == 1:
                alike[_row_key(group)].append(group)
        rows: dict[int, list[Group]] = {}
        for row in (row for groups in alike.values() for row in self.of_other_weights(groups)):
            row.sort(key=lambda group: group.columns)
            rows |= {id(group): row for group in row}
        count = 0
        for group in self.groups:
            if group.before is not None:
                read = (read for atom in group.atoms for read in self.readers[atom])
                group.columns = (min(self.group_of[one.reader].columns[0] for one in read),)
                group.id = f"initial-fed-{count}"
                count += 1
            if group.kind != "input" or len(group.atoms) != 1:
                continue
            reads = self.readers[group.atoms[0]]
            if all(self.read_later(read, rows) for read in reads):
                group.kind, group.before = "initial", self.read_later(reads[0], rows)
                group.columns = min(self.group_of[read.reader].columns for read in reads)
                group.id = f"initial-fed-{count}"
                count += 1

    def read_later(self, read: RawRead, rows: Mapping[int, Sequence[Group]]) -> Node | None:
        """Return what is read at the same place next, if it is always fed back."""
        reader = self.group_of[read.reader]
        alike = rows.get(id(reader), ())
        if not alike or self.only_moves(reader):
            return None
        place = reader.atoms.index(read.reader), read.slot
        if not self.fed_back(alike[-1], *place):
            return None  # soon known of most, and there may be as many as steps
        later = [one for one in alike if one.columns > reader.columns]
        given = [self.fed_back(one, *place) for one in later]
        return given[0] if given and all(given) else None

    def only_moves(self, group: Group) -> bool:
        """Whether a block is one value of another one, moved."""
        entering = [read.value for atom in group.atoms for read in self.entering[atom]]
        given = {value for value in entering if self.group_of[value] is not group}
        return len(given) < 2 and all(atom.node.is_move for atom in group.atoms)

    def fed_back(self, group: Group, place: int, slot: int) -> Node | None:
        """Return what a block reads at a place, if it was made of an earlier column's values."""
        for read in self.entering[group.atoms[place]]:
            source = self.group_of[read.value]
            if read.slot == slot and self.is_carried(source, group.columns[0]):
                return read.value.node
        return None

    def is_carried(self, group: Group, column: int) -> bool:
        """Whether of what copies made only that of earlier columns comes to a column by a block."""
        waiting, seen, found = [group], {id(group)}, False
        for one in waiting:  # grows
            if one.kind in ("cell", "between") and one.columns[-1] < column:
                found = True
            elif one.kind == "between":
                fresh = {id(to): to for to in self.sources(one) if id(to) not in seen}
                seen.update(fresh)
                waiting += fresh.values()
            else:
                return False
        return found

    def place_initial(self) -> None:
        """With the first copy of its chain, or with what reads it before that."""
        for group in self.groups:
            if group.begins is not None:
                reads = (read for atom in group.atoms for read in self.readers[atom])
                copies = [self.cells.of(read.reader.node) for read in reads]
                columns = [self.placement.columns[copy] for copy in copies if copy is not None]
                group.columns = (min([self.placement.columns[group.begins], *columns]),)

    def place_inputs(self) -> None:
        count: dict[int, int] = defaultdict(int)
        for group in self.groups:
            if group.kind != "input":
                continue
            columns: set[int] = set()
            for atom in group.atoms:
                for read in self.readers[atom]:
                    columns |= set(self.group_of[read.reader].columns[:1])
                own = self.pieces.column(atom)
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


def _row_key(group: Group) -> Hashable:
    """Equal for blocks of the same ops, made at the same place of the program if that is known."""
    return group.ops, places_of(group.atoms[-1].node, 1)


def containers_of(root: Node, cells: Cells) -> set[Scope]:
    """Calls in which copies are made, or the root: they are the whole model, and no part."""
    found: set[Scope] = set(root.calls)
    for copy in cells.all:
        if copy.call is not None:
            found.update(copy.call.chain()[:-1])
        else:
            found.update(call for node in copy.nodes[:1] for call in node.calls)
    return found


def _joined(atoms: Iterable[Atom], reads: Iterable[RawRead]) -> list[list[Atom]]:
    """The atoms that reads hold together, weakly: in the order of their first ones."""
    parent = {atom: atom for atom in atoms}

    def find(atom: Atom) -> Atom:
        while parent[atom] != atom:
            parent[atom] = parent[parent[atom]]
            atom = parent[atom]
        return atom

    for read in reads:
        parent[find(read.value)] = find(read.reader)
    groups: dict[Atom, list[Atom]] = {}
    for atom in parent:
        groups.setdefault(find(atom), []).append(atom)
    return list(groups.values())


def _merged(groups: Sequence[list[Atom]], calls: Sequence[Hashable]) -> list[list[Atom]]:
    found: dict[Hashable, list[Atom]] = {}
    for i, (atoms, call) in enumerate(zip(groups, calls, strict=True)):
        found.setdefault(i if call is None else call, []).extend(atoms)
    return list(found.values())


def _is_acyclic(groups: Sequence[Sequence[Atom]], reads: Iterable[RawRead]) -> bool:
    """Whether none of the groups leads back to itself."""
    number = {atom: i for i, atoms in enumerate(groups) for atom in atoms}
    pairs = ((number[read.value], number[read.reader]) for read in reads)
    return not _rings(len(groups), ((a, b) for a, b in pairs if a != b))


def _rings(count: int, links: Iterable[tuple[int, int]]) -> set[int]:
    """What lies on a circle of links, or between two: what is left when all others are taken away.

    `count` are numbered from 0; links may name more.
    """
    following: dict[int, set[int]] = defaultdict(set)
    before: dict[int, set[int]] = defaultdict(set)
    for a, b in links:
        following[a].add(b)
        before[b].add(a)
    left = {*range(count), *following, *before}
    for forward, back in ((following, before), (before, following)):
        waiting = {i: len(back[i] & left) for i in left}
        free = [i for i in left if not waiting[i]]
        while free:
            i = free.pop()
            left.discard(i)
            for other in forward[i]:
                if other in left:
                    waiting[other] -= 1
                    if not waiting[other]:
                        free.append(other)
    return left
