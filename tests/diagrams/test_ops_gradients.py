"""Gradients in opened copies: along every wire what its reader hands back, in like lanes."""

import math
from collections import defaultdict
from functools import cache, partial
from itertools import pairwise

import numpy as np
import pytest
from diagrams.reading import overlapping, picture_of
from diagrams.recorded import trained, truncated
from diagrams.test_ops import CELLS, check_opened, own_cell
from hypothesis import given
from hypothesis import strategies as st
from tables import one_in, rows

import tinygrad_rnn as tg
from tinygrad_rnn.diagrams.grid.unrolled import unrolled_grid
from tinygrad_rnn.diagrams.picture.curves import rounded
from tinygrad_rnn.diagrams.picture.lanes import LANE_INSIDE, curve_beside
from tinygrad_rnn.diagrams.picture.ramp import look_of
from tinygrad_rnn.diagrams.picture.shapes import Edge
from tinygrad_rnn.diagrams.picture.stretches import drawn_once, joined
from tinygrad_rnn.diagrams.views.gradients import with_gradients
from tinygrad_rnn.diagrams.views.opening import opened_grid
from tinygrad_rnn.tracing.network.blocks import network_of


def detached_inside(steps=3):
    """A cell that reads its own state twice, once without its gradient."""
    W = tg.tensor(np.eye(4) * 0.5, requires_grad=True, name="W")
    h = tg.tensor(np.ones(4))
    with tg.trace() as tr:
        for _ in range(steps):
            with tg.scope("cell"):
                h = tg.ops.tanh(W @ h) * tg.ops.sigmoid(h.detach())
        (h * h).sum().backward()
    return tr


def non_finite(steps=4):
    return truncated(steps, factor=lambda t: math.inf if t == 1 else 1.0)


RUNS = CELLS | {
    "last": lambda: trained(tg.nn.LSTM, 4, 2, last=True),
    "two directions": lambda: trained(tg.nn.GRU, 3, 2, bidirectional=True),
    "own": partial(own_cell, loss=True),
    "cut": truncated,
    "detached inside": detached_inside,
    "non-finite": non_finite,
}
A_FEW = ("lstm", "own", "cut", "non-finite")
EVERY_RUN = pytest.mark.parametrize("name", rows(list(RUNS), A_FEW))


# A run is recorded once, and drawn once in each way, for all tests that look at it.


@cache
def run(name):
    return RUNS[name]()


@cache
def drawn(trace, **options):
    return tg.draw(trace, view="ops", gradients=True, **options)


@cache
def overlay_of(trace):
    network = network_of(trace.graph())
    return with_gradients(opened_grid(unrolled_grid(network, None), network, lanes=True), network)


def insides(trace):
    """What is inside each opened copy, by the copy's id."""
    items = overlay_of(trace).grid.items
    return {id: item.inside for id, item in items.items() if item.inside}


@EVERY_RUN
def test_nothing_overlaps_inside_or_outside(name):
    diagram = drawn(run(name))
    check_opened(diagram)
    ids = [part.id for part in picture_of(diagram).parts]
    assert len(set(ids)) == len(ids)


@EVERY_RUN
def test_no_lane_runs_through_what_is_written_in_a_copy(name):
    diagram = drawn(run(name))
    texts = [
        text
        for shape in diagram.drawing.shapes
        if shape.cls in ("gates", "cell")
        for text in shape.texts
    ]
    boxes = [
        (t.center - t.width / 2, t.y - t.size * 0.4, t.center + t.width / 2, t.y + t.size * 0.4)
        for t in texts
    ]
    for edge in diagram.drawing.edges:
        for (x, y), (a, b) in zip(edge.points[::3], edge.points[3::3], strict=False):
            stretch = (min(x, a), min(y, b), max(x, a), max(y, b))
            flat = stretch[2] - stretch[0] < 1 or stretch[3] - stretch[1] < 1
            wide = (stretch[0] - 1, stretch[1] - 1, stretch[2] + 1, stretch[3] + 1)
            crossed = overlapping([wide], boxes) if flat else []
            assert [(edge.id, texts[j].text) for _, j in crossed] == []


@EVERY_RUN
def test_lanes_go_on_from_copy_to_copy(name):
    """Where an edge meets an opened copy, a wire begins or ends, and one on the way back too."""
    trace = run(name)
    items = overlay_of(trace).grid.items
    seen_through = {  # of two links to one op, by what was computed outside, one is led on to it
        c.id
        for c in overlay_of(trace).grid.connections
        if c.inlet is not None
        and (plan := items[c.target].plan)
        and c.inlet not in plan.below
        and len(plan.below) > 1
    }
    drawing = drawn(trace, fold=None).drawing
    edges, boxes = (
        drawing.edges,
        {shape.id: shape for shape in drawing.shapes if shape.cls == "cell"},
    )
    inner = [edge for edge in edges if edge.id.startswith(("wire-", "gradient-wire-"))]
    ends = {
        (round(x, 1), round(y, 1)) for edge in inner for x, y in (edge.points[0], edge.points[-1])
    }
    for edge in edges:
        if edge in inner or edge.label:  # behind a pair of scissors nothing goes on
            continue
        for id, (x, y) in ((edge.source, edge.points[0]), (edge.target, edge.points[-1])):
            into = edge.source if edge.cls == "gradient" else edge.target
            if id not in boxes or (
                id == into and edge.id.removeprefix("gradient-") in seen_through
            ):
                continue
            box = boxes[id]
            ends_there = (
                min(abs(x - box.left), abs(x - box.right), abs(y - box.bottom), abs(y - box.top))
                < 0.5
            )
            if ends_there:  # and has not joined another
                assert any(math.dist((x, y), end) < 0.3 for end in ends), (edge.id, id)


@EVERY_RUN
def test_each_way_back_carries_what_the_backward_pass_handed_over(name):
    """The terms are those that the pass itself computed, one an op and input."""
    trace = run(name)
    terms = {
        (e.of.id, e.slot): e.value for e in trace.events if e.kind == "vjp" and e.value is not None
    }
    seen = 0
    for inside in insides(trace).values():
        for wire, (reader, slot) in inside.reads.items():
            term, x = terms.get((reader.id, slot)), reader.inputs[slot]
            if not x.requires_grad:
                assert wire not in inside.norms
                continue
            expected = 0.0 if term is None else np.linalg.norm(term)
            assert inside.norms[wire] == pytest.approx(expected, rel=1e-6, nan_ok=True), (
                wire,
                reader,
            )
            seen += 1
    assert seen > 5


def test_each_op_of_an_lstm_has_the_gradient_that_grad_computes():
    rng = np.random.default_rng(0)
    W, U = (tg.tensor(rng.standard_normal((8, 2)), requires_grad=True, name=name) for name in "WU")
    h, c = tg.tensor(np.zeros(2)), tg.tensor(np.zeros(2))
    made = []
    with tg.trace() as tr:
        for x in np.eye(3)[:, :2]:
            with tg.scope("step"):
                z = tg.ops.linear(x, W) + tg.ops.linear(h, U)
                i, f, g, o = (
                    *(tg.ops.sigmoid(z[2 * k : 2 * k + 2]) for k in (0, 1)),
                    tg.ops.tanh(z[4:6]),
                    tg.ops.sigmoid(z[6:]),
                )
                c = f * c + i * g
                h = o * tg.ops.tanh(c)
            made += [z, i, f, g, o, c, h]
        loss = (h * h).sum()
        loss.backward()
    gradients = {
        x.id: np.linalg.norm(g.data) for x, g in zip(made, tg.grad(loss, made), strict=True)
    }
    found = {}
    for inside in insides(tr).values():
        found |= {
            node.id: inside.norms[op] for op, node in inside.ops.items() if node.id in gradients
        }
    assert found == pytest.approx(gradients)
    tooltips = {shape.id: shape.tooltip for shape in drawn(tr).drawing.shapes if shape.cls == "op"}
    for cell, inside in insides(tr).items():
        for op in inside.ops:
            told = tooltips[op.replace("/", f"{cell.removeprefix('cell')}-")]
            assert told.endswith(f"; ‖∂L/∂·‖ = {inside.norms[op]:.4g}")


@EVERY_RUN
def test_each_way_back_looks_as_its_norm_says(name):
    trace = run(name)
    overlay = overlay_of(trace)
    edges = {edge.id: edge for edge in drawn(trace, fold=None).drawing.edges}
    for id, item in overlay.grid.items.items():
        for wire, norm in item.inside.norms.items() if item.inside else ():
            if wire.startswith("wire/"):
                edge = edges[f"gradient-{wire.replace('/', '-' + id.removeprefix('cell-') + '-')}"]
                look = look_of(norm, overlay.ramp)
                assert (edge.color, edge.width, edge.dashed) == (
                    look.color,
                    look.width,
                    look.dashed,
                )


def test_what_comes_back_to_a_state_is_the_sum_of_what_its_readers_hand_back():
    """An Elman cell reads h by one product: the ways inside and outside carry the same."""
    overlay = overlay_of(trained(steps=4, last=True))
    norms = {c.id: c.norm for c in overlay.grid.connections}
    for t in range(1, 4):
        inside = overlay.grid.items[f"cell-0-{t}"].inside
        entering = [
            w
            for w, (node, slot) in inside.reads.items()
            if node.inputs[slot] not in inside.ops.values()
        ]
        back = [inside.norms[wire] for wire in entering if wire in inside.norms]
        assert max(back) == pytest.approx(norms[f"message-cell-0-{t - 1}-cell-0-{t}"])


def test_each_state_has_its_own_way_back_and_each_op_on_the_way_to_an_output():
    trace = trained(tg.nn.LSTM, 3, last=True)
    overlay = overlay_of(trace)
    norms = {c.id: c.norm for c in overlay.grid.connections}
    terms = defaultdict(list)
    for event in trace.events:
        if event.kind == "vjp" and event.value is not None:
            terms[event.output.id].append((event.of.id, event.value))
    one, two = (
        next(cell for cell in network_of(trace.graph()).cells if cell.t == t) for t in (1, 2)
    )
    readers = {node.id for node in two.nodes}
    messages = ("message-cell-0-1-cell-0-2", "message-cell-0-1-cell-0-2-1")
    for state, norm, message in zip(
        one.states, overlay.parts["cell-0-1"].values(), messages, strict=True
    ):
        id = state.node.id
        assert norm == pytest.approx(np.linalg.norm(sum(term for _, term in terms[id])))
        passed = sum(term for reader, term in terms[id] if reader in readers)
        assert norms[message] == pytest.approx(np.linalg.norm(passed))
    (output,) = overlay.parts["output-2"].values()
    assert norms["output-between-0-2-output-2"] == output > 0
    assert norms["up-cell-0-2-between-0-2"] == pytest.approx(overlay.parts["cell-0-2"]["h"])


def test_copies_of_one_structure_have_the_same_lanes():
    diagram = drawn(trained(tg.nn.LSTM, 4))
    cells = {shape.id: shape for shape in diagram.drawing.shapes if shape.cls == "cell"}
    lanes = defaultdict(set)
    for edge in diagram.drawing.edges:
        if edge.id.startswith("wire-") and "between" not in edge.id:
            cell = cells[f"cell-{'-'.join(edge.id.split('-')[1:3])}"]
            points = tuple((round(x - cell.x, 3), round(y - cell.y, 3)) for x, y in edge.points)
            lanes[edge.id.rsplit("-", 1)[1]].add(points)
    assert len(lanes) > 15
    assert all(len(found) == 1 for found in lanes.values())


def test_what_enters_and_requires_no_gradient_has_one_lane_in_the_middle():
    diagram = drawn(trained(steps=3))
    shapes = {shape.id: shape for shape in diagram.drawing.shapes}
    edges = {edge.id: edge for edge in diagram.drawing.edges}
    assert "gradient-input-input-1-cell-0-1" not in edges
    edge = edges["input-input-1-cell-0-1"]
    assert edge.points[0][0] == pytest.approx(shapes["input-1"].x)
    message = (
        edges["message-cell-0-0-cell-0-1"].points,
        edges["gradient-message-cell-0-0-cell-0-1"].points,
    )
    assert message[0][0][1] - message[1][0][1] == pytest.approx(2 * LANE_INSIDE)


def test_exact_zeros_are_dashed_and_copies_tell_their_norms():
    """With c₋₁ = 0 the forget gate of the first step has no part in the loss."""
    diagram = drawn(trained(tg.nn.LSTM, 3))
    shapes = {shape.id: shape for shape in diagram.drawing.shapes}
    sigmoids = {
        shape.id
        for shape in shapes.values()
        if shape.cls == "op" and [t.text for t in shape.texts] == ["σ"]
    }
    into = [
        e
        for e in diagram.drawing.edges
        if e.cls == "gradient" and e.target in sigmoids and "-0-0-" in e.id
    ]
    assert sorted(edge.dashed for edge in into) == [False, False, True]
    assert {edge.color for edge in into if edge.dashed} == {"muted"}
    assert "sample-exactly" in shapes
    for t in range(3):
        notes = [text.text for text in shapes[f"cell-0-{t}"].texts if "∇" in text.text]
        assert len(notes) == 1
        assert notes[0].startswith("‖∇h‖ ")
        assert " · ‖∇c‖ " in notes[0]


def test_nan_and_infinity_have_their_own_mark_at_every_op():
    diagram = drawn(non_finite())
    shapes = {shape.id: shape for shape in diagram.drawing.shapes}
    ops = {
        id: shape.line == "alarm"
        for id, shape in shapes.items()
        if shape.cls == "op" and "between" not in id
    }
    assert {id.split("-")[2] for id, marked in ops.items() if marked} == {"0", "1"}
    assert all(marked == (id.split("-")[2] in "01") for id, marked in ops.items())
    assert [t.text for t in shapes["cell-0-1"].texts if t.color == "alarm"] == ["‖∇‖ ∞"]
    assert [t.text for t in shapes["cell-0-0"].texts if t.color == "alarm"] == ["‖∇‖ NaN"]
    assert "sample-NaN" in shapes


def test_scissors_stand_where_a_detach_cut_the_message_or_a_wire():
    def cut(diagram):
        return [edge for edge in diagram.drawing.edges if edge.label and edge.label.text == "✂"]

    outside = cut(drawn(truncated(cut=3)))
    assert [edge.id for edge in outside] == ["gradient-message-cell-0-2-cell-0-3"]
    diagram = drawn(detached_inside())
    inside = cut(diagram)
    detaches = {
        s.id
        for s in diagram.drawing.shapes
        if s.cls == "op" and [t.text for t in s.texts] == ["detach"]
    }
    # h₋₁ requires no gradient: there is nothing to cut at the first step
    assert {edge.source for edge in inside} == detaches - {
        id for id in detaches if id.startswith("op-0-0-")
    }
    assert all(edge.dashed for edge in inside)
    assert any(shape.id == "sample-✂" for shape in diagram.drawing.shapes)


def test_ways_that_share_a_stretch_are_drawn_there_once_by_the_strongest():
    """The four gates hand back to one sum: one arrow arrives at it, and that is the strongest."""
    trace = trained(tg.nn.LSTM, 3)
    overlay = overlay_of(trace)
    edges = {edge.id: edge for edge in drawn(trace).drawing.edges}
    for t in range(3):
        inside = overlay.grid.items[f"cell-0-{t}"].inside
        back = [edge for id, edge in edges.items() if id.startswith(f"gradient-wire-0-{t}-")]
        assert len([edge for edge in back if edge.target.startswith("op-")]) > 10
        for target in {edge.target for edge in back if edge.target.startswith("op-")}:
            ways = [edge for edge in back if edge.target == target]
            from_above = {round(edge.points[-1][0], 1) for edge in ways if edge.arrow}
            assert len(from_above) == len([edge for edge in ways if edge.arrow])
            if len(ways) == 4:
                wires = {edge.id: f"wire/{edge.id.rsplit('-', 1)[1]}" for edge in ways}
                strongest = max(ways, key=lambda edge: inside.norms[wires[edge.id]])
                assert [edge for edge in ways if edge.arrow] == [strongest]


@pytest.mark.parametrize(
    ("name", "gradients"),
    one_in(4, [*((name, True) for name in RUNS), ("rnn", False), ("own", False)]),
)
def test_values_stand_along_the_upper_edge_of_each_copy(name, gradients):
    trace = run(name)
    diagram = tg.draw(trace, view="ops", values=True, gradients=gradients)
    check_opened(diagram)
    drawn = picture_of(diagram)
    copies = {part.id: part.box for part in drawn.all("cell")}
    data = {cell.id: cell.states[0].node.data for cell in network_of(trace.graph()).cells}
    squares = [part for part in drawn.all("value") if not part.id.startswith("value-legend")]
    assert len(squares) == sum(data[id].size for id in copies)
    crossing = defaultdict(list)
    edges = drawn.all("edge")
    for i, j in overlapping([square.box for square in squares], [edge.box for edge in edges]):
        crossing[squares[i].id].append(edges[j])
    for square in squares:
        id = square.id.removeprefix("value-").rpartition("-")[0]
        left, top, right, bottom = copies[id]
        a, b, c, d = square.box
        assert left < a < c < right
        assert top < b < d < top + 20 < bottom
        for edge in crossing[square.id]:
            assert not any(square.covers(point, 1) for point in edge.points), (edge.id, square.id)


def test_many_values_and_norms_fit_beside_the_way_up():
    net = tg.nn.RNN(3, 40, rng=0)
    with tg.trace() as tr:
        ys, _ = net(np.ones((3, 3)))
        (ys * ys).sum().backward()
    diagram = tg.draw(tr, view="ops", values=True, gradients=True)
    check_opened(diagram)
    shapes = {shape.id: shape for shape in diagram.drawing.shapes}
    assert [text.text[0] for text in shapes["cell-0-1"].texts] == ["h", "‖"]
    assert shapes["value-cell-0-1-31"].right < shapes["cell-0-1"].texts[1].x


@pytest.mark.parametrize(
    ("format", "start", "end"),
    [
        (".svg", b"<?xml ", b"</svg>"),
        (".pdf", b"%PDF-", b"%%EOF"),
        (".png", b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"),
        (".dot", b"digraph ", b"}"),
        (".html", b"<!DOCTYPE html>", b"</html>"),
    ],
)
def test_every_format(format, start, end):
    file = drawn(run("non-finite"), theme="print").render(format).rstrip()
    assert file.startswith(start)
    assert file.endswith(end)


def test_a_backward_pass_leaves_no_mark_where_no_gradients_are_asked_for():
    net = tg.nn.GRU(3, 4, output_size=2, rng=0)
    with tg.trace() as tr:
        loss = tg.nn.cross_entropy(net(np.ones((3, 3)))[0], [0, 1, 0])
        loss.backward()
    with tg.trace() as forward:
        loss = tg.nn.cross_entropy(net(np.ones((3, 3)))[0], [0, 1, 0])
    picture = tg.draw(tr, view="ops").svg
    assert picture == tg.draw(forward, view="ops").svg  # which knows of no backward pass
    assert "gradient" not in picture


# Curves beside curves

corners = st.lists(st.tuples(st.booleans(), st.integers(30, 200)), min_size=1, max_size=6)


def path(turns):
    """A staircase up and to the right, each of its legs longer than two bends."""
    points, level = [(0.0, 0.0)], turns[0][0]
    for _, length in turns:
        x, y = points[-1]
        points.append((x + length, y) if level else (x, y + length))
        level = not level
    return rounded(points)


@given(corners, st.floats(-8, 8))
def test_a_lane_keeps_its_distance(turns, distance):
    points = path(turns)
    lane = curve_beside(points, distance)
    for first in range(0, len(points) - 1, 3):
        for t in np.linspace(0, 1, 7):
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
            here, there = (np.dot(weights, curve[first : first + 4]) for curve in (points, lane))
            assert math.dist(here, there) == pytest.approx(abs(distance), abs=0.05)


def test_a_way_ends_where_it_joins_another():
    short = rounded([(60.0, 100.0), (60.0, 0.0), (0.0, 0.0)])
    far = rounded([(140.0, 100.0), (140.0, 0.0), (0.0, 0.0)])
    apart = rounded([(60.0, -100.0), (60.0, -50.0), (0.0, -50.0)])
    end = joined(far, short)[-1]
    assert 51 < end[0] < 60 + 9
    assert end[1] == 0.0
    x, y = joined(short, far)[-1]
    assert 51 <= x < 56
    assert 0 <= y < 1
    assert joined(short, apart) is None
    assert joined(short, short) is None


@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.floats(0, 1e9)),
        min_size=1,
        max_size=12,
        unique_by=lambda tap: tap[0],
    )
)
def test_of_ways_that_begin_together_the_strongest_is_drawn_everywhere(taps):
    """Along a line with taps, each stretch is drawn once: by the strongest that goes beyond it."""
    ways = []
    for place, strength in taps:
        points = rounded([(0.0, 0.0), (0.0, 50.0), (-50.0 * place, 50.0), (-50.0 * place, 0.0)])
        ways.append(
            (Edge(f"way-{place}", "gradient", "loss", f"output-{place}", points, ""), strength)
        )
    found = {edge.id: edge.points for edge in drawn_once(ways)}
    assert found.keys() == {edge.id for edge, _ in ways}
    for middle in range(max(place for place, _ in taps)):
        x = -50.0 * middle - 25.0
        there = [
            id
            for id, points in found.items()
            if any(is_over(x, *ends) for ends in pairwise(points[::3]))
        ]
        assert there == [
            f"way-{max((strength, f'{place}') for place, strength in taps if place > middle)[1]}"
        ]


def is_over(x, start, end):
    return start[1] == end[1] == 50.0 and min(start[0], end[0]) <= x <= max(start[0], end[0])
