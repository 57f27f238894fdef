"""Which parameters stand behind a value that was made of parameters alone: `W.T`, `exp(log_A)`."""

from collections.abc import Container, Iterable

from ...recording.graph import Node

_NONE: frozenset[int] = frozenset()


class Weights:
    """The parameters, and what was made of them alone.

    Args:
        nodes: all, in creation order.
    """

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._behind: dict[Node, frozenset[int]] = {}
        for node in nodes:
            if node.op is None:
                if node.is_parameter:
                    self._behind[node] = frozenset((node.id,))
                continue
            given = [self._behind.get(x) for x in node.tensors()]
            known = [one for one in given if one is not None]
            if known and len(known) == len(given):
                self._behind[node] = known[0].union(*known[1:])

    def read_by(self, made: Iterable[Node], inside: Container[Node]) -> set[int]:
        """The ids of the parameters that some ops read, but for what comes from `inside`."""
        read = (x for node in made for x in node.tensors() if x not in inside)
        return {id for x in read for id in self._behind.get(x, _NONE)}
