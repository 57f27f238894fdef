"""The values of each copy as a row of coloured squares: negative, zero, positive."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ...tracing.network.network import Network
from ..picture.diagram import Box, Drawing, Shape, Text
from .grid import Grid

UNITS_MOST = 32  # of a copy; of a batch the first sequence
_HEIGHT, _SWATCHES, _GAP = 9.0, 9, 32.0


@dataclass(frozen=True, slots=True)
class Heat:
    """The values of one copy, and what the strongest colours of the picture stand for."""

    values: tuple[float, ...]
    units: int  # how many there are, shown or not
    most: float

    def shapes(self, id: str, x: float, y: float, width: float) -> Iterator[Shape]:
        """Yield one square per value, side by side around (x, y)."""
        pitch = width / len(self.values)
        for unit, value in enumerate(self.values):
            left = x - width / 2 + unit * pitch
            color = _role(value / self.most)
            told = f"unit {unit} of {self.units}: {value:.4g}"
            yield Shape(
                f"value-{id}-{unit}", "value", "chip", left + pitch / 2, y, pitch, _HEIGHT, color, "muted", 0.3,
                tooltip=told,
            )  # fmt: skip


def with_values(grid: Grid, network: Network) -> Grid:
    """Return `grid` with the values of each shown copy's first state."""
    shown = {cell.id: cell.outputs[0].data for cell in network.cells if cell.id in grid.items}
    rows = {
        id: np.asarray(data, float).reshape(-1, data.shape[-1] if data.ndim else 1)[0]
        for id, data in shown.items()
    }
    finite = [np.abs(row[np.isfinite(row)]).max(initial=0.0) for row in rows.values()]
    most = float(max(finite, default=0.0)) or 1.0
    heats = {
        id: Heat(tuple(row[:UNITS_MOST].tolist()), row.size, most)
        for id, row in rows.items()
        if row.size
    }
    return replace(
        grid, items={id: replace(item, heat=heats.get(id)) for id, item in grid.items.items()}
    )


def heat_legend(grid: Grid, box: Box) -> Drawing:
    """Return what the colours stand for, below `box`."""
    heat = next((item.heat for item in grid.items.values() if item.heat), None)
    if heat is None:
        return Drawing()
    y = box.bottom - _GAP
    title = Text("Values", box.left, y, 14.0, "text", bold=True, align="left")
    hidden = f", the first {UNITS_MOST} of {heat.units} units" if heat.units > UNITS_MOST else ""
    low = Text(f"{-heat.most:.2g}", title.x + title.width + 12, y, 12.0, "muted", align="left")
    start = low.x + low.width + 8
    scale = np.linspace(-heat.most, heat.most, _SWATCHES)
    swatches = Heat(tuple(scale.tolist()), _SWATCHES, heat.most)
    width = 14.0 * _SWATCHES
    high = Text(f"{heat.most:.2g}{hidden}", start + width + 8, y, 12.0, "muted", align="left")
    reach = high.x + high.width - box.left
    texts = Shape(
        "values", "legend", "text", box.left + reach / 2, y, reach, 14.0, texts=(title, low, high)
    )
    return Drawing((texts, *swatches.shapes("legend", start + width / 2, y, width)))


def _role(share: float) -> str:
    """The role of a value as its share of the largest one; what is not finite is alarming."""
    return f"heat.{share}" if np.isfinite(share) else "alarm"
