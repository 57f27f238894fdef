"""One VJP against a central difference, on the very numbers of the run."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...autograd.tensor import Array
from ...errors import TraceError
from ..recording.graph import Node, compute
from .replay import RTOL, as_float64, worst_element
from .terms import Index, vjp_term

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
    rule = of.rule
    if x.dtype.kind != "f" or not x.size or rule is None:
        raise TraceError(
            f"{of.op}: input {slot} is {x.dtype} {x.shape}: there is no slope to check"
        )
    term = vjp_term(of, slot, cotangent).astype(np.float64)
    flat = np.argsort(-np.abs(term), axis=None)[:_ELEMENTS]
    scale = 1e-3 * max(1e-12, float(np.max(np.abs(term), initial=0.0)))
    operands: list[Any] = [as_float64(np.asarray(a)) for a in of.operands]

    def output(moved: Array) -> Array:
        return compute(rule, [*operands[:slot], moved, *operands[slot + 1 :]], of.options)

    worst = worst_element(x, term, flat.tolist(), output, cotangent, scale)
    return VjpCheck(of.op or "", slot, len(flat), x.size, *worst, rtol=RTOL.get(x.dtype, 1e-3))
