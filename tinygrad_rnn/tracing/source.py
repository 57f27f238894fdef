"""Where in the user's code something happened, and what that code calls it."""

import ast
import linecache
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

_PACKAGE = __name__.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Source:
    """A line of the user's code."""

    file: str
    line: int

    @classmethod
    def of_caller(cls) -> "Source":
        """The innermost line outside this package."""
        frame = next(_user_frames())
        return cls(frame.f_code.co_filename, frame.f_lineno)

    @property
    def text(self) -> str:
        """The line itself, stripped; "" when the file is gone."""
        return linecache.getline(self.file, self.line).strip()

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def _user_frames() -> Iterator[FrameType]:
    """The frames outside this package, the innermost first; at least one."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] != _PACKAGE or frame.f_back is None:
            yield frame
        frame = frame.f_back


def variable_name(value: object) -> str | None:
    """The variable that holds `value` in the innermost frame of the user's code, if any."""
    frame = next(_user_frames())
    for variables in (frame.f_locals, frame.f_globals):
        for name, held in variables.items():
            if held is value and not name.startswith("_"):
                return name
    return None


def assigned_name(source: Source) -> str | None:
    """The one variable that a line assigns: "h" for `h = cell(x, h)`."""
    try:
        statement = ast.parse(source.text).body[0]
    except (SyntaxError, ValueError, IndexError):
        return None
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name
        case _:
            return None
