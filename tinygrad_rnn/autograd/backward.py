"""Gradients by reverse-mode differentiation: the newest tensor first, each handing its cotangent to its inputs.

Creation order is a topological order, since an op's inputs exist before its output. So the pass
sorts by creation id and never recurses; gradients of a pass live in a dict of that pass, and only
leaves keep them.
"""

# pyright: reportPrivateUsage=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from ..errors import GradientError, OpError, require
from .state import STATE, notify, switched
from .tensor import Tensor

_BY_ID = attrgetter("id")
_REPLACED = "grad: the data of {} was replaced after {} used it: create_graph would differentiate another function"

Cotangent = Any  # an ndarray, or a Tensor when the pass itself is recorded (create_graph)


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
    seed, nodes = _seed(output, gradient), reachable(output)
    kept = {node for node in nodes if node.op is None or node.retains_grad}
    for node, g in _sweep(output, seed, nodes, kept, create_graph=False).items():
        node._grad = _tensor(
            g if (old := node._grad) is None else (old if isinstance(g, Tensor) else old._data) + g
        )
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
        require(
            getattr(x, "requires_grad", False),
            GradientError,
            "grad: the input {} requires no gradient",
            x,
        )
    seed = _seed(output, gradient)
    relevant = _leading_to(set(targets), reachable(output))
    found = _sweep(output, seed, relevant, set(targets), create_graph)
    gradients = [
        _tensor(found[x]) if x in found else Tensor(np.zeros_like(x._data)) for x in targets
    ]
    return gradients[0] if isinstance(inputs, Tensor) else gradients


def _seed(output: Tensor, gradient: Any) -> Tensor:
    """∂L/∂output, checked."""
    rule = "backward: {} depends on nothing that requires a gradient; make leaves with requires_grad=True, no no_grad()"
    require(getattr(output, "requires_grad", False), GradientError, rule, output)
    rule = "backward: {} is not a single number; reduce it with .sum() or .mean(), or pass gradient= of shape {}"
    require(gradient is not None or output.size == 1, GradientError, rule, output, output.shape)
    seed = _tensor(np.ones_like(output._data) if gradient is None else gradient)
    fits = seed.shape == output.shape
    require(
        fits,
        OpError,
        "backward: the gradient has shape {}, but {} needs {}",
        seed.shape,
        output,
        output.shape,
    )
    notify("seed", output, seed._data)
    return seed if seed.dtype == output.dtype else seed.astype(output.dtype)


def _tensor(g: Any) -> Tensor:
    return g if isinstance(g, Tensor) else Tensor(g)


def reachable(output: Tensor) -> set[Tensor]:
    """Everything that requires a gradient and that output was made from."""
    seen, stack = {output}, [output]
    while stack:
        for x in stack.pop().inputs:
            if x is not None and x.requires_grad and x not in seen:
                seen.add(x)
                stack.append(x)
    return seen


def _leading_to(targets: set[Tensor], nodes: set[Tensor]) -> set[Any]:
    """The nodes from which a target is reached: nobody needs the cotangents of the others."""
    leading: set[Any] = set()
    for node in sorted(nodes, key=_BY_ID):
        if node in targets or not leading.isdisjoint(node.inputs):
            leading.add(node)
    return leading


def _sweep(  # noqa: C901  (one loop, that a call per node would slow)
    output: Tensor, seed: Tensor, relevant: set[Tensor], kept: set[Tensor], create_graph: bool
) -> dict[Tensor, Cotangent]:
    """The complete cotangents of the `kept` among the `relevant` tensors."""
    pending: dict[Any, Cotangent] = dict.fromkeys(
        sorted(relevant, key=_BY_ID)
    )  # its last item is the newest tensor
    symbolic = (
        create_graph or STATE.get().capture is not None
    )  # who runs the pass again wants to see its ops, too
    pending[output] = seed if symbolic else seed._data
    deferred: dict[
        Tensor, dict[tuple[Any, int], list[Any]]
    ] = {}  # terms of one kind, to be summed in one call
    complete: dict[Tensor, Cotangent] = {}
    observers, ndarray = STATE.get().observers, np.ndarray
    with np.errstate(all="ignore"), switched(recording=create_graph):
        while pending:
            node, g = pending.popitem()
            if deferred and node in deferred:
                for (op, slot), terms in deferred.pop(node).items():
                    total = _fitted(
                        op.together[slot](*map(list, zip(*terms, strict=True))), op, slot, node
                    )
                    g = total if g is None else g + total
            if g is None:
                continue
            if node._hooks:
                g = _after_hooks(node, g, symbolic)
            if node in kept:
                complete[node] = g
            if (op := node.op) is None:
                continue
            # a VJP may have made an array of numbers: where the pass is recorded, it is a Tensor
            # from here on
            g, y, arrays = (_tensor(g), *_live(node)) if symbolic else (g, node._data, node.arrays)
            options, given = (
                node.options,
                (arrays,) if op.variadic else arrays,
            )  # as op.given, without the call
            for slot, x in enumerate(node.inputs):
                held = pending.get(x, ...)
                if held is ... or (vjp := op.vjps[slot]) is None:
                    continue
                if slot in op.together:
                    deferred.setdefault(x, {}).setdefault((op, slot), []).append(
                        (g, arrays, options)
                    )
                    term = None
                else:
                    term = vjp(g, y, *given, **options) if options else vjp(g, y, *given)
                    if (
                        type(term) is not ndarray
                        or term.dtype is not x._data.dtype
                        or term.shape != x._data.shape
                    ):
                        term = _fitted(term, op, slot, x)
                    pending[x] = (
                        term if held is None else held + term
                    )  # out of place: either may be shared
                if observers:
                    notify("vjp", node, slot, g, term)
    return complete


def _live(node: Tensor) -> tuple[Tensor, tuple[Any, ...]]:
    """A node and its inputs as Tensors, for a pass that is recorded: they must still hold what the forward saw."""
    for x, array in zip(node.inputs, node.arrays, strict=True):
        require(x is None or x._data is array, GradientError, _REPLACED, x, node)
    return node, tuple(
        array if x is None else x for x, array in zip(node.inputs, node.arrays, strict=True)
    )


def _fitted(term: Any, op: Any, slot: int, x: Tensor) -> Cotangent:
    """A VJP's result in the shape and dtype of its input: summed over what was broadcast."""
    term = (
        np.asarray(term) if isinstance(term, np.generic) else term
    )  # NumPy's scalars, of arrays without axes
    if getattr(term, "shape", None) == x.shape and term.dtype == x.dtype:
        return term
    what = f"{op.name}: the VJP of input {slot} returned"
    rule = "{} a {}, not one array; give @op one VJP per input"
    require(hasattr(term, "dtype"), GradientError, rule, what, type(term))
    require(
        term.dtype.kind in "fiub",
        GradientError,
        "{} dtype {}, but the input has {}",
        what,
        term.dtype,
        x.dtype,
    )
    padded = (1,) * (term.ndim - x.ndim) + x.shape
    fits = len(padded) == term.ndim and all(
        n in (1, m) for n, m in zip(padded, term.shape, strict=True)
    )
    require(
        fits, GradientError, "{} shape {}, but the input has shape {}", what, term.shape, x.shape
    )
    stretched = tuple(i for i, n in enumerate(padded) if n != term.shape[i])
    term = (term.sum(axis=stretched) if stretched else term).reshape(x.shape)
    return term if term.dtype == x.dtype else term.astype(x.dtype)


def _after_hooks(node: Tensor, g: Cotangent, symbolic: bool) -> Cotangent:
    for hook in list(node._hooks or ()):
        g = g if (replaced := hook(_tensor(g))) is None else _tensor(replaced)
        require(
            g.shape == node.shape,
            GradientError,
            "hook: {} needs a gradient of its shape, got {}",
            node,
            g.shape,
        )
    return _tensor(g) if symbolic else np.asarray(g)
