"""What is neither a copy nor between them: derived parameters, and the loss."""

from collections.abc import Hashable, Sequence

from ...autograd.state import Scope
from ..recording.graph import Node
from .cells import Cells
from .recurrence import key_of


def derived_parameters(nodes: Sequence[Node], cells: Cells) -> set[Node]:
    """What is made outside the copies from parameters and constants alone: exp(log_A), W.T."""
    found: set[Node] = set()
    for node in nodes:
        if node.op is None or cells.of(node) is not None:
            continue
        trained = [x for x in node.tensors() if x.is_parameter or x in found]
        others = [x for x in node.tensors() if not x.is_parameter and x not in found]
        if trained and all(_is_constant(x, node) for x in others):
            found.add(node)
    return found


def _is_constant(x: Node, reader: Node) -> bool:
    """Whether a leaf only scales or shifts a parameter: then it is no data that comes in."""
    return (
        x.op is None
        and reader.kind == "elementwise"
        and x.size <= reader.size
        and not (x.size == reader.size and _is_larger_than_parameters(reader))
    )


def _is_larger_than_parameters(node: Node) -> bool:
    return all(x.size < node.size for x in node.tensors() if x.op is not None or x.is_parameter)


def loss_of(nodes: Sequence[Node], root: Node, cells: Cells, derived: set[Node]) -> set[Node]:
    """The ops that only the loss needs: no parameter is read there, and nobody else reads them.

    What is done to the last state as to every one before it is no part of the loss.
    """
    if root.size != 1 or root.op is None or cells.of(root) is not None or root in derived:
        return set()
    # calls that read parameters themselves, but those that the loss as a whole is made in
    inside = {node.scope for node in nodes if node.reads_a_parameter and node.scope}
    inside = inside.difference(root.calls, (copy.call for copy in cells.all))
    candidates = {node for node in nodes if _may_be_loss(node, cells, derived, inside)}
    found = _read_by_loss_alone(nodes, root, candidates)
    others = _done_at_every_step(nodes, found, cells)
    return _read_by_loss_alone(nodes, root, candidates - others) if others else found


def _read_by_loss_alone(nodes: Sequence[Node], root: Node, candidates: set[Node]) -> set[Node]:
    others: set[Node] = set()  # what something else reads
    found: set[Node] = set()
    for node in reversed(nodes):
        if node is root or (node in candidates and node not in others):
            found.add(node)
        else:
            others.update(node.tensors())
    return found


def _done_at_every_step(nodes: Sequence[Node], loss: set[Node], cells: Cells) -> set[Node]:
    """Ops in the loss that are done to a value of a copy as outside of it to that of others."""
    sites = Sites()
    outside = {
        sites.joint(node, slot, x)
        for node in nodes
        if node not in loss and cells.of(node) is None
        for slot, x in enumerate(node.inputs)
        if x is not None and x.op is not None
    }
    found: set[Node] = set()
    for node in nodes:
        if node in loss:
            for slot, x in enumerate(node.inputs):
                handed_on = x is not None and (x in found or cells.of(x) is not None)
                if x is not None and handed_on and sites.joint(node, slot, x) in outside:
                    found.add(node)
    return found


class Sites:
    """What ops are the same as when they are run again; of each once: one may read a thousand."""

    def __init__(self) -> None:
        self._of: dict[Node, Hashable] = {}

    def joint(self, node: Node, slot: int, x: Node) -> Hashable:
        """Two neighbouring ops of the program, wherever they are run."""
        return self.of(node), slot, self.of(x)

    def of(self, node: Node) -> Hashable:
        if node not in self._of:
            self._of[node] = site_of(node)
        return self._of[node]


def site_of(node: Node) -> Hashable:
    """What an op is the same as when it is run again: the module that calls it, its parameters."""
    parameters = tuple(x.id for x in node.tensors() if x.is_parameter)
    return node.op, parameters, tuple(key_of(call) for call in node.calls)


def _may_be_loss(node: Node, cells: Cells, derived: set[Node], inside: set[Scope]) -> bool:
    if node.op is None or cells.of(node) is not None or node in derived or node.reads_a_parameter:
        return False
    if node.scope in inside:
        return False
    return all(x not in derived or x.size == 1 for x in node.tensors())
