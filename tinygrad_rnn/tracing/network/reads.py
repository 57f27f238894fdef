"""The reads of a quotient, made of those between atoms."""

from collections.abc import Iterable
from math import prod

from ..recording.graph import Node
from .grouping.groups import Groups
from .quotient import Read, ReadFlow
from .timesteps.pieces import RawRead


class Reads:
    """Says of reads what a quotient says: their pieces, what flows back, which shape passes."""

    def __init__(self, groups: Groups) -> None:
        self.groups = groups

    def all(self, reads: Iterable[RawRead]) -> tuple[Read, ...]:
        return tuple(map(self.of, reads))

    def of(self, raw: RawRead) -> Read:
        reader, value = self.groups.pieces.piece(raw.reader), self.groups.pieces.piece(raw.value)
        return Read(reader, raw.slot, value, _flow(raw), self._shape_passed(raw))

    def _shape_passed(self, raw: RawRead) -> tuple[int, ...]:
        """The shape of what is read there.

        An index takes a part of a value, but of a state, which is handed on. What was joined of
        several steps has elements of one step in several rows: the shape is that of what was
        joined.
        """
        value, reader = self.groups.pieces.piece(raw.value), raw.reader.node
        if reader.op == "getitem" and not self.groups.is_state(raw):
            taken = self.groups.pieces.piece(raw.reader).shape
            return taken if prod(taken) < prod(value.shape) else value.shape
        if value.where is not None and value.where.index is None:
            shapes = {
                self.groups.pieces.piece(one).shape for one in self.groups.seen_through(raw.value)
            }
            if len(shapes) == 1:
                return shapes.pop()
        return value.shape


def _flow(raw: RawRead) -> ReadFlow:
    """What comes back there."""
    node, x = raw.reader.node, raw.value.node
    if node.op == "detach" and x.requires_grad:
        return "cut"
    if not x.requires_grad:
        return "cut" if _is_cut(x) else "none"
    rule = node.rule
    return "gradient" if rule is not None and rule.differentiable(raw.slot) else "none"


def _is_cut(x: Node) -> bool:
    """Whether it is what a `detach` let pass, moved or not."""
    while (before := x.moved_from) is not None:
        if x.op == "detach" and before.requires_grad:
            return True
        x = before
    return False
