"""Plain loops: steps that nobody marked, told by the loops of the program that went round.

Ops of one place in a loop are one op of a rolled graph. Where that goes round in a circle, outside
of all copies, there is a cell: its copies are the turns of the loop, each with what feeds it alone.
"""

from collections import Counter, defaultdict
from collections.abc import (
    Callable,
    Collection,
    Container,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from ....autograd import ops
from ....autograd.state import Scope
from ...recording.graph import Node
from .lookups import is_at_number, looked_up
from .recurrence import is_light, key_of
from .turns import Key, Turn, depth_of_repetition
from .weights import Weights

Site = Hashable

_sums: tuple[object, ...] = (ops.add, ops.sub)
_SUMS = frozenset(getattr(function, "op") for function in _sums)  # noqa: B009


@dataclass(frozen=True, slots=True)
class Rounds:
    """A loop: the ops of each round, and the line that it begins in."""

    line: int
    rounds: list[list[Node]]

    @property
    def ops(self) -> list[Node]:
        """Those of all rounds."""
        return [node for one in self.rounds for node in one]

    @property
    def inside(self) -> set[Node]:
        """The same, to be asked for."""
        return set(self.ops)


def loops_in(
    nodes: Sequence[Node], taken: Container[Node], turns: Callable[[], Mapping[Node, Turn]]
) -> list[Rounds]:
    """The loops among nodes that are not `taken` by copies, in the order of their first ops.

    The innermost loop whose own turns hand something on is the cell; first those that read a
    parameter on that way. All others, as of a generator or a recursion, go by the ops that come
    again.
    """
    free = [node for node in nodes if node.op is not None and node not in taken and node.source]
    if not _may_go_round(free):
        return []
    found: list[Rounds] = []
    used: set[Node] = set()
    bodies, weights = _bodies(free, turns()), Weights(nodes)
    for reading in (True, False):
        for loop, body in bodies.items():
            left = {node: turn for node, turn in body.items() if node not in used}
            for cell in _cells_of(loop, left, weights):
                if bool(weights.read_by(cell.ops, cell.inside)) < reading:
                    continue
                if _is_cell(cell, nodes, taken, weights):
                    found.append(cell)
                    used.update(cell.ops)
    left = [node for node in free if node not in used]
    found += _without_loops(left, _sites(left), turns(), nodes, taken, weights)
    if not found:
        return found
    sites = _sites(free)
    _add_what_feeds(found, nodes, taken, sites)
    return sorted(found, key=lambda loop: loop.rounds[0][0].id)


def _may_go_round(free: Sequence[Node]) -> bool:
    """Whether ops of the same instructions read each other in a circle, in whatever turns."""
    key_of_node = {node: (node.op, _instruction(node)) for node in free}
    following: dict[Site, dict[Site, None]] = {key: {} for key in key_of_node.values()}
    for node, key in key_of_node.items():
        for x in node.inputs:
            if x in key_of_node:
                following[key_of_node[x]][key] = None
    return any(map(partial(_is_circle, following), _strongly_connected(following)))


def _instruction(node: Node) -> int:
    """The number of the innermost instruction that made an op; -1: nobody knows."""
    places = node.source.places if node.source is not None else ()
    return places[-1].at if places else -1


def _bodies(free: Iterable[Node], turns: Mapping[Node, Turn]) -> dict[Key, dict[Node, Turn]]:
    """Of each loop the ops in it, and the turn of it that each is made in: inner loops first."""
    depth: dict[Key, int] = {}
    bodies: defaultdict[Key, dict[Node, Turn]] = defaultdict(dict)
    for node in free:
        chain = turns[node].chain() if node in turns else []
        for i, turn in enumerate(chain):
            bodies[turn.loop][node] = turn
            depth[turn.loop] = max(i, depth.get(turn.loop, 0))
    return {loop: bodies[loop] for loop in sorted(bodies, key=depth.__getitem__, reverse=True)}


def _cells_of(loop: Key, body: Mapping[Node, Turn], weights: Weights) -> Iterator[Rounds]:
    """What the turns of a loop hand on to each other, each circle of ops by itself.

    Turns that read other parameters, as of another layer, are other cells.
    """
    waiting = [body]
    while waiting:
        body = waiting.pop()
        sites = _sites_in(loop, body)
        for component in _circles(body, sites, partial(_is_same_run, body)):
            rounds: dict[Turn, list[Node]] = {}
            for node, turn in body.items():
                if sites[node] in component:
                    rounds.setdefault(turn, []).append(node)
            stretches = _stretches(rounds, weights)
            is_one_run = len(stretches) == len({turn.run for turn in rounds})
            for turns in _sharing(stretches):
                mine = {turn: rounds[turn] for turn in rounds if turn in turns}
                strangers = _strangers(mine, weights)
                if strangers or not is_one_run:  # without the others other ops may make the circle
                    left = [turn for turn in mine if turn not in strangers]
                    waiting.append({node: turn for turn in left for node in mine[turn]})
                elif len(mine) > 1:
                    yield Rounds(loop[1][0], list(mine.values()))


_Stretch = tuple[set[Turn], set[int]]  # turns one after the other, and the parameters they read


def _stretches(rounds: Mapping[Turn, Sequence[Node]], weights: Weights) -> list[_Stretch]:
    """The runs of a loop; one that for good goes over to other parameters is two.

    As where the loop is in a function, which was called anew for each layer. One that reads others
    at every turn goes up a stack itself.
    """
    of_run: defaultdict[Turn, list[_Stretch]] = defaultdict(list)
    inside = _all_of(rounds)
    for turn, made in rounds.items():
        read = weights.read_by(made, inside)
        stretches = of_run[turn.run]
        known = stretches[-1][1] if stretches else set[int]()
        if not stretches or (read and known and read.isdisjoint(known)):
            stretches.append((set(), set()))
        stretches[-1][0].add(turn)
        stretches[-1][1].update(read)
    found: list[_Stretch] = []
    for stretches in of_run.values():
        turns = set[Turn]().union(*(one[0] for one in stretches))
        read = set[int]().union(*(one[1] for one in stretches))
        comes_back = len(read) < sum(len(one[1]) for one in stretches)
        if comes_back or len(turns) == len(stretches):
            stretches = [(turns, read)]
        found += stretches
    return found


def _all_of(rounds: Mapping[Turn, Sequence[Node]]) -> set[Node]:
    return {node for made in rounds.values() for node in made}


def _strangers(rounds: Mapping[Turn, Sequence[Node]], weights: Weights) -> set[Turn]:
    """Turns that are none of the cell: they read no parameter, as others do, nor its state.

    Nor are those of another row that attends to this one. They come last, do less, and hand
    nothing on.
    """
    inside = _all_of(rounds)
    reading = {turn for turn, made in rounds.items() if weights.read_by(made, inside)}
    if not reading:
        return set()
    known: set[Node] = set()
    found: set[Turn] = set()
    for turn, made in rounds.items():
        if turn in reading or any(x in known for node in made for x in node.tensors()):
            known.update(made)
        else:
            found.add(turn)
    own = {turn: made for turn, made in rounds.items() if turn not in found}
    return found | (own.keys() - reading - _handing_on(own))


def _handing_on(rounds: Mapping[Turn, Sequence[Node]]) -> set[Turn]:
    """The turns that others read, and those that do the same."""
    turn_of = {node: turn for turn, made in rounds.items() for node in made}
    read = {(turn_of.get(x), turn) for node, turn in turn_of.items() for x in node.tensors()}
    found = {before for before, turn in read if before is not None and before is not turn}
    done = {turn: tuple(node.op for node in made) for turn, made in rounds.items()}
    alike = {done[turn] for turn in found}
    return {turn for turn in rounds if done[turn] in alike}


def _sharing(stretches: Iterable[_Stretch]) -> list[set[Turn]]:
    """The turns of a loop, those together that have parameters in common, or none at all."""
    found: list[_Stretch] = []
    for turns, parameters in stretches:
        alike = [one for one in found if one[1] & parameters or not (one[1] or parameters)]
        found = [one for one in found if one not in alike]
        turns = turns.union(*(one[0] for one in alike))
        found.append((turns, parameters.union(*(one[1] for one in alike))))
    return [turns for turns, _ in found]


def _without_loops(
    free: Sequence[Node],
    sites: Mapping[Node, Site],
    turns: Mapping[Node, Turn],
    nodes: Sequence[Node],
    taken: Container[Node],
    weights: Weights,
) -> Iterator[Rounds]:
    """Circles of ops that ran again, where nobody knows a loop that went round meanwhile.

    Rounds that read other parameters, as of another layer, are other cells.
    """

    def is_read_in_no_later_turn(x: Node, reader: Node) -> bool:
        return depth_of_repetition(turns.get(x), turns.get(reader)) is None

    waiting = [list(free)]
    while waiting:
        body = waiting.pop()
        for component in _circles(body, sites, is_read_in_no_later_turn):
            inside = [node for node in body if sites[node] in component]
            line = min(node.source.line for node in inside if node.source is not None)
            cell = Rounds(line, _rounds(inside, sites))
            layers = _with_other_parameters(cell, weights)
            if len(layers) > 1:  # without the others other ops may make the circle
                waiting += layers
            elif len(cell.rounds) > 1 and _is_cell(cell, nodes, taken, weights):
                yield cell


def _with_other_parameters(cell: Rounds, weights: Weights) -> list[list[Node]]:
    """The ops of the rounds that have parameters in common; what reads none goes with the last."""
    inside = cell.inside
    parts: list[tuple[list[Node], set[int]]] = []
    for made in cell.rounds:
        read = weights.read_by(made, inside)
        alike = [part for part in parts if part[1] & read] if read else parts[-1:]
        if not alike:
            parts.append((list(made), read))
            continue
        first, *others = alike
        first[0].extend(made)
        first[1].update(read)
        for other in others:
            first[0].extend(other[0])
            first[1].update(other[1])
            parts.remove(other)
    return [sorted(made, key=lambda node: node.id) for made, _ in parts]


class _Modules(dict[Scope | None, tuple[Hashable, ...]]):
    """The modules that are being called in a scope; looked for once, since calls may lie deep."""

    def __missing__(self, scope: Scope | None) -> tuple[Hashable, ...]:
        calls = () if scope is None else scope.chain()
        self[scope] = made = tuple(map(key_of, calls))
        return made


def _sites_in(loop: Key, body: Mapping[Node, Turn]) -> dict[Node, Site]:
    """The place of each op within one turn of a loop: loops inside are taken apart."""
    sites: dict[Node, Site] = {}
    count: Counter[tuple[Turn, Site]] = Counter()
    modules = _Modules()
    for node, turn in body.items():
        assert node.source is not None
        places, (function, position) = node.source.places, loop
        outer = [
            i for i, one in enumerate(places) if position in one.loops and one.function == function
        ]
        inside = tuple((one.function, one.at) for one in places[max(outer, default=0) :])
        site = inside, node.op, modules[node.scope]
        count[turn, site] += 1
        sites[node] = *site, count[turn, site]
    return sites


def _sites(nodes: Iterable[Node]) -> dict[Node, Site]:
    """The place in the program that made each: module, way of calls, and which op there.

    A line that makes several at once, as a split or a gradient does, numbers them.
    """
    sites: dict[Node, Site] = {}
    count, before = 0, None
    modules = _Modules()
    for node in nodes:
        place = id(node.source)
        count = count + 1 if place == before else 0
        before = place
        sites[node] = place, modules[node.scope], node.op, count
    return sites


def _is_same_run(turns: Mapping[Node, Turn], x: Node, reader: Node) -> bool:
    return turns[x].run is turns[reader].run


def _circles(
    nodes: Iterable[Node], sites: Mapping[Node, Site], counts: Callable[[Node, Node], bool]
) -> list[set[Site]]:
    """The strongly connected components of the rolled graph that hold a circle.

    Args:
        nodes: the ops.
        sites: of each op its place in the program.
        counts: whether a value and what reads it are joined there.
    """
    among = dict.fromkeys(nodes)
    following: dict[Site, dict[Site, None]] = {sites[node]: {} for node in among}
    for node in among:
        for x in node.tensors():
            if x in among and counts(x, node):
                following[sites[x]][sites[node]] = None
    return list(filter(partial(_is_circle, following), _strongly_connected(following)))


def _is_circle(following: Mapping[Site, Container[Site]], component: Collection[Site]) -> bool:
    """Whether more than one site, or one that reads itself."""
    first = next(iter(component))
    return len(component) > 1 or first in following[first]


def _strongly_connected(following: Mapping[Site, Iterable[Site]]) -> list[set[Site]]:
    """Sites that lead to each other. Source: Kosaraju; Sharir (1981), without recursion."""
    before: dict[Site, list[Site]] = {site: [] for site in following}
    for site, others in following.items():
        for other in others:
            before[other].append(site)
    components: list[set[Site]] = []
    placed: set[Site] = set()
    for start in reversed(_finished(following)):
        component = set[Site]()
        waiting = [start]
        while waiting:
            site = waiting.pop()
            if site not in placed:
                placed.add(site)
                component.add(site)
                waiting += before[site]
        if component:
            components.append(component)
    return components


def _finished(following: Mapping[Site, Iterable[Site]]) -> list[Site]:
    """The sites, each after those that can be reached from it but do not lead back."""
    order: list[Site] = []
    seen: set[Site] = set()
    stack: list[tuple[Site, bool]] = [(site, False) for site in list(following)[::-1]]
    while stack:
        site, done = stack.pop()
        if done:
            order.append(site)
        elif site not in seen:
            seen.add(site)
            stack.append((site, True))
            stack += [(after, False) for after in following[site] if after not in seen]
    return order


def _rounds(nodes: Iterable[Node], sites: Mapping[Node, Site]) -> list[list[Node]]:
    """A round ends where one of its ops comes again."""
    rounds: list[list[Node]] = []
    seen: set[Site] = set()
    for node in nodes:
        if not rounds or sites[node] in seen:
            rounds.append([])
            seen.clear()
        rounds[-1].append(node)
        seen.add(sites[node])
    return rounds


def _is_cell(cell: Rounds, nodes: Sequence[Node], taken: Container[Node], weights: Weights) -> bool:
    """Whether it is more than a running sum, a sign on a message, or a stack of layers.

    Each layer reads parameters of its own; what the first round alone reads, as a trained initial
    state, says nothing where others do the same with what they read.
    """
    made, inside = cell.ops, cell.inside
    if all(node.is_move or node.rule in _SUMS for node in made):
        return False
    read = [weights.read_by(one, inside) for one in cell.rounds]
    may_be_a_sign = all(map(is_light, made)) or not any(read)
    if may_be_a_sign and _lies_between_copies(made, nodes, taken):
        return False
    if any(a & b for a, b in pairwise(read)):
        return True
    first, *others = cell.rounds
    again = {_doing(node) for one in others for node in one}
    done_once = (node for node in first if _doing(node) not in again)
    return not any(read[1:]) and not weights.read_by(done_once, inside)


def _doing(node: Node) -> Site:
    """What an op does, and where in the program."""
    return node.op, id(node.source)


def _lies_between_copies(
    inside: Sequence[Node], nodes: Iterable[Node], taken: Container[Node]
) -> bool:
    """Whether a copy depends on it, and it on a copy, whatever else lies on the way."""
    loop = set(inside)
    of_copies: set[Node] = set()
    of_loop: set[Node] = set()
    feeds = depends = False
    for node in nodes:
        given = node.tensors()
        if node in taken or any(x in of_copies for x in given):
            of_copies.add(node)
        if node in loop or any(x in of_loop for x in given):
            of_loop.add(node)
        depends = depends or (node in loop and node in of_copies)
        feeds = feeds or (node in taken and node in of_loop)
    return feeds and depends


def _add_what_feeds(
    loops: Sequence[Rounds],
    nodes: Sequence[Node],
    taken: Container[Node],
    sites: Mapping[Node, Site],
) -> None:
    """Give each round the ops whose results it alone reads; what only one round has is not part.

    Nor is a row that each round looks up: that is its input.
    """
    round_of: dict[Node, list[Node]] = {}
    for loop in loops:
        for one in loop.rounds:
            round_of |= dict.fromkeys(one, one)
    inside = set(round_of)
    # by their ids, the rounds that read a value; 0: somebody else does
    readers: defaultdict[Node, set[int]] = defaultdict(set)
    known = {id(one): one for one in round_of.values()}
    times: Counter[Site] = Counter()
    for node in reversed(nodes):
        own = round_of.get(node)
        if own is None and node in sites and node not in taken and len(readers[node]) == 1:
            own = known.get(next(iter(readers[node])))
            if own is not None:
                round_of[node] = own
                times[sites[node]] += 1
        for x in node.tensors():
            readers[x].add(id(own) if own is not None else 0)
    inside |= _rows_looked_up(round_of, sites)
    for node in nodes:
        if node in round_of and node not in inside and times[sites[node]] > 1:
            round_of[node].append(node)
    for one in known.values():
        one.sort(key=lambda node: node.id)


def _rows_looked_up(
    round_of: Mapping[Node, Sequence[Node]], sites: Mapping[Node, Site]
) -> set[Node]:
    """The rows of parameters that are others in each round."""
    rows: defaultdict[Hashable, dict[Hashable, list[Node]]] = defaultdict(dict)
    for node, one in round_of.items():
        if is_at_number(node):
            rows[sites[node]].setdefault(id(one), []).append(node)
    return looked_up(rows)
