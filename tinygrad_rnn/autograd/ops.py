"""Every op with its VJP: the page to read.

In the formulas `x a b` are inputs, `y` is the output and `g` its cotangent ∂L/∂y, written ȳ in the
docstrings; x̄ is what the formula returns. Broadcasting is undone elsewhere (`op.py`), once for all.

>>> from tinygrad_rnn import ops, tensor
>>> ops.tanh(tensor(0.0, requires_grad=True))
tensor(0., op=tanh)
"""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportFunctionMemberAccess=false, reportAttributeAccessIssue=false
# A formula serves ndarrays and Tensors alike, so its letters have no one type.

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import OpError, describe
from .op import NUMPY, op
from .tensor import Array, Axis, Tensor

# Arithmetic


@op(lambda g, y, a, b: g, lambda g, y, a, b: g, numpy=np.add, sign="+")
def add(a: Array, b: Array):
    """Sum: y = a + b; ā = ȳ, b̄ = ȳ."""


@op(lambda g, y, a, b: g, lambda g, y, a, b: -g, numpy=np.subtract, sign="−")
def sub(a: Array, b: Array):
    """Difference: y = a - b; ā = ȳ, b̄ = -ȳ."""


@op(lambda g, y, a, b: g * b, lambda g, y, a, b: g * a, numpy=np.multiply, sign="×")
def mul(a: Array, b: Array):
    """Product, elementwise: y = a b; ā = ȳ b, b̄ = ȳ a."""


@op(lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b, numpy=np.divide, quiet=True, sign="÷")
def div(a: Array, b: Array):
    """Quotient, elementwise: y = a / b; ā = ȳ / b, b̄ = -ȳ y / b."""


@op(
    lambda g, y, a, b: g * b * a ** (b + 0 - (b != 0)),  # + 0: booleans cannot be subtracted
    lambda g, y, a, b: g * y * np.log(np.where((a == 0) * (b >= 0), 1, a)),
    numpy=np.power,
    quiet=True,
)
def pow(a: Array, b: Array):
    """Power: y = a^b; ā = ȳ b a^(b-1), 0 where b = 0; b̄ = ȳ y ln a, 0 where a = 0 ≤ b."""


@op(lambda g, y, x: -g, numpy=np.negative, sign="−")
def neg(x: Array):
    """Negative: y = -x; x̄ = -ȳ."""


# Products of matrices


def _matmul_a(g: Any, y: Any, a: Any, b: Any) -> Any:
    if b.ndim == 1:
        return g[..., None] * b
    if a.ndim == 1:
        return (b @ g[..., None])[..., 0]
    return g @ b.mT


def _matmul_b(g: Any, y: Any, a: Any, b: Any) -> Any:
    if a.ndim == 1 and b.ndim == 1:
        return g * a
    if a.ndim == 1:
        return a[:, None] * g[..., None, :]
    if b.ndim == 1:
        return (a.mT @ g[..., None])[..., 0]
    return a.mT @ g


@op(_matmul_a, _matmul_b, numpy=np.matmul, kind="product", sign="×")
def matmul(a: Array, b: Array):
    """Matrix product, NumPy's rules for vectors and stacks: Y = A B; Ā = Ȳ Bᵀ, B̄ = Aᵀ Ȳ."""


def _rows(x: Any) -> Any:
    if x.ndim == 2:
        return x
    return x.reshape(int(np.prod(x.shape[:-1])), x.shape[-1])


def _linear_W(gs: Sequence[Any], inputs: Sequence[Any], options: Any) -> Any:
    """The sum over t of Ȳ_tᵀ X_t as one product: the rows of all t below each other."""
    return np.concatenate([_rows(g) for g in gs]).T @ np.concatenate([_rows(x) for x, _ in inputs])


def _times(x: Any, W: Any) -> Any:
    """x W for a matrix W, as `@`; where there are few axes, NumPy's `dot` starts sooner."""
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


# Functions of one number


@op(lambda g, y, x: g * (1.0 - y * y), numpy=np.tanh)  # 1.0: faster than an integer
def tanh(x: Array):
    """Hyperbolic tangent: y = tanh x; x̄ = ȳ (1 - y²)."""


@op(lambda g, y, x: g * (y * (1.0 - y)), sign="σ", kind="elementwise")
def sigmoid(x: Array) -> Array:
    """Logistic function: y = 1 / (1 + e^-x), computed as (1 + tanh(x/2)) / 2; x̄ = ȳ y (1 - y)."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


@op(lambda g, y, x: g * (x > 0), kind="elementwise")
def relu(x: Array) -> Array:
    """Rectifier: y = max(x, 0); x̄ = ȳ where x > 0, else 0."""
    return np.maximum(x, 0)


@op(lambda g, y, x: g * y, numpy=np.exp, quiet=True)
def exp(x: Array):
    """Exponential: y = e^x; x̄ = ȳ y."""


@op(lambda g, y, x: g / x, numpy=np.log, quiet=True)
def log(x: Array):
    """Natural logarithm: y = ln x; x̄ = ȳ / x."""


@op(lambda g, y, x: g / (2 * y), numpy=np.sqrt, quiet=True)
def sqrt(x: Array):
    """Square root: y = √x; x̄ = ȳ / (2 y)."""


@op(lambda g, y, x: g * ((x > 0) * 1.0 - (x < 0)), numpy=np.abs)
def abs(x: Array):
    """Absolute value: y = |x|; x̄ = ȳ sign x, 0 at 0."""


@op(lambda g, y, x: g * np.cos(x), numpy=np.sin)
def sin(x: Array):
    """Sine, of radians: y = sin x; x̄ = ȳ cos x."""


@op(lambda g, y, x: -g * np.sin(x), numpy=np.cos)
def cos(x: Array):
    """Cosine, of radians: y = cos x; x̄ = -ȳ sin x."""


# Choices


def _share(y: Any, a: Any, b: Any) -> Any:
    """1 where a was chosen, ½ where b equals it."""
    return (y == a) / (1 + (a == b))


@op(
    lambda g, y, a, b: g * _share(y, a, b), lambda g, y, a, b: g * _share(y, b, a), numpy=np.maximum
)
def maximum(a: Array, b: Array):
    """The larger: y = max(a, b); ȳ goes to the larger, half to each where they are equal."""


@op(
    lambda g, y, a, b: g * _share(y, a, b), lambda g, y, a, b: g * _share(y, b, a), numpy=np.minimum
)
def minimum(a: Array, b: Array):
    """The smaller: y = min(a, b); ȳ goes to the smaller, half to each where they are equal."""


@op(
    None,
    lambda g, y, c, a, b: np.where(c, g, 0),
    lambda g, y, c, a, b: np.where(c, 0, g),
    numpy=np.where,
    kind="elementwise",
)
def where(c: Array, a: Array, b: Array):
    """Choice: y = a where the condition c holds, else b; each gets ȳ where it was chosen."""


@op(lambda g, y, x, min, max: g * (x == y), numpy=np.clip, kind="elementwise")
def clip(x: Array, min: Any = None, max: Any = None):
    """Limit to [min, max]: y = min(max(x, min), max); x̄ = ȳ inside and at the bounds, 0 outside."""


# Reductions


def _restore(g: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    """A reduced array with its lost axes back, as length 1."""
    if keepdims:
        return g
    return np.expand_dims(g, tuple(range(x.ndim)) if axis is None else axis)


@op(
    lambda g, y, x, **o: np.broadcast_to(_restore(g, x, **o), x.shape),
    numpy=np.sum,
    kind="reduction",
)
def sum(x: Array, axis: Axis = None, keepdims: bool = False):
    """Sum over axes: y = Σ x; x̄ = ȳ, the same for every term."""


def _mean_x(g: Any, y: Any, x: Any, **options: Any) -> Any:
    share = y.size / (x.size or 1)
    return np.broadcast_to(_restore(g * share, x, **options), x.shape)


@op(_mean_x, quiet=True, kind="reduction")
def mean(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Mean over axes of n values: y = Σ x / n; x̄ = ȳ / n."""
    total = np.sum(x, axis=axis, keepdims=keepdims)
    return total / (x.size // (total.size or 1))


def _extremum(g: Any, y: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    chosen = x == _restore(y, x, axis, keepdims)
    return _restore(g, x, axis, keepdims) * chosen / np.sum(chosen, axis=axis, keepdims=True)


@op(_extremum, numpy=np.max, kind="reduction")
def max(x: Array, axis: Axis = None, keepdims: bool = False):
    """Largest over axes: y = max x; ȳ goes to the largest, in equal parts where several are."""


@op(_extremum, numpy=np.min, kind="reduction")
def min(x: Array, axis: Axis = None, keepdims: bool = False):
    """Smallest over axes: y = min x; ȳ goes to the smallest, in equal parts where several are."""


# Shapes


@op(lambda g, y, x, shape: g.reshape(x.shape), numpy=np.reshape, kind="move")
def reshape(x: Array, shape: int | tuple[int, ...]):
    """The same values in another shape; x̄ = ȳ in the old one."""


def _transpose_x(g: Any, y: Any, x: Any, axes: Any) -> Any:
    return np.transpose(g, axes and tuple(np.argsort(np.mod(axes, x.ndim))))


@op(_transpose_x, numpy=np.transpose, kind="move")
def transpose(x: Array, axes: tuple[int, ...] | None = None):
    """Axes in another order (reversed by default); x̄ = ȳ with the order undone."""


@op(lambda g, y, x, axis1, axis2: np.swapaxes(g, axis1, axis2), numpy=np.swapaxes, kind="move")
def swapaxes(x: Array, axis1: int, axis2: int):
    """Two axes exchanged; x̄ = ȳ with the same two exchanged."""


@op(lambda g, y, x, shape: g, numpy=np.broadcast_to, kind="move")
def broadcast_to(x: Array, shape: int | tuple[int, ...]):
    """The values repeated to a larger shape; x̄ = ȳ summed over the copies."""


@op(lambda g, y, x, axis: g.reshape(x.shape), numpy=np.squeeze, kind="move")
def squeeze(x: Array, axis: Axis = None):
    """Axes of length 1 removed; x̄ = ȳ in the old shape."""


@op(lambda g, y, x, axis: g.reshape(x.shape), numpy=np.expand_dims, kind="move")
def expand_dims(x: Array, axis: int | tuple[int, ...]):
    """New axes of length 1; x̄ = ȳ in the old shape."""


@op(lambda g, y, x, dtype: g.astype(x.dtype) * (y.dtype.kind == "f"), kind="move")
def astype(x: Array, dtype: Any) -> Array:
    """The values in another dtype; x̄ = ȳ in the old one, 0 from integers and booleans (steps)."""
    return x.astype(dtype)


@op(None, kind="move")
def detach(x: Array) -> Array:
    """The same values, through which no gradient flows back."""
    return x


# Parts and wholes


@op(lambda i, g, y, parts, indices, shape: g[indices[i]], variadic=True)
def scatter(parts: Sequence[Array], indices: Sequence[Any], shape: tuple[int, ...]) -> Array:
    """Zeros, and part i added at index i: the adjoint of indexing; x̄ᵢ = ȳ[index i]."""
    y = np.zeros(shape, dtype=np.result_type(*parts))
    for part, index in zip(parts, indices, strict=True):
        if _may_repeat(index):
            np.add.at(y, index, part)
        else:
            y[index] += part
    return y


def _may_repeat(index: Any) -> bool:
    """Whether an index may name an element twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, np.ndarray | list) for part in parts)


def _scattered(gs: Sequence[Any], indices: Sequence[Any], like: Any) -> Any:
    if isinstance(gs[0], Tensor):
        return scatter(gs, indices, like.shape)
    return scatter.op.forward(gs, indices, like.shape)


def _getitem_x(gs: Sequence[Any], inputs: Sequence[Any], options: Sequence[Any]) -> Any:
    """The sum over t of ȳ_t, each at its own index, in one array of zeros: linear in the terms."""
    return _scattered(gs, [given["index"] for given in options], inputs[0][0])


@op(
    lambda g, y, x, index: _scattered([g], [index], x),
    together={0: _getitem_x},
    sign="[ ]",
    kind="move",
)
def getitem(x: Array, index: Any) -> Array:
    """Part of an array, by NumPy's indexing: y = x[index]; x̄ = zeros, with ȳ added at the index."""
    return x[index]


def _embedding_W(gs: Sequence[Any], inputs: Sequence[Any], options: Sequence[Any]) -> Any:
    return _scattered(gs, [index for _, index in inputs], inputs[0][0])


@op(
    lambda g, y, W, index: _scattered([g], [index], W),
    None,
    together={0: _embedding_W},
    kind="lookup",
)
def embedding(weight: Array, index: Array) -> Array:
    """Rows of a table: y = weight[index]; W̄ = ȳ added to its rows.

    Args:
        weight: (N, D).
        index: (…), integers in 0..N-1; y is (…, D).
    """
    return weight[_class_numbers("index", index, len(weight))]


def _class_numbers(what: str, numbers: Any, limit: int) -> Array:
    numbers = np.asarray(numbers)
    if numbers.dtype.kind not in "iu":
        raise TypeError(f"every {what} must be an integer, got dtype {numbers.dtype}")
    if numbers.size and (numbers.min() < 0 or numbers.max() >= limit):
        raise IndexError(f"every {what} must be in 0..{limit - 1}, got {numbers}")
    return numbers


def _along(axis: int, ndim: int, index: Any) -> Any:
    """The index that picks `index` of one axis, and all of the others."""
    return (slice(None),) * (axis % ndim) + (index,) if axis % ndim else index


@op(
    lambda i, g, y, xs, axis: g[_along(axis, g.ndim, _span(xs, i, axis))],
    variadic=True,
    numpy=np.concatenate,
    kind="move",
)
def concatenate(xs: Sequence[Array], axis: int = 0):
    """Arrays joined along an axis; x̄ᵢ = the part of ȳ where xᵢ went."""


def _span(xs: Sequence[Any], i: int, axis: int) -> slice:
    start = int(np.sum([x.shape[axis] for x in xs[:i]]))
    return slice(start, start + xs[i].shape[axis])


@op(
    lambda i, g, y, xs, axis: g[_along(axis, g.ndim, i)], variadic=True, numpy=np.stack, kind="move"
)
def stack(xs: Sequence[Array], axis: int = 0):
    """Arrays of one shape laid side by side along a new axis; x̄ᵢ = slice i of ȳ."""


def _cut(name: str, x: Tensor, axis: int, indices: Callable[[int], Iterable[Any]]) -> list[Tensor]:
    try:
        return [getitem(x, _along(axis, x.ndim, i)) for i in indices(x.shape[axis])]
    except (ValueError, IndexError, TypeError) as reason:
        raise OpError(f"{name}: axis {axis} of {describe(x)}: {reason}") from None


def unstack(x: Tensor, axis: int = 0) -> list[Tensor]:
    """The slices along an axis, that axis gone: the inverse of `stack`."""
    return _cut("unstack", x, axis, range)


def split(x: Tensor, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """The parts along an axis, as `np.split`: so many equal ones, or cut at these indices."""

    def parts(n: int) -> Iterable[slice]:
        for places in np.split(np.arange(n), indices_or_sections):
            yield slice(places[0], places[-1] + 1) if places.size else slice(0)

    return _cut("split", x, axis, parts)


# Probabilities


@op(
    lambda g, y, x, axis: y * (g - np.sum(g * y, axis=axis, keepdims=True)),
    kind="along",
    quiet=True,
)
def softmax(x: Array, axis: int = -1) -> Array:
    """Probabilities from scores: y = e^x / Σ e^x along an axis; x̄ = y (ȳ - Σ ȳ y)."""
    return np.exp(x - _log_normaliser(x, axis))


@op(
    lambda g, y, x, axis: g - np.exp(y) * np.sum(g, axis=axis, keepdims=True),
    kind="along",
    quiet=True,
)
def log_softmax(x: Array, axis: int = -1) -> Array:
    """Logarithm of `softmax`: y = x - ln Σ e^x along an axis; x̄ = ȳ - e^y Σ ȳ."""
    return x - _log_normaliser(x, axis)


@op(
    lambda g, y, x, **o: _restore(g, x, **o) * np.exp(x - _restore(y, x, **o)),
    quiet=True,
    kind="reduction",
)
def logsumexp(x: Array, axis: Axis = -1, keepdims: bool = False) -> Array:
    """Logarithm of a sum of exponentials: y = ln Σ e^x over axes; x̄ = ȳ e^(x - y)."""
    y = _log_normaliser(x, axis)
    return y if keepdims else np.squeeze(y, axis=tuple(range(x.ndim)) if axis is None else axis)


def _log_normaliser(x: Any, axis: Axis = -1) -> Any:
    """ln Σ e^x without overflow, the axis kept."""
    top = x.max(axis=axis, keepdims=True)
    return np.log(np.exp(x - top).sum(axis=axis, keepdims=True)) + top


def _cross_entropy_x(g: Any, y: Any, x: Any, targets: Any, reduction: str) -> Any:
    one_hot = np.expand_dims(targets, -1) == np.arange(x.shape[-1])
    share = g[..., None]
    if reduction == "mean":
        share = share / (x.size / x.shape[-1])
    return share * (np.exp(x - _log_normaliser(x)) - one_hot)


@op(_cross_entropy_x, None, quiet=True)
def cross_entropy(logits: Array, targets: Array, reduction: str = "mean") -> Array:
    """Cross-entropy, in nats: y = ln Σ e^x - x[target]; x̄ = ȳ (softmax x - one-hot target).

    Args:
        logits: (…, C), the scores of C classes.
        targets: (…), integers in 0..C-1.
        reduction: "mean" or "sum" over all positions, or "none": one value a position, shape (…).
    """
    targets = _class_numbers("target", targets, logits.shape[-1])
    shape = logits.shape[:-1]
    if shape != targets.shape:
        raise ValueError(f"logits of shape {logits.shape} need targets of shape {shape}")
    if reduction not in ("mean", "sum", "none"):
        raise ValueError('the reduction must be "mean", "sum" or "none"')
    chosen = np.take_along_axis(logits, targets[..., None], axis=-1)
    y: Any = (_log_normaliser(logits) - chosen)[..., 0]
    if reduction == "none":
        return y
    return np.mean(y) if reduction == "mean" else np.sum(y)


# Comparisons: no gradient


def _comparison(sign: str, ufunc: np.ufunc) -> Callable[..., Tensor]:
    def compare(a: Array, b: Array): ...

    compare.__name__ = compare.__qualname__ = ufunc.__name__
    compare.__doc__ = f"Comparison: y = (a {sign} b), elementwise; not differentiable."
    return op(None, None, numpy=ufunc)(compare)


equal = _comparison("==", np.equal)
not_equal = _comparison("≠", np.not_equal)
less = _comparison("<", np.less)
less_equal = _comparison("≤", np.less_equal)
greater = _comparison(">", np.greater)
greater_equal = _comparison("≥", np.greater_equal)


# What Tensor's operators and methods mean


def _reflected(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`b + a`, where a is the Tensor."""
    return lambda a, b: function(b, a)


Tensor.__neg__ = neg
Tensor.__abs__ = abs
Tensor.__add__, Tensor.__radd__ = add, _reflected(add)
Tensor.__sub__, Tensor.__rsub__ = sub, _reflected(sub)
Tensor.__mul__, Tensor.__rmul__ = mul, _reflected(mul)
Tensor.__truediv__, Tensor.__rtruediv__ = div, _reflected(div)
Tensor.__pow__, Tensor.__rpow__ = pow, _reflected(pow)
Tensor.__matmul__, Tensor.__rmatmul__ = matmul, _reflected(matmul)
Tensor.__eq__, Tensor.__ne__ = equal, not_equal
Tensor.__lt__, Tensor.__le__ = less, less_equal
Tensor.__gt__, Tensor.__ge__ = greater, greater_equal
Tensor.__getitem__ = getitem
Tensor.sum, Tensor.mean, Tensor.max, Tensor.min = sum, mean, max, min
Tensor.clip, Tensor.astype, Tensor.detach = clip, astype, detach
Tensor.squeeze, Tensor.swapaxes = squeeze, swapaxes
Tensor.T = property(transpose)
Tensor.mT = property(lambda x: swapaxes(x, -1, -2))


def _reshape_method(x: Tensor, *shape: Any) -> Tensor:
    """`x.reshape(2, 3)` and `x.reshape((2, 3))`."""
    return reshape(x, shape[0] if len(shape) == 1 else shape)


def _transpose_method(x: Tensor, *axes: Any) -> Tensor:
    """`x.transpose()`, `x.transpose(1, 0)` and `x.transpose((1, 0))`."""
    return transpose(x, axes[0] if len(axes) == 1 else axes or None)


Tensor.reshape = _reshape_method
Tensor.transpose = _transpose_method


# NumPy's own functions, applied to Tensors

NUMPY.update(
    {
        np.split: split,
        np.unstack: unstack,
        np.mean: mean,
        np.amax: max,
        np.amin: min,
        np.fabs: abs,
    }
)
_QUERIES = (
    np.shape,
    np.ndim,
    np.size,
    np.isnan,
    np.isinf,
    np.isfinite,
    np.allclose,
    np.array_equal,
)


def from_numpy(function: Callable[..., Any]) -> Callable[..., Any]:
    """Our op for a NumPy function; TypeError where there is none."""
    if function in _QUERIES:
        return lambda *args, **options: function(*map(np.asarray, args), **options)
    if function not in NUMPY:
        name = getattr(function, "__name__", function)
        raise TypeError(
            f"np.{name} is no op of tinygrad_rnn: "
            "write it with tg.ops, or without gradients on t.numpy()"
        )
    return NUMPY[function]


def _array_function(self: Tensor, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
    if kwargs.get("out") is not None:
        raise OpError(f"{func.__name__}: out= would write into a tensor; use the result")
    return from_numpy(func)(*args, **kwargs)


def _array_ufunc(self: Tensor, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    func = ufunc if method == "__call__" else getattr(ufunc, method)
    return _array_function(self, func, (), inputs, kwargs)


Tensor.__array_ufunc__ = _array_ufunc
Tensor.__array_function__ = _array_function
