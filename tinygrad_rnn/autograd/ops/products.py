"""Products of matrices."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportFunctionMemberAccess=false

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..op import op
from ..tensor import Array

__all__ = ["linear", "matmul"]


# A matrix that a whole stack is multiplied by gets its gradient as one product: the sum over the
# stack is part of it, and no product for each member is kept.


def _rows(x: Any) -> Any:
    """The rows of a stack of matrices, below each other."""
    if x.ndim == 2:
        return x
    return x.reshape(int(np.prod(x.shape[:-1])), x.shape[-1])


def _columns(x: Any) -> Any:
    """The columns of a stack of matrices, side by side."""
    *stack, n, m = x.shape
    turned = x.transpose(x.ndim - 2, *range(x.ndim - 2), x.ndim - 1)
    return turned.reshape(n, int(np.prod(stack)) * m)


def _matmul_a(g: Any, y: Any, a: Any, b: Any) -> Any:
    if b.ndim == 1:
        return g[..., None] * b
    if a.ndim == 1:
        return (b @ g[..., None])[..., 0]
    if a.ndim == 2 < b.ndim:
        return _columns(g) @ _columns(b).T
    return g @ b.mT


def _matmul_b(g: Any, y: Any, a: Any, b: Any) -> Any:
    if a.ndim == 1 and b.ndim == 1:
        return g * a
    if a.ndim == 1:
        return a[:, None] * g[..., None, :]
    if b.ndim == 1:
        return (a.mT @ g[..., None])[..., 0]
    if b.ndim == 2 < a.ndim:
        return _rows(a).T @ _rows(g)
    return a.mT @ g


@op(_matmul_a, _matmul_b, numpy=np.matmul, kind="product", sign="×")
def matmul(a: Array, b: Array):
    """Matrix product, NumPy's rules for vectors and stacks: Y = A B; Ā = Ȳ Bᵀ, B̄ = Aᵀ Ȳ."""


def _linear_W(gs: Sequence[Any], inputs: Sequence[Any], options: Any) -> Any:
    """The sum over t of Ȳ_tᵀ X_t as one product: the rows of all t below each other."""
    return np.concatenate([_rows(g) for g in gs]).T @ np.concatenate([_rows(x) for x, _ in inputs])


def _times(x: Any, W: Any) -> Any:
    """x W for a matrix W, as `@`; NumPy's `dot` has less overhead where there are few axes."""
    return x.dot(W) if type(x) is np.ndarray and 0 < x.ndim < 3 else x @ W


@op(
    lambda g, y, x, W: _times(g, W),
    lambda g, y, x, W: _rows(g).T @ _rows(x),
    together={1: _linear_W},
    kind="product",
    sign="×",
)
def linear(x: Array, W: Array) -> Array:
    """Linear map of the last axis: y = x Wᵀ, x (…, I), W (O, I), y (…, O); x̄ = ȳ W, W̄ = Σ ȳᵀ x."""
    if W.ndim != 2:
        raise ValueError(f"W must be a matrix (outputs, inputs), got shape {W.shape}")
    return _times(x, W.T)
