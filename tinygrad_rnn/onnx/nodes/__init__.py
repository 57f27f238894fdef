"""What each op of ONNX does, in our ops: a chapter a file.

A handler gets the node and the values that it reads: Tensors, or plain arrays where a value depends
on constants and shapes alone. It returns a value, or a tuple of one for each output.
"""

from . import (
    choices,
    containers,
    elementwise,
    normalization,
    parts,
    probabilities,
    products,
    reductions,
    shapes,
    windows,
)
from .registry import HANDLERS, is_handled
from .running import run_node

__all__ = [
    "HANDLERS",
    "choices",
    "containers",
    "elementwise",
    "is_handled",
    "normalization",
    "parts",
    "probabilities",
    "products",
    "reductions",
    "run_node",
    "shapes",
    "windows",
]
