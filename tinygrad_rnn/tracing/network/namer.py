"""What a tensor is called: one function for each place that asks.

The user's own name for a tensor is `Node.given_name`. Here stands what else names it: the module
that owns a parameter, the network whose state it is, and the circle or copy it is drawn in.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from ...nn.module import Module
from ..recording.graph import Graph, Node
from .network import Network, Port, indexed
from .routing import Routing

_OUTSIDE_MOST = 6  # ops between the copies and an output that are shown with it


class State(NamedTuple):
    """The value of a recurrent state at one timestep: "h" of row `layer` after step `t`."""

    node: Node
    name: str
    layer: int
    t: int


# Parameters


def names_in(modules: Iterable[Module]) -> dict[int, str]:
    """The name of each parameter by its id, as the first of the modules that has it names it."""
    names: dict[int, str] = {}
    for module in modules:
        for name, parameter in module.named_parameters():
            names.setdefault(parameter.id, name)
    return names


def parameter_names(nodes: Iterable[Node]) -> dict[int, str]:
    """The name of each parameter that some ops read, by its id.

    It is the one in the outermost module that used the parameter, else the parameter's own.
    """
    names: dict[int, str] = {}
    in_module: dict[int, dict[int, str]] = {}  # id of a module -> the names in it
    for node in nodes:
        for x in node.inputs:
            if x is not None and x.is_parameter and x.id not in names:
                name = _name_in_modules(x, node, in_module) or x.name or "parameter"
                names[x.id] = _unique(name, names)
    return names


def _name_in_modules(
    parameter: Node, reader: Node, in_module: dict[int, dict[int, str]]
) -> str | None:
    for call in reader.calls:
        module = call.owner
        if isinstance(module, Module):
            if id(module) not in in_module:
                in_module[id(module)] = names_in([module])
            name = in_module[id(module)].get(parameter.id)
            if name is not None:
                return name
    return None


def _unique(name: str, names: Mapping[int, str]) -> str:
    """Two modules of one picture may both have a `W_hh`: the second becomes `W_hh_2`."""
    taken = set(names.values())
    unique, k = name, 2
    while unique in taken:
        unique, k = f"{name}_{k}", k + 1
    return unique


# Captions


class Captions:
    """What the user wrote at the circles of a picture: the names given to tensors in a graph.

    A name given to a slice of a stack also is the name of the value in that slice.
    """

    def __init__(self, graph: Graph, routing: Routing) -> None:
        self._routing = routing
        self._names: dict[Node, str] = {}
        for node in graph.nodes if graph.names else ():
            name = graph.names.get(node.id)
            if name:
                self._names[node] = name
                source = self._only_source(node)
                # a slice of a leaf is only a part of it, so the name is not the leaf's
                if source is not None and source.op is not None:
                    self._names.setdefault(source, name)

    def of(self, node: Node) -> str:
        """The caption of a value, "" where the user gave none."""
        if not self._names:
            return ""
        if node in self._names:
            return self._names[node]
        source = self._only_source(node)
        return "" if source is None else self._names.get(source, "")

    def _only_source(self, node: Node) -> Node | None:
        sources = self._routing.sources(node)
        return sources[0] if len(sources) == 1 else None


# States, and everything in a picture


def passed_states(network: Network) -> Iterator[State]:
    """The states that the copies pass on: h and c after each step."""
    for cell in network.cells:
        for node, name in zip(cell.outputs, network.rows[cell.layer].states, strict=False):
            yield State(node, name, cell.layer, cell.t)


def initial_states(network: Network) -> Iterator[State]:
    """The states that were there before the first step of a row."""
    cells = {cell.id: cell for cell in network.cells}
    for link in network.links:
        if link.kind == "initial" and link.target in cells:
            cell = cells[link.target]
            for node, name in zip(link.values, network.rows[cell.layer].states, strict=False):
                yield State(node, name, cell.layer, cell.t - 1)


def names_in_picture(network: Network) -> dict[Node, str]:
    """What tensors are called in a picture, else in the code; others are v₁, v₂ … in each part."""
    names = {parameter.node: parameter.name for parameter in network.parameters}
    for port in network.ports:
        if port.node is not None:
            names.setdefault(port.node, port.label)
    for state in (*initial_states(network), *passed_states(network)):
        names[state.node] = indexed(state.name, state.t)
    for cell in network.cells:
        _name_inside(cell.nodes, cell.t, names)
    shown = shown_elsewhere(network)
    for port in network.ports:
        _name_inside(made_outside(port, shown)[::-1], port.column, names)
    return names


def _name_inside(nodes: Iterable[Node], t: int | None, names: dict[Node, str]) -> None:
    unnamed = 0
    for node in nodes:
        names |= {x: x.name for x in node.tensors() if x.op is None and x.name and x not in names}
        if node in names:
            continue
        name = node.given_name
        if name is None:
            # v₁, v₂ … as intermediate values are called in the literature on autodiff
            unnamed += 1
            names[node] = indexed("v", unnamed)
        elif t is None:
            names[node] = name
        else:
            names[node] = indexed(name, t)


def shown_elsewhere(network: Network) -> set[Node]:
    """What belongs to a copy or is a port itself."""
    ports = {port.node for port in network.ports if port.node is not None}
    return ports.union(*(cell.nodes for cell in network.cells))


def made_outside(port: Port, shown: Collection[Node]) -> list[Node]:
    """What a port was made of after what is `shown` elsewhere: the newest first, a few at most."""
    queue = [port.node] if port.node is not None else []
    found: dict[Node, None] = {}
    while queue and len(found) <= _OUTSIDE_MOST:
        node = queue.pop(0)
        found[node] = None
        made = (x for x in node.tensors() if x.op is not None)
        queue += [x for x in made if x not in shown and x not in found]
    return sorted(list(found)[1:], key=lambda node: -node.id)
