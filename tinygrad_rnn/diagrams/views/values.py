"""The values of the copies as colours, and below the picture what the colours stand for."""

from dataclasses import replace

import numpy as np

from ...tracing.network.quotient import Quotient
from ..grid.grid import Grid
from ..grid.heat import Heat
from ..grid.items import Box
from ..picture.shapes import Drawing, Shape, Text

UNITS_MOST = 32  # of a copy; of a batch the first sequence
_SWATCHES, _SWATCH, _GAP = 9, 14.0, 32.0


def with_values(grid: Grid, quotient: Quotient) -> Grid:
    """Return `grid` with the values of what each shown copy is called by."""
    rows: dict[str, np.ndarray] = {}
    for cell in quotient.cells:
        shown = cell.shown
        if cell.id in grid.items and shown is not None:
            data = shown.of(shown.node.data)
            rows[cell.id] = _first_sequence(np.asarray(data, float))
    finite = [np.abs(row[np.isfinite(row)]).max(initial=0.0) for row in rows.values()]
    most = float(max(finite, default=0.0)) or 1.0
    items = dict(grid.items)
    for id, row in rows.items():
        face = items[id].face
        if isinstance(face, Box) and row.size:
            heat = Heat(tuple(row[:UNITS_MOST].tolist()), row.size, most)
            items[id] = replace(items[id], face=replace(face, heat=heat))
    return replace(grid, items=items)


def _first_sequence(data: np.ndarray) -> np.ndarray:
    """Of a batch the first sequence."""
    return data.reshape(-1, *data.shape[-1:])[:1].reshape(-1)


def values_legend(grid: Grid, picture: Drawing) -> Drawing:
    """Return what the colours stand for, below `picture`."""
    heat = next((item.heat for item in grid.items.values() if item.heat), None)
    if heat is None:
        return Drawing()
    box = picture.bounds
    y = box.bottom - _GAP
    title = Text("Values", box.left, y, 14.0, "text", bold=True, align="left")
    low = Text(f"{-heat.most:.2g}", title.x + title.width + 12, y, 12.0, "muted", align="left")
    start = low.x + low.width + 8
    width = _SWATCH * _SWATCHES
    label = f"{heat.most:.2g}"
    if heat.units > UNITS_MOST:
        label += f", the first {UNITS_MOST} of {heat.units} units"
    high = Text(label, start + width + 8, y, 12.0, "muted", align="left")
    reach = high.x + high.width - box.left
    texts = Shape(
        "values", "legend", "text", box.left + reach / 2, y, reach, 14.0, texts=(title, low, high)
    )
    scale = np.linspace(-heat.most, heat.most, _SWATCHES)
    swatches = Heat(tuple(scale.tolist()), _SWATCHES, heat.most)
    return Drawing((texts, *swatches.shapes("legend", start + width / 2, y, width)))
