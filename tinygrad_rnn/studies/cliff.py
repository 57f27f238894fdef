"""What does clipping do at a wall of the loss, and where does it do nothing?"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import nn
from ..autograd import ops
from ..autograd.tensor import Array, Tensor
from .plots import Chart, Grid, Line
from .study import Record, Row, Study, by_seed, number

STEPS, FIRST, TARGET = 50, 0.5, 0.7
UPDATES, RATE, CLIP, LATE = 150, 1.0, 0.1, 100
AT_THE_WALL, ON_THE_PLATEAU = (5.5, -2.5), (6.0, 2.0)  # (w, b)
SPREAD = 0.2
LEAP, LOW, STUCK = 1.0, 0.01, 0.99


class Unit(nn.Module):
    """One unit without inputs: h_t = w σ(h_{t-1}) + b."""

    def __init__(self, w: float, b: float) -> None:
        self.w, self.b = nn.Parameter(w), nn.Parameter(b)

    def forward(self, h: Any) -> Tensor:
        """One step."""
        return self.w * ops.sigmoid(h) + self.b


class Cliff(Study):
    """Gradient descent on L(w, b) = (σ(h₄₉) - 0.7)² of one unit, with and without clipping.

    At w = (h₋₁ - b) / σ(h₋₁) the loop stands still where it starts, and on either side of it runs
    to another resting point: the loss has a wall there, the steeper the longer the run. A step
    against the wall without a bound leaps back over all the ground that was gained. Where the
    gradient is small, on the plateau, a bound changes nothing, and does not help.
    """

    name = "cliff"
    question = "What does clipping do at a wall of the loss, and where does it do nothing?"
    source = (
        "Pascanu, Mikolov, Bengio, On the difficulty of training recurrent neural networks (2013), "
        "fig. 6, alg. 1"
    )

    def runs(self, full: bool) -> list[dict[str, Any]]:
        return [
            {"place": place, "clipped": clipped}
            for place in ("wall", "plateau")
            for clipped in (False, True)
        ]

    def run(self, seed: int, **settings: Any) -> dict[str, Any]:
        middle = AT_THE_WALL if settings["place"] == "wall" else ON_THE_PLATEAU
        start = np.array(middle) + np.random.default_rng(seed).uniform(-SPREAD, SPREAD, 2)
        found = descend(Unit(*start), CLIP if settings["clipped"] else np.inf)
        return found | {"start": start.tolist()}

    def rows(self, records: Sequence[Record]) -> list[Row]:
        found = []
        for seed, own in by_seed(records).items():
            loose, bound, flat, flat_bound = own
            leap, apart = max(loose["moves"]), difference(flat, flat_bound)
            claim = "wall, unclipped: the longest step leaps"
            found.append(Row(claim, f"≥ {LEAP}", number(leap), seed, leap >= LEAP))
            found.append(self._low("wall, clipped: descends all the same", bound))
            late, late_bound = (float(np.mean(r["losses"][-LATE:])) for r in (loose, bound))
            claim = f"wall: mean loss of the last {LATE} steps is lower clipped"
            reference = f"< {number(late)} unclipped"
            found.append(Row(claim, reference, number(late_bound), seed, late_bound < late))
            found.append(self._stuck("plateau, clipped: does not help, the loss stays", flat_bound))
            claim = "plateau: clipped and unclipped are the same run"
            found.append(Row(claim, "difference exactly 0", number(apart), seed, apart == 0))
        return found

    def _low(self, claim: str, record: Record) -> Row:
        last = record["losses"][-1]
        return Row(claim, f"loss < {LOW} after {UPDATES}", number(last), record.seed, last < LOW)

    def _stuck(self, claim: str, record: Record) -> Row:
        share = record["losses"][-1] / record["losses"][0]
        return Row(
            claim, f"≥ {STUCK:.0%} of the first", f"{share:.1%}", record.seed, share >= STUCK
        )

    def charts(self, records: Sequence[Record]) -> Sequence[Chart | Grid]:
        ws = np.linspace(4, 7, 241)
        b = AT_THE_WALL[1]
        values = [loss(Unit(float(w), b)).item() for w in ws]
        label = f"the wall: w = (h₋₁ - b) / σ(h₋₁) = {wall(b):.3f}"
        at_the_wall = Line(label, [wall(b)] * 2, [0, max(values)], "reference")
        slice_ = Chart(
            f"The wall: the loss along w, at b = {b}",
            "w",
            "loss, (σ(h₄₉) - 0.7)²",
            [Line("loss", ws.tolist(), values), at_the_wall],
        )
        steps = list(range(UPDATES))
        lines = []
        for clipped, name in ((False, "unclipped"), (True, f"clipped to {CLIP}")):
            own = [r["losses"] for r in records if r["place"] == "wall" and r["clipped"] == clipped]
            lines.append(
                Line(f"{name}, mean of {len(own)} seeds", steps, np.mean(own, axis=0).tolist())
            )
        plateau = Line(
            "plateau: 0.09 = (1 - 0.7)²", [0, UPDATES], [(1 - TARGET) ** 2] * 2, "reference"
        )
        descent = Chart(
            "Gradient descent from beside the wall",
            "update",
            "loss",
            [*lines, plateau],
            log_y=True,
            limits=(1e-3, 1),
        )
        return [slice_, descent]

    def loss(self) -> Tensor:
        return loss(Unit(4.9, AT_THE_WALL[1]), 8)


def wall(b: float) -> float:
    """The w at which h stays where it starts: w σ(h₋₁) + b = h₋₁."""
    return (FIRST - b) * (1 + math.exp(-FIRST))


def loss(unit: Unit, steps: int = STEPS) -> Tensor:
    """(σ(h) - 0.7)² after so many steps from h = 0.5."""
    h: Any = Tensor(FIRST)
    for _ in range(steps):
        h = unit(h)
    return (ops.sigmoid(h) - TARGET) ** 2


def descend(unit: Unit, clip: float) -> dict[str, list[float]]:
    """Gradient descent: the loss before each update, and how far it moved (w, b)."""
    optimizer = nn.optim.SGD(unit.parameters(), lr=RATE)
    losses, moves = [], []
    for _ in range(UPDATES):
        before = weights(unit)
        optimizer.zero_grad()
        found = loss(unit)
        found.backward()
        nn.clip_grad_norm_(unit.parameters(), clip)
        optimizer.step()
        losses.append(found.item())
        moves.append(float(np.linalg.norm(weights(unit) - before)))
    return {"losses": losses, "moves": moves}


def weights(unit: Unit) -> Array:
    """(w, b)."""
    return np.array([unit.w.item(), unit.b.item()])


def difference(one: Record, other: Record) -> float:
    """The largest between two runs' losses."""
    return float(np.abs(np.subtract(one["losses"], other["losses"])).max())
