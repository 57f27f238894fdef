"""Module and Parameter: what has parameters, and what is trained."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np

from ..autograd.state import STATE, Scope, State, call_ids, notify
from ..autograd.tensor import Array, Tensor
from ..errors import StateDictError


class Parameter(Tensor):
    """A leaf that requires a gradient, found by `Module.parameters()` where it is an attribute."""

    __slots__ = ()

    def __init__(
        self, data: Any, *, dtype: Any = None, name: str | None = None, requires_grad: bool = True
    ) -> None:
        super().__init__(data, dtype=dtype, requires_grad=requires_grad, name=name)


class Module:
    """A function with parameters.

    Write `forward`, keep Parameters and Modules as attributes, and call it. Lists, tuples and dicts
    of Modules count as attributes.

    Each call enters a scope, so that the ops inside know which call of which module made them: that
    is how the diagrams find the copies of a network.
    """

    _training = True

    @property
    def training(self) -> bool:
        """Whether it is being trained: what `train` and `eval` switch.

        A compiled function depends on what it reads.
        """
        if STATE.get().observers:
            notify("read", self, "training")
        return self._training

    @training.setter
    def training(self, mode: bool) -> None:
        self._training = mode

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs a forward method")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        state = STATE.get()
        if state.observers:
            notify("enter", self)
        scope = Scope(self._name_in(state.scope), self, state.scope, next(call_ids))
        # `with scope(…)` takes ten times as long
        token = STATE.set(State(state.recording, scope, state.observers, state.symbolic))
        try:
            return self.forward(*args, **kwargs)
        finally:
            STATE.reset(token)

    def _name_in(self, caller: Scope | None) -> str:
        """What the module that is calling knows this one as; by itself, its class."""
        if caller is not None and isinstance(module := caller.owner, Module):
            # Most are found so, which takes a fraction of the time.
            for name, value in vars(module).items():
                if value is self:
                    return name
                if type(value) is list:
                    for i, part in enumerate(value):
                        if part is self:
                            return f"{name}.{i}"
            for name, part in itertools.chain(module._members(), module.named_modules()):
                if part is self and name:
                    return name
        return type(self).__name__

    def _members(self) -> "Iterator[tuple[str, Parameter | Module]]":
        """Parameters and modules that are attributes, or in a list, tuple or dict that is one."""
        for name, value in vars(self).items():
            if isinstance(value, _MEMBER):
                yield name, value
            elif isinstance(value, _HOLDS_MEMBERS):
                for key, part in value.items() if isinstance(value, dict) else enumerate(value):
                    if isinstance(part, _MEMBER):
                        yield f"{name}.{key}", part

    def named_modules(self, prefix: str = "") -> "Iterator[tuple[str, Module]]":
        """This module (named "") and every module inside, with dotted names."""
        yield prefix, self
        for name, part in self._members():
            if isinstance(part, Module):
                yield from part.named_modules(f"{prefix}.{name}" if prefix else name)

    def named_parameters(self, prefix: str = "") -> "Iterator[tuple[str, Parameter]]":
        """Each parameter once, with its dotted name: "0.W_hh"."""
        seen: set[Parameter] = set()
        for name, part in self._members():
            found = [(name, part)] if isinstance(part, Parameter) else part.named_parameters(name)
            for inner, parameter in found:
                if parameter not in seen:
                    seen.add(parameter)
                    yield f"{prefix}.{inner}" if prefix else inner, parameter

    def parameters(self) -> Iterator[Parameter]:
        return (parameter for _, parameter in self.named_parameters())

    def zero_grad(self) -> None:
        """Forget every parameter's gradient."""
        for parameter in self.parameters():
            parameter.grad = None

    def train(self, mode: bool = True) -> Self:
        """Switch what training alone does (Dropout) on or off, here and in all modules inside."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        return self.train(False)

    def astype(self, dtype: Any) -> Self:
        """Convert every parameter to a float dtype, in place; gradients are forgotten."""
        for parameter in self.parameters():
            parameter.bind(parameter.data.astype(dtype))
            parameter.grad = None
        return self

    def state_dict(self) -> dict[str, Array]:
        """Every parameter's values by name, as read-only arrays."""
        return {name: parameter.data for name, parameter in self.named_parameters()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take every parameter's values from `state`: all of them, or none if one does not fit.

        Raises:
            StateDictError: a name is missing or unknown, a shape differs, or the values are no
                numbers.
        """
        own = dict(self.named_parameters())
        arrays = {name: np.asarray(value) for name, value in state.items()}
        problems = misfits({name: parameter.shape for name, parameter in own.items()}, arrays)
        if problems:
            raise StateDictError(f"load_state_dict: {type(self).__name__}: {'; '.join(problems)}")
        for name, parameter in own.items():
            parameter.data = arrays[name].astype(parameter.dtype)

    def __repr__(self) -> str:
        lines = [f"  {name}: {p.dtype} {p.shape}" for name, p in self.named_parameters()]
        if not lines:
            return f"{type(self).__name__}()"
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])


# isinstance takes half the time with a tuple than with a union, and every call walks `_members`.
_MEMBER = (Parameter, Module)
_HOLDS_MEMBERS = (dict, list, tuple)


def misfits(shapes: Mapping[str, tuple[int, ...]], arrays: Mapping[str, Array]) -> list[str]:
    """Why `arrays` are not numbers of exactly these names and shapes: one phrase a reason."""
    problems = [f"missing {name!r}" for name in shapes if name not in arrays]
    problems += [f"unknown {name!r}" for name in arrays if name not in shapes]
    for name in shapes.keys() & arrays.keys():
        if arrays[name].shape != shapes[name]:
            problems.append(f"{name!r} has shape {arrays[name].shape}, needs {shapes[name]}")
        elif arrays[name].dtype.kind not in "fiu":
            problems.append(f"{name!r} has dtype {arrays[name].dtype}, needs numbers")
    return problems
