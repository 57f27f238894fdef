"""`tinygrad-rnn draw`."""

import re
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..diagrams.picture.theme import THEMES
from ..diagrams.views import VIEWS, View
from ..text import for_terminal
from .console import PATH, read_size
from .subject import ScriptCommand, Subject, subject_options

if TYPE_CHECKING:
    from ..diagrams.picture.diagram import Diagram
    from ..tracing.trace import Trace

CHOICES = [view.name for view in VIEWS.values() if view.needs != "outline"]


def _read_scale(
    context: click.Context, option: click.Parameter, text: str | None
) -> tuple[int, int] | None:
    if text is None:
        return None
    ends = re.fullmatch(r"(-?\d{1,3})\.\.(-?\d{1,3})", text, re.ASCII)
    if ends is None or int(ends[1]) >= int(ends[2]):
        raise click.BadParameter(f'must be two powers of ten, such as "-6..0", not {text!r}')
    return int(ends[1]), int(ends[2])


@click.command(cls=ScriptCommand, short_help="Draw the unrolled network of a run.")
@subject_options
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    type=PATH,
    default=["diagram.svg"],
    help="Where to write: .svg, .png, .pdf, .dot, .html (the player). May be given several times.",
)
@click.option("--view", default="unrolled", type=click.Choice(CHOICES), help="How to draw it.")
@click.option("--values", is_flag=True, help="Also the values of each copy, as colours.")
@click.option(
    "--gradients", is_flag=True, help="Also the gradients that flow back, by colour and width."
)
@click.option(
    "--of",
    metavar="NAME",
    help='With --gradients: those of this value, not of the loss: "y@9", "y@9[0,2]".',
)
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="X=E",
    help='Draw the run with this change: "h@2 *= 0", "W_hh *= 1.2". May be given several times.',
)
@click.option("--against", is_flag=True, help="With --set: colour what has changed.")
@click.option(
    "--scale",
    metavar="LOW..HIGH",
    callback=_read_scale,
    help='The powers of ten between which gradients are coloured: "-6..0".  [default: theirs]',
)
@click.option("--fold", default="auto", help='Copies kept at each end; "auto", "none" or a number.')
@click.option(
    "--depth",
    type=click.IntRange(1),
    help="Levels of modules to open: 2 shows what copies are made of.  [default: copies "
    "closed; without copies, as many as can be read]",
)
@click.option("--theme", default="light", type=click.Choice(list(THEMES)), help="Its colours.")
@click.option("--title", help="Written above the picture, and the name of the page.")
@click.option("--width", help='On paper: "8.5cm", "85mm", "3.3in", "240pt".  [default: as drawn]')
@click.option(
    "--max-memory",
    metavar="SIZE",
    callback=read_size,
    help='How much memory recorded values may take: "256M".  [default: as much as there is]',
)
@click.option(
    "--dpi", default=144.0, type=click.FloatRange(1, 10_000), help="Pixels per inch of a .png."
)
def draw(
    outputs: Sequence[Path],
    view: str,
    gradients: bool,
    values: bool,
    of: str | None,
    changes: Sequence[str],
    against: bool,
    scale: tuple[int, int] | None,
    fold: str,
    depth: int | None,
    theme: str,
    title: str | None,
    width: str | None,
    dpi: float,
    max_memory: int | None,
    **subject: Any,
) -> None:
    """Draw the unrolled network of SCRIPT, of a model (.safetensors, .onnx), or of a text.

    SCRIPT runs with its ARGUMENTS under recording, and what it computed is drawn: the last graph
    that reached backward(), else that of the last output. Options other than those below go to the
    script, and so does everything after "--".
    """
    from ..diagrams import Diagram
    from ..diagrams import draw as draw_diagram

    chosen: dict[str, Any] = {
        "view": view,
        "gradients": gradients if of is None else of,
        "values": values,
        "scale": scale,
        "fold": _fold(fold),
        "depth": depth,
    }
    _check_view(VIEWS[view], gradients, values)
    if (depth or 1) > 1 and view != "unrolled":
        raise click.UsageError("--depth is of --view unrolled: --view ops opens everything")
    coloured = gradients or VIEWS[view].needs == "gradients"
    if scale and not (coloured or against):
        raise click.UsageError("--scale is for --gradients")
    if of is not None and not coloured:
        raise click.UsageError("--of is for --gradients")
    if against and not changes:
        raise click.UsageError("--against is for --set")
    for output in outputs:
        Diagram.check(output, width, dpi)
    # The script may go to another folder.
    paths = [output.absolute() for output in outputs]
    trace, code = Subject(**subject).record(last_step=True, max_memory=max_memory)
    shown = _changed(trace, changes) if changes else trace
    if against:
        chosen["against"] = trace
    diagram = draw_diagram(shown, theme=theme, title=title, **chosen)
    for output, path in zip(outputs, paths, strict=True):
        _save(diagram, output, path, width, dpi)
    _suggest_scopes(trace)
    sys.exit(code)


def _changed(trace: "Trace", changes: Sequence[str]) -> "Trace":
    """The run that would have been, with changes as the debugger's `set` takes them."""
    from ..debugger.commands import execute
    from ..debugger.session import Session

    session = Session(trace, len(trace.events) - 1)
    for change in changes:
        execute(session, f"set {change}")
    for one in session.trace.unfollowed:
        click.echo(for_terminal(f"the script may have gone another way: {one}"), err=True)
    return session.trace


def _check_view(view: View, gradients: bool, values: bool) -> None:
    if gradients and not (view.gradients or view.needs == "gradients"):
        raise click.UsageError(f"--view {view.name} has no room for --gradients")
    if values and not view.values:
        raise click.UsageError(f"--view {view.name} has no room for --values")


def _fold(text: str) -> Any:
    if text == "auto":
        return "auto"
    if text == "none":
        return None
    if re.fullmatch(r"[1-9][0-9]{0,8}", text):
        return int(text)
    raise click.BadParameter(
        f'must be "auto", "none" or a number of copies, not {text!r}', param_hint="--fold"
    )


def _save(diagram: "Diagram", output: Path, path: Path, width: str | None, dpi: float) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        diagram.save(path, width=width, dpi=dpi)
    file = for_terminal(str(output))
    click.echo(f"{for_terminal(diagram.title)}: {file}")
    for warning in warned:
        click.echo(f"{file}: {for_terminal(str(warning.message))}", err=True)


def _suggest_scopes(trace: "Trace") -> None:
    """Say how a loop of plain ops would be drawn as copies, where one was drawn op by op."""
    from ..tracing.network.copies.cells import looks_like_a_loop

    if looks_like_a_loop(trace.graph()):
        click.echo(
            "a loop of plain ops is drawn as copies when each step is marked: "
            'with tg.scope("cell"):',
            err=True,
        )
