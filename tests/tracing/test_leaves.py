"""What the leaves of a network are: inputs, initial states, constants, parameters; each is one."""

import numpy as np
import pytest
from tracing.proofs import prove

import tinygrad_rnn as tg
from tinygrad_rnn.tracing.network.blocks import network_of
from tinygrad_rnn.tracing.network.quotient import shapes_passed
from tinygrad_rnn.tracing.recording.graph import Graph

T, N = 4, 3
tanh = tg.ops.tanh


def weight(*shape, seed=0, name=None):
    numbers = np.random.default_rng(seed).standard_normal(shape)
    return tg.tensor(numbers, requires_grad=True, name=name)


W, U, b = weight(N, N, seed=1, name="W"), weight(N, N, seed=2, name="U"), weight(N, name="b")
ROWS = np.random.default_rng(3).standard_normal((T, N))


def network(program, recorded=True):
    """The proved network of a program; where nothing is recorded, of what its result remembers."""
    if not recorded:
        return network_of(Graph.of(program()))
    with tg.trace() as tr:
        program().backward()
    found = network_of(tr.graph())
    prove(tr.graph(), found)
    return found


def columns(found, kind):
    return sorted(block.columns for block in found.blocks if block.kind == kind)


def labels(found, kind):
    return [block.label for block in found.blocks if block.kind == kind]


EACH = [(t,) for t in range(T)]
both = pytest.mark.parametrize("recorded", [True, False])


# One array


def two_ops_read_x():
    h = np.zeros(N)
    for x in ROWS:
        with tg.scope("step"):
            h = tanh(W @ x + U @ h) * x
    return (h * h).sum()


@both
def test_an_array_that_several_ops_are_given_is_one_input(recorded):
    found = network(two_ops_read_x, recorded)
    assert columns(found, "input") == EACH
    assert labels(found, "input") == ["x₀", "x₁", "x₂", "x₃"]
    assert columns(found, "initial") == [(0,)]


def test_an_array_that_was_written_into_is_another_leaf():
    x = np.ones(N)
    with tg.trace() as tr:
        y = W @ x
        x[0] = 2
        (y + W @ x).sum()
    leaves = [node for node in tr.graph().nodes if node.op is None and not node.is_parameter]
    assert [leaf.data.tolist() for leaf in leaves] == [[1, 1, 1], [2, 1, 1]]


def test_an_array_of_a_dead_one_s_address_is_no_other():
    with tg.trace() as tr:
        parts = [W @ np.full(N, float(k)) for k in range(8)]
        sum(parts).sum()
    leaves = [node for node in tr.graph().nodes if node.op is None and not node.is_parameter]
    assert len(leaves) == 8


def a_sequence_and_its_rows():
    rnn, cell = tg.nn.RNN(N, N, rng=0), tg.nn.RNNCell(2 * N, N, rng=1)
    ys, h = rnn(ROWS)[0], None
    for t in range(T):
        h = cell(np.concatenate([ROWS[t], ys[t]]), h)
    return (h * h).sum()


def test_a_row_of_an_array_is_a_part_of_it():
    found = network(a_sequence_and_its_rows)
    assert columns(found, "input") == EACH


# Initial states


def chunk(h, c):
    lstm = tg.nn.LSTM(N, N, rng=0)
    return (lstm(ROWS, (h, c))[0] ** 2).sum()


@both
def test_states_that_are_given_as_arrays_are_initial_states(recorded):
    found = network(lambda: chunk(np.ones((1, N)), np.zeros((1, N))), recorded)
    assert columns(found, "input") == EACH
    assert labels(found, "initial") == ["h₋₁, c₋₁"]


def test_states_of_several_layers_in_one_array_are_one_circle_each():
    lstm, h = tg.nn.LSTM(N, N, num_layers=2, rng=0), np.zeros((2, N))
    found = network(lambda: (lstm(ROWS, (h, h + 1))[0] ** 2).sum())
    assert columns(found, "input") == EACH
    assert labels(found, "initial") == ["h₋₁, c₋₁", "h₋₁, c₋₁"]
    assert [len(chain.initial) for chain in found.chains] == [1, 1]


def zoned_out():
    cell, h = tg.nn.RNNCell(N, N, rng=0), np.zeros(N)
    for x, keep in zip(ROWS, ROWS > 0, strict=True):
        h = tg.ops.where(keep, h, cell(x, h))
    return (h * h).sum()


def test_what_a_mask_keeps_of_the_initial_state_is_no_input():
    found = network(zoned_out)
    assert columns(found, "initial") == [(0,)]
    assert columns(found, "input") == sorted(EACH * 2)


# What NumPy computed before the first op


def joined():
    h = np.zeros(N)
    V = weight(N, 2 * N)
    for x in ROWS:
        with tg.scope("step"):
            h = tanh(V @ np.concatenate([x, h]))
    return (h * h).sum()


@both
def test_what_is_joined_before_the_first_op_is_told_apart(recorded):
    found = network(joined, recorded)
    assert columns(found, "input") == EACH
    first, start = found.by_id["input-0"], found.by_id["initial-0"]
    np.testing.assert_array_equal(first.pieces[0].of(first.pieces[0].node.data), ROWS[0])
    np.testing.assert_array_equal(start.pieces[0].of(start.pieces[0].node.data), np.zeros(N))


def filtered():
    F, m = np.array([[1.0, 1, 0], [0, 1, 1], [0, 0, 1]]), np.ones(N)
    for z in ROWS[:, 0]:
        with tg.scope("filter"):
            m = b * (F @ m)
            m = m + (z - m[0]) * np.exp(b) * np.eye(N)[0]
    return (m * m).sum()


def test_what_was_computed_of_the_initial_state_is_the_initial_state():
    found = network(filtered)
    assert [p.node.data.tolist() for p in found.by_id["initial-0"].pieces] == [[2, 2, 1]]
    assert columns(found, "input") == EACH
    assert [block.pieces[0].node.data for block in found.blocks if block.kind == "input"] == [
        pytest.approx(z) for z in ROWS[:, 0]
    ]


def decaying():
    """A line with two products: in the first step NumPy alone computes the first of them."""
    h = np.zeros(N)
    for x in ROWS:
        with tg.scope("step"):
            z = tanh(W @ x + b)
            h = 0.5 * h + z * x
    return (h * h).sum()


@both
def test_what_was_computed_of_the_initial_state_is_told_from_what_stands_beside_it(recorded):
    found = network(decaying, recorded)
    assert [p.node.data.tolist() for p in found.by_id["initial-0"].pieces] == [[0] * N]
    assert columns(found, "input") == EACH


# Constants


def turned(F):
    h = np.zeros(N)
    for x in ROWS:
        with tg.scope("step"):
            h = tanh(W @ x + F @ h + b * np.eye(N)[1])
    return (h * h).sum()


@both
def test_what_is_the_same_at_every_step_is_one_constant(recorded):
    found = network(lambda: turned(np.tri(N)), recorded)
    assert columns(found, "input") == EACH
    kept = [[p.shape for p in block.pieces] for block in found.blocks if block.kind == "constant"]
    assert sorted(kept) == [[(N,)] * T, [(N, N)]]
    assert len(found.constants) == 2


def test_constants_have_their_names():
    class Cell(tg.nn.Module):
        def __init__(self):
            self.mask = np.tri(N)
            self.W = tg.nn.Parameter(np.ones((N, N)))

        def forward(self, x, h):
            return tanh((self.W * self.mask) @ h + turning.T @ h + x)

    turning, cell = np.roll(np.eye(N), 1, 0), Cell()

    def program():
        h = np.zeros(N)
        for x in ROWS:
            h = cell(x, h)
        return (h * h).sum()

    assert [block.label for block in network(program).constants] == ["mask", "turningᵀ"]


def planned(plan):
    h = np.zeros(N)
    for _ in range(T):
        with tg.scope("step"):
            h = tanh(W @ plan + U @ h)
    return (h * h).sum()


def test_what_goes_through_a_weight_is_an_input_of_every_step():
    (plan,) = (
        block for block in network(lambda: planned(np.ones(N))).blocks if block.kind == "input"
    )
    assert (plan.label, plan.columns) == ("plan", (0, 1, 2, 3))


def test_a_name_in_the_circle_does_not_stand_beside_it_again():
    def program():
        xplan, h = np.ones(N), np.zeros(N)
        for _ in range(T):
            with tg.scope("step"):
                h = tanh(W @ xplan + U @ h)
        return (h * h).sum()

    (found,) = (block for block in network(program).blocks if block.kind == "input")
    assert (found.label, found.caption) == ("xplan", "")


@both
def test_an_array_that_two_steps_read_is_the_x_of_each_or_the_row_that_it_is(recorded):
    def program():
        h = np.zeros(N)
        for letter in (0, 1, 2, 2):
            with tg.scope("step"):
                h = tanh(W @ ROWS[letter] + U @ h)
        return (h * h).sum()

    found = {b.columns: b.labels for b in network(program, recorded).blocks if b.kind == "input"}
    rows = {(0,): ("ROWS₀",), (1,): ("ROWS₁",), (2, 3): ("ROWS₂", "ROWS₂")}
    nameless = {(0,): ("x₀",), (1,): ("x₁",), (2, 3): ("x₂", "x₃")}
    assert found == (rows if recorded else nameless)


def fed_by_ones(x_of):
    h = tg.tensor(np.zeros(N))
    for t in range(T):
        with tg.scope("step"):
            h = b * h + b * x_of(t)
    return (h * h).sum()


@both
@pytest.mark.parametrize(
    "x_of", [lambda t: np.ones(N), np.ones((T, N)).__getitem__, lambda t: tg.tensor(np.ones(N))]
)
def test_inputs_that_happen_to_be_equal_are_inputs(x_of, recorded):
    assert columns(network(lambda: fed_by_ones(x_of), recorded), "input") == EACH


# Numbers that say which


def spelled():
    embed, cell, h = tg.nn.Embedding(5, N, rng=0), tg.nn.RNNCell(N, N, rng=1), None
    for letter in (1, 1, 0, 4):
        h = cell(embed(letter), h)
    return (h * h).sum()


@both
def test_a_number_that_looks_up_a_row_is_an_input(recorded):
    found = network(spelled, recorded)
    assert columns(found, "input") == EACH
    assert [block.kind for block in found.parameters].count("derived") == 0


@both
def test_scalars_of_an_array_are_inputs(recorded):
    found = network(lambda: fed_by_ones(np.arange(1.0, T + 1).__getitem__), recorded)
    assert columns(found, "input") == EACH


# Parameters


def mixed():
    mix, cell, h = weight(2, N, name="mix"), tg.nn.RNNCell(N, N, rng=0), None
    for x in ROWS:
        h = cell(x * mix[0] + np.exp(mix[1]), h)
    return (h * h).sum()


def test_a_part_of_a_parameter_is_that_and_what_is_made_of_it_anew_is_one():
    found = network(mixed)
    names = [block.trained or block.label for block in found.parameters]
    assert sorted(names) == ["W_hh", "W_xh", "b_h", "exp(mix[1])", "mix"]
    assert len(found.leaving[found.by_id["derived-0"]]) == T


def test_what_the_loss_alone_reads_of_a_parameter_is_none():
    transitions, cell = weight(3, 3, name="transitions"), tg.nn.RNNCell(N, 3, rng=0)

    def scored():
        h, loss = None, 0.0
        for x in ROWS:
            h = cell(x, h)
            loss = loss + (transitions @ h).sum()
        return loss - transitions[[0, 1], [1, 2]].sum()

    found = network(scored)
    names = {block.trained or block.label for block in found.parameters}
    assert names == {"W_hh", "W_xh", "b_h", "transitions"}
    assert found.loss.formula.endswith("− Σ transitions[[0, 1], [1, 2]]")


# A tree


class Summed(tg.nn.Module):
    """A node of a tree: its word, and the sum of its children from a zero on."""

    def __init__(self):
        self.W = tg.nn.Parameter(np.ones((N, N)))

    def forward(self, tree):
        number, children = tree
        total = sum((self(child) for child in children), np.zeros(N))
        return tanh(self.W @ total + ROWS[number])


def test_all_nodes_of_a_tree_show_the_zero_that_their_sum_begins_with():
    summed = Summed()
    tree = (0, [(1, [(2, [])]), (3, [(0, [])])])
    with tg.trace() as tr:
        summed(tree).sum().backward()
    found = network_of(tr.graph())
    assert not columns(found, "constant")
    inputs = [arrow for arrow in found.arrows if arrow.kind == "input"]
    zeros = [a.target for a in inputs if not a.values[0].of(a.values[0].node.data).any()]
    assert set(zeros) == set(found.cells)
    assert [row.path for row in found.rows if row.kind == "cell"] == ["summed"]


# What passes


def windowed():
    """A convolution over two steps of what a cell makes, in two parts."""
    cell, conv = tg.nn.RNNCell(N, N, rng=0), weight(4, 2 * N)
    h, hs = None, list[tg.Tensor]()
    for x in ROWS:
        h = cell(x, h)
        hs.append(h * 2.0)
    made = np.stack(hs)
    windows = np.concatenate([np.concatenate([np.zeros((1, N)), made[:-1]]), made], axis=1)
    first, second = np.split(tg.ops.linear(windows, conv), 2, axis=1)
    c = np.zeros(2)
    for z, f in zip(tanh(first), tg.ops.sigmoid(second), strict=True):
        c = f * c + (1 - f) * z
    return c.sum()


def test_an_arrow_has_the_shape_of_what_passes():
    """Of a row of windows each step gives its own half; of what is split each part is read."""
    found = network(windowed)
    ups = [a for a in found.arrows if a.kind in ("up", "other") and a.target.kind == "between"]
    doubled = {s for a in ups if a.source.sign == "⊙" for s in shapes_passed(a.reads)}
    assert doubled == {(N,)}
    split = {r.shape for a in found.arrows for r in a.reads if r.reader.node.op == "getitem"}
    assert split == {(2,)}


def test_a_parameter_that_is_read_in_the_place_of_an_input_comes_in_as_one():
    cell, go = tg.nn.RNNCell(N, N, rng=0), tg.nn.Parameter(np.ones(N))

    def program():
        h, x = None, go
        for following in ROWS:
            h = cell(x, h)
            x = following
        return (h * h).sum()

    found = network(program)
    first, *_ = [block for block in found.blocks if block.kind == "input"]
    assert (first.label, first.columns) == ("go", (0,))
    assert "go" in [block.trained or block.label for block in found.parameters]
    (read,) = found.leaving[first]
    assert {one.flow for one in read.reads} == {"gradient"}
