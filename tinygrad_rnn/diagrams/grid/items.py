"""Draws the items of a grid: the same cell stamped once per slot and level, each column's panel behind it."""

from collections.abc import Iterable
from dataclasses import dataclass

from ..inside.plan import Plan, Spot
from ..inside.ways_back import with_ways_back
from ..picture.diagram import Drawing, Shape, Text
from ..picture.ramp import SICK_OUTLINE, Ramp
from ..picture.text_metrics import fit, text_width
from .grid import FOLD, Heading, Item
from .placement import (
    CAPTION_SIZE,
    CIRCLE,
    FOLD_STEP,
    HEADING_GAP,
    HEADING_SIZE,
    HEADING_WIDTH,
    HEAT_ROOM,
    LABEL_SIZE,
    NAME_SIZE,
    NOTE_SIZE,
    STEP_ROOM,
    Bands,
    Placement,
    fold_lines,
)
from .wiring import Around, Up

_UPPER, _AIR = (
    12.0,
    10.0,
)  # of the line along the upper edge of an opened copy: how far below that, between its parts
_VALUE, _VALUES_LEAST, _VALUES_MOST = 12.0, 30.0, 150.0


@dataclass(frozen=True, slots=True)
class _UpperLine:
    """What stands along the upper edge of an opened copy, on the wider side of where its state leaves upwards.

    First its name and values, if these are asked for, then the norms of its gradients. Measured
    from its middle.
    """

    name: str
    note: str
    start: float
    values: float  # where they begin …
    width: float  # … and how wide they are

    @classmethod
    def of(cls, item: Item, plan: Plan) -> "_UpperLine":
        room = max(plan.exit, plan.width - plan.exit) - 2 * _AIR
        name = fit(item.label, room / 3, LABEL_SIZE) if item.heat else ""
        note = fit(item.note, room, LABEL_SIZE, bold=item.sick) if item.inside else ""
        named, noted = (
            text_width(text, LABEL_SIZE, bold=bold)
            for text, bold in ((name, False), (note, item.sick))
        )
        named += _AIR / 2 * bool(name)
        free = room - named - noted - _AIR
        width = (
            max(min(_VALUE * len(item.heat.values), free, _VALUES_MOST), _VALUES_LEAST)
            if item.heat
            else 0.0
        )
        whole = named + width + noted + _AIR * bool(width and note)
        edge = plan.width / 2 - 8
        start = -edge if plan.exit > plan.width / 2 else edge - whole
        return cls(name, note, start, start + named, width)

    @property
    def noted(self) -> float:
        """Where the norms begin."""
        return self.values + self.width + _AIR * bool(self.width)


class Stamp:
    """Makes the shapes of one placed grid."""

    def __init__(self, place: Placement, bands: Bands, ramp: Ramp | None = None) -> None:
        self._place = place
        self._ramp = ramp
        self._bands = bands

    def shapes(self) -> Iterable[Shape]:
        """Yield panels first, since later shapes are drawn over earlier ones."""
        if self._place.grid.panels:
            yield from self._panels()
        yield from map(self._heading, self._place.grid.headings)
        for item in self._place.grid.items.values():
            yield from self._item_shapes(item)

    def insides(self) -> Iterable[Drawing]:
        """Yield what is drawn inside each opened copy."""
        ways = self._place.wiring.ways
        upward: dict[
            str, list[float]
        ] = {}  # the copies whose state leaves upwards too, and what comes back to it
        for c in self._place.grid.connections:
            if isinstance(ways[c.id], Up | Around):
                upward.setdefault(c.source, []).extend([] if c.norm is None else [c.norm])
        for item in self._place.grid.items.values():
            if item.plan and item.cell:
                left = self._place.x(item) - item.plan.width / 2
                bottom = self._bands.levels[item.level] - item.plan.height / 2
                spot = Spot(item.cell, left, bottom)
                drawing = item.plan.stamped(spot, upward=item.id in upward)
                if item.inside and self._ramp:
                    above = upward.get(item.id, ())
                    drawing = with_ways_back(
                        drawing, item.plan, item.inside, above, spot, self._ramp
                    )
                yield drawing

    def _panels(self) -> Iterable[Shape]:
        for slot, column in enumerate(self._place.grid.slots):
            if column is None:
                yield from self._fold_stack(slot)
            else:
                yield self._panel(slot, column)

    def _panel(self, slot: int, column: int) -> Shape:
        x = self._place.middle[slot]
        caption = Text(
            f"t = {column}",
            x,
            self._bands.bottom + STEP_ROOM * 0.45,
            HEADING_SIZE,
            "muted",
            bold=True,
        )
        return Shape(
            id=f"column-{column}",
            cls="column",
            form="box",
            x=x,
            y=(self._bands.bottom + self._bands.top) / 2,
            width=2 * self._place.half[slot],
            height=self._bands.top - self._bands.bottom,
            fill="panel.fill",
            line="panel.border",
            line_width=1.0,
            texts=(caption,),
            tooltip=f"timestep {column}",
        )

    def _fold_stack(self, slot: int) -> Iterable[Shape]:
        """Three sheets, the front one at the lower left; edges end at the outline of the stack as a whole."""
        width = 2 * self._place.half[slot] - 2 * FOLD_STEP
        height = self._bands.top - self._bands.bottom - 2 * FOLD_STEP
        left, bottom = self._place.middle[slot] - self._place.half[slot], self._bands.bottom
        for sheet in (2, 1, 0):
            x = left + width / 2 + sheet * FOLD_STEP
            y = bottom + height / 2 + sheet * FOLD_STEP
            yield Shape(
                id=FOLD if sheet == 0 else f"{FOLD}-sheet-{sheet}",
                cls="fold",
                form="box",
                x=x,
                y=y,
                width=width,
                height=height,
                fill="panel.fill",
                line="panel.border",
                line_width=1.0,
                texts=tuple(
                    Text(line, x, y + dy, size, "muted")
                    for line, size, dy in fold_lines(self._place.grid)
                )
                if sheet == 0
                else (),
                tooltip=f"{self._place.grid.folded} more columns, left out of the picture",
            )

    def _heading(self, heading: Heading) -> Shape:
        lines = [(heading.title, HEADING_SIZE, True, "text")] if heading.title else []
        size = LABEL_SIZE - 1 if heading.title else HEADING_SIZE
        lines += [(line, size, False, "muted") for line in heading.lines]
        leftmost = min(self._place.half)
        x = self._place.middle[leftmost] - self._place.half[leftmost] - HEADING_GAP
        y = self._bands.levels[heading.level] + sum(_leading(size) for _, size, _, _ in lines) / 2
        texts: list[Text] = []
        for line, size, bold, color in lines:
            y -= _leading(size) / 2
            texts.append(
                Text(fit(line, HEADING_WIDTH, size, bold=bold), x, y, size, color, bold, "right")
            )
            y -= _leading(size) / 2
        name = heading.title.replace(" ", "-") or heading.lines[0]
        full = "\n".join((heading.title, *heading.lines)).strip()
        width = max(text.width for text in texts)
        return Shape(
            id=f"heading-{name}",
            cls="heading",
            form="text",
            x=x - width / 2,
            y=self._bands.levels[heading.level],
            width=width,
            height=sum(_leading(text.size) for text in texts),
            texts=tuple(texts),
            tooltip=full,
        )

    def _item_shapes(self, item: Item) -> Iterable[Shape]:
        frame = self._place.frames[item.id]
        x, y = self._place.x(item), self._bands.levels[item.level] + frame.rise
        if item.glyph:
            yield from (shape.moved(x, y) for shape in item.glyph)
            return
        paint = self._paint(item)
        yield Shape(
            id=item.id,
            cls=item.cls,
            form="circle" if frame.round else "box",
            x=x,
            y=y,
            width=frame.width,
            height=frame.height,
            fill=f"{paint}.fill",
            line="alarm" if item.sick else f"{paint}.border",
            line_width=SICK_OUTLINE if item.sick else 1.2,
            dashed=item.role == "initial" or (item.idle and frame.round),
            texts=tuple(
                self._circle_texts(item, x, y) if frame.round else self._cell_texts(item, x, y)
            ),
            tooltip=item.tooltip,
        )
        if item.plan:
            yield from self._values_in_opened(item, item.plan, x, y + item.plan.height / 2)
        elif item.heat:
            yield from item.heat.shapes(item.id, x, y - frame.height / 2 + 12, frame.width - 18)

    def _paint(self, item: Item) -> str:
        """What fills and borders an item, as a role without its last word."""
        if item.role == "cell":
            return f"cell.{item.row}"
        if item.role in ("initial", "head") or (item.idle and item.role == "output"):
            return "state"
        return item.role

    def _cell_texts(self, item: Item, x: float, y: float) -> Iterable[Text]:
        room = self._place.frames[item.id].width - 14
        if item.plan:
            yield from self._texts_in_opened(item, item.plan, x, y)
            return
        y += HEAT_ROOM / 2 * bool(item.heat)
        if not item.note:
            yield Text(fit(item.label, room, NAME_SIZE), x, y, NAME_SIZE, "text")
            return
        yield Text(fit(item.label, room, NAME_SIZE), x, y + 7.5, NAME_SIZE, "text")
        color = "alarm" if item.sick else "muted"
        yield Text(fit(item.note, room, NOTE_SIZE), x, y - 11.5, NOTE_SIZE, color, bold=item.sick)

    def _texts_in_opened(self, item: Item, plan: Plan, x: float, y: float) -> Iterable[Text]:
        """The name of an opened copy, in the corner or before its values, and what comes back to it."""
        line, muted = _UpperLine.of(item, plan), "muted"
        top = y + plan.height / 2 - _UPPER
        if line.name:
            yield Text(line.name, x + line.start, top, LABEL_SIZE, muted, align="left")
        else:
            name = fit(item.label, plan.width - 14, LABEL_SIZE)
            yield Text(
                name,
                x + plan.width / 2 - 7,
                y - plan.height / 2 + 12,
                LABEL_SIZE,
                muted,
                align="right",
            )
        if line.note:
            color = "alarm" if item.sick else muted
            yield Text(line.note, x + line.noted, top, LABEL_SIZE, color, item.sick, align="left")

    def _values_in_opened(self, item: Item, plan: Plan, x: float, top: float) -> Iterable[Shape]:
        if item.heat:
            line = _UpperLine.of(item, plan)
            middle = x + line.values + line.width / 2
            yield from item.heat.shapes(item.id, middle, top - _UPPER, line.width)

    def _circle_texts(self, item: Item, x: float, y: float) -> Iterable[Text]:
        room = CIRCLE - 9
        size = max(
            min(
                NAME_SIZE - 1,
                (NAME_SIZE - 1) * room / max(text_width(item.label, NAME_SIZE - 1), 1),
            ),
            8.0,
        )
        loss = item.role == "loss"
        color = "loss.text" if loss else "text"
        yield Text(fit(item.label, room, size, bold=loss), x, y, size, color, bold=loss)
        if item.caption:
            offset = CIRCLE / 2 + 11
            beside = y + offset if item.role == "output" else y - offset
            caption = fit(item.caption, self._caption_room(item), CAPTION_SIZE)
            yield Text(caption, x, beside, CAPTION_SIZE, "text")

    def _caption_room(self, item: Item) -> float:
        neighbours = [
            abs(self._place.frames[other.id].offset - self._place.frames[item.id].offset)
            for other in self._place.grid.items.values()
            if other.slot == item.slot and other.level == item.level and other.id != item.id
        ]
        return min([2 * self._place.content, *neighbours]) - 4


def _leading(size: float) -> float:
    return 1.3 * size
