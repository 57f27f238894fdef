"""Every error that is raised on purpose, and how messages name tensors and values."""

from collections.abc import Iterable, Mapping
from typing import Any

from .text import elide, for_terminal

MOST_NAME = 1_000  # characters of what is named
MOST_MESSAGE = 4_000  # characters of a message
_SHOWN = 200  # columns of a value in it


class TinygradError(Exception):
    """Base of all errors raised on purpose; the message says what happened and what to do.

    Names, values and files that it repeats are not trusted: the message is printable and short.
    """

    def __str__(self) -> str:
        text = Exception.__str__(self)  # KeyError's own is the repr of its message
        if len(text) > MOST_MESSAGE:
            text = f"{text[: MOST_MESSAGE - 1]}…"
        return for_terminal(text, multiline=True)


class OpError(TinygradError, ValueError):
    """An op refused its operands; names the op, every shape, and the reason."""


class GradientError(TinygradError, RuntimeError):
    """A gradient was asked for that does not exist, or that would not be exact."""


class GradcheckError(TinygradError, AssertionError):
    """An analytic gradient differs from the central difference; carries the `report`."""

    def __init__(self, message: str, report: object = None) -> None:
        super().__init__(message)
        self.report = report


class AnomalyError(TinygradError, ArithmeticError):
    """Raised under `detect_anomaly()`: an op made a NaN or inf out of finite numbers."""


class StateDictError(TinygradError, KeyError):
    """A state dict does not fit the module: names every missing, unknown or misshapen entry."""


class CheckpointError(TinygradError, ValueError):
    """A checkpoint cannot be written, read, or does not fit; names the file and every reason."""


class OnnxError(TinygradError, ValueError):
    """A model cannot be read from ONNX, run or written; names the file or node, and the reason."""


class TraceError(TinygradError, RuntimeError):
    """A recorded run cannot answer: nothing was recorded, or it has no such name."""


class DrawError(TinygradError, ValueError):
    """A picture cannot be drawn as asked; says what can be drawn."""


class CompileError(TinygradError, RuntimeError):
    """A compiled function does what a replay could not repeat; names the line, and what to do."""


class TrainingError(TinygradError, ValueError):
    """A text or a setting that no model can be trained on."""


class StudyError(TinygradError, ValueError):
    """A study cannot be run as asked, or what was kept of it is something else."""


class BenchmarkError(TinygradError, RuntimeError):
    """A benchmark would compare things that differ, or its process died."""


def cut(name: str) -> str:
    """Return `name`, cut to a length that somebody may want to read.

    >>> len(cut("W" * 10_000_000))
    1000
    """
    return name if len(name) <= MOST_NAME else f"{name[: MOST_NAME - 1]}…"


def describe(value: Any) -> str:
    """How an error names a tensor: its name, dtype, shape and op; other values as Python does."""
    if not hasattr(value, "requires_grad"):
        return f"{value}"
    name = f"{elide(value.name, 60)!r}:" if value.name else "tensor"
    made = f" (made by {value.op.name})" if value.op else ""
    return f"{name} {value.dtype} {value.shape}{made}"


def refusal(
    op: str, operands: Iterable[Any], options: Mapping[str, Any], reason: Exception
) -> OpError:
    """What NumPy refused, with the op, every operand and every option in it."""
    given = [f"{name}={shown(value)}" for name, value in options.items()]
    parts = [*map(describe, operands), *given]
    return OpError(f"{op}({', '.join(parts)}): {said(reason)}")


def shown(value: object) -> str:
    """What an error shows of a value: its repr in one line, cut where it is long."""
    try:
        return elide(repr(value), _SHOWN)
    except Exception as failure:  # a person's class says what its repr is
        return f"(a {type(value).__name__} whose repr raises {type(failure).__name__})"


def said(error: object) -> str:
    """What an exception says, or a note where asking it raises, as a user's exception may."""
    try:
        return str(error)
    except BaseException as failure:  # SystemExit and KeyboardInterrupt, too
        return f"(its message could not be read: {type(failure).__name__})"
