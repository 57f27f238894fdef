"""Layers without a memory."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd import ops
from ..autograd.op import op
from ..autograd.tensor import Tensor
from ..errors import OpError
from .arguments import fraction, natural, number, positive, switch
from .init import RandomState, by_fan
from .module import Module, Parameter


class Linear(Module):
    """y = x Wᵀ + b, on the last axis: x (…, in_features), y (…, out_features).

    Args:
        in_features: the length of the last axis of x.
        out_features: the length of the last axis of y.
        bias: whether b is added.
        dtype: of the parameters.
        rng: a Generator, a seed or None, for the first values.

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
        inputs = natural("Linear", "in_features", in_features)
        outputs = natural("Linear", "out_features", out_features)
        has_bias = switch("Linear", "bias", bias)
        generator = np.random.default_rng(rng)
        self.weight = by_fan(generator, (outputs, inputs), inputs, dtype)
        self.bias = by_fan(generator, (outputs,), inputs, dtype) if has_bias else None

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

    def extra_repr(self) -> str:
        outputs, inputs = self.weight.shape
        return f"in_features={inputs}, out_features={outputs}, bias={self.bias is not None}"

    def forward(self, x: Tensor) -> Tensor:
        if self.bias is None:
            return ops.linear(x, self.weight)
        return ops.linear(x, self.weight) + self.bias


class Embedding(Module):
    """A vector for each of `num_embeddings` symbols: index (…) of integers to (…, embedding_dim).

    Args:
        num_embeddings: how many symbols there are; an index is in 0..num_embeddings-1.
        embedding_dim: the length of a vector.
        dtype: of the parameter.
        rng: a Generator, a seed or None, for the first values.

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
        symbols = natural("Embedding", "num_embeddings", num_embeddings)
        size = natural("Embedding", "embedding_dim", embedding_dim)
        generator = np.random.default_rng(rng)
        self.weight = Parameter(generator.standard_normal((symbols, size)), dtype=dtype)

    @property
    def config(self) -> dict[str, Any]:
        """The arguments that make another like this one."""
        symbols, size = self.weight.shape
        return {"num_embeddings": symbols, "embedding_dim": size, "dtype": str(self.weight.dtype)}

    def extra_repr(self) -> str:
        symbols, size = self.weight.shape
        return f"{symbols}, {size}"

    def forward(self, index: Any) -> Tensor:
        return ops.embedding(self.weight, index)


class Dropout(Module):
    """In training, zero each element with probability p, scale the others by 1/(1 - p).

    In evaluation (`model.eval()`), the identity.

    Args:
        p: at least 0 and below 1.
        rng: a Generator, a seed or None, for the masks.

    Source: Srivastava et al., Dropout: A Simple Way to Prevent Neural Networks from Overfitting
    (2014).
    """

    def __init__(self, p: float = 0.5, *, rng: RandomState = None) -> None:
        self.p = fraction("Dropout", "p", p)
        self.rng = np.random.default_rng(rng)

    @property
    def config(self) -> dict[str, Any]:
        """The arguments that make another like this one."""
        return {"p": self.p}

    def extra_repr(self) -> str:
        return f"p={self.p}"

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


class LayerNorm(Module):
    """Each x over its last axes brought to mean 0 and variance 1, then scaled and shifted.

        y = (x - mean x) / √(var x + eps) ⊙ weight + bias

    The variance is that of the n values, not n - 1. As torch.nn.LayerNorm.

    Args:
        normalized_shape: the last axes of x, `(…, *normalized_shape)`; an integer for one axis.
        eps: keeps the root away from 0.
        elementwise_affine: whether there is a weight, and a bias.
        bias: whether there is a bias.
        dtype: of the parameters.

    Parameters: weight of ones and bias of zeros, both of normalized_shape.

    Raises:
        OpError: other arguments, or an x of other last axes.

    Source: Ba, Kiros, Hinton, Layer Normalization (2016).
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        dtype: Any = np.float64,
    ) -> None:
        name = "LayerNorm"
        given = normalized_shape
        sizes = given if isinstance(given, tuple | list) else (given,)
        shape = tuple([positive(name, "normalized_shape", size) for size in sizes])
        if not shape:
            raise OpError("LayerNorm: normalized_shape must have one axis at least, got ()")
        self.normalized_shape, self.eps = shape, number(name, "eps", eps)
        has_weight = switch(name, "elementwise_affine", elementwise_affine)
        has_bias = switch(name, "bias", bias) and has_weight
        self.weight = Parameter(np.ones(shape), dtype=dtype) if has_weight else None
        self.bias = Parameter(np.zeros(shape), dtype=dtype) if has_bias else None

    @property
    def config(self) -> dict[str, Any]:
        """The arguments that make another like this one."""
        return {
            "normalized_shape": list(self.normalized_shape),
            "eps": self.eps,
            "elementwise_affine": self.weight is not None,
            "bias": self.bias is not None,
            "dtype": "float64" if self.weight is None else str(self.weight.dtype),
        }

    def extra_repr(self) -> str:
        affine = self.weight is not None
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={affine}"

    def forward(self, x: Any) -> Tensor:
        x = x if isinstance(x, Tensor) else Tensor(x)
        count = len(self.normalized_shape)
        if x.shape[-count:] != self.normalized_shape:
            expected = ", ".join(map(str, self.normalized_shape))
            raise OpError(f"LayerNorm: x must be (…, {expected}), got shape {x.shape}")
        axes = tuple(range(-count, 0))
        moved = x - ops.mean(x, axes, keepdims=True)
        variance = ops.mean(moved * moved, axes, keepdims=True)
        y = moved / ops.sqrt(variance + self.eps)
        if self.weight is not None:
            y = y * self.weight
        return y if self.bias is None else y + self.bias


class Activation(Module):
    """A function of each number, as a module for `Sequential`."""

    @property
    def config(self) -> dict[str, Any]:
        """The arguments that make another like this one: none."""
        return {}


class Tanh(Activation):
    """y = tanh x, elementwise."""

    def forward(self, x: Any) -> Tensor:
        return ops.tanh(x)


class Sigmoid(Activation):
    """y = 1 / (1 + e^-x), elementwise."""

    def forward(self, x: Any) -> Tensor:
        return ops.sigmoid(x)


class ReLU(Activation):
    """y = max(x, 0), elementwise."""

    def forward(self, x: Any) -> Tensor:
        return ops.relu(x)


class Sequential(Module):
    """Modules in a row, each fed what the one before returned.

    Of a tuple (ys, state) the first element is passed on.

    `Sequential(RNN(…), RNN(…))` is one recurrent network fed to another.

    Args:
        modules: in the order in which they are called.
    """

    def __init__(self, *modules: Module) -> None:
        for i, module in enumerate(modules):
            if not isinstance(module, Module):
                raise TypeError(
                    f"Sequential: element {i} is not a Module but {type(module).__name__}"
                )
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
