"""An arrow stands between two drawn parts exactly if the one reads what the other made.

What the pictures of the museum are compared with here is the recorded graph, element by element,
and not the quotient that they are drawn from.
"""

import numpy as np
import pytest
from diagrams.equations import check_equations
from diagrams.test_quotient_pictures import NAMES, network
from diagrams.ways import check_ways
from hypothesis import HealthCheck, given, settings
from tables import rows
from tracing.proofs import prove
from tracing.random_networks import graphs, random_graph

import tinygrad_rnn as tg
from tinygrad_rnn.diagrams.grid.unrolled import unrolled_grid
from tinygrad_rnn.tracing.network.blocks import network_of

SAMPLE = ["ntm", "qrnn", "rwkv", "seq2seq", "sru"]
SIZE, STEPS = 3, 3


@pytest.mark.parametrize("name", rows(NAMES, SAMPLE))
def test_the_ways_of_the_museum_are_the_reads_of_its_graphs(name):
    check_ways(network(name))


EQUATIONS = ["act", "deep_blstm", "encoder_decoder", "hierarchical_rnn", "residual_stack"]
EQUATIONS += ["word_char"]


@pytest.mark.parametrize("name", rows(NAMES, EQUATIONS))
def test_every_copy_reads_and_makes_what_the_equation_says_that_is_printed_for_it(name):
    check_equations(network(name))


def check_random(graph):
    quotient = network_of(graph)
    if quotient is not None:
        check_ways(quotient)


QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=6, derandomize=True, deadline=None, suppress_health_check=QUIET)
@given(graphs())
def test_the_ways_of_random_networks_are_the_reads_of_their_graphs(graph):
    check_random(graph)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None, suppress_health_check=QUIET)
@given(graphs())
def test_the_ways_of_two_thousand_random_networks_are_the_reads_of_their_graphs(graph):
    check_random(graph)


def steps(rng=0):
    return [tg.tensor(x) for x in np.random.default_rng(rng).standard_normal((STEPS, SIZE))]


def layer(xs, rng, h=None):
    cell, hs = tg.nn.RNNCell(SIZE, SIZE, rng=rng), []
    for x in xs:
        h = cell(x, h)
        hs.append(h)
    return hs


def drawn(program):
    """The connections of a program's picture, from and to, and its blocks."""
    with tg.trace() as tr:
        program().backward()
    quotient = network_of(tr.graph())
    check_ways(quotient)
    grid = unrolled_grid(quotient, None)
    return {(c.source, c.target) for c in grid.connections}, quotient


class Highway(tg.nn.Module):
    """What adds its input to what a weight outside made of it."""

    def forward(self, projected, x, h):
        return x + tg.ops.tanh(projected + h)


def highway():
    xs = tg.ops.stack(layer(steps(), 0))
    W, cell, h = tg.nn.Linear(SIZE, SIZE, rng=1), Highway(), tg.tensor(np.zeros(SIZE))
    projected = W(xs)
    for t in range(STEPS):
        h = cell(projected[t], xs[t], h)
    return (h**2).sum()


def test_what_passes_a_block_unchanged_goes_around_it():
    joined, quotient = drawn(highway)
    boxes = {block.columns[0]: block.id for block in quotient.blocks if block.label == "W"}
    for t in range(STEPS):
        ways = {(f"cell-0-{t}", f"cell-1-{t}"), (f"cell-0-{t}", boxes[t])}
        assert ways | {(boxes[t], f"cell-1-{t}")} <= joined


class Shift(tg.nn.Module):
    """What reads a step and the one before it, each through a weight of its own."""

    def __init__(self):
        self.now, self.before = (tg.nn.Parameter(np.ones(SIZE)) for _ in range(2))

    def forward(self, x, before):
        return tg.ops.tanh(x * self.now + before * self.before)


def shifted():
    shift, before, total = Shift(), tg.tensor(np.zeros(SIZE)), 0.0
    for x, h in zip(steps(1), layer(steps(), 0), strict=True):
        y = h + x
        total = total + (shift(y, before) ** 2).sum()
        before = y
    return total


def test_what_one_call_makes_is_no_part_of_the_sum_that_it_reads():
    _, quotient = drawn(shifted)
    sums = [block for block in quotient.blocks if block.sign == "⊕"]
    assert [block.columns for block in sums] == [(t,) for t in range(STEPS)]
    calls = [block for block in quotient.blocks if block.label == "shift"]
    assert [len(block.pieces) for block in calls] == [4] * STEPS


def test_a_sign_is_one_op_and_what_is_several_is_a_box():
    def program():
        hs = layer(steps(), 0)
        return (layer([tg.ops.tanh(h) * h + h for h in hs], 1)[-1] ** 2).sum()

    _, quotient = drawn(program)
    between = [block for block in quotient.blocks if block.kind == "between"]
    assert [(block.sign, block.formula) for block in between] == [(None, "tanh(h) ⊙ h + h")] * 3


LOSSES = {
    "before it is compared": lambda ys: (ys[1:] ** 2).mean(),
    "after it was compared": lambda ys: ((ys - 1.0) ** 2)[1:].mean(),
    "by a list of places": lambda ys: (ys[[1, 2]] ** 2).sum(),
    "from a stack of numbers": lambda ys: tg.ops.stack([(y**2).sum() for y in ys])[1:].sum(),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_an_output_that_a_slice_leaves_out_does_not_reach_the_loss(loss):
    joined, quotient = drawn(lambda: LOSSES[loss](tg.ops.stack(layer(steps(), 0))))
    assert [output.used for output in quotient.outputs] == [True, True]
    assert {source for source, target in joined if target == "loss"} == {"output-1", "output-2"}


def test_an_output_that_nobody_reads_is_drawn_without_a_way_to_the_loss():
    def program():
        head = tg.nn.Linear(SIZE, 2, rng=1)
        return (tg.ops.stack([head(h) for h in layer(steps(), 0)])[1:] ** 2).sum()

    joined, quotient = drawn(program)
    used = {output.column: output.used for output in quotient.outputs}
    assert used == {0: False, 1: True, 2: True}
    assert ("output-0", "loss") not in joined


def test_what_is_joined_and_taken_apart_again_is_followed_part_by_part():
    def program():
        below = layer(steps(), 0)
        above = layer(below, 1)
        states = tg.ops.stack([below[-1], above[-1]])
        first = layer(steps(2), 2, states[0])
        second = layer(first, 3, states[1])
        return (second[-1] ** 2).sum()

    joined, quotient = drawn(program)
    assert not any(block.sign == "∥" for block in quotient.blocks)
    last = STEPS - 1
    assert {(f"cell-0-{last}", "cell-2-0"), (f"cell-1-{last}", "cell-3-0")} <= joined
    assert {(f"cell-0-{last}", "cell-3-0"), (f"cell-1-{last}", "cell-2-0")}.isdisjoint(joined)


def test_what_passes_a_block_and_is_joined_with_its_result_goes_around_it():
    def program():
        W, cell, h = tg.nn.Linear(SIZE, 2, rng=1), tg.nn.RNNCell(SIZE + 2, SIZE, rng=2), None
        for x in layer(steps(), 0):
            h = cell(tg.ops.concatenate([x, tg.ops.tanh(W(x))]), h)
        return (h**2).sum()

    joined, quotient = drawn(program)
    joins = [block for block in quotient.blocks if block.sign == "∥"]
    assert [block.columns for block in joins] == [(t,) for t in range(STEPS)]
    assert {(f"cell-0-{t}", joins[t].id) for t in range(STEPS)} <= joined


def test_what_a_row_begins_with_is_read_by_another_row_before_it_begins():
    """NumPy joined it with the input there, so that the graph has one leaf of both."""

    def program():
        fast, slow = tg.nn.RNNCell(SIZE + 2, SIZE, rng=0), tg.nn.RNNCell(SIZE, 2, rng=1)
        h, context = np.zeros(SIZE), np.full(2, 0.5)
        for t, x in enumerate(np.random.default_rng(0).standard_normal((4, SIZE))):
            h = fast(np.concatenate([x, context]), h)
            if t % 2:
                context = slow(h, context)
        return (h**2).sum() + (context**2).sum()

    joined, quotient = drawn(program)
    begun = next(block for block in quotient.blocks if block.id == "initial-1")
    assert {(begun.id, "cell-0-0"), (begun.id, "cell-0-1"), (begun.id, "cell-1-0")} <= joined
    assert begun.columns == (0,)
    inputs = [block for block in quotient.blocks if block.kind == "input"]
    assert {block.pieces[0].shape for block in inputs} == {(SIZE,)}


def test_what_the_layers_of_one_loop_make_are_rows_of_their_own():
    """Also where the last step alone has what the layer above makes."""

    def program():
        rnn = tg.nn.RNN(SIZE, SIZE, num_layers=2, bidirectional=True, rng=0)
        xs = tg.tensor(np.random.default_rng(0).standard_normal((STEPS, 2, SIZE)))
        ys, _ = rnn(xs, lengths=np.array([STEPS, 2]))
        return (tg.nn.Linear(2 * SIZE, 2, rng=1)(ys) ** 2).sum()

    _, quotient = drawn(program)
    rows = [row for row in quotient.rows if row.kind == "between"]
    assert all(len({b.columns for b in row.blocks}) == len(row.blocks) for row in rows)


class Halves(tg.nn.Module):
    """A module of two results."""

    def __init__(self):
        self.W = tg.nn.Parameter(np.eye(SIZE))

    def forward(self, h):
        p = tg.ops.tanh(h @ self.W)
        return p, p * h


@pytest.mark.parametrize("inside", [True, False], ids=["of a copy", "of a box"])
def test_two_values_of_one_part_leave_it_at_two_places(inside):
    halves, cell = Halves(), tg.nn.RNNCell(SIZE, SIZE, rng=0)

    def step(x, h):
        if not inside:
            h = cell(x, h)
            return h, *halves(h)
        with tg.scope("step"):
            h = cell(x, h)
            return h, *halves(h)

    h, total = tg.tensor(np.zeros(SIZE)), 0.0
    for x in steps():
        h, p, q = step(x, h)
        total = total + (p**2).sum() + tg.ops.abs(q).sum()
    edges = [edge for edge in tg.draw(total).drawing.edges if edge.target.startswith("output")]
    begins = {}
    for edge in edges:
        begins.setdefault(edge.source, set()).add(edge.points[0])
    assert [len(places) for places in begins.values()] == [2] * STEPS


def test_steps_that_stand_in_one_column_are_joined_each_by_itself():
    """A layer reads a sequence both ways of which two steps read the same state last."""

    def program():
        hs = tg.ops.stack(layer(steps(), 0)[::-1])
        ahead = list(hs + tg.ops.concatenate([np.zeros((1, SIZE)), hs[:-1]]))
        ys, _ = tg.nn.GRU(SIZE, SIZE, bidirectional=True, rng=1)(tg.ops.stack(ahead))
        both = ys[..., :SIZE] + ys[..., SIZE:]
        return (tg.nn.Linear(SIZE, 2, rng=2)(both[-1] + ahead[-1]) ** 2).sum()

    joined, quotient = drawn(program)
    joins = {block.id for block in quotient.blocks if block.sign == "∥"}
    assert joins
    assert not any({source, target} <= joins for source, target in joined)


def test_nothing_comes_from_a_slice_without_elements():
    def program():
        (h,) = layer(steps()[:1], 0)
        hs = tg.ops.stack([h])
        before = tg.ops.concatenate([np.zeros((1, SIZE)), hs[:-1]])
        return (tg.nn.Linear(SIZE, SIZE, rng=1)(hs + tg.ops.tanh(before)) ** 2).sum()

    joined, quotient = drawn(program)
    (squashed,) = (block.id for block in quotient.blocks if block.sign == "tanh")
    assert ("cell-0-0", squashed) not in joined


def attended(keys, query):
    weights = tg.ops.softmax((keys * query).sum(axis=-1, keepdims=True), axis=0)
    return (weights * keys).sum(axis=0)


def test_attention_by_what_a_chain_begins_with_is_one_block_as_it_is_later():
    """The sequence is cut, since each step is read alone, too."""

    def program():
        hs = tg.ops.stack(layer(steps(), 0))
        cell, s, total = tg.nn.RNNCell(2 * SIZE, SIZE, rng=1), tg.tensor(np.zeros(SIZE)), 0.0
        for h in hs:
            s = cell(tg.ops.concatenate([attended(hs, s), h]), s)
            total = total + (s**2).sum()
        return total

    _, quotient = drawn(program)
    attention = [b for b in quotient.blocks if any(p.node.op == "softmax" for p in b.pieces)]
    assert [len(block.pieces) for block in attention] == [len(attention[0].pieces)] * STEPS


def test_rows_of_no_step_as_those_of_a_mask_are_no_bar():
    length = 5

    def program():
        hs = tg.ops.stack(layer([tg.tensor(x) for x in np.ones((length, SIZE))], 0))
        mask = np.triu(np.full((length, length), -9.0), 1)
        return (layer(list(tg.ops.softmax(hs @ hs.T + mask) @ hs), 1)[-1] ** 2).sum()

    _, quotient = drawn(program)
    bars = [block for block in quotient.blocks if block.kind == "bar"]
    assert bars
    assert all(block.columns for block in bars)


def chosen(*choices):
    """A network that Hypothesis found once, by what it chose."""
    left = iter(choices)
    return random_graph(lambda _: next(left))


# fmt: off
FOUND_ONCE = {
    "parts of what a copy made are joined again": (
        0, 0, 1, 0, 1, 3, 1, 0, 6, 0, 2, 0, 1, 0, 2, 1, 0, 3, 0),
    "parts of a join are added to the steps of a sequence": (
        0, 0, 1, 0, 2, 3, 0, 0, 0, 0, 0, 9, 0, 2, 0, 7, 0, 3, 0, 0, 0, 0),
    "an input meets an earlier state in what is attended to": (
        0, 0, 2, 0, 1, 0, 0, 8, 0, 5, 0, 0, 0, 6, 0, 0, 0, 0, 0),
    "what comes before a sequence is added to a later state": (
        0, 0, 1, 0, 2, 3, 4, 0, 0, 0, 8, 0, 3, 0, 0, 0, 2, 0, 1, 0, 0, 0, 0),
    "a sequence of which no copy reads a step is split, and then taken step by step": (
        0, 0, 1, 7, 0, 0, 0, 9, 0, 0, 0, 0, 0),
    "every second step of it is taken": (62, 0, 2, 6, 0, 1, 2, 9, 2, 1, 0, 4, 0, 0),
    "a step stands in one block with the mean of all": (
        85, 1, 1, 4, 0, 1, 0, 1, 2, 2, 3, 2, 4, 1, 8, 0, 0, 1, 6, 0, 4, 0, 0),
}
# fmt: on


@pytest.mark.parametrize("choices", FOUND_ONCE.values(), ids=FOUND_ONCE)
def test_networks_that_broke_a_law_once_keep_it(choices):
    graph = chosen(*choices)
    check_random(graph)
    prove(graph, network_of(graph))


def test_an_input_that_is_only_moved_is_not_what_something_fed_back_is_at_first():
    graph = chosen(693, 0, 4, 0, 2, 3, 3, 1, 4, 4, 0, 4, 0, 2, 1, 1, 2, 0)
    check_random(graph)
    assert not any(block.id.startswith("initial-fed") for block in network_of(graph).blocks)


def test_what_a_state_begins_with_is_joined_with_the_loss_that_compares_later_ones_with_it():
    cell, h, loss = tg.nn.GRUCell(SIZE, SIZE, rng=0), tg.tensor(np.zeros(SIZE)), 0.0
    with tg.trace() as tr:
        for x in np.eye(SIZE):
            before, h = h, cell(x, h)
            loss = loss + ((h - before) ** 2).sum()
        loss.backward()
    quotient = network_of(tr.graph())
    check_ways(quotient)
    grid = unrolled_grid(quotient, None)
    passing = [(p.source, p.target) for c in grid.connections for p in c.passages]
    assert ("initial-0", "loss") in passing
