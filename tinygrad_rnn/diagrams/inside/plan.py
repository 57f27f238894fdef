"""The drawing of a copy's inside, made once per structure, and where it is stamped."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from ...tracing.network.network import Cell
from ..picture.diagram import Drawing, Edge, Shape
from ..picture.lanes import lanes_of

WIRE, STATE_WIRE = 1.1, 2.4  # how wide a wire is, and the way of a state


@dataclass(frozen=True, slots=True)
class Plan:
    """The drawing of a copy's inside, its lower left corner at (0, 0), and where its connections meet its outline."""

    width: float
    height: float
    drawing: Drawing  # the ids in it end in "/": what follows is the place of the op
    left: Mapping[int, float]  # the height at which each state enters, by its number
    right: Mapping[int, float]  # … and leaves
    below: Mapping[int, float]  # where the link number k that enters from below does
    upward: Edge  # the way of the first state out of the top, for copies that hand it to something above
    exit: float  # where that is
    leaving: Mapping[int, str]  # the id of each state's way out to the right
    back: tuple[
        Edge, ...
    ] = ()  # what comes back along each wire, as drawn before it is known how much that is

    def mirrored(self) -> "Plan":
        """Return the drawing of a copy whose states run from right to left."""
        middle = {
            shape.id.split("/")[1]: shape.x for shape in self.drawing.shapes if shape.cls == "op"
        }
        shapes = tuple(_mirrored_shape(shape, self.width, middle) for shape in self.drawing.shapes)
        edges = tuple(_mirrored_edge(edge, self.width) for edge in self.drawing.edges)
        below = {number: self.width - x for number, x in self.below.items()}
        upward = _mirrored_edge(self.upward, self.width)
        exit = self.width - self.exit
        return replace(self, drawing=Drawing(shapes, edges), below=below, upward=upward, exit=exit)

    def with_lanes(self, single: Collection[str]) -> "Plan":
        """Return the drawing with two lanes for each wire, but one for those in `single`."""
        shapes = {shape.id: shape for shape in self.drawing.shapes}
        (*forward, upward), back = lanes_of([*self.drawing.edges, self.upward], shapes, single)
        drawing = Drawing(self.drawing.shapes, tuple(forward))
        return replace(self, drawing=drawing, upward=upward, back=back)

    def stamped(self, spot: "Spot", *, upward: bool) -> Drawing:
        """Return the drawing for one copy, at its place and under its ids; `upward`: its state leaves there too."""
        edges = (self.upward, *self.drawing.edges) if upward else self.drawing.edges
        return Drawing(tuple(map(spot.shape, self.drawing.shapes)), tuple(map(spot.edge, edges)))


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a plan is drawn, and for which copy."""

    cell: Cell
    left: float
    bottom: float

    def named(self, id: str) -> str:
        """Return what a part of the plan is called here; what has no name is the outline of the copy."""
        return id.replace("/", f"-{self.cell.layer}-{self.cell.t}-") if id else self.cell.id

    def shape(self, shape: Shape) -> Shape:
        return replace(shape.moved(self.left, self.bottom), id=self.named(shape.id))

    def edge(self, edge: Edge) -> Edge:
        moved = edge.moved(self.left, self.bottom)
        return replace(
            moved,
            id=self.named(edge.id),
            source=self.named(edge.source),
            target=self.named(edge.target),
        )


def _mirrored_shape(shape: Shape, width: float, middle: Mapping[str, float]) -> Shape:
    """Return a shape at its mirrored place: an op with its chips as a whole, so that they can still be read."""
    if shape.cls != "gates":
        return shape.moved(width - 2 * middle[shape.id.split("/")[1].split("-")[0]], 0.0)
    sides = {"left": "right", "right": "left", "center": "center"}
    texts = tuple(replace(text, x=width - text.x, align=sides[text.align]) for text in shape.texts)
    return replace(shape, texts=texts)


def _mirrored_edge(edge: Edge, width: float) -> Edge:
    return replace(
        edge,
        points=tuple((width - x, y) for x, y in edge.points),
        label=edge.label and replace(edge.label, x=width - edge.label.x),
    )
