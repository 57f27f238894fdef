"""Commands that compute with values: show them, test them, stop where they are so."""

import re
from typing import Any

from ..breakpoints import BREAK_HELP, parse_breakpoint
from ..session import Session
from .arguments import Arguments
from .registry import command
from .replies import Reply, Value, one_line, said


@command("select r,c", "the element that formulas are shown for")
def select(session: Session, arguments: Arguments) -> Reply:
    text = arguments.text.strip("[]")
    if not re.fullmatch(r"\d{1,9}(\s*,\s*\d{1,9})*", text, re.ASCII):
        raise arguments.error("an element: select 0,2")
    session.index = tuple(int(part) for part in text.split(","))
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
    "stop `continue` where all this is so; see `help break`",
    details=BREAK_HELP,
)
def break_(session: Session, arguments: Arguments) -> Reply:
    made = parse_breakpoint(arguments.line, arguments.start)
    session.breakpoints.append(made)
    return said(f"breakpoint {len(session.breakpoints) - 1}: {made.text or 'every event'}")


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
