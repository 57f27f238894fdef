"""What a command is about: a script of the user's, a saved run, or a network made for a text."""

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ..files import MOST_TEXT, read_regular, read_stdin
from ..nn.recurrent import LAYERS
from ..text import for_terminal
from .console import COUNT, INTERRUPTED, NO, PATH, read_size

if TYPE_CHECKING:
    from ..tracing.script import ScriptRun
    from ..tracing.trace import Trace

CELLS = click.Choice(list(LAYERS))


def _read_steps(ctx: click.Context, option: click.Parameter, text: str | None) -> Any:
    if text is None:
        return None
    first, dots, last = text.partition("..")
    if not dots:
        last = first
    if first.isdecimal() and last.isdecimal() and int(first) <= int(last):
        return int(first), int(last)
    raise click.BadParameter(f'must be a step or two, "2" or "0..3", not {text!r}')


_OPTIONS = (
    click.argument("script", required=False, type=PATH),
    click.argument("arguments", nargs=-1),
    click.option("-m", "is_module", is_flag=True, help="SCRIPT is a module, as for python -m."),
    click.option(
        "--steps",
        callback=_read_steps,
        metavar="A[..B]",
        help='Training steps of SCRIPT to record, counted from 0: "0..3".',
    ),
    click.option(
        "--text", help='A text for a network to spell; "-" reads it from stdin.  [default: hello]'
    ),
    click.option("--text-file", type=PATH, help="A file with the text."),
    click.option("--cell", default="rnn", type=CELLS, help="Its cell."),
    click.option("--layers", default=1, type=COUNT, help="Layers of the network."),
    click.option("--hidden", default=8, type=COUNT, help="Units of each layer."),
    click.option("--seed", default=0, help="Of the network's first weights."),
    click.option(
        "--trust",
        metavar="SIZE",
        callback=read_size,
        help='What a saved run may grow to in memory: "8G".  [default: as its size justifies]',
    ),
)


# Options of a network that is made for a text, which many scripts have too.
_OF_A_TEXT = ("cell", "layers", "hidden", "seed")


class ScriptCommand(click.Command):
    """A command about a script: of what stands behind it, the command takes the options it knows.

    All others are the script's, and all behind "--".
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.context_settings = {**self.context_settings, "ignore_unknown_options": True}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        rest = super().parse_args(ctx, args)
        script = ctx.params["script"]
        if script is None or ctx.resilient_parsing:
            return rest
        if str(script).startswith("-"):
            raise click.NoSuchOption(str(script), ctx=ctx)
        for name in _OF_A_TEXT:
            if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
                raise click.UsageError(
                    f"--{name} is of a network for a text; "
                    f"an option of the script's own stands behind --: {script} -- --{name} …",
                    ctx,
                )
        return rest


def subject_options(command: Any) -> Any:
    """The arguments and options that make a `Subject`."""
    for decorate in reversed(_OPTIONS):
        command = decorate(command)
    return command


@dataclass(frozen=True, slots=True)
class Subject:
    """The arguments and options of `subject_options`."""

    script: Path | None
    arguments: Sequence[str]
    text: str | None
    text_file: Path | None
    cell: str
    layers: int
    hidden: int
    seed: int
    trust: int | None = None
    is_module: bool = False
    steps: tuple[int, int] | None = None

    @property
    def target(self) -> Path | str:
        """The script: its path, or the name of a module."""
        assert self.script is not None
        return str(self.script) if self.is_module else self.script

    def tell_of_steps(self, run: "ScriptRun") -> None:
        """Say where a script had fewer training steps than were asked for."""
        if self.steps is not None and run.trained <= self.steps[1]:
            click.echo(f"{self.script} had {run.trained} training steps, counted from 0", err=True)

    @property
    def is_script(self) -> bool:
        """Whether there is a script to run: not a recorded run, not a text."""
        return self.script is not None and (self.is_module or self.script.suffix != ".tgtrace")

    def check(self) -> None:
        """Raise UsageError for a script and a text."""
        given = self.text is not None or self.text_file is not None
        if self.script is not None and given:
            raise click.UsageError("give a script or a text, not both")
        if self.steps is not None and not self.is_script:
            raise click.UsageError("--steps is for a script that is run")

    def record(self) -> "tuple[Trace, int]":
        """The recorded run, and the exit code: not 0 if the user's script raised or was stopped."""
        self.check()
        if self.script is None:
            return self._record_text(), 0
        if self.is_script:
            return self._record_script()
        return _load(self.script, self.arguments, self.trust), 0

    def _record_script(self) -> "tuple[Trace, int]":
        import traceback

        from ..tracing.script import run_script

        script = self.target
        run = run_script(script, self.arguments, steps=self.steps)
        self.tell_of_steps(run)
        error = run.error
        if error is None:
            return run.trace, 0
        if isinstance(error, SystemExit):
            lines = [f"{script} ended with sys.exit({error.code!r})\n"]
        else:
            lines = traceback.format_exception(error.with_traceback(_from_script(error, script)))
        click.echo(for_terminal("".join(lines), multiline=True), err=True, nl=False)
        code = INTERRUPTED if isinstance(error, KeyboardInterrupt) else NO
        if not run.trace.events:
            sys.exit(code)
        return run.trace, code

    def _record_text(self) -> "Trace":
        from ..tracing.trace import trace
        from ..training.word import Speller

        text = self._chosen_text()
        speller = Speller.of(text, self.cell, self.layers, self.hidden, self.seed)
        with trace() as recorded:
            speller.loss().backward()
        return recorded

    def _chosen_text(self) -> str:
        if self.text is not None and self.text_file is not None:
            raise click.UsageError("give --text or --text-file, not both")
        if self.text_file is not None:
            return _decoded(read_regular(self.text_file, MOST_TEXT), str(self.text_file))
        if self.text == "-":
            return _decoded(read_stdin(), "stdin")
        return "hello" if self.text is None else self.text


def _decoded(data: bytes, origin: str) -> str:
    """The text without its last line's end, which belongs to the file."""
    try:
        return data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{origin} is not UTF-8 text: {error}") from None


def _load(path: Path, arguments: Sequence[str], trust: int | None) -> "Trace":
    """A run that was recorded and saved before."""
    from ..tracing.trace import load_trace

    if arguments:
        given = " ".join(arguments)
        raise click.UsageError(f"{path} is a recorded run, which takes no arguments: {given}")
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        trace = load_trace(path, trust)
    for warning in warned:
        click.echo(for_terminal(str(warning.message)), err=True)
    return trace


def _from_script(error: BaseException, script: Path | str) -> Any:
    """The traceback from the script's first line on, without the frames that ran the script."""
    step = error.__traceback__
    while (
        isinstance(script, Path)
        and step is not None
        and step.tb_frame.f_code.co_filename != str(script)
    ):
        step = step.tb_next
    return step
