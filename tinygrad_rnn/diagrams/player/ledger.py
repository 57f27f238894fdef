"""The ledger: what each use of a parameter added to its gradient, in the backward pass's order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...autograd.tensor import Array
from ...tracing.network.network import Network, ParameterInfo
from ...tracing.questions.terms import vjp_term
from ...tracing.recording.graph import Node, reached
from .score import Clock, Step


@dataclass(frozen=True, slots=True)
class Row:
    """One term of a parameter's gradient, and the step of the player in which it is added."""

    step: int
    term: Array
    total: Array  # with all terms before it


@dataclass(frozen=True, slots=True)
class Ledger:
    """The uses of one parameter in the backward pass: an op, and which of its inputs it is."""

    parameter: ParameterInfo
    uses: Sequence[tuple[Node, int]]

    def rows(self, network: Network, steps: Sequence[Step]) -> Iterator[Row]:
        """Yield a row per use, in the order in which the terms arrive."""
        clock, total = Clock(steps), None
        for node, slot in self.uses:
            term = vjp_term(node, slot, network.gradients[node.id])
            total = term if total is None else total + term
            yield Row(clock.handed_on(node.id), term, total)


def ledgers_of(network: Network) -> list[Ledger]:
    """A ledger for each parameter of a network, in the order of its legend."""
    uses: dict[int, list[tuple[Node, int]]] = {
        parameter.node.id: [] for parameter in network.parameters
    }
    for node in reversed(all_nodes(network)):
        for slot, x in enumerate(node.inputs):
            if x is not None and x.id in uses and node.id in network.gradients:
                uses[x.id].append((node, slot))
    return [Ledger(parameter, uses[parameter.node.id]) for parameter in network.parameters]


def all_nodes(network: Network) -> list[Node]:
    """Everything that was recorded of the network, in creation order."""
    shown = [node for cell in network.cells for node in (*cell.nodes, *cell.outputs)]
    shown += [port.node for port in network.ports if port.node is not None]
    if network.root is not None:
        shown.append(network.root)
    return sorted(reached(shown), key=lambda node: node.id)
