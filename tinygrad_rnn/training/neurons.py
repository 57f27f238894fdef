"""Text coloured by what a hidden unit held after each character: what does it attend to?

After A. Karpathy, J. Johnson, L. Fei-Fei, Visualizing and Understanding Recurrent Networks (2016).
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..autograd.tensor import Array
from ..text import for_terminal
from .sampling import Read

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

LEGEND = "blue -1 … white 0 … red +1"
LEGEND_PLAIN = "the digit below a character: 0 is -1, 9 is +1"
_BLUE, _WHITE, _RED = np.array([59, 76, 192]), np.array([245, 245, 245]), np.array([180, 4, 38])


def show(reads: Sequence[Read], units: Sequence[int], console: "Console") -> None:
    """Print the text once for each unit: on coloured ground, or without colours digits below."""
    text = "".join(read.character for read in reads)
    values_of = {unit: bounded(np.array([read.units[unit] for read in reads])) for unit in units}
    if console.is_terminal and not console.no_color:
        _line(console, LEGEND, "dim")
        for unit, values in values_of.items():
            _line(console, f"unit {unit}", "bold")
            console.print(painted(text, values))
        return
    _line(console, LEGEND_PLAIN)
    for unit, values in values_of.items():
        _line(console, f"unit {unit}")
        for line in digits(text, values, console.width):
            _line(console, line)


def _line(console: "Console", line: str, style: str = "") -> None:
    console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def bounded(values: Array) -> Array:
    """Scaled into -1..1 when they are not there already, as a ReLU's."""
    return values / max(1.0, float(np.abs(values).max(initial=0.0)))


def painted(text: str, values: Array) -> "Text":
    """Each character on the colour of its value, blue below zero and red above."""
    from rich.text import Text

    result = Text()
    for character, value in zip(text, values, strict=True):
        end = _RED if value > 0 else _BLUE
        red, green, blue = (_WHITE + abs(value) * (end - _WHITE)).astype(int)
        ink = "black" if red + green + blue > 380 else "white"
        shown = "␤\n" if character == "\n" else for_terminal(character)
        result.append(shown, style=f"{ink} on rgb({red},{green},{blue})")
    return result


def digits(text: str, values: Array, width: int) -> Iterator[str]:
    """Lines of text, each with a line of digits 0 to 9 below it for values -1 to 1."""
    marks = np.round((values + 1) / 2 * 9).astype(int)
    place = 0
    for line in text.split("\n"):
        for start in range(0, len(line), width):
            part = line[start : start + width]
            yield "".join(for_terminal(character)[:1] for character in part)
            yield "".join(map(str, marks[place + start : place + start + len(part)]))
        place += len(line) + 1
