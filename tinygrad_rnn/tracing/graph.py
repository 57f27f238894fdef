"""The recorded graph, as plain data: one `Node` per tensor, inputs before outputs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One tensor of a recorded run, and the op that made it (`op is None`: a leaf)."""

    id: int
    op: str | None
    inputs: tuple["Node", ...]
    data: np.ndarray
    name: str | None
    requires_grad: bool
    options: Mapping[str, object]  # the op's non-differentiable arguments: axis, index …

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape
