"""The unrolled view: every copy in its own column, the middle ones folded as `fold` says."""

from ...tracing.network.network import Network
from ..picture.shapes import Drawing
from .columns import copies_grid, drawn, placed, with_scales
from .options import Options


def drawing(network: Network, options: Options) -> Drawing:
    """Draw the copies."""
    place, overlay = placed(copies_grid(network, options), network, options)
    return with_scales(drawn(place, place.bands(), overlay), place.grid, overlay, network)
