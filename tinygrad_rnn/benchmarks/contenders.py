"""Who takes the step, and that they all take the same one."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..autograd.tensor import Array, Tensor
from ..errors import BenchmarkError
from . import ours, peers
from .by_hand import TimeBatchedRNN, min_char_rnn
from .by_hand_gated import TimeBatchedGRU, TimeBatchedLSTM
from .problem import Problem, Step

BY_HAND = "NumPy by hand, time-batched"
COMPILED = "compiled"
LAYER = "eager layer"
LOOP = "eager loop"
MIN_CHAR_RNN = "NumPy by hand, min-char-rnn"
TORCH_LAYER = "PyTorch layer"
TORCH_LOOP = "PyTorch loop"
JAX = "JAX scan, jit"
JAX_HOISTED = "JAX scan, jit, projections hoisted"

_GATED = {COMPILED: ours.compiled, LAYER: ours.eager_layer, TORCH_LAYER: peers.torch_layer}

CONTENDERS: dict[str, dict[str, Callable[[Problem], Step]]] = {
    "rnn": {
        BY_HAND: TimeBatchedRNN,
        COMPILED: ours.compiled,
        LAYER: ours.eager_layer,
        LOOP: ours.eager_loop,
        MIN_CHAR_RNN: min_char_rnn,
        TORCH_LAYER: peers.torch_layer,
        TORCH_LOOP: peers.torch_loop,
        JAX: peers.jax_scan,
        JAX_HOISTED: peers.jax_scan_hoisted,
        "MyGrad loop": peers.mygrad_loop,
        "HIPS autograd loop": peers.hips_loop,
    },
    "lstm": {BY_HAND: TimeBatchedLSTM, **_GATED},
    "gru": {BY_HAND: TimeBatchedGRU, **_GATED},
}
"""By cell and name. The first is what the others are compared with."""

_TOLERANCE = {"float64": 1e-9, "float32": 1e-3}  # of a gradient's greatest element


def installed(problem: Problem, names: tuple[str, ...] | None = None) -> dict[str, Step]:
    """Those of the contenders whose package is here, ready to take the step."""
    steps: dict[str, Step] = {}
    for name, make in CONTENDERS[problem.cell].items():
        if names is None or name in names:
            try:
                steps[name] = make(problem)
            except ImportError:
                continue
    return steps


def require_agreement(steps: Mapping[str, Step], dtype: str) -> None:
    """Raise BenchmarkError unless all come to the same loss and gradients.

    They are compared after a third step, when a compiled one is replayed.
    """
    expected: list[Array] = []
    for contender, step in steps.items():
        for _ in range(2):
            step()
        found = [_array(value).copy() for value in step()]
        expected = expected or found
        for name, a, b in zip(("loss", "W_xh", "W_hh", "W_hy"), found, expected, strict=True):
            worst = float(np.abs(a - b).max()) if a.shape == b.shape else np.inf
            same_kind = name == "loss" or a.dtype == b.dtype
            if not (same_kind and worst <= _TOLERANCE[dtype] * float(np.abs(b).max())):
                what = "the loss" if name == "loss" else f"the gradient of {name}"
                raise BenchmarkError(
                    f"bench: {what} by {contender} is {a.dtype} {a.shape}, up to {worst:.3g} away "
                    f"from that by {next(iter(steps))}, {b.dtype} {b.shape}: they do not take the "
                    "same step, so nothing was timed"
                )


def _array(value: Any) -> Array:
    return value.data if isinstance(value, Tensor) else np.asarray(value)
