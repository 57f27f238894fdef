"""Which gate does a trained LSTM live by?"""

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import nn
from ..autograd.tensor import Array, Tensor
from ..tracing.trace import Trace, trace
from .plots import Chart, Grid, Line
from .study import Record, Row, Study, number
from .tasks import Learner, endless, recall

GATES = {"i": "input gate", "f": "forget gate", "o": "output gate"}
GAP, HIDDEN, BATCH, TESTED = 20, 16, 32, 256
RATE, UPDATES, EVERY, GOAL = 0.01, 400, 20, 0.05
HELD = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0)  # where a gate is held
KNOWS, GUESSES = 0.1, 0.6  # loss below and above; guessing costs ln 2 = 0.69
SURE = 1e3  # a bias that opens a gate for good, or shuts it
NEAR = 1e-9


class Gates(Study):
    """An LSTM learns to recall a bit over 20 steps of noise; then one gate is held, by `what_if`.

    Held shut, each of the three gates costs it all: it guesses. Held open, none costs anything. So
    over such a gap this network needs its gates to be open, and not to move. That the held run is
    right is checked against a network of its own, whose gate has no weights and a bias of ±1000.
    """

    name = "gates"
    question = "Which gate does a trained LSTM live by?"
    source = "Gers, Schmidhuber, Cummins, Learning to Forget (2000); Greff et al. (2017), section V"

    def runs(self, full: bool) -> list[dict[str, Any]]:
        return [{"gap": GAP}]

    def run(self, seed: int, **settings: Any) -> dict[str, Any]:
        rng, gap = np.random.default_rng(seed), settings["gap"]
        network = nn.LSTM(2, HIDDEN, output_size=2, forget_bias=3.0, rng=rng)
        inputs, bits = recall(np.random.default_rng([1, seed]), gap, TESTED)
        batches = endless(recall, rng, gap, BATCH)
        learner = Learner.of(network, nn.cross_entropy, RATE)
        learner.learn(batches, (inputs, bits), UPDATES, EVERY, GOAL)
        run = recorded(network, inputs, bits)
        losses: dict[str, list[float]] = {}
        apart = 0.0
        for gate in GATES:
            losses[gate] = [loss_of(held(run, gate, value, gap)) for value in HELD]
            for at, bias in ((0, -SURE), (-1, SURE)):
                own = loss_of(recorded(without_weights(network, gate, bias), inputs, bits))
                apart = max(apart, abs(own - losses[gate][at]))
        flows = {
            "as it learned": memory_gradient(run, gap),
            "f open": memory_gradient(held(run, "f", 1.0, gap), gap),
            "f shut": memory_gradient(held(run, "f", 0.0, gap), gap),
        }
        return {"loss": loss_of(run), "losses": losses, "apart": apart, "flows": flows}

    def rows_of(self, record: Record) -> list[Row]:
        seed, own = record.seed, record["loss"]
        rows = [Row("it has learned the gap", f"loss < {KNOWS}", number(own), seed, own < KNOWS)]
        for gate, name in GATES.items():
            shut, opened = record["losses"][gate][0], record["losses"][gate][-1]
            claim = f"{name} shut: all is lost"
            rows.append(Row(claim, f"loss > {GUESSES}", number(shut), seed, shut > GUESSES))
            claim = f"{name} open: nothing is lost"
            rows.append(Row(claim, f"loss < {KNOWS}", number(opened), seed, opened < KNOWS))
        claim, apart = "a held gate is a gate of bias ±1000", record["apart"]
        return [*rows, Row(claim, f"loss ± {NEAR}", number(apart), seed, apart <= NEAR)]

    def charts(self, records: Sequence[Record]) -> Sequence[Chart | Grid]:
        own = next(record for record in records if record.seed == 0)
        by_gate = [Line(GATES[gate], HELD, losses) for gate, losses in own["losses"].items()]
        by_gate.append(Line("guessing: ln 2", [0, 1], [math.log(2)] * 2, "reference"))
        steps = list(range(own["gap"] + 1))
        flows = [Line(label, steps, norms) for label, norms in own["flows"].items()]
        return [
            Chart("A gate held at one value", "held at", "loss, nats", by_gate, limits=(0, 0.9)),
            Chart(
                "The gradient of the memory, with the forget gate held",
                "t",
                "‖∂L/∂c_t‖",
                flows,
                log_y=True,
                limits=(1e-10, 1.0),
            ),
        ]

    def loss(self) -> Tensor:
        network = nn.LSTM(2, HIDDEN, output_size=2, forget_bias=3.0, rng=0)
        inputs, bits = recall(np.random.default_rng(0), 7, BATCH)
        return nn.cross_entropy(network(inputs)[0][-1], bits)


def recorded(network: Any, inputs: Array, bits: Array) -> Trace:
    """One forward and backward pass, recorded."""
    with trace() as run:
        loss = nn.cross_entropy(network(inputs)[0][-1], bits)
        loss.name = "loss"
        loss.backward()
    return run


def held(run: Trace, gate: str, value: float, gap: int) -> Trace:
    """The run that would have been with a gate at one value, at every step."""
    return run.what_if({f"{gate}@{t}": value for t in range(gap + 1)})


def loss_of(run: Trace) -> float:
    """The loss that a run has, or would have."""
    return float(run["loss"])


def memory_gradient(run: Trace, gap: int) -> list[float]:
    """‖∂L/∂c_t‖ at each step."""
    return [float(np.linalg.norm(run[f"d.c@{t}"])) for t in range(gap + 1)]


def without_weights(network: Any, gate: str, bias: float) -> Any:
    """A copy of an LSTM whose gate reads nothing, and has one bias."""
    made = copy.deepcopy(network)
    cell = made.cells[0]
    at = "ifgo".index(gate) * cell.hidden_size
    for name, parameter in cell.named_parameters():
        values = parameter.data.copy()
        values[at : at + cell.hidden_size] = bias if name == "b_h" else 0.0
        parameter.data = values
    return made
