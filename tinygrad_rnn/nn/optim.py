"""Optimisers: they bind each parameter's data to new values, and never write into an array of a graph."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..autograd.tensor import Array, Tensor
from ..errors import OpError


class Optimizer:
    """What optimisers share: the parameters, the state kept for each, and the walk over those with a gradient."""

    def __init__(self, params: Iterable[Tensor], **settings: float) -> None:
        self.params = list(params)
        if not self.params:
            raise OpError(f"{type(self).__name__}: got no parameters (an exhausted iterator?)")
        for name, value in settings.items():
            if not value >= 0:
                raise OpError(f"{type(self).__name__}: {name} must not be negative, got {value}")
        self.settings = dict(settings)
        self.state: list[dict[str, Any]] = [{} for _ in self.params]

    @property
    def lr(self) -> float:
        return self.settings["lr"]

    @lr.setter
    def lr(self, value: float) -> None:
        self.settings["lr"] = value

    def zero_grad(self) -> None:
        for p in self.params:
            p.grad = None

    def step(self) -> None:
        """Move every parameter that has a gradient."""
        for p, state in zip(self.params, self.state, strict=True):
            if p.grad is not None:
                gradient = p.grad.data + self.settings.get("weight_decay", 0.0) * p.data
                p.data = p.data - self.update(gradient, p.data, state)

    def update(self, gradient: Array, data: Array, state: dict[str, Any]) -> Array:
        """What to subtract from one parameter; `state` is kept from step to step."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """Settings and per-parameter state, by position."""
        return {"settings": dict(self.settings), "state": [dict(state) for state in self.state]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if len(state["state"]) != len(self.params):
            raise OpError(
                f"load_state_dict: the state is of {len(state['state'])} parameters, not of {len(self.params)}"
            )
        self.settings = dict(state["settings"])
        self.state = [dict(one) for one in state["state"]]


class SGD(Optimizer):
    """Stochastic gradient descent: v ← μ v + g, p ← p - lr v; the first v is g, as in torch.optim.SGD."""

    def __init__(
        self, params: Iterable[Tensor], lr: float = 1e-3, momentum: float = 0.0, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay)

    def update(self, gradient: Array, data: Array, state: dict[str, Any]) -> Array:
        momentum = self.settings["momentum"]
        if momentum:
            gradient = state["velocity"] = momentum * state["velocity"] + gradient if state else gradient
        return self.lr * gradient


class Adagrad(Optimizer):
    """Adagrad: s ← s + g², p ← p - lr g / (√s + eps), as torch.optim.Adagrad.

    Source: Duchi, Hazan, Singer, Adaptive Subgradient Methods, JMLR 12 (2011).
    """

    def __init__(
        self, params: Iterable[Tensor], lr: float = 1e-2, weight_decay: float = 0.0, eps: float = 1e-10
    ) -> None:
        super().__init__(params, lr=lr, weight_decay=weight_decay, eps=eps)

    def update(self, gradient: Array, data: Array, state: dict[str, Any]) -> Array:
        total = state["sum"] = state.get("sum", 0.0) + gradient * gradient
        return self.lr * gradient / (np.sqrt(total) + self.settings["eps"])
