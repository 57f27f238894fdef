"""What one value of a recorded run depends on: its gradient, wherever the run itself began its own.

The backward pass is run on the recorded numbers, as the definition has it: newest first, each op by
its own rule.
"""

from typing import Any

import numpy as np

from ....autograd.switches import quietly
from ....autograd.tensor import Array
from ....errors import TraceError
from ...recording.graph import Node, reached
from .flow import term_of


@quietly
def influence_on(root: Node, index: tuple[Any, ...] | None = None) -> dict[int, Array]:
    """∂(root)/∂node by node id, of all that it depends on; of several numbers, of their sum.

    Args:
        root: the value.
        index: the part of it; None for all.

    Raises:
        TraceError: it requires no gradient, or a value is gone.
    """
    if not root.requires_grad:
        raise TraceError(f"{root.name or root.op} depends on nothing that requires a gradient")
    seed = np.zeros(root.shape, root.data.dtype)
    seed[... if index is None else index] = 1
    found: dict[int, Array] = {root.id: seed}
    behind = (node for node in reached([root]) if node.requires_grad)
    for node in sorted(behind, key=lambda node: node.id, reverse=True):
        if node.rule is None or node.id not in found:
            continue
        _hand_back(node, found)
    return found


def _hand_back(node: Node, found: dict[int, Array]) -> None:
    assert node.rule is not None
    for slot, x in enumerate(node.inputs):
        if x is None or not x.requires_grad or not node.rule.differentiable(slot):
            continue
        term = term_of(node, slot, found[node.id])
        if term is not None:
            found[x.id] = np.asarray(found[x.id] + term if x.id in found else term)
