"""Arrays as tables of numbers: a window around the selected element, with heat, signs and marks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import floor, log10
from typing import Any

import numpy as np
from rich.text import Text

from ...autograd.switches import quietly
from ...autograd.tensor import Array
from ...tracing.questions.notation import Index
from ...tracing.recording.event import Stats
from .lines import Lines, cropped, fitting, line, safe

# Elements that the selected one was made of, in order.
Marked = Mapping[Index, None]

# Behind a number: it is the selected element; it went into the selected element.
SELECTED, MARKED = "◂", "·"
# Colours that terminals of 256 colours have, so that the shades keep their order there.
_SHADES = {
    1: ("#303030", "#5f0000", "#870000", "#af0000", "#d70000"),
    -1: ("#303030", "#00005f", "#000087", "#005faf", "#005fd7"),
}
_SMALLEST_EXPONENT = -300  # ten to a lower power would be no float


@dataclass(frozen=True, slots=True)
class Scale:
    """How the numbers of one table are written.

    The largest has four digits, and the points are below each other. Where the largest is above
    1000 or below 0.1, the numbers have a power of ten in common.
    """

    largest: float = 1.0
    exponent: int = 0
    decimals: int = 3
    width: int = 6

    @classmethod
    def of(cls, table: Array) -> "Scale":
        """The scale of a table.

        >>> Scale.of(np.array([0.0123, -0.5])).text(0.0123)
        '+0.012'
        >>> Scale.of(np.array([0.0123])).text(0.0123)
        '+1.230'
        """
        if table.dtype.kind == "b":
            return cls(width=5)
        if table.dtype.kind != "f":
            ends = [int(table.min(initial=0)), int(table.max(initial=0))]
            width = max(len(f"{end:+d}") for end in ends)
            return cls(float(max(map(abs, ends))) or 1.0, width=width)
        largest = _largest_finite(table)
        if not largest:
            return cls()
        if not 0.1 <= largest < 999.95:
            return cls(largest, max(floor(log10(largest)), _SMALLEST_EXPONENT))
        digits_before_the_point = 1 + (largest >= 9.9995) + (largest >= 99.995)
        return cls(largest, decimals=4 - digits_before_the_point)

    def text(self, value: Any) -> str:
        """One number, its sign always there; a zero that is exact has no digits."""
        if isinstance(value, bool | np.bool_):
            return str(bool(value))
        if isinstance(value, int | np.integer):
            return f"{value:+d}"
        if not np.isfinite(value):
            return f"{value:+}" if np.isinf(value) else "nan"
        if not value:
            return "0"
        return f"{float(value) / 10.0**self.exponent:+.{self.decimals}f}"


@quietly
def _largest_finite(table: Array) -> float:
    """The size of the largest number of a table that is finite."""
    sizes = np.abs(table)
    largest = float(sizes.max(initial=0.0))
    if np.isfinite(largest):
        return largest
    return float(sizes.max(initial=0.0, where=np.isfinite(sizes)))


@dataclass(frozen=True, slots=True)
class Matrix:
    """An array to show: the two last axes around the selected element, the others fixed at it."""

    title: str
    array: Array
    selected: Index | None = None
    # What the selected element was made of, the largest first.
    marked: Marked = field(default_factory=dict[Index, None])
    strong: bool = False

    @property
    def height(self) -> int:
        """The lines that all of it takes."""
        if not self.array.size:
            return 1
        rows, columns = (1, 1, *self.array.shape)[-2:]
        return 1 + rows + (columns > 1)

    def lines(self, width: int, height: int) -> Lines:
        """At most `height` lines: a title, the column numbers, rows."""
        fixed = self._fixed()
        table = np.atleast_2d(self.array[fixed] if fixed else self.array)
        if not self._has_numbers or height < 2:
            return [self._head("", None, width)]
        scale = Scale.of(table)
        rows, columns = self._in_sight(table, scale, width, height - 1)
        seen = ""
        if len(rows) < table.shape[0] or len(columns) < table.shape[1] or fixed:
            windows = [rows, columns][-self.array.ndim :]
            shown = [f"{w[0]}:{w[-1] + 1}" if w else ":" for w in windows]
            seen = f"[{', '.join([*map(str, fixed), *shown])}]"
        lines = [self._head(seen, scale, width)]
        gutter = self._gutter(table)
        if table.shape[1] > 1 and height > 2:
            heads = "".join(f"{c:>{scale.width + 1}} " for c in columns).rstrip()
            lines.append(line(" " * gutter + heads, width, "dim"))
        for row in rows:
            lines.append(cropped(self._row(table, row, columns, gutter, scale), width))
        return lines

    @property
    def _has_numbers(self) -> bool:
        return self.array.dtype.kind in "fiub" and self.array.size > 0

    def _head(self, seen: str, scale: Scale | None, width: int) -> Text:
        """Name and shape, the part in sight, NaN and inf, power of ten, norm: as much as fits."""
        mark = "▌" if self.strong else " "
        parts = [f"{mark}{safe(self.title)} {self.array.shape}", seen]
        if not self._has_numbers:
            return line(fitting([*filter(None, parts), str(self.array.dtype)], width, "  "), width)
        stats = Stats.of(self.array)
        counts = {"NaN": stats.nans, "inf": stats.infs}
        bad = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        power = f"×1e{scale.exponent:+d}" if scale is not None and scale.exponent else ""
        text = fitting(filter(None, [*parts, bad, power, f"‖·‖={stats.norm:.4g}"]), width, "  ")
        style = "red" if bad else ""
        return line(text, width, f"{style} bold" if self.strong else style)

    def _centre(self) -> Index:
        """The element that has to be in sight."""
        if self.selected is not None:
            return self.selected
        return next(iter(self.marked), (0,) * self.array.ndim)

    def _fixed(self) -> Index:
        return self._centre()[: max(self.array.ndim - 2, 0)]

    def _gutter(self, table: Array) -> int:
        """Columns for the number of a row, and a space on either side."""
        return len(str(table.shape[0] - 1)) + 2

    def _in_sight(self, table: Array, scale: Scale, width: int, height: int) -> tuple[range, range]:
        """The rows and the columns that there is room for, with the centre among them."""
        centre = self._centre()[len(self._fixed()) :]
        row, column = (0,) * (2 - len(centre)) + tuple(centre)
        room = max((width - self._gutter(table)) // (scale.width + 2), 1)
        headed = table.shape[1] > 1 and height > 1
        rows = _window(row, table.shape[0], max(height - headed, 1))
        return rows, _window(column, table.shape[1], room)

    def _row(self, table: Array, row: int, columns: range, gutter: int, scale: Scale) -> Text:
        head = f"{row:>{gutter - 1}} " if self.array.ndim > 1 else " " * gutter
        text = Text(head, style="dim", no_wrap=True, end="")
        for column in columns:
            value = table[row, column]
            mark = self._mark(row, column)
            heat, shown = f"not dim {_heat(float(value) / scale.largest)}", scale.text(value)
            style = heat + _EMPHASIS[mark]
            before = " " * (scale.width + 1 - len(shown))
            text.append(before, style=style if mark == SELECTED else heat)
            text.append(f"{shown}{mark}", style=style)
        return text

    def _mark(self, row: int, column: int) -> str:
        index = (*self._fixed(), row, column)[-self.array.ndim :] if self.array.ndim else ()
        if index == self.selected:
            return SELECTED
        return MARKED if index in self.marked else " "


_EMPHASIS = {SELECTED: " bold reverse", MARKED: " bold underline", " ": ""}


def _window(centre: int, size: int, room: int) -> range:
    """At most `room` of 0..size-1, with `centre` among them."""
    start = min(max(centre - room // 2, 0), max(size - room, 0))
    return range(start, min(start + room, size))


def _heat(share: float) -> str:
    if not np.isfinite(share):
        return "black on #ffd75f"
    if share == 0:
        return ""
    shades = _SHADES[1 if share > 0 else -1]
    return f"#ffffff on {shades[min(int(abs(share) * len(shades)), len(shades) - 1)]}"
