"""Why start the forget gate at 1?"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import nn
from ..autograd.tensor import Tensor, tensor
from .jacobian import norms
from .plots import Chart, Grid, Line
from .study import Record, Row, Study
from .tasks import Learner, endless, recall

GAPS, BIASES = (30, 80), (0.0, 1.0, 3.0, 5.0)
LEARNS = {30: 1.0, 80: 5.0}  # for each gap, the least bias that is expected to be enough
FAILS = {30: (0.0,), 80: (0.0, 1.0)}
HIDDEN, BATCH, RATE, UPDATES, EVERY, GOAL = 16, 32, 0.01, 200, 20, 0.1
FLOW = 40  # steps over which the gradient is measured
NEAR = 1e-9  # the slope is exact where the gate is held: what is left is rounding


class ForgetBias(Study):
    """By the first bias: how far gradients flow through an LSTM's memory, which gap it learns.

    Straight from memory to memory ∂c_t/∂c_{t-1} = diag(σ(f)). Where the forget gate is held at its
    bias, the slope of the gradient is ln σ(b) a step: -0.69 for a bias of 0, -0.31 for 1, -0.05 for
    3, -0.007 for 5. The detours through h_t add to it. A bias of 1 is not magic: a gap of 80 asks
    for more (Tallec, Ollivier 2018).
    """

    name = "forget-bias"
    question = "Why start the forget gate at 1?"
    source = (
        "Jozefowicz, Zaremba, Sutskever, "
        "An Empirical Exploration of Recurrent Network Architectures (2015)"
    )

    def runs(self, full: bool) -> list[dict[str, Any]]:
        learned = [(30, 0.0), (30, 1.0), (30, 3.0), (80, 1.0), (80, 5.0)]
        if full:
            learned += [(80, 0.0), (80, 3.0)]
        flows = [{"kind": "flow", "bias": bias} for bias in BIASES]
        return flows + [{"kind": "learn", "gap": gap, "bias": bias} for gap, bias in learned]

    def run(self, seed: int, **settings: Any) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        if settings["kind"] == "flow":
            norms_of, slopes = {}, {}
            for way in ("straight", "all"):
                found = memory_flow(settings["bias"], seed, way == "straight")
                norms_of[way] = found
                slopes[way] = float(np.polyfit(np.arange(FLOW), np.log(found), 1)[0])
            return {"norms": norms_of, "slopes": slopes}
        network = nn.LSTM(
            2, HIDDEN, output_size=2, forget_bias=settings["bias"], dtype=np.float32, rng=rng
        )
        test = recall(np.random.default_rng([1, 0]), settings["gap"], 256)
        learner = Learner.of(network, nn.cross_entropy, RATE)
        return learner.learn(
            endless(recall, rng, settings["gap"], BATCH), test, UPDATES, EVERY, GOAL
        )

    def rows_of(self, record: Record) -> list[Row]:
        bias = record["bias"]
        if record["kind"] == "flow":
            expected, slopes, seed = math.log(kept(bias)), record["slopes"], record.seed
            straight, every = slopes["straight"], slopes["all"]
            holds = abs(straight - expected) <= NEAR
            claim = f"bias {bias:g}: from memory to memory the slope is ln σ(b)"
            row = Row(claim, f"{expected:.5f} ± {NEAR}", f"{straight:.5f}", seed, holds)
            claim = f"bias {bias:g}: the detours through h add to it"
            more = Row(claim, f"> {straight:.5f}", f"{every:.5f}", seed, every > straight + NEAR)
            return [row, more]
        gap, error, updates = record["gap"], record["errors"][-1], record["updates"][-1]
        learns = bias >= LEARNS[gap]
        if not learns and bias not in FAILS[gap]:  # in between: seen, not claimed
            return []
        verdict, sign = ("learns", "<") if learns else ("does not learn", "≥")
        claim = f"bias {bias:g}: {verdict} a gap of {gap} in {UPDATES} updates"
        measured = f"{error:.3f} after {updates}"
        return [Row(claim, f"loss {sign} {GOAL}", measured, record.seed, (error < GOAL) == learns)]

    def charts(self, records: Sequence[Record]) -> Sequence[Chart | Grid]:
        own = [record for record in records if record.seed == 0]
        steps = list(range(FLOW))
        flows, learned = [], []
        for r in own:
            label = f"bias {r['bias']:g}"
            if r["kind"] == "flow":
                flows.append(Line(label, steps, r["norms"]["straight"]))
            else:
                learned.append(Line(f"gap {r['gap']}, {label}", r["updates"], r["errors"]))
        label = "σ(b)^(T-k), for each bias b"
        for bias in BIASES:
            flows.append(Line(label, steps, [kept(bias) ** n for n in steps], "reference"))
            label = ""
        learned.append(Line("guessing: ln 2", [0, UPDATES], [math.log(2)] * 2, "reference"))
        return [
            Chart(
                "At the start, from memory to memory",
                "T - k, steps back",
                "‖∂c_T/∂c_k‖, straight",
                flows,
                log_y=True,
            ),
            Chart(
                "Learning to recall a bit",
                "update",
                "loss on new sequences, nats",
                learned,
                limits=(0, 0.9),
            ),
        ]

    def loss(self) -> Tensor:
        network = nn.LSTM(2, HIDDEN, output_size=2, forget_bias=1.0, rng=0)
        inputs, bits = recall(np.random.default_rng(0), 7, BATCH)
        return nn.cross_entropy(network(inputs)[0][-1], bits)


def kept(bias: float) -> float:
    """σ(b): the share of its memory that a fresh cell with this forget bias keeps in a step."""
    return 1 / (1 + math.exp(-bias))


def hold_forget_gate(cell: nn.LSTMCell, bias: float) -> None:
    """Make the forget gate σ(bias), whatever the cell reads."""
    rows = slice(cell.hidden_size, 2 * cell.hidden_size)  # the gates stand in the order i, f, g, o
    for name, parameter in cell.named_parameters():
        values = parameter.data.copy()
        values[rows] = bias if name == "b_h" else 0.0
        parameter.data = values


def memory_flow(bias: float, seed: int, straight: bool) -> list[float]:
    """‖∂c_T/∂c_k‖ for T - k = 0 … FLOW - 1, on the task's own noise.

    The forget gate is held at its bias: it has no weights. `straight`: without the detours through
    h.
    """
    rng = np.random.default_rng(seed)
    cell = nn.LSTMCell(2, HIDDEN, rng=rng)
    hold_forget_gate(cell, bias)
    inputs = recall(rng, FLOW, 1)[0].astype(float)
    h, c = (tensor(np.zeros((HIDDEN, HIDDEN)), requires_grad=True) for _ in range(2))
    memories = [c]
    for x in inputs[1:]:
        h, c = cell(np.repeat(x, HIDDEN, axis=0), (h.detach() if straight else h, c))
        memories.append(c)
    return norms(memories[-1], memories[:0:-1])
