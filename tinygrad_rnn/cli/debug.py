"""`tinygrad-rnn debug`."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from ..files import read_regular
from .console import PATH, read_size
from .subject import ScriptCommand, Subject, subject_options

MOST_COMMANDS = 2**24  # bytes of a command file


@click.command(cls=ScriptCommand, short_help="Step through a run, forward and backward.")
@subject_options
@click.option(
    "--commands",
    type=PATH,
    help='Run a file of commands ("-": stdin) and exit.',
)
@click.option("--plain", is_flag=True, help="A prompt instead of the screen.")
@click.option(
    "--until", type=click.Choice(["nan"]), help="End SCRIPT at the first NaN or infinity."
)
@click.option(
    "--max-memory",
    default="1G",
    metavar="SIZE",
    callback=read_size,
    help='How much memory recorded values may take: "256M". Above it the oldest are dropped.',
)
def debug(
    commands: Path | None,
    plain: bool,
    until: str | None,
    max_memory: int,
    **options: Any,
) -> None:
    """Step through SCRIPT, a model (.safetensors, .onnx), or a text's network.

    Forward, backward, and back in time.

    SCRIPT runs with its ARGUMENTS under recording, to the end or until it raises or Ctrl-C ends it;
    then the debugger opens on it, at the error if there was one. With --commands it exits with 1 if
    an assertion failed, and with 2 if a command was wrong. Options other than those below go to the
    script, and so does everything after "--".
    """
    from ..debugger.start import debug_trace, debug_with_commands, is_driven
    from ..tracing.script import run_script

    subject = Subject(**options)
    lines = None if commands is None else _lines(commands, subject.is_script)
    if subject.is_script:
        subject.check()
        run = run_script(
            subject.target,
            subject.arguments,
            echo=None if commands is not None or is_driven() else sys.stdout,
            keep_output=True,
            until_nan=until is not None,
            steps=subject.steps,
            max_memory=max_memory,
        )
        trace = run.trace
        subject.tell_of_steps(run)
        if run.error is not None:
            click.echo(f"{subject.script} ended with exit code {run.exit_code}", err=True)
    elif until:
        raise click.UsageError("--until is for a script that is run")
    else:
        trace, _ = subject.record(max_memory=max_memory)
    if lines is not None:
        sys.exit(debug_with_commands(trace, lines))
    sys.exit(debug_trace(trace, len(trace.events) - 1 if until else None, plain=plain))


def _lines(commands: Path, is_script: bool) -> Iterable[str]:
    """The lines of a command file; those of stdin are read one by one, as they come.

    Before a script runs they are all read: it may read from stdin, too.
    """
    from ..debugger.plain import command_lines

    if str(commands) == "-" and not is_script:
        return sys.stdin
    if str(commands) == "-":
        return command_lines(sys.stdin.buffer.read(MOST_COMMANDS))
    return command_lines(read_regular(commands, MOST_COMMANDS))
