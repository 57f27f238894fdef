"""A NumPy autograd that you can read in one sitting, with recurrent networks as its subject."""

import sys
from typing import TYPE_CHECKING, Any

from . import nn
from .autograd import ops
from .autograd.backward import grad
from .autograd.op import op
from .autograd.ops import ones_like, zeros_like
from .autograd.ops.creation import ones, randn, zeros
from .autograd.switches import no_grad, scope
from .autograd.tensor import Tensor, tensor
from .check import gradcheck, gradgradcheck
from .diagrams import draw
from .nn import optim
from .tracing.anomaly import detect_anomaly
from .tracing.trace import breakpoint, load_trace, trace

if TYPE_CHECKING:
    from . import onnx
    from .compiler import compile
    from .nn.checkpoint import load, save

__all__ = [
    "Tensor",
    "breakpoint",
    "compile",
    "detect_anomaly",
    "draw",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "load",
    "load_trace",
    "nn",
    "no_grad",
    "ones",
    "ones_like",
    "onnx",
    "op",
    "ops",
    "optim",
    "randn",
    "save",
    "scope",
    "tensor",
    "trace",
    "zeros",
    "zeros_like",
]

# `import tinygrad_rnn.ops` works as `tg.ops` does: the files stand where the architecture wants
# them.
sys.modules[f"{__name__}.ops"] = ops
sys.modules[f"{__name__}.optim"] = optim
sys.modules[f"{__name__}.optim.lr_scheduler"] = optim.lr_scheduler

# What is slow to import waits until it is used.
_LATE = {
    "compile": "compiler",
    "load": "nn.checkpoint",
    "save": "nn.checkpoint",
}


def __getattr__(name: str) -> Any:
    import importlib

    if name == "onnx":
        return importlib.import_module(".onnx", __name__)
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_LATE[name]}", __name__), name)
