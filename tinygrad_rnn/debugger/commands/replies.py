"""What commands answer: data, which the views turn into lines."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...tracing.network.gradients.flow import norm_of
from ...tracing.questions.checks import GradientCheck
from ...tracing.questions.ledger import Ledger
from ...tracing.questions.origin import OriginStep
from ...tracing.questions.queries import Difference
from ...tracing.questions.training import GradientRow, StepRow
from ...tracing.questions.why import Why


@dataclass(frozen=True, slots=True)
class Message:
    """Lines of plain text."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """The value of an expression."""

    text: str
    value: Any


@dataclass(frozen=True, slots=True)
class Origin:
    """The path of the largest contributions."""

    steps: tuple[OriginStep, ...]


@dataclass(frozen=True, slots=True)
class TrainingSteps:
    """One row a training step, up to the one that we are at."""

    rows: tuple[StepRow, ...]
    here: int


@dataclass(frozen=True, slots=True)
class Gradients:
    """One row a parameter."""

    step: int
    rows: tuple[GradientRow, ...]


@dataclass(frozen=True, slots=True)
class Beside:
    """What an event wrote in the run and in a branch of it, and both losses."""

    difference: Difference
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Help:
    """Every command."""


Answer = (
    Message
    | Value
    | Why
    | Origin
    | Ledger
    | Difference
    | Beside
    | GradientCheck
    | TrainingSteps
    | Gradients
    | Help
)


@dataclass(frozen=True, slots=True)
class Reply:
    """The outcome of one command; without an answer it was only a move."""

    answer: Answer | None = None
    moved: bool = False
    # An assertion did not hold.
    failed: bool = False
    quit: bool = False
    # What else is worth saying.
    note: str = ""


def said(*lines: str, moved: bool = False, failed: bool = False) -> Reply:
    """A reply of plain text."""
    return Reply(Message(lines), moved, failed)


def one_line(value: Any) -> str:
    """A value, or the error that stands in its place, in one line."""
    if isinstance(value, Exception | tuple):
        return str(value)
    array = np.asarray(value)
    if array.size != 1:
        return f"{array.dtype} {array.shape}, norm {norm_of(array):.4g}"
    return f"{array.item():.6g}" if array.dtype.kind == "f" else str(array.item())
