"""The optimisers: the settings of each, and how it moves a parameter."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ...autograd.tensor import Array, Tensor
from ...errors import OpError
from .optimizer import Optimizer, State

Settings = Mapping[str, Any]


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum: v ← μ v + (1 - dampening) g, p ← p - lr v.

    The first v is g. With `nesterov`, g + μ v takes the place of v. As torch.optim.SGD.

    Args:
        params: parameters, or groups of them; see `Optimizer`.
        lr: the learning rate.
        momentum: μ.
        dampening: the share of each new g that v leaves out.
        weight_decay: λ; λ p is added to g first.
        nesterov: take Nesterov's momentum; it needs a momentum and no dampening.
        maximize: go up the gradient, not down.

    Raises:
        OpError: settings that make no sense, or parameters that cannot be trained.

    Source: Sutskever et al., On the importance of initialization and momentum in deep learning
    (2013).
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
            maximize=maximize,
        )

    def checked(self, given: Settings) -> dict[str, Any]:
        settings = super().checked(given)
        if settings["nesterov"] and (settings["momentum"] == 0 or settings["dampening"] != 0):
            raise OpError(
                "SGD: nesterov needs a momentum and no dampening, "
                f"got momentum={settings['momentum']}, dampening={settings['dampening']}"
            )
        return settings

    def entries(self, settings: Settings) -> tuple[str, ...]:
        return ("velocity",) if settings["momentum"] else ()

    def update(self, gradient: Array, data: Array, state: State, settings: Settings) -> Array:
        lr, momentum = settings["lr"], settings["momentum"]
        if not momentum:
            return lr * gradient
        velocity = gradient
        if "velocity" in state:
            velocity = momentum * state["velocity"] + (1 - settings["dampening"]) * gradient
        state["velocity"] = velocity
        if settings["nesterov"]:
            return lr * (gradient + momentum * velocity)
        return lr * velocity


class Adagrad(Optimizer):
    """Adagrad: s ← s + g², p ← p - lr / (1 + (t - 1) lr_decay) · g / (√s + eps).

    t counts the steps from 1. As torch.optim.Adagrad.

    Args:
        params: parameters, or groups of them; see `Optimizer`.
        lr: the learning rate.
        lr_decay: how fast the rate falls with t.
        weight_decay: λ; λ p is added to g first.
        initial_accumulator_value: the first s.
        eps: keeps the denominator above 0.
        maximize: go up the gradient, not down.

    Raises:
        OpError: settings that make no sense, or parameters that cannot be trained.

    Source: Duchi, Hazan, Singer, Adaptive Subgradient Methods, JMLR 12 (2011).
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            lr_decay=lr_decay,
            weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value,
            eps=eps,
            maximize=maximize,
        )

    def entries(self, settings: Settings) -> tuple[str, ...]:
        return ("step", "sum")

    def update(self, gradient: Array, data: Array, state: State, settings: Settings) -> Array:
        state["step"] = state.get("step", 0) + 1
        before = state.get("sum", settings["initial_accumulator_value"])
        state["sum"] = before + gradient * gradient
        lr = settings["lr"] / (1 + (state["step"] - 1) * settings["lr_decay"])
        return lr * gradient / (np.sqrt(state["sum"]) + settings["eps"])


class RMSprop(Optimizer):
    """RMSprop: s ← α s + (1 - α) g², p ← p - lr g / (√s + eps), as torch.optim.RMSprop.

    With `centered`, s less the square of the mean gradient; with `momentum`,
    v ← μ v + g / (√s + eps), p ← p - lr v.

    Args:
        params: parameters, or groups of them; see `Optimizer`.
        lr: the learning rate.
        alpha: α, the share of s that a step keeps.
        eps: keeps the denominator above 0.
        weight_decay: λ; λ p is added to g first.
        momentum: μ.
        centered: divide by the deviation of g, not by its size.
        maximize: go up the gradient, not down.

    Raises:
        OpError: settings that make no sense, or parameters that cannot be trained.

    Source: Tieleman, Hinton, Lecture 6.5 of Neural Networks for Machine Learning (2012); Graves,
    Generating Sequences With Recurrent Neural Networks (2013) for the centered variant.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            alpha=alpha,
            eps=eps,
            weight_decay=weight_decay,
            momentum=momentum,
            centered=centered,
            maximize=maximize,
        )

    def entries(self, settings: Settings) -> tuple[str, ...]:
        names = ["square"]
        if settings["centered"]:
            names.append("mean")
        if settings["momentum"]:
            names.append("velocity")
        return tuple(names)

    def update(self, gradient: Array, data: Array, state: State, settings: Settings) -> Array:
        alpha, momentum = settings["alpha"], settings["momentum"]
        square = _average(state, "square", gradient * gradient, alpha)
        if settings["centered"]:
            square = square - _average(state, "mean", gradient, alpha) ** 2
        move = gradient / (np.sqrt(square) + settings["eps"])
        if momentum:
            move = momentum * state.get("velocity", 0.0) + move
            state["velocity"] = move
        return settings["lr"] * move


class Adam(Optimizer):
    """Adam: p ← p - lr m̂ / (√v̂ + eps), as torch.optim.Adam.

    m and v are running averages of g and g², and m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ). With
    `amsgrad`, the largest v so far takes the place of v.

    Args:
        params: parameters, or groups of them; see `Optimizer`.
        lr: the learning rate.
        betas: (β₁, β₂), the shares of m and of v that a step keeps.
        eps: keeps the denominator above 0.
        weight_decay: λ; λ p is added to g first.
        amsgrad: divide by the largest v so far.
        maximize: go up the gradient, not down.

    Raises:
        OpError: settings that make no sense, or parameters that cannot be trained.

    Source: Kingma, Ba, Adam: A Method for Stochastic Optimization (2015); Reddi, Kale, Kumar, On
    the Convergence of Adam and Beyond (2018).
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            amsgrad=amsgrad,
            maximize=maximize,
        )

    def entries(self, settings: Settings) -> tuple[str, ...]:
        always = ("step", "mean", "square")
        return (*always, "largest") if settings["amsgrad"] else always

    def update(self, gradient: Array, data: Array, state: State, settings: Settings) -> Array:
        step = state["step"] = state.get("step", 0) + 1
        beta1, beta2 = settings["betas"]
        mean = _average(state, "mean", gradient, beta1)
        square = _average(state, "square", gradient * gradient, beta2)
        if settings["amsgrad"]:
            square = np.maximum(state.get("largest", square), square)
            state["largest"] = square
        spread = np.sqrt(square) / math.sqrt(1 - beta2**step) + settings["eps"]
        return settings["lr"] / (1 - beta1**step) * mean / spread


class AdamW(Adam):
    """Adam with the decay taken from the parameter: p ← (1 - lr · weight_decay) p first.

    Adam adds the decay to the gradient. As torch.optim.AdamW.

    Args:
        params: parameters, or groups of them; see `Optimizer`.
        lr: the learning rate.
        betas: (β₁, β₂), the shares of m and of v that a step keeps.
        eps: keeps the denominator above 0.
        weight_decay: the share of p, times lr, that a step takes away.
        amsgrad: divide by the largest v so far.
        maximize: go up the gradient, not down.

    Raises:
        OpError: settings that make no sense, or parameters that cannot be trained.

    Source: Loshchilov, Hutter, Decoupled Weight Decay Regularization (2019).
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)

    def decayed(self, gradient: Array, data: Array, settings: Settings) -> Array:
        return gradient

    def update(self, gradient: Array, data: Array, state: State, settings: Settings) -> Array:
        decay = settings["lr"] * settings["weight_decay"] * data
        return decay + super().update(gradient, data, state, settings)


def _average(state: State, key: str, value: Array, keep: float) -> Array:
    """The running average of `value` under `key`, which begins at 0."""
    state[key] = keep * state.get(key, 0.0) + (1 - keep) * value
    return state[key]


KINDS: dict[str, type[Optimizer]] = {
    kind.__name__: kind for kind in (SGD, Adagrad, RMSprop, Adam, AdamW)
}


def check_step(kind: str, data: Array, state: State, settings: Settings) -> None:
    """Refuse what no step of an optimiser of this package begins with.

    Raises:
        OpError: there is no such optimiser, or the settings make no sense.
        StateDictError: no step can have left such a state.
    """
    if kind not in KINDS:
        raise OpError(f"there is no optimiser {kind!r:.40}")
    leaf = Tensor(data, requires_grad=True)
    group = {"params": [0], **settings}
    KINDS[kind]([leaf]).load_state_dict({"param_groups": [group], "state": [state]})


def moved_again(kind: str, gradient: Array, data: Array, state: State, settings: Settings) -> Array:
    """What a step of an optimiser of this package makes of a parameter; `state` goes on."""
    optimizer = KINDS[kind].__new__(KINDS[kind])  # a step asks nothing of its own settings
    return optimizer.moved(gradient, data, state, settings)
