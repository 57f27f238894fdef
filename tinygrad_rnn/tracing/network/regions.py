"""What is neither a copy nor between them: derived parameters, and the loss."""

from collections.abc import Sequence

from ...autograd.state import Scope
from ..recording.graph import Node
from .cells import Cells


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
    """The ops that only the loss needs: no parameter is read there, and nobody else reads them."""
    if root.size != 1 or root.op is None or cells.of(root) is not None or root in derived:
        return set()
    # calls that read parameters themselves, but those that the loss as a whole is made in
    inside = {node.scope for node in nodes if node.reads_a_parameter and node.scope}
    inside = inside.difference(root.calls)
    readers: dict[Node, bool] = {root: True}  # whether all that read it are in the loss
    found: set[Node] = set()
    for node in reversed(nodes):
        is_loss = readers.get(node, True) and _may_be_loss(node, cells, derived, inside)
        if node is root or (is_loss and node.op is not None):
            found.add(node)
        for x in node.tensors():
            readers[x] = readers.get(x, True) and node in found
    return found


def _may_be_loss(node: Node, cells: Cells, derived: set[Node], inside: set[Scope]) -> bool:
    if node.op is None or cells.of(node) is not None or node in derived or node.reads_a_parameter:
        return False
    if node.scope in inside:
        return False
    return all(x not in derived or x.size == 1 for x in node.tensors())
