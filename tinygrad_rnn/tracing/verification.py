"""One VJP against a central difference, on the very numbers of the run."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd.tensor import Array
from ..errors import TraceError
from .elements import Index, vjp_term
from .graph import Node, compute

_RTOL = {np.dtype(np.float64): 1e-6, np.dtype(np.float32): 1e-3}
_ELEMENTS = 64  # the largest of the term, which matter most


@dataclass(frozen=True, slots=True)
class VjpCheck:
    """How the term that an op handed back compares with the op's own central difference."""

    op: str
    slot: int
    checked: int
    size: int
    worst: float  # relative error
    index: Index
    analytic: float
    numeric: float
    rtol: float

    @property
    def passed(self) -> bool:
        return self.worst <= self.rtol


def check_vjp(of: Node, slot: int, cotangent: Array) -> VjpCheck:
    """Move each element of input `slot` a little, up and down, and see what Σ cotangent · output does.

    Raises:
        TraceError: the input holds no floats, or nothing at all.
    """
    x = np.asarray(of.operands[slot])
    if x.dtype.kind != "f" or not x.size or of.rule is None:
        raise TraceError(f"{of.op}: input {slot} is {x.dtype} {x.shape}: there is no slope to check")
    term = vjp_term(of, slot, cotangent).astype(np.float64)
    flat = np.argsort(-np.abs(term), axis=None)[:_ELEMENTS]
    scale = 1e-3 * max(1e-12, float(np.max(np.abs(term), initial=0.0)))
    worst: tuple[float, Index, float, float] = (-1.0, (0,) * x.ndim, 0.0, 0.0)
    for position in flat.tolist():
        index = tuple(int(i) for i in np.unravel_index(int(position), x.shape))
        numeric, analytic = _central_difference(of, slot, cotangent, index), float(term[index])
        error = abs(analytic - numeric) / max(abs(numeric), scale)
        if not error <= worst[0]:  # also for NaN
            worst = (error, index, analytic, numeric)
    return VjpCheck(of.op or "", slot, len(flat), x.size, *worst, rtol=_RTOL.get(x.dtype, 1e-3))


def _central_difference(of: Node, slot: int, cotangent: Array, index: Index) -> float:
    assert of.rule is not None
    operands: list[Any] = [_as_float64(a) for a in of.operands]
    h = 6e-6 * max(1.0, abs(float(operands[slot][index])))
    ends: list[Array] = []
    for step in (h, -h):
        moved = operands[slot].copy()
        moved[index] += step
        with np.errstate(all="ignore"):
            ends.append(np.asarray(compute(of.rule, [*operands[:slot], moved, *operands[slot + 1 :]], of.options)))
    return float(np.sum(cotangent * (ends[0] - ends[1]))) / (2 * h)


def _as_float64(operand: Any) -> Any:
    array = np.asarray(operand)
    return array.astype(np.float64) if array.dtype.kind == "f" else operand
