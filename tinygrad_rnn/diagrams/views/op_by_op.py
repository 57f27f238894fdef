"""Graphs without copies, an MLP or a formula: every op once, laid out by Graphviz's dot."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ...tracing.network.parameters import parameter_names
from ...tracing.network.results import results_of
from ...tracing.recording.graph import Graph, Node
from ..grid.items import CIRCLE, circle_text
from ..inside.anatomy import Anatomy, Inlet, Part
from ..inside.parts import OP_HEIGHT, TAP_SIZE, Ink, is_point, part_shapes, part_width
from ..picture.dot_layout import arrange
from ..picture.notation import shape_text
from ..picture.shapes import Drawing, Edge, Point, Shape, Text
from ..picture.text_metrics import text_width
from .parameters import Entry

PARTS_MOST = 200  # of a larger graph the newest ops are drawn, and what came before is counted
_NAME_SIZE = 14.0


def flat_drawing(graph: Graph) -> tuple[Drawing, list[Entry], str]:
    """Return the drawing of a graph, the parameters in it, and what it shows in words.

    Raises:
        DrawError: Graphviz had no layout for it in time.
    """
    ends = results_of(graph.root)
    nodes = [node for node in graph.nodes if node.op is not None]
    names = parameter_names(graph.nodes)
    leaves = [node for node in graph.nodes if node.op is None and node.id not in names]
    inlets = {leaf: Inlet(state=False, number=number) for number, leaf in enumerate(leaves)}
    anatomy = Anatomy(nodes, names, inlets)
    parts = [part for part in anatomy.parts if part.node in ends or part.node is not graph.root]
    shown = parts[-PARTS_MOST:]
    fills = {id: f"chip.{index}" for index, id in enumerate(names)}
    drawing = _drawing(
        shown,
        [_Leaf(number, leaf, graph) for number, leaf in enumerate(leaves)],
        {
            _Result(number, node, graph): anatomy.values[node]
            for number, node in enumerate(ends)
            if node in anatomy.values  # it is no parameter
        },
        _Earlier(len(parts) - len(shown)),
        Ink("text", fills),
    )
    used = {chip.parameter for part in shown for chip in part.chips}
    parameters = [Entry(names[node.id], node.shape) for node in graph.nodes if node.id in used]
    return drawing, parameters, _description(len(parts), len(parts) - len(shown))


def _description(ops: int, left_out: int) -> str:
    more = f"; {left_out:,} earlier ops are left out of the picture" if left_out else ""
    return f"A graph of {ops:,} ops that is not recurrent{more}."


@dataclass(frozen=True, eq=False)
class _Op:
    """One op, in its box or circle."""

    part: Part
    ink: Ink

    @property
    def id(self) -> str:
        return f"op-{self.part.place}"

    @property
    def round(self) -> bool:
        return is_point(self.part)

    @property
    def size(self) -> tuple[float, float]:
        box = next(part_shapes(self.part, 0.0, 0.0, self.ink))
        return part_width(self.part), box.height

    def shapes(self, at: Point) -> Iterator[Shape]:
        for shape in part_shapes(self.part, *at, self.ink):
            yield replace(shape, id=shape.id.replace("/", "-"))


@dataclass(frozen=True, eq=False)
class _Leaf:
    """What an op reads that is neither made by an op nor a parameter: a circle."""

    number: int
    node: Node
    graph: Graph

    round = True
    size = (CIRCLE, CIRCLE)

    @property
    def id(self) -> str:
        return f"input-{self.number}"

    def shapes(self, at: Point) -> Iterator[Shape]:
        node = self.node
        label = self.graph.names.get(node.id) or node.name
        if not label:
            label = f"{node.data.item():g}" if node.size == 1 else shape_text(node.shape)
        yield _circle(self.id, "input", label, at, node)


@dataclass(frozen=True, eq=False)
class _Result:
    """What the graph computes, or one of several things: the loss if it is one number alone."""

    number: int
    node: Node
    graph: Graph

    round = True
    size = (CIRCLE, CIRCLE)

    @property
    def kind(self) -> str:
        return "loss" if self.node is self.graph.root and self.node.size == 1 else "output"

    @property
    def id(self) -> str:
        return self.kind if self.number == 0 else f"{self.kind}-{self.number}"

    def shapes(self, at: Point) -> Iterator[Shape]:
        label = self.graph.names.get(self.node.id)
        if not label:
            label = "L" if self.kind == "loss" else "y"
        yield _circle(self.id, self.kind, label, at, self.node)


@dataclass(frozen=True, eq=False)
class _Earlier:
    """The ops that are left out."""

    count: int

    id = "more"
    round = False

    @property
    def label(self) -> str:
        return f"… {self.count:,} earlier ops"

    @property
    def size(self) -> tuple[float, float]:
        return text_width(self.label, _NAME_SIZE) + 24, OP_HEIGHT

    def shapes(self, at: Point) -> Iterator[Shape]:
        text = Text(self.label, *at, _NAME_SIZE, "muted")
        yield Shape(
            self.id, "fold", "box", *at, *self.size, "panel.fill", "panel.border", texts=(text,)
        )


_Drawn = _Op | _Leaf | _Result | _Earlier


def _drawing(
    parts: Sequence[Part],
    leaves: Sequence[_Leaf],
    results: Mapping[_Result, tuple[Part | Inlet, str]],
    earlier: _Earlier,
    ink: Ink,
) -> Drawing:
    ops = {part: _Op(part, ink) for part in parts}
    reads: list[tuple[Part | Inlet, str, _Drawn]] = [
        (read.source, read.cut, ops[part]) for part in parts for read in part.reads
    ]
    reads += [(source, cut, result) for result, (source, cut) in results.items()]
    ends: list[tuple[_Drawn, _Drawn]] = []
    for source, _, target in reads:
        start = leaves[source.number] if isinstance(source, Inlet) else ops.get(source, earlier)
        ends.append((start, target))
    cuts = [cut for _, cut, _ in reads]
    read = {start for start, _ in ends}
    drawn: list[_Drawn] = [*ops.values(), *(leaf for leaf in leaves if leaf in read), *results]
    if earlier.count:
        drawn.append(earlier)
    return _arranged(drawn, ends, cuts)


def _arranged(
    drawn: Collection[_Drawn],
    ends: Sequence[tuple[_Drawn, _Drawn]],
    cuts: Sequence[str],
) -> Drawing:
    labels = [(text_width(cut, TAP_SIZE) + 4, TAP_SIZE + 2) if cut else None for cut in cuts]
    found = arrange(
        {one: one.size for one in drawn},
        ends,
        labels=labels,
        circles={one for one in drawn if one.round},
    )
    shapes = tuple(shape for one in drawn for shape in one.shapes(found.nodes[one]))
    edges: list[Edge] = []
    wires = zip(ends, found.edges, cuts, found.labels, strict=True)
    for number, ((source, target), points, cut, spot) in enumerate(wires):
        label = Text(cut, *spot, TAP_SIZE, "muted") if cut and spot else None
        edges.append(
            Edge(f"wire-{number}", "wire", source.id, target.id, points, "text", 1.1, label=label)
        )
    return Drawing(shapes, tuple(edges))


def _circle(id: str, kind: str, label: str, at: Point, node: Node) -> Shape:
    color = "loss.text" if kind == "loss" else "text"
    return Shape(
        id=id,
        cls=kind,
        form="circle",
        x=at[0],
        y=at[1],
        width=CIRCLE,
        height=CIRCLE,
        fill=f"{kind}.fill",
        line=f"{kind}.border",
        texts=(circle_text(label, *at, _NAME_SIZE, color),),
        tooltip=f"{label} {shape_text(node.shape)}",
    )
