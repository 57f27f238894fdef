"""Gradients by reverse-mode differentiation: the newest tensor first, each handing its cotangent to its inputs.

Creation order is a topological order, since an op's inputs exist before its output. So the pass sorts by creation id
and never recurses; gradients of a pass live in a dict of that pass, and only leaves keep them.
"""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from ..errors import GradientError, OpError
from .scope import STATE, switched
from .tensor import Array, Tensor, describe

_BY_ID = attrgetter("id")

Cotangent = Any  # an ndarray, or a Tensor when the pass itself is recorded (create_graph)
_Terms = dict[tuple[Any, int], list[tuple[Tensor, Cotangent]]]  # (op, slot) -> the nodes and their cotangents


def backward(output: Tensor, gradient: Any = None) -> None:
    """Add the gradient of `output` to `.grad` of every leaf that requires one.

    Args:
        output: where the pass starts.
        gradient: ∂L/∂output, of output's shape; may be left out when output holds one value (then it is 1).

    Raises:
        GradientError: nothing requires a gradient, or `gradient` is missing.
        OpError: `gradient` has another shape than `output`.
    """
    seed = _seed(output, gradient)
    nodes = _reachable(output)
    kept = {node for node in nodes if node.op is None or node.retains_grad}
    for node, g in _sweep(output, seed.data, nodes, kept, create_graph=False).items():
        _accumulate(node, g)


def grad(
    output: Tensor, inputs: Tensor | Sequence[Tensor], gradient: Any = None, create_graph: bool = False
) -> Any:
    """Gradients of `output` with respect to `inputs`, leaving every `.grad` alone.

    Args:
        output: where the pass starts.
        inputs: a Tensor, or a sequence of them: leaves or not.
        gradient: ∂L/∂output, of output's shape; may be left out when output holds one value.
        create_graph: record the pass, so that the results can be differentiated again.

    Returns:
        A Tensor for a Tensor, a list for a sequence; zeros for an input that output does not depend on.

    Raises:
        GradientError: output or an input requires no gradient, or `gradient` is missing; with `create_graph`, also
            when a leaf's data was replaced since the forward pass.
    """
    targets = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    wanted = set(targets)
    for target in targets:
        if not isinstance(target, Tensor) or not target.requires_grad:
            raise GradientError(f"grad: the input {describe(target)} requires no gradient")
    seed = _seed(output, gradient)
    relevant = _leading_to(wanted, _reachable(output))
    with switched(recording=create_graph):
        found = _sweep(output, seed if create_graph else seed.data, relevant, wanted, create_graph)
    results = [_as_tensor(found[t]) if t in found else Tensor(np.zeros_like(t.data)) for t in targets]
    return results[0] if isinstance(inputs, Tensor) else results


def _as_tensor(g: Cotangent) -> Tensor:
    return g if isinstance(g, Tensor) else Tensor(g)


def _seed(output: Tensor, gradient: Any) -> Tensor:
    """∂L/∂output, checked."""
    if not isinstance(output, Tensor) or not output.requires_grad:
        raise GradientError(
            f"backward: {describe(output)} does not depend on any tensor that requires a gradient; make a leaf with "
            "requires_grad=True, and compute outside no_grad()"
        )
    if gradient is None:
        if output.size != 1:
            raise GradientError(
                f"backward: {describe(output)} is not a single number; reduce it with .sum() or .mean(), or pass "
                f"gradient= of shape {output.shape}"
            )
        gradient = np.ones_like(output.data)
    seed = gradient if isinstance(gradient, Tensor) else Tensor(gradient)
    if seed.shape != output.shape:
        raise OpError(
            f"backward: the gradient has shape {seed.shape}, but {describe(output)} needs {output.shape}"
        )
    for observer in STATE.get().observers:
        observer.seed(output, seed.data)
    return seed if seed.dtype == output.dtype else seed.astype(output.dtype)


def _reachable(output: Tensor) -> set[Tensor]:
    """Everything that requires a gradient and that output was made from."""
    seen = {output}
    stack = [output]
    while stack:
        for x in stack.pop().inputs:
            if x is not None and x.requires_grad and x not in seen:
                seen.add(x)
                stack.append(x)
    return seen


def _leading_to(targets: set[Tensor], nodes: set[Tensor]) -> set[Tensor]:
    """The nodes from which a target is reached: nobody needs the cotangents of the others."""
    leading: set[Tensor] = set()
    for node in sorted(nodes, key=_BY_ID):
        if node in targets or any(x in leading for x in node.inputs):
            leading.add(node)
    return leading


def _sweep(
    output: Tensor, seed: Cotangent, relevant: set[Tensor], kept: set[Tensor], create_graph: bool
) -> dict[Tensor, Cotangent]:
    """The complete cotangents of the `kept` among the `relevant` tensors."""
    cotangents: dict[Tensor, Cotangent] = {output: seed}
    deferred: dict[Tensor, _Terms] = {}
    results: dict[Tensor, Cotangent] = {}
    observers, ndarray = STATE.get().observers, np.ndarray
    with np.errstate(all="ignore"):
        for node in sorted(relevant, key=_BY_ID, reverse=True):
            g = cotangents.pop(node, None)
            if deferred and node in deferred:
                g = _plus(g, _sum_of(deferred.pop(node), node, create_graph))
            if g is None:
                continue
            if node._hooks:
                g = _after_hooks(node, g, create_graph)
            if node in kept:
                results[node] = g
            op, options = node.op, node.options
            if op is None:
                continue
            y, inputs = (node, _live_inputs(node)) if create_graph else (node._data, node.arrays)
            for slot, x in enumerate(node.inputs):
                if x not in relevant or (vjp := op.vjps[slot]) is None:
                    continue
                if slot in op.together:
                    deferred.setdefault(x, {}).setdefault((op, slot), []).append((node, g))
                    term = None
                else:
                    term = vjp(g, y, *inputs, **options) if options else vjp(g, y, *inputs)
                    like = x._data
                    if type(term) is not ndarray or term.shape != like.shape or term.dtype is not like.dtype:
                        term = _fitted(term, op, slot, x)
                    held = cotangents.get(x)
                    # Never in place: either may be shared with another tensor.
                    cotangents[x] = term if held is None else held + term
                if observers:
                    for observer in observers:
                        observer.vjp(node, slot, g, term)
    return results


def _plus(held: Cotangent | None, contribution: Cotangent) -> Cotangent:
    return contribution if held is None else held + contribution


def _sum_of(terms: _Terms, x: Tensor, create_graph: bool) -> Cotangent:
    """The terms that were put off, each kind summed in one call."""
    total = None
    for (op, slot), parts in terms.items():
        if len(parts) == 1:
            ((node, g),) = parts
            y, inputs = (node, _live_inputs(node)) if create_graph else (node._data, node.arrays)
            term = op.vjps[slot](g, y, *inputs, **node.options)
        else:
            inputs = [_live_inputs(node) if create_graph else node.arrays for node, _ in parts]
            term = op.together[slot]([g for _, g in parts], inputs, [node.options for node, _ in parts])
        total = _plus(total, _fitted(term, op, slot, x))
    return total


def _live_inputs(node: Tensor) -> tuple[Any, ...]:
    """The inputs as Tensors, for a pass that is itself recorded: they must still hold what the forward saw."""
    for x, array in zip(node.inputs, node.arrays, strict=True):
        if x is not None and x._data is not array:
            raise GradientError(
                f"grad: the data of {describe(x)} was replaced after {node.op.name} used it, so a recorded backward "
                "pass would differentiate another function; differentiate before the update"
            )
    return tuple(a if x is None else x for x, a in zip(node.inputs, node.arrays, strict=True))


def _fitted(term: Any, op: Any, slot: int, x: Tensor) -> Cotangent:
    """A VJP's result in the shape and dtype of its input: summed over what was broadcast."""
    if not isinstance(term, np.ndarray | np.generic | Tensor):
        raise GradientError(
            f"{op.name}: the VJP of input {slot} returned {type(term).__name__}, not one array; "
            "give @op one VJP per input"
        )
    shape = x.shape
    if term.shape != shape:
        term = _unbroadcast(term, op, slot, shape)
    if term.dtype != x.dtype:
        if term.dtype.kind not in "fiub":
            raise GradientError(f"{op.name}: the VJP of input {slot} has dtype {term.dtype}, needs {x.dtype}")
        term = term.astype(x.dtype)
    return term


def _unbroadcast(term: Cotangent, op: Any, slot: int, shape: tuple[int, ...]) -> Cotangent:
    """The adjoint of broadcasting: sum over the axes that were added or stretched."""
    added = term.ndim - len(shape)
    stretched = [
        added + i for i, n in enumerate(shape) if n == 1 and added >= 0 and term.shape[added + i] != 1
    ]
    kept = term.sum(axis=(*range(added), *stretched), keepdims=True) if added >= 0 else term
    if kept.shape[max(added, 0) :] != shape:
        raise GradientError(
            f"{op.name}: the VJP of input {slot} returned shape {term.shape}, but the input has shape {shape}"
        )
    return kept.reshape(shape)


def _after_hooks(node: Tensor, g: Cotangent, create_graph: bool) -> Cotangent:
    gradient = _as_tensor(g)
    for hook in node._hooks or ():
        replaced = hook(gradient)
        if replaced is not None:
            gradient = replaced
    if gradient.shape != node.shape:
        raise GradientError(f"hook: {describe(node)} needs a gradient of its shape, got {gradient.shape}")
    return gradient if create_graph else gradient.data


def _accumulate(leaf: Tensor, g: Cotangent) -> None:
    leaf._grad = Tensor(g if leaf._grad is None else leaf._grad.data + g)
    for observer in STATE.get().observers:
        observer.accumulate(leaf, g)
