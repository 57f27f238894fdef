"""What a lecturer would see at once in a drawing: what crosses, what covers, what is cut off."""

from collections import defaultdict
from itertools import combinations

import numpy as np
from diagrams.reading import overlapping

# What lies under a picture, or beside it as its legend, and is not drawn around.
_GROUND = {"column", "bracket", "strip", "mark", "ramp", "legend", "value", "fold", "gates"}
_NAMED = {"cell", "between", "bar", "sign", "op", "loss", "input", "output", "state", "head"}
_COLORS = {"message", "text"}
_BEND = 5.0  # of what is straight, at either end
_STEPS = 12  # points along a segment of a curve


def flaws(drawing):
    """All that is wrong with the geometry of a drawing, in words."""
    solids, opened = _solids(drawing)
    return [
        *_overlapping(solids),
        *_crossed(drawing, solids, opened),
        *_loose(drawing),
        *_texts_on_texts(drawing),
        *_clipped(drawing),
        *_outside(drawing),
    ]


def _box(shape):
    return shape.left, shape.bottom, shape.right, shape.top


def _solids(drawing):
    """What stands in its own place; an opened block is the ground of what is in it."""
    shapes = [s for s in drawing.shapes if s.form != "text" and s.cls not in _GROUND]
    ops = [s for s in shapes if s.cls == "op"]
    blocks = [s for s in shapes if s.cls not in ("op", "chip")]
    inside = overlapping([_box(s) for s in blocks], [_box(s) for s in ops])
    opened = {blocks[i].id for i, _ in inside}
    return [s for s in shapes if s.cls != "chip" and s.id not in opened], opened


def _overlapping(solids):
    boxes = [_box(shape) for shape in solids]
    for i, j in overlapping(boxes, boxes):
        if i < j:
            yield f"{solids[i].id} lies on {solids[j].id}"


def _points(edge):
    points = np.array(edge.points)
    t = np.linspace(0, 1, _STEPS + 1)[:, None]
    weights = np.hstack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3])
    return np.concatenate([weights @ points[k : k + 4] for k in range(0, len(points) - 1, 3)])


def _crossed(drawing, solids, opened):
    """Edges that pass through what is neither of their ends; through an end itself too deep."""
    edges = [edge for edge in drawing.edges if edge.cls not in _GROUND]
    if not edges:
        return
    points = [_points(edge) for edge in edges]
    owner = np.repeat(np.arange(len(edges)), [len(ones) for ones in points])
    x, y = np.concatenate(points).T
    blocks = [shape for shape in drawing.shapes if shape.id in opened]
    for shape in (*solids, *blocks):
        if shape.form == "circle":
            depth = shape.width / 2 - np.hypot(x - shape.x, y - shape.y)
        else:
            sides = x - shape.left, shape.right - x, y - shape.bottom, shape.top - y
            depth = np.minimum.reduce(sides)
        for number in dict.fromkeys(owner[depth > 1.0].tolist()):
            edge = edges[number]
            within = shape.id in opened and "wire" in edge.id
            deepest = depth[owner == number].max()
            # A wire of two lanes may touch the corner of an op that it passes.
            near = shape.id in (edge.source, edge.target) or "wire" in edge.id
            most = 4.0 if near else 1.0
            if not within and deepest > most:
                yield f"{edge.id} passes {deepest:.0f} points deep through {shape.id}"


def _loose(drawing):
    """Edges that begin or end where nothing stands.

    Ways back that share a stretch have it once, and wires in a copy branch off from each other.
    """
    boxes = {shape.id: _box(shape) for shape in drawing.shapes}
    if "fold" in boxes:  # a stack of sheets
        boxes["fold"] = *boxes["fold"][:2], *boxes["fold-sheet-2"][2:]
    for edge in drawing.edges:
        if edge.cls in {*_GROUND, "gradient"} or "wire" in edge.id:
            continue
        for end, (x, y) in ((edge.source, edge.points[0]), (edge.target, edge.points[-1])):
            if end not in boxes:
                continue
            left, bottom, right, top = boxes[end]
            away = max(left - x, x - right, bottom - y, y - top)
            if away > 1.0:
                yield f"{edge.id} is {away:.0f} points away from {end}"


def _texts(drawing):
    texts = [text for shape in drawing.shapes for text in shape.texts]
    texts += [text for edge in drawing.edges for text in (edge.label, edge.note) if text]
    return [text for text in texts if text.text]


def _texts_on_texts(drawing):
    texts = _texts(drawing)
    boxes = [
        (t.center - t.width / 2, t.y - t.size * 0.4, t.center + t.width / 2, t.y + t.size * 0.4)
        for t in texts
    ]
    for i, j in overlapping(boxes, boxes):
        if i < j:
            yield f"{texts[i].text!r} stands on {texts[j].text!r}"


def _clipped(drawing):
    for shape in drawing.shapes:
        if shape.cls.split("-")[-1] not in _NAMED:
            continue
        for text in shape.texts:
            within = shape.left < text.center < shape.right and shape.bottom < text.y < shape.top
            if within and text.width > shape.width:
                yield f"{text.text!r} is wider than {shape.id}"


def _outside(drawing):
    box = drawing.bounds
    for edge in drawing.edges:
        x, y = _points(edge).T
        far = (box.left - x.min(), x.max() - box.right, box.bottom - y.min(), y.max() - box.top)
        if max(far) > 1.0:
            yield f"{edge.id} leaves the picture"


def lying_on_each_other(drawing):
    """Ways of different sources that run on one line; those into the loss join, and a tree's.

    Of one source, what goes up beside it may not lie on what is handed on.
    """
    shapes = {shape.id: shape for shape in drawing.shapes}

    def is_beside(line, edge):
        source = shapes.get(edge.source)
        return line[0] == 0 and source and not source.left <= line[1] <= source.right

    on_line = defaultdict(list)
    for edge in drawing.edges:
        for line, low, high in _levels_and_uprights(edge):
            on_line[line].append((low, high, edge))
    return [
        f"{one.id} lies on {other.id}"
        for line, ways in on_line.items()
        for (low, high, one), (start, end, other) in combinations(ways, 2)
        if (
            one.source != other.source
            or ({one.color, other.color} == _COLORS and is_beside(line, one))
        )
        and min(high, end) - max(low, start) > 3
        and not (one.target == other.target and {one.cls, other.cls} <= {"message", "initial"})
        and "loss" not in (one.target, other.target)
    ]


def running_near(drawing, near=6.0):
    """Ways that have no end in common and run beside each other as if they were one."""
    ways = [(edge, *part) for edge in drawing.edges for part in _levels_and_uprights(edge)]
    return [
        f"{one.id} runs beside {other.id}"
        for (one, (axis, at), low, high), (other, (its, place), start, end) in combinations(ways, 2)
        if axis == its
        and abs(at - place) < near
        and min(high, end) - max(low, start) > 8
        and one.source != other.source
        and one.target != other.target
    ]


def grazing(drawing, near=8.0):
    """Ways that run along the very edge of what they pass, as if they were a part of it."""
    standing = [shape for shape in drawing.shapes if shape.cls in _NAMED]
    return [
        f"{edge.id} grazes {shape.id}"
        for edge in drawing.edges
        for (axis, at), low, high in _levels_and_uprights(edge)
        for shape in standing
        if shape.id not in (edge.source, edge.target)
        and max(_side(shape, axis, 0) - at, at - _side(shape, axis, 1)) < near
        and min(high, _side(shape, 1 - axis, 1)) - max(low, _side(shape, 1 - axis, 0)) > 8
    ]


def _side(shape, axis, end):
    """Where a shape begins (0) or ends (1) along an axis."""
    return _box(shape)[axis + 2 * end]


def crossing(drawing, *, messages=False):
    """Ways from different sources that cross, but for what is handed on from copy to copy."""
    levels, uprights = [], []
    for edge in drawing.edges:
        for (axis, at), low, high in _levels_and_uprights(edge):
            if messages or edge.color != "message":
                straight = at, low - _BEND, high + _BEND, edge
                (uprights if axis == 0 else levels).append(straight)
    return [
        f"{one.id} crosses {other.id}"
        for x, bottom, top, one in uprights
        for y, left, right, other in levels
        if one.source != other.source and left < x < right and bottom < y < top
    ]


def _levels_and_uprights(edge):
    """The straight parts of an edge: on which line, from where, to where."""
    for k in range(0, len(edge.points) - 1, 3):
        part = np.array(edge.points[k : k + 4])
        for axis in (0, 1):
            if np.ptp(part[:, axis]) < 0.5:
                low, high = np.sort(part[[0, 3], 1 - axis])
                yield (axis, round(part[0, axis])), low, high
