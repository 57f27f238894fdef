"""Checkpoints: a model, its optimiser and what else a run needs, in one safetensors file.

Loading a file that a stranger made runs nothing of theirs: see `archive`.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..archive import Archive
from ..autograd.tensor import Array, Tensor
from ..errors import CheckpointError
from . import optim
from .layers import Dropout, Embedding, Linear, Sequential
from .module import Module, misfits
from .recurrent import LAYERS, Recurrent

_RECURRENT = [kind for layer in LAYERS.values() for kind in (layer, layer.cell_type)]
MODULES: dict[str, Any] = {
    kind.__name__: kind for kind in (*_RECURRENT, Linear, Embedding, Dropout, Sequential)
}
ARCHIVE = Archive("tinygrad_rnn", 1, CheckpointError, "load", "save", "tg.save")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What `load` found: the model, the optimiser (None when none was saved), and the metadata."""

    model: Module
    optimizer: optim.Optimizer | None
    metadata: dict[str, Any]


def save(
    path: str | os.PathLike[str],
    model: Module,
    optimizer: optim.Optimizer | None = None,
    **metadata: Any,
) -> None:
    """Write a checkpoint; a reader finds the old one or the new one at any moment, never a part.

    Args:
        path: where; `.safetensors` is the usual ending.
        model: any Module. Those of `tg.nn` are built again by `load`; of others the parameters are
            saved.
        optimizer: with its settings and state; each of its parameters must be one of the model's.
        metadata: what JSON can hold (tuples come back as lists), and arrays or Tensors.

    Raises:
        CheckpointError: metadata that cannot be saved, an optimiser of other parameters, or a file
            that cannot be written; the checkpoint that was there before is then still there.
    """
    arrays = {f"model.{name}": value for name, value in model.state_dict().items()}
    plain: dict[str, Any] = {}
    for name, value in metadata.items():
        if isinstance(value, np.ndarray | Tensor):
            arrays[f"metadata.{name}"] = np.asarray(value)
        else:
            plain[name] = value
    description = {
        "class": type(model).__name__,
        "model": _describe(model),
        "optimizer": None if optimizer is None else _describe_optimizer(model, optimizer, arrays),
        "metadata": plain,
    }
    ARCHIVE.write(path, description, arrays)


def load(path: str | os.PathLike[str], into: Module | None = None) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: of a file that `save` wrote.
        into: a model of the same parameters to bind to the saved values; needed for modules that
            are not tg.nn's.

    Returns:
        Checkpoint: with `.model` (`into` itself when given), `.optimizer` and `.metadata`.

    Raises:
        CheckpointError: no such file, not a checkpoint, damaged, of a newer version, or names,
            shapes or dtypes that are not the model's. Nothing is changed then.
    """
    name = os.fspath(path)
    description, arrays = ARCHIVE.read(path)
    with ARCHIVE.blaming(name):
        if into is None and description["model"] is None:
            raise CheckpointError(
                f"load: {name} is of {description['class']!r}, which is not a module of tg.nn: "
                "make one and pass it, tg.load(path, into=model)"
            )
        model = into if into is not None else _build(description["model"], arrays)
        model_state = _part(arrays, "model")
        _check(name, model, model_state)
        optimizer = _build_optimizer(description["optimizer"], model, _part(arrays, "optimizer"))
        metadata = dict(description["metadata"]) | _part(arrays, "metadata")
        model.load_state_dict(model_state)
    return Checkpoint(model, optimizer, metadata)


def _part(arrays: Mapping[str, Array], part: str) -> dict[str, Array]:
    start = f"{part}."
    return {
        name.removeprefix(start): np.array(value)
        for name, value in arrays.items()
        if name.startswith(start)
    }


# The model


def _describe(module: Any) -> dict[str, Any] | None:
    """What `_build` needs; None for a module that is not ours, whose code no file can hold."""
    name = type(module).__name__
    if MODULES.get(name) is not type(module):
        return None
    if name != "Sequential":
        return {"class": name, "config": module.config}
    parts = [_describe(part) for part in module]
    return None if None in parts else {"class": name, "modules": parts}


def _build(description: Mapping[str, Any], arrays: Mapping[str, Array]) -> Module:
    model = _build_module(description, _Blank(sum(a.size for a in arrays.values())))
    for _, module in model.named_modules():
        if isinstance(module, Recurrent | Dropout):
            module.rng = np.random.default_rng()
    return model


def _build_module(description: Mapping[str, Any], blank: "_Blank") -> Module:
    kind = MODULES.get(description["class"])
    if kind is None:
        raise ValueError(f"no such module: {description['class']!r}")
    if kind is Sequential:
        return Sequential(*[_build_module(part, blank) for part in description["modules"]])
    config = dict(description["config"])
    if config.get("dtype", "float64") not in ("float16", "float32", "float64"):
        raise ValueError(f"no dtype of parameters: {config['dtype']!r}")
    blank.check_sizes(config)
    return kind(**config, rng=blank)


class _Blank(np.random.Generator):
    """Zeros in place of random first values, and no more of them than the file has values for."""

    def __init__(self, left: int) -> None:
        super().__init__(np.random.PCG64(0))
        self.left = left

    def check_sizes(self, config: Mapping[str, Any]) -> None:
        """Refuse sizes that no file of this length can mean."""
        if any(isinstance(size, int) and size > max(self.left, 1) for size in config.values()):
            raise ValueError(f"sizes {config} need more values than there are")

    def uniform(self, low: Any, high: Any, size: Any) -> Array:  # type: ignore[override]
        return self.standard_normal(size)

    def standard_normal(self, size: Any) -> Array:  # type: ignore[override]
        self.left -= math.prod(size)
        if self.left < 0:
            raise ValueError(f"a parameter of shape {size} needs more values than there are")
        return np.zeros(size)


def _check(name: str, model: Module, state: Mapping[str, Array]) -> None:
    own = model.state_dict()
    problems = misfits({key: value.shape for key, value in own.items()}, state)
    problems += [
        f"{key!r} has dtype {state[key].dtype}, needs {value.dtype}"
        for key, value in own.items()
        if key in state and state[key].dtype != value.dtype
    ]
    if problems:
        raise CheckpointError(
            f"load: {name} does not fit {type(model).__name__}: {'; '.join(problems)}"
        )


# The optimiser


def _describe_optimizer(
    model: Module, optimizer: optim.Optimizer, arrays: dict[str, Array]
) -> dict[str, Any]:
    """Settings, parameters by name, and numbers of the state; its arrays go to the arrays."""
    kind = type(optimizer).__name__
    if optim.KINDS.get(kind) is not type(optimizer):
        raise CheckpointError(
            f"save: {kind} is not an optimiser of tg.optim; save its state_dict() as metadata"
        )
    names: dict[Tensor, str] = {parameter: name for name, parameter in model.named_parameters()}
    if any(p not in names for p in optimizer.params):
        raise CheckpointError(
            f"save: {kind} has a parameter that is not one of {type(model).__name__}'s"
        )
    numbers: list[dict[str, Any]] = []
    for i, state in enumerate(optimizer.state):
        numbers.append({})
        for key, value in state.items():
            if isinstance(value, np.ndarray):
                arrays[f"optimizer.{i}.{key}"] = value
            else:
                numbers[i][key] = value
    return {
        "class": kind,
        "settings": optimizer.settings,
        "parameters": [names[p] for p in optimizer.params],
        "numbers": numbers,
    }


def _build_optimizer(
    description: Any, model: Module, arrays: Mapping[str, Array]
) -> optim.Optimizer | None:
    if description is None:
        return None
    parameters = dict(model.named_parameters())
    moved = [parameters[name] for name in description["parameters"]]
    optimizer = optim.KINDS[description["class"]](moved)
    states = [dict(numbers) for numbers in description["numbers"]]
    for name, value in arrays.items():
        position, _, key = name.partition(".")
        states[int(position)][key] = value
    optimizer.load_state_dict({"settings": description["settings"], "state": states})
    return optimizer
