"""Do gradients shrink below 1, and explode above?"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import nn
from ..autograd import ops
from ..autograd.tensor import Array, Tensor
from .jacobian import norms
from .plots import Chart, Grid, Line
from .study import Record, Row, Study

STEPS, HIDDEN = 50, 16
RADII = (0.5, 0.9, 1.0, 1.1)
INPUT_SCALE = 0.3
TOLERANCE = 1e-4
BENT = 0.01  # of the slope: what tanh takes off at least, where inputs keep it away from 0


class RotatingCell(nn.Module):
    """h_t = φ(W h_{t-1} + x_t), W = ρ Q with Q orthogonal: every singular value of W is ρ."""

    def __init__(self, size: int, radius: float, *, bend: bool, rng: np.random.Generator) -> None:
        self.bend = bend
        self.W = nn.Parameter(np.zeros((size, size)))
        nn.init.orthogonal_(self.W, gain=radius, rng=rng)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """One step: x and h are (B, H)."""
        z = ops.linear(h, self.W) + x
        return ops.tanh(z) if self.bend else z


class Vanish(Study):
    """ln ‖∂h_T/∂h_k‖ over the distance T - k, of a linear and of a tanh network.

    For the linear one ∂h_T/∂h_k = W^{T-k}, whose singular values are all ρ^{T-k}: the slope is
    ln ρ, below 1 and above. tanh has slopes of at most 1, so that ρ is only a bound: it cannot
    hinder vanishing, but it damps exploding.
    """

    name = "vanish"
    question = "Do gradients vanish below 1, and explode above?"
    source = "Bengio, Simard, Frasconi (1994); Pascanu, Mikolov, Bengio (2013), eqs. 5-7"

    def runs(self, full: bool) -> list[dict[str, Any]]:
        return [{"radius": radius, "bend": bend} for bend in (False, True) for radius in RADII]

    def run(self, seed: int, **settings: Any) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        cell = RotatingCell(HIDDEN, settings["radius"], bend=settings["bend"], rng=rng)
        found = flow(cell, INPUT_SCALE * rng.standard_normal((STEPS, HIDDEN)))
        slope = np.polyfit(np.arange(STEPS), np.log(found), 1)[0]
        return {"norms": found, "slope": float(slope)}

    def rows_of(self, record: Record) -> list[Row]:
        radius, slope = record["radius"], record["slope"]
        expected = math.log(radius)
        if not record["bend"]:
            claim = f"linear, ρ = {radius}: the slope is ln ρ"
            reference = f"{expected:.6f} ± {TOLERANCE:.0e}"
            holds = abs(slope - expected) <= TOLERANCE
            return [Row(claim, reference, f"{slope:.6f}", record.seed, holds)]
        claim, bound = f"tanh, ρ = {radius}: bent below ln ρ", expected - BENT
        return [Row(claim, f"< {bound:.3f}", f"{slope:.3f}", record.seed, slope < bound)]

    def charts(self, records: Sequence[Record]) -> Sequence[Chart | Grid]:
        return [self._chart(records, bend) for bend in (False, True)]

    def _chart(self, records: Sequence[Record], bend: bool) -> Chart:
        steps = list(range(STEPS))
        own = [record for record in records if record.seed == 0 and record["bend"] == bend]
        lines = [
            Line(f"ρ = {record['radius']}, measured", steps, record["norms"]) for record in own
        ]
        label = "ρ^(T-k), for each ρ"
        for radius in RADII:
            lines.append(Line(label, steps, [radius**n for n in steps], "reference"))
            label = ""
        title = "tanh: ρ is but a bound" if bend else "linear: the gradient is ρ^(T-k)"
        return Chart(
            title, "T - k, steps back", "‖∂h_T/∂h_k‖", lines, log_y=True, limits=(1e-16, 1e4)
        )

    def loss(self) -> Tensor:
        rng = np.random.default_rng(0)
        cell = RotatingCell(HIDDEN, 0.5, bend=False, rng=rng)
        return (states(cell, rng.standard_normal((8, HIDDEN)), 1)[-1] ** 2).sum()


def states(cell: RotatingCell, xs: Array, copies: int) -> list[Tensor]:
    """h_0 … h_T, each (copies, H), of a network that reads xs (T, H)."""
    found = [Tensor(np.zeros((copies, xs.shape[1])))]
    for x in xs:
        found.append(cell(x, found[-1]))
    return found


def flow(cell: RotatingCell, xs: Array) -> list[float]:
    """‖∂h_T/∂h_k‖ for T - k = 0, 1 … T - 1."""
    found = states(cell, xs, xs.shape[1])
    return norms(found[-1], found[:0:-1])
