"""Inputs for a network: from a file of arrays, or drawn at random, as the graph reads them."""

import os
import zipfile
from collections.abc import Mapping
from functools import reduce
from typing import Any

import numpy as np

from ..autograd import ops
from ..autograd.tensor import Array, Tensor
from ..errors import OnnxError
from ..files import read_regular
from ..text import elide
from .networks.network import Network
from .reading.graph import Graph, Value

_MOST_BYTES = 2**30
_MOST_ELEMENTS = 2**26
_LENGTHS = 4  # the input of a recurrent node that says how long the sequences are
# What axes are called along which examples are independent.
_BATCH = ("b", "n", "batch", "batch_size", "batchsize")


def read_inputs(network: Network, path: str | os.PathLike[str]) -> dict[str, Array]:
    """The inputs in a file that `np.savez` wrote, by their names.

    Raises:
        OnnxError: there is no such file, or an input is missing, unknown, or not an array of
            numbers.
    """
    name = os.fspath(path)
    try:
        read_regular(path, _MOST_BYTES)
        with zipfile.ZipFile(path) as file:
            if sum(one.file_size for one in file.infolist()) > _MOST_BYTES:
                raise OnnxError(f"{name}: more than {_MOST_BYTES // 2**20} MiB")
        with np.load(path, allow_pickle=False) as arrays:
            given = {key: arrays[key] for key in arrays.files}
    except (OSError, ValueError, zipfile.BadZipFile, MemoryError, KeyError) as error:
        if isinstance(error, OnnxError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise OnnxError(f"{name}: not a file of arrays: {elide(str(reason), 200)}") from error
    names = [value.name for value in network.inputs]
    if set(given) != set(names):
        listed = ", ".join(map(str, network.inputs))
        raise OnnxError(f"{name} holds {sorted(given)}; the model takes {listed}")
    return given


def random_inputs(
    network: Network, length: int | None = None, axes: Mapping[str, int] | None = None
) -> dict[str, Array]:
    """Random inputs, the same each time: floats from N(0, 1), and indices that tables have.

    Args:
        network: what reads them.
        length: of each axis that the file leaves open, but for those of a batch, which are 1.
        axes: lengths of single ones, by name.

    Raises:
        OnnxError: an axis is open and no length is given for it; names them all.
    """
    known, rng = dict(axes or {}), np.random.default_rng(0)
    opened = [
        axis for value in network.inputs for axis in value.shape or () if isinstance(axis, str)
    ]
    for axis in opened:
        if axis.lower() in _BATCH:
            known.setdefault(axis, 1)
        elif length is not None:
            known.setdefault(axis, length)
    missing = [axis for axis in dict.fromkeys(opened) if axis not in known]
    unknown = [axis for axis in known if axis not in opened]
    untold = [value.name for value in network.inputs if value.shape is None]
    if missing or unknown or untold:
        raise OnnxError(_asked(network, missing, unknown, untold))
    limits = index_limits(network.graph)
    return {value.name: _drawn(value, known, limits, length, rng) for value in network.inputs}


def _asked(network: Network, missing: Any, unknown: Any, untold: Any) -> str:
    listed = ", ".join(map(str, network.inputs))
    text = f"the model takes {listed}"
    if untold:
        return f"{text}: the file does not say the shape of {', '.join(untold)}; give --inputs"
    if missing:
        wanted = " ".join(f"--axis {axis}=N" for axis in missing)
        text += f": give --length T, or {wanted}"
    if unknown:
        text += f": it has no open axis {', '.join(unknown)}"
    return text


def index_limits(graph: Graph) -> dict[str, int]:
    """For each input that is an index, how many rows the smallest table has that it is used on."""
    limits: dict[str, int] = {}
    for node in graph.every_node():
        if node.op in ("Gather", "GatherElements") and node.inputs[0] in graph.initializers:
            table = graph.initializers[node.inputs[0]]
            if not table.ndim:
                continue
            rows, name = table.shape[node.attributes["axis"]], node.inputs[1]
            limits[name] = min(rows, limits.get(name, rows))
        elif node.op in ("RNN", "LSTM", "GRU") and len(node.inputs) > _LENGTHS:
            limits[node.inputs[_LENGTHS]] = 0  # a length
    return limits


def _drawn(
    value: Value,
    known: Mapping[str, int],
    limits: Mapping[str, int],
    length: int | None,
    rng: np.random.Generator,
) -> Array:
    shape = [known[axis] if isinstance(axis, str) else axis for axis in value.shape or ()]
    if np.prod(shape, dtype=float) > _MOST_ELEMENTS:
        raise OnnxError(f"{value}: more than {_MOST_ELEMENTS} elements")
    dtype = np.dtype(value.dtype or np.float32)
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    limit = limits.get(value.name, 2)
    if not limit:
        return np.full(shape, length or 1, dtype)
    return rng.integers(0, limit, shape).astype(dtype)


def loss_of(outputs: Any) -> Tensor:
    """A number to differentiate: the output itself if it is one, else the mean of all squares.

    Raises:
        OnnxError: no output is of floats.
    """
    made = outputs if isinstance(outputs, tuple) else (outputs,)
    floats = [x for x in made if isinstance(x, Tensor) and x.dtype.kind == "f"]
    if not floats:
        raise OnnxError("the model has no output of floats: there is nothing to differentiate")
    if len(floats) == 1 and floats[0].size == 1:
        return floats[0].sum()
    return reduce(ops.add, [ops.mean(ops.square(x)) for x in floats])
