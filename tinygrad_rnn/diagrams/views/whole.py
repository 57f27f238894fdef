"""The finished picture of a network or a graph: what a view draws, its legend and its title."""

from collections.abc import Callable, Sequence

from ...errors import DrawError
from ...tracing.network.network import Network, ParameterInfo, Row
from ...tracing.recording.graph import Graph
from ..picture.diagram import Diagram
from ..picture.notation import size_text
from ..picture.shapes import Drawing, Shape, Text
from ..picture.text_metrics import fit
from ..picture.theme import THEMES
from . import VIEWS, view_named
from .op_by_op import flat_drawing
from .options import Options
from .parameters import parameter_legend

NOT_RECURRENT = (
    "nothing recurrent was found: no module passes anything from one call of it to the next; "
    'mark a step of a loop of plain ops with `with tg.scope("cell"):`'
)

_TITLE_SIZE = 18.0
_LEGEND_GAP, _TITLE_GAP = 30.0, 26.0
_LEAST_WIDTH = 460.0  # what a legend may fill under a picture narrower than itself


def draw_network(
    network: Network, options: Options, title: str | None, player: Callable[[], str]
) -> Diagram:
    """Return the picture of a network; `player` makes its HTML player.

    Raises:
        DrawError: an unknown view, a bad `fold`, a network without cells, or values or gradients
            where there are none.
    """
    view = view_named(options.view)
    if options.values and not view.values:
        *others, last = (f'"{view.name}"' for view in VIEWS.values() if view.values)
        raise DrawError(
            "values are drawn in the copies, each in its column: "
            f"use view={', '.join(others)} or {last}"
        )
    if not network.columns:
        raise DrawError("there is nothing to draw: the network has no cells")
    drawing = view.drawing(network, options)
    whole = _with_legend(drawing, network.parameters, network.columns, title)
    name = title or f"{view.title} {_subject(network)}"
    return Diagram(whole, THEMES[options.theme], name, _description(network), player)


def draw_graph(graph: Graph, options: Options, title: str | None) -> Diagram:
    """Return the picture of a graph in which nothing is recurrent.

    Raises:
        DrawError: Graphviz had no layout for it in time, or what only copies have was asked for.
    """
    view = view_named(options.view)
    asked = {
        "gradients": options.gradients,
        "values": options.values,
        f'view="{view.name}"': view.needs == "copies",
    }
    if any(asked.values()):
        what = next(name for name, is_asked in asked.items() if is_asked)
        raise DrawError(f"{what}: {NOT_RECURRENT}")
    drawing, parameters, description = flat_drawing(graph)
    name = title or ("Gradient computation" if view.needs == "gradients" else "Graph")
    whole = _with_legend(drawing, parameters, 1, title)
    return Diagram(whole, THEMES[options.theme], name, description, _no_player)


def _no_player() -> str:
    raise DrawError(f"the HTML player steps through copies, and {NOT_RECURRENT}")


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
    if not title:
        return drawing + legend
    return drawing + legend + _title(title, box.left, box.right, box.top + _TITLE_GAP)


def _title(title: str, left: float, right: float, y: float) -> Drawing:
    shown = fit(title, right - left, _TITLE_SIZE, bold=True)
    text = Text(shown, (left + right) / 2, y, _TITLE_SIZE, "text", bold=True)
    return Drawing((Shape.of_text("title", "title", text, tooltip=title),))


def _subject(network: Network) -> str:
    kinds = ", ".join(dict.fromkeys(row.kind for row in network.rows))
    return f"{kinds}: {_counted(network.columns, 'step')}, {_counted(len(network.rows), 'layer')}"


def _description(network: Network) -> str:
    """Say what a reader who cannot see the picture needs to know."""
    sentences = list(map(_about, network.rows))
    if network.parameters:
        names = ", ".join(f"{p.name} {size_text(p.shape)}" for p in network.parameters)
        sentences.append(f"Parameters, one copy shared by all steps: {names}.")
    return " ".join(sentences)


def _about(row: Row) -> str:
    copies = _counted(row.copies, "copy", "copies")
    passed = " and ".join(row.states) or "its output"
    direction = ", from right to left" * row.reverse
    return (
        f"Layer {row.layer}: {copies} of {row.path} ({row.kind}), one per step, "
        f"each passing {passed} to the next{direction}."
    )


def _counted(number: int, one: str, many: str = "") -> str:
    if number == 1:
        return f"1 {one}"
    return f"{number} {many or one + 's'}"
