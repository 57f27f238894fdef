"""Is there a unit with a meaning?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import nn
from ..autograd.switches import no_grad
from ..autograd.tensor import Array, Tensor
from .plots import Chart, Grid, Line
from .study import Record, Row, Study
from .tasks import Learner, brackets, each, endless

STEPS, HIDDEN, BATCH, RATE, UPDATES, EVERY = 30, 16, 32, 0.01, 300, 30
READ = 400  # symbols on which the units are scored
SHUFFLES = 200
MEANS, APART = 0.8, 0.2


class Neurons(Study):
    """A GRU reads letters, some in brackets: is there a unit that knows whether a bracket is open?

    All units are scored, by the correlation of their value with "inside a bracket" on text that
    was not trained on; the best is taken. The best of many is always better than nothing, so it
    is held against the best of the same units for the same marks moved to other places.
    """

    name = "neurons"
    question = "Is there a unit with a meaning?"
    source = "Karpathy, Johnson, Fei-Fei, Visualizing and Understanding Recurrent Networks (2016)"

    def runs(self, full: bool) -> list[dict[str, Any]]:
        return [{"trained": trained} for trained in (True, False)]

    def run(self, seed: int, **settings: Any) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        network = nn.GRU(6, HIDDEN, output_size=6, dtype=np.float32, rng=rng)
        if settings["trained"]:
            learner = Learner.of(network, nn.cross_entropy, RATE, each)
            test = brackets(np.random.default_rng([1, 0]), STEPS, 100)
            learner.learn(endless(brackets, rng, STEPS, BATCH), test, UPDATES, EVERY, goal=0.0)
        inside, units = read(network)
        scores = correlations(inside, units)
        best = int(np.argmax(scores))
        moves = np.random.default_rng([2, seed]).integers(20, READ - 20, SHUFFLES)
        chance = [float(correlations(np.roll(inside, move), units).max()) for move in moves]
        return {
            "unit": best,
            "scores": scores.tolist(),
            "chance": float(np.quantile(chance, 0.95)),
            "inside": inside[:60].tolist(),
            "values": units[:60, best].tolist(),
        }

    def rows_of(self, record: Record) -> list[Row]:
        score, chance, seed = max(record["scores"]), record["chance"], record.seed
        measured = f"{score:.3f}, unit {record['unit']}"
        if not record["trained"]:
            claim = "before training no unit does"
            return [Row(claim, f"|correlation| < {MEANS}", measured, seed, score < MEANS)]
        claim = "a unit knows whether a bracket is open"
        rows = [Row(claim, f"|correlation| > {MEANS}", measured, seed, score > MEANS)]
        claim = "which is more than the best of 16 units finds by chance"
        held = f"> {chance:.3f} + {APART}"
        return [*rows, Row(claim, held, f"{score:.3f}", seed, score > chance + APART)]

    def charts(self, records: Sequence[Record]) -> Sequence[Chart | Grid]:
        first = next(record for record in records if record.seed == 0 and record["trained"])
        steps = list(range(len(first["inside"])))
        lines = [
            Line(f"unit {first['unit']}", steps, first["values"]),
            Line("a bracket is open", steps, first["inside"], "dots"),
        ]
        ranked = [
            Line(
                f"{'trained' if record['trained'] else 'untrained'}, seed {record.seed}",
                list(range(HIDDEN)),
                sorted(record["scores"], reverse=True),
            )
            for record in records
        ]
        return [
            Chart("What the best unit holds", "symbol", "value", lines, limits=(-1.1, 1.1)),
            Chart("All units", "rank", "|correlation|", ranked, limits=(0, 1)),
        ]

    def loss(self) -> Tensor:
        network = nn.GRU(6, HIDDEN, output_size=6, dtype=np.float32, rng=0)
        inputs, targets = brackets(np.random.default_rng(0), 6, BATCH)
        return nn.cross_entropy(each(network, inputs), targets)


def read(network: nn.GRU) -> tuple[Array, Array]:
    """Whether a bracket is open after each symbol of a new text, and the units (T, H) there."""
    inputs, _ = brackets(np.random.default_rng([1, 1]), READ, 1)
    symbols = inputs[:, 0].argmax(axis=-1)
    opened = np.where(symbols == 4, 1.0, np.where(symbols == 5, -1.0, 0.0))
    h, units = None, []
    with no_grad():
        for x in inputs[:, 0]:
            h = network.cells[0](x, h)
            units.append(h.data)
    return np.cumsum(opened), np.array(units)


def correlations(inside: Array, units: Array) -> Array:
    """|correlation| of each unit with the marks."""
    marks = (inside - inside.mean()) / inside.std()
    values = (units - units.mean(axis=0)) / (units.std(axis=0) + 1e-12)
    return np.abs(marks @ values) / len(marks)
