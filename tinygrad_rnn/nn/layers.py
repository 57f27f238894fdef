"""Layers without a memory."""

from typing import Any

import numpy as np

from ..autograd import ops
from ..autograd.op import op
from ..autograd.tensor import Tensor
from ..errors import OpError
from .init import RandomState, by_fan
from .module import Module, Parameter


class Linear(Module):
    """y = x Wᵀ + b, on the last axis: x (…, in_features), y (…, out_features).

    Parameters: weight (out_features, in_features), bias (out_features), from U(±1/√in_features).
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: Any = np.float64,
        rng: RandomState = None,
    ) -> None:
        generator = np.random.default_rng(rng)
        self.weight = by_fan(generator, (out_features, in_features), in_features, dtype)
        self.bias = by_fan(generator, (out_features,), in_features, dtype) if bias else None

    @property
    def config(self) -> dict[str, Any]:
        """The arguments that make another like this one."""
        outputs, inputs = self.weight.shape
        return {
            "in_features": inputs,
            "out_features": outputs,
            "bias": self.bias is not None,
            "dtype": str(self.weight.dtype),
        }

    def forward(self, x: Tensor) -> Tensor:
        y = ops.linear(x, self.weight)
        return y if self.bias is None else y + self.bias


class Embedding(Module):
    """A vector for each of `num_embeddings` symbols: index (…) of integers to (…, embedding_dim).

    Parameter: weight (num_embeddings, embedding_dim), from N(0, 1) as torch's.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        dtype: Any = np.float64,
        rng: RandomState = None,
    ) -> None:
        generator = np.random.default_rng(rng)
        self.weight = Parameter(
            generator.standard_normal((num_embeddings, embedding_dim)), dtype=dtype
        )

    @property
    def config(self) -> dict[str, Any]:
        """The arguments that make another like this one."""
        symbols, size = self.weight.shape
        return {"num_embeddings": symbols, "embedding_dim": size, "dtype": str(self.weight.dtype)}

    def forward(self, index: Any) -> Tensor:
        return ops.embedding(self.weight, index)


class Dropout(Module):
    """In training, zero each element with probability p, scale the others by 1/(1 - p).

    In evaluation, the identity.
    """

    def __init__(self, p: float = 0.5, *, rng: RandomState = None) -> None:
        if not 0 <= p < 1:
            raise OpError(f"Dropout: p must be at least 0 and below 1, got {p}")
        self.p = p
        self.rng = np.random.default_rng(rng)

    @property
    def config(self) -> dict[str, Any]:
        """The arguments that make another like this one."""
        return {"p": self.p}

    def forward(self, x: Tensor) -> Tensor:
        return drop(x, self.p, self.rng) if self.training else x


def drop(x: Tensor, p: float, rng: "np.random.Generator") -> Tensor:
    """Zero each element with probability p, scale the others by 1/(1 - p): the mean stays."""
    return x if p == 0 else x * dropout_mask(x.shape, x.dtype, p, rng)


@op()
def dropout_mask(shape: tuple[int, ...], dtype: Any, p: float, rng: "np.random.Generator"):
    """0 with probability p, else 1/(1 - p).

    An op, though it has no inputs, so that a replay draws it anew.
    """
    return ((rng.random(shape) >= p) / (1 - p)).astype(dtype)


class Sequential(Module):
    """Modules in a row, each fed what the one before returned.

    Of a tuple (ys, state) the first element is passed on.

    `Sequential(RNN(…), RNN(…))` is one recurrent network fed to another.
    """

    def __init__(self, *modules: Module) -> None:
        for i, module in enumerate(modules):
            if not isinstance(module, Module):
                raise TypeError(f"Sequential: element {i} is no Module but {type(module).__name__}")
            setattr(self, str(i), module)

    def __iter__(self) -> Any:
        return (module for _, module in self._members())

    def __len__(self) -> int:
        return len(list(self._members()))

    def __getitem__(self, index: int) -> Module:
        return list(self)[index]

    def forward(self, x: Any) -> Any:
        for module in self:
            x = module(x[0] if isinstance(x, tuple) else x)
        return x
