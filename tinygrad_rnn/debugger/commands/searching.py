"""Going on with a search through the events."""

from ..events import name_written, source_of
from ..session import Session
from .replies import Reply, said


def go_on(session: Session, way: int, count: int = 1) -> Reply:
    """Continue a search, forward or back; at one end of the run it goes on from the other."""
    length, at = len(session.trace.events), session.cursor
    text, wrapped = session.sought, False
    for _ in range(count):
        ways = ((at + way * by) % length for by in range(1, length + 1))
        found = next((i for i in ways if _contains(session, i, text)), None)
        if found is None:
            return said(f"no event contains {text!r}")
        wrapped = wrapped or (found - at) * way <= 0
        at = found
    around = f"/{text}: past the {'end' if way > 0 else 'start'}, from the other"
    moved = session.move(at)
    return said(around, moved=moved) if wrapped else Reply(moved=moved)


def _contains(session: Session, index: int, text: str) -> bool:
    return any(text in part for part in _searched(session, index))


def _searched(session: Session, index: int) -> tuple[str, ...]:
    """What a search looks through at an event."""
    event = session.trace.events[index]
    source = source_of(event)
    name = name_written(session.queries, event) or ""
    return name, event.op or event.kind, "" if source is None else source.text
