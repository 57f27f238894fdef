"""Rewritten programs compute the same: every cell, loops as people write them, random programs."""

from itertools import product

import numpy as np
import pytest
from compiler.side_by_side import CALLS, backward, compare
from hypothesis import example, given, settings
from hypothesis import strategies as st
from strategies import SHAPE, random_program
from tables import examples, one_in, rows

import tinygrad_rnn as tg
from tinygrad_rnn import ops

RNN, LSTM, GRU = tg.nn.RNN, tg.nn.LSTM, tg.nn.GRU
MODELS = {
    "rnn": (RNN, {}),
    "relu, no bias": (RNN, {"bias": False, "nonlinearity": "relu"}),
    "stack": (RNN, {"num_layers": 3}),
    "two ways": (RNN, {"num_layers": 2, "bidirectional": True}),
    "float32": (RNN, {"dtype": np.float32}),
    "lstm": (LSTM, {}),
    "peepholes": (LSTM, {"peephole": True, "num_layers": 2}),
    "coupled": (LSTM, {"coupled": True, "bidirectional": True}),
    "gru": (GRU, {"num_layers": 2}),
    "gru, gate first": (GRU, {"reset_after": False}),
}
SINGLE = ["rnn", "stack", "lstm", "gru"]  # vectors in place of matrices, in the plain cells


@pytest.mark.parametrize(
    ("model", "batch"),
    one_in(5, [*((model, (2,)) for model in MODELS), *product(SINGLE, [(), (1,)])]),
)
def test_every_cell(model, batch):
    kind, options = MODELS[model]
    net = kind(3, 4, output_size=5, rng=0, **options)
    rng, dtype = np.random.default_rng(1), net.W_hy.dtype

    def step(xs, targets):
        ys, state = net(xs)
        loss = tg.nn.cross_entropy(ys, targets)
        loss.backward()
        return loss, state

    calls = [
        (rng.standard_normal((4, *batch, 3)).astype(dtype), rng.integers(0, 5, (4, *batch)))
        for _ in range(CALLS)
    ]
    compare(step, list(net.parameters()), calls)


@pytest.mark.parametrize("kind", one_in(2, [tg.nn.RNNCell, tg.nn.GRUCell, tg.nn.LSTMCell]))
def test_a_loop_as_a_person_writes_it(kind):
    rng = np.random.default_rng(1)
    table, cell, out = tg.nn.Embedding(5, 3, rng=1), kind(3, 4, rng=0), tg.nn.Linear(4, 5, rng=2)
    parameters = [p for module in (table, cell, out) for p in module.parameters()]

    def step(indices, targets, h):
        loss, state = 0.0, h if kind is not tg.nn.LSTMCell else (h, h)
        for index, target in zip(indices, targets, strict=True):
            state = cell(table(index), state)
            y = out(state[0] if kind is tg.nn.LSTMCell else state)
            loss = loss + tg.nn.cross_entropy(y, target)
        loss.backward()
        return loss, state

    calls = [
        (rng.integers(0, 5, (7, 2)), rng.integers(0, 5, (7, 2)), rng.standard_normal((2, 4)))
        for _ in range(CALLS)
    ]
    compare(step, parameters, calls)


def test_matrices_before_column_vectors():
    rng = np.random.default_rng(0)
    W, U, b = (
        tg.tensor(rng.standard_normal(shape), requires_grad=True)
        for shape in ((4, 3), (4, 4), (4,))
    )

    def step(xs, weights):
        h, loss = np.zeros(4), 0.0
        for x, w in zip(xs, weights, strict=True):
            h = ops.tanh(W @ x + U @ h + b)
            loss = loss + (h * w).sum()
        loss.backward()
        return loss

    compare(
        step,
        [W, U, b],
        [(rng.standard_normal((6, 3)), rng.standard_normal((6, 4))) for _ in range(CALLS)],
    )


UNARY = [
    ops.tanh, ops.sigmoid, ops.relu, ops.sin, ops.softmax, ops.log_softmax,
    lambda x: x.T.T, lambda x: -x, lambda x: x[::-1], lambda x: x[:, 1:2] + x,
    lambda x: x.sum(axis=0) + x, lambda x: x.mean() + x, lambda x: x.clip(-0.7, 0.7),
    lambda x: x.max(axis=1, keepdims=True) * x, lambda x: ops.where(x > 0, x, 0.5 * x),
    lambda x: x[[2, 0, 0]], lambda x: ops.concatenate([x[:, 2:], x[:, :2]], 1),
    lambda x: ops.stack(ops.unstack(x)[::-1]),
]  # fmt: skip
BINARY = [
    ops.add, ops.sub, ops.mul, ops.matmul, ops.linear, ops.maximum,
    lambda a, b: ops.stack([a, b]).sum(axis=0), lambda a, b: ops.tanh(a) + ops.tanh(b),
    lambda a, b: ops.concatenate([a[:1], b[1:]]),
]  # fmt: skip


@pytest.mark.parametrize("batch", rows(range(200), [0], pytest.mark.slow))
def test_programs_of_all_ops(batch):
    """`pytest -m slow` runs 20,000 of them."""
    rng = np.random.default_rng(batch)
    for _ in range(100 if batch else 20):
        program = random_program(rng, most=10)
        leaves = [tg.tensor(x, requires_grad=True) for x in program.arrays()]
        u = rng.standard_normal(SHAPE)

        def step(x, program=program, leaves=leaves, u=u):
            y = program.run(ops, [*leaves[1:], leaves[0] * x])
            if y.requires_grad:
                (y * u).sum().backward()
            return (y,)

        compare(step, leaves, [(rng.uniform(-1, 1, SHAPE),) for _ in range(3)])


# Operands that lie in many rows, all of them the same
ONE_ROW_OFTEN = [
    (ops.tanh, 0, 0), (ops.tanh, 0, 0), (ops.add, 0, 12), (ops.tanh, 0, 0), (BINARY[6], 5, 20),
]  # fmt: skip
# Instructions (op, which operands): each may take any value made before.
PLACES = st.integers(0, 30)
PROGRAMS = st.lists(
    st.tuples(st.sampled_from([*UNARY, *BINARY]), PLACES, PLACES), min_size=1, max_size=14
)


@given(PROGRAMS, st.integers(1, 3), st.sampled_from([np.float64, np.float32]))
@example(ONE_ROW_OFTEN, 1, np.float64)
@settings(max_examples=examples(50))
def test_random_programs(instructions, repeats, dtype):
    rng = np.random.default_rng(0)
    parameters = [
        tg.tensor(rng.uniform(-1, 1, (3, 3)), dtype=dtype, requires_grad=True) for _ in range(2)
    ]

    def step(x):
        made = [*parameters, x]
        for _ in range(repeats):
            for function, i, j in instructions:
                operands = [made[i % len(made)], made[j % len(made)]]
                y = function(*operands[: 1 if function in UNARY else 2])
                made.append(ops.tanh(y))
            made = [*parameters, x, *made[-3:]]
        loss = sum((y.sum() for y in made[3:]), 0.0 * x.sum())
        if loss.requires_grad:
            loss.backward()
        return loss, made[-1]

    compare(step, parameters, [(rng.uniform(-1, 1, (3, 3)).astype(dtype),) for _ in range(3)])


@pytest.mark.parametrize("kind", one_in(2, [tg.nn.RNN, tg.nn.GRU, tg.nn.LSTM]))
def test_calls_grow_with_the_recurrence_alone(kind):
    """A longer loop adds the recurrence: no projection, no product for a weight, no copy."""
    counts = []
    for steps in (5, 10):
        net = kind(3, 4, output_size=5, bias=False, rng=0)
        fast = tg.compile(
            lambda xs, targets, net=net: tg.nn.cross_entropy(net(xs)[0], targets).backward()
        )
        for _ in range(2):
            net.zero_grad()  # else the second call adds to a gradient, which is another program
            fast(np.ones((steps, 2, 3)), np.zeros((steps, 2), int))
        counts.append(fast.report().calls[1])
    assert (counts[1] - counts[0]) / 5 <= {tg.nn.RNN: 6, tg.nn.LSTM: 34, tg.nn.GRU: 36}[kind]


def test_softmax_is_found_where_it_is_one_alone():
    calls = [(1.0, 0.0, 2.0), (800.0, 0.0, 1e300), (-800.0, 0.0, 1e-300), (1.0, 0.0, -2.0)]
    with np.errstate(all="ignore"):
        compare(
            lambda a, b, s: (ops.exp(a - b), ops.exp(a - (ops.log(s) + b))), [], [calls[0], *calls]
        )


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_e_to_a_log_softmax_is_the_softmax_that_it_was_made_from(axis):
    rng = np.random.default_rng(0)
    W = tg.tensor(rng.standard_normal((4, 3)), requires_grad=True)

    def step(x, g):
        return backward((ops.log_softmax(W * x, axis) * g).sum())

    far, masked = np.full((4, 3), 800.0), np.ones((4, 3))
    masked[1, 2] = -np.inf
    calls = [(rng.standard_normal((4, 3)), rng.standard_normal((4, 3))) for _ in range(2)]
    with np.errstate(all="ignore"):
        fast = compare(step, [W], [*calls, (far, calls[0][1]), (masked, calls[1][1])])
    assert fast.report().rewrites["e to a log-softmax"] == 1


def test_e_to_a_logarithm_stays_where_its_sum_overflows():
    far = np.array([[800.0, 0.0], [1.0, 2.0]])

    def step(x):
        less = x - ops.log(ops.exp(x).sum(axis=-1, keepdims=True))
        other = x - x.max(axis=0, keepdims=True)
        return ops.exp(less), ops.exp(other - ops.log(ops.exp(other).sum(axis=1, keepdims=True)))

    with np.errstate(all="ignore"):
        compare(step, [], [(far / 800,), (far,), (-far,)])


def test_what_follows_from_constants_alone_is_computed_once():
    fast = tg.compile(lambda x: x * (ops.exp(tg.tensor(2.0)) + 3))
    for _ in range(3):
        y = fast(np.ones(3))
    assert fast.report().calls == (3, 1)
    np.testing.assert_allclose(y.data, np.exp(2) + 3)


def test_rows_laid_backwards_are_no_stack():
    W = tg.tensor(np.arange(10.0).reshape(2, 5), requires_grad=True)
    compare(
        lambda x: backward((W[0, ::-1] * x).sum() + (W[1] * x).sum()),
        [W],
        [(np.arange(5.0) + k,) for k in range(CALLS)],
    )


def test_a_row_of_a_table_without_columns():
    W = tg.tensor(np.ones((3, 0)), requires_grad=True)
    compare(lambda x: backward((W[0] * x).sum()), [W], [(np.ones(0),)] * CALLS)


def test_factors_are_paired_by_their_rows_however_they_were_laid():
    A, B = (
        tg.tensor(np.random.default_rng(k).random((3, 4)), requires_grad=True) for k in range(2)
    )

    def products(x):
        loss = sum(ops.tanh(A[i] * x[i]).sum() for i in (0, 1, 2)) + sum(
            ops.exp(B[i] * x[i]).sum() for i in (2, 1, 0)
        )
        a, b = tg.grad(loss, [A, B])
        return a.T @ b

    def partly(x):
        a, b = tg.grad(
            sum(ops.tanh(A[i] * x[i]).sum() + ops.exp(B[i] * x[i]).sum() for i in (2, 0)), [A, B]
        )
        return a.T @ b

    xs = [(x,) for x in np.random.default_rng(2).random((CALLS, 3, 4))]
    compare(products, [], xs)
    compare(partly, [], xs)


def test_arguments_in_a_list_are_computed_at_once_as_parts_of_one_are():
    """A number for each step is an argument of its own, and so are its targets."""
    rng = np.random.default_rng(0)
    W, U = (tg.tensor(rng.standard_normal((4, n)), requires_grad=True) for n in (3, 4))

    def step(xs, targets):
        h, loss = np.zeros((2, 4)), 0.0
        for x, target in zip(xs, targets, strict=True):
            h = ops.tanh(ops.linear(x, W) + ops.linear(h, U))
            loss = loss + tg.nn.cross_entropy(h, target)
        loss.backward()
        return loss

    fast = tg.compile(step)
    for _ in range(CALLS):
        given = [*rng.standard_normal((9, 2, 3))], [*rng.integers(0, 4, (9, 2))]
        results = []
        for function in (step, fast):
            W.grad = U.grad = None
            loss = function(*([tg.tensor(x) for x in part] for part in given))
            results.append([loss.data, W.grad.data, U.grad.data])
        for a, b in zip(*results, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)
    calls = fast.report().calls[1]
    joined = tg.compile(step)
    for _ in range(2):
        W.grad = U.grad = None
        joined(*map(np.stack, given))
    assert calls <= joined.report().calls[1] + 2 * 9 + 2  # a copy for each argument
