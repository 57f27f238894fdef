"""The gradients of a graph: where a backward pass is run for them, and how large they are."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ....autograd import ops
from ....autograd.backward import grad, reachable
from ....autograd.op import op
from ....autograd.switches import observed, quietly
from ....autograd.tensor import Array, Tensor
from ...recording.graph import Node

# one per value; None: it requires no gradient, and 0.0: none arrived
Norms = tuple[float | None, ...]


def handed_back(node: Node, slot: int, gradients: Mapping[int, Any]) -> float | None:
    """Return the norm of what an op hands back to an input; None if that requires no gradient."""
    x = node.inputs[slot]
    if x is None or not x.requires_grad:
        return None
    gradient = gradients.get(node.id)
    if gradient is None:
        return 0.0
    term = term_of(node, slot, gradient)
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


@quietly
def term_of(node: Node, slot: int, g: Any) -> Any:
    """Return what an op hands back to one input; None where its rule has nothing for it."""
    if node.rule is None:
        return None
    return node.rule.vjp(slot, g, node.data, node.operands, node.options)
