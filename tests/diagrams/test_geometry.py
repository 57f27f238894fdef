"""What a lecturer checks: nothing overlaps or is cut off, and columns are straight."""

import random
from itertools import pairwise

import numpy as np
import pytest
from diagrams.flaws import flaws
from diagrams.networks import Maker, bidirectional, draw, encoder_decoder, lstm, stack
from diagrams.reading import Picture, overlapping, overlapping_parts
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import examples

import tinygrad_rnn as tg

SOLID = (
    "cell",
    "input",
    "output",
    "state",
    "loss",
    "parameter",
    "rolled-cell",
    "rolled-input",
    "rolled-output",
)


@st.composite
def networks(draw):
    steps = draw(st.integers(1, 30))
    match draw(st.sampled_from(["stack", "lstm", "bidirectional", "encoder", "tangle"])):
        case "bidirectional":
            return bidirectional(steps)
        case "encoder":
            return encoder_decoder("a" * steps, "b" * draw(st.integers(1, 5)), draw(st.booleans()))
        case "tangle":
            return tangle(
                draw(st.integers(2, 6)),
                draw(st.integers(1, 4)),
                draw(st.randoms(use_true_random=False)),
            )
        case kind:
            caption = draw(st.none() | st.text(min_size=1, max_size=12))
            return (stack if kind == "stack" else lstm)(
                steps,
                draw(st.integers(1, 4)),
                captions=caption and ([caption] * steps,) * 2,
                loss=draw(st.sampled_from([None, "each", "last"])),
                inputs=draw(st.integers(1, 4)),
            )


def tangle(steps, layers, rng: random.Random):
    """Rows joined in every way a finder could find: skips, links back, links across columns."""
    maker = Maker()
    rows = []
    for layer in range(layers):
        maker.row(reverse=rng.random() < 0.3)
        columns = range(steps)[:: -1 if maker.rows[layer].reverse else 1]
        rows.append(
            sorted(maker.chain(layer, columns, rng.random() < 0.7), key=lambda cell: cell.column)
        )
    inputs = [maker.input(t, t) for t in range(steps)]
    outputs = [maker.output(t, t) for t in range(steps)]
    cells = [cell for row in rows for cell in row]
    for t in range(steps):
        for row in rows:
            if rng.random() < 0.5:
                maker.link("input", inputs[t], row[t])
            if rng.random() < 0.5:
                maker.link("output", row[t], outputs[t])
    seen = set()
    for _ in range(rng.randrange(8)):
        source, target = rng.sample(cells, 2)
        if (source, target) not in seen:
            seen.add((source, target))
            maker.link(rng.choice(["other", "up"]), source, target)
    maker.loss(*rng.sample(outputs, rng.randint(1, steps)))
    return maker.network()


views = st.sampled_from(["unrolled", "rolled", "both"])
folds = st.sampled_from(["auto", None]) | st.integers(1, 8)


@settings(max_examples=examples(30), deadline=None)
@given(networks(), views, folds)
def test_nothing_overlaps_and_nothing_is_crossed(network, view, fold):
    check_shapes_and_edges(draw(network, view=view, fold=fold))


def check_shapes_and_edges(diagram):
    drawn = Picture(diagram.svg)
    solids = drawn.all(*SOLID)
    assert overlapping_parts(solids) == []
    ends = {edge.id: {edge.source, edge.target} for edge in diagram.drawing.edges}
    boxes = [part for part in solids if "parameter" not in part.classes]
    edges = drawn.all("edge")
    for i, j in overlapping([box.box for box in boxes], [edge.box for edge in edges]):
        box, edge = boxes[i], edges[j]
        margin = -1 if box.id in ends[edge.id] else 1
        assert not any(box.covers(point, margin) for point in edge.points), (edge.id, box.id)
    width, height = drawn.size
    move = (
        drawn.root.find("{http://www.w3.org/2000/svg}g").get("transform").partition("translate(")[2]
    )
    dx, dy = map(float, move.rstrip(")").split())
    for part in drawn.parts:
        for x, y in part.points:
            assert 0 <= x + dx <= width, part.id
            assert 0 <= y + dy <= height, part.id


@settings(max_examples=examples(60), deadline=None)
@given(networks(), views, folds)
def test_no_text_overlaps_another_or_is_cut_off(network, view, fold):
    check_texts(draw(network, view=view, fold=fold).drawing)


def check_texts(drawing):
    texts = [text for shape in drawing.shapes for text in shape.texts]
    texts += [text for edge in drawing.edges for text in (edge.label, edge.note) if text]
    boxes = [
        (t.center - t.width / 2, t.y - t.size * 0.4, t.center + t.width / 2, t.y + t.size * 0.4)
        for t in texts
    ]
    pairs = [(i, j) for i, j in overlapping(boxes, boxes) if i < j]
    assert [(texts[i].text, texts[j].text) for i, j in pairs] == []
    box = drawing.bounds
    assert all(box.left <= left and right <= box.right for left, _, right, _ in boxes)
    for shape in drawing.shapes:
        if shape.cls in ("cell", "input", "output", "loss"):
            inside = [text for text in shape.texts if abs(text.y - shape.y) < shape.height / 2]
            assert all(label.width <= shape.width for label in inside[:1])


@given(st.integers(1, 30), st.integers(1, 4))
@settings(max_examples=examples(10), deadline=None)
def test_columns_are_straight_and_evenly_spaced(steps, layers):
    drawing = draw(stack(steps, layers), fold=None).drawing
    cells = {shape.id: shape for shape in drawing.shapes if shape.cls == "cell"}
    for t in range(steps):
        assert len({cells[f"cell-{layer}-{t}"].x for layer in range(layers)}) == 1
    for layer in range(layers):
        row = [cells[f"cell-{layer}-{t}"] for t in range(steps)]
        assert len({cell.y for cell in row}) == 1
        assert len({round(b.x - a.x, 6) for a, b in pairwise(row)}) <= 1


def test_what_goes_around_a_copy_into_a_bar_stays_in_its_column():
    one, two = tg.nn.GRU(3, 3, rng=0), tg.nn.GRU(3, 3, rng=1)
    lower, _ = one(np.ones((4, 3)))
    pooled = (two(lower)[0] + lower).mean(axis=0)
    drawing = tg.draw((tg.nn.Linear(3, 2, rng=2)(pooled) ** 2).sum()).drawing
    x = {shape.id: shape.x for shape in drawing.shapes}
    pitch = x["cell-0-1"] - x["cell-0-0"]
    into = [edge for edge in drawing.edges if edge.target == "bar-0" and edge.cls != "ramp"]
    assert len(into) == 8
    for edge in into:
        assert all(abs(px - x[edge.source]) < pitch / 2 for px, _ in edge.points)


def test_a_column_that_holds_little_is_no_wider_than_it_has_to_be():
    """What stands in the first column alone does not make all others as wide."""
    cell = tg.nn.RNNCell(3, 3, rng=0)
    parts = [tg.nn.Linear(3, 3, rng=k) for k in range(3)]
    with tg.trace() as tr:
        given = [tg.ops.tanh(part(np.ones(3) * k)) for k, part in enumerate(parts)]
        h = None
        for _ in range(3):
            h = cell(given[0] * given[1] + given[2], h)
        h.sum().backward()
    drawing = tg.draw(tr).drawing
    widths = [shape.width for shape in drawing.shapes if shape.cls == "column"]
    assert widths[1] == widths[2]
    assert widths[1] < 0.6 * widths[0]
    check_texts(drawing)


def test_inputs_are_as_far_apart_as_their_own_names_need():
    """A long name beside short ones moves these no farther from each other."""
    maker = Maker()
    maker.row()
    for t, cell in enumerate(maker.chain(0, range(3))):
        for place, label in enumerate(("x", "y", "floor(turns)")):
            maker.link("input", maker.input(3 * t + place, t, label=label), cell)
    drawing = draw(maker.network()).drawing
    shapes = {shape.id: shape for shape in drawing.shapes}
    for t in range(3):
        x, y, name = (shapes[f"input-{3 * t + place}"] for place in range(3))
        assert abs((y.left - x.right) - (name.left - y.right)) < 0.5
        assert abs(x.left + name.right - 2 * shapes[f"column-{t}"].x) < 0.5


def test_there_is_room_for_lanes_only_where_some_are():
    """On the side of a column, and in the stretch of time, that something goes around in."""
    maker = Maker()
    maker.row()
    maker.row("GRUCell", "decoder")
    encoder, decoder = maker.chain(0, range(3)), maker.chain(1, range(3, 6), initial=False)
    maker.link("other", encoder[-1], decoder[0])
    row = maker.between_row("head")
    for t, cell in enumerate(encoder + decoder):
        maker.link("input", given := maker.input(t, t), cell)
        if cell in decoder:
            head = maker.between(row, t - 3, (t,), "head")
            maker.link("up", cell, head)
            maker.link("up", given, head)  # around the cell
            maker.link("output", head, maker.output(t, t, time=t - 3))
    shapes = {shape.id: shape for shape in draw(maker.network()).drawing.shapes}
    sides = []
    for t in range(6):
        column, x = shapes[f"column-{t}"], shapes[f"cell-{t // 3}-{t % 3}"].x
        sides.append((round(x - column.left, 6), round(column.right - x, 6)))
    assert len(set(sides[:3])) == len(set(sides[3:])) == 1
    (left, right), (with_lanes, without) = sides[0], sides[5]
    assert with_lanes - 15 > left == right == without


def test_what_one_module_makes_stands_on_one_level_though_the_last_reads_a_sign():
    maker = Maker()
    maker.row()
    usual, last = maker.between_row("head"), maker.between_row("head")
    sign = maker.between_row("masked")
    for t, cell in enumerate(maker.chain(0, range(3))):
        head = maker.between(last if t == 2 else usual, t, (t,), "head")
        maker.link("output", head, maker.output(t, t))
        if t == 2:
            masked = maker.between(sign, 0, (t,), "⊙", sign="⊙")
            maker.link("up", cell, masked)
            maker.link("up", masked, head)
        else:
            maker.link("up", cell, head)
    drawing = draw(maker.network()).drawing
    assert len({s.y for s in drawing.shapes if s.texts and s.texts[0].text == "head"}) == 1


@pytest.mark.parametrize("beside", [False, True])
def test_a_state_that_a_box_of_an_earlier_column_makes_enters_from_the_side(beside):
    """As all states do; also where other boxes stand between that one and the copy."""
    maker = Maker()
    maker.row()
    maker.row("GRUCell", "decoder")
    copies = maker.chain(0, range(3))
    first, *_ = maker.chain(1, range(3, 5), initial=False)
    row = maker.between_row("bridge")
    bridge = maker.between(row, 0, (0 if beside else 2,), "bridge")
    maker.link("up", copies[bridge.columns[0]], bridge)
    maker.link("initial", bridge, first)
    for t in (1, 2) if beside else ():
        other = maker.between(row, t, (t,), "bridge")
        maker.link("up", copies[t], other)
        maker.link("output", other, maker.output(t, t))
    drawing = draw(maker.network()).drawing
    (edge,) = (edge for edge in drawing.edges if edge.source == bridge.id)
    (copy,) = (shape for shape in drawing.shapes if shape.id == first.id)
    assert edge.points[-1] == (copy.left, copy.y)
    assert flaws(drawing) == []


def test_what_stands_alone_in_other_columns_stands_there_where_it_does_not():
    maker = Maker()
    maker.row()
    usual, other = maker.between_row("usual"), maker.between_row("other")
    for t, cell in enumerate(maker.chain(0, range(3))):
        for row in (other, usual) if t == 1 else (usual,):
            box = maker.between(row, t, (t,), row.path)
            maker.link("up", cell, box)
            maker.link("output", box, maker.output(f"{row.path}-{t}", t))
    drawing = draw(maker.network()).drawing
    shapes = {shape.id: shape for shape in drawing.shapes}
    assert flaws(drawing) == []
    assert all(shapes[f"between-0-{t}"].x == shapes[f"cell-0-{t}"].x for t in range(3))
