"""The compiled view: what a compiled function calls, once for each kind of call."""

from collections.abc import Iterator
from dataclasses import dataclass

from ...errors import DrawError
from ...outline import Outline, Stage
from ..picture.diagram import Diagram
from ..picture.dot_layout import arrange
from ..picture.notation import id_of
from ..picture.shapes import Drawing, Edge, Point, Shape, Text
from ..picture.text_metrics import text_width
from ..picture.theme import THEMES
from .options import Options
from .parameters import CHIP_HEIGHT

_NAME_SIZE, _NOTE_SIZE, _LINE, _PAD = 14.0, 11.0, 16.0, 18.0


def draw_compiled(outline: Outline, options: Options, title: str | None) -> Diagram:
    """Return the picture of what is called, from what is read, below, to the results, above.

    Raises:
        DrawError: Graphviz had no layout for it in time.
    """
    return Diagram(
        drawing(outline, options),
        THEMES[options.theme],
        title or "Compiled",
        _description(outline),
        _no_player,
    )


def _description(outline: Outline) -> str:
    calls = sum(stage.calls for stage in outline.stages)
    at_once = sum(stage.at_once > 1 for stage in outline.stages)
    in_order = [stage.calls for stage in outline.stages if stage.calls > 1]
    return (
        f"{calls:,} calls of {len(outline.stages)} kinds: {at_once} kinds compute many values "
        f"at once, {len(in_order)} are called one after the other, "
        f"up to {max(in_order, default=1):,} times."
    )


def _no_player() -> str:
    raise DrawError(
        "the HTML player steps through copies, and a compiled function has none: "
        "draw what it compiles"
    )


@dataclass(frozen=True, eq=False)
class _Box:
    """A stage, a source or a result, as it is drawn."""

    id: str
    cls: str
    lines: tuple[str, ...]
    fill: str
    line: str
    tooltip: str

    @property
    def _texts(self) -> Iterator[tuple[str, float]]:
        return zip(self.lines, (_NAME_SIZE, _NOTE_SIZE), strict=False)

    @property
    def size(self) -> tuple[float, float]:
        width = max(text_width(line, size) for line, size in self._texts)
        return width + _PAD, max(CHIP_HEIGHT, _LINE * len(self.lines) + 8)

    def shape(self, at: Point) -> Shape:
        x, y = at
        width, height = self.size
        parameter = self.cls == "parameter"
        color = "chip.text" if parameter else "text"
        top = y + _LINE * (len(self.lines) - 1) / 2
        return Shape(
            id=self.id,
            cls=self.cls,
            form="chip" if parameter else "box",
            x=x,
            y=y,
            width=width,
            height=height,
            fill=self.fill,
            line=self.line,
            texts=tuple(
                Text(line, x, top - _LINE * place, size, color)
                for place, (line, size) in enumerate(self._texts)
            ),
            tooltip=self.tooltip,
        )


def drawing(outline: Outline, options: Options) -> Drawing:
    """Draw the kinds of calls: one box a stage, one chip a source, one box a result."""
    stages = {stage.id: _stage_box(stage) for stage in outline.stages}
    makers = {**_source_boxes(outline), **stages}
    results: list[_Box] = []
    ends = [(makers[id], stages[stage.id]) for stage in outline.stages for id in stage.reads]
    for number, (name, ids) in enumerate(outline.results):
        id = f"result-{number}"
        results.append(_Box(id, "output", (name,), "output.fill", "output.border", name))
        ends += [(makers[id], results[-1]) for id in ids]
    read = {source for source, _ in ends}
    sources = [box for id, box in makers.items() if id not in stages and box in read]
    boxes = [*sources, *stages.values(), *results]
    found = arrange({box: box.size for box in boxes}, ends)
    order = {box: place for place, box in enumerate(stages.values())}
    edges: list[Edge] = []
    for number, ((source, target), points) in enumerate(zip(ends, found.edges, strict=True)):
        cls, color, width = "wire", "text", 1.1
        if source in order and target in order and order[source] >= order[target]:
            cls, color, width = "carried", "message", 2.0
        edges.append(Edge(f"wire-{number}", cls, source.id, target.id, points, color, width))
    return Drawing(tuple(box.shape(found.nodes[box]) for box in boxes), tuple(edges))


def _stage_box(stage: Stage) -> _Box:
    paint = "state"
    if stage.at_once > 1:
        paint = "cell.0"
    elif stage.calls > 1:
        paint = "cell.1"
    lines = tuple(line for line in (str(stage), stage.manner) if line)
    tooltip = f"{stage}: {stage.manner or 'once'}"
    return _Box(stage.id, "op", lines, f"{paint}.fill", f"{paint}.border", tooltip)


def _source_boxes(outline: Outline) -> dict[str, _Box]:
    boxes: dict[str, _Box] = {}
    parameters = 0
    for source in outline.sources:
        id, cls, fill, line = source.id, "input", "input.fill", "input.border"
        if source.is_parameter:
            id, cls, fill, line = (
                id_of("parameter", source.name),
                "parameter",
                f"chip.{parameters}",
                "muted",
            )
            parameters += 1
        lines = (f"{source.name} {source.shape}",)
        boxes[source.id] = _Box(id, cls, lines, fill, line, source.name)
    return boxes
