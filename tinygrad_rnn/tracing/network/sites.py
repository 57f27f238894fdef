"""What ops are the same as when they are run again."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, cast

from ..recording.graph import Node
from .recurrence import key_of


class Sites:
    """What ops are the same as when they are run again; of each once: one may read a thousand."""

    def __init__(self) -> None:
        self._of: dict[Node, Hashable] = {}

    def joint(self, node: Node, slot: int, x: Node) -> Hashable:
        """Two neighbouring ops of the program, wherever they are run."""
        return self.of(node), slot, self.of(x)

    def of(self, node: Node) -> Hashable:
        if node not in self._of:
            self._of[node] = site_of(node)
        return self._of[node]


def site_of(node: Node) -> Hashable:
    """What an op is the same as when it is run again: the module that calls it, its parameters."""
    parameters = tuple(x.id for x in node.tensors() if x.is_parameter)
    return node.op, parameters, tuple(key_of(call) for call in node.calls)


def frozen(options: Mapping[str, Any]) -> Hashable:
    """An op's options as something that can be compared."""
    return tuple((name, _frozen(options[name])) for name in sorted(options))


def _frozen(value: Any) -> Hashable:
    if isinstance(value, tuple | list):
        return tuple(map(_frozen, cast("Sequence[Any]", value)))
    if hasattr(value, "tobytes"):
        return value.shape, value.tobytes()
    return repr(value)
