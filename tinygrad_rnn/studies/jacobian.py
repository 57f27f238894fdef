"""How much one step of a network depends on another, measured by the engine."""

from collections.abc import Sequence

import numpy as np

from ..autograd.backward import grad
from ..autograd.tensor import Array, Tensor


def norms(output: Tensor, inputs: Sequence[Tensor]) -> list[float]:
    """‖∂output/∂input‖, the largest singular value, for each input.

    Every tensor is (N, ·), and its N rows must be copies of one computation, N the output's width:
    then one backward pass, with row i asking for output i, gives all rows of each Jacobian.
    """
    return [float(np.linalg.norm(jacobian, 2)) for jacobian in jacobians(output, inputs)]


def jacobians(output: Tensor, inputs: Sequence[Tensor]) -> list[Array]:
    """∂output/∂input, for each input; see `norms`."""
    return [found.data for found in grad(output, inputs, gradient=np.eye(len(output)))]
