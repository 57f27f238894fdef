"""Graphviz's `dot`, in a process that can be stopped: what it is asked, and what it answers."""

import shlex
import subprocess
import sys
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

from ...errors import DrawError
from .shapes import Point

APART = 21.6, 24.5  # one node from the next at its side, one rank from the next
_PATIENCE = 6  # seconds by the clock for each of the processor
_STRAIGHT = 50  # how much more than another edge

# Graphviz holds on to the interpreter while it works, so it cannot be stopped from within.
WORKER = """
import sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, 2 * (max(round(float(sys.argv[1])), 1),))
except (ImportError, ValueError, OSError):
    pass  # the time by the clock is bounded in any case
import pygraphviz
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


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be laid out: see `arrange`."""

    sizes: Mapping[Any, tuple[float, float]]
    edges: Sequence[tuple[Hashable, Hashable]]
    labels: Sequence[tuple[float, float] | None] = ()
    ranks: Sequence[tuple[str, Sequence[Hashable]]] = ()
    straight: Collection[Hashable] = ()
    circles: Collection[Hashable] = ()
    apart: tuple[float, float] = APART

    def dot(self, names: Mapping[Hashable, str], *, quick: bool) -> str:
        """Say it in Graphviz's language."""
        lines = [
            f"digraph {{ rankdir=BT; nodesep={self.apart[0] / 72:.2g};",
            f"ranksep={self.apart[1] / 72:.2g}; edge [dir=none];",
        ]
        if quick:
            lines.append("splines=line; nslimit=0.2; nslimit1=1; mclimit=0.2;")
        lines.append('node [shape=box, fixedsize=true, label=""];')
        for node, (width, height) in self.sizes.items():
            shape = ", shape=circle" if node in self.circles else ""
            lines.append(
                f"{names[node]} [width={width / 72:.4f}, height={height / 72:.4f}{shape}];"
            )
        for number, (source, target) in enumerate(self.edges):
            size = self.labels[number] if number < len(self.labels) else None
            weight = _STRAIGHT if source in self.straight or target in self.straight else 1
            lines.append(f"{names[source]} -> {names[target]} [weight={weight}{_label(size)}];")
        for rank, nodes in self.ranks:
            there = [names[node] for node in nodes]
            lines.append(f"{{ rank={rank}; {'; '.join(there)} }}")
            lines += [f"{a} -> {b} [style=invis];" for a, b in pairwise(there)]
        return "\n".join([*lines, "}"])


def laid_out(wanted: Wanted, seconds: float, *, quick: bool = False) -> Arrangement:
    """Return dot's own layout; a quick one has straight lines, which may cross anything.

    Raises:
        DrawError: it took longer, or Graphviz failed.
    """
    names = {node: f"n{number}" for number, node in enumerate(wanted.sizes)}
    return _parsed(_run(wanted.dot(names, quick=quick), seconds), names, wanted.edges)


def _label(size: tuple[float, float] | None) -> str:
    """Return a label of the size that is wanted: a table without anything in it."""
    if size is None:
        return ""
    width, height = (max(round(length), 1) for length in size)
    table = f'<table border="0" fixedsize="true" width="{width}" height="{height}">'
    return f", label=<{table}<tr><td></td></tr></table>>"


@lru_cache(maxsize=64)  # the page of a picture, and its other themes, ask for the same layout
def _run(dot: str, seconds: float) -> str:
    """Run dot for so many seconds of the processor: a busy machine draws the same picture."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", WORKER, str(seconds)],
            input=dot.encode(),
            capture_output=True,
            timeout=_PATIENCE * seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _took_too_long(seconds) from None
    if done.returncode < 0:  # ended by a signal: that its time is over
        raise _took_too_long(seconds)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise DrawError(f"Graphviz found no layout: {' '.join(reason) or 'it gave no reason'}")
    return done.stdout.decode()


def _took_too_long(seconds: float) -> DrawError:
    return DrawError(
        f"Graphviz had no layout after {seconds:g} seconds: draw a smaller graph, or mark the "
        "steps of a loop with tg.scope so that it is drawn as copies"
    )


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
