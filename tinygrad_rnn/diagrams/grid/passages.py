"""From where things come to a copy or an output, through the boxes and signs between them.

A value may go from one copy through a ⊕ or a linear map into another. Each part of the way is a
connection of its own; from end to end the way keeps the id that it would have without anything in
between, for people's own styles and scripts: "up-cell-0-2-cell-1-2".
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ..picture.shapes import Passage
from .grid import Connection
from .items import Item

_BETWEEN = "sign", "between"
_NO_END = *_BETWEEN, "bar", "loss"


def with_passages(connections: Sequence[Connection], items: Mapping[str, Item]) -> list[Connection]:
    """Return the connections; the last one of each way through something between knows the way."""
    origins = _Origins(connections, items)
    taken = {connection.id for connection in connections}
    found: list[Connection] = []
    for connection in connections:
        passages: list[Passage] = []
        for passage in _passages_to(connection, items, origins):
            if passage.id not in taken:
                taken.add(passage.id)
                passages.append(passage)
        found.append(replace(connection, passages=tuple(passages)) if passages else connection)
    return found


class _Origins:
    """The items at the beginning of all ways to a box or a sign."""

    def __init__(self, connections: Iterable[Connection], items: Mapping[str, Item]) -> None:
        self._items = items
        self._entering: defaultdict[str, list[str]] = defaultdict(list)
        for connection in connections:
            self._entering[connection.target].append(connection.source)
        self._of: dict[str, tuple[str, ...]] = {}

    def of(self, id: str) -> tuple[str, ...]:
        if id not in self._of:
            self._of[id] = ()  # a way that came back would end here
            found: dict[str, None] = {}
            for source in self._entering[id]:
                if not self.is_between(source):
                    found[source] = None
                elif self._items[source].slot == self._items[id].slot:
                    found |= dict.fromkeys(self.of(source))
                # what an earlier column handed on, as a mask does, begins no way of its own: there
                # would be as many as the square of the columns
            self._of[id] = tuple(found)
        return self._of[id]

    def is_between(self, id: str) -> bool:
        return id in self._items and self._items[id].role in _BETWEEN


def _passages_to(
    connection: Connection, items: Mapping[str, Item], origins: _Origins
) -> Iterator[Passage]:
    target = items.get(connection.target)
    if target is None or target.role in _NO_END or not origins.is_between(connection.source):
        return
    for origin in origins.of(connection.source):
        if origin in items:
            yield Passage(f"{_kind(items[origin], target)}-{origin}-{target.id}", origin, target.id)


def _kind(origin: Item, target: Item) -> str:
    """What the id of a connection between the two begins with."""
    if target.role == "output":
        return "output"
    if origin.role in ("input", "initial"):
        return origin.role
    if origin.level == target.level:
        return "message"
    return "up" if origin.slot == target.slot else "other"
