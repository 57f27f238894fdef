"""Several results as the one root of a graph."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from ...autograd.op import Op, op
from ..recording.graph import Node


def _part(i: int, g: Any, y: Any, inputs: Sequence[Any]) -> Any:
    start = sum(x.size for x in inputs[:i])
    return g[start : start + inputs[i].size].reshape(inputs[i].shape)


@op(_part, variadic=True, kind="move")
def results(xs: Sequence[Any]) -> Any:
    """Several results, their elements in one row; x̄ᵢ = its part of ȳ, in its shape."""
    return np.concatenate([np.ravel(x) for x in xs])


_RESULTS: Op = cast(Any, results).op


def results_of(root: Node) -> tuple[Node, ...]:
    """What a graph leads to: one result, or those that `results` put together."""
    if root.rule is not _RESULTS:
        return (root,)
    return tuple(root.tensors())
