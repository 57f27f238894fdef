"""`Diagram`: a finished drawing, every position its own, ready to be written in any format.

Units are points (1/72 inch), y grows upwards, a position is a shape's centre. Who lays out a
picture makes `Shape`s and `Edge`s; who writes one (DOT, SVG, PDF, PNG) reads them and decides
nothing.
"""

import math
import os
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import PurePath
from typing import Literal

from ...errors import DrawError
from ...files import write_atomic
from .text_metrics import FONT, text_width, without_glyph
from .theme import Palette, Role

Point = tuple[float, float]

MARGIN = 20.0  # points around the picture
PNG_DPI = 144.0
_NAMED = 5  # characters that a warning names
_UNITS = {"cm": 72 / 2.54, "mm": 7.2 / 2.54, "in": 72.0, "pt": 1.0}


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text; `x` is its centre, its left or its right end, as `align` says, and `y` its middle."""

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
    """A box, circle, panel, chip, or nothing but its texts ("text"); `tooltip` says in full what it is."""

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
class Edge:
    """An arrow along `points`: a start, then three Bézier points per segment, the last one the arrow's tip.

    `label` and `note` are centred texts beside it; without `arrow` it is a mere line.
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

    def moved(self, dx: float, dy: float) -> "Edge":
        return replace(
            self,
            points=tuple((x + dx, y + dy) for x, y in self.points),
            label=self.label and self.label.moved(dx, dy),
            note=self.note and self.note.moved(dx, dy),
        )


@dataclass(frozen=True, slots=True)
class Box:
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
    """Shapes, drawn in order, and edges, drawn over them: a part of a picture that can be moved as one."""

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
    def bounds(self) -> Box:
        texts = self.texts
        boxes = [(s.left, s.bottom, s.right, s.top) for s in self.shapes if s.form != "text"]
        boxes += [
            (t.center - t.width / 2, t.y - t.size / 2, t.center + t.width / 2, t.y + t.size / 2)
            for t in texts
        ]
        points = [point for edge in self.edges for point in edge.points]
        x, y = itemgetter(0), itemgetter(1)
        return Box(
            left=min([*map(x, boxes), *map(x, points)]),
            bottom=min([*map(y, boxes), *map(y, points)]),
            right=max([*map(itemgetter(2), boxes), *map(x, points)]),
            top=max([*map(itemgetter(3), boxes), *map(y, points)]),
        )


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Diagram:
    """A picture of a network: `save` it, or let a notebook show it.

    Ids and classes of its parts (`cell-<layer>-<t>` / `cell`, `message`, `parameter-<name>` /
    `parameter` …) are the same in SVG and DOT, and stay, for people's own styles and scripts.
    """

    drawing: Drawing
    theme: Palette
    title: str
    description: str
    player: Callable[[], str]  # makes the HTML player of what is drawn here
    zoom: float = 1.0

    FORMATS = (".svg", ".pdf", ".png", ".dot", ".html")

    @property
    def dot(self) -> str:
        """The picture in Graphviz's language, positions included: `neato -n2` draws it, `dot` would not."""
        from .dot import to_dot

        return to_dot(self)

    @property
    def svg(self) -> str:
        """The picture as an SVG document; text stays text, a screen reader finds title and description."""
        from .render import to_svg

        return to_svg(self)

    @property
    def html(self) -> str:
        """One HTML file that plays the recorded run over the picture; it needs no network, nor a server."""
        return self.player()

    def fitted(self, width: float | str) -> "Diagram":
        """Return the same picture, `width` wide: points, or a text with a unit: "8.5cm", "85mm", "3.3in", "240pt".

        Raises:
            DrawError: it is no positive length.
        """
        points = _points(width)
        return replace(self, zoom=points / (self.drawing.bounds.width + 2 * MARGIN))

    def render(self, format: str, *, dpi: float = PNG_DPI) -> bytes:
        """Return the file that `save` would write; `format` is one of `FORMATS`, and `dpi` of a PNG alone.

        Warns:
            UserWarning: a PNG or PDF shows characters as boxes with their number, for want of a
                font that has them.

        Raises:
            DrawError: the format is unknown, or the picture is too wide or too high for a PNG.
        """
        from .render import to_pdf, to_png

        match format:
            case ".dot":
                return self.dot.encode()
            case ".svg":
                return self.svg.encode()
            case ".html":
                return self.html.encode()
            case ".pdf":
                self._warn_of_boxes()
                return to_pdf(self)
            case ".png":
                self._warn_of_boxes()
                return to_png(self, dpi)
        raise DrawError(
            f"cannot draw {format or 'a file without extension'!r}: use one of {', '.join(self.FORMATS)}"
        )

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        width: float | str | None = None,
        dpi: float = PNG_DPI,
    ) -> None:
        """Write the picture to `path`, whole or not at all; its extension chooses the format.

        Args:
            path: ends in one of `FORMATS`.
            width: of the picture as printed, such as "8.5cm", the column of a journal; see
                `fitted`.
            dpi: pixels per inch of a PNG.

        Raises:
            DrawError: the extension is not one of `FORMATS`, the picture is too large for a PNG, or
                a bad width or dpi.
            OSError: the file cannot be written; what was there before is still there.
        """
        picture = self if width is None else self.fitted(width)
        write_atomic(path, picture.render(PurePath(path).suffix.lower(), dpi=dpi))

    def _warn_of_boxes(self) -> None:
        boxes = without_glyph(text.text for text in self.drawing.texts)
        if boxes:
            more = f" and {len(boxes) - _NAMED} more" if len(boxes) > _NAMED else ""
            warnings.warn(
                f"{FONT}, the font of PNG and PDF, does not have {' '.join(boxes[:_NAMED])}{more}: a box with the "
                "character's number stands instead; SVG and HTML take the reader's fonts",
                stacklevel=4,
            )

    def __repr__(self) -> str:
        return f"<Diagram: {self.title}>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"image/svg+xml": self.svg, "text/plain": repr(self)}


def _points(length: float | str) -> float:
    match = (
        re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(cm|mm|in|pt)\s*", length)
        if isinstance(length, str)
        else None
    )
    points = float(match[1]) * _UNITS[match[2]] if match else length
    if isinstance(points, str) or not 0 < points < math.inf:
        raise DrawError(
            f'the width must be a positive number of points or a length such as "8.5cm", not {length!r}'
        )
    return points
