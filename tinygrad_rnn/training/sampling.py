"""A trained character model talks: one character at a time, each read again as the next input."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd.switches import no_grad
from ..autograd.tensor import Array
from ..errors import TrainingError
from ..nn.cells import state_parts
from ..nn.recurrent import Recurrent
from .data import Vocabulary


@dataclass(frozen=True, slots=True)
class Read:
    """A character, and what the last layer's units held once it was read, (H,) in -1..1."""

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

    The units are h, or tanh(c) where the cell has a memory c. Temperature 0 takes the likeliest
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
        raise TrainingError(f"the temperature must be finite and at least 0, got {temperature}")
    generator = np.random.default_rng(rng)
    numbers = [int(n) for n in vocabulary.encode(prime)]
    was_training, state, scores = model.training, None, np.zeros(len(vocabulary))
    model.eval()
    try:
        for place in range(len(prime) + length):
            if place < len(prime):
                number = numbers[place]
            else:
                number = _draw(scores, temperature, generator)
            with no_grad():  # entered anew at each step: between two yields other code runs
                ys, state = model(vocabulary.one_hot(np.array([number]), model.W_hh.dtype), state)
            scores = ys.data[0]
            yield Read(vocabulary.characters[number], _shown(model, state))
    finally:
        model.train(was_training)


def _shown(model: Recurrent, state: Any) -> Array:
    last = state_parts(state)[-1].data[-1]
    return np.tanh(last) if "c" in model.cell_type.states else last


def _draw(scores: Array, temperature: float, rng: np.random.Generator) -> int:
    if temperature == 0:
        return int(scores.argmax())
    # The largest of scores with Gumbel noise is a draw from their softmax, whatever the
    # temperature's size.
    noise = rng.gumbel(size=scores.shape)
    return int((scores.astype(np.float64) + temperature * noise).argmax())
