"""Cells with what ours lack and ONNX has: other activations, clipping, the other coupling."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...autograd import ops
from ...autograd.tensor import Tensor
from ...nn.cells import GRUCell, LSTMCell, RNNCell, look, plus

Activation = Callable[[Tensor], Tensor]


def _relu(x: Tensor, alpha: float, beta: float) -> Tensor:
    return ops.relu(x)


def _leaky(x: Tensor, alpha: float, beta: float) -> Tensor:
    return ops.where(x < 0, alpha * x, x)


def _thresholded(x: Tensor, alpha: float, beta: float) -> Tensor:
    return ops.where(x > alpha, x, np.zeros((), x.dtype))


def _elu(x: Tensor, alpha: float, beta: float) -> Tensor:
    return ops.where(x > 0, x, alpha * ops.expm1(ops.minimum(x, np.zeros((), x.dtype))))


# Each by ONNX's name in small letters, with its constants where none are given.
_ACTIVATIONS: dict[str, tuple[Callable[[Tensor, float, float], Tensor], float, float]] = {
    "relu": (_relu, 0.0, 0.0),
    "tanh": (lambda x, a, b: ops.tanh(x), 0.0, 0.0),
    "sigmoid": (lambda x, a, b: ops.sigmoid(x), 0.0, 0.0),
    "affine": (lambda x, a, b: a * x + b, 1.0, 0.0),
    "leakyrelu": (_leaky, 0.01, 0.0),
    "thresholdedrelu": (_thresholded, 1.0, 0.0),
    "scaledtanh": (lambda x, a, b: a * ops.tanh(b * x), 1.0, 1.0),
    "hardsigmoid": (lambda x, a, b: ops.clip(a * x + b, 0.0, 1.0), 0.2, 0.5),
    "elu": (_elu, 1.0, 0.0),
    "softsign": (lambda x, a, b: x / (1.0 + ops.abs(x)), 0.0, 0.0),
    "softplus": (lambda x, a, b: ops.softplus(x), 0.0, 0.0),
}
_TAKES_ALPHA = {"affine", "leakyrelu", "thresholdedrelu", "scaledtanh", "hardsigmoid", "elu"}
_TAKES_BETA = {"affine", "scaledtanh", "hardsigmoid"}
DEFAULTS = {"RNN": ["tanh"], "GRU": ["sigmoid", "tanh"], "LSTM": ["sigmoid", "tanh", "tanh"]}


def activations_of(
    names: Sequence[str], alphas: Sequence[float], betas: Sequence[float]
) -> list[Activation]:
    """The functions of a node; constants belong to those that take any, in order.

    Raises:
        KeyError: no such activation.
    """
    left, right = list(alphas), list(betas)
    made: list[Activation] = []
    for name in names:
        kind = name.lower()
        function, alpha, beta = _ACTIVATIONS[kind]
        if kind in _TAKES_ALPHA and left:
            alpha = left.pop(0)
        if kind in _TAKES_BETA and right:
            beta = right.pop(0)
        made.append(_bound(function, alpha, beta))
    return made


def _bound(function: Callable[..., Tensor], alpha: float, beta: float) -> Activation:
    return lambda x: function(x, alpha, beta)


@dataclass(frozen=True, slots=True)
class Variant:
    """How a cell differs from ours.

    Args:
        activations: of its gates, its proposal, and for an LSTM of the memory that it shows.
        clip: what every activation reads lies within ± this; None: anything.
        input_forget: an LSTM's forget gate is 1 - i.
    """

    activations: Sequence[Activation] = field(default_factory=list[Activation])
    clip: float | None = None
    input_forget: bool = False

    def clipped(self, z: Tensor) -> Tensor:
        """What an activation reads."""
        return z if self.clip is None else ops.clip(z, -self.clip, self.clip)

    def __call__(self, number: int, z: Tensor) -> Tensor:
        return self.activations[number](self.clipped(z))


class VariantRNNCell(RNNCell):
    """Elman's cell with any activation: h_t = f(W_xh x_t + W_hh h_{t-1} + b_h)."""

    special: Variant

    @property
    def equation(self) -> str:
        return "hₜ = f(W_xh xₜ + W_hh hₜ₋₁ + b_h)"

    def step(self, x: Tensor, h: Tensor) -> tuple[Tensor]:
        z = plus(ops.linear(x, self.W_xh) + ops.linear(h, self.W_hh), self.b_h)
        return (self.special(0, z),)


class VariantLSTMCell(LSTMCell):
    """An LSTM cell with any activations f, g, h, clipped, and a forget gate that may be 1 - i."""

    special: Variant

    def step(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        special, size = self.special, self.hidden_size
        z = plus(ops.linear(x, self.W_xh) + ops.linear(h, self.W_hh), self.b_h)
        i, f, g, o = (z[..., k * size : (k + 1) * size] for k in range(4))
        w_i = w_f = w_o = None
        if self.w_c is not None:
            w_i, w_f, w_o = (self.w_c[k * size : (k + 1) * size] for k in range(3))
        i = special(0, look(i, w_i, c))
        f = 1.0 - i if special.input_forget else special(0, look(f, w_f, c))
        c = f * c + i * special(1, g)
        return special(0, look(o, w_o, c)) * special(2, c), c


class VariantGRUCell(GRUCell):
    """A GRU cell with any activations f of the gates and g of the proposal, clipped."""

    special: Variant

    def step(self, x: Tensor, h: Tensor) -> tuple[Tensor]:
        special, size = self.special, self.hidden_size
        parts = [slice(k * size, (k + 1) * size) for k in range(3)]
        x_z = plus(ops.linear(x, self.W_xh), self.b_x if self.reset_after else self.b_h)
        x_r, x_z, x_n = (x_z[..., part] for part in parts)
        if self.reset_after:
            h_z = plus(ops.linear(h, self.W_hh), self.b_h)
            h_r, h_z, h_n = (h_z[..., part] for part in parts)
            r, z = special(0, x_r + h_r), special(0, x_z + h_z)
            n = special(1, x_n + r * h_n)
        else:
            h_z = ops.linear(h, self.W_hh[: 2 * size])
            h_r, h_z = (h_z[..., part] for part in parts[:2])
            r, z = special(0, x_r + h_r), special(0, x_z + h_z)
            n = special(1, x_n + ops.linear(r * h, self.W_hh[2 * size :]))
        return ((1.0 - z) * n + z * h,)


PLAIN: dict[str, Any] = {"RNN": RNNCell, "LSTM": LSTMCell, "GRU": GRUCell}
VARIANTS: dict[str, Any] = {
    "RNN": VariantRNNCell,
    "LSTM": VariantLSTMCell,
    "GRU": VariantGRUCell,
}
