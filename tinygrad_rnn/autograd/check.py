"""Is a gradient true? Central differences, and the first op that makes a NaN: public, because they are a lesson."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import AnomalyError, GradcheckError
from .backward import grad
from .op import Op
from .scope import Observer, no_grad, observed, user_line
from .tensor import Array, Tensor, describe

_FLOAT32_RTOL = 1e-3


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One element whose gradient is wrong."""

    op: str  # the op that made the output
    input: str
    index: tuple[int, ...]
    analytic: float
    numeric: float

    def __str__(self) -> str:
        where = f"{self.input}[{', '.join(map(str, self.index))}]"
        return (
            f"{self.op}: gradient at {where}: {self.analytic:.9g} from backward, {self.numeric:.9g} expected"
        )


def gradcheck(
    fn: Callable[..., Any],
    inputs: Tensor | Sequence[Tensor],
    rtol: float = 1e-6,
    atol: float | None = None,
    *,
    float32: bool = False,
) -> bool:
    """Compare the gradients of `fn(*inputs)` with central differences: ∂f/∂x ≈ (f(x + h) - f(x - h)) / 2h.

    The outputs are weighted with random, non-uniform cotangents, since a plain sum hides errors (of a softmax, say).
    The step is h = 6e-6 max(1, |x|), about the cube root of the rounding error: there the errors of truncation and
    of rounding are least together.

    Args:
        fn: returns a Tensor, or several; it is called many times, so it must be deterministic.
        inputs: leaf Tensors; those that require a gradient are checked, and must be float64.
        rtol: relative tolerance.
        atol: absolute tolerance; by default 1e-9 times the size of the outputs (at least 1).
        float32: allow float32 inputs; their gradient is compared with the float64 one, to 1e-3 of the output's size.

    Returns:
        True.

    Raises:
        GradcheckError: a gradient is wrong, and `report` lists every `Mismatch`; or something cannot be checked.

    >>> x = Tensor([0.5, -1.0], requires_grad=True)
    >>> gradcheck(lambda x: x * x, x)
    True
    """
    leaves = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    checked = _checkable(leaves, float32)
    outputs = _outputs(fn, leaves)
    cotangents = _random_cotangents(outputs)
    size = max(1.0, sum(float(np.abs(c * y.data).sum()) for c, y in zip(cotangents, outputs, strict=True)))
    analytic = _analytic(outputs, checked, cotangents)
    if any(leaf.dtype == np.float32 for leaf in checked):
        rtol, atol = max(rtol, _FLOAT32_RTOL), _FLOAT32_RTOL * size if atol is None else atol
        with _rebound(checked, [leaf.data.astype(np.float64) for leaf in checked]):
            expected = _analytic(_outputs(fn, leaves), checked, cotangents)
    else:
        atol = 1e-9 * size if atol is None else atol
        expected = [_central_difference(fn, leaves, leaf, cotangents) for leaf in checked]
    names = [leaf.name or f"input {i}" for i, leaf in enumerate(leaves) if leaf.requires_grad]
    report = [
        Mismatch(
            outputs[0].op.name if outputs[0].op else "leaf", name, index, float(a[index]), float(e[index])
        )
        for name, a, e in zip(names, analytic, expected, strict=True)
        for index in map(tuple, np.argwhere(~np.isclose(a, e, rtol=rtol, atol=atol, equal_nan=True)).tolist())
    ]
    if report:
        shown = "\n  ".join(map(str, report[:5]))
        more = f"\n  … and {len(report) - 5} more" if len(report) > 5 else ""
        raise GradcheckError(
            f"{len(report)} wrong (rtol {rtol:g}, atol {atol:.3g}):\n  {shown}{more}", report
        )
    return True


def gradgradcheck(
    fn: Callable[..., Any], inputs: Tensor | Sequence[Tensor], rtol: float = 1e-6, atol: float | None = None
) -> bool:
    """Compare second derivatives with central differences of the gradient: `gradcheck` of `grad(fn)`.

    The gradient is checked as a function of the inputs and of the cotangent. Arguments, result and errors are those
    of `gradcheck`; float64 only.
    """
    leaves = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    checked = _checkable(leaves, float32=False)
    outputs = _outputs(fn, leaves)
    seeds = [
        Tensor(c, requires_grad=True, name=f"cotangent {i}")
        for i, c in enumerate(_random_cotangents(outputs))
    ]

    def gradient(*_: Tensor) -> list[Tensor]:
        weighted = [(y * v).sum() for y, v in zip(_outputs(fn, leaves), seeds, strict=True)]
        total = weighted[0]
        for term in weighted[1:]:
            total = total + term
        return grad(total, checked, create_graph=True)

    return gradcheck(gradient, [*leaves, *seeds], rtol, atol)


def _checkable(leaves: Sequence[Any], float32: bool) -> list[Tensor]:
    checked = [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.requires_grad]
    if not checked:
        raise GradcheckError("gradcheck: no input requires a gradient; make them with requires_grad=True")
    for leaf in checked:
        if leaf.op is not None:
            raise GradcheckError(
                f"gradcheck: {describe(leaf)} is no leaf; detach() it and require a gradient"
            )
        if leaf.dtype != np.float64 and not (float32 and leaf.dtype == np.float32):
            raise GradcheckError(
                f"gradcheck: {describe(leaf)}: central differences need float64; convert it, or pass float32=True to "
                "compare a float32 gradient with the float64 one"
            )
    return checked


def _outputs(fn: Callable[..., Any], leaves: Sequence[Tensor]) -> list[Tensor]:
    result = fn(*leaves)
    outputs = [result] if isinstance(result, Tensor) else list(result)
    for y in outputs:
        if not isinstance(y, Tensor):
            raise GradcheckError(f"gradcheck: fn must return Tensors, got {type(y).__name__}")
    return outputs


def _random_cotangents(outputs: Sequence[Tensor]) -> list[Array]:
    rng = np.random.default_rng(0)
    return [rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1.0, 1.0], y.shape) for y in outputs]


def _analytic(
    outputs: Sequence[Tensor], checked: Sequence[Tensor], cotangents: Sequence[Array]
) -> list[Array]:
    """Σ over outputs of the vector-Jacobian products, one array per checked input."""
    totals = [np.zeros(leaf.shape) for leaf in checked]
    for y, cotangent in zip(outputs, cotangents, strict=True):
        if y.requires_grad:
            gradients = grad(y, checked, gradient=cotangent)
            totals = [total + g.data for total, g in zip(totals, gradients, strict=True)]
    return totals


def _central_difference(
    fn: Callable[..., Any], leaves: Sequence[Tensor], leaf: Tensor, cotangents: Sequence[Array]
) -> Array:
    """∂/∂leaf of Σ cotangent · output, element by element."""
    result = np.zeros(leaf.shape)
    at = leaf.data
    for index in np.ndindex(leaf.shape):
        h = 6e-6 * max(1.0, abs(float(at[index])))
        ends: list[list[Array]] = []
        for step in (h, -h):
            moved = at.copy()
            moved[index] += step
            with _rebound([leaf], [moved]):
                ends.append([y.data for y in _outputs(fn, leaves)])
        result[index] = sum(
            float(np.sum(c * (above - below))) / (2 * h)
            for c, above, below in zip(cotangents, *ends, strict=True)
        )
    return result


@contextmanager
def _rebound(leaves: Sequence[Tensor], arrays: Sequence[Array]) -> Iterator[None]:
    """Other values in the same leaves, so that functions that close over them see these too."""
    before = [leaf._data for leaf in leaves]
    try:
        for leaf, array in zip(leaves, arrays, strict=True):
            array.setflags(False)
            leaf._data = array
        yield
    finally:
        for leaf, array in zip(leaves, before, strict=True):
            leaf._data = array


class _AnomalyObserver(Observer):
    """Raises at the first NaN or inf that finite numbers made."""

    def __init__(self) -> None:
        self.made_at: dict[int, str] = {}

    def forward(self, output: Tensor, op: Op, inputs: Any, arrays: Any, options: Any) -> None:
        line = self.made_at[output.id] = user_line()
        if _finite(arrays) and not _finite([output.data]):
            raise AnomalyError(_anomaly(op.name, "forward", output.data, arrays, line))

    def vjp(self, node: Tensor, slot: int, cotangent: Any, contribution: Any) -> None:
        op = node.op
        assert op is not None
        if contribution is None:
            contribution = op.vjps[slot](cotangent, node.data, *node.arrays, **node.options)
        values = [np.asarray(contribution)]
        if _finite([*node.arrays, cotangent]) and not _finite(values):
            line = self.made_at.get(node.id, "an unrecorded line")
            raise AnomalyError(_anomaly(op.name, f"backward, input {slot}", values[0], node.arrays, line))


def detect_anomaly() -> Any:
    """Within this block, raise AnomalyError at the first op that makes a NaN or inf out of finite numbers.

    Forward and backward; the error names the op, the element, the operands' values there, and the line of the user's
    code that called the op. Each op costs a check of all its values.

    >>> with detect_anomaly():
    ...     Tensor([1.0, 0.0]).__truediv__(0.0)
    Traceback (most recent call last):
    ...
    tinygrad_rnn.errors.AnomalyError: div (forward) made inf ...
    """
    return observed(_AnomalyObserver())


def _finite(arrays: Sequence[Any]) -> bool:
    return all(np.isfinite(a).all() for a in map(np.asarray, arrays) if a.dtype.kind == "f")


def _anomaly(op: str, phase: str, made: Array, operands: Sequence[Any], line: str) -> str:
    index = tuple(np.argwhere(~np.isfinite(made))[0].tolist())
    values = ", ".join(_value_at(np.asarray(a), index, made.shape) for a in operands)
    return f"{op} ({phase}) made {made[index]} at index {list(index)} of shape {made.shape} from {values}, at {line}"


def _value_at(operand: Array, index: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """The operand's element that broadcast to this one; where there is no such thing, its range."""
    try:
        return f"{np.broadcast_to(operand, shape)[index]:.6g}"
    except ValueError:
        low, high = (operand.min(), operand.max()) if operand.size else (0, 0)
        return f"{operand.dtype} {operand.shape} in [{low:.6g}, {high:.6g}]"
