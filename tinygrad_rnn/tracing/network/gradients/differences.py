"""How far two runs of one network are apart: at each value, and along each arrow.

The forward counterpart of the gradients: what a block or an arrow hands on in one run, less what it
does in the other.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from ....autograd.tensor import Array
from ....errors import DrawError
from ...recording.graph import Graph
from ..quotient import Piece, Read
from .flow import norm_of


def differences_of(graph: Graph, other: Graph) -> dict[int, Array]:
    """Δ of each node of a graph, by id: its data less that of the node in its place in another.

    What is the same to the last bit is left out.

    Raises:
        DrawError: the graphs are not alike.
    """
    if len(graph.nodes) != len(other.nodes):
        raise DrawError(
            f"against: these are two programs: graphs of {len(graph.nodes)} and "
            f"{len(other.nodes)} values"
        )
    found: dict[int, Array] = {}
    for node, before in zip(graph.nodes, other.nodes, strict=True):
        if (node.op, node.shape) != (before.op, before.shape):
            raise DrawError(
                f"against: these are two programs: {node.op or 'a leaf'} {node.shape} in the one, "
                f"{before.op or 'a leaf'} {before.shape} in the other"
            )
        if node.data is not before.data and node.data.tobytes() != before.data.tobytes():
            with np.errstate(), np.errstate(all="ignore"):
                found[node.id] = np.subtract(node.data, before.data, dtype=np.float64)
    return found


class Differences:
    """‖Δ‖ of the values of a network.

    Args:
        deltas: of each value that is another, by the id of its node.
    """

    def __init__(self, deltas: Mapping[int, Array]) -> None:
        self._deltas = deltas

    def norm(self, piece: Piece) -> float | None:
        """How far a value is off; exactly 0 where it is the same to the last bit."""
        delta = self._deltas.get(piece.node.id)
        return 0.0 if delta is None else norm_of(piece.of(delta))

    def reads(self, reads: Iterable[Read]) -> tuple[float | None, ...]:
        """How far the values are off that some reads hand on."""
        return tuple(self.norm(value) for value in dict.fromkeys(read.value for read in reads))
