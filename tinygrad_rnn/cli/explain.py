"""`tinygrad-rnn explain`."""

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from .console import NO, console, markup

if TYPE_CHECKING:
    from ..manual import Entry, Example

MACRON = "\N{COMBINING MACRON}"


@click.command(short_help="Explain an op, its gradient and its check.")
@click.argument("op", required=False)
def explain(op: str | None) -> None:
    """Explain OP: what it computes, its gradient, an example with numbers, its check.

    Without OP, list the table.
    """
    from .. import manual

    if op is None:
        _print_table(manual.table())
        return
    entry = manual.find(op)
    _print_entry(entry, manual.source(entry), manual.example(entry))
    verdicts = manual.verdicts(entry)
    output = console(highlight=False)
    for what, verdict in verdicts.items():
        shown = markup(verdict, multiline=True)
        output.print(f"Check, {what} against central differences: {shown}")
    if not verdicts:
        output.print("Not differentiable: no gradient flows back through it.")
    sys.exit(0 if all(verdict == "ok" for verdict in verdicts.values()) else NO)


def _print_table(entries: "Sequence[Entry]") -> None:
    from rich.table import Table

    table = Table("op", "NumPy's name", "rule", title="The op table")
    for entry in entries:
        table.add_row(entry.name, entry.numpy or "", markup(" ".join(entry.rule.split())))
    console(highlight=False).print(table)


def _print_entry(entry: "Entry", source: str, example: "Example") -> None:
    from rich.syntax import Syntax

    output = console(highlight=False)
    numpy = f"  (np.{entry.numpy})" if entry.numpy else ""
    output.print(f"[b]{entry.name}[/b]{numpy}\n{markup(entry.rule)}\n")
    output.print(
        Syntax(source, "python", theme="ansi_dark", background_color="default", word_wrap=True)
    )
    output.print()
    for name, value in _numbers(entry.function, example):
        output.print(f"  {name} = {markup(value, multiline=True)}")


def _numbers(function: Any, example: "Example") -> "Iterator[tuple[str, str]]":
    """Inputs, options, output, cotangent and gradients, each as a line of an equation."""
    import inspect

    names = list(inspect.signature(function).parameters)[: len(example.inputs)]
    if function.op.variadic:
        names = [f"x{i}" for i in range(len(example.inputs))]
    yield from map(_equation, names, example.inputs)
    for name, option in example.options.items():
        yield name, repr(option)
    yield _equation("y", example.output)
    if example.cotangent is not None:
        yield _equation("ȳ", example.cotangent)
    for name, gradient in zip(names, example.gradients, strict=True):
        if gradient is not None:
            yield _equation(name + MACRON, gradient)


def _equation(name: str, value: Any) -> tuple[str, str]:
    import numpy as np

    column = f"  {name} = ".replace(MACRON, "")
    return name, np.array2string(np.asarray(value), precision=6, separator=", ", prefix=column)
