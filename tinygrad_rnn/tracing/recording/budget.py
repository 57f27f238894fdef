"""Keeping a recording under a budget: what it lets go of, and in which order."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ...autograd.tensor import Array
from .event import Event, Failure, Update, Vjp
from .graph import Node
from .held import Memory, is_array, owner_of
from .notes import Note, Remark


def memory_of(events: Sequence[Event], gone: int = 0, notes: Iterable[Note] = ()) -> Memory:
    """How much events and notes hold; every array is counted once, whoever shares it."""
    vjps = [event for event in events if isinstance(event, Vjp)]
    held: list[Any] = [array for note in notes for array in note.arrays]
    held += [event.held for event in events]
    held += [event.held_cotangent for event in vjps]
    # The nodes that events are about: those of one subject use the same nodes, maybe many.
    subjects = {event.of for event in vjps}
    nodes: set[Node | None] = set()
    for event in events:
        if isinstance(event, Vjp):  # most of them
            continue
        if isinstance(event, Failure):
            nodes.update(event.used)
            continue
        subjects.add(event.output)
        if isinstance(event, Update):
            held += event.arrays
    nodes.update(subjects, *[node.inputs for node in subjects])
    seen = [node.seen for node in nodes if node is not None]
    held += [data for data, _ in seen]
    for _, operands in seen:
        held += operands
    # By id, since most are met again and again; numbers and what is gone are sorted out only then.
    arrays = [x for x in {id(x): x for x in held}.values() if is_array(x)]
    owners = {id(x): x for x in [x if x.base is None else owner_of(x) for x in arrays]}
    recomputable = sum([event.recomputable for event in vjps if event.held is None])
    return Memory(len(events), sum([x.nbytes for x in owners.values()]), recomputable, gone)


class Budget:
    """Lets a recording go of values while it holds more than `limit` bytes.

    First of terms handed to parameters, which can be computed again exactly; then of all that the
    oldest events alone need. So an event has either everything that made its value, or nothing of
    it, and the newest event always has it.

    Args:
        limit: bytes of arrays.
        released: is told each node that was let go of.
    """

    def __init__(self, limit: int, released: Callable[[Node], None]) -> None:
        self.limit, self._released = limit, released
        self.restart()

    def restart(self, events: Iterable[Event | Note] = ()) -> None:
        """Count anew, for a recording that begins with these events."""
        self.held = self.gone = 0
        self._events: list[Event | Note] = []
        # the next event to lose its term, and the next to lose everything
        self._next_term = self._oldest = 0
        # id of an array that owns memory -> how many nodes and events hold it
        self._holders: dict[int, int] = {}
        # subject -> how many events that are not gone are about it
        self._about: dict[Node | Failure | Remark, int] = {}
        # node -> how many of these subjects use it
        self._uses: dict[Node, int] = {}
        for event in events:
            self.add(event)

    def add(self, event: Event | Note) -> None:
        """Count an event or note that was just recorded, and let go of what is too much."""
        self._events.append(event)
        about = self._about.get(event.subject, 0)
        self._about[event.subject] = about + 1
        if not about:
            for node in event.used:
                self._use(node)
        self._hold(event.arrays)
        while self.held > self.limit and self._let_go():
            pass

    def revive(self, node: Node, data: Array, operands: tuple[Any, ...] | None = None) -> None:
        """Give a node that was let go of its arrays again: the program used it once more."""
        before = len(node.arrays)
        node.revive(data, operands)
        if node in self._uses:
            self._hold(node.arrays[before:])

    def completed(self, node: Node, held: int) -> None:
        """Count a node once more, now that its op is known; before, it held `held` arrays."""
        if node in self._uses:
            self._hold(node.arrays[held:])
        if node in self._about:
            for x in node.tensors():
                self._use(x)

    def _use(self, node: Node) -> None:
        uses = self._uses.get(node, 0)
        self._uses[node] = uses + 1
        if not uses:
            self._hold(node.arrays)

    def _let_go(self) -> bool:
        """Take one step towards holding less; False when only the newest event is left."""
        if self._next_term < len(self._events):
            event = self._events[self._next_term]
            self._next_term += 1
            self._drop(event.release_term())
            return True
        if self._oldest >= len(self._events) - 1:
            return False
        event = self._events[self._oldest]
        self._oldest += 1
        self._release(event)
        return True

    def _release(self, event: Event | Note) -> None:
        before = self.held
        self.gone += event.recomputable
        self._about[event.subject] -= 1
        if not self._about[event.subject]:
            del self._about[event.subject]
            for node in event.used:
                self._use_no_more(node)
        self._drop(event.arrays)
        event.release()
        self.gone += before - self.held

    def _use_no_more(self, node: Node) -> None:
        self._uses[node] -= 1
        if not self._uses[node]:
            del self._uses[node]
            self._drop(node.arrays)
            node.release()
            self._released(node)

    def _hold(self, arrays: Iterable[Array]) -> None:
        for array in arrays:
            owner = owner_of(array)
            holders = self._holders.get(id(owner), 0)
            self._holders[id(owner)] = holders + 1
            if not holders:
                self.held += owner.nbytes

    def _drop(self, arrays: Iterable[Array]) -> None:
        for array in arrays:
            owner = owner_of(array)
            self._holders[id(owner)] -= 1
            if not self._holders[id(owner)]:
                del self._holders[id(owner)]
                self.held -= owner.nbytes
