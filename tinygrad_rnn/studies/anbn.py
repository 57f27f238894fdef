"""Can a network count, and where does it keep the number?"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from .. import nn
from ..autograd.switches import no_grad
from ..autograd.tensor import Array, Tensor
from .plots import Chart, Grid, Line
from .study import Record, Row, Study
from .tasks import Learner, counting, each, endless

STEPS, HIDDEN, BATCH, RATE, UPDATES, EVERY = 40, 8, 32, 0.02, 600, 60
TRAINED, LONGER = 8, 12  # the n of aⁿbⁿ
COUNTS, TOLD = 0.95, 0.9


class Anbn(Study):
    """An LSTM reads aⁿbⁿ aᵐbᵐ …, n up to 8, and is asked for the next letter.

    To tell when the b's end it must count. Some unit of its memory does: it goes up by about the
    same with each a, and down with each b. So it also tells the end of aⁿbⁿ for n it has not
    seen, which a list of all words seen would not.
    """

    name = "anbn"
    question = "Can a network count, and where does it keep the number?"
    source = "Gers, Schmidhuber (2001); Weiss, Goldberg, Yahav (2018)"

    def runs(self, full: bool) -> list[dict[str, Any]]:
        return [{"cell": "LSTM"}]

    def run(self, seed: int, **settings: Any) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        network = nn.LSTM(2, HIDDEN, output_size=2, forget_bias=3.0, dtype=np.float32, rng=rng)
        learner = Learner.of(network, nn.cross_entropy, RATE, each)
        test = counting(np.random.default_rng([1, 0]), STEPS, 100, TRAINED)
        batches = endless(partial(counting, most=TRAINED), rng, STEPS, BATCH)
        found = learner.learn(batches, test, UPDATES, EVERY, goal=0.0)
        told = {n: float(np.mean([tells_the_end(network, n, k) for k in range(1, 7)]))
                for n in range(1, LONGER + 1)}  # fmt: skip
        counts, memories = memory_while_counting(network)
        scores = [abs(float(np.corrcoef(counts, unit)[0, 1])) for unit in memories.T]
        best = int(np.argmax(scores))
        return {
            **found,
            "told": list(told.values()),
            "unit": best,
            "score": scores[best],
            "counts": counts.tolist(),
            "memory": memories[:, best].tolist(),
        }

    def rows_of(self, record: Record) -> list[Row]:
        told, score, seed = record["told"], record["score"], record.seed
        seen, new = float(np.mean(told[:TRAINED])), told[TRAINED]
        unit = f"{score:.3f}, unit {record['unit']}"
        claim = "a unit of the memory counts: it follows the number of a's minus b's"
        rows = [Row(claim, f"|correlation| > {COUNTS}", unit, seed, score > COUNTS)]
        claim = f"it tells where aⁿbⁿ ends, n ≤ {TRAINED}"
        rows.append(Row(claim, f"> {TOLD:.0%}", f"{seen:.0%}", seed, seen > TOLD))
        claim = f"and for n = {TRAINED + 1}, which it has not seen"
        return [*rows, Row(claim, "> 50%", f"{new:.0%}", seed, new > 0.5)]

    def charts(self, records: Sequence[Record]) -> Sequence[Chart | Grid]:
        first = next(record for record in records if record.seed == 0)
        steps = list(range(len(first["counts"])))
        unit = Line(f"memory of unit {first['unit']}", steps, first["memory"])
        count = Line("a's minus b's", steps, first["counts"], "dots")
        ns = list(range(1, LONGER + 1))
        told = [Line(f"seed {record.seed}", ns, record["told"]) for record in records]
        told.append(Line(f"trained up to {TRAINED}", [TRAINED] * 2, [0, 1], "reference"))
        return [
            Chart("A unit that counts", "step", "number", [unit, count]),
            Chart("Where does aⁿbⁿ end?", "n", "share told right", told, limits=(-0.05, 1.05)),
        ]

    def loss(self) -> Tensor:
        network = nn.LSTM(2, HIDDEN, output_size=2, dtype=np.float32, rng=0)
        inputs, targets = counting(np.random.default_rng(0), 6, BATCH, 3)
        return nn.cross_entropy(each(network, inputs), targets)


def word(*numbers: int) -> Array:
    """aⁿbⁿ for each number, as letters: 0 is a, 1 is b."""
    return np.concatenate([[0] * n + [1] * n for n in numbers])


def tells_the_end(network: nn.LSTM, n: int, before: int) -> bool:
    """Whether it expects b up to the last one of aⁿbⁿ, and then a; another word comes before."""
    letters = word(before, n)
    with no_grad():
        ys, _ = network(np.eye(2, dtype=np.float32)[letters][:, None])
    says = ys.data[-n:, 0].argmax(axis=-1)
    return says.tolist() == [1] * (n - 1) + [0]


def memory_while_counting(network: nn.LSTM) -> tuple[Array, Array]:
    """The number of a's minus b's after each letter of some words, and the memory c (T, H)."""
    letters = word(5, 8, 2, 7, 4)
    counts = np.cumsum(1 - 2 * letters)
    state, memories = None, []
    with no_grad():
        for letter in letters:
            state = network.cells[0](np.eye(2, dtype=np.float32)[letter], state)
            memories.append(state[1].data)
    return counts, np.array(memories)
