"""What one value of a recorded run depends on: its gradient, wherever the run itself began its own.

The backward pass is run on the recorded numbers, as the definition has it: newest first, each op by
its own rule.
"""

from typing import Any

import numpy as np

from ....autograd.switches import quietly
from ....autograd.tensor import Array
from ...recording.graph import Node, compute, reached
from ..quotient import Block, Quotient
from .flow import term_of


@quietly
def influence_on(
    root: Node, index: tuple[Any, ...] | None = None, network: Quotient | None = None
) -> dict[int, Array]:
    """∂(root)/∂node by node id, of all that it depends on; of several numbers, of their sum.

    Args:
        root: the value.
        index: the part of it; None for all.
        network: where it is looked at, if in one: what a block only moves to hand it on, as into a
            sequence, is the value too.

    Raises:
        TraceError: a value is gone.
    """
    seed = np.zeros(root.shape, root.data.dtype)
    seed[... if index is None else index] = 1
    found: dict[int, Array] = {root.id: seed}
    behind = (node for node in reached([root]) if node.requires_grad)
    for node in sorted(behind, key=lambda node: node.id, reverse=True):
        if node.rule is None or node.id not in found:
            continue
        _hand_back(node, found)
    for block in () if network is None else network.blocks:
        if any(piece.node is root for piece in block.pieces):
            found |= _handed_on(root, seed, block)
    return found


def _handed_on(value: Node, seed: Array, block: Block) -> dict[int, Array]:
    """The same gradient at each move of a value in its block, as far as others read what it made.

    A move that leaves some of its numbers out, or repeats some, makes another value.
    """
    read = {piece.node for piece in block.outputs}
    way: dict[int, Array] = {}
    nodes = iter([piece.node for piece in block.pieces])
    while value not in read:
        node = next((node for node in nodes if node.is_move and value in node.inputs), None)
        if node is None or node.rule is None:
            return {}
        slot = node.inputs.index(value)
        operands = [np.zeros_like(operand) for operand in node.operands]
        operands[slot] = seed
        moved = compute(node.rule, operands, node.options)
        if not np.array_equal(term_of(node, slot, moved), seed):
            return {}
        value, seed = node, moved
        way[value.id] = seed
    return way


def _hand_back(node: Node, found: dict[int, Array]) -> None:
    assert node.rule is not None
    for slot, x in enumerate(node.inputs):
        if x is None or not x.requires_grad or not node.rule.differentiable(slot):
            continue
        term = term_of(node, slot, found[node.id])
        if term is not None:
            found[x.id] = np.asarray(found[x.id] + term if x.id in found else term)
