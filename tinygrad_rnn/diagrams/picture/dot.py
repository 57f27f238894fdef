"""Writes a drawing in Graphviz's language, with every position pinned.

A shape becomes a node of fixed size followed by one node without outline for each of its texts, so
that where text stands is ours to say and never depends on Graphviz's idea of its size.
"""

import math
from collections.abc import Mapping, Sequence

import graphviz

from ...text import for_dot
from .shapes import MARGIN, Bounds, Drawing, Edge, Point, Shape, Text
from .text_metrics import FONT
from .theme import Palette

PART = "part"  # the class of the nodes that carry a shape's texts
_CANVAS = "canvas"
_STRING_MOST = 8000  # characters: at twice as many Graphviz gives up
_ARROW = 10.0  # Graphviz's length of an arrowhead of size 1
_FORMS = {"box": "box", "chip": "box", "circle": "circle", "text": "none"}
_STYLES = {"box": "filled,rounded", "chip": "filled", "circle": "filled", "text": "filled"}
_JUSTIFY = {"center": "", "left": r"\l", "right": r"\r"}


def to_dot(drawing: Drawing, theme: Palette, zoom: float) -> str:
    """Return a digraph for `neato -n2` (pygraphviz's "nop2"): shapes in order, then edges."""
    box = drawing.bounds
    graph = graphviz.Digraph(
        graph_attr={
            "bgcolor": theme.color("background"),
            "fontname": FONT,
            "label": "",
            "outputorder": "nodesfirst",
            "pad": "0",
            "viewport": _viewport(box, zoom),
        },
        # The first picture of a process would lack the labels that nothing sets (Graphviz 14).
        node_attr={"label": "", "fixedsize": "true", "margin": "0", "fontname": FONT},
        edge_attr={"label": "", "fontname": FONT},
    )
    _write_canvas(graph, box)
    for shape in drawing.shapes:
        _write_shape(graph, shape, theme)
    for edge in drawing.edges:
        _write_edge(graph, edge, theme)
    return graph.source


def _viewport(box: Bounds, zoom: float) -> str:
    """Return the picture's size, centred on the canvas: texts may reach beyond its edge."""
    width, height = ((length + 2 * MARGIN) * zoom for length in (box.width, box.height))
    return f"{_number(width)},{_number(height)},{zoom:.6g},'{_CANVAS}'"


def _write_canvas(graph: graphviz.Digraph, box: Bounds) -> None:
    attributes = {
        "pos": _position(((box.left + box.right) / 2, (box.bottom + box.top) / 2)),
        "style": "invis",
        "width": _inches(box.width + 2 * MARGIN),
        "height": _inches(box.height + 2 * MARGIN),
    }
    _write_node(graph, _CANVAS, "", attributes)


def _write_shape(graph: graphviz.Digraph, shape: Shape, theme: Palette) -> None:
    attributes = {
        "class": shape.cls,
        "id": shape.id,
        "pos": _position((shape.x, shape.y)),
        "shape": _FORMS[shape.form],
        "width": _inches(shape.width),
        "height": _inches(shape.height),
    }
    if shape.form != "text":
        attributes |= {
            "style": _STYLES[shape.form] + ",dashed" * shape.dashed,
            "fillcolor": theme.color(shape.fill),
            "color": theme.color(shape.line),
            "penwidth": _number(shape.line_width),
        }
    _write_node(graph, shape.id, "", attributes)
    for index, text in enumerate(shape.texts):
        if text.text:
            _write_text(graph, f"{shape.id}/{index}", text, theme)


def _write_text(graph: graphviz.Digraph, name: str, text: Text, theme: Palette) -> None:
    # Ample, so that where the text is aligned to does not depend on Graphviz's measure of it.
    width = 1.2 * text.width + 8
    shift = {"center": 0.0, "left": width / 2, "right": -width / 2}[text.align]
    attributes = {
        "class": PART,
        "fixedsize": "shape",  # no warning where Graphviz takes the text to be larger
        "pos": _position((text.x + shift, text.y)),
        "shape": "none",
        "width": _inches(width),
        "height": _inches(text.size),
        "fontsize": _number(text.size),
        "fontcolor": theme.color(text.color),
    }
    if text.bold:
        attributes["fontname"] = f"{FONT} Bold"
    _write_node(graph, name, for_dot(text.text) + _JUSTIFY[text.align], attributes)


def _write_edge(graph: graphviz.Digraph, edge: Edge, theme: Palette) -> None:
    arrow_size = _arrow_size(edge.width)
    line = " ".join(map(_position, edge.points))
    attributes = {
        "class": edge.cls,
        "id": edge.id,
        "pos": _in_pieces(_with_head(edge.points, arrow_size * _ARROW) if edge.arrow else line),
        "arrowsize": _number(arrow_size),
        "color": theme.color(edge.color),
        "penwidth": _number(edge.width),
    }
    if not edge.arrow:
        attributes["dir"] = "none"
    if edge.dashed:
        attributes["style"] = "dashed"
    if edge.label:
        attributes |= {
            "label": for_dot(edge.label.text),
            "lp": _position((edge.label.x, edge.label.y)),
            "fontsize": _number(edge.label.size),
            "fontcolor": theme.color(edge.label.color),
        }
        if edge.label.bold:
            attributes["fontname"] = f"{FONT} Bold"
    if edge.note:
        attributes |= {
            "taillabel": for_dot(edge.note.text),
            "tail_lp": _position((edge.note.x, edge.note.y)),
            "labelfontsize": _number(edge.note.size),
            "labelfontcolor": theme.color(edge.note.color),
        }
    graph.body.append(f'\t"{edge.source}" -> "{edge.target}" [{_written(attributes)}]\n')
    for passage in edge.passages:
        # not drawn: for programs that read what is joined with what
        attributes = {"id": passage.id, "style": "invis"}
        if passage.cls:
            attributes["class"] = passage.cls
        graph.body.append(f'\t"{passage.source}" -> "{passage.target}" [{_written(attributes)}]\n')


def _write_node(
    graph: graphviz.Digraph, name: str, label: str, attributes: Mapping[str, str]
) -> None:
    graph.body.append(f'\t"{name}" [label="{label}" {_written(attributes)}]\n')


def _written(attributes: Mapping[str, str]) -> str:
    """Return attributes as DOT has them.

    Ids and numbers are ours, and what others wrote has been through `for_dot`: the quoting of the
    graphviz package would take most of the time of a large picture.
    """
    return " ".join(f'{name}="{value}"' for name, value in attributes.items())


def _arrow_size(width: float) -> float:
    """Return the size of an arrowhead that is seen at the end of an edge as wide as this."""
    if width <= 2:
        return 0.8
    return 1.0 if width <= 3 else 1.3


def _with_head(points: Sequence[Point], arrow: float) -> str:
    """Return the edge's curve, ended where its arrowhead begins, and the arrow's tip."""
    *before, control, tip = points
    length = math.dist(control, tip)
    dx, dy = ((tip[0] - control[0]) / length * arrow, (tip[1] - control[1]) / length * arrow)
    shortened = [*before, (control[0] - dx, control[1] - dy), (tip[0] - dx, tip[1] - dy)]
    return " ".join([f"e,{_position(tip)}", *map(_position, shortened)])


def _in_pieces(positions: str) -> str:
    """Return a long list of positions as several strings that DOT joins: it reads none so long."""
    if len(positions) <= _STRING_MOST:
        return positions
    words, pieces, length = positions.split(" "), [""], 0
    for word in words:
        if length + len(word) >= _STRING_MOST:
            pieces.append("")
            length = 0
        pieces[-1] += f"{word} "
        length += len(word) + 1
    return '" + "'.join(pieces).rstrip()


def _position(point: Point) -> str:
    return f"{_number(point[0])},{_number(point[1])}"


def _inches(points: float) -> str:
    return f"{points / 72:.4f}"


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 10 else f"{value:.2f}"
