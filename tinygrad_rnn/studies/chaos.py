"""Does a small push die, or grow until it is all there is?"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import nn
from ..autograd import ops
from ..autograd.backward import grad
from ..autograd.tensor import Array, Tensor
from ..nn.cells import state_of, state_parts
from ..tracing.trace import Trace, trace
from .plots import Chart, Grid, Line
from .study import Record, Row, Study

CELLS = {"tanh": nn.RNNCell, "LSTM": nn.LSTMCell, "GRU": nn.GRUCell}
GAINS = (0.5, 1.0, 2.0, 4.0)  # of the weights; what is claimed is claimed of these
BETWEEN = (0.75, 1.25, 1.5, 3.0, 6.0)  # more of them, for the exponent
HIDDEN, STEPS, SETTLED = 64, 60, 100
PUSH, SMALL = 1e-6, 1e-3
LOST = 1e-12  # a push that has shrunk to this is rounding
WITHIN = 0.01


class Chaos(Study):
    """A push of 1e-6 at t = 0, followed through the recorded run, beside its Jacobians.

    The network reads nothing: h_t = φ(h_{t-1}), with recurrent weights of deviation gain / √H. The
    push is made by `what_if`, so the other run is exact. While it is small it must grow as
    ‖J_t … J_1 u‖, where J_t = ∂h_t/∂h_{t-1} is what the backward pass says at the recorded state
    (of an LSTM, h and c together).
    How fast that is, the exponent, is measured for each gain; nothing is claimed about its sign.
    """

    name = "chaos"
    question = "Does a small push die, or grow until it is all there is?"
    source = "Sompolinsky, Crisanti, Sommers, Chaos in Random Neural Networks (1988)"

    def runs(self, full: bool) -> list[dict[str, Any]]:
        return [{"cell": cell, "gain": gain} for cell in CELLS for gain in (*GAINS, *BETWEEN)]

    def run(self, seed: int, **settings: Any) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        cell = cell_of(settings["cell"], settings["gain"], rng)
        run = recorded(cell, rng)
        direction = rng.standard_normal(HIDDEN)
        push = PUSH * direction / np.linalg.norm(direction)
        pushed = distances(run, run.what_if({"h@0": lambda h: h + push}), cell.states)
        predicted = growth(cell, run, push)
        exponent = (math.log(predicted[-1]) - math.log(predicted[0])) / (STEPS - 1)
        return {"pushed": pushed, "predicted": predicted, "exponent": exponent}

    def rows_of(self, record: Record) -> list[Row]:
        gain = record["gain"]
        if gain not in GAINS:
            return []
        error, steps = deviation(record["pushed"], record["predicted"])
        claim = f"{record['cell']}, gain {gain:g}: the push grows as the product of the Jacobians"
        measured = f"{100 * error:.4f}% over {steps} steps"
        holds = error <= WITHIN and steps >= 5
        return [Row(claim, f"within {WITHIN:.0%}", measured, record.seed, holds)]

    def charts(self, records: Sequence[Record]) -> Sequence[Chart | Grid]:
        own = [record for record in records if record.seed == 0 and record["cell"] == "tanh"]
        steps, lines = list(range(STEPS)), list[Line]()
        label = "‖J_t … J_1 u‖"
        for record in own:
            if record["gain"] in GAINS:
                lines.append(Line(f"gain {record['gain']:g}", steps, record["pushed"], "dots"))
                lines.append(Line(label, steps, record["predicted"], "reference"))
                label = ""
        return [
            Chart(
                "tanh: a push of 1e-6, and what the Jacobians say",
                "t",
                "‖Δh_t‖",
                lines,
                log_y=True,
                limits=(1e-16, 1e2),
            ),
            self._exponents(records),
        ]

    def _exponents(self, records: Sequence[Record]) -> Chart:
        gains = sorted({record["gain"] for record in records})
        lines: list[Line] = []
        for cell in CELLS:
            own = [r for r in records if r["cell"] == cell]
            mean = [float(np.mean([r["exponent"] for r in own if r["gain"] == g])) for g in gains]
            lines.append(Line(cell, gains, mean))
        lines.append(Line("neither grows nor dies", [gains[0], gains[-1]], [0, 0], "reference"))
        return Chart("The exponent, by the gain", "gain", "ln growth a step", lines, log_x=True)

    def loss(self) -> Tensor:
        rng = np.random.default_rng(0)
        cell, h = cell_of("tanh", 2.0, rng), Tensor(rng.standard_normal((1, HIDDEN)))
        for _ in range(8):
            h = cell(np.zeros((1, 1)), h)
        return (h * h).sum()


def cell_of(kind: str, gain: float, rng: np.random.Generator) -> Any:
    """A cell whose recurrent weights have deviation gain / √H, and that reads nothing."""
    cell = CELLS[kind](1, HIDDEN, rng=rng)
    for name, parameter in cell.named_parameters():
        values = np.zeros(parameter.shape)
        if name == "W_hh":
            values = gain / math.sqrt(HIDDEN) * rng.standard_normal(parameter.shape)
        parameter.data = values
    return cell


def recorded(cell: Any, rng: np.random.Generator) -> Trace:
    """A run that has settled."""
    state = [Tensor(rng.standard_normal((1, HIDDEN))) for _ in cell.states]
    nothing = np.zeros((1, 1))
    for _ in range(SETTLED):
        state = [part.detach() for part in state_parts(cell(nothing, state_of(state)))]
    with trace() as run:
        for _ in range(STEPS):
            state = list(state_parts(cell(nothing, state_of(state))))
    return run


def distances(run: Trace, other: Trace, names: Sequence[str]) -> list[float]:
    """‖Δ‖ of the whole state at each step."""
    found: list[float] = []
    for t in range(STEPS):
        moved = [other[f"{name}@{t}"] - run[f"{name}@{t}"] for name in names]
        found.append(float(np.linalg.norm(np.concatenate(moved))))
    return found


def growth(cell: Any, run: Trace, push: Array) -> list[float]:
    """‖J_t … J_1 u‖ at each step, for a push u on h at the first."""
    moved = np.concatenate([push, np.zeros(HIDDEN * (len(cell.states) - 1))])
    found = [float(np.linalg.norm(moved))]
    for t in range(STEPS - 1):
        moved = jacobian(cell, [run[f"{name}@{t}"] for name in cell.states]) @ moved
        found.append(float(np.linalg.norm(moved)))
    return found


def jacobian(cell: Any, state: Sequence[Array]) -> Array:
    """∂s_{t+1}/∂s_t at a recorded state: its parts, (1, H) each, are independent.

    One backward pass gives it whole: of as many copies as s has numbers, row i asks for number i.
    """
    copies = HIDDEN * len(state)
    parts = [Tensor(np.repeat(part, copies, axis=0), requires_grad=True) for part in state]
    after = state_parts(cell(np.zeros((copies, 1)), state_of(parts)))
    whole = ops.concatenate(list(after), axis=1)
    rows = grad(whole, parts, gradient=np.eye(copies))
    return np.concatenate([row.data for row in rows], axis=1)


def deviation(pushed: Sequence[float], predicted: Sequence[float]) -> tuple[float, int]:
    """By how much a push has grown otherwise than predicted, while it is small; over how long."""
    worst, steps = 0.0, 0
    for measured, expected in zip(pushed, predicted, strict=True):
        if not LOST < measured < SMALL:
            break
        worst = max(worst, abs(measured / expected - 1))
        steps += 1
    return worst, steps
