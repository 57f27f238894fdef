"""The proof that it learns: real text, 128 units, a minute."""

import time

import pytest

from tinygrad_rnn.training.data import STANDARD_LIBRARY, Corpus, standard_library
from tinygrad_rnn.training.loop import Run, Settings, train


class Curve:
    """The loss on held-out text, by the seconds of training so far."""

    def __init__(self, clock):
        self.clock, self.points = clock, []

    def stepped(self, step):
        pass

    def validated(self, number, loss, text):
        self.points.append((self.clock(), loss))

    def crossed(self, line):
        """When the loss was first below a line."""
        return next((seconds for seconds, loss in self.points if loss < line), float("inf"))


@pytest.mark.slow
def test_a_megabyte_of_text_is_learnt_beyond_its_bigrams_and_trigrams(tmp_path):
    started = time.monotonic()
    curve = Curve(lambda: time.monotonic() - started)
    corpus = Corpus.of(standard_library(), STANDARD_LIBRARY, Settings().seq)
    train(Run(corpus, Settings()), tmp_path / "x.safetensors", curve, seconds=60)
    _, bigram, trigram = corpus.entropies
    assert curve.crossed(bigram) < 20
    assert curve.crossed(trigram) < 62
