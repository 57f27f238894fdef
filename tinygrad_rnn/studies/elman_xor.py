"""Can a network find structure in time: which bits can be told, and which are chance?"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import nn
from ..autograd import ops
from ..autograd.switches import no_grad
from ..autograd.tensor import Tensor
from .plots import Chart, Grid, Line
from .study import Record, Row, Study
from .tasks import CELLS, Learner, each, endless, xor_stream

STEPS, HIDDEN, BATCH, RATE, UPDATES, EVERY = 24, 16, 32, 0.01, 600, 60
SCORED = 5000  # sequences: few enough coins make a loss of more or less than ln 2 by chance
CHANCE, NEAR, TOLD = math.log(2), 0.03, 0.1


class ElmanXor(Study):
    """The loss at each step of a stream in which every third bit is the xor of the two before.

    Nobody tells the network that there are triples. Where the third bit is due its loss falls to
    nothing; at the other two it stays ln 2 (0.693 nats), since no model can tell a fair coin. A
    network that reads one bit at a time and remembers none would have ln 2 at all three.
    """

    name = "elman-xor"
    question = "Can a network find structure in time: which bits can be told?"
    source = "Elman, Finding Structure in Time (1990), sec. 3"

    def runs(self, full: bool) -> list[dict[str, Any]]:
        return [{"cell": cell} for cell in CELLS]

    def run(self, seed: int, **settings: Any) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        network = CELLS[settings["cell"]](2, HIDDEN, output_size=2, dtype=np.float32, rng=rng)
        learner = Learner.of(network, nn.cross_entropy, RATE, each)
        test = xor_stream(np.random.default_rng([1, 0]), STEPS, 500)
        batches = endless(xor_stream, rng, STEPS, BATCH)
        found = learner.learn(batches, test, UPDATES, EVERY, goal=0.0)
        inputs, following = xor_stream(np.random.default_rng([1, 1]), STEPS, SCORED)
        with no_grad():
            scores = ops.log_softmax(learner.answer(inputs), axis=-1).data
        losses = -scores[np.arange(len(following)), following].reshape(STEPS, -1).mean(axis=1)
        return {**found, "losses": losses.tolist()}

    def rows_of(self, record: Record) -> list[Row]:
        cell, losses = record["cell"], np.array(record["losses"])
        due = np.arange(STEPS) % 3 == 1  # the input is the second bit of a triple
        told, chance = losses[due].max(), losses[~due]
        off = float(np.abs(chance - CHANCE).max())
        claim = f"{cell}: tells every bit that can be told"
        rows = [Row(claim, f"loss < {TOLD}", f"{told:.4f}", record.seed, bool(told < TOLD))]
        claim = f"{cell}: and guesses the others"
        reference = f"ln 2 = {CHANCE:.3f} ± {NEAR}"
        measured = f"{chance.min():.3f} to {chance.max():.3f}"
        return [*rows, Row(claim, reference, measured, record.seed, off <= NEAR)]

    def charts(self, records: Sequence[Record]) -> Sequence[Chart | Grid]:
        own = [record for record in records if record.seed == 0]
        steps = list(range(STEPS))
        lines = [Line(record["cell"], steps, record["losses"], "dots") for record in own]
        lines.append(Line("a fair coin: ln 2", [0, STEPS], [CHANCE] * 2, "reference"))
        title = "Two random bits, then their xor, and again"
        return [Chart(title, "step", "loss of the next bit, nats", lines, limits=(0, 0.9))]

    def loss(self) -> Tensor:
        rng = np.random.default_rng(0)
        inputs, targets = xor_stream(rng, 6, BATCH)
        network = CELLS["RNN"](2, HIDDEN, output_size=2, dtype=np.float32, rng=rng)
        return nn.cross_entropy(each(network, inputs), targets)
