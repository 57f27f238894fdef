"""What ops are the same as when they are run again."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, cast

from ...recording.graph import Node
from ...recording.held import is_array
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


def places_of(node: Node, count: int = 0) -> tuple[Hashable, ...]:
    """Where the program made it: the innermost calls, all of them by default; () if not known."""
    source = node.source
    return () if source is None else tuple((one.function, one.at) for one in source.places[-count:])


def frozen(option: Any) -> Hashable:
    """An op's options, or one of them, as something that can be compared."""
    if is_array(option):
        return option.shape, option.tobytes()
    if isinstance(option, Mapping):
        pairs = cast("Mapping[str, Any]", option)
        return tuple([(name, frozen(pairs[name])) for name in sorted(pairs)])
    if isinstance(option, tuple | list):
        return tuple(map(frozen, cast("Sequence[Any]", option)))
    return repr(option)
