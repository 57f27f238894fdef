"""A trained character model talks: one character at a time, each read again as the next input."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..autograd.state import no_grad
from ..autograd.tensor import Array
from ..errors import TrainingError
from ..nn.recurrent import LSTM, Recurrent, state_parts
from .data import Vocabulary


@dataclass(frozen=True, slots=True)
class Read:
    """A character, and what the units of the last layer held once it had been read, (H,) in -1..1."""

    character: str
    units: Array


def sample(
    model: Recurrent,
    vocabulary: Vocabulary,
    *,
    prime: str = "\n",
    length: int = 500,
    temperature: float = 1.0,
    rng: np.random.Generator | int | None = None,
) -> Iterator[Read]:
    """Read `prime`, then go on for `length` characters, each drawn from softmax(y / temperature).

    The units are h, and tanh(c) for an LSTM: its memory. Temperature 0 takes the likeliest
    character.

    Yields:
        Read: each character of the prime, then each drawn one.

    Raises:
        TrainingError: an empty prime, one with characters the model does not know, or a negative
            temperature.
    """
    if not prime:
        raise TrainingError(
            "the prime is empty; the model needs one character at least to begin with"
        )
    if not 0 <= temperature < np.inf:
        raise TrainingError(f"the temperature must be 0 or more, got {temperature}")
    generator = np.random.default_rng(rng)
    numbers = [int(n) for n in vocabulary.encode(prime)]
    memory = 1 if isinstance(model, LSTM) else 0
    was_training, state, scores = model.training, None, np.zeros(len(vocabulary))
    model.eval()
    try:
        for place in range(len(prime) + length):
            number = numbers[place] if place < len(prime) else _draw(scores, temperature, generator)
            with no_grad():  # for each step of its own: between two yields other code runs
                ys, state = model(vocabulary.one_hot(np.array([number]), model.W_hh.dtype), state)
            scores, units = ys.data[0], state_parts(state)[memory].data[-1]
            yield Read(vocabulary.characters[number], np.tanh(units) if memory else units)
    finally:
        model.train(was_training)


def _draw(scores: Array, temperature: float, rng: np.random.Generator) -> int:
    if temperature == 0:
        return int(scores.argmax())
    # The largest of scores with Gumbel noise is a draw from their softmax, whatever the
    # temperature's size.
    noise = rng.gumbel(size=scores.shape)
    return int((scores.astype(np.float64) + temperature * noise).argmax())
