"""First values of parameters: each function binds a parameter's data to new ones, in its dtype.

A matrix of several gates on top of each other (4H rows for an LSTM) is `blocks` matrices, filled
one by one.

>>> import tinygrad_rnn as tg
>>> cell = tg.nn.RNNCell(2, 3, nonlinearity="relu")
>>> tg.nn.init.eye_(cell.W_hh)  # Le, Jaitly, Hinton (2015): it starts by remembering
>>> cell.W_hh.data.tolist()
[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
"""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from ..autograd.tensor import Array, Tensor
from ..errors import OpError
from .module import Parameter

# Quoted: numpy.random is slow to import.
RandomState: TypeAlias = "np.random.Generator | int | None"


def uniform_(
    parameter: Tensor, low: float = 0.0, high: float = 1.0, *, rng: RandomState = None
) -> None:
    """Draw each element from U(low, high).

    Args:
        parameter: whose data is bound to new values.
        low: the least value.
        high: the bound above.
        rng: a Generator, a seed or None.
    """
    drawn = np.random.default_rng(rng).uniform(low, high, parameter.shape)
    parameter.data = drawn.astype(parameter.dtype)


def xavier_uniform_(
    parameter: Tensor, gain: float = 1.0, *, blocks: int = 1, rng: RandomState = None
) -> None:
    """Draw from U(-a, a), a = gain √(6 / (rows + columns)): variances neither grow nor shrink.

    Args:
        parameter: whose data is bound to new values.
        gain: a factor.
        blocks: how many equal matrices stand on top of each other in it; each is drawn by itself.
        rng: a Generator, a seed or None.

    Raises:
        OpError: it is not a matrix of so many equal blocks.

    Source: Glorot, Bengio, Understanding the difficulty of training deep feedforward neural
    networks (2010), eq. 16.
    """
    generator = np.random.default_rng(rng)

    def fill(rows: int, columns: int) -> Array:
        bound = gain * math.sqrt(6 / (rows + columns))
        return generator.uniform(-bound, bound, (rows, columns))

    _fill_blocks("xavier_uniform_", parameter, blocks, fill)


def xavier_normal_(
    parameter: Tensor, gain: float = 1.0, *, blocks: int = 1, rng: RandomState = None
) -> None:
    """Draw from N(0, σ²), σ = gain √(2 / (rows + columns)).

    Arguments, errors and source are those of `xavier_uniform_`.
    """
    generator = np.random.default_rng(rng)

    def fill(rows: int, columns: int) -> Array:
        return generator.normal(0.0, gain * math.sqrt(2 / (rows + columns)), (rows, columns))

    _fill_blocks("xavier_normal_", parameter, blocks, fill)


def orthogonal_(
    parameter: Tensor, gain: float = 1.0, *, blocks: int = 1, rng: RandomState = None
) -> None:
    """A random matrix whose rows, or columns if they are fewer, are orthonormal, times `gain`.

    Args:
        parameter: whose data is bound to new values.
        gain: a factor.
        blocks: how many equal matrices stand on top of each other in it; each is drawn by itself.
        rng: a Generator, a seed or None.

    Raises:
        OpError: it is not a matrix of so many equal blocks.

    Source: Saxe, McClelland, Ganguli, Exact solutions to the nonlinear dynamics of learning in deep
    linear neural networks (2014).
    """
    generator = np.random.default_rng(rng)

    def fill(rows: int, columns: int) -> Array:
        drawn = generator.standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(drawn)
        # Signs from r make the distribution uniform over all such matrices.
        q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
        return gain * (q if rows >= columns else q.T)

    _fill_blocks("orthogonal_", parameter, blocks, fill)


def eye_(parameter: Tensor, gain: float = 1.0, *, blocks: int = 1) -> None:
    """The identity, times `gain`: at the start each unit keeps what it held.

    Args:
        parameter: whose data is bound to new values.
        gain: a factor.
        blocks: how many equal matrices stand on top of each other in it; each becomes the identity.

    Raises:
        OpError: it is not a matrix of so many equal blocks.

    Source: Le, Jaitly, Hinton, A Simple Way to Initialize Recurrent Networks of Rectified Linear
    Units (2015).
    """
    _fill_blocks("eye_", parameter, blocks, lambda rows, columns: gain * np.eye(rows, columns))


def _fill_blocks(
    name: str, parameter: Tensor, blocks: int, fill: Callable[[int, int], Array]
) -> None:
    shape = parameter.shape
    if len(shape) != 2 or blocks < 1 or shape[0] % blocks:
        raise OpError(
            f"{name}: needs a matrix whose rows make {blocks} equal blocks, got shape {shape}"
        )
    parts = [fill(shape[0] // blocks, shape[1]) for _ in range(blocks)]
    parameter.data = np.concatenate(parts).astype(parameter.dtype)


def by_fan(rng: "np.random.Generator", shape: tuple[int, ...], fan: int, dtype: Any) -> Parameter:
    """A parameter from U(±1/√fan), as torch.nn begins its linear and recurrent layers."""
    bound = 1 / math.sqrt(fan) if fan else 0.0
    return Parameter(rng.uniform(-bound, bound, shape), dtype=dtype)
