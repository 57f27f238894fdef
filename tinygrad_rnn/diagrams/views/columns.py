"""What the views of copies in columns have in common: a placed grid, its shapes and edges."""

from ...tracing.network.quotient import Quotient
from ..grid.connections import Pen
from ..grid.grid import Grid
from ..grid.placement import Bands, Placement
from ..grid.stamp import Stamp
from ..grid.unrolled import unrolled_grid
from ..picture.shapes import Drawing
from .gradient_legend import gradient_legend
from .gradients import Overlay, with_differences, with_gradients, words_for
from .options import Options
from .values import values_legend, with_values


def placed(grid: Grid, quotient: Quotient, options: Options) -> tuple[Placement, Overlay | None]:
    """Return a grid in its place, with the gradients that were asked for."""
    if options.against is not None:
        overlay = with_differences(grid, quotient, options.against).between(options.scale)
        return Placement(overlay.grid), overlay
    if not options.gradients:
        return Placement(grid), None
    overlay = with_gradients(grid, quotient, words_for(options)).between(options.scale)
    return Placement(overlay.grid), overlay


def copies_grid(quotient: Quotient, options: Options, *, headings: bool = True) -> Grid:
    """Return every copy in its column, the middle ones folded, with its values if asked for."""
    grid = unrolled_grid(quotient, options.fold, headings=headings)
    return with_values(grid, quotient) if options.values else grid


def drawn(place: Placement, bands: Bands, overlay: Overlay | None = None) -> Drawing:
    """Return the shapes and edges of a grid, at heights that it may share with others."""
    ramp = overlay.ramp if overlay else None
    stamp = Stamp(place, bands, ramp)
    shapes = tuple(stamp.shapes())
    by_id = {shape.id: shape for shape in shapes}
    pen = Pen(place, bands, by_id, ramp)
    edges = pen.named(pen.edges())
    insides = list(stamp.insides())
    return Drawing(
        (*shapes, *pen.labels(), *(shape for inside in insides for shape in inside.shapes)),
        (*edges, *(edge for inside in insides for edge in inside.edges)),
    )


def with_scales(
    drawing: Drawing, grid: Grid, overlay: Overlay | None, quotient: Quotient
) -> Drawing:
    """Return a drawing with what the colours of its gradients and values stand for below it."""
    if overlay:
        drawing += gradient_legend(overlay, quotient, drawing)
    return drawing + values_legend(grid, drawing)
