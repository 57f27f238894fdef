"""`tinygrad-rnn check`."""

import sys
from typing import TYPE_CHECKING, Any

import click

from .console import COUNT, NO, console, markup, read_size
from .subject import ScriptCommand, Subject, subject_options

if TYPE_CHECKING:
    from rich.console import Console

    from ..tracing.questions.checks import GradientCheck
    from ..tracing.trace import Trace


@click.command(cls=ScriptCommand, short_help="Check gradients against central differences.")
@subject_options
@click.option(
    "--samples", default=64, type=COUNT, help="How many elements of each parameter to check."
)
@click.option(
    "--max-memory",
    metavar="SIZE",
    callback=read_size,
    help='How much memory recorded values may take: "256M".  [default: as much as there is]',
)
@click.option("--all", "check_all", is_flag=True, help="Check every element.")
def check(samples: int, max_memory: int | None, check_all: bool, **subject: Any) -> None:
    """Check the gradients of SCRIPT, of a model (.safetensors, .onnx), or of a text's network.

    Against central differences: the graph of the last backward pass is computed again with each
    parameter moved a little, up and down. One row per parameter: the worst relative error, and the
    verdict. Exits with 1 if one fails. Options other than those below go to the script, and so does
    everything after "--".
    """
    trace, code = Subject(**subject).record(max_memory=max_memory, exact=True)
    passed = report_checks(console(), trace, None if check_all else samples)
    sys.exit(code or (0 if passed else NO))


def report_checks(output: "Console", trace: "Trace", samples: int | None) -> bool:
    """Print a row per parameter; whether all passed."""
    from rich.progress import Progress
    from rich.table import Table

    from ..tracing.questions.checks import check_gradients

    columns = ("parameter", "shape", "checked", "worst relative error", "at", "verdict")
    table = Table(*columns, title="Gradients")
    table.columns[0].overflow = "fold"  # the ends of long names are what tells them apart
    graph = trace.graph()
    passed = True
    total = len({node.id for node in graph.nodes if node.is_parameter})
    with Progress(console=console(stderr=True), transient=True) as progress:
        task = progress.add_task("Checking gradients", total=total)
        for row in check_gradients(graph, samples):
            table.add_row(*_cells(row))
            passed = passed and row.passed
            progress.advance(task)
    for name, shape in _never_reached(trace):
        table.add_row(markup(name), shape, "—", "—", "—", "[yellow]never reached[/yellow]")
    output.print(table)
    return passed


def _never_reached(trace: "Trace") -> list[tuple[str, str]]:
    """The parameters that no gradient reached in the whole run."""
    names, events = trace.queries.names, trace.events
    reached = {event.output.id for event in events if event.kind == "vjp"}
    nodes = {node.id: node for node in names.places if node.is_parameter}
    missed = [node for id, node in nodes.items() if id not in reached]
    return [(names.of(node), "×".join(map(str, node.shape)) or "1") for node in missed]


def _cells(row: "GradientCheck") -> tuple[str, ...]:
    size = "×".join(map(str, row.shape)) or "1"
    verdict = "[green]ok[/green]"
    if not row.passed:
        verdict = f"[red]wrong[/red]: {row.analytic:.9g}, not {row.numeric:.9g}"
    place = str(list(row.index))
    return markup(row.name), size, str(row.checked), f"{row.worst:.1e}", place, verdict
