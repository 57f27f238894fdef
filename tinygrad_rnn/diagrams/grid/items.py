"""What stands on a grid: items, each with a face that knows its size and its shapes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, Self

from ...text import printable
from ..inside.plan import Plan
from ..inside.ways_back import Inside
from ..picture.ramp import ALARM_OUTLINE, Look
from ..picture.shapes import Shape, Text
from ..picture.text_metrics import broken_behind_names, fit, fit_middle, statements, text_width
from .heat import Heat

CELL_WIDTH, CELL_WIDTH_MOST, CELL_HEIGHT = 92.0, 150.0, 50.0
NOTE_WIDTH_MOST = CELL_WIDTH_MOST - 20.0
CIRCLE = 42.0
OBLONG_MOST = 132.0  # how wide a circle becomes that has a long name
_CIRCLE_RIM = 9.0  # what a text leaves free of the width
_LEAST_IN_CIRCLE = 12.0  # the size of a text that makes a circle an oblong, if it still is too long
NAME_SIZE, LABEL_SIZE, NOTE_SIZE, CAPTION_SIZE = 16.0, 12.0, 9.5, 13.0

_OUTLINE = 1.2
_NAMES_MOST, _NAMES_INSIDE = 6, 3  # of what stands for several values; … as long as it is a circle
_NAME_PITCH = 12.0  # of more than these
_NOTE_LINE, _NAME_LINE = 13.0, 16.0
_HEAT_ROOM = 16.0  # in a closed copy, for the row of its values
# The line along the upper edge of an opened copy: how far below that, between its parts.
_UPPER, _AIR = 12.0, 10.0
_VALUE, _VALUES_LEAST, _VALUES_MOST = 12.0, 30.0, 150.0  # the width of one value, of all of them

PLATE_WIDTH, PLATE_WIDTH_MOST = 56.0, 168.0
_PLATE_NAME, _PLATE_NOTE = PLATE_WIDTH_MOST - 18, PLATE_WIDTH_MOST - 18  # room for a line of these
_PLATE_LINES, _PLATE_NOTES = 4, 10  # so many at most
SIGN, BAR_HEIGHT = 22.0, 26.0

Role = Literal["cell", "head", "input", "output", "initial", "loss", "between", "sign", "bar"]


@dataclass(frozen=True, slots=True)
class Item:
    """A cell or a port in its place."""

    id: str
    cls: str
    role: Role
    slot: int
    level: int
    label: str
    face: "Face"
    tooltip: str = ""
    last: int | None = None  # the last slot of several that it spans
    aside: int | None = None  # beside a copy, on the way of its message: which of these ways
    face_left: bool = False  # … of a copy that hands it on to the left; a state that goes there
    row: str = ""  # what stands between copies: those alike in all columns have one

    @property
    def last_slot(self) -> int:
        """The last of the slots that it stands in."""
        return self.slot if self.last is None else self.last

    @property
    def slots(self) -> range:
        """The slots that it stands in."""
        return range(self.slot, self.last_slot + 1)

    @property
    def plan(self) -> Plan | None:
        """How the inside of an opened copy is drawn."""
        if isinstance(self.face, Opened):
            return self.face.plan
        return None

    @property
    def inside(self) -> Inside | None:
        """The inside of an opened copy in a picture with gradients."""
        if isinstance(self.face, Opened):
            return self.face.inside
        return None

    @property
    def heat(self) -> Heat | None:
        """The values of a copy, in a picture with values."""
        if isinstance(self.face, Box):
            return self.face.heat
        return None

    @property
    def note(self) -> str:
        """What a copy says beside its name."""
        return self.face.note if isinstance(self.face, Box) else ""

    @property
    def caption(self) -> str:
        """What a user named an input or an output."""
        return self.face.caption if isinstance(self.face, Circle) else ""

    def shapes(self, x: float, y: float, width: float, room: float) -> Iterator[Shape]:
        """Yield how it is drawn around (x, y).

        Args:
            x: where its middle is.
            y: likewise.
            width: as wide as it was measured.
            room: how wide a caption may be.
        """
        return self.face.shapes(self, x, y, width, room)


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A closed copy: its name, a note below that, and its values if these are asked for."""

    row: int  # chooses its colour
    note: str = ""  # the shape of its state
    notes: tuple[str, ...] = ()  # the norms of its gradients, in one line or below each other
    alarm: bool = False  # a gradient is not finite
    look: Look | None = None  # of its outline, where that says how far it is off
    heat: Heat | None = None
    dashed: bool = False  # a plain loop, which nobody named
    least_height: float = 0.0  # as the ways that leave it need it

    def size(self, width: float) -> tuple[float, float]:
        """Return width and height; all closed copies have the same width."""
        height = CELL_HEIGHT + _NOTE_LINE * (len(self._lines) - 1) if self._lines else CELL_HEIGHT
        height += _HEAT_ROOM if self.heat else 0.0
        return width, max(height, self.least_height)

    def least_width(self, label: str) -> float:
        """Return how wide its texts are."""
        notes = (text_width(line, NOTE_SIZE, bold=self.alarm) for line in self._lines)
        return max(text_width(label, NAME_SIZE), *notes, 0.0)

    @property
    def _lines(self) -> tuple[str, ...]:
        """What stands below the name; a number is never cut: too many get lines of their own."""
        if not self.notes:
            return (self.note,) if self.note else ()
        joined = " · ".join(self.notes)
        if text_width(joined, NOTE_SIZE, bold=self.alarm) <= NOTE_WIDTH_MOST:
            return (joined,)
        return self.notes

    def shapes(self, item: Item, x: float, y: float, width: float, room: float) -> Iterator[Shape]:
        _, height = self.size(width)
        middle = y
        if self.heat:
            middle += _HEAT_ROOM / 2
        texts = tuple(self._texts(item.label, x, middle, width - 14))
        yield self._outline(item, x, y, width, height, texts)
        if self.heat:
            yield from self.heat.shapes(item.id, x, y - height / 2 + 12, width - 18)

    def _texts(self, label: str, x: float, y: float, room: float) -> Iterator[Text]:
        name = fit_middle(label, room, NAME_SIZE)
        lines = self._lines
        if not lines:
            yield Text(name, x, y, NAME_SIZE, "text")
            return
        top = y + _NOTE_LINE * (len(lines) - 1) / 2
        yield Text(name, x, top + 7.5, NAME_SIZE, "text")
        for place, line in enumerate(lines):
            note = line if self.notes else fit_middle(line, room, NOTE_SIZE)
            below = top - 11.5 - _NOTE_LINE * place
            yield Text(note, x, below, NOTE_SIZE, self._note_color, bold=self.alarm)

    @property
    def _note_color(self) -> str:
        return "alarm" if self.alarm else "muted"

    @property
    def _fill(self) -> str:
        return f"cell.{self.row}.fill"

    @property
    def _line(self) -> str:
        return f"cell.{self.row}.border"

    def _outline(
        self, item: Item, x: float, y: float, width: float, height: float, texts: tuple[Text, ...]
    ) -> Shape:
        return Shape(
            id=item.id,
            cls=item.cls,
            form="box",
            x=x,
            y=y,
            width=width,
            height=height,
            fill=self._fill,
            line=_line_of(self, self._line),
            line_width=_width_of(self),
            dashed=self.dashed,
            texts=texts,
            tooltip=item.tooltip,
        )


class _UpperLine(NamedTuple):
    """What stands along the upper edge of an opened copy, from left to right, and where."""

    name: str
    name_at: float
    values_at: float
    values_width: float
    note: str
    note_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(Box):
    """An opened copy, drawn by its plan; its name, values and note stand along its edges."""

    name: str  # what stands in the ids of what is inside it
    plan: Plan
    white: bool = False  # what stands between copies
    inside: Inside | None = None  # in a picture with gradients

    def size(self, width: float) -> tuple[float, float]:
        """Return width and height."""
        return self.plan.width, self.plan.height

    @property
    def has_room(self) -> bool:
        """Whether its notes fit into it, side by side."""
        noted = text_width(" · ".join(self.notes), LABEL_SIZE, bold=self.alarm)
        return noted <= self._upper_room

    @property
    def _upper_room(self) -> float:
        """Return how much room the wider side of where its state leaves upwards has."""
        width = self.plan.width
        exit = max(self.plan.exits.values(), default=width / 2)
        return max(exit, width - exit) - 2 * _AIR

    def shapes(self, item: Item, x: float, y: float, width: float, room: float) -> Iterator[Shape]:
        plan, line = self.plan, self._upper_line(item.label, x)
        top, bottom = y + plan.height / 2 - _UPPER, y - plan.height / 2 + 12
        label = fit(item.label, plan.width - 14, LABEL_SIZE)
        texts: list[Text] = []
        if line.name:
            texts.append(Text(line.name, line.name_at, top, LABEL_SIZE, "muted", align="left"))
        elif label == printable(item.label) or not self.white:
            corner = x + plan.width / 2 - 7
            texts.append(Text(label, corner, bottom, LABEL_SIZE, "muted", align="right"))
        if line.note:
            color = self._note_color
            texts.append(
                Text(line.note, line.note_at, top, LABEL_SIZE, color, self.alarm, align="left")
            )
        yield self._outline(item, x, y, plan.width, plan.height, tuple(texts))
        if self.heat:
            middle = line.values_at + line.values_width / 2
            yield from self.heat.shapes(item.id, middle, top, line.values_width)

    @property
    def _fill(self) -> str:
        return "background" if self.white else f"cell.{self.row}.fill"

    @property
    def _line(self) -> str:
        return "text" if self.white else f"cell.{self.row}.border"

    def _upper_line(self, label: str, x: float) -> _UpperLine:
        """Place name and values, if these are asked for, and then the norms of its gradients.

        They stand on the wider side of where its state leaves upwards.
        """
        width = self.plan.width
        exit = max(self.plan.exits.values(), default=width / 2)
        room = self._upper_room
        name = note = ""
        named = noted = values = 0.0
        if self.inside:
            note = " · ".join(self.notes)
            noted = text_width(note, LABEL_SIZE, bold=self.alarm)
        if self.heat:
            name = fit(label, room / 3, LABEL_SIZE)
            named = text_width(name, LABEL_SIZE) + _AIR / 2
            free = room - named - noted - _AIR
            wanted = min(_VALUE * len(self.heat.values), _VALUES_MOST)
            values = max(min(wanted, free), _VALUES_LEAST)
            if note:
                noted += _AIR
        edge = width / 2 - 8
        if exit > width / 2:
            start = x - edge
        else:
            start = x + edge - (named + values + noted)
        values_at = start + named
        note_at = values_at + values
        if self.heat:
            note_at += _AIR
        return _UpperLine(name, start, values_at, values, note, note_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Circle:
    """An input, an output, an initial state or the loss."""

    caption: str = ""  # what a user named it
    bare: bool = False  # nothing is written in it: its name is too long, and stands in the caption
    lines: tuple[str, ...] = ()  # what stands below it besides, muted
    height: float = CIRCLE  # more than that, where many names stand in it
    chip: int | None = None  # an input that is learned: which of the parameters it is
    unused: bool = False  # an output that the loss does not read
    zero: bool = False  # its gradient is exactly zero
    alarm: bool = False  # … or not finite
    look: Look | None = None  # of its outline, where that says how far it is off

    @classmethod
    def named(cls, label: str, caption: str, has_room: bool = False) -> Self:
        """Return one with its name in it, or beside it where that would be too long even so.

        Args:
            label: its name.
            caption: what a user named it, besides.
            has_room: whether that may stand below its name.
        """
        fits = ", " in label or text_width(label, NAME_SIZE - 1) + 2 * _CIRCLE_RIM <= OBLONG_MOST
        if fits or (caption and not has_room):
            return cls(caption=caption, height=_height_of(_circle_lines(label)))
        return cls(caption=label, bare=True, lines=(caption,) if caption else ())

    def size(self, width: float) -> tuple[float, float]:
        """Return width and height: a long name, or many, make it an oblong."""
        return max(width, CIRCLE), self.height

    def least_width(self, label: str) -> float:
        """Return how wide it is by itself."""
        if self.bare:
            return CIRCLE
        lines = _circle_lines(label)
        widest = max(text_width(line, 1.0) for line in lines)
        if widest * _LEAST_IN_CIRCLE <= CIRCLE - _CIRCLE_RIM:
            return CIRCLE
        size = min(NAME_SIZE - 1, (self.height - 12) / len(lines))
        return min(widest * size + 2 * _CIRCLE_RIM, OBLONG_MOST)

    def shapes(self, item: Item, x: float, y: float, width: float, room: float) -> Iterator[Shape]:
        role, (width, height) = item.role, self.size(width)
        fills_up = role == "input" and item.label.isdecimal()  # or begins a sum
        is_left_out = role in ("output", "loss") and (self.zero or self.unused)
        if role == "initial" or fills_up or is_left_out:
            role = "state"
        yield Shape(
            id=item.id,
            cls=item.cls,
            form="circle" if max(width, height) <= CIRCLE else "box",
            x=x,
            y=y,
            width=width,
            height=height,
            fill=f"{role}.fill" if self.chip is None else f"chip.{self.chip}",
            line=_line_of(self, f"{role}.border"),
            line_width=_width_of(self),
            dashed=item.role == "initial" or self.zero or self.unused,
            texts=tuple(self._texts(item, x, y, width, room)),
            tooltip=item.tooltip,
        )

    def _texts(self, item: Item, x: float, y: float, width: float, room: float) -> Iterator[Text]:
        loss = item.role == "loss"
        color = "text" if self.chip is None else "chip.text"
        if loss and not self.zero:
            color = "loss.text"
        lines = [] if self.bare else _circle_lines(item.label)
        pitch = (self.height - 12) / max(len(lines), 1)
        size = min(NAME_SIZE - 1, pitch)
        for place, line in enumerate(lines):
            height = y + pitch * ((len(lines) - 1) / 2 - place)
            yield circle_text(line, x, height, size, color, loss, width)
        if self.caption:
            offset = self.height / 2 + 11
            if item.role != "output":
                offset = -offset
            caption = fit_middle(self.caption, room, CAPTION_SIZE)
            yield Text(caption, x, y + offset, CAPTION_SIZE, "text")
        for place, line in enumerate(self.lines, 1 if self.caption else 0):
            below = y - self.height / 2 - 11 - 13.0 * place
            yield Text(line, x, below, NOTE_SIZE + 1, "muted")


@dataclass(frozen=True, slots=True)
class Glyph:
    """An op outside the copies, drawn as inside of them; its middle is at (0, 0)."""

    drawn: tuple[Shape, ...]

    def size(self, width: float) -> tuple[float, float]:
        """Return width and height."""
        return self.drawn[0].width, self.drawn[0].height

    def shapes(self, item: Item, x: float, y: float, width: float, room: float) -> Iterator[Shape]:
        return (shape.moved(x, y) for shape in self.drawn)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plate:
    """What stands between copies: the module that it is a call of, or its formula."""

    label: str
    note: str = ""
    alarm: bool = False
    look: Look | None = None

    @classmethod
    def has_room(cls, note: str) -> bool:
        """Whether a note can stand below its name without being cut."""
        lines = _note_lines(note)
        widest = max(text_width(line, NOTE_SIZE) for line in lines)
        return len(lines) <= _PLATE_NOTES and widest <= _PLATE_NOTE

    @property
    def _lines(self) -> list[str]:
        """What stands in it: its name, and its formula where it has no other."""
        lines = broken_behind_names(self.label, _PLATE_NAME, LABEL_SIZE + 1)
        return _at_most(lines, _PLATE_LINES)

    @property
    def _notes(self) -> list[str]:
        return _at_most(_note_lines(self.note), _PLATE_NOTES) if self.note else []

    def size(self, width: float) -> tuple[float, float]:
        """Return width and height, as its texts need them."""
        notes = self._notes
        height = 30.0 + _NAME_LINE * (len(self._lines) - 1)
        return width, height + (10.0 + _NOTE_LINE * (len(notes) - 1) if notes else 0.0)

    def least_width(self, label: str) -> float:
        """Return how wide it is by itself."""
        named = max(text_width(line, LABEL_SIZE + 1) for line in self._lines)
        noted = max((text_width(line, NOTE_SIZE) for line in self._notes), default=0.0)
        return min(max(max(named, noted) + 18, PLATE_WIDTH), PLATE_WIDTH_MOST)

    def shapes(self, item: Item, x: float, y: float, width: float, room: float) -> Iterator[Shape]:
        lines, notes = self._lines, self._notes
        _, height = self.size(width)
        at = y + height / 2 - (13.5 if notes else 15.0)
        texts: list[Text] = []
        for line in lines:
            name = fit_middle(line, width - 12, LABEL_SIZE + 1)
            texts.append(Text(name, x, at, LABEL_SIZE + 1, "text"))
            at -= _NAME_LINE
        at += _NAME_LINE - 16.0
        for line in notes:
            color = "alarm" if self.alarm else "muted"
            note = fit_middle(line, width - 10, NOTE_SIZE)
            texts.append(Text(note, x, at, NOTE_SIZE, color, bold=self.alarm))
            at -= _NOTE_LINE
        yield _plain(self, item, x, y, width, height, tuple(texts))


def _note_lines(note: str) -> list[str]:
    formulas = statements(note)
    return [line for one in formulas for line in broken_behind_names(one, _PLATE_NOTE, NOTE_SIZE)]


def _at_most(lines: list[str], most: int) -> list[str]:
    """So many lines: what does not fit in them is one line, which is cut."""
    return [*lines[: most - 1], *filter(None, [" ".join(lines[most - 1 :])])]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """A small op on an arrow: a circle with its sign."""

    alarm: bool = False
    look: Look | None = None

    def size(self, width: float) -> tuple[float, float]:
        """Return width and height."""
        return SIGN, SIGN

    def shapes(self, item: Item, x: float, y: float, width: float, room: float) -> Iterator[Shape]:
        size = min(15.0, 15.0 * (SIGN - 5) / max(text_width(item.label, 15.0), 1.0))
        sign = Text(item.label, x, y, size, "text")
        yield _plain(self, item, x, y, SIGN, SIGN, (sign,), "circle")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A value of many columns, which others read as a whole: a thin block over these columns."""

    note: str = ""
    alarm: bool = False
    look: Look | None = None

    def size(self, width: float) -> tuple[float, float]:
        """Return width and height; as wide as its columns."""
        return width, BAR_HEIGHT

    def shapes(self, item: Item, x: float, y: float, width: float, room: float) -> Iterator[Shape]:
        note = self.note
        label = fit_middle(item.label, width - 12, LABEL_SIZE)
        if note and text_width(f"{label}  {note}", LABEL_SIZE) > width - 12:
            note = ""
        named = text_width(label, LABEL_SIZE)
        noted = text_width(note, NOTE_SIZE + 1)
        start = x - (named + (noted + 8 if note else 0.0)) / 2
        texts = [Text(label, start, y, LABEL_SIZE, "text", align="left")]
        if note:
            color = "alarm" if self.alarm else "muted"
            texts.append(Text(note, start + named + 8, y, NOTE_SIZE + 1, color, align="left"))
        yield _plain(self, item, x, y, width, BAR_HEIGHT, tuple(texts))


Face = Box | Opened | Circle | Glyph | Plate | Sign | Bar


class _Outlined(Protocol):
    """A face whose outline may say something."""

    @property
    def alarm(self) -> bool: ...
    @property
    def look(self) -> Look | None: ...


def _line_of(face: "_Outlined", usual: str) -> str:
    """Return the role of an outline: what is not finite before how far it is off."""
    if face.alarm:
        return "alarm"
    return usual if face.look is None or face.look.dashed else face.look.color


def _width_of(face: "_Outlined") -> float:
    if face.alarm:
        return ALARM_OUTLINE
    return _OUTLINE if face.look is None else max(face.look.width, _OUTLINE)


def _plain(
    face: _Outlined,
    item: Item,
    x: float,
    y: float,
    width: float,
    height: float,
    texts: tuple[Text, ...],
    form: Literal["box", "circle"] = "box",
) -> Shape:
    return Shape(
        id=item.id,
        cls=item.cls,
        form=form,
        x=x,
        y=y,
        width=width,
        height=height,
        fill="background",
        line=_line_of(face, "text"),
        line_width=_width_of(face),
        texts=texts,
        tooltip=item.tooltip,
    )


def _circle_lines(label: str) -> list[str]:
    """Return the names of a circle that stands for several values: one below the other."""
    names = label.split(", ")
    if len(names) <= _NAMES_MOST:
        return names
    return [*names[: _NAMES_MOST - 1], "…"]


def _height_of(lines: Sequence[str]) -> float:
    """How high a circle has to be for its names."""
    return CIRCLE if len(lines) <= _NAMES_INSIDE else 12 + _NAME_PITCH * len(lines)


def circle_text(
    label: str,
    x: float,
    y: float,
    size: float,
    color: str,
    bold: bool = False,
    width: float = CIRCLE,
) -> Text:
    """Return the text in a circle, in a size that lets it fit; what does not even then is cut."""
    room = width - _CIRCLE_RIM
    size = max(min(size, size * room / max(text_width(label, size), 1)), 7.0)
    return Text(fit_middle(label, room + 4, size, bold=bold), x, y, size, color, bold)
