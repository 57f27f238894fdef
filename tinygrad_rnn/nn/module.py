"""Modules, which hold parameters, and the parameters, which are trained."""

import itertools
from collections import UserDict, UserList, deque
from collections.abc import Iterator, Mapping, ValuesView
from collections.abc import Set as AbstractSet
from typing import Any, Self

import numpy as np

from ..autograd.state import STATE, Scope, call_ids, notify
from ..autograd.switches import called, leave
from ..autograd.tensor import Array, Tensor
from ..errors import OpError, StateDictError, said, shown
from ..text import elide
from .arguments import switch


class Parameter(Tensor):
    """A leaf that is trained: `Module.parameters()` finds it where it is an attribute.

    Args:
        data: an array, or nested lists of numbers.
        dtype: as NumPy's; by default that of the data.
        name: what pictures and the debugger call it outside a module.
        requires_grad: False freezes it.
    """

    __slots__ = ()

    def __init__(
        self, data: Any, *, dtype: Any = None, name: str | None = None, requires_grad: bool = True
    ) -> None:
        super().__init__(data, dtype=dtype, requires_grad=requires_grad, name=name)


class Buffer(Tensor):
    """What a module keeps beside its parameters: a mask, fixed weights.

    Where it is an attribute it is found by `Module.buffers()`, is in the state dict and in
    checkpoints, and floats follow `astype`. It has no gradient, and no optimiser takes it.

    Args:
        data: an array, or nested lists of numbers or booleans.
        dtype: as NumPy's; by default that of the data.
        name: what pictures and the debugger call it outside a module.
        requires_grad: may only be False.

    Raises:
        OpError: it is asked to require a gradient.
    """

    __slots__ = ()

    def __init__(
        self, data: Any, *, dtype: Any = None, name: str | None = None, requires_grad: bool = False
    ) -> None:
        if requires_grad:
            raise OpError("Buffer: it cannot require a gradient; make it a Parameter")
        super().__init__(data, dtype=dtype, name=name)


class Module:
    """A function with parameters.

    Write `forward`, keep Parameters, Buffers and Modules as attributes, and call it. Lists, tuples
    and dicts of them count as attributes, also inside one another. One that is found in two places
    counts once, under the name of the first.

    Each call enters a scope, so that the ops inside know which call of which module made them: that
    is how the diagrams find the copies of a network.
    """

    _training = True

    @property
    def training(self) -> bool:
        """Whether it is being trained, which `train` and `eval` switch.

        A compiled function depends on what it reads.
        """
        if STATE.get().observers:
            notify("read", self, "training")
        return self._training

    @training.setter
    def training(self, mode: bool) -> None:
        self._training = switch(type(self).__name__, "training", mode)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} needs a forward method")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        state = STATE.get()
        if state.observers:
            notify("enter", self)
        scope = Scope(self._name_in(state.scope), self, state.scope, next(call_ids))
        # `with scope(…)` takes several times as long.
        try:
            try:
                STATE.set(called(scope, state))
                return self.forward(*args, **kwargs)
            finally:
                leave(scope)
        finally:
            if STATE.get() is not state:  # Ctrl-C came in the line above, or a block overlaps
                leave(scope)

    def _name_in(self, caller: Scope | None) -> str:
        """What the module that is calling knows this one as; by itself, its class."""
        while caller is not None and isinstance(caller.owner, str):
            caller = caller.parent
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

    def _members(self) -> "Iterator[tuple[str, Parameter | Buffer | Module]]":
        """Parameters, buffers and modules that are attributes, or in containers that are.

        Raises:
            TypeError: one is in a container that gives it no lasting name (a set, say).
        """
        for name, value in vars(self).items():
            if type(value) in _PLAIN:
                continue
            if isinstance(value, _MEMBER):
                yield name, value
            elif isinstance(value, _CONTAINERS):
                yield from self._in_container(name, value, [])

    def _in_container(self, name: str, value: Any, outer: list[Any]) -> Iterator[tuple[str, Any]]:
        """Members of a container; `outer` are those around it, which it may hold again."""
        if any(value is one for one in outer):
            return
        if isinstance(value, _NAMELESS):
            parts = value.values() if isinstance(value, UserDict) else value
            if any(isinstance(part, _MEMBER) for part in parts):
                raise TypeError(
                    f"{type(self).__name__}.{name} is a {type(value).__name__}: modules and "
                    "parameters are found in lists, tuples and dicts"
                )
            return
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(part, _MEMBER):
                yield f"{name}.{key}", part
            elif isinstance(part, _CONTAINERS):
                yield from self._in_container(f"{name}.{key}", part, [*outer, value])

    def named_modules(self, prefix: str = "") -> "Iterator[tuple[str, Module]]":
        """This module (named "") and every module inside, with dotted names.

        One in two places has both names; what is inside stands below the first.

        Args:
            prefix: stands before each name, with a dot.
        """
        return self._named_modules(prefix, set())

    def _named_modules(self, prefix: str, entered: set[int]) -> "Iterator[tuple[str, Module]]":
        yield prefix, self
        if id(self) in entered:
            return
        entered.add(id(self))
        for name, part in self._members():
            if isinstance(part, Module):
                yield from part._named_modules(f"{prefix}.{name}" if prefix else name, entered)

    def named_tensors(self, prefix: str = "") -> "Iterator[tuple[str, Parameter | Buffer]]":
        """Each parameter and buffer once, with its dotted name: what a state dict holds.

        Args:
            prefix: stands before each name, with a dot.

        Raises:
            StateDictError: two have one name.
        """
        names: dict[Tensor, str] = {}
        taken: set[str] = set()
        for name, part in self._walk(prefix, set()):
            if part in names:
                continue
            if name in taken:
                raise StateDictError(f"{type(self).__name__}: two tensors have the name {name!r}")
            names[part] = name
            taken.add(name)
            yield name, part

    def _walk(self, prefix: str, entered: set[int]) -> Iterator[tuple[str, Any]]:
        if id(self) in entered:
            return
        entered.add(id(self))
        dot = f"{prefix}." if prefix else ""
        for name, part in self._named_members():
            if isinstance(part, Module):
                yield from part._walk(dot + name, entered)
            else:
                yield dot + name, part

    def _named_members(self) -> Iterator[tuple[str, Any]]:
        """The members, as state dicts name them."""
        return self._members()

    def named_parameters(self, prefix: str = "") -> "Iterator[tuple[str, Parameter]]":
        """Each parameter once, with its dotted name: "0.W_hh".

        Args:
            prefix: stands before each name, with a dot.
        """
        for name, part in self.named_tensors(prefix):
            if isinstance(part, Parameter):
                yield name, part

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, Buffer]]:
        """Each buffer once, with its dotted name.

        Args:
            prefix: stands before each name, with a dot.
        """
        for name, part in self.named_tensors(prefix):
            if isinstance(part, Buffer):
                yield name, part

    def buffers(self) -> Iterator[Buffer]:
        """Each buffer once."""
        return (buffer for _, buffer in self.named_buffers())

    def parameters(self) -> Iterator[Parameter]:
        """Each parameter once: what an optimiser takes."""
        return (parameter for _, parameter in self.named_parameters())

    def zero_grad(self) -> None:
        """Forget every parameter's gradient."""
        for parameter in self.parameters():
            parameter.grad = None

    def train(self, mode: bool = True) -> Self:
        """Switch Dropout, and whatever else is for training alone, on or off: here and inside.

        Args:
            mode: True for training.
        """
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Switch off what is for training alone: `train(False)`."""
        return self.train(False)

    def astype(self, dtype: Any) -> Self:
        """Convert every parameter, and every buffer of floats, to a float dtype, in place.

        Gradients are forgotten.

        Raises:
            OpError: it is not a float dtype.
        """
        if np.dtype(dtype).kind != "f":
            raise OpError(f"astype: parameters are floats, not {np.dtype(dtype)}")
        for _, part in self.named_tensors():
            if part.dtype.kind == "f":
                part.bind(part.data.astype(dtype))
                part.grad = None
        return self

    def state_dict(self) -> dict[str, Array]:
        """The values of every parameter and buffer by name, as read-only arrays."""
        return {name: part.data for name, part in self.named_tensors()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the values of all parameters and buffers; if one does not fit, none is taken.

        Raises:
            StateDictError: a name is missing or unknown, a shape differs, or the values are of
                another kind (texts, or complex numbers).
        """
        own = dict(self.named_tensors())
        arrays = arrays_of("load_state_dict", state)
        problems = misfits(own, arrays)
        if problems:
            raise StateDictError(f"load_state_dict: {type(self).__name__}: {'; '.join(problems)}")
        for name, part in own.items():
            part.data = arrays[name].astype(part.dtype)

    def extra_repr(self) -> str:
        """What stands in the brackets of `print(module)`, if no modules are inside."""
        return ""

    def __repr__(self) -> str:
        return self._described([])

    def _described(self, outer: "list[Module]") -> str:
        """As torch prints a module; `outer` are those around it, which it may hold again."""
        kind, inside = type(self).__name__, self.extra_repr()
        if any(self is one for one in outer):
            return f"{kind}(…)"
        lines: list[str] = []
        for name, part in self._named_members():
            if isinstance(part, Module):
                text = part._described([*outer, self]).replace("\n", "\n  ")
                lines.append(f"  ({name}): {text}")
        if not lines:
            return f"{kind}({inside})"
        return "\n".join([f"{kind}({inside}", *lines, ")"])


# `_members` is walked at every call: a tuple takes half the time of a union, and what is plain is
# passed over before the abstract classes below, which take long to say no.
_MEMBER = (Parameter, Buffer, Module)
_PLAIN = {int, float, bool, str, type(None)}
_NAMELESS = (AbstractSet, ValuesView, UserDict, UserList, deque)
_CONTAINERS = (dict, list, tuple, *_NAMELESS)
_MOST_PROBLEMS = 5


def array_of(value: Any) -> Array:
    """The array in what a state dict may hold."""
    return value.data if isinstance(value, Tensor) else np.asanyarray(value)


def arrays_of(call: str, state: Mapping[str, Any]) -> dict[str, Array]:
    """The arrays of a state dict.

    Raises:
        StateDictError: it maps no names, or an entry cannot become an array: it is ragged, sparse,
            of a dtype that NumPy lacks, or still requires a gradient.
    """
    if not isinstance(state, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        kind = type(state).__name__
        raise StateDictError(f"{call}: a state dict maps names to arrays, and this is {kind}")
    arrays: dict[str, Array] = {}
    for name in state:
        try:
            arrays[name] = array_of(state[name])
        except Exception as error:  # anything: a stranger's class says how it becomes an array
            reason = elide(f"{type(error).__name__}: {said(error)}", 200)
            unread = f"{call}: {shown(name)} cannot become an array: {reason}"
            raise StateDictError(unread) from error
    return arrays


def misfits(
    own: Mapping[str, Tensor], arrays: Mapping[str, Array], same_dtype: bool = False
) -> list[str]:
    """Why `arrays` cannot be the values of these tensors: one phrase a reason, the first few."""
    problems = [f"missing {name!r}" for name in own if name not in arrays]
    problems += [f"unknown {shown(name)}" for name in arrays if name not in own]
    for name in own:
        if name in arrays:
            reason = _misfit(own[name], arrays[name], same_dtype)
            problems += [f"{name!r} has {reason}"] if reason else []
    if len(problems) > _MOST_PROBLEMS:
        more = len(problems) - _MOST_PROBLEMS
        problems[_MOST_PROBLEMS:] = [f"and {more} more"]
    return problems


def _misfit(own: Tensor, array: Array, same_dtype: bool) -> str:
    if isinstance(array, np.ma.MaskedArray):
        return "masked values"
    if array.shape != own.shape:
        return f"shape {array.shape}, needs {own.shape}"
    is_boolean = own.dtype.kind == "b"
    if array.dtype.kind not in ("b" if is_boolean else "fiu"):
        return f"dtype {array.dtype}, needs {'booleans' if is_boolean else 'numbers'}"
    fits = np.can_cast(array.dtype, own.dtype, "same_kind")
    if same_dtype:
        fits = array.dtype == own.dtype
    return "" if fits else f"dtype {array.dtype}, needs {own.dtype}"
