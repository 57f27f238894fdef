"""In which column each copy stands: above what feeds it, else one after the other."""

from collections.abc import Mapping
from itertools import pairwise

from ..recording.graph import Node
from .copies import Copies, Copy, Loop
from .entering import Entering

Columns = Mapping[str, int]  # of each copy, by its id


def columns_of(copies: Copies, entering: Entering) -> Columns:
    """Place the copies, row by row from the bottom."""
    columns: dict[str, int] = {}
    readers: dict[Node, int] = {}  # what comes from outside -> the column that reads it first
    for loop in copies.loops:
        above = [_column_below(copy, entering, columns, readers) for copy in loop.copies]
        placed = _in_steps_of_one(above) or _after_what_feeds(loop, entering, columns)
        for copy, column in zip(loop.copies, placed, strict=True):
            columns[copy.id] = column
            for x in entering.inputs.get(copy, ()):
                readers.setdefault(x, column)
    return columns


def runs_back(loop: Loop, columns: Columns) -> bool:
    """Whether its calls run from the last column to the first."""
    first, *others = loop.copies[:2]
    return any(columns[first.id] > columns[other.id] for other in others)


def _column_below(
    copy: Copy, entering: Entering, columns: Columns, readers: Mapping[Node, int]
) -> int | None:
    """The one column of the copies that feed this one, or that read the same input."""
    found = _columns_that_feed(copy, entering, columns)
    found |= {readers[x] for x in entering.inputs.get(copy, ()) if x in readers}
    return found.pop() if len(found) == 1 else None


def _columns_that_feed(copy: Copy, entering: Entering, columns: Columns) -> set[int]:
    sources = entering.feeds.get(copy, ())
    return {columns[source.id] for source in sources if source.id in columns}


def _in_steps_of_one(columns: list[int | None]) -> list[int] | None:
    """The columns, where all are known and run one by one to the right, or all to the left."""
    known = [column for column in columns if column is not None]
    steps = {b - a for a, b in pairwise(known)}
    return known if len(known) == len(columns) and steps in (set(), {1}, {-1}) else None


def _after_what_feeds(loop: Loop, entering: Entering, columns: Columns) -> list[int]:
    before = _columns_that_feed(loop.copies[0], entering, columns)
    start = max(before, default=-1) + 1
    return [start + copy.t for copy in loop.copies]
