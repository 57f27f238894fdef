"""Opening the debugger: on its screen where there is one, else with a prompt."""

import asyncio
import os
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress

from ..tracing.recording.event import Failure
from ..tracing.trace import Trace
from .plain import Exit, run_commands, run_prompt
from .session import Session


def debug_trace(trace: Trace, at: int | None = None, *, plain: bool = False) -> int:
    """Open the debugger on a recorded run, until the user leaves it. Returns 0, or 1 if it failed.

    Args:
        trace: the run.
        at: the event to begin at; by default the first, or the last if that is an error.
        plain: use a prompt even if there is a screen.

    Raises:
        TraceError: nothing was recorded.
    """
    session = Session(trace, beginning(trace) if at is None else at)
    if not plain and has_screen() and (reason := _why_no_screen()):
        sys.stdout.write(f"{reason}: a prompt in place of the screen\n")
        plain = True
    if plain or not has_screen():
        _edit_lines()
        return run_prompt(session, input, sys.stdout.write, ascii_only=not speaks_unicode())
    from .app import run_app

    return run_app(session)


def _why_no_screen() -> str:
    """Why the screen cannot be opened though there is one; "" where it can."""
    if threading.current_thread() is not threading.main_thread():
        return "this is not the main thread"
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return ""
    return "an event loop is running here"


def _edit_lines() -> None:
    """Let lines be edited and recalled. Without it Python's prompt also goes to stderr."""
    if sys.stdin.isatty():
        # Windows has it in the console.
        with suppress(ImportError):
            import readline  # noqa: F401


def debug_with_commands(trace: Trace, commands: Iterable[str]) -> Exit:
    """Run a command file on a recorded run, and write the transcript to stdout.

    Raises:
        TraceError: nothing was recorded.
    """
    return run_commands(Session(trace), commands, sys.stdout.write, ascii_only=not speaks_unicode())


def beginning(trace: Trace) -> int:
    """Where to begin: at the error that a run ends with, else at its first event."""
    ends_in_error = bool(trace.events) and isinstance(trace.events[-1], Failure)
    return len(trace.events) - 1 if ends_in_error else 0


def has_screen() -> bool:
    """Whether the app can be drawn and typed into; Textual draws on stderr, so all three count."""
    if is_driven():
        return True
    streams = (sys.__stdin__, sys.__stdout__, sys.__stderr__)
    terminals = all(stream is not None and stream.isatty() for stream in streams)
    # As a test runner does, which then holds what is written and lets nothing be read.
    if sys.stdin is not sys.__stdin__ or sys.stdout is not sys.__stdout__:
        return False
    return terminals and os.environ.get("TERM") != "dumb" and speaks_unicode()


def is_driven() -> bool:
    """Whether another program draws the app, as textual-serve does in a browser."""
    return bool(os.environ.get("TEXTUAL_DRIVER"))


def speaks_unicode() -> bool:
    """Whether stdout can be given more than ASCII."""
    encoding = getattr(sys.__stdout__, "encoding", None) or "ascii"
    return encoding.lower().replace("-", "").startswith("utf")
