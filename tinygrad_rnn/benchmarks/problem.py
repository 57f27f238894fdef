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


class Problem:
    """Parameters, one-hot inputs (T, B, V) and targets (T, B): the same for the same arguments."""

    def __init__(self, size: Size, dtype: str, cell: str = "rnn") -> None:
        rng = np.random.default_rng(0)
        self.size, self.dtype, self.cell = size, np.dtype(dtype), cell
        rows = LAYERS[cell].cell_type.gates * size.H
        self.W_xh, self.W_hh, self.W_hy = (
            (rng.standard_normal(shape) / np.sqrt(shape[1])).astype(dtype)
            for shape in ((rows, V), (rows, size.H), (V, size.H))
        )
        self.xs = np.eye(V, dtype=dtype)[rng.integers(0, V, (size.T, size.B))]
        self.targets = rng.integers(0, V, (size.T, size.B))

    @property
    def weights(self) -> dict[str, Array]:
        return {"W_xh": self.W_xh, "W_hh": self.W_hh, "W_hy": self.W_hy}
