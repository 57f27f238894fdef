"""What is joined through a box or a sign keeps the id that it would have without."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import numpy as np
import pytest

import tinygrad_rnn as tg

BETWEEN = {
    "sum": lambda ys: ys * 2.0 + 1.0,
    "linear": tg.nn.Linear(3, 3, rng=2),
    "relu": tg.ops.relu,
    "nothing": lambda ys: ys,
}


@pytest.mark.parametrize("name", BETWEEN)
def test_a_layer_is_joined_with_the_next_step_by_step(name):
    one, two = tg.nn.RNN(3, 3, rng=0), tg.nn.RNN(3, 3, rng=1)
    ys, _ = two(BETWEEN[name](one(np.eye(3))[0]))
    svg = tg.draw((ys * ys).sum()).svg
    assert re.findall(r'id="up-cell-0-(\d)-cell-1-(\d)"', svg) == [
        (str(t), str(t)) for t in range(3)
    ]
    ids = [element.get("id") for element in ET.fromstring(svg).iter() if element.get("id")]
    assert len(ids) == len(set(ids))


def test_a_skip_is_joined_from_end_to_end_in_dot_and_drawn_once():
    cell, h, ys = tg.nn.RNNCell(3, 3, rng=0), None, []
    for x in np.eye(3):
        x = tg.tensor(x)
        h = cell(x, h)
        ys.append(h + x)
    dot = tg.draw(tg.ops.stack(ys)).dot
    for t in range(3):
        assert (
            f'"input-{t}" -> "output-{t}" [id="output-input-{t}-output-{t}" style="invis"]' in dot
        )
        assert f'"cell-0-{t}" -> "output-{t}" [id=' in dot


def test_an_input_that_outputs_are_compared_with_is_named_at_the_loss_and_joined_in_dot():
    cell, h, losses = tg.nn.RNNCell(3, 3, rng=0), None, []
    xs = [tg.tensor(x) for x in np.eye(3)]
    for x, following in pairwise(xs):
        h = cell(x, h)
        losses.append(tg.nn.mse_loss(h, following))
    diagram = tg.draw(sum(losses))
    assert '"input-1" -> "loss" [id="target-input-1-loss" style="invis" class="target"]' in (
        diagram.dot
    )
    loss = next(shape for shape in diagram.drawing.shapes if shape.cls == "loss")
    said = " ".join(text.text for text in loss.texts)
    assert "following" in said or "x" in said


def test_of_targets_that_are_inputs_too_it_is_said_how_many_others_there_are():
    cell, letters = tg.nn.RNNCell(3, 3, rng=0), np.random.default_rng(0).random((4, 3))

    def program():
        h, losses = None, []
        for x, following in pairwise(letters):
            h = cell(x, h)
            losses.append(((h - following) ** 2).mean())
        return sum(losses)

    with tg.trace() as tr:
        program().backward()
    shapes = tg.draw(tr).drawing.shapes
    loss = next(shape for shape in shapes if shape.cls == "loss")
    assert "following: x₁, x₂ and 1 more" in " ".join(text.text for text in loss.texts)


def test_a_long_formula_is_broken_in_its_box_and_not_cut():
    cell, h, ys = tg.nn.RNNCell(3, 3, rng=0), None, []
    first, other = (tg.tensor(np.ones(3), requires_grad=True, name=name) for name in ("abc", "de"))
    for x in np.eye(3):
        h = cell(x, h)
        ys.append(np.tanh(first * h + other) * tg.ops.sigmoid(first * h - other))
    shapes = tg.draw(tg.ops.stack(ys)).drawing.shapes
    box = next(shape for shape in shapes if shape.cls == "between")
    *lines, shape = (text.text for text in box.texts)
    assert lines == ["tanh(abc ⊙ h + de)", "⊙ σ(abc ⊙ h − de)"]
    assert shape == "(3,)"


def texts_beside(tr):
    """The texts beside the edges of a picture."""
    edges = tg.draw(tr).drawing.edges
    return {e.id: [t.text for t in (e.label, e.note) if t] for e in edges}


def test_a_way_from_another_row_s_state_says_what_is_passed():
    first, second, h = tg.nn.LSTMCell(3, 3, rng=0), tg.nn.LSTMCell(3, 3, rng=1), None
    head = tg.nn.Linear(3, 2, rng=2)
    with tg.trace() as tr:
        for x in np.eye(3):
            h = first(x, h)
        begun = h[0]
        for x in np.eye(3)[:2]:
            h = second(x, h)
        head(h[0] - begun).sum().backward()
    beside = texts_beside(tr)
    assert beside["other-cell-0-2-cell-1-0"] == ["h₂, c₂"]
    (way,) = (id for id in beside if id.startswith("other-cell-0-2-between"))
    assert beside[way] == ["h₂"]


def test_a_way_of_one_of_several_values_of_a_box_says_which():
    cell, halt = tg.nn.RNNCell(3, 4, rng=0), tg.nn.Linear(4, 1, rng=1)
    with tg.trace() as tr:
        h, total, mean = np.zeros(4), 0.0, 0.0
        for x in np.eye(3):
            h = cell(x, h)
            p = tg.ops.sigmoid(halt(h))[0]
            total, mean = total + p, mean + p * h
            h = mean * (2 - total)
        h.sum().backward()
    assert sum(text.split()[0] == "p" for texts in texts_beside(tr).values() for text in texts) == 3
