"""The values of a running graph, by name."""

from typing import Any


class Values:
    """What the nodes of a graph have made so far, above what the graphs around it have.

    Args:
        outer: where a name is looked for that is not here: the graph's own parameters and
            constants, then the graphs around it.
    """

    __slots__ = ("_outer", "_own")

    def __init__(self, *outer: "Values | None") -> None:
        self._own: dict[str, Any] = {"": None}  # an input that is left out
        self._outer = [values for values in outer if values is not None]

    def __getitem__(self, name: str) -> Any:
        waiting: list[Values] = [self]
        while waiting:
            values = waiting.pop()
            if name in values._own:
                return values._own[name]
            waiting.extend(reversed(values._outer))
        raise KeyError(f"no value {name!r}")

    def has_own(self, name: str) -> bool:
        """Whether this graph itself has made a value."""
        return name in self._own

    def __setitem__(self, name: str, value: Any) -> None:
        if name:
            self._own[name] = value
