"""Probabilities from scores, and what they cost."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportFunctionMemberAccess=false

import weakref
from typing import Any

import numpy as np

from ..methods import Array, Axis
from ..op import op
from ..tensor import Tensor
from .parts import class_numbers
from .reductions import restored

__all__ = ["cross_entropy", "log_softmax", "logsumexp", "softmax"]


def _from_top(x: Any, axis: Axis = -1) -> Any:
    """Scores with their largest moved to 0: probabilities stay, and none of e^x overflows."""
    return x - x.max(axis=axis, keepdims=True)


@op(
    lambda g, y, x, axis: y * (g - np.sum(g * y, axis=axis, keepdims=True)),
    kind="along",
    quiet=True,
)
def softmax(x: Array, axis: int = -1) -> Array:
    """Probabilities from scores: y = e^x / Σ e^x along an axis; x̄ = y (ȳ - Σ ȳ y)."""
    e = np.exp(_from_top(x, axis))
    return e / e.sum(axis=axis, keepdims=True)


@op(
    lambda g, y, x, axis: g - np.exp(y) * np.sum(g, axis=axis, keepdims=True),
    kind="along",
    quiet=True,
)
def log_softmax(x: Array, axis: int = -1) -> Array:
    """Logarithm of `softmax`: y = x - ln Σ e^x along an axis; x̄ = ȳ - e^y Σ ȳ."""
    z = _from_top(x, axis)
    return z - np.log(np.exp(z).sum(axis=axis, keepdims=True))


def _finite(x: Any) -> Any:
    """Infinities made the largest finite numbers, so that their differences are no NaN."""
    largest = float(np.finfo(np.result_type(x.dtype, np.float16)).max)
    return np.clip(x, -largest, largest)


def _logsumexp_x(g: Any, y: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    y = restored(y, x, axis, keepdims)
    return restored(g, x, axis, keepdims) * np.exp(x - _finite(y))


@op(_logsumexp_x, quiet=True, kind="reduction")
def logsumexp(x: Array, axis: Axis = -1, keepdims: bool = False) -> Array:
    """Logarithm of a sum of exponentials: y = ln Σ e^x over axes; x̄ = ȳ e^(x - y)."""
    top = _finite(x.max(axis=axis, keepdims=True))
    y = np.log(np.exp(x - top).sum(axis=axis, keepdims=True)) + top
    if keepdims or x.ndim == 0:
        return y
    return np.squeeze(y, axis=tuple(range(x.ndim)) if axis is None else axis)


# What the forward pass of `cross_entropy` leaves for its backward pass, by the scores' id: these,
# weakly, since what is kept goes when they do, and the targets; then e^(x - max x), its sums, and
# which element of all is each row's target.
_KEPT: dict[int, tuple[weakref.ref[Array], Array, Array, Array, Array]] = {}


def _exponentials(x: Array, targets: Array) -> tuple[Array, Array, Array, Array]:
    """e^(x - max x), its sums, the places of the targets, and x - max x there."""
    # In rows, however x lies, so that all elements in a row are a view.
    z = np.subtract(x, np.maximum.reduce(x, -1, keepdims=True), order="C")
    places = targets.reshape(-1).astype(np.intp)  # of the first row; the others lie behind it
    if len(places) > 1:
        places += np.arange(0, x.size, x.shape[-1])
    chosen = z.reshape(-1)[places]
    e = np.exp(z, out=z) if z.dtype.kind == "f" else np.exp(z)
    return e, np.add.reduce(e, -1, keepdims=True), places, chosen


def _kept(x: Array, targets: Array) -> tuple[Array, Array, Array]:
    """The first three of these, which nobody else has."""
    scores, of, *kept = _KEPT.pop(id(x), (None, None))
    if scores is None or scores() is not x or of is not targets:
        return _exponentials(x, np.asarray(targets))[:3]
    e, total, places = kept
    return e, total, places


def _cross_entropy_x(g: Any, y: Any, x: Any, targets: Any, reduction: str) -> Any:
    share = g[..., None] if reduction == "none" else g
    if reduction == "mean":
        share = share / (x.size / x.shape[-1])
    if isinstance(x, Tensor) or isinstance(g, Tensor):
        one_hot = np.expand_dims(targets, -1) == np.arange(x.shape[-1])
        e = np.exp(_from_top(x))
        return share * (e / e.sum(axis=-1, keepdims=True) - one_hot)
    e, total, places = _kept(x, targets)
    e *= share / total
    e.reshape(-1)[places] -= share.reshape(-1) if reduction == "none" else share
    return e


@op(_cross_entropy_x, None, quiet=True)
def cross_entropy(logits: Array, targets: Array, reduction: str = "mean") -> Array:
    """Cross-entropy, in nats: y = ln Σ e^x - x[target]; x̄ = ȳ (softmax x - one-hot target).

    Args:
        logits: (…, C), the scores of C classes.
        targets: (…), integers in 0..C-1.
        reduction: "mean" or "sum" over all positions, or "none": one value a position, shape (…).
    """
    shape = logits.shape[:-1]
    targets = class_numbers("target", targets, logits.shape[-1])
    if shape != targets.shape:
        raise ValueError(f"logits of shape {logits.shape} need targets of shape {shape}")
    if reduction not in ("mean", "sum", "none"):
        raise ValueError('the reduction must be "mean", "sum" or "none"')
    e, total, places, chosen = _exponentials(logits, targets)
    at = id(logits)
    scores = weakref.ref(logits, lambda _: _KEPT.pop(at, None))
    _KEPT[at] = scores, targets, e, total, places
    y: Any = np.log(total.reshape(-1)) - chosen
    if reduction == "none":
        return y.reshape(shape)
    if reduction == "mean" and y.dtype == np.float16:  # whose sums overflow at 65,504
        return np.mean(y)
    sum = np.add.reduce(y)
    return sum / y.size if reduction == "mean" else sum
