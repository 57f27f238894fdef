"""How large the gradient is: at each part of a network, and along each of its links.

A backward pass leaves ∂L/∂ of each tensor as a whole. What comes back along one link is its share
of that: it is worked out from the recorded gradients of the ops that read the value, by these ops'
own rules, and summed over the way.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Any

import numpy as np

from ...autograd import ops
from ...autograd.backward import grad, reachable
from ...autograd.op import op
from ...autograd.switches import observed
from ...autograd.tensor import Array, Tensor
from ...errors import DrawError
from ..recording.graph import Node
from .network import Cell, Link, Network

# one per value; None: it requires no gradient, and 0.0: none arrived
Norms = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Flow:
    """The norms of a network's gradients, by the ids of cells, ports and links."""

    parts: Mapping[str, Norms]
    links: Mapping[str, Norms]

    def part(self, id: str) -> float | None:
        """Return the norm at a part: of a cell's first state, of a port's value."""
        return next(iter(self.parts.get(id, ())), None)

    def link(self, id: str) -> float | None:
        """Return the norm of everything that comes back along a link."""
        return together(self.links.get(id, ()))


def flow_of(network: Network, links: Iterable[Link]) -> Flow:
    """Return the norms at all parts of `network`, and along `links`.

    Raises:
        DrawError: no backward pass was recorded.
    """
    if not network.gradients:
        raise DrawError(
            "there are no gradients to draw: no backward pass was recorded; call loss.backward() "
            "inside the trace, or give the loss itself to draw"
        )
    shares = _Shares(network)
    parts = {cell.id: shares.norms(cell.outputs) for cell in network.cells}
    parts |= {port.id: shares.norms([port.node] if port.node else ()) for port in network.ports}
    return Flow(parts, {link.id: shares.along(link) for link in links})


def handed_back(node: Node, slot: int, gradients: Mapping[int, Any]) -> float | None:
    """Return the norm of what an op hands back to an input; None if that requires no gradient."""
    x = node.inputs[slot]
    if x is None or not x.requires_grad:
        return None
    gradient = gradients.get(node.id)
    if gradient is None:
        return 0.0
    term = _term(node, slot, gradient, node.operands)
    return 0.0 if term is None else norm_of(term)


def gradients_of(output: Tensor) -> dict[int, Array]:
    """Run a backward pass from `output`; return ∂output/∂ of each tensor, by id.

    Every `.grad` stays as it is.

    Raises:
        GradientError: `output` is not a single number, or requires no gradient.
    """
    found: dict[int, Array] = {}

    def observe(kind: str, *facts: Any) -> None:
        match kind, facts:
            case ("seed", (tensor, gradient)) | ("vjp", (tensor, _, gradient, _)):
                found[tensor.id] = gradient
            case _:
                pass

    leaves = _leaves(output)
    with observed(observe):
        gradients = grad(output, leaves)
    for leaf, gradient in zip(leaves, gradients, strict=True):
        found[leaf.id] = gradient.data
    return found


def recorded_gradients(output: Tensor) -> Tensor:
    """Return the gradients of `output` in all leaves, one after the other, as recorded ops.

    Every leaf has a part: one whose gradient does not depend on anything leads to a `constant`.

    Raises:
        GradientError: `output` is not a single number, or requires no gradient.
    """
    leaves = _leaves(output)
    gradients: list[Tensor] = grad(output, leaves, create_graph=True)
    for i, leaf in enumerate(leaves):
        if not gradients[i].requires_grad:  # where output is linear in the leaf
            gradients[i] = constant(leaf, gradients[i].detach())
    joined = gradients[0]
    if len(gradients) > 1:
        joined = ops.concatenate([gradient.reshape(-1) for gradient in gradients])
    joined.name = "∇"
    return joined


def _zero(g: Any, y: Any, x: Any, value: Any) -> Any:
    return 0 * g


@op(_zero)
def constant(x: Any, value: Any) -> Any:
    """The same value, whatever x is: y = value; x̄ = 0."""
    return value


def _leaves(output: Tensor) -> list[Tensor]:
    """Everything that `output` was made from, requires a gradient and was made by no op."""
    leaves = [tensor for tensor in reachable(output) if tensor.is_leaf]
    return sorted(leaves, key=lambda tensor: tensor.id)


def together(norms: Norms) -> float | None:
    """Return the norm of several arrays seen as one; None when none of them requires a gradient.

    >>> together((3.0, None, 4.0)), together((None,))
    (5.0, None)
    """
    known = [norm for norm in norms if norm is not None]
    return float(np.hypot.reduce(known)) if known else None


def norm_of(array: Any) -> float:
    """Return the Euclidean norm, of huge and tiny numbers too."""
    values = np.abs(np.asarray(array, np.float64))
    largest = float(values.max(initial=0.0))
    if largest == 0 or not np.isfinite(largest):
        return largest
    return largest * float(np.sqrt(np.square(values / largest).sum()))


class _Shares:
    """What each reader of a value hands back to it."""

    def __init__(self, network: Network) -> None:
        self._gradients = network.gradients
        self._cells = {cell.id: cell for cell in network.cells}
        self._inside = {node for cell in network.cells for node in cell.nodes}
        # id of a cell -> what is handed to it
        self._read: dict[str, set[Node]] = {}
        for link in network.links:
            self._read.setdefault(link.target, set()).update(link.values)
        # id of a cell -> what it hands back
        self._back: dict[str, dict[Node, Any]] = {}
        self._outside = self._pulled([network.root] if network.root else [], ())

    def norms(self, nodes: Iterable[Node]) -> Norms:
        """The norm of the whole gradient of each node."""
        return tuple(_norm(node, self._gradients.get(node.id)) for node in nodes)

    def along(self, link: Link) -> Norms:
        """The norm of what comes back to each value of a link from the link's target."""
        values = link.values
        if link.target in self._cells:
            back = self._from_cell(self._cells[link.target])
        elif link.kind == "output" and not self._inside.issuperset(values):
            source = self._cells[link.source]
            back = self._pulled(values, ())
            values = tuple(node for node in back if node in source.nodes) or source.outputs[:1]
        else:
            back = self._outside
        return tuple(_norm(node, back.get(node)) for node in values)

    def _from_cell(self, cell: Cell) -> dict[Node, Any]:
        if cell.id not in self._back:
            self._back[cell.id] = self._pulled(cell.nodes, self._read[cell.id])
        return self._back[cell.id]

    def _pulled(self, start: Collection[Node], wanted: Collection[Node]) -> dict[Node, Any]:
        """Pull the gradients of `start` back, as far as other copies or what is `wanted`.

        The newest tensor comes first, so that its gradient is complete.
        """
        known = [node for node in start if node.id in self._gradients]
        found: dict[Node, Any] = {node: self._gradients[node.id] for node in known}
        own = set(start)
        queue = [(-node.id, place, node) for place, node in enumerate(found)]
        heapify(queue)
        while queue:
            _, _, node = heappop(queue)
            if node not in own and (node in wanted or node in self._inside):
                continue
            for x, term in _terms(node, found[node], own, wanted):
                if x in found:
                    found[x] = found[x] + term
                else:
                    heappush(queue, (-x.id, len(found), x))
                    found[x] = term
        return found


def _norm(node: Node, gradient: Any) -> float | None:
    if not node.requires_grad:
        return None
    return 0.0 if gradient is None else norm_of(gradient)


def _terms(
    node: Node, g: Any, own: Collection[Node], wanted: Collection[Node]
) -> Iterator[tuple[Node, Any]]:
    """What an op hands back to each input that wants it.

    Parameters do not, unless one is handed over as the state before the first step.
    """
    operands = node.operands  # once: a stack of all timesteps has many
    for slot, x in enumerate(node.inputs):
        if x is None or x in own or not x.requires_grad or (x.is_parameter and x not in wanted):
            continue
        term = _term(node, slot, g, operands)
        if term is not None:
            yield x, term


def _term(node: Node, slot: int, g: Any, operands: Sequence[Any]) -> Any:
    """What an op hands back to one input; None where the rule has nothing for it."""
    if node.rule is None:
        return None
    with np.errstate(all="ignore"):
        return node.rule.vjp(slot, g, node.data, operands, node.options)
