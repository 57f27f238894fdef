"""From a network to a figure: `draw_network` lays it out, `Diagram` shows and saves it.

A cell is laid out once and stamped per column and row; Graphviz only draws, from positions that are already
decided. So a picture takes time linear in what it shows, and its columns are straight.
"""

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from ..tracing.network import Network
    from .diagram import Diagram

__all__ = ["Diagram", "draw_network"]

View = Literal["unrolled", "rolled", "both"]


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
