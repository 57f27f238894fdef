"""The copies of each cell: what they hold, where something enters them, and what is their state."""

from collections import Counter, defaultdict
from collections.abc import (
    Callable,
    Container,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from functools import cache
from itertools import groupby
from typing import Any

from ....autograd.state import Scope
from ....autograd.tensor import Array
from ....cached import cached_property
from ....nn.cells import Cell as RecurrentCell
from ...recording.graph import Graph, Node
from .beginnings import STATE, Beginning, beginning_of, parts_of_join
from .copies import Copy, Entry, Loop, Structure, newest
from .loops import Rounds, loops_in
from .recurrence import Recurrence, is_light, key_of, recurrences_of
from .sites import Sites
from .states import arrange_states, names_in_cells
from .turns import Turn, depth_of_repetition, turns_of


class Cells:
    """The copies in a graph, row by row, and which copy each node lies in."""

    def __init__(
        self,
        nodes: Sequence[Node],
        recurrence: Recurrence,
        turns: Callable[[], Mapping[Node, Turn]],
        plain: Iterable[Rounds] = (),
    ) -> None:
        self._recurrence, self._turns = recurrence, turns
        self.sites = Sites()
        self._of: dict[Node, Copy] = {}
        # the copy that made a value; None for a leaf, and for what was made outside
        self.of: Callable[[Node], Copy | None] = self._of.get
        # of arrays in which a state and something else were joined, what each element is …
        self.joined: dict[Node, Array] = {}
        # … the value that the else is, here or in another copy …
        self.given: dict[Node, Node] = {}
        # … and the first copy of the other row whose state it is, where it is one of another row
        self.begun: dict[Node, Copy] = {}
        loops = [*self._of_calls(nodes, recurrence), *map(_of_rounds, plain)]
        self.loops = sorted(loops, key=lambda loop: loop.copies[0].nodes[0].id)
        for row, loop in enumerate(self.loops):
            # a node of a tree is made when all below it are
            loop.copies.sort(key=lambda copy: copy.nodes[-1].id)
            for t, copy in enumerate(loop.copies):
                copy.row, copy.t = row, t
                self._of.update(dict.fromkeys(copy.nodes, copy))
        self.all = [copy for loop in self.loops for copy in loop.copies]
        # which op of its copy a node is
        self.place = {node: i for copy in self.all for i, node in enumerate(copy.nodes)}
        _find_structures(self.all)
        self._rim = {copy.nodes[i] for copy in self.all for i in copy.made.rim}
        self._find_states(nodes)

    def surface(self, nodes: Iterable[Node]) -> list[Node]:
        """Of some nodes those outside the copies, and where something enters one, or it ends.

        Whoever asks for what lies between the copies need not look into every one.
        """
        return [node for node in nodes if node not in self._of or node in self._rim]

    def outside(self, nodes: Iterable[Node]) -> Iterator[Node]:
        """Of some nodes those that lie in no copy."""
        return (node for node in nodes if node not in self._of)

    @cached_property
    def step_of(self) -> Mapping[Copy, object]:
        """Of a copy the step of an outer loop that it is in."""
        return _steps(self.loops, self.turns, self._recurrence.around)

    @property
    def turns(self) -> Mapping[Node, Turn]:
        """Of ops outside the copies, and of each copy's first, the turn of the loop around."""
        return self._turns()

    def state_of(self, node: Node) -> tuple[int, int] | None:
        """The row whose copies hand a value on, and as which of their states; None if none do."""
        copy = self._of.get(node)
        if copy is None:
            return None
        made, place = self.loops[copy.row].made[copy.made], self.place[node]
        return (copy.row, made.index(place)) if place in made else None

    def is_state(self, reader: Node, slot: int) -> bool:
        """Whether a state enters a copy at an input of an op."""
        copy = self._of.get(reader)
        if copy is None:
            return False
        return self.loops[copy.row].is_state(copy, (self.place[reader], slot))

    def _of_calls(self, nodes: Iterable[Node], recurrence: Recurrence) -> Iterable[Loop]:
        loops: dict[Hashable, Loop] = {}
        copies: dict[Scope, Copy] = {}
        for node in nodes:
            call = recurrence.copy_of.get(node.scope) if node.op is not None else None
            if call is None:
                continue
            if call not in copies:
                key = key_of(call)
                if key not in loops:
                    path = ".".join(scope.name for scope in call.chain())
                    loops[key] = Loop(call.owner, path)
                copies[call] = Copy(call)
                loops[key].copies.append(copies[call])
            copies[call].nodes.append(node)
        return loops.values()

    # States

    def _find_states(self, nodes: Iterable[Node]) -> None:
        """Where a value comes in that, in some pair of copies, is what an earlier one made."""
        received = self._received(nodes)
        for loop in self.loops:
            found: defaultdict[Structure, set[Entry]] = defaultdict(set)
            for copy in loop.copies:
                for entry in (*copy.made.given, *copy.made.parameters):
                    if (copy, entry) in received:
                        found[copy.made].add(entry)
                        before = received[copy, entry]
                        copy.before += [one for one in before if one not in copy.before]
            if not found and isinstance(loop.owner, RecurrentCell):
                for copy in loop.copies:
                    found[copy.made] |= _all_but_x(copy, loop.owner)
                self._find_before(nodes, loop, found)
            for begun in _find_those_of_others(loop, found):
                self.joined |= begun.joined
                self.given |= begun.given
            for copy in loop.copies:
                loop.states.setdefault(copy.made, [])
            _group(loop, found)
            arrange_states(loop, self.of)
            loop.own = _own_names(loop)
        for loop in self.loops:
            self._find_joined(loop)

    def _find_before(
        self, nodes: Iterable[Node], loop: Loop, found: Mapping[Structure, Container[Entry]]
    ) -> None:
        """Of copies whose states we know, which one they go on from: also by way of other rows."""
        newest_in: dict[Node | None, Copy] = {}
        own = set(loop.copies)
        for node in nodes:
            copy = self._of.get(node)
            if copy not in own:
                given = [newest_in[x] for x in node.inputs if x in newest_in]
                newest_in |= {node: max(given, key=lambda one: one.t)} if given else {}
                continue
            newest_in[node] = copy
            for slot, x in enumerate(node.inputs):
                before = newest_in.get(x)
                is_state = (self.place[node], slot) in found[copy.made]
                if is_state and before is not None and before not in (copy, *copy.before):
                    copy.before.append(before)

    def _find_joined(self, loop: Loop) -> None:
        """Find arrays in which NumPy has joined an input and what another row's state is at first.

        Later copies that are made alike read an array there that an op has joined.
        """
        for structure in loop.states:
            copies = [copy for copy in loop.copies if copy.made is structure]
            for entry in structure.given:
                if loop.is_state(copies[0], entry):
                    continue
                read = [copy.read(entry) for copy in copies]
                model = next((x for x in read if x.op == "concatenate"), None)
                if model is None:
                    continue
                for leaf in dict.fromkeys(read):
                    if leaf.op is None and leaf.shape == model.shape and not leaf.is_parameter:
                        self._take_apart(leaf, model)

    def _take_apart(self, leaf: Node, model: Node) -> None:
        """Tell the parts of an array by those of another one, if the numbers are that state's."""
        rows = [self._row_of(x) for x in model.tensors()]
        known = {row for row in rows if row is not None}
        if len(known) != 1 or None not in rows:
            return
        (row,) = known
        parts = parts_of_join(model, [own is not None for own in rows])
        first, loop = self.loops[row].copies[0], self.loops[row]
        begun = leaf.data[parts == STATE].tobytes()
        given = (first.read(entries[0]) for entries in loop.states[first.made])
        if any(x.op is None and x.data.tobytes() == begun for x in given):
            self.joined[leaf], self.begun[leaf] = parts, first

    def _row_of(self, x: Node) -> int | None:
        """The row whose state a value is, moved or not."""
        while self._of.get(x) is None and x.moved_from is not None:
            x = x.moved_from
        state = self.state_of(x)
        return None if state is None else state[0]

    def _received(self, nodes: Iterable[Node]) -> dict[tuple[Copy, Entry], list[Copy]]:
        """Each entry where a copy of the same row handed something over, unchanged."""
        # node -> row -> the newest copy whose state it is
        carried: dict[Node, dict[int, Copy]] = {}
        found: dict[tuple[Copy, Entry], list[Copy]] = {}

        def handed_on(x: Node) -> Mapping[int, Copy]:
            copy = self._of.get(x)
            return carried.get(x, {}) if copy is None else {copy.row: copy}

        for node in self.surface(nodes):
            if node.op is None:
                continue
            copy = self._of.get(node)
            if copy is None:
                if is_light(node):
                    carried[node] = newest(map(handed_on, node.tensors()))
                continue
            for slot, x in enumerate(node.inputs):
                one = handed_on(x).get(copy.row) if x is not None else None
                if one is not None and one is not copy:
                    found.setdefault((copy, (self.place[node], slot)), []).append(one)
        return found


def _own_names(loop: Loop) -> tuple[str, ...]:
    """What our cells call the states of a loop: as those are in a later copy, where there is one.

    In the first one the parts of a state may be arrays of their own.
    """
    if isinstance(loop.owner, RecurrentCell):
        return loop.owner.states
    later = [copy for copy in loop.copies if copy.before]
    copy = later[-1] if later else loop.copies[0]
    return names_in_cells(copy, loop.states[copy.made])


def _steps(
    loops: Iterable[Loop], turns: Mapping[Node, Turn], around: Mapping[Scope, Scope]
) -> dict[Copy, object]:
    """Of each copy the step that it is a part of, where the loop over the copies is in another."""
    found: dict[Copy, object] = {}
    for loop in loops:
        depths: dict[Copy, int | None] = {}
        for copy in loop.copies:
            before = next(iter(copy.before), None)
            last = None if before is None else turns.get(before.nodes[0])
            depths[copy] = depth_of_repetition(last, turns.get(copy.nodes[0]))
        known = {depth for depth in depths.values() if depth is not None}
        step: object = None
        for copy, depth in depths.items() if len(known) > 1 and not loop.is_tree else ():
            step = step if depth == max(known) else copy
            found[copy] = step
    calls = {copy.call: copy for loop in loops for copy in loop.copies if copy.call in around}
    return found | {copy: around[call] for call, copy in calls.items() if call is not None}


def _of_rounds(plain: Rounds) -> Loop:
    copies = [Copy(None, nodes) for nodes in plain.rounds]
    return Loop(None, f"loop at line {plain.line}", copies)


def _all_but_x(copy: Copy, cell: RecurrentCell) -> set[Entry]:
    """With one timestep nothing was passed on: what does not enter through W_xh is the state."""
    return {(i, slot) for i, slot in copy.made.given if not _reads(copy.nodes[i], cell.W_xh.id)}


def _find_those_of_others(loop: Loop, found: dict[Structure, set[Entry]]) -> list[Beginning]:
    """A first copy that is made otherwise has its states' entries at other places."""
    beginnings: list[Beginning] = []
    if not found:
        return beginnings
    model = next(copy for copy in reversed(loop.copies) if copy.made in found)
    entries = found[model.made]
    made_of: dict[Structure, set[Entry]] = {}
    for copy in loop.copies:
        if copy.made in found:
            continue
        begun = _beginning(copy, loop, found)
        if begun is not None:
            beginnings.append(begun)
            made_of[copy.made] = set(begun.states)
    found |= made_of
    every = {_use(model, entry) for entry in entries}
    others = {_use(model, entry) for entry in model.made.given if entry not in entries}
    uses = every - others
    # a trained initial state, which no other copy reads, enters as states do
    read = {model.read(entry) for entry in model.made.parameters}
    for copy in loop.copies:
        if copy.made not in found:
            own = {entry for entry in copy.made.given if _use(copy, entry) in uses}
            trained = {at for at in copy.made.parameters if copy.read(at) not in read}
            own |= {entry for entry in trained if _use(copy, entry) in uses}
            if not own:  # one array that holds the input, too
                own = {entry for entry in copy.made.given if _use(copy, entry) in every}
            found[copy.made] = own
    return beginnings


def _beginning(first: Copy, loop: Loop, found: Mapping[Structure, set[Entry]]) -> Beginning | None:
    """What a first copy reads, as those tell that most others are made like."""
    structures = Counter(copy.made for copy in loop.copies if copy.made in found)
    for structure, _ in structures.most_common():
        alike = [copy for copy in loop.copies if copy.made is structure]

        def is_steady(entry: Entry, copies: Sequence[Copy] = alike) -> bool:
            return len(copies) > 1 and len({copy.read(entry) for copy in copies}) == 1

        is_state = found[structure].__contains__
        begun = beginning_of(first.nodes, alike[0].nodes, is_state, is_steady)
        if begun is not None:
            return begun
    return None


def _use(copy: Copy, entry: Entry) -> Hashable:
    """What an entry is for: the first op that computes with it, and with which parameters."""
    op, slot = entry
    node = copy.nodes[op]
    for later in copy.nodes[op + 1 :]:
        if not node.is_move:
            break
        if node in later.inputs:
            node, slot = later, later.inputs.index(node)
    own = copy.read(entry)  # which may be a trained initial state
    parameters = frozenset(x.id for x in node.tensors() if x.is_parameter and x is not own)
    return node.op, slot, parameters


def _group(loop: Loop, found: Mapping[Structure, set[Entry]]) -> None:
    """Entries where the same value comes in are of one state: h is read by W_hh and by z ⊙ h."""
    for structure, entries in found.items():
        copies = [copy for copy in loop.copies if copy.made is structure]
        model = copies[len(copies) // 2]
        states: dict[Node, list[Entry]] = {}
        for entry in sorted(entries):
            states.setdefault(model.read(entry), []).append(entry)
        groups = list(states.values())
        known = names_in_cells(model, groups)
        if all(known):  # h first, as our cells have it
            order = sorted(range(len(groups)), key=lambda k: known[k] != "h")
            groups = [groups[k] for k in order]
        loop.states[structure] = groups


def _reads(node: Node, id: int) -> bool:
    return any(x.id == id for x in node.tensors())


def cells_in(nodes: Sequence[Node]) -> Cells:
    """The copies among nodes: of modules and scopes, else of plain loops.

    Where several modules make a step, none of which hands its state to itself, the loop around
    them is the cell, as of `h = tanh(W(x) + U(h))`; one of them, where nobody knows a loop.
    """
    own, first = recurrences_of(nodes)
    others = first.copy_of.keys() - own.copy_of.keys()
    if others:
        cells = _cells_of(nodes, own)
        loops = (copy for copy in cells.all if copy.call is None)
        if any(node.scope in others for copy in loops for node in copy.nodes):
            return cells
    return _cells_of(nodes, first)


def _cells_of(nodes: Sequence[Node], recurrence: Recurrence) -> Cells:
    """The copies that some calls are, and those of plain loops outside of these."""
    taken = {node for node in nodes if node.op is not None and node.scope in recurrence.copy_of}
    turns = cache(lambda: turns_of(_without_insides(nodes, recurrence)))
    plain = loops_in(nodes, taken, turns)
    cells = Cells(nodes, recurrence, turns, plain)
    if plain and not _is_convex(nodes, cells):  # its rounds would enclose other copies
        plain = []
        cells = Cells(nodes, recurrence, turns)
    sums = _sums_of_loss(nodes, cells)
    if not sums:
        return cells
    return Cells([node for node in nodes if node not in sums], recurrence, turns, plain)


def _without_insides(nodes: Iterable[Node], recurrence: Recurrence) -> Iterator[Node]:
    """The ops, of those that one copy makes without a break only the first and the last."""
    ops = (node for node in nodes if node.op is not None)
    for copy, made in groupby(ops, key=lambda node: recurrence.copy_of.get(node.scope)):
        if copy is None:
            yield from made
            continue
        first, *others = made
        yield first
        yield from others[-1:]


def _is_convex(nodes: Iterable[Node], cells: Cells) -> bool:
    """Whether no way out of a copy leads back into it."""
    following: defaultdict[object, set[object]] = defaultdict(set)
    waiting: Counter[object] = Counter()
    for node in nodes:
        own = cells.of(node) or node
        waiting[own] += 0
        for x in node.tensors():
            before = cells.of(x) or x
            if before is not own and own not in following[before]:
                following[before].add(own)
                waiting[own] += 1
    free = [one for one, count in waiting.items() if not count]
    done = 0
    while free:
        one = free.pop()
        done += 1
        for after in following[one]:
            waiting[after] -= 1
            if not waiting[after]:
                free.append(after)
    return done == len(waiting)


def looks_like_a_loop(graph: Graph) -> bool:
    """Whether one op of a line ran on what it had made, again and again, in no copy.

    These are steps that nobody marked. Each layer of a stack is another module's.
    """
    if cells_in(graph.nodes).loops:
        return False
    keys = {node: _place_of(node) for node in graph.nodes if node.op and node.source}
    often = {key for key, count in Counter(keys.values()).items() if count >= _LOOP_LEAST}
    return any(_longest(graph.nodes, keys, key) >= _LOOP_LEAST for key in often)


_LOOP_LEAST = 3


def _place_of(node: Node) -> tuple[object, ...]:
    """Return the line and op of a node, and whose line it is."""
    assert node.source is not None
    owner = id(node.calls[-1].owner) if node.calls else None
    return node.source.file, node.source.line, node.op, owner


def _longest(nodes: Iterable[Node], keys: Mapping[Node, object], key: object) -> int:
    """Return how many nodes of a key, at most, are each made of the one before."""
    length: dict[Node, int] = {}
    for node in nodes:
        before = max((length.get(x, 0) for x in node.tensors()), default=0)
        length[node] = before + (keys.get(node) == key)
    return max(length.values(), default=0)


def _sums_of_loss(nodes: Sequence[Node], cells: Cells) -> set[Node]:
    """The loss, where the copies add it up: what in every one of them leads to nothing else."""
    root = nodes[-1]
    copy = cells.of(root)
    if copy is None or root.size != 1:
        return set()
    others: set[Node] = set()  # what something else reads
    found: set[Node] = set()
    for node in reversed(nodes):
        if node is root or (cells.of(node) and node not in others and not node.reads_a_parameter):
            found.add(node)
        else:
            others.update(node.tensors())
    copies = [one for one in cells.loops[copy.row].copies if one.made.ops == copy.made.ops]
    places = range(len(copy.nodes))
    always = [i for i in places if all(one.nodes[i] in found for one in copies)]
    sums = {one.nodes[i] for one in copies for i in always}
    return sums if len(copies) > 1 and root in sums else set()


# How copies are made


def _find_structures(copies: Iterable[Copy]) -> None:
    known: dict[Hashable, Structure] = {}
    for copy in copies:
        key = _wiring(copy)
        if key not in known:
            known[key] = _structure(copy)
        copy.structure = known[key]


def _wiring(copy: Copy) -> Hashable:
    """Each op and what it reads: an op of the copy, a parameter, a number, or from elsewhere."""
    place: dict[Node | None, int] = {node: i for i, node in enumerate(copy.nodes)}
    wiring: list[Any] = []
    for node in copy.nodes:
        wiring.append(node.op)
        for x in node.inputs:
            at = place.get(x)
            wiring.append(_from_elsewhere(x) if at is None else at)
    return tuple(wiring)


def _from_elsewhere(x: Node | None) -> int | None:
    """None for a number, and each parameter its own."""
    if x is None:
        return None
    return -2 - x.id if x.is_parameter else -1


def _structure(copy: Copy) -> Structure:
    inside = set(copy.nodes)
    given: list[Entry] = []
    parameters: list[Entry] = []
    for i, node in enumerate(copy.nodes):
        for slot, x in enumerate(node.inputs):
            if x is None or x in inside:
                continue
            if x.is_parameter:
                parameters.append((i, slot))
            else:
                given.append((i, slot))
    return Structure(
        ops=tuple(node.op or "" for node in copy.nodes),
        given=tuple(given),
        parameters=tuple(parameters),
        rim=_rim(copy, (*given, *parameters)),
        ends=_ends(copy),
    )


def _ends(copy: Copy) -> tuple[int, ...]:
    """The ops whose result no other op of the copy reads."""
    used = {x for node in copy.nodes for x in node.inputs}
    return tuple(i for i, node in enumerate(copy.nodes) if node not in used)


def _rim(copy: Copy, entries: Iterable[Entry]) -> tuple[int, ...]:
    """The ops where something enters, those that read what of these only moved it, and the last."""
    entered = {len(copy.nodes) - 1, *(op for op, _ in entries)}
    moved: set[Node] = set()
    found: list[int] = []
    for i, node in enumerate(copy.nodes):
        if i in entered or not moved.isdisjoint(node.tensors()):
            found.append(i)
            if node.is_move:
                moved.add(node)
    return tuple(found)
