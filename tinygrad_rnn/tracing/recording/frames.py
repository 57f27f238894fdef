"""Whose code a frame runs: the user's, this package's, or that of the machinery between."""

import dis
import sys
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from types import CodeType, FrameType

from ...nn.module import Module

_PACKAGE = __name__.partition(".")[0]
FOLDER = sys.modules[_PACKAGE].__path__[0]
_MACHINERY = (f"{_PACKAGE}.autograd", f"{_PACKAGE}.onnx", f"{_PACKAGE}.tracing", "numpy")
_COMMANDS = f"{_PACKAGE}.cli"
MACHINE, _OURS, USERS, COMMAND_LINE = range(4)  # whose code it is, see `_owner`
# A helper function's result is named where the helper was called, or a few calls further out.
CALLERS_KEPT = 4
Frames = tuple[tuple[CodeType, int], ...]


def outermost(innermost: FrameType) -> tuple[CodeType, int]:
    """The outermost call that is not of the command line's own."""
    frame = innermost
    while frame.f_back is not None and owner_of(frame.f_back) != COMMAND_LINE:
        frame = frame.f_back
    return frame.f_code, frame.f_lasti


def line_of(code: CodeType, instruction: int) -> int:
    """The line that an instruction stands in, as `frame.f_lineno`."""
    lines = (line for first, end, line in code.co_lines() if first <= instruction < end)
    return next(lines, None) or code.co_firstlineno


@lru_cache(maxsize=1024)
def _starts(code: CodeType) -> list[int]:
    """Where each instruction begins; the two that Python 3.11 calls by are one."""
    instructions = list(dis.get_instructions(code))
    halves = {last for first, last in pairwise(instructions) if first.opname == "PRECALL"}
    return [one.offset for one in instructions if one not in halves]


def start_of(code: CodeType, instruction: int) -> int:
    """Where an instruction begins: once it has run often Python names it by its end, too.

    Or a call by its first half alone.
    """
    starts = _starts(code)
    return starts[bisect_right(starts, instruction) - 1]


MODULE_CALL = Module.__call__.__code__
# file -> whose code it is
owners: dict[str, int] = {}


def owner_of(frame: FrameType) -> int:
    """Whose code a frame runs."""
    file, owner = frame.f_code.co_filename, _owner(frame.f_globals.get("__name__", ""))
    if not file.startswith("<"):  # what has no file may be anybody's
        owners[file] = owner
    return owner


@lru_cache(maxsize=4096)
def _owner(module: str) -> int:
    """Whose code a module is.

    The machine is NumPy, and what runs and records ops. The rest of this package is ours: its
    variables name values too. What called the command line is no code of the user's.
    """
    if module.partition(".")[0] not in (_PACKAGE, "numpy"):
        return USERS
    if module.startswith(_COMMANDS):
        return COMMAND_LINE
    return MACHINE if module.startswith(_MACHINERY) else _OURS


def user_frames() -> Iterator[FrameType]:
    """The frames outside this package, the innermost first; if there is none, the outermost."""
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    owner = _owner(frame.f_globals.get("__name__", ""))
    while frame is not None and owner != COMMAND_LINE:
        outer = frame.f_back
        outside = COMMAND_LINE if outer is None else _owner(outer.f_globals.get("__name__", ""))
        if owner == USERS or outside == COMMAND_LINE:
            yield frame
        frame, owner = outer, outside


def our_frames() -> Iterator[FrameType]:
    """The innermost frames of this package's layers."""
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None and (owner := _owner(frame.f_globals.get("__name__", ""))) != USERS:
        if owner == _OURS:
            yield frame
        frame = frame.f_back


def is_module_call(frame: FrameType) -> bool:
    """Whether a frame is a call of a module."""
    return frame.f_code is MODULE_CALL
