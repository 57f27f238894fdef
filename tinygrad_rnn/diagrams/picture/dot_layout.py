"""Layout by Graphviz's `dot`, for what is no grid of copies: in a process that can be stopped."""

import shlex
import subprocess
import sys
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ...errors import DrawError
from .shapes import Point

SECONDS = 20.0  # then dot is stopped
APART = 21.6, 24.5  # one node from the next at its side, one rank from the next
_STRAIGHT = 50  # how much more than another edge

# Graphviz holds on to the interpreter while it works, so it cannot be stopped from within.
_WORKER = """
import sys, pygraphviz
graph = pygraphviz.AGraph(string=sys.stdin.read())
sys.stdout.buffer.write(graph.draw(format="plain", prog="dot"))
"""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Where dot put nodes (their middles), edges (Bézier points), labels; y grows upwards."""

    width: float
    height: float
    nodes: Mapping[Any, Point]
    edges: tuple[tuple[Point, ...], ...]  # in the order they were given
    labels: tuple[Point | None, ...]


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
    lines = [
        f"digraph {{ rankdir=BT; nodesep={apart[0] / 72:.2g}; ranksep={apart[1] / 72:.2g};",
        "edge [dir=none];",
    ]
    lines.append('node [shape=box, fixedsize=true, label=""];')
    names = {node: f"n{number}" for number, node in enumerate(sizes)}
    for node, (width, height) in sizes.items():
        shape = ", shape=circle" if node in circles else ""
        lines.append(f"{names[node]} [width={width / 72:.4f}, height={height / 72:.4f}{shape}];")
    for number, (source, target) in enumerate(edges):
        size = labels[number] if number < len(labels) else None
        weight = _STRAIGHT if source in straight or target in straight else 1
        lines.append(f"{names[source]} -> {names[target]} [weight={weight}{_label(size)}];")
    for rank, nodes in ranks:
        there = [names[node] for node in nodes]
        lines.append(f"{{ rank={rank}; {'; '.join(there)} }}")
        lines += [f"{a} -> {b} [style=invis];" for a, b in pairwise(there)]
    return _parsed(_run("\n".join([*lines, "}"]), seconds), names, edges)


def _label(size: tuple[float, float] | None) -> str:
    """Return a label of the size that is wanted: a table without anything in it."""
    if size is None:
        return ""
    width, height = (max(round(length), 1) for length in size)
    table = f'<table border="0" fixedsize="true" width="{width}" height="{height}">'
    return f", label=<{table}<tr><td></td></tr></table>>"


def _run(dot: str, seconds: float) -> str:
    try:
        done = subprocess.run(
            [sys.executable, "-c", _WORKER],
            input=dot.encode(),
            capture_output=True,
            timeout=seconds,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise DrawError(
            f"Graphviz had no layout after {seconds:g} seconds: draw a smaller graph, or mark the "
            "steps of a loop with tg.scope so that it is drawn as copies"
        ) from None
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise DrawError(
            f"Graphviz found no layout: {' '.join(reason) or 'it gave no reason'}"
        ) from None
    return done.stdout.decode()


def _parsed(
    plain: str, names: Mapping[Any, str], edges: Sequence[tuple[Hashable, Hashable]]
) -> Arrangement:
    places: dict[str, Point] = {}
    curves: dict[tuple[str, str], list[tuple[tuple[Point, ...], Point | None]]] = {}
    width = height = 0.0
    for line in plain.splitlines():
        match shlex.split(line):
            case ["graph", _, *size]:
                width, height = (72 * float(length) for length in size)
            case ["node", name, x, y, *_]:
                places[name] = (72 * float(x), 72 * float(y))
            case ["edge", source, target, count, *rest]:
                curves.setdefault((source, target), []).append(_curve(int(count), rest))
    found = [curves[names[source], names[target]].pop(0) for source, target in edges]
    return Arrangement(
        width,
        height,
        {node: places[name] for node, name in names.items()},
        tuple(points for points, _ in found),
        tuple(label for _, label in found),
    )


def _curve(count: int, words: Sequence[str]) -> tuple[tuple[Point, ...], Point | None]:
    numbers = [72 * float(word) for word in words[: 2 * count]]
    points = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    rest = words[2 * count :]
    if len(rest) <= 2:
        return points, None
    return points, (72 * float(rest[-4]), 72 * float(rest[-3]))
