"""The drawing of a copy's inside, made once per structure, and where it is stamped."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from ..picture.lanes import lanes_of
from ..picture.shapes import Drawing, Edge, Shape

WIRE, STATE_WIRE = 1.1, 2.4  # how wide a wire is, and the way of a state


@dataclass(frozen=True, slots=True)
class Plan:
    """The drawing of a copy's inside, and where its connections meet the copy's outline.

    The lower left corner is (0, 0). The ids in it end in "/" and the place of an op.
    """

    width: float
    height: float
    drawing: Drawing
    left: Mapping[int, float]  # the height at which each state enters, by its number
    right: Mapping[int, float]  # … and leaves
    below: Mapping[int, float]  # where the link number k that enters from below does
    # The way out of the top of what something above reads, by the place of its part, and where.
    upward: Mapping[int, Edge]
    exits: Mapping[int, float]
    leaving: Mapping[int, str]  # the id of each state's way out to the right
    back: tuple[Edge, ...] = ()  # the way back of each wire, as yet without its norm

    def mirrored(self) -> "Plan":
        """Return the drawing of a copy whose states run from right to left."""
        middle = {_op_of(shape): shape.x for shape in self.drawing.shapes if shape.cls == "op"}
        shapes = tuple(_mirrored_shape(shape, self.width, middle) for shape in self.drawing.shapes)
        edges = tuple(_mirrored_edge(edge, self.width) for edge in self.drawing.edges)
        return replace(
            self,
            drawing=Drawing(shapes, edges),
            below={number: self.width - x for number, x in self.below.items()},
            upward={part: _mirrored_edge(edge, self.width) for part, edge in self.upward.items()},
            exits={part: self.width - x for part, x in self.exits.items()},
        )

    def with_lanes(self, single: Collection[str]) -> "Plan":
        """Return the drawing with two lanes for each wire, but one for those in `single`."""
        shapes = {shape.id: shape for shape in self.drawing.shapes}
        inner = len(self.drawing.edges)
        edges, back = lanes_of([*self.drawing.edges, *self.upward.values()], shapes, single)
        drawing = Drawing(self.drawing.shapes, edges[:inner])
        upward = dict(zip(self.upward, edges[inner:], strict=True))
        return replace(self, drawing=drawing, upward=upward, back=back)

    def stamped(self, spot: "Spot", *, upward: Collection[int]) -> Drawing:
        """Return the drawing of one copy, at its place and under its ids.

        `upward`: the places of the parts that something above reads.
        """
        ways = [edge for part, edge in self.upward.items() if part in upward]
        edges = (*ways, *self.drawing.edges)
        return Drawing(tuple(map(spot.shape, self.drawing.shapes)), tuple(map(spot.edge, edges)))


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a plan is drawn, and for which block: its id, and what stands in those of its parts."""

    id: str
    name: str
    left: float
    bottom: float

    def named(self, id: str) -> str:
        """Return the id here of something in the plan; what has none is the copy's outline."""
        if not id:
            return self.id
        return id.replace("/", f"-{self.name}-")

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


def _op_of(shape: Shape) -> str:
    """Return the place of the op that is drawn by a shape, or that has it as its chip."""
    return shape.id.split("/")[1].split("-")[0]


def _mirrored_shape(shape: Shape, width: float, middle: Mapping[str, float]) -> Shape:
    """Return a shape at its mirrored place: an op and its chips as a whole, to stay readable."""
    if shape.cls != "gates":
        return shape.moved(width - 2 * middle[_op_of(shape)], 0.0)
    sides = {"left": "right", "right": "left", "center": "center"}
    texts = tuple(replace(text, x=width - text.x, align=sides[text.align]) for text in shape.texts)
    return replace(shape, texts=texts)


def _mirrored_edge(edge: Edge, width: float) -> Edge:
    return replace(
        edge,
        points=tuple((width - x, y) for x, y in edge.points),
        label=edge.label and replace(edge.label, x=width - edge.label.x),
    )
