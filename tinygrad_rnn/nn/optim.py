"""Optimisers: each binds a parameter's data to new values, and never writes into a graph's array.

Arguments, defaults and arithmetic are those of torch.optim.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, InitVar, dataclass, field, fields
from typing import Any

import numpy as np

from ..autograd.tensor import Array, Tensor
from ..errors import OpError, StateDictError

# Of one parameter: arrays of its shape, and the number of steps.
State = dict[str, Any]


class Optimizer:
    """What optimisers share: the parameters, the state of each, and the step over all of them.

    A subclass is a dataclass whose fields are its settings, and writes `update`. A setting may be
    bound to another value between steps: `optimizer.lr = 0.01` makes a schedule.
    """

    params: Any
    lr: float
    weight_decay: float
    maximize: bool
    # What to subtract from one parameter, from its gradient, its values, and its state.
    update: Callable[[Array, Array, State], Array]
    # Settings that must be in [0, 1); the others must not be negative.
    fractions: tuple[str, ...] = ()

    def __post_init__(self, params: Iterable[Tensor]) -> None:
        self.params = list(params)
        if not self.params:
            raise OpError(f"{type(self).__name__}: got no parameters (an exhausted iterator?)")
        self.state: list[State] = [{} for _ in self.params]

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments by name; Adam's betas apart."""
        return {setting.name: getattr(self, setting.name) for setting in fields(self)}  # type: ignore[arg-type]

    def zero_grad(self) -> None:
        """Forget every parameter's gradient."""
        for p in self.params:
            p.grad = None

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        for p, state in zip(self.params, self.state, strict=True):
            if p.grad is not None:
                gradient = -p.grad.data if self.maximize else p.grad.data
                p.data = p.data - self.update(self._decayed(gradient, p.data), p.data, state)

    def _decayed(self, gradient: Array, data: Array) -> Array:
        """The gradient of L + weight_decay/2 ‖p‖²."""
        if not self.weight_decay:
            return gradient
        return gradient + self.weight_decay * data

    def state_dict(self) -> dict[str, Any]:
        """Settings, and the state of each parameter by position."""
        return {"settings": self.settings, "state": [dict(state) for state in self.state]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the optimiser of `state_dict()` was.

        Raises:
            StateDictError: the state is of another kind of optimiser, or of other parameters.
        """
        owner = f"load_state_dict: {type(self).__name__}"
        settings, states = dict(state["settings"]), [dict(one) for one in state["state"]]
        if settings.keys() != self.settings.keys():
            raise StateDictError(f"{owner} has the settings {', '.join(self.settings)}")
        if len(states) != len(self.params):
            raise StateDictError(
                f"{owner}: the state is of {len(states)} parameters, not of {len(self.params)}"
            )
        for i, (one, p) in enumerate(zip(states, self.params, strict=True)):
            shapes = {key: np.shape(value) for key, value in one.items()}
            wrong = {key: shape for key, shape in shapes.items() if shape not in ((), p.shape)}
            if wrong:
                raise StateDictError(
                    f"{owner}: parameter {i} of shape {p.shape} cannot have {wrong}"
                )
        for name, value in settings.items():
            self._check(name, value)
        for name, value in settings.items():
            setattr(self, name, value)
        self.state = states

    def __setattr__(self, name: str, value: Any) -> None:
        if any(setting.name == name for setting in fields(self)):  # type: ignore[arg-type]
            self._check(name, value)
        super().__setattr__(name, value)

    def _check(self, name: str, value: float) -> None:
        if name not in self.fractions:
            fits, bounds = value >= 0, "not be negative"
        else:
            fits, bounds = 0 <= value < 1, "be at least 0 and below 1"
        if not fits:
            raise OpError(f"{type(self).__name__}: {name} must {bounds}, got {value}")


@dataclass(eq=False, repr=False)
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum: v ← μ v + (1 - dampening) g, p ← p - lr v.

    The first v is g. With `nesterov`, g + μ v takes the place of v. As torch.optim.SGD.

    Source: Sutskever et al., On the importance of initialization and momentum in deep learning
    (2013).
    """

    params: InitVar[Iterable[Tensor]]
    lr: float = 1e-3
    momentum: float = 0.0
    dampening: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False
    _: KW_ONLY
    maximize: bool = False

    def __post_init__(self, params: Iterable[Tensor]) -> None:
        if self.nesterov and (self.momentum <= 0 or self.dampening != 0):
            raise OpError(
                "SGD: nesterov needs a momentum and no dampening, "
                f"got momentum={self.momentum}, dampening={self.dampening}"
            )
        super().__post_init__(params)

    def update(self, gradient: Array, data: Array, state: State) -> Array:
        if not self.momentum:
            return self.lr * gradient
        velocity = gradient
        if state:
            velocity = self.momentum * state["velocity"] + (1 - self.dampening) * gradient
        state["velocity"] = velocity
        if self.nesterov:
            return self.lr * (gradient + self.momentum * velocity)
        return self.lr * velocity


@dataclass(eq=False, repr=False)
class Adagrad(Optimizer):
    """Adagrad: s ← s + g², p ← p - lr / (1 + (t - 1) lr_decay) · g / (√s + eps).

    As torch.optim.Adagrad.

    Source: Duchi, Hazan, Singer, Adaptive Subgradient Methods, JMLR 12 (2011).
    """

    params: InitVar[Iterable[Tensor]]
    lr: float = 1e-2
    lr_decay: float = 0.0
    weight_decay: float = 0.0
    initial_accumulator_value: float = 0.0
    eps: float = 1e-10
    _: KW_ONLY
    maximize: bool = False

    def update(self, gradient: Array, data: Array, state: State) -> Array:
        state["step"] = state.get("step", 0) + 1
        state["sum"] = state.get("sum", self.initial_accumulator_value) + gradient * gradient
        lr = self.lr / (1 + (state["step"] - 1) * self.lr_decay)
        return lr * gradient / (np.sqrt(state["sum"]) + self.eps)


@dataclass(eq=False, repr=False)
class RMSprop(Optimizer):
    """RMSprop: s ← α s + (1 - α) g², p ← p - lr g / (√s + eps), as torch.optim.RMSprop.

    With `centered`, s less the square of the mean gradient; with `momentum`,
    v ← μ v + g / (√s + eps), p ← p - lr v.

    Source: Tieleman, Hinton, Lecture 6.5 of Neural Networks for Machine Learning (2012); Graves,
    Generating Sequences With Recurrent Neural Networks (2013) for the centered variant.
    """

    params: InitVar[Iterable[Tensor]]
    lr: float = 1e-2
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
    centered: bool = False
    _: KW_ONLY
    maximize: bool = False

    def update(self, gradient: Array, data: Array, state: State) -> Array:
        square = _average(state, "square", gradient * gradient, self.alpha)
        if self.centered:
            square = square - _average(state, "mean", gradient, self.alpha) ** 2
        move = gradient / (np.sqrt(square) + self.eps)
        if self.momentum:
            move = self.momentum * state.get("velocity", 0.0) + move
            state["velocity"] = move
        return self.lr * move


@dataclass(eq=False, repr=False)
class Adam(Optimizer):
    """Adam: p ← p - lr m̂ / (√v̂ + eps), as torch.optim.Adam.

    m and v are running averages of g and g², and m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ). With
    `amsgrad`, the largest v so far takes the place of v.

    Source: Kingma, Ba, Adam: A Method for Stochastic Optimization (2015); Reddi, Kale, Kumar, On
    the Convergence of Adam and Beyond (2018).
    """

    params: InitVar[Iterable[Tensor]]
    lr: float = 1e-3
    betas: InitVar[tuple[float, float]] = (0.9, 0.999)
    beta1: float = field(init=False)
    beta2: float = field(init=False)
    eps: float = 1e-8
    weight_decay: float = 0.0
    amsgrad: bool = False
    _: KW_ONLY
    maximize: bool = False

    fractions = ("beta1", "beta2")

    def __post_init__(self, params: Iterable[Tensor], betas: tuple[float, float]) -> None:
        self.beta1, self.beta2 = betas
        super().__post_init__(params)

    def update(self, gradient: Array, data: Array, state: State) -> Array:
        step = state["step"] = state.get("step", 0) + 1
        mean = _average(state, "mean", gradient, self.beta1)
        square = _average(state, "square", gradient * gradient, self.beta2)
        if self.amsgrad:
            square = np.maximum(state.get("largest", square), square)
            state["largest"] = square
        spread = np.sqrt(square) / math.sqrt(1 - self.beta2**step) + self.eps
        return self.lr / (1 - self.beta1**step) * mean / spread


@dataclass(eq=False, repr=False)
class AdamW(Adam):
    """Adam with the decay taken from the parameter: p ← (1 - lr · weight_decay) p first.

    Adam adds it to the gradient. As torch.optim.AdamW.

    Source: Loshchilov, Hutter, Decoupled Weight Decay Regularization (2019).
    """

    weight_decay: float = 1e-2

    def _decayed(self, gradient: Array, data: Array) -> Array:
        return gradient

    def update(self, gradient: Array, data: Array, state: State) -> Array:
        return self.lr * self.weight_decay * data + super().update(gradient, data, state)


def _average(state: State, key: str, value: Array, keep: float) -> Array:
    """The running average of `value` under `key`, which begins at 0."""
    state[key] = keep * state.get(key, 0.0) + (1 - keep) * value
    return state[key]


KINDS: dict[str, Callable[..., Optimizer]] = {
    kind.__name__: kind for kind in (SGD, Adagrad, RMSprop, Adam, AdamW)
}
