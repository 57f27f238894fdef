"""What lies between the copies: bars, and blocks that depend on the same and lead to the same."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence

from ....autograd.state import Scope
from ...recording.graph import Node
from ..timesteps.pieces import BAR, WHOLE, Atom, RawRead
from .groups import Groups


class Between:
    """Groups what lies between the copies.

    Args:
        groups: all others are made.
    """

    def __init__(self, groups: Groups) -> None:
        self.groups = groups

    def group_bars(self) -> None:
        """Values of which another op reads three columns or more."""
        for node in self.groups.nodes:
            atoms = self.groups.pieces.atoms[node]
            if node.op is None or atoms[0] in self.groups.group_of or atoms[0].label < WHOLE:
                continue
            if self.groups.pieces.is_whole_sequence(node):
                self.groups.new("bar", atoms).columns = self.groups.pieces.times_of(node)
            elif len(atoms) >= BAR and self._is_bar(atoms):
                columns = {self.groups.pieces.column(atom) for atom in atoms}
                self.groups.new("bar", atoms).columns = tuple(
                    sorted(c for c in columns if c is not None)
                )

    def _is_bar(self, atoms: Sequence[Atom]) -> bool:
        """Whether an uncut op reads so many pieces of a value that these are a bar.

        Not where what is made of one of them alone stands before the last of them: a bar is there
        when all of them are.
        """
        groups = self.groups
        count = Counter(reader for atom in atoms for reader in self._reading(atom))
        whole = {reader for reader in count if reader.label == WHOLE and count[reader] >= BAR}
        if not any(reader.node not in groups.loss for reader in whole):
            return False
        columns = {x: column for x in atoms if (column := groups.pieces.column(x)) is not None}
        if not columns:
            return False  # rows of no step, as of a mask
        last, seen = max(columns.values(), default=0), set(whole)
        for atom in sorted(columns, key=columns.__getitem__):
            if min(self._columns_beyond(atom, columns[atom], seen), default=last) < last:
                return False
        return True

    def _columns_beyond(self, atom: Atom, own: int, seen: set[Atom]) -> Iterator[int]:
        """The columns of the copies that a piece comes to; its own, where it comes to the loss.

        Not by way of what was seen before.
        """
        groups, waiting = self.groups, [atom]
        while waiting:
            for reader in self._reading(waiting.pop()):
                copy = groups.cells.of(reader.node)
                if reader in seen:
                    continue
                seen.add(reader)
                if copy is not None:
                    yield groups.placement.columns[copy]
                elif reader.node in groups.loss:
                    yield own
                else:
                    waiting.append(reader)

    def _reading(self, atom: Atom) -> dict[Atom, None]:
        """What reads it, each once."""
        return dict.fromkeys(read.reader for read in self.groups.readers[atom])

    def group(self) -> None:
        """All others: together where they depend on the same and lead to the same.

        Neighbours that are apart in one column are so in all: the last steps of a sequence, where
        nothing follows, are divided as the others are.
        """
        keys = self._keys()
        inside = [read for read in self.groups.reads if read.value in keys and read.reader in keys]
        sites = self.groups.cells.sites
        joints = {
            read: sites.joint(read.reader.node, read.slot, read.value.node) for read in inside
        }
        apart = {joints[read] for read in inside if keys[read.value] != keys[read.reader]}
        together = [read for read in inside if keys[read.value] == keys[read.reader]]
        together = [read for read in together if not self._is_passed_to_several(read.value)]
        groups = _joined(keys, [read for read in together if joints[read] not in apart])
        if not _is_acyclic(groups, inside):
            groups = _joined(keys, together)
        for block in self._with_weighed(self._with_whole_calls(groups, together)):
            for atoms in self._without_passing(block):
                self.groups.new("between", atoms)

    def _is_passed_to_several(self, atom: Atom) -> bool:
        """Whether several read what a copy, say, made, and is only moved: they share nothing else.

        Two heads on a stacked sequence are two blocks.
        """
        if len({read.reader for read in self.groups.readers[atom]}) < 2:
            return False
        while atom not in self.groups.group_of:
            given = {read.value for read in self.groups.entering[atom]}
            if not atom.node.is_move or len(given) != 1:
                return False
            (atom,) = given
        return True

    def _without_passing(self, atoms: list[Atom]) -> Iterator[list[Atom]]:
        """A block, and apart from it what it only lets pass: read, moved, and used after it.

        Where that is only joined in the end with what the block makes, the join is apart, too.
        """
        atoms = sorted(atoms, key=lambda atom: atom.node.id)
        moved = self._moved_in(atoms)
        if len(moved) == len(atoms):
            yield atoms
            return
        left = set(atoms)
        passing: list[Atom] = []
        joins: list[Atom] = []
        for atom in reversed(atoms):
            readers = [read.reader for read in self.groups.readers[atom]]
            if atom in moved and not left.issuperset(readers):
                passing.append(atom)
                left.discard(atom)
            elif atom not in moved and left.isdisjoint(readers) and self._joins(atom, left - moved):
                joins.append(atom)
                left.discard(atom)
        if all(atom.node.is_move for atom in left):
            yield atoms
            return
        for alone in (passing, joins):
            inside = (read for atom in alone for read in self.groups.entering[atom])
            yield from _joined(alone[::-1], (read for read in inside if read.value in alone))
        yield [atom for atom in atoms if atom in left]

    def _joins(self, atom: Atom, made: set[Atom]) -> bool:
        """Whether it is joined of several values, of which some were not made there."""
        given = {read.value for read in self.groups.entering[atom]}
        return atom.node.is_move and len(given) > 1 and not given <= made

    def _moved_in(self, atoms: Sequence[Atom]) -> set[Atom]:
        """What in a block is one value that entered it, and was only moved."""
        own, moved = set(atoms), set[Atom]()
        for atom in atoms:
            given = {read.value for read in self.groups.entering[atom]}
            if atom.node.is_move and len(given) == 1 and (given <= moved or given.isdisjoint(own)):
                moved.add(atom)
        return moved

    def _with_whole_calls(
        self, groups: list[list[Atom]], together: Sequence[RawRead]
    ) -> list[list[Atom]]:
        """Blocks none of which holds a part of a call and something else, if there is a way."""
        apart = self._divided_calls(groups)
        while apart:
            found = self._by_calls(self._with_calls_apart(groups, together, apart))
            divided = self._divided_calls(found) & apart
            if not divided:
                return found
            apart -= divided
        return self._by_calls(groups)

    def _divided_calls(self, groups: Iterable[list[Atom]]) -> set[Hashable]:
        """What one call makes for one column, where it is in several blocks."""
        blocks_of: dict[Hashable, set[int]] = defaultdict(set)
        for i, atoms in enumerate(groups):
            for atom in atoms:
                if not atom.node.is_move:
                    blocks_of[self._call_in_column(atom)].add(i)
        return {call for call, blocks in blocks_of.items() if call and len(blocks) > 1}

    def _call_in_column(self, atom: Atom) -> Hashable:
        """The call of a module that an atom belongs to, and its column; None: no call's."""
        call = self._part_of(atom.node)
        column = None if atom.label == WHOLE else self.groups.pieces.column(atom)
        return None if call is None else (call, column)

    def _with_calls_apart(
        self, groups: list[list[Atom]], together: Sequence[RawRead], apart: set[Hashable]
    ) -> list[list[Atom]]:
        """Take what some calls make out of the blocks that it shares with something else."""
        place: dict[Atom, tuple[int, Hashable]] = {}
        for i, atoms in enumerate(groups):
            for atom in atoms:
                call = self._call_in_column(atom)
                place[atom] = i, call if call in apart else None
        return _joined(
            place, (read for read in together if place[read.value] == place[read.reader])
        )

    def _with_weighed(self, groups: list[list[Atom]]) -> list[list[Atom]]:
        """Together with a sum, or the like, what weighs a term for it alone: w₀ ⊙ x₀ + w₁ ⊙ x₁.

        So with what is made of constants. Where this holds in one column only it is left.
        """
        sites = self.groups.cells.sites
        number = {atom: i for i, atoms in enumerate(groups) for atom in atoms}
        weighed = {i for i, atoms in enumerate(groups) if self._is_weighed(atoms)}
        into: dict[int, int] = {}
        joints: dict[int, set[Hashable]] = {}
        order = sorted(range(len(groups)), key=lambda i: max(atom.node.id for atom in groups[i]))
        for i in order:  # each before what reads it
            reads = [read for atom in groups[i] for read in self.groups.readers[atom]]
            out = [read for read in reads if number.get(read.reader) != i]
            readers = {number.get(read.reader, -1) for read in out}
            joints[i] = {sites.joint(one.reader.node, one.slot, one.value.node) for one in out}
            reader = readers.pop() if len(readers) == 1 else -1
            if reader >= 0 and i in weighed and self._may_join(groups[i], groups[reader]):
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

    def _is_weighed(self, atoms: Iterable[Atom]) -> bool:
        """Whether a weight is read there, or nothing but constants."""
        own = set(atoms)
        reads = (read for atom in atoms for read in self.groups.entering[atom])
        groups = [self.groups.group_of.get(read.value) for read in reads if read.value not in own]
        kinds = {"between" if group is None else group.kind for group in groups}
        return kinds == {"constant"} or not kinds.isdisjoint(("parameter", "derived"))

    def _may_join(self, atoms: Sequence[Atom], reader: Sequence[Atom]) -> bool:
        """Whether the reader is of one column, and no module is called in either."""
        if any(self._part_of(atom.node) is not None for atom in (*atoms, *reader)):
            return False
        return len({self.groups.pieces.column(atom) for atom in reader}) == 1

    def _by_calls(self, groups: list[list[Atom]]) -> list[list[Atom]]:
        """Together what one call of a module makes for one column, where nothing lies between."""
        calls = [self._call_of(atoms) for atoms in groups]
        joined = _merged(groups, calls)
        if len(joined) == len(groups):
            return joined
        number: dict[Atom | int, int] = {}
        for i, atoms in enumerate(joined):
            number |= dict.fromkeys(atoms, i)
        ring = _rings(len(joined), self._links(number, len(joined)))
        if not ring:
            return joined
        broken = {self._call_of(joined[i]) for i in ring if i < len(joined)}
        calls = [None if call in broken else call for call in calls]
        return _merged(groups, calls)

    def _call_of(self, atoms: Sequence[Atom]) -> Hashable:
        """The one call of a module that some atoms belong to, and their column; None: several."""
        found = {self._part_of(atom.node) for atom in atoms if not atom.node.is_move}
        if len(found) != 1 or None in found:
            return None
        columns = {self.groups.pieces.column(atom) for atom in atoms if atom.label != WHOLE}
        return found.pop(), frozenset(columns)

    def _part_of(self, node: Node) -> Scope | None:
        """Of the calls that it was made in, the outermost that is only a part of the model."""
        return next((call for call in node.calls if call not in self.groups.containers), None)

    def _links(self, number: dict[Atom | int, int], count: int) -> Iterator[tuple[int, int]]:
        """What reads what, among numbered blocks and all others."""
        others: dict[int, int] = {}
        for read in self.groups.reads:
            ends: list[int] = []
            for atom in (read.value, read.reader):
                if atom in number:
                    ends.append(number[atom])
                else:
                    key = id(self.groups.group_of[atom])
                    ends.append(others.setdefault(key, count + len(others)))
            if ends[0] != ends[1]:
                yield ends[0], ends[1]

    def _keys(self) -> dict[Atom, tuple[int, int]]:
        """Of each atom between the anchors: those it depends on, and those it leads to, as bits."""
        anchors: dict[int, int] = {}
        for group in self.groups.groups:
            if group.kind in ("cell", "bar", "loss", "initial", "input"):
                anchors[id(group)] = 1 << 2 * len(anchors)
        down: dict[Atom, int] = {}
        up: dict[Atom, int] = {}
        order = [atom for node in self.groups.nodes for atom in self.groups.pieces.atoms[node]]
        for atom in order:
            if atom in self.groups.group_of:
                continue
            mask = 0
            for read in self.groups.entering[atom]:
                group = self.groups.group_of.get(read.value)
                mask |= down[read.value] if group is None else anchors.get(id(group), 0)
            down[atom] = mask
        for atom in reversed(order):
            if atom in self.groups.group_of:
                continue
            mask = 0
            for read in self.groups.readers[atom]:
                group = self.groups.group_of.get(read.reader)
                if group is None:
                    mask |= up[read.reader]
                else:  # as a state, or as something else
                    mask |= anchors.get(id(group), 0) << self.groups.is_state(read)
            up[atom] = mask
        return {atom: (down[atom], up[atom]) for atom in order if atom not in self.groups.group_of}


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
