"""`tinygrad-rnn study`."""

import sys
from typing import Any

import click

from .console import COUNT, PATH

BACKENDS = ["loky", "threading", "sequential", "dask"]


@click.command()
@click.argument("name", required=False)
@click.option(
    "--list", "listing", is_flag=True, help="List the studies, their questions and sources."
)
@click.option("--seeds", default=3, type=COUNT, help="From 0 on, one after the other.")
@click.option("--full", is_flag=True, help="What takes longer than two minutes as well.")
@click.option(
    "--out",
    default="tinygrad-rnn-studies",
    type=PATH,
    help="Where to keep runs, tables and pictures; runs found there are not run again.",
)
@click.option("--file", type=PATH, help="The text of the study `text`.")
@click.option("--jobs", type=COUNT, help="Runs side by side.  [default: one a processor]")
@click.option(
    "--backend",
    default="loky",
    type=click.Choice(BACKENDS),
    help="Who runs them: processes, threads, nobody else, or Dask's cluster.",
)
def study(name: str | None, listing: bool, **options: Any) -> None:
    """Answer a question about recurrent networks by experiment: study NAME.

    Leaves a table of references and what was measured (JSON), charts, and the gradient's way
    through the model. What Ctrl-C interrupts goes on where it stopped when asked again. Exits with
    1 if a claim did not hold.
    """
    from ..studies.commands import list_studies, run_study

    if listing:
        list_studies()
        return
    if name is None:
        raise click.UsageError("name a study; --list shows them")
    sys.exit(run_study(name, **options))
