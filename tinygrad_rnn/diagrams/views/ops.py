"""The view of ops: every copy opened into its ops, and those between copies and outputs."""

from ...tracing.network.quotient import Quotient
from ..picture.shapes import Drawing
from .columns import copies_grid, drawn, placed, with_scales
from .opening import opened_grid
from .options import Options


def drawing(quotient: Quotient, options: Options) -> Drawing:
    """Draw the opened copies."""
    grid = opened_grid(copies_grid(quotient, options), quotient, lanes=options.gradients)
    place, overlay = placed(grid, quotient, options)
    return with_scales(drawn(place, place.bands(), overlay), place.grid, overlay, quotient)
