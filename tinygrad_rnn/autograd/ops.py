"""Every op with its VJP: the page to read.

In the formulas `x a b` are inputs, `y` is the output and `g` its cotangent ∂L/∂y, written ȳ in the docstrings; x̄ is
what the formula returns. Broadcasting is undone elsewhere (`backward.py`), once for all.

>>> from tinygrad_rnn import ops, tensor
>>> ops.tanh(tensor(0.0, requires_grad=True))
tensor(0., op=tanh)
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import OpError
from .op import NUMPY, op
from .tensor import Array, Axis, Tensor

_quiet = np.errstate(all="ignore")  # log 0 is -inf, without a warning: `detect_anomaly` is there to ask

# Arithmetic


@op(lambda g, y, a, b: g, lambda g, y, a, b: g, numpy=np.add)
def add(a: Array, b: Array) -> Array:
    """Sum: y = a + b; ā = ȳ, b̄ = ȳ."""
    return a + b


@op(lambda g, y, a, b: g, lambda g, y, a, b: -g, numpy=np.subtract)
def sub(a: Array, b: Array) -> Array:
    """Difference: y = a - b; ā = ȳ, b̄ = -ȳ."""
    return a - b


@op(lambda g, y, a, b: g * b, lambda g, y, a, b: g * a, numpy=np.multiply)
def mul(a: Array, b: Array) -> Array:
    """Product, elementwise: y = a b; ā = ȳ b, b̄ = ȳ a."""
    return a * b


@op(lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b, numpy=np.divide)
@_quiet
def div(a: Array, b: Array) -> Array:
    """Quotient, elementwise: y = a / b; ā = ȳ / b, b̄ = -ȳ y / b."""
    return a / b


def _less_one(b: Any) -> Any:
    """b - 1, but 1 where b is 0: there the factor b makes the gradient 0, and a^-1 must not make it NaN."""
    return np.where(b == 0, 1, b - 1) if isinstance(b, np.ndarray | Tensor) else b - 1 if b else 1


@op(
    lambda g, y, a, b: g * b * a ** _less_one(b),
    lambda g, y, a, b: g * np.where((a == 0) * (b >= 0), 0, y * np.log(np.where(a == 0, 1, a))),
    numpy=np.power,
)
@_quiet
def pow(a: Array, b: Array) -> Array:
    """Power, elementwise: y = a^b; ā = ȳ b a^(b-1), b̄ = ȳ y ln a (0 where a = 0 ≤ b, as in torch)."""
    return a**b


@op(lambda g, y, x: -g, numpy=np.negative)
def neg(x: Array) -> Array:
    """Negative: y = -x; x̄ = -ȳ."""
    return -x


# Products of matrices


def _matmul_a(g: Any, y: Any, a: Any, b: Any) -> Any:
    if b.ndim == 1:
        return g[..., None] * b
    if a.ndim == 1:
        return (b @ g[..., None])[..., 0]
    return g @ np.swapaxes(b, -1, -2)


def _matmul_b(g: Any, y: Any, a: Any, b: Any) -> Any:
    if a.ndim == 1:
        return g * a if b.ndim == 1 else a[:, None] * g[..., None, :]
    if b.ndim == 1:
        return (np.swapaxes(a, -1, -2) @ g[..., None])[..., 0]
    return np.swapaxes(a, -1, -2) @ g


@op(_matmul_a, _matmul_b, numpy=np.matmul)
def matmul(a: Array, b: Array) -> Array:
    """Matrix product, NumPy's rules for vectors and stacks: Y = A B; Ā = Ȳ Bᵀ, B̄ = Aᵀ Ȳ."""
    return np.matmul(a, b)


def _rows(x: Any) -> Any:
    return x.reshape(-1, x.shape[-1])


def _linear_W(gs: Sequence[Any], inputs: Sequence[Any], options: Any) -> Any:
    """The sum over t of Ȳ_tᵀ X_t as one product: the rows of all t below each other."""
    return np.concatenate([_rows(g) for g in gs]).T @ np.concatenate([_rows(x) for x, _ in inputs])


@op(lambda g, y, x, W: g @ W, lambda g, y, x, W: _rows(g).T @ _rows(x), together={1: _linear_W})
def linear(x: Array, W: Array) -> Array:
    """Linear map of the last axis: y = x Wᵀ, x (…, I), W (O, I), y (…, O); x̄ = ȳ W, W̄ = Σ ȳᵀ x."""
    if W.ndim != 2:
        raise ValueError(f"W must be a matrix (outputs, inputs), got shape {W.shape}")
    return np.matmul(x, W.T)


# Functions of one number


@op(lambda g, y, x: g * (1 - y * y), numpy=np.tanh)
def tanh(x: Array) -> Array:
    """Hyperbolic tangent: y = tanh x; x̄ = ȳ (1 - y²)."""
    return np.tanh(x)


@op(lambda g, y, x: g * (y * (1 - y)))
def sigmoid(x: Array) -> Array:
    """Logistic function: y = 1 / (1 + e^-x), computed as (1 + tanh(x/2)) / 2; x̄ = ȳ y (1 - y)."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


@op(lambda g, y, x: g * (x > 0))
def relu(x: Array) -> Array:
    """Rectifier: y = max(x, 0); x̄ = ȳ where x > 0, else 0."""
    return np.maximum(x, 0)


@op(lambda g, y, x: g * y, numpy=np.exp)
@_quiet
def exp(x: Array) -> Array:
    """Exponential: y = e^x; x̄ = ȳ y."""
    return np.exp(x)


@op(lambda g, y, x: g / x, numpy=np.log)
@_quiet
def log(x: Array) -> Array:
    """Natural logarithm: y = ln x; x̄ = ȳ / x."""
    return np.log(x)


@op(lambda g, y, x: g / (2 * y), numpy=np.sqrt)
@_quiet
def sqrt(x: Array) -> Array:
    """Square root: y = √x; x̄ = ȳ / (2 y)."""
    return np.sqrt(x)


@op(lambda g, y, x: g * ((x > 0) * 1.0 - (x < 0)), numpy=(np.abs, np.fabs))
def abs(x: Array) -> Array:
    """Absolute value: y = |x|; x̄ = ȳ sign x, 0 at 0."""
    return np.abs(x)


@op(lambda g, y, x: g * np.cos(x), numpy=np.sin)
def sin(x: Array) -> Array:
    """Sine, of radians: y = sin x; x̄ = ȳ cos x."""
    return np.sin(x)


@op(lambda g, y, x: -g * np.sin(x), numpy=np.cos)
def cos(x: Array) -> Array:
    """Cosine, of radians: y = cos x; x̄ = -ȳ sin x."""
    return np.cos(x)


# Choices


@op(
    lambda g, y, a, b: g * ((a > b) + 0.5 * (a == b)),
    lambda g, y, a, b: g * ((a < b) + 0.5 * (a == b)),
    numpy=np.maximum,
)
def maximum(a: Array, b: Array) -> Array:
    """The larger, elementwise: y = max(a, b); ȳ goes to the larger, half to each where they are equal."""
    return np.maximum(a, b)


@op(
    lambda g, y, a, b: g * ((a < b) + 0.5 * (a == b)),
    lambda g, y, a, b: g * ((a > b) + 0.5 * (a == b)),
    numpy=np.minimum,
)
def minimum(a: Array, b: Array) -> Array:
    """The smaller, elementwise: y = min(a, b); ȳ goes to the smaller, half to each where they are equal."""
    return np.minimum(a, b)


@op(
    None,
    lambda g, y, condition, a, b: np.where(condition, g, 0),
    lambda g, y, condition, a, b: np.where(condition, 0, g),
    numpy=np.where,
)
def where(condition: Array, a: Array, b: Array) -> Array:
    """Choice, elementwise: y = a where the condition holds, else b; each gets ȳ where it was chosen."""
    return np.where(condition, a, b)


@op(lambda g, y, x, min, max: g * _inside(x, min, max), numpy=np.clip)
def clip(x: Array, min: Any = None, max: Any = None) -> Array:
    """Limit to [min, max]: y = min(max(x, min), max); x̄ = ȳ inside and at the bounds, 0 outside."""
    return np.clip(x, min, max)


def _inside(x: Any, min: Any, max: Any) -> Any:
    low = np.greater_equal(x, -np.inf if min is None else min)
    return low * np.less_equal(x, np.inf if max is None else max)


# Reductions


def _restore(g: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    """A reduced array with its lost axes back, as length 1."""
    if keepdims or axis is None:
        return g if keepdims else g.reshape((1,) * x.ndim)
    axes = {a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,))}
    return g.reshape(tuple(1 if i in axes else n for i, n in enumerate(x.shape)))


@op(
    lambda g, y, x, axis, keepdims: np.broadcast_to(_restore(g, x, axis, keepdims), x.shape),
    numpy=np.sum,
)
def sum(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Sum over axes: y = Σ x; x̄ = ȳ, the same for every term."""
    return np.sum(x, axis=axis, keepdims=keepdims)


@op(
    lambda g, y, x, axis, keepdims: np.broadcast_to(
        _restore(g, x, axis, keepdims) * (y.size / x.size if x.size else 1), x.shape
    ),
    numpy=np.mean,
)
def mean(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Mean over axes of n values: y = Σ x / n; x̄ = ȳ / n."""
    return np.mean(x, axis=axis, keepdims=keepdims)


def _extremum(g: Any, y: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    chosen = x == _restore(y, x, axis, keepdims)
    return _restore(g, x, axis, keepdims) * chosen / np.sum(chosen, axis=axis, keepdims=True)


@op(_extremum, numpy=(np.max, np.amax))
def max(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Largest over axes: y = max x; ȳ goes to the largest, in equal parts where several are."""
    return np.max(x, axis=axis, keepdims=keepdims)


@op(_extremum, numpy=(np.min, np.amin))
def min(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Smallest over axes: y = min x; ȳ goes to the smallest, in equal parts where several are."""
    return np.min(x, axis=axis, keepdims=keepdims)


# Shapes


@op(lambda g, y, x, shape: g.reshape(x.shape), numpy=np.reshape)
def reshape(x: Array, shape: int | tuple[int, ...]) -> Array:
    """The same values in another shape; x̄ = ȳ in the old one."""
    return np.reshape(x, shape)


@op(
    lambda g, y, x, axes: np.transpose(g, None if axes is None else _inverse(axes, x.ndim)),
    numpy=np.transpose,
)
def transpose(x: Array, axes: tuple[int, ...] | None = None) -> Array:
    """Axes in another order (reversed by default); x̄ = ȳ with the order undone."""
    return np.transpose(x, axes)


def _inverse(axes: Sequence[int], ndim: int) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argsort([a % ndim for a in axes]))


@op(lambda g, y, x, axis1, axis2: np.swapaxes(g, axis1, axis2), numpy=np.swapaxes)
def swapaxes(x: Array, axis1: int, axis2: int) -> Array:
    """Two axes exchanged; x̄ = ȳ with the same two exchanged."""
    return np.swapaxes(x, axis1, axis2)


@op(lambda g, y, x, shape: g, numpy=np.broadcast_to)
def broadcast_to(x: Array, shape: int | tuple[int, ...]) -> Array:
    """The values repeated to a larger shape; x̄ = ȳ summed over the copies."""
    return np.broadcast_to(x, shape)


@op(lambda g, y, x, axis: g.reshape(x.shape), numpy=np.squeeze)
def squeeze(x: Array, axis: Axis = None) -> Array:
    """Axes of length 1 removed; x̄ = ȳ in the old shape."""
    return np.squeeze(x, axis)


@op(lambda g, y, x, axis: g.reshape(x.shape), numpy=np.expand_dims)
def expand_dims(x: Array, axis: int | tuple[int, ...]) -> Array:
    """New axes of length 1; x̄ = ȳ in the old shape."""
    return np.expand_dims(x, axis)


@op(lambda g, y, x, dtype: g.astype(x.dtype))
def astype(x: Array, dtype: Any) -> Array:
    """The values as another dtype; x̄ = ȳ in the old one."""
    return x.astype(dtype)


@op(None)
def detach(x: Array) -> Array:
    """The same values, through which no gradient flows back."""
    return x


# Parts and wholes


@op(lambda g, y, i, *parts, indices, shape: g[indices[i]], variadic=True)
def scatter(parts: Sequence[Array], indices: Sequence[Any], shape: tuple[int, ...]) -> Array:
    """Zeros, and part i added at index i: the adjoint of indexing; x̄ᵢ = ȳ[index i]."""
    y = np.zeros(shape, dtype=np.result_type(*parts))
    for part, index in zip(parts, indices, strict=True):
        if _is_basic(index):
            y[index] += part
        else:
            np.add.at(y, index, part)
    return y


def _is_basic(index: Any) -> bool:
    """Whether an index of integers and slices alone, which cannot name an element twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(p is None or p is Ellipsis or isinstance(p, int | np.integer | slice) for p in parts)


def _scattered(gs: Sequence[Any], indices: Sequence[Any], shape: tuple[int, ...]) -> Any:
    if isinstance(gs[0], Tensor):
        return scatter(gs, tuple(indices), shape)
    return scatter.op.forward(*gs, indices=indices, shape=shape)


@op(
    lambda g, y, x, index: _scattered([g], [index], x.shape),
    together={
        0: lambda gs, inputs, options: _scattered(gs, [o["index"] for o in options], inputs[0][0].shape)
    },
)
def getitem(x: Array, index: Any) -> Array:
    """Part of an array, by NumPy's indexing: y = x[index]; x̄ = zeros, with ȳ added at the index."""
    return x[index]


@op(
    lambda g, y, weight, index: _scattered([g], [np.asarray(index)], weight.shape),
    None,
    together={
        0: lambda gs, inputs, _: _scattered(
            gs, [np.asarray(index) for _, index in inputs], inputs[0][0].shape
        )
    },
)
def embedding(weight: Array, index: Array) -> Array:
    """Rows of a table: y = weight[index], weight (N, D), index (…) of integers, y (…, D); W̄ = ȳ added to its rows."""
    index = np.asarray(index)
    if index.dtype.kind not in "iu":
        raise TypeError(f"the index must be integers, got dtype {index.dtype}")
    _check_range("index", index, len(weight))
    return weight[index]


def _check_range(what: str, values: Array, limit: int) -> None:
    if values.size and not (values.min() >= 0 and values.max() < limit):
        raise IndexError(f"every {what} must be in 0..{limit - 1}, got {values.min()}..{values.max()}")


@op(lambda g, y, i, *xs, axis: g[_span(xs, i, axis)], variadic=True, numpy=np.concatenate)
def concatenate(xs: Sequence[Array], axis: int = 0) -> Array:
    """Arrays joined along an axis; x̄ᵢ = the part of ȳ where xᵢ went."""
    return np.concatenate(xs, axis=axis)


def _span(xs: Sequence[Any], i: int, axis: int) -> Any:
    ends = np.cumsum([x.shape[axis] for x in xs])
    return (slice(None),) * (axis % xs[0].ndim) + (slice(int(ends[i]) - xs[i].shape[axis], int(ends[i])),)


@op(lambda g, y, i, *xs, axis: g[(slice(None),) * (axis % g.ndim) + (i,)], variadic=True, numpy=np.stack)
def stack(xs: Sequence[Array], axis: int = 0) -> Array:
    """Arrays of one shape laid side by side along a new axis; x̄ᵢ = slice i of ȳ."""
    return np.stack(xs, axis=axis)


def unstack(x: Tensor, axis: int = 0) -> list[Tensor]:
    """The slices along an axis, that axis gone: the inverse of `stack`."""
    before = (slice(None),) * (axis % x.ndim)
    return [getitem(x, (*before, i)) for i in range(x.shape[axis])]


def split(x: Tensor, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """The parts along an axis, as `np.split`: so many equal ones, or cut at these indices."""
    length = x.shape[axis]
    try:
        parts = np.split(np.arange(length), indices_or_sections)
    except ValueError as reason:
        raise OpError(f"split: axis {axis} of shape {x.shape}: {reason}") from None
    before = (slice(None),) * (axis % x.ndim)
    ends = np.cumsum([len(part) for part in parts])
    return [
        getitem(x, (*before, slice(int(e) - len(part), int(e)))) for part, e in zip(parts, ends, strict=True)
    ]


NUMPY[np.split] = split
NUMPY[np.unstack] = unstack


# Probabilities


@op(lambda g, y, x, axis: y * (g - np.sum(g * y, axis=axis, keepdims=True)))
@_quiet
def softmax(x: Array, axis: int = -1) -> Array:
    """Probabilities from scores: y = e^x / Σ e^x along an axis; x̄ = y (ȳ - Σ ȳ y)."""
    return np.exp(x - _log_normaliser(x, axis))


@op(lambda g, y, x, axis: g - np.exp(y) * np.sum(g, axis=axis, keepdims=True))
@_quiet
def log_softmax(x: Array, axis: int = -1) -> Array:
    """Logarithm of `softmax`: y = x - ln Σ e^x along an axis; x̄ = ȳ - e^y Σ ȳ."""
    return x - _log_normaliser(x, axis)


@op(
    lambda g, y, x, axis, keepdims: (
        _restore(g, x, axis, keepdims) * np.exp(x - _restore(y, x, axis, keepdims))
    )
)
@_quiet
def logsumexp(x: Array, axis: Axis = -1, keepdims: bool = False) -> Array:
    """Logarithm of a sum of exponentials: y = ln Σ e^x over axes; x̄ = ȳ e^(x - y)."""
    y = _log_normaliser(x, axis)
    return y if keepdims else np.squeeze(y, axis=tuple(range(x.ndim)) if axis is None else axis)


def _log_normaliser(x: Any, axis: Axis = -1) -> Any:
    """ln Σ e^x without overflow, the axis kept."""
    top = np.max(x, axis=axis, keepdims=True)
    return np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top


def _cross_entropy_x(g: Any, y: Any, x: Any, targets: Any, reduction: str) -> Any:
    one_hot = np.asarray(targets)[..., None] == np.arange(x.shape[-1])
    share = g[..., None] if reduction == "none" else g / (x.size / x.shape[-1]) if reduction == "mean" else g
    return share * (np.exp(x - _log_normaliser(x)) - one_hot)


@op(_cross_entropy_x, None)
@_quiet
def cross_entropy(logits: Array, targets: Array, reduction: str = "mean") -> Array:
    """Cross-entropy of class scores, in nats: y = ln Σ e^x - x[target]; x̄ = ȳ (softmax x - one-hot target).

    Args:
        logits: (…, C), the scores of C classes.
        targets: (…), integers in 0..C-1.
        reduction: "mean" or "sum" over all positions, or "none": one value a position, shape (…).
    """
    targets = np.asarray(targets)
    if reduction not in ("mean", "sum", "none"):
        raise ValueError('the reduction must be "mean", "sum" or "none"')
    if targets.dtype.kind not in "iu":
        raise TypeError(f"targets must be integers (class numbers), got dtype {targets.dtype}")
    if logits.shape[:-1] != targets.shape:
        raise ValueError(f"logits of shape (…, C) need targets of shape {logits.shape[:-1]}")
    _check_range("target", targets, logits.shape[-1])
    chosen = np.take_along_axis(logits, targets[..., None], axis=-1)
    y = (_log_normaliser(logits) - chosen)[..., 0]
    return y if reduction == "none" else np.mean(y) if reduction == "mean" else np.sum(y)


# Comparisons: no gradient


@op(None, None, numpy=np.equal)
def equal(a: Array, b: Array) -> Array:
    """y = (a == b), elementwise; not differentiable."""
    return np.equal(a, b)


@op(None, None, numpy=np.not_equal)
def not_equal(a: Array, b: Array) -> Array:
    """y = (a != b), elementwise; not differentiable."""
    return np.not_equal(a, b)


@op(None, None, numpy=np.less)
def less(a: Array, b: Array) -> Array:
    """y = (a < b), elementwise; not differentiable."""
    return np.less(a, b)


@op(None, None, numpy=np.less_equal)
def less_equal(a: Array, b: Array) -> Array:
    """y = (a <= b), elementwise; not differentiable."""
    return np.less_equal(a, b)


@op(None, None, numpy=np.greater)
def greater(a: Array, b: Array) -> Array:
    """y = (a > b), elementwise; not differentiable."""
    return np.greater(a, b)


@op(None, None, numpy=np.greater_equal)
def greater_equal(a: Array, b: Array) -> Array:
    """y = (a >= b), elementwise; not differentiable."""
    return np.greater_equal(a, b)


# What Tensor's operators and methods mean

_METHODS = {
    "__neg__": neg, "__abs__": abs, "__add__": add, "__sub__": sub, "__mul__": mul, "__truediv__": div,
    "__pow__": pow, "__matmul__": matmul, "__eq__": equal, "__ne__": not_equal, "__lt__": less,
    "__le__": less_equal, "__gt__": greater, "__ge__": greater_equal, "__getitem__": getitem, "sum": sum,
    "mean": mean, "max": max, "min": min, "swapaxes": swapaxes, "squeeze": squeeze, "clip": clip,
    "astype": astype, "detach": detach,
}  # fmt: skip


def _reflected(function: Callable[..., Tensor]) -> Callable[[Tensor, Any], Tensor]:
    return lambda self, other: function(other, self)


for _name, _function in _METHODS.items():
    setattr(Tensor, _name, _function)
for _name in ("add", "sub", "mul", "truediv", "pow", "matmul"):
    setattr(Tensor, f"__r{_name}__", _reflected(_METHODS[f"__{_name}__"]))


# NumPy's own functions, applied to Tensors

_QUERIES = (np.shape, np.ndim, np.size, np.isnan, np.isinf, np.isfinite, np.allclose, np.array_equal)


def _on_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: function(*(a.data if isinstance(a, Tensor) else a for a in args), **kwargs)


NUMPY.update({query: _on_arrays(query) for query in _QUERIES})


def from_numpy(function: Callable[..., Any]) -> Callable[..., Any]:
    """Our op for a NumPy function; TypeError where there is none."""
    try:
        return NUMPY[function]
    except (KeyError, TypeError):
        name = getattr(function, "__name__", str(function))
        raise TypeError(
            f"np.{name} is not an op of tinygrad_rnn: call it on t.numpy() if no gradient is needed, "
            "or write it with tg.ops"
        ) from None
