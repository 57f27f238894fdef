"""Every op with its VJP: the page to read.

In the formulas `x a b` are inputs, `y` is the output and `g` its cotangent ∂L/∂y, written ȳ in the
docstrings; x̄ is what the formula returns. Broadcasting is undone elsewhere (`backward.py`), once
for all.

>>> from tinygrad_rnn import ops, tensor
>>> ops.tanh(tensor(0.0, requires_grad=True))
tensor(0., op=tanh)
"""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false
# pyright: reportFunctionMemberAccess=false, reportUnknownVariableType=false
# A formula serves ndarrays and Tensors alike, so its letters have no one type.

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import OpError, describe, require
from .op import NUMPY, op
from .tensor import Array, Axis, Tensor

# Arithmetic


@op(lambda g, y, a, b: g, lambda g, y, a, b: g, numpy=np.add)
def add(a: Array, b: Array):
    """Sum: y = a + b; ā = ȳ, b̄ = ȳ."""


@op(lambda g, y, a, b: g, lambda g, y, a, b: -g, numpy=np.subtract)
def sub(a: Array, b: Array):
    """Difference: y = a - b; ā = ȳ, b̄ = -ȳ."""


@op(lambda g, y, a, b: g * b, lambda g, y, a, b: g * a, numpy=np.multiply)
def mul(a: Array, b: Array):
    """Product, elementwise: y = a b; ā = ȳ b, b̄ = ȳ a."""


@op(lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b, numpy=np.divide, quiet=True)
def div(a: Array, b: Array):
    """Quotient, elementwise: y = a / b; ā = ȳ / b, b̄ = -ȳ y / b."""


@op(
    lambda g, y, a, b: g * b * a ** (b + 0 - (b != 0)),  # + 0: booleans cannot be subtracted
    lambda g, y, a, b: g * y * np.log(np.where((a == 0) * (b >= 0), 1, a)), numpy=np.power, quiet=True)  # fmt: skip
def pow(a: Array, b: Array):
    """Power, elementwise: y = a^b; ā = ȳ b a^(b-1), 0 where b = 0; b̄ = ȳ y ln a, 0 where a = 0 ≤ b."""


@op(lambda g, y, x: -g, numpy=np.negative)
def neg(x: Array):
    """Negative: y = -x; x̄ = -ȳ."""


# Products of matrices


def _matmul_a(g: Any, y: Any, a: Any, b: Any) -> Any:
    return (
        g[..., None] * b if b.ndim == 1 else g @ b.mT if a.ndim > 1 else (b @ g[..., None])[..., 0]
    )


def _matmul_b(g: Any, y: Any, a: Any, b: Any) -> Any:
    if a.ndim == 1:
        return g * a if b.ndim == 1 else a[:, None] * g[..., None, :]
    return a.mT @ g if b.ndim > 1 else (a.mT @ g[..., None])[..., 0]


@op(_matmul_a, _matmul_b, numpy=np.matmul)
def matmul(a: Array, b: Array):
    """Matrix product, NumPy's rules for vectors and stacks: Y = A B; Ā = Ȳ Bᵀ, B̄ = Aᵀ Ȳ."""


def _rows(x: Any) -> Any:
    return x if x.ndim == 2 else x.reshape(int(np.prod(x.shape[:-1])), x.shape[-1])


def _linear_W(gs: Sequence[Any], inputs: Sequence[Any], options: Any) -> Any:
    """The sum over t of Ȳ_tᵀ X_t as one product: the rows of all t below each other."""
    return np.concatenate([_rows(g) for g in gs]).T @ np.concatenate([_rows(x) for x, _ in inputs])


def _times(x: Any, W: Any) -> Any:
    """x W for a matrix W: the same as `@`, but where there are few axes NumPy's `dot` starts sooner."""
    return x.dot(W) if type(x) is np.ndarray and 0 < x.ndim < 3 else x @ W


@op(
    lambda g, y, x, W: _times(g, W),
    lambda g, y, x, W: _rows(g).T @ _rows(x),
    together={1: _linear_W},
)
def linear(x: Array, W: Array) -> Array:
    """Linear map of the last axis: y = x Wᵀ, x (…, I), W (O, I), y (…, O); x̄ = ȳ W, W̄ = Σ ȳᵀ x."""
    require(W.ndim == 2, ValueError, "W must be a matrix (outputs, inputs), got shape {}", W.shape)
    return _times(x, W.T)


# Functions of one number


@op(lambda g, y, x: g * (1.0 - y * y), numpy=np.tanh)  # NumPy takes a float sooner than an integer
def tanh(x: Array):
    """Hyperbolic tangent: y = tanh x; x̄ = ȳ (1 - y²)."""


@op(lambda g, y, x: g * (y * (1.0 - y)))
def sigmoid(x: Array) -> Array:
    """Logistic function: y = 1 / (1 + e^-x), computed as (1 + tanh(x/2)) / 2; x̄ = ȳ y (1 - y)."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


@op(lambda g, y, x: g * (x > 0))
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
    """The larger, elementwise: y = max(a, b); ȳ goes to the larger, half to each where they are equal."""


@op(
    lambda g, y, a, b: g * _share(y, a, b), lambda g, y, a, b: g * _share(y, b, a), numpy=np.minimum
)
def minimum(a: Array, b: Array):
    """The smaller, elementwise: y = min(a, b); ȳ goes to the smaller, half to each where they are equal."""


@op(
    None,
    lambda g, y, c, a, b: np.where(c, g, 0),
    lambda g, y, c, a, b: np.where(c, 0, g),
    numpy=np.where,
)
def where(c: Array, a: Array, b: Array):
    """Choice, elementwise: y = a where the condition c holds, else b; each gets ȳ where it was chosen."""


@op(lambda g, y, x, min, max: g * (x == y), numpy=np.clip)
def clip(x: Array, min: Any = None, max: Any = None):
    """Limit to [min, max]: y = min(max(x, min), max); x̄ = ȳ inside and at the bounds, 0 outside."""


# Reductions


def _restore(g: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    """A reduced array with its lost axes back, as length 1."""
    return g if keepdims else np.expand_dims(g, tuple(range(x.ndim)) if axis is None else axis)


@op(lambda g, y, x, **o: np.broadcast_to(_restore(g, x, **o), x.shape), numpy=np.sum)
def sum(x: Array, axis: Axis = None, keepdims: bool = False):
    """Sum over axes: y = Σ x; x̄ = ȳ, the same for every term."""


@op(
    lambda g, y, x, **o: np.broadcast_to(_restore(g * (y.size / (x.size or 1)), x, **o), x.shape),
    quiet=True,
)
def mean(x: Array, axis: Axis = None, keepdims: bool = False) -> Array:
    """Mean over axes of n values: y = Σ x / n; x̄ = ȳ / n."""
    total = np.sum(x, axis=axis, keepdims=keepdims)
    return total / (x.size // (total.size or 1))


def _extremum(g: Any, y: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    chosen = x == _restore(y, x, axis, keepdims)
    return _restore(g, x, axis, keepdims) * chosen / np.sum(chosen, axis=axis, keepdims=True)


@op(_extremum, numpy=np.max)
def max(x: Array, axis: Axis = None, keepdims: bool = False):
    """Largest over axes: y = max x; ȳ goes to the largest, in equal parts where several are."""


@op(_extremum, numpy=np.min)
def min(x: Array, axis: Axis = None, keepdims: bool = False):
    """Smallest over axes: y = min x; ȳ goes to the smallest, in equal parts where several are."""


# Shapes


@op(lambda g, y, x, shape: g.reshape(x.shape), numpy=np.reshape)
def reshape(x: Array, shape: int | tuple[int, ...]):
    """The same values in another shape; x̄ = ȳ in the old one."""


@op(
    lambda g, y, x, axes: np.transpose(g, axes and tuple(np.argsort(np.mod(axes, x.ndim)))),
    numpy=np.transpose,
)
def transpose(x: Array, axes: tuple[int, ...] | None = None):
    """Axes in another order (reversed by default); x̄ = ȳ with the order undone."""


@op(lambda g, y, x, axis1, axis2: np.swapaxes(g, axis1, axis2), numpy=np.swapaxes)
def swapaxes(x: Array, axis1: int, axis2: int):
    """Two axes exchanged; x̄ = ȳ with the same two exchanged."""


@op(lambda g, y, x, shape: g, numpy=np.broadcast_to)
def broadcast_to(x: Array, shape: int | tuple[int, ...]):
    """The values repeated to a larger shape; x̄ = ȳ summed over the copies."""


@op(lambda g, y, x, axis: g.reshape(x.shape), numpy=np.squeeze)
def squeeze(x: Array, axis: Axis = None):
    """Axes of length 1 removed; x̄ = ȳ in the old shape."""


@op(lambda g, y, x, axis: g.reshape(x.shape), numpy=np.expand_dims)
def expand_dims(x: Array, axis: int | tuple[int, ...]):
    """New axes of length 1; x̄ = ȳ in the old shape."""


@op(lambda g, y, x, dtype: g.astype(x.dtype) * (y.dtype.kind == "f"))
def astype(x: Array, dtype: Any) -> Array:
    """The values as another dtype; x̄ = ȳ in the old one, 0 from integers and booleans, which are steps."""
    return x.astype(dtype)


@op(None)
def detach(x: Array) -> Array:
    """The same values, through which no gradient flows back."""
    return x


# Parts and wholes


@op(lambda i, g, y, parts, indices, shape: g[indices[i]], variadic=True)
def scatter(parts: Sequence[Array], indices: Sequence[Any], shape: tuple[int, ...]) -> Array:
    """Zeros, and part i added at index i: the adjoint of indexing; x̄ᵢ = ȳ[index i]."""
    y = np.zeros(shape, dtype=np.result_type(*parts))
    for part, index in zip(parts, indices, strict=True):
        if any(
            isinstance(i, np.ndarray | list)
            for i in (index if isinstance(index, tuple) else (index,))
        ):
            np.add.at(y, index, part)  # it may name an element twice
        else:
            y[index] += part
    return y


def _scattered(gs: Sequence[Any], indices: Sequence[Any], like: Any) -> Any:
    return (scatter if isinstance(gs[0], Tensor) else scatter.op.forward)(gs, indices, like.shape)


def _getitem_x(gs: Sequence[Any], inputs: Sequence[Any], options: Sequence[Any]) -> Any:
    """The sum over t of ȳ_t, each at its own index, in one array of zeros: linear in the number of terms."""
    return _scattered(gs, [given["index"] for given in options], inputs[0][0])


@op(lambda g, y, x, index: _scattered([g], [index], x), together={0: _getitem_x})
def getitem(x: Array, index: Any) -> Array:
    """Part of an array, by NumPy's indexing: y = x[index]; x̄ = zeros, with ȳ added at the index."""
    return x[index]


def _embedding_W(gs: Sequence[Any], inputs: Sequence[Any], options: Sequence[Any]) -> Any:
    return _scattered(gs, [index for _, index in inputs], inputs[0][0])


@op(lambda g, y, W, index: _scattered([g], [index], W), None, together={0: _embedding_W})
def embedding(weight: Array, index: Array) -> Array:
    """Rows of a table: y = weight[index], weight (N, D), index (…) of integers, y (…, D); W̄ = ȳ added to its rows."""
    return weight[_class_numbers("index", index, len(weight))]


def _class_numbers(what: str, numbers: Any, limit: int) -> Array:
    numbers = np.asarray(numbers)
    require(
        numbers.dtype.kind in "iu",
        TypeError,
        "every {} must be an integer, got dtype {}",
        what,
        numbers.dtype,
    )
    fits = not numbers.size or (numbers.min() >= 0 and numbers.max() < limit)
    require(fits, IndexError, "every {} must be in 0..{}, got {}", what, limit - 1, numbers)
    return numbers


def _along(axis: int, ndim: int, index: Any) -> Any:
    """The index that picks `index` of one axis, and all of the others."""
    return (slice(None),) * (axis % ndim) + (index,) if axis % ndim else index


@op(
    lambda i, g, y, xs, axis: g[_along(axis, g.ndim, _span(xs, i, axis))],
    variadic=True,
    numpy=np.concatenate,
)
def concatenate(xs: Sequence[Array], axis: int = 0):
    """Arrays joined along an axis; x̄ᵢ = the part of ȳ where xᵢ went."""


def _span(xs: Sequence[Any], i: int, axis: int) -> slice:
    return slice(start := int(np.sum([x.shape[axis] for x in xs[:i]])), start + xs[i].shape[axis])


@op(lambda i, g, y, xs, axis: g[_along(axis, g.ndim, i)], variadic=True, numpy=np.stack)
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
    parts = lambda n: np.split(np.arange(n), indices_or_sections)
    return _cut(
        "split",
        x,
        axis,
        lambda n: [slice(p[0], p[-1] + 1) if p.size else slice(0) for p in parts(n)],
    )


# Probabilities


@op(lambda g, y, x, axis: y * (g - np.sum(g * y, axis=axis, keepdims=True)), quiet=True)
def softmax(x: Array, axis: int = -1) -> Array:
    """Probabilities from scores: y = e^x / Σ e^x along an axis; x̄ = y (ȳ - Σ ȳ y)."""
    return np.exp(x - _log_normaliser(x, axis))


@op(lambda g, y, x, axis: g - np.exp(y) * np.sum(g, axis=axis, keepdims=True), quiet=True)
def log_softmax(x: Array, axis: int = -1) -> Array:
    """Logarithm of `softmax`: y = x - ln Σ e^x along an axis; x̄ = ȳ - e^y Σ ȳ."""
    return x - _log_normaliser(x, axis)


@op(lambda g, y, x, **o: _restore(g, x, **o) * np.exp(x - _restore(y, x, **o)), quiet=True)
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
    share = g[..., None] / (x.size / x.shape[-1] if reduction == "mean" else 1)
    return share * (np.exp(x - _log_normaliser(x)) - one_hot)


@op(_cross_entropy_x, None, quiet=True)
def cross_entropy(logits: Array, targets: Array, reduction: str = "mean") -> Array:
    """Cross-entropy of class scores, in nats: y = ln Σ e^x - x[target]; x̄ = ȳ (softmax x - one-hot target).

    Args:
        logits: (…, C), the scores of C classes.
        targets: (…), integers in 0..C-1.
        reduction: "mean" or "sum" over all positions, or "none": one value a position, shape (…).
    """
    targets = _class_numbers("target", targets, logits.shape[-1])
    shape = logits.shape[:-1]
    require(
        shape == targets.shape,
        ValueError,
        "logits of shape {} need targets of shape {}",
        logits.shape,
        shape,
    )
    require(
        reduction in ("mean", "sum", "none"),
        ValueError,
        'the reduction must be "mean", "sum" or "none"',
    )
    y: Any = (_log_normaliser(logits) - np.take_along_axis(logits, targets[..., None], axis=-1))[
        ..., 0
    ]
    return y if reduction == "none" else np.mean(y) if reduction == "mean" else np.sum(y)


# Comparisons: no gradient


def _comparison(sign: str, ufunc: np.ufunc) -> Callable[..., Tensor]:
    def compare(a: Array, b: Array): ...

    compare.__name__ = compare.__qualname__ = ufunc.__name__
    compare.__doc__ = f"Comparison: y = (a {sign} b), elementwise; not differentiable."
    return op(None, None, numpy=ufunc)(compare)


equal, not_equal = _comparison("==", np.equal), _comparison("≠", np.not_equal)
less, less_equal = _comparison("<", np.less), _comparison("≤", np.less_equal)
greater, greater_equal = _comparison(">", np.greater), _comparison("≥", np.greater_equal)


# What Tensor's operators and methods mean

_METHODS: dict[str, Any] = {
    "T": property(transpose), "mT": property(lambda x: swapaxes(x, -1, -2)), "__truediv__": div, "__eq__": equal,
    "__ne__": not_equal, "__lt__": less, "__le__": less_equal, "__gt__": greater, "__ge__": greater_equal,
    **{f"__{f.__name__}__": f for f in (neg, abs, add, sub, mul, pow, matmul, getitem)},
    **{f.__name__: f for f in (sum, mean, max, min, swapaxes, squeeze, clip, astype, detach)}}  # fmt: skip


for _name, _function in _METHODS.items():
    setattr(Tensor, _name, _function)
    if _name in ("__add__", "__sub__", "__mul__", "__truediv__", "__pow__", "__matmul__"):
        setattr(
            Tensor, f"__r{_name[2:]}", lambda self, other, function=_function: function(other, self)
        )


# NumPy's own functions, applied to Tensors

NUMPY.update(
    {np.split: split, np.unstack: unstack, np.mean: mean, np.amax: max, np.amin: min, np.fabs: abs}
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
    name, fix = (
        getattr(function, "__name__", function),
        "write it with tg.ops, or without gradients on t.numpy()",
    )
    require(function in NUMPY, TypeError, "np.{} is no op of tinygrad_rnn: {}", name, fix)
    return NUMPY[function]
