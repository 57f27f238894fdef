"""What a chart shows, as plain data: lines over two axes, or a grid of values."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Axis = tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Line:
    """Points that belong together; `form` says how they are drawn.

    A "reference" is what theory says: dashed, in the text's colour, with its label written beside
    its last point.
    """

    label: str
    xs: Sequence[float]
    ys: Sequence[float]
    form: Literal["line", "dots", "reference"] = "line"


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over two axes, each named with its unit."""

    title: str
    x: str
    y: str
    lines: Sequence[Line]
    log_x: bool = False
    log_y: bool = False
    limits: Axis = None  # of y


@dataclass(frozen=True, slots=True)
class Grid:
    """A matrix of positive values in shades of their logarithm; exact zeros are marked."""

    title: str
    x: str  # the column's number
    y: str  # the row's number
    value: str
    values: Sequence[Sequence[float]]
