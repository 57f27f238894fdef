"""What do orthogonal first weights give?"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import nn
from ..autograd.tensor import Array, Tensor, tensor
from .jacobian import jacobians
from .plots import Chart, Grid, Line
from .study import Record, Row, Study, number

STEPS, HIDDEN = 50, 32
INITS = ("orthogonal", "N(0, 1/H)", "U(±1/√H)")
EXACT, SPREAD, SHRUNK = 1e-9, 1e6, 1e-3


class Orthogonal(Study):
    """The singular values of ∂h_T/∂h_0 at the start, for three ways to draw W_hh first.

    Without inputs the state stays 0, where tanh has the slope 1, so that ∂h_T/∂h_0 = W^T. If W is
    orthogonal all singular values are 1 for any T. Of a Gaussian matrix whose norm is right on the
    average some directions explode while others vanish; the usual uniform weights shrink them all.
    """

    name = "orthogonal"
    question = "What do orthogonal first weights give?"
    source = "Saxe, McClelland, Ganguli (2014); Arjovsky, Shah, Bengio (2016); Henaff et al. (2016)"

    def runs(self, full: bool) -> list[dict[str, Any]]:
        return [{"init": init} for init in INITS]

    def run(self, seed: int, **settings: Any) -> dict[str, Any]:
        cell = cell_of(settings["init"], np.random.default_rng(seed))
        first = h = tensor(np.zeros((HIDDEN, HIDDEN)), requires_grad=True)
        largest, least = [], []
        for _ in range(STEPS):
            h = cell(np.zeros((HIDDEN, 1)), h)
            values = np.linalg.svd(jacobians(h, [first])[0], compute_uv=False)
            largest.append(float(values[0]))
            least.append(float(values[-1]))
        return {"largest": largest, "least": least}

    def rows_of(self, record: Record) -> list[Row]:
        init, seed = record["init"], record.seed
        largest, least = record["largest"][-1], record["least"][-1]
        if init == "orthogonal":
            off = max(abs(largest - 1), abs(least - 1))
            claim = f"orthogonal: all singular values are 1 after {STEPS} steps"
            return [Row(claim, f"1 ± {EXACT:.0e}", number(off), seed, off <= EXACT)]
        if init == INITS[1]:
            spread = largest / least
            claim = f"{init}: the largest is far from the least after {STEPS} steps"
            return [Row(claim, f"ratio > {SPREAD:.0e}", number(spread), seed, spread > SPREAD)]
        claim = f"{init}: even the largest has shrunk after {STEPS} steps"
        return [Row(claim, f"< {SHRUNK}", number(largest), seed, largest < SHRUNK)]

    def charts(self, records: Sequence[Record]) -> Sequence[Chart | Grid]:
        own = [record for record in records if record.seed == 0]
        steps = list(range(1, STEPS + 1))
        lines = [Line(f"{record['init']}, largest", steps, record["largest"]) for record in own]
        lines += [
            Line(f"{record['init']}, least", steps, np.maximum(record["least"], 1e-30).tolist())
            for record in own
        ]
        y = "singular values of ∂h_T/∂h_0"
        return [Chart("Before learning", "T, steps", y, lines, log_y=True)]

    def loss(self) -> Tensor:
        cell, h = cell_of("orthogonal", np.random.default_rng(0)), None
        for x in np.random.default_rng(0).standard_normal((8, 4, 1)):
            h = cell(x, h)
        assert h is not None
        return (h * h).sum()


def cell_of(init: str, rng: np.random.Generator) -> nn.RNNCell:
    """A tanh cell without bias, whose W_hh is drawn in one of the ways of INITS."""
    cell = nn.RNNCell(1, HIDDEN, bias=False, rng=rng)
    if init == "orthogonal":
        nn.init.orthogonal_(cell.W_hh, rng=rng)
    elif init == INITS[1]:
        cell.W_hh.data = gaussian(rng)
    return cell


def gaussian(rng: np.random.Generator) -> Array:
    """Of mean 0 and variance 1/H: the spectral radius is 1 on the average."""
    return rng.normal(0, 1 / math.sqrt(HIDDEN), (HIDDEN, HIDDEN))
