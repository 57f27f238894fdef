"""Tensors made of nothing but a shape."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportFunctionMemberAccess=false

from typing import Any

import numpy as np

from ..op import op
from ..tensor import Array, Tensor

__all__ = ["ones_like", "zeros_like"]


def zeros(
    *shape: Any, dtype: Any = None, requires_grad: bool = False, name: str | None = None
) -> Tensor:
    """Make a leaf tensor of zeros; the shape is one tuple or several integers.

    Args:
        shape: (2, 3) or 2, 3.
        dtype: as NumPy's; float64 by default.
        requires_grad: whether `backward()` fills `.grad`.
        name: what diagrams and the debugger call it.

    >>> zeros(3, requires_grad=True)
    tensor([0., 0., 0.], requires_grad=True)
    """
    values = np.zeros(_shape("zeros", shape), dtype)
    return Tensor(values, requires_grad=requires_grad, name=name)


def ones(
    *shape: Any, dtype: Any = None, requires_grad: bool = False, name: str | None = None
) -> Tensor:
    """Make a leaf tensor of ones; arguments are those of `zeros`.

    >>> ones((1, 2), dtype=int)
    tensor([[1, 1]])
    """
    values = np.ones(_shape("ones", shape), dtype)
    return Tensor(values, requires_grad=requires_grad, name=name)


def randn(
    *shape: Any,
    dtype: Any = None,
    requires_grad: bool = False,
    name: str | None = None,
    rng: "np.random.Generator | int | None" = None,
) -> Tensor:
    """Make a leaf tensor of independent draws from the normal distribution, mean 0, variance 1.

    Args:
        shape: (2, 3) or 2, 3.
        dtype: of floats; float64 by default.
        requires_grad: whether `backward()` fills `.grad`.
        name: what diagrams and the debugger call it.
        rng: a Generator, which is advanced; a seed; or None, for other numbers every time.

    >>> randn(2, rng=0).shape
    (2,)
    """
    made = normal(_shape("randn", shape), dtype or np.float64, rng)
    made.requires_grad, made.name = requires_grad, name
    return made


@op()
def normal(shape: tuple[int, ...], dtype: Any, rng: Any) -> Array:
    """Draws from the normal distribution: an op, though it has no inputs, so that replays draw."""
    return np.random.default_rng(rng).standard_normal(shape).astype(dtype)


def _shape(name: str, given: Any) -> tuple[int, ...]:
    sizes = given[0] if len(given) == 1 and not isinstance(given[0], int | np.integer) else given
    if not isinstance(sizes, tuple | list) or not all(
        isinstance(n, int | np.integer) for n in sizes
    ):
        raise TypeError(
            f"{name}: the shape is a tuple or several integers, not {given}; the rest by name"
        )
    return tuple(sizes)


def zeros_like(x: Any, dtype: Any = None, *, requires_grad: bool = False) -> Tensor:
    """Zeros of the shape and dtype of x: y = 0; not differentiable."""
    return Tensor(np.zeros(np.shape(x), dtype or x.dtype), requires_grad=requires_grad)


def ones_like(x: Any, dtype: Any = None, *, requires_grad: bool = False) -> Tensor:
    """Ones of the shape and dtype of x: y = 1; not differentiable."""
    return Tensor(np.ones(np.shape(x), dtype or x.dtype), requires_grad=requires_grad)
