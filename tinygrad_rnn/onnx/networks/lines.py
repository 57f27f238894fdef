"""The lines of a graph: each node runs in a line of its own, as the ops of a program do.

What is recorded knows the line that made it. Without one of its own every op of a loaded graph
would stand in the line that called it, and look like one op that ran again and again.

Our own files say in which line of the program a node stood: then it runs in a line of that number.
"""

import itertools
import linecache
import weakref
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from types import FunctionType
from typing import Any

from ...text import elide
from ...tracing.recording.source import Elsewhere
from ..reading.graph import Line as KnownLine
from ..reading.graph import Node

_numbers = itertools.count()
_LONGEST = 30  # letters of a name
_MOST_NAMES = 6


def _line(_run: Callable[..., Any], *_arguments: Any) -> Any:
    return _run(*_arguments)  # no variable of a program, which begin with a letter


_BODY = _line.__code__
Line = Callable[..., Any]


class Lines:
    """The text of a graph, a line a node; nodes of one line of the program that wrote it share one.

    Args:
        owner: with which it goes.
        name: of the graph.
        nodes: in order.
        known: the lines of that program, by the numbers that nodes have; none: the file has none.
    """

    def __init__(
        self, owner: object, name: str, nodes: Sequence[Node], known: Sequence[KnownLine]
    ) -> None:
        self._own = f"{elide(name, _LONGEST) or 'graph'} of ONNX, {next(_numbers)}"
        self._known = known
        self._lines: dict[Hashable, Line] = {}
        self._texts: dict[str, dict[int, str]] = {}
        for node in nodes:
            place = self._place(node)
            if place not in self._lines:
                self._lines[place] = self._made(node, place)
        for file, texts in self._texts.items():
            lines = [f"{texts.get(number, '')}\n" for number in range(1, max(texts) + 1)]
            linecache.cache[file] = (sum(map(len, lines)), None, lines, file)
            weakref.finalize(owner, linecache.cache.pop, file, None)

    def of(self, node: Node) -> Line:
        """What runs a function in the line of a node."""
        return self._lines[self._place(node)]

    def _place(self, node: Node) -> Hashable:
        return id(node) if node.line is None else node.line

    def _made(self, node: Node, place: Hashable) -> Line:
        if isinstance(node.line, int) and node.line < len(self._known):
            line = self._known[node.line]
            file, number = f"<{line.file}: {self._own}>", line.number
            places = (replace(one, function=(self._own, one.function)) for one in line.places)
            inside = line.is_inside_package
            stands_for = Elsewhere(line.variable, inside, tuple(places), line.part_of)
        else:
            file, stands_for = f"<{self._own}>", None
            number = len(self._texts.get(file, ())) + 1
        self._texts.setdefault(file, {}).setdefault(number, _written(node))
        return _at(file, number, stands_for)


def _at(file: str, number: int, stands_for: Elsewhere | None) -> Line:
    """A function that calls another, from a line of a file that is none of this package's."""
    body = _BODY.replace(co_filename=file, co_firstlineno=number - 1, co_name="graph")
    if stands_for is not None:
        body = body.replace(co_consts=(*body.co_consts, stands_for))
    return FunctionType(body, {"__name__": "graph"})


def _written(node: Node) -> str:
    """A node as a line: "logits = Add(a, b)"."""
    outputs, inputs = (
        ", ".join(elide(name, _LONGEST) or "_" for name in names[:_MOST_NAMES])
        for names in (node.outputs, node.inputs)
    )
    return f"{outputs} = {elide(node.op, _LONGEST)}({inputs})"
