"""The package `onnx`, which is imported when it is first needed: it is an extra."""

import importlib
from typing import Any

from ..errors import OnnxError

MISSING = "tg.onnx needs the package onnx: pip install 'tinygrad-rnn[onnx]'"


def onnx_module(name: str = "") -> Any:
    """The package, or a module of it: "helper", "defs".

    Raises:
        OnnxError: it is not installed.
    """
    try:
        return importlib.import_module(f"onnx.{name}" if name else "onnx")
    except ImportError as error:
        raise OnnxError(MISSING) from error
