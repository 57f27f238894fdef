"""A recurrent network that spells a text: every character is predicted from all those before it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .. import nn
from ..autograd import ops
from ..autograd.tensor import Tensor, tensor
from ..errors import TrainingError
from ..nn.recurrent import LAYERS, Recurrent
from .data import Vocabulary
from .loop import Saved


@dataclass(frozen=True, slots=True)
class Speller:
    """A network over the characters of one text, and the text as its inputs and targets.

    At timestep t it reads character t, one-hot, and is asked for character t + 1.
    """

    text: str
    vocabulary: Vocabulary
    network: Recurrent

    @classmethod
    def of(
        cls,
        text: str,
        cell: str = "rnn",
        layers: int = 1,
        hidden: int = 8,
        seed: int = 0,
        radius: float | None = None,
    ) -> "Speller":
        """A fresh network for a text.

        With a `radius` each matrix from state to state (each gate's) is that times an orthogonal
        one: all its singular values are `radius`.

        Raises:
            TrainingError: fewer than two characters, so that there is nothing to predict.
        """
        _check_length(text)
        vocabulary = Vocabulary.of(text)
        size = len(vocabulary)
        network = LAYERS[cell](size, hidden, output_size=size, num_layers=layers, rng=seed)
        if radius is not None:
            for own in network.cells:
                blocks = own.W_hh.shape[0] // hidden
                nn.init.orthogonal_(own.W_hh, radius, blocks=blocks, rng=seed)
        return cls(text, vocabulary, network)

    @classmethod
    def trained(cls, checkpoint: str | os.PathLike[str], text: str) -> "Speller":
        """The network of a checkpoint that `train` wrote, as it is when it is not trained.

        Raises:
            CheckpointError: it is not a checkpoint, or not one of a character model.
            TrainingError: the text is too short, or has characters that the model does not know.
        """
        saved = Saved.load(checkpoint)
        _check_length(text)
        saved.vocabulary.encode(text)
        saved.model.eval()
        return cls(text, saved.vocabulary, saved.model)

    def loss(self, at: Literal["every", "last"] = "every") -> Tensor:
        """The mean cross-entropy, in nats, of each next character, or that of the last one alone.

        Inputs and outputs are named by their characters.
        """
        numbers = self.vocabulary.encode(self.text)
        targets = numbers[1:]
        one_hot = self.vocabulary.one_hot(numbers[:-1], self.network.W_hh.dtype)
        read = zip(one_hot, self.text[:-1], strict=True)
        xs = ops.stack([tensor(row, name=_visible(character)) for row, character in read])
        ys, _ = self.network(xs)
        for y, character in zip(ys, self.text[1:], strict=True):
            y.name = _visible(character)
        if at == "last":
            return nn.cross_entropy(ys[-1], targets[-1])
        return nn.cross_entropy(ys, targets)

    def train(self, steps: int, lr: float = 0.1) -> Iterator[float]:
        """The loss before each of `steps` steps of Adagrad."""
        optimizer = nn.optim.Adagrad(self.network.parameters(), lr=lr)
        for _ in range(steps):
            loss = self.loss()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss.item()


def _check_length(text: str) -> None:
    if len(text) < 2:
        raise TrainingError(
            f"the text {text!r} is too short: each character is predicted from those before it, "
            "so there must be two at least"
        )


def _visible(character: str) -> str:
    return "␣" if character == " " else character
