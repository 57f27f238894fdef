"""At which gap does each cell stop learning?"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import nn
from ..autograd.tensor import Tensor, tensor
from ..nn.cells import state_of, state_parts
from .jacobian import norms
from .plots import Chart, Grid, Line
from .study import Record, Row, Study, by_seed
from .tasks import CELLS, Learner, endless, recall

GAPS, LONG = (5, 10, 20, 40, 80), (160,)
SHORT, ASKED = 5, 40
# What is learned with: a cell, and an LSTM's first forget bias.
KINDS = {
    "RNN": ("RNN", 0.0),
    "GRU": ("GRU", 0.0),
    "LSTM, bias 0": ("LSTM", 0.0),
    "LSTM, bias 3": ("LSTM", 3.0),
}
HIDDEN, BATCH, RATE, UPDATES, EVERY, GOAL = 16, 32, 0.01, 200, 20, 0.1


class Gap(Study):
    """A bit, then noise, then the question: is it learned within 200 updates?

    All cells learn a short gap. A gap of 40 is learned by the LSTM whose forget gate starts open,
    and not by the one whose gate starts half shut: "an LSTM remembers longer than tanh" is false as
    it stands. What tanh learns is a matter of its first weights: some starts learn a gap of 40 or
    more, others do not, so nothing is claimed of it, and the chart has the counts. The gradient at
    the start tells the tendency, not the outcome: Adam divides its size away, and a tanh network
    may learn a gap over which its first gradient was below a millionth.
    """

    name = "gap"
    question = "At which gap does each cell stop learning?"
    source = (
        "Bengio, Simard, Frasconi, "
        "Learning Long-Term Dependencies with Gradient Descent is Difficult (1994)"
    )

    def runs(self, full: bool) -> list[dict[str, Any]]:
        gaps = GAPS + LONG if full else GAPS
        return [{"kind": kind, "gap": gap} for gap in reversed(gaps) for kind in KINDS]

    def run(self, seed: int, **settings: Any) -> dict[str, Any]:
        rng, gap = np.random.default_rng(seed), settings["gap"]
        network = network_of(settings["kind"], rng)
        first = first_gradient(network, recall(rng, gap, 1)[0][:, 0])
        test = recall(np.random.default_rng([1, 0]), gap, 256)
        learner = Learner.of(network, nn.cross_entropy, RATE)
        found = learner.learn(endless(recall, rng, gap, BATCH), test, UPDATES, EVERY, GOAL)
        return {"gradient": first, "updates": found["updates"][-1], "error": found["errors"][-1]}

    def rows_of(self, record: Record) -> list[Row]:
        kind, gap, error = record["kind"], record["gap"], record["error"]
        learned = gap == SHORT or (kind, gap) == ("LSTM, bias 3", ASKED)
        claimed = learned or (kind in ("GRU", "LSTM, bias 0") and gap == ASKED)
        if not claimed:
            return []
        verdict, sign = ("learns", "<") if learned else ("does not learn", "≥")
        claim = f"{kind}: {verdict} a gap of {gap} in {UPDATES} updates"
        measured = f"{error:.3f} after {record['updates']}"
        return [Row(claim, f"loss {sign} {GOAL}", measured, record.seed, (error < GOAL) == learned)]

    def charts(self, records: Sequence[Record]) -> Sequence[Chart | Grid]:
        gaps = sorted({record["gap"] for record in records})
        rates, first = [], []
        for kind in KINDS:
            own = [[r for r in records if r["kind"] == kind and r["gap"] == gap] for gap in gaps]
            learned = [100 * float(np.mean([r["error"] < GOAL for r in found])) for found in own]
            rates.append(Line(kind, gaps, learned))
            mean = [math.exp(np.mean([math.log(r["gradient"]) for r in found])) for found in own]
            first.append(Line(kind, gaps, mean))
        seeds = len(by_seed(records))
        title = f"Learned within {UPDATES} updates, {seeds} seed{'s' if seeds > 1 else ''}"
        x, norm = "gap, steps", "‖∂s_gap/∂s_0‖, s: h, or LSTM's c"
        return [
            Chart(title, x, "share of seeds that learned, %", rates, limits=(-5, 105)),
            Chart("The gradient before learning", x, norm, first, log_y=True),
        ]

    def loss(self) -> Tensor:
        network = nn.RNN(2, HIDDEN, output_size=2, rng=0)
        inputs, bits = recall(np.random.default_rng(0), 9, BATCH)
        return nn.cross_entropy(network(inputs)[0][-1], bits)


def network_of(kind: str, rng: np.random.Generator) -> Any:
    """A fresh network of one of KINDS."""
    cell, bias = KINDS[kind]
    options: dict[str, Any] = {"forget_bias": bias} if bias else {}
    return CELLS[cell](2, HIDDEN, output_size=2, dtype=np.float32, rng=rng, **options)


def first_gradient(network: Any, xs: Any) -> float:
    """‖∂s_gap/∂s_0‖ of the state that carries the memory: h, or an LSTM's c."""
    cell = network.cells[0]
    zeros = np.zeros((HIDDEN, HIDDEN), np.float32)
    state = [tensor(zeros, requires_grad=True) for _ in cell.states]
    first = state[-1]
    for x in xs:
        state = state_parts(cell(np.repeat(x[None], HIDDEN, axis=0), state_of(state)))
    return norms(state[-1], [first])[0]
