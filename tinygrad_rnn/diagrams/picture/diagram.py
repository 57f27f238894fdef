"""`Diagram`: a finished picture, that shows and saves itself in any format."""

import base64
import math
import os
import re
import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePath

from ...errors import DrawError
from ...files import check_writable, write_atomic
from .frame import HEIGHT_MOST, Frame
from .shapes import MARGIN, Drawing
from .text_metrics import FONT, without_glyph
from .theme import Palette

PNG_DPI = 144.0
# Of the PNG that a notebook keeps beside the SVG: dots an inch, and pixels at its longer side.
_NOTEBOOK_DPI, _NOTEBOOK_PIXELS = 96.0, 2000
_CELL_WIDTH = 900.0  # pixels of a notebook's cell, about
_CONTROLS_HEIGHT = 620.0  # pixels of what stands above and below the picture of a player, about
_NAMED = 5  # characters that a warning names
_SIZE = re.compile(r'(?<=<svg role="img" )width="[^"]*" height="[^"]*"')
_UNITS = {"cm": 72 / 2.54, "mm": 7.2 / 2.54, "in": 72.0, "pt": 1.0}
_LENGTH = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(cm|mm|in|pt)\s*")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Diagram:
    """A picture of a network: `save` it, or let a notebook show it.

    Ids and classes of its parts (`cell-<layer>-<t>` / `cell`, `message`, `parameter-<name>` /
    `parameter` …) are the same in SVG and DOT, and stable, for styles and scripts of your own.
    """

    drawing: Drawing
    theme: Palette
    title: str
    description: str
    page: Callable[[], str]  # makes the HTML player of what is drawn here
    zoom: float = 1.0

    FORMATS = (".svg", ".pdf", ".png", ".dot", ".html")

    @property
    def dot(self) -> str:
        """The picture in Graphviz's language, with positions, for `neato -n2` and not for `dot`."""
        from .dot import to_dot

        return to_dot(self.drawing, self.theme, self.zoom)

    @property
    def svg(self) -> str:
        """The picture as an SVG document, whose text stays text, with a title and a description."""
        from .render import to_svg

        return to_svg(self.dot, self.drawing, self.title, self.description)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in points."""
        box = self.drawing.bounds
        return (box.width + 2 * MARGIN) * self.zoom, (box.height + 2 * MARGIN) * self.zoom

    @property
    def html(self) -> str:
        """One HTML file that plays the recorded run over the picture; it loads nothing else."""
        return self.page()

    def player(self, height: int | None = None) -> Frame:
        """Return the player as a notebook shows it: inline, in a frame of its own.

        Two of them on a page do not disturb each other, nor the page.

        Args:
            height: of the frame in pixels; by default it grows to what it shows.

        Raises:
            DrawError: what is drawn has no player, or the height is not a number from 100 to
                3,000.
        """
        least = 100
        if height is not None and not least <= height <= HEIGHT_MOST:
            raise DrawError(
                f"the height of a player is a number of pixels from {least} to {HEIGHT_MOST:,}, "
                f"not {height!r}"
            )
        still = partial(self._repr_mimebundle_, ("image/png", "application/pdf"))
        pixels = int(height or self._player_height())
        return Frame(self.html, self.title, pixels, height is None, still)

    def _player_height(self) -> float:
        """About how many pixels the player takes in a notebook's cell, until it says so itself."""
        width, height = self.size
        scale = min(max(_CELL_WIDTH / width, 0.6), 1.2)
        return min(height * scale + _CONTROLS_HEIGHT, HEIGHT_MOST)

    def fitted(self, width: float | str) -> "Diagram":
        """Return the same picture, `width` wide: points, or "8.5cm", "85mm", "3.3in", "240pt".

        Raises:
            DrawError: it is not a positive length.
        """
        own_width, _ = replace(self, zoom=1.0).size
        return replace(self, zoom=_points(width) / own_width)

    def render(self, format: str, *, dpi: float = PNG_DPI) -> bytes:
        """Return the file that `save` would write; `format` is one of `FORMATS`, `dpi` is for PNG.

        Warns:
            UserWarning: a PNG or PDF shows some characters as boxes with their number, since its
                font lacks them.

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
                return to_pdf(self.dot)
            case ".png":
                self._warn_of_boxes()
                return to_png(self.dot, *self.size, dpi)
        raise _unknown(format)

    @classmethod
    def check(
        cls,
        path: str | os.PathLike[str],
        width: float | str | None = None,
        dpi: float = PNG_DPI,
    ) -> None:
        """Refuse, before there is a picture, what `save` would refuse for any.

        Raises:
            DrawError: the extension is not one of `FORMATS`, or a bad width or dpi.
            OSError: there is no such folder, or the file cannot be written.
        """
        format = PurePath(path).suffix.lower()
        if format not in cls.FORMATS:
            raise _unknown(format)
        if width is not None:
            _points(width)
        if not 1 <= dpi < math.inf:
            raise DrawError(f"dpi must be at least 1, not {dpi}")
        check_writable(path)

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
        if not boxes:
            return
        named = " ".join(boxes[:_NAMED])
        if len(boxes) > _NAMED:
            named += f" and {len(boxes) - _NAMED} more"
        warnings.warn(
            f"{FONT}, the font of PNG and PDF, does not have {named}: a box with the "
            "character's number stands instead; SVG and HTML take the reader's fonts",
            stacklevel=4,
        )

    def __repr__(self) -> str:
        return f"<Diagram: {self.title}>"

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, str]:
        """Return the picture in each format that a notebook, or what it is exported to, may want.

        LaTeX takes the PDF; a notebook that is not trusted yet shows the PNG.
        """
        makers: dict[str, Callable[[], str]] = {
            "image/svg+xml": self._svg_that_fits,
            "image/png": lambda: _in_base64(self._small_png()),
            "application/pdf": lambda: _in_base64(self._without_warning(".pdf")),
            "text/plain": self.__repr__,
        }
        wanted = [
            format
            for format in makers
            if (not include or format in include) and format not in (exclude or ())
        ]
        return {format: makers[format]() for format in wanted}

    def _svg_that_fits(self) -> str:
        """The SVG, no wider than the cell of the notebook that shows it.

        What a notebook is exported to may show it as an image, which has no style: there a picture
        wider than a cell has no size of its own, and takes that of the cell.
        """
        width, _ = self.size
        if width * 96 / 72 <= _CELL_WIDTH:
            return self.svg.replace("<svg ", '<svg style="max-width:100%;height:auto" ', 1)
        fitting = f'style="max-width:{width:.0f}pt;height:auto" width="100%"'
        return _SIZE.sub(fitting, self.svg, count=1)

    def _small_png(self) -> bytes:
        longest = max(self.size)
        return self._without_warning(
            ".png", dpi=min(_NOTEBOOK_DPI, 72 * _NOTEBOOK_PIXELS / longest)
        )

    def _without_warning(self, format: str, dpi: float = PNG_DPI) -> bytes:
        """Render for a notebook, which shows the SVG: nobody asked for this format."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return self.render(format, dpi=dpi)


def _in_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unknown(format: str) -> DrawError:
    return DrawError(
        f"cannot draw {format or 'a file without extension'!r}: "
        f"use one of {', '.join(Diagram.FORMATS)}"
    )


def _points(length: float | str) -> float:
    points = length
    if isinstance(length, str):
        match = _LENGTH.fullmatch(length)
        points = float(match[1]) * _UNITS[match[2]] if match else math.nan
    if isinstance(points, str) or not 0 < points < math.inf:
        raise DrawError(
            "the width must be a positive number of points or a length such as "
            f'"8.5cm", not {length!r}'
        )
    return points
