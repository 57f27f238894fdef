"""Gradients kept in bounds, against the explosions of recurrent networks."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..autograd.state import notify
from ..autograd.tensor import Array, Tensor
from ..errors import GradientError, OpError
from .arguments import real, switch

Gradients = Sequence[Array]
Settings = Mapping[str, Any]


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> float:
    """Scale all gradients together, g ← g · min(1, max_norm / (‖g‖ + 1e-6)).

    Args:
        parameters: those whose `grad` is bound to scaled values; parameters without a gradient do
            not count.
        max_norm: the greatest norm that stays as it is.
        norm_type: p of the p-norm over all gradients as one vector; `math.inf` for the largest
            element.
        error_if_nonfinite: raise when the norm is NaN or infinite, in place of making every
            gradient NaN or 0.

    Returns:
        ‖g‖ as it was.

    Raises:
        GradientError: a norm that is not finite, when asked to.
        OpError: a negative max_norm, a norm_type that is not positive, or a generator that has
            nothing left.

    Source: Pascanu, Mikolov, Bengio, On the difficulty of training recurrent neural networks
    (2013); the semantics are those of torch.nn.utils.clip_grad_norm_.
    """
    error_if_nonfinite = switch("clip_grad_norm_", "error_if_nonfinite", error_if_nonfinite)
    max_norm = real("clip_grad_norm_", "max_norm", max_norm)
    norm_type = real("clip_grad_norm_", "norm_type", norm_type)
    if not (max_norm >= 0 and norm_type > 0):
        raise OpError(
            f"clip_grad_norm_: needs max_norm ≥ 0 and norm_type > 0, got {max_norm} and {norm_type}"
        )
    found = _with_gradient(parameters)
    gradients = [gradient for _, gradient in found]
    total = _total_norm(gradients, norm_type)
    if error_if_nonfinite and not math.isfinite(total):
        raise GradientError(
            f"clip_grad_norm_: the gradients' norm is {total}; "
            "tg.detect_anomaly() finds the op that made it so"
        )
    _bind(found, "norm", {"max_norm": max_norm, "norm_type": norm_type})
    return total


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Limit each element of every gradient to [-clip_value, clip_value].

    Raises:
        OpError: a negative clip_value, or a generator that has nothing left.
    """
    clip_value = real("clip_grad_value_", "clip_value", clip_value)
    if not clip_value >= 0:
        raise OpError(f"clip_grad_value_: clip_value must not be negative, got {clip_value}")
    _bind(_with_gradient(parameters), "value", {"clip_value": clip_value})


def _within_norm(gradients: Gradients, settings: Settings) -> Gradients:
    scale = settings["max_norm"] / (_total_norm(gradients, settings["norm_type"]) + 1e-6)
    if scale >= 1:  # so that a NaN is passed on
        return gradients
    return [gradient * gradient.dtype.type(scale) for gradient in gradients]


def _within_values(gradients: Gradients, settings: Settings) -> Gradients:
    bound = settings["clip_value"]
    return [np.clip(gradient, -bound, bound) for gradient in gradients]


RULES: dict[str, Callable[[Gradients, Settings], Gradients]] = {
    "norm": _within_norm,
    "value": _within_values,
}


def _bind(found: Sequence[tuple[Tensor, Array]], rule: str, settings: Settings) -> None:
    """Bind the gradients to what a rule makes of them."""
    notify("clip", [p for p, _ in found], rule, settings)
    gradients = [gradient for _, gradient in found]
    for (p, before), gradient in zip(found, RULES[rule](gradients, settings), strict=True):
        if gradient is not before:
            p.grad = gradient


def _with_gradient(parameters: Tensor | Iterable[Tensor]) -> list[tuple[Tensor, Array]]:
    given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    if not given and isinstance(parameters, Iterator):
        raise OpError(
            "clip_grad: the generator of parameters is used up: "
            "call parameters() anew, or keep list(model.parameters())"
        )
    return [(p, p.grad.data) for p in given if p.grad is not None]


def _total_norm(gradients: Gradients, p: float) -> float:
    """The norm of all gradients as one vector."""
    norms = [_norm(gradient, p) for gradient in gradients]
    return _norm(np.array(norms), p) if norms else 0.0


def _norm(values: Array, p: float) -> float:
    return float(np.linalg.norm(np.ravel(values), p))
