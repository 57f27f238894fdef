"""Computing a recorded graph again with other parameters, and so checking the gradients that were recorded."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ...autograd.tensor import Array
from ...errors import TraceError
from ..network.namer import parameter_names
from ..recording.graph import Graph, Node, compute

RTOL = {np.dtype(np.float64): 1e-6, np.dtype(np.float32): 1e-3}


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
            done[node] = as_float64(node.data)
        else:
            operands = [
                a if x is None else done[x] for x, a in zip(node.inputs, node.operands, strict=True)
            ]
            done[node] = compute(node.rule, operands, node.options)
    return done[graph.root]


def as_float64(array: Array) -> Array:
    """Floats in double precision, anything else as it is."""
    return array.astype(np.float64, copy=False) if array.dtype.kind == "f" else array


@dataclass(frozen=True, slots=True)
class ParameterCheck:
    """How one parameter's recorded gradient compares with central differences."""

    name: str
    shape: tuple[int, ...]
    checked: int  # elements compared
    worst: float  # the largest relative error
    index: tuple[int, ...]  # where
    analytic: float
    numeric: float
    rtol: float

    @property
    def passed(self) -> bool:
        return self.worst <= self.rtol


def check_gradients(
    graph: Graph, samples: int | None = 64, seed: int = 0
) -> Iterator[ParameterCheck]:
    """Compare every recorded parameter gradient of the last backward pass with central differences of the graph.

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
            "no backward pass was recorded: call loss.backward(), so that there are gradients to check"
        )
    rng = np.random.default_rng(seed)
    names = parameter_names(graph.nodes)
    scale = 1e-3 * max(1.0, float(np.abs(weights * graph.root.data).sum()))
    for node in {
        n.id: n for n in graph.nodes if n.is_parameter and n.id in graph.gradients
    }.values():
        yield _check_parameter(graph, node, names[node.id], weights, scale, samples, rng)


def _check_parameter(
    graph: Graph,
    node: Node,
    name: str,
    weights: Array,
    scale: float,
    samples: int | None,
    rng: "np.random.Generator",
) -> ParameterCheck:
    chosen = np.arange(node.data.size)
    if samples is not None and samples < node.data.size:
        chosen = np.sort(rng.choice(node.data.size, samples, replace=False))

    def output(moved: Array) -> Array:
        return replay(graph, {node.id: moved})

    worst = worst_element(
        node.data, graph.gradients[node.id], chosen.tolist(), output, weights, scale
    )
    return ParameterCheck(
        name, node.shape, len(chosen), *worst, rtol=RTOL.get(node.data.dtype, 1e-3)
    )


def worst_element(
    at: Array,
    analytic: Array,
    chosen: Iterable[int],
    output: Callable[[Array], Array],
    weights: Array,
    scale: float,
) -> tuple[float, tuple[int, ...], float, float]:
    """The `chosen` element whose gradient differs most from the central difference of Σ weights · output.

    Returns the relative error |analytic - numeric| / max(|numeric|, scale), the index, and both
    numbers.
    """
    worst: tuple[float, tuple[int, ...], float, float] = (-1.0, (0,) * at.ndim, 0.0, 0.0)
    for flat in chosen:
        index = tuple(int(i) for i in np.unravel_index(flat, at.shape))
        numeric, known = _central_difference(at, index, output, weights), float(analytic[index])
        error = abs(known - numeric) / max(abs(numeric), scale)
        if not error <= worst[0]:  # also for NaN
            worst = (error, index, known, numeric)
    return worst


def _central_difference(
    at: Array, index: tuple[int, ...], output: Callable[[Array], Array], weights: Array
) -> float:
    h = 6e-6 * max(1.0, abs(float(at[index])))
    ends: list[Array] = []
    with np.errstate(all="ignore"):  # where something is infinite there is no difference: NaN
        for step in (h, -h):
            moved = at.astype(np.float64)
            moved[index] += step
            ends.append(output(moved))
        return float(np.sum(weights * (ends[0] - ends[1]))) / (2 * h)
