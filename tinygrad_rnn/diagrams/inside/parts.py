"""How one op is drawn: its sign in a box or a circle, and the parameters that it uses as chips."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ..picture.shapes import Shape, Text
from ..picture.text_metrics import fit_apart, fit_middle, text_width
from .anatomy import Part

OP_HEIGHT, MODULE_HEIGHT, CHIP_HEIGHT, POINT, GATE_WIDTH = 30.0, 40.0, 20.0, 24.0, 44.0
SIGN_SIZE, CHIP_SIZE, NOTE_SIZE, TAP_SIZE = 14.0, 11.0, 9.5, 8.5
_CHIP_MOST, _SIGN_MOST = 120.0, 160.0


@dataclass(frozen=True, slots=True)
class Ink:
    """What a plan is drawn with."""

    line: str  # the role of the cell's outline
    fills: Mapping[int, str]  # the role of each parameter, by its node id
    # how far from the middle of each wire its two lanes will run, if there will be two
    lane: float = 0.0
    noted: bool = False  # whether a text will stand along the upper edge


class _Content(NamedTuple):
    """A sign or a chip in the box of a part."""

    label: str
    width: float
    parameter: int | None  # of a chip


def chip_labels(names: Iterable[str]) -> Mapping[str, str]:
    """Return what is written in the chips of parameters: long names, cut so that they differ."""
    several = list(dict.fromkeys(names))
    return dict(zip(several, fit_apart(several, _CHIP_MOST, CHIP_SIZE), strict=True))


def part_width(part: Part) -> float:
    """Return how wide a part is drawn."""
    if part.chips:
        return 8.0 + sum(content.width for content in _contents(part)) + 4.0
    if is_point(part):
        return POINT
    widest = max(text_width(part.sign, SIGN_SIZE), text_width(part.note, NOTE_SIZE))
    return max(GATE_WIDTH, min(widest, _SIGN_MOST) + 16)


def part_height(part: Part) -> float:
    """Return how high a part is drawn."""
    if is_point(part):
        return POINT
    return MODULE_HEIGHT if part.note else OP_HEIGHT


def is_point(part: Part) -> bool:
    """Whether a part is drawn as a small circle: its sign says all, and nothing is with it."""
    return part.arithmetic and not part.chips and len(part.sign) == 1


def part_shapes(part: Part, x: float, y: float, ink: Ink) -> Iterator[Shape]:
    """Yield the box or circle of a part around (x, y), and its chips."""
    width = part_width(part)
    texts: list[Text] = []
    chips: list[Shape] = []
    if not part.chips:
        sign = fit_middle(part.sign, _SIGN_MOST, SIGN_SIZE)
        texts.append(Text(sign, x, y + 6.5 * bool(part.note), SIGN_SIZE, "text"))
        if part.note:
            note = fit_middle(part.note, _SIGN_MOST, NOTE_SIZE)
            texts.append(Text(note, x, y - 10.0, NOTE_SIZE, "muted"))
    left = x - width / 2 + 6.0
    for content in _contents(part):
        middle = left + content.width / 2
        if content.parameter is None:
            texts.append(Text(content.label, middle, y, SIGN_SIZE, "text"))
        else:
            id = f"chip/{part.place}-{len(chips)}"
            chips.append(_chip(id, content, middle, y, ink.fills[content.parameter]))
        left += content.width
    activation = not part.chips and not part.arithmetic
    point = is_point(part)
    yield Shape(
        id=f"op/{part.place}",
        cls="op",
        form="circle" if point else "box",
        x=x,
        y=y,
        width=width,
        height=part_height(part),
        fill="panel.fill" if part.module else "background",
        line=ink.line if activation else "text",
        line_width=1.6 if activation else 1.0,
        texts=tuple(texts),
        tooltip=part.tooltip,
    )
    yield from chips


def _contents(part: Part) -> Iterator[_Content]:
    """Yield what stands in the box of a part with chips, from left to right.

    The sign stands before what is read from elsewhere, between two parameters, and a bias is added
    at the end.
    """
    own = len(part.chips) - len(part.absorbed)
    infix = own > 1 and not part.reads
    for number, chip in enumerate(part.chips):
        if number or not infix:
            sign = part.sign if number < own else "+"
            yield _Content(sign, text_width(sign, SIGN_SIZE) + 5, None)
        label = fit_middle(chip.label, _CHIP_MOST, CHIP_SIZE)
        yield _Content(label, text_width(label, CHIP_SIZE) + 12, chip.parameter)


def _chip(id: str, content: _Content, x: float, y: float, fill: str) -> Shape:
    return Shape(
        id=id,
        cls="chip",
        form="chip",
        x=x,
        y=y,
        width=content.width - 2,
        height=CHIP_HEIGHT,
        fill=fill,
        line="muted",
        line_width=0.5,
        texts=(Text(content.label, x, y, CHIP_SIZE, "chip.text"),),
        tooltip=content.label,
    )
