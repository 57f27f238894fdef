"""The command line: one command a verb. Whatever is slow to import is imported inside the command that needs it."""

import io
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .errors import TinygradError
from .nn.recurrent import LAYERS
from .text import for_terminal

if TYPE_CHECKING:
    from rich.console import Console

    from .manual import Entry, Example
    from .tracing.questions.replay import ParameterCheck
    from .tracing.trace import Trace

NO = 1  # the answer is no: a check failed, a script raised
USAGE = 2


class _Refusal(click.ClickException):
    """What went wrong, in one line on stderr."""

    exit_code = USAGE

    def __init__(self, error: Exception) -> None:
        message = str(error)
        if isinstance(error, OSError) and error.strerror:
            message = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        super().__init__(for_terminal(message))


class _Commands(click.Group):
    """Turns errors made on purpose into one line, unless the traceback is asked for."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (
            BrokenPipeError
        ):  # whoever read the output has seen enough; click ends without a word
            raise
        except (TinygradError, OSError) as error:
            if ctx.params["traceback"]:
                raise
            raise _Refusal(error) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--traceback", is_flag=True, help="Show the whole traceback of an error.")
@click.version_option(package_name="tinygrad-rnn")
def cli(traceback: bool) -> None:
    """Recurrent networks whose every number can be seen, stepped through and explained."""


def main() -> None:
    """Run the command line; characters that the terminal cannot show become question marks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    cli(prog_name="tinygrad-rnn")


def _model_options(command: Any) -> Any:
    """What to look at: a script of the user's, or a network made for a text."""
    for decorate in (
        click.option(
            "--seed", default=0, show_default=True, help="Of the network's first weights."
        ),
        click.option(
            "--hidden",
            default=8,
            show_default=True,
            type=click.IntRange(1),
            help="Units of each layer.",
        ),
        click.option(
            "--layers",
            default=1,
            show_default=True,
            type=click.IntRange(1),
            help="Layers of the network.",
        ),
        click.option(
            "--cell",
            default="rnn",
            show_default=True,
            type=click.Choice(list(LAYERS)),
            help="Its cell.",
        ),
        click.option("--text-file", type=click.Path(path_type=Path), help="A file with the text."),
        click.option(
            "--text",
            help='A text for a network to spell; "-" reads it from stdin.  [default: hello]',
        ),
        click.argument("arguments", nargs=-1),
        click.argument("script", required=False, type=click.Path(path_type=Path)),
    ):
        command = decorate(command)
    return command


@cli.command()
@_model_options
@click.option(
    "-o", "--output", "outputs", multiple=True, type=click.Path(path_type=Path), default=["diagram.svg"],
    show_default=True, help="Where to write: .svg, .png, .pdf, .dot, .html (the player). May be given several times.",
)  # fmt: skip
@click.option(
    "--view", default="unrolled", show_default=True,
    type=click.Choice(["unrolled", "rolled", "both", "ops", "backward"]),
)  # fmt: skip
@click.option("--values", is_flag=True, help="Also the values of each copy, as colours.")
@click.option(
    "--gradients", is_flag=True, help="Also what the backward pass sends back, by colour and width."
)
@click.option(
    "--fold",
    default="auto",
    show_default=True,
    help='Copies kept at each end; "auto", "none" or a number.',
)
@click.option(
    "--theme", default="light", show_default=True, type=click.Choice(["light", "dark", "print"])
)
@click.option("--width", help='As printed: "8.5cm", "85mm", "3.3in", "240pt".  [default: as drawn]')
@click.option(
    "--dpi",
    default=144.0,
    show_default=True,
    type=click.FloatRange(1),
    help="Pixels an inch of a .png.",
)
def draw(
    script: Path | None,
    arguments: Sequence[str],
    outputs: Sequence[Path],
    view: Any,
    gradients: bool,
    values: bool,
    fold: str,
    theme: str,
    width: str | None,
    dpi: float,
    **model: Any,
) -> None:
    """Draw the unrolled network of SCRIPT, or of a text.

    SCRIPT runs with its ARGUMENTS under recording, and what it computed is drawn: the last graph
    that reached backward(), else that of the last output. Give options of the script's own behind
    "--".
    """
    from .diagrams import draw as draw_diagram

    trace, raised = _record(script, arguments, model)
    diagram = draw_diagram(
        trace, view=view, gradients=gradients, values=values, fold=_fold(fold), theme=theme
    )
    for output in outputs:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            diagram.save(output, width=width, dpi=dpi)
        click.echo(f"{for_terminal(diagram.title)}: {for_terminal(str(output))}")
        for warning in warned:
            click.echo(
                f"{for_terminal(str(output))}: {for_terminal(str(warning.message))}", err=True
            )
    _suggest_scopes(trace)
    sys.exit(NO if raised else 0)


def _suggest_scopes(trace: "Trace") -> None:
    """Say how a loop of plain ops would be drawn as copies, where one was drawn op by op."""
    from .tracing.network.unroll import looks_like_a_loop

    if looks_like_a_loop(trace.graph()):
        click.echo(
            'a loop of plain ops is drawn as copies when each step is marked: with tg.scope("cell"):',
            err=True,
        )


def _fold(text: str) -> Any:
    if text in ("auto", "none"):
        return None if text == "none" else "auto"
    if not text.isdecimal():
        raise click.BadParameter(
            f'must be "auto", "none" or a number of copies, not {text!r}', param_hint="--fold"
        )
    return int(text)


@cli.command()
@_model_options
@click.option(
    "--samples",
    default=64,
    show_default=True,
    type=click.IntRange(1),
    help="Elements of each parameter.",
)
@click.option("--all", "check_all", is_flag=True, help="Check every element.")
def check(
    script: Path | None, arguments: Sequence[str], samples: int, check_all: bool, **model: Any
) -> None:
    """Check the gradients of SCRIPT, or of a text's network, against central differences.

    The graph of the last backward pass is computed again with each parameter moved a little, up and
    down. One row per parameter: the worst relative error, and the verdict. Exits with 1 if one
        fails.
    """
    trace, raised = _record(script, arguments, model)
    passed = _report_checks(_console(), trace, None if check_all else samples)
    sys.exit(0 if passed and not raised else NO)


@cli.command()
@click.argument("op", required=False)
def explain(op: str | None) -> None:
    """Explain OP: what it computes, its gradient, an example with numbers, its check. Without OP, list the table."""
    from rich.syntax import Syntax

    from . import manual

    if op is None:
        _print_table(manual.table())
        return
    entry = manual.find(op)
    example = manual.example(entry)
    console = _console(highlight=False)
    console.print(
        f"[b]{entry.name}[/b]{f'  (np.{entry.numpy})' if entry.numpy else ''}\n{_markup(entry.rule)}\n"
    )
    console.print(
        Syntax(
            manual.source(entry),
            "python",
            theme="ansi_dark",
            background_color="default",
            word_wrap=True,
        )
    )
    console.print()
    for name, value in _numbers(entry.function, example):
        console.print(f"  {name} = {_markup(value, multiline=True)}")
    verdicts = manual.verdicts(entry)
    for what, verdict in verdicts.items():
        console.print(
            f"Check, {what} against central differences: {_markup(verdict, multiline=True)}"
        )
    if not verdicts:
        console.print("Not differentiable: no gradient flows back through it.")
    sys.exit(0 if all(verdict == "ok" for verdict in verdicts.values()) else NO)


def _print_table(entries: "Sequence[Entry]") -> None:
    from rich.table import Table

    table = Table("op", "NumPy's name", "rule", title="The op table")
    for entry in entries:
        table.add_row(entry.name, entry.numpy or "", _markup(" ".join(entry.rule.split())))
    _console(highlight=False).print(table)


def _numbers(function: Any, example: "Example") -> "Iterator[tuple[str, str]]":
    """The example's inputs, options, output, cotangent and gradients, each as a line of an equation."""
    import inspect

    def text(name: str, value: Any) -> tuple[str, str]:
        import numpy as np

        column = f"  {name} = ".replace("\N{COMBINING MACRON}", "")
        return name, np.array2string(np.asarray(value), precision=6, separator=", ", prefix=column)

    names = list(inspect.signature(function).parameters)[: len(example.inputs)]
    if function.op.variadic:
        names = [f"x{i}" for i in range(len(example.inputs))]
    yield from map(text, names, example.inputs)
    for name, option in example.options.items():
        yield name, repr(option)
    yield text("y", example.output)
    if example.cotangent is not None:
        yield text("ȳ", example.cotangent)
    for name, gradient in zip(names, example.gradients, strict=True):
        if gradient is not None:
            yield text(f"{name}\N{COMBINING MACRON}", gradient)


@cli.command()
@click.option(
    "--out", "folder", default="tinygrad-rnn-demo", show_default=True, type=click.Path(path_type=Path),
    help="Where to put the diagrams.",
)  # fmt: skip
@click.option("--text", default="hello", show_default=True, help="The word to spell.")
def demo(folder: Path, text: str) -> None:
    """Draw, check and train a network that spells "hello"."""
    from .diagrams import draw as draw_diagram
    from .tracing.trace import trace
    from .training.word import Speller

    console = _console()
    speller = Speller.of(text)
    with trace() as recorded:
        loss = speller.loss()
        loss.backward()
    size = len(speller.vocabulary)
    console.print(
        f"A recurrent network reads [b]{_markup(text[:-1])}[/b] and is asked for [b]{_markup(text[1:])}[/b]:"
    )
    console.print(
        f"{len(text) - 1} copies of one network, {size} characters, 8 hidden units. Recorded: {recorded!r}"
    )
    folder.mkdir(parents=True, exist_ok=True)
    for view in ("rolled", "unrolled"):
        diagram = draw_diagram(recorded, view=view)
        for extension in (".svg", ".png"):
            path = folder / f"{view}{extension}"
            diagram.save(path)
            console.print(f"  {_markup(str(path))}", highlight=False)
    passed = _report_checks(console, recorded, None)
    console.print(
        f"Loss: [b]{loss.item():.4f}[/b] nats a character; guessing has ln {size} = {_guessing(size):.4f}."
    )
    after = list(speller.train(100))[-1]
    console.print(f"After 100 steps of Adagrad: [b]{after:.4f}[/b].")
    console.print(
        "Next: [b]tinygrad-rnn draw --text hello --layers 2 --view both -o hello.svg[/b]",
        highlight=False,
    )
    console.print("      [b]tinygrad-rnn draw your_script.py -o yours.svg[/b]", highlight=False)
    sys.exit(0 if passed else NO)


@cli.command(context_settings={"allow_interspersed_args": False})
@_model_options
@click.option(
    "--commands",
    type=click.File(encoding="utf-8"),
    help='Carry out a file of commands ("-": stdin) and end.',
)
@click.option("--plain", is_flag=True, help="A prompt in place of the screen.")
@click.option(
    "--until", type=click.Choice(["nan"]), help="End SCRIPT at the first NaN or infinity."
)
@click.option("--steps", help='Training steps to record, counted from 0: "0..3".')
@click.option(
    "--max-memory", default="1G", show_default=True, metavar="SIZE",
    help='How much of memory recorded values may take: "256M". Above it the oldest are let go of.',
)  # fmt: skip
def debug(
    script: Path | None,
    arguments: Sequence[str],
    commands: Any,
    plain: bool,
    until: str | None,
    steps: str | None,
    max_memory: str,
    **model: Any,
) -> None:
    """Step through SCRIPT, or a text's network: forward, backward, and back in time.

    SCRIPT runs with its ARGUMENTS under recording, to the end or until it raises or Ctrl-C ends it;
    then the debugger opens on it, at the error if there was one. With --commands it exits with 1 if
    an assertion failed, and with 2 if a command was wrong.
    """
    from .debugger.start import debug_trace, debug_with_commands, is_driven

    if script is None or _is_recording(script):
        if until or steps:
            raise click.UsageError("--until and --steps are for a script that is run")
        trace, _ = _record(script, arguments, model)
    else:
        from .tracing.script import run_script

        _not_both(model)
        echo = None if commands is not None or is_driven() else sys.stdout
        wanted = {
            "until_nan": until is not None,
            "steps": _steps(steps),
            "max_memory": _size(max_memory),
        }
        trace = run_script(script, arguments, echo=echo, keep_output=True, **wanted).trace
    if commands is not None:
        sys.exit(debug_with_commands(trace, commands))
    sys.exit(debug_trace(trace, len(trace.events) - 1 if until else None, plain=plain))


def _size(text: str) -> int:
    from .tracing.recording.budget import parse_size

    try:
        return parse_size(text)
    except TinygradError as error:
        raise click.BadParameter(str(error), param_hint="--max-memory") from None


def _steps(text: str | None) -> tuple[int, int] | None:
    first, dots, last = (text or "").partition("..")
    if text is not None and not (
        first.isdecimal() and (not dots or last.isdecimal()) and int(first) <= int(last or first)
    ):
        raise click.BadParameter(
            f'must be a step or two, "2" or "0..3", not {text!r}', param_hint="--steps"
        )
    return None if text is None else (int(first), int(last or first))


def _setting(name: str, default: str, kind: Any, help: str) -> Any:
    """An option of `train` whose default is in `training.loop.Settings`: a resumed run must know what was not given."""
    return click.option(f"--{name}", type=kind, show_default=default, help=help)


@cli.command()
@click.argument("file", required=False)
@_setting("cell", "rnn", click.Choice(list(LAYERS)), "Its cell.")
@_setting("layers", "1", click.IntRange(1), "Layers of the network.")
@_setting("hidden", "128", click.IntRange(1), "Units of each layer.")
@_setting(
    "dropout",
    "0",
    click.FloatRange(0, 1, max_open=True),
    "Share of units hidden from the layer above.",
)
@_setting("seq", "48", click.IntRange(1), "Characters that gradients flow back through.")
@_setting("batch", "32", click.IntRange(1), "Places of the text that are read side by side.")
@_setting("lr", "0.005", click.FloatRange(0), "Adam's learning rate.")
@_setting("clip", "5", click.FloatRange(0), "Greatest norm of the gradient.")
@_setting("seed", "0", click.IntRange(0), "Of the first weights and of dropout.")
@click.option("--steps", type=click.IntRange(0), help="Stop when so many steps are done in all.")
@click.option(
    "--seconds",
    type=click.FloatRange(0),
    help="Stop after so long.  [default: 60, unless --steps is given]",
)
@click.option(
    "--threads",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Of each matrix product.",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    metavar="CHECKPOINT",
    help="Go on with an earlier run.",
)
@click.option("--encoding", help="Of the file.  [default: utf-8]")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The checkpoint.  [default: FILE's name.safetensors]",
)
def train(
    file: str | None,
    steps: int | None,
    seconds: float | None,
    threads: int,
    resume: Path | None,
    encoding: str | None,
    output: Path | None,
    **settings: Any,
) -> None:
    """Train a character model on FILE ("-": stdin), and keep it in a checkpoint.

    Without FILE, on the source of this Python's own standard library. Ctrl-C saves, and says how to
    go on; the run is then, bit for bit, the one that was not interrupted.
    """
    from .training.commands import train_file

    given = {name: value for name, value in settings.items() if value is not None}
    limit = 60.0 if steps is None and seconds is None else seconds
    code = train_file(
        file,
        output=output,
        resume=resume,
        encoding=encoding,
        steps=steps,
        seconds=limit,
        threads=threads,
        settings=given,
    )
    sys.exit(code)


@cli.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("--prime", help="What the model reads first.  [default: a line's end]")
@click.option(
    "--temperature",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0),
    help="0: the likeliest.",
)
@click.option(
    "--length", default=500, show_default=True, type=click.IntRange(0), help="Characters to say."
)
@click.option("--seed", type=click.IntRange(0), help="Say the same each time.")
@click.option(
    "--neuron", metavar="N|all", help="Colour the text by what unit N of the last layer holds."
)
def sample(checkpoint: Path, **options: Any) -> None:
    """Let a model that `train` made talk."""
    from .training.commands import sample_checkpoint

    sample_checkpoint(checkpoint, **options)


@cli.command()
@click.argument("name", required=False)
@click.option(
    "--list", "listing", is_flag=True, help="List the studies, their questions and sources."
)
@click.option(
    "--seeds",
    default=3,
    show_default=True,
    type=click.IntRange(1),
    help="From 0 on, one after the other.",
)
@click.option("--full", is_flag=True, help="What takes longer than two minutes as well.")
@click.option(
    "--out", default="tinygrad-rnn-studies", show_default=True, type=click.Path(path_type=Path),
    help="Where to keep runs, tables and pictures; runs found there are not run again.",
)  # fmt: skip
@click.option("--file", type=click.Path(path_type=Path), help="The text of the study `text`.")
@click.option(
    "--jobs", type=click.IntRange(1), help="Runs side by side.  [default: one a processor]"
)
@click.option(
    "--backend", default="loky", show_default=True, type=click.Choice(["loky", "threading", "sequential", "dask"]),
    help="Who runs them: processes, threads, nobody else, or Dask's cluster.",
)  # fmt: skip
def study(name: str | None, listing: bool, **options: Any) -> None:
    """Answer a question about recurrent networks by experiment: study NAME.

    Leaves a table of references and what was measured (JSON), charts, and the gradient's way
    through the model. What Ctrl-C interrupts goes on where it stopped when asked again. Exits with
    1 if a claim did not hold.
    """
    from .studies.commands import list_studies, run_study

    if listing:
        list_studies()
        return
    if name is None:
        raise click.UsageError("name a study; --list shows them")
    sys.exit(run_study(name, **options))


@cli.command()
@click.option(
    "--part", "parts", multiple=True, type=click.Choice(["step", "gates", "growth", "memory", "ops"]),
    help="The RNN's step; LSTM's and GRU's; steps of more timesteps; memory; single ops.  [default: all]",
)  # fmt: skip
@click.option(
    "--size", "sizes", multiple=True, type=click.Choice(["tiny", "karpathy", "medium", "large"]),
    help="Of the network; tiny only shows that it works.  [default: all but tiny]",
)  # fmt: skip
@click.option(
    "--dtype",
    "dtypes",
    multiple=True,
    type=click.Choice(["float64", "float32"]),
    help="[default: both]",
)
@click.option("--quick", is_flag=True, help="A fifth of the rounds.")
@click.option("--markdown", is_flag=True, help="Print the tables as Markdown.")
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), help="Keep every time taken in a file."
)
def bench(
    parts: Sequence[str], sizes: Sequence[str], dtypes: Sequence[str], **options: Any
) -> None:
    """Time one training step: compiled, eager, by hand in NumPy, and in the other packages that are installed.

    Loss and gradients of all are compared before anything is timed. Rounds are interleaved, on one
    processor with one thread, and medians of processor time compared. Options may be given several
    times. Exits with 1 if a promise of docs/performance.md was not kept.
    """
    from .benchmarks.commands import run_benchmarks

    code = run_benchmarks(
        parts=parts or ("step", "gates", "growth", "memory", "ops"),
        sizes=sizes or ("karpathy", "medium", "large"),
        dtypes=dtypes or ("float64", "float32"),
        **options,
    )
    sys.exit(code)


def _guessing(classes: int) -> float:
    import math

    return math.log(classes)


def _console(**options: Any) -> "Console":
    from rich.console import Console

    return Console(**options)


def _markup(text: str, multiline: bool = False) -> str:
    from rich.markup import escape

    return escape(for_terminal(text, multiline=multiline))


def _record(
    script: Path | None, arguments: Sequence[str], model: dict[str, Any]
) -> "tuple[Trace, bool]":
    """The recorded run that a command is about, and whether the user's script raised."""
    if script is not None:
        _not_both(model)
        return (
            (_load(script, arguments), False)
            if _is_recording(script)
            else _record_script(script, arguments)
        )
    return _record_text(_text(model), model), False


def _is_recording(script: Path) -> bool:
    return script.suffix == ".tgtrace"


def _load(path: Path, arguments: Sequence[str]) -> "Trace":
    """A run that was recorded and saved before."""
    from .tracing.file.loading import load_trace

    if arguments:
        raise click.UsageError(
            f"{path} is a recorded run, which takes no arguments: {' '.join(arguments)}"
        )
    return load_trace(path)


def _not_both(model: dict[str, Any]) -> None:
    if model["text"] is not None or model["text_file"] is not None:
        raise click.UsageError("give a script or a text, not both")


def _record_script(script: Path, arguments: Sequence[str]) -> "tuple[Trace, bool]":
    import traceback

    from .tracing.script import run_script

    run = run_script(script, arguments)
    if run.error is None:
        return run.trace, False
    if isinstance(run.error, SystemExit):
        lines = [f"{script} ended with sys.exit({run.error.code!r})\n"]
    else:
        lines = traceback.format_exception(
            run.error.with_traceback(_from_script(run.error, script))
        )
    click.echo(for_terminal("".join(lines), multiline=True), err=True, nl=False)
    if not run.trace.events:
        sys.exit(NO)
    return run.trace, True


def _from_script(error: BaseException, script: Path) -> Any:
    """The traceback from the script's first line on, if it got there: what ran it is not the user's concern."""
    step = error.__traceback__
    while step is not None and step.tb_frame.f_code.co_filename != str(script):
        step = step.tb_next
    return step


def _text(model: dict[str, Any]) -> str:
    if model["text"] is not None and model["text_file"] is not None:
        raise click.UsageError("give --text or --text-file, not both")
    if model["text_file"] is not None:
        return _decoded(model["text_file"].read_bytes(), str(model["text_file"]))
    if model["text"] == "-":
        return _decoded(sys.stdin.buffer.read(), "stdin")
    return "hello" if model["text"] is None else model["text"]


def _decoded(data: bytes, origin: str) -> str:
    """The text without its last line's end, which belongs to the file."""
    try:
        return data.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{origin} is not UTF-8 text: {error}") from None


def _record_text(text: str, model: dict[str, Any]) -> "Trace":
    from .tracing.trace import trace
    from .training.word import Speller

    speller = Speller.of(text, model["cell"], model["layers"], model["hidden"], model["seed"])
    with trace() as recorded:
        speller.loss().backward()
    return recorded


def _report_checks(console: "Console", trace: "Trace", samples: int | None) -> bool:
    """Print a row per parameter; whether all passed."""
    from rich.progress import Progress
    from rich.table import Table

    from .tracing.questions.replay import check_gradients

    table = Table(
        "parameter", "shape", "checked", "worst relative error", "at", "verdict", title="Gradients"
    )
    graph = trace.graph()
    passed = True
    total = len({node.id for node in graph.nodes if node.is_parameter})
    with Progress(console=_console(stderr=True), transient=True) as progress:
        task = progress.add_task("Checking gradients", total=total)
        for row in check_gradients(graph, samples):
            table.add_row(*_cells(row))
            passed = passed and row.passed
            progress.advance(task)
    console.print(table)
    return passed


def _cells(row: "ParameterCheck") -> tuple[str, ...]:
    size = "×".join(map(str, row.shape)) or "1"
    verdict = (
        "[green]ok[/green]"
        if row.passed
        else f"[red]wrong[/red]: {row.analytic:.9g}, not {row.numeric:.9g}"
    )
    return (
        _markup(row.name),
        size,
        str(row.checked),
        f"{row.worst:.1e}",
        str(list(row.index)),
        verdict,
    )
