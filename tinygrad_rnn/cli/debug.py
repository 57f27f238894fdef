"""`tinygrad-rnn debug`."""

import io
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from ..files import read_regular
from .console import PATH, read_size
from .subject import Subject, subject_options

MOST_COMMANDS = 2**24  # bytes of a command file


@click.command(context_settings={"allow_interspersed_args": False})
@subject_options
@click.option(
    "--commands",
    type=PATH,
    help='Carry out a file of commands ("-": stdin) and end.',
)
@click.option("--plain", is_flag=True, help="A prompt in place of the screen.")
@click.option(
    "--until", type=click.Choice(["nan"]), help="End SCRIPT at the first NaN or infinity."
)
@click.option("--steps", help='Training steps to record, counted from 0: "0..3".')
@click.option(
    "--max-memory",
    default="1G",
    metavar="SIZE",
    callback=read_size,
    help='How much of memory recorded values may take: "256M". Above it the oldest are let go of.',
)
def debug(
    commands: Path | None,
    plain: bool,
    until: str | None,
    steps: str | None,
    max_memory: int,
    **options: Any,
) -> None:
    """Step through SCRIPT, or a text's network: forward, backward, and back in time.

    SCRIPT runs with its ARGUMENTS under recording, to the end or until it raises or Ctrl-C ends it;
    then the debugger opens on it, at the error if there was one. With --commands it exits with 1 if
    an assertion failed, and with 2 if a command was wrong.
    """
    from ..debugger.start import debug_trace, debug_with_commands, is_driven
    from ..tracing.script import run_script

    subject = Subject(**options)
    lines = None if commands is None else _lines(commands)
    if subject.script is not None and subject.is_script:
        subject.check()
        trace = run_script(
            subject.script,
            subject.arguments,
            echo=None if commands is not None or is_driven() else sys.stdout,
            keep_output=True,
            until_nan=until is not None,
            steps=_steps(steps),
            max_memory=max_memory,
        ).trace
    elif until or steps:
        raise click.UsageError("--until and --steps are for a script that is run")
    else:
        trace, _ = subject.record()
    if lines is not None:
        sys.exit(debug_with_commands(trace, lines))
    sys.exit(debug_trace(trace, len(trace.events) - 1 if until else None, plain=plain))


def _lines(commands: Path) -> Iterable[str]:
    """The lines of a command file; those of stdin are read one by one, as they come."""
    if str(commands) == "-":
        return sys.stdin
    try:
        return io.StringIO(read_regular(commands, MOST_COMMANDS).decode(), newline=None)
    except UnicodeDecodeError as error:
        raise click.BadParameter(
            f"{commands} is not UTF-8 text: {error}", param_hint="--commands"
        ) from None


def _steps(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    first, dots, last = text.partition("..")
    if not dots:
        last = first
    if first.isdecimal() and last.isdecimal() and int(first) <= int(last):
        return int(first), int(last)
    raise click.BadParameter(
        f'must be a step or two, "2" or "0..3", not {text!r}', param_hint="--steps"
    )
