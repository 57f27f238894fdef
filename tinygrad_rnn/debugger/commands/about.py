"""Commands about the session and the run as a whole."""

from ..expressions import CommandError
from ..session import Session
from .arguments import Arguments
from .registry import command, named
from .replies import Help, Reply, one_line, said
from .searching import go_on

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
    source, lines = session.source_here(), session.source_lines(_LISTED_AROUND)
    if source is None or not lines:
        return said("this event has no line of source that can be read")
    marks = {source.line: "→"}
    numbered = (f"{marks.get(number, ' ')}{number:>4} {text}" for number, text in lines)
    return said(f"{source.file}:{source.line}", *numbered)


@command("where", "the calls that led to the line that ran, the innermost last")
def where(session: Session, arguments: Arguments) -> Reply:
    arguments.end()
    calls = session.calls()
    if not calls:
        return said("this event has no line of source")
    lines: list[str] = []
    for at, (file, line, name) in reversed(list(enumerate(calls))):
        mark = "→" if at == session.call_at(session.frame) else " "
        lines.append(f"{mark} {file}:{line} {name}".rstrip())
    return said(*lines)


@command("up [N]", "look at the line that called this one; `list` shows it")
def up(session: Session, arguments: Arguments) -> Reply:
    return _to_frame(session, arguments, +1, "the outermost call that was recorded")


@command("down [N]", "back to what it called")
def down(session: Session, arguments: Arguments) -> Reply:
    return _to_frame(session, arguments, -1, "the innermost call")


def _to_frame(session: Session, arguments: Arguments, way: int, end: str) -> Reply:
    count = arguments.number() if arguments.next else 1
    arguments.end()
    calls = session.calls()
    if not calls:
        return said("this event has no line of source")
    before, at = session.call_at(session.frame), session.call_at(session.frame + way * count)
    session.frame += at - before
    source, (file, line, name) = session.source_here(), calls[at]
    text = "" if source is None else source.text
    ends = [f"this is {end}"] if at == before else []
    return said(*ends, f"→ {file}:{line} {name}".rstrip(), f"  {text}")


@command(
    "/text",
    "go to the next event whose name, op or line contains the text; n and N repeat it",
    keys={"/": "/"},
    name="search",
)
def search(session: Session, arguments: Arguments) -> Reply:
    session.sought = text = arguments.text or session.sought
    if not text:
        raise CommandError(
            "search for what? /h finds the next event whose name, op or line contains h", "/", 1
        )
    session.is_searching = True
    return go_on(session, +1)


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
