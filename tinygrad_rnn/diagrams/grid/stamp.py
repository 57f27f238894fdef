"""Draws a placed grid: each column's panel, the headings, every item, the insides of the copies."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise

from ..inside.plan import Spot
from ..inside.ways_back import with_ways_back
from ..picture.notation import id_of
from ..picture.ramp import Ramp
from ..picture.shapes import Drawing, Shape, Text
from ..picture.text_metrics import fit
from .grid import FOLD, MARGIN, Heading
from .items import LABEL_SIZE, Item, Opened
from .placement import (
    CAPTION_AIR,
    FOLD_STEP,
    HEADING_SIZE,
    HEADING_WIDTH,
    LANE_ROOM,
    LEADING,
    STEP_ROOM,
    Bands,
    Placement,
    caption_width,
    fold_lines,
    heading_height,
    heading_texts,
)
from .wiring import Around, Up

_HEADING_GAP = 26.0
_BRACKET_APART = 3.0  # half of what lies between two brackets in a fold
_BRACKET_GAP = 10.0


class Stamp:
    """Makes the shapes of one placed grid."""

    def __init__(self, place: Placement, bands: Bands, ramp: Ramp | None = None) -> None:
        self._place = place
        self._grid = place.grid
        self._ramp = ramp
        self._bands = bands
        self._beside: defaultdict[tuple[int, int], list[Item]] = defaultdict(list)
        for item in self._grid.items.values():
            self._beside[item.slot, item.level].append(item)

    def shapes(self) -> Iterable[Shape]:
        """Yield panels first, since later shapes are drawn over earlier ones."""
        if self._grid.panels:
            yield from self._panels()
            yield from self._brackets()
        yield from map(self._heading, self._grid.headings)
        for item in self._grid.items.values():
            frame = self._place.frames[item.id]
            x, y = self._place.x(item), self._bands.levels[item.level] + frame.rise
            yield from item.shapes(x, y, frame.width, self._caption_room(item))

    def insides(self) -> Iterable[Drawing]:
        """Yield what is drawn inside each opened copy."""
        ways = self._place.wiring.ways
        # Of each copy the parts whose values leave upwards, and the norms of what comes back.
        upward: defaultdict[str, defaultdict[int, list[float]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for connection in self._grid.connections:
            if connection.outlet is not None and isinstance(ways[connection.id], Up | Around):
                norms = upward[connection.source][connection.outlet]
                if connection.norm is not None:
                    norms.append(connection.norm)
        for item in self._grid.items.values():
            if isinstance(item.face, Opened):
                yield self._inside(item, item.face, upward)

    def _inside(
        self, item: Item, face: Opened, upward: Mapping[str, Mapping[int, list[float]]]
    ) -> Drawing:
        plan = face.plan
        left = self._place.x(item) - plan.width / 2
        bottom = self._bands.levels[item.level] - plan.height / 2
        spot = Spot(item.id, face.name, left, bottom)
        above = upward.get(item.id, {})
        drawing = plan.stamped(spot, upward=above)
        if face.inside is None or self._ramp is None:
            return drawing
        return with_ways_back(drawing, plan, face.inside, above, spot, self._ramp)

    def _panels(self) -> Iterable[Shape]:
        for slot, column in enumerate(self._grid.slots):
            if column is None:
                yield from self._fold_stack(slot)
            elif column != MARGIN:
                yield self._panel(slot, column)

    def _panel(self, slot: int, column: int) -> Shape:
        bands = self._bands
        left, right = self._place.edges(slot)
        x, y = self._place.middle[slot], bands.bottom + STEP_ROOM * 0.45
        step = self._grid.steps.get(column)
        text = "" if step is None else f"t = {step}"
        caption = Text(text, x, y, HEADING_SIZE, "muted", bold=True)
        return Shape(
            id=f"column-{column}",
            cls="column",
            form="box",
            x=(left + right) / 2,
            y=(bands.bottom + bands.top) / 2,
            width=right - left,
            height=bands.top - bands.bottom,
            fill="panel.fill",
            line="panel.border",
            line_width=1.0,
            texts=(caption,) if text else (),
            tooltip=f"column {column}" if step is None else f"timestep {step}",
        )

    def _brackets(self) -> Iterable[Shape]:
        """Yield a thin bar below the columns of each step of an outer loop, and its name."""
        for number, bracket in enumerate(self._grid.brackets):
            (left, end), (begin, right) = map(self._place.edges, (bracket.first, bracket.last))
            if bracket.begins:
                left += bracket.begins * (end - left) + _BRACKET_APART
            if bracket.ends < 1.0:
                right = begin + bracket.ends * (right - begin) - _BRACKET_APART
            x, y = (left + right) / 2, self._bands.bottom - _BRACKET_GAP
            text = Text(bracket.label, x, y - 13, LABEL_SIZE, "muted", bold=True)
            yield Shape(
                id=f"bracket-{number}",
                cls="bracket",
                form="chip",
                x=x,
                y=y,
                width=right - left,
                height=3.0,
                fill="muted",
                line="muted",
                line_width=0.5,
                texts=(text,),
                tooltip=bracket.label,
            )

    def _fold_stack(self, slot: int) -> Iterable[Shape]:
        """Three sheets, the front one at the lower left; edges end at the outline of the stack."""
        (left, right), bottom = self._place.edges(slot), self._bands.bottom
        width = right - left - 2 * FOLD_STEP
        height = self._bands.top - bottom - 2 * FOLD_STEP
        for sheet in (2, 1, 0):
            x = left + width / 2 + sheet * FOLD_STEP
            y = bottom + height / 2 + sheet * FOLD_STEP
            id, texts = f"{FOLD}-sheet-{sheet}", []
            if sheet == 0:
                id = FOLD
                middle = self._free_middle(slot, y)
                texts = [
                    Text(line, x, middle + dy, size, "muted")
                    for line, size, dy in fold_lines(self._grid)
                ]
            yield Shape(
                id=id,
                cls="fold",
                form="box",
                x=x,
                y=y,
                width=width,
                height=height,
                fill="panel.fill",
                line="panel.border",
                line_width=1.0,
                texts=tuple(texts),
                tooltip=f"{self._grid.folded} more columns, left out of the picture",
            )

    def _free_middle(self, slot: int, y: float) -> float:
        """Return where the text of the fold stands: in the largest room between the bars."""
        levels = {item.level for item in self._grid.items.values() if slot in item.slots}
        if not levels:
            return y
        bands = self._bands
        edges = [bands.bottom, *(bands.levels[level] for level in sorted(levels)), bands.top]
        low, high = max(pairwise(edges), key=lambda room: room[1] - room[0])
        return (low + high) / 2

    def _heading(self, heading: Heading) -> Shape:
        lines = heading_texts(heading)
        name = heading.title.replace(" ", "-") or heading.lines[0]
        leftmost = min(self._place.sides)
        right = self._place.edges(leftmost)[0] - _HEADING_GAP
        if leftmost not in self._place.content:
            tracks = self._place.wiring.lane_tracks.get((leftmost, "left"), 0)
            right -= self._place.track * tracks + (LANE_ROOM if tracks else 0.0)
        middle = self._bands.levels[heading.level]
        y = middle + heading_height(heading) / 2
        texts: list[Text] = []
        for line, size, bold, color in lines:
            y -= LEADING * size / 2
            line = fit(line, HEADING_WIDTH, size, bold=bold)
            texts.append(Text(line, right, y, size, color, bold, "right"))
            y -= LEADING * size / 2
        width = max(text.width for text in texts)
        return Shape(
            id=id_of("heading", name),
            cls="heading",
            form="text",
            x=right - width / 2,
            y=middle,
            width=width,
            height=heading_height(heading),
            texts=tuple(texts),
            tooltip="\n".join((heading.title, *heading.lines)).strip(),
        )

    def _caption_room(self, item: Item) -> float:
        """Return how wide a caption may be, so that it does not meet that of a neighbour."""
        frames, own = self._place.frames, caption_width(item)
        rooms = [
            abs(frames[other.id].offset - frames[item.id].offset) + (own - caption_width(other)) / 2
            for other in self._beside[item.slot, item.level]
            if other is not item
        ]
        x, (left, right) = self._place.x(item), self._place.edges(item.slot)
        return min([2 * (x - left), 2 * (right - x), *rooms]) - CAPTION_AIR
