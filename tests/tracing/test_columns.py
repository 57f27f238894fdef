"""Columns are times: what stands in which, where no simple chain says it."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from tracing.proofs import prove_time

import tinygrad_rnn as tg
from tinygrad_rnn.tracing.network.blocks import network_of

SIZE = 3


def network(program):
    with tg.trace() as tr:
        program().backward()
    return network_of(tr.graph())


def sequence(steps=5, seed=0):
    return tg.tensor(np.random.default_rng(seed).standard_normal((steps, SIZE)), name="xs")


def zeros():
    return tg.tensor(np.zeros(SIZE))


def columns(network, row):
    """The columns of the copies of a row, in the order of their calls."""
    return [block.columns[0] for block in network.cells if block.row.number == row]


def both_ways(step):
    """Two rows that read one sequence: the second one, from its end, goes on by `step`."""

    def program():
        ahead, back = tg.nn.RNNCell(SIZE, SIZE, rng=0), tg.nn.RNNCell(SIZE, SIZE, rng=1)
        xs, h, s, ys = sequence(), zeros(), zeros(), []
        for x in xs:
            h = ahead(x, h)
        for k, x in enumerate(reversed(list(xs))):
            s = step(back, x, s, k)
            ys.append(s)
        return (tg.ops.stack([h, *ys]) ** 2).sum()

    return program


def test_an_euler_step_of_a_reversed_row_stands_with_its_copy():
    """The last one, too, after which nothing follows."""
    found = network(both_ways(lambda cell, x, s, k: s + 0.1 * cell(x, s)))
    sums = [block for block in found.blocks if block.kind == "between" and "add" in ops(block)]
    assert [block.columns for block in sums] == [(4,), (3,), (2,), (1,), (0,)]
    assert all(block.row.reverse for block in sums)


def ops(block):
    return [node.op for node in block.nodes]


def test_what_adds_a_state_of_a_reversed_row_to_something_later_stands_with_that():
    """Also what then adds a step of the sequence once more."""

    def program():
        back, upper = tg.nn.RNNCell(SIZE, SIZE, rng=0), tg.nn.RNNCell(SIZE, SIZE, rng=1)
        xs, h, ys, zs = list(sequence(4)), zeros(), [], []
        for x in reversed(xs):
            h = h + 0.1 * back(x, h)
            ys.append(h)
        for y in reversed(ys):
            h = upper(y, h)
            zs.append(y + h)
        out = tg.nn.Linear(SIZE, SIZE, rng=2)
        return sum((out(z + x) ** 2).sum() for z, x in zip(zs, xs, strict=True))

    found = network(program)
    prove_time(found)
    assert [columns(found, row) for row in range(2)] == [[3, 2, 1, 0], [4, 5, 6, 7]]
    assert [b.columns for b in found.blocks if "linear" in ops(b) and b.kind == "between"] == [
        (t,) for t in (4, 5, 6, 7)
    ]


def test_a_second_chain_of_a_reversed_row_goes_on_where_the_first_one_ended():
    found = network(both_ways(lambda cell, x, s, k: cell(x, zeros() if k == 2 else s)))
    assert columns(found, 0) == [0, 1, 2, 3, 4]
    assert columns(found, 1) == [4, 3, 2, 1, 0]
    assert [chain.direction for chain in found.chains] == [1, -1, -1]


@pytest.mark.parametrize(
    "mixed", [lambda xs: xs - xs.mean(axis=0), lambda xs: tg.ops.softmax(xs, 0)]
)
def test_what_is_mixed_over_time_and_then_read_step_by_step_is_a_sequence(mixed):
    """Each step of it has its own column, and what reads it from the end is reversed."""

    def program():
        rnn = tg.nn.GRU(SIZE, SIZE, bidirectional=True, rng=0)
        ys, _ = rnn(mixed(sequence()))
        return (ys**2).sum()

    found = network(program)
    assert columns(found, 0) == [0, 1, 2, 3, 4]
    assert columns(found, 1) == [4, 3, 2, 1, 0]


def test_what_is_mixed_from_copies_begins_where_the_last_of_them_stands():
    def program():
        lower = tg.nn.RNN(SIZE, SIZE, rng=0)
        upper = tg.nn.RNN(SIZE, SIZE, bidirectional=True, rng=1)
        hs, _ = lower(sequence(3))
        ys, _ = upper(hs - hs.mean(axis=0))
        return (ys**2).sum()

    found = network(program)
    assert [columns(found, row) for row in range(3)] == [[0, 1, 2], [2, 3, 4], [4, 3, 2]]


def test_a_state_that_is_repeated_for_every_step_is_there_as_soon_as_it_is_made():
    """As the code of an autoencoder: its decoder reads it once a step."""

    def program():
        encoder, decoder = tg.nn.RNN(SIZE, SIZE, rng=0), tg.nn.RNN(SIZE, SIZE, rng=1)
        _, (h,) = encoder(sequence(2))
        ys, _ = decoder(tg.ops.stack([h] * 4))
        return (ys**2).sum()

    found = network(program)
    prove_time(found)
    assert [columns(found, row) for row in range(2)] == [[0, 1], [1, 2, 3, 4]]
    repeated = [block.columns for block in found.blocks if "stack" in ops(block) and block.row]
    assert repeated == [(1,)]


def test_a_sequence_that_something_later_is_added_to_is_read_after_that():
    def program():
        encoder, decoder = tg.nn.RNN(SIZE, SIZE, rng=0), tg.nn.RNN(SIZE, SIZE, rng=1)
        _, (h,) = encoder(sequence(3))
        ys, _ = decoder(sequence(4, seed=1) + h)
        return (ys**2).sum()

    found = network(program)
    assert [columns(found, row) for row in range(2)] == [[0, 1, 2], [2, 3, 4, 5]]


def test_a_chain_that_something_later_feeds_does_not_run_backwards():
    """It reads what two rows made of one state, the first from the middle on, out of order."""

    def program():
        one, two = tg.nn.RNNCell(SIZE, SIZE, rng=0), tg.nn.RNNCell(SIZE, SIZE, rng=1)
        h, hs, s = zeros(), [], zeros()
        for x in sequence():
            h = one(x, h)
            hs.append(h)
        for t in (4, 3, 4, 2):
            s = two(hs[t], s)
        return (s**2).sum()

    found = network(program)
    assert columns(found, 1) == [4, 5, 6, 7]
    assert not any(row.reverse for row in found.rows)


def test_a_row_that_begins_with_a_later_step_has_the_time_of_that():
    """As α of a hidden Markov model: the first observation makes the first state."""

    def program():
        xs, cell = sequence(4), tg.nn.RNNCell(SIZE, SIZE, rng=0)
        h = tg.ops.tanh(xs[0] * tg.nn.Parameter(np.ones(SIZE)))
        for t in range(1, 4):
            h = cell(xs[t], h)
        return (h**2).sum()

    found = network(program)
    assert [cell.label for cell in found.cells] == ["h₁", "h₂", "h₃"]
    assert [cell.columns for cell in found.cells] == [(1,), (2,), (3,)]
    inputs = {b.columns: b.label for b in found.blocks if b.kind == "input"}
    assert inputs == {(t,): f"x{'₀₁₂₃'[t]}" for t in range(4)}


def test_a_slow_row_counts_its_own_steps():
    def program():
        fast, slow = tg.nn.RNNCell(SIZE, SIZE, rng=0), tg.nn.RNNCell(SIZE, SIZE, rng=1)
        h, s = zeros(), zeros()
        for t, x in enumerate(sequence(4)):
            h = fast(x, h)
            if t % 2:
                s = slow(h, s)
        return (s**2).sum()

    found = network(program)
    slow = [cell for cell in found.cells if cell.row.number == 1]
    assert [(cell.label, cell.columns) for cell in slow] == [("s₀", (1,)), ("s₁", (3,))]


@pytest.mark.parametrize(("both", "times"), [(True, "₀₁₂₃"), (False, "₀₁")])
def test_what_reads_a_quick_row_and_a_slow_one_has_the_time_of_the_quick_one(both, times):
    def program():
        fast, slow = tg.nn.RNNCell(SIZE, SIZE, rng=0), tg.nn.RNNCell(SIZE, SIZE, rng=1)
        out = tg.nn.Linear(SIZE, 1, rng=2)
        h, s, ys = zeros(), zeros(), []
        for t, x in enumerate(sequence(4)):
            h = fast(x, h)
            if t % 2:
                s = slow(h, s)
            if both or t % 2:
                ys.append(out(h * s if both else s))
        return (tg.ops.stack(ys) ** 2).sum()

    found = network(program)
    assert [output.label for output in found.outputs] == [f"y{t}" for t in times]


def ponder(cell, x, h, times):
    for _ in range(times):
        h = cell(x, h)
    return h * 0.5 + 0.1


def test_steps_of_a_loop_around_the_loop_are_bracketed():
    def program():
        cell, h = tg.nn.RNNCell(SIZE, SIZE, rng=0), zeros()
        for x, times in zip(sequence(3), (2, 1, 3), strict=True):
            h = ponder(cell, x, h, times)
        return (h**2).sum()

    found = network(program)
    brackets = [(one.first, one.last, one.label) for one in found.brackets]
    assert brackets == [(0, 1, "step 0"), (2, 2, "step 1"), (3, 5, "step 2")]


def test_one_loop_has_no_brackets():
    def program():
        cell, h = tg.nn.RNNCell(SIZE, SIZE, rng=0), zeros()
        h = ponder(cell, sequence(1)[0], h, 3)
        return (h**2).sum()

    assert not network(program).brackets


def test_signs_of_two_lines_are_two_rows_where_one_column_has_both():
    def program():
        cell, h, c = tg.nn.LSTMCell(SIZE, SIZE, rng=0), zeros(), zeros()
        for x in sequence(3):
            h, c = cell(x, (h, c))
            h = h + x
            c = c + x
        return ((h + c) ** 2).sum()

    rows = [row for row in network(program).rows if row.blocks[0].sign == "⊕"]
    assert [[block.columns for block in row.blocks] for row in rows] == [[(0,), (1,), (2,)]] * 2


def test_a_sign_hides_no_product():
    def program():
        W, h = tg.nn.Parameter(np.eye(SIZE)), zeros()
        cell, A = tg.nn.RNNCell(SIZE, SIZE, rng=0), tg.ops.exp(W)
        for x in sequence(2):
            h = cell(x, A @ h + 1.0)
        return (h**2).sum()

    found = network(program)
    products = [block for block in found.blocks if "matmul" in ops(block) and block.row]
    assert products
    assert all(block.sign is None for block in products if block.row.kind == "between")


def scanned(made):
    """A cell reads, step by step, what is made of a whole sequence at once."""

    def program():
        h, cell = zeros(), tg.nn.RNNCell(SIZE, SIZE, rng=0)
        for x in made(sequence()):
            h = cell(x, h)
        return (h**2).sum()

    return program


def convolution(xs, weights, order):
    """Each step and those before it, weighed."""
    steps, width = len(xs), len(weights)
    padded = np.concatenate([np.zeros((width - 1, SIZE)), xs])
    return sum(weights[k] * padded[k : k + steps] for k in order(range(width)))


@pytest.mark.parametrize(("width", "order"), [(2, list), (4, list), (3, reversed), (5, reversed)])
def test_what_is_made_of_a_whole_sequence_step_by_step_is_cut_into_its_steps(width, order):
    """A projection and a short convolution before the loop: no step is made of another one's."""
    project = tg.nn.Linear(SIZE, SIZE, rng=1)
    weights = tg.nn.Parameter(np.ones((width, SIZE)), name="weights")
    found = network(scanned(lambda xs: convolution(project(xs), weights, order)))
    prove_time(found)
    inputs = [block for block in found.blocks if block.kind == "input" and block.label[0] == "x"]
    assert [block.columns for block in inputs] == [(t,) for t in range(5)]
    projected, weighed = (
        [block for block in found.blocks if block.kind == "between" and op in ops(block)]
        for op in ("linear", "mul")
    )
    assert [block.columns for block in projected] == [(t,) for t in range(5)]
    assert [block.columns for block in weighed] == [(t,) for t in range(5)]
    for t, block in enumerate(weighed):
        read = {arrow.source for arrow in found.entering[block]}
        assert read & {*projected} == {*projected[max(0, t + 1 - width) : t + 1]}
        assert block.sign is None  # which would hide the weight


def test_layers_that_are_called_at_each_step_have_a_row_each():
    """Also what is made alike in both, as a gate before each of them."""

    def layer(xs, cell, gate):
        h, hs = zeros(), []
        for x in xs * tg.ops.sigmoid(gate(xs)):
            h = cell(x, h)
            hs.append(h)
        return tg.ops.stack(hs)

    def program():
        hs = sequence(3)
        for k in range(2):
            hs = layer(hs, tg.nn.RNNCell(SIZE, SIZE, rng=k), tg.nn.Linear(SIZE, SIZE, rng=k))
        return (hs**2).sum()

    gates = [row for row in network(program).rows if "linear" in ops(row.blocks[0])]
    gates = [row for row in gates if row.kind == "between"]
    assert [[block.columns for block in row.blocks] for row in gates] == [[(0,), (1,), (2,)]] * 2


@pytest.mark.parametrize("read", [list, lambda xs: list(sequence_of(xs))])
def test_what_comes_after_all_that_the_copies_read_has_a_column_after_theirs(read):
    """As the next frame, of which a code is made that the last copy is to foresee."""

    def program():
        encode, cell, h = tg.nn.Linear(SIZE, SIZE, rng=1), tg.nn.RNNCell(SIZE, SIZE, rng=0), zeros()
        codes = [tg.ops.tanh(encode(x)) for x in read(np.random.default_rng(0).normal(size=(4, 3)))]
        loss = 0.0
        for code, after in pairwise(codes):
            h = cell(code, h)
            loss = loss + ((h - after) ** 2).sum()
        return loss

    found = network(program)
    assert columns(found, 0) == [0, 1, 2]
    assert found.columns == 4
    inputs = {block.columns: block.label for block in found.blocks if block.kind == "input"}
    assert inputs == {(t,): f"x{'₀₁₂₃'[t]}" for t in range(4)}
    (codes,) = (row for row in found.rows if "tanh" in ops(row.blocks[0]) and row.kind == "between")
    assert [block.columns for block in codes.blocks] == [(t,) for t in range(4)]


def sequence_of(array):
    return tg.tensor(array, name="xs")


def test_what_a_network_itself_updates_is_a_state_and_meets_each_step_in_its_column():
    """As weights that a learned optimiser trains: each loss is of the weights so far."""
    data = np.random.default_rng(0).standard_normal((4, SIZE, SIZE))

    def program():
        cell, h = tg.nn.RNNCell(SIZE, SIZE, rng=0), zeros()
        theta, loss = tg.tensor(np.ones(SIZE), requires_grad=True, name="theta"), 0.0
        for A in data:
            error = ((A @ theta) ** 2).sum()
            loss = loss + error
            (gradient,) = tg.grad(error, [theta], create_graph=True)
            h = cell(gradient, h)
            theta = theta + h
        return loss + (theta**2).sum()

    found = network(program)
    prove_time(found)
    errors, sums = (
        [block for block in found.blocks if op in ops(block) and block.row is row]
        for op, row in (("matmul", found.rows[0]), ("add", found.rows[-1]))
    )
    assert [block.columns for block in errors] == [(t,) for t in range(4)]
    assert [block.columns for block in sums] == [(t,) for t in range(4)]
    inputs = [block.columns for block in found.blocks if block.kind == "input"]
    assert inputs == [(t,) for t in range(4)]
    (first,) = (block for block in found.blocks if block.label == "theta₋₁")
    assert (first.kind, first.columns) == ("initial", (0,))
    assert {block.label for block in found.parameters} == {"W_xh", "W_hh", "b_h"}
    assert {arrow.target for arrow in found.leaving[first]} == {errors[0], sums[0]}
    messages = {(arrow.source, arrow.target) for arrow in found.arrows if arrow.kind == "message"}
    assert messages >= set(pairwise(sums))
    assert all(block.sign == "⊕" for block in sums)


def test_weights_of_a_module_that_a_network_updates_are_trained_at_first():
    class Fast(tg.nn.Module):
        def __init__(self):
            self.cell = tg.nn.RNNCell(SIZE, SIZE, rng=0)
            self.at_first = tg.nn.Parameter(np.eye(SIZE))

        def forward(self, xs):
            h, W, loss = zeros(), self.at_first, 0.0
            for x in xs:
                h = self.cell(W @ x, h)
                W = W + h[:, None] * x
                loss = loss + (h**2).sum()
            return loss + (W**2).sum()

    fast = Fast()
    found = network(lambda: fast(np.random.default_rng(0).standard_normal((4, SIZE))))
    (first,) = (block for block in found.blocks if block.trained == "at_first")
    assert first.kind == "initial"
    assert first in found.parameters


@pytest.mark.parametrize("begin", [np.zeros, np.ones])
def test_what_a_row_is_at_first_is_read_by_another_also_where_numpy_joined_it(begin):
    """Before the slow row's first copy the fast one reads [x; slow] as one array."""

    def program():
        fast = tg.nn.RNNCell(SIZE + 2, 4, rng=0)
        slow = tg.nn.RNNCell(4, 2, rng=1)
        h, s = np.zeros(4), begin(2)
        for t, x in enumerate(np.random.default_rng(0).standard_normal((4, SIZE))):
            h = fast(np.concatenate([x, s]), h)
            if t % 2:
                s = slow(h, s)
        return (s**2).sum()

    found = network(program)
    prove_time(found)
    inputs = {
        block.columns: block.pieces[0].shape for block in found.blocks if block.kind == "input"
    }
    assert inputs == {(t,): (SIZE,) for t in range(4)}
    chain = next(chain for chain in found.chains if chain.row.number == 1)
    (slow,) = chain.initial
    assert {arrow.target.id for arrow in found.leaving[slow]} == {
        "cell-0-0",
        "cell-0-1",
        "cell-1-0",
    }
    assert [one.initial != chain.initial for one in found.chains] == [True, False]


def test_a_sequence_that_is_read_as_a_whole_is_no_step_of_itself():
    """Attention of all steps over all, before the loop: what comes in is xs, and no x₀."""
    found = network(scanned(lambda xs: tg.ops.softmax(xs @ xs.T, -1) @ xs))
    (one,) = (block for block in found.blocks if block.kind == "input")
    assert (one.label, one.labels, one.columns) == ("xs", ("xs",), (0,))


def test_an_euler_step_stands_with_its_copy_also_where_the_next_row_runs_backwards():
    def program():
        one, two = tg.nn.RNNCell(SIZE, SIZE, rng=0), tg.nn.RNNCell(SIZE, SIZE, rng=1)
        h, s, hs = zeros(), zeros(), []
        for x in sequence(3):
            h = h + 0.1 * one(x, h)
            hs.append(h)
        for x in reversed(hs):
            s = two(x, s)
        return (s**2).sum()

    found = network(program)
    prove_time(found)
    sums = [block for block in found.blocks if "add" in ops(block) and block.sign == "⊕"]
    assert [block.columns for block in sums] == [(0,), (1,), (2,)]


def test_a_trained_state_that_is_weighed_outside_of_the_copies_is_a_state():
    """Where a norm is the cell, and what leads to it lies between."""

    def program():
        U, gain = (tg.nn.Parameter(np.eye(SIZE), name=name) for name in ("U", "gain"))
        h = tg.nn.Parameter(np.ones(SIZE), name="h0")
        for x in sequence(3):
            h = tg.ops.tanh(x + h @ U)
            with tg.scope("norm"):
                h = h * gain / (h * h).mean()
        return (h**2).sum()

    found = network(program)
    prove_time(found)
    (first,) = (block for block in found.blocks if block.trained == "h0")
    assert (first.kind, first.columns) == ("initial", (0,))
    assert not [block for block in found.blocks if block.kind == "derived"]


SCALE = np.array([2.0, 0.0, 2.0])


def decayed(h, new, own):
    """As the GRU-D: what the state decays by belongs to the step that follows."""
    return new(own * h)


def kept(h, new, own):
    """Zoneout by two products, the first of which NumPy computes at first."""
    return own * h + (1 - own) * new(h)


def weighed(h, new, own):
    """What is done to the state is one thing for all steps, as variational dropout is."""
    return new(h * SCALE)


def masked(h, new, own):
    return tg.ops.where(own > 0.5, new(h), h)


def mixed(h, new, own):
    """As `kept`, of a tensor: what is made of it alone stands with what it is multiplied by."""
    own = tg.tensor(own)
    return own * h + (1 - own) * new(h)


@pytest.mark.parametrize(
    ("step", "arrays"), [(decayed, 2), (weighed, 1), (kept, 3), (masked, 2), (mixed, 2)]
)
def test_what_a_step_does_to_a_state_stands_in_its_column_with_what_it_reads(step, arrays):
    def program():
        rng, cell, h = np.random.default_rng(0), tg.nn.GRUCell(SIZE, SIZE, rng=0), np.zeros(SIZE)
        h = tg.tensor(h) if step in (decayed, weighed, mixed) else h
        for x in rng.standard_normal((4, SIZE)):
            own = rng.random(SIZE)
            h = step(h, lambda h, x=x: cell(x, h), own)
        return (h * h).sum()

    found = network(program)
    signs = [block for block in found.blocks if block.kind == "between"]
    assert {block.columns for block in signs} == {(t,) for t in range(4)}
    inputs = [block for block in found.blocks if block.kind == "input"]
    for block in inputs:
        readers = {arrow.target for arrow in found.leaving[block]}
        assert {reader.columns for reader in readers} == {block.columns}
    initial = {block.label for block in found.blocks if block.kind == "initial"}
    assert initial == {"h₋₁"}
    known = arrays - (step is kept)  # what NumPy computed at first is a part of the initial state
    count = Counter(block.columns for block in inputs)
    assert count == Counter({(t,): arrays if t else known for t in range(4)})


@pytest.mark.parametrize("steps", [2, 3, 4])
@pytest.mark.parametrize("again", [False, True])
def test_what_attends_to_all_that_was_made_at_once_begins_where_that_stands(steps, again):
    """Also where its steps, which the copies read one by one, are stacked again."""

    def program():
        lower, cell = tg.nn.RNN(SIZE, SIZE, rng=0), tg.nn.RNNCell(SIZE, SIZE, rng=1)
        hs, _ = lower(sequence(steps))
        pooled = hs - hs.mean(axis=0)
        xs, h = list(pooled), zeros()
        for x in xs:
            keys = tg.ops.stack([tg.ops.reshape(k, (SIZE,)) for k in xs]) if again else pooled
            weights = tg.ops.softmax((keys * h).sum(axis=-1), axis=0)
            h = cell(x + (weights[:, None] * keys).sum(axis=0), h)
        return (h**2).sum()

    found = network(program)
    prove_time(found)
    assert columns(found, 1) == [*range(steps - 1, 2 * steps - 1)]


def test_what_is_made_of_inputs_is_there_before_the_first_copy_that_depends_on_it():
    """A sum over two steps of a sequence that is read from its end stands with its first reader."""

    def program():
        xs, weights = sequence(2), tg.nn.Parameter(np.ones((2, 1)))
        padded = tg.ops.concatenate([np.zeros((1, SIZE)), xs])
        keys = weights[0] * padded[:-1] + weights[1] * padded[1:]
        back, upper = tg.nn.RNNCell(SIZE, SIZE, rng=0), tg.nn.RNN(SIZE, SIZE, rng=1)
        h, sums = zeros(), []
        for key in reversed(list(keys)):
            h = back(key + tg.ops.softmax(keys @ h) @ keys, h)
            sums.append(h + key)
        ys, _ = upper(tg.ops.stack(sums[::-1]))
        return (ys**2).sum() + (sums[0] ** 2).sum()

    found = network(program)
    prove_time(found)
    assert [columns(found, row) for row in range(2)] == [[1, 2], [2, 1]]


@pytest.mark.parametrize("begin", [np.zeros(SIZE), tg.tensor(np.zeros(SIZE))])
def test_a_running_average_of_a_state_stands_in_the_columns_of_its_steps(begin):
    """Also where NumPy computed what its first step has of it."""

    def program():
        cell, h, mean = tg.nn.RNNCell(SIZE, SIZE, rng=0), None, begin
        for x in sequence(4):
            h = cell(x, h)
            mean = 0.9 * mean + 0.1 * h
        return (mean**2).sum()

    found = network(program)
    assert [columns(found, row) for row in range(2)] == [[0, 1, 2, 3]] * 2
    assert {b.label for b in found.blocks if b.kind == "initial"} == {"h₋₁", "mean₋₁"}
    assert [b.label for b in found.blocks if b.kind == "input"] == ["x₀", "x₁", "x₂", "x₃"]


def zoned_out():
    """A quick layer that keeps some units at each step, and a slow one that every other step reads.

    The slow one is called first.
    """
    slow, quick = tg.nn.RNNCell(SIZE, SIZE, rng=0), tg.nn.RNNCell(2 * SIZE, SIZE, rng=1)
    out, rng = tg.nn.Linear(SIZE, SIZE, rng=2), np.random.default_rng(0)
    h, s, loss = zeros(), zeros(), 0.0
    for t, x in enumerate(sequence(5)):
        if t % 2 == 0:
            s = slow(h, s)
        keep = rng.random(SIZE)
        h = keep * h + (1 - keep) * quick(tg.ops.concatenate([x, s]), h)
        loss = loss + (out(h) ** 2).sum()
    return loss


def test_what_is_kept_of_a_state_stands_in_the_step_that_keeps_it_beside_a_slow_row():
    found = network(zoned_out)
    prove_time(found)
    assert [columns(found, row) for row in range(2)] == [[0, 1, 3], [0, 1, 2, 3, 4]]
    between = [row for row in found.rows if row.kind == "between"]
    assert all([b.columns[0] for b in row.blocks] == [0, 1, 2, 3, 4] for row in between)
    inputs = [(b.columns[0], b.label) for b in found.blocks if b.kind == "input"]
    for name in ("x", "keep"):
        assert [one for one in inputs if one[1].startswith(name) and "′" not in one[1]] == [
            (t, f"{name}{'₀₁₂₃₄'[t]}") for t in range(5)
        ]


def test_two_heads_on_a_stacked_sequence_are_two_blocks():
    """One reads all steps, the other one the last; in its column they have nothing in common."""

    def program():
        rnn, each = tg.nn.GRU(SIZE, SIZE, rng=0), tg.nn.Linear(SIZE, SIZE, rng=1)
        whole = tg.nn.Linear(SIZE, SIZE, rng=2)
        ys, _ = rnn(sequence(3))
        return (each(ys) ** 2).sum() + (whole(ys[-1]) ** 2).sum()

    found = network(program)
    heads = [row for row in found.rows if row.kind == "between" and row.path]
    columns_of = Counter((row.path, block.columns[0]) for row in heads for block in row.blocks)
    assert columns_of == Counter([("each", 0), ("each", 1), ("each", 2), ("whole", 2)])


def layered(finish):
    """Two layers, each read by the next thing step by step, and what is made of both."""

    def program():
        one, two = tg.nn.GRU(SIZE, SIZE, rng=0), tg.nn.GRU(SIZE, SIZE, rng=1)
        lower, _ = one(sequence(4))
        upper, _ = two(lower)
        return finish(lower, upper)

    return program


def residual_mean(lower, upper):
    return (tg.nn.Linear(SIZE, 2, rng=2)((upper + lower).mean(axis=0)) ** 2).sum()


def attention_below(lower, upper):
    key, out = tg.nn.Linear(SIZE, SIZE, rng=3), tg.nn.Linear(SIZE, 2, rng=2)
    keys = key(lower)
    return (out(tg.ops.softmax(keys @ upper[-1]) @ lower) ** 2).sum()


@pytest.mark.parametrize("finish", [residual_mean, attention_below])
def test_a_layer_is_fed_in_its_column_though_another_reads_the_whole_sequence(finish):
    """No bar over all columns feeds the first copy: what others make of all stands later."""
    found = network(layered(finish))
    prove_time(found)
    assert [columns(found, row) for row in range(2)] == [[0, 1, 2, 3]] * 2
    made = [b for b in found.blocks if b.kind == "between" and b.row.path == "key"]
    assert [b.columns for b in made] == [(t,) for t in range(4)] * bool(made)


@pytest.mark.parametrize("stacked", [True, False])
def test_a_head_on_each_state_stands_in_its_column_beside_attention_to_all(stacked):
    """As where an encoder's states are classified by themselves, and a decoder attends to them."""

    def program():
        encoder, decoder = tg.nn.GRU(SIZE, SIZE, rng=0), tg.nn.GRUCell(SIZE, SIZE, rng=1)
        head = tg.nn.Linear(SIZE, 2, rng=2)
        ys, _ = encoder(sequence(3))
        heads = head(ys) if stacked else [head(ys[t]) for t in range(3)]
        loss, s = sum((heads[t] ** 2).sum() for t in range(3)), ys[-1]
        for _ in range(2):
            s = decoder(tg.ops.softmax(ys @ s) @ ys, s)
        return loss + (s**2).sum()

    found = network(program)
    prove_time(found)
    heads = [block for block in found.blocks if block.kind == "between" and block.row.path]
    assert [block.columns for block in heads] == [(0,), (1,), (2,)]
    attention = {b.formula for b in found.blocks if b.kind == "between" and "softmax" in b.formula}
    assert attention == {"softmax(ys s) ys", "softmax(ys sₜ₋₁) ys"}
    equation = found.rows[[row.path for row in found.rows].index("decoder")].equation
    assert "softmax(ys " in equation


def of_the_first(m, h):
    return h if m is None else 0.5 * m + 0.5 * h


def largest(m, h):
    return h if m is None else tg.ops.maximum(m, h)


@pytest.mark.parametrize("join", [of_the_first, largest])
def test_what_runs_along_with_the_states_from_the_first_one_on_stands_in_their_columns(join):
    """It begins with another row's state, but not after that row."""

    def program():
        cell, h, m = tg.nn.GRUCell(SIZE, SIZE, rng=0), zeros(), None
        for x in sequence(4):
            h = cell(x, h)
            m = join(m, h)
        return (m**2).sum()

    found = network(program)
    prove_time(found)
    assert [columns(found, row) for row in range(2)] == [[0, 1, 2, 3], [1, 2, 3]]
    assert [cell.label for cell in found.cells if cell.row.number] == ["m₁", "m₂", "m₃"]


def test_what_is_made_of_a_masked_state_stands_with_it_where_a_later_row_reads_them_all():
    def program():
        lower, upper = tg.nn.RNNCell(SIZE, SIZE, rng=0), tg.nn.RNNCell(SIZE, SIZE, rng=1)
        h, query, hs = zeros(), zeros(), []
        for x, kept in zip(sequence(3), np.ones((3, 1), bool), strict=True):
            h = tg.ops.where(kept, lower(x, h), h)
            hs.append(h)
        for h in hs:
            keys = tg.ops.stack([tg.ops.reshape(key, (SIZE,)) for key in hs])
            query = upper(h + tg.ops.softmax(keys @ query) @ keys, query)
        return (query**2).sum()

    found = network(program)
    prove_time(found)
    bars = [block for block in found.blocks if block.kind == "bar"]
    assert [block.columns for block in bars] == [(0, 1, 2)] * 3


@pytest.mark.parametrize("ahead", [1, 2])
def test_steps_that_look_ahead_are_as_many_at_the_end_of_the_sequence(ahead):
    """The last ones read the same state last, and are not one for that."""

    def program():
        lower, upper = tg.nn.GRU(SIZE, SIZE, rng=0), tg.nn.GRU(SIZE, SIZE, rng=1)
        ys, _ = lower(sequence(4))
        after = tg.ops.concatenate([ys[ahead:], np.zeros((ahead, SIZE))])
        return (upper(ys + after)[0] ** 2).sum()

    found = network(program)
    prove_time(found)
    assert [columns(found, row) for row in range(2)] == [
        [0, 1, 2, 3],
        [ahead + t for t in range(4)],
    ]
    sums = [block for block in found.blocks if block.sign == "⊕"]
    fed = [[arrow.target for arrow in found.leaving[block]] for block in sums]
    assert fed == [[cell] for cell in found.cells if cell.row.number == 1]
    assert not any("′" in block.label for block in found.blocks if block.kind == "input")


def test_what_reads_two_steps_of_which_one_shares_its_column_stands_with_the_latest():
    """The second sum of the lower row, and so the second copy, has the last column as the first."""

    def program():
        lower, upper, last = (tg.nn.RNNCell(SIZE, SIZE, rng=k) for k in range(3))
        h, hs = zeros(), []
        for x in sequence(3):
            h = lower(x, h)
            hs.insert(0, h)
        hs = tg.ops.stack(hs)
        xs = hs + tg.ops.concatenate([np.zeros((1, SIZE)), hs[:-1]])
        first, second = upper(xs[0], zeros()), upper(xs[1], zeros())
        ys = tg.ops.stack([first, second, upper(xs[2], second)])
        pairs = ys[1:] + ys[:-1]
        return (last(pairs[1], zeros()) ** 2).sum()

    found = network(program)
    prove_time(found)
    assert [columns(found, row) for row in range(3)] == [[0, 1, 2], [2, 2, 1], [2]]


@pytest.mark.parametrize("again", [False, True])
def test_a_loop_that_attends_to_its_whole_sequence_is_fed_each_step_in_its_column(again):
    """The first turn reads them all, as all turns do, and is of the first step for that."""

    def program():
        xs, h = list(sequence(4)), zeros()
        W = tg.nn.Parameter(np.eye(SIZE), name="W")
        keys = tg.ops.stack(xs)
        for x in xs:
            keys = tg.ops.stack(xs) if again else keys
            h = np.tanh((x + tg.ops.softmax(keys @ h) @ keys) @ W)
        return (h**2).sum()

    found = network(program)
    prove_time(found)
    assert columns(found, 0) == [0, 1, 2, 3]
    inputs = {block.label: block.columns for block in found.blocks if block.kind == "input"}
    assert inputs == {"x₀": (0,), "x₁": (1,), "x₂": (2,), "x₃": (3,)}
