"""Commands that compute with values: show them, test them, stop at them."""

import fnmatch
import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from ...tracing.questions.queries import GRADIENT
from ..breakpoints import BREAK_HELP, Breakpoint, parse_breakpoint
from ..expressions import CommandError
from ..session import Session
from .arguments import Arguments
from .registry import command
from .replies import Reply, Value, one_line, said

_HITS_LISTED, _OPS_LISTED = 3, 8


@command("select r,c", "the element that formulas are shown for")
def select(session: Session, arguments: Arguments) -> Reply:
    text = arguments.text.strip("[]")
    if not re.fullmatch(r"\d{1,9}(\s*,\s*\d{1,9})*", text, re.ASCII):
        raise arguments.error("an element: select 0,2")
    session.index = tuple(int(part) for part in text.split(","))
    return Reply(moved=True)


@command("axis N = I", "page through axis N of what is shown: the element I along it")
def axis(session: Session, arguments: Arguments) -> Reply:
    match = re.fullmatch(r"(\d{1,3})\s*=?\s*([+-]?\d{1,9})", arguments.text, re.ASCII)
    if match is None:
        raise arguments.error("an axis and a place along it: axis 0 = 3, axis 0 = +1")
    value = session.value
    number, place = int(match[1]), match[2]
    if value is None or number >= value.ndim:
        shape = "wrote no numbers" if value is None else f"has shape {value.shape}"
        raise arguments.error(f"there is no axis {number}: what this event wrote {shape}")
    index = list(session.selected(value.shape))
    at = index[number] + int(place) if place[0] in "+-" else int(place)
    last = value.shape[number] - 1
    if not 0 <= at <= last:
        raise arguments.error(f"axis {number} has places 0 to {last}")
    index[number] = at
    session.index = tuple(index)
    return Reply(moved=True)


@command("watch [E]", "show an expression at every step", details=BREAK_HELP)
def watch(session: Session, arguments: Arguments) -> Reply:
    if arguments.text:
        session.watches.append(arguments.expression())
    watched = enumerate(session.watched())
    return said(*(f"{i}: {text} = {one_line(value)}" for i, (text, value) in watched))


@command("unwatch [N]", "stop showing watch N, or all of them")
def unwatch(session: Session, arguments: Arguments) -> Reply:
    return _remove(session.watches, "watch", arguments)


@command("print E", "the value of an expression, now", details=BREAK_HELP)
def print_(session: Session, arguments: Arguments) -> Reply:
    expression = arguments.expression()
    return Reply(Value(expression.text, expression(session.lookup)))


@command("assert E", "fail (exit code 1) unless an expression is true", details=BREAK_HELP)
def assert_(session: Session, arguments: Arguments) -> Reply:
    expression, lookup = arguments.expression(), session.lookup
    if expression.holds(lookup):
        return said(f"holds: {expression.text}")
    values = [f"{name} = {one_line(lookup(name))}" for name in expression.names]
    failure = f"assertion failed at event {session.cursor}: {expression.text}"
    return said(failure, *values, failed=True)


@command(
    "break WORD… [if E]",
    "stop `continue` where all of this holds; see `help break`",
    details=BREAK_HELP,
)
def break_(session: Session, arguments: Arguments) -> Reply:
    made = parse_breakpoint(arguments.line, arguments.start)
    told = _hits_told(session, made)
    session.breakpoints.append(made)
    return said(f"breakpoint {len(session.breakpoints) - 1}: {made.text or 'every event'}", *told)


def _hits_told(session: Session, made: Breakpoint) -> list[str]:
    """How often a breakpoint hits. The run is known, so one that never hits is reported at once.

    Raises:
        CommandError: its condition cannot be evaluated at any event.
    """
    hits = session.hits(made)
    if hits:
        counted = "1 event matches" if len(hits) == 1 else f"{len(hits)} events match"
        behind = "; all are behind: `[`" if hits[-1] <= session.cursor else ""
        return [f"{counted}: {_listed(hits)}{behind}"]
    failure = made.failure()
    if failure is not None:
        raise CommandError(f"this condition cannot be evaluated at any event: {failure}")
    if hits is None:
        return []
    return [f"no event of this run matches{_instead(session, made)}"]


def _listed(hits: Sequence[int]) -> str:
    shown = ", ".join(map(str, hits[:_HITS_LISTED]))
    return f"{shown} …" if len(hits) > _HITS_LISTED else shown


def _instead(session: Session, made: Breakpoint) -> str:
    """What to suggest for an op or a name that is not in the run."""
    if "differs" in made.text and session.trace is session.run:
        return ", which differs from itself nowhere: `set h@3 = 0` makes a branch"
    events, asked = session.trace.events, dict(re.findall(r"(op|name)=(\S+)", made.text))
    ops = sorted({event.op for event in events if event.op})
    if "op" in asked and not fnmatch.filter(ops, asked["op"]):
        close = get_close_matches(asked["op"], ops, n=3) or ops
        return f"; its ops are {', '.join(close[:_OPS_LISTED])}"
    names = session.queries.names.known()
    bare = asked.get("name", "").removeprefix(GRADIENT).partition("@")[0]
    if bare and not fnmatch.filter(names, bare):
        close = get_close_matches(bare, names, n=3) or names
        return f"; there is no {bare!r}, but {', '.join(close[:_OPS_LISTED])}"
    return ""


@command("delete [N]", "remove breakpoint N, or all of them")
def delete(session: Session, arguments: Arguments) -> Reply:
    return _remove(session.breakpoints, "breakpoint", arguments)


def _remove(items: list[Any], what: str, arguments: Arguments) -> Reply:
    if not arguments.text:
        items.clear()
        return said(f"no {what} is left")
    number = arguments.number()
    arguments.end()
    if number >= len(items):
        raise arguments.error(f"there is no {what} {number}")
    del items[number]
    return said(f"{what} {number} removed")
