"""The parameters of cells under torch.nn's names, both ways.

torch has two biases, bias_ih and bias_hh, of which all but the GRU's only ever use the sum: that is
our b_h.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..autograd.tensor import Array
from ..errors import StateDictError
from .module import Parameter, misfits

if TYPE_CHECKING:
    from .recurrent import Cell

Cells = Sequence[
    tuple[str, "Cell"]
]  # with what follows torch's names: "" in a cell, "_l0_reverse" in a layer

_TORCH_HAS = {"peephole": False, "coupled": False, "reset_after": True}
_WEIGHTS = {"W_xh": ("weight_ih",), "W_hh": ("weight_hh",)}
_ONE_BIAS = {"b_h": ("bias_ih", "bias_hh")}
_TWO_BIASES = {"b_x": ("bias_ih",), "b_h": ("bias_hh",)}


def load(owner: str, cells: Cells, state: Mapping[str, Any]) -> None:
    """Bind every parameter of the cells to the sum of what torch keeps under its names; all or nothing."""
    table = list(_table(owner, cells))
    arrays = {name: np.asarray(value) for name, value in state.items()}
    problems = misfits({name: p.shape for p, names in table for name in names}, arrays)
    if problems:
        raise StateDictError(f"load_torch_state_dict: {owner}: {'; '.join(problems)}")
    for parameter, names in table:
        parameter.data = np.sum([arrays[name] for name in names], axis=0).astype(parameter.dtype)


def export(owner: str, cells: Cells) -> dict[str, Array]:
    """torch's names to arrays that are the caller's own: the value under the first name, zeros under a second."""
    state: dict[str, Array] = {}
    for parameter, (first, *others) in _table(owner, cells):
        state[first] = np.array(parameter.data)
        state.update({name: np.zeros_like(parameter.data) for name in others})
    return state


def unknown_to_torch(owner: str, variant: str) -> StateDictError:
    """The error for what only ours can do."""
    return StateDictError(f"{owner}: torch.nn.{owner} has no {variant}")


def _table(owner: str, cells: Cells) -> Iterator[tuple[Parameter, tuple[str, ...]]]:
    """Each parameter, and torch's names for it."""
    for suffix, cell in cells:
        for option, value in cell.variant.items():
            if _TORCH_HAS.get(option, value) != value:
                raise unknown_to_torch(owner, f"{option}={value}")
        own = dict(cell.named_parameters())
        for name, names in {**_WEIGHTS, **(_TWO_BIASES if "b_x" in own else _ONE_BIAS)}.items():
            if name in own:
                yield own[name], tuple(f"{torch_name}{suffix}" for torch_name in names)
