"""Checks gradients against central differences, which need no formula of the gradient."""

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
from .errors import GradcheckError, describe

_SHOWN = 5  # mismatches in the message; the report has them all


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
    """Compare the gradients of `fn(*inputs)` with central differences.

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
    _require_same(outputs, _outputs(fn, leaves, outputs))
    cotangents = _random_cotangents(outputs)
    analytic = _vjp(outputs, checked, cotangents)
    if any(leaf.dtype == np.float32 for leaf in checked):
        tolerance = relative_tolerance(np.dtype(np.float32))
        rtol = max(rtol, tolerance)
        with _rebound(checked, [leaf.data.astype(np.float64) for leaf in checked]):
            expected = _vjp(_outputs(fn, leaves, outputs), checked, cotangents)
    else:
        run = partial(_outputs, fn, leaves, outputs)
        tolerance = 1e-9
        expected = [_numeric_gradient(run, leaf, cotangents) for leaf in checked]
    if atol is None:
        atol = tolerance * _size(outputs, cotangents)
    op = outputs[0].op.name if outputs[0].op else "fn"
    names = [leaf.name or f"input {i}" for i, leaf in enumerate(leaves) if leaf.requires_grad]
    report = [
        Mismatch(op, name, tuple(index), float(a[tuple(index)]), float(e[tuple(index)]))
        for name, a, e in zip(names, analytic, expected, strict=True)
        for index in np.argwhere(~np.isclose(a, e, rtol, atol)).tolist()
    ]
    if report:
        lines = [f"gradcheck: {len(report)} wrong (rtol {rtol:g}, atol {atol:.3g}):"]
        lines += map(str, report[:_SHOWN])
        if len(report) > _SHOWN:
            lines.append(f"… and {len(report) - _SHOWN} more")
        raise GradcheckError("\n  ".join(lines), report)
    return True


def gradgradcheck(
    fn: Callable[..., Any], inputs: Any, rtol: float = 1e-6, atol: float | None = None
) -> bool:
    """Compare second derivatives with central differences: `gradcheck` of `grad(fn)`.

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
    if not checked:
        raise GradcheckError(
            "gradcheck: no input requires a gradient; make floats with requires_grad=True"
        )
    for leaf in checked:
        if leaf.op is not None:
            raise GradcheckError(
                f"gradcheck: {describe(leaf)} is not a leaf; detach() it and require a gradient"
            )
        if leaf.dtype != np.float64 and not (float32 and leaf.dtype == np.float32):
            raise GradcheckError(
                f"gradcheck: {describe(leaf)}: central differences need float64; convert it, "
                "or pass float32=True to compare a float32 gradient with the float64 one"
            )
    return leaves, checked


def _tensors(given: Any) -> list[Tensor]:
    is_one = isinstance(given, Tensor) or not np.iterable(given)
    tensors: list[Any] = [given] if is_one else list(given)
    for x in tensors:
        if not isinstance(x, Tensor):
            raise GradcheckError(f"gradcheck: takes and returns Tensors, not {type(x).__name__}")
    return tensors


def _outputs(
    fn: Callable[..., Any], leaves: Sequence[Tensor], first: Sequence[Tensor] = ()
) -> list[Tensor]:
    """What `fn` returns: finite, and of the shapes that it returned at first."""
    outputs = _tensors(fn(*leaves))
    if not outputs:
        raise GradcheckError("gradcheck: fn returned no Tensor, so there is nothing to check")
    for y in outputs:
        if not np.isfinite(y.data).all():
            raise GradcheckError(
                f"gradcheck: {describe(y)} holds NaN or inf, which has no difference; "
                "try other inputs"
            )
    shapes = [y.shape for y in outputs]
    expected = [y.shape for y in first or outputs]
    if shapes != expected:
        raise GradcheckError(
            f"gradcheck: fn returned Tensors of the shapes {expected} at first, and {shapes} "
            "later; it must return the same ones"
        )
    return outputs


def _require_same(first: Sequence[Tensor], later: Sequence[Tensor]) -> None:
    for a, b in zip(first, later, strict=True):
        if not np.array_equal(a.data, b.data):
            raise GradcheckError(
                "gradcheck: fn gave two results for the same inputs; fix the seed of what it draws"
            )


def _random_cotangents(outputs: Sequence[Tensor]) -> list[Array]:
    rng = np.random.default_rng(0)
    return [rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1.0, 1.0], y.shape) for y in outputs]


def _size(outputs: Sequence[Tensor], cotangents: Sequence[Array]) -> float:
    """How large the sum of all weighted outputs may be: its rounding error is a share of that."""
    sizes = [float(np.abs(c * y.data).sum()) for c, y in zip(cotangents, outputs, strict=True)]
    return max(1.0, sum(sizes))


def _vjp(
    outputs: Sequence[Tensor], checked: Sequence[Tensor], cotangents: Sequence[Array]
) -> list[Array]:
    """Σ over outputs of the vector-Jacobian products, one array per checked input."""
    totals = [np.zeros(leaf.shape) for leaf in checked]
    for y, cotangent in zip(outputs, cotangents, strict=True):
        if y.requires_grad:
            terms = grad(y, checked, cotangent)
            totals = [total + term.data for total, term in zip(totals, terms, strict=True)]
    return totals


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
    """Other values in the same leaves, which functions that close over them see too."""
    before = [leaf.data for leaf in leaves]
    try:
        for leaf, array in zip(leaves, arrays, strict=True):
            array.flags.writeable = False
            leaf._data = array
        yield
    finally:
        for leaf, array in zip(leaves, before, strict=True):
            leaf._data = array
