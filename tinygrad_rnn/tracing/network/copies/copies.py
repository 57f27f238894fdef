"""Copies of a cell, and the loop that they are the turns of: what they hold, and what enters."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ....autograd.state import Scope
from ...recording.graph import Node

Entry = tuple[int, int]  # where a value enters a copy: which of its ops, which input of that op


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """How a copy is made: its ops, and what each reads. Copies that are made alike share one."""

    ops: tuple[str, ...]
    given: tuple[Entry, ...]  # what comes from elsewhere …
    parameters: tuple[Entry, ...]  # … and, beside that, the parameters
    rim: tuple[int, ...] = ()  # the ops that read such, or what such ops moved, and the last one
    ends: tuple[int, ...] = ()  # those whose result no other op of the copy reads


@dataclass(slots=True, eq=False)
class Copy:
    """Copy `t` of a row.

    Args:
        call: the call that it is; None for a round of a plain loop.
        nodes: its ops, in creation order.
        row: which row.
        t: which of the row's copies.
        structure: how it is made.
        before: the copies of its row that it receives a state from: one, of a tree several.
    """

    call: Scope | None
    nodes: list[Node] = field(default_factory=list[Node])
    row: int = 0
    t: int = 0
    structure: Structure | None = None
    before: "list[Copy]" = field(default_factory=lambda: list[Copy]())

    @property
    def made(self) -> Structure:
        """Its structure, once that is known."""
        assert self.structure is not None
        return self.structure

    def read(self, entry: Entry) -> Node:
        """What enters there."""
        op, slot = entry
        x = self.nodes[op].inputs[slot]
        assert x is not None
        return x


@dataclass(slots=True, eq=False)
class Loop:
    """All copies of one cell: a row.

    Args:
        owner: the Module, or the name of a tg.scope; None for a plain loop.
        path: where it sits, as the user's code names it; "loop at line 24".
        copies: in the order of their last ops.
        states: of each structure the entries where states come in, state by state.
        made: of each structure which of its ops make these: all of them, or the first few.
        own: what our cells call these, the owner or those in its calls; "" where they do not.
    """

    owner: object
    path: str
    copies: list[Copy] = field(default_factory=list[Copy])
    states: dict[Structure, list[list[Entry]]] = field(
        default_factory=dict[Structure, list[list[Entry]]]
    )
    made: dict[Structure, tuple[int, ...]] = field(default_factory=dict[Structure, tuple[int, ...]])
    own: tuple[str, ...] = ()
    _entries: dict[Structure, set[Entry]] = field(default_factory=dict[Structure, set[Entry]])
    _fed: dict[Structure, list[Entry]] = field(default_factory=dict[Structure, list[Entry]])
    _shared: dict[Structure, set[Entry]] = field(default_factory=dict[Structure, set[Entry]])

    @property
    def is_tree(self) -> bool:
        """Whether a copy receives states from several."""
        return any(len(copy.before) > 1 for copy in self.copies)

    def is_state(self, copy: Copy, entry: Entry) -> bool:
        """Whether a state enters there; to be asked when the states are known."""
        structure = copy.made
        if structure not in self._entries:
            self._entries[structure] = {one for state in self.states[structure] for one in state}
        return entry in self._entries[structure]

    def state_read(self, copy: Copy, k: int) -> Node | None:
        """What comes in as state number `k`; None for a copy that has no such state."""
        entries = self.states[copy.made]
        return copy.read(entries[k][0]) if k < len(entries) else None

    def fed(self, copy: Copy) -> list[Entry]:
        """The entries where anything but a state or a parameter comes in; to be asked then, too."""
        structure = copy.made
        if structure not in self._fed:
            self._fed[structure] = [one for one in structure.given if not self.is_state(copy, one)]
        return self._fed[structure]

    def shared(self, copy: Copy) -> set[Entry]:
        """Of these the entries where all copies that are made alike, if several, read one value."""
        structure = copy.made
        if structure not in self._shared:
            alike = [one for one in self.copies if one.made is structure]
            self._shared[structure] = {
                entry
                for entry in self.fed(copy)
                if len(alike) > 1 and len({one.read(entry) for one in alike}) == 1
            }
        return self._shared[structure]


def fed_parameters(loop: Loop) -> set[Node]:
    """The parameters that some copies read where others, of the same ops, read what comes in.

    As a first word that is learned, in the place of those that follow.
    """
    given: dict[tuple[str, ...], set[Entry]] = {}
    for copy in loop.copies:
        given.setdefault(copy.made.ops, set()).update(copy.made.given)
    return {
        copy.read(entry)
        for copy in loop.copies
        for entry in copy.made.parameters
        if entry in given[copy.made.ops] and not loop.is_state(copy, entry)
    }


def newest(given: Iterable[Mapping[int, Copy]]) -> dict[int, Copy]:
    """Of each row the newest copy."""
    found: dict[int, Copy] = {}
    for rows in given:
        for row, copy in rows.items():
            if row not in found or found[row].t < copy.t:
                found[row] = copy
    return found


def chains_of(loop: Loop) -> list[list[Copy]]:
    """The copies of a row, each with those that it receives its state from."""
    chain_of: dict[Copy, list[Copy]] = {}
    chains: list[list[Copy]] = []
    for copy in loop.copies:
        before = [one for one in copy.before if one in chain_of]
        if not before:
            chains.append([copy])
            chain_of[copy] = chains[-1]
            continue
        own = chain_of[before[0]]
        for one in before[1:]:
            other = chain_of[one]
            if other is not own:
                chains.remove(other)
                own += other
                for each in other:
                    chain_of[each] = own
        own.append(copy)
        chain_of[copy] = own
    return chains
