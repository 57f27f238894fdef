"""Is backpropagation through time the same gradient as real-time recurrent learning?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import nn
from ..autograd.backward import grad
from ..autograd.tensor import Array, Tensor, tensor
from ..nn.cells import Cell, state_of, state_parts
from ..nn.recurrent import LAYERS
from .plots import Chart, Grid, Line
from .study import Record, Row, Study, number

STEPS, INPUTS, HIDDEN = 20, 3, 5
CELLS = {layer.__name__: layer.cell_type for layer in LAYERS.values()}
TOLERANCE = 1e-12


class Rtrl(Study):
    """The gradient of L = Σ_t ½ ‖h_t - target_t‖², computed in both ways.

    Backpropagation through time (BPTT) remembers the whole run and walks back. Real-time recurrent
    learning (RTRL) remembers nothing but the influence P_t of every weight on the state, which it
    carries forward:

        P_t = ∂s_t/∂s_{t-1} · P_{t-1} + ∂s_t/∂θ,      ∂L/∂θ = Σ_t ∂L_t/∂s_t · P_t

    The derivative is one and the same, so they differ by rounding alone; what differs is the price,
    since P_t has |s| · |θ| numbers.
    """

    name = "rtrl"
    question = "Is backpropagation through time the same gradient as real-time recurrent learning?"
    source = (
        "Williams, Zipser, A Learning Algorithm for Continually Running "
        "Fully Recurrent Neural Networks (1989)"
    )

    def runs(self, full: bool) -> list[dict[str, Any]]:
        return [{"cell": cell} for cell in CELLS]

    def run(self, seed: int, **settings: Any) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        cell = CELLS[settings["cell"]](INPUTS, HIDDEN, rng=rng)
        xs, targets = rng.standard_normal((STEPS, INPUTS)), rng.standard_normal((STEPS, HIDDEN))
        pairs = zip(through_time(cell, xs, targets), real_time(cell, xs, targets), strict=True)
        return {
            "errors": [float(np.abs(one - other).max() / np.abs(one).max()) for one, other in pairs]
        }

    def rows_of(self, record: Record) -> list[Row]:
        worst = max(record["errors"])
        claim = f"{record['cell']}: BPTT = RTRL, after each of {STEPS} steps"
        reference = f"relative error ≤ {TOLERANCE:.0e}"
        return [Row(claim, reference, number(worst), record.seed, worst <= TOLERANCE)]

    def charts(self, records: Sequence[Record]) -> Sequence[Chart | Grid]:
        steps = list(range(STEPS))
        # Two equal gradients have an error of 0, which a logarithm cannot show.
        floor = np.finfo(float).eps / 10
        lines = [
            Line(record["cell"], steps, [max(error, floor) for error in record["errors"]])
            for record in records
            if record.seed == 0
        ]
        for label, value in (
            ("what is allowed: 1e-12", TOLERANCE),
            ("rounding: 2.2e-16", np.finfo(float).eps),
        ):
            lines.append(Line(label, steps, [float(value)] * STEPS, "reference"))
        x, y, limits = "t, steps read so far", "largest relative difference", (1e-17, 1e-11)
        return [Chart("BPTT against RTRL", x, y, lines, log_y=True, limits=limits)]

    def loss(self) -> Tensor:
        rng = np.random.default_rng(0)
        cell = CELLS["RNN"](INPUTS, HIDDEN, rng=rng)
        return losses(cell, rng.standard_normal((6, INPUTS)), rng.standard_normal((6, HIDDEN)))[-1]


def losses(cell: Cell, xs: Array, targets: Array) -> list[Tensor]:
    """L_0 + … + L_t after each step t."""
    state, total, found = None, tensor(0.0), []
    for x, target in zip(xs, targets, strict=True):
        state = cell(x, state)
        difference = state_parts(state)[0] - target
        total = total + 0.5 * (difference * difference).sum()
        found.append(total)
    return found


def through_time(cell: Cell, xs: Array, targets: Array) -> list[Array]:
    """The gradient of L_0 + … + L_t in all weights as one vector, for each t, backwards."""
    weights = list(cell.parameters())
    return [_flat(grad(total, weights)) for total in losses(cell, xs, targets)]


def real_time(cell: Cell, xs: Array, targets: Array) -> list[Array]:
    """The same, carried forwards: no step is ever visited again."""
    weights = list(cell.parameters())
    size = cell.hidden_size
    state = [np.zeros(size) for _ in cell.states]
    influence = np.zeros((size * len(state), sum(weight.size for weight in weights)))
    total, found = np.zeros(influence.shape[1]), []
    for x, target in zip(xs, targets, strict=True):
        before = [tensor(part, requires_grad=True) for part in state]
        after = state_parts(cell(x, state_of(before)))
        rows = [_row(part, i, before, weights) for part in after for i in range(size)]
        by_state, by_weight = (np.array(part) for part in zip(*rows, strict=True))
        influence = by_state @ influence + by_weight
        state = [part.data for part in after]
        total = total + (state[0] - target) @ influence[:size]
        found.append(total)
    return found


def _row(
    part: Tensor, i: int, before: list[Tensor], weights: list[nn.Parameter]
) -> tuple[Array, Array]:
    """What unit i of a new state depends on: the old state, and the weights."""
    found = grad(part[i], [*before, *weights])
    return _flat(found[: len(before)]), _flat(found[len(before) :])


def _flat(tensors: Sequence[Tensor]) -> Array:
    return np.concatenate([found.data.ravel() for found in tensors])
