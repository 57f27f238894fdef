"""Running a person's own script under recording."""

import io
import os
import runpy
import sys
import traceback
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ..autograd.switches import observed
from ..files import read_regular
from .recording.event import Failure
from .recording.recorder import Recorder
from .recording.run import Run
from .recording.source import Source, forget_files
from .trace import Trace, traced

_PRINTED_MOST = 1_000_000  # characters of output that are kept


@dataclass(frozen=True, slots=True)
class ScriptRun:
    """What a script computed, and how it ended: `error` is the exception it raised, if any."""

    trace: Trace
    error: BaseException | None


class _Enough(BaseException):
    """Ends a script whose recording is complete; its own `except Exception` does not catch it."""


def run_script(
    path: Path,
    arguments: Sequence[str] = (),
    *,
    until_nan: bool = False,
    steps: tuple[int, int] | None = None,
    echo: TextIO | None = None,
    keep_output: bool = False,
    max_memory: int | str | None = None,
) -> ScriptRun:
    """Run a Python script as `__main__` and record all that it computes, until it ends or raises.

    Ctrl-C ends it too: what was recorded by then is kept. `sys.exit(0)` is a normal end.

    Args:
        path: of the script.
        arguments: its own, behind its name in `sys.argv`.
        until_nan: end it at the first event that writes a NaN or an infinity.
        steps: keep these training steps alone, the first and the last counted from 0, and end it
            after them. A step ends where something is computed again after a backward pass.
        echo: where its output also goes while it runs.
        keep_output: put what it prints into `trace.printed`, by event; its exception becomes the
            last event.
        max_memory: as `trace` takes it.

    Raises:
        OSError: the script cannot be read.
        TraceError: `max_memory` is no size.
    """
    read_regular(path)  # a missing file is our caller's error, not the script's
    forget_files()
    process = os.getpid()
    error: BaseException | None = None
    with (
        _as_main(path, arguments),
        traced(max_memory) as (trace, recorder),
        _limited(recorder, until_nan, steps),
    ):
        with _kept_output(recorder.run, echo, keep_output):
            error = _run(path)
        if keep_output and error is not None:
            _add_error(recorder, error)
    if os.getpid() != process:
        # a child that the script forked came to the script's end here: it is not the debugger
        sys.stdout.flush()
        os._exit(int(error is not None))
    return ScriptRun(trace, error)


def _run(path: Path) -> BaseException | None:
    try:
        runpy.run_path(str(path), run_name="__main__")
    except _Enough:
        return None
    except SystemExit as exit:
        return exit if exit.code not in (None, 0) else None
    except (Exception, KeyboardInterrupt) as raised:
        return raised
    return None


def _add_error(recorder: Recorder, error: BaseException) -> None:
    """Make the exception the last event, unless an op's refusal that is it already stands there."""
    message = str(error)
    match recorder.run.events[-1:]:
        case [Failure(message=refusal)] if refusal == message:
            return
        case _:
            pass
    frames = traceback.extract_tb(error.__traceback__)
    package = str(Path(__file__).parents[1])
    own = [f for f in frames if not f.filename.startswith((package, "<frozen"))]
    source = Source(own[-1].filename, own[-1].lineno or 1) if own else None
    if isinstance(error, KeyboardInterrupt):
        message = "Ctrl-C ended the script here"
    recorder.fail(f"{type(error).__name__}: {message}", source)


# Where it ends


@contextmanager
def _limited(
    recorder: Recorder, until_nan: bool, steps: tuple[int, int] | None
) -> Generator[None, None, None]:
    """Watch what is recorded, and end the script where that is enough."""
    watches: list[Callable[[str], None]] = []
    if until_nan:
        watches.append(lambda kind: _stop_at_nan(recorder.run))
    if steps is not None:
        watches.append(_Steps(recorder, *steps).watch)
    if not watches:
        yield
        return

    def observer(kind: str, *facts: Any) -> None:
        for watch in watches:
            watch(kind)

    with observed(observer):
        yield


def _stop_at_nan(run: Run) -> None:
    value = run.events[-1].value if run.events else None
    if value is not None and value.dtype.kind == "f" and not np.isfinite(value).all():
        raise _Enough


class _Steps:
    """Counts training steps, and keeps those from `first` to `last`."""

    def __init__(self, recorder: Recorder, first: int, last: int) -> None:
        self.recorder, self.first, self.last = recorder, first, last
        self.step, self.passed = 0, False

    def watch(self, kind: str) -> None:
        if kind == "forward" and self.passed:
            self.step, self.passed = self.step + 1, False
            if self.step > self.last:
                self.recorder.run.events.pop()
                raise _Enough
            if self.step <= self.first:
                self.recorder.forget(keep_last=1)
        self.passed = self.passed or kind == "seed"


# What it prints


class _Kept(io.TextIOBase):
    """A stream that files what is written by the event after which it was written."""

    def __init__(self, run: Run, echo: TextIO | None) -> None:
        self._run, self._echo, self._room = run, echo, _PRINTED_MOST

    def write(self, text: str, /) -> int:
        if self._echo is not None:
            self._echo.write(text)
        kept = text[: self._room]
        self._room -= len(kept)
        at = max(len(self._run.events) - 1, 0)
        if kept:
            self._run.printed[at] = self._run.printed.get(at, "") + kept
        return len(text)

    def flush(self) -> None:
        if self._echo is not None:
            self._echo.flush()


@contextmanager
def _kept_output(run: Run, echo: TextIO | None, keep: bool) -> Generator[None, None, None]:
    if not keep:
        yield
        return
    stream: Any = _Kept(run, echo)
    with redirect_stdout(stream), redirect_stderr(stream):
        yield


@contextmanager
def _as_main(path: Path, arguments: Sequence[str]) -> Generator[None, None, None]:
    """`sys.argv` and `sys.path` as Python itself sets them for a script."""
    argv, paths = sys.argv, sys.path
    sys.argv, sys.path = [str(path), *arguments], [str(path.resolve().parent), *sys.path]
    try:
        yield
    finally:
        sys.argv, sys.path = argv, paths
