"""Commands that move the cursor."""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

from ...tracing.recording.event import Vjp
from ..session import UNITS, Session
from .arguments import Arguments
from .registry import command
from .replies import Reply, said


@command(
    "step [op|cell|t|layer|phase|update] [N]",
    "forward to the end of the next event, cell, timestep …",
    keys={
        "n": "step",
        "c": "step cell",
        "t": "step t",
        "l": "step layer",
        "S": "step update",
    },
)
def step(session: Session, arguments: Arguments) -> Reply:
    unit, count = _unit_and_count(arguments)
    return _to_nth(session, session.ends(unit, session.cursor), count, session.last)


@command(
    "over [N]",
    "the next event; calls that begin there are stepped over, as pdb's `next` does",
)
def over(session: Session, arguments: Arguments) -> Reply:
    count = arguments.number() if arguments.next else 1
    arguments.end()
    before = session.cursor
    for _ in range(count):
        if not session.move(session.over()):
            break
    return _arrived(session, before)


@command(
    "back [op|cell|t|layer|phase|update] [N]",
    "the same, back in time",
    keys={"p": "back", "C": "back cell", "T": "back t", "L": "back layer"},
)
def back(session: Session, arguments: Arguments) -> Reply:
    unit, count = _unit_and_count(arguments)
    return _to_nth(session, session.ends_before(unit, session.cursor), count, 0)


def _unit_and_count(arguments: Arguments) -> tuple[str, int]:
    unit, count = "op", 1
    if arguments.next and not arguments.next.isdecimal():
        if arguments.next not in UNITS:
            raise arguments.error(f"one of {', '.join(UNITS)}, not {arguments.next!r}")
        unit = arguments.word()
    if arguments.next:
        count = arguments.number()
    arguments.end()
    return unit, count


def _to_nth(session: Session, ends: Iterator[int], count: int, otherwise: int) -> Reply:
    """Go to the Nth of these ends; where there are fewer, to the end of the run."""
    if count == 0:
        return Reply()
    before = session.cursor
    session.move(next(islice(ends, count - 1, None), otherwise))
    return _arrived(session, before)


def _arrived(session: Session, before: int) -> Reply:
    """Say so where a move did not move: at either end of the run."""
    if session.cursor != before:
        return Reply(moved=True)
    end = "the start of the run: no event is before it"
    if session.cursor == session.last:
        end = "the end of the run: no event follows"
    return said(end)


@command("into", "unfold the module at the cursor: step through its ops", keys="enter")
def into(session: Session, arguments: Arguments) -> Reply:
    arguments.end()
    call = session.folded_call(session.event)
    if call is None:
        return said("no folded module is here: `out` folds the one around the cursor")
    session.folded.discard(call)
    return Reply(moved=True)


@command("out", "fold the module at the cursor: step over it as one", keys="u")
def out(session: Session, arguments: Arguments) -> Reply:
    arguments.end()
    unfolded = session.unfolded_calls()
    if not unfolded:
        return said("no module is around this event")
    session.folded.add(unfolded[-1])
    return Reply(moved=session.move(next(session.ends("op", session.cursor - 1))))


@command("continue", "run to the next breakpoint, or the end", keys="]")
def continue_(session: Session, arguments: Arguments) -> Reply:
    arguments.end()
    return _run(session, range(session.cursor + 1, session.last + 1), session.last, "end")


@command("rcontinue", "run back to the previous breakpoint, or the start", keys="[")
def rcontinue(session: Session, arguments: Arguments) -> Reply:
    arguments.end()
    return _run(session, range(session.cursor - 1, -1, -1), 0, "start")


def _run(session: Session, way: Iterable[int], end: int, called: str) -> Reply:
    """Go to the first of these events that a breakpoint stops at, else to the last of them."""
    for index in way:
        number = session.breakpoint_at(session.trace.events[index])
        if number is not None:
            found = f"breakpoint {number}: {session.breakpoints[number].text}"
            return said(found, moved=session.move(index))
    moved = session.move(end)
    behind = len(session.stops()) if end == session.last else 0
    if behind:
        events = "1 event" if behind == 1 else f"{behind} events"
        back = f"no breakpoint on the way to the {called}; {events} with one lie behind: `[`"
        return said(back, moved=moved)
    return said(f"no breakpoint on the way to the {called}", moved=moved)


@command(
    "jump N|±N|start|end|step N",
    "go to an event, or to where a training step begins",
    keys={"g": "jump start", "G": "jump end"},
)
def jump(session: Session, arguments: Arguments) -> Reply:
    if arguments.next == "step":
        arguments.word()
        return _jump_to_step(session, arguments)
    where = {"start": "0", "end": str(session.last)}.get(arguments.text, arguments.text)
    if not re.fullmatch(r"[+-]?\d{1,9}", where, re.ASCII):
        raise arguments.error(f"an event number, +N, -N, start, end or step N, not {where!r}")
    if where[0] in "+-":
        return Reply(moved=session.move(session.cursor + int(where)))
    if int(where) > session.last:
        raise arguments.error(f"the last event is {session.last}")
    return Reply(moved=session.move(int(where)))


def _jump_to_step(session: Session, arguments: Arguments) -> Reply:
    steps = session.queries.steps
    if not arguments.next:
        raise arguments.error(f"a training step, 0 to {len(steps) - 1}: jump step 2")
    step = arguments.number()
    arguments.end()
    if step >= len(steps):
        raise arguments.error(f"the last training step is {len(steps) - 1}")
    return Reply(moved=session.move(steps.first(step)))


@command("flip", "between an op's forward and its vjp", keys="f")
def flip(session: Session, arguments: Arguments) -> Reply:
    arguments.end()
    event, queries = session.event, session.queries
    if isinstance(event, Vjp):
        return Reply(moved=session.move(queries.names.made_at(event.of)))
    vjps = session.vjps_ahead()
    if not vjps:
        return said("this event has no vjp: no backward pass came through it")
    return Reply(moved=session.move(vjps[0]))
