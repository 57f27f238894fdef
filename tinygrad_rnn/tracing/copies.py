"""Finding the copies: calls of one module, or entries of one `tg.scope`, that pass a message from each to the next.

Nothing is declared. A module is recurrent when a call of it receives what its own previous call made. The outermost
such module is the cell: its calls are the columns, and each such module is a row.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..autograd.scope import Scope
from ..nn.module import Module
from ..nn.recurrent import Cell as RecurrentCell
from .graph import Graph, Node

Key = Hashable  # of the module that is called, or the name of a tg.scope


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """Call `t` of the recurrent module of row `layer`."""

    layer: int
    t: int
    call: Scope
    nodes: list[Node]  # the ops inside, in creation order

    @property
    def id(self) -> str:
        return f"cell-{self.layer}-{self.t}"


@dataclass(frozen=True, slots=True, eq=False)
class CopyRow:
    """All calls of one recurrent module, in order."""

    layer: int
    owner: object  # a Module, or the name of a tg.scope
    path: str
    copies: list[Copy]


def find_rows(graph: Graph) -> list[CopyRow]:
    """The rows of copies in a graph, the bottom one first; empty when nothing in it is recurrent."""
    chains = {scope: scope.chain() for scope in {node.scope for node in graph.nodes} if scope is not None}
    within = {scope: {_key(call): call for call in chain} for scope, chain in chains.items()}
    keys = {key: call for calls in within.values() for key, call in calls.items()}
    recurrent = {key for key in keys if _is_recurrent(key, graph.nodes, within)} or {
        # with one timestep there is no message to go by, but a cell of ours is known all the same
        key
        for key, call in keys.items()
        if isinstance(call.owner, RecurrentCell)
    }
    rows: dict[Key, CopyRow] = {}
    calls: dict[Scope, Copy] = {}
    for node in graph.nodes:
        call = _outermost(recurrent, chains, node)
        if call is None:
            continue
        row = rows.get(_key(call))
        if row is None:
            path = ".".join(scope.name for scope in call.chain())
            row = rows[_key(call)] = CopyRow(len(rows), call.owner, path, [])
        if call not in calls:
            calls[call] = Copy(row.layer, len(row.copies), call, [])
            row.copies.append(calls[call])
        calls[call].nodes.append(node)
    return list(rows.values())


def _key(call: Scope) -> Key:
    return call.owner if isinstance(call.owner, str) else id(call.owner)


def _outermost(recurrent: set[Key], chains: Mapping[Scope, Sequence[Scope]], node: Node) -> Scope | None:
    """The outermost recurrent call that an op ran in; a leaf only happened to be made there."""
    if node.op is None or node.scope is None:
        return None
    return next((call for call in chains[node.scope] if _key(call) in recurrent), None)


def _is_recurrent(key: Key, nodes: Iterable[Node], within: Mapping[Scope, Mapping[Key, Scope]]) -> bool:
    """Whether some call receives what the previous call made, with no detach and no parameter in between.

    What passes another parameter on its way has been through another network: a head that is fed the h of a cell at
    every step is not recurrent, though its outputs follow from one another.
    """
    calls: dict[Scope, int] = {}
    carried: dict[Node, int] = {}  # node -> the newest call whose output it carries
    for node in nodes:
        if node.op is None:
            continue
        call = within[node.scope].get(key) if node.scope is not None else None
        if call is not None:
            t = calls.setdefault(call, len(calls))
            if any(carried.get(x, t) == t - 1 for x in node.tensors()):
                return True
            carried[node] = t
        elif carried and node.op != "detach" and not any(x.is_parameter for x in node.tensors()):
            before = [carried[x] for x in node.tensors() if x in carried]
            if before:
                carried[node] = max(before)
    return False


def parameter_names(graph: Graph) -> dict[int, str]:
    """What each parameter of a graph is called: as the outermost module that used it names it, else its own name."""
    names: dict[int, str] = {}
    named: dict[int, dict[int, str]] = {}  # module -> parameter id -> name
    for node in graph.nodes:
        for x in node.tensors():
            if x.is_parameter and x.id not in names:
                names[x.id] = _unique(_name_of(x, node.scope, named), names)
    return names


def _name_of(parameter: Node, scope: Scope | None, named: dict[int, dict[int, str]]) -> str:
    for call in scope.chain() if scope else ():
        if isinstance(call.owner, Module):
            known = named.get(id(call.owner))
            if known is None:
                known = named[id(call.owner)] = {p.id: name for name, p in call.owner.named_parameters()}
            if parameter.id in known:
                return known[parameter.id]
    return parameter.name or f"parameter{parameter.id}"


def _unique(name: str, names: Mapping[int, str]) -> str:
    """Two modules of one picture may both have a `W_hh`."""
    taken, k = set(names.values()), 2
    unique = name
    while unique in taken:
        unique, k = f"{name}_{k}", k + 1
    return unique
