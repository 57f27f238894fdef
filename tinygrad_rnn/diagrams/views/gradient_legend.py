"""Below a picture with gradients: the norm at every step in a strip per layer, and what the colours mean."""

import math
from collections.abc import Iterator, Sequence
from typing import Literal

from ...tracing.network.network import Network
from ..grid.items import LABEL_SIZE
from ..grid.placement import HEADING_SIZE
from ..picture.curves import rounded
from ..picture.lanes import LANE_WIDTH
from ..picture.ramp import Look, Ramp, is_sick, look_of
from ..picture.shapes import Box, Drawing, Edge, Shape, Text
from ..picture.theme import RAMP_STEPS
from .gradients import Overlay

Direction = Literal[1, -1]  # to the right, to the left

MARKS_MOST = 200  # in a strip: with more steps than that, one mark stands for several
_MARK_HEIGHT, _STRIP_PITCH, _GAP = 14.0, 20.0, 26.0
_SWATCH, _SAMPLE = 34.0, 30.0


def gradient_legend(overlay: Overlay, network: Network, picture: Drawing) -> Drawing:
    """Return the strips, from the first column of `picture` to its last, and below them the legend."""
    columns = [shape for shape in picture.shapes if shape.cls in ("column", "fold")]
    box = picture.bounds
    left = min((shape.left for shape in columns), default=box.left)
    right = max((shape.right for shape in columns), default=box.right)
    strips = Drawing(tuple(_strips(overlay, network, left, right, box.bottom - _GAP)))
    return strips + _legend(overlay, box.left, strips.bounds.bottom - _GAP, forward=True)


def ramp_legend(overlay: Overlay, box: Box) -> Drawing:
    """Return the legend alone, below `box`, of a picture that shows nothing but the way back."""
    return _legend(overlay, box.left, box.bottom - _GAP, forward=False)


def _strips(
    overlay: Overlay, network: Network, left: float, right: float, top: float
) -> Iterator[Shape]:
    per_mark = math.ceil(network.columns / MARKS_MOST)
    y = top - _MARK_HEIGHT / 2
    for row in reversed(network.rows):
        cells = [cell for cell in network.cells if cell.layer == row.layer]
        count = max((len(overlay.flow.parts[cell.id]) for cell in cells), default=0)
        names = row.states[:count]
        for index, state in enumerate(names):
            norms: list[float | None] = [None] * network.columns
            for cell in cells:
                norms[cell.column] = next(iter(overlay.flow.parts[cell.id][index:]), None)
            name = f"layer {row.layer}" + (f", {state}" if len(names) > 1 else "")
            yield _strip_name(f"strip-{row.layer}-{index}", name, left - 10, y)
            yield from _marks(f"{row.layer}-{index}", norms, per_mark, left, right, y, overlay.ramp)
            y -= _STRIP_PITCH
    yield _caption(network, per_mark, (left + right) / 2, y)


def _strip_name(id: str, name: str, x: float, y: float) -> Shape:
    text = Text(name, x, y, LABEL_SIZE, "muted", align="right")
    return Shape(
        id,
        "strip",
        "text",
        x - text.width / 2,
        y,
        text.width,
        text.size,
        texts=(text,),
        tooltip=name,
    )


def _marks(
    strip: str,
    norms: Sequence[float | None],
    per_mark: int,
    left: float,
    right: float,
    y: float,
    ramp: Ramp,
) -> Iterator[Shape]:
    width = (right - left) / math.ceil(len(norms) / per_mark)
    for place, first in enumerate(range(0, len(norms), per_mark)):
        known = [norm for norm in norms[first : first + per_mark] if norm is not None]
        if not known:
            continue
        norm = next(filter(is_sick, known), max(known))
        fill, line = _fill_and_line(norm, ramp)
        steps = f"t = {first}" if per_mark == 1 else f"t = {first} to {first + per_mark - 1}"
        x = left + (place + 0.5) * width
        mark = Text("!", x, y, LABEL_SIZE, "background", bold=True)
        yield Shape(
            id=f"mark-{strip}-{first}",
            cls="mark",
            form="chip",
            x=x,
            y=y,
            width=width,
            height=_MARK_HEIGHT,
            fill=fill,
            line=line,
            line_width=0.5,
            dashed=norm == 0,
            texts=(mark,) if is_sick(norm) and width > mark.width else (),
            tooltip=f"{steps}: {norm:.4g}",
        )


def _fill_and_line(norm: float, ramp: Ramp) -> tuple[str, str]:
    look = look_of(norm, ramp)
    return ("background", look.color) if look.dashed else (look.color, "background")


def _caption(network: Network, per_mark: int, x: float, y: float) -> Shape:
    states = dict.fromkeys(state for row in network.rows for state in row.states)
    what = ", ".join(f"‖∂L/∂{state}ₜ‖" for state in states)
    steps = f"all {network.columns:,} steps" if network.columns > 1 else "the one step"
    every = f", each mark the largest of {per_mark}" if per_mark > 1 else ""
    text = Text(f"{what} at {steps}{every}", x, y, LABEL_SIZE, "muted")
    return Shape(
        "strip-caption",
        "strip",
        "text",
        x,
        y,
        text.width,
        text.size,
        texts=(text,),
        tooltip=text.text,
    )


def _legend(overlay: Overlay, left: float, top: float, *, forward: bool) -> Drawing:
    """Return the ramp with its widths and numbers, then one sample of each other kind of edge there is.

    Where nothing goes forward, the copies are mirrored: the way back is from left to right.
    """
    back: Direction = -1 if forward else 1
    y = top - _MARK_HEIGHT / 2
    title = Text("Gradients", left, y, HEADING_SIZE, "text", bold=True, align="left")
    note = Text(
        "‖∂L/∂·‖ on the way back:", left + title.width + 8, y, LABEL_SIZE, "muted", align="left"
    )
    width = title.width + 8 + note.width
    heading = Shape(
        "gradient-legend",
        "legend",
        "text",
        left + width / 2,
        y,
        width,
        _MARK_HEIGHT,
        texts=(title, note),
    )
    start = left + width + 18
    ramp = _ramp(overlay.ramp, start, y, back)
    x = start + RAMP_STEPS * _SWATCH + 34
    samples = Drawing()
    for name, sample in _samples(overlay, forward=forward):
        samples += _sample(name, sample, x, y, 1 if name == "forward" else back)
        x = samples.bounds.right + 24
    return Drawing((heading,)) + ramp + samples


def _ramp(ramp: Ramp, left: float, y: float, back: Direction) -> Drawing:
    shapes: list[Shape] = []
    edges: list[Edge] = []
    for step in range(RAMP_STEPS):
        color = f"ramp.{step}"
        x = left + (step + 0.5) * _SWATCH
        id = f"ramp-{step}"
        shapes.append(
            Shape(
                id, "ramp", "chip", x, y, _SWATCH, _MARK_HEIGHT, color, color, 0.5, tooltip="ramp"
            )
        )
        points = rounded([(x - back * _SAMPLE / 2, y - 17), (x + back * _SAMPLE / 2, y - 17)])
        edges.append(
            Edge(f"{id}-width", "ramp", id, id, points, color, ramp.width(step), tooltip="ramp")
        )
    for index, (share, label) in enumerate(ramp.ticks()):
        x = left + share * RAMP_STEPS * _SWATCH
        text = Text(label, x, y - 34, LABEL_SIZE - 1, "text")
        id = f"ramp-tick-{index}"
        shapes.append(
            Shape(
                id, "ramp", "text", x, y - 34, text.width, text.size, texts=(text,), tooltip=label
            )
        )
    return Drawing(tuple(shapes), tuple(edges))


def _samples(overlay: Overlay, *, forward: bool) -> Iterator[tuple[str, Look | None]]:
    """Name what the picture shows besides numbers, and say how it looks where it is an edge."""
    norms = list(overlay.norms)
    if forward:
        yield "forward", Look("muted", LANE_WIDTH, dashed=False)
    if any(norm == 0 for norm in norms):
        yield "exactly zero", look_of(0.0, overlay.ramp)
    if any(map(is_sick, norms)):
        yield "NaN or ∞", look_of(math.nan, overlay.ramp)
    if overlay.has_cuts:
        yield "✂ detached: no gradient passes", None


def _sample(name: str, look: Look | None, left: float, y: float, way: Direction) -> Drawing:
    """Return a short arrow, where there is a look for one, and what it means."""
    id = "sample-" + name.split()[0]
    start = left + (_SAMPLE + 8 if look else 0.0)
    text = Text(name, start, y, LABEL_SIZE, "muted", align="left")
    shape = Shape(
        id,
        "legend",
        "text",
        start + text.width / 2,
        y,
        text.width,
        text.size,
        texts=(text,),
        tooltip=name,
    )
    if not look:
        return Drawing((shape,))
    points = rounded([(left, y), (left + _SAMPLE, y)][::way])
    edge = Edge(
        f"{id}-edge",
        "legend",
        id,
        id,
        points,
        look.color,
        look.width,
        dashed=look.dashed,
        tooltip=name,
    )
    return Drawing((shape,), (edge,))
