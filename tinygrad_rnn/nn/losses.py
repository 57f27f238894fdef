"""Losses that are made of several ops, and `cross_entropy` with its options."""

from typing import Any

import numpy as np

from ..autograd import ops
from ..autograd.op import op
from ..autograd.ops.parts import class_numbers
from ..autograd.tensor import Array, Tensor
from ..errors import OpError
from .arguments import fraction


def mse_loss(input: Tensor, target: Any, reduction: str = "mean") -> Tensor:
    """Squared error, (input - target)², of equal shapes.

    Args:
        input: what was computed, of any shape.
        target: what it should be, of the same shape.
        reduction: "mean" over all elements, "sum", or "none", which keeps the shape.

    Raises:
        OpError: the shapes differ (they are not broadcast: that is nearly always a mistake), or
            another reduction.
    """
    input, target = _alike("mse_loss", input, target)
    return _reduced("mse_loss", (input - target) ** 2, reduction)


def cross_entropy(
    logits: Any,
    targets: Any,
    reduction: str = "mean",
    *,
    weight: Any = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy, in nats, of class scores: ℓ = -w_t ln softmax(x)_t.

    With label_smoothing ε a share of the target goes to all C classes alike:
    ℓ = -(1 - ε) w_t ln p_t - ε/C Σ_c w_c ln p_c. Exact however large the scores are.

    Args:
        logits: (…, C), the scores.
        targets: (…), integers in 0..C-1, or `ignore_index`.
        reduction: "sum"; "none", ℓ of each position, 0 of ignored ones; or "mean", the sum over
            Σ w_t, as torch's: without weights the number of positions that are not ignored. It is
            NaN when all are.
        weight: (C,), a factor w for each class; 1 when left out.
        ignore_index: positions with this target do not count, and nothing in their logits, NaN
            say, reaches a value or gradient; None when there are none (in torch it is -100).
        label_smoothing: ε, at least 0 and below 1.

    Raises:
        OpError: shapes that do not fit, a target that is not a class, or another reduction.

    Source: Szegedy et al., Rethinking the Inception Architecture (2016), sec. 7, for smoothing.
    """
    smoothing = fraction("cross_entropy", "label_smoothing", label_smoothing)
    if weight is None and ignore_index is None and smoothing == 0:
        return ops.cross_entropy(logits, targets, reduction)
    name = "cross_entropy"
    x = _scores(name, logits, weight)
    hot = target_classes(targets, x.shape, ignore_index)
    if ignore_index is not None:
        x = ops.where(hot.any(-1, keepdims=True), x, np.zeros((), x.dtype))
    return _likelihood(name, ops.log_softmax(x), hot, weight, reduction, smoothing)


def nll_loss(
    log_probabilities: Any,
    targets: Any,
    reduction: str = "mean",
    *,
    weight: Any = None,
    ignore_index: int | None = None,
) -> Tensor:
    """`cross_entropy` for log-probabilities in place of scores: ℓ = -w_t x_t.

    `log_probabilities` x is (…, C), as `ops.log_softmax` gives it. The other arguments and the
    errors are those of `cross_entropy`.
    """
    x = _scores("nll_loss", log_probabilities, weight)
    hot = target_classes(targets, x.shape, ignore_index)
    return _likelihood("nll_loss", x, hot, weight, reduction, 0.0)


def binary_cross_entropy_with_logits(
    logits: Any,
    targets: Any,
    reduction: str = "mean",
    *,
    weight: Any = None,
    pos_weight: Any = None,
) -> Tensor:
    """Cross-entropy, in nats, of yes-or-no scores: ℓ = -w (p t ln σ(x) + (1 - t) ln(1 - σ(x))).

    Computed as w (p t ln(1 + e^-x) + (1 - t) ln(1 + e^x)): exact in both tails.

    Args:
        logits: (…), the scores x of yes.
        targets: (…) of the same shape, t in [0, 1].
        reduction: "mean" over all elements, "sum" or "none".
        weight: w, a factor for each ℓ, of a shape that is broadcast; 1 when left out.
        pos_weight: p, a factor for the part of yes, of a shape that is broadcast; 1 when left out.

    Raises:
        OpError: the shapes differ (they are not broadcast), or another reduction.
    """
    name = "binary_cross_entropy_with_logits"
    x, t = _alike(name, logits, targets)
    t = t.astype(x.dtype)
    yes = t * ops.softplus(-x)
    if pos_weight is not None:
        yes = yes * pos_weight
    loss = yes + (1 - t) * ops.softplus(x)
    if weight is not None:
        loss = loss * weight
    if loss.shape != x.shape:
        raise OpError(f"{name}: the weights make {loss.shape} of logits of shape {x.shape}")
    return _reduced(name, loss, reduction)


@op(None)
def target_classes(targets: Array, shape: tuple[int, ...], ignore_index: int | None = None):
    """Where each target's class stands: (…, C) booleans, nowhere for ignored targets.

    Args:
        targets: (…), integers in 0..C-1, or ignore_index.
        shape: (…, C).
        ignore_index: the target of positions that do not count.
    """
    if targets.shape != shape[:-1]:
        raise ValueError(f"scores of shape {shape} need targets of shape {shape[:-1]}")
    counted = np.ones(targets.shape, bool)
    if ignore_index is not None:
        counted = targets != ignore_index
    numbers = class_numbers("target", np.where(counted, targets, targets.dtype.type(0)), shape[-1])
    return counted[..., None] & (numbers[..., None] == np.arange(shape[-1]))


def _likelihood(
    name: str, log_p: Tensor, hot: Tensor, weight: Any, reduction: str, smoothing: float
) -> Tensor:
    """-Σ of the targets' logarithms, weighted and reduced; `hot` is what `target_classes` gave."""
    dtype, classes = log_p.dtype, log_p.shape[-1]
    factors = hot.astype(dtype)
    if weight is not None:
        factors = factors * _tensor(weight).astype(dtype)
    # Not a product: the logarithm of a class that is no target may be -inf.
    loss = -(ops.where(hot, log_p, np.zeros((), dtype)) * factors).sum(-1)
    if smoothing:
        counted = hot.any(-1, keepdims=True).astype(dtype)
        every = counted if weight is None else counted * _tensor(weight).astype(dtype)
        loss = (1 - smoothing) * loss - smoothing / classes * (every * log_p).sum(-1)
    if reduction == "mean":
        return loss.sum() / factors.sum()
    return _reduced(name, loss, reduction)


def _scores(name: str, scores: Any, weight: Any) -> Tensor:
    x = _tensor(scores)
    if x.ndim == 0:
        raise OpError(f"{name}: scores are (…, C), got one number")
    if weight is not None and _tensor(weight).shape != x.shape[-1:]:
        raise OpError(
            f"{name}: weight must be one number a class, shape {x.shape[-1:]}, "
            f"got {_tensor(weight).shape}"
        )
    return x


def _tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else Tensor(value)


def _alike(name: str, input: Any, target: Any) -> tuple[Tensor, Tensor]:
    a, b = _tensor(input), _tensor(target)
    if a.shape != b.shape:
        raise OpError(f"{name}: input {a.shape} and target {b.shape} must have the same shape")
    return a, b


def _reduced(name: str, loss: Tensor, reduction: str) -> Tensor:
    reductions = {"mean": loss.mean, "sum": loss.sum, "none": lambda: loss}
    if reduction not in reductions:
        raise OpError(f'{name}: the reduction must be "mean", "sum" or "none", got {reduction!r}')
    return reductions[reduction]()
