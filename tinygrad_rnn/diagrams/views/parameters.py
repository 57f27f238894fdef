"""The row under a picture that shows each parameter once: it is one and the same throughout."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...tracing.network.quotient import Block, Quotient
from ..picture.notation import id_of, size_text
from ..picture.shapes import Drawing, Shape, Text
from ..picture.text_metrics import fit, fit_apart, fit_middle, text_width

CHIP_HEIGHT, CHIP_WIDTH_LEAST, NAME_WIDTH_MOST = 26.0, 34.0, 220.0
_FORMULA_WIDTH_MOST = 600.0  # of what is derived: a name says enough without its middle, this not
_LINE, _GAP, _SIZE_GAP = 36.0, 18.0, 6.0
_NAME_SIZE, _SIZE_SIZE, _TITLE_SIZE = 13.0, 12.0, 14.0


@dataclass(frozen=True, slots=True)
class Entry:
    """A parameter as it stands in the legend, or what is made of parameters alone, and how."""

    name: str
    shape: tuple[int, ...]
    formula: str = ""
    is_derived: bool = False


@dataclass(frozen=True, slots=True)
class Legend:
    """The parameters of a picture, what is said of them all, and the constants."""

    entries: Sequence[Entry]
    scope: str = "One copy"
    constants: Sequence[Entry] = ()


def legend_of(quotient: Quotient) -> Legend:
    """Return the legend of a network: "shared by all steps" only of what every step reads."""
    entries = [
        Entry(
            block.trained or block.label,
            block.parameter.shape,
            block.formula,
            block.kind == "derived",
        )
        for block in quotient.parameters
    ]
    constants = [Entry(block.label, block.pieces[-1].shape) for block in quotient.constants]
    columns = _reading(quotient)
    every = set(range(quotient.columns))
    scope = "One copy each" if len(entries) > 1 else "One copy"
    if quotient.columns > 1 and all(columns[block] >= every for block in quotient.parameters):
        scope = f"One copy, shared by all {quotient.columns} steps"
    return Legend(entries, scope, constants)


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
    cls: str = "parameter"

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
            cls=self.cls,
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

    Below them stands what is derived of them, and then the constants; `left` and `top` are where
    the first line begins.
    """
    chips = list(_chips(parameters.entries, width))
    scope = f"{parameters.scope[0].lower()}{parameters.scope[1:]}:"
    rows = [
        ("legend", "Parameters", scope, [one for one in chips if not one.parameter.is_derived]),
        (
            "legend-derived",
            "Derived",
            "from parameters alone:",
            [one for one in chips if one.parameter.is_derived],
        ),
        (
            "legend-constants",
            "Constants",
            "the same at every step:",
            list(_constant_chips(parameters.constants)),
        ),
    ]
    shapes: list[Shape] = []
    y = top - CHIP_HEIGHT / 2
    for id, word, said, row in rows:
        if row:
            shapes += _lines(_heading(id, word, said, left, y), row, left, width)
            y = shapes[-1].y - _LINE
    return Drawing(tuple(shapes))


def _lines(heading: Shape, chips: Sequence["_Chip"], left: float, width: float) -> Iterable[Shape]:
    """Yield a heading and the chips behind it, or below it, in lines."""
    x, y = heading.right + _GAP, heading.y
    room = left + width - x
    if room < width / 2 and room < sum(chip.width + _GAP for chip in chips) - _GAP:
        x, y = left, y - _LINE  # too little beside the heading: below it, over the whole width
    start = x
    yield heading
    for chip in chips:
        if x > start and x + chip.width > left + width:
            x, y = start, y - _LINE
        yield chip.at(x, y)
        x += chip.width + _GAP


def _heading(id: str, word: str, scope: str, left: float, y: float) -> Shape:
    title = Text(word, left, y, _TITLE_SIZE, "text", bold=True, align="left")
    note = Text(scope, left + title.width + 8, y, _SIZE_SIZE, "muted", align="left")
    width = title.width + 8 + note.width
    return Shape(
        id=id,
        cls="legend",
        form="text",
        x=left + width / 2,
        y=y,
        width=width,
        height=CHIP_HEIGHT,
        texts=(title, note),
        tooltip=f"{word}, {scope}",
    )


def _constant_chips(constants: Iterable[Entry]) -> Iterable["_Chip"]:
    for number, entry in enumerate(constants):
        yield _Chip(
            id=f"constant-{number}",
            parameter=entry,
            fill="chip.constant",
            name=fit_middle(entry.name, NAME_WIDTH_MOST, _NAME_SIZE),
            size=fit(size_text(entry.shape), NAME_WIDTH_MOST, _SIZE_SIZE),
            cls="constant",
        )


def _chips(parameters: Sequence[Entry], width: float) -> Iterable[_Chip]:
    seen: Counter[str] = Counter()
    names: dict[Entry, str] = {}
    formula_most = max(NAME_WIDTH_MOST, min(_FORMULA_WIDTH_MOST, width / 2))
    for is_derived, most in ((False, NAME_WIDTH_MOST), (True, formula_most)):
        some = [one for one in parameters if one.is_derived == is_derived]
        names |= zip(some, fit_apart(list(map(_written, some)), most, _NAME_SIZE), strict=True)
    for index, parameter in enumerate(parameters):
        id = id_of("parameter", parameter.name)
        seen[id] += 1
        if seen[id] > 1:
            id += f"~{seen[id]}"  # "~" occurs in no name, so nothing collides
        yield _Chip(
            id=id,
            parameter=parameter,
            fill=f"chip.{index}",
            name=names[parameter],
            size=fit(size_text(parameter.shape), NAME_WIDTH_MOST, _SIZE_SIZE),
        )


def _written(entry: Entry) -> str:
    if entry.formula and entry.formula != entry.name:
        return f"{entry.name} = {entry.formula}" if entry.name else entry.formula
    return entry.name
