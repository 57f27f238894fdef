"""The recorded run as a program: where its numbers go, inside and outside the graph."""

from collections import defaultdict
from typing import Any, TypeAlias

from ...autograd.tensor import Array
from ...cached import cached_property
from ..questions.queries import Queries
from ..recording.event import Accumulate, Forward, Seed, Zero
from ..recording.graph import Node, collector_paused
from ..recording.held import Gone, gone_error, is_array
from ..recording.notes import GradientTaken, Hooked, Optioned, Replaced, Symbolic

# How many events came before; and which note it is, where an event comes before all notes.
Moment: TypeAlias = tuple[int, int]
EVENT = -1


class Program:
    """An index of one run, made once for all changes of it.

    Attributes:
        symbolic: where passes begin that were computed with tensors.
        taken: tensor id -> the note of whose gradient it is.
        hooked: tensor id -> its hooks' replacements of its gradient, in order.
        options: event -> the tensors among the options of its op, with their arrays.
    """

    @collector_paused()
    def __init__(self, queries: Queries) -> None:
        self.queries, self.run = queries, queries.run
        self.symbolic: set[int] = set()
        self.taken: dict[int, GradientTaken] = {}
        self.hooked: defaultdict[int, list[Hooked]] = defaultdict(list)
        self.options: defaultdict[int, list[Optioned]] = defaultdict(list)
        for note in self.run.notes:
            match note:
                case Symbolic():
                    self.symbolic.add(queries.pass_of(note.after - 1) or 0)
                case GradientTaken():
                    self.taken[note.tensor] = note
                case Hooked():
                    self.hooked[note.of].append(note)
                case Optioned():
                    self.options[note.after].append(note)
                case _:
                    pass

    def starts_at(self, seed: int, id: int) -> bool:
        """Whether a pass begins at this tensor."""
        event = self.run.events[seed]
        return isinstance(event, Seed) and event.output.id == id

    @cached_property
    def makers(self) -> dict[int, Node]:
        """Array, by its `id` -> the node that an op made with it."""
        made: dict[int, Node] = {}
        for event in self.run.events:
            if isinstance(event, Forward) and is_array(event.held):
                made.setdefault(id(event.held), event.output)
        return made

    def maker(self, array: Any) -> Node | None:
        """The node whose own array this is; None where no op of the run made it."""
        return self.makers.get(id(array))

    @cached_property
    def linked(self) -> set[Node]:
        """Leaves that are more than data: gradients, and what shares its array with a result."""
        makers = self.makers
        leaves = {
            x
            for event in self.run.events
            if isinstance(event, Forward)
            for x in event.output.inputs
            if x is not None and x.op is None
        }
        return {x for x in leaves if x.id in self.taken or id(x.seen[0]) in makers}

    # What `.grad` of a leaf held

    @cached_property
    def _grads(self) -> dict[int, list[tuple[Moment, Array | Gone | None, bool]]]:
        """Leaf id -> when something was bound to `.grad`, what, and whether it was added."""
        found: defaultdict[int, list[tuple[Moment, Any, bool]]] = defaultdict(list)
        for event in self.run.events:
            match event:
                case Accumulate(output=leaf):
                    found[leaf.id].append(((event.index + 1, EVENT), event.held, True))
                case Zero(output=leaf):
                    found[leaf.id].append(((event.index + 1, EVENT), None, False))
                case _:
                    pass
        for number, note in enumerate(self.run.notes):
            if isinstance(note, Replaced):
                found[note.leaf].append(((note.after, number), note.held, False))
        for bound in found.values():
            bound.sort(key=lambda one: one[0])
        return found

    def grad_of(self, leaf: int, moment: Moment) -> Array | None:
        """What `.grad` of a leaf held at a moment of the recording.

        Raises:
            TraceError: it is gone.
        """
        added: list[Array] = []
        for at, value, is_added in reversed(self._grads.get(leaf, [])):
            if at >= moment:
                continue
            if value is None:
                break
            if isinstance(value, Gone):
                raise gone_error("a gradient that was added up")
            added.append(value)
            if not is_added:
                break
        held: Array | None = None
        for value in reversed(added):
            held = value if held is None else held + value
        return held


def before_event(index: int) -> Moment:
    """The moment at which an event begins, all notes before it taken."""
    return index + 1, EVENT
