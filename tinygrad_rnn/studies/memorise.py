"""On which letters of the past does a prediction depend?"""

from collections.abc import Sequence
from itertools import repeat
from typing import Any

import numpy as np

from .. import nn
from ..autograd import ops
from ..autograd.switches import no_grad
from ..autograd.tensor import Tensor
from .plots import Chart, Grid, Line
from .study import Record, Row, Study, number
from .tasks import Batch, Learner, each

# Both halves say "a cat on the "; what comes then is told only by how the half began.
TEXT = "one: a cat on the mat. two: a cat on the log. "
LETTERS = "".join(sorted(set(TEXT)))
HIDDEN, RATE, UPDATES, EVERY, KNOWN = 48, 0.01, 600, 20, 0.02
HALF = len(TEXT) // 2
ASKED = TEXT.index("log")  # by then the last 15 letters are those of the first half, too
EASY = TEXT.rindex("cat") + 1  # the a of "cat"
SURE, SAME = 0.8, 0.1


class Memorise(Study):
    """By how much log p(next letter) changes when one earlier letter is another one.

    After "a cat on the " comes an m or an l. The last 15 letters are the same in both
    halves: what tells them apart is the word before, "one" or "two". So the network must have kept
    it, and if the word is exchanged it says the other letter. Where the last letters tell all, the
    word makes no difference.
    """

    name = "memorise"
    question = "On which letters of the past does a prediction depend?"
    source = (
        "Karpathy, Johnson, Fei-Fei (2016); Khandelwal et al., Sharp Nearby, Fuzzy Far Away (2018)"
    )

    def runs(self, full: bool) -> list[dict[str, Any]]:
        return [{"cell": "GRU"}]

    def run(self, seed: int, **settings: Any) -> dict[str, Any]:
        network = network_of(seed)
        learner = Learner.of(network, nn.cross_entropy, RATE, each)
        inputs, targets = text()
        batch: Batch = (inputs[:, None], targets)
        found = learner.learn(repeat(batch), batch, UPDATES, EVERY, KNOWN)
        asked, easy = (TEXT + TEXT[:end] for end in (ASKED, EASY))
        return {
            "loss": found["errors"][-1],
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
        claim = "with one for two, 15 letters back, it says the m of mat"
        return [
            Row("it knows the text", f"loss < {KNOWN}", f"{loss:.4f}", seed, loss < KNOWN),
            Row("it says the l of log", sure, f"{right:.3f}", seed, right > SURE),
            Row(claim, sure, f"{said:.3f}", seed, said > SURE),
            Row("the a of cat does not depend on it", same, number(easy), seed, easy < SAME),
        ]

    def charts(self, records: Sequence[Record]) -> Sequence[Chart | Grid]:
        first = next(record for record in records if record.seed == 0)
        lines = [
            Line(label, list(range(1, HALF + 1)), first[f"{name} by letter"])
            for name, label in (("asked", "the l of log"), ("easy", "the a of cat"))
        ]
        x, y = "letters back", "|Δ log p|, if this letter is another one"
        return [Chart("What a prediction depends on", x, y, lines, log_y=True)]

    def loss(self) -> Tensor:
        inputs, targets = text()
        return nn.cross_entropy(each(network_of(0), inputs[:8, None]), targets[:8])


def network_of(seed: int) -> nn.GRU:
    """A fresh network for the text's letters."""
    return nn.GRU(len(LETTERS), HIDDEN, output_size=len(LETTERS), dtype=np.float32, rng=seed)


def text() -> Batch:
    """The text three times, one-hot (T, I), and the letter after each (T,)."""
    places = np.array([LETTERS.index(letter) for letter in TEXT * 3])
    return np.eye(len(LETTERS), dtype=np.float32)[places[:-1]], places[1:]


def probability(network: nn.GRU, read: str, letter: str) -> float:
    """p(letter) after reading."""
    places = [LETTERS.index(each) for each in read]
    with no_grad():
        ys, _ = network(np.eye(len(LETTERS), dtype=np.float32)[places][:, None])
        return float(ops.softmax(ys[-1, 0]).data[LETTERS.index(letter)])


def change(network: nn.GRU, one: str, other: str, letter: str) -> float:
    """|Δ log p(letter)| between two readings."""
    p, q = (probability(network, read, letter) for read in (one, other))
    return abs(float(np.log(p / q)))


def exchanged(read: str) -> str:
    """The reading with the other word in its last half."""
    start = read.rindex("two")
    return read[:start] + "one" + read[start + 3 :]


def by_letter(network: nn.GRU, read: str, letter: str) -> list[float]:
    """|Δ log p(letter)| when the letter n back is a space (or, of a space, an e), n = 1 … HALF."""
    found = []
    for back in range(1, HALF + 1):
        place = len(read) - back
        other = "e" if read[place] == " " else " "
        found.append(change(network, read, read[:place] + other + read[place + 1 :], letter))
    return found
