"""What parameters are called: as the modules that own them call them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import cast

import numpy as np

from ...autograd.tensor import Array, Tensor
from ...errors import cut
from ...nn.module import Module
from ..recording.graph import Node

_OF_ANY_MODULE = "weight", "bias"


def names_in(modules: Iterable[Module]) -> dict[int, str]:
    """The name of each parameter by its id, as the first of the modules that has it names it."""
    names: dict[int, str] = {}
    for module in modules:
        for name, parameter in module.named_parameters():
            names.setdefault(parameter.id, name)
    return names


def parameter_names(nodes: Iterable[Node], owners: Mapping[int, str] = {}) -> dict[int, str]:
    """The name of each parameter that some ops read, by its id.

    It is the one in the outermost module that used the parameter, else the parameter's own. Where
    another one's name ends so, the module's variable stands before it: `head.weight`. So it does
    before a name that says nothing by itself, where there are several modules.

    Args:
        nodes: the ops.
        owners: id of a module that the program itself called -> its variable there.
    """
    found: dict[int, tuple[str, str]] = {}  # the name, and the module's variable
    in_module: dict[int, dict[int, str]] = {}  # id of a module -> the names in it
    for node in nodes:
        for x in node.inputs:
            if x is not None and x.is_parameter and x.id not in found:
                name, module = _name_in_modules(x, node, in_module)
                known = owners.get(id(module), "")
                found[x.id] = name or x.name or "parameter", known
    used: dict[str, int] = {}  # a name -> how many have it
    return {id_: _unique(cut(path), used) for id_, path in _told_apart(found).items()}


def _told_apart(found: Mapping[int, tuple[str, str]]) -> dict[int, str]:
    """The names, with the module's variable before those that others end with."""
    several = len({module for _, module in found.values()}) > 1
    paths = {
        id_: f"{module}.{name}" if several and module and name in _OF_ANY_MODULE else name
        for id_, (name, module) in found.items()
    }
    while True:
        ends = Counter(end for path in paths.values() for end in _ends(path))
        unclear = [
            id_
            for id_, (name, module) in found.items()
            if module and paths[id_] == name and ends[name] > 1
        ]
        if not unclear:
            return paths
        for id_ in unclear:
            name, module = found[id_]
            paths[id_] = f"{module}.{name}"


def _ends(path: str) -> Iterator[str]:
    """`a.b.c`, `b.c` and `c`."""
    while path:
        yield path
        path = path.partition(".")[2]


def attribute_name(leaf: Node, readers: Iterable[Node]) -> str:
    """What a module that some ops are made in calls an array or a buffer of its own; "" else."""
    origin = leaf.origin
    for reader in readers:
        for call in reversed(reader.calls):
            owner = call.owner
            attributes = vars(owner).items() if isinstance(owner, Module) else ()
            for name, value in attributes:
                if isinstance(value, Tensor) and value.id == leaf.id:
                    return name
                if origin is None or not isinstance(value, np.ndarray):
                    continue
                if origin.is_of(cast(Array, value)):
                    return name
    return ""


def has_parameter(reader: Node, parameter: Node) -> bool:
    """Whether a module that an op is made in has a parameter."""
    _, module = _name_in_modules(parameter, reader, {})
    return module is not None


def _name_in_modules(
    parameter: Node, reader: Node, in_module: dict[int, dict[int, str]]
) -> tuple[str, Module | None]:
    """What the outermost module that has a parameter calls it, and that module."""
    for call in reader.calls:
        module = call.owner
        if isinstance(module, Module):
            if id(module) not in in_module:
                in_module[id(module)] = names_in([module])
            name = in_module[id(module)].get(parameter.id)
            if name is not None:
                return name, module
    return "", None


def _unique(name: str, used: dict[str, int]) -> str:
    """Two of one picture whom nothing else tells apart: the second `W` becomes `W_2`."""
    unique, number = name, used.get(name, 1)
    while unique in used:
        number += 1
        unique = f"{name}_{number}"
    used[name] = number
    used.setdefault(unique, 1)
    return unique
