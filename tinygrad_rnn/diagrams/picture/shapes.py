"""Shapes, edges and texts in their places, and drawings made of them: plain data.

Units are points (1/72 inch), y grows upwards, a position is a shape's centre. Who lays out a
picture makes `Shape`s and `Edge`s; who writes one (DOT, SVG, PDF, PNG) reads them and decides
nothing.
"""

from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Literal

from .text_metrics import text_width
from .theme import Role

Point = tuple[float, float]

MARGIN = 20.0  # points around the picture


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text; `x` is its centre, left or right end, as `align` says, `y` its middle."""

    text: str
    x: float
    y: float
    size: float
    color: Role
    bold: bool = False
    align: Literal["center", "left", "right"] = "center"

    @property
    def width(self) -> float:
        return text_width(self.text, self.size, bold=self.bold)

    @property
    def center(self) -> float:
        shift = {"center": 0.0, "left": 0.5, "right": -0.5}[self.align]
        return self.x + shift * self.width

    def moved(self, dx: float, dy: float) -> "Text":
        return replace(self, x=self.x + dx, y=self.y + dy)


@dataclass(frozen=True, slots=True)
class Shape:
    """A box, circle or chip, or nothing but its texts ("text"); `tooltip` says what it is."""

    id: str
    cls: str
    form: Literal["box", "circle", "chip", "text"]
    x: float
    y: float
    width: float
    height: float
    fill: Role = ""
    line: Role = ""
    line_width: float = 1.2
    dashed: bool = False
    texts: tuple[Text, ...] = ()
    tooltip: str = ""

    @classmethod
    def of_text(cls, id: str, kind: str, text: Text, tooltip: str = "") -> "Shape":
        """Return one that is nothing but a line of text."""
        x = text.center
        return cls(
            id, kind, "text", x, text.y, text.width, text.size, texts=(text,), tooltip=tooltip
        )

    @property
    def left(self) -> float:
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        return self.x + self.width / 2

    @property
    def bottom(self) -> float:
        return self.y - self.height / 2

    @property
    def top(self) -> float:
        return self.y + self.height / 2

    def moved(self, dx: float, dy: float) -> "Shape":
        texts = tuple(text.moved(dx, dy) for text in self.texts)
        return replace(self, x=self.x + dx, y=self.y + dy, texts=texts)


@dataclass(frozen=True, slots=True)
class Passage:
    """Two shapes that are joined, though no edge of their own is drawn.

    They are joined through others, by several edges one after the other; or, of the class "target",
    by that the one is named at the other.
    """

    id: str
    source: str
    target: str
    cls: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow along `points`: a start, then three Bézier points a segment, the last one the tip.

    `label` and `note` are centred texts beside it; without `arrow` it is a mere line. `passages`
    end with it.
    """

    id: str
    cls: str
    source: str
    target: str
    points: tuple[Point, ...]
    color: Role
    width: float = 1.2
    dashed: bool = False
    label: Text | None = None
    note: Text | None = None
    tooltip: str = ""
    arrow: bool = True
    passages: tuple[Passage, ...] = ()

    def moved(self, dx: float, dy: float) -> "Edge":
        return replace(
            self,
            points=tuple((x + dx, y + dy) for x, y in self.points),
            label=self.label and self.label.moved(dx, dy),
            note=self.note and self.note.moved(dx, dy),
        )


@dataclass(frozen=True, slots=True)
class Bounds:
    """An upright rectangle: what a drawing covers."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.top - self.bottom


@dataclass(frozen=True, slots=True)
class Drawing:
    """Shapes, drawn in order, and edges over them: a part of a picture that is moved as one."""

    shapes: tuple[Shape, ...] = ()
    edges: tuple[Edge, ...] = ()

    def __add__(self, other: "Drawing") -> "Drawing":
        return Drawing(self.shapes + other.shapes, self.edges + other.edges)

    def moved(self, dx: float, dy: float) -> "Drawing":
        return Drawing(
            tuple(shape.moved(dx, dy) for shape in self.shapes),
            tuple(edge.moved(dx, dy) for edge in self.edges),
        )

    @property
    def texts(self) -> list[Text]:
        """All that is written."""
        texts = [text for shape in self.shapes for text in shape.texts]
        return texts + [text for edge in self.edges for text in (edge.label, edge.note) if text]

    @property
    def bounds(self) -> Bounds:
        texts = self.texts
        boxes = [(s.left, s.bottom, s.right, s.top) for s in self.shapes if s.form != "text"]
        boxes += [
            (t.center - t.width / 2, t.y - t.size / 2, t.center + t.width / 2, t.y + t.size / 2)
            for t in texts
        ]
        points = [point for edge in self.edges for point in edge.points]
        x, y = itemgetter(0), itemgetter(1)
        return Bounds(
            left=min([*map(x, boxes), *map(x, points)]),
            bottom=min([*map(y, boxes), *map(y, points)]),
            right=max([*map(itemgetter(2), boxes), *map(x, points)]),
            top=max([*map(itemgetter(3), boxes), *map(y, points)]),
        )
