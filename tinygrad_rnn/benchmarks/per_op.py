"""What recording costs: chains of one op, forward and backward, beside NumPy by hand."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from ..autograd import ops
from ..autograd.tensor import Array, Tensor
from ..errors import BenchmarkError

SIZE = 10
FACTOR = np.linspace(0.999, 1.001, SIZE)
BY_HAND, OURS, TORCH = "NumPy by hand", "eager", "PyTorch eager"

Chain = Callable[[Array, int], Array]
"""From x and how many ops there are to the gradient of the sum of what they come to."""


def _add_by_hand(x: Array, length: int) -> Array:
    kept: list[Array] = []
    for _ in range(length):
        kept.append(x)
        x = x + FACTOR
    g = np.ones(SIZE)
    for _x in reversed(kept):
        pass  # ∂(x + c)/∂x = 1: the cotangent is handed on as it is
    return g


def _mul_by_hand(x: Array, length: int) -> Array:
    kept: list[Array] = []
    for _ in range(length):
        kept.append(x)
        x = x * FACTOR
    g = np.ones(SIZE)
    for _x in reversed(kept):
        g = g * FACTOR
    return g


def _tanh_by_hand(x: Array, length: int) -> Array:
    kept: list[Array] = []
    for _ in range(length):
        x = np.tanh(x)
        kept.append(x)
    g = np.ones(SIZE)
    for y in reversed(kept):
        g = g * (1 - y * y)
    return g


def _recorded(op: Callable[[Tensor], Tensor]) -> Chain:
    def run(x: Array, length: int) -> Array:
        leaf = y = Tensor(x, requires_grad=True)
        for _ in range(length):
            y = op(y)
        y.backward(np.ones(SIZE))
        assert leaf.grad is not None
        return leaf.grad.data

    return run


def _by_torch(torch: Any, op: Callable[[Any], Any]) -> Chain:
    ones = torch.ones(SIZE, dtype=torch.float64)

    def run(x: Array, length: int) -> Array:
        leaf = y = torch.tensor(x, requires_grad=True)
        for _ in range(length):
            y = op(y)
        y.backward(ones)
        return leaf.grad.numpy()

    return run


def chains() -> dict[str, dict[str, Chain]]:
    """By op and by who runs it; the first is by hand."""
    constant = Tensor(FACTOR)
    found: dict[str, dict[str, Chain]] = {
        "add": {BY_HAND: _add_by_hand, OURS: _recorded(lambda x: x + constant)},
        "mul": {BY_HAND: _mul_by_hand, OURS: _recorded(lambda x: x * constant)},
        "tanh": {BY_HAND: _tanh_by_hand, OURS: _recorded(ops.tanh)},
    }
    try:
        torch: Any = import_module("torch")
    except ImportError:
        return found
    torch.set_num_threads(1)
    factor = torch.tensor(FACTOR)
    found["add"][TORCH] = _by_torch(torch, lambda x: x + factor)
    found["mul"][TORCH] = _by_torch(torch, lambda x: x * factor)
    found["tanh"][TORCH] = _by_torch(torch, torch.tanh)
    return found


def require_agreement(found: dict[str, dict[str, Chain]], length: int) -> None:
    """Raise BenchmarkError unless all gradients of an op are the same."""
    x = np.linspace(-1.0, 1.0, SIZE)
    for op, runs in found.items():
        expected = runs[BY_HAND](x, length)
        for name, run in runs.items():
            gradient = run(x, length)
            if not np.allclose(gradient, expected, rtol=1e-12):
                raise BenchmarkError(
                    f"bench: {length} times {op} at {x}: the gradient is {gradient} by {name}, "
                    f"{expected} by {BY_HAND}"
                )
