"""What does an LSTM lose that has to learn without one of its gates?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import nn
from ..autograd.tensor import Tensor
from .gates import GATES, SURE, without_weights
from .plots import Chart, Grid, Line
from .study import Record, Row, Study, by_seed
from .tasks import Learner, each, endless, register

STEPS, LONG, HIDDEN, BATCH, TESTED = 20, 1000, 8, 32, 300
RATE, UPDATES, EVERY = 0.01, 1000, 10
NOTHING = 1 / 6  # the squared error of saying 0 each time
LEARNED, KNOWS = 0.1, 0.02  # shares of it
LATE, AS_WELL = 800, 2
FULL = "all three gates"
KINDS = {FULL: "", **{f"without {name}": gate for gate, name in GATES.items()}}


class Ablate(Study):
    """A memory that is written, kept and read: learned with all gates, or with one of them open.

    A gate that is taken away is 1: it has no weights, and a bias whose slope is exactly 0, so that
    training cannot bring it back. The task needs all three. Numbers that are not to be written
    must be kept out (i), the old number must go when a new one is written (f), and nothing may be
    said where nobody reads (o). Other units can make up for any one of them, at a price: it takes
    more updates. But nothing replaces the forget gate for good. Without it the memory can only add
    up, so that what was learned on 20 steps fails later on, where the others do as well as before.
    """

    name = "ablate"
    question = "What does an LSTM lose that learns without one of its gates?"
    source = "Gers, Schmidhuber, Cummins, Learning to Forget (2000); Greff et al. (2017), section V"

    def runs(self, full: bool) -> list[dict[str, Any]]:
        return [{"kind": kind} for kind in KINDS]

    def run(self, seed: int, **settings: Any) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        learner = Learner.of(network_of(settings["kind"], rng), nn.mse_loss, RATE, each)
        test = register(np.random.default_rng([1, 0]), STEPS, TESTED)
        found = learner.learn(endless(register, rng, STEPS, BATCH), test, UPDATES, EVERY, goal=0.0)
        inputs, targets = register(np.random.default_rng([1, 1]), LONG, TESTED)
        wrong = (learner.answer(inputs).data - targets).reshape(LONG, -1) ** 2
        return {**found, "by_step": wrong.mean(axis=1).tolist()}

    def rows(self, records: Sequence[Record]) -> list[Row]:
        found = []
        for own in by_seed(records).values():
            kinds = {record["kind"]: record for record in own}
            whole = kinds.pop(FULL)
            found += whole_rows(whole)
            for kind, record in kinds.items():
                found += ablated_rows(kind, record, whole)
        return found

    def charts(self, records: Sequence[Record]) -> Sequence[Chart | Grid]:
        own = [record for record in records if record.seed == 0]
        learning = [Line(record["kind"], record["updates"], record["errors"]) for record in own]
        learning.append(Line("saying 0: 1/6", [0, UPDATES], [NOTHING] * 2, "reference"))
        stretches = [10 * k + 10 for k in range(LONG // 10)]
        later = [Line(record["kind"], stretches, by_tens(record["by_step"])) for record in own]
        later.append(Line(f"trained up to {STEPS}", [STEPS] * 2, [1e-4, NOTHING], "reference"))
        y = "mean squared error"
        return [
            Chart(f"Learning, {STEPS} steps", "update", y, learning, log_y=True),
            Chart("Then, on a longer sequence", "step", y, later, log_y=True),
        ]

    def loss(self) -> Tensor:
        rng = np.random.default_rng(0)
        inputs, targets = register(rng, 6, BATCH)
        return nn.mse_loss(each(network_of(FULL, rng), inputs), targets)


def network_of(kind: str, rng: np.random.Generator) -> Any:
    """A fresh LSTM of one of KINDS; all kinds of a seed begin with the same weights."""
    options: dict[str, Any] = {"output_size": 1, "forget_bias": 1.0, "dtype": np.float32}
    network = nn.LSTM(3, HIDDEN, rng=rng, **options)
    gate = KINDS[kind]
    return without_weights(network, gate, SURE) if gate else network


def updates_to_learn(record: Record) -> float:
    """After how many updates the error was a tenth of that of saying 0; infinite if never."""
    for update, error in zip(record["updates"], record["errors"], strict=True):
        if error < LEARNED * NOTHING:
            return update
    return np.inf


def growth(record: Record) -> float:
    """The error from step 800 on, by that of the steps that were trained on."""
    return float(np.mean(record["by_step"][LATE:]) / np.mean(record["by_step"][:STEPS]))


def by_tens(errors: Sequence[float]) -> list[float]:
    """The mean of each ten steps."""
    return np.reshape(errors, (-1, 10)).mean(axis=1).tolist()


def whole_rows(record: Record) -> list[Row]:
    """What is claimed of the LSTM with all gates."""
    share, seed = record["errors"][-1] / NOTHING, record.seed
    claim, reference = f"{FULL}: learns it in {UPDATES} updates", f"error < {KNOWS:.0%} of 1/6"
    return [Row(claim, reference, f"{share:.2%}", seed, share < KNOWS), as_well(FULL, record)]


def ablated_rows(kind: str, record: Record, whole: Record) -> list[Row]:
    """What is claimed of an LSTM without a gate, beside the whole one of the same seed."""
    seed, ratio = record.seed, updates_to_learn(record) / updates_to_learn(whole)
    claim = f"{kind}: takes more updates to a tenth of 1/6"
    slower = Row(claim, "> 1 times", f"{ratio:.2f}", seed, ratio > 1)
    if KINDS[kind] != "f":
        return [slower, as_well(kind, record)]
    grows = growth(record)
    claim = f"{kind}: fails after step {LATE}"
    return [slower, Row(claim, f"error > {AS_WELL} times", f"{grows:.2f}", seed, grows > AS_WELL)]


def as_well(kind: str, record: Record) -> Row:
    """The claim that what was learned on few steps goes on."""
    grows, claim = growth(record), f"{kind}: does as well after step {LATE}"
    return Row(claim, f"error ≤ {AS_WELL} times", f"{grows:.2f}", record.seed, grows <= AS_WELL)
