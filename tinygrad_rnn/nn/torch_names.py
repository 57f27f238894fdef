"""The parameters of cells under torch.nn's names, both ways.

torch has two biases, bias_ih and bias_hh. Only the GRU uses them apart; of all other cells torch
uses their sum, which is our b_h.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from ..autograd.tensor import Array
from ..errors import StateDictError
from .module import Module, Parameter, arrays_of, misfits

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


def unknown_to_torch(owner: str, variant: str) -> StateDictError:
    """The error for what only ours can do."""
    return StateDictError(f"{owner}: torch.nn.{owner} has no {variant}")


class TorchNamed(Module):
    """A module whose parameters torch.nn has as well, under other names."""

    def torch_table(self, owner: str) -> Table:
        """Each parameter, and torch's names for it in its `owner`.

        Raises:
            StateDictError: torch has no such variant.
        """
        raise NotImplementedError

    def load_torch_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the parameters of the torch.nn module of the same name; all of them, or none.

        Args:
            state: torch's names (`weight_ih_l0` …) to arrays: its `state_dict()`, or what was saved
                of it.

        b_h becomes bias_ih + bias_hh, which is all that torch ever uses of them; a GRU keeps b_x
        and b_h apart.

        Raises:
            StateDictError: a name is missing or unknown, a shape differs, or torch has no such
                variant.
        """
        owner = type(self).__name__
        table = self.torch_table(owner)
        arrays = arrays_of("load_torch_state_dict", state)
        problems = misfits({name: p for p, names in table for name in names}, arrays)
        if problems:
            raise StateDictError(f"load_torch_state_dict: {owner}: {'; '.join(problems)}")
        values: dict[Parameter, Array] = {}
        for parameter, names in table:
            total = np.sum([arrays[name] for name in names], axis=0).astype(parameter.dtype)
            if not np.array_equal(values.setdefault(parameter, total), total, equal_nan=True):
                raise StateDictError(
                    f"load_torch_state_dict: {owner}: {names[0]!r} is shared here, and has values "
                    "of its own in the state"
                )
        for parameter, total in values.items():
            parameter.data = total

    def to_torch_state_dict(self) -> dict[str, Array]:
        """The parameters under torch's names: bias_ih is b_h and bias_hh is 0, as torch adds them.

        Raises:
            StateDictError: torch has no such variant: output_size, peephole, coupled,
                reset_after=False.
        """
        state: dict[str, Array] = {}
        for parameter, (first, *others) in self.torch_table(type(self).__name__):
            state[first] = np.array(parameter.data)
            state.update({name: np.zeros_like(parameter.data) for name in others})
        return state
