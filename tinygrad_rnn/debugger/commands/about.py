"""Commands about the session and the run as a whole."""

from ..events import name_written, source_of
from ..expressions import CommandError
from ..session import Session
from .arguments import Arguments
from .registry import command, named
from .replies import Help, Reply, one_line, said

_LISTED_AROUND = 5  # lines of source before and after the one that ran


@command("info", "breakpoints, watches and what the recording holds", keys="i")
def info(session: Session, arguments: Arguments) -> Reply:
    arguments.end()
    lines = [f"event {session.cursor} of {session.last}", session.memory]
    for i, breakpoint in enumerate(session.breakpoints):
        lines.append(f"breakpoint {i}: {breakpoint.text or 'every event'}")
    for i, (text, value) in enumerate(session.watched()):
        lines.append(f"watch {i}: {text} = {one_line(value)}")
    for call in sorted(session.folded, key=lambda call: call.id):
        lines.append(f"folded: {'.'.join(around.name for around in call.chain())}")
    return said(*lines)


@command("list", "the source around the line that ran")
def list_(session: Session, arguments: Arguments) -> Reply:
    arguments.end()
    source, lines = source_of(session.event), session.source_lines(_LISTED_AROUND)
    if source is None or not lines:
        return said("this event has no line of source that can be read")
    marks = {source.line: "→"}
    numbered = (f"{marks.get(number, ' ')}{number:>4} {text}" for number, text in lines)
    return said(f"{source.file}:{source.line}", *numbered)


@command("where", "the calls that led to the line that ran, the innermost last")
def where(session: Session, arguments: Arguments) -> Reply:
    arguments.end()
    source = source_of(session.event)
    if source is None:
        return said("this event has no line of source")
    # Python's own calls, which ran the script, are none of the user's.
    calls = [call for call in source.calls() if not call[0].startswith("<frozen")]
    calls = calls or [(source.file, source.line, "")]
    return said(*(f"{file}:{line} {name}".rstrip() for file, line, name in reversed(calls)))


@command(
    "/text",
    "go to the next event whose name, op or line contains the text",
    keys={"/": "/"},
    name="search",
)
def search(session: Session, arguments: Arguments) -> Reply:
    session.sought = text = arguments.text or session.sought
    if not text:
        raise CommandError(
            "search for what? /h finds the next event whose name, op or line contains h", "/", 1
        )
    events = session.trace.events
    after = session.cursor + 1
    for index in (*range(after, len(events)), *range(after)):
        if any(text in part for part in _searched(session, index)):
            return Reply(moved=session.move(index))
    return said(f"no event contains {text!r}")


def _searched(session: Session, index: int) -> tuple[str, ...]:
    """What a search looks through at an event."""
    event = session.trace.events[index]
    source = source_of(event)
    name = name_written(session.queries, event) or ""
    return name, event.op or event.kind, "" if source is None else source.text


@command("help [COMMAND]", "this list", keys="?")
def help(session: Session, arguments: Arguments) -> Reply:
    if not arguments.text:
        return Reply(Help())
    about = named(arguments.text, arguments.line)
    keys = [f"key {key}: {line}" for key, line in about.keys]
    return said(f"{about.usage}: {about.summary}", *keys, *about.details.splitlines())


@command("quit", "leave", keys="q")
def quit(session: Session, arguments: Arguments) -> Reply:
    arguments.end()
    return Reply(quit=True)
