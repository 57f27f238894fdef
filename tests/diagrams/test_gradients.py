"""Gradients on the picture are the recorded ones: shares that add up, exact zeros, cuts, NaN."""

import math

import numpy as np
import pytest
from diagrams.flaws import flaws
from diagrams.reading import Picture
from diagrams.recorded import trained, truncated
from diagrams.test_geometry import check_shapes_and_edges, check_texts
from tables import one_in

import tinygrad_rnn as tg
from tinygrad_rnn.diagrams import Diagram
from tinygrad_rnn.errors import DrawError, GradientError
from tinygrad_rnn.tracing.network.blocks import network_of
from tinygrad_rnn.tracing.network.gradients.flow import gradients_of
from tinygrad_rnn.tracing.network.gradients.norms import norms_of

NETWORKS = {
    "last": lambda: trained(layers=2, last=True),
    "each": lambda: trained(),
    "lstm": lambda: trained(tg.nn.LSTM, 30, 2, last=True),
    "bidirectional": lambda: trained(tg.nn.GRU, layers=2, bidirectional=True),
    "cut": truncated,
    "non-finite": lambda: truncated(factor=lambda t: math.inf if t == 1 else 1.0),
}


def drawn(trace, **options):
    return Picture(tg.draw(trace, gradients=True, **options).svg)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("view", one_in(2, ["unrolled", "both"]))
def test_nothing_overlaps(name, view):
    diagram = tg.draw(NETWORKS[name](), gradients=True, view=view)
    check_shapes_and_edges(diagram)
    check_texts(diagram.drawing)


def test_what_comes_back_to_a_message_is_its_share():
    """h_t of the lower layer is read by h_{t+1} and by the layer above: two terms add up."""
    cell, upper = tg.nn.RNNCell(3, 4, rng=0), tg.nn.RNNCell(4, 4, rng=1)
    h = g = None
    lower = []
    with tg.trace() as tr:
        for t in range(4):
            h = cell(np.ones(3) * t, h)
            g = upper(h, g)
            lower.append(h)
        (g * g).sum().backward()
    network = network_of(tr.graph())
    norms, arrows = norms_of(network), {arrow.id: arrow for arrow in network.arrows}
    terms = {}
    for event in tr.events:
        if event.kind == "vjp" and event.value is not None:
            terms.setdefault(event.output.id, []).append(event.value)
    for t in range(3):
        shares = sorted(np.linalg.norm(term) for term in terms[lower[t].id])
        ours = [
            norms.arrow(arrows[f"message-cell-0-{t}-cell-0-{t + 1}"]).norm,
            norms.arrow(arrows[f"up-cell-0-{t}-cell-1-{t}"]).norm,
        ]
        assert sorted(ours) == pytest.approx(shares)
        state = network.by_id[f"cell-0-{t}"].states[0]
        assert norms.norm(state) == pytest.approx(np.linalg.norm(sum(terms[lower[t].id])))


def test_what_comes_back_to_a_learned_initial_state_is_its_gradient():
    cell, h0 = tg.nn.RNNCell(3, 4, rng=0), tg.tensor(np.ones(4), requires_grad=True, name="h0")
    h = h0
    with tg.trace() as tr:
        for t in range(3):
            h = cell(np.ones(3) * t, h)
        (h * h).sum().backward()
    network = network_of(tr.graph())
    (arrow,) = (arrow for arrow in network.arrows if arrow.id == "initial-initial-0-cell-0-0")
    norm = norms_of(network).arrow(arrow).norm
    assert norm == pytest.approx(np.linalg.norm(h0.grad.data))
    assert norm > 0


def test_ways_back_from_the_loss_lie_nowhere_on_each_other():
    diagram = tg.draw(trained(steps=6), gradients=True)
    loss = next(shape for shape in diagram.drawing.shapes if shape.cls == "loss")
    back = [edge for edge in diagram.drawing.edges if edge.source == "loss"]
    assert len(back) == 6
    near = [edge for edge in back if math.dist(edge.points[0], (loss.x, loss.y)) < loss.width]
    assert len(near) == 2  # the one of the last step beside it, and of the others the strongest
    assert max(edge.width for edge in back) == max(edge.width for edge in near)


def test_each_message_has_its_way_back():
    picture = drawn(trained(steps=4, layers=2, last=True))
    assert len(picture.all("message")) == 2 * 3
    back = {edge.id for edge in picture.all("gradient")}
    assert {f"gradient-{message.id}" for message in picture.all("message")} <= back
    for message in picture.all("message"):
        other = next(
            edge for edge in picture.all("gradient") if edge.id == f"gradient-{message.id}"
        )
        assert message.points[0][0] < message.points[-1][0]
        assert other.points[0][0] > other.points[-1][0]
        assert other.points[0][1] - message.points[0][1] == pytest.approx(16, abs=0.1)


def test_cells_tell_the_norm_and_outputs_nobody_asked_are_exactly_zero():
    diagram = tg.draw(trained(steps=4, last=True), gradients=True)
    shapes = {shape.id: shape for shape in diagram.drawing.shapes}
    assert [shapes[f"output-{t}"].dashed for t in range(4)] == [True, True, True, False]
    assert all(shapes[f"cell-0-{t}"].texts[1].text.startswith("‖∇‖ 0.") for t in range(4))
    assert "sample-exactly" in shapes
    assert "sample-NaN" not in shapes


@pytest.mark.parametrize(
    "options", [{"gradients": True}, {"view": "ops", "gradients": True}, {"view": "backward"}]
)
def test_the_arrows_of_the_legend_point_where_those_of_the_picture_do(options):
    edges = {
        edge.id: edge for edge in tg.draw(trained(steps=4, last=True), **options).drawing.edges
    }
    back = edges["gradient-message-cell-0-0-cell-0-1"]
    legend = [
        edges["sample-exactly-edge"],
        *(edge for edge in edges.values() if edge.cls == "ramp"),
    ]
    assert len(legend) > 3
    for edge in legend:
        assert (edge.points[0] < edge.points[-1]) == (back.points[0] < back.points[-1])


def test_a_detach_is_a_pair_of_scissors():
    diagram = tg.draw(truncated(cut=3), gradients=True)
    cut = [edge for edge in diagram.drawing.edges if edge.label and edge.label.text == "✂"]
    assert [edge.id for edge in cut] == ["gradient-message-cell-0-2-cell-0-3"]
    assert cut[0].dashed
    legend = [text.text for shape in diagram.drawing.shapes for text in shape.texts]
    assert "✂ detached: no gradient passes" in legend
    assert "exactly zero" not in legend


def test_nan_has_its_own_mark():
    diagram = tg.draw(NETWORKS["non-finite"](), gradients=True)
    marked = {
        edge.id for edge in diagram.drawing.edges if edge.label and edge.label.text in ("NaN", "∞")
    }
    assert "gradient-message-cell-0-0-cell-0-1" in marked
    assert "gradient-message-cell-0-1-cell-0-2" not in marked
    assert "sample-NaN" in {shape.id for shape in diagram.drawing.shapes}


@pytest.mark.parametrize(
    ("steps", "marks", "caption"),
    [
        (1, 1, "at the one step"),
        (6, 6, "at all 6 steps"),
        (40, 40, "at all 40 steps"),
        pytest.param(500, 167, "at all 500 steps, ", marks=pytest.mark.rest),
    ],
)
def test_the_strip_shows_every_step(steps, marks, caption):
    picture = drawn(trained(steps=steps, layers=2))
    assert len(picture.all("mark")) == 2 * marks
    assert caption in tg.draw(trained(steps=steps, layers=2), gradients=True).svg


def test_the_strip_says_that_some_steps_have_none():
    """Nobody reads the state that the last call returns."""
    layer, state, loss = tg.nn.LSTM(3, 4, rng=0), None, 0.0
    for x in np.ones((3, 1, 3)):
        y, state = layer(x, state)
        loss = loss + y.sum()
    diagram = tg.draw(loss, gradients=True)
    assert sum(shape.cls == "mark" for shape in diagram.drawing.shapes) == 4
    assert "at all 3 steps, blank where there is none" in diagram.svg


def test_a_tensor_s_own_pass_leaves_grad_alone():
    net = tg.nn.RNN(3, 4, rng=0)
    loss = (net(np.ones((3, 3)))[0] ** 2).sum()
    assert tg.draw(loss, gradients=True).svg
    assert all(parameter.grad is None for parameter in net.parameters())
    gradients = gradients_of(loss)
    loss.backward()
    for parameter in net.parameters():
        np.testing.assert_array_equal(gradients[parameter.id], parameter.grad.data)


def test_without_a_backward_pass_there_is_nothing_to_draw():
    with tg.trace() as tr:
        ys, _ = tg.nn.RNN(3, 4)(np.ones((3, 3)))
    with pytest.raises(DrawError, match=r"no backward pass was recorded.*loss\.backward\(\)"):
        tg.draw(tr, gradients=True)
    with pytest.raises(GradientError, match="not a single number"):
        tg.draw(ys, gradients=True)
    with pytest.raises(DrawError, match='view="both"'):
        tg.draw(ys.sum(), gradients=True, view="rolled")


@pytest.mark.parametrize("format", Diagram.FORMATS)
def test_every_format(format):
    assert tg.draw(NETWORKS["non-finite"](), gradients=True, theme="print").render(format)


@pytest.mark.parametrize("options", [{}, {"gradients": True}, {"view": "both", "theme": "print"}])
def test_values_are_colours_in_the_copies(options):
    diagram = tg.draw(trained(steps=3), values=True, **options)
    check_shapes_and_edges(diagram)
    check_texts(diagram.drawing)
    values = [shape for shape in diagram.drawing.shapes if shape.id.startswith("value-cell-0-1-")]
    assert len(values) == 4
    with pytest.raises(DrawError, match='each in its column: use view="unrolled", "both" or "ops"'):
        tg.draw(trained(steps=3), values=True, view="rolled")


class Neuron(tg.nn.Module):
    """Three states with the names that a paper gives them."""

    def __init__(self):
        self.W = tg.nn.Parameter(np.eye(3) * 0.3)

    def forward(self, x, states):
        membrane_potential, adaptation_current, adaptation_target = states
        membrane_potential = 0.9 * membrane_potential + self.W @ x - adaptation_current
        adaptation_current = 0.5 * adaptation_current + 0.1 * np.tanh(membrane_potential)
        adaptation_target = adaptation_target * np.tanh(membrane_potential)
        return membrane_potential, adaptation_current, adaptation_target


@pytest.mark.parametrize("view", ["unrolled", "ops"])
def test_numbers_stand_in_their_box_also_beside_long_names(view):
    cell, states = Neuron(), (np.zeros(3), np.zeros(3), np.ones(3))
    with tg.trace() as tr:
        for x in np.eye(3):
            states = cell(x, states)
        (sum(states) ** 2).sum().backward(np.array(1e-3))
    drawing = tg.draw(tr, view=view, gradients=True).drawing
    assert flaws(drawing) == []
    (box,) = (shape for shape in drawing.shapes if shape.id == "cell-0-1")
    norms = [text.text for text in box.texts if "‖∇" in text.text]
    if view == "unrolled":
        assert len(set(norms)) == 3
    assert norms
