"""What a command is about: a script of the user's, a saved run, a model, or a text."""

import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from click.core import ParameterSource

from ..files import MOST_TEXT, read_regular, read_stdin
from ..nn.recurrent import LAYERS
from ..text import for_terminal
from .console import COUNT, INTERRUPTED, NO, PATH, Finite, read_size

if TYPE_CHECKING:
    from ..tracing.script import ScriptRun
    from ..tracing.trace import Trace
    from ..training.word import Speller

_CHECKPOINT = ".safetensors"
_ONNX = ".onnx"
_SAVED = ".tgtrace"
_FILES = _SAVED, _CHECKPOINT, _ONNX

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


def _read_axes(ctx: click.Context, option: click.Parameter, texts: Sequence[str]) -> Any:
    axes: dict[str, int] = {}
    for text in texts:
        name, sign, number = text.rpartition("=")
        if not (name and sign and number.isdecimal() and 0 < int(number) < 2**31):
            raise click.BadParameter(f'must be like "time=5", not {text!r}')
        axes[name] = int(number)
    return axes


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
        "--text",
        help="A text that a network, new or from a checkpoint, is to spell; "
        '"-" reads it from stdin.  [default: hello]',
    ),
    click.option("--text-file", type=PATH, help="A file with the text."),
    click.option("--cell", default="rnn", type=CELLS, help="Cell of the network."),
    click.option("--layers", default=1, type=COUNT, help="Layers of the network."),
    click.option("--hidden", default=8, type=COUNT, help="Units of each layer."),
    click.option("--seed", default=0, help="Seed of the network's first weights."),
    click.option(
        "--radius",
        type=Finite(0),
        help="Begin with W_hh = RADIUS times an orthogonal matrix: below 1 the gradient fades, "
        "above it may explode.",
    ),
    click.option(
        "--loss",
        default="every",
        type=click.Choice(["every", "last"]),
        help="What is differentiated: the mean of all steps' losses, or the last step's alone.",
    ),
    click.option(
        "--inputs", type=PATH, help="For an ONNX model: its inputs by name, a file of np.savez."
    ),
    click.option("--random", is_flag=True, help="For an ONNX model: draw its inputs at random."),
    click.option("--length", type=COUNT, help="For an ONNX model: the length of its open axes."),
    click.option(
        "--axis",
        "axes",
        multiple=True,
        callback=_read_axes,
        metavar="NAME=N",
        help="The length of one open axis. May be given several times.",
    ),
    click.option(
        "--trust",
        metavar="SIZE",
        callback=read_size,
        help='How much memory a saved run may take: "8G".  [default: as its size justifies]',
    ),
)


# Options of a network that is made for a text, which many scripts have too.
_OF_A_TEXT = ("cell", "layers", "hidden", "seed", "radius", "loss")


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
        for name in filter(partial(_is_given, ctx), _OF_A_TEXT):
            _check_fits(name, script, ctx)
        is_saved = not ctx.params["is_module"] and _kind(script) == _SAVED
        if is_saved and _is_given(ctx, "max_memory"):
            raise click.UsageError(f"--max-memory is for recording, and {script} is a saved run")
        return rest


def _is_given(ctx: click.Context, name: str) -> bool:
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _check_fits(name: str, script: Path, ctx: click.Context) -> None:
    """Refuse an option of a network for a text where the subject is none."""
    is_model = not ctx.params["is_module"] and _kind(script) == _CHECKPOINT
    if is_model and name != "loss":
        raise click.UsageError(f"--{name} is of a new network, and {script} is a trained one", ctx)
    if not is_model:
        raise click.UsageError(
            f"--{name} is of a network for a text; "
            f"an option of the script's own stands behind --: {script} -- --{name} …",
            ctx,
        )


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
    radius: float | None = None
    loss: Literal["every", "last"] = "every"
    trust: int | None = None
    is_module: bool = False
    steps: tuple[int, int] | None = None
    inputs: Path | None = None
    random: bool = False
    length: int | None = None
    axes: Mapping[str, int] = field(default_factory=dict[str, int])

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
        """Whether there is a script to run: not a recorded run, not a model, not a text."""
        return self.script is not None and (self.is_module or _kind(self.script) not in _FILES)

    @property
    def is_checkpoint(self) -> bool:
        """Whether it is a model that `train` wrote."""
        return self.script is not None and not self.is_script and _kind(self.script) == _CHECKPOINT

    @property
    def is_onnx(self) -> bool:
        """Whether it is a model that another program exported."""
        return self.script is not None and not self.is_script and _kind(self.script) == _ONNX

    @property
    def is_saved_run(self) -> bool:
        """Whether it is a run that was recorded before."""
        return self.script is not None and not self.is_script and _kind(self.script) == _SAVED

    def check(self) -> None:
        """Raise UsageError for what does not go together."""
        if not self.is_onnx and (self.inputs or self.random or self.length or self.axes):
            raise click.UsageError("--inputs, --random, --length and --axis are for an ONNX model")
        if self.inputs is not None and (self.random or self.length or self.axes):
            raise click.UsageError("give --inputs, or --random with --length and --axis")
        given = self.text is not None or self.text_file is not None
        if self.script is not None and not self.is_checkpoint and given:
            raise click.UsageError("give a script or a text, not both")
        if self.steps is not None and not self.is_script:
            raise click.UsageError("--steps is for a script that is run")
        if self.trust is not None and not self.is_saved_run:
            raise click.UsageError("--trust is for a saved run")

    def record(
        self, *, last_step: bool = False, max_memory: int | None = None, exact: bool = False
    ) -> "tuple[Trace, int]":
        """The recorded run, and the exit code: not 0 if the user's script raised or was stopped.

        Args:
            last_step: of a script that trains keep no more than the last step.
            max_memory: bytes of arrays that the recording may hold.
            exact: run an ONNX model in double precision, whatever its numbers are.
        """
        self.check()
        if self.is_script:
            return self._record_script(last_step, max_memory)
        if self.is_onnx:
            return self._record_onnx(exact, max_memory), 0
        if self.is_saved_run:
            assert self.script is not None
            return _load(self.script, self.arguments, self.trust), 0
        return self._record_text(max_memory), 0

    def _record_script(self, last_step: bool, max_memory: int | None) -> "tuple[Trace, int]":
        import traceback

        from ..tracing.script import run_script

        script = self.target
        run = run_script(
            script,
            self.arguments,
            steps=self.steps,
            last_step=last_step and self.steps is None,
            max_memory=max_memory,
        )
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

    def _record_onnx(self, exact: bool, max_memory: int | None) -> "Trace":
        """One run of an ONNX model, and the gradient of the mean of its outputs' squares."""
        from .. import onnx
        from ..onnx.examples import loss_of, random_inputs, read_inputs
        from ..tracing.trace import trace

        assert self.script is not None
        _refuse_arguments(self.script, "a model", self.arguments)
        model = onnx.load(self.script, dtype="float64" if exact else None)
        if self.inputs is not None:
            inputs = read_inputs(model, self.inputs)
        elif self.random or self.length or not model.inputs:
            inputs = random_inputs(model, self.length, self.axes)
        else:
            listed = ", ".join(map(str, model.inputs))
            raise click.UsageError(f"{self.script} takes {listed}: give --inputs x.npz or --random")
        with trace(max_memory) as recorded:
            loss_of(model(**inputs)).backward()
        return recorded

    def _record_text(self, max_memory: int | None) -> "Trace":
        from ..tracing.trace import trace

        speller = self._speller(self._chosen_text())
        with trace(max_memory) as recorded:
            speller.loss(self.loss).backward()
        return recorded

    def _speller(self, text: str) -> "Speller":
        from ..training.word import Speller

        if self.script is None:
            return Speller.of(text, self.cell, self.layers, self.hidden, self.seed, self.radius)
        _refuse_arguments(self.script, "a trained model", self.arguments)
        return Speller.trained(self.script, text)

    def _chosen_text(self) -> str:
        if self.text is not None and self.text_file is not None:
            raise click.UsageError("give --text or --text-file, not both")
        if self.text_file is not None:
            return _decoded(read_regular(self.text_file, MOST_TEXT), str(self.text_file))
        if self.text == "-":
            return _decoded(read_stdin(), "stdin")
        return "hello" if self.text is None else self.text


def _kind(script: Path) -> str:
    return script.suffix.lower()


def _refuse_arguments(path: Path, kind: str, arguments: Sequence[str]) -> None:
    if arguments:
        given = " ".join(arguments)
        raise click.UsageError(f"{path} is {kind}, which takes no arguments: {given}")


def _decoded(data: bytes, origin: str) -> str:
    """The text without its last line's end, which belongs to the file."""
    try:
        return data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{origin} is not UTF-8 text: {error}") from None


def _load(path: Path, arguments: Sequence[str], trust: int | None) -> "Trace":
    """A run that was recorded and saved before."""
    from ..tracing.trace import load_trace

    _refuse_arguments(path, "a recorded run", arguments)
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
