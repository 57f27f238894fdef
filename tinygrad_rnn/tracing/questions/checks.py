"""Recorded gradients against central differences: of one op's VJP, and of the whole graph."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ...autograd.switches import quietly
from ...autograd.tensor import Array
from ...check import central_difference, relative_tolerance
from ...errors import TraceError
from ..network.parameters import parameter_names
from ..recording.graph import Graph, Node, compute
from .notation import Index
from .terms import vjp_term

_ELEMENTS = 64  # the largest of a term, which matter most


@dataclass(frozen=True, slots=True)
class GradientCheck:
    """How a recorded gradient compares with central differences: the element that differs most."""

    name: str  # "W_hh", or "tanh, input 0"
    shape: tuple[int, ...]
    checked: int  # elements compared
    worst: float  # the largest relative error
    index: Index  # where
    analytic: float
    numeric: float
    rtol: float

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def passed(self) -> bool:
        return self.worst <= self.rtol


def check_vjp(of: Node, slot: int, cotangent: Array) -> GradientCheck:
    """Compare the term that an op handed back with the central difference of the op itself.

    Raises:
        TraceError: the input holds no floats, or nothing at all.
    """
    x = np.asarray(of.operands[slot])
    rule, name = of.rule, f"{of.op}, input {slot}"
    if x.dtype.kind != "f" or not x.size or rule is None:
        raise TraceError(
            f"{of.op}: input {slot} is {x.dtype} {x.shape}: there is no slope to check"
        )
    operands: list[Any] = [_as_float64(np.asarray(a)) for a in of.operands]

    def output(moved: Array) -> list[Array]:
        return [compute(rule, [*operands[:slot], moved, *operands[slot + 1 :]], of.options)]

    term = vjp_term(of, slot, cotangent).astype(np.float64)
    largest = np.argsort(-np.abs(term), axis=None)[:_ELEMENTS]
    scale = 1e-3 * max(1e-12, float(np.max(np.abs(term), initial=0.0)))
    slope = _Slope(output, x, cotangent)
    return _compared(name, slope, term, largest, scale)


def check_gradients(
    graph: Graph, samples: int | None = 64, seed: int = 0
) -> Iterator[GradientCheck]:
    """Compare every parameter's gradient of the last backward pass with central differences.

    The error is |analytic - numeric| / max(|numeric|, 1e-3 max(1, |L|)): near zero a relative error
    alone says nothing.

    Args:
        graph: of a trace whose last pass reached `backward()`.
        samples: how many elements of each parameter to compare, chosen at random; None compares
            all.
        seed: of that choice.

    Raises:
        TraceError: no backward pass was recorded.
    """
    weights = graph.gradients.get(graph.root.id)
    if weights is None:
        raise TraceError(
            "no backward pass was recorded: call loss.backward(), so that there are gradients to "
            "check"
        )
    rng = np.random.default_rng(seed)
    names = parameter_names(graph.nodes, graph.owners)
    scale = 1e-3 * max(1.0, float(np.abs(weights * graph.root.data).sum()))
    trained = {x.id: x for x in graph.nodes if x.is_parameter and x.id in graph.gradients}
    for node in trained.values():
        chosen = np.arange(node.size)
        if samples is not None and samples < node.size:
            chosen = np.sort(rng.choice(node.size, samples, replace=False))

        def output(moved: Array, id: int = node.id) -> list[Array]:
            return [replay(graph, {id: moved})]

        gradient = graph.gradients[node.id]
        slope = _Slope(output, node.data, weights)
        yield _compared(names[node.id], slope, gradient, chosen, scale)


@dataclass(frozen=True, slots=True)
class _Slope:
    """The central difference of Σ weights · output(x), at any element of x."""

    output: Callable[[Array], list[Array]]
    x: Array
    weights: Array

    @quietly
    def at(self, index: Index) -> float:
        # where something is infinite there is no difference: it is NaN
        return central_difference(self.output, self.x, index, [self.weights])


def _compared(
    name: str, slope: _Slope, analytic: Array, chosen: Array, scale: float
) -> GradientCheck:
    """Compare the `chosen` elements, given by their places in the flattened array."""
    shape = slope.x.shape
    worst, where, both = -1.0, (0,) * len(shape), (0.0, 0.0)
    for flat in chosen.tolist():
        index = _unravelled(flat, shape)
        known, numeric = float(analytic[index]), slope.at(index)
        error = abs(known - numeric) / max(abs(numeric), scale)
        # written so that NaN is worse than any number
        if not error <= worst:
            worst, where, both = error, index, (known, numeric)
    rtol = relative_tolerance(slope.x.dtype)
    return GradientCheck(name, shape, len(chosen), worst, where, *both, rtol)


def _unravelled(flat: int, shape: tuple[int, ...]) -> Index:
    index: list[int] = []
    for size in reversed(shape):
        flat, i = divmod(flat, size)
        index.insert(0, i)
    return tuple(index)


def replay(graph: Graph, values: Mapping[int, Array]) -> Array:
    """The root's value, in float64, with `values` (by node id) in place of some leaves.

    What requires no gradient is not computed again, nor what lies behind a `detach`: so the result
    is the very function that backward differentiated.
    """
    done: dict[Node, Array] = {}
    for node in graph.nodes:
        if node.op is None and node.id in values:
            done[node] = values[node.id]
        elif node.rule is None or not node.requires_grad:
            done[node] = _as_float64(node.data)
        else:
            pairs = zip(node.inputs, node.operands, strict=True)
            operands = [a if x is None else done[x] for x, a in pairs]
            done[node] = compute(node.rule, operands, node.options)
    return done[graph.root]


def _as_float64(array: Array) -> Array:
    """Floats in double precision, anything else as it is."""
    return array.astype(np.float64, copy=False) if array.dtype.kind == "f" else array
