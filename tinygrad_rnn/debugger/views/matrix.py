"""Arrays as tables of numbers: a window around the selected element, with heat, signs and marks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import floor, log10
from typing import Any

import numpy as np
from rich.text import Text

from ...autograd.tensor import Array
from ...tracing.questions.terms import Index
from ...tracing.recording.event import Stats
from .lines import Lines, cropped, fitting, line, safe

Parts = Mapping[Index, None]  # elements, in order

SELECTED, PART = (
    "◂",
    "·",
)  # behind a number: it is the selected element; it went into the selected element
# Colours that terminals of 256 colours have, so that the shades keep their order there.
_SHADES = {
    1: ("#303030", "#5f0000", "#870000", "#af0000", "#d70000"),
    -1: ("#303030", "#00005f", "#000087", "#005faf", "#005fd7"),
}
_SMALLEST_EXPONENT = -300  # ten to a lower power would be no float


@dataclass(frozen=True, slots=True)
class Scale:
    """How the numbers of one table are written: four digits for the largest, and every point below the other.

    A table of numbers above 1000 or below 0.1 has a power of ten in common.
    """

    largest: float = 1.0
    exponent: int = 0
    decimals: int = 3
    width: int = 6

    @classmethod
    def of(cls, table: Array) -> "Scale":
        """The scale of a table.

        >>> Scale.of(np.array([0.0123, -0.5])).text(0.0123), Scale.of(np.array([0.0123])).text(0.0123)
        ('+0.012', '+1.230')
        """
        if table.dtype.kind == "b":
            return cls(width=5)
        if table.dtype.kind != "f":
            ends = [int(table.min(initial=0)), int(table.max(initial=0))]
            return cls(
                float(max(map(abs, ends))) or 1.0, width=max(len(f"{end:+d}") for end in ends)
            )
        with np.errstate(all="ignore"):
            sizes = np.abs(table)
            largest = float(sizes.max(initial=0.0))
            if not np.isfinite(largest):
                largest = float(sizes.max(initial=0.0, where=np.isfinite(sizes)))
        if not largest:
            return cls()
        exponent = 0 if 0.1 <= largest < 999.95 else max(floor(log10(largest)), _SMALLEST_EXPONENT)
        decimals = 3 - (largest >= 9.9995) - (largest >= 99.995) if not exponent else 3
        return cls(largest, exponent, decimals)

    def text(self, value: Any) -> str:
        """One number, its sign always there; a zero that is exact has no digits."""
        if isinstance(value, bool | np.bool_):
            return str(bool(value))
        if isinstance(value, int | np.integer):
            return f"{value:+d}"
        if not np.isfinite(value):
            return f"{value:+}" if np.isinf(value) else "nan"
        return f"{float(value) / 10.0**self.exponent:+.{self.decimals}f}" if value else "0"


@dataclass(frozen=True, slots=True)
class Matrix:
    """An array to show: the two last axes around the selected element, the others fixed at it."""

    title: str
    array: Array
    selected: Index | None = None
    parts: Parts = field(
        default_factory=dict[Index, None]
    )  # what the selected one was made of, the largest first
    strong: bool = False

    @property
    def height(self) -> int:
        """The lines that all of it takes."""
        rows, columns = (1, 1, *self.array.shape)[-2:]
        return 1 + (rows + (columns > 1) if self.array.size else 0)

    def lines(self, width: int, height: int) -> Lines:
        """At most `height` lines: a title, the column numbers, rows."""
        fixed = self._fixed()
        table = np.atleast_2d(self.array[fixed] if fixed else self.array)
        if not self.array.size or self.array.dtype.kind not in "fiub" or height < 2:
            return [self._head([], None, width)]
        scale = Scale.of(table)
        rows, columns = self._in_sight(table, scale, width, height - 1)
        seen = [str(i) for i in fixed]
        if len(rows) < table.shape[0] or len(columns) < table.shape[1] or fixed:
            windows = [columns] if self.array.ndim == 1 else [rows, columns]
            seen += [f"{w[0]}:{w[-1] + 1}" if len(w) else ":" for w in windows]
        lines = [self._head(seen, scale, width)]
        gutter = self._gutter(table)
        if table.shape[1] > 1 and height > 2:
            heads = "".join(f"{c:>{scale.width + 1}} " for c in columns).rstrip()
            lines.append(line(" " * gutter + heads, width, "dim"))
        return [
            *lines,
            *(cropped(self._row(table, r, columns, gutter, scale), width) for r in rows),
        ]

    def _head(self, seen: list[str], scale: Scale | None, width: int) -> Text:
        """Name and shape, the part in sight, what is not finite, the power of ten, the norm: as much as fits."""
        mark = "▌" if self.strong else " "
        parts = [f"{mark}{safe(self.title)} {self.array.shape}"]
        parts += [f"[{', '.join(seen)}]"] if seen else []
        if self.array.dtype.kind not in "fiub" or not self.array.size:
            return line(fitting([*parts, str(self.array.dtype)], width, "  "), width)
        stats = Stats.of(self.array)
        bad = [f"{n} {what}" for n, what in ((stats.nans, "NaN"), (stats.infs, "inf")) if n]
        parts += [", ".join(bad)] if bad else []
        parts += [f"×1e{scale.exponent:+d}"] if scale is not None and scale.exponent else []
        style = "red" if bad else ""
        return line(
            fitting([*parts, f"‖·‖={stats.norm:.4g}"], width, "  "),
            width,
            f"{style} bold" * self.strong or style,
        )

    def _centre(self) -> Index:
        """The element that has to be in sight."""
        if self.selected is not None:
            return self.selected
        return next(iter(self.parts), (0,) * self.array.ndim)

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
        return _window(row, table.shape[0], max(height - headed, 1)), _window(
            column, table.shape[1], room
        )

    def _row(self, table: Array, row: int, columns: range, gutter: int, scale: Scale) -> Text:
        head = f"{row:>{gutter - 1}} " if self.array.ndim > 1 else " " * gutter
        text = Text(head, style="dim", no_wrap=True, end="")
        fixed = self._fixed()
        for column in columns:
            index = (*fixed, row, column)[-self.array.ndim :] if self.array.ndim else ()
            mark = SELECTED if index == self.selected else PART if index in self.parts else " "
            value = table[row, column]
            heat, shown = f"not dim {_heat(float(value) / scale.largest)}", scale.text(value)
            emphasis = {SELECTED: " bold reverse", PART: " bold underline"}.get(mark, "")
            text.append(
                " " * (scale.width + 1 - len(shown)), style=heat + emphasis * (mark == SELECTED)
            )
            text.append(f"{shown}{mark}", style=heat + emphasis)
        return text


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
