"""Ops at the corners of what NumPy allows, and what they refuse at a replay."""

import numpy as np
import pytest
from compiler.side_by_side import CALLS, agree, compare

import tinygrad_rnn as tg
from tinygrad_rnn import ops
from tinygrad_rnn.errors import CompileError, OpError


@pytest.mark.parametrize(
    "fn",
    [
        lambda a, b: a @ b,
        lambda a, b: a.max(),
        lambda a, b: a.sum(),
        lambda a, b: (a * b).reshape(1, 3).sum(axis=1),
    ],
    ids=["product of vectors", "largest", "sum", "sums of rows"],
)
@pytest.mark.parametrize("special", [1.0, np.nan, np.inf, -np.inf])
def test_vectors_and_what_is_no_number(fn, special):
    compare(fn, [], [([0.5, special, k], [1.0, 2.0, -special]) for k in range(CALLS)])


@pytest.mark.parametrize("special", [1.0, np.nan, np.inf, -np.inf])
def test_the_largest_of_each_row(special):
    rng = np.random.default_rng(0)
    xs = rng.standard_normal((CALLS, 4, 5))
    xs[:, 1, 2], xs[:, 2] = special, special
    compare(lambda x: (x.max(axis=1), x.max(axis=0), ops.softmax(x)), [], [(x,) for x in xs])


def test_dropout_draws_what_it_would_draw_otherwise():
    drawn = []
    for wrap in (lambda fn: fn, tg.compile):
        net = tg.nn.LSTM(3, 4, num_layers=2, dropout=0.5, rng=3)
        step = wrap(lambda xs, net=net: net(xs)[0])
        drawn.append([step(np.ones((4, 2, 3))).data for _ in range(5)])
    agree(drawn[1], drawn[0])


@pytest.mark.parametrize(
    ("fn", "x"),
    [
        (lambda x: x.sum(axis=-1) + x.max(axis=0) + ops.softmax(x), 2.0),
        (lambda x: x - (x == 1), 1.0),
        (lambda x: x[-4::-1], [1.0, 2.0, 3.0]),
        (lambda x: x @ np.ones((0, 4)), np.ones((2, 3, 0))),
        (lambda x: x < -1, np.ones(2, np.uint8)),
        (lambda x: x < 10**30, np.ones(2, np.int64)),
        (lambda x: ops.clip(ops.tanh(x), None, 0.5), [1.0, 2.0]),
        (lambda x: ops.concatenate([x, x], axis=None), [[1.0, 2.0]]),
        (lambda x: ops.embedding(tg.tensor(np.eye(3)), x), np.array([0, 2], ">i8")),
        (lambda x: ops.cross_entropy(tg.tensor(np.eye(3)), x), np.array([0, 2, 1], np.uint64)),
        (lambda x: ops.scatter([x], [slice(0, 2)], (3,)), 2.0),
        (lambda x: ops.scatter([tg.tensor([5.0, 6.0])], [x], (3,)), np.array([True, False, True])),
    ],
    ids=[
        "no axes", "no axes, one-hot", "nothing backwards", "no features", "below unsigned",
        "above all", "clip", "flat", "big-endian", "unsigned", "one for all", "mask",
    ],
)  # fmt: skip
def test_corners_of_ops(fn, x):
    compare(fn, [], [(x,)] * CALLS)


def test_indices_out_of_range_are_refused_at_every_call():
    table = tg.nn.Embedding(4, 2, rng=0)
    fast = tg.compile(lambda index, target: tg.nn.cross_entropy(table(index), target))
    for _ in range(3):
        fast(np.array([0, 3]), np.array([1, 0]))
    for index, target, what in (
        ([0, 4], [0, 0], "index"),
        ([0, -1], [0, 0], "index"),
        ([0, 1], [0, 2], "target"),
    ):
        with pytest.raises(OpError, match=f"every {what} must be in"):
            fast(np.array(index), np.array(target))


@pytest.mark.parametrize(
    ("fn", "good", "bad", "message"),
    [
        (lambda x, i: x[i], [0, 1], [0, 7], r"getitem\(.*index 7 is out of bounds"),
        (
            lambda x, i: (x * 4).astype(int) ** i,
            [0, 1],
            [0, -1],
            "power: Integers to negative integer powers",
        ),
        (
            lambda x, i: x - (x * 4).astype(int) ** i - x,
            [0, 1],
            [0, -1],
            "power: Integers to negative integer powers",
        ),
    ],
    ids=["index", "power", "power in between"],
)
def test_what_an_op_refuses_it_refuses_at_a_replay(fn, good, bad, message):
    fast = tg.compile(fn)
    for _ in range(CALLS):
        fast(np.ones(2), np.array(good))
    with pytest.raises(OpError, match=message):
        fast(np.ones(2), np.array(bad))


def test_a_shape_that_depends_on_values_is_refused():
    fast = tg.compile(lambda x, mask: x[mask])
    for _ in range(2):
        fast(np.ones(3), np.array([True, False, True]))
    with pytest.raises(CompileError, match="shape of the result depends on values"):
        fast(np.ones(3), np.array([True, False, False]))


def test_an_op_that_has_run_out_does_not_end_a_replay_in_silence():
    rows = iter([np.ones(2)] * CALLS)

    @tg.op(lambda g, y, x: g)
    def feed(x):
        return x + next(rows)

    fast = tg.compile(lambda x: feed(x).sum())
    for _ in range(CALLS):
        fast(np.zeros(2))
    with pytest.raises(OpError, match="compile: feed raised StopIteration"):
        fast(np.zeros(2))
