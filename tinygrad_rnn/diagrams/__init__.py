"""From a network to a figure: `draw_network` lays it out, `Diagram` shows and saves it.

A cell is laid out once and stamped per column and row; Graphviz only draws, from positions that are already
decided. So a picture takes time linear in what it shows, and its columns are straight.
"""

from typing import TYPE_CHECKING, Any, Literal

from ..autograd.tensor import Tensor
from ..errors import DrawError
from ..tracing.trace import Trace

if TYPE_CHECKING:
    from ..tracing.network import Network
    from .diagram import Diagram

__all__ = ["Diagram", "draw", "draw_network"]

View = Literal["unrolled", "rolled", "both"]


def draw(
    what: Tensor | Trace,
    *,
    view: View = "unrolled",
    fold: int | Literal["auto"] | None = "auto",
    theme: str = "light",
    title: str | None = None,
) -> "Diagram":
    """Draw the recurrent network that a recorded graph holds, every timestep a copy of it.

    Args:
        what: a Tensor, whose own history is drawn; or a trace: its last graph that reached `backward()`, else that
            of its last output.
        view: "unrolled" (one copy per timestep), "rolled" (one cell with a loop) or "both" (rolled = unrolled).
        fold: "auto" folds above 16 copies and keeps 3 at each end; an int keeps that many; None draws all.
        theme: "light", "dark", or "print" (greys).
        title: written above the picture.

    Raises:
        TraceError: nothing was recorded.
        DrawError: nothing in the graph is recurrent; an unknown view or theme, or a bad `fold`.

    >>> import tinygrad_rnn as tg
    >>> ys, h = tg.nn.RNN(3, 4)([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    >>> tg.draw(ys)
    <Diagram: Unrolled RNNCell: 2 steps, 1 layer>
    """
    if not isinstance(what, Tensor | Trace):
        raise DrawError(f"draw: give a Tensor or a trace, not {type(what).__name__}")
    from ..tracing.graph import Graph
    from ..tracing.unroll import unroll

    network = unroll(Graph.of(what) if isinstance(what, Tensor) else what.graph())
    if network is None:
        raise DrawError(
            "nothing recurrent was found: no module passes anything from one call of it to the next; mark a step of a "
            'loop of plain ops with `with tg.scope("cell"):`'
        )
    return draw_network(network, view=view, fold=fold, theme=theme, title=title)


def draw_network(
    network: "Network",
    *,
    view: View = "unrolled",
    fold: int | Literal["auto"] | None = "auto",
    theme: str = "light",
    title: str | None = None,
) -> "Diagram":
    """Draw `network` as copies in columns ("unrolled"), as one cell with a loop ("rolled"), or "both".

    Args:
        network: what was found in a recorded graph.
        view: which picture.
        fold: "auto" folds above 16 columns and keeps 3 at each end; an int keeps that many; None draws all.
        theme: "light", "dark", or "print" (greys).
        title: written above the picture; without one only screen readers are told what it is.

    Raises:
        DrawError: an unknown view or theme, a bad `fold`, or a network without cells.
    """
    from . import layout

    return layout.draw(network, view=view, fold=fold, theme=theme, title=title)


def __getattr__(name: str) -> Any:
    """Import `Diagram` when it is first asked for: the package must cost next to nothing until it draws."""
    if name != "Diagram":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .diagram import Diagram

    return Diagram
