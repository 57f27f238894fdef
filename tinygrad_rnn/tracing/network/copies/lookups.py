"""Rows of parameters that the program's own numbers pick: `E[token]`, where `token` is an int.

Such a number is no tensor, so nothing in the graph says that it is an input. It is one where it
differs from step to step: each step looks up a row of its own. Rows that are the same at each step,
as `b[0]`, `b[1]` and `b[2]` of three gates, are parts of a parameter.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, cast

from ...recording.graph import Node
from .sites import frozen


def is_at_number(x: Node) -> bool:
    """Whether it is a part of a parameter, and a number of the program says which."""
    whole, index = x.moved_from, x.options.get("index")
    parts = cast("tuple[Any, ...]", index) if isinstance(index, tuple) else (index,)
    return whole is not None and whole.is_parameter and any(type(one) is int for one in parts)


def looked_up(read: Mapping[Hashable, Mapping[Hashable, Sequence[Node]]]) -> set[Node]:
    """The rows that are others in one step than in the next.

    Args:
        read: rows by the place of the program that they are read at, and by step.
    """
    found: set[Node] = set()
    for by_step in read.values():
        numbers = {tuple(frozen(x.options["index"]) for x in rows) for rows in by_step.values()}
        if len(numbers) > 1:
            found.update(x for rows in by_step.values() for x in rows)
    return found
