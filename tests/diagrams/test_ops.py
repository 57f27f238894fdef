"""Opened copies: every recorded op is there once, and known cells have their known form."""

from functools import cache

import numpy as np
import pytest
from diagrams.flaws import flaws
from diagrams.reading import Picture, overlapping, overlapping_parts, picture_of
from diagrams.recorded import trained
from diagrams.test_geometry import check_texts
from tables import one_in

import tinygrad_rnn as tg
from tinygrad_rnn.diagrams.inside.anatomy import Anatomy, Inlet
from tinygrad_rnn.diagrams.inside.canonical import recognised
from tinygrad_rnn.diagrams.views.states import StateEntries
from tinygrad_rnn.tracing.network.blocks import network_of


def of_a_leaf(steps=3):
    """A cell whose inputs are slices of a tensor that requires a gradient, as parameters do."""
    cell, xs, h = (
        tg.nn.RNNCell(3, 4, rng=0),
        tg.tensor(np.ones((steps, 3)), requires_grad=True),
        None,
    )
    with tg.trace() as tr:
        for t in range(steps):
            h = cell(xs[t], h)
        (h * h).sum().backward()
    return tr


CELLS = {
    "of a leaf": of_a_leaf,
    "rnn": lambda: trained(layers=2),
    "relu": lambda: trained(nonlinearity="relu", bias=False),
    "lstm": lambda: trained(tg.nn.LSTM, 3, 2),
    "peephole": lambda: trained(tg.nn.LSTM, 3, peephole=True),
    "coupled": lambda: trained(tg.nn.LSTM, 3, coupled=True, peephole=True),
    "gru": lambda: trained(tg.nn.GRU, 3, bidirectional=True),
    "reset before": lambda: trained(tg.nn.GRU, 3, reset_after=False),
    "folded": lambda: trained(tg.nn.LSTM, 20),
}


class Mine(tg.nn.Module):
    """A cell nobody knows, with two states."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.W = tg.nn.Parameter(rng.standard_normal((4, 7)))
        self.U = tg.nn.Parameter(rng.standard_normal((4, 4)))

    def forward(self, x, h, m):
        k = tg.ops.tanh(self.W @ tg.ops.concatenate([x, h]))
        g = tg.ops.sigmoid(self.U @ m)
        m = g * m + (1.0 - g) * k
        return tg.ops.tanh(m + tg.ops.relu(k) * 0.5), m


def own_cell(steps=3, *, loss=False):
    """A cell nobody knows; with a loss of its last state, and what comes back from there."""
    cell = Mine()
    h, m = tg.tensor(np.zeros(4)), tg.tensor(np.ones(4))
    with tg.trace() as tr:
        for t in range(steps):
            h, m = cell(tg.tensor(np.ones(3) * t), h, m)
        if loss:
            (h * h).sum().backward()
    return tr


EVERY_CELL = pytest.mark.parametrize("name", one_in(4, [*CELLS, "own"]))


@cache
def trace_of(name):
    return own_cell() if name == "own" else CELLS[name]()


@cache
def opened(name):
    return tg.draw(trace_of(name), view="ops")


@EVERY_CELL
def test_nothing_overlaps_inside_or_outside(name):
    check_opened(opened(name))


def check_opened(diagram):
    drawn = picture_of(diagram)
    ops = drawn.all("op")
    assert overlapping_parts([*ops, *drawn.all("input", "output", "state", "loss")]) == []
    ends = {edge.id: {edge.source, edge.target} for edge in diagram.drawing.edges}
    edges = drawn.all("edge")
    for i, j in overlapping([op.box for op in ops], [edge.box for edge in edges]):
        op, edge = ops[i], edges[j]
        if op.id not in ends[edge.id]:
            assert not any(op.covers(point, 1) for point in edge.points), (edge.id, op.id)
    boxes = {op.id: op.box for op in ops}
    for chip in drawn.all("chip"):
        left, top, right, bottom = chip.box
        assert any(
            a < left and right < c and b < top and bottom < d for a, b, c, d in boxes.values()
        ), chip.id
    check_texts(diagram.drawing)


@EVERY_CELL
def test_ids_are_unique(name):
    ids = [part.id for part in picture_of(opened(name)).parts]
    assert len(set(ids)) == len(ids)


def anatomy_of(cell, network):
    """The parts of a copy, by what its arrows bring."""
    entries, inlets = StateEntries(network), {}
    names = {block.pieces[0].node.id: block.label for block in network.parameters}
    arrows = [arrow for arrow in network.entering[cell] if arrow.kind != "parameter"]
    for number, arrow in enumerate(arrows):
        for read in arrow.reads:
            state = arrow.kind in ("message", "initial")
            place = entries.state(arrow.source, cell, read) if state else 0
            inlets.setdefault(read.value.node, Inlet(state, 0 if state else number, place))
    return Anatomy(cell.nodes, names, inlets)


@EVERY_CELL
def test_every_recorded_op_is_drawn_or_joined_to_one_that_is(name):
    network = network_of(trace_of(name).graph())
    drawn = set(picture_of(tg.draw(trace_of(name), view="ops", fold=None)).ids("op"))
    for cell in network.cells:
        anatomy = anatomy_of(cell, network)
        assert {f"op-{cell.row.number}-{cell.t}-{part.place}" for part in anatomy.parts} <= drawn
        shown = {part.node for part in anatomy.parts}.union(
            *(part.absorbed for part in anatomy.parts)
        )
        for node in set(cell.nodes) - shown:
            assert node.op == "getitem", node.op
            of_parameter = any(x.is_parameter for x in node.tensors())
            assert of_parameter or any(x in anatomy.values for x in node.tensors())


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(
            ("rnn", "elman"),
            ("relu", "elman"),
            ("lstm", "lstm"),
            ("peephole", "lstm"),
            ("coupled", "lstm"),
        ),
        *(("gru", "gru"), ("reset before", "gru"), ("own", None)),
    ],
)
def test_known_cells_are_recognised_by_what_they_compute(name, kind):
    network = network_of(trace_of(name).graph())
    for cell in network.cells:
        anatomy = anatomy_of(cell, network)
        found = recognised(anatomy.parts, anatomy.part(cell.states[0].node))
        assert (found and found[0].name) == kind


def test_an_lstm_written_by_hand_is_drawn_as_one():
    rng = np.random.default_rng(0)
    W = tg.tensor(rng.standard_normal((8, 3)), requires_grad=True, name="W")
    U = tg.tensor(rng.standard_normal((8, 2)), requires_grad=True, name="U")
    h, c = tg.tensor(np.zeros(2)), tg.tensor(np.zeros(2))
    with tg.trace() as tr:
        for x in np.eye(3):
            with tg.scope("step"):
                z = tg.ops.linear(h, U) + tg.ops.linear(x, W)
                c = tg.ops.sigmoid(z[2:4]) * c + tg.ops.tanh(z[4:6]) * tg.ops.sigmoid(z[:2])
                h = tg.ops.tanh(c) * tg.ops.sigmoid(z[6:])
    names = {text.text for shape in tg.draw(tr, view="ops").drawing.shapes for text in shape.texts}
    assert {"fₜ", "iₜ", "gₜ", "oₜ"} <= names


def test_parameters_are_chips_in_the_ops_that_use_them():
    drawn = picture_of(tg.draw(trained(tg.nn.LSTM, 4), view="ops"))
    chips = [chip.texts[0] for chip in drawn.all("chip")]
    assert sorted(set(chips)) == ["W_hh", "W_hy", "W_xh", "b_h", "b_y"]
    assert all(chips.count(name) == 4 for name in set(chips))
    assert len(drawn.all("parameter")) == 5


def test_each_state_has_its_line_and_messages_are_counted_once():
    drawn = picture_of(tg.draw(trained(tg.nn.LSTM, 4), view="ops"))
    assert [len(drawn.all(cls)) for cls in ("cell", "message", "initial")] == [4, 3, 1]
    assert len(drawn.all("memory")) == 4
    assert [part.texts for part in drawn.all("state")] == [("h₋₁",), ("c₋₁",)]


def test_copies_of_one_structure_are_one_drawing():
    shapes = {
        shape.id: shape for shape in tg.draw(trained(tg.nn.GRU, 3), view="ops").drawing.shapes
    }
    places = [id.rsplit("-", 1)[1] for id, shape in shapes.items() if id.startswith("op-0-1-")]
    for place in places:
        offsets = {
            (
                round(shapes[f"op-0-{t}-{place}"].x - shapes[f"cell-0-{t}"].x, 3),
                round(shapes[f"op-0-{t}-{place}"].y - shapes[f"cell-0-{t}"].y, 3),
            )
            for t in range(3)
        }
        assert len(offsets) == 1


def wires_up(diagram, cell):
    """The wires of a copy that end on its upper edge."""
    (box,) = (shape for shape in diagram.drawing.shapes if shape.id == cell)
    ends = [
        edge.points[-1]
        for edge in diagram.drawing.edges
        if edge.cls == "wire" and edge.target == cell
    ]
    return [(x, y) for x, y in ends if abs(y - box.top) < 0.5]


@EVERY_CELL
def test_a_way_leads_up_out_of_the_copies_alone_that_hand_something_upwards(name):
    diagram = tg.draw(trace_of(name), view="ops", fold=None)
    copies = {shape.id: shape for shape in diagram.drawing.shapes if shape.cls == "cell"}
    asked = {
        edge.source
        for edge in diagram.drawing.edges
        if edge.cls == "link"
        and edge.source in copies
        and edge.points[0][1] > copies[edge.source].top - 1  # a second state leaves on the right
    }
    assert {cell for cell in copies if wires_up(diagram, cell)} == asked


def test_states_of_a_cell_nobody_knows_leave_at_the_height_where_they_enter():
    diagram = tg.draw(own_cell(), view="ops")
    for edge in diagram.drawing.edges:
        if edge.cls in ("message", "initial"):
            assert max(y for _, y in edge.points) - min(y for _, y in edge.points) < 0.5, edge.id


@pytest.mark.rest
def test_an_output_of_several_copies_is_drawn_the_same_in_every_run():
    pictures = {
        tg.draw(trained(tg.nn.GRU, 2, bidirectional=True), view="ops").svg for _ in range(8)
    }
    assert len(pictures) == 1


def test_parameters_without_a_name_are_called_the_same_in_every_run():
    def pictured():
        W, U = (tg.tensor(np.eye(2), requires_grad=True) for _ in range(2))
        h = tg.tensor(np.ones(2))
        for _ in range(3):
            with tg.scope("cell"):
                h = tg.ops.tanh(W @ h + U @ h)
        return tg.draw(h).svg

    assert pictured() == pictured()
    assert {"U", "W"} <= {
        text for part in Picture(pictured()).all("parameter") for text in part.texts
    }


class Long(tg.nn.Module):
    """A cell of so many ops."""

    def __init__(self, ops):
        self.ops = ops
        self.w = tg.nn.Parameter(np.ones(2))

    def forward(self, x, h):
        h = h * self.w + x
        for _ in range(self.ops - 2):
            h = tg.ops.tanh(h)
        return h


@pytest.mark.parametrize("options", [{"view": "ops"}, {"depth": 2}], ids=str)
@pytest.mark.parametrize("ops", [100, 200])
def test_a_copy_that_is_too_large_to_be_opened_says_so(ops, options):
    cell, h = Long(ops), tg.tensor(np.zeros(2))
    for x in np.eye(2):
        h = cell(x, h)
    drawn = picture_of(tg.draw(h.sum(), **options))
    (lines,) = (part.texts for part in drawn.all("heading") if part.texts[0] == "layer 0")
    too_many = f"{ops} ops: too many to open"
    assert (too_many in lines) == (not drawn.all("op")) == (ops > 150)


def test_a_formula_that_is_cut_does_not_stand_on_the_ops_that_it_is_of():
    cell, h = tg.nn.GRUCell(2, 3, rng=0), tg.tensor(np.zeros(3))
    with tg.trace() as tr:
        for x in np.ones((3, 2)):
            h = (h + cell(x, h)) / 2
        (h * h).sum().backward()
    assert flaws(tg.draw(tr, view="ops").drawing) == []


class Norm(tg.nn.Module):
    def __init__(self):
        self.gain = tg.nn.Parameter(np.ones(3))

    def forward(self, x):
        return self.gain * x / np.sqrt((x * x).mean() + 1)


@pytest.mark.parametrize("gradients", [False, True])
def test_a_module_on_the_way_of_one_state_leaves_that_of_another_free(gradients):
    """It stays closed: opened beside the copy it would stand on the other way."""
    cell, norm = tg.nn.LSTMCell(3, 3, rng=0), Norm()
    h, c = tg.tensor(np.zeros(3)), tg.tensor(np.zeros(3))
    with tg.trace() as tr:
        for x in np.eye(3):
            h, c = cell(tg.tensor(x), (h, c))
            h = norm(h)
        (h * h).sum().backward()
    drawing = tg.draw(tr, view="ops", gradients=gradients).drawing
    assert not flaws(drawing)
    assert [s.texts[0].text for s in drawing.shapes if s.cls == "between"] == ["norm"] * 3
