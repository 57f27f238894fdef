"""Is a gradient true? Central differences say so, without knowing any formula: public, because they are a lesson."""

# pyright: reportPrivateUsage=false
import operator
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

import numpy as np

from .autograd.backward import grad
from .autograd.tensor import Array, Tensor
from .errors import GradcheckError, require


def relative_tolerance(dtype: "np.dtype[Any]") -> float:
    """How far a gradient of this dtype may be from a central difference."""
    return 1e-6 if dtype == np.float64 else 1e-3


def central_difference(
    fn: Callable[[Array], Sequence[Array]],
    x: Array,
    index: tuple[int, ...],
    cotangents: Sequence[Array],
) -> float:
    """∂/∂x[index] of Σ cotangent · fn(x), as (f(x + h) - f(x - h)) / 2h, in float64.

    The step is h = 6e-6 max(1, |x|), about the cube root of the rounding error: there the errors of
    truncation and of rounding are least together.
    """
    h = 6e-6 * max(1.0, abs(float(x[index])))
    ends: list[Sequence[Array]] = []
    for step in (h, -h):
        moved = x.astype(np.float64)
        moved[index] += step
        ends.append(fn(moved))
    parts = zip(cotangents, *ends, strict=True)
    return sum(float(np.sum(c * (above - below))) for c, above, below in parts) / (2 * h)


@dataclass(frozen=True)
class Mismatch:
    """One element whose gradient is wrong."""

    op: str  # the op that made the output
    input: str
    index: tuple[int, ...]
    analytic: float
    numeric: float

    def __str__(self) -> str:
        where = f"{self.op}: gradient at {self.input}{list(self.index)}"
        return f"{where}: {self.analytic:.9g} from backward, {self.numeric:.9g} expected"


def gradcheck(
    fn: Callable[..., Any],
    inputs: Any,
    rtol: float = 1e-6,
    atol: float | None = None,
    *,
    float32: bool = False,
) -> bool:
    """Compare the gradients of `fn(*inputs)` with central differences: ∂f/∂x ≈ (f(x + h) - f(x - h)) / 2h.

    The outputs are weighted with random, non-uniform cotangents, since a plain sum hides errors (of
    a softmax, say). The step h is that of `central_difference`.

    Args:
        fn: returns a Tensor, or several; it is called many times, and must return the same each
            time.
        inputs: a leaf Tensor or several; those that require a gradient are checked, and must be
            float64.
        rtol: relative tolerance.
        atol: absolute tolerance; by default 1e-9 times the size of the outputs (at least 1).
        float32: allow float32 inputs; their gradient is compared with the float64 one, to 1e-3 of
            the output's size.

    Returns:
        True.

    Raises:
        GradcheckError: a gradient is wrong, and `report` lists every `Mismatch`; or something
            cannot be checked.

    >>> x = Tensor([0.5, -1.0], requires_grad=True)
    >>> gradcheck(lambda x: x * x, x)
    True
    """
    leaves, checked = _checkable(inputs, float32)
    outputs = _outputs(fn, leaves)
    same = all(
        np.array_equal(a.data, b.data)
        for a, b in zip(outputs, _outputs(fn, leaves, outputs), strict=True)
    )
    require(
        same,
        GradcheckError,
        "gradcheck: fn gave two results for the same inputs; fix the seed of what it draws",
    )
    cotangents = _random_cotangents(outputs)
    size = max(
        1.0, sum(float(np.abs(c * y.data).sum()) for c, y in zip(cotangents, outputs, strict=True))
    )
    analytic = _vjp(outputs, checked, cotangents)
    if any(leaf.dtype == np.float32 for leaf in checked):
        tolerance = relative_tolerance(np.dtype(np.float32))
        rtol = max(rtol, tolerance)
        with _rebound(checked, [leaf.data.astype(np.float64) for leaf in checked]):
            expected = _vjp(_outputs(fn, leaves, outputs), checked, cotangents)
    else:
        run = partial(_outputs, fn, leaves, outputs)
        tolerance, expected = 1e-9, [_numeric_gradient(run, leaf, cotangents) for leaf in checked]
    atol = tolerance * size if atol is None else atol
    op = outputs[0].op.name if outputs[0].op else "fn"
    names = [leaf.name or f"input {i}" for i, leaf in enumerate(leaves) if leaf.requires_grad]
    report = [
        Mismatch(op, name, tuple(index), float(a[tuple(index)]), float(e[tuple(index)]))
        for name, a, e in zip(names, analytic, expected, strict=True)
        for index in np.argwhere(~np.isclose(a, e, rtol, atol)).tolist()
    ]
    if report:
        shown = [*map(str, report[:5]), *([f"… and {len(report) - 5} more"] if report[5:] else [])]
        summary = f"gradcheck: {len(report)} wrong (rtol {rtol:g}, atol {atol:.3g}):"
        raise GradcheckError("\n  ".join([summary, *shown]), report)
    return True


def gradgradcheck(
    fn: Callable[..., Any], inputs: Any, rtol: float = 1e-6, atol: float | None = None
) -> bool:
    """Compare second derivatives with central differences of the gradient: `gradcheck` of `grad(fn)`.

    The gradient is checked as a function of the inputs and of the cotangent. Arguments, result and
    errors are those of `gradcheck`; float64 only.
    """
    leaves, checked = _checkable(inputs, float32=False)
    outputs = _outputs(fn, leaves)
    cotangents = _random_cotangents(outputs)
    seeds = [Tensor(c, requires_grad=True, name=f"cotangent {i}") for i, c in enumerate(cotangents)]

    def gradient(*_: Tensor) -> list[Tensor]:
        weighted = [
            (y * seed).sum() for y, seed in zip(_outputs(fn, leaves, outputs), seeds, strict=True)
        ]
        return grad(reduce(operator.add, weighted), checked, create_graph=True)

    return gradcheck(gradient, [*leaves, *seeds], rtol, atol)


def _checkable(inputs: Any, float32: bool) -> tuple[list[Tensor], list[Tensor]]:
    """All inputs, and those whose gradient is to be checked."""
    leaves = _tensors(inputs)
    checked = [leaf for leaf in leaves if leaf.requires_grad]
    require(
        checked,
        GradcheckError,
        "gradcheck: no input requires a gradient; make floats with requires_grad=True",
    )
    for leaf in checked:
        require(
            leaf.op is None,
            GradcheckError,
            "gradcheck: {} is no leaf; detach() it and require a gradient",
            leaf,
        )
        precise = leaf.dtype == np.float64 or (float32 and leaf.dtype == np.float32)
        fix = "convert it, or pass float32=True to compare a float32 gradient with the float64 one"
        require(
            precise,
            GradcheckError,
            "gradcheck: {}: central differences need float64; {}",
            leaf,
            fix,
        )
    return leaves, checked


def _tensors(given: Any) -> list[Tensor]:
    tensors: list[Any] = (
        [given] if isinstance(given, Tensor) or not np.iterable(given) else list(given)
    )
    for x in tensors:
        require(
            isinstance(x, Tensor),
            GradcheckError,
            "gradcheck: takes and returns Tensors, not {}",
            type(x).__name__,
        )
    return tensors


def _outputs(
    fn: Callable[..., Any], leaves: Sequence[Tensor], first: Sequence[Tensor] = ()
) -> list[Tensor]:
    """What `fn` returns: finite, and of the shapes that it returned at first."""
    outputs = _tensors(fn(*leaves))
    require(
        outputs, GradcheckError, "gradcheck: fn returned no Tensor, so there is nothing to check"
    )
    for y in outputs:
        finite = np.isfinite(y.data).all()
        require(
            finite,
            GradcheckError,
            "gradcheck: {} holds NaN or inf, which has no difference; try other inputs",
            y,
        )
    shapes, expected = [y.shape for y in outputs], [y.shape for y in first or outputs]
    rule = "gradcheck: fn returned Tensors of the shapes {} at first, and {} later; it must return the same ones"
    require(shapes == expected, GradcheckError, rule, expected, shapes)
    return outputs


def _random_cotangents(outputs: Sequence[Tensor]) -> list[Array]:
    rng = np.random.default_rng(0)
    return [rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1.0, 1.0], y.shape) for y in outputs]


def _vjp(
    outputs: Sequence[Tensor], checked: Sequence[Tensor], cotangents: Sequence[Array]
) -> list[Array]:
    """Σ over outputs of the vector-Jacobian products, one array per checked input."""
    pairs = [
        (y, cotangent) for y, cotangent in zip(outputs, cotangents, strict=True) if y.requires_grad
    ]
    terms = [
        [np.zeros(leaf.shape) for leaf in checked],
        *([g.data for g in grad(y, checked, c)] for y, c in pairs),
    ]
    return [np.sum(parts, axis=0) for parts in zip(*terms, strict=True)]


def _numeric_gradient(
    run: Callable[[], list[Tensor]], leaf: Tensor, cotangents: Sequence[Array]
) -> Array:
    """∂/∂leaf of Σ cotangent · output; `run` computes the outputs from what the leaf holds."""

    def outputs_of(moved: Array) -> list[Array]:
        with _rebound([leaf], [moved]):
            return [y.data for y in run()]

    result = np.zeros(leaf.shape)
    for index in np.ndindex(leaf.shape):
        result[index] = central_difference(outputs_of, leaf.data, index, cotangents)
    return result


@contextmanager
def _rebound(leaves: Sequence[Tensor], arrays: Sequence[Array]) -> Generator[None]:
    """Other values in the same leaves, so that functions that close over them see these too."""
    before = [leaf.data for leaf in leaves]
    try:
        for leaf, array in zip(leaves, arrays, strict=True):
            array.flags.writeable = False
            leaf._data = array
        yield
    finally:
        for leaf, array in zip(leaves, before, strict=True):
            leaf._data = array
