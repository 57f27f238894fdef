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
from ..autograd.switches import no_grad
from ..autograd.tensor import Tensor
from ..errors import CheckpointError, TrainingError
from ..nn.cells import state_of, state_parts
from ..nn.checkpoint import Checkpoint, load, save
from ..nn.recurrent import LAYERS, Recurrent
from ..text import elide
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
        self.step_number = self.ended_by = 0
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

    def change(self, lr: float, clip: float) -> None:
        """Go on with another learning rate, and another greatest norm of the gradient."""
        self.settings = replace(self.settings, lr=lr, clip=clip)
        for group in self.optimizer.param_groups:
            group["lr"] = lr

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
            CheckpointError: it is not a checkpoint, or not one of a character model.
        """
        found = load(path)
        try:
            return cls._of(found)
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            reason = elide(f"{type(error).__name__}: {' '.join(str(error).split())}", 200)
            raise CheckpointError(
                f"load: {os.fspath(path)} is a checkpoint, but not of a model that "
                f"`tinygrad-rnn train` made ({reason}); tg.load reads any other in a script"
            ) from None

    @classmethod
    def _of(cls, found: Checkpoint) -> Self:
        data, model = found.metadata, found.model
        vocabulary = Vocabulary(_characters(data["vocabulary"]))
        if not isinstance(model, Recurrent) or model.W_hy is None or found.optimizer is None:
            raise TypeError(
                "the model must be a recurrent layer with an output_size, and its optimiser"
            )
        size = len(vocabulary)
        if model.W_hy.shape[0] != size or model.cells[0].input_size != size:
            raise ValueError(f"the vocabulary has {size} characters, the model another number")
        settings = replace(Settings(), **data["settings"])
        _check_settings(settings, model)
        parts = [Tensor(part) for part in data["state"]]
        _check_state(parts, model, settings.batch)
        return cls(
            model,
            found.optimizer,
            settings=settings,
            vocabulary=vocabulary,
            step=_whole(data["step"], "step", 0, MOST_STEPS),
            text={key: _text(data["text"][key], key) for key in ("name", "encoding", "digest")},
            rng=_generator_state(data["rng"]),
            state=state_of(parts) if parts else None,
        )


# What a checkpoint says of itself, before anything is built from it

MOST_STEPS = 10**12
# Numbers that a step of a small model may make; a larger model's are more, with its parameters.
_STEP_NUMBERS = (2**27, 64)


def _whole(value: Any, what: str, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{what} is {value!r:.40}, not a number from {low} to {high}")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or len(value) > 4096:
        raise TypeError(f"{what} is not a text: {value!r:.40}")
    return value


def _characters(value: Any) -> str:
    if not isinstance(value, str) or len(set(value)) != len(value):
        raise TypeError("the vocabulary must be a text of distinct characters")
    return value


def _check_settings(settings: Settings, model: Recurrent) -> None:
    """Refuse settings that are not this model's, or with which a step would take far too long."""
    for name in ("layers", "hidden", "seq", "batch"):
        _whole(getattr(settings, name), name, 1, 2**40)
    _whole(settings.seed, "seed", 0, 2**128)
    for name in ("dropout", "lr", "clip"):
        value = getattr(settings, name)
        if type(value) not in (int, float) or not 0 <= value < np.inf:
            raise ValueError(f"{name} is {value!r:.40}, not a number from 0 on")
    if LAYERS.get(_text(settings.cell, "cell")) is not type(model) or model.directions != 1:
        raise ValueError(f"the cell is {settings.cell!r:.40}, the model another")
    own = model.config
    said = (settings.layers, settings.hidden, settings.dropout)
    if said != (own["num_layers"], own["hidden_size"], own["dropout"]):
        raise ValueError("layers, hidden or dropout are not the model's")
    size = sum(parameter.size for parameter in model.parameters())
    width = own["input_size"] + 8 * settings.hidden * settings.layers
    numbers = settings.batch * settings.seq * width
    if numbers > _STEP_NUMBERS[0] + _STEP_NUMBERS[1] * size:
        raise ValueError(f"a step of batch × seq would make {numbers:,} numbers")


def _check_state(parts: list[Tensor], model: Recurrent, batch: int) -> None:
    """Refuse a hidden state that is not the model's."""
    cell = model.cells[0]
    shape = (len(model.cells), batch, cell.hidden_size)
    if parts and len(parts) != len(cell.states):
        raise ValueError(f"the hidden state has {len(parts)} parts")
    if any(part.shape != shape or part.dtype != model.W_hh.dtype for part in parts):
        raise ValueError(f"the hidden state is not of shape {shape} and the model's dtype")


def _generator_state(state: Any) -> dict[str, Any]:
    """The state of NumPy's PCG64, as a checkpoint holds it."""
    _whole(state["state"]["state"], "rng", 0, 2**128 - 1)
    _whole(state["state"]["inc"], "rng", 0, 2**128 - 1)
    _whole(state["has_uint32"], "rng", 0, 1)
    _whole(state["uinteger"], "rng", 0, 2**32 - 1)
    np.random.default_rng().bit_generator.state = state  # raises for another generator's
    return state


class Reporter(Protocol):
    """Receives the progress of a run."""

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
    """Train to `steps` steps in all, for `seconds`, or to a signal, whatever comes first.

    The checkpoint is written at the start (so that an unwritable path is known at once), now and
    then, and at the end. `threads` bounds those of each matrix product: more than one gain little
    at these sizes, lose much on a busy machine, and make the sums depend on how many there are.

    Returns:
        Whether a signal ended it: Ctrl-C, a terminal that closed, a machine that shuts down; then
        `run.ended_by` is its number.
    """
    is_new, began_at = not os.path.exists(path), run.step_number
    run.save(path)
    try:
        return _train(run, path, reporter, steps, seconds, threads, clock)
    except BaseException:
        # A first checkpoint without a step is worth nothing, and would stand in the next run's way.
        if is_new and run.step_number == began_at:
            os.remove(path)
        raise


def _train(
    run: Run,
    path: str | os.PathLike[str],
    reporter: Reporter,
    steps: int | None,
    seconds: float | None,
    threads: int,
    clock: Callable[[], float],
) -> bool:
    from threadpoolctl import threadpool_limits

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
        run.ended_by = interrupted()
        return bool(run.ended_by)


def report(run: Run, reporter: Reporter) -> int:
    """Look at held-out text, and let the model talk; returns after which step that was."""
    prime = run.corpus.text[: run.settings.seq]
    reads = list(
        sample(run.model, run.corpus.vocabulary, prime=prime, length=200, rng=run.step_number)
    )
    text = "".join(read.character for read in reads[len(prime) :])
    reporter.validated(run.step_number, run.validate(), text)
    return run.step_number


_ENDS = [getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP")]


@contextmanager
def interruptible() -> Iterator[Callable[[], int]]:
    """A function to call between steps: the signal that asked for an end, or 0.

    A second signal has its usual effect. One that was ignored before, as under `nohup`, stays
    ignored.
    """
    asked: list[int] = []
    before: dict[int, Any] = {}

    def ask(signum: int, frame: object) -> None:
        asked.append(signum)
        restore()

    def restore() -> None:
        for signum, handler in before.items():
            signal.signal(signum, handler)

    # Signals can be caught in the main thread alone.
    if threading.current_thread() is threading.main_thread():
        for signum in _ENDS:
            if signum is not None and signal.getsignal(signum) not in (signal.SIG_IGN, None):
                before[signum] = signal.signal(signum, ask)
    try:
        yield lambda: asked[0] if asked else 0
    finally:
        restore()
