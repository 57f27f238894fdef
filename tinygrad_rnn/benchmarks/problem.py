"""The step that is measured: a character model's loss and its gradients; no optimiser."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd.tensor import Array
from ..nn.recurrent import LAYERS

V = 65  # characters, as many as Shakespeare's works have in Karpathy's file

Step = Callable[[], tuple[Any, Any, Any, Any]]
"""Returns the loss and the gradients of W_xh, W_hh, W_hy, in anything `np.asarray` reads."""


@dataclass(frozen=True, slots=True)
class Size:
    """H hidden units, T timesteps, B sequences side by side."""

    name: str
    H: int
    T: int
    B: int

    def __str__(self) -> str:
        return f"{self.name}: H={self.H:,} T={self.T:,} B={self.B}"


SIZES = {
    size.name: size
    for size in (
        Size("tiny", 6, 4, 3),  # to see that it works: says nothing of speed
        Size("karpathy", 100, 25, 1),  # the defaults of min-char-rnn
        Size("medium", 256, 50, 32),
        Size("large", 512, 100, 64),
    )
}


# What is stacked in W_xh and W_hh, by cell; those after the layers are written from ops alone.
GATES = {name: layer.cell_type.gates for name, layer in LAYERS.items()}
GATES |= {"mingru": 2, "peephole": 4, "layernorm": 4}


class Problem:
    """Parameters, one-hot inputs (T, B, V) and targets (T, B): the same for the same arguments."""

    def __init__(self, size: Size, dtype: str, cell: str = "rnn") -> None:
        rng = np.random.default_rng(0)
        self.size, self.dtype, self.cell = size, np.dtype(dtype), cell
        self.weights = {
            name: (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(dtype)
            for name, shape in _shapes(cell, size.H).items()
        }
        self.W_xh, self.W_hy = self.weights["W_xh"], self.weights["W_hy"]
        self.xs = np.eye(V, dtype=dtype)[rng.integers(0, V, (size.T, size.B))]
        self.targets = rng.integers(0, V, (size.T, size.B))

    @property
    def W_hh(self) -> Array:
        return self.weights["W_hh"]


def _shapes(cell: str, H: int) -> dict[str, tuple[int, ...]]:
    """Those of all parameters of a cell and of the outputs."""
    rows = GATES[cell] * H
    shapes: dict[str, tuple[int, ...]] = {"W_xh": (rows, V), "W_hh": (rows, H), "W_hy": (V, H)}
    if cell == "mingru":
        del shapes["W_hh"]
    if cell == "peephole":
        shapes["w_c"] = (3 * H,)
    if cell == "layernorm":
        shapes |= {"g_x": (rows,), "g_h": (rows,), "g_c": (H,)}
    return shapes
