"""Finding the copies: calls of one module, or entries of one `tg.scope`, in a loop.

Nothing is declared. A module is recurrent when a call of it receives what its own previous call
made. The outermost such module is the cell: its calls are the columns, and each such module is a
row.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from ...autograd.state import Scope
from ...nn.cells import Cell as RecurrentCell
from ..recording.graph import Graph, Node

Key = Hashable  # of the module that is called, or the name of a tg.scope
Chains = Mapping[Scope, Sequence[Scope]]  # each scope -> the calls it lies in, the outermost first

Entrance = tuple[int, int]  # where a value enters a copy: which of its ops, which input of that op


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """How a copy is made: its ops, and what each reads. Copies that are made alike share one."""

    ops: tuple[str, ...]
    given: tuple[Entrance, ...]  # what comes from elsewhere …
    parameters: tuple[Entrance, ...]  # … and, beside that, the parameters


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """Call `t` of the recurrent module of row `layer`."""

    layer: int
    t: int
    call: Scope
    nodes: list[Node]  # the ops inside, in creation order
    id: str

    def read(self, entrance: Entrance) -> Node:
        """What enters here."""
        op, slot = entrance
        x = self.nodes[op].inputs[slot]
        assert x is not None
        return x


@dataclass(frozen=True, slots=True, eq=False)
class Loop:
    """All calls of one recurrent module, in order: they become a row of the network."""

    layer: int
    owner: object  # a Module, or the name of a tg.scope
    path: str
    copies: list[Copy]


class Copies:
    """The copies in a graph, loop by loop from the bottom row, and the nodes outside of them.

    There are no loops when nothing is recurrent.
    """

    def __init__(self, graph: Graph) -> None:
        scopes = dict.fromkeys(map(attrgetter("scope"), graph.nodes))
        chains = {scope: scope.chain() for scope in scopes if scope is not None}
        outermost = _outermost(_recurrent(graph.nodes, chains), chains)
        loops: dict[Key, Loop] = {}
        copies: dict[Scope, Copy] = {}
        self.outside: list[Node] = []
        # nodes come in runs of one scope: the list to put them into changes seldom
        scope, nodes = None, self.outside
        for node in graph.nodes:
            # a leaf only happened to be made where it was
            if node.op is None:
                self.outside.append(node)
                continue
            if node.scope is not scope:
                scope, nodes = node.scope, self.outside
                call = outermost.get(scope)
                if call is not None:
                    if call not in copies:
                        copies[call] = _next_copy(loops, call)
                    nodes = copies[call].nodes
            nodes.append(node)
        self.loops = list(loops.values())
        self.all = [copy for loop in self.loops for copy in loop.copies]
        self.structures = _structures(self.all)
        self._of: dict[Scope | None, Copy] = {
            scope: copies[call] for scope, call in outermost.items() if call in copies
        }

    def of(self, node: Node) -> Copy | None:
        """The copy that made a value; None for a leaf, and for what was made outside."""
        return self._of.get(node.scope) if node.op is not None else None


def _outermost(recurrent: set[Key], chains: Chains) -> dict[Scope | None, Scope]:
    """The outermost recurrent call that each scope lies in, if there is one."""
    found: dict[Scope | None, Scope] = {}
    for scope, chain in chains.items():
        call = next((call for call in chain if _key(call) in recurrent), None)
        if call is not None:
            found[scope] = call
    return found


def _next_copy(loops: dict[Key, Loop], call: Scope) -> Copy:
    loop = loops.get(_key(call))
    if loop is None:
        path = ".".join(scope.name for scope in call.chain())
        loop = loops[_key(call)] = Loop(len(loops), call.owner, path, [])
    t = len(loop.copies)
    copy = Copy(loop.layer, t, call, [], f"cell-{loop.layer}-{t}")
    loop.copies.append(copy)
    return copy


def _key(call: Scope) -> Key:
    return call.owner if isinstance(call.owner, str) else id(call.owner)


# How copies are made


def _structures(copies: Iterable[Copy]) -> dict[Copy, Structure]:
    """The structure of each copy: one and the same object for copies that are made alike."""
    known: dict[Hashable, Structure] = {}
    found: dict[Copy, Structure] = {}
    for copy in copies:
        key = _wiring(copy)
        if key not in known:
            known[key] = _structure(copy)
        found[copy] = known[key]
    return found


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
    given: list[Entrance] = []
    parameters: list[Entrance] = []
    for i, node in enumerate(copy.nodes):
        for slot, x in enumerate(node.inputs):
            if x is None or x in inside:
                continue
            if x.is_parameter:
                parameters.append((i, slot))
            else:
                given.append((i, slot))
    return Structure(tuple(node.op or "" for node in copy.nodes), tuple(given), tuple(parameters))


# What is recurrent


def _recurrent(nodes: Sequence[Node], chains: Chains) -> set[Key]:
    """What is called again and again, each call receiving what the one before it made."""
    # of each key: scope -> the call that it lies in
    calls: defaultdict[Key, dict[Scope, Scope]] = defaultdict(dict)
    owners: dict[Key, object] = {}
    for scope, chain in chains.items():
        for call in chain:
            key = _key(call)
            calls[key][scope] = call
            owners.setdefault(key, call.owner)
    repeated = [key for key, within in calls.items() if len(set(within.values())) > 1]
    found = {key for key in repeated if _is_recurrent(nodes, calls[key])}
    if found:
        return found
    # with one timestep there is no message to go by, but a cell of ours is known all the same
    return {key for key, owner in owners.items() if isinstance(owner, RecurrentCell)}


def _is_recurrent(nodes: Iterable[Node], call_of: Mapping[Scope, Scope]) -> bool:
    """Whether some call receives what the previous call made, with no detach or parameter between.

    What passes another parameter on its way has been through another network: a head that is fed
    the h of a cell at every step is not recurrent, though its outputs follow from one another.
    """
    calls: dict[Scope, int] = {}
    carried: dict[Node, int] = {}  # node -> the newest call whose output it carries
    for node in nodes:
        if node.op is None:
            continue
        call = call_of.get(node.scope) if node.scope is not None else None
        before = [carried[x] for x in node.tensors() if x in carried]
        if call is not None:
            t = calls.setdefault(call, len(calls))
            if t - 1 in before:
                return True
            carried[node] = t
        elif before and node.op != "detach" and not node.reads_a_parameter:
            carried[node] = max(before)
    return False
