"""The way of the gradient through a graph without copies: its wires turned around."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from ...tracing.network.gradients.flow import norm_of, term_of, together
from ...tracing.recording.graph import Node
from ..inside.anatomy import Anatomy, Inlet, Part
from ..picture.ramp import Ramp
from ..picture.shapes import Drawing, Edge
from .gradient_legend import ramp_legend
from .gradients import GRADIENTS, Words, turned


class Wire(NamedTuple):
    """What a wire stands for: all that some parts read of one value, or that a result is it."""

    source: Part | Inlet
    cut: str
    readers: tuple[Part, ...]
    result: Node | None = None


@dataclass(frozen=True, slots=True)
class WaysBack:
    """The norm of what comes back along each wire, None where nothing can, and their scale."""

    norms: Sequence[float | None]
    ramp: Ramp
    words: Words = GRADIENTS
    has_cuts: bool = False

    def on(self, drawing: Drawing) -> Drawing:
        """Return a drawing with its wires turned around, and the legend of their colours."""
        pairs = zip(drawing.edges, self.norms, strict=True)
        edges = tuple(self._way(edge, norm) for edge, norm in pairs if norm is not None)
        back = Drawing(drawing.shapes, edges)
        return back + ramp_legend(self, back.bounds)

    def _way(self, edge: Edge, norm: float) -> Edge:
        about = f"‖∂L/∂·‖ = {norm:.4g} comes back by this way"
        return replace(turned(edge, norm, self.ramp), tooltip=about)


def ways_back(
    anatomy: Anatomy,
    wires: Sequence[Wire],
    gradients: Mapping[int, Any],
    scale: tuple[int, int] | None,
) -> WaysBack:
    """Return what comes back along each wire: the sum of what is handed back at its reads."""
    norms = [_norm(anatomy, wire, gradients) for wire in wires]
    return WaysBack(norms, Ramp.of(norms).between(scale))


def _norm(anatomy: Anatomy, wire: Wire, gradients: Mapping[int, Any]) -> float | None:
    if wire.result is not None:
        known = gradients.get(wire.result.id) if wire.result.requires_grad else None
        return None if known is None else norm_of(known)
    sums: dict[Node, Any] = {}
    for node, slot, x in _reads(anatomy, wire):
        if not x.requires_grad:
            continue
        gradient = gradients.get(node.id)
        term = 0.0 if gradient is None else term_of(node, slot, gradient)
        sums[x] = sums.get(x, 0.0) + (0.0 if term is None else term)
    return together(tuple(map(norm_of, sums.values())))


def _reads(anatomy: Anatomy, wire: Wire) -> Iterator[tuple[Node, int, Node]]:
    """Yield each op that reads the value, as which of its inputs, and the value."""
    inner = {node for part in wire.readers for node in (*part.absorbed, part.node)}
    for part in wire.readers:
        for node in (*part.absorbed, part.node):
            for slot, x in enumerate(node.inputs):
                if x is None or x in inner:
                    continue
                if anatomy.values.get(x) == (wire.source, wire.cut):
                    yield node, slot, x
