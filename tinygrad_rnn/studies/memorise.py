"""On which letters of the past does a prediction depend?"""

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from .. import nn
from ..autograd import ops
from ..autograd.switches import no_grad
from ..autograd.tensor import Array, Tensor
from .plots import Chart, Grid, Line
from .study import Record, Row, Study, number
from .tasks import Batch, Learner, each, endless

# Both say "a cat on the "; what comes then is told only by how the sentence began.
SENTENCES = ("one: a cat on the mat. ", "two: a cat on the log. ")
LETTERS = "".join(sorted(set("".join(SENTENCES))))
LENGTH = len(SENTENCES[0])
READ = 2  # sentences, one after the other
HIDDEN, BATCH, RATE, UPDATES, EVERY, KNOWN = 48, 16, 0.01, 1000, 20, 0.005
# Of the letters that are asked for, nobody can know the first of the second sentence.
CHANCE = (READ - 1) * math.log(2) / (READ * LENGTH - 1)
BEFORE = SENTENCES[1].index("log")  # by then the last 15 letters are those of the other sentence
EASY = SENTENCES[1].index("cat") + 1  # the a of "cat"
SURE, SAME = 0.8, 0.1


class Memorise(Study):
    """By how much log p(next letter) changes when one earlier letter is another one.

    A text is made of two sentences in random order. After "a cat on the " comes an m or an l. The
    last 15 letters are the same in both: what tells them apart is the word before, "one" or "two",
    and nothing else, since one sentence says nothing of the next. So the network must have kept
    the word, and if it is exchanged, the network says the other letter. Where the last letters
    tell all, the word makes no difference. The LSTM's forget gate starts open (bias 3): `gap`
    says why.
    """

    name = "memorise"
    question = "On which letters of the past does a prediction depend?"
    source = (
        "Karpathy, Johnson, Fei-Fei (2016); Khandelwal et al., Sharp Nearby, Fuzzy Far Away (2018)"
    )

    def runs(self, full: bool) -> list[dict[str, Any]]:
        return [{"cell": "LSTM"}]

    def run(self, seed: int, **settings: Any) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        network = network_of(rng)
        learner = Learner.of(network, nn.cross_entropy, RATE, each)
        found = learner.learn(
            endless(sentences, rng, READ, BATCH), every_text(), UPDATES, EVERY, CHANCE + KNOWN
        )
        asked, easy = (SENTENCES[0] + SENTENCES[1][:end] for end in (BEFORE, EASY))
        return {
            "loss": found["errors"][-1] - CHANCE,
            "updates": found["updates"][-1],
            "right": probability(network, asked, "l"),
            "exchanged": probability(network, exchanged(asked), "m"),
            "easy": change(network, easy, exchanged(easy), "a"),
            "asked by letter": by_letter(network, asked, "l"),
            "easy by letter": by_letter(network, easy, "a"),
        }

    def rows_of(self, record: Record) -> list[Row]:
        seed, loss, right = record.seed, record["loss"], record["right"]
        said, easy = record["exchanged"], record["easy"]
        sure, same = f"p > {SURE}", f"|Δ log p| < {SAME}"
        knows = f"it knows all but which sentence comes, in {UPDATES} updates"
        measured = f"{loss:.4f} after {record['updates']}"
        claim = "with one for two, 15 letters back, it says the m of mat"
        return [
            Row(knows, f"loss - {CHANCE:.4f} < {KNOWN}", measured, seed, loss < KNOWN),
            Row("it says the l of log", sure, f"{right:.3f}", seed, right > SURE),
            Row(claim, sure, f"{said:.3f}", seed, said > SURE),
            Row("the a of cat does not depend on it", same, number(easy), seed, easy < SAME),
        ]

    def charts(self, records: Sequence[Record]) -> Sequence[Chart | Grid]:
        first = next(record for record in records if record.seed == 0)
        lines = [
            Line(label, list(range(1, LENGTH + 1)), first[f"{name} by letter"])
            for name, label in (("asked", "the l of log"), ("easy", "the a of cat"))
        ]
        x, y = "letters back", "|Δ log p|, if this letter is another one"
        return [Chart("What a prediction depends on", x, y, lines, log_y=True)]

    def loss(self) -> Tensor:
        inputs, following = text_of(np.array([[0]]))
        network = network_of(np.random.default_rng(0))
        return nn.cross_entropy(each(network, inputs[:8]), following[:8])


def network_of(rng: np.random.Generator) -> nn.LSTM:
    """A fresh network for the letters."""
    options: dict[str, Any] = {"output_size": len(LETTERS), "forget_bias": 3.0}
    return nn.LSTM(len(LETTERS), HIDDEN, dtype=np.float32, rng=rng, **options)


def text_of(which: Array) -> Batch:
    """The sentences `which` (B, n) one after the other, as letters: one-hot, and what follows."""
    places = np.array([[LETTERS.index(letter) for letter in each] for each in SENTENCES])
    letters = places[which].reshape(len(which), -1).T
    return np.eye(len(LETTERS), dtype=np.float32)[letters[:-1]], letters[1:].reshape(-1)


def sentences(rng: np.random.Generator, count: int, batch: int) -> Batch:
    """Texts of so many sentences, each one of the two: which letter comes next?

    Inputs (T, B, I), one-hot, with T = 23 count - 1. Targets (T · B,): the next letter.
    """
    return text_of(rng.integers(0, len(SENTENCES), (batch, count)))


def every_text() -> Batch:
    """All texts of two sentences."""
    return text_of(np.array(list(product(range(len(SENTENCES)), repeat=READ))))


def probability(network: nn.LSTM, read: str, letter: str) -> float:
    """p(letter) after reading."""
    places = [LETTERS.index(each) for each in read]
    with no_grad():
        ys, _ = network(np.eye(len(LETTERS), dtype=np.float32)[places][:, None])
        return float(ops.softmax(ys[-1, 0]).data[LETTERS.index(letter)])


def change(network: nn.LSTM, one: str, other: str, letter: str) -> float:
    """|Δ log p(letter)| between two readings."""
    p, q = (probability(network, read, letter) for read in (one, other))
    return abs(float(np.log(p / q)))


def exchanged(read: str) -> str:
    """The reading with the other word in its last sentence."""
    start = read.rindex("two")
    return read[:start] + "one" + read[start + 3 :]


def by_letter(network: nn.LSTM, read: str, letter: str) -> list[float]:
    """|Δ log p(letter)| when the letter n back is a space (or, of a space, an e), n = 1 … 23."""
    found = []
    for back in range(1, LENGTH + 1):
        place = len(read) - back
        other = "e" if read[place] == " " else " "
        found.append(change(network, read, read[:place] + other + read[place + 1 :], letter))
    return found
