"""A recorded graph as Tensors once more, for what only these can do: to be differentiated."""

from typing import Any

from ....autograd.op import recorder
from ....autograd.tensor import Tensor
from ....errors import TraceError
from ...recording.graph import Graph, Node


def tensor_of(graph: Graph) -> Tensor:
    """Return the root of a graph as a Tensor that remembers how it was made.

    What requires no gradient is not computed again.

    Raises:
        TraceError: a value is gone, or an op is not known here.
    """
    made: dict[Node, Tensor] = {}
    for node in graph.nodes:
        if node.op is None or not node.requires_grad:
            made[node] = Tensor(node.data, requires_grad=node.is_parameter)
        else:
            made[node] = _computed(node, made)
        made[node].name = graph.names.get(node.id) or node.given_name
    return made[graph.root]


def _computed(node: Node, made: dict[Node, Tensor]) -> Tensor:
    if node.rule is None:
        raise TraceError(f"{node.op} cannot be run again: it is defined in another program")
    pairs = zip(node.inputs, node.operands, strict=True)
    operands: list[Any] = [array if x is None else made[x] for x, array in pairs]
    return recorder(node.rule)(*operands, options=dict(node.options))
