"""A branch: a run with changed numbers, as a run of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...cached import cached_property
from ..questions.queries import Queries
from ..recording.event import Places
from ..recording.graph import Node, collector_paused
from ..recording.run import Run
from .edits import Edit
from .program import Program
from .replay import Replay, Unfollowed


@dataclass(frozen=True, eq=False)
class Branch:
    """A recorded run with changes.

    Args:
        program: the run as it was recorded.
        changes: in the order in which they were made.
        run: the changed run, with the same events; those that are as they were, by reference.
        nodes: recorded node -> the node in its place, if that is another one.
        changed: the events that differ.
        unfollowed: where the program itself might have gone another way.
    """

    program: Program
    changes: tuple[Edit, ...]
    run: Run
    nodes: dict[Node, Node]
    changed: tuple[int, ...]
    unfollowed: tuple[Unfollowed, ...]

    @cached_property
    def queries(self) -> Queries:
        """An index of the run: the recorded run's own, since events and names are the same."""
        return self.program.queries.of_branch(self.run, self.nodes)


@collector_paused()
def branched(
    program: Program,
    changes: Sequence[Edit],
    places: Callable[[], Places | None] | None = None,
) -> Branch:
    """Run a recorded run again, with changes.

    Args:
        program: the recorded run.
        changes: in the order in which they are made.
        places: asked by the new events for the copy that they belong to.

    Raises:
        TraceError: a change does not fit, a value that is needed was let go of, or an op cannot be
            run again.
    """
    replay = Replay(program, changes, places)
    replay.play()
    run = program.run
    events = list(run.events)
    for index, event in replay.events.items():
        events[index] = event
    nodes = dict(run.nodes)
    for node, made in replay.nodes.items():
        if nodes.get(node.id) is node:
            nodes[node.id] = made
    unfollowed = list(replay.unfollowed)
    if not run.has_notes and changes:
        before = "a file of an older version does not say where Python looked at values"
        unfollowed.insert(0, Unfollowed(0, before, None))
    made = Run(
        run.limit,
        events,
        nodes,
        run.given_names(),
        run.printed,
        run.gone,
        run.is_loaded,
        run.forgotten_steps,
        notes=run.notes,
        has_notes=run.has_notes,
        owners=run.owners,
    )
    changed = tuple(sorted(replay.events))
    return Branch(program, tuple(changes), made, replay.nodes, changed, tuple(unfollowed))
