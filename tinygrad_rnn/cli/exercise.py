"""`tinygrad-rnn exercise`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .console import NO, PATH, console, markup

if TYPE_CHECKING:
    from ..exercises import Exercise


@click.command()
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
        output.print(f"[b]Not yet.[/b] {markup(str(error))}")
        output.print(f"[dim]tinygrad-rnn exercise {found.name} --hint[/dim]")
        return NO
    output.print(f"[b]Right.[/b] {markup(found.title)}")
    return 0
