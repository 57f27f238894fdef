"""The commands: the `:` line, command files, keys, help and the key card are all made from them.

A command is one function in one of the chapters, with its usage, its summary and its keys in the
decorator. Their order here is that of the help.
"""

from . import moving, asking, what_if, watching, about  # noqa: F401, I001
from .registry import COMMANDS, Command, execute
from .replies import (
    Answer,
    Beside,
    Gradients,
    Help,
    Message,
    Origin,
    Reply,
    TrainingSteps,
    Value,
    one_line,
)

__all__ = [
    "COMMANDS",
    "Answer",
    "Beside",
    "Command",
    "Gradients",
    "Help",
    "Message",
    "Origin",
    "Reply",
    "TrainingSteps",
    "Value",
    "execute",
    "one_line",
]
