"""`tinygrad-rnn train` and `tinygrad-rnn sample`."""

import sys
from pathlib import Path
from typing import Any

import click

from .console import COUNT, PATH, Finite
from .subject import CELLS


def _setting(name: str, default: str, kind: Any, help: str) -> Any:
    """An option without a default of its own: a resumed run must know which were given.

    The default that is shown is that of `training.loop.Settings`.
    """
    return click.option(f"--{name}", type=kind, show_default=default, help=help)


@click.command(short_help="Train a character model on a file.")
@click.argument("file", required=False)
@_setting("cell", "rnn", CELLS, "Cell of the network.")
@_setting("layers", "1", COUNT, "Layers of the network.")
@_setting("hidden", "128", COUNT, "Units of each layer.")
@_setting(
    "dropout",
    "0",
    Finite(0, 1, max_open=True),
    "Share of units hidden from the layer above.",
)
@_setting("seq", "48", COUNT, "Characters that gradients flow back through.")
@_setting("batch", "32", COUNT, "Places of the text that are read side by side.")
@_setting("lr", "0.005", Finite(0), "Adam's learning rate.")
@_setting("clip", "5", Finite(0), "Greatest norm of the gradient, above 0.")
@_setting("seed", "0", click.IntRange(0), "Seed of the first weights and of dropout.")
@click.option("--steps", type=click.IntRange(0), help="Stop after this many steps in all.")
@click.option(
    "--seconds",
    type=Finite(0),
    help="Stop after this many seconds.  [default: 60, unless --steps is given]",
)
@click.option("--threads", default=1, type=COUNT, help="Threads of each matrix product.")
@click.option("--resume", type=PATH, metavar="CHECKPOINT", help="Resume an earlier run.")
@click.option("--encoding", help="Encoding of the file.  [default: utf-8]")
@click.option(
    "-o",
    "--output",
    type=PATH,
    help="Where to keep the checkpoint.  [default: FILE's name.safetensors]",
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

    Without FILE it trains on the source of this Python's own standard library. Ctrl-C saves, and
    says how to resume; a resumed run is bit for bit the uninterrupted one. It may have another
    learning rate and another greatest norm.
    """
    from ..training.commands import train_file

    if steps is None and seconds is None:
        seconds = 60.0
    code = train_file(
        file,
        output=output,
        resume=resume,
        encoding=encoding,
        steps=steps,
        seconds=seconds,
        threads=threads,
        settings={name: value for name, value in settings.items() if value is not None},
    )
    sys.exit(code)


@click.command()
@click.argument("checkpoint", type=PATH)
@click.option("--prime", help="What the model reads first.  [default: a newline]")
@click.option(
    "--temperature", default=1.0, type=Finite(0), help="0: the likeliest character; 1: as learned."
)
@click.option("--length", default=500, type=click.IntRange(0), help="How many characters to say.")
@click.option("--seed", type=click.IntRange(0), help="A seed, to say the same each time.")
@click.option(
    "--neuron", metavar="N|all", help="Colour the text by the value of unit N of the last layer."
)
def sample(checkpoint: Path, **options: Any) -> None:
    """Let a model that `train` made talk."""
    from ..training.commands import sample_checkpoint

    sample_checkpoint(checkpoint, **options)
