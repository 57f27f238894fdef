"""Copies are found in what ran: the network in the graph is the one the user wrote."""

from collections import Counter
from contextlib import nullcontext

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.tracing.network.blocks import network_of as quotient_of
from tinygrad_rnn.tracing.recording.graph import Graph


def network_of(output):
    network = quotient_of(Graph.of(output))
    assert network is not None
    return network


def counts(network):
    kinds = Counter(arrow.kind for arrow in network.arrows if arrow.source.kind != "target")
    del kinds["parameter"]
    return kinds + Counter(output=len(network.outputs))


def cell_rows(network):
    return [row for row in network.rows if row.kind in ("cell", "loop")]


def messages(network):
    return [arrow for arrow in network.arrows if arrow.kind == "message"]


def names_of_parameters(network):
    return [block.label for block in network.parameters]


def steps(T, size=3):
    return tg.tensor(np.random.default_rng(0).standard_normal((T, size)))


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("T", [1, 2, 4, 17])
def test_a_stack_is_rows_of_copies(T, layers):
    rnn = tg.nn.RNN(3, 5, output_size=2, num_layers=layers, rng=0)
    network = network_of(tg.nn.cross_entropy(rnn(steps(T))[0], np.zeros(T, int)))
    assert network.columns == T
    assert len(network.cells) == T * layers
    expected = {"message": (T - 1) * layers, "initial": layers, "input": T, "output": T, "loss": T}
    # into the row above, and into the output's head
    assert counts(network) == Counter({**expected, "up": T * layers})
    assert [row.path for row in cell_rows(network)] == [f"rnn.cells.{k}" for k in range(layers)]


def test_cells_are_numbered_by_row_and_call():
    network = network_of(tg.nn.RNN(3, 5, num_layers=2)(steps(3))[0])
    assert sorted(cell.id for cell in network.cells) == [
        f"cell-{k}-{t}" for k in range(2) for t in range(3)
    ]
    assert all(cell.columns == (cell.t,) for cell in network.cells)


def test_one_network_fed_to_another_is_two_rows():
    model = tg.nn.Sequential(tg.nn.RNN(3, 5, output_size=4), tg.nn.RNN(4, 2))
    network = network_of(model(steps(4))[0].sum())
    assert len(cell_rows(network)) == 2
    assert counts(network)["up"] == 2 * 4  # into the head, and from there to the row above
    assert counts(network)["output"] == counts(network)["loss"] == 4
    assert [name for name in names_of_parameters(network) if "W" in name] == [
        "0.W_xh", "0.W_hh", "0.W_hy", "1.W_xh", "1.W_hh",
    ]  # fmt: skip


def test_a_users_loop_over_a_cell():
    cell, h = tg.nn.RNNCell(3, 5), None
    for x in steps(6):
        h = cell(x, h)
    network = network_of(h)
    assert [row.name for row in cell_rows(network)] == ["RNNCell"]
    assert counts(network) == Counter({"message": 5, "initial": 1, "input": 6, "output": 1})


def test_plain_ops_in_a_scope_are_copies_and_without_one_are_not():
    def loop(scope):
        W_xh = tg.tensor(np.eye(5, 3), requires_grad=True, name="W_xh")
        W_hh = tg.tensor(np.eye(5), requires_grad=True, name="W_hh")
        h = tg.tensor(np.zeros(5))
        for x in steps(4):
            with scope():
                h = tg.ops.tanh(W_xh @ x + W_hh @ h)
        return h

    network = network_of(loop(lambda: tg.scope("cell")))
    assert [row.name for row in cell_rows(network)] == ["scope"]
    assert counts(network) == Counter({"message": 3, "initial": 1, "input": 4, "output": 1})
    assert names_of_parameters(network) == ["W_xh", "W_hh"]
    assert quotient_of(Graph.of(loop(nullcontext))) is None


class UsersCell(tg.nn.Module):
    """Keeps a state of two tensors, and has a module inside."""

    def __init__(self):
        self.inner = tg.nn.Linear(3 + 4, 4)

    def forward(self, x, h, c):
        z = self.inner(np.concatenate([x, h]))
        c = 0.5 * c + tg.ops.tanh(z)
        return tg.ops.sigmoid(c), c


def test_any_module_of_the_users_is_a_cell_and_the_outermost_counts():
    cell, h, c = UsersCell(), tg.tensor(np.zeros(4)), tg.tensor(np.zeros(4))
    for x in steps(5):
        h, c = cell(x, h, c)
    network = network_of(h.sum())
    assert [row.name for row in cell_rows(network)] == ["UsersCell"]
    assert [len(arrow.values) for arrow in messages(network)] == [2] * 4
    assert names_of_parameters(network) == ["inner.weight", "inner.bias"]


def test_a_head_that_follows_the_cell_is_no_row():
    cell, head, h, ys = tg.nn.RNNCell(3, 5), tg.nn.Linear(5, 2), None, []
    for x in steps(4):
        h = cell(x, h)
        ys.append(head(h))
    network = network_of(tg.ops.stack(ys).sum())
    assert [row.name for row in cell_rows(network)] == ["RNNCell"]
    assert [output.label for output in network.outputs] == ["y₀", "y₁", "y₂", "y₃"]


def test_an_mlp_called_again_and_again_is_not_recurrent():
    mlp = tg.nn.Sequential(tg.nn.Linear(3, 4), tg.nn.Linear(4, 2))
    total = sum((mlp(x).sum() for x in steps(4)), tg.tensor(0.0))
    assert quotient_of(Graph.of(total)) is None


def test_a_training_script_of_many_steps_is_one_network():
    rnn = tg.nn.RNN(3, 5, output_size=2, rng=0)
    optimizer = tg.optim.SGD(rnn.parameters(), lr=0.1)
    with tg.trace() as tr:
        for _ in range(20):
            loss = tg.nn.cross_entropy(rnn(steps(4))[0], [0, 1, 0, 1])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    network = quotient_of(tr.graph())
    assert network.columns == 4
    assert len(network.cells) == 4
    assert len(network.parameters) == 5


def test_a_detached_state_still_is_a_message_and_says_that_it_is_cut():
    rnn, state = tg.nn.RNN(3, 5, output_size=2, rng=0), None
    with tg.trace() as tr:
        for _ in range(3):
            ys, state = rnn(steps(2), state)
            tg.nn.cross_entropy(ys, [0, 1]).backward()
            state = state.detach()
    network = quotient_of(tr.graph())
    assert network.columns == 6
    reading = [one for copy in network.cells for one in network.entering[copy]]
    assert [one.cut for one in reading if one.kind == "message"] == [
        False, True, False, True, False,
    ]  # fmt: skip


def test_parameters_are_what_the_last_step_read():
    """In one graph that spans updates, each is several leaves with one id."""
    rnn, state = tg.nn.RNN(3, 5, output_size=2, rng=0), None
    optimizer = tg.optim.SGD(rnn.parameters(), lr=0.1)
    with tg.trace() as tr:
        for _ in range(8):
            optimizer.step()
            optimizer.zero_grad()
            ys, state = rnn(steps(2), state if state is None else state.detach())
            tg.nn.cross_entropy(ys, [0, 1]).backward()
    legend = quotient_of(tr.graph()).parameters
    read = {parameter.label: parameter.pieces[-1].node.data for parameter in legend}
    for name, parameter in rnn.named_parameters():
        assert np.array_equal(read[name], parameter.data)


def test_one_loss_of_the_last_step_leaves_the_other_outputs_unused():
    ys, _ = tg.nn.RNN(3, 5, output_size=2)(steps(4))
    network = network_of(tg.nn.cross_entropy(ys[-1], 0))
    assert [output.id for output in network.outputs if output.used] == ["output-3"]
    unused = {output.id for output in network.outputs if not output.used}
    assert unused == {"output-0", "output-1", "output-2"}


def test_an_encoder_and_a_decoder_stand_one_after_the_other():
    encoder, decoder = tg.nn.RNNCell(3, 5), tg.nn.RNNCell(3, 5)
    h = None
    for x in steps(3):
        h = encoder(x, h)
    for x in steps(2):
        h = decoder(x, h)
    network = network_of(h.sum())
    assert [(cell.row.number, cell.t, cell.columns) for cell in network.cells] == [
        (0, 0, (0,)), (0, 1, (1,)), (0, 2, (2,)), (1, 0, (3,)), (1, 1, (4,)),
    ]  # fmt: skip


def test_a_loop_from_the_last_input_to_the_first_is_a_reversed_row():
    forward, backward = tg.nn.RNNCell(3, 5), tg.nn.RNNCell(3, 5)
    xs, f, b, fs, bs = list(steps(4)), None, None, [], []
    for x in xs:
        f = forward(x, f)
        fs.append(f)
    for x in reversed(xs):
        b = backward(x, b)
        bs.append(b)
    both = np.concatenate([tg.ops.stack(fs), tg.ops.stack(bs[::-1])], axis=1)
    network = network_of(tg.nn.Linear(10, 2)(both).sum())
    rows = cell_rows(network)
    assert [row.reverse for row in rows] == [False, True]
    assert [row.title for row in rows] == ["layer 0", "layer 0, reversed"]
    assert [cell.columns[0] for cell in rows[1].blocks] == [3, 2, 1, 0]
    assert [cell.label for cell in rows[1].blocks] == ["h₃", "h₂", "h₁", "h₀"]
    assert counts(network)["input"] == 8
    assert len([block for block in network.blocks if block.kind == "input"]) == 4
    assert [output.label for output in network.outputs] == ["y₀", "y₁", "y₂", "y₃"]


def test_an_embedding_inside_the_cell_still_shows_what_is_read():
    class Reader(tg.nn.Module):
        def __init__(self):
            self.embedding, self.cell = tg.nn.Embedding(4, 3), tg.nn.RNNCell(3, 5)

        def forward(self, index, h):
            return self.cell(self.embedding(index), h)

    reader, h = Reader(), tg.tensor(np.zeros(5))
    for index in (0, 3, 1):
        h = reader(np.array(index), h)
    network = network_of(h)
    assert counts(network) == Counter({"message": 2, "initial": 1, "input": 3, "output": 1})


def test_a_learned_initial_state_is_the_initial_state():
    cell, h = tg.nn.RNNCell(3, 5), tg.tensor(np.zeros(5), requires_grad=True, name="h_start")
    for x in steps(3):
        h = cell(x, h)
    network = network_of(h)
    assert [block.caption for block in network.blocks if block.kind == "initial"] == ["h_start"]
    assert "h_start" in [block.trained for block in network.parameters]


def test_dropout_between_two_steps_does_not_hide_the_message():
    cell, dropout, h = tg.nn.RNNCell(3, 5), tg.nn.Dropout(0.5, rng=0), tg.tensor(np.zeros(5))
    for x in steps(4):
        h = dropout(cell(x, h))
    network = network_of(h)
    assert [row.name for row in cell_rows(network)] == ["RNNCell"]
    # by way of the dropout
    assert len([arrow for arrow in messages(network) if arrow.target.kind == "cell"]) == 3


def test_names_of_tensors_are_captions():
    characters = [tg.tensor(row, name=name) for row, name in zip(np.eye(3), "abc", strict=True)]
    ys, _ = tg.nn.RNN(3, 5, output_size=3)(tg.ops.stack(characters))
    with tg.trace() as tr:
        ys, _ = tg.nn.RNN(3, 5, output_size=3)(tg.ops.stack(characters))
        for y, name in zip(ys, "bcd", strict=True):
            y.name = name
        ys.sum().backward()
    network = quotient_of(tr.graph())
    captions = {block.id: block.caption for block in network.blocks if block.kind == "input"}
    captions |= {output.id: output.caption for output in network.outputs}
    assert [captions[f"input-{t}"] for t in range(3)] == ["a", "b", "c"]
    assert [captions[f"output-{t}"] for t in range(3)] == ["b", "c", "d"]


def test_two_modules_with_equal_names_have_different_parameters():
    one, two = tg.nn.RNNCell(3, 5), tg.nn.RNNCell(5, 5)
    h, k = None, None
    for x in steps(2):
        h = one(x, h)
        k = two(h, k)
    names = names_of_parameters(network_of(k))
    assert len(names) == len(set(names)) == 6


def fed_back(T):
    cell, head = tg.nn.RNNCell(2, 5), tg.nn.Linear(5, 2)
    h, y, ys = None, tg.tensor(np.ones(2)), []
    for _ in range(T):
        h = cell(y, h)
        y = head(h)
        ys.append(y)
    return tg.ops.stack(ys).sum()


def test_a_decoder_that_reads_its_own_output():
    network = network_of(fed_back(4))
    shapes = [[value.shape for value in arrow.values] for arrow in messages(network)]
    assert shapes == [[(5,)]] * 3
    fed = [(a.source.label, a.target.id) for a in network.arrows if a.kind == "other"]
    assert fed == [("Linear", "cell-0-1"), ("Linear", "cell-0-2"), ("Linear", "cell-0-3")]
    assert [block.label for block in network.blocks if block.kind == "input"] == ["x₀"]


def two_odd_copies(T, turned=7, other=9):
    W, U, V = (tg.tensor(np.eye(3) * k, requires_grad=True) for k in (0.1, 0.2, 0.3))
    h = tg.tensor(np.zeros(3))
    for t, x in enumerate(steps(T)):
        with tg.scope("cell"):
            # the same ops, but another parameter
            a, b = tg.ops.linear(x, W), tg.ops.linear(h, V if t == other else U)
            # the same ops, which read other values
            h = tg.ops.tanh(b + a if t == turned else a + b)
    return h


def test_copies_that_are_made_alike_share_a_structure_and_others_do_not():
    h = two_odd_copies(20)
    structures = [cell.structure for cell in network_of(h).cells]
    assert [t for t, structure in enumerate(structures) if structure is not structures[0]] == [7, 9]
    assert structures[7] is not structures[9]
    (fold,) = (shape for shape in tg.draw(h).drawing.shapes if shape.id == "fold")
    assert [text.text for text in fold.texts][-2:] == [
        "but 2 made otherwise,",
        "the first is h₇",
    ]


def test_a_state_that_is_moved_often_on_its_way_is_still_the_state():
    cell, h = tg.nn.RNNCell(3, 5), None
    for x in steps(3):
        h = cell(x, h)
        for _ in range(1100):  # more than calls may be nested
            h = h.reshape(5)
    assert len([arrow for arrow in messages(network_of(h)) if arrow.target.kind == "cell"]) == 2


def mogrified():
    """Modules that are called twice in each step, between a cell and its next copy."""
    Q, R, cell = tg.nn.Linear(4, 3, rng=0), tg.nn.Linear(3, 4, rng=1), tg.nn.LSTMCell(3, 4, rng=2)
    h, c = np.zeros(4), np.zeros(4)
    for x in np.eye(3):
        x = tg.ops.sigmoid(Q(h)) * x
        h = tg.ops.sigmoid(R(x)) * h
        x = tg.ops.sigmoid(Q(h)) * x
        h, c = cell(x, (h, c))
    return h


def covered():
    """A second loop of modules, which hands on a value past the copies of the first."""
    cell, up, down = (
        tg.nn.GRUCell(3, 4, rng=0),
        tg.nn.Linear(8, 5, rng=1),
        tg.nn.Linear(5, 4, rng=2),
    )
    h, m = tg.tensor(np.zeros(4)), tg.tensor(np.zeros(4))
    for x in np.eye(3):
        h = cell(x, h + m)
        m = np.tanh(down(np.tanh(up(tg.ops.concatenate([h, m])))))
    return h + m


@pytest.mark.parametrize(
    ("program", "cells", "begun"),
    # what the cell makes is h′, since what comes to the next copy is called h
    [
        (mogrified, [("cell", "h′")], ["c₋₁", "h′₋₁"]),
        (covered, [("cell", "h"), ("loop", "m")], ["h₋₁", "m₋₁"]),
    ],
)
def test_modules_that_work_between_copies_are_a_cell_if_they_hand_on_something_themselves(
    program, cells, begun
):
    with tg.trace() as tr:
        (program() ** 2).sum().backward()
    found = quotient_of(tr.graph())
    rows = [row for row in found.rows if row.kind in ("cell", "loop")]
    assert [(row.kind, row.states[0]) for row in rows] == cells
    assert found.columns == 3
    initial = [block.label for block in found.blocks if block.kind == "initial"]
    assert sorted(initial) == begun
    inputs = [block for block in found.blocks if block.kind == "input"]
    assert sorted(block.columns for block in inputs) == [(0,), (1,), (2,)]
