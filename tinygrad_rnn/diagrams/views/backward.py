"""The backward view: the same copies in mirrored columns, and the way of the gradient from the loss through them.

The columns run from the last timestep to the first, so that the gradient too is read from left to
right. An edge is there where a gradient flows, in the colour and width of its norm.
"""

from collections.abc import Iterator
from dataclasses import replace

from ..grid.grid import Grid
from ..picture.diagram import Drawing, Edge, Shape, Text
from ..picture.ramp import look_of
from .gradients import Overlay

_SIDES = {"left": "right", "right": "left", "center": "center"}


def gradient_grid(overlay: Overlay) -> Grid:
    """Return the grid with each part named for its gradient, if it has one, and one edge, not two, per connection."""
    items = {
        id: item
        if item.role == "loss" or overlay.flow.part(id) is None
        else replace(item, label=_gradient(item.label))
        for id, item in overlay.grid.items.items()
    }
    return replace(overlay.grid, items=items, lane=0.0)


def _gradient(label: str) -> str:
    return ", ".join(f"∇{name}" for name in label.split(", "))


def mirrored(drawing: Drawing, overlay: Overlay) -> Drawing:
    """Return `drawing` mirrored, its edges turned around; those along which no gradient flows are left away."""
    connections = {connection.id: connection for connection in overlay.grid.connections}
    return Drawing(
        tuple(map(_mirrored_shape, drawing.shapes)),
        tuple(
            _turned(edge, connections[edge.id].norm or 0.0, overlay)
            for edge in drawing.edges
            if connections[edge.id].norm is not None
        ),
    )


def _mirrored_shape(shape: Shape) -> Shape:
    texts = tuple(_mirrored_texts(shape))
    return replace(shape, x=-shape.x, texts=texts)


def _mirrored_texts(shape: Shape) -> Iterator[Text]:
    for text in shape.texts:
        yield replace(text, x=-text.x, align=_SIDES[text.align])


def _turned(edge: Edge, norm: float, overlay: Overlay) -> Edge:
    look = look_of(norm, overlay.ramp)
    return replace(
        edge,
        id=f"gradient-{edge.id}",
        cls="gradient",
        source=edge.target,
        target=edge.source,
        points=tuple((-x, y) for x, y in reversed(edge.points)),
        color=look.color,
        width=look.width,
        dashed=look.dashed,
        label=None,
        note=None,
    )
