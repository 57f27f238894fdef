"""Lines of text: cut to a width, wrapped, made safe for a terminal, spelled in ASCII."""

from collections.abc import Callable, Iterable, Sequence
from typing import overload

from rich.text import Text

from ...text import elide, for_terminal

Lines = list[Text]


class DrawnLater(Sequence[Text]):
    """Lines, of which the middle ones, thousands perhaps, are drawn only when they are shown.

    Args:
        above: the lines before them.
        count: how many there are.
        draw: makes the line of a number, from 0.
        below: the lines after them.
    """

    def __init__(self, above: Lines, count: int, draw: Callable[[int], Text], below: Lines) -> None:
        self._above, self._count, self._draw, self._below = above, count, draw, below

    def __len__(self) -> int:
        return len(self._above) + self._count + len(self._below)

    @overload
    def __getitem__(self, at: int) -> Text: ...
    @overload
    def __getitem__(self, at: slice) -> Lines: ...
    def __getitem__(self, at: int | slice) -> Text | Lines:
        numbers = range(len(self))[at]
        if isinstance(numbers, range):
            return [self._line(number) for number in numbers]
        return self._line(numbers)

    def _line(self, number: int) -> Text:
        if number < len(self._above):
            return self._above[number]
        row = number - len(self._above)
        return self._draw(row) if row < self._count else self._below[row - self._count]


KIND_STYLES = {
    "forward": "green",
    "seed": "magenta",
    "vjp": "magenta",
    "accumulate": "yellow",
    "update": "cyan",
    "zero": "cyan",
    "error": "red",
}
HEADING = "bold cyan"

_ASCII = str.maketrans(
    {
        "∂": "d", "←": "<", "→": ">", "▶": ">", "▸": ">", "▾": "v", "━": "-", "┅": "=", "┿": "+",
        "▪": "o", "█": "#", "●": "*", "○": "o", "·": "*", "◂": "<", "‖": "|", "Σ": "S", "ₖ": "k",
        "…": "~", "›": ">", "²": "^2", "³": "^3", "ȳ": "gy", "ā": "ga", "ᵀ": "'", "√": "sqrt ",
        "─": "-", "│": "|", "▌": "|", "≤": "<=", "≥": ">=", "≠": "!=", "−": "-", "×": "x",
        "▇": "#", "±": "+/-", "—": "-", "✓": "", "\N{COMBINING MACRON}": "'",
    }
)  # fmt: skip


def plain_ascii(text: str) -> str:
    """The text for a terminal that knows ASCII alone.

    >>> plain_ascii("∂L/∂h = ȳ · (1 - y²)")
    'dL/dh = gy * (1 - y^2)'
    """
    return text.translate(_ASCII).encode("ascii", "replace").decode()


def safe(text: str) -> str:
    """One line of untrusted text."""
    return for_terminal(text)


def safe_lines(text: str) -> list[str]:
    """Untrusted text of several lines."""
    return for_terminal(text, multiline=True).expandtabs(4).splitlines()


def line(text: str, width: int, style: str = "") -> Text:
    """One line, cut where it is too long."""
    return Text(elide(text, max(width, 1)), style=style, no_wrap=True, end="")


def pieces(parts: Iterable[tuple[str, str]], width: int) -> Text:
    """One line of several styles."""
    return cropped(Text.assemble(*parts, no_wrap=True, end=""), width)


def cropped(text: Text, width: int) -> Text:
    """A line no wider than it may be."""
    if text.cell_len > width:
        text.truncate(max(width, 1), overflow="ellipsis")
    return text


def blank() -> Text:
    """An empty line."""
    return Text("", no_wrap=True, end="")


def wrapped(text: str, width: int, style: str = "", indent: int | None = None) -> Lines:
    """A long line on several, the later ones below what follows its "="."""
    if indent is None and "= " in text:
        indent = text.index("= ") + 2
    if indent is None or indent >= width // 2:
        indent = 2
    lines: Lines = []
    while len(text) > width:
        cut = text.rfind(" ", indent + 1, width + 1)
        if cut < 0:
            break
        lines.append(line(text[:cut], width, style))
        text = " " * indent + text[cut:].lstrip()
    return [*lines, line(text, width, style)]


def fitting(parts: Iterable[str], width: int, separator: str = " · ") -> str:
    """As many of the parts as fit, the first ones first; none of them cut."""
    shown = list(parts)
    while len(shown) > 1 and len(separator.join(shown)) > width:
        shown.pop()
    return separator.join(shown)
