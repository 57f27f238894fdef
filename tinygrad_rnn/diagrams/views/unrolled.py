"""The unrolled view: every copy in its own column, the middle ones folded as `fold` says."""

from ...tracing.network.quotient import Quotient
from ..picture.shapes import Drawing
from .columns import copies_grid, drawn, placed, with_scales
from .opening import opened_grid
from .options import Options


def drawing(quotient: Quotient, options: Options) -> Drawing:
    """Draw the copies, closed or some levels of modules deep."""
    grid = copies_grid(quotient, options)
    if options.levels > 1:
        grid = opened_grid(grid, quotient, lanes=options.gradients, depth=options.levels)
    place, overlay = placed(grid, quotient, options)
    return with_scales(drawn(place, place.bands(), overlay), place.grid, overlay, quotient)
