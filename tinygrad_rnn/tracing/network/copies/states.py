"""Which ops of a copy make the states that the next copy receives.

Copies are not all made alike: in the first one NumPy alone may have computed what was constant, and
of the last one what nobody reads is missing. So an op is the same in two copies if the program made
it at the same place.
"""

from collections import Counter
from collections.abc import Callable, Container, Hashable, Iterator, Sequence

from ....autograd.state import Scope
from ....nn.cells import Cell as RecurrentCell
from ...recording.graph import Node
from .copies import Copy, Entry, Loop, Structure
from .recurrence import is_light, is_moved
from .sites import places_of

MakerOf = Callable[[Node], Copy | None]  # the copy that made a value


def arrange_states(loop: Loop, maker_of: MakerOf) -> None:
    """Find the ops that make the states of a loop; put those first that most copies make."""
    handed_on = _handed_on(loop, maker_of)
    if not any(handed_on.values()):
        loop.made = {copy.made: (len(copy.nodes) - 1,) for copy in loop.copies}
        return
    example = {copy.made: copy for copy in loop.copies}
    model = max(handed_on, key=lambda structure: len(handed_on[structure]))
    places: dict[Structure, list[int | None]] = {}
    for structure, copy in example.items():
        own, wanted = handed_on.get(structure, ()), handed_on[model]
        places[structure] = list(own)
        if len(own) != len(wanted):
            places[structure] = _found_again(example[model], wanted, copy, own)
    order = _order(loop, places)
    for structure, found in places.items():
        arranged = [found[state] for state in order]
        until = arranged.index(None) if None in arranged else len(arranged)
        loop.made[structure] = tuple(place for place in arranged[:until] if place is not None)
    for structure, entries in loop.states.items():
        if len(entries) == len(order):
            loop.states[structure] = [entries[state] for state in order]


def names_in_cells(copy: Copy, states: Sequence[Sequence[Entry]]) -> tuple[str, ...]:
    """What our cells call the states of a copy: the copy itself, or those that are called in it.

    "" of a state that comes in as none of theirs. Their h is multiplied by a weight, W_hh, and what
    carries the memory is not.
    """
    taken_in: dict[Scope, dict[int, bool]] = {}  # of a call each state: whether it is the h there
    names_of: dict[Scope, tuple[str, ...]] = {}
    for k, entries in enumerate(states):
        for reader in _readers(copy, entries):
            for call, cell in _calls_of_cells(reader):
                own = taken_in.setdefault(call, {})
                own[k] = own.get(k, False) or reader.kind == "product"
                names_of[call] = cell.states
    found = [""] * len(states)
    for call, own in taken_in.items():
        names = names_of[call]
        if len(own) == len(names):
            for name, k in zip(names, sorted(own, key=lambda k: not own[k]), strict=True):
                found[k] = found[k] or name
    return tuple(found)


def _calls_of_cells(reader: Node) -> Iterator[tuple[Scope, RecurrentCell]]:
    """The call of one of our cells in which an op reads a state, and that cell."""
    for call in reversed(reader.calls):
        cell = call.owner
        if isinstance(cell, RecurrentCell):
            if not any(_whole(x).id == cell.W_xh.id for x in reader.tensors()):
                yield call, cell
            return


def _whole(x: Node) -> Node:
    """What a value is all or a part of."""
    while x.moved_from is not None:
        x = x.moved_from
    return x


def _readers(copy: Copy, entries: Sequence[Entry]) -> Iterator[Node]:
    """What first computes with a value that enters a copy there."""
    waiting = [copy.nodes[op] for op, _ in entries]
    for node in waiting:  # grows
        if is_moved(node):
            later = copy.nodes[copy.nodes.index(node) + 1 :]
            waiting += [one for one in later if node in one.inputs]
        else:
            yield node


def _order(loop: Loop, places: dict[Structure, list[int | None]]) -> list[int]:
    """The states in order: as a cell of ours has them, else by how many copies make them.

    Of several that as many make, as the program returns or binds them.
    """
    made = (places[copy.made] for copy in loop.copies)
    count = Counter(state for own in made for state, place in enumerate(own) if place is not None)
    order = sorted(range(len(next(iter(places.values())))))
    if not isinstance(loop.owner, RecurrentCell):
        parts = _parts(loop, places)
        is_known = all(parts) and len(set(parts)) == len(parts)
        order.sort(key=lambda state: (-count[state], parts[state] if is_known else ()))
    return order


def _parts(loop: Loop, places: dict[Structure, list[int | None]]) -> list[tuple[int, ...]]:
    """Which part of what a copy returns each state is."""
    copy = max(loop.copies, key=lambda copy: sum(x is not None for x in places[copy.made]))
    nodes = [None if place is None else copy.nodes[place] for place in places[copy.made]]
    sources = [None if node is None else node.source for node in nodes]
    return [() if source is None else source.part_of for source in sources]


def _handed_on(loop: Loop, maker_of: MakerOf) -> dict[Structure, list[int]]:
    """Of each structure which ops make what a copy after it receives as states."""
    found: dict[Structure, list[int]] = {}
    place = {node: i for copy in loop.copies for i, node in enumerate(copy.nodes)}
    for copy in reversed(loop.copies):
        for before in copy.before:
            if before.made in found:
                continue
            reads = (copy.read(entries[0]) for entries in loop.states[copy.made])
            origins = (_origin(x, before, maker_of) for x in reads)
            found[before.made] = list(dict.fromkeys(place[one] for one in origins if one))
    return found


def _found_again(
    model: Copy, wanted: Sequence[int], copy: Copy, own: Sequence[int]
) -> list[int | None]:
    """The ops in a copy that make what some ops of another copy do; None where there is none."""
    known = {mark: i for i, mark in enumerate(_marks(copy))}
    marks = _marks(model)
    found = [known.get(marks[place]) for place in wanted]
    for state, place in enumerate(wanted):
        begun = model.made.ops[: place + 1]
        if found[state] is None and copy.made.ops[: place + 1] == begun:
            found[state] = place
    left = [place for place in own if place not in found]
    for state, place in enumerate(found):
        if place is None and left:
            found[state] = left.pop(0)
    known = set(marks)
    return [None if place is None else _last_made(copy, place, known) for place in found]


def _last_made(copy: Copy, place: int, known: Container[Hashable]) -> int:
    """What a state is in the end in a copy that does more to it than others: a mask, say.

    The program names it then, if it named the state before; else that is only read for something.
    """
    marks = _marks(copy)
    for later, node in enumerate(copy.nodes[place + 1 :], place + 1):
        state = copy.nodes[place]
        goes_on = state in node.inputs and is_light(node) and not node.is_move
        if goes_on and marks[later] not in known and (node.given_name or not state.given_name):
            place = later
    return place


def _marks(copy: Copy) -> list[Hashable]:
    """What each op of a copy is the same as in others: its place, and how often it ran there."""
    marks: list[Hashable] = []
    count: Counter[Hashable] = Counter()
    for node in copy.nodes:
        source = node.source
        mark: Hashable = object()  # nobody knows
        if source is not None:
            mark = node.op, source.part, places_of(node, 2) or (source.file, source.line)
        count[mark] += 1
        marks.append((mark, count[mark]))
    return marks


def _origin(x: Node, copy: Copy, maker_of: MakerOf) -> Node | None:
    """The op of a copy that made a state, seen through what it lightly passed."""
    seen = {x}
    waiting = [x]
    while waiting:
        node = waiting.pop()
        owner = maker_of(node)
        if owner is copy:
            return node
        if owner is None and is_light(node):
            fresh = [y for y in node.tensors() if y not in seen]
            seen.update(fresh)
            waiting += sorted(fresh, key=lambda y: y.id)
    return None
