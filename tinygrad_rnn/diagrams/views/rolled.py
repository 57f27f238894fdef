"""The rolled view: each layer once, with a loop for what its copies pass on."""

from ...errors import DrawError
from ...tracing.network.quotient import Quotient
from ..grid.placement import Placement
from ..grid.rolled import rolled_grid
from ..picture.shapes import Drawing
from .columns import drawn
from .options import Options


def drawing(quotient: Quotient, options: Options) -> Drawing:
    """Draw one cell a layer."""
    if options.gradients:
        raise DrawError(
            'the gradients of all steps do not fit on one cell: use view="both" or "unrolled"'
        )
    place = Placement(rolled_grid(quotient))
    return drawn(place, place.bands())
