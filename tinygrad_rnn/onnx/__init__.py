"""The ONNX format: reads models of other programs, and writes ours for them.

`load` makes a `Module` of a file. It runs on our ops, so it can be differentiated, recorded, drawn
and debugged like a module that was written here. `save` writes what a module or a function
computes.

The package `onnx` is an extra: `pip install 'tinygrad-rnn[onnx]'`.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import OnnxError

if TYPE_CHECKING:
    from .networks.network import Network

__all__ = ["load", "save"]


def load(path: str | os.PathLike[str] | bytes, *, dtype: Any = None) -> "Network":
    """Read a model.

    Args:
        path: of an .onnx file, or its bytes.
        dtype: what floats become, say np.float64 for a gradient check; by default as in the file.

    Returns:
        Network: a Module named after the file's graph; `print` shows what it takes.

    Raises:
        OnnxError: there is no such file, it is damaged, or some nodes are not supported: the error
            lists all of them. Nothing is downloaded, and no data outside the file's folder is read.
    """
    from .loading import network_of
    from .reading.read import parsed, read_model

    if isinstance(path, bytes):
        return network_of(parsed(path), None, dtype)
    name = os.fspath(path)
    try:
        return network_of(*read_model(path), dtype)
    except OnnxError as error:
        message = str(error)
        if message.startswith("load: "):
            raise
        raise OnnxError(f"load: {name}: {message}") from error


def save(
    path: str | os.PathLike[str],
    module_or_function: Callable[..., Any],
    *example: Any,
    unrolled: bool = False,
    dtype: Any = None,
) -> None:
    """Write what a module or a function computes, as recorded in one run of it.

    Calls of `tg.nn`'s RNN, LSTM and GRU become recurrent nodes, everything else the ops that it
    ran. Parameters keep their names, and each node knows the calls of modules that it was made in,
    so that `load` finds the copies again. The file has opset 20, and passed `onnx.checker`.

    Args:
        path: where; `.onnx` is the usual ending.
        module_or_function: in evaluation: dropout cannot be written.
        example: its arguments. Arrays and Tensors become inputs of their shapes; all else is
            written as it is.
        unrolled: write recurrent layers as plain ops, too.
        dtype: what floats are written as, say np.float32, which onnxruntime has all ops for; by
            default as they are.

    Raises:
        OnnxError: ops that ONNX lacks, all in one error; a function that looks at the numbers of
            an input, or that returns no tensor; a file that cannot be written.
    """
    from .writing.save import save_model

    save_model(path, module_or_function, example, unrolled=unrolled, dtype=dtype)
