"""First values of parameters."""

import math
from typing import Any

import numpy as np

from .module import Parameter

RandomState = np.random.Generator | int | None


def uniform(rng: np.random.Generator, shape: tuple[int, ...], fan: int, dtype: Any) -> Parameter:
    """U(-1/√fan, 1/√fan), as torch.nn initialises its linear and recurrent layers."""
    bound = 1 / math.sqrt(fan) if fan else 0.0
    return Parameter(rng.uniform(-bound, bound, shape), dtype=dtype)
