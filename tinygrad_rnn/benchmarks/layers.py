"""The recurrent layers, forward and backward, from small to large, beside torch.nn's."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from .. import nn
from ..autograd.tensor import Tensor
from ..compiler import compile

SHAPES = {"small": (8, 16, 20, 1), "karpathy": (65, 100, 25, 1), "large": (64, 128, 50, 32)}
"""(I, H, T, B), by name."""
EAGER, COMPILED, TORCH = "eager", "compiled", "PyTorch"


def runs(kind: str, shape: tuple[int, int, int, int], dtype: str) -> dict[str, Callable[[], Any]]:
    """The loss Σ y² of a layer and its gradients, eager, compiled and in PyTorch."""
    inputs, hidden, steps, batch = shape
    xs = np.random.default_rng(0).standard_normal((steps, batch, inputs)).astype(dtype)
    layer = getattr(nn, kind)(inputs, hidden, rng=0, dtype=dtype)
    parameters, given = list(layer.parameters()), Tensor(xs)

    def loss(xs: Tensor) -> Tensor:
        ys, _ = layer(xs)
        total = (ys * ys).sum()
        total.backward()
        return total

    def step(function: Callable[[Tensor], Any]) -> Callable[[], Any]:
        def run() -> Any:
            for parameter in parameters:
                parameter.grad = None
            return function(given)

        return run

    found = {EAGER: step(loss), COMPILED: step(compile(loss))}
    try:
        torch: Any = import_module("torch")
    except ImportError:
        return found
    torch.set_num_threads(1)
    theirs = getattr(torch.nn, kind)(inputs, hidden, dtype=getattr(torch, dtype))
    state = {name: torch.tensor(x) for name, x in layer.to_torch_state_dict().items()}
    theirs.load_state_dict(state)
    torch_xs = torch.tensor(xs)

    def by_torch() -> Any:
        for parameter in theirs.parameters():
            parameter.grad = None
        ys, _ = theirs(torch_xs)
        total = (ys * ys).sum()
        total.backward()
        return total.detach()

    return found | {TORCH: by_torch}
