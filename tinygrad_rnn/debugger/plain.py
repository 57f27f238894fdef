"""The debugger without a screen: command files, pipes, notebooks, and poor terminals."""

import re
from collections.abc import Callable, Iterable
from enum import IntEnum

from ..errors import TinygradError
from ..text import for_terminal
from ..tracing.recording.event import Failure
from . import views
from .commands import Reply, execute
from .expressions import CommandError
from .session import Session

PROMPT = "(tg) "
WIDTH = 100

Write = Callable[[str], object]


class Exit(IntEnum):
    """How a run of commands ended."""

    OK = 0
    ASSERTION_FAILED = 1
    USAGE = 2


class Transcript:
    """Runs commands, and writes each with its answer as plain text."""

    def __init__(
        self, session: Session, write: Write, *, width: int = WIDTH, ascii_only: bool = False
    ) -> None:
        self.session, self.width = session, width
        self._write, self._ascii = write, ascii_only
        self.exit = Exit.OK

    def show_position(self) -> None:
        """The event at the cursor, with its formula."""
        session = self.session
        try:
            about = str(session.why_here()).split("\n")
        except TinygradError:
            event = session.event
            about = event.message.splitlines() if isinstance(event, Failure) else []
        self.put([views.title(session)])
        self.put(f"  {line}" for line in about)
        self.put(f"  set here: {text}" for text in session.set_here)
        self.put(f"  | {line}" for line in session.printed().splitlines())

    def put(self, texts: Iterable[str]) -> None:
        """Write lines."""
        for text in texts:
            shown = for_terminal(text)
            if self._ascii:
                shown = views.plain_ascii(shown)
            self._write(shown.rstrip() + "\n")

    def run(self, line: str) -> bool:
        """Run one command; returns whether to go on."""
        try:
            reply = execute(self.session, line)
        except TinygradError as error:
            self.exit = Exit.USAGE
            self.put(error.lines() if isinstance(error, CommandError) else [str(error)])
            return True
        self._answer(reply)
        return not reply.quit

    def _answer(self, reply: Reply) -> None:
        if reply.failed:
            self.exit = max(self.exit, Exit.ASSERTION_FAILED)
        self.put(text.plain for text in views.answer(self.session, reply.answer, self.width))
        self.put([reply.note] if reply.note else [])
        if reply.moved:
            self.show_position()


def command_lines(data: bytes) -> list[str]:
    """The lines of a command file, whatever editor and system it was written with.

    Raises:
        CommandError: it is not a text.
    """
    marks = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
    try:
        return data.decode(marks.get(data[:2], "utf-8-sig")).splitlines()
    except UnicodeDecodeError as error:
        raise CommandError(f"the command file is not UTF-8 or UTF-16 text: {error}") from None


_COMMENT = re.compile(r"\s#\s.*$")


def run_commands(
    session: Session, lines: Iterable[str], write: Write, *, ascii_only: bool = False
) -> Exit:
    """Run a command file; stops at the first line that cannot be run.

    Returns:
        OK; ASSERTION_FAILED where an `assert` did not hold; USAGE where a line was wrong.
    """
    transcript = Transcript(session, write, ascii_only=ascii_only)
    transcript.show_position()
    for line in lines:
        text = _COMMENT.sub("", line).strip()
        if not text or text.startswith("#"):
            continue
        transcript.put([PROMPT + text])
        if not transcript.run(text) or transcript.exit is Exit.USAGE:
            break
    return transcript.exit


def run_prompt(
    session: Session, read: Callable[[str], str], write: Write, *, ascii_only: bool = False
) -> Exit:
    """Ask for commands until `quit` or the end of input; a mistake is reported, and asked again."""
    transcript = Transcript(session, write, ascii_only=ascii_only)
    transcript.show_position()
    while True:
        try:
            line = read(PROMPT)
        except (EOFError, KeyboardInterrupt):
            break
        except OSError as error:  # as where a test runner has taken stdin
            transcript.put([f"no commands can be read here: {error}"])
            break
        if not transcript.run(line):
            break
    return Exit.OK
