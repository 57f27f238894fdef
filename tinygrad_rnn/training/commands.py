"""What `tinygrad-rnn train` and `tinygrad-rnn sample` do."""

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ..errors import TrainingError
from ..files import read_stdin
from ..text import for_terminal
from .data import STANDARD_LIBRARY, Corpus, decode, read_text, standard_library
from .loop import Run, Saved, Settings, train
from .neurons import show
from .progress import progress
from .sampling import sample

SIGNALLED = 128  # and the signal: as a shell reports a program that one ended


def train_file(
    file: str | None,
    *,
    output: Path | None,
    resume: Path | None,
    encoding: str | None,
    steps: int | None,
    seconds: float | None,
    threads: int,
    settings: Mapping[str, Any],
) -> int:
    """Train a model on a file, or resume one; returns the exit code.

    `settings` are those of `Settings` that the user chose; of a checkpoint's own few may change.
    """
    from rich.console import Console

    if resume:
        run, path = _resumed(resume, file, encoding, settings), output or resume
    else:
        run, path = _fresh(file, output, encoding or "utf-8", settings)
    if path.is_fifo():
        raise TrainingError(f"{path} is a pipe; a checkpoint is written again and again")
    console = Console(emoji=False)
    with progress(run, console) as reporter:
        interrupted = train(run, path, reporter, steps=steps, seconds=seconds, threads=threads)
    name = for_terminal(shlex.quote(str(path)))
    how = "Interrupted. " if interrupted else ""
    click.echo(f"{how}Saved after {run.step_number:,} steps: {name}")
    click.echo(f"Go on:  tinygrad-rnn train --resume {name}")
    click.echo(f"Listen: tinygrad-rnn sample {name}")
    return SIGNALLED + run.ended_by if interrupted else 0


def _fresh(
    file: str | None, output: Path | None, encoding: str, settings: Mapping[str, Any]
) -> tuple[Run, Path]:
    chosen = Settings(**settings)
    _tell_of_idle(chosen)
    corpus = _corpus(file, encoding, chosen.seq)
    path = output or Path(f"{_stem(corpus.name)}.safetensors")
    if path.is_file():
        raise TrainingError(
            f"{path} exists already: resume it, --resume {shlex.quote(str(path))}, "
            "or name another with --output"
        )
    return Run(corpus, chosen), path


def _resumed(
    resume: Path, file: str | None, encoding: str | None, settings: Mapping[str, Any]
) -> Run:
    saved = Saved.load(resume)
    fixed = [
        name
        for name, value in settings.items()
        if name not in _MAY_CHANGE and getattr(saved.settings, name) != value
    ]
    if fixed:
        given = ", ".join(f"--{name} {getattr(saved.settings, name)}" for name in fixed)
        raise TrainingError(
            f"--resume keeps the settings that {resume} was begun with, {given}; only "
            f"--{', --'.join(_MAY_CHANGE)}, --steps, --seconds and --threads may differ"
        )
    chosen = replace(saved.settings, **settings)
    _tell_of_idle(chosen)
    name = saved.text["name"] if file is None else file
    run = Run.resume(saved, _corpus(name, encoding or saved.text["encoding"], saved.settings.seq))
    run.change(lr=chosen.lr, clip=chosen.clip)
    return run


# Of a run that goes on: how it learns, not what.
_MAY_CHANGE = ("lr", "clip")


def _tell_of_idle(settings: Settings) -> None:
    """Refuse settings with which nothing is learned; warn of those without effect.

    Raises:
        TrainingError: nothing would be learned.
    """
    if settings.clip == 0:
        raise TrainingError(
            "--clip 0 leaves nothing of any gradient, so nothing would be learned; "
            "a large one, --clip 1e9, clips nothing"
        )
    if settings.lr == 0:
        raise TrainingError("--lr 0 changes no parameter, so nothing would be learned")
    if settings.dropout and settings.layers == 1:
        click.echo(
            f"--dropout {settings.dropout:g} does nothing: "
            "it hides units from the layer above, and there is one layer",
            err=True,
        )


def _corpus(file: str | None, encoding: str, sequence: int) -> Corpus:
    if file in (None, STANDARD_LIBRARY):
        return Corpus.of(standard_library(), STANDARD_LIBRARY, sequence)
    if file == "-":
        return Corpus.of(decode(read_stdin(), "-", encoding), "-", sequence, encoding)
    return Corpus.of(read_text(Path(file), encoding), file, sequence, encoding)


def _stem(name: str) -> str:
    return {STANDARD_LIBRARY: "stdlib", "-": "stdin"}.get(name) or Path(name).stem


def sample_checkpoint(
    checkpoint: Path,
    *,
    prime: str | None,
    temperature: float,
    length: int,
    seed: int | None,
    neuron: str | None,
) -> None:
    """Print what a trained model says, or that text coloured by its hidden units."""
    from rich.console import Console

    saved = Saved.load(checkpoint)
    units = [] if neuron is None else _units(neuron, saved.settings.hidden)
    begin = _first_character(saved.vocabulary.characters) if prime is None else prime
    reads = sample(
        saved.model, saved.vocabulary, prime=begin, length=length, temperature=temperature, rng=seed
    )
    if prime is None:
        # The character to begin with was nobody's wish: it is read, but not shown.
        next(reads)
    if neuron is not None:
        show(list(reads), units, Console(emoji=False))
        return
    for read in reads:
        click.echo(for_terminal(read.character, multiline=True), nl=False)
    click.echo()


def _first_character(known: str) -> str:
    return "\n" if "\n" in known else known[0]


def _units(neuron: str, hidden: int) -> list[int]:
    if neuron == "all":
        return list(range(hidden))
    if not neuron.isdecimal() or int(neuron) >= hidden:
        raise TrainingError(
            f'--neuron must be "all" or a unit of the last layer, 0..{hidden - 1}, not {neuron!r}'
        )
    return [int(neuron)]
