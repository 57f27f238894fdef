"""What optimisers share: groups of parameters, the state of each parameter, and the step.

A step binds a parameter's data to new values, and never writes into a graph's array.
"""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...autograd.state import STATE, notify
from ...autograd.switches import scope
from ...autograd.tensor import Array, Tensor
from ...errors import OpError, StateDictError, describe
from ..arguments import fraction, number, switch
from ..module import Buffer

# Of one parameter: arrays of its shape and dtype, and "step", the number of steps.
State = dict[str, Any]
# "params" and their settings by name.
Group = dict[str, Any]

_MOST_STEPS = 2**53


@dataclass(slots=True, eq=False)
class Move:
    """All that one step makes the new values of one parameter from.

    Args:
        kind: the name of the optimiser's class.
        owner: tells optimisers of one kind apart.
        follows: whether `state` is what the last step left, and nobody has changed it.
    """

    kind: str
    settings: Mapping[str, Any]
    gradient: Array
    data: Array
    state: Mapping[str, Any]
    owner: int = 0
    follows: bool = False

    @property
    def arrays(self) -> list[Array]:
        """The arrays that it holds."""
        held = (self.gradient, self.data, *self.state.values())
        return [array for array in held if isinstance(array, np.ndarray)]


class Optimizer:
    """Moves parameters along their gradients, in groups that each have settings of their own.

    Args:
        params: leaves that require a gradient, as `model.parameters()` gives them; or groups: dicts
            with "params" and whatever settings differ,
            `[{"params": head.parameters(), "lr": 0.1}, {"params": …}]`. Frozen parameters among
            others are kept, and skipped while they require no gradient.
        defaults: the settings of groups that do not say otherwise. The subclass's own default tells
            what a setting must be: a bool for a bool, as many fractions for a tuple, and else a
            number, 0 or more.

    `param_groups` are plain dicts: between steps, set a group's setting to another value, or
    `optimizer.lr` for all groups at once. The settings are checked at each step.

    A subclass gives its settings to `__init__`, says in `entries` what it keeps for a parameter,
    and writes `update`.

    Raises:
        OpError: a single tensor, something that is not a leaf or is given twice, nothing that
            requires a gradient, or settings that make no sense.
    """

    def __init__(self, params: Iterable[Any], **defaults: Any) -> None:
        declared = inspect.signature(type(self).__init__).parameters
        for name, value in defaults.items():
            like = declared[name].default if name in declared else value
            defaults[name] = _setting(self._name, name, value, like)
        self.defaults = defaults
        self.param_groups: list[Group] = []
        self.state: dict[Tensor, State] = {}
        for group in self._given_groups(params):
            self.add_param_group(group)
        if not any(p.requires_grad for p in self.params):
            raise OpError(
                f"{self._name}: none of its {len(self.params)} parameters requires a gradient, "
                "so there is nothing to train"
            )

    def entries(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        """What the state of a parameter holds after a step with these settings."""
        raise NotImplementedError

    def update(
        self, gradient: Array, data: Array, state: State, settings: Mapping[str, Any]
    ) -> Array:
        """What to subtract from one parameter, from its gradient, its values, and its state."""
        raise NotImplementedError

    def moved(
        self, gradient: Array, data: Array, state: State, settings: Mapping[str, Any]
    ) -> Array:
        """The new values of one parameter; `state` becomes what the step leaves."""
        _follow(state, data.dtype)
        if settings.get("maximize"):
            gradient = -gradient
        gradient = self.decayed(gradient, data, settings)
        values = np.asarray(data - self.update(gradient, data, state, settings))
        _follow(state, data.dtype)
        return values.astype(data.dtype, copy=False)

    def decayed(self, gradient: Array, data: Array, settings: Mapping[str, Any]) -> Array:
        """The gradient of L + weight_decay/2 ‖p‖²."""
        if not settings.get("weight_decay"):
            return gradient
        return gradient + settings["weight_decay"] * data

    def checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The settings among what is given, as Python's own numbers.

        Raises:
            OpError: a value that makes no sense.
        """
        settings: dict[str, Any] = {}
        for name, default in self.defaults.items():
            settings[name] = _setting(self._name, name, given[name], default)
        return settings

    # Groups

    @property
    def params(self) -> list[Tensor]:
        """Every parameter, group by group."""
        return [p for group in self.param_groups for p in group["params"]]

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that all groups have.

        Raises:
            OpError: they differ.
        """
        return {name: getattr(self, name) for name in self.defaults}

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Train more parameters, with settings of their own.

        Raises:
            OpError: it is not a group, or its parameters cannot be trained; see `Optimizer`.
        """
        owner = f"{self._name}: group {len(self.param_groups)}"
        if not isinstance(group, Mapping) or "params" not in group:
            raise OpError(f'{owner} must be a dict with "params", got {type(group).__name__}')
        unknown = [name for name in group if name not in (*self.defaults, "params", "initial_lr")]
        if unknown:
            known = ", ".join(self.defaults)
            raise OpError(f"{owner} has no setting {unknown[0]!r}; there are {known}")
        given = group["params"]
        params = _parameters(owner, [given] if isinstance(given, Tensor) else given)
        _refuse_twice(self._name, [*self.params, *params])
        made = {"params": params, **self.checked({**self.defaults, **group})}
        if "initial_lr" in group:
            made["initial_lr"] = number(owner, "initial_lr", group["initial_lr"])
        self.param_groups.append(made)

    def _given_groups(self, params: Any) -> list[Any]:
        name = self._name
        if isinstance(params, Tensor):
            raise OpError(
                f"{name}: got {describe(params)} by itself, whose rows would be taken; "
                "write [parameter]"
            )
        if isinstance(params, Mapping):
            raise OpError(f"{name}: got a dict; groups stand in a list, [{{'params': …}}]")
        given = _listed(name, params)
        if isinstance(given[0], Mapping):
            return given
        return [{"params": given}]

    # The step

    def zero_grad(self) -> None:
        """Forget every parameter's gradient."""
        for p in self.params:
            p.grad = None

    def step(self) -> None:
        """Move every parameter that has a gradient and requires one.

        Raises:
            OpError: a group has a setting that makes no sense; then nothing has moved.
        """
        checked = [self.checked(group) for group in self.param_groups]
        for group, settings in zip(self.param_groups, checked, strict=True):
            # A recorded update tells by its scope which optimiser made it.
            with scope(f"{type(self).__name__} lr={settings['lr']:.4g}"):
                for p in group["params"]:
                    if p.requires_grad and p.grad is not None:
                        self._move(p, settings)

    def _move(self, p: Tensor, settings: Mapping[str, Any]) -> None:
        data, dtype = p.data, p.dtype
        gradient = p.grad.data.astype(dtype, copy=False)  # type: ignore[union-attr]
        state = self.state.setdefault(p, {})
        _follow(state, dtype)
        before = dict(state)
        values = self.moved(gradient, data, state, settings)
        if STATE.get().observers:
            move = Move(type(self).__name__, settings, gradient, data, before)
            notify("step", self, p, move, state)
        p.data = values

    # State dicts

    def state_dict(self) -> dict[str, Any]:
        """Groups, whose "params" are positions, and the state of each parameter by position.

        Parameters that have made no step have an empty one.
        """
        groups: list[Group] = []
        states: list[State] = []
        for group in self.param_groups:
            settings = self.checked(group)
            first = len(states)
            states += [self._state_of(p, settings) for p in group["params"]]
            if "initial_lr" in group:
                settings["initial_lr"] = group["initial_lr"]
            groups.append({**settings, "params": list(range(first, len(states)))})
        return {"param_groups": groups, "state": states}

    def _state_of(self, p: Tensor, settings: Mapping[str, Any]) -> State:
        """What the next step would begin with, if it had these settings since the last one."""
        state = self.state.get(p, {})
        _follow(state, p.dtype)
        entries = self.entries(settings)
        if not any(name in state for name in entries):
            return {}
        return {name: state.get(name, np.zeros_like(p.data)) for name in entries}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume where the optimiser of `state_dict()` was.

        Raises:
            StateDictError: the state is of another kind of optimiser, of other parameters, or holds
                what no step can have left; it names the entry, and nothing is changed.
        """
        owner = f"load_state_dict: {self._name}"
        groups = self._loaded_groups(owner, _groups_in(owner, state))
        states = state["state"]
        if not isinstance(states, Sequence) or len(states) != len(self.params):
            found = len(states) if isinstance(states, Sequence | Mapping) else "no list"
            raise StateDictError(
                f"{owner}: the state is of {found} parameters, not of {len(self.params)}"
            )
        loaded: dict[Tensor, State] = {}
        for group, settings in zip(self.param_groups, groups, strict=True):
            for p in group["params"]:
                where = f"{owner}: parameter {len(loaded)}"
                loaded[p] = _loaded_state(where, p, states[len(loaded)], self.entries(settings))
        for group, settings in zip(self.param_groups, groups, strict=True):
            group.update(settings)
        self.state = {p: one for p, one in loaded.items() if one}

    def _loaded_groups(self, owner: str, given: Any) -> list[dict[str, Any]]:
        """The settings of each group, checked."""
        if not isinstance(given, Sequence) or len(given) != len(self.param_groups):
            raise StateDictError(f"{owner} has {len(self.param_groups)} groups, the state others")
        groups: list[dict[str, Any]] = []
        for i, (own, one) in enumerate(zip(self.param_groups, given, strict=True)):
            settings = dict(one)
            params, first_lr = settings.pop("params", None), settings.pop("initial_lr", None)
            if settings.keys() != self.defaults.keys():
                raise StateDictError(f"{owner} has the settings {', '.join(self.defaults)}")
            if params is not None and len(params) != len(own["params"]):
                counts = f"{len(params)} parameters, not of {len(own['params'])}"
                raise StateDictError(f"{owner}: the state is of {counts}, in group {i}")
            try:
                settings = self.checked(settings)
                if first_lr is not None:
                    settings["initial_lr"] = number(self._name, "initial_lr", first_lr)
            except OpError as error:
                raise StateDictError(f"load_state_dict: {error}") from None
            groups.append(settings)
        return groups

    # Settings as attributes

    @property
    def _name(self) -> str:
        return type(self).__name__

    def __getattr__(self, name: str) -> Any:
        own = vars(self)
        if name not in own.get("defaults", ()):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        values = [group[name] for group in own["param_groups"]]
        if any(value != values[0] for value in values):
            raise OpError(f"{self._name}: {name} differs between groups: {values}")
        return values[0]

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in vars(self).get("defaults", ()):
            super().__setattr__(name, value)
            return
        value = _setting(self._name, name, value, self.defaults[name])
        for group in self.param_groups:
            group[name] = value


def _setting(owner: str, name: str, value: Any, default: Any) -> Any:
    if isinstance(default, bool):
        return switch(owner, name, value)
    if not isinstance(default, tuple):
        return number(owner, name, value)
    if not isinstance(value, Sequence | np.ndarray) or len(value) != len(default):
        raise OpError(f"{owner}: {name} must be {len(default)} numbers, got {value!r}")
    return tuple([fraction(owner, f"{name}[{i}]", part) for i, part in enumerate(value)])


def _listed(owner: str, params: Any) -> list[Any]:
    if isinstance(params, np.ndarray | AbstractSet | str) or not isinstance(params, Iterable):
        raise OpError(
            f"{owner}: takes parameters in a list or iterator, as model.parameters(), "
            f"got {type(params).__name__}"
        )
    given = list(params)
    if not given:
        raise OpError(f"{owner}: got no parameters (an exhausted iterator?)")
    return given


def _parameters(owner: str, given: Any) -> list[Tensor]:
    """The parameters, if they can be trained."""
    params: list[Tensor] = []
    for i, p in enumerate(_listed(owner, given)):
        if isinstance(p, tuple):
            raise OpError(f"{owner}: parameter {i} is a pair with a name; use model.parameters()")
        if not isinstance(p, Tensor):
            raise OpError(f"{owner}: parameter {i} is not a Tensor but {type(p).__name__}")
        if p.op is not None:
            raise OpError(
                f"{owner}: parameter {i}, {describe(p)}, is a result, and steps move leaves: "
                "make a tg.nn.Parameter of its values"
            )
        if isinstance(p, Buffer):
            raise OpError(f"{owner}: parameter {i}, {describe(p)}, is a Buffer, and is not trained")
        params.append(p)
    return params


def _refuse_twice(owner: str, params: Sequence[Tensor]) -> None:
    places: dict[Tensor, int] = {}
    for i, p in enumerate(params):
        if p in places:
            raise OpError(
                f"{owner}: parameters {places[p]} and {i} are one, {describe(p)}; give it once"
            )
        places[p] = i


def _follow(state: State, dtype: Any) -> None:
    """Arrays of the parameter's dtype, which `astype` may have changed; not NumPy's scalars."""
    for name, value in state.items():
        if name != "step":
            state[name] = np.asarray(value, dtype)


def _groups_in(owner: str, state: Any) -> Any:
    """The groups of a state dict; one with "settings" has a single group."""
    if not isinstance(state, Mapping) or "state" not in state:
        raise StateDictError(f'{owner}: a state has "param_groups" and "state"')
    if "param_groups" in state:
        return state["param_groups"]
    if "settings" in state:
        return [state["settings"]]
    raise StateDictError(f'{owner}: a state has "param_groups" and "state"')


def _loaded_state(where: str, p: Tensor, given: Any, entries: Sequence[str]) -> State:
    """The state of one parameter, if a step can have left it."""
    if not isinstance(given, Mapping):
        raise StateDictError(f"{where} has no dict as its state but {type(given).__name__}")
    if not given:
        return {}
    problems = [f"missing {name!r}" for name in entries if name not in given]
    problems += [f"unknown {name!r}" for name in given if name not in entries]
    if problems:
        raise StateDictError(f"{where}: {'; '.join(problems[:5])}")
    state: State = {}
    for name, value in given.items():
        problem = _wrong_step(value) if name == "step" else _wrong_array(name, value, p)
        if problem:
            raise StateDictError(f"{where} of shape {p.shape} cannot have {name!r}: {problem}")
        state[name] = int(value) if name == "step" else np.array(value, p.dtype)
    return state


def _wrong_step(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        return f"it is not an integer but {type(value).__name__}"
    return "" if 0 <= value < _MOST_STEPS else "it is out of range"


def _wrong_array(name: str, value: Any, p: Tensor) -> str:
    if not isinstance(value, np.ndarray | np.number | float):
        return f"it is not an array but {type(value).__name__}"
    array = np.asarray(value)
    if array.shape != p.shape or array.dtype.kind not in "fiu":
        return f"it is {array.dtype} of shape {array.shape}"
    # Sums of squares, whose roots are taken.
    if name in ("square", "sum", "largest") and (array < 0).any():
        return "it holds negative values"
    return ""
