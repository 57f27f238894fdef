"""The table of handlers: one for each op of ONNX that is run as it is."""

from collections.abc import Callable
from typing import Any

Handler = Callable[..., Any]

# (domain, op) -> handler
HANDLERS: dict[tuple[str, str], Handler] = {}
# What is a module of its own: a recurrent layer, a subgraph.
MODULES = frozenset({"RNN", "LSTM", "GRU", "If", "Loop", "Scan"})


def handles(*ops: str) -> Callable[[Handler], Handler]:
    """Make a function the handler of ONNX's ops of these names."""

    def decorate(function: Handler) -> Handler:
        for op in ops:
            HANDLERS["", op] = function
        return function

    return decorate


def is_handled(key: tuple[str, str]) -> bool:
    """Whether nodes of (domain, op) are run as they are."""
    return key in HANDLERS or (key[0] == "" and key[1] in MODULES)
