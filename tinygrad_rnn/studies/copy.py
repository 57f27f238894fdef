"""Which network learns to repeat ten letters?"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import nn
from ..autograd.switches import no_grad
from ..autograd.tensor import Array, Tensor
from .plots import Chart, Grid, Line
from .study import Record, Row, Study
from .tasks import BLANK, COPIED, LETTERS, Learner, copying, each, endless

GAP, LONG, HIDDEN, BATCH, TESTED = 10, 40, 64, 32, 200
UPDATES, EVERY = 2000, 100
# What is learned with, and Adam's rate: of 0.001, 0.003 and 0.01 the best of each kind.
RATES = {"LSTM, bias 3": 0.01, "GRU": 0.01, "ReLU, identity": 0.001}
RATES |= {"tanh": 0.003, "tanh, orthogonal": 0.003}
REMEMBER = ("LSTM, bias 3", "GRU", "ReLU, identity")
BELOW, NEAR = 0.8, 0.05  # shares of the baseline


class Copy(Study):
    """Ten letters out of eight, a gap, then all ten again: the loss by that of one without memory.

    A network without memory can still say blanks where blanks are due: 10 ln 8 / (T + 20) is what
    is left, with T + 20 steps in all. Every network comes to that line, and soon. With a gap of 10
    the gated ones and the identity get well below it in 2,000 updates, and none is done. A tanh
    network stays on it. Most that start with an orthogonal W_hh stay there, too, though their
    gradient neither vanishes nor explodes at the start: what can flow back is not yet learned.
    """

    name = "copy"
    question = "Which network learns to repeat ten letters after a gap?"
    source = (
        "Hochreiter, Schmidhuber (1997); Arjovsky, Shah, Bengio (2016), sec. 4.1; "
        "Le, Jaitly, Hinton (2015) for the identity"
    )

    def runs(self, full: bool) -> list[dict[str, Any]]:
        gaps = (LONG, GAP) if full else (GAP,)
        return [{"kind": kind, "gap": gap} for gap in gaps for kind in RATES]

    def run(self, seed: int, **settings: Any) -> dict[str, Any]:
        rng, kind, gap = np.random.default_rng(seed), settings["kind"], settings["gap"]
        learner = Learner.of(network_of(kind, rng), nn.cross_entropy, RATES[kind], each)
        test = copying(np.random.default_rng([1, 0]), gap, TESTED)
        found = learner.learn(endless(copying, rng, gap, BATCH), test, UPDATES, EVERY, goal=0.0)
        return {**found, "right": letters_right(learner, *test)}

    def rows_of(self, record: Record) -> list[Row]:
        kind, gap, seed = record["kind"], record["gap"], record.seed
        share = min(record["errors"]) / baseline(gap)
        seen = f"{share:.3f}, {record['right']:.0%} of the letters right"
        who = f"{kind}, T = {gap}"
        claim = f"{who}: comes to what one without memory has"
        rows = [Row(claim, f"≤ {1 + NEAR}", seen, seed, share <= 1 + NEAR)]
        if gap != GAP:
            return rows
        if kind in REMEMBER:
            claim = f"{who}: and gets well below it"
            return [*rows, Row(claim, f"< {BELOW}", seen, seed, share < BELOW)]
        claim = f"{who}: and stays there"
        return [*rows, Row(claim, f"≥ {1 - NEAR}", seen, seed, share >= 1 - NEAR)]

    def charts(self, records: Sequence[Record]) -> Sequence[Chart | Grid]:
        own = [record for record in records if record.seed == 0]
        return [chart_of(gap, [r for r in own if r["gap"] == gap]) for gap in gaps_of(own)]

    def loss(self) -> Tensor:
        rng = np.random.default_rng(0)
        inputs, targets = copying(rng, 0, BATCH)
        return nn.cross_entropy(each(network_of("tanh", rng), inputs), targets)


def baseline(gap: int) -> float:
    """10 ln 8 / (T + 20): the loss of one who knows when, and guesses what."""
    return COPIED * math.log(LETTERS) / (gap + 2 * COPIED)


def gaps_of(records: Sequence[Record]) -> list[int]:
    """The gaps of some runs, the shortest first."""
    return sorted({record["gap"] for record in records})


def chart_of(gap: int, records: Sequence[Record]) -> Chart:
    """The loss of each kind while it learns, as a share of the baseline."""
    lines = []
    for record in records:
        shares = [error / baseline(gap) for error in record["errors"]]
        lines.append(Line(record["kind"], record["updates"], shares))
    lines.append(Line("without memory: 10 ln 8 / (T + 20)", [0, UPDATES], [1, 1], "reference"))
    y = "loss, by that of one without memory"
    return Chart(f"Ten letters again, T = {gap}", "update", y, lines, limits=(0, 1.25))


def network_of(kind: str, rng: np.random.Generator) -> Any:
    """A fresh network of one of RATES."""
    options: dict[str, Any] = {"output_size": BLANK + 1, "dtype": np.float32, "rng": rng}
    if kind == "GRU":
        return nn.GRU(BLANK + 2, HIDDEN, **options)
    if kind == "LSTM, bias 3":
        return nn.LSTM(BLANK + 2, HIDDEN, forget_bias=3.0, **options)
    if kind == "ReLU, identity":
        network = nn.RNN(BLANK + 2, HIDDEN, nonlinearity="relu", **options)
        nn.init.eye_(network.W_hh)
        return network
    network = nn.RNN(BLANK + 2, HIDDEN, **options)
    if kind == "tanh, orthogonal":
        nn.init.orthogonal_(network.W_hh, rng=rng)
    return network


def letters_right(learner: Learner, inputs: Array, targets: Array) -> float:
    """The share of right answers at the last ten steps; guessing has one in eight."""
    with no_grad():
        says = learner.answer(inputs).data.argmax(axis=-1)
    batch = inputs.shape[1]
    return float((says == targets)[-COPIED * batch :].mean())
