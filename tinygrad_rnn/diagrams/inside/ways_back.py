"""What comes back inside an opened copy: what its ops and wires are of, how much that is at each, how it is drawn."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...tracing.network.flow import Flow, handed_back, norm_of
from ...tracing.network.network import Link
from ...tracing.recording.graph import Node
from ..picture.diagram import Drawing, Edge, Point, Shape, Text
from ..picture.ramp import SICK_OUTLINE, Ramp, is_sick, look_of, strength
from ..picture.stretches import drawn_once
from .anatomy import Part
from .plan import Plan, Spot

_CUT_SIZE = 14.0


@dataclass(frozen=True, slots=True)
class Inside:
    """What the parts of an opened copy's plan are of, by their ids there, and the gradients that come back to them."""

    ops: Mapping[str, Node]
    reads: Mapping[
        str, tuple[Node, int]
    ]  # of each wire to an op: which op reads it, as which of its inputs
    hands: Mapping[
        str, tuple[str, int]
    ]  # of each wire to the next copy: by which link, as which state
    norms: Mapping[str, float] = field(
        default_factory=dict[str, float]
    )  # of those that require a gradient

    @classmethod
    def of(cls, parts: Sequence[Part], plan: Plan, link: Link | None) -> "Inside":
        """Return what a copy of these parts has inside; `link` hands its states on."""
        reads = [(part.reader, slot) for part in parts for slot in part.slots]
        return cls(
            ops={f"op/{part.place}": part.node for part in parts},
            reads={f"wire/{number}": read for number, read in enumerate(reads)},
            hands={id: (link.id, state) for state, id in plan.leaving.items()} if link else {},
        )

    def with_norms(self, flow: Flow, gradients: Mapping[int, Any]) -> "Inside":
        """Return it with the norms at the ops, and along the wires."""
        norms = {
            id: norm_of(gradients.get(op.id, 0.0)) if op.requires_grad else None
            for id, op in self.ops.items()
        }
        norms |= {id: handed_back(node, slot, gradients) for id, (node, slot) in self.reads.items()}
        norms |= {
            id: next(iter(flow.links[link][state:]), None)
            for id, (link, state) in self.hands.items()
        }
        return replace(self, norms={id: norm for id, norm in norms.items() if norm is not None})

    def is_cut(self, id: str) -> bool:
        """Whether a `detach` stops what would come back along a wire."""
        return id in self.norms and id in self.reads and self.reads[id][0].op == "detach"


def with_ways_back(
    drawing: Drawing,
    plan: Plan,
    inside: Inside,
    upward: Sequence[float],
    spot: Spot,
    ramp: Ramp,
) -> Drawing:
    """Return the drawing of one copy with its gradients: along its wires, and `upward` what comes back from above."""
    norms = {spot.named(id): norm for id, norm in inside.norms.items()}
    shapes = tuple(_op(shape, norms) if shape.cls == "op" else shape for shape in drawing.shapes)
    ways = tuple(_way(*way, spot, ramp) for way in _ways(plan, inside, upward))
    return Drawing(shapes, drawing.edges + ways)


def _op(shape: Shape, norms: Mapping[str, float]) -> Shape:
    norm = norms.get(shape.id)
    if norm is None:
        return shape
    tooltip = f"{shape.tooltip}; ‖∂L/∂·‖ = {norm:.4g}"
    alarm = {"line": "alarm", "line_width": SICK_OUTLINE} if is_sick(norm) else {}
    return replace(shape, tooltip=tooltip, **alarm)


def _ways(
    plan: Plan, inside: Inside, upward: Sequence[float]
) -> Iterator[tuple[Edge, float, bool]]:
    """Yield each way back, how much comes by it, and whether a `detach` stops it."""
    known = {**inside.norms, **({plan.upward.id: max(upward, key=strength)} if upward else {})}
    norms = {f"gradient-{wire}": norm for wire, norm in known.items()}
    ways = [(edge, strength(norms[edge.id])) for edge in plan.back if edge.id in norms]
    for edge in drawn_once(ways):
        yield edge, norms[edge.id], inside.is_cut(edge.id.removeprefix("gradient-"))


def _way(edge: Edge, norm: float, cut: bool, spot: Spot, ramp: Ramp) -> Edge:
    look = look_of(norm, ramp)
    label = Text("✂", *_start(edge), _CUT_SIZE, "backward", bold=True) if cut else None
    tooltip = f"‖∂L/∂·‖ = {norm:.4g} comes back by this way"
    edge = replace(
        edge, label=label, tooltip=tooltip, color=look.color, width=look.width, dashed=look.dashed
    )
    return spot.edge(edge)


def _start(edge: Edge) -> Point:
    """A point on an edge, just where it leaves what it comes from."""
    (x, y), (a, b) = edge.points[:2]
    share = _CUT_SIZE / 2 / (math.dist((x, y), (a, b)) or 1)
    return x + (a - x) * share, y + (b - y) * share
