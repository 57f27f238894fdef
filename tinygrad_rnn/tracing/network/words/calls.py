"""The calls of modules in a few ops, by which a formula may write what these make."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping

from ....autograd.state import Scope
from ....cached import cached_property
from ....nn.cells import Cell as RecurrentCell
from ....nn.recurrent import Recurrent
from ...recording.graph import Node
from .formulas import Call


class Calls:
    """What is called where some ops are made, of those calls the outermost that not all are in.

    Args:
        nodes: the ops.
        ends: those that leave them.
        is_whole: whether all that a call makes is among these ops.
        is_given: whether what an op reads as one of its inputs is no parameter or constant.
        name_of: what the caller calls a module.
    """

    def __init__(
        self,
        nodes: Collection[Node],
        ends: Collection[Node],
        is_whole: Callable[[Scope], bool],
        is_given: Callable[[Node, int], bool],
        name_of: Callable[[Scope], str],
    ) -> None:
        self._nodes, self._ends = nodes, ends
        self._is_whole, self._is_given, self._name_of = is_whole, is_given, name_of

    def is_inner(self, node: Node) -> bool:
        """Whether a call of a module makes it and does not return it."""
        return self._call_of.get(node) is not None and node not in self.returned

    @cached_property
    def _call_of(self) -> Mapping[Node, Scope | None]:
        """The call of a module that makes a value."""
        chains = {node: node.calls for node in self._nodes}
        first, *others = [x for node, x in chains.items() if not node.is_move] or chains.values()
        around = 0
        while around < len(first) and all(
            chain[around : around + 1] == first[around : around + 1] for chain in others
        ):
            around += 1
        return {
            node: next(filter(self._is_named, chain[around:]), None)
            for node, chain in chains.items()
        }

    @cached_property
    def returned(self) -> Mapping[Node, Call]:
        """What calls of modules return: their names, and what they are given."""
        call_of = self._call_of
        given: dict[Scope, dict[Node, tuple[Node, int]]] = defaultdict(dict)
        returned: dict[Node, Scope] = {
            node: call for node in self._ends if (call := call_of[node]) is not None
        }
        for node, call in call_of.items():
            for slot, x in enumerate(node.inputs):
                maker = None if x is None else call_of.get(x)
                if x is None or (x in self._nodes and maker is call):
                    continue
                if maker is not None:
                    returned[x] = maker
                if call is not None and self._is_given(node, slot):
                    given[call].setdefault(x, (node, slot))
        count = Counter(returned.values())
        return {
            node: Call(self._name_of(call), tuple(given[call].values()), alone=count[call] == 1)
            for node, call in returned.items()
        }

    def _is_named(self, call: Scope) -> bool:
        owner, parent = call.owner, call.parent
        is_layer = parent is not None and isinstance(parent.owner, Recurrent)
        is_of_layer = isinstance(owner, RecurrentCell) and is_layer
        return not isinstance(owner, str) and not is_of_layer and self._is_whole(call)
