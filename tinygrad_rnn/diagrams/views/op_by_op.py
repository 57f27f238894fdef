"""Graphs that are no copies of anything, an MLP or a formula: every op once, laid out by Graphviz's dot."""

from collections.abc import Sequence
from dataclasses import replace

from ...tracing.network.namer import parameter_names
from ...tracing.network.network import ParameterInfo
from ...tracing.recording.graph import Graph, Node
from ..inside.anatomy import Anatomy, Entry, Part
from ..inside.parts import OP_HEIGHT, TAP_SIZE, Ink, is_point, part_shapes, part_width
from ..picture.diagram import Drawing, Edge, Point, Shape, Text
from ..picture.dot_layout import arrange
from ..picture.notation import shape_text
from ..picture.text_metrics import fit, text_width

PARTS_MOST = 200  # of a larger graph the newest ops are drawn, and what came before is counted
_CIRCLE, _NAME_SIZE = 42.0, 14.0


def flat_drawing(graph: Graph) -> tuple[Drawing, list[ParameterInfo], str]:
    """Return the drawing of a graph, the parameters in it, and in words what it shows and leaves out.

    Raises:
        DrawError: Graphviz had no layout for it in time.
    """
    nodes = [node for node in graph.nodes if node.op is not None]
    names = parameter_names(graph.nodes)
    leaves = [node for node in graph.nodes if node.op is None and node.id not in names]
    entries = {
        leaf: Entry(f"leaf-{number}", state=False, place=0, number=number)
        for number, leaf in enumerate(leaves)
    }
    anatomy = Anatomy(nodes, names, entries)
    shown = anatomy.parts[-PARTS_MOST:]
    fills = {id: f"chip.{index}" for index, id in enumerate(names)}
    sketch = _Sketch(shown, leaves, graph, Ink("text", fills), len(anatomy.parts) - len(shown))
    used = {id for part in shown for id, _ in part.chips}
    by_id = {node.id: node for node in graph.nodes if node.id in used}
    parameters = [
        ParameterInfo(names[id], by_id[id].shape, by_id[id]) for id in names if id in used
    ]
    return sketch.drawing(), parameters, sketch.description


class _Sketch:
    """One box an op, one circle a leaf, and one for the result."""

    def __init__(
        self, parts: Sequence[Part], leaves: Sequence[Node], graph: Graph, ink: Ink, left_out: int
    ) -> None:
        self._parts = parts
        self._graph = graph
        self._ink = ink
        self._left_out = left_out
        self._shown = set(parts)
        reads = [(source, part, cut) for part in parts for source, cut in part.reads]
        used = {source.number for source, _, _ in reads if isinstance(source, Entry)}
        self._leaves = {number: leaf for number, leaf in enumerate(leaves) if number in used}
        self._ends = [(self._name(source), f"p{part.place}") for source, part, _ in reads]
        self._ends.append((f"p{parts[-1].place}", "out"))
        self._cuts = [*(cut for _, _, cut in reads), ""]

    @property
    def description(self) -> str:
        more = (
            f"; {self._left_out:,} earlier ops are left out of the picture"
            if self._left_out
            else ""
        )
        return f"A graph of {len(self._parts) + self._left_out:,} ops that is not recurrent{more}."

    def _name(self, source: Part | Entry) -> str:
        if isinstance(source, Entry):
            return f"x{source.number}"
        return f"p{source.place}" if source in self._shown else "more"

    def drawing(self) -> Drawing:
        sizes = {f"p{part.place}": self._size(part) for part in self._parts}
        sizes |= dict.fromkeys((f"x{number}" for number in self._leaves), (_CIRCLE, _CIRCLE))
        sizes["out"] = (_CIRCLE, _CIRCLE)
        if self._left_out:
            sizes["more"] = (text_width(self._more, _NAME_SIZE) + 24, OP_HEIGHT)
        labels = [
            (text_width(cut, TAP_SIZE) + 4, TAP_SIZE + 2) if cut else None for cut in self._cuts
        ]
        circles = {name for name in sizes if name[0] in "xo"}
        circles |= {f"p{part.place}" for part in self._parts if is_point(part)}
        found = arrange(sizes, self._ends, labels=labels, circles=circles)
        shapes = tuple(
            shape for name, at in found.nodes.items() for shape in self._shapes(name, at)
        )
        spots = zip(self._ends, found.edges, self._cuts, found.labels, strict=True)
        edges = tuple(self._edge(number, *spot) for number, spot in enumerate(spots))
        return Drawing(shapes, edges)

    @property
    def _more(self) -> str:
        return f"… {self._left_out:,} earlier ops"

    def _size(self, part: Part) -> tuple[float, float]:
        shape = next(part_shapes(part, 0.0, 0.0, self._ink))
        return part_width(part), shape.height

    def _shapes(self, name: str, at: Point) -> list[Shape]:
        if name == "out":
            root = self._graph.root
            kind, unnamed = ("loss", "L") if root.size == 1 else ("output", "y")
            label = self._graph.names.get(root.id) or unnamed
            return [_circle(kind, kind, label, at, root)]
        if name == "more":
            width = text_width(self._more, _NAME_SIZE) + 24
            text = Text(self._more, *at, _NAME_SIZE, "muted")
            return [
                Shape(
                    "more",
                    "fold",
                    "box",
                    *at,
                    width,
                    OP_HEIGHT,
                    "panel.fill",
                    "panel.border",
                    texts=(text,),
                )
            ]
        number = int(name[1:])
        if name[0] == "x":
            leaf = self._leaves[number]
            unnamed = f"{leaf.data.item():g}" if leaf.size == 1 else shape_text(leaf.shape)
            label = self._graph.names.get(leaf.id) or leaf.name or unnamed
            return [_circle(f"input-{number}", "input", label, at, leaf)]
        part = next(part for part in self._parts if part.place == number)
        shapes = part_shapes(part, *at, self._ink)
        return [replace(shape, id=shape.id.replace("/", "-")) for shape in shapes]

    def _edge(
        self,
        number: int,
        ends: tuple[str, str],
        points: tuple[Point, ...],
        cut: str,
        spot: Point | None,
    ) -> Edge:
        label = Text(cut, *spot, TAP_SIZE, "muted") if cut and spot else None
        source, target = (self._id(name) for name in ends)
        return Edge(f"wire-{number}", "wire", source, target, points, "text", 1.1, label=label)

    def _id(self, name: str) -> str:
        if name == "out":
            return "loss" if self._graph.root.size == 1 else "output"
        kind = {"p": "op", "x": "input"}.get(name[0])
        return f"{kind}-{name[1:]}" if kind and name != "more" else "more"


def _circle(id: str, kind: str, label: str, at: Point, node: Node) -> Shape:
    size = max(
        min(_NAME_SIZE, _NAME_SIZE * (_CIRCLE - 9) / max(text_width(label, _NAME_SIZE), 1)), 8.0
    )
    color = "loss.text" if kind == "loss" else "text"
    text = Text(fit(label, _CIRCLE - 9, size), *at, size, color)
    tooltip = f"{label} {shape_text(node.shape)}"
    return Shape(
        id,
        kind,
        "circle",
        *at,
        _CIRCLE,
        _CIRCLE,
        f"{kind}.fill",
        f"{kind}.border",
        texts=(text,),
        tooltip=tooltip,
    )
