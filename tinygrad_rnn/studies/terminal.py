"""Studies on a terminal: the table, the charts in characters, and how much time is left."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from ..text import for_terminal
from .conduct import Silent
from .plots import Chart, Grid, Line
from .study import Findings, Record

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table
    from rich.text import Text

ROWS = 14  # of a chart
MARGIN = 11  # columns for the numbers at its left
STYLES = ("cyan", "magenta", "green", "yellow", "blue", "red")
MARKS, PLAIN_MARKS = "●■◆▲▼✚", "o#x+*@"
REFERENCES, PLAIN_REFERENCES = "┄═·", "-=."
SHADES, PLAIN_SHADES = "░▒▓█", ".:*#"


def table(findings: Findings) -> "Table":
    """Reference, what was measured over the seeds, verdict: a line for each claim."""
    from rich.table import Table
    from rich.text import Text

    found = Table("claim", "reference", "measured", "holds for", title=findings.study.question)
    for claim in findings.claims:
        words = (claim.claim, claim.reference, claim.measured)
        seeds = f"{claim.held} of {claim.seeds}"
        verdict = Text(seeds, "green" if claim.holds else "bold red")
        found.add_row(*(Text(for_terminal(word)) for word in words), verdict)
    return found


def draw(chart: Chart | Grid, width: int, *, plain: bool = False) -> "Text":
    """A chart in characters; `plain` uses ASCII alone."""
    return _draw_grid(chart, plain) if isinstance(chart, Grid) else _draw_lines(chart, width, plain)


def _draw_grid(grid: Grid, plain: bool) -> "Text":
    from rich.text import Text

    values = np.asarray(grid.values, dtype=float)
    logs = np.log(values, out=np.full(values.shape, -np.inf), where=values > 0)
    low, high = logs[values > 0].min(), logs.max()
    shades, nothing = (PLAIN_SHADES, "  ") if plain else (SHADES, "· ")
    text = Text(f"{grid.title}\n", no_wrap=True)
    for t, row in enumerate(logs):
        text.append(f"{t:4} ", "dim")
        for value in row:
            share = (value - low) / (high - low or 1)
            text.append(nothing if value == -np.inf else shades[min(3, int(share * 4))] * 2)
        text.append("\n")
    scale = f"{shades[0]} {math.exp(low):.1e} … {shades[-1]} {math.exp(high):.1e}"
    zero = nothing.strip() or "blank"
    text.append(f"     → {grid.x}; ↓ {grid.y}; {grid.value}: {scale}; {zero} exactly 0\n")
    return text


def _draw_lines(chart: Chart, width: int, plain: bool) -> "Text":
    from rich.text import Text

    across = max(20, width - MARGIN)
    x_scale = _Scale([x for line in chart.lines for x in line.xs], chart.log_x, across)
    y_scale = _Scale(
        chart.limits or [y for line in chart.lines for y in line.ys], chart.log_y, ROWS
    )
    cells: dict[tuple[int, int], tuple[str, str]] = {}
    legend: list[tuple[str, str, str]] = []
    marks = cycle(zip(PLAIN_MARKS if plain else MARKS, STYLES, strict=True))
    references = cycle(PLAIN_REFERENCES if plain else REFERENCES)
    look = "", ""
    # What was measured lies on top of the references.
    for line in sorted(chart.lines, key=lambda line: line.form != "reference"):
        if line.form != "reference":
            look = next(marks)
        elif line.label:  # those without a label belong to the one before
            look = next(references), ""
        if line.label:
            legend.append((look[0], look[1], line.label))
        for x, y in _columns(line, x_scale):
            cells[y_scale.place(y), x] = look
    text = Text(f"{chart.title}\n", no_wrap=True)
    for row in range(ROWS - 1, -1, -1):
        text.append(
            f"{y_scale.value(row):{MARGIN - 2}.3g} " if row % 3 == 1 else " " * (MARGIN - 1), "dim"
        )
        for x in range(across):
            text.append(*cells.get((row, x), (" ", "")))
        text.append("\n")
    ends = f"{x_scale.value(0):.3g}", f"{x_scale.value(across - 1):.3g}"
    text.append(" " * (MARGIN - 1) + ends[0] + ends[1].rjust(across - len(ends[0])) + "\n", "dim")
    text.append(f"{' ' * (MARGIN - 1)}→ {chart.x}; ↑ {chart.y}\n")
    for mark, style, label in legend:
        text.append(" " * (MARGIN - 1)).append(f"{mark} ", style).append(f"{for_terminal(label)}\n")
    return text


class _Scale:
    """Which of `size` places a value stands at, between the least and the greatest."""

    def __init__(self, values: Sequence[float], log: bool, size: int) -> None:
        self.log, self.size = log, size
        forward = [self._forward(value) for value in values if value > 0 or not log]
        self.low, self.high = min(forward), max(forward)

    def _forward(self, value: float) -> float:
        if not self.log:
            return value
        return math.log(value) if value > 0 else self.low

    def place(self, value: float) -> int:
        """0 … size - 1; what lies outside stands at the edge."""
        share = (self._forward(value) - self.low) / (self.high - self.low or 1)
        return round(min(1.0, max(0.0, share)) * (self.size - 1))

    def value(self, place: int) -> float:
        """What stands there."""
        value = self.low + place / (self.size - 1) * (self.high - self.low)
        return math.exp(value) if self.log else value


def _columns(line: Line, x_scale: _Scale) -> Iterator[tuple[int, float]]:
    """A value for each column that the line passes; of dots, only where they are."""
    places = [x_scale.place(x) for x in line.xs]
    if line.form == "dots":
        yield from zip(places, line.ys, strict=True)
        return
    means: dict[int, list[float]] = {}
    for place, y in zip(places, line.ys, strict=True):
        means.setdefault(place, []).append(y)
    known = sorted(means)
    between = range(known[0], known[-1] + 1)
    values = np.interp(between, known, [float(np.mean(means[place])) for place in known])
    yield from zip(between, map(float, values), strict=True)


class _Bar(Silent):
    """A bar with the time that is left, as far as the runs that are done tell."""

    def __init__(self, bar: "Progress", name: str) -> None:
        self.bar, self.name = bar, name

    def begins(self, total: int, kept: int) -> None:
        told = f", {kept} done before" if kept else ""
        self.task = self.bar.add_task(f"{self.name}: {total} runs{told}", total=total - kept)

    def ran(self, record: Record) -> None:
        self.bar.advance(self.task)


@contextmanager
def progress(name: str, console: "Console") -> Iterator[_Bar]:
    """Report on `console` while a study runs."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    doing, left = TextColumn("{task.description}"), TextColumn("left:")
    done = BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    remaining = TimeRemainingColumn(elapsed_when_finished=False)
    with Progress(doing, *done, left, remaining, console=console, transient=True) as bar:
        yield _Bar(bar, name)
