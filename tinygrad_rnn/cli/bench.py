"""`tinygrad-rnn bench`."""

import sys
from collections.abc import Sequence
from typing import Any

import click

from .console import PATH

PARTS = ("step", "gates", "growth", "memory", "ops", "layers", "forms")
SIZES = ("karpathy", "medium", "large")
DTYPES = ("float64", "float32")


@click.command(short_help="Time one training step, written in many ways.")
@click.option(
    "--part",
    "parts",
    multiple=True,
    type=click.Choice(PARTS),
    help="The RNN's step; LSTM's and GRU's; steps of more timesteps; memory; single ops; "
    "layers, small to large; the step in all ways of writing it.  "
    "[default: all]",
)
@click.option(
    "--size",
    "sizes",
    multiple=True,
    type=click.Choice(["tiny", *SIZES]),
    help="Size of the network; tiny only shows that it works.  [default: all but tiny]",
)
@click.option("--dtype", "dtypes", multiple=True, type=click.Choice(DTYPES), help="[default: both]")
@click.option("--quick", is_flag=True, help="Run a fifth of the rounds.")
@click.option("--markdown", is_flag=True, help="Print the tables as Markdown.")
@click.option("--json", "json_file", type=PATH, help="Keep every measured time in a file.")
def bench(
    parts: Sequence[str], sizes: Sequence[str], dtypes: Sequence[str], **options: Any
) -> None:
    """Time one training step: compiled, eager, by hand in NumPy, and in other packages.

    Packages that are not installed are left out. Loss and gradients of all are compared before
    anything is timed. Rounds are interleaved, on one processor with one thread, and medians of
    processor time compared. Options may be given several times. Exits with 1 if a promise of
    docs/performance.md was not kept.
    """
    from ..benchmarks.commands import run_benchmarks

    code = run_benchmarks(
        parts=parts or PARTS, sizes=sizes or SIZES, dtypes=dtypes or DTYPES, **options
    )
    sys.exit(code)
