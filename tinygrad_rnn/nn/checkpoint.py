"""Checkpoints: a model, its optimiser and whatever else a run needs, in one safetensors file.

Loading a file that a stranger made runs nothing of theirs: see `archive`.
"""

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from ..archive import Archive
from ..autograd.tensor import Array, Tensor
from ..errors import CheckpointError
from ..text import elide
from . import optim
from .layers import Dropout, Embedding, LayerNorm, Linear, ReLU, Sequential, Sigmoid, Tanh
from .module import Buffer, Module, Parameter, array_of, misfits
from .recurrent import LAYERS, Recurrent

_RECURRENT = [kind for layer in LAYERS.values() for kind in (layer, layer.cell_type)]
# Whose first values are no random ones.
_NOT_DRAWN = (LayerNorm, Tanh, Sigmoid, ReLU)
MODULES: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        *_RECURRENT,
        Linear,
        Embedding,
        Dropout,
        LayerNorm,
        Tanh,
        Sigmoid,
        ReLU,
        Sequential,
    )
}
_SHOWN = 400  # characters of what does not fit
# So many times the values that a file has, at most, a model with ties may have.
_MOST_TIED = 16
_MOST_AXES = 64
ARCHIVE = Archive("tinygrad_rnn", 2, CheckpointError, "load", "save", "tg.save", oldest=2)


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
            arrays[f"metadata.{name}"] = array_of(value)
        else:
            plain[name] = value
    description = {
        "class": type(model).__name__,
        "model": _describe_model(model),
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
        CheckpointError: there is no such file; it is not a checkpoint, is damaged, or is of a newer
            version; or its names, shapes or dtypes are not the model's. Nothing is changed then.
    """
    name = os.fspath(path)
    description, arrays = ARCHIVE.read(path)
    with ARCHIVE.blaming(name):
        if into is None and description["model"] is None:
            kind = elide(repr(description["class"]), 60)
            raise CheckpointError(
                f"load: {name} is of {kind}, which is not a module of tg.nn: "
                "make one and pass it, tg.load(path, into=model)"
            )
        model_state = _part(arrays, "model")
        model = into if into is not None else _build(description["model"], model_state)
        problems = misfits(dict(model.named_tensors()), model_state, same_dtype=True)
        if problems:
            fit = f"does not fit {type(model).__name__}: {'; '.join(problems)}"
            raise CheckpointError(f"load: {name} {elide(fit, _SHOWN)}")
        optimizer = _build_optimizer(description["optimizer"], model, _part(arrays, "optimizer"))
        metadata = dict(description["metadata"]) | _part(arrays, "metadata")
        model.load_state_dict(model_state)
        if into is None:
            _freeze(model, description["model"]["frozen"])
    return Checkpoint(model, optimizer, metadata)


def _part(arrays: Mapping[str, Array], part: str) -> dict[str, Array]:
    start = f"{part}."
    return {
        name.removeprefix(start): np.array(value)
        for name, value in arrays.items()
        if name.startswith(start)
    }


# The model


def _describe_model(model: Module) -> dict[str, Any] | None:
    """What `_build` needs; None for a model that is not ours, whose code no file can hold.

    Raises:
        CheckpointError: it is ours, but what was changed in it would not come back.
    """
    modules = _describe(model, {})
    if modules is None:
        return None
    first: dict[Tensor, str] = {}
    ties: dict[str, str] = {}
    fixed: list[str] = []
    for path, module, attribute in _homes(model):
        part = getattr(module, attribute)
        if part in first:
            ties[path] = first[part]
        elif isinstance(part, Buffer):
            fixed.append(path)
        first.setdefault(part, path)
    frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
    description = {"modules": modules, "ties": ties, "fixed": fixed, "frozen": frozen}
    state = model.state_dict()
    try:
        again = _build(description, state)
        problems = misfits(dict(again.named_tensors()), state, same_dtype=True)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        problems = [str(error)]
    if problems:
        raise CheckpointError(
            f"save: {type(model).__name__} could not be loaded as it is: {'; '.join(problems)}; "
            "make it a class of your own"
        )
    return description


def _homes(model: Module) -> Iterator[tuple[str, Module, str]]:
    """Where each parameter and buffer is an attribute: the path, the module, the attribute."""
    for path, module in model.named_modules():
        for attribute, value in vars(module).items():
            if isinstance(value, Parameter | Buffer):
                yield f"{path}.{attribute}", module, attribute


def _describe(module: Any, numbers: dict[int, int | None]) -> dict[str, Any] | None:
    """One module, and those inside; `numbers` are of those described, None while they are."""
    name, known = type(module).__name__, id(module)
    if MODULES.get(name) is not type(module):
        return None
    if known in numbers:
        if numbers[known] is None:
            raise CheckpointError(f"save: {name} holds itself, and cannot be built again")
        return {"class": name, "same": numbers[known]}
    numbers[known] = None
    described: dict[str, Any] = {"class": name}
    if name == "Sequential":
        described["modules"] = [_describe(part, numbers) for part in module]
        if None in described["modules"]:
            return None
    else:
        described["config"] = module.config
    numbers[known] = sum(number is not None for number in numbers.values())
    return described


def _build(description: Mapping[str, Any], state: Mapping[str, Array]) -> Module:
    """The model, with zeros for values."""
    values, ties = sum(a.size for a in state.values()), dict(description["ties"])
    # What is tied is made before it is replaced; the file has no values for it.
    blank = _Blank(values * _MOST_TIED if ties else values)
    model = _build_module(description["modules"], blank, [])
    homes = {path: (module, attribute) for path, module, attribute in _homes(model)}
    for path in description["fixed"]:
        module, attribute = homes[path]
        setattr(module, attribute, Buffer(getattr(module, attribute).data))
    for path, first in ties.items():
        (module, attribute), (owner, name) = homes[path], homes[first]
        setattr(module, attribute, getattr(owner, name))
    for _, module in model.named_modules():
        if isinstance(module, Recurrent | Dropout):
            module.rng = np.random.default_rng()
    return model


def _build_module(description: Mapping[str, Any], blank: "_Blank", built: list[Module]) -> Module:
    kind = MODULES.get(description["class"])
    if kind is None:
        raise ValueError(f"no such module: {description['class']!r}")
    if "same" in description:
        return built[description["same"]]
    if kind is Sequential:
        parts = [_build_module(part, blank, built) for part in description["modules"]]
        built.append(Sequential(*parts))
        return built[-1]
    config = dict(description["config"])
    if config.get("dtype", "float64") not in ("float16", "float32", "float64"):
        raise ValueError(f"no dtype of parameters: {config['dtype']!r}")
    blank.check_sizes(config)
    if kind in _NOT_DRAWN:
        built.append(kind(**config))
        blank.take(sum(p.size for p in built[-1].parameters()))
    else:
        built.append(kind(**config, rng=blank))
    return built[-1]


def _freeze(model: Module, names: Any) -> None:
    parameters = dict(model.named_parameters())
    for name in names:
        parameters[name].requires_grad = False


def _size_of_shape(name: str, shape: list[Any]) -> int:
    if len(shape) > _MOST_AXES or any(type(length) is not int for length in shape):
        raise ValueError(f"{name} is no shape")
    return math.prod(shape)


class _Blank(np.random.Generator):
    """Zeros in place of random first values, and no more of them than the file has values for."""

    def __init__(self, left: int) -> None:
        super().__init__(np.random.PCG64(0))
        self.left = left

    def check_sizes(self, config: Mapping[str, Any]) -> None:
        """Refuse sizes that no file of this length can mean."""
        for name, value in config.items():
            size: Any = value
            if isinstance(value, list):
                size = _size_of_shape(name, cast("list[Any]", value))
            if isinstance(size, int) and size > max(self.left, 1):
                raise ValueError(f"sizes {config} need more values than there are")

    def uniform(self, low: Any, high: Any, size: Any) -> Array:  # type: ignore[override]
        return self.standard_normal(size)

    def standard_normal(self, size: Any) -> Array:  # type: ignore[override]
        self.take(math.prod(size))
        return np.zeros(size)

    def take(self, values: int) -> None:
        """Refuse more values than the file has."""
        self.left -= values
        if self.left < 0:
            raise ValueError("the modules need more values than there are")


# The optimiser


def _describe_optimizer(
    model: Module, optimizer: optim.Optimizer, arrays: dict[str, Array]
) -> dict[str, Any]:
    """Groups, parameters by name, and numbers of the state; its arrays go to the arrays."""
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
    state = optimizer.state_dict()
    groups = [
        {**group, "params": [names[p] for p in own["params"]]}
        for group, own in zip(state["param_groups"], optimizer.param_groups, strict=True)
    ]
    numbers: list[dict[str, Any]] = []
    for i, one in enumerate(state["state"]):
        numbers.append({})
        for key, value in one.items():
            if isinstance(value, np.ndarray):
                arrays[f"optimizer.{i}.{key}"] = value
            else:
                numbers[i][key] = value
    return {"class": kind, "groups": groups, "numbers": numbers}


def _build_optimizer(
    description: Any, model: Module, arrays: Mapping[str, Array]
) -> optim.Optimizer | None:
    if description is None:
        return None
    parameters, groups = dict(model.named_parameters()), description["groups"]
    moved = [
        {**group, "params": [parameters[name] for name in group["params"]]} for group in groups
    ]
    optimizer = optim.KINDS[description["class"]](moved)
    states = [dict(numbers) for numbers in description["numbers"]]
    for name, value in arrays.items():
        position, _, key = name.partition(".")
        states[int(position)][key] = value
    optimizer.load_state_dict({"param_groups": groups, "state": states})
    return optimizer
