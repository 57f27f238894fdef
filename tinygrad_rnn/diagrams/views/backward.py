"""The backward view: the same copies in mirrored columns, and the gradient's way through them.

The columns run from the last timestep to the first, so that the gradient too is read from left to
right. An edge is there where a gradient flows, in the colour and width of its norm.
"""

from dataclasses import replace

from ...tracing.network.quotient import Quotient
from ..grid.grid import Grid
from ..grid.placement import Placement
from ..grid.unrolled import unrolled_grid
from ..picture.ramp import strength
from ..picture.shapes import Drawing, Edge, Shape
from ..picture.stretches import drawn_once
from .columns import drawn
from .gradient_legend import ramp_legend
from .gradients import Overlay, turned, with_gradients, words_for
from .options import Options

_NAMED = "cell", "input", "output", "initial"  # after the gradient that arrives there
_SIDES = {"left": "right", "right": "left", "center": "center"}


def drawing(quotient: Quotient, options: Options) -> Drawing:
    """Draw the way of the gradient: the same copies from the last timestep to the first."""
    overlay = with_gradients(unrolled_grid(quotient, options.fold), quotient, words_for(options))
    overlay = overlay.between(options.scale)
    place = Placement(_gradient_grid(overlay))
    mirrored = _mirrored(drawn(place, place.bands()), overlay)
    return mirrored + ramp_legend(overlay, mirrored.bounds)


def _gradient_grid(overlay: Overlay) -> Grid:
    """Return the grid with one edge, not two, per connection.

    Each part that has a gradient is named for it.
    """
    items = dict(overlay.grid.items)
    for id, item in items.items():
        known = any(norm is not None for norm in overlay.parts.get(id, {}).values())
        if item.role in _NAMED and known:
            items[id] = replace(item, label=_gradient(item.label))
    return replace(overlay.grid, items=items, lane=0.0)


def _gradient(label: str) -> str:
    return ", ".join(f"∇{name}" for name in label.split(", "))


def _mirrored(drawing: Drawing, overlay: Overlay) -> Drawing:
    """Return `drawing` mirrored, its edges turned around; those without a gradient are left out.

    So are the names of what goes forward.
    """
    norms = {connection.id: connection.norm for connection in overlay.grid.connections}
    back: list[tuple[Edge, float]] = []
    for edge in drawing.edges:
        norm = norms[edge.id]
        if norm is not None:
            back.append((turned(edge, norm, overlay.ramp), strength(norm)))
    shapes = (shape for shape in drawing.shapes if shape.cls != "label")
    edges = drawn_once(back)
    return Drawing(tuple(map(_mirrored_shape, shapes)), tuple(map(_mirrored_edge, edges)))


def _mirrored_shape(shape: Shape) -> Shape:
    texts = tuple(replace(text, x=-text.x, align=_SIDES[text.align]) for text in shape.texts)
    return replace(shape, x=-shape.x, texts=texts)


def _mirrored_edge(edge: Edge) -> Edge:
    return replace(edge, points=tuple((-x, y) for x, y in edge.points))
