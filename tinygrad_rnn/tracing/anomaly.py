"""An observer that looks for the first op that makes a NaN or inf out of finite numbers."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from ..autograd.op import Op
from ..autograd.switches import observed
from ..autograd.tensor import Array, Tensor
from ..errors import AnomalyError
from .recording.source import Source


def detect_anomaly() -> AbstractContextManager[None]:
    """In this block, raise AnomalyError at the first op that makes a NaN or inf of finite numbers.

    Forward and backward; the error names the op, the element, the operands' values there, and the
    line of the user's code that called the op. Each op costs a check of all its values.

    >>> import tinygrad_rnn as tg
    >>> with tg.detect_anomaly():
    ...     tg.tensor([1.0, 0.0]) / 0.0  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    tinygrad_rnn.errors.AnomalyError: div (forward) made inf at index [0] of shape (2,) from ...
    """
    return observed(_Detector().observe)


class _Detector:
    """Remembers the line that made each tensor, for the backward pass to name it."""

    def __init__(self) -> None:
        self.made_at: dict[int, Source] = {}

    def observe(self, kind: str, *facts: Any) -> None:
        if kind == "forward":
            self.forward(*facts)
        elif kind == "vjp":
            self.vjp(*facts)

    def forward(
        self, output: Tensor, op: Op, _inputs: Any, arrays: Sequence[Any], _options: Any
    ) -> None:
        line = self.made_at[output.id] = Source.of_caller()
        _check(op, "forward", output.data, arrays, line)

    def vjp(self, node: Tensor, slot: int, cotangent: Any, contribution: Any) -> None:
        op = node.op
        assert op is not None
        if contribution is None:  # summed with others later: this term alone, then
            contribution = op.vjp(slot, cotangent, node.data, node.arrays, node.options)
        line = self.made_at.get(node.id, "a line before detect_anomaly()")
        _check(
            op, f"backward, input {slot}", np.asarray(contribution), node.arrays, line, cotangent
        )


def _check(
    op: Op, phase: str, made: Array, operands: Sequence[Any], line: object, *seen: Any
) -> None:
    if _finite(made) or not all(map(_finite, [*operands, *seen])):
        return
    index = tuple(np.argwhere(~np.isfinite(made))[0].tolist())
    values = ", ".join(_value_at(np.asarray(operand), index, made.shape) for operand in operands)
    where = f"{made[index]} at index {list(index)} of shape {made.shape}"
    raise AnomalyError(f"{op.name} ({phase}) made {where} from {values}, at {line}")


def _finite(values: Any) -> bool:
    return bool(np.isfinite(np.asarray(values)).all())


def _value_at(operand: Array, index: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """The operand's element that broadcast to this one; where there is no such thing, its range."""
    try:
        return f"{np.broadcast_to(operand, shape)[index]:.6g}"
    except ValueError:
        low, high = (operand.min(), operand.max()) if operand.size else (0, 0)
        return f"{operand.dtype} {operand.shape} in [{low:.6g}, {high:.6g}]"
