"""How a training run goes, on a screen that redraws itself or as plain lines."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..text import for_terminal
from .loop import Run, Step

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.text import Text

NAMES = ("unigram", "bigram", "trigram")
SMOOTHING = 0.95  # of the loss, from step to step
REDRAWS = 8  # a second
ROWS = 14  # of the chart
# Into the chart go steps that are zero after so many digits: at most 900 a decade.
POINTS_DIGITS = 3

Point = tuple[int, float]


@dataclass
class History:
    """What a run has said so far; a `Reporter`."""

    run: Run
    losses: list[Point] = field(default_factory=list)
    validations: list[Point] = field(default_factory=list)
    loss: float = math.nan  # smoothed
    norm: float = math.nan
    sample: str = ""
    started: float = field(default_factory=time.monotonic)
    first_step: int = 0

    def __post_init__(self) -> None:
        self.first_step = self.run.step_number

    def stepped(self, step: Step) -> None:
        if step.number % 10 ** max(0, len(str(step.number)) - POINTS_DIGITS) == 0:
            self.losses.append((step.number, step.loss))
        if math.isnan(self.loss):
            self.loss = step.loss
        else:
            self.loss = SMOOTHING * self.loss + (1 - SMOOTHING) * step.loss
        self.norm = step.norm

    def validated(self, number: int, loss: float, text: str) -> None:
        self.validations.append((number, loss))
        self.sample = text

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def speed(self) -> float:
        """Characters read a second, looks at held-out text included."""
        settings, steps = self.run.settings, self.run.step_number - self.first_step
        read = steps * settings.seq * settings.batch
        return read / max(self.seconds, 1e-9)

    @property
    def marks(self) -> list[tuple[str, float, bool]]:
        """The lines to cross: name, entropy in nats, whether the held-out loss is below."""
        best = min((loss for _, loss in self.validations), default=math.inf)
        entropies = zip(NAMES, self.run.corpus.entropies, strict=True)
        return [(name, h, best < h) for name, h in entropies]

    @property
    def figures(self) -> str:
        figures = [f"step {self.run.step_number:,}", f"{self.seconds:.0f} s"]
        if self.losses:
            figures += [f"loss {self.loss:.3f}", f"gradient {self.norm:.2f}"]
        if self.validations:
            figures.append(f"held-out {self.validations[-1][1]:.3f}")
        return "   ".join([*figures, f"{self.speed:,.0f} characters/s"])


def heading(run: Run) -> str:
    """What is trained, on what."""
    settings, size = run.settings, sum(p.size for p in run.model.parameters())
    layers = "1 layer" if settings.layers == 1 else f"{settings.layers} layers"
    corpus = run.corpus
    return (
        f"{settings.cell.upper()}, {layers} of {settings.hidden} units, {size:,} parameters, "
        f"on {for_terminal(corpus.name)}: {len(corpus.text):,} characters, "
        f"{len(corpus.vocabulary)} different ones"
    )


@contextmanager
def progress(run: Run, console: "Console") -> Iterator[History]:
    """Report on a screen that redraws itself; without a terminal or colours, in plain lines."""
    if not console.is_terminal or console.is_dumb_terminal or console.no_color:
        yield PlainLines(run, console)
        return
    from rich.live import Live

    screen = Screen(run, console)
    with Live(
        get_renderable=screen.render, console=console, refresh_per_second=REDRAWS, transient=False
    ) as live:
        yield screen
        live.refresh()


@dataclass
class PlainLines(History):
    """A line for each look at held-out text, and what the model says at last."""

    console: "Console" = None  # type: ignore[assignment]

    def __init__(self, run: Run, console: "Console") -> None:
        super().__init__(run)
        self.console = console
        self._say(heading(run))
        marks = ", ".join(f"{name} {h:.3f}" for name, h, _ in self.marks)
        self._say(f"lines to cross, in nats: {marks}")

    def validated(self, number: int, loss: float, text: str) -> None:
        super().validated(number, loss, text)
        line = self.figures
        below = [name for name, _, crossed in self.marks if crossed]
        if below:
            line += f"   below the {below[-1]}'s"
        self._say(line)

    def _say(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


class Screen(History):
    """A chart of the loss on its way down past the text's entropies, the figures, a sample."""

    def __init__(self, run: Run, console: "Console") -> None:
        super().__init__(run)
        self.console = console

    def render(self) -> "Group":
        from rich.console import Group
        from rich.panel import Panel
        from rich.text import Text

        width = max(20, min(self.console.width, 110) - 24)
        return Group(
            Text(heading(self.run), style="bold"),
            chart(self, width, ROWS, plain=not self.console.encoding.startswith("utf")),
            Text(self.figures),
            Panel(
                Text(for_terminal(self.sample, multiline=True)),
                title="it says",
                title_align="left",
                height=9,
                border_style="dim",
                width=min(self.console.width, 110),
            ),
        )


def chart(history: History, width: int, rows: int, *, plain: bool = False) -> "Text":
    """Loss (dots) and held-out loss (rings) by step, on a logarithmic axis; entropies dashed."""
    from rich.text import Text

    marks = history.marks
    values = [loss for _, loss in history.losses + history.validations] + [h for _, h, _ in marks]
    top, bottom = max(values) + 0.05, max(0.0, min(values) - 0.1)
    last = max(history.run.step_number, 10)
    dot, ring, dash = ".o-" if plain else "·●┄"

    def row(value: float) -> int:
        return min(rows - 1, max(0, round((top - value) / (top - bottom) * (rows - 1))))

    def column(step: int) -> int:
        return round(math.log(max(step, 1)) / math.log(last) * (width - 1))

    cells: dict[tuple[int, int], tuple[str, str]] = {}
    labels: dict[int, list[tuple[str, str]]] = {}
    for name, h, crossed in marks:
        style = "green" if crossed else "yellow"
        cells |= {(row(h), x): (dash, style) for x in range(width)}
        labels.setdefault(row(h), []).append((f" {name} {h:.2f}", style))
    cells |= {(row(loss), x): (dot, "cyan") for x, loss in _means(history.losses, column)}
    held_out = _means(history.validations, column)
    cells |= {(row(loss), x): (ring, "bold magenta") for x, loss in held_out}
    text = Text(no_wrap=True)
    for y in range(rows):
        text.append(f"{top - y * (top - bottom) / (rows - 1):6.2f} ", style="dim")
        for x in range(width):
            text.append(*cells.get((y, x), (" ", "")))
        for label in labels.get(y, ()):
            text.append(*label)
        text.append("\n")
    return text


def _means(points: Sequence[Point], column: object) -> Iterator[Point]:
    """The mean of the points in each column."""
    found: dict[int, list[float]] = {}
    for step, loss in points:
        found.setdefault(column(step), []).append(loss)  # type: ignore[operator]
    return ((x, sum(losses) / len(losses)) for x, losses in found.items())
