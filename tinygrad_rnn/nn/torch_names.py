"""The parameters of cells under torch.nn's names, both ways.

torch has two biases, bias_ih and bias_hh. Only the GRU uses them apart; of all other cells torch
uses their sum, which is our b_h.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from ..autograd.tensor import Array
from ..errors import StateDictError
from .module import Parameter, misfits

# Each parameter, and torch's names for it.
Table: TypeAlias = Sequence[tuple[Parameter, tuple[str, ...]]]

_WEIGHTS = {"W_xh": ("weight_ih",), "W_hh": ("weight_hh",)}
_ONE_BIAS = _WEIGHTS | {"b_h": ("bias_ih", "bias_hh")}
_TWO_BIASES = _WEIGHTS | {"b_x": ("bias_ih",), "b_h": ("bias_hh",)}


def table(parameters: Mapping[str, Parameter], suffix: str) -> Table:
    """The table of one cell; `suffix` follows torch's names: "" in a cell, "_l0" in a layer."""
    names_of = _TWO_BIASES if "b_x" in parameters else _ONE_BIAS
    return [
        (parameters[own], tuple(f"{name}{suffix}" for name in names))
        for own, names in names_of.items()
        if own in parameters
    ]


def load(owner: str, table: Table, state: Mapping[str, Any]) -> None:
    """Bind each parameter to the sum of what torch keeps under its names; all or nothing."""
    arrays = {name: np.asarray(value) for name, value in state.items()}
    problems = misfits({name: p.shape for p, names in table for name in names}, arrays)
    if problems:
        raise StateDictError(f"load_torch_state_dict: {owner}: {'; '.join(problems)}")
    for parameter, names in table:
        parameter.data = np.sum([arrays[name] for name in names], axis=0).astype(parameter.dtype)


def export(table: Table) -> dict[str, Array]:
    """New arrays by torch's names: the value under the first name, zeros under a second."""
    state: dict[str, Array] = {}
    for parameter, (first, *others) in table:
        state[first] = np.array(parameter.data)
        state.update({name: np.zeros_like(parameter.data) for name in others})
    return state


def unknown_to_torch(owner: str, variant: str) -> StateDictError:
    """The error for what only ours can do."""
    return StateDictError(f"{owner}: torch.nn.{owner} has no {variant}")
