"""Plain loops are cells: their turns are the copies, and begin where the loop's body begins."""

from functools import reduce

import numpy as np
import pytest
from tracing.proofs import prove_time

import tinygrad_rnn as tg
from tinygrad_rnn.tracing.network.blocks import network_of

SIZE = 3
rng = np.random.default_rng(0)
XS = rng.standard_normal((4, SIZE))


def weights(*shape, seed=1):
    return tg.tensor(np.random.default_rng(seed).normal(0, 0.5, shape), requires_grad=True)


def recorded(program):
    with tg.trace() as tr:
        program().backward()
    return tr


def network(program):
    return network_of(recorded(program).graph())


def loops(network):
    return [row for row in network.rows if row.kind == "loop"]


def ops(block):
    return [node.op for node in block.nodes]


def joined():
    """What joins the input and the state stands first in the body; NumPy alone runs it at first."""
    W, h = weights(2 * SIZE, SIZE), np.zeros(SIZE)
    for x in XS:
        h = np.tanh(np.concatenate([x, h]) @ W)
    return (h**2).sum()


def test_a_turn_begins_where_the_body_begins():
    (row,) = loops(network(joined))
    assert ops(row.blocks[0]) == ["matmul", "tanh"]
    assert [ops(block) for block in row.blocks[1:]] == [["concatenate", "matmul", "tanh"]] * 3
    assert all([piece.shape for piece in block.states] == [(SIZE,)] for block in row.blocks)


def in_a_helper():
    W, U, h = weights(SIZE, SIZE), weights(SIZE, SIZE, seed=2), np.zeros(SIZE)

    def step(x, h):
        z = np.concatenate([x, h])[:SIZE] @ W + h @ U
        return np.tanh(z)

    for x in XS:
        h = step(x, h)
    return (h**2).sum()


def in_a_while():
    W, h, t = weights(2 * SIZE, SIZE), np.zeros(SIZE), 0
    while t < len(XS):
        h = np.tanh(np.concatenate([XS[t], h]) @ W)
        t += 1
    return (h**2).sum()


@pytest.mark.parametrize("program", [joined, in_a_helper, in_a_while])
def test_each_turn_has_its_own_input(program):
    found = network(program)
    (row,) = loops(found)
    assert [block.columns for block in row.blocks] == [(0,), (1,), (2,), (3,)]
    last = [arrow.source.kind for arrow in found.entering[row.blocks[-1]]]
    assert sorted(last) == ["cell", "input", "parameter"] or sorted(last).count("input") == 1


def test_a_loop_is_called_by_its_own_line():
    (row,) = loops(network(joined))
    line = joined.__code__.co_firstlineno + 3
    assert row.name == f"loop at line {line}"


def two_layers():
    """One loop over the layers in one over time: each layer is a row."""
    Ws = [weights(SIZE, SIZE, seed=k) for k in range(2)]
    Us = [weights(SIZE, SIZE, seed=k + 5) for k in range(2)]
    hs = [tg.tensor(np.zeros(SIZE)) for _ in range(2)]
    for x in XS:
        below = tg.tensor(x)
        for k in range(2):
            below = hs[k] = np.tanh(below @ Ws[k] + hs[k] @ Us[k])
    return (hs[-1] ** 2).sum()


def test_layers_in_an_inner_loop_are_rows():
    found = network(two_layers)
    rows = loops(found)
    assert [[block.columns for block in row.blocks] for row in rows] == [
        [(t,) for t in range(4)]
    ] * 2


def gates():
    """A loop over the gates hands nothing on: it is no recurrence."""
    Ws = [weights(SIZE, SIZE, seed=k) for k in range(2)]
    Us = [weights(SIZE, SIZE, seed=k + 5) for k in range(2)]
    h = tg.tensor(np.zeros(SIZE))
    for x in XS:
        z, r = [tg.ops.sigmoid(tg.tensor(x) @ W + h @ U) for W, U in zip(Ws, Us, strict=True)]
        h = z * h + (1 - z) * np.tanh(r)
    return (h**2).sum()


def test_a_loop_over_gates_is_inside_the_copy():
    found = network(gates)
    (row,) = loops(found)
    assert [block.columns for block in row.blocks] == [(0,), (1,), (2,), (3,)]
    assert {ops(block).count("sigmoid") for block in row.blocks} == {2}


def encoder_and_decoder():
    """One function runs both, with other weights."""

    def run(W, U, xs, h):
        for x in xs:
            h = np.tanh(tg.tensor(x) @ W + h @ U)
        return h

    first, second = ((weights(SIZE, SIZE, seed=k), weights(SIZE, SIZE, seed=k + 5)) for k in (0, 1))
    h = run(*first, XS, tg.tensor(np.zeros(SIZE)))
    return (run(*second, XS[:3], h) ** 2).sum()


def test_a_loop_with_other_weights_is_another_row():
    found = network(encoder_and_decoder)
    rows = loops(found)
    columns = [[block.columns[0] for block in row.blocks] for row in rows]
    assert columns == [[0, 1, 2, 3], [4, 5, 6]]


def siamese():
    """One function runs two sentences, with the same weights."""
    W, U = weights(SIZE, SIZE), weights(SIZE, SIZE, seed=2)

    def run(xs):
        h = tg.tensor(np.zeros(SIZE))
        for x in xs:
            h = np.tanh(tg.tensor(x) @ W + h @ U)
        return h

    return ((run(XS) - run(XS[:3])) ** 2).sum()


def test_a_loop_with_the_same_weights_is_the_same_row():
    found = network(siamese)
    assert len(loops(found)) == 1
    assert [len(chain.copies) for chain in found.chains] == [4, 3]


def test_what_the_last_copy_lacks_is_not_called_by_what_stands_in_its_place():
    """The state of the last turn leads nowhere: what is read of that is the output, as before."""

    def jordan():
        W, V, state, error = weights(SIZE, SIZE), weights(SIZE, SIZE, seed=2), np.zeros(SIZE), 0.0
        for x in XS:
            hidden = np.tanh(x @ W + state @ V)
            output = tg.ops.sigmoid(hidden)
            state = 0.5 * state + output
            error = error + (output**2).sum()
        return error

    found = network(jordan)
    assert [output.label for output in found.outputs] == [f"output{t}" for t in "₀₁₂₃"]
    assert found.cells[-1].states == ()
    assert found.cells[0].states[0].node.op == "add"


def test_a_saved_run_has_the_same_loops(tmp_path):
    tr = recorded(joined)
    tr.save(tmp_path / "run.tgtrace")
    again = network_of(tg.load_trace(tmp_path / "run.tgtrace").graph())
    before = network_of(tr.graph())
    assert [(b.id, ops(b), b.columns) for b in again.blocks] == [
        (b.id, ops(b), b.columns) for b in before.blocks
    ]
    assert [row.name for row in again.rows] == [row.name for row in before.rows]


def by_a_generator():
    W = weights(2 * SIZE, SIZE)

    def states():
        h = tg.tensor(np.zeros(SIZE))
        for x in XS:
            h = np.tanh(np.concatenate([x, h]) @ W)
            yield h

    return sum((h**2).sum() for h in states())


def by_reduce():
    W = weights(2 * SIZE, SIZE)
    h = reduce(lambda h, x: np.tanh(np.concatenate([x, h]) @ W), XS, tg.tensor(np.zeros(SIZE)))
    return (h**2).sum()


def by_a_recursion():
    W = weights(2 * SIZE, SIZE)

    def run(xs, h):
        return run(xs[1:], np.tanh(np.concatenate([xs[0], h]) @ W)) if len(xs) else h

    return (run(np.resize(XS, (8, SIZE)), tg.tensor(np.zeros(SIZE))) ** 2).sum()


def test_a_place_is_the_same_however_often_the_program_came_to_it():
    """Python runs a call by other instructions once it has run often."""
    h = (weights(SIZE), weights(SIZE))
    with tg.trace() as tr:
        for _ in range(40):
            h = tuple(tg.ops.tanh(x) for x in h)
    assert len({event.output.source.places for event in tr.events}) == 1


def test_layers_whose_states_are_masked_between_the_copies_are_no_loop_of_their_own():
    """What lies between copies may depend on them by way of a mask, and so a layer on a layer."""

    def program():
        xs = [tg.tensor(x) for x in np.random.default_rng(0).standard_normal((3, SIZE))]
        for layer in range(2):
            cell, h, ys = tg.nn.RNNCell(SIZE, SIZE, rng=layer), tg.tensor(np.zeros(SIZE)), []
            for x in xs:
                h = tg.ops.where(np.ones(SIZE, bool), cell(x, h), h)
                ys.append(h + x)
            xs = list(tg.ops.relu(tg.ops.stack(ys)))
        return (xs[-1] ** 2).sum()

    found = network(program)
    assert not loops(found)
    assert [cell.columns for cell in found.cells] == [(0,), (1,), (2,)] * 2


def test_what_is_added_to_another_layer_in_the_same_line_is_no_turn_of_the_loop():
    """The program cannot be seen to leave the function between the layers."""

    def program():
        W, cell = weights(SIZE, SIZE), tg.nn.RNNCell(SIZE, SIZE, rng=0)
        steps = (cell, lambda x, h: tg.ops.tanh(x + h @ W))

        def layer(step, xs):
            h, ys = tg.tensor(np.zeros(SIZE)), []
            for x in xs:
                h = step(x, h)
                ys.append(x + h)
            return ys

        xs = [tg.tensor(x) for x in XS]
        for step in steps:
            xs = layer(step, xs)
        return sum((x**2).sum() for x in xs)

    found = network(program)
    (row,) = loops(found)
    assert {tuple(ops(block)) for block in row.blocks} == {("matmul", "add", "tanh")}
    assert [cell.columns for cell in found.cells] == [(0,), (1,), (2,), (3,)] * 2


def test_layers_in_the_same_line_are_rows_where_one_only_adds_a_norm():
    """A loop that for good goes over to other weights was begun anew."""

    def program():
        xs = [tg.tensor(x) for x in XS]
        for seed in range(2):
            W, h, ys = weights(2 * SIZE, SIZE, seed=seed), tg.tensor(np.zeros(SIZE)), []

            def layer(xs, W=W, h=h, ys=ys, norm=seed):
                for x in xs:
                    h = tg.ops.tanh(np.concatenate([x, h]) @ W)
                    if norm:
                        h = h / tg.ops.sqrt((h * h).mean() + 1)
                    ys.append(h)

            layer(xs)
            xs = ys
        return sum((x**2).sum() for x in xs)

    found = network(program)
    assert [row.blocks[0].columns for row in loops(found)] == [(0,), (0,)]
    assert [cell.columns for cell in found.cells] == [(0,), (1,), (2,), (3,)] * 2


@pytest.mark.parametrize("program", [by_a_generator, by_reduce, by_a_recursion])
def test_steps_without_a_loop_around_them_are_found_by_what_comes_again(program):
    (row,) = loops(network(program))
    assert {tuple(ops(block)) for block in row.blocks} == {("concatenate", "matmul", "tanh")}


def test_a_loop_of_one_op_goes_round_where_the_op_reads_what_it_made():
    """`x = x * w` is one place in the program, come to again and again; a split is so, too."""
    w, x = tg.tensor(1.5, requires_grad=True, name="w"), tg.tensor(np.ones(2))
    with tg.trace() as tr:
        for _ in range(5):
            x = x * w
    assert [tr.queries.names.of(event.output) for event in tr.events] == [
        f"x@{t}" for t in range(5)
    ]


def transposed_layers():
    h = tg.tensor(np.ones(SIZE))
    for seed in range(4):
        h = np.tanh(h @ weights(SIZE, SIZE, seed=seed).T)
    return (h**2).sum()


def test_layers_are_no_turns_though_only_their_transposed_weights_are_read():
    assert network(transposed_layers) is None


def transposed_from_a_trained_state():
    W, h = weights(SIZE, SIZE), weights(SIZE)
    for x in XS:
        h = np.tanh(h @ W.T + x)
    return (h**2).sum()


def without_weights_from_a_trained_state():
    h = weights(SIZE)
    for x in XS:
        h = np.tanh(h * 0.5 + x)
    return (h**2).sum()


@pytest.mark.parametrize(
    "program", [transposed_from_a_trained_state, without_weights_from_a_trained_state]
)
def test_a_state_that_is_trained_at_first_makes_no_layers_of_turns(program):
    found = network(program)
    (row,) = loops(found)
    assert len(row.blocks) == len(XS)
    (initial,) = (block for block in found.blocks if block.kind == "initial")
    assert initial.trained == "h"


def test_two_layers_of_transposed_weights_are_two_rows():
    def layer(W, U, xs):
        h, ys = np.zeros(SIZE), []
        for x in xs:
            h = np.tanh(x @ W.T + h @ U.T)
            ys.append(h)
        return ys

    def program():
        W, U, V, R = (weights(SIZE, SIZE, seed=seed) for seed in range(4))
        return sum((y**2).sum() for y in layer(V, R, layer(W, U, XS)))

    assert [len(row.blocks) for row in loops(network(program))] == [len(XS)] * 2


def test_layers_that_do_different_things_between_them_are_no_loop_of_their_own():
    """Where one of them projects its sequence, another centres it, and a row is plain ops."""

    def program():
        rng = np.random.default_rng(0)
        W, U = (tg.nn.Parameter(rng.standard_normal((3, 3)), name=name) for name in "WU")
        cells = [tg.nn.RNNCell(3, 3, rng=k) for k in range(3)]
        project = tg.nn.Linear(3, 3, rng=4)
        xs = list(tg.tensor(rng.standard_normal((2, 3)), name="xs"))
        for k, cell in enumerate(cells):
            h, ys = tg.tensor(np.zeros(3)), []
            for x in xs:
                h = tg.ops.tanh(x @ W + h @ U) if k == 1 else cell(x, h)
                ys.append(x + h if k == 1 else h)
            hs = tg.ops.stack(ys)
            hs = project(hs) if k == 2 else hs - hs.mean(axis=0)
            xs = [hs[t] for t in range(2)]
        return (xs[-1] ** 2).sum()

    with tg.trace() as tr:
        program().backward()
    rows = [row for row in network_of(tr.graph()).rows if row.kind in ("cell", "loop")]
    assert [(row.kind, len(row.blocks)) for row in rows] == [("cell", 2), ("loop", 2), ("cell", 2)]


class Norm(tg.nn.Module):
    def __init__(self):
        self.gain = tg.nn.Parameter(np.ones(SIZE))

    def forward(self, x):
        return self.gain * x / np.sqrt((x * x).mean() + 1)


def test_layers_by_one_line_are_no_steps_of_a_loop():
    """The upper one alone goes round: what it does first is not the next step of the lower.

    Nor is an input of the lower one what the upper one's state is at first.
    """

    def layer(xs, W, norm):
        h, hs = tg.tensor(np.zeros(SIZE)), []
        for x in xs:
            h_new = np.tanh(np.concatenate([x, h]) @ W)
            if norm is not None:
                h = h_new = norm(h_new)
            hs.append(h_new)
        return hs

    def program():
        norm, hs = Norm(), [tg.tensor(x) for x in XS[:2]]
        for k in range(2):
            hs = layer(hs, weights(2 * SIZE, SIZE, seed=k), norm if k else None)
        return (hs[-1] ** 2).sum()

    found = network(program)
    prove_time(found)
    (row,) = loops(found)
    assert [block.columns for block in row.blocks] == [(0,), (1,)]
    (begun,) = (block for block in found.blocks if block.kind == "initial")
    assert [arrow.target.columns for arrow in found.leaving[begun]] == [(0,)]
    assert sum(block.kind == "input" for block in found.blocks) == 3  # one of zeros


def gated_layers():
    """What closes the circle of a gate's ops is the loop over the layers."""

    def row(xs):
        cell, gate = tg.nn.RNNCell(SIZE, SIZE, rng=0), tg.nn.Linear(SIZE, SIZE, rng=1)
        h, ys = tg.tensor(np.zeros(SIZE)), []
        for x in xs:
            h = cell(x, h)
            ys.append(tg.ops.sigmoid(gate(x)) * h)
        return ys

    ys = [tg.tensor(x) for x in XS]
    for _ in range(3):
        ys = row(ys)
    return (ys[-1] ** 2).sum()


def attending_layers():
    """No op stands between them, so the loop in the upper one seems to go on in the lower one's."""

    def attention(keys, query):
        return tg.ops.softmax(keys @ query) @ keys

    W = weights(SIZE, SIZE)
    ys = [tg.tensor(x) for x in XS]
    for step in (lambda x, h: np.tanh((x + h) @ W), tg.nn.RNNCell(SIZE, SIZE, rng=0)):
        xs, h, ys = ys, tg.tensor(np.zeros(SIZE)), []
        for x in xs:
            h = step(x + attention(tg.ops.stack(xs), h), h)
            ys.append(h)
    return (ys[-1] ** 2).sum()


def residual_layers():
    """What closes the circle of the sums is a projection, which only the first layer has."""
    project, ys = tg.nn.Linear(SIZE, SIZE, rng=3), [tg.tensor(x) for x in XS]
    for k in range(3):
        cell = tg.nn.RNNCell(SIZE, SIZE, rng=k)
        xs, h, ys = ys, tg.tensor(np.zeros(SIZE)), []
        for x in xs:
            h = cell(x, h)
            ys.append(h if k == 1 else x + h)
        if k == 0:
            ys = list(project(tg.ops.stack(ys)))
        if k == 1:
            ys = [x + y for x, y in zip(xs, ys, strict=True)]
    return (ys[-1] ** 2).sum()


@pytest.mark.parametrize(
    ("program", "kinds"),
    [
        (gated_layers, ["cell"] * 3),
        (attending_layers, ["loop", "cell"]),
        (residual_layers, ["cell"] * 3),
    ],
)
def test_what_the_layers_by_one_line_do_beside_their_cells_is_none(program, kinds):
    found = network(program)
    prove_time(found)
    rows = [row for row in found.rows if row.kind in ("cell", "loop")]
    assert [(row.kind, len(row.blocks)) for row in rows] == [(kind, len(XS)) for kind in kinds]


def of_two_modules():
    W, U, h = tg.nn.Linear(SIZE, SIZE, rng=0), tg.nn.Linear(SIZE, SIZE, rng=1), np.zeros(SIZE)
    for x in XS:
        h = np.tanh(W(x) + U(h))
    return (h**2).sum()


def of_a_joined_input():
    i2h, h = tg.nn.Linear(2 * SIZE, SIZE, rng=0), np.zeros(SIZE)
    for x in XS:
        h = np.tanh(i2h(np.concatenate([x, h])))
    return (h**2).sum()


def in_forward():
    class Net(tg.nn.Module):
        def __init__(self):
            self.W, self.U = tg.nn.Linear(SIZE, SIZE, rng=0), tg.nn.Linear(SIZE, SIZE, rng=1)

        def forward(self, xs):
            h = tg.tensor(np.zeros(SIZE))
            for x in xs:
                h = np.tanh(self.W(x) + self.U(h))
            return h

    return (Net()(XS) ** 2).sum()


def of_gates():
    keep, reset, new = (tg.nn.Linear(2 * SIZE, SIZE, rng=k) for k in range(3))
    h = tg.tensor(np.zeros(SIZE))
    for x in XS:
        both = np.concatenate([x, h])
        z, r = tg.ops.sigmoid(keep(both)), tg.ops.sigmoid(reset(both))
        h = z * h + (1 - z) * np.tanh(new(np.concatenate([x, r * h])))
    return (h**2).sum()


@pytest.mark.parametrize("program", [of_two_modules, of_a_joined_input, in_forward, of_gates])
def test_a_step_of_modules_none_of_which_hands_its_state_to_itself_is_that_of_the_loop(program):
    """And not one of the modules, whose copies no message joins: its steps would all be 0."""
    found = network(program)
    (row,) = loops(found)
    assert row.states == ("h",)
    assert [cell.label for cell in found.cells] == ["h₀", "h₁", "h₂", "h₃"]
    assert [block.columns for block in row.blocks] == [(0,), (1,), (2,), (3,)]
    assert sum(arrow.kind == "message" for arrow in found.arrows) == 3
    assert sorted(b.label for b in found.blocks if b.kind == "input") == ["x₀", "x₁", "x₂", "x₃"]


def bent(cell, x, h):
    return np.tanh(cell(x, h) + 0.5 * h)


GATE = tg.nn.Linear(SIZE, SIZE, rng=5)


def with_another_module(cell, x, h):
    z = tg.ops.sigmoid(GATE(h))
    return z * h + (1 - z) * cell(x, h)


@pytest.mark.parametrize("step", [bent, with_another_module])
def test_a_cell_of_ours_goes_on_from_its_last_copy_also_by_way_of_something_else(step):
    """What it makes is bent on its way, or passes the copies of a loop around: one chain."""

    def program():
        cell, h = tg.nn.RNNCell(SIZE, SIZE, rng=0), tg.tensor(np.zeros(SIZE))
        for x in XS:
            h = step(cell, x, h)
        return (h**2).sum()

    found = network(program)
    prove_time(found)
    (row,) = [row for row in found.rows if row.kind == "cell"]
    assert [(block.time, block.columns) for block in row.blocks] == [(t, (t,)) for t in range(4)]
    assert [chain.copies for chain in found.chains if chain.row is row] == [row.blocks]
    assert all(len(block.states) == 1 for block in row.blocks)
