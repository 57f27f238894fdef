"""`tinygrad-rnn exercise`."""

import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .console import NO, PATH, console, markup

if TYPE_CHECKING:
    from ..exercises import Exercise


@click.command(short_help="Show an exercise, or check an answer to it.")
@click.argument("name", required=False)
@click.argument("answer", type=PATH, required=False)
@click.option("--hint", is_flag=True, help="Show the hints.")
@click.option("--solution", is_flag=True, help="Show a solution.")
def exercise(name: str | None, answer: Path | None, hint: bool, solution: bool) -> None:
    """Check your ANSWER to the exercise NAME; without an ANSWER, show the question.

    ANSWER is a Python file, which is run, or a file of the debugger's commands. Without NAME, list
    the exercises by chapter. Exits with 1 if the answer is not right yet.
    """
    from ..exercises import EXERCISES

    if name is None:
        _list()
        return
    found = EXERCISES.get(name)
    if found is None:
        raise click.UsageError(f"there is no exercise {name!r}; `tinygrad-rnn exercise` lists them")
    if answer is not None:
        sys.exit(_check(found, answer))
    output = console(highlight=False)
    output.print(f"[b]{markup(found.title)}[/b]\n\n{markup(found.question, multiline=True)}\n")
    for number, text in enumerate(found.hints if hint else (), 1):
        output.print(f"[b]Hint {number}.[/b] {markup(text)}")
    if solution:
        output.print(markup(found.solution, multiline=True))
    if not hint and not solution:
        output.print(f"tinygrad-rnn exercise {found.name} answer{found.suffix}")


def _list() -> None:
    from rich.table import Table

    from ..exercises import EXERCISES

    table = Table("chapter", "exercise", "question", title="Exercises that check themselves")
    for each in EXERCISES.values():
        table.add_row(str(each.chapter), each.name, markup(each.title))
    console(highlight=False).print(table)


def _check(found: "Exercise", answer: Path) -> int:
    from ..exercises import NotYet

    output = console(highlight=False)
    try:
        found.check(answer)
    except NotYet as error:
        output.print(f"[b]Not yet.[/b] {markup(_sentence(str(error)))}")
    except Exception as error:
        own = _in_answer(error, answer)
        if not own:
            raise
        output.print(f"[b]Not yet.[/b] The answer raised an error.\n\n{markup(own, True)}")
    else:
        output.print(f"[b]Right.[/b] {markup(found.title)}")
        return 0
    output.print(f"[dim]tinygrad-rnn exercise {found.name} --hint[/dim]")
    return NO


def _sentence(text: str) -> str:
    """Begins with a capital, unless it begins with a name of the answer's."""
    return text.replace("the ", "The ", 1) if text.startswith("the ") else text


def _in_answer(error: Exception, answer: Path) -> str:
    """The error, with the lines of the answer that led to it; "" if none did."""
    lines = [each for each in traceback.extract_tb(error.__traceback__) if _is_of(each, answer)]
    if not lines and not (isinstance(error, SyntaxError) and error.filename == str(answer)):
        return ""
    said = traceback.format_list(lines) + traceback.format_exception_only(error)
    return "".join(said)


def _is_of(line: traceback.FrameSummary, answer: Path) -> bool:
    return line.filename == str(answer)
