"""What parameters are called: as the modules that own them call them."""

from collections.abc import Iterable
from typing import cast

import numpy as np

from ...autograd.tensor import Array, Tensor
from ...errors import cut
from ...nn.module import Module
from ..recording.graph import Node


def names_in(modules: Iterable[Module]) -> dict[int, str]:
    """The name of each parameter by its id, as the first of the modules that has it names it."""
    names: dict[int, str] = {}
    for module in modules:
        for name, parameter in module.named_parameters():
            names.setdefault(parameter.id, name)
    return names


def parameter_names(nodes: Iterable[Node]) -> dict[int, str]:
    """The name of each parameter that some ops read, by its id.

    It is the one in the outermost module that used the parameter, else the parameter's own.
    """
    names: dict[int, str] = {}
    used: dict[str, int] = {}  # a name -> how many have it
    in_module: dict[int, dict[int, str]] = {}  # id of a module -> the names in it
    for node in nodes:
        for x in node.inputs:
            if x is not None and x.is_parameter and x.id not in names:
                name = _name_in_modules(x, node, in_module) or x.name or "parameter"
                names[x.id] = _unique(cut(name), used)
    return names


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


def _name_in_modules(
    parameter: Node, reader: Node, in_module: dict[int, dict[int, str]]
) -> str | None:
    for call in reader.calls:
        module = call.owner
        if isinstance(module, Module):
            if id(module) not in in_module:
                in_module[id(module)] = names_in([module])
            name = in_module[id(module)].get(parameter.id)
            if name is not None:
                return name
    return None


def _unique(name: str, used: dict[str, int]) -> str:
    """Two modules of one picture may both have a `W_hh`: the second becomes `W_hh_2`."""
    unique, number = name, used.get(name, 1)
    while unique in used:
        number += 1
        unique = f"{name}_{number}"
    used[name] = number
    used.setdefault(unique, 1)
    return unique
