"""Finding the copies: calls of one module, or entries of one `tg.scope`, that pass a message from each to the next.

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


Entry = tuple[int, int]  # where a value enters a copy: which of its ops, and which input of that op


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """How a copy is made: its ops, and what each reads. Copies that are made alike share one."""

    ops: tuple[str, ...]
    given: tuple[Entry, ...]  # what comes from elsewhere …
    parameters: tuple[Entry, ...]  # … and, beside that, the parameters


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """Call `t` of the recurrent module of row `layer`."""

    layer: int
    t: int
    call: Scope
    nodes: list[Node]  # the ops inside, in creation order
    id: str

    def read(self, entry: Entry) -> Node:
        """What enters here."""
        x = self.nodes[entry[0]].inputs[entry[1]]
        assert x is not None
        return x


@dataclass(frozen=True, slots=True, eq=False)
class CopyRow:
    """All calls of one recurrent module, in order."""

    layer: int
    owner: object  # a Module, or the name of a tg.scope
    path: str
    copies: list[Copy]


class Copies:
    """The copies in a graph: its rows, the bottom one first, none when nothing is recurrent; and what lies outside."""

    def __init__(self, graph: Graph) -> None:
        scopes = dict.fromkeys(map(attrgetter("scope"), graph.nodes))
        chains: dict[Scope, Sequence[Scope]] = {
            scope: scope.chain() for scope in scopes if scope is not None
        }
        outermost = _outermost(_recurrent(graph.nodes, chains), chains)
        rows: dict[Key, CopyRow] = {}
        copies: dict[Scope, Copy] = {}
        self.outside: list[Node] = []
        scope, nodes = None, self.outside  # nodes come in runs of one scope
        for node in graph.nodes:
            if node.op is None:  # a leaf only happened to be made where it was
                self.outside.append(node)
                continue
            if node.scope is not scope:
                scope, nodes = node.scope, self.outside
                call = outermost.get(scope)
                if call is not None:
                    nodes = (
                        copies.get(call) or copies.setdefault(call, _next_copy(rows, call))
                    ).nodes
            nodes.append(node)
        self.rows = list(rows.values())
        self._of: dict[Scope | None, Copy] = {
            scope: copies[call] for scope, call in outermost.items() if call in copies
        }

    def of(self, node: Node) -> Copy | None:
        """The copy that made a value; None for a leaf, and for what was made outside."""
        return self._of.get(node.scope) if node.op is not None else None


def _outermost(
    recurrent: set[Key], chains: Mapping[Scope, Sequence[Scope]]
) -> dict[Scope | None, Scope]:
    """The outermost recurrent call that each scope lies in, if there is one."""
    found: dict[Scope | None, Scope] = {}
    for scope, chain in chains.items():
        for call in chain:
            if _key(call) in recurrent:
                found[scope] = call
                break
    return found


def _next_copy(rows: dict[Key, CopyRow], call: Scope) -> Copy:
    row = rows.get(_key(call))
    if row is None:
        path = ".".join(scope.name for scope in call.chain())
        row = rows[_key(call)] = CopyRow(len(rows), call.owner, path, [])
    t = len(row.copies)
    row.copies.append(Copy(row.layer, t, call, [], f"cell-{row.layer}-{t}"))
    return row.copies[-1]


def structures(copies: Iterable[Copy]) -> dict[Copy, Structure]:
    """The structure of each copy: one and the same object for copies that are made alike."""
    known: dict[Hashable, Structure] = {}
    found: dict[Copy, Structure] = {}
    for copy in copies:
        key = _wiring(copy)
        structure = known.get(key)
        if structure is None:
            structure = known[key] = _structure(copy)
        found[copy] = structure
    return found


def _wiring(copy: Copy) -> Hashable:
    """Each op and what it reads: a number, another op of the copy, a parameter, or something from elsewhere."""
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
    read = [
        ((i, slot), x) for i, node in enumerate(copy.nodes) for slot, x in enumerate(node.inputs)
    ]
    entered = [(entry, x) for entry, x in read if x is not None and x not in inside]
    return Structure(
        ops=tuple(node.op or "" for node in copy.nodes),
        given=tuple(entry for entry, x in entered if not x.is_parameter),
        parameters=tuple(entry for entry, x in entered if x.is_parameter),
    )


def _key(call: Scope) -> Key:
    return call.owner if isinstance(call.owner, str) else id(call.owner)


def _recurrent(nodes: Sequence[Node], chains: Mapping[Scope, Sequence[Scope]]) -> set[Key]:
    """What is called again and again, each call receiving what the one before it made."""
    calls: defaultdict[Key, dict[Scope, Scope]] = defaultdict(
        dict
    )  # of a key: scope -> the call that it lies in
    for scope, chain in chains.items():
        for call in chain:
            calls[_key(call)][scope] = call
    owners = {key: next(iter(within.values())).owner for key, within in calls.items()}
    repeated = [key for key, within in calls.items() if len(set(within.values())) > 1]
    # with one timestep there is no message to go by, but a cell of ours is known all the same
    return {key for key in repeated if _is_recurrent(nodes, calls[key])} or {
        key for key, owner in owners.items() if isinstance(owner, RecurrentCell)
    }


def _is_recurrent(nodes: Iterable[Node], call_of: Mapping[Scope, Scope]) -> bool:
    """Whether some call receives what the previous call made, with no detach and no parameter in between.

    What passes another parameter on its way has been through another network: a head that is fed
    the h of a cell at every step is not recurrent, though its outputs follow from one another.
    """
    calls: dict[Scope, int] = {}
    carried: dict[Node, int] = {}  # node -> the newest call whose output it carries
    for node in nodes:
        call = call_of.get(node.scope) if node.scope is not None else None
        if call is not None and node.op is not None:
            t = calls.setdefault(call, len(calls))
            if any(x in carried and carried[x] == t - 1 for x in node.inputs if x is not None):
                return True
            carried[node] = t
        elif carried and node.op is not None and node.op != "detach":
            before = [carried[x] for x in node.inputs if x in carried]
            if before and not node.reads_a_parameter:
                carried[node] = max(before)
    return False
