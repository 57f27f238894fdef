"""The view of both: rolled = unrolled, side by side at the same heights."""

from ...tracing.network.quotient import Quotient
from ..grid.placement import Placement
from ..grid.rolled import rolled_grid
from ..picture.shapes import Drawing, Shape, Text
from .columns import copies_grid, drawn, placed, with_scales
from .options import Options

_GAP = 46.0  # on either side of the sign


def drawing(quotient: Quotient, options: Options) -> Drawing:
    """Draw the rolled network, the sign of equality and the copies."""
    left = Placement(rolled_grid(quotient, prefix="rolled-"))
    right, overlay = placed(copies_grid(quotient, options, headings=False), quotient, options)
    bands = right.bands(left)
    rolled, unrolled = drawn(left, bands), drawn(right, bands, overlay)
    x = rolled.bounds.right + _GAP
    equals = Text("=", x, (bands.levels[0] + bands.levels[-1]) / 2, 34.0, "text")
    sign = Drawing((Shape.of_text("equals", "equals", equals, tooltip="equals"),))
    whole = rolled + sign + unrolled.moved(x + _GAP - unrolled.bounds.left, 0.0)
    return with_scales(whole, right.grid, overlay, quotient)
