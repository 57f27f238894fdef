"""Learning-rate schedules: call `step()` after the optimiser's; it gives each group a new `lr`.

>>> import tinygrad_rnn as tg
>>> model = tg.nn.Linear(2, 1)
>>> optimizer = tg.optim.SGD(model.parameters(), lr=0.8)
>>> schedule = tg.optim.StepLR(optimizer, step_size=2, gamma=0.5)
>>> for epoch in range(4):
...     optimizer.step()
...     schedule.step()
>>> schedule.get_last_lr()
[0.2]
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...errors import OpError, StateDictError
from ..arguments import natural, number, positive
from .optimizer import Group, Optimizer

__all__ = ["CosineAnnealingLR", "LRScheduler", "LambdaLR", "StepLR"]


class LRScheduler:
    """What schedules share; a subclass writes `lr_of`.

    Args:
        optimizer: each of its groups has a rate of its own, which is kept as "initial_lr" in it.
        last_epoch: the last epoch that is done; -1 to begin. To resume, load the optimiser's state
            first, which has the rates, and then the schedule's.

    Raises:
        OpError: it is not an optimiser, or a rate makes no sense.
    """

    # The attributes that `state_dict` holds beside the epoch.
    saved: tuple[str, ...] = ()

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            kind = type(optimizer).__name__
            raise OpError(f"{self._name}: takes an optimiser of tg.optim, got {kind}")
        natural(self._name, "last_epoch + 1", last_epoch + 1)
        groups = optimizer.param_groups
        if last_epoch >= 0 and not all("initial_lr" in group for group in groups):
            raise OpError(
                f"{self._name}: to go on at epoch {last_epoch}, every group needs an initial_lr"
            )
        self.optimizer, self.last_epoch = optimizer, last_epoch
        # Whether the next rate is the first one of this schedule, not one that follows another.
        self.starts = True
        self.step()
        self.starts = False

    def lr_of(self, i: int, group: Group) -> float:
        """The rate of group i at `last_epoch`."""
        raise NotImplementedError

    @property
    def base_lrs(self) -> list[float]:
        """The rate that each group began with."""
        return [group["initial_lr"] for group in self.optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """The rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def step(self) -> None:
        """Go to the next epoch.

        Raises:
            OpError: a rate is not a number, or negative.
        """
        groups = self.optimizer.param_groups
        for group in groups:
            group.setdefault("initial_lr", group["lr"])
        self.last_epoch += 1
        rates = [number(self._name, "lr", self.lr_of(i, g)) for i, g in enumerate(groups)]
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` takes.

        Functions are not in it, nor the rates, which the optimiser's state has.
        """
        return {name: getattr(self, name) for name in ("last_epoch", *self.saved)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume where the schedule of `state_dict()` was.

        Raises:
            StateDictError: entries are missing, unknown, or of the wrong kind; nothing is changed.
        """
        owner = f"load_state_dict: {self._name}"
        names = ("last_epoch", *self.saved)
        if not isinstance(state, Mapping) or set(state) != set(names):
            raise StateDictError(f"{owner} has the entries {', '.join(names)}")
        values = {}
        for name, value in state.items():
            check = natural if name == "last_epoch" else number
            if name != "last_epoch" and isinstance(getattr(self, name), int):
                check = positive
            try:
                values[name] = check(self._name, name, value)
            except OpError as error:
                raise StateDictError(f"load_state_dict: {error}") from None
        vars(self).update(values)

    @property
    def _name(self) -> str:
        return type(self).__name__


class StepLR(LRScheduler):
    """Every `step_size` epochs the rate is multiplied by `gamma`. As torch's.

    Args:
        optimizer: whose rates are scheduled.
        step_size: how many epochs the rate stays.
        gamma: the factor.
        last_epoch: the last epoch that is done; -1 to begin. See `LRScheduler`.
    """

    saved = ("step_size", "gamma")

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.step_size = positive(self._name, "step_size", step_size)
        self.gamma = number(self._name, "gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def lr_of(self, i: int, group: Group) -> float:
        if self.last_epoch == 0 or self.last_epoch % self.step_size:
            return group["lr"]
        return group["lr"] * self.gamma


class CosineAnnealingLR(LRScheduler):
    """Half a cosine from the first rate to `eta_min` in `T_max` epochs, and back. As torch's.

    At epoch t: eta_min + (lr₀ - eta_min) (1 + cos(π t / T_max)) / 2, each computed from the one
    before, so that a rate that was changed in between stays changed.

    Args:
        optimizer: whose rates are scheduled.
        T_max: how many epochs it takes down to `eta_min`.
        eta_min: the lowest rate.
        last_epoch: the last epoch that is done; -1 to begin. See `LRScheduler`.

    Source: Loshchilov, Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts (2017), eq. 5,
    without the restarts.
    """

    saved = ("T_max", "eta_min")

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_max = positive(self._name, "T_max", T_max)
        self.eta_min = number(self._name, "eta_min", eta_min)
        super().__init__(optimizer, last_epoch)

    def lr_of(self, i: int, group: Group) -> float:
        t, above = self.last_epoch, group["initial_lr"] - self.eta_min
        if t == 0:
            return group["lr"]
        if self.starts:
            return self.eta_min + above * self._share(t)
        if (t - 1) % (2 * self.T_max) == self.T_max:
            # The rate before was eta_min, of which no multiple is more.
            return group["lr"] + above * self._share(t)
        return self.eta_min + self._share(t) / self._share(t - 1) * (group["lr"] - self.eta_min)

    def _share(self, t: int) -> float:
        return (1 + math.cos(math.pi * t / self.T_max)) / 2


class LambdaLR(LRScheduler):
    """The first rate times `lr_lambda(epoch)`: one function, or one for each group. As torch's.

    The state has the epoch alone: functions cannot be saved.

    Args:
        optimizer: whose rates are scheduled.
        lr_lambda: from the epoch, 0 at first, to a factor; a list of as many as there are groups.
        last_epoch: the last epoch that is done; -1 to begin. See `LRScheduler`.

    Raises:
        OpError: it is not a function, or there are not as many as groups.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        given = lr_lambda if isinstance(lr_lambda, Sequence) else [lr_lambda]
        if not all(callable(function) for function in given):
            raise OpError("LambdaLR: lr_lambda must be a function of the epoch, or one a group")
        self.lr_lambda = lr_lambda
        super().__init__(optimizer, last_epoch)

    def lr_of(self, i: int, group: Group) -> float:
        if not isinstance(self.lr_lambda, Sequence):
            return group["initial_lr"] * self.lr_lambda(self.last_epoch)
        groups = len(self.optimizer.param_groups)
        if len(self.lr_lambda) != groups:
            raise OpError(f"LambdaLR: {len(self.lr_lambda)} functions for {groups} groups")
        return group["initial_lr"] * self.lr_lambda[i](self.last_epoch)
