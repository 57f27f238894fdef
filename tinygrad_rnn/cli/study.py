"""`tinygrad-rnn study`."""

import sys
from typing import Any

import click

from .console import COUNT, PATH

BACKENDS = ["loky", "threading", "sequential", "dask"]


@click.command(short_help="Answer a question about recurrent networks by experiment.")
@click.argument("name", required=False)
@click.option(
    "--list", "listing", is_flag=True, help="List the studies, their questions and sources."
)
@click.option("--seeds", default=3, type=COUNT, help="How many first states to try.")
@click.option("--full", is_flag=True, help="Also the runs that take longer than two minutes.")
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
    help="What runs them: processes, threads, this process alone, or Dask's cluster.",
)
def study(name: str | None, listing: bool, **options: Any) -> None:
    """Answer a question about recurrent networks by experiment: study NAME.

    Writes a table of claims and measurements (JSON), charts, and a picture of the gradient's way
    through the model. After Ctrl-C the same command goes on where it stopped. Exits with 1 if a
    claim did not hold.
    """
    from ..studies.commands import list_studies, run_study

    if listing:
        list_studies()
        return
    if name is None:
        raise click.UsageError("name a study; --list shows them")
    sys.exit(run_study(name, **options))
