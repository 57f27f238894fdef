"""How one op is drawn: its sign in a box or a circle, and the parameters that it uses as chips."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..picture.diagram import Shape, Text
from ..picture.text_metrics import fit, text_width
from .anatomy import Part

OP_HEIGHT, CHIP_HEIGHT, POINT, GATE_WIDTH = 30.0, 20.0, 24.0, 44.0
SIGN_SIZE, CHIP_SIZE, TAP_SIZE = 14.0, 11.0, 8.5
_CHIP_MOST = 90.0
_POINTWISE = ("add", "sub", "mul", "div", "truediv", "neg")


@dataclass(frozen=True, slots=True)
class Ink:
    """What a plan is drawn with."""

    line: str  # of the cell
    fills: Mapping[int, str]  # of each parameter, by its node id
    lane: float = (
        0.0  # how far from the middle of each wire its two lanes will run, if there will be two
    )
    noted: bool = False  # whether something will be told along the upper edge


def part_width(part: Part) -> float:
    """Return how wide a part is drawn."""
    if not part.chips:
        sign = text_width(part.sign, SIGN_SIZE)
        return POINT if is_point(part) else max(GATE_WIDTH, sign + 16)
    return 8.0 + sum(width for _, width, _ in _contents(part)) + 4.0


def is_point(part: Part) -> bool:
    """Whether a part is drawn as a small circle: what acts on each element and needs no name."""
    return part.op in _POINTWISE and not part.chips and len(part.sign) == 1


def part_shapes(part: Part, x: float, y: float, ink: Ink) -> Iterator[Shape]:
    """Yield the box or circle of a part around (x, y), and its chips."""
    width = part_width(part)
    active = not part.chips and part.op not in _POINTWISE
    texts: list[Text] = []
    chips: list[Shape] = []
    if not part.chips:
        texts.append(Text(part.sign, x, y, SIGN_SIZE, "text"))
    left = x - width / 2 + 6.0
    for label, space, parameter in _contents(part):
        middle = left + space / 2
        if parameter is None:
            texts.append(Text(label, middle, y, SIGN_SIZE, "text"))
        else:
            chips.append(
                _chip(
                    f"chip/{part.place}-{len(chips)}",
                    label,
                    middle,
                    y,
                    space - 2,
                    ink.fills[parameter],
                    ink,
                )
            )
        left += space
    yield Shape(
        id=f"op/{part.place}",
        cls="op",
        form="circle" if is_point(part) else "box",
        x=x,
        y=y,
        width=width,
        height=POINT if is_point(part) else OP_HEIGHT,
        fill="background",
        line=ink.line if active else "text",
        line_width=1.6 if active else 1.0,
        texts=tuple(texts),
        tooltip=part.tooltip,
    )
    yield from chips


def _contents(part: Part) -> Iterator[tuple[str, float, int | None]]:
    """What stands in the box of a part with chips, from left to right; the width of each, and which parameter it is.

    The sign stands before what is read from elsewhere, between two parameters, and a bias is added
    at the end.
    """
    own = len(part.chips) - len(part.absorbed)
    infix = own > 1 and not part.reads
    for number, (parameter, name) in enumerate(part.chips):
        if number or not infix:
            sign = part.sign if number < own else "+"
            yield sign, text_width(sign, SIGN_SIZE) + 5, None
        label = fit(name, _CHIP_MOST, CHIP_SIZE)
        yield label, text_width(label, CHIP_SIZE) + 12, parameter


def _chip(id: str, label: str, x: float, y: float, width: float, fill: str, ink: Ink) -> Shape:
    text = Text(label, x, y, CHIP_SIZE, "chip.text")
    return Shape(
        id,
        "chip",
        "chip",
        x,
        y,
        width,
        CHIP_HEIGHT,
        fill,
        "muted",
        0.5,
        texts=(text,),
        tooltip=label,
    )
