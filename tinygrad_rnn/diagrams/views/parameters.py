"""The row under a picture that shows each parameter once, since all copies share it."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...tracing.network.network import ParameterInfo
from ..picture.notation import size_text
from ..picture.shapes import Drawing, Shape, Text
from ..picture.text_metrics import fit, text_width

CHIP_HEIGHT, CHIP_WIDTH_LEAST, NAME_WIDTH_MOST = 26.0, 34.0, 180.0
_LINE, _GAP, _SIZE_GAP = 36.0, 18.0, 6.0
_NAME_SIZE, _SIZE_SIZE, _TITLE_SIZE = 13.0, 12.0, 14.0


@dataclass(frozen=True, slots=True)
class _Chip:
    """A parameter's name on its colour, and its size beside it."""

    id: str
    parameter: ParameterInfo
    fill: str
    name: str
    size: str

    @property
    def box_width(self) -> float:
        return max(text_width(self.name, _NAME_SIZE) + 14, CHIP_WIDTH_LEAST)

    @property
    def width(self) -> float:
        return self.box_width + _SIZE_GAP + text_width(self.size, _SIZE_SIZE)

    def at(self, left: float, y: float) -> Shape:
        x = left + self.box_width / 2
        size_x = left + self.box_width + _SIZE_GAP
        return Shape(
            id=self.id,
            cls="parameter",
            form="chip",
            x=x,
            y=y,
            width=self.box_width,
            height=CHIP_HEIGHT,
            fill=self.fill,
            line="muted",
            line_width=0.6,
            texts=(
                Text(self.name, x, y, _NAME_SIZE, "chip.text"),
                Text(self.size, size_x, y, _SIZE_SIZE, "muted", align="left"),
            ),
            tooltip=f"{self.parameter.name} {size_text(self.parameter.shape)}",
        )


def parameter_legend(
    parameters: Sequence[ParameterInfo], *, steps: int, left: float, top: float, width: float
) -> Drawing:
    """Return one chip per parameter, in lines of at most `width` points.

    `left` and `top` are where the first line begins.
    """
    if not parameters:
        return Drawing()
    heading = _heading(steps, left, top - CHIP_HEIGHT / 2)
    chips = list(_chips(parameters))
    x, y = heading.right + _GAP, heading.y
    room = left + width - x
    if room < width / 2 and room < sum(chip.width + _GAP for chip in chips) - _GAP:
        x, y = left, y - _LINE  # too little beside the heading: below it, over the whole width
    start = x
    shapes = [heading]
    for chip in chips:
        if x > start and x + chip.width > left + width:
            x, y = start, y - _LINE
        shapes.append(chip.at(x, y))
        x += chip.width + _GAP
    return Drawing(tuple(shapes))


def _heading(steps: int, left: float, y: float) -> Shape:
    scope = f"one copy, shared by all {steps} steps:" if steps > 1 else "one copy:"
    title = Text("Parameters", left, y, _TITLE_SIZE, "text", bold=True, align="left")
    note = Text(scope, left + title.width + 8, y, _SIZE_SIZE, "muted", align="left")
    width = title.width + 8 + note.width
    return Shape(
        id="legend",
        cls="legend",
        form="text",
        x=left + width / 2,
        y=y,
        width=width,
        height=CHIP_HEIGHT,
        texts=(title, note),
        tooltip=f"Parameters, {scope}",
    )


def _chips(parameters: Iterable[ParameterInfo]) -> Iterable[_Chip]:
    seen: Counter[str] = Counter()
    for index, parameter in enumerate(parameters):
        id = "parameter-" + re.sub(r"[^\w.-]", "_", parameter.name)
        seen[id] += 1
        if seen[id] > 1:
            id += f"~{seen[id]}"  # "~" occurs in no name, so nothing collides
        yield _Chip(
            id=id,
            parameter=parameter,
            fill=f"chip.{index}",
            name=fit(parameter.name, NAME_WIDTH_MOST, _NAME_SIZE),
            size=fit(size_text(parameter.shape), NAME_WIDTH_MOST, _SIZE_SIZE),
        )
