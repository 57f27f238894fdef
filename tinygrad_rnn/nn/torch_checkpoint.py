"""Whole models from PyTorch: a state dict in a safetensors file, no pickle."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd.tensor import Array, Tensor
from ..errors import CheckpointError, StateDictError
from ..text import elide
from .module import Module, misfits
from .torch_names import TorchNamed

_SHOWN = 60  # letters of a name


@dataclass(frozen=True, slots=True)
class Taken:
    """What `load_torch` did not use.

    Args:
        missing: torch's names of what the model has and the file lacks.
        unexpected: the file's names of what the model lacks.
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]


def load_torch(
    path: str | os.PathLike[str], into: Module, *, prefix: str = "", strict: bool = True
) -> Taken:
    """Give a model the parameters of a PyTorch model with the same modules; all of them, or none.

    `safetensors.torch.save_file(model.state_dict(), path)` writes such a file. Modules are found by
    their names: `encoder.rnn.weight_ih_l0` is of the RNN, LSTM or GRU `into.encoder.rnn`,
    `head.bias` of the Linear `into.head`. Two biases that are always added become one, see
    `load_torch_state_dict`.

    Args:
        path: of a safetensors file.
        into: the model.
        prefix: what the names of this model's entries begin with, "module." or "model."; other
            entries of the file are left out.
        strict: raise if something is missing or unexpected; if False, it is only reported.

    Returns:
        Taken: what was missing and what was unexpected; nothing, where `strict`.

    Raises:
        CheckpointError: no such file, or no safetensors file.
        StateDictError: something is missing or unexpected, or a shape differs.
    """
    from ..archive import Archive  # slow to import

    name, writer = os.fspath(path), "safetensors.torch.save_file"
    arrays = Archive("", 0, CheckpointError, "load_torch", writer, writer).read_arrays(path)
    found = {
        key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)
    }
    table = torch_table(into)
    wanted = {theirs: part for part, names in table for theirs in names}
    missing = [key for key in wanted if key not in found]
    unexpected = [key for key in found if key not in wanted]
    unexpected += [key for key in arrays if not key.startswith(prefix)]
    if strict and (missing or unexpected):
        raise StateDictError(f"load_torch: {name}: {_listed(missing, unexpected, wanted)}")
    there = {key: value for key, value in found.items() if key in wanted}
    problems = misfits({key: wanted[key] for key in there}, there)
    if problems:
        raise StateDictError(f"load_torch: {name}: {'; '.join(problems)}")
    _bind(table, there)
    return Taken(tuple(missing), tuple(unexpected))


def torch_table(model: Module) -> list[tuple[Tensor, tuple[str, ...]]]:
    """Each parameter and buffer of a model, and torch's names for it.

    Raises:
        StateDictError: a variant of a layer that torch lacks.
    """
    rows: list[tuple[Tensor, tuple[str, ...]]] = []
    placed: set[Tensor] = set()
    inside: list[str] = []
    for path, module in model.named_modules():
        if not isinstance(module, TorchNamed) or any(path.startswith(one) for one in inside):
            continue
        inside.append(f"{path}." if path else "")
        start = f"{path}." if path else ""
        for part, names in module.torch_table(type(module).__name__):
            rows.append((part, tuple(start + theirs for theirs in names)))
            placed.add(part)
    rows += [(part, (name,)) for name, part in model.named_tensors() if part not in placed]
    return rows


def _listed(missing: list[str], unexpected: list[str], wanted: Mapping[str, Any]) -> str:
    parts: list[str] = []
    for what, names in (("missing", missing), ("unexpected", unexpected)):
        if names:
            shown = ", ".join(elide(name, _SHOWN) for name in names[:8])
            parts.append(f"{what} {shown}" + f" and {len(names) - 8} more" * (len(names) > 8))
    ends = {name.partition(".")[0] for name in unexpected if name.partition(".")[2] in wanted}
    if len(ends) == 1:
        parts.append(f'the file\'s names begin with "{ends.pop()}.": give it as prefix')
    return "; ".join(parts)


def _bind(table: list[tuple[Tensor, tuple[str, ...]]], arrays: Mapping[str, Array]) -> None:
    for part, names in table:
        given = [arrays[name] for name in names if name in arrays]
        if len(given) == len(names):
            part.data = np.sum(given, axis=0).astype(part.dtype) if len(given) > 1 else given[0]
