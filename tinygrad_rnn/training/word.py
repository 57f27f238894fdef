"""A recurrent network that spells a text: every character is predicted from all those before it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .. import nn
from ..autograd import ops
from ..autograd.tensor import Tensor, tensor
from ..errors import TrainingError
from ..nn.recurrent import LAYERS, Recurrent


@dataclass(frozen=True, slots=True)
class Speller:
    """A network over the characters of one text, and the text as its inputs and targets.

    At timestep t it reads character t, one-hot, and is asked for character t + 1.
    """

    text: str
    vocabulary: str
    network: Recurrent

    @classmethod
    def of(
        cls, text: str, cell: str = "rnn", layers: int = 1, hidden: int = 8, seed: int = 0
    ) -> "Speller":
        """A fresh network for a text.

        Raises:
            TrainingError: fewer than two characters, so that there is nothing to predict.
        """
        if len(text) < 2:
            raise TrainingError(
                f"the text {text!r} is too short: each character is predicted from those before "
                "it, so there must be two at least"
            )
        vocabulary = "".join(sorted(set(text)))
        size = len(vocabulary)
        network = LAYERS[cell](size, hidden, output_size=size, num_layers=layers, rng=seed)
        return cls(text, vocabulary, network)

    def loss(self) -> Tensor:
        """The mean cross-entropy, in nats, of each next character.

        Inputs and outputs are named by their characters.
        """
        numbers = [self.vocabulary.index(character) for character in self.text]
        one_hot = np.eye(len(self.vocabulary))
        read = zip(numbers[:-1], self.text[:-1], strict=True)
        xs = ops.stack([tensor(one_hot[number], name=_visible(c)) for number, c in read])
        ys, _ = self.network(xs)
        for y, character in zip(ys, self.text[1:], strict=True):
            y.name = _visible(character)
        return nn.cross_entropy(ys, numbers[1:])

    def train(self, steps: int, lr: float = 0.1) -> Iterator[float]:
        """The loss before each of `steps` steps of Adagrad."""
        optimizer = nn.optim.Adagrad(self.network.parameters(), lr=lr)
        for _ in range(steps):
            loss = self.loss()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss.item()


def _visible(character: str) -> str:
    return "␣" if character == " " else character
