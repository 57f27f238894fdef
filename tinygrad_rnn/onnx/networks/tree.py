"""A tree of modules with the names of a file, safe as attributes."""

from collections.abc import Sequence
from typing import Any

from ...nn.module import Module
from .steps import Part

_DEEPEST = 16
_LONGEST = 80


def safe(module: Module, name: str) -> str:
    """A name for an attribute, which is not one that modules have."""
    name = name[:_LONGEST].replace(".", "_") or "_"
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


def part_at(root: Module, path: Sequence[str], kind: type[Part] = Part) -> Module:
    """The module at a path of names; those on the way are made."""
    module = root
    for name in path[:_DEEPEST]:
        found = vars(module).get(safe(module, name))
        if not isinstance(found, Module):
            made = Part()
            attach(module, name, made)
            found = made
        module = found
    return module


def path_of(name: str) -> list[str]:
    """The names in a dotted one: "encoder.rnn.weight" of PyTorch's parameters."""
    parts = [part for part in name.split(".") if part]
    if len(parts) > _DEEPEST:
        return [name]
    return parts or [name]
