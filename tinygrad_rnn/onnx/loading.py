"""From a file's ModelProto to its network."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..archive import DAMAGED
from ..errors import OnnxError, TinygradError
from ..text import elide
from .networks.network import Network
from .nodes import is_handled
from .reading.functions import Functions
from .reading.graph import Graph, Node
from .reading.read import Reader, facts_of, opsets_of
from .reading.tensors import DTYPES, NUMBERS


def network_of(proto: Any, folder: Path | None, dtype: Any = None) -> Network:
    """The network of a ModelProto.

    Args:
        proto: of a file.
        folder: where it lies; None: there is no file, and no external data.
        dtype: what floats become; None: as they are.

    Raises:
        OnnxError: it cannot be read, or is not supported.
    """
    if dtype is not None and np.dtype(dtype).kind != "f":
        raise OnnxError(f"load: floats become floats, not {np.dtype(dtype)}")
    opsets = opsets_of(proto.opset_import)
    reader = Reader(opsets, folder, Functions(proto, is_handled))
    try:
        graph = reader.graph(proto.graph)
        if dtype is not None:
            graph = _in_dtype(graph, np.dtype(dtype))
        return Network(facts_of(proto, graph, opsets.get("", 0)), dtype)
    except TinygradError:
        raise
    except DAMAGED as error:
        reason = f"{type(error).__name__}: {elide(str(error), 200)}"
        raise OnnxError(f"the file is damaged: {reason}") from error


def _in_dtype(graph: Graph, dtype: np.dtype[Any]) -> Graph:
    """The graph with every float of another dtype, conversions to floats included."""
    return replace(
        graph,
        nodes=[_node_in(node, dtype) for node in graph.nodes],
        initializers={name: _array_in(x, dtype) for name, x in graph.initializers.items()},
    )


def _node_in(node: Node, dtype: np.dtype[Any]) -> Node:
    attributes = {name: _value_in(name, value, dtype) for name, value in node.attributes.items()}
    return replace(node, attributes=attributes)


def _value_in(name: str, value: Any, dtype: np.dtype[Any]) -> Any:
    if isinstance(value, Graph):
        return _in_dtype(value, dtype)
    if isinstance(value, np.ndarray):
        return _array_in(value, dtype)
    if name in ("to", "dtype") and value in DTYPES and np.dtype(DTYPES[value]).kind == "f":
        return NUMBERS[dtype]
    return value


def _array_in(x: Any, dtype: np.dtype[Any]) -> Any:
    return x.astype(dtype) if x.dtype.kind == "f" else x
