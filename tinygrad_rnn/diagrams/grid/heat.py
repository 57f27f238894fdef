"""The values of a copy as a row of coloured squares: negative, zero, positive."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ..picture.shapes import Shape

_HEIGHT = 9.0


@dataclass(frozen=True, slots=True)
class Heat:
    """The values of one copy, and what the strongest colours of the picture stand for."""

    values: tuple[float, ...]
    units: int  # how many there are, shown or not
    most: float

    def shapes(self, id: str, x: float, y: float, width: float) -> Iterator[Shape]:
        """Yield one square per value, side by side around (x, y)."""
        pitch = width / len(self.values)
        for unit, value in enumerate(self.values):
            left = x - width / 2 + unit * pitch
            yield Shape(
                id=f"value-{id}-{unit}",
                cls="value",
                form="chip",
                x=left + pitch / 2,
                y=y,
                width=pitch,
                height=_HEIGHT,
                fill=_role(value / self.most),
                line="muted",
                line_width=0.3,
                tooltip=f"unit {unit} of {self.units}: {value:.4g}",
            )


def _role(share: float) -> str:
    """Return the role of a value, given as its share of the largest; not finite is alarming."""
    return f"heat.{share}" if math.isfinite(share) else "alarm"
