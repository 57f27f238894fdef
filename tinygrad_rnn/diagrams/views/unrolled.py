"""The unrolled view: every copy in its own column, the middle ones folded as `fold` says."""

from ...tracing.network.quotient import Quotient
from ..picture.shapes import Drawing
from .columns import copies_grid, drawn, placed, with_scales
from .options import Options


def drawing(quotient: Quotient, options: Options) -> Drawing:
    """Draw the copies."""
    place, overlay = placed(copies_grid(quotient, options), quotient, options)
    return with_scales(drawn(place, place.bands(), overlay), place.grid, overlay, quotient)
