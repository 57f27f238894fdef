"""The lines of a graph: each node runs in a line of its own, as the ops of a program do.

What is recorded knows the line that made it. Without one of its own every op of a loaded graph
would stand in the line that called it, and look like one op that ran again and again.
"""

import itertools
import linecache
import weakref
from collections.abc import Callable, Hashable, Sequence
from types import FunctionType
from typing import Any

from ...text import elide
from ..reading.graph import Node

_numbers = itertools.count()
_LONGEST = 30  # letters of a name
_MOST_NAMES = 6


def _line(run: Callable[..., Any], *arguments: Any) -> Any:
    return run(*arguments)


_BODY = _line.__code__
Line = Callable[..., Any]


class Lines:
    """The text of a graph, a line a node; nodes of one line of the program that wrote it share one.

    Args:
        owner: with which it goes.
        name: of the graph.
        nodes: in order.
    """

    def __init__(self, owner: object, name: str, nodes: Sequence[Node]) -> None:
        file = f"<{elide(name, _LONGEST) or 'graph'} of ONNX, {next(_numbers)}>"
        self._lines: dict[Hashable, Line] = {}
        text: list[str] = []
        for node in nodes:
            place = self._place(node)
            if place not in self._lines:
                text.append(_written(node))
                self._lines[place] = _at(file, len(text))
        lines = [f"{line}\n" for line in text]
        linecache.cache[file] = (sum(map(len, lines)), None, lines, file)
        weakref.finalize(owner, linecache.cache.pop, file, None)

    def of(self, node: Node) -> Line:
        """What runs a function in the line of a node."""
        return self._lines[self._place(node)]

    def _place(self, node: Node) -> Hashable:
        return id(node) if node.line is None else node.line


def _at(file: str, number: int) -> Line:
    """A function that calls another, from a line of a file that is none of this package's."""
    body = _BODY.replace(co_filename=file, co_firstlineno=number - 1, co_name="graph")
    return FunctionType(body, {"__name__": "graph"})


def _written(node: Node) -> str:
    """A node as a line: "logits = Add(a, b)"."""
    outputs, inputs = (
        ", ".join(elide(name, _LONGEST) or "_" for name in names[:_MOST_NAMES])
        for names in (node.outputs, node.inputs)
    )
    return f"{outputs} = {elide(node.op, _LONGEST)}({inputs})"
