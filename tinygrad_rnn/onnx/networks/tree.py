"""A tree of modules with the names of a file, safe as attributes."""

from collections.abc import Sequence
from typing import Any

from ...nn.module import Module
from ..reading.graph import Call
from .steps import Part, part_of

_DEEPEST = 16
_LONGEST = 80


def safe(module: Module, name: str) -> str:
    """A name for an attribute, which is not one that modules have."""
    name = name[:_LONGEST] or "_"
    while name.startswith("_") or hasattr(type(module), name):
        name = f"{name.lstrip('_')}_" if name.strip("_") else "unnamed"
    return name


def attach(module: Module, name: str, part: Any) -> str:
    """Make something an attribute, under this name or one like it; returns the name."""
    first = name = safe(module, name)
    number = 1
    while name in vars(module):
        name, number = f"{first}_{number}", number + 1
    setattr(module, name, part)
    return name


class Tree:
    """The modules below a root.

    Args:
        root: the module of a graph.
        parameters: the dotted names of its parameters.
    """

    def __init__(self, root: Module, parameters: Sequence[str]) -> None:
        self._root, self._names = root, frozenset(parameters)
        self._by_number: dict[int, Module] = {}

    def called(self, calls: Sequence[Call]) -> Module:
        """The module of the innermost of some calls; those on the way are made."""
        module, names = self._root, list[str]()
        for call in calls:
            if call.is_scope:
                continue
            names.append(call.name)
            outer, name, path = module, call.name, ".".join(names)
            if call.path:
                *above, name = path_of(call.path)
                outer, path = self.home(above), call.path
            found = self.known(call) or vars(outer).get(safe(outer, name))
            if not isinstance(found, Part):  # nothing, or a layer, which has no calls inside
                has_weights = {f"{path}.W_xh", f"{path}.W_hh"} <= self._names
                found = part_of(call, has_weights or bool(call.path))
                attach(outer, name, found)
            if call.module is not None:
                self._by_number.setdefault(call.module, found)
            module = found
        return module

    def known(self, call: Call) -> Module | None:
        """The module of a call, if another call of it was met."""
        return None if call.module is None else self._by_number.get(call.module)

    def place(self, calls: Sequence[Call], module: Module) -> None:
        """Make a module the one of the innermost call."""
        call = calls[-1]
        outer, name = self.called(calls[:-1]), call.name
        if call.path:
            *above, name = path_of(call.path)
            outer = self.home(above)
        if not any(one is module for one in vars(outer).values()):
            attach(outer, name, module)
        if call.module is not None:
            self._by_number[call.module] = module

    def home(self, path: Sequence[str]) -> Module:
        """The module at a path of names, of which several may be one: "cells" and "0"."""
        module, rest = self._root, list(path[:_DEEPEST])
        while rest:
            count = next((n for n in range(len(rest), 0, -1) if _is_inside(module, rest[:n])), 0)
            if not count:
                count, made = 1, Part()
                attach(module, rest[0], made)
            module = vars(module)[safe(module, ".".join(rest[:count]))]
            rest = rest[count:]
        return module


def _is_inside(module: Module, names: Sequence[str]) -> bool:
    return isinstance(vars(module).get(safe(module, ".".join(names))), Module)


def path_of(name: str) -> list[str]:
    """The names in a dotted one: "encoder.rnn.weight" of PyTorch's parameters."""
    parts = [part for part in name.split(".") if part]
    if len(parts) > _DEEPEST:
        return [name]
    return parts or [name]
