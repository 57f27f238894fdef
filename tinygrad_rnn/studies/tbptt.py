"""What does truncation lose?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import nn
from ..autograd.backward import grad
from ..autograd.switches import no_grad
from ..autograd.tensor import Array, Tensor
from ..nn.cells import detach
from ..nn.recurrent import Recurrent
from .plots import Chart, Grid, Line
from .study import Record, Row, Study, number
from .tasks import recall

GAP, HIDDEN, BATCH = 31, 16, 32
STEPS = GAP + 1
PIECES = (1, 2, 4, 8, 16, 32)  # k: how many steps a gradient flows back through
CUT = 4  # the truncation that is trained with
UPDATES, RATE, CLIP = 200, 0.01, 1.0
LOOKED_AT = 8  # the k of the table
ALIKE = 0.99  # of a cosine
NAMES = {"short": "forgets (tanh)", "long": "remembers (LSTM, forget bias 3)"}
LEARNT = 0.95  # of the answers
FAILS = ("last", CUT, 1.0)
# When the answer is asked for, the length of a piece, the forget bias.
CASES = [("last", STEPS, 1.0), FAILS, ("every", CUT, 1.0), ("last", CUT, 3.0)]


class Tbptt(Study):
    """The cosine between truncated and full gradients, and what is learnt with them.

    Truncated: to pieces of k steps.
    A bit is shown at step 0, then noise; the answer is asked for at the last step alone, or at
    every step. Truncation loses the paths longer than a piece: the weights that read the bit get no
    gradient at all. It loses next to nothing in the others of a network that forgets sooner than a
    piece is long.

    "Truncated gradients cannot learn long gaps" is false as it stands, since the state is carried
    on. Where every step is asked for the bit, keeping it for one more step is all that is ever to
    be learnt. And a network that keeps it from the start, by luck or by a forget bias of 3, only
    has to learn to say it.
    """

    name = "tbptt"
    question = "What does truncated backpropagation through time lose?"
    source = (
        "Williams, Peng, An Efficient Gradient-Based Algorithm "
        "for On-Line Training of Recurrent Networks (1990)"
    )

    def runs(self, full: bool) -> list[dict[str, Any]]:
        compared = [{"kind": "cosine", "memory": memory} for memory in ("short", "long")]
        cases = [
            {"kind": "train", "asked": asked, "piece": piece, "bias": bias}
            for asked, piece, bias in CASES
        ]
        return compared + cases

    def run(self, seed: int, **settings: Any) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        if settings["kind"] == "cosine":
            network = remembering(3.0, rng) if settings["memory"] == "long" else forgetting(rng)
            return compared_gradients(network, rng)
        network = remembering(settings["bias"], rng)
        return {"share": trained(network, settings["asked"], settings["piece"], rng)}

    def rows_of(self, record: Record) -> list[Row]:
        if record["kind"] == "train":
            return [self._trained(record)]
        name, short = NAMES[record["memory"]], record["memory"] == "short"
        place = PIECES.index(LOOKED_AT)
        cosine, reading = record["cosines"][place], record["reading"]
        verdict, sign = ("lose next to nothing", "≥") if short else ("point elsewhere", "<")
        claim = f"{name}: {LOOKED_AT} of {STEPS} steps {verdict}"
        holds = (cosine >= ALIKE) == short
        rows = [Row(claim, f"cosine {sign} {ALIKE}", number(cosine), record.seed, holds)]
        claim = f"{name}: the weights that read the bit get nothing from {LOOKED_AT} steps"
        holds = reading[place] == 0 and reading[-1] > 0
        measured = f"{number(reading[place])}, full: {number(reading[-1])}"
        return [*rows, Row(claim, "exactly 0, full: > 0", measured, record.seed, holds)]

    def _trained(self, record: Record) -> Row:
        asked, piece, bias = (record[name] for name in ("asked", "piece", "bias"))
        learns = (asked, piece, bias) != FAILS
        where = "every step" if asked == "every" else "the last step"
        verdict, sign = ("learns", "≥") if learns else ("does not learn", "<")
        how = f"asked at {where}, pieces of {piece}, forget bias {bias:g}"
        reference, share = f"right {sign} {LEARNT:.0%}", record["share"]
        claim = f"{how}: {verdict} a gap of {GAP}"
        return Row(claim, reference, f"{share:.1%}", record.seed, (share >= LEARNT) == learns)

    def charts(self, records: Sequence[Record]) -> Sequence[Chart | Grid]:
        own = [record for record in records if record.seed == 0 and record["kind"] == "cosine"]
        lines = [Line(NAMES[record["memory"]], PIECES, record["cosines"]) for record in own]
        lines.append(Line("the full gradient: 1", PIECES, [1.0] * len(PIECES), "reference"))
        title, x, y = "Truncated against full gradient", "k, steps of a piece", "cosine"
        return [Chart(title, x, y, lines, log_x=True, limits=(0, 1.1))]

    def loss(self) -> Tensor:
        network = remembering(3.0, np.random.default_rng(0))
        inputs, bits = recall(np.random.default_rng(0), 5, BATCH)
        return losses(network, inputs, bits, "last", 3)[-1]


def forgetting(rng: np.random.Generator) -> Recurrent:
    """A network whose gradient is gone within a few steps."""
    return nn.RNN(2, HIDDEN, output_size=2, rng=rng)


def remembering(bias: float, rng: np.random.Generator) -> Recurrent:
    """A network whose gradient flows the further back, the larger the forget gate's first bias."""
    return nn.LSTM(2, HIDDEN, output_size=2, forget_bias=bias, rng=rng)


def losses(network: Recurrent, inputs: Array, bits: Array, asked: str, piece: int) -> list[Tensor]:
    """The loss of each piece of `piece` steps; the state goes on, the gradient does not.

    Asked at the last step, all but the last piece have none.
    """
    state, found = None, []
    for start in range(0, len(inputs), piece):
        ys, state = network(inputs[start : start + piece], detach(state))
        if asked == "every":
            found.append(nn.cross_entropy(ys, np.broadcast_to(bits, ys.shape[:2])))
        elif start + piece >= len(inputs):
            found.append(nn.cross_entropy(ys[-1], bits))
    return found


def compared_gradients(network: Recurrent, rng: np.random.Generator) -> dict[str, list[float]]:
    """Truncated against full gradient of the last step's loss, for each of PIECES.

    Returns:
        "cosines", over all weights of the cell, and "reading", the truncated one's norm in those
        that read the bit.
    """
    inputs, bits = recall(rng, GAP, BATCH)
    weights = list(network.cells[0].parameters())  # W_xh first
    found, reading = [], []
    for piece in PIECES:
        (last,) = losses(network, inputs, bits, "last", piece)
        gradients = grad(last, weights)
        found.append(np.concatenate([g.data.ravel() for g in gradients]))
        reading.append(float(np.linalg.norm(gradients[0].data[:, 0])))
    full = found[-1]
    cosines = [float(one @ full / (np.linalg.norm(one) * np.linalg.norm(full))) for one in found]
    return {"cosines": cosines, "reading": reading}


def trained(network: Recurrent, asked: str, piece: int, rng: np.random.Generator) -> float:
    """The share of right answers at the last step, after training with truncated gradients."""
    optimizer = nn.optim.Adam(network.parameters(), lr=RATE)
    for _ in range(UPDATES):
        optimizer.zero_grad()
        for loss in losses(network, *recall(rng, GAP, BATCH), asked, piece):
            loss.backward()
        nn.clip_grad_norm_(network.parameters(), CLIP)
        optimizer.step()
    inputs, bits = recall(np.random.default_rng([1, 0]), GAP, 512)
    with no_grad():
        return float((network(inputs)[0].data[-1].argmax(-1) == bits).mean())
