"""Does the order of what is read matter to the answer?"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import nn
from ..autograd import ops
from ..autograd.tensor import Tensor
from .plots import Chart, Grid, Line
from .study import Record, Row, Study
from .tasks import CELLS, Learner, endless, first_of_two

STEPS, HIDDEN, BATCH, RATE, UPDATES, EVERY, GOAL = 8, 16, 32, 0.01, 400, 20, 0.1
GUESSING = math.log(2)
BAG = "sum of the inputs"
MODELS = (BAG, *CELLS)


class Bag(nn.Module):
    """A network without recurrence: it reads the sum of all inputs, in which no order is left."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.hidden = nn.Linear(3, HIDDEN, dtype=np.float32, rng=rng)
        self.out = nn.Linear(HIDDEN, 2, dtype=np.float32, rng=rng)

    def forward(self, xs: Any) -> tuple[Tensor, None]:
        """ys with one step: (1, B, 2)."""
        total = ops.sum(xs, 0)
        return self.out(nn.Tanh()(self.hidden(total))).reshape(1, -1, 2), None


class Order(Study):
    """Which of two symbols came first: y = f(x_0, x_1, … x_n), not f(x_0 + x_1 + … + x_n).

    Whoever knows what was read but not in which order can only guess: both answers have the same
    sum of inputs, so that its loss is at least ln 2 over both. A recurrent network learns it.
    """

    name = "order"
    question = "Does the order of what is read matter to the answer?"
    source = "Elman, Finding Structure in Time (1990)"

    def runs(self, full: bool) -> list[dict[str, Any]]:
        return [{"model": model} for model in MODELS]

    def run(self, seed: int, **settings: Any) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        learner = Learner.of(network_of(settings["model"], rng), nn.cross_entropy, RATE)
        test = first_of_two(np.random.default_rng([1, 0]), STEPS, 500)
        both = np.concatenate([test[0], test[0][::-1]], axis=1)  # backwards the other one is first
        answers = np.concatenate([test[1], 1 - test[1]])
        batches = endless(first_of_two, rng, STEPS, BATCH)
        return learner.learn(batches, (both, answers), UPDATES, EVERY, GOAL)

    def rows_of(self, record: Record) -> list[Row]:
        model, best = record["model"], min(record["errors"])
        measured = f"{best:.4f} after {record['updates'][-1]}"
        if model == BAG:
            claim = f"{model}: no better than guessing"
            holds = best >= GUESSING - 1e-6
            return [Row(claim, f"≥ ln 2 = {GUESSING:.4f}", measured, record.seed, holds)]
        claim = f"{model}: learns which came first in {UPDATES} updates"
        return [Row(claim, f"loss < {GOAL}", measured, record.seed, best < GOAL)]

    def charts(self, records: Sequence[Record]) -> Sequence[Chart | Grid]:
        own = [record for record in records if record.seed == 0]
        lines = [Line(record["model"], record["updates"], record["errors"]) for record in own]
        end = max(record["updates"][-1] for record in own)
        lines.append(Line("guessing: ln 2", [0, end], [GUESSING] * 2, "reference"))
        y = "loss on new sequences, nats"
        return [Chart("Which of two symbols came first?", "update", y, lines, limits=(0, 0.9))]

    def loss(self) -> Tensor:
        rng = np.random.default_rng(0)
        inputs, first = first_of_two(rng, 5, BATCH)
        return nn.cross_entropy(network_of("RNN", rng)(inputs)[0][-1], first)


def network_of(model: str, rng: np.random.Generator) -> Any:
    """A fresh network of one of MODELS."""
    if model == BAG:
        return Bag(rng)
    return CELLS[model](3, HIDDEN, output_size=2, dtype=np.float32, rng=rng)
