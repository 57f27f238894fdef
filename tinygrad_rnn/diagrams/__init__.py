"""From what was recorded to a figure: `draw` lays it out, `Diagram` shows and saves it.

A cell is laid out once and stamped per column and row; Graphviz only draws, from positions that are
already decided. So a picture takes time linear in what it shows, and its columns are straight.
"""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast

from ..autograd.tensor import Tensor
from ..errors import DrawError
from ..outline import Outlined
from ..tracing.recording.graph import collector_paused
from ..tracing.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..tracing.network.quotient import Quotient
    from ..tracing.recording.graph import Graph
    from .picture.diagram import Diagram
    from .views.options import Options

__all__ = ["Diagram", "draw"]


@collector_paused()
def draw(
    what: "Tensor | Sequence[Any] | Trace | Outlined",
    *,
    view: str = "unrolled",
    gradients: bool | str = False,
    values: bool = False,
    against: Trace | None = None,
    fold: int | Literal["auto"] | None = "auto",
    theme: str = "light",
    title: str | None = None,
    scale: tuple[int, int] | None = None,
    depth: int | None = None,
) -> "Diagram":
    """Draw the recurrent network that a recorded graph holds, every timestep a copy of it.

    A graph in which nothing is recurrent is drawn as the graph of its modules, as deep as it can be
    read; in the view "ops", or if it has few ops, op by op, and "backward" then are the ops of the
    backward pass; or the gradient's way through the graph, where those are too many, or have a
    `scale`.

    Args:
        what: a Tensor, whose own history is drawn; or several of them, in tuples and lists as a
            model returns them; or a trace: its last graph that reached `backward()`, else that of
            its last output; or what `compile` returned.
        view: "unrolled" (one copy per timestep), "rolled" (one cell with a loop), "both" (rolled =
            unrolled), "ops" (every copy opened into its ops) or "backward" (the way of the gradient
            through the copies); of a compiled function "compiled": every kind of call once, how
            many there are, and what one computes at once.
        gradients: draw what the backward pass sends back beside each connection, coloured and
            widened by its norm; in the view "ops" beside each wire inside the copies too. On a
            Tensor the pass is run here, and every `.grad` is left alone; a trace must have recorded
            one. The name of a value, "y@9" or "y@9[0,2]", in place of True: its gradient, not the
            loss's; of several numbers that of their sum. So one sees which steps it depends on.
        against: another run of the same events, as `tr` for `what=tr.what_if(…)`: draw how far
            each value is from that run's, in colours on the copies and on what they hand on, and at
            every step below. What is the same to the last bit is marked as such.
        values: draw the values of each copy's h_t as a row of colours: of a batch the first
            sequence, 32 units at most.
        fold: "auto" folds above 16 copies, or modules of one kind in a chain, and keeps 3 at each
            end; an int keeps that many; None draws all.
        theme: "light", "dark", or "print" (greys).
        title: written above the picture.
        scale: the powers of ten that the colours of gradients lie between, such as (-6, 0), for
            several pictures that are to be compared; None takes those of this picture. Norms beyond
            the range are drawn in its end colours, which then say "≤" or "≥".
        depth: how many levels of modules are open in the view "unrolled": 1 draws closed copies, 2
            what is in them, with the modules that they call closed, and so on. None: closed copies;
            without copies, as many levels as make no more than some two dozen parts.

    Raises:
        TraceError: nothing was recorded.
        DrawError: nothing in the graph is recurrent, and only copies have what was asked for; an
            unknown view or theme, or a bad `fold`; gradients of a trace without a backward pass, or
            in the rolled view; `against` something that is not a run of the same events.
        GradientError: gradients of a Tensor that is not a single number, or requires none.

    >>> import tinygrad_rnn as tg
    >>> ys, h = tg.nn.RNN(3, 4)([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    >>> tg.draw(ys)
    <Diagram: Unrolled RNNCell: 2 steps, 1 layer>
    """
    from ..tracing.network.blocks import network_of
    from .views import view_named
    from .views.options import Options
    from .views.whole import draw_graph, draw_network

    if gradients == "":
        raise DrawError('gradients: name a value, such as "y@9"')
    of = gradients if isinstance(gradients, str) else ""
    gradients = bool(gradients)
    options = Options(
        view=view,
        fold=fold,
        theme=theme,
        gradients=gradients,
        values=values,
        scale=scale,
        depth=depth,
        of=of,
    )
    if isinstance(what, Outlined):
        return _draw_compiled(what, options, title)
    if isinstance(what, tuple | list):
        what = _together(cast("Sequence[Any]", what), gradients)
    if not isinstance(what, Tensor | Trace):
        raise _not_drawn(what)
    needs = view_named(view).needs
    if scale is not None and not gradients and needs != "gradients" and against is None:
        raise DrawError('a scale is that of gradients: ask for them, or for view="backward"')
    if needs == "outline":
        raise DrawError(
            f'draw: view="{view}" is of what tg.compile returned, not of a {type(what).__name__}'
        )
    graph = _graph(what, gradients=gradients or needs == "gradients", of=of)
    network = network_of(graph)
    if against is not None:
        return _draw_difference(what, against, network, options, title)
    if network is not None:
        return draw_network(network, options, title, partial(_player, graph, options, title))
    return draw_graph(graph, options, title, partial(_backward_graph, what))


def _together(what: "Sequence[Any]", gradients: bool) -> Tensor:
    """Several results as one: what a picture of all of them is a picture of."""
    from ..tracing.network.results import results

    found = list(_tensors_in(what))
    if not found:
        raise DrawError("draw: there is no Tensor in what was given")
    if len(found) == 1:
        return found[0]
    if gradients:
        raise DrawError(
            f"draw: gradients are those of one number, and here are {len(found)} results: "
            "give one of them, or what they sum up to"
        )
    return results(found)


def _tensors_in(what: "Sequence[Any]") -> "Iterator[Tensor]":
    for part in what:
        if isinstance(part, Tensor):
            yield part
        elif isinstance(part, tuple | list):
            yield from _tensors_in(cast("Sequence[Any]", part))
        elif part is not None:
            raise _not_drawn(part)


def _not_drawn(what: Any) -> DrawError:
    return DrawError(
        f"draw: give a Tensor, several, a trace or a compiled function, not {type(what).__name__}"
    )


def _draw_compiled(what: Outlined, options: "Options", title: str | None) -> "Diagram":
    from .views.compiled import draw_compiled

    if options.view != "compiled" or options.gradients or options.values:
        raise DrawError(
            'draw: of a compiled function there is view="compiled", without gradients and values; '
            "for the others draw what it compiles: record a call with tg.trace()"
        )
    return draw_compiled(what.outline(), options, title)


def _draw_difference(
    what: Tensor | Trace,
    against: Trace,
    network: "Quotient | None",
    options: "Options",
    title: str | None,
) -> "Diagram":
    """A run in the colours of how far it is from another."""
    from ..tracing.network.gradients.differences import differences_of
    from .views.whole import NOT_RECURRENT, draw_network

    if not (isinstance(what, Trace) and isinstance(against, Trace)):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise DrawError("against: give two traces: draw(tr.what_if(…), against=tr)")
    if options.view not in ("unrolled", "both") or options.gradients:
        raise DrawError(
            'against: a difference is drawn on the copies: view="unrolled" or "both", and '
            "no gradients beside it"
        )
    if network is None:
        raise DrawError(f"against: {NOT_RECURRENT}")
    deltas = differences_of(what.graph(), against.graph())
    shown = replace(options, against=deltas)
    player = partial(_switch, what, against, shown, title)
    return draw_network(network, shown, title, player)


def _switch(what: Trace, against: Trace, options: "Options", title: str | None) -> str:
    """A page with the players of both runs, and their difference."""
    from ..tracing.network.blocks import network_of
    from .player.switch import switch
    from .views.whole import draw_network

    plain = replace(options, against=None)
    network = network_of(what.graph())
    assert network is not None
    difference = draw_network(network, options, title, str)
    return switch(
        difference.title,
        {
            "the run": _player(against.graph(), plain, title),
            "what would have been": _player(what.graph(), plain, title),
        },
        difference.svg,
    )


def _graph(what: Tensor | Trace, *, gradients: bool, of: str = "") -> "Graph":
    """The recorded graph; with `gradients` of a Tensor, after a pass that leaves `.grad` alone."""
    from ..tracing.network.gradients.flow import gradients_of
    from ..tracing.recording.graph import Graph

    if of and not isinstance(what, Trace):
        raise DrawError(
            f"draw: gradients={of!r} names a value of a recorded run: give the trace that recorded "
            "it, or gradients=True"
        )
    if isinstance(what, Trace):
        return what.influence_on(of) if of else what.graph()
    graph = Graph.of(what)
    if not gradients:
        return graph
    return replace(graph, gradients=gradients_of(what))


def _player(graph: "Graph", options: "Options", title: str | None) -> str:
    """The player of the network in a graph: found anew, since it is large and seldom asked for."""
    from ..tracing.network.blocks import network_of
    from .player import to_html

    network = network_of(graph)
    assert network is not None
    return to_html(network, options, title)


def _backward_graph(what: Tensor | Trace) -> "Graph":
    """The recorded graph of the gradients of a Tensor, or of what a trace's last pass began at."""
    from ..tracing.network.gradients.again import tensor_of
    from ..tracing.network.gradients.flow import recorded_gradients
    from ..tracing.recording.graph import Graph

    output = tensor_of(what.graph()) if isinstance(what, Trace) else what
    return Graph.of(recorded_gradients(output))


def __getattr__(name: str) -> Any:
    """Import `Diagram` when it is first asked for: until it draws the package must cost little."""
    if name != "Diagram":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .picture.diagram import Diagram

    return Diagram
