"""Which state of a copy a value is that enters it: told by where it enters, never by its order."""

from collections.abc import Hashable

from ...tracing.network.copies.sites import site_of
from ...tracing.network.quotient import Block, Quotient, Read, Row
from ..picture.notation import without_step

_Entrance = tuple[int, int]  # the place of an op in its copy, and which of its inputs

_Place = tuple[Row, Hashable, int, int]  # a row, an op, its line, and which of its inputs


class StateEntries:
    """The entrances of each row's copies, and the state that each is for."""

    def __init__(self, quotient: Quotient) -> None:
        self._name_of = quotient.name_of
        self._places: dict[Block, dict[object, int]] = {}
        self._known: dict[tuple[Row, object], dict[_Entrance, int]] = {}
        # Where in the program each state is read: for copies made otherwise, such as the first.
        self._read_at: dict[_Place, set[int]] = {}
        for arrow in quotient.arrows:
            source, target = arrow.source, arrow.target
            if target.kind != "cell" or source.row is not target.row or target.row is None:
                continue
            known = self._known.setdefault((target.row, target.structure), {})
            for read in arrow.reads:
                for state, piece in enumerate(source.states):
                    if piece.node is read.value.node:
                        known.setdefault(self._entrance(target, read), state)
                        self._read_at.setdefault(_place(target.row, read), set()).add(state)

    def is_state(self, target: Block | None, read: Read) -> bool:
        """Whether a value enters a copy where others of its row receive a state."""
        if target is None or target.row is None:
            return False
        known = self._known.get((target.row, target.structure), {})
        return self._entrance(target, read) in known

    def state(self, source: Block | None, target: Block | None, read: Read) -> int | None:
        """Return the number of the state that is read, in the row of the copy that it enters."""
        if target is None or target.kind != "cell" or target.row is None:
            return self._own(source, read)
        known = self._known.get((target.row, target.structure), {})
        state = known.get(self._entrance(target, read))
        if state is None:
            state = self._told(target.row, read)
        if state is not None:
            return state
        name = self._name_of(read.value.node)
        states = target.state_names
        if name in states:
            return states.index(name)
        if source is not None and source.kind == "initial":
            base = without_step(source.label) + target.prime.removesuffix(source.prime)
            if base in states:
                return states.index(base)
        own = self._own(source, read)
        return 0 if own is None else min(own, max(len(states) - 1, 0))

    def _told(self, row: Row, read: Read) -> int | None:
        """Return the state that is read at this place of the program, if it is always one."""
        found = self._read_at.get(_place(row, read), ())
        return next(iter(found)) if len(found) == 1 else None

    def _own(self, source: Block | None, read: Read) -> int | None:
        if source is None:
            return None
        for state, piece in enumerate(source.states):
            if piece.node is read.value.node:
                return state
        return None

    def _entrance(self, block: Block, read: Read) -> _Entrance:
        if block not in self._places:
            self._places[block] = {node: place for place, node in enumerate(block.nodes)}
        return self._places[block].get(read.reader.node, -1), read.slot


def _place(row: Row, read: Read) -> _Place:
    node = read.reader.node
    return row, site_of(node), id(node.source), read.slot
