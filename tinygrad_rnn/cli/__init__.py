"""The command line: one file a verb. What is slow to import is imported inside the command."""

import io
import os
import sys
from contextlib import suppress
from typing import Any

import click

from ..errors import TinygradError, cut, said
from ..text import for_terminal
from .bench import bench
from .check import check
from .console import INTERRUPTED, USAGE
from .debug import debug
from .demo import demo
from .draw import draw
from .exercise import exercise
from .explain import explain
from .study import study
from .train import sample, train


class _Refusal(click.ClickException):
    """What went wrong, in one line on stderr."""

    exit_code = USAGE

    def __init__(self, error: Exception) -> None:
        message = said(error)
        if isinstance(error, MemoryError):
            message = f"out of memory: {message}".removesuffix(": ")
        if isinstance(error, OSError) and error.strerror:
            where = error.filename or "output"  # a stream has no name
            message = f"{where}: {error.strerror}"
        super().__init__(for_terminal(message))


def _shown(error: click.UsageError) -> click.UsageError:
    """A refusal of click's, which repeats what was typed."""
    message = cut(for_terminal(error.format_message()))
    error.format_message = lambda: message
    return error


class _Commands(click.Group):
    """Turns errors made on purpose into one line, unless the traceback is asked for."""

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        try:
            return super().make_context(*args, **options)
        except click.UsageError as error:
            raise _shown(error) from None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise _shown(error) from None
        except BrokenPipeError:
            # Whoever read the output has seen enough; click ends without a word.
            raise
        except KeyboardInterrupt:
            if ctx.params["traceback"]:
                raise
            click.echo("Interrupted.", err=True)
            ctx.exit(INTERRUPTED)
        except (TinygradError, OSError, MemoryError) as error:
            if ctx.params["traceback"]:
                raise
            raise _Refusal(error) from None


_EVERYWHERE = {"help_option_names": ["-h", "--help"], "show_default": True}


@click.group(cls=_Commands, context_settings=_EVERYWHERE)
@click.option("--traceback", is_flag=True, help="Show the whole traceback of an error.")
@click.version_option(package_name="tinygrad-rnn")
def cli(traceback: bool) -> None:
    """Recurrent networks whose every number can be seen, stepped through and explained."""


for _command in (bench, check, debug, demo, draw, exercise, explain, sample, study, train):
    cli.add_command(_command)


def main() -> None:
    """Run the command line; characters that the terminal cannot show become question marks."""
    _open_closed_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    if isinstance(sys.stderr, io.TextIOWrapper):
        messages = io.BufferedWriter(_Messages(sys.stderr.fileno(), "w", closefd=False))
        encoding = sys.stderr.encoding
        sys.stderr = io.TextIOWrapper(messages, encoding, "replace", line_buffering=True)
    try:
        try:
            cli(prog_name="tinygrad-rnn")
        finally:
            sys.stdout.flush()
    except OSError as error:  # of the output itself: a full disk, say
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  (else Python would try again)
        if isinstance(error, BrokenPipeError):  # as click does, where it sees it
            sys.exit(1)
        with suppress(OSError):
            click.echo(f"Error: stdout: {error.strerror}", err=True)
        sys.exit(USAGE)


class _Messages(io.FileIO):
    """Where messages go, if they can: one that is lost changes neither an answer nor its code."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:  # a full disk, a reader that is gone
            return memoryview(data).nbytes


def _open_closed_streams() -> None:
    """Open what the caller closed: else the next file that is opened would get its number."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115
