"""Copies are found in what ran: the network in the graph is the one the user wrote."""

from collections import Counter
from functools import partial

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.tracing.network.unroll import unroll
from tinygrad_rnn.tracing.recording.graph import Graph


def network_of(output):
    network = unroll(Graph.of(output))
    assert network is not None
    return network


def counts(network):
    return Counter(link.kind for link in network.links)


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
    assert counts(network) == Counter({**expected, "up": T * (layers - 1)})
    assert [row.path for row in network.rows] == [f"RNN.cells.{k}" for k in range(layers)]


def test_cells_are_numbered_by_row_and_call():
    network = network_of(tg.nn.RNN(3, 5, num_layers=2)(steps(3))[0])
    assert sorted(cell.id for cell in network.cells) == [
        f"cell-{k}-{t}" for k in range(2) for t in range(3)
    ]
    assert all(cell.column == cell.t for cell in network.cells)


def test_one_network_fed_to_another_is_two_rows():
    model = tg.nn.Sequential(tg.nn.RNN(3, 5, output_size=4), tg.nn.RNN(4, 2))
    network = network_of(model(steps(4))[0].sum())
    assert len(network.rows) == 2
    assert counts(network)["up"] == 4
    assert counts(network)["output"] == counts(network)["loss"] == 4
    assert [p.name for p in network.parameters if "W" in p.name] == [
        "0.W_xh", "0.W_hh", "0.W_hy", "1.W_xh", "1.W_hh",
    ]  # fmt: skip


def test_a_users_loop_over_a_cell():
    cell, h = tg.nn.RNNCell(3, 5), None
    for x in steps(6):
        h = cell(x, h)
    network = network_of(h)
    assert [row.kind for row in network.rows] == ["RNNCell"]
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
    assert [row.kind for row in network.rows] == ["scope"]
    assert counts(network) == Counter({"message": 3, "initial": 1, "input": 4, "output": 1})
    assert [p.name for p in network.parameters] == ["W_xh", "W_hh"]
    assert unroll(Graph.of(loop(lambda: tg.no_grad() if False else _nothing()))) is None


class _nothing:
    def __enter__(self): ...
    def __exit__(self, *_): ...


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
    assert [row.kind for row in network.rows] == ["UsersCell"]
    messages = [link for link in network.links if link.kind == "message"]
    assert len(messages) == 4
    assert all(len(link.values) == 2 for link in messages)
    assert [p.name for p in network.parameters] == ["inner.weight", "inner.bias"]


def test_a_head_that_follows_the_cell_is_no_row():
    cell, head, h, ys = tg.nn.RNNCell(3, 5), tg.nn.Linear(5, 2), None, []
    for x in steps(4):
        h = cell(x, h)
        ys.append(head(h))
    network = network_of(tg.ops.stack(ys).sum())
    assert [row.kind for row in network.rows] == ["RNNCell"]
    outputs = [port for port in network.ports if port.kind == "output"]
    assert [port.label for port in outputs] == ["y₀", "y₁", "y₂", "y₃"]


def test_an_mlp_called_again_and_again_is_not_recurrent():
    mlp = tg.nn.Sequential(tg.nn.Linear(3, 4), tg.nn.Linear(4, 2))
    total = sum((mlp(x).sum() for x in steps(4)), tg.tensor(0.0))
    assert unroll(Graph.of(total)) is None


def test_a_training_script_of_many_steps_is_one_network():
    rnn = tg.nn.RNN(3, 5, output_size=2, rng=0)
    optimizer = tg.optim.SGD(rnn.parameters(), lr=0.1)
    with tg.trace() as tr:
        for _ in range(100):
            loss = tg.nn.cross_entropy(rnn(steps(4))[0], [0, 1, 0, 1])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    network = unroll(tr.graph())
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
    network = unroll(tr.graph())
    assert network.columns == 6
    messages = [link for link in network.links if link.kind == "message"]
    assert [link.cut for link in messages] == [False, True, False, True, False]


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
    read = {parameter.name: parameter.node.data for parameter in unroll(tr.graph()).parameters}
    for name, parameter in rnn.named_parameters():
        assert np.array_equal(read[name], parameter.data)


def test_one_loss_of_the_last_step_leaves_the_other_outputs_unused():
    ys, _ = tg.nn.RNN(3, 5, output_size=2)(steps(4))
    network = network_of(tg.nn.cross_entropy(ys[-1], 0))
    assert counts(network)["output"] == 4
    assert [link.source for link in network.links if link.kind == "loss"] == ["output-3"]


def test_an_encoder_and_a_decoder_stand_one_after_the_other():
    encoder, decoder = tg.nn.RNNCell(3, 5), tg.nn.RNNCell(3, 5)
    h = None
    for x in steps(3):
        h = encoder(x, h)
    for x in steps(2):
        h = decoder(x, h)
    network = network_of(h.sum())
    assert [(cell.layer, cell.t, cell.column) for cell in network.cells] == [
        (0, 0, 0), (0, 1, 1), (0, 2, 2), (1, 0, 3), (1, 1, 4),
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
    assert [row.reverse for row in network.rows] == [False, True]
    assert [cell.column for cell in network.cells if cell.layer == 1] == [3, 2, 1, 0]
    assert counts(network)["input"] == 8
    assert len([port for port in network.ports if port.kind == "input"]) == 4
    assert counts(network)["output"] == 8


def test_what_two_rows_make_together_comes_from_the_bottom_row_first():
    """Whatever the addresses of objects: same input, same bytes."""
    ys, _ = tg.nn.RNN(3, 5, output_size=2, bidirectional=True)(steps(20))
    layers = [
        link.source.split("-")[1] for link in network_of(ys.sum()).links if link.kind == "output"
    ]
    assert layers == ["0", "1"] * 20


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
    assert [port.caption for port in network.ports if port.kind == "initial"] == ["h_start"]


def test_dropout_between_two_steps_does_not_hide_the_message():
    cell, dropout, h = tg.nn.RNNCell(3, 5), tg.nn.Dropout(0.5, rng=0), tg.tensor(np.zeros(5))
    for x in steps(4):
        h = dropout(cell(x, h))
    network = network_of(h)
    assert [row.kind for row in network.rows] == ["RNNCell"]
    assert counts(network)["message"] == 3


def test_names_of_tensors_are_captions():
    characters = [tg.tensor(row, name=name) for row, name in zip(np.eye(3), "abc", strict=True)]
    ys, _ = tg.nn.RNN(3, 5, output_size=3)(tg.ops.stack(characters))
    with tg.trace() as tr:
        ys, _ = tg.nn.RNN(3, 5, output_size=3)(tg.ops.stack(characters))
        for y, name in zip(ys, "bcd", strict=True):
            y.name = name
        ys.sum().backward()
    network = unroll(tr.graph())
    captions = {port.id: port.caption for port in network.ports}
    assert [captions[f"input-{t}"] for t in range(3)] == ["a", "b", "c"]
    assert [captions[f"output-{t}"] for t in range(3)] == ["b", "c", "d"]


def test_two_modules_with_equal_names_have_different_parameters():
    one, two = tg.nn.RNNCell(3, 5), tg.nn.RNNCell(5, 5)
    h, k = None, None
    for x in steps(2):
        h = one(x, h)
        k = two(h, k)
    names = [p.name for p in network_of(k).parameters]
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
    messages = [link for link in network.links if link.kind == "message"]
    assert [[value.shape for value in link.values] for link in messages] == [[(5,)]] * 3
    fed = [(link.source, link.target) for link in network.links if link.kind == "other"]
    assert fed == [("output-0", "cell-0-1"), ("output-1", "cell-0-2"), ("output-2", "cell-0-3")]
    assert [port.label for port in network.ports if port.kind == "input"] == ["x₀"]


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
        "the first at t = 7",
    ]


def test_a_state_that_is_moved_often_on_its_way_is_still_the_state():
    cell, h = tg.nn.RNNCell(3, 5), None
    for x in steps(3):
        h = cell(x, h)
        for _ in range(3000):
            h = h.reshape(5)
    assert counts(network_of(h))["message"] == 2


def attention():
    """An encoder of four steps, and a decoder of four that reads all of its states."""
    encoder, decoder, h, states = tg.nn.RNNCell(3, 5), tg.nn.RNNCell(5, 5), None, []
    for x in steps(4):
        h = encoder(x, h)
        states.append(h)
    read = tg.ops.stack(states)
    for _ in range(4):
        h = decoder(tg.ops.softmax(read @ h) @ read, h)
    return h.sum()


def of_eight_steps(layer, **options):
    return tg.nn.cross_entropy(
        layer(3, 5, output_size=2, rng=0, **options)(steps(8))[0], np.zeros(8, int)
    )


OF_EIGHT_COLUMNS = {
    "one layer": partial(of_eight_steps, tg.nn.LSTM),
    "two layers": partial(of_eight_steps, tg.nn.LSTM, num_layers=2),
    "two directions": partial(of_eight_steps, tg.nn.GRU, bidirectional=True),
    "fed back": partial(fed_back, 8),
    "attention": attention,
    "odd copies": partial(two_odd_copies, 8, turned=2, other=4),
}


@pytest.mark.parametrize("columns", [(), (0,), (0, 1, 6, 7), (3, 4), range(8)])
@pytest.mark.parametrize("run", OF_EIGHT_COLUMNS.values(), ids=OF_EIGHT_COLUMNS)
def test_a_part_of_a_network_is_what_the_whole_has_there(run, columns):
    network = network_of(run())
    assert network.columns == 8
    part = network.section(columns)
    assert part.cells == tuple(cell for cell in network.cells if cell.column in columns)
    assert part.ports == tuple(
        port for port in network.ports if port.column is None or port.column in columns
    )
    there = {part.id for part in (*part.cells, *part.ports) if part.column is not None}
    others = [link for link in network.links if link.kind == "loss" and link.source not in there]
    assert part.links == tuple(
        link for link in network.links if {link.source, link.target} & there or link in others[:1]
    )
    alike = {(cell.layer, cell.structure) for cell in part.cells}
    assert set(part.odd) == {
        cell.column for cell in network.cells if (cell.layer, cell.structure) not in alike
    }
