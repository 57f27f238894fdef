"""Graphs without copies, an MLP, a formula, a transformer: laid out by Graphviz's dot."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ...tracing.network.parameters import parameter_names
from ...tracing.network.results import results_of
from ...tracing.recording.graph import Graph, Node
from ..grid.grid import FOLD, Fold
from ..grid.items import CIRCLE, circle_text
from ..inside.anatomy import Inlet, Part
from ..inside.parts import OP_HEIGHT, TAP_SIZE, Ink, is_point, part_shapes, part_width
from ..picture.dot_layout import arrange
from ..picture.notation import shape_text
from ..picture.shapes import Drawing, Edge, Point, Shape, Text
from ..picture.text_metrics import fit_middle, text_width
from .module_graph import ModuleGraph, module_graph
from .parameters import Entry, Legend
from .ways_back import Wire, ways_back

PARTS_MOST = 200  # of a larger graph the newest ops are drawn, and what came before is counted
_NAME_SIZE, _KIND_MOST = 14.0, 160.0


class Flat(NamedTuple):
    """The drawing of a graph, the parameters in it, and what it shows in words."""

    drawing: Drawing
    legend: Legend
    description: str
    closed: int  # calls of modules that are drawn as one part
    left_out: int  # parts that are not drawn: the first of too many


def flat_drawing(
    graph: Graph,
    depth: int | None,
    fold: Fold,
    *,
    back: bool = False,
    scale: tuple[int, int] | None = None,
) -> Flat:
    """Return the drawing of a graph.

    Args:
        graph: a graph.
        depth: how many levels of modules are open; None: as many as can be read, 0: all.
        fold: how chains of modules of one kind are folded.
        back: draw the way of the gradient, in the colours of its norms, not what goes forward.
        scale: the powers of ten that these lie between; None: those of this picture.

    Raises:
        DrawError: Graphviz had no layout for it in time.
    """
    ends = results_of(graph.root)
    nodes = [node for node in graph.nodes if node.op is not None]
    if graph.root not in ends:
        nodes.remove(graph.root)
    names = parameter_names(graph.nodes, graph.owners)
    leaves = [node for node in graph.nodes if node.op is None and node.id not in names]
    inlets = {leaf: Inlet(state=False, number=number) for number, leaf in enumerate(leaves)}
    found = module_graph(nodes, names, inlets, depth=depth, fold=fold)
    shown = found.shown[-PARTS_MOST:]
    left_out = len(found.shown) - len(shown)
    used = {chip.parameter for part in shown for chip in part.chips}
    parameters = [node for node in graph.nodes if node.id in used]
    fills = {node.id: f"chip.{index}" for index, node in enumerate(parameters)}
    values = found.anatomy.values
    drawing, wires = _drawing(
        shown,
        [_Leaf(number, leaf, graph) for number, leaf in enumerate(leaves)],
        {
            _Result(number, node, graph): values[node]
            for number, node in enumerate(ends)
            if node in values  # it is no parameter
        },
        found.folds,
        left_out,
        Ink("text", fills),
    )
    entries = [Entry(names[node.id], node.shape) for node in parameters]
    description = _description(found, left_out)
    if back:
        ways = ways_back(found.anatomy, wires, graph.gradients, scale)
        drawing = ways.on(drawing)
        description += " The arrows are the way of the gradient."
    return Flat(drawing, _legend(entries, len(names)), description, found.closed, left_out)


def _legend(entries: Sequence[Entry], parameters: int) -> Legend:
    """Return the legend of what is drawn, which says how many more there are."""
    if parameters == len(entries):
        return Legend(entries)
    return Legend(entries, f"The {len(entries)} of {parameters} that are not closed or left out")


def _description(graph: ModuleGraph, left_out: int) -> str:
    folded = sum(map(len, graph.folds))
    text = f"A graph of {graph.ops:,} ops that is not recurrent"
    if graph.closed:
        text += f", with {graph.closed:,} closed calls of modules"
    if folded:
        text += f"; {folded:,} of them, in the middle of chains of one kind, are folded"
    if left_out:
        text += f"; {left_out:,} earlier ops are left out of the picture"
    return f"{text}."


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
        label = self.graph.names.get(node.id) or node.spelled or node.name
        yield _circle(self.id, "input", label or _held(node), at, node)


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
class _Fold:
    """A box that stands for some that are not drawn, and says how many."""

    id: str
    label: str

    round = False

    @property
    def size(self) -> tuple[float, float]:
        return text_width(self.label, _NAME_SIZE) + 24, OP_HEIGHT

    def shapes(self, at: Point) -> Iterator[Shape]:
        text = Text(self.label, *at, _NAME_SIZE, "muted")
        box = (*at, *self.size, "panel.fill", "panel.border")
        yield Shape(self.id, "fold", "box", *box, texts=(text,))


def _chain_fold(number: int, run: Sequence[Part]) -> _Fold:
    """Modules in the middle of a chain of one kind."""
    kind = fit_middle(run[0].note or run[0].sign, _KIND_MOST, _NAME_SIZE)
    return _Fold(f"{FOLD}-{number}" if number else FOLD, f"… {len(run):,} more {kind}")


_Drawn = _Op | _Leaf | _Result | _Fold


def _drawing(
    parts: Sequence[Part],
    leaves: Sequence[_Leaf],
    results: Mapping[_Result, tuple[Part | Inlet, str]],
    chains: Sequence[Sequence[Part]],
    left_out: int,
    ink: Ink,
) -> tuple[Drawing, list[Wire]]:
    """Return the drawing, and what each of its wires stands for."""
    shown: dict[Part, _Drawn] = {part: _Op(part, ink) for part in parts}
    folds = [_chain_fold(number, run) for number, run in enumerate(chains)]
    earlier = _Fold("more", f"… {left_out:,} earlier ops")
    pairs = list(zip(folds, chains, strict=True))
    shown |= {part: fold for fold, run in pairs for part in run}
    reads: list[tuple[Wire, _Drawn]] = [
        (Wire(read.source, read.cut, (part,)), shown[part]) for part in parts for read in part.reads
    ]
    for fold, run in pairs:
        entering = {read.source: read.cut for part in run for read in part.reads}
        reads += [
            (Wire(one, cut, tuple(run)), fold) for one, cut in entering.items() if one not in run
        ]
    reads += [
        (Wire(source, cut, (), result.node), result) for result, (source, cut) in results.items()
    ]
    ends: list[tuple[_Drawn, _Drawn]] = []
    for (source, *_), target in reads:
        start = leaves[source.number] if isinstance(source, Inlet) else shown.get(source, earlier)
        ends.append((start, target))
    wires = [wire for wire, _ in reads]
    cuts = [wire.cut for wire in wires]
    read = {start for start, _ in ends}
    inputs = [leaf for leaf in leaves if leaf in read]
    drawn: list[_Drawn] = [*(shown[part] for part in parts), *folds, *inputs, *results]
    if left_out:
        drawn.append(earlier)
    return _arranged(drawn, ends, cuts), wires


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


def _held(node: Node) -> str:
    """What an array without a name is: a number, 0 … 3, or what shape it has."""
    if node.is_gone:
        return shape_text(node.shape)
    if node.size == 1:
        return f"{node.data.item():g}"
    is_count = len(node.shape) == 1 and np.array_equal(node.data, np.arange(node.size))
    return f"0 … {node.size - 1}" if is_count else shape_text(node.shape)


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
