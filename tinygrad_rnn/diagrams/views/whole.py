"""The finished picture of a network or a graph: what a view draws, its legend and its title."""

from collections.abc import Callable, Sequence

from ...errors import DrawError
from ...tracing.network.quotient import Block, Quotient, Row
from ...tracing.recording.graph import Graph
from ..picture.diagram import Diagram
from ..picture.notation import size_text
from ..picture.shapes import Drawing, Shape, Text
from ..picture.text_metrics import fit
from ..picture.theme import THEMES
from . import VIEWS, view_named
from .module_graph import EVERYTHING
from .op_by_op import flat_drawing
from .options import Options
from .parameters import Legend, legend_of, parameter_legend

NOT_RECURRENT = (
    "nothing recurrent was found: no module passes anything from one call of it to the next; "
    'mark a step of a loop of plain ops with `with tg.scope("cell"):`'
)

_TITLE_SIZE = 18.0
_LEGEND_GAP, _TITLE_GAP = 30.0, 26.0
_LEAST_WIDTH = 460.0  # what a legend may fill under a picture narrower than itself


def draw_network(
    quotient: Quotient, options: Options, title: str | None, player: Callable[[], str]
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
    if not quotient.columns:
        raise DrawError("there is nothing to draw: the network has no cells")
    drawing = view.drawing(quotient, options)
    whole = _with_legend(drawing, legend_of(quotient), title)
    name = title or f"{view.title} {_subject(quotient)}"
    return Diagram(whole, THEMES[options.theme], name, _description(quotient), player)


def draw_graph(
    graph: Graph, options: Options, title: str | None, gradient_graph: Callable[[], Graph]
) -> Diagram:
    """Return the picture of a graph in which nothing is recurrent.

    Its backward view is the way of the gradient through it; where it is drawn op by op anyway, the
    ops of the backward pass, which `gradient_graph` records, if all of them can be drawn and no
    scale was chosen for the colours, which these have not.

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
    depth = options.depth if view.name in ("unrolled", "backward") else EVERYTHING
    back = view.needs == "gradients"
    flat = flat_drawing(graph, depth, options.fold, back=back, scale=options.scale)
    name = "Backward pass of the graph" if back else "Graph"
    if back and not flat.closed and options.scale is None:
        ops = flat_drawing(gradient_graph(), EVERYTHING, options.fold)
        if not ops.left_out:
            flat, name = ops, "Gradient computation"
    whole = _with_legend(flat.drawing, flat.legend, title)
    return Diagram(whole, THEMES[options.theme], title or name, flat.description, _no_player)


def _no_player() -> str:
    raise DrawError(f"the HTML player steps through copies, and {NOT_RECURRENT}")


def _with_legend(
    drawing: Drawing,
    parameters: Legend,
    title: str | None,
) -> Drawing:
    box = drawing.bounds
    legend = parameter_legend(
        parameters,
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


def _subject(quotient: Quotient) -> str:
    rows = [row for row in quotient.rows if row.kind in ("cell", "loop")]
    kinds = ", ".join(dict.fromkeys(row.name for row in rows))
    steps = _counted(quotient.columns, "level" if any(row.tree for row in rows) else "step")
    return f"{kinds}: {steps}, {_layers(rows)}"


def _layers(rows: Sequence[Row]) -> str:
    """Say how many layers there are: one that is read in both directions is one."""
    back = [row for row in rows if row.reverse]
    text = _counted(len(rows) - len(back), "layer")
    if back:
        text += f" and {len(back)} from right to left"
    return text


def _description(quotient: Quotient) -> str:
    """Say what a reader who cannot see the picture needs to know."""
    chains = {
        row: sum(chain.row is row for chain in quotient.chains)
        for row in quotient.rows
        if row.kind in ("cell", "loop")
    }
    sentences = [_about(row, number) for row, number in chains.items()]
    bars = [row.blocks[0] for row in quotient.rows if row.kind == "bar" and row.blocks]
    sentences += [_about_bar(bar) for bar in bars]
    if quotient.loss is not None and quotient.loss.formula:
        sentences.append(f"The loss is {quotient.loss.formula}.")
    if quotient.parameters:
        trained = [block for block in quotient.parameters if block.kind != "derived"]
        derived = [block for block in quotient.parameters if block.kind == "derived"]
        names = ", ".join(map(_about_parameter, trained))
        sentences.append(f"{legend_of(quotient).scope}: {names}.")
        if derived:
            names = ", ".join(map(_about_parameter, derived))
            sentences.append(f"Derived from parameters alone: {names}.")
    if quotient.constants:
        names = ", ".join(f"{b.label} {size_text(b.pieces[-1].shape)}" for b in quotient.constants)
        sentences.append(f"Constants, the same at every step: {names}.")
    return " ".join(sentences)


def _about(row: Row, chains: int) -> str:
    copies = _counted(len(row.blocks), "copy", "copies")
    passed = " and ".join(row.states) or "its output"
    direction = ", from right to left" * row.reverse
    name = row.name if row.path in (row.name, "") else f"{row.path} ({row.name})"
    if row.tree:
        return (
            f"{row.title.capitalize()}: {copies} of {name}, nodes of a tree that pass on {passed}."
        )
    if chains > 1:
        layer = row.title.capitalize()
        return f"{layer}: {copies} of {name} in {chains} chains that pass on {passed}."
    return (
        f"{row.title.capitalize()}: {copies} of {name}, one per step, "
        f"each passing {passed} to the next{direction}."
    )


def _about_bar(bar: Block) -> str:
    return f"{bar.label or bar.formula} is read as a whole."


def _about_parameter(block: Block) -> str:
    text = f"{block.trained or block.label} {size_text(block.parameter.shape)}"
    return f"{text} = {block.formula}" if block.formula else text


def _counted(number: int, one: str, many: str = "") -> str:
    if number == 1:
        return f"1 {one}"
    return f"{number} {many or one + 's'}"
