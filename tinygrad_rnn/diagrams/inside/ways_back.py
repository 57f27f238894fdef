"""What comes back inside an opened copy: the norm at each op, and along each wire.

An opened copy is drawn from a plan that many copies share. `Inside` says what the plan's ops and
wires are of in one copy.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...tracing.network.gradients.flow import handed_back, norm_of, together
from ...tracing.network.gradients.norms import Norms
from ...tracing.network.quotient import Read
from ...tracing.recording.graph import Node
from ..picture.ramp import ALARM_OUTLINE, Ramp, is_non_finite, look_of, strength
from ..picture.shapes import Drawing, Edge, Point, Shape, Text
from ..picture.stretches import drawn_once
from .anatomy import Part
from .plan import Plan, Spot

_CUT_SIZE = 14.0


@dataclass(frozen=True, slots=True)
class Inside:
    """What the ops and wires of a copy are, and the gradients there, by their ids in its plan."""

    ops: Mapping[str, Node]
    # Of each wire to an op: the op that reads it, and as which of its inputs.
    reads: Mapping[str, tuple[Node, int]]
    # Of each wire to the next copy: the reads that it is for there.
    hands: Mapping[str, tuple[Read, ...]]
    # Of those that require a gradient.
    norms: Mapping[str, float] = field(default_factory=dict[str, float])

    @classmethod
    def of(
        cls, parts: Sequence[Part], plan: Plan, handed: Mapping[int, tuple[Read, ...]]
    ) -> "Inside":
        """Return what a copy of these parts has inside; `handed`: who reads each of its states."""
        reads = [(read.reader, read.slot) for part in parts for read in part.reads]
        hands = {id: handed[state] for state, id in plan.leaving.items() if state in handed}
        return cls(
            ops={f"op/{part.place}": part.node for part in parts},
            reads={f"wire/{number}": read for number, read in enumerate(reads)},
            hands=hands,
        )

    def with_norms(self, flow: Norms, gradients: Mapping[int, Any]) -> "Inside":
        """Return it with the norms at the ops, and along the wires."""
        norms: dict[str, float | None] = {}
        for id, op in self.ops.items():
            if op.requires_grad:
                norms[id] = norm_of(gradients.get(op.id, 0.0))
        for id, (node, slot) in self.reads.items():
            norms[id] = handed_back(node, slot, gradients)
        for id, reads in self.hands.items():
            norms[id] = together(flow.reads(reads))
        return replace(self, norms={id: norm for id, norm in norms.items() if norm is not None})

    def is_cut(self, id: str) -> bool:
        """Whether a `detach` stops what would come back along a wire."""
        return id in self.norms and id in self.reads and self.reads[id][0].op == "detach"


def with_ways_back(
    drawing: Drawing,
    plan: Plan,
    inside: Inside,
    upward: Mapping[int, Sequence[float]],
    spot: Spot,
    ramp: Ramp,
) -> Drawing:
    """Return the drawing of one copy with its gradients.

    `upward` are the norms of what comes back from above to its parts, by their places.
    """
    norms = {spot.named(id): norm for id, norm in inside.norms.items()}
    shapes = tuple(_with_norm(shape, norms.get(shape.id)) for shape in drawing.shapes)
    back = tuple(
        spot.edge(_look(edge, norm, ramp, cut=cut))
        for edge, norm, cut in _ways(plan, inside, upward)
    )
    return Drawing(shapes, drawing.edges + back)


def _with_norm(shape: Shape, norm: float | None) -> Shape:
    if norm is None or shape.cls != "op":
        return shape
    shape = replace(shape, tooltip=f"{shape.tooltip}; ‖∂L/∂·‖ = {norm:.4g}")
    if is_non_finite(norm):
        return replace(shape, line="alarm", line_width=ALARM_OUTLINE)
    return shape


def _ways(
    plan: Plan, inside: Inside, upward: Mapping[int, Sequence[float]]
) -> Iterator[tuple[Edge, float, bool]]:
    """Yield each way back, how much comes by it, and whether a `detach` stops it."""
    norms = {f"gradient-{wire}": norm for wire, norm in inside.norms.items()}
    for place, back in upward.items():
        if back and place in plan.upward:
            norms[f"gradient-{plan.upward[place].id}"] = max(back, key=strength)
    ways = [(edge, strength(norms[edge.id])) for edge in plan.back if edge.id in norms]
    for edge in drawn_once(ways):
        yield edge, norms[edge.id], inside.is_cut(edge.id.removeprefix("gradient-"))


def _look(edge: Edge, norm: float, ramp: Ramp, *, cut: bool) -> Edge:
    look = look_of(norm, ramp)
    return replace(
        edge,
        label=Text("✂", *_start(edge), _CUT_SIZE, "backward", bold=True) if cut else None,
        tooltip=f"‖∂L/∂·‖ = {norm:.4g} comes back by this way",
        color=look.color,
        width=look.width,
        dashed=look.dashed,
    )


def _start(edge: Edge) -> Point:
    """A point on an edge, just where it leaves what it comes from."""
    (x, y), (a, b) = edge.points[:2]
    share = _CUT_SIZE / 2 / (math.dist((x, y), (a, b)) or 1)
    return x + (a - x) * share, y + (b - y) * share
