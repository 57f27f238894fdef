"""Optimisers: they bind each parameter's data to new values, and never write into an array of a graph.

Arguments, defaults and arithmetic are those of torch.optim.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ..autograd.tensor import Array, Tensor
from ..errors import OpError, StateDictError

State = dict[str, Any]  # of one parameter: arrays of its shape, and the number of steps


class Optimizer:
    """What optimisers share: the parameters, the state kept for each, and the walk over those with a gradient.

    A subclass writes `update(gradient, data, state)`, which returns what to subtract from one
    parameter.
    """

    # What to subtract from one parameter, from its gradient, its values, and the state kept from
    # step to step.
    update: Callable[[Array, Array, State], Array]
    # Settings that must be in [0, 1); the others must not be negative.
    fractions: tuple[str, ...] = ()

    def __init__(self, params: Iterable[Tensor], **settings: Any) -> None:
        self.params = list(params)
        if not self.params:
            raise OpError(f"{type(self).__name__}: got no parameters (an exhausted iterator?)")
        self._check(settings)
        self.settings = settings
        self.state: list[State] = [{} for _ in self.params]

    @property
    def lr(self) -> float:
        """The learning rate; bind it to another between steps for a schedule."""
        return self.settings["lr"]

    @lr.setter
    def lr(self, value: float) -> None:
        self._check({"lr": value})
        self.settings["lr"] = value

    def zero_grad(self) -> None:
        """Forget every parameter's gradient."""
        for p in self.params:
            p.grad = None

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        for p, state in zip(self.params, self.state, strict=True):
            if p.grad is not None:
                gradient = -p.grad.data if self.settings["maximize"] else p.grad.data
                p.data = p.data - self.update(self._decayed(gradient, p.data), p.data, state)

    def _decayed(self, gradient: Array, data: Array) -> Array:
        """The gradient of L + weight_decay/2 ‖p‖²."""
        decay = self.settings["weight_decay"]
        return gradient + decay * data if decay else gradient

    def state_dict(self) -> dict[str, Any]:
        """Settings, and the state of each parameter by position."""
        return {"settings": dict(self.settings), "state": [dict(state) for state in self.state]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the optimiser of `state_dict()` was.

        Raises:
            StateDictError: the state is of another kind of optimiser, or of other parameters.
        """
        name = type(self).__name__
        settings, states = dict(state["settings"]), [dict(one) for one in state["state"]]
        if settings.keys() != self.settings.keys():
            raise StateDictError(
                f"load_state_dict: {name} has the settings {', '.join(self.settings)}"
            )
        if len(states) != len(self.params):
            raise StateDictError(
                f"load_state_dict: {name}: the state is of {len(states)} parameters, not of {len(self.params)}"
            )
        for i, (one, p) in enumerate(zip(states, self.params, strict=True)):
            wrong = {
                key: np.shape(value)
                for key, value in one.items()
                if np.shape(value) not in ((), p.shape)
            }
            if wrong:
                raise StateDictError(
                    f"load_state_dict: {name}: parameter {i} of shape {p.shape} cannot have {wrong}"
                )
        self._check(settings)
        self.settings, self.state = settings, states

    def _check(self, settings: Mapping[str, Any]) -> None:
        for name, value in settings.items():
            if not value >= 0 or (name in self.fractions and not value < 1):
                bounds = (
                    "be at least 0 and below 1" if name in self.fractions else "not be negative"
                )
                raise OpError(f"{type(self).__name__}: {name} must {bounds}, got {value}")


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum: v ← μ v + (1 - dampening) g, p ← p - lr v.

    The first v is g. With `nesterov`, g + μ v takes the place of v. As torch.optim.SGD.

    Source: Sutskever et al., On the importance of initialization and momentum in deep learning
        (2013).
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        if nesterov and (momentum <= 0 or dampening != 0):
            raise OpError(
                f"SGD: nesterov needs a momentum and no dampening, got momentum={momentum}, dampening={dampening}"
            )
        super().__init__(
            params,
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
            maximize=maximize,
        )

    def update(self, gradient: Array, data: Array, state: State) -> Array:
        momentum, fresh = self.settings["momentum"], 1 - self.settings["dampening"]
        if not momentum:
            return self.lr * gradient
        velocity = momentum * state["velocity"] + fresh * gradient if state else gradient
        state["velocity"] = velocity
        return self.lr * (gradient + momentum * velocity if self.settings["nesterov"] else velocity)


class Adagrad(Optimizer):
    """Adagrad: s ← s + g², p ← p - lr / (1 + (t - 1) lr_decay) · g / (√s + eps), as torch.optim.Adagrad.

    Source: Duchi, Hazan, Singer, Adaptive Subgradient Methods, JMLR 12 (2011).
    """

    def __init__(
        self,
        params: Iterable[Tensor],
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

    def update(self, gradient: Array, data: Array, state: State) -> Array:
        state["step"] = state.get("step", 0) + 1
        total = state["sum"] = (
            state.get("sum", self.settings["initial_accumulator_value"]) + gradient * gradient
        )
        lr = self.lr / (1 + (state["step"] - 1) * self.settings["lr_decay"])
        return lr * gradient / (np.sqrt(total) + self.settings["eps"])


class RMSprop(Optimizer):
    """RMSprop: s ← α s + (1 - α) g², p ← p - lr g / (√s + eps), as torch.optim.RMSprop.

    With `centered`, s less the square of the mean gradient; with `momentum`, v ← μ v + g / (√s +
    eps), p ← p - lr v.

    Source: Tieleman, Hinton, Lecture 6.5 of Neural Networks for Machine Learning (2012); Graves,
        Generating Sequences
    With Recurrent Neural Networks (2013) for the centered variant.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
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

    def update(self, gradient: Array, data: Array, state: State) -> Array:
        alpha, momentum = self.settings["alpha"], self.settings["momentum"]
        square = _average(state, "square", gradient * gradient, alpha)
        if self.settings["centered"]:
            square = square - _average(state, "mean", gradient, alpha) ** 2
        move = gradient / (np.sqrt(square) + self.settings["eps"])
        if momentum:
            move = state["velocity"] = momentum * state.get("velocity", 0.0) + move
        return self.lr * move


class Adam(Optimizer):
    """Adam: p ← p - lr m̂ / (√v̂ + eps), as torch.optim.Adam.

    m and v are running averages of g and g², and m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ). With
    `amsgrad`, the largest v so far takes the place of v.

    Source: Kingma, Ba, Adam: A Method for Stochastic Optimization (2015); Reddi, Kale, Kumar, On
        the Convergence of
    Adam and Beyond (2018).
    """

    fractions = ("beta1", "beta2")

    def __init__(
        self,
        params: Iterable[Tensor],
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
            beta1=betas[0],
            beta2=betas[1],
            eps=eps,
            weight_decay=weight_decay,
            amsgrad=amsgrad,
            maximize=maximize,
        )

    def update(self, gradient: Array, data: Array, state: State) -> Array:
        beta1, beta2 = self.settings["beta1"], self.settings["beta2"]
        step = state["step"] = state.get("step", 0) + 1
        mean = _average(state, "mean", gradient, beta1)
        square = _average(state, "square", gradient * gradient, beta2)
        if self.settings["amsgrad"]:
            square = state["largest"] = np.maximum(state.get("largest", square), square)
        spread = np.sqrt(square) / math.sqrt(1 - beta2**step) + self.settings["eps"]
        return self.lr / (1 - beta1**step) * mean / spread


class AdamW(Adam):
    """Adam with the decay taken from the parameter, not added to its gradient: p ← (1 - lr · weight_decay) p first.

    As torch.optim.AdamW. Source: Loshchilov, Hutter, Decoupled Weight Decay Regularization (2019).
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)

    def _decayed(self, gradient: Array, data: Array) -> Array:
        return gradient

    def update(self, gradient: Array, data: Array, state: State) -> Array:
        return self.lr * self.settings["weight_decay"] * data + super().update(
            gradient, data, state
        )


def _average(state: State, key: str, value: Array, keep: float) -> Array:
    """The running average of `value` under `key`, which begins at 0."""
    state[key] = keep * state.get(key, 0.0) + (1 - keep) * value
    return state[key]


KINDS: dict[str, Callable[..., Optimizer]] = {
    kind.__name__: kind for kind in (SGD, Adagrad, RMSprop, Adam, AdamW)
}
