"""The row under a picture that shows each parameter once: it is one and the same throughout."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...tracing.network.quotient import Block, Quotient
from ..picture.notation import id_of, size_text
from ..picture.shapes import Drawing, Shape, Text
from ..picture.text_metrics import fit, fit_middle, text_width

CHIP_HEIGHT, CHIP_WIDTH_LEAST, NAME_WIDTH_MOST = 26.0, 34.0, 220.0
_LINE, _GAP, _SIZE_GAP = 36.0, 18.0, 6.0
_NAME_SIZE, _SIZE_SIZE, _TITLE_SIZE = 13.0, 12.0, 14.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A parameter as it stands in the legend; a derived one with how it is made."""

    name: str
    shape: tuple[int, ...]
    formula: str = ""


@dataclass(frozen=True, slots=True)
class Legend:
    """The parameters of a picture, and what is said of them all."""

    entries: Sequence[Entry]
    scope: str = "One copy"


def legend_of(quotient: Quotient) -> Legend:
    """Return the legend of a network: "shared by all steps" only of what every step reads."""
    entries = [
        Entry(block.trained or block.label, block.parameter.shape, block.formula)
        for block in quotient.parameters
    ]
    columns = _reading(quotient)
    every = set(range(quotient.columns))
    if quotient.columns > 1 and all(columns[block] >= every for block in quotient.parameters):
        return Legend(entries, f"One copy, shared by all {quotient.columns} steps")
    return Legend(entries, "One copy each" if len(entries) > 1 else "One copy")


def _reading(quotient: Quotient) -> dict[Block, set[int]]:
    """Return the columns in which each parameter is read, through what is derived of it too."""
    columns: defaultdict[Block, set[int]] = defaultdict(set)
    kinds = ("parameter", "derived")
    for block in reversed(quotient.parameters):
        stack, seen = [block], {block}
        while stack:
            for arrow in quotient.leaving[stack.pop()]:
                target = arrow.target
                if target.kind in kinds:
                    if target not in seen:
                        seen.add(target)
                        stack.append(target)
                else:
                    columns[block].update(target.columns)
    return columns


@dataclass(frozen=True, slots=True)
class _Chip:
    """A parameter's name on its colour, and its size beside it."""

    id: str
    parameter: Entry
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
            tooltip=f"{_written(self.parameter)} {size_text(self.parameter.shape)}",
        )


def parameter_legend(parameters: Legend, *, left: float, top: float, width: float) -> Drawing:
    """Return one chip per parameter, in lines of at most `width` points.

    `left` and `top` are where the first line begins.
    """
    if not parameters.entries:
        return Drawing()
    heading = _heading(parameters.scope, left, top - CHIP_HEIGHT / 2)
    chips = list(_chips(parameters.entries))
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


def _heading(scope: str, left: float, y: float) -> Shape:
    scope = f"{scope[0].lower()}{scope[1:]}:"
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


def _chips(parameters: Iterable[Entry]) -> Iterable[_Chip]:
    seen: Counter[str] = Counter()
    for index, parameter in enumerate(parameters):
        id = id_of("parameter", parameter.name)
        seen[id] += 1
        if seen[id] > 1:
            id += f"~{seen[id]}"  # "~" occurs in no name, so nothing collides
        yield _Chip(
            id=id,
            parameter=parameter,
            fill=f"chip.{index}",
            name=fit_middle(_written(parameter), NAME_WIDTH_MOST, _NAME_SIZE),
            size=fit(size_text(parameter.shape), NAME_WIDTH_MOST, _SIZE_SIZE),
        )


def _written(entry: Entry) -> str:
    if entry.formula and entry.formula != entry.name:
        return f"{entry.name} = {entry.formula}" if entry.name else entry.formula
    return entry.name
