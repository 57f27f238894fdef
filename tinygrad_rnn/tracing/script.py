"""Running a person's own script under recording."""

import runpy
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .trace import Trace, trace


@dataclass(frozen=True, slots=True)
class ScriptRun:
    """What a script computed, and how it ended: `error` is the exception it raised, if any."""

    trace: Trace
    error: BaseException | None


def run_script(path: Path, arguments: Sequence[str] = ()) -> ScriptRun:
    """Run a Python script as `__main__` and record all that it computes, until it ends or raises.

    Ctrl-C ends it too: what was recorded by then is kept. `sys.exit(0)` is a normal end.

    Raises:
        OSError: the script cannot be read.
    """
    path.read_bytes()  # a missing file is our caller's error, not the script's
    error: BaseException | None = None
    with _as_main(path, arguments), trace() as recorded:
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as exit:
            error = exit if exit.code not in (None, 0) else None
        except (Exception, KeyboardInterrupt) as raised:
            error = raised
    return ScriptRun(recorded, error)


@contextmanager
def _as_main(path: Path, arguments: Sequence[str]) -> Generator[None, None, None]:
    """`sys.argv` and `sys.path` as Python itself sets them for a script."""
    argv, paths = sys.argv, sys.path
    sys.argv, sys.path = [str(path), *arguments], [str(path.resolve().parent), *sys.path]
    try:
        yield
    finally:
        sys.argv, sys.path = argv, paths
