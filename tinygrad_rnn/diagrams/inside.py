"""What comes back inside an opened copy: how each way back of its plan looks there, and how large it is at each op."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from .diagram import Drawing, Edge, Point, Shape, Text
from .grid import Inside
from .lanes import drawn_once
from .opened import Plan, Spot
from .ramp import SICK_OUTLINE, Ramp, is_sick, look_of, strength
from .theme import Theme

_CUT_SIZE = 14.0


def with_ways_back(
    drawing: Drawing, plan: Plan, inside: Inside, upward: Sequence[float], spot: Spot, ramp: Ramp, theme: Theme
) -> Drawing:
    """Return the drawing of one copy with its gradients: along its wires, and `upward` what comes back from above."""
    norms = {spot.named(id): norm for id, norm in inside.norms.items()}
    shapes = tuple(_op(shape, norms, theme) if shape.cls == "op" else shape for shape in drawing.shapes)
    ways = tuple(_way(*way, spot, ramp, theme) for way in _ways(plan, inside, upward))
    return Drawing(shapes, drawing.edges + ways)


def _op(shape: Shape, norms: Mapping[str, float], theme: Theme) -> Shape:
    norm = norms.get(shape.id)
    if norm is None:
        return shape
    tooltip = f"{shape.tooltip}; ‖∂L/∂·‖ = {norm:.4g}"
    alarm = {"line": theme.alarm, "line_width": SICK_OUTLINE} if is_sick(norm) else {}
    return replace(shape, tooltip=tooltip, **alarm)


def _ways(plan: Plan, inside: Inside, upward: Sequence[float]) -> Iterator[tuple[Edge, float, bool]]:
    """Yield each way back, how much comes by it, and whether a `detach` stops it."""
    known = {**inside.norms, **({plan.upward.id: max(upward, key=strength)} if upward else {})}
    norms = {f"gradient-{wire}": norm for wire, norm in known.items()}
    ways = [(edge, strength(norms[edge.id])) for edge in plan.back if edge.id in norms]
    for edge in drawn_once(ways):
        yield edge, norms[edge.id], inside.is_cut(edge.id.removeprefix("gradient-"))


def _way(edge: Edge, norm: float, cut: bool, spot: Spot, ramp: Ramp, theme: Theme) -> Edge:
    look = look_of(norm, ramp, theme)
    label = Text("✂", *_start(edge), _CUT_SIZE, theme.backward, bold=True) if cut else None
    tooltip = f"‖∂L/∂·‖ = {norm:.4g} comes back by this way"
    edge = replace(edge, label=label, tooltip=tooltip, color=look.color, width=look.width, dashed=look.dashed)
    return spot.edge(edge)


def _start(edge: Edge) -> Point:
    """A point on an edge, just where it leaves what it comes from."""
    (x, y), (a, b) = edge.points[:2]
    share = _CUT_SIZE / 2 / (math.dist((x, y), (a, b)) or 1)
    return x + (a - x) * share, y + (b - y) * share
