"""Charts as files: matplotlib, in the diagrams' light and dark, legible in grey."""

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..diagrams.picture.theme import DARK, LIGHT, Theme
from .plots import Chart, Grid, Line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

THEMES = {"": LIGHT, "-dark": DARK}  # by what a file's name ends with
MARKERS = "osD^vP"  # with the dashes, tell the lines apart without colour
DASHES: tuple[Any, ...] = (
    "-",
    (0, (6, 1.5)),
    (0, (2, 1)),
    (0, (8, 1.5, 2, 1.5)),
    (0, (4, 1, 1, 1, 1, 1)),
    "-",
)
REFERENCES: tuple[Any, ...] = ((0, (1, 1.6)), (0, (7, 2.5)), (0, (1, 4.5)))
WIDTH, HEIGHT, LEGEND_ROW = 5.6, 3.9, 0.21  # inches, of one chart
MOST_MARKERS = 12


def render(charts: Sequence[Chart | Grid], theme: Theme, format: str) -> bytes:
    """The charts side by side as a file: "svg" or "png"; the same bytes each time."""
    from matplotlib import rc_context

    written = io.BytesIO()
    with rc_context({"svg.hashsalt": "tinygrad_rnn"}):
        metadata = {"Date": None} if format == "svg" else None
        figure(charts, theme).savefig(written, format=format, metadata=metadata)
    return written.getvalue()


def figure(charts: Sequence[Chart | Grid], theme: Theme) -> "Figure":
    """The charts side by side."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_style(theme)):
        below = max(_entries(chart) for chart in charts)
        drawn = Figure(
            figsize=(WIDTH * len(charts), HEIGHT + LEGEND_ROW * below),
            dpi=160,
            layout="constrained",
        )
        for place, chart in zip(np.ravel(drawn.subplots(1, len(charts))), charts, strict=True):
            place.set_title(chart.title)
            place.set_xlabel(chart.x)
            place.set_ylabel(chart.y)
            if isinstance(chart, Chart):
                _lines(place, chart, theme)
            else:
                _shades(place, chart, theme)
    return drawn


def _entries(chart: Chart | Grid) -> int:
    """Lines of the legend."""
    if isinstance(chart, Grid):
        return 0
    return sum(bool(line.label) for line in chart.lines)


def _style(theme: Theme) -> Any:
    ink = dict.fromkeys(
        (
            "text.color",
            "axes.labelcolor",
            "axes.edgecolor",
            "xtick.color",
            "ytick.color",
            "legend.labelcolor",
        ),
        theme.color("text"),
    )
    ground = dict.fromkeys(
        ("figure.facecolor", "axes.facecolor", "savefig.facecolor"), theme.color("background")
    )
    return ink | ground | {
        "axes.grid": True,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlesize": 11,
        "font.size": 10,
        "grid.color": theme.color("panel.border"),
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "lines.linewidth": 1.8,
        "lines.markersize": 5,
    }  # fmt: skip


def _colors(theme: Theme) -> tuple[str, ...]:
    return (
        theme.color("message"),
        theme.color("backward"),
        theme.color("cell.0.border"),
        theme.color("chip.1"),
        theme.color("output.border"),
        theme.color("muted"),
    )


def _lines(axes: "Axes", chart: Chart, theme: Theme) -> None:
    from matplotlib.ticker import MaxNLocator

    own, references = 0, 0
    for line in chart.lines:
        if line.form == "reference":
            references += bool(line.label)  # those without a label belong to the one before
            dashes = REFERENCES[(references - 1) % len(REFERENCES)]
            axes.plot(
                line.xs,
                line.ys,
                color=theme.color("text"),
                linestyle=dashes,
                linewidth=1.4,
                label=line.label,
                zorder=3,
            )
            continue
        axes.plot(line.xs, line.ys, label=line.label, **_look(line, own, theme))
        own += 1
    if chart.log_x:
        axes.set_xscale("log")
        axes.set_xticks(chart.lines[0].xs, labels=[f"{x:g}" for x in chart.lines[0].xs])
        axes.minorticks_off()
    elif all(float(x).is_integer() for line in chart.lines for x in line.xs):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if chart.log_y:
        axes.set_yscale("log")
    if chart.limits:
        axes.set_ylim(*chart.limits)
    # Below the axes it cannot hide a point.
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(0, -0.16),
        borderaxespad=0,
        handlelength=3.2,
        labelspacing=0.3,
    )


def _look(line: Line, own: int, theme: Theme) -> dict[str, Any]:
    return {
        "color": _colors(theme)[own % 6],
        "marker": MARKERS[own % 6],
        "linestyle": "none" if line.form == "dots" else DASHES[own % 6],
        "markevery": max(1, math.ceil(len(line.xs) / MOST_MARKERS)) if line.form == "line" else 1,
    }


def _shades(axes: "Axes", grid: Grid, theme: Theme) -> None:
    from matplotlib.colors import LinearSegmentedColormap, LogNorm

    values = np.asarray(grid.values, dtype=float)
    # Pale is small on light ground, and dark is small on dark ground: in both, what stands out is
    # large.
    shades = LinearSegmentedColormap.from_list(
        "ramp", [theme.color("background"), *theme.series["ramp"]]
    )
    shown = np.ma.masked_equal(values, 0)
    norm = LogNorm(shown.min() / 3, shown.max())
    image = axes.imshow(shown, cmap=shades, norm=norm, aspect="equal", interpolation="none")
    rows, columns = np.nonzero(values == 0)
    axes.plot(columns, rows, linestyle="none", marker="x", color=theme.color("muted"), markersize=4)
    axes.grid(visible=False)
    label = grid.value + ("   (×: exactly 0)" if len(rows) else "")
    drawn: Any = axes.get_figure()
    drawn.colorbar(image, ax=axes, label=label).outline.set_visible(False)
