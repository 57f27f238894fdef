"""Gradients by reverse-mode differentiation: the newest tensor first, each hands on its cotangent.

Creation order is a topological order, since an op's inputs exist before its output. So the pass
sorts by creation id and never recurses. Gradients of a pass live in a dict of that pass, and only
leaves keep them.
"""

# pyright: reportPrivateUsage=false
from collections import defaultdict
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from ..errors import GradientError, OpError, describe
from .op import Cotangent, Op
from .state import STATE, notify
from .switches import Pass
from .tensor import Array, Tensor, adopt

_BY_ID = attrgetter("id")

# Terms that are put off, by the tensor that receives them; those of one kind are one call. A matrix
# that is used at T timesteps receives T products: their sum is one longer product.
_Terms = defaultdict[tuple[Op, int], list[tuple[Cotangent, Any, Any]]]
_Later = defaultdict[Tensor, _Terms]


def cotangents_of(output: Tensor) -> dict[Tensor, Array]:
    """∂output/∂t for every tensor t that requires a gradient and that `output` was made from.

    This is the definition. The pass that `backward` and `grad` run, `_sweep`, computes the same
    sums, also with hooks, with sums put off, and on Tensors in place of arrays.
    """
    cotangents = {output: np.ones_like(output._data)}
    for node in sorted(reachable(output), key=_BY_ID, reverse=True):
        if node.op is None or node not in cotangents:
            continue
        for slot, x in enumerate(node.inputs):
            if x is not None and x.requires_grad and node.op.differentiable(slot):
                g = cotangents[node]
                term = node.op.vjp(slot, g, node._data, node.arrays, node.options)
                cotangents[x] = cotangents.get(x, 0) + term
    return cotangents


def reachable(output: Tensor) -> set[Tensor]:
    """Everything that requires a gradient and that output was made from."""
    seen, stack = {output}, [output]
    while stack:
        for x in stack.pop().inputs:
            if x is None or not x._requires_grad or x in seen:
                continue
            seen.add(x)
            stack.append(x)
    return seen


def backward(output: Tensor, gradient: Any = None) -> None:
    """Add the gradient of `output` to `.grad` of every leaf that requires one.

    Args:
        output: where the pass starts.
        gradient: ∂L/∂output, of output's shape; may be left out when output holds one value (then
            it is 1).

    Raises:
        GradientError: nothing requires a gradient, or `gradient` is missing.
        OpError: `gradient` has another shape than `output`.
    """
    seed = _seed(output, gradient)
    nodes = reachable(output)
    kept = {node for node in nodes if node.op is None or node.retains_grad}
    for node, g in _sweep(output, seed, nodes, kept, create_graph=False).items():
        before = node._grad
        if before is None:
            node._grad = _tensor(g)
        elif isinstance(g, Tensor):
            node._grad = before + g
        else:
            node._grad = adopt(before._data + g)
        notify("accumulate", node, g)


def grad(
    output: Tensor,
    inputs: Tensor | Sequence[Tensor],
    gradient: Any = None,
    create_graph: bool = False,
) -> Any:
    """Gradients of `output` with respect to `inputs`, leaving every `.grad` alone.

    Args:
        output: where the pass starts.
        inputs: a Tensor, or a sequence of them: leaves or not.
        gradient: ∂L/∂output, of output's shape; may be left out when output holds one value.
        create_graph: record the pass, so that the results can be differentiated again.

    Returns:
        A Tensor for a Tensor, a list for a sequence; zeros for an input that output does not depend
        on.

    Raises:
        GradientError: output or an input requires no gradient, or `gradient` is missing; with
            `create_graph`, also when a leaf's data was replaced since the forward pass.
        OpError: `gradient` has another shape than `output`.
    """
    targets = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    for x in targets:
        if not getattr(x, "requires_grad", False):
            raise GradientError(f"grad: the input {describe(x)} requires no gradient")
    seed = _seed(output, gradient)
    relevant = _leading_to(set(targets), reachable(output))
    found = _sweep(output, seed, relevant, set(targets), create_graph)
    gradients = [_tensor(found.get(x, np.zeros_like(x._data))) for x in targets]
    notify("gradients", targets, gradients)
    return gradients[0] if isinstance(inputs, Tensor) else gradients


def _seed(output: Tensor, gradient: Any) -> Tensor:
    """∂L/∂output, checked."""
    if not getattr(output, "requires_grad", False):
        raise GradientError(
            f"backward: {describe(output)} depends on nothing that requires a gradient; "
            "make leaves with requires_grad=True, no no_grad()"
        )
    if gradient is None and output.size != 1:
        raise GradientError(
            f"backward: {describe(output)} is not a single number; "
            f"reduce it with .sum() or .mean(), or pass gradient= of shape {output.shape}"
        )
    if gradient is None:
        one = np.empty(output.shape, output.dtype)
        one.fill(1)  # sooner than `np.ones`
        gradient = adopt(one)
    seed = gradient if isinstance(gradient, Tensor) else Tensor(gradient)
    if seed.shape != output.shape:
        raise OpError(
            f"backward: the gradient has shape {seed.shape}, "
            f"but {describe(output)} needs {output.shape}"
        )
    notify("seed", output, seed._data)
    return seed if seed.dtype == output.dtype else seed.astype(output.dtype)


def _tensor(g: Cotangent) -> Tensor:
    """A cotangent as a Tensor, which shares its array with no other gradient."""
    return g if isinstance(g, Tensor) else adopt(g)


def _leading_to(targets: set[Tensor], nodes: set[Tensor]) -> set[Any]:
    """The nodes from which a target is reached: nobody needs the cotangents of the others."""
    leading: set[Any] = set()
    for node in sorted(nodes, key=_BY_ID):
        if node in targets or not leading.isdisjoint(node.inputs):
            leading.add(node)
    return leading


def _sweep(  # noqa: C901  (one loop, which a call per node would slow)
    output: Tensor, seed: Tensor, relevant: set[Tensor], kept: set[Tensor], create_graph: bool
) -> dict[Tensor, Cotangent]:
    """The complete cotangents of the `kept` among the `relevant` tensors.

    `sums` holds what each tensor has received so far, in order of creation. What is taken from its
    end is the newest tensor: whatever used it is newer still and has been visited, so its sum is
    complete.
    """
    sums: dict[Any, Cotangent] = dict.fromkeys(sorted(relevant, key=_BY_ID))
    later: _Later = defaultdict(lambda: defaultdict(list))
    complete: dict[Tensor, Cotangent] = {}
    symbolic = create_graph or STATE.get().symbolic
    observers = STATE.get().observers
    sums[output] = seed if symbolic else seed._data
    this = Pass(create_graph)
    with this, this:
        while sums:
            node, g = sums.popitem()
            if node in later:
                g = _added(later.pop(node), g, node)
            if g is None:
                continue
            if node._hooks:
                g = _after_hooks(node, g, symbolic)
            if node in kept:
                complete[node] = g
            op = node.op
            if op is None:
                continue
            y, operands, options = node._data, node.arrays, node.options
            if symbolic:
                g, y, operands = _tensor(g), node, _live_operands(node)
            together = op.together
            for slot, x in enumerate(node.inputs):
                if x not in sums:
                    continue
                if together and slot in together:
                    later[x][op, slot].append((g, operands, options))
                    term = None
                else:
                    term = op.vjp(slot, g, y, operands, options)
                    if term is None:
                        continue
                    held = sums[x]
                    sums[x] = term if held is None else held + term  # either may be shared
                for observer in observers:
                    observer("vjp", node, slot, g, term)
    return complete


def _added(put_off: _Terms, g: Cotangent | None, x: Tensor) -> Cotangent:
    """What `x` has received, and all that was put off for it."""
    for (op, slot), terms in put_off.items():
        cotangents, operands, options = map(list, zip(*terms, strict=True))
        total = op.fitted(op.together[slot](cotangents, operands, options), slot, x._data)
        g = total if g is None else g + total
    return g


def _live_operands(node: Tensor) -> tuple[Any, ...]:
    """A node's inputs as Tensors, for a pass that is recorded.

    Raises:
        GradientError: one no longer holds what the forward saw.
    """
    for x, array in zip(node.inputs, node.arrays, strict=True):
        if x is not None and x._data is not array:
            raise GradientError(
                f"grad: the data of {describe(x)} was replaced after {describe(node)} used it: "
                "create_graph would differentiate another function"
            )
    return tuple(
        array if x is None else x for x, array in zip(node.inputs, node.arrays, strict=True)
    )


def _after_hooks(node: Tensor, g: Cotangent, symbolic: bool) -> Cotangent:
    g = _tensor(g)
    for hook in list(node._hooks or ()):
        replaced: Any = hook(g)
        if replaced is not None:
            notify("hook", node, g, replaced)
            g = replaced if isinstance(replaced, Tensor) else Tensor(replaced)
        if g.shape != node.shape:
            raise GradientError(
                f"hook: {describe(node)} needs a gradient of its shape, got {g.shape}"
            )
    if g.dtype != node.dtype:
        g = g.astype(node.dtype)
    return g if symbolic else g._data


Tensor.backward = backward  # pyright: ignore[reportAttributeAccessIssue]  (self is output)
