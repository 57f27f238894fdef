"""Initial states: a circle for each chain, and from it a way for each state that it is."""

import numpy as np
import pytest
from diagrams.flaws import flaws

import tinygrad_rnn as tg
from tinygrad_rnn.tracing.network.blocks import network_of
from tinygrad_rnn.tracing.trace import Trace

LAYERS, STEPS, UNITS = 2, 3, 3


class Pair(tg.nn.Module):
    """Two states, the first of which looks at both."""

    def __init__(self):
        self.to_a, self.to_b = tg.nn.Linear(UNITS, UNITS, rng=0), tg.nn.Linear(UNITS, UNITS, rng=1)

    def forward(self, x, a, b):
        a = tg.ops.tanh(self.to_a(x) + a * b)
        b = tg.ops.tanh(self.to_b(a) + b)
        return a, b


def recorded(two_arrays: bool) -> Trace:
    """Two layers that all begin with one array, or with one for each state."""
    cells = [Pair() for _ in range(LAYERS)]
    rest = np.zeros(UNITS)
    begin = (tg.tensor(rest), tg.tensor(rest.copy())) if two_arrays else (tg.tensor(rest),) * 2
    states = [begin] * LAYERS
    with tg.trace() as tr:
        total = 0.0
        for x in np.eye(UNITS)[:STEPS]:
            y = tg.tensor(x)
            for layer, cell in enumerate(cells):
                states[layer] = cell(y, *states[layer])
                y = states[layer][0]
            total = total + (y * states[-1][1]).sum()
        total.backward()
    return tr


@pytest.mark.parametrize("view", ["unrolled", "ops"])
@pytest.mark.parametrize("two_arrays", [False, True])
def test_each_layer_has_its_own_circle_and_each_state_its_way(view, two_arrays):
    drawing = tg.draw(recorded(two_arrays), view=view).drawing
    assert flaws(drawing) == []
    circles = [shape for shape in drawing.shapes if shape.cls == "state"]
    divided = view == "ops" and two_arrays
    assert len(circles) == LAYERS * (2 if divided else 1)
    if not divided:
        assert [text.text for text in circles[0].texts][:2] == ["a₋₁", "b₋₁"]
    ways = [edge for edge in drawing.edges if edge.source in {circle.id for circle in circles}]
    for layer in range(LAYERS):
        mine = [edge for edge in ways if edge.target == f"cell-{layer}-0"]
        if view == "ops":
            assert [edge.label.text for edge in mine] == ["a₋₁", "b₋₁"]
        else:
            assert [edge.label.text for edge in mine] == ["a₋₁, b₋₁"]


def test_copies_are_the_same_drawing_though_the_first_reads_one_array_twice():
    drawing = tg.draw(recorded(two_arrays=False), view="ops").drawing
    box = {shape.id: shape for shape in drawing.shapes if shape.cls == "cell"}
    inside = [
        {
            (s.x - box[f"cell-0-{t}"].x, s.y - box[f"cell-0-{t}"].y)
            for s in drawing.shapes
            if s.id.startswith(f"op-0-{t}-")
        }
        for t in range(STEPS)
    ]
    assert inside[0]
    assert np.allclose(sorted(inside[0]), sorted(inside[1]))


def test_what_is_read_of_two_states_beside_the_copies_comes_from_both_circles():
    cell, head = tg.nn.LSTMCell(UNITS, UNITS, rng=0), tg.nn.Linear(2 * UNITS, UNITS, rng=1)
    h, c = tg.tensor(np.zeros(UNITS)), tg.tensor(np.ones(UNITS))
    with tg.trace() as tr:
        for x in np.eye(UNITS)[:STEPS]:
            act = tg.ops.tanh(head(tg.ops.concatenate([h, c])))
            h, c = cell(act + x, (h, c))
        (h * h).sum().backward()
    for gradients in (False, True):
        drawing = tg.draw(tr, view="ops", gradients=gradients).drawing
        assert flaws(drawing) == []
        circles = {shape.id for shape in drawing.shapes if shape.cls == "state"}
        beside = {e.source for e in drawing.edges if e.target.startswith("between")}
        assert len(circles) == 2
        assert circles <= beside


def test_a_last_copy_whose_state_nothing_depends_on_is_called_as_what_leaves_it():
    cell, head = Pair(), tg.nn.Linear(UNITS, 2, rng=0)
    with tg.trace() as tr:
        a, b, total = tg.tensor(np.zeros(UNITS)), tg.tensor(np.ones(UNITS)), 0.0
        for x in np.eye(UNITS):
            with tg.scope("step"):
                said = head(a * b)
                a, b = cell(tg.tensor(x), a, b)
            total = total + (said * said).sum()
        total.backward()
    last = f"cell-0-{UNITS - 1}"
    for gradients in (False, True):
        drawing = tg.draw(tr, gradients=gradients).drawing
        box = next(shape for shape in drawing.shapes if shape.id == last)
        title, note = (text.text for text in box.texts)
        assert title == f"said{'₀₁₂₃₄₅'[UNITS - 1]}"
        assert note.startswith("‖∇‖ ") if gradients else note == "(2,)"
    marks = [s for s in drawing.shapes if s.cls == "mark" and s.id.startswith("mark-0-0-")]
    assert len(marks) == UNITS - 1


def test_what_is_fed_back_beside_the_copies_begins_with_an_initial_state():
    cell, out = tg.nn.RNNCell(2 * UNITS, UNITS, rng=0), tg.nn.Linear(UNITS, UNITS, rng=1)
    with tg.trace() as tr:
        h, context, total = None, np.zeros(UNITS), 0.0
        for x in np.eye(UNITS):
            h = cell(tg.ops.concatenate([tg.tensor(x), context]), h)
            context = tg.ops.tanh(out(h))
            total = total + (context * context).sum()
        total.backward()
    for view in ("unrolled", "ops"):
        drawing = tg.draw(tr, view=view).drawing
        assert flaws(drawing) == []
        circles = {s.texts[0].text for s in drawing.shapes if s.cls == "state"}
        assert circles == {"h₋₁", "context₋₁"}
        assert sum(shape.cls == "input" for shape in drawing.shapes) == UNITS


def test_names_that_end_with_the_step_are_written_as_it():
    cell = tg.nn.RNNCell(UNITS, UNITS, rng=0)
    with tg.trace() as tr:
        h_t = tg.tensor(np.zeros(UNITS))
        for x_t in np.eye(UNITS):
            with tg.scope("step"):
                h_t = tg.ops.tanh(cell(x_t, h_t))
        (h_t * h_t).sum().backward()
    drawing = tg.draw(tr).drawing
    said = {t.text for s in drawing.shapes if s.cls in ("cell", "input", "state") for t in s.texts}
    assert {"h₀", "h₋₁", "x₀"} <= said
    assert not {text for text in said if "_t" in text}


def test_what_several_states_begin_with_stands_in_their_order():
    class Decoder(tg.nn.Module):
        def __init__(self):
            self.cell, self.head = tg.nn.GRUCell(2, 3, rng=0), tg.nn.Linear(3, 2, rng=1)

        def forward(self, y, h):
            h = self.cell(y, h)
            return self.head(h), h

    decoder = Decoder()
    h, y = tg.tensor(np.zeros(3), name="zeros"), tg.tensor(np.ones(2), name="go")
    with tg.trace() as tr:
        for _ in range(3):
            y, h = decoder(y, h)
        (y * y).sum().backward()
    found = network_of(tr.graph())
    (initial,) = (block for block in found.blocks if block.kind == "initial")
    assert (initial.label, initial.caption) == ("y₋₁, h₋₁", "go, zeros")


def test_a_name_of_what_one_of_several_states_begins_with_is_said_of_that_state():
    pair, memory = Pair(), tg.nn.Parameter(np.ones(UNITS), name="memory")
    with tg.trace() as tr:
        a, b = tg.tensor(np.zeros(UNITS)), memory
        for x in np.eye(UNITS)[:STEPS]:
            a, b = pair(tg.tensor(x), a, b)
        (a * b).sum().backward()
    (circle,) = (s for s in tg.draw(tr).drawing.shapes if s.cls == "state")
    assert [text.text for text in circle.texts] == ["a₋₁", "b₋₁", "b₋₁ = memory"]


class Four(tg.nn.Module):
    """Four states, each of which looks at the next."""

    def forward(self, x, a, b, c, d):
        return tg.ops.tanh(a * b + x), tg.ops.tanh(b * c), tg.ops.tanh(c * d), tg.ops.tanh(d * a)


def test_the_circles_of_many_states_are_no_higher_than_their_own_names_need():
    four, states = Four(), [tg.tensor(np.full(UNITS, k / 4)) for k in range(4)]
    with tg.trace() as tr:
        for x in np.eye(UNITS):
            states = four(tg.tensor(x, requires_grad=True), *states)
        sum((state * state).sum() for state in states).backward()
    drawing = tg.draw(tr, view="ops").drawing
    assert flaws(drawing) == []
    circles = [[text.text for text in s.texts] for s in drawing.shapes if s.cls == "state"]
    assert [len(names) for names in circles] == [1, 1, 1, 1]


def test_a_name_that_is_too_long_for_a_circle_stands_whole_below_it():
    with tg.trace() as tr:
        activations_before, W = np.zeros(UNITS), tg.nn.Parameter(np.eye(UNITS), name="W")
        for x in np.eye(UNITS):
            activations_before = tg.ops.tanh(activations_before @ W + x)
        (activations_before**2).sum().backward()
    drawing = tg.draw(tr).drawing
    assert flaws(drawing) == []
    (circle,) = (shape for shape in drawing.shapes if shape.cls == "state")
    assert circle.texts[0].text == "activations_before₋₁"
    assert all(text.y < circle.y - circle.height / 2 for text in circle.texts)
    assert min(text.size for text in circle.texts) > 9


def kept_of_two(steps=3):
    """What a mask keeps of both states, by products beside an LSTM; NumPy alone has the first."""
    cell, (h, c) = tg.nn.LSTMCell(UNITS, UNITS, rng=0), np.zeros((2, 1, UNITS))
    for k, x in enumerate(np.eye(UNITS)[:steps]):
        mask = np.full((1, UNITS), 0.5 + k / 10)
        h_new, c_new = cell(tg.tensor(x[None]), (h, c))
        h, c = mask * h_new + (1 - mask) * h, mask * c_new + (1 - mask) * c
    return (h**2).sum()


def kept_of_one(steps=3):
    cell, h = tg.nn.GRUCell(UNITS, UNITS, rng=0), np.zeros(UNITS)
    for k, x in enumerate(np.eye(UNITS)[:steps]):
        keep = np.full(UNITS, 0.5 + k / 10)
        h = keep * h + (1 - keep) * cell(tg.tensor(x), h)
    return (h**2).sum()


@pytest.mark.parametrize("view", ["unrolled", "rolled", "ops"])
@pytest.mark.parametrize("program", [kept_of_one, kept_of_two])
def test_what_is_fed_back_beside_an_opened_copy_passes_no_other_circle(program, view):
    """Each arrow begins and ends at something, also where many ways leave one copy."""
    with tg.trace() as tr:
        program().backward()
    assert not flaws(tg.draw(tr, view=view, gradients=view == "unrolled").drawing)


def test_one_array_that_two_layers_begin_with_is_called_as_each_calls_it():
    lower, upper = tg.nn.RNNCell(3, 4, rng=0), tg.nn.RNNCell(4, 4, rng=1)
    with tg.trace() as tr:
        h = g = np.zeros(4)
        for x in np.eye(3):
            h = lower(x, h)
            g = upper(h, g)
        (g**2).sum().backward()
    circles = [shape for shape in tg.draw(tr).drawing.shapes if shape.cls == "state"]
    assert [circle.texts[0].text for circle in circles] == ["h₋₁", "g₋₁"]
    assert [circle.id for circle in circles] == ["initial-0", "initial-0-chain-1-0"]


def messages(program):
    """What is written beside the arrows from column to column."""
    with tg.trace() as tr:
        program().backward()
    ways = (edge for edge in tg.draw(tr).drawing.edges if edge.label is not None)
    return {way.label.text for way in ways if "₋₁" not in way.label.text}


class Backwards(Pair):
    """Makes its second state first."""

    def forward(self, x, a, b):
        b = tg.ops.tanh(self.to_b(x) + b)
        a = tg.ops.tanh(self.to_a(b) + a)
        return a, b


def test_states_stand_beside_an_arrow_in_the_order_in_which_the_program_returns_them():
    def program():
        cell, a, b = Backwards(), np.zeros(UNITS), np.ones(UNITS)
        for x in np.eye(UNITS):
            a, b = cell(tg.tensor(x), a, b)
        return (a * b).sum()

    assert messages(program) == {"a₀, b₀", "a₁, b₁"}


def test_what_is_made_between_the_copies_and_handed_on_has_its_step():
    def moved():
        step, z, total = tg.nn.Linear(UNITS, UNITS, rng=0), np.ones(UNITS), 0.0
        for _ in range(STEPS):
            z = z + step(z)
            total = total + (z * z).sum()
        return total

    def begun():
        lower, upper = tg.nn.RNNCell(UNITS, UNITS, rng=0), tg.nn.RNNCell(UNITS, UNITS, rng=1)
        h, s = None, None
        for x in np.eye(UNITS):
            h = lower(x, h)
        s = tg.ops.tanh(h * h)
        for x in np.eye(UNITS):
            s = upper(x, s)
        return s.sum()

    assert messages(moved) == {"z₀", "z₁"}
    with tg.trace() as tr:
        begun().backward()
    labels = {edge.label.text for edge in tg.draw(tr).drawing.edges if edge.label is not None}
    assert "s₋₁" in labels
    assert "s" not in labels
