"""What inputs and targets are called, as the program calls them where it reads them."""

import re
from collections import Counter, defaultdict
from collections.abc import Container, Hashable, Iterable, Mapping, Sequence, Set

from ....cached import cached_property
from ...recording.graph import Node
from ..copies.sites import places_of
from ..grouping.groups import Group, Groups
from ..grouping.leaves import row_of
from ..quotient import element_of, indexed, primeless, primes
from ..timesteps.pieces import WHOLE, Atom, RawRead
from .formulas import is_one_factor, number_text
from .naming import Naming, first_free


class Inputs:
    """What inputs and targets are called.

    Args:
        groups: what stands in the picture.
        naming: the names in the program.
        nodes: all values, also those within copies.
    """

    def __init__(self, groups: Groups, naming: Naming, nodes: Sequence[Node]) -> None:
        self.groups, self.cells, self.naming = groups, groups.cells, naming
        self.nodes = nodes

    @property
    def labels(self) -> Mapping[int, tuple[str, ...]]:
        """What is written in the circles of each input."""
        return self._found[0]

    @property
    def stems(self) -> Mapping[int, str]:
        """The same without their steps."""
        return self._found[1]

    @cached_property
    def _found(self) -> tuple[Mapping[int, tuple[str, ...]], Mapping[int, str]]:
        """What is written in the circles of each input, with its step and without.

        It is its name in the program.

        What every step reads has its name alone. An x is that of the step that reads it, also
        where steps read the same array.
        """
        steps: dict[int, list[tuple[int, Hashable]]] = {}
        stems: dict[int, str] = {}
        plain: dict[int, bool] = {}
        groups = [group for group in self.groups.groups if group.kind == "input"]
        named = {id(group): self._name_in_circle(group) for group in groups}
        often = Counter(named.values())
        firsts = {named[id(group)] for group in groups if _is_first(group)} - {""}
        rows = self._rows_out_of_step(groups, named)
        for group in groups:
            own, stem, first = id(group), named[id(group)], group.columns[0]
            node = group.atoms[0].node
            plain[own] = self.groups.is_of_no_step(group)
            if stem and often[stem] == 1 and group.atoms[0].label == WHOLE:
                plain[own] |= node.origin is None or len(group.columns) == 1
            columns = (first,) if stem else group.columns
            stems[own] = stem or self._nameless(group, firsts)
            is_spelled = stems[own] == node.spelled and is_one_factor(node.spelled)
            plain[own] |= not (stems[own].isidentifier() or is_spelled)
            row = rows.get(own) if stem else None
            is_fed_back = node in self.naming.fed_back and stems[own] == self.naming.caption(node)
            plain[own] &= not is_fed_back
            steps[own] = []
            for column in columns:
                time, run = self._step(group, column)
                steps[own].append((time - is_fed_back if row is None else row, run))
        primed = _primed(stems, steps)
        found: dict[int, tuple[str, ...]] = {}
        for group in groups:
            own = id(group)
            labels = [
                name if plain[own] else indexed(name, time)
                for name, (time, _) in zip(primed[own], steps[own], strict=True)
            ]
            found[own] = tuple(labels) * (len(group.columns) // len(labels))
            if named[own] and own in rows:  # the loss may read others of the array
                stems[own] = primed[own][0]
        return found, stems

    def _rows_out_of_step(
        self, groups: Iterable[Group], named: Mapping[int, str]
    ) -> Mapping[int, int]:
        """Which row of its array an input is, where the program says, `words[t]`.

        Else where the rows are not read one at each step in turn.
        """
        rows: dict[int, int] = {}
        found: dict[object, dict[int, tuple[int, set[int]]]] = defaultdict(dict)
        for group in groups:
            first = group.atoms[0]
            row = self._row_of(first)
            if row is None or not named[id(group)]:
                continue
            array, number = row
            if first.node.index is not None or self.is_named_by_loss(group):
                rows[id(group)] = number
            else:
                times = {self._step(group, column)[0] for column in group.columns}
                found[named[id(group)], array][id(group)] = number, times
        for read in found.values():
            if len({time - number for number, times in read.values() for time in times}) > 1:
                rows |= {group: number for group, (number, _) in read.items()}
        return rows

    def _name_in_circle(self, group: Group) -> str:
        """What the program calls an input; "" where it says nothing, or another thing is so called.

        What the loss read first has its name from there: as an input it is called otherwise. A name
        that was given to this tensor alone stands below the circle.
        """
        stem = self.names(group)
        if not self.groups.is_of_no_step(group):
            stem = "" if any(map(self._has_title, group.atoms)) else element_of(stem)
        if self.is_named_by_loss(group) and not self.is_so_called_there(group, stem):
            return ""
        is_name = stem.isidentifier() or stem == group.atoms[0].node.spelled
        return stem if is_name and stem not in self._state_names else ""

    @cached_property
    def _state_names(self) -> set[str]:
        """Letters that already are something else: those of states, and the L of the loss."""
        names = (*self.naming.states.values(), *self.naming.arriving.values())
        return {name for each in names for name in each} | {"L"}

    def _has_title(self, atom: Atom) -> bool:
        """Whether a leaf, or the slice of it that is read, was given a name of its own."""
        if atom.label == WHOLE:
            return self.naming.is_titled(atom.node)
        moved = (read.reader.node for read in self.groups.readers[atom])
        return any(node.is_move and self.naming.is_titled(node) for node in moved)

    def _nameless(self, group: Group, firsts: Set[str]) -> str:
        """What an input is called that the program does not name: x; of one number this.

        What was joined with a state before the first op is called as what the next steps read:
        the first inputs of all steps, if these have one name, `firsts`.
        """
        node, is_first = group.atoms[0].node, _is_first(group)
        if is_first and node in self.cells.joined and len(firsts) == 1:
            return next(iter(firsts))
        is_x = any(self._name(atom) == "x" for atom in group.atoms)
        name = "x" if is_x else self.naming.nameless_input
        is_step = is_first and name == "x" and not self.groups.placement.fills(node)
        if not is_step and not node.is_gone and node.size > 1:
            value = node.data.flat[0]
            if (node.data == value).all():
                return number_text(value)
            if node.data.dtype == bool:
                return "mask"
        return name

    def target(self, node: Node) -> str:
        """What a target is called: of the rows of an array as those are that are inputs."""
        name, row = self.naming.target(node), self._row_of(Atom(node, WHOLE))
        return name if row is None else name + self._primes_of_rows.get((name, row[0]), "")

    def _row_of(self, atom: Atom) -> tuple[Hashable, int] | None:
        """Which array of the program an input or a target is a row of, and which row.

        Of a number, which lies in no array, how many the loss read there before.
        """
        found = row_of(atom.node, self.groups.pieces.slices.get(atom))
        return found or self._turns_of_loss.get(atom.node)

    @cached_property
    def _turns_of_loss(self) -> Mapping[Node, tuple[Hashable, int]]:
        """What the loss reads first: the place where it does so, and in which turn of a loop."""
        found: dict[Node, tuple[Hashable, int]] = {}
        count: Counter[Hashable] = Counter()
        leaves = [group for group in self.groups.groups if group.kind in ("input", "target")]
        for group in sorted(leaves, key=lambda group: group.atoms[0].node.id):
            node = group.atoms[0].node
            first = self._first_reader(group)
            if first is None or first.node.source is None or type(node.index) is int:
                continue
            if self._is_read_first_by_loss(group):
                place = self.naming.caption(node), first.node.op, places_of(first.node, 1)
                found[node] = place, count[place]
                count[place] += 1
        return found

    @cached_property
    def _primes_of_rows(self) -> Mapping[tuple[str, Hashable], str]:
        """What tells the rows of an array, which are inputs, from those of others so called."""
        found: dict[tuple[str, Hashable], str] = {}
        for group in self.groups.groups:
            first = group.atoms[0]
            row = self._row_of(first) if group.kind == "input" else None
            name = self.stems.get(id(group), "")
            if row is not None:
                found[primeless(name), row[0]] = name.removeprefix(primeless(name))
        return found

    def _step(self, group: Group, column: int) -> tuple[int, Hashable]:
        """The timestep that an input has in a column, and which sequence it is a step of.

        In a tree, and where several chains of a row stand, it is that of the copy that reads it,
        else that of the lowest copy.
        """
        readers = {read.reader.node for atom in group.atoms for read in self.groups.readers[atom]}
        copies = {self.cells.of(node) for node in readers}
        copy = next(iter(copies), None)
        if copy is None or len(copies) > 1 or not self.naming.is_beside_others(copy):
            copy = self.naming.lowest_in(column)
        return (column, None) if copy is None else (self.naming.time(copy), self.naming.run(copy))

    def names(self, group: Group, *some: Atom) -> str:
        """What the program calls an input, a target or what a state begins with, or some of it."""
        atoms = some or group.atoms
        found = dict.fromkeys(self._name(atom) for atom in atoms)
        if group.kind == "initial":
            found |= dict.fromkeys(x for atom in atoms for x in atom.node.read_as.values())
        return ", ".join(name for name in found if name not in self._said_by_label(group))

    def names_beside(self, group: Group, reads: Iterable[RawRead]) -> str:
        """What the program calls what a chain begins with where it is read, but as no state.

        One array of zeros may be the states and something else: each read of it has its own name.
        """
        found: dict[str, None] = {}
        for leaf, read in ((read.value.node, read) for read in reads):
            if leaf.read_as and not self.groups.is_state(read):
                place = read.reader.node.id, read.slot
                found[leaf.read_as.get(place) or self._name(read.value)] = None
        return ", ".join(name for name in found if name not in self._said_by_label(group))

    def is_named_by_loss(self, group: Group) -> bool:
        """Whether an input has its name from the loss, which read it first: as a target.

        `for x, following in zip(xs, xs[1:])` calls an array `following` a step before it is x.
        """
        if any(map(self._has_title, group.atoms)) or type(group.atoms[0].node.index) is int:
            return False
        if not self._is_read_first_by_loss(group):
            return False
        return self._name_and_array(group) not in self._named_elsewhere

    def _is_read_first_by_loss(self, group: Group) -> bool:
        first = self._first_reader(group)
        return first is not None and self.groups.group_of[first].kind == "loss"

    def _first_reader(self, group: Group) -> Atom | None:
        """What reads an input or a target first."""
        reads = (read.reader for atom in group.atoms for read in self.groups.readers[atom])
        return min(reads, key=lambda reader: reader.node.id, default=None)

    def is_so_called_there(self, group: Group, name: str) -> bool:
        """Whether a line that reads an input, and is none of the loss, says its name."""
        readers = (read.reader for atom in group.atoms for read in self.groups.readers[atom])
        own = (one.node.source for one in readers if self.groups.group_of[one].kind != "loss")
        said = (source.text for source in own if source is not None)
        return any(re.search(rf"\b{re.escape(name)}\b", text) for text in said)

    @cached_property
    def _named_elsewhere(self) -> set[Hashable]:
        """The arrays of which the loss does not read each row first, with their names."""
        inputs = (group for group in self.groups.groups if group.kind == "input")
        others = (group for group in inputs if not self._is_read_first_by_loss(group))
        return {self._name_and_array(group) for group in others}

    def _name_and_array(self, group: Group) -> Hashable:
        """What an input is called, and the array that it is a part of."""
        origin = group.atoms[0].node.origin
        return self.names(group), None if origin is None else id(origin.owner)

    def _said_by_label(self, group: Group) -> Container[str]:
        """The names that are in its label."""
        if group.begins is None:
            return ("", "x")
        arriving = self.naming.arriving[id(self.cells.loops[group.begins.row])]
        return ("", *arriving, *self.naming.names_begun(group.begins))

    def _name(self, atom: Atom) -> str:
        """The name of a leaf, or of the one slice of it that is read."""
        if atom.node in self.cells.joined:  # it names what was joined
            return ""
        found = self.naming.of(atom.node)
        if atom.label != WHOLE:
            readers = (read.reader.node for read in self.groups.readers[atom])
            names = (self.naming.caption(node) for node in readers if node.is_move)
            found = next((name for name in names if name), found)
        is_formula = found == atom.node.spelled and not found.isidentifier()
        if is_formula and self._is_part_of_array(atom):
            return atom.node.given_name or ""  # the formula is that of all steps
        return found

    def _is_part_of_array(self, atom: Atom) -> bool:
        """Whether other leaves, or other slices of it, are parts of the same array."""
        origin = atom.node.origin
        return atom.label != WHOLE or (origin is not None and self._parts[id(origin.owner)] > 1)

    @cached_property
    def _parts(self) -> Counter[int]:
        """How many leaves are parts of an array, by the array."""
        leaves = (node for node in self.nodes if node.op is None and node.origin is not None)
        return Counter(id(node.origin.owner) for node in leaves if node.origin is not None)

    @cached_property
    def called(self) -> set[str]:
        """What inputs are called, without their steps."""
        return set(self.stems.values())


def _is_first(group: Group) -> bool:
    """Whether an input is the first one of its step."""
    return group.id == f"input-{group.columns[0]}"


def _primed(
    stems: Mapping[int, str], steps: Mapping[int, Sequence[tuple[int, Hashable]]]
) -> Mapping[int, Sequence[str]]:
    """The names of some things, each at one or several steps: x, and x′ where there is an x.

    All steps of one sequence have the same name.

    Args:
        stems: their names in the program.
        steps: the timesteps of each, and which sequence it is a part of there.
    """
    count: Counter[Hashable] = Counter()  # a sequence may have several in one step
    sequences: dict[str, dict[Hashable, set[int | None]]] = defaultdict(lambda: defaultdict(set))
    keys: dict[int, list[Hashable]] = defaultdict(list)
    for own, stem in stems.items():
        for time, run in steps[own]:
            key = run, count[stem, run, time]
            count[stem, run, time] += 1
            keys[own].append(key)
            sequences[stem][key].add(time)
    level: dict[tuple[str, Hashable], int] = {}
    for stem, times_of in sequences.items():
        taken: list[set[int | None]] = []  # the steps that have the name, the name′ …
        for key, times in times_of.items():
            level[stem, key] = first_free(taken, times)
    return {own: [stems[own] + primes(level[stems[own], key]) for key in keys[own]] for own in keys}
