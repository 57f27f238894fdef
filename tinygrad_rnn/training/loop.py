"""Training a character model: steps, validation, and checkpoints.

A run that goes on from its checkpoint is bit for bit the one that was not interrupted.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol, Self

import numpy as np

from .. import nn
from ..autograd.state import no_grad
from ..autograd.tensor import Tensor
from ..errors import CheckpointError, TrainingError
from ..nn.cells import state_of, state_parts
from ..nn.checkpoint import Checkpoint, load, save
from ..nn.recurrent import LAYERS, Recurrent
from .data import Corpus, Vocabulary, batch
from .sampling import sample

VALIDATION_STREAMS = 32
VALIDATION_STEPS = 512
REPORT_EVERY = 3.0  # seconds between looks at held-out text
SAVE_EVERY = 60.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run is, apart from its text.

    The names are those of the command's options: a step reads `seq` characters at each of `batch`
    places of the text; `clip` bounds the gradient's norm.
    """

    cell: str = "rnn"
    layers: int = 1
    hidden: int = 128
    dropout: float = 0.0
    seq: int = 48
    batch: int = 32
    lr: float = 5e-3
    clip: float = 5.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """One step of training."""

    number: int
    # The mean before the step, in nats a character.
    loss: float
    # Of the gradient, before clipping.
    norm: float


class Run:
    """A model, its optimiser, a text, and where in the text the streams are.

    A step depends on nothing but these, so a run that was saved and resumed is bit for bit the one
    that was not.
    """

    def __init__(self, corpus: Corpus, settings: Settings) -> None:
        size = len(corpus.vocabulary)
        self.corpus, self.settings = corpus, settings
        self.model: Recurrent = LAYERS[settings.cell](
            size,
            settings.hidden,
            output_size=size,
            num_layers=settings.layers,
            dropout=settings.dropout,
            dtype=np.float32,
            rng=settings.seed,
        )
        self.optimizer: nn.optim.Optimizer = nn.optim.Adam(self.model.parameters(), lr=settings.lr)
        self.step_number = 0
        self.state: Any = None

    def step(self) -> Step:
        """Read on by one sequence, and learn from it: truncated backpropagation through time."""
        inputs, targets = batch(
            self.corpus.training, self.settings.batch, self.settings.seq, self.step_number
        )
        ys, self.state = self.model(self._one_hot(inputs), nn.detach(self.state))
        loss = nn.cross_entropy(ys, targets)
        self.optimizer.zero_grad()
        loss.backward()
        norm = nn.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        if not np.isfinite(norm):
            raise TrainingError(
                f"step {self.step_number}: the loss is {loss.item():.4g} "
                f"and the gradient's norm {norm}; try a smaller --lr or --clip"
            )
        self.optimizer.step()
        self.step_number += 1
        return Step(self.step_number, loss.item(), norm)

    def validate(self) -> float:
        """The mean loss on text held out, in nats a character; nothing of the run changes."""
        numbers = self.corpus.held_out
        streams = max(1, min(VALIDATION_STREAMS, len(numbers) // (4 * self.settings.seq)))
        sequence = min(VALIDATION_STEPS, len(numbers) // streams - 1)
        inputs, targets = batch(numbers, streams, sequence, 0)
        self.model.eval()
        try:
            with no_grad():
                ys, _ = self.model(self._one_hot(inputs))
                return nn.cross_entropy(ys, targets).item()
        finally:
            self.model.train()

    def _one_hot(self, numbers: np.ndarray) -> Tensor:
        return Tensor(self.corpus.vocabulary.one_hot(numbers, self.model.W_hh.dtype))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint of all that the next step depends on."""
        corpus, state = self.corpus, np.zeros(0)
        if self.state is not None:
            state = np.stack([part.data for part in state_parts(self.state)])
        save(
            path,
            self.model,
            self.optimizer,
            step=self.step_number,
            settings=asdict(self.settings),
            vocabulary=corpus.vocabulary.characters,
            text={"name": corpus.name, "encoding": corpus.encoding, "digest": corpus.digest},
            rng=self.model.rng.bit_generator.state,
            state=state,
        )

    @classmethod
    def resume(cls, saved: "Saved", corpus: Corpus) -> Self:
        """The run that was saved.

        Raises:
            TrainingError: the text is not the one it was trained on.
        """
        if saved.text["digest"] != corpus.digest:
            raise TrainingError(
                f"{corpus.name} is not the text this model was trained on so far; "
                "to train another one leave --resume out"
            )
        run = cls(corpus, saved.settings)
        run.model, run.optimizer = saved.model, saved.optimizer
        run.model.rng.bit_generator.state = saved.rng
        run.step_number, run.state = saved.step, saved.state
        return run


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint that `Run.save` wrote."""

    model: Recurrent
    optimizer: nn.optim.Optimizer
    settings: Settings
    vocabulary: Vocabulary
    step: int
    # Its name, encoding and digest.
    text: dict[str, str]
    rng: Any
    state: Any

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a checkpoint.

        Raises:
            CheckpointError: no checkpoint, or not one of a character model.
        """
        found = load(path)
        try:
            return cls._of(found)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"load: {os.fspath(path)} is a checkpoint, but not of a model that "
                f"`tinygrad-rnn train` made ({type(error).__name__}: {error})"
            ) from None

    @classmethod
    def _of(cls, found: Checkpoint) -> Self:
        data, model = found.metadata, found.model
        vocabulary = Vocabulary(data["vocabulary"])
        if not isinstance(model, Recurrent) or model.W_hy is None or found.optimizer is None:
            raise TypeError(
                "the model must be a recurrent layer with an output_size, and its optimiser"
            )
        size = len(vocabulary)
        if model.W_hy.shape[0] != size or model.cells[0].input_size != size:
            raise ValueError(f"the vocabulary has {size} characters, the model another number")
        # Raises for what is no state of a generator.
        np.random.default_rng().bit_generator.state = data["rng"]
        parts = tuple(Tensor(part) for part in data["state"])
        return cls(
            model,
            found.optimizer,
            settings=replace(Settings(), **data["settings"]),
            vocabulary=vocabulary,
            step=int(data["step"]),
            text={key: str(data["text"][key]) for key in ("name", "encoding", "digest")},
            rng=data["rng"],
            state=state_of(parts) if parts else None,
        )


class Reporter(Protocol):
    """Is told how a run goes."""

    def stepped(self, step: Step) -> None:
        """One more step is done."""

    def validated(self, number: int, loss: float, text: str) -> None:
        """After step `number`: the loss on held-out text, and what the model says."""


def train(
    run: Run,
    path: str | os.PathLike[str],
    reporter: Reporter,
    *,
    steps: int | None = None,
    seconds: float | None = None,
    threads: int = 1,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """Train to `steps` steps in all, for `seconds`, or to Ctrl-C, whatever comes first.

    The checkpoint is written at the start (so that an unwritable path is known at once), now and
    then, and at the end. `threads` bounds those of each matrix product: more than one gain little
    at these sizes, lose much on a busy machine, and make the sums depend on how many there are.

    Returns:
        Whether Ctrl-C ended it.
    """
    from threadpoolctl import threadpool_limits

    run.save(path)
    started = reported = saved = clock()
    looked_at = -1
    with threadpool_limits(threads), interruptible() as interrupted:
        while not interrupted() and (steps is None or run.step_number < steps):
            now = clock()
            if seconds is not None and now - started >= seconds:
                break
            reporter.stepped(run.step())
            if now - reported >= REPORT_EVERY:
                looked_at = report(run, reporter)
                reported = clock()
            if now - saved >= SAVE_EVERY:
                run.save(path)
                saved = clock()
        run.save(path)
        if looked_at != run.step_number:
            report(run, reporter)
        return interrupted()


def report(run: Run, reporter: Reporter) -> int:
    """Look at held-out text, and let the model talk; returns after which step that was."""
    prime = run.corpus.text[: run.settings.seq]
    reads = list(
        sample(run.model, run.corpus.vocabulary, prime=prime, length=200, rng=run.step_number)
    )
    text = "".join(read.character for read in reads[len(prime) :])
    reporter.validated(run.step_number, run.validate(), text)
    return run.step_number


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed, to be asked between steps; a second one interrupts at once."""
    asked = threading.Event()
    # Signals can be caught in the main thread alone.
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def ask(signum: int, frame: object) -> None:
        asked.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)
