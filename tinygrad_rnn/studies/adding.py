"""Which cell learns to add two numbers that are a hundred steps apart?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import nn
from ..autograd.tensor import Tensor
from .plots import Chart, Grid, Line
from .study import Record, Row, Study
from .tasks import CELLS, Learner, adding, endless

STEPS, HIDDEN, BATCH, TESTED, EVERY = 100, 32, 32, 2000, 100
RATES = {"RNN": 0.003, "LSTM": 0.01, "GRU": 0.01}
UPDATES = {"RNN": 1000, "LSTM": 1500, "GRU": 1500}
BASELINE, NEAR, PASSED = 1 / 6, 0.1, 0.01
# With --full: half the gap, ten times as long.
SHORT, SHORT_UPDATES, HALF = 50, 10_000, BASELINE / 2


class Adding(Study):
    """The squared error on new sequences while learning, by cell; saying 1 each time has 1/6.

    The LSTM's forget gate starts at a bias of 1; nothing else is tuned to the gap. What is claimed
    of the tanh network is that it has learned nothing when the gated ones are done, not that it
    never would: with half the gap and ten times as many updates (--full) it begins to.
    """

    name = "adding"
    question = "Which cell learns to add two numbers out of a hundred?"
    source = (
        "Hochreiter, Schmidhuber, Long Short-Term Memory (1997), sec. 5.4; "
        "Le, Jaitly, Hinton (2015), sec. 4.1"
    )

    def runs(self, full: bool) -> list[dict[str, Any]]:
        # The longest first, so that no processor waits for it alone at the end.
        cells = ("LSTM", "GRU", "RNN")
        runs = [{"cell": cell, "steps": STEPS, "limit": UPDATES[cell]} for cell in cells]
        if full:
            runs.append({"cell": "RNN", "steps": SHORT, "limit": SHORT_UPDATES})
        return runs

    def run(self, seed: int, **settings: Any) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        cell, steps = settings["cell"], settings["steps"]
        learner = Learner.of(network_of(cell, rng), nn.mse_loss, RATES[cell])
        test = adding(np.random.default_rng([1, 0]), steps, TESTED)
        return learner.learn(
            endless(adding, rng, steps, BATCH), test, settings["limit"], EVERY, PASSED
        )

    def rows_of(self, record: Record) -> list[Row]:
        cell, steps, best = record["cell"], record["steps"], min(record["errors"])
        seen = f"{best:.4f} at best, {record['updates'][-1]} updates"
        if cell == "RNN" and steps == STEPS:
            claim = f"tanh RNN, T = {steps}: stays where guessing is"
            reference = f"1/6 = 0.1667 ± {NEAR:.0%}"
            return [Row(claim, reference, seen, record.seed, best >= BASELINE * (1 - NEAR))]
        if cell == "RNN" and steps == SHORT:
            claim = f"tanh RNN, T = {steps}: halves the error, given ten times as long"
            return [Row(claim, f"< 1/12 = {HALF:.4f}", seen, record.seed, best < HALF)]
        return [
            Row(f"{cell}, T = {steps}: passes", f"< {PASSED}", seen, record.seed, best < PASSED)
        ]

    def charts(self, records: Sequence[Record]) -> Sequence[Chart | Grid]:
        own = [record for record in records if record.seed == 0]
        lines = [Line(f"{r['cell']}, T = {r['steps']}", r["updates"], r["errors"]) for r in own]
        end = max(r["updates"][-1] for r in own)
        lines.append(Line("saying 1 each time: 1/6", [0, end], [BASELINE] * 2, "reference"))
        lines.append(Line("learned: 0.01", [0, end], [PASSED] * 2, "reference"))
        y = "mean squared error on new sequences"
        return [Chart("Learning to add", "update", y, lines, log_y=True)]

    def loss(self) -> Tensor:
        rng = np.random.default_rng(0)
        inputs, targets = adding(rng, 10, BATCH)
        return nn.mse_loss(network_of("RNN", rng)(inputs)[0][-1], targets)


def network_of(cell: str, rng: np.random.Generator) -> Any:
    """A fresh network of one cell."""
    options: dict[str, Any] = {"forget_bias": 1.0} if cell == "LSTM" else {}
    return CELLS[cell](2, HIDDEN, output_size=1, dtype=np.float32, rng=rng, **options)
