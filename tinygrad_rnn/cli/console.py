"""What commands share: exit codes, types of options, a console, untrusted text made safe."""

from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import TinygradError
from ..text import for_terminal

if TYPE_CHECKING:
    from rich.console import Console

NO = 1  # the answer is no: a check failed, a script raised
USAGE = 2
INTERRUPTED = 130  # as a shell reports a program that Ctrl-C ended


class _Path(click.Path):
    """A path that a file system can have."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if "\0" in str(value):
            self.fail("a path cannot have a null character", param, ctx)
        return super().convert(value, param, ctx)


PATH = _Path(path_type=Path)
COUNT = click.IntRange(1)


class Finite(click.FloatRange):
    """A number in a range, finite: NaN would pass every comparison."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        is_number = False
        with suppress(ValueError):
            is_number = isfinite(float(value))
        if not is_number:
            range = f"{self.min:g} or more" if self.max is None else f"{self.min:g} to {self.max:g}"
            self.fail(f"{value!r} is not a finite number in the range {range}.", param, ctx)
        return super().convert(value, param, ctx)


def read_size(context: Any, parameter: click.Parameter, text: str | None) -> int | None:
    """An option's number of bytes."""
    from ..tracing.recording.held import parse_size

    try:
        return None if text is None else parse_size(text)
    except TinygradError as error:
        raise click.BadParameter(str(error)) from None


def console(**options: Any) -> "Console":
    """A console of rich's, to which ":smile:" is seven characters."""
    from rich.console import Console

    return Console(**options, emoji=False)


def markup(text: str, multiline: bool = False) -> str:
    """The text as rich prints it literally."""
    from rich.markup import escape

    shown = for_terminal(text, multiline=multiline)
    body = shown.rstrip("\\")
    if body == shown:
        return escape(shown)
    # Before a tag two stand for one; so that they are before one, whatever follows, here is one.
    return escape(body) + (len(shown) - len(body)) * "\\\\" + "[dim][/dim]"
