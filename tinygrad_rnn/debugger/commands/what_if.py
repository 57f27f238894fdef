"""Commands that change a number of the run, and look at the run that would have been."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ...tracing.whatif.compare import Comparison
from ...tracing.whatif.edits import Edit, edit_at, edit_of
from ..branches import changes_of
from ..events import OPERANDS, OWN
from ..expressions import CommandError, parse
from ..session import Session
from .arguments import Arguments
from .registry import command
from .replies import Reply, said

_ASSIGNMENT = re.compile(r"(?P<place>[^=]*?)\s*(?P<operator>[-+*/]?)=(?!=)\s*(?P<value>.*)")
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "": lambda held, value: value,
    "*": np.multiply,
    "+": np.add,
    "-": np.subtract,
    "/": np.true_divide,
}
_LISTED = 3  # of what could not be followed, behind a change

SET_HELP = """\
set h@3[1] = 0             an element, a row, a part (h@3[:,0:2]), or all of it: set h@3 = 0
set W_hh *= 1.2            = *= += -= /=, and any expression: set h@3 = h@2
set d.h@4 = 0              a gradient, once it is summed: nothing goes back through h@4
set G = 0   set out = 1    what this event starts from, and what it wrote
                           all that depends on it is computed again, forward, backward and in
                           the steps of optimisers; a second `set` goes on with the branch"""


@command(
    "set X = E",
    "change a number, and look at the run that would have been: a branch",
    details=SET_HELP,
)
def set_(session: Session, arguments: Arguments) -> Reply:
    match = _ASSIGNMENT.fullmatch(arguments.text)
    if match is None or not match["place"]:
        raise arguments.error("name a place and its new value: set h@3[1] = 0, set W_hh *= 1.2")
    start = arguments.line.index(arguments.text, arguments.start) + match.start("value")
    expression = parse(match["value"], arguments.line, start)
    value, combined = expression(session.lookup), _OPERATORS[match["operator"]]
    if isinstance(value, tuple):
        raise CommandError("a shape cannot be set", arguments.line, start)
    text = f"{match['place']} {match['operator']}= {match['value']}"
    new = value
    if match["operator"]:
        new = lambda held: combined(held, value)
    session.change(_edit(session, match["place"], new, text))
    return said(*_came_of_it(session), moved=True)


def _edit(session: Session, place: str, value: Any, text: str) -> Edit:
    """The change, with names as they are meant at the cursor."""
    program, name = session.run.program, place.partition("[")[0].strip()
    if name in OWN:
        return edit_at(program, place, value, session.cursor, text, OPERANDS)
    written = _written_whole(session, name)
    shown = text.replace(place, place.replace(name, written, 1), 1)
    return edit_of(program, place, value, session.cursor, shown)


def _written_whole(session: Session, name: str) -> str:
    """A name with the timestep that it means here: h is h@3."""
    bare = name.removeprefix("d.")
    if "@" in bare:
        return name
    node = session.queries.find(bare, session.cursor).node
    return name[: len(name) - len(bare)] + session.queries.names.of(node)


def _came_of_it(session: Session) -> list[str]:
    """Where we are, both losses, and where the script might have gone another way."""
    shown = session.trace
    lines = [session.branches.title, *_effect(session)]
    for one in shown.unfollowed[:_LISTED]:
        lines.append(f"the script may have gone another way: {one}")
    if len(shown.unfollowed) > _LISTED:
        lines.append(f"… and at {len(shown.unfollowed) - _LISTED} more places: `branch` lists them")
    return lines


def _effect(session: Session) -> list[str]:
    comparison = Comparison(session.run.queries, session.queries)
    count = sum(a is not b for a, b in zip(session.run.events, session.trace.events, strict=True))
    events = f"{count} of {len(session.trace.events)} events are computed again"
    return [events] if comparison.loss is None else [f"{events}; {comparison.loss}"]


@command("undo", "take back the last change of this branch")
def undo(session: Session, arguments: Arguments) -> Reply:
    arguments.end()
    undone = session.undo()
    return said(f"undone: {undone}", session.branches.title or "this is the run again", moved=True)


@command(
    "branch [N|run|drop N|toggle]",
    "list the branches; go to one, or to the run; drop one",
    keys={"B": "branch toggle"},
)
def branch(session: Session, arguments: Arguments) -> Reply:
    branches = session.branches
    if not arguments.next:
        return said(*_listed(session))
    what = "" if arguments.next.isdecimal() else arguments.word()
    if what not in ("", "run", "toggle", "drop"):
        raise arguments.error(f"the number of a branch, run, drop N or toggle, not {what!r}")
    number = arguments.number() if what in ("", "drop") else None
    arguments.end()
    if what == "drop" and number is not None:
        session.drop(number)
        return said(f"branch {number} is dropped", branches.title or "this is the run", moved=True)
    if what == "toggle":
        session.toggle()
    else:
        session.show(number)
    return said(branches.title or "this is the run", moved=True)


def _listed(session: Session) -> list[str]:
    branches = session.branches
    if not branches:
        return ["no branch: `set h@3 = 0` makes one"]
    lines: list[str] = [f"{'▶' if branches.current is None else ' '} the run"]
    for number, made in branches:
        mark = "▶" if number == branches.current else " "
        loss = Comparison(session.run.queries, made.queries).loss
        lines.append(f"{mark} branch {number}: {changes_of(made)}")
        if loss is not None:
            lines.append(f"      {loss}")
        lines += [f"      the script may have gone another way: {one}" for one in made.unfollowed]
    return lines
