"""Models from elsewhere, and ours for elsewhere: the ONNX format.

`load` makes a `Module` of a file, which runs on our ops: it is differentiated, recorded, drawn and
debugged as one that was written here. `save` writes what a module or a function computes.

The package `onnx` is an extra: `pip install 'tinygrad-rnn[onnx]'`.
"""

import os
from typing import TYPE_CHECKING, Any

from ..errors import OnnxError

if TYPE_CHECKING:
    from .networks.network import Network

__all__ = ["load"]


def load(path: str | os.PathLike[str] | bytes, *, dtype: Any = None) -> "Network":
    """Read a model.

    Args:
        path: of an .onnx file, or its bytes.
        dtype: what floats become, say np.float64 for a gradient check; by default as in the file.

    Returns:
        Network: a Module named after the file's graph; `print` shows what it takes.

    Raises:
        OnnxError: no such file, a damaged one, or nodes that are not supported: all in one error.
            Nothing is downloaded, and no data outside the file's folder is read.
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
