"""What enters the copies: from other copies, from initial states, and from outside."""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Sequence
from itertools import pairwise

from ...nn.cells import Cell as RecurrentCell
from ..recording.graph import Node
from .copies import Copies, Copy, Entrance, Loop, Structure
from .namer import Captions
from .network import Link, LinkKind, Port, indexed
from .routing import Origins

Ends = tuple[str, str]  # of a link: the ids of its source and its target


class Links:
    """Who hands what to whom, collected value by value."""

    def __init__(self) -> None:
        self._values: dict[Ends, list[Node]] = {}
        self._kinds: dict[Ends, LinkKind] = {}
        self._cut: set[Ends] = set()

    def add(
        self, source: str, target: str, kind: LinkKind, value: Node, *, cut: bool = False
    ) -> None:
        ends = source, target
        self._kinds.setdefault(ends, kind)
        values = self._values.setdefault(ends, [])
        if value not in values:
            values.append(value)
        if cut:
            self._cut.add(ends)

    def values(self, source: Copy, target: Copy) -> Sequence[Node]:
        """What one copy hands to another."""
        return self._values.get((source.id, target.id), ())

    def of(self, ids: Collection[str]) -> list[Link]:
        """The links from and to some cells and ports."""
        return [self._link(ends) for ends in self._values if ends[0] in ids or ends[1] in ids]

    def _link(self, ends: Ends) -> Link:
        return Link(self._kinds[ends], *ends, tuple(self._values[ends]), ends in self._cut)


class Entrances:
    """Where something enters a copy, a trained initial state included, and which is the message."""

    def __init__(self, copies: Copies, origins: Origins) -> None:
        self._structures = copies.structures
        self._messages = {loop.layer: _messages(loop, copies, origins) for loop in copies.loops}
        # A first copy that makes its own state is made otherwise: its entrances have other places.
        self._models = {
            loop.layer: _Model(loop, copies, self._messages[loop.layer])
            for loop in copies.loops
            if len(loop.copies) > 1
        }
        self._known: dict[tuple[int, Structure], Sequence[tuple[Entrance, bool]]] = {}

    def of(self, copy: Copy) -> Sequence[tuple[Entrance, bool]]:
        """The entrances of a copy in order, and whether each is one of the message."""
        structure = self._structures[copy]
        key = copy.layer, structure
        if key not in self._known:
            messages = self._messages[copy.layer]
            model = self._models.get(copy.layer)
            if model is not None and structure not in model.structures:
                messages = model.messages_in(copy, structure)
            trained = (entrance for entrance in structure.parameters if entrance in messages)
            entrances = sorted((*structure.given, *trained))
            self._known[key] = [(entrance, entrance in messages) for entrance in entrances]
        return self._known[key]


class _Model:
    """What the entrances of a loop's second copy are for, by which those of the first are known.

    Args:
        loop: the loop.
        copies: those of the network.
        messages: where a copy receives what the one before it made.
    """

    def __init__(self, loop: Loop, copies: Copies, messages: set[Entrance]) -> None:
        self.structures = {copies.structures[copy] for copy in loop.copies[1:]}
        self._all, copy = messages, loop.copies[1]
        given = copies.structures[copy].given
        self._uses = {_use(copy, at) for at in given if at in messages}
        self._others = {_use(copy, at) for at in given if at not in messages}

    def messages_in(self, copy: Copy, structure: Structure) -> set[Entrance]:
        """The entrances of another copy that are for the message."""
        found = {at for at in structure.given if _use(copy, at) in self._uses - self._others}
        return found or self._all


def _use(copy: Copy, entrance: Entrance) -> Hashable:
    """What an entrance is for: the first op that computes with it, and with which parameters."""
    op, slot = entrance
    node = copy.nodes[op]
    for later in copy.nodes[op + 1 :]:
        if not node.is_move:
            break
        if node in later.inputs:
            node, slot = later, later.inputs.index(node)
    parameters = frozenset(x.id for x in node.tensors() if x.is_parameter)
    return node.op, slot, parameters


def _messages(loop: Loop, copies: Copies, origins: Origins) -> set[Entrance]:
    """Where a copy of this loop receives what the one before it made."""
    structures = copies.structures
    if len(loop.copies) == 1 and isinstance(loop.owner, RecurrentCell):
        (copy,) = loop.copies
        return set(_entrances_but_x(copy, structures[copy], loop.owner))
    found: set[Entrance] = set()
    for before, copy in pairwise(loop.copies):
        for entrance in structures[copy].given:
            if entrance not in found and _is_state_of(before, copy.read(entrance), origins):
                found.add(entrance)
    return found


def _is_state_of(copy: Copy, x: Node, origins: Origins) -> bool:
    """Whether it is what a copy made, unchanged."""
    sources = origins.routing.sources(x)
    return any(copy in origins.roots(source, unchanged=True) for source in sources)


def _entrances_but_x(copy: Copy, structure: Structure, cell: RecurrentCell) -> Iterator[Entrance]:
    """With one timestep nothing was passed on: what does not enter through W_xh is the state."""
    for i, slot in structure.given:
        if not any(x.id == cell.W_xh.id for x in copy.nodes[i].tensors()):
            yield i, slot


class Entering:
    """All that enters the copies of a network, followed back to where it comes from."""

    def __init__(
        self, copies: Copies, entrances: Entrances, origins: Origins, captions: Captions
    ) -> None:
        self._copies = copies
        self._origins = origins
        self._captions = captions
        # from copies and initial states to copies
        self.links = Links()
        self.initial: dict[str, Port] = {}
        # what comes from outside
        self.inputs: dict[Copy, list[Node]] = {}
        # copy -> the copies of other rows that feed it
        self.feeds: defaultdict[Copy, list[Copy]] = defaultdict(list)
        # what a head made of one copy, and another copy read
        self.fed_back: list[tuple[Node, Copy]] = []
        # what one row hands to another
        self.between: set[Node] = set()
        # what ops outside read, and what copies read of others
        self.used = {x for node in copies.outside for x in node.tensors()}
        for copy in copies.all:
            for entrance, is_message in entrances.of(copy):
                self._collect(copy, entrance, is_message)

    def _collect(self, copy: Copy, entrance: Entrance, is_message: bool) -> None:
        x = copy.read(entrance)
        self.used.add(x)
        maker = self._copies.of(x)
        if maker is not None and not x.is_move:
            self._hand_over(maker, copy, x)
            return
        for source in self._origins.routing.sources(x):
            roots = self._origins.roots(source)
            if not roots:
                self._collect_given(copy, entrance, source, is_message)
            elif not is_message and self._is_fed_back(source, copy):
                self.fed_back.append((source, copy))
            else:
                cut = self._origins.routing.is_cut(x)
                for root in roots:
                    self._hand_over(root, copy, source, cut=cut)

    def _hand_over(self, root: Copy, copy: Copy, source: Node, *, cut: bool = False) -> None:
        kind: LinkKind = "other"
        if root.layer != copy.layer:
            kind = "up"
            self.between.add(source)
            self.feeds[copy].append(root)
        elif root.t == copy.t - 1:
            kind = "message"
        self.links.add(root.id, copy.id, kind, source, cut=cut)

    def _is_fed_back(self, source: Node, copy: Copy) -> bool:
        """Whether a head made it of copies in this row or above: an output that is read again."""
        if self._origins.roots(source, unchanged=True):
            return False
        return all(root.layer >= copy.layer for root in self._origins.roots(source))

    def _collect_given(
        self, copy: Copy, entrance: Entrance, source: Node, is_message: bool
    ) -> None:
        """Note what no copy made: an initial state, or an input."""
        x = copy.read(entrance)
        if is_message:
            self._add_initial(copy, x)
        elif not source.is_parameter and not _is_constant_inside(copy, entrance, source):
            known = self.inputs.setdefault(copy, [])
            if x not in known:
                known.append(x)

    def _add_initial(self, copy: Copy, value: Node) -> None:
        id = f"initial-{copy.layer}-{copy.t}" if copy.t else f"initial-{copy.layer}"
        if id not in self.initial:
            owner = self._copies.loops[copy.layer].owner
            states = owner.states if isinstance(owner, RecurrentCell) else ("h",)
            label = ", ".join(indexed(state, copy.t - 1) for state in states)
            caption = self._captions.of(value)
            port = Port(id, "initial", label, caption, value, layer=copy.layer)
            self.initial[id] = port
        self.links.add(id, copy.id, "initial", value)


def _is_constant_inside(copy: Copy, entrance: Entrance, source: Node) -> bool:
    """A constant that an elementwise op of the copy brings along is no input."""
    op, _ = entrance
    if source.op is not None or copy.call not in source.calls:
        return False
    return copy.nodes[op].kind not in ("product", "lookup")
