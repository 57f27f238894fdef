"""Running a user's own script under recording."""

import codecs
import io
import linecache
import math
import os
import runpy
import sys
import sysconfig
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO, cast

import numpy as np

from ..autograd.switches import observed, switched
from ..errors import TraceError, said
from ..files import read_regular
from .recording.event import Event, Failure, Forward, Vjp
from .recording.recorder import Recorder
from .recording.run import Run
from .recording.source import Source, forget_files
from .recording.steps import Steps
from .trace import Trace, traced

_PRINTED_MOST = 1_000_000  # characters of output that are kept
_CALLS_MOST = 50  # of the stack of an exception


@dataclass(frozen=True, slots=True)
class ScriptRun:
    """What a script computed, and how it ended: `error` is the exception it raised, if any."""

    trace: Trace
    error: BaseException | None
    trained: int = 0  # training steps, as far as it ran

    @property
    def exit_code(self) -> int:
        """What Python would have ended with."""
        match self.error:
            case None:
                return 0
            case SystemExit(code=int() as code):
                return code
            case KeyboardInterrupt():
                return 130
            case _:
                return 1


class _Enough(BaseException):
    """Ends a script whose recording is complete; its own `except Exception` does not catch it."""


def run_script(
    script: Path | str,
    arguments: Sequence[str] = (),
    *,
    until_nan: bool = False,
    steps: tuple[int, int] | None = None,
    last_step: bool = False,
    echo: TextIO | None = None,
    keep_output: bool = False,
    max_memory: int | str | None = None,
) -> ScriptRun:
    """Run a Python script as `__main__` and record all that it computes, until it ends or raises.

    Ctrl-C ends it too: what was recorded by then is kept. `sys.exit(0)` is a normal end.

    Args:
        script: its path, or the name of a module, which is run as `python -m` does.
        arguments: its own, after its name in `sys.argv`.
        until_nan: end it at the first event that writes a NaN or an infinity.
        steps: keep these training steps alone, the first and the last counted from 0, and end it
            in the backward pass after them; without updates of parameters, where it ends itself.
        last_step: of a script that trains keep the last step alone, and what came after it.
        echo: where its output also goes while it runs.
        keep_output: put what it prints into `trace.printed`, by event; its exception becomes the
            last event.
        max_memory: as `trace` takes it.

    Raises:
        OSError: the script cannot be read.
        TraceError: `max_memory` is not a size.
    """
    forget_files()
    if isinstance(script, Path):
        read_regular(script)  # a missing file is our caller's error, not the script's
        linecache.getlines(str(script))  # it may change the folder, in which its path is found
    process = os.getpid()
    error: BaseException | None = None
    with (
        _as_main(script, arguments),
        traced(max_memory) as (trace, recorder),
        _limited(recorder, until_nan, steps, last_step),
    ):
        with _kept_output(recorder, echo, keep_output):
            error = _run(script)
        if keep_output and error is not None:
            _add_error(recorder, error)
    if os.getpid() != process:
        # a child that the script forked came to the script's end here: it is not the debugger
        sys.stdout.flush()
        os._exit(int(error is not None))
    trained = recorder.run.forgotten_steps + Steps(recorder.run.events).trained
    if steps is not None:
        _keep_steps(recorder, *steps)
    return ScriptRun(trace, error, trained)


def _run(script: Path | str) -> BaseException | None:
    try:
        if isinstance(script, Path):
            runpy.run_path(str(script), run_name="__main__")
        else:
            runpy.run_module(script, run_name="__main__", alter_sys=True)
    except _Enough:
        return None
    except SystemExit as exit:
        is_normal = exit.code is None or (isinstance(exit.code, int) and exit.code == 0)
        return None if is_normal else exit
    except BaseException as raised:  # whatever ended it: what was recorded is there to look at
        return raised
    return None


def _add_error(recorder: Recorder, error: BaseException) -> None:
    """Make the exception the last event, unless an op's refusal that is it already stands there."""
    match recorder.run.events[-1:]:
        case [Failure(message=refusal)] if refusal == _message(error):
            return
        case _:
            pass
    recorder.fail("\n".join(_told(error)), _raised_at(error))


def _message(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "Ctrl-C ended the script here"
    return said(error)


def _told(error: BaseException) -> list[str]:
    """An exception with its notes, what it holds where it is a group, and what it came from."""
    lines = [f"{type(error).__name__}: {_message(error)}"]
    lines += [said(note) for note in getattr(error, "__notes__", ())]
    if isinstance(error, BaseExceptionGroup):
        members: Sequence[BaseException] = cast(Any, error).exceptions
        lines += [f"| {line}" for member in members for line in _told(member)]
    cause = error.__cause__
    if cause is None and not error.__suppress_context__:
        cause = error.__context__
    if cause is not None:
        first, *more = _told(cause)
        lines += [f"caused by {first}", *more]
    return lines


def _raised_at(error: BaseException) -> Source | None:
    """The user's own line that was running, with the calls that led to it."""
    package = str(Path(__file__).parents[1])
    steps: list[TracebackType] = []
    step = error.__traceback__
    while step is not None:
        if not step.tb_frame.f_code.co_filename.startswith((package, "<frozen")):
            steps.append(step)
        step = step.tb_next
    if not steps:
        return None
    library = tuple({path for path in sysconfig.get_paths().values() if path})
    own = [x for x in steps if not x.tb_frame.f_code.co_filename.startswith(library)]
    kept = steps[: steps.index(own[-1]) + 1] if own else steps
    calls = tuple((x.tb_frame.f_code, x.tb_lasti) for x in reversed(kept[-_CALLS_MOST:]))
    return Source(kept[-1].tb_frame.f_code.co_filename, kept[-1].tb_lineno, calls)


# Where it ends


@contextmanager
def _limited(
    recorder: Recorder, until_nan: bool, steps: tuple[int, int] | None, last_step: bool
) -> Generator[None, None, None]:
    """Watch what is recorded, and end the script where that is enough."""
    watches: list[Callable[[str], None]] = []
    if until_nan:
        watches.append(lambda kind: _stop_at_nan(recorder.run))
    if steps is not None:
        watches.append(_Steps(recorder, *steps).watch)
    elif last_step:
        watches.append(_Steps(recorder, math.inf, math.inf).watch)
    if not watches:
        yield
        return

    def observer(kind: str, *facts: Any) -> None:
        for watch in watches:
            watch(kind)

    with observed(observer):
        yield


def _stop_at_nan(run: Run) -> None:
    """End the script at a NaN, or at an infinity that an op made; one that was given is meant."""
    event = run.events[-1] if run.events else None
    value = None if event is None else event.value
    if event is None or value is None or value.dtype.kind != "f" or np.isfinite(value).all():
        return
    if np.isnan(value).any() or not _was_given(event):
        raise _Enough


def _was_given(event: Event) -> bool:
    """Whether the infinities of a value are those of what it was made from, as of a mask of -inf.

    They are, if there are none with ones in their places.
    """
    if not isinstance(event, Forward | Vjp):
        return True  # of what was handed on, or of a leaf
    node = event.subject
    operands = [_without_inf(operand) for operand in node.operands]
    cotangent = _without_inf(event.cotangent) if isinstance(event, Vjp) else None
    is_same = all(a is b for a, b in zip(operands, node.operands, strict=True))
    if is_same and (not isinstance(event, Vjp) or cotangent is event.cotangent):
        return False
    assert node.rule is not None
    with switched(observers=(), recording=False), np.errstate(), np.errstate(all="ignore"):
        if isinstance(event, Vjp):
            again = node.rule.vjp(event.slot, cotangent, node.data, operands, node.options)
        else:
            again = node.rule.forward(*node.rule.given(operands), **node.options)
    return not np.isinf(np.asarray(again)).any()


def _without_inf(value: Any) -> Any:
    if not np.isinf(value).any():
        return value
    return np.where(np.isinf(value), np.ones((), np.asarray(value).dtype), value)


class _Steps:
    """Counts training steps that end in an update, and lets go of those before `first`."""

    def __init__(self, recorder: Recorder, first: float, last: float) -> None:
        self.recorder, self.first, self.last = recorder, first, last
        self.step, self._steps = 0, Steps()

    def watch(self, kind: str) -> None:
        events = self.recorder.run.events
        if not events or kind not in _COUNTED or not self._steps.add(events[-1]):
            return
        self.step += 1
        if self.step > self.last:
            raise _Enough
        if self.step <= self.first:
            self.recorder.forget(keep_last=len(events) - self._steps.starts[-1])
            self.recorder.run.forgotten_steps = self.step
            self._steps = Steps()
            for event in events:
                self._steps.add(event)


_COUNTED = ("forward", "seed", "accumulate", "update", "zero")


def _keep_steps(recorder: Recorder, first: int, last: int) -> None:
    """Let go of all that is no event of these steps, now that all of them are known.

    Raises:
        TraceError: there were fewer steps.
    """
    run = recorder.run
    steps, before = Steps(run.events), run.forgotten_steps
    count = before + steps.trained
    if first >= before + len(steps):
        raise TraceError(
            f"the run has {count} training steps, 0 to {count - 1}: there is no {first}"
        )
    if last - before + 1 < len(steps):
        del run.events[steps.first(last - before + 1) :]
        run.notes[:] = [note for note in run.notes if note.after <= len(run.events)]
    start = steps.first(first - before)
    if start:
        recorder.forget(keep_last=len(run.events) - start)
    run.forgotten_steps = first


# What it prints


class _Printed:
    """What was printed, filed by the event after which it was written."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder, self._room = recorder, _PRINTED_MOST

    def add(self, text: str) -> None:
        kept = text[: max(self._room, 0)]
        if self._room >= 0 and len(text) > self._room:
            kept += "\n… what was printed after this is not kept"
            self._room = -1
        else:
            self._room -= len(text)
        run = self._recorder.run
        at = max(len(run.events) - 1, 0)
        if kept:
            run.printed[at] = run.printed.get(at, "") + kept


class _Bytes(io.RawIOBase):
    """The bytes below a stream: filed as text, and passed on where the stream is shown."""

    def __init__(self, below: TextIO, printed: _Printed, echo: TextIO | None) -> None:
        self._below, self._printed, self._echo = below, printed, echo
        encoding = getattr(below, "encoding", None) or "utf-8"
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        text = self._decoder.decode(bytes(data))
        self._printed.add(text)
        if self._echo is not None:
            self._echo.write(text)
        return len(data)

    def flush(self) -> None:
        if self._echo is not None:
            self._echo.flush()

    def fileno(self) -> int:
        return self._below.fileno()

    def isatty(self) -> bool:
        return self._echo is not None and self._echo.isatty()


def _stream(below: TextIO, printed: _Printed, echo: TextIO | None) -> io.TextIOWrapper:
    """A stream that has all that Python's own has: a buffer, an encoding, a number."""
    raw: Any = _Bytes(below, printed, echo)
    encoding = getattr(below, "encoding", None) or "utf-8"
    errors = getattr(below, "errors", None) or "strict"
    return io.TextIOWrapper(
        io.BufferedWriter(raw, 1), encoding, errors, line_buffering=True, write_through=True
    )


# Kept for good: a thread of the script may be in the middle of a print() when the script ends, and
# print() holds no reference to the stream that it writes to.
_STREAMS: list[io.TextIOWrapper] = []


@contextmanager
def _kept_output(
    recorder: Recorder, echo: TextIO | None, keep: bool
) -> Generator[None, None, None]:
    if not keep:
        yield
        return
    printed = _Printed(recorder)
    out, err = (_stream(below, printed, echo) for below in (sys.stdout, sys.stderr))
    _STREAMS.extend((out, err))
    with redirect_stdout(out), redirect_stderr(err):
        try:
            yield
        finally:
            for stream in (out, err):
                with suppress(ValueError, OSError):  # the script may have closed it
                    stream.flush()


@contextmanager
def _as_main(script: Path | str, arguments: Sequence[str]) -> Generator[None, None, None]:
    """`sys.argv`, `sys.path` and the folder as Python itself sets them, and then as they were."""
    argv, paths, folder = sys.argv, sys.path, os.getcwd()
    found_in = str(script.resolve().parent) if isinstance(script, Path) else folder
    sys.argv, sys.path = [str(script), *arguments], [found_in, *sys.path]
    try:
        yield
    finally:
        sys.argv, sys.path = argv, paths
        with suppress(OSError):
            os.chdir(folder)
