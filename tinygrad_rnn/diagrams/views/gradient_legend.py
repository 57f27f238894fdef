"""Below a picture with gradients: the norm at every step, and what the colours mean.

The norms are in strips: one for each state of a layer, a mark for each step.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from ...tracing.network.gradients.flow import together
from ...tracing.network.quotient import Quotient
from ..grid.items import LABEL_SIZE
from ..grid.placement import HEADING_SIZE
from ..grid.steps import steps_of
from ..picture.curves import rounded
from ..picture.lanes import LANE_WIDTH
from ..picture.ramp import Look, Ramp, is_non_finite, look_of
from ..picture.shapes import Bounds, Drawing, Edge, Shape, Text
from ..picture.theme import RAMP_STEPS
from .gradients import Overlay, Words, named_pieces

Direction = Literal[1, -1]  # to the right, to the left

MARKS_MOST = 200  # in a strip: with more steps than that, one mark stands for several
_MARK_HEIGHT, _STRIP_PITCH, _GAP = 14.0, 20.0, 26.0
_SWATCH, _SAMPLE = 34.0, 30.0


def gradient_legend(overlay: Overlay, quotient: Quotient, picture: Drawing) -> Drawing:
    """Return the strips, as wide as the columns of `picture`, and below them the legend."""
    columns = [shape for shape in picture.shapes if shape.cls in ("column", "fold")]
    box = picture.bounds
    left = min((shape.left for shape in columns), default=box.left)
    right = max((shape.right for shape in columns), default=box.right)
    y = box.bottom - _GAP - _MARK_HEIGHT / 2
    per_mark, steps = math.ceil(quotient.columns / MARKS_MOST), steps_of(quotient)
    shapes: list[Shape] = []
    has_gaps = False
    is_headed = all(column == step for column, step in steps.items()) and steps
    counted = "t =" if is_headed else "column"
    for id, name, norms in _histories(overlay, quotient):
        has_gaps |= None in norms
        strip = _Strip(id, norms, per_mark, counted, left, right, y)
        shapes.append(strip.heading(name))
        shapes += strip.marks(overlay.ramp)
        y -= _STRIP_PITCH
    told = _caption(quotient, per_mark, overlay.words.before)
    told += ", blank where there is none" if has_gaps else ""
    caption = Text(told, (left + right) / 2, y, LABEL_SIZE, "muted")
    shapes.append(Shape.of_text("strip-caption", "strip", caption, caption.text))
    strips = Drawing(tuple(shapes))
    return strips + _legend(overlay, box.left, strips.bounds.bottom - _GAP, forward=True)


class Coloured(Protocol):
    """A picture with norms in it, as its legend explains them."""

    @property
    def words(self) -> Words: ...
    @property
    def ramp(self) -> Ramp: ...
    @property
    def norms(self) -> Iterable[float | None]: ...
    @property
    def has_cuts(self) -> bool: ...


def ramp_legend(overlay: Coloured, box: Bounds) -> Drawing:
    """Return the legend alone, below `box`, of a picture that shows nothing but the way back."""
    return _legend(overlay, box.left, box.bottom - _GAP, forward=False)


def _histories(
    overlay: Overlay, quotient: Quotient
) -> Iterator[tuple[str, str, list[float | None]]]:
    """Yield an id and a name of each state of each layer, and its norm at every step.

    None where nothing depends on it, as on the last one of some chains.
    """
    for row in reversed(quotient.rows):
        if row.kind not in ("cell", "loop"):
            continue
        states = row.states or ("",)
        for number, state in enumerate(states):
            norms: list[float | None] = [None] * quotient.columns
            for block in row.blocks:
                found = named_pieces(block)
                piece = found.get(state) if row.states else next(iter(found.values()), None)
                if piece is not None and block.column is not None:
                    norm = overlay.flow.norm(piece)
                    norms[block.column] = together((norms[block.column], norm))
            name = row.title
            if len(states) > 1:
                name += f", {state}"
            yield f"{row.number}-{number}", name, norms


@dataclass(frozen=True, slots=True)
class _Strip:
    """The norms of one state at every step, in marks side by side."""

    id: str
    norms: Sequence[float | None]
    per_mark: int  # steps that one mark stands for
    counted: str  # as what steps are counted: "t =", as they are headed
    left: float
    right: float
    y: float

    def heading(self, name: str) -> Shape:
        text = Text(name, self.left - 10, self.y, LABEL_SIZE, "muted", align="right")
        return Shape.of_text(f"strip-{self.id}", "strip", text, name)

    def marks(self, ramp: Ramp) -> Iterator[Shape]:
        """Yield a mark for every step, or for the strongest of several steps."""
        firsts = range(0, len(self.norms), self.per_mark)
        width = (self.right - self.left) / len(firsts)
        for place, first in enumerate(firsts):
            steps = self.norms[first : first + self.per_mark]
            known = [norm for norm in steps if norm is not None]
            if known:
                norm = next(filter(is_non_finite, known), max(known))
                yield self._mark(first, self.left + (place + 0.5) * width, width, norm, ramp)

    def _mark(self, first: int, x: float, width: float, norm: float, ramp: Ramp) -> Shape:
        """Return the mark of the steps from `first` on."""
        look = look_of(norm, ramp)
        fill, line = look.color, "background"
        if look.dashed:
            fill, line = line, fill
        steps = f"{self.counted} {first}"
        if self.per_mark > 1:
            steps += f" to {first + self.per_mark - 1}"
        warning = Text("!", x, self.y, LABEL_SIZE, "background", bold=True)
        warns = is_non_finite(norm) and width > warning.width
        return Shape(
            id=f"mark-{self.id}-{first}",
            cls="mark",
            form="chip",
            x=x,
            y=self.y,
            width=width,
            height=_MARK_HEIGHT,
            fill=fill,
            line=line,
            line_width=0.5,
            dashed=norm == 0,
            texts=(warning,) if warns else (),
            tooltip=f"{steps}: {norm:.4g}",
        )


def _caption(quotient: Quotient, per_mark: int, before: str) -> str:
    states = dict.fromkeys(
        state
        for row in quotient.rows
        for state in row.states or ("·",)
        if row.kind in ("cell", "loop")
    )
    caption = ", ".join(f"‖{before}{state}ₜ‖" for state in states)
    caption += f" at all {quotient.columns:,} steps" if quotient.columns > 1 else " at the one step"
    if per_mark > 1:
        caption += f", each mark the largest of {per_mark}"
    return caption


def _legend(overlay: Coloured, left: float, top: float, *, forward: bool) -> Drawing:
    """Return the ramp with its widths and numbers, then a sample of each other kind of edge.

    Where nothing goes forward, the copies are mirrored: the way back is from left to right.
    """
    words = overlay.words
    back: Direction = -1 if forward and not words.is_forward else 1
    y = top - _MARK_HEIGHT / 2
    title = Text(words.title, left, y, HEADING_SIZE, "text", bold=True, align="left")
    note_at = left + title.width + 8
    note = Text(words.note, note_at, y, LABEL_SIZE, "muted", align="left")
    width = title.width + 8 + note.width
    heading = Shape(
        id="gradient-legend",
        cls="legend",
        form="text",
        x=left + width / 2,
        y=y,
        width=width,
        height=_MARK_HEIGHT,
        texts=(title, note),
    )
    start = left + width + 18
    ramp = _ramp(overlay.ramp, start, y, back)
    x = start + RAMP_STEPS * _SWATCH + 34
    samples = Drawing()
    for name, look in _samples(overlay, forward=forward):
        samples += _sample(name, look, x, y, 1 if name == "forward" else back)
        x = samples.bounds.right + 24
    return Drawing((heading,)) + ramp + samples


def _ramp(ramp: Ramp, left: float, y: float, back: Direction) -> Drawing:
    shapes: list[Shape] = []
    edges: list[Edge] = []
    for step in range(RAMP_STEPS):
        x, reach = left + (step + 0.5) * _SWATCH, back * _SAMPLE / 2
        id, role = f"ramp-{step}", f"ramp.{step}"
        shapes.append(
            Shape(id, "ramp", "chip", x, y, _SWATCH, _MARK_HEIGHT, role, role, 0.5, tooltip="ramp")
        )
        points = rounded([(x - reach, y - 17), (x + reach, y - 17)])
        width = ramp.width(step)
        edges.append(Edge(f"{id}-width", "ramp", id, id, points, role, width, tooltip="ramp"))
    for index, (share, label) in enumerate(ramp.ticks()):
        x = left + share * RAMP_STEPS * _SWATCH
        text = Text(label, x, y - 34, LABEL_SIZE - 1, "text")
        shapes.append(Shape.of_text(f"ramp-tick-{index}", "ramp", text, label))
    return Drawing(tuple(shapes), tuple(edges))


def _samples(overlay: Coloured, *, forward: bool) -> Iterator[tuple[str, Look | None]]:
    """Yield what the picture shows besides numbers, and how it looks where it is an edge."""
    norms = list(overlay.norms)
    if forward and not overlay.words.is_forward:
        yield "forward", Look("muted", LANE_WIDTH, dashed=False)
    if any(norm == 0 for norm in norms):
        yield overlay.words.zero, look_of(0.0, overlay.ramp)
    if any(map(is_non_finite, norms)):
        yield "NaN or ∞", look_of(math.nan, overlay.ramp)
    if overlay.has_cuts and not overlay.words.is_forward:
        yield "✂ detached: no gradient passes", None


def _sample(name: str, look: Look | None, left: float, y: float, way: Direction) -> Drawing:
    """Return a short arrow, where there is a look for one, and what it means."""
    id = "sample-" + name.split()[0]
    start = left if look is None else left + _SAMPLE + 8
    text = Text(name, start, y, LABEL_SIZE, "muted", align="left")
    meaning = Drawing((Shape.of_text(id, "legend", text, name),))
    if look is None:
        return meaning
    points = rounded([(left, y), (left + _SAMPLE, y)][::way])
    edge = Edge(
        id=f"{id}-edge",
        cls="legend",
        source=id,
        target=id,
        points=points,
        color=look.color,
        width=look.width,
        dashed=look.dashed,
        tooltip=name,
    )
    return meaning + Drawing((), (edge,))
