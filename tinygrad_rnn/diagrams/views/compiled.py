"""The compiled view: what a compiled function calls, once for each kind of call."""

from collections.abc import Sequence
from dataclasses import replace

from ...errors import DrawError
from ...outline import Outline, Source, Stage
from ..picture.diagram import Diagram
from ..picture.dot_layout import arrange
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


def drawing(outline: Outline, options: Options) -> Drawing:
    """Draw the kinds of calls."""
    return _Sketch(outline).drawing()


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


class _Sketch:
    """One box a stage, one chip a source, one box a result."""

    def __init__(self, outline: Outline) -> None:
        self._stages = {stage.id: stage for stage in outline.stages}
        self._places = {id: place for place, id in enumerate(self._stages)}
        read = {id for stage in outline.stages for id in stage.reads} | {
            id for _, ids in outline.results for id in ids
        }
        self._sources = {source.id: source for source in outline.sources if source.id in read}
        parameters = [source.id for source in outline.sources if source.is_parameter]
        self._fills = {id: f"chip.{number}" for number, id in enumerate(parameters)}
        self._results = {
            f"result-{number}": name for number, (name, _) in enumerate(outline.results)
        }
        self._ends = [(id, stage.id) for stage in outline.stages for id in stage.reads]
        makers = zip(self._results, outline.results, strict=True)
        self._ends += [(id, result) for result, (_, ids) in makers for id in ids]

    def drawing(self) -> Drawing:
        names = [*self._sources, *self._stages, *self._results]
        plain = {name: f"n{number}" for number, name in enumerate(names)}
        sizes = {plain[name]: self._size(name) for name in names}
        found = arrange(sizes, [(plain[source], plain[target]) for source, target in self._ends])
        shapes = tuple(self._shape(name, found.nodes[plain[name]]) for name in names)
        ids = {name: shape.id for name, shape in zip(names, shapes, strict=True)}
        wires = zip(self._ends, found.edges, strict=True)
        return Drawing(
            shapes, tuple(self._edge(number, *wire, ids) for number, wire in enumerate(wires))
        )

    def _texts(self, name: str) -> list[str]:
        if name in self._stages:
            stage = self._stages[name]
            return [line for line in (str(stage), stage.manner) if line]
        if name in self._sources:
            return [f"{self._sources[name].name} {self._sources[name].shape}"]
        return [self._results[name]]

    def _size(self, name: str) -> tuple[float, float]:
        lines = self._texts(name)
        width = max(
            text_width(line, size)
            for line, size in zip(lines, (_NAME_SIZE, _NOTE_SIZE), strict=False)
        )
        return width + _PAD, max(CHIP_HEIGHT, _LINE * len(lines) + 8)

    def _shape(self, name: str, at: Point) -> Shape:
        if name in self._stages:
            return self._stage(self._stages[name], at)
        if name in self._sources:
            return self._source(self._sources[name], at)
        return self._box(name, "output", name, "output", at, self._results[name])

    def _stage(self, stage: Stage, at: Point) -> Shape:
        paint = "state"
        if stage.at_once > 1:
            paint = "cell.0"
        elif stage.calls > 1:
            paint = "cell.1"
        tooltip = f"{stage}: {stage.manner or 'once'}"
        return self._box(stage.id, "op", stage.id, paint, at, tooltip)

    def _source(self, source: Source, at: Point) -> Shape:
        if not source.is_parameter:
            return self._box(source.id, "input", source.id, "input", at, source.name)
        id = f"parameter-{source.name}"
        shape = self._box(source.id, "parameter", id, "", at, source.name)
        return replace(shape, fill=self._fills[source.id], line="muted")

    def _box(self, name: str, cls: str, id: str, paint: str, at: Point, tooltip: str) -> Shape:
        """A box with its lines of text; `paint` is the role of its fill and border without its last word."""
        lines, (width, height) = self._texts(name), self._size(name)
        color = "chip.text" if cls == "parameter" else "text"
        top = at[1] + _LINE * (len(lines) - 1) / 2
        texts = tuple(
            Text(line, at[0], top - _LINE * row, size, color)
            for row, (line, size) in enumerate(zip(lines, (_NAME_SIZE, _NOTE_SIZE), strict=False))
        )
        form = "chip" if cls == "parameter" else "box"
        fill, line = f"{paint}.fill", f"{paint}.border"
        return Shape(id, cls, form, *at, width, height, fill, line, texts=texts, tooltip=tooltip)

    def _edge(
        self, number: int, ends: tuple[str, str], points: Sequence[Point], ids: dict[str, str]
    ) -> Edge:
        source, target = ends
        places = self._places
        carried = source in places and target in places and places[source] >= places[target]
        look = ("carried", "message", 2.0) if carried else ("wire", "text", 1.1)
        cls, color, width = look
        return Edge(f"wire-{number}", cls, ids[source], ids[target], tuple(points), color, width)
