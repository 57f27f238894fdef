"""What happens to a network that was taught with right answers when it must live on its own?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import nn
from ..autograd.switches import no_grad
from ..autograd.tensor import Array, Tensor
from .plots import Chart, Grid, Line
from .study import Record, Row, Study, number
from .tasks import Batch, Learner, endless

STEPS, HIDDEN, BATCH, RATE, UPDATES, EVERY = 30, 16, 32, 0.01, 300, 30
LEAD, ALONE = 20, 30  # steps that are read, and steps that are then written
TIMES = 5


class Exposure(Study):
    """A network learns the next value of a sine, given the right ones (teacher forcing).

    On its own it reads what it wrote last. At the first step both see the same, so that the errors
    are equal; after that each error is read, too, and grows: the mean squared error over 30 steps
    is many times that of the taught one.
    """

    name = "exposure"
    question = "What becomes of a network that was taught with right answers, on its own?"
    source = "Williams, Zipser (1989); Bengio et al., Scheduled Sampling (2015)"

    def runs(self, full: bool) -> list[dict[str, Any]]:
        return [{"cell": "RNN"}]

    def run(self, seed: int, **settings: Any) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        network = nn.RNN(1, HIDDEN, output_size=1, dtype=np.float32, rng=rng)
        learner = Learner.of(network, nn.mse_loss, RATE, whole)
        test = waves(np.random.default_rng([1, 0]), STEPS, 100)
        found = learner.learn(endless(waves, rng, STEPS, BATCH), test, UPDATES, EVERY, goal=0.0)
        taught, alone = errors(network, *waves(np.random.default_rng([1, 1]), LEAD + ALONE, 200))
        return {"trained": found["errors"][-1], "taught": taught, "alone": alone}

    def rows_of(self, record: Record) -> list[Row]:
        taught, alone, seed = np.array(record["taught"]), np.array(record["alone"]), record.seed
        gap = float(abs(taught[0] - alone[0]))
        claim = "at the first step both see the same: no difference"
        rows = [Row(claim, "exactly 0", number(gap), seed, gap == 0)]
        ratio = float(alone.mean() / taught.mean())
        claim = f"over {ALONE} steps on its own the error is many times the taught one"
        rows.append(Row(claim, f"> {TIMES} times", f"{ratio:.1f}", seed, ratio > TIMES))
        late, early = float(alone[-10:].mean()), float(alone[:10].mean())
        claim = "and it grows: the last ten steps against the first ten"
        return [*rows, Row(claim, f"> {number(early)}", number(late), seed, late > early)]

    def charts(self, records: Sequence[Record]) -> Sequence[Chart | Grid]:
        first = next(record for record in records if record.seed == 0)
        steps = list(range(1, ALONE + 1))
        lines = [
            Line("taught: reads the right values", steps, first["taught"]),
            Line("alone: reads its own", steps, first["alone"]),
        ]
        y = "mean squared error"
        return [Chart("Taught and alone", "step", y, lines, log_y=True)]

    def loss(self) -> Tensor:
        network = nn.RNN(1, HIDDEN, output_size=1, dtype=np.float32, rng=0)
        inputs, targets = waves(np.random.default_rng(0), 6, BATCH)
        return nn.mse_loss(whole(network, inputs), targets)


def waves(rng: np.random.Generator, steps: int, batch: int) -> Batch:
    """Sines of any phase and of periods from 8 to 16 steps, and the same one step later."""
    period, phase = rng.uniform(8, 16, batch), rng.uniform(0, 2 * np.pi, batch)
    t = np.arange(steps + 1)[:, None]
    wave = np.sin(2 * np.pi * t / period + phase)[:, :, None].astype(np.float32)
    return wave[:-1], wave[1:]


def whole(network: Any, inputs: Array) -> Tensor:
    """The answers of all steps, (T, B, 1)."""
    return network(inputs)[0]


def errors(network: nn.RNN, inputs: Array, targets: Array) -> tuple[list[float], list[float]]:
    """The mean squared error at each step after the lead: taught, and alone."""
    with no_grad():
        taught = network(inputs)[0].data
        y, state = network(inputs[: LEAD + 1])
        written = [y.data[-1]]
        while len(written) < ALONE:
            y, state = network(written[-1][None], state)
            written.append(y.data[-1])
    right = targets[LEAD : LEAD + ALONE]
    off = [np.square(found - right).mean(axis=(1, 2)) for found in (taught[LEAD:], written)]
    return off[0].tolist(), off[1].tolist()
