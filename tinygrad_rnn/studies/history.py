"""Does y_t depend on all of x_0 … x_t, and on nothing later?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import nn
from ..autograd.tensor import Array, Tensor, tensor
from ..nn.recurrent import Recurrent
from .jacobian import jacobians
from .plots import Chart, Grid
from .study import Record, Row, Study, number
from .tasks import CELLS

STEPS, INPUTS, HIDDEN, OUTPUTS = 12, 4, 8, 3
BOTH_WAYS = "RNN in two directions"
NETWORKS = (*CELLS, BOTH_WAYS)
ROUNDING = 1e-12


class History(Study):
    """‖∂y_t/∂x_k‖ for every t and k: a triangle, whose upper half is not small but 0.

    y_t is computed before x_{t+1} is read, so that there is no path from the one to the other. A
    network that reads in both directions has such paths: for it the claim does not hold, and the
    table expects just that.
    """

    name = "history"
    question = "Does y_t depend on all of x_0 … x_t, and on nothing later?"
    source = "Elman, Finding Structure in Time (1990); Pascanu et al. (2013), eqs. 4-5"

    def runs(self, full: bool) -> list[dict[str, Any]]:
        return [{"network": network} for network in NETWORKS]

    def run(self, seed: int, **settings: Any) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        network = network_of(settings["network"], rng)
        xs = rng.standard_normal((STEPS, INPUTS))
        found = dependence(network, xs)
        measured: dict[str, Any] = {"norms": np.linalg.norm(found, 2, axis=(2, 3)).tolist()}
        if isinstance(network, nn.RNN) and not network.bidirectional:
            expected = by_hand(network, xs)
            measured["error"] = float(np.abs(found - expected).max() / np.abs(expected).max())
        return measured

    def rows_of(self, record: Record) -> list[Row]:
        network, values = record["network"], np.array(record["norms"])
        later, until_now = values[np.triu_indices(STEPS, 1)], values[np.tril_indices(STEPS)]
        least, seed = float(until_now.min()), record.seed
        claim = f"{network}: y_t depends on every x_0 … x_t"
        rows = [Row(claim, "least > 0", number(least), seed, least > 0)]
        if network == BOTH_WAYS:
            least, claim = float(later.min()), f"{network}: and on every later x_k"
            rows.append(Row(claim, "least > 0", number(least), seed, least > 0))
        else:
            most, claim = float(later.max()), f"{network}: and on nothing later"
            rows.append(Row(claim, "exactly 0", number(most), seed, most == 0))
        if "error" in record.measured:
            claim, error = "RNN: the same as the product of Jacobians", float(record["error"])
            allowed = f"error ≤ {ROUNDING:.0e}"
            rows.append(Row(claim, allowed, number(error), seed, error <= ROUNDING))
        return rows

    def charts(self, records: Sequence[Record]) -> Sequence[Chart | Grid]:
        first = [
            record
            for record in records
            if record.seed == 0 and record["network"] in ("RNN", "LSTM")
        ]
        x, y, value = "k, the step of the input", "t, the step of the output", "‖∂y_t/∂x_k‖"
        return [
            Grid(f"{record['network']}: what y_t depends on", x, y, value, record["norms"])
            for record in first
        ]

    def loss(self) -> Tensor:
        rng = np.random.default_rng(0)
        ys, _ = network_of("RNN", rng)(rng.standard_normal((6, INPUTS)))
        # Of one step in the middle: nothing flows to the steps after it.
        return (ys[3] * ys[3]).sum()


def network_of(name: str, rng: np.random.Generator) -> Recurrent:
    """A fresh network of one of NETWORKS."""
    if name == BOTH_WAYS:
        return nn.RNN(INPUTS, HIDDEN, output_size=OUTPUTS, bidirectional=True, rng=rng)
    return CELLS[name](INPUTS, HIDDEN, output_size=OUTPUTS, rng=rng)


def dependence(network: nn.Module, xs: Array) -> Array:
    """∂y_t/∂x_k for every t and k, (T, T, O, I).

    `network` is any layer that takes xs (T, B, I) and returns (ys, state); xs here is (T, I).
    """
    ys, _ = network(xs[:, None, :])
    outputs = ys.shape[-1]
    leaves = tensor(np.repeat(xs[:, None, :], outputs, axis=1), requires_grad=True)
    ys, _ = network(leaves)
    return np.array([jacobians(y, [leaves])[0] for y in ys])


def by_hand(network: nn.RNN, xs: Array) -> Array:
    """The same for one tanh layer, as the product of Jacobians of its steps.

    ∂y_t/∂x_k = W_hy · D_t W_hh · D_{t-1} W_hh ⋯ D_{k+1} W_hh · D_k W_xh,  D_t = diag(1 - h_t²).
    Source: Pascanu et al. (2013), eq. 5.
    """
    W_xh, W_hh, b_h, W_hy = (network.state_dict()[name] for name in ("W_xh", "W_hh", "b_h", "W_hy"))
    steps, h = len(xs), np.zeros(len(b_h))
    found = np.zeros((steps, steps, len(W_hy), xs.shape[1]))
    state: list[Array] = []  # ∂h_t/∂x_k, for each k so far
    for t, x in enumerate(xs):
        h = np.tanh(W_xh @ x + W_hh @ h + b_h)
        slope = (1 - h * h)[:, None]
        state = [slope * (W_hh @ past) for past in state] + [slope * W_xh]
        found[t, : t + 1] = W_hy @ np.array(state)
    return found
