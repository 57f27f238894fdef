"""What an exercise is, and how an answer is checked.

An exercise is a function: its docstring is the question, its body checks an `Answer` and raises
`NotYet` with a word of help where that is not right yet.
"""

import runpy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np

from ..autograd.tensor import Tensor
from ..errors import StudyError, TinygradError, describe


class NotYet(TinygradError, AssertionError):
    """An answer is not right yet; says what was seen, and what would have been."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person handed in: the names that their file defines, or the lines that it holds."""

    file: str
    names: dict[str, Any]
    lines: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Any:
        if name not in self.names:
            raise NotYet(f"{self.file} defines no `{name}`")
        return self.names[name]

    def function(self, name: str) -> Callable[..., Any]:
        """A function of this name."""
        found = self[name]
        if not callable(found):
            raise NotYet(f"`{name}` must be a function, not {describe(found)}")
        return found


def near(what: str, got: Any, expected: Any, help: str = "", tolerance: float = 1e-9) -> None:
    """Refuse a value unless it has the expected shape and, up to `tolerance`, the numbers."""
    if got is None:
        raise NotYet(f"{what} is None: is a `return` missing?")
    array = np.asarray(got.data if isinstance(got, Tensor) else got)
    wanted = np.asarray(expected.data if isinstance(expected, Tensor) else expected)
    if array.shape != wanted.shape:
        raise NotYet(f"{what} has shape {array.shape}, expected {wanted.shape}. {help}".rstrip())
    if array.dtype.kind not in "biuf":
        raise NotYet(f"{what} must be numbers, not {array.dtype}")
    if not np.allclose(array, wanted, rtol=tolerance, atol=tolerance):
        raise NotYet(f"{what} is {_shown(array)}, expected {_shown(wanted)}. {help}".rstrip())


def require(holds: bool, help: str) -> None:
    """Refuse an answer unless something holds."""
    if not holds:
        raise NotYet(help)


def _reflowed(text: str) -> str:
    """The text with one line a paragraph, as wide as whatever shows it; code stays as it is."""
    paragraphs = text.strip("\n").split("\n\n")
    return "\n\n".join(
        each if each.startswith("    ") else " ".join(each.split("\n")) for each in paragraphs
    ).rstrip()


def _shown(array: np.ndarray[Any, Any]) -> str:
    text = np.array2string(array, precision=5, threshold=12, edgeitems=3, separator=", ")
    return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class Exercise:
    """A question, hints, a solution, and the function that checks an answer."""

    name: str
    chapter: int
    title: str
    question: str
    hints: tuple[str, ...]
    solution: str
    suffix: str  # of the answer: ".py", or ".tgdb" for the debugger's commands
    test: Callable[[Answer], None]

    def check(self, path: Path) -> None:
        """Run an answer and check it.

        Raises:
            NotYet: it is not right yet.
            StudyError: it is another kind of file.
            Exception: whatever the answer itself raises.
        """
        if path.suffix != self.suffix:
            raise StudyError(
                f"exercise {self.name}: the answer is a {self.suffix} file, not {path}"
            )
        if self.suffix == ".tgdb":
            from ..debugger.plain import command_lines

            answer = Answer(path.name, {}, tuple(command_lines(path.read_bytes())))
        else:
            answer = Answer(path.name, runpy.run_path(str(path)))
        self.test(answer)


def exercise(
    chapter: int, *, hints: Iterable[str], solution: str, suffix: str = ".py"
) -> Callable[[Callable[[Answer], None]], Exercise]:
    """Make an exercise of a function that checks an answer; its docstring is title and question."""

    def made(test: Callable[[Answer], None]) -> Exercise:
        assert test.__doc__ is not None
        title, _, question = dedent("    " + test.__doc__).strip().partition("\n")
        return Exercise(
            name=test.__name__.replace("_", "-"),
            chapter=chapter,
            title=title.removesuffix("."),
            question=_reflowed(question),
            hints=tuple(hints),
            solution=dedent(solution).strip() + "\n",
            suffix=suffix,
            test=test,
        )

    return made
