"""`tinygrad-rnn demo`."""

import math
import sys
from pathlib import Path

import click

from .check import report_checks
from .console import NO, PATH, console, markup


@click.command()
@click.option(
    "--out", "folder", default="tinygrad-rnn-demo", type=PATH, help="Where to put the diagrams."
)
@click.option("--text", default="hello", help="The word to spell.")
def demo(folder: Path, text: str) -> None:
    """Draw, check and train a network that spells "hello"."""
    from ..diagrams import draw
    from ..tracing.trace import trace
    from ..training.word import Speller

    output = console()
    speller = Speller.of(text)
    with trace() as recorded:
        loss = speller.loss()
        loss.backward()
    size = len(speller.vocabulary)
    read, asked = markup(text[:-1]), markup(text[1:])
    output.print(f"A recurrent network reads [b]{read}[/b] and is asked for [b]{asked}[/b]:")
    output.print(
        f"{len(text) - 1} copies of one network, {size} characters, 8 hidden units. "
        f"Recorded: {recorded!r}"
    )
    folder.mkdir(parents=True, exist_ok=True)
    for view in ("rolled", "unrolled"):
        diagram = draw(recorded, view=view)
        for extension in (".svg", ".png"):
            path = folder / f"{view}{extension}"
            diagram.save(path)
            output.print(f"  {markup(str(path))}", highlight=False)
    passed = report_checks(output, recorded, None)
    output.print(
        f"Loss: [b]{loss.item():.4f}[/b] nats a character; "
        f"guessing has ln {size} = {math.log(size):.4f}."
    )
    after = list(speller.train(100))[-1]
    output.print(f"After 100 steps of Adagrad: [b]{after:.4f}[/b].")
    for start, command in (
        ("Next: ", "draw --text hello --layers 2 --view both -o hello.svg"),
        ("      ", "draw your_script.py -o yours.svg"),
    ):
        output.print(f"{start}[b]tinygrad-rnn {command}[/b]", highlight=False)
    sys.exit(0 if passed else NO)
