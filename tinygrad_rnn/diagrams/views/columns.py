"""The views: from a `Network` to a finished `Diagram`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from ...errors import DrawError
from ...tracing.network.network import Network, ParameterInfo
from ...tracing.recording.graph import Graph
from ..grid.connections import Pen
from ..grid.grid import rolled_grid, unrolled_grid
from ..grid.placement import Bands, Placement
from ..grid.stamp import Stamp
from ..picture.diagram import Diagram
from ..picture.notation import size_text
from ..picture.shapes import Drawing, Shape, Text
from ..picture.text_metrics import fit
from ..picture.theme import LIGHT, THEMES, Theme
from ..player import to_html
from .backward import gradient_grid, mirrored
from .gradient_legend import gradient_legend, ramp_legend
from .gradients import Overlay, with_gradients
from .op_by_op import flat_drawing
from .opening import opened_grid
from .parameters import parameter_legend
from .values import values_legend, with_values

Fold = int | Literal["auto"] | None

NOT_RECURRENT = (
    "nothing recurrent was found: no module passes anything from one call of it to the next; mark a step of a loop of "
    'plain ops with `with tg.scope("cell"):`'
)

_TITLE_SIZE = 18.0
_LEGEND_GAP, _TITLE_GAP, _EQUALS_GAP = 30.0, 26.0, 46.0
_LEAST_WIDTH = 460.0  # what a legend may fill under a picture narrower than itself


@dataclass(frozen=True, slots=True)
class Options:
    """What `draw_network` was asked for."""

    view: str = "unrolled"
    fold: Fold = "auto"
    theme: Theme = LIGHT
    gradients: bool = False
    values: bool = False


def draw(
    network: Network, options: Options, title: str | None, player: Callable[[], str] | None = None
) -> Diagram:
    """Return the picture that `draw_network` promises.

    `player` makes its HTML player; without it the picture holds `network` to make it of.

    Raises:
        DrawError: an unknown view, a bad `fold`, a network without cells, or gradients where there
            are none.
    """
    if options.view not in VIEWS:
        raise DrawError(f"no view {options.view!r}: use one of {', '.join(VIEWS)}")
    if options.values and options.view not in ("unrolled", "both", "ops"):
        raise DrawError(
            'values are drawn in the copies, each in its column: use view="unrolled", "both" or "ops"'
        )
    if not network.columns:
        raise DrawError("there is nothing to draw: the network has no cells")
    what, draw_view = VIEWS[options.view]
    whole = _with_legend(draw_view(network, options), network.parameters, network.columns, title)
    name = title or f"{what} {_subject(network)}"
    return Diagram(
        whole,
        options.theme,
        name,
        _description(network),
        player or partial(to_html, network, options, title),
    )


def draw_flat(graph: Graph, options: Options, title: str | None) -> Diagram:
    """Return the picture of a graph in which nothing is recurrent.

    Raises:
        DrawError: Graphviz had no layout for it in time, or what only copies have was asked for.
    """
    if options.gradients or options.view in ("rolled", "both"):
        what = "gradients" if options.gradients else f'view="{options.view}"'
        raise DrawError(f"{what}: {NOT_RECURRENT}")
    drawing, parameters, description = flat_drawing(graph)
    name = title or ("Gradient computation" if options.view == "backward" else "Graph")
    whole = _with_legend(drawing, parameters, 1, title)
    return Diagram(whole, options.theme, name, description, _no_player)


def _no_player() -> str:
    raise DrawError(f"the HTML player steps through copies, and {NOT_RECURRENT}")


def theme_named(name: str) -> Theme:
    """Return a theme.

    Raises:
        DrawError: there is none of that name.
    """
    if name not in THEMES:
        raise DrawError(f"no theme {name!r}: use one of {', '.join(THEMES)}")
    return THEMES[name]


def unrolled(network: Network, options: Options) -> Drawing:
    """Draw every copy in its own column, the middle ones folded as `fold` says."""
    place, overlay = _placed(network, options)
    drawing = _drawn(place, place.bands(), overlay)
    drawing = _with_strips(drawing, overlay, network)
    return drawing + values_legend(place.grid, drawing)


def ops(network: Network, options: Options) -> Drawing:
    """Draw every copy opened into its ops, and the ops between the copies and the outputs."""
    grid = unrolled_grid(network, options.fold)
    grid = with_values(grid, network) if options.values else grid
    grid = opened_grid(grid, network, lanes=options.gradients)
    overlay = with_gradients(grid, network) if options.gradients else None
    place = Placement(overlay.grid if overlay else grid)
    drawing = _with_strips(_drawn(place, place.bands(), overlay), overlay, network)
    return drawing + values_legend(place.grid, drawing)


def backward(network: Network, options: Options) -> Drawing:
    """Draw the way of the gradient: the same copies from the last timestep to the first."""
    overlay = with_gradients(unrolled_grid(network, options.fold), network)
    place = Placement(gradient_grid(overlay))
    drawing = mirrored(_drawn(place, place.bands()), overlay)
    return drawing + ramp_legend(overlay, drawing.bounds)


def rolled(network: Network, options: Options) -> Drawing:
    """Draw each layer once, with a loop for what its copies pass on; there is nothing to fold."""
    if options.gradients:
        raise DrawError(
            'the gradients of all steps do not fit on one cell: use view="both" or "unrolled"'
        )
    place = Placement(rolled_grid(network))
    return _drawn(place, place.bands())


def both(network: Network, options: Options) -> Drawing:
    """Draw rolled = unrolled, side by side at the same heights."""
    left = Placement(rolled_grid(network, prefix="rolled-"))
    right, overlay = _placed(network, options, headings=False)
    bands = right.bands(left)
    rolled_part, unrolled_part = _drawn(left, bands), _drawn(right, bands, overlay)
    middle = (bands.levels[0] + bands.levels[-1]) / 2
    x = rolled_part.bounds.right + _EQUALS_GAP
    equals = Text("=", x, middle, 34.0, "text")
    sign = Shape(
        "equals",
        "equals",
        "text",
        x,
        middle,
        equals.width,
        equals.size,
        texts=(equals,),
        tooltip="equals",
    )
    shift = x + _EQUALS_GAP - unrolled_part.bounds.left
    drawing = rolled_part + Drawing((sign,)) + unrolled_part.moved(shift, 0.0)
    drawing = _with_strips(drawing, overlay, network)
    return drawing + values_legend(right.grid, drawing)


def _placed(
    network: Network, options: Options, *, headings: bool = True
) -> tuple[Placement, Overlay | None]:
    grid = unrolled_grid(network, options.fold, headings=headings)
    grid = with_values(grid, network) if options.values else grid
    if not options.gradients:
        return Placement(grid), None
    overlay = with_gradients(grid, network)
    return Placement(overlay.grid), overlay


def _with_strips(drawing: Drawing, overlay: Overlay | None, network: Network) -> Drawing:
    return drawing + gradient_legend(overlay, network, drawing) if overlay else drawing


VIEWS: dict[str, tuple[str, Callable[[Network, Options], Drawing]]] = {
    "unrolled": ("Unrolled", unrolled),
    "rolled": ("Rolled", rolled),
    "ops": ("Ops of the unrolled", ops),
    "backward": ("Backward pass of the unrolled", backward),
    "both": ("Rolled and unrolled", both),
}


def _drawn(place: Placement, bands: Bands, overlay: Overlay | None = None) -> Drawing:
    ramp = overlay.ramp if overlay else None
    stamp = Stamp(place, bands, ramp)
    shapes = tuple(stamp.shapes())
    by_id = {shape.id: shape for shape in shapes}
    edges = Pen(place, bands, by_id, ramp).edges()
    insides = list(stamp.insides())
    return Drawing(
        (*shapes, *(shape for inside in insides for shape in inside.shapes)),
        (*edges, *(edge for inside in insides for edge in inside.edges)),
    )


def _with_legend(
    drawing: Drawing,
    parameters: Sequence[ParameterInfo],
    steps: int,
    title: str | None,
) -> Drawing:
    box = drawing.bounds
    legend = parameter_legend(
        parameters,
        steps=steps,
        left=box.left,
        top=box.bottom - _LEGEND_GAP,
        width=max(box.right - box.left, _LEAST_WIDTH),
    )
    heading = _title(title, box.left, box.right, box.top + _TITLE_GAP) if title else Drawing()
    return drawing + legend + heading


def _title(title: str, left: float, right: float, y: float) -> Drawing:
    x = (left + right) / 2
    text = Text(
        fit(title, right - left, _TITLE_SIZE, bold=True), x, y, _TITLE_SIZE, "text", bold=True
    )
    return Drawing(
        (
            Shape(
                "title",
                "title",
                "text",
                x,
                y,
                text.width,
                _TITLE_SIZE,
                texts=(text,),
                tooltip=title,
            ),
        )
    )


def _subject(network: Network) -> str:
    kinds = ", ".join(dict.fromkeys(row.kind for row in network.rows))
    return f"{kinds}: {_counted(network.columns, 'step')}, {_counted(len(network.rows), 'layer')}"


def _description(network: Network) -> str:
    """Say what a reader who cannot see the picture needs to know."""
    rows = [
        f"Layer {row.layer}: {_counted(row.copies, 'copy', 'copies')}"
        f" of {row.path} ({row.kind}), one per step, each passing {' and '.join(row.states) or 'its output'}"
        f" to the next{', from right to left' if row.reverse else ''}."
        for row in network.rows
    ]
    names = ", ".join(
        f"{parameter.name} {size_text(parameter.shape)}" for parameter in network.parameters
    )
    shared = f" Parameters, one copy shared by all steps: {names}." if names else ""
    return " ".join(rows) + shared


def _counted(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
