"""Losses that are made of several ops; `cross_entropy` is an op of its own."""

from typing import Any

from ..autograd.tensor import Tensor
from ..errors import OpError


def mse_loss(input: Tensor, target: Any, reduction: str = "mean") -> Tensor:
    """Squared error, (input - target)², of equal shapes; `reduction` is "mean", "sum" or "none".

    Raises:
        OpError: the shapes differ (they are not broadcast: that is nearly always a mistake), or
            another reduction.
    """
    target = target if isinstance(target, Tensor) else Tensor(target)
    if input.shape != target.shape:
        raise OpError(
            f"mse_loss: input {input.shape} and target {target.shape} must have the same shape"
        )
    error = (input - target) ** 2
    reductions = {"mean": error.mean, "sum": error.sum, "none": lambda: error}
    if reduction not in reductions:
        raise OpError(f'mse_loss: the reduction must be "mean", "sum" or "none", got {reduction!r}')
    return reductions[reduction]()
