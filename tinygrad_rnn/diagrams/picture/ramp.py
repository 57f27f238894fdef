"""The scale of gradients: which role and width a norm is drawn with."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from .theme import RAMP_STEPS

_NARROW, _WIDE, _ALARM = 1.0, 4.2, 3.0
ALARM_OUTLINE = 2.4  # of what a NaN or an infinity comes back to
_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


@dataclass(frozen=True, slots=True)
class Ramp:
    """The powers of ten between which the norms of a picture lie, divided into `RAMP_STEPS`.

    `least` and `most` are the powers of its smallest and its largest norm. A scale that was chosen
    need not reach them: what lies beyond an end has that end's look, and the end says so.
    """

    low: int
    high: int
    least: float = math.inf
    most: float = -math.inf

    @classmethod
    def of(cls, norms: Iterable[float | None]) -> "Ramp":
        """Return the ramp of a picture that shows these norms."""
        powers = [math.log10(norm) for norm in norms if norm and math.isfinite(norm)] or [0.0]
        low = math.floor(min(powers))
        return cls(low, max(math.ceil(max(powers)), low + 1), min(powers), max(powers))

    def between(self, scale: tuple[int, int] | None) -> "Ramp":
        """Return the ramp with another scale, where one was chosen."""
        if scale is None:
            return self
        return replace(self, low=scale[0], high=scale[1])

    def step(self, norm: float) -> int:
        """Return which of the steps a positive norm falls in."""
        share = (math.log10(norm) - self.low) / (self.high - self.low)
        return min(max(int(share * RAMP_STEPS), 0), RAMP_STEPS - 1)

    def width(self, step: int) -> float:
        """Return how wide an edge of a step is."""
        return _NARROW + (_WIDE - _NARROW) * step / (RAMP_STEPS - 1)

    def ticks(self) -> list[tuple[float, str]]:
        """Return up to four powers of ten along the ramp, each with its share of the way."""
        span = self.high - self.low
        exponents = [*range(self.high, self.low - 1, -math.ceil(span / 3))]
        if self.least < self.low:
            exponents[-1] = self.low
        return [((exponent - self.low) / span, self._tick(exponent)) for exponent in exponents]

    def _tick(self, exponent: int) -> str:
        if exponent == self.low and self.least < self.low:
            return "≤ " + power_of_ten(exponent)
        if exponent == self.high and self.most > self.high:
            return "≥ " + power_of_ten(exponent)
        return power_of_ten(exponent)


@dataclass(frozen=True, slots=True)
class Look:
    """How a way back is drawn."""

    color: str
    width: float
    dashed: bool


def look_of(norm: float, ramp: Ramp) -> Look:
    """Return the look of a way back with this norm; zero, NaN and inf have their own."""
    if is_non_finite(norm):
        return Look("alarm", _ALARM, dashed=False)
    if norm == 0:
        return Look("muted", _NARROW, dashed=True)
    step = ramp.step(norm)
    return Look(f"ramp.{step}", ramp.width(step), dashed=False)


def power_of_ten(exponent: int) -> str:
    """Return 10 to an exponent, as it is written.

    >>> power_of_ten(-12)
    '10⁻¹²'
    """
    return "10" + str(exponent).translate(_SUPERSCRIPTS)


def is_non_finite(norm: float | None) -> bool:
    """Whether a norm is NaN or infinite."""
    return norm is not None and not math.isfinite(norm)


def strength(norm: float | None) -> float:
    """Return what decides which of several ways back is drawn where they lie on each other."""
    if norm is None:
        return 0.0
    return norm if math.isfinite(norm) else math.inf


def norm_text(norm: float) -> str:
    """Return a norm in a few characters.

    >>> norm_text(0.0961), norm_text(3.1e-30), norm_text(123456.0), norm_text(math.inf)
    ('0.096', '3e-30', '1.2e5', '∞')
    """
    if not math.isfinite(norm):
        return "∞" if math.isinf(norm) else "NaN"
    digits = 1 if 0 < norm < 1e-4 else 2
    text = f"{norm:.{digits}g}"
    return text.replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")
