"""One file a view, and what a view shows beside the copies.

A new view is a file here, whose function `drawing` draws it, and a line in `VIEWS`.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from ...errors import DrawError

if TYPE_CHECKING:
    from ..picture.shapes import Drawing
    from .options import Options


@dataclass(frozen=True, slots=True)
class View:
    """A way to draw something.

    It needs any recorded graph, one with copies in it, one with its gradients, or the outline of a
    compiled function. Besides, it may show gradients beside its connections, and values.
    """

    name: str
    title: str  # of a picture, before what is drawn
    needs: Literal["graph", "copies", "gradients", "outline"] = "graph"
    gradients: bool = False
    values: bool = False

    def drawing(self, what: Any, options: "Options") -> "Drawing":
        """Draw what the view needs; its file is imported now, since a choice needs names alone."""
        return import_module(f"{__name__}.{self.name}").drawing(what, options)


_ALL = (
    View("unrolled", "Unrolled", gradients=True, values=True),
    View("rolled", "Rolled", needs="copies"),
    View("both", "Rolled and unrolled", needs="copies", gradients=True, values=True),
    View("ops", "Ops of the unrolled", gradients=True, values=True),
    View("backward", "Backward pass of the unrolled", needs="gradients"),
    View("compiled", "Compiled", needs="outline"),
)
VIEWS = {view.name: view for view in _ALL}


def view_named(name: str) -> View:
    """Return a view.

    Raises:
        DrawError: there is none of that name.
    """
    if name not in VIEWS:
        raise DrawError(f"no view {name!r}: use one of {', '.join(VIEWS)}")
    return VIEWS[name]
