"""A compiled function is never silently stale: what a replay would get wrong is noticed."""

import contextlib
import random
import threading
import time
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from compiler.side_by_side import CALLS, agree, compare, leaf
from tables import rows

import tinygrad_rnn as tg
from tinygrad_rnn import ops
from tinygrad_rnn.errors import CompileError, GradientError, OpError

RNG = np.random.default_rng(0)

# What an op is given beside its operands


@tg.op(lambda g, y, x, mask: g * mask)
def masked(x, mask):
    """y = x mask."""
    return x * mask


@tg.op(lambda g, y, x, mask: g * (1 - np.exp(-2 * mask)))
def mixed(x, mask):
    """y = x (1 - exp(-2 mask))."""
    return x * (1 - np.exp(-2 * mask))


@tg.op(lambda g, y, x, pair: g * pair[0] + g * pair[1][0])
def in_a_pair(x, pair):
    """y = x (a + b)."""
    return x * pair[0] + x * pair[1][0]


@tg.op(lambda i, g, y, xs, weights: g * weights[i], variadic=True)
def weighed(xs, weights):
    """The sum of xs, each by its weight."""
    return sum(x * w for x, w in zip(xs, weights, strict=True))


@tg.op(lambda g, y, x, where: ops.getitem(g, where) if isinstance(g, tg.Tensor) else g[where])
def laid(x, where):
    """x at the indices of an array of five."""
    y = np.zeros(5)
    y[where] = x
    return y


OF_OPTIONS = {
    "alone": lambda x, m: masked(x, m),
    "in a formula": lambda x, m: mixed(x, m),
    "in a tuple": lambda x, m: in_a_pair(x, (m, [m * 2])),
    "of all operands": lambda x, m: weighed([x, x * x], m),
    "computed": lambda x, m: masked(x, (m * 2 + 1).detach()),
    "of a view": lambda x, m: masked(x, m[::-1]),
    "an index": lambda x, m: laid(x, m.astype(int)),
    "both bounds": lambda x, m: ops.clip(x, -m, m),
    "one of two": lambda x, m: masked(masked(x, m), np.array([2.0, 3.0, 4.0])),
}
MASKS = np.array([[0, 1, 2], [0, 1, 2], [2, 0, 1], [4, 3, 1], [1, 4, 2], [3, 1, 0], [2, 1, 0.0]])


@pytest.mark.parametrize("kind", OF_OPTIONS)
def test_an_option_that_is_an_argument_is_read_at_each_call_forward_and_backward(kind):
    w = leaf(1.0, 2.0, 3.0)

    def step(x, mask):
        y = OF_OPTIONS[kind](w * x, mask if kind != "of all operands" else mask[:2])
        (y * y).sum().backward()
        return y

    compare(step, [w], [(np.ones(3) + k, mask) for k, mask in enumerate(MASKS)])


def test_the_gradient_of_a_gradient_reads_it_too():
    w = leaf(1.0, 2.0, 3.0)

    def step(x, mask):
        g = tg.grad((mixed(w * w * x, mask) ** 2).sum(), w, create_graph=True)
        (g * g).sum().backward()
        return g

    compare(step, [w], [(np.ones(3), mask) for mask in MASKS])


def test_a_rule_that_makes_an_array_of_such_an_option_is_refused():
    @tg.op(lambda g, y, x, mask: g * np.asarray(mask))
    def opaque(x, mask):
        return x * mask

    w = leaf(1.0, 2.0)
    fast = tg.compile(lambda x, m: opaque(w * x, m).sum().backward())
    with pytest.raises(CompileError, match="are read"):
        fast(np.ones(2), np.ones(2))


# Indices


@pytest.mark.parametrize("dtype", [*"bhilqBHILQ"])
@pytest.mark.parametrize("rows", rows([3, 100, 200, 300], [3, 300]))
def test_integers_of_every_width_are_indices_and_targets(dtype, rows):
    top = min(rows, np.iinfo(dtype).max + 1) - 1
    given = [np.array([0, 1, top], dtype), np.array([top, top, 0], dtype)]
    E, scores = (tg.tensor(np.random.default_rng(0).random((rows, 3)), requires_grad=True),) * 2

    def step(index, targets):
        y = ops.embedding(E, index)
        loss = (y * y).sum() + ops.cross_entropy(scores.T, targets)
        loss.backward()
        return y, loss, E.detach()[index]

    compare(step, [E], [(given[k % 2], given[(k + 1) % 2]) for k in range(CALLS)])


@pytest.mark.parametrize("dtype", [*"bhilqBHILQ"])
@pytest.mark.parametrize("rows", [3, 100, 200, 300, 40_000, 70_000])
def test_an_index_out_of_range_is_refused_whatever_its_width(dtype, rows):
    limits = np.iinfo(dtype)
    table = tg.tensor(np.arange(rows + 0.0))
    fast = tg.compile(lambda i: ops.embedding(table, i))
    for _ in range(CALLS):
        fast(np.array([1, 2], dtype))
    for index in (-1, -2, -128, rows, rows + 1, rows + 50):
        if limits.min <= index <= limits.max:
            with pytest.raises(OpError, match=f"every index must be in 0..{rows - 1}"):
                fast(np.array([1, index], dtype))


# Results


@pytest.mark.parametrize("calls", range(1, CALLS + 1))
def test_what_is_returned_cannot_be_differentiated_and_says_so(calls):
    W, x = leaf(1.0, 2.0), np.ones(2)
    head = tg.nn.Linear(2, 1, rng=0)
    fast = tg.compile(lambda x: (W * x, x * 2))
    for _ in range(calls):
        trained, other = fast(x)
    loss = head(trained).sum()
    for differentiate in (
        loss.backward,
        lambda: tg.grad(loss, head.weight),
        lambda: tg.grad(loss, [head.weight, head.bias], create_graph=True),
        lambda: trained.backward(np.ones(2)),
    ):
        with pytest.raises(GradientError, match=r"compiled function.*inside.*detach\(\)"):
            differentiate()
    assert [p.grad for p in (W, *head.parameters())] == [None] * 3
    head(trained.detach() + other).sum().backward()
    assert head.weight.grad.data.tolist() == [[3.0, 4.0]]
    with pytest.raises(CompileError, match=r"detach\(\)"):
        fast(trained)
    with tg.no_grad():
        assert not fast(x)[0].requires_grad


# Two runs that agree by chance


def seeds_of(draw):
    """How often a function that goes by chance returns one value for ever without a word."""
    silent = 0
    for seed in range(8):
        random.seed(seed)
        np.random.seed(seed)
        fast = tg.compile(lambda x: x * 1.0 if draw() < 0.5 else x * 10.0)
        with contextlib.suppress(CompileError):
            silent += len({fast(np.ones(1)).item() for _ in range(70)}) == 1
    return silent


@pytest.mark.parametrize(
    "draw",
    [
        random.random,
        lambda: random.choice([0, 1]),
        lambda: np.random.rand(),
        lambda: np.random.randint(2),
        np.random.default_rng(1).random,
    ],
    ids=["random", "choice", "numpy", "integers", "Generator"],
)
def test_a_choice_by_chance_is_noticed(draw):
    assert seeds_of(draw) == 0


@pytest.mark.parametrize(
    "draw",
    [
        random.random,
        np.random.rand,
        np.random.default_rng(0).random,
        np.random.RandomState(0).rand,
        random.Random(0).random,
        lambda rng=RNG: rng.integers(2),
        partial(np.random.default_rng(0).normal, 0.0, 1.0),
        SimpleNamespace(rng=np.random.default_rng(0), draw=None),
    ],
)
def test_random_numbers_are_refused_at_once_with_the_way_out(draw):
    w = leaf(1.0)
    with pytest.raises(CompileError, match=r"as arguments, or draw them .* of an op"):
        tg.compile(lambda x: (w * x * drawn(draw)).sum().backward())(np.ones(1))
    assert w.grad is None


def drawn(draw):
    return draw.rng.random() if isinstance(draw, SimpleNamespace) else draw()


def test_a_generator_that_is_given_may_be_drawn_from_by_an_op_alone():
    with pytest.raises(CompileError, match="as arguments"):
        tg.compile(lambda x, rng: x * rng.random())(np.ones(1), np.random.default_rng(0))


def test_what_an_op_draws_is_drawn_anew():
    rng = np.random.default_rng(0)

    @tg.op()
    def noise(shape, rng):
        return rng.standard_normal(shape)

    fast = tg.compile(lambda x, rng: x + noise((3,), rng))
    found = np.array([fast(np.zeros(3), rng).data for _ in range(20)])
    expected = np.random.default_rng(0).standard_normal((20, 3))
    np.testing.assert_array_equal(found, expected)


def test_a_clock_is_noticed():
    fast = tg.compile(lambda x: x * time.perf_counter_ns())
    fast(np.ones(1))
    with pytest.raises(CompileError, match="a clock"):
        fast(np.ones(1))


def changes_after(calls, first, then):
    """A function that is another after so many runs, without a reason that could be seen."""
    runs = iter([first] * calls)
    return lambda x: next(runs, then)(x)


@pytest.mark.parametrize(
    "then",
    [
        lambda x: ops.exp(x) * 2.0,
        lambda x: ops.tanh(x) * 3.0,
        lambda x: ops.tanh(x * 2.0) * 2.0,
        lambda x: ops.tanh(x),
        lambda x: (ops.tanh(x) * 2.0, x)[1],
        lambda x: (ops.tanh(x) * 2.0, 3),
        lambda x: ops.tanh(x) * np.array([2.0, 2.0]),
    ],
)
@pytest.mark.parametrize("runs", [2, 3, 4])
def test_a_recording_is_checked_again_at_calls_four_eight_and_so_on(then, runs):
    fast = tg.compile(changes_after(runs, lambda x: ops.tanh(x) * 2.0, then))
    for _ in range(2**runs - 1):
        assert fast(np.full(2, 0.5)).data.tolist() == (np.tanh([0.5, 0.5]) * 2).tolist()
    with pytest.raises(CompileError, match=r"two runs|is not what it was"):
        fast(np.full(2, 0.5))
    for _ in range(CALLS):  # and is then recorded anew
        again = fast(np.full(2, 0.5))
        expected = then(tg.tensor([0.5, 0.5]))
        if isinstance(expected, tuple):
            again, expected = again[0], expected[0]
        agree([again.data], [expected.data])


def test_gradients_are_as_before_when_a_check_fails():
    w = leaf(1.0, 2.0)
    w.grad = np.zeros(2)
    then = lambda x: (w * x * 2).sum().backward()
    fast = tg.compile(changes_after(2, lambda x: (w * x).sum().backward(), then))
    for _ in range(3):
        fast(np.ones(2))
    before = w.grad
    with pytest.raises(CompileError):
        fast(np.ones(2))
    assert w.grad is before
    assert w.grad.data.tolist() == [3.0, 3.0]


def test_a_check_draws_as_often_as_a_replay():
    def masks(wrap):
        dropout = tg.nn.Dropout(0.5, rng=0)
        step = wrap(lambda x: dropout(x))
        return [step(np.ones(8)).data for _ in range(20)]

    agree(masks(tg.compile), masks(lambda fn: fn))


# What an op of one's own does with arrays


def test_arrays_that_an_op_keeps_do_not_change():
    seen = []

    @tg.op(lambda g, y, x, mask: g)
    def probe(x, mask):
        seen.append((x, mask, x[1:]))
        return x * 1.0

    W = leaf(*np.ones(4))
    fast = tg.compile(lambda x: (ops.tanh(probe(x * W + 0.0, x * 2.0) + 1.0) * 2.0 + 1.0).sum())
    for i in range(9):
        fast(np.full(4, float(i)))
    for i, (x, mask, part) in enumerate(seen):
        assert (x[0], mask[0], part[0]) == (i, 2 * i, i)


def test_an_op_that_writes_into_what_it_gets_is_refused_at_every_call():
    @tg.op(lambda g, y, x: g)
    def careless(x):
        if x[0] > 1:
            x += 1
        return x * 1.0

    fast = tg.compile(lambda x: careless(x * 2.0))
    for _ in range(CALLS):
        fast(np.zeros(2))
    with pytest.raises(OpError, match="read-only"):
        fast(np.ones(2))


@pytest.mark.parametrize("returned", ["buffer", "view", "operand", "part"])
def test_what_an_op_returns_may_be_a_view(returned):
    buffer = np.zeros(3)

    @tg.op(lambda g, y, x: g * 2)
    def double(x):
        np.multiply(x, 2, out=buffer)
        return {"buffer": buffer, "view": buffer[:], "operand": x, "part": x[:]}[returned].copy()

    def bare(x):
        np.multiply(x, 2, out=buffer)
        return {"buffer": buffer, "view": buffer[:], "operand": x, "part": x[:]}[returned]

    alias = tg.op(lambda g, y, x: g * 2)(bare)
    eager = lambda x: (double(x) + double(x * 3), double(x) * 2)
    fast = tg.compile(lambda x: (alias(x) + alias(x * 3) * 1.0, alias(x) * 2))
    if returned in ("operand", "part"):
        for k in range(CALLS):
            x = tg.tensor([1.0, 2.0, k])
            agree([y.data for y in fast(x)], [y.data for y in eager(x)])


@pytest.mark.parametrize("number", [np.float32(2), 3, True])
def test_a_dtype_that_depends_on_values_is_refused(number):
    @tg.op(None)
    def fickle(x):
        return x * 1.0 if x.sum() > 0 else np.full(x.shape, number)

    fast = tg.compile(lambda x: fickle(x))
    for _ in range(CALLS):
        fast(np.ones(2))
    with pytest.raises(CompileError, match="fickle: the dtype of the result depends on values"):
        fast(-np.ones(2))


# Threads


def in_a_thread(fn):
    found = []
    thread = threading.Thread(target=lambda: found.append(fn()))
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.parametrize("trained", [True, False])
def test_ops_of_another_thread_are_refused(trained):
    w = tg.tensor([1.0, 2.0], requires_grad=trained)
    fast = tg.compile(lambda x: x + in_a_thread(lambda: w * x))
    with pytest.raises(CompileError, match="another thread"):
        fast(np.ones(2))
