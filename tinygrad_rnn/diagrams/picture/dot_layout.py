"""Layout by Graphviz's `dot`, for graphs without copies; for large graphs the positions alone."""

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any

from .dot_process import APART, Arrangement, Wanted, laid_out
from .layered import passes, through_the_ranks

SECONDS = 20.0  # then dot is stopped
# Its routing takes seconds, then minutes, where many edges pass many ranks of nodes.
_FEW = 100  # edges, which it routes in a second whatever they pass
_PASSES_MOST = 400  # ranks that all edges pass


def arrange(
    sizes: Mapping[Any, tuple[float, float]],
    edges: Sequence[tuple[Hashable, Hashable]],
    *,
    labels: Sequence[tuple[float, float] | None] = (),
    ranks: Iterable[tuple[str, Sequence[Hashable]]] = (),
    straight: Collection[Hashable] = (),
    circles: Collection[Hashable] = (),
    apart: tuple[float, float] = APART,
    seconds: float = SECONDS,
) -> Arrangement:
    """Return dot's layout of nodes of these sizes, edges running from the bottom to the top.

    Args:
        sizes: width and height of each node in points; any hashable object may stand for a node.
        edges: from, to.
        labels: the size of each edge's label, if it has one.
        ranks: "source" (the lowest) or "sink" (the highest), and the nodes there, from left to
            right.
        straight: the nodes whose edges should rather be straight than those of others.
        circles: the nodes that are round.
        apart: how far one node is from the next at its side, and how far one rank from the next.
        seconds: how long it may take.

    Raises:
        DrawError: it took longer, or Graphviz failed.
    """
    wanted = Wanted(sizes, edges, labels, tuple(ranks), straight, circles, apart)
    if len(edges) > _FEW:
        found = laid_out(wanted, seconds, quick=True)
        if passes(found, edges) > _PASSES_MOST:
            return through_the_ranks(wanted, found, seconds)
    return laid_out(wanted, seconds)
