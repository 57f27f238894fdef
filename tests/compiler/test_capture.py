"""What a recording takes in, and what it refuses since a replay would get it wrong."""

import numpy as np
import pytest
from compiler.side_by_side import CALLS, agree, backward, compare, gradients, leaf
from tables import rows

import tinygrad_rnn as tg
from tinygrad_rnn import ops
from tinygrad_rnn.errors import CompileError, OpError

READS = [
    lambda t: t.item(),
    lambda t: t.data,
    lambda t: t.numpy(),
    bool,
    int,
    float,
    np.asarray,
    np.isnan,
]


@pytest.mark.parametrize("read", [*READS, lambda t: t in t])
def test_reading_a_value_is_refused(read):
    with pytest.raises(CompileError, match=r"test_capture.py:\d+: the values of .* are read"):
        tg.compile(lambda x: read(x.sum()))(np.ones(1))


def test_reading_what_follows_from_a_parameter_is_refused():
    w = tg.tensor([1.0], requires_grad=True)
    with pytest.raises(CompileError, match="are read"):
        tg.compile(lambda x: x * float((w * 2).sum()))(np.ones(1))
    with pytest.raises(CompileError, match="are read"):
        tg.compile(lambda x: x * w.data)(np.ones(1))


def test_updating_a_parameter_is_refused_and_undone():
    w = tg.tensor([1.0], requires_grad=True)

    def step(x):
        (w * x).sum().backward()
        w.data = np.zeros(1)

    with pytest.raises(CompileError, match="update parameters outside"):
        tg.compile(step)(np.ones(1))
    assert w.data.tolist() == [1.0]
    assert w.grad is None


def test_what_was_computed_outside_is_refused():
    w = tg.tensor([1.0], requires_grad=True)
    h = w * 2
    with pytest.raises(CompileError, match="computed outside"):
        tg.compile(lambda x: x * h)(np.ones(1))
    with pytest.raises(CompileError, match="detach"):
        tg.compile(lambda x: x * 2)(h)
    with pytest.raises(CompileError, match="used from outside as well"):
        tg.compile(lambda x: x * w)(w)


def test_one_gradient_of_two_tensors_is_refused():
    a, b = (tg.tensor(np.ones(3), requires_grad=True) for _ in range(2))
    a.grad = b.grad = tg.tensor(np.zeros(3))
    with pytest.raises(
        CompileError, match="is the gradient of 2 tensors: give each a tensor of its own"
    ):
        tg.compile(lambda x: backward((a * x + b).sum()))(np.ones(3))


def test_gradients_accumulate_as_they_do_otherwise():
    w = tg.tensor([1.0, 2.0], requires_grad=True)

    def step(x):
        (w * x).sum().backward()
        return w.grad * 2

    compare(step, [w], [([1.0, k],) for k in range(6)], clear=False)


@pytest.mark.parametrize("create_graph", [False, True])
def test_gradients_that_are_returned_follow_the_arguments(create_graph):
    """The first two calls are alike: comparing them does not tell what would be baked in."""
    w = tg.tensor([1.0, 2.0], requires_grad=True)

    def step(x):
        return tg.grad((w * w * x).sum(), w, create_graph=create_graph)

    compare(step, [], [([1.0, 1.0],), ([1.0, 1.0],), ([3.0, 4.0],)])


def test_a_hook_is_part_of_the_step():
    w = tg.tensor([1.0, 2.0], requires_grad=True)

    def step(x):
        y = w * x
        y.register_hook(lambda g: g * w + x)
        (y * y).sum().backward()
        return y

    compare(step, [w], [([1.0, k],) for k in range(CALLS)])


def test_clearing_gradients_inside():
    w = tg.tensor([1.0, 2.0], requires_grad=True)

    def step(x):
        w.grad = None
        (w * x).sum().backward()
        (w * w).sum().backward()

    fast = tg.compile(step)
    for k in range(5):
        fast(np.array([1.0, k]))
        np.testing.assert_allclose(w.grad.data, [1.0 + 2.0, k + 4.0])


def test_gradients_of_gradients():
    w = tg.tensor([0.5, 2.0], requires_grad=True)

    def step(x):
        g = tg.grad((w**3 * x).sum(), w, create_graph=True)
        (g * g).sum().backward()
        return g

    compare(step, [w], [([1.0, k],) for k in range(4)])


def looks_at_the_gradient(w, x):
    return x if w.grad is None else x * 2


def leaves_another(w, x):
    w.grad = x * 3
    return x


def makes_and_clears(w, x):
    (w * x).sum().backward()
    made = w.grad
    w.grad = None
    return made


def uses_it_alone(w, x):
    return x if w.grad is None else (w.grad * w.grad).sum()


@pytest.mark.parametrize(
    "fn", [looks_at_the_gradient, leaves_another, makes_and_clears, uses_it_alone]
)
def test_gradients_that_a_function_looks_at_and_replaces(fn):
    for_eager, for_fast = leaf(1.0, 2.0), leaf(1.0, 2.0)
    fast = tg.compile(lambda x: fn(for_fast, x))
    for k, gradient in enumerate((None, None, None, [5.0, 6.0], [5.0, 6.0], [7.0, 8.0], None)):
        results = []
        for w, call in ((for_eager, lambda x: fn(for_eager, x)), (for_fast, fast)):
            w.grad = None if gradient is None else tg.tensor(gradient)
            results.append((call(tg.tensor([1.0, 1.0 + k // 3])).data, gradients([w])))
        agree([results[1][0]], [results[0][0]])
        agree(results[1][1], results[0][1])


def test_a_gradient_from_before_the_call_that_is_a_bound_is_read_at_each_call():
    w, fast = (
        tg.tensor(np.ones(3), requires_grad=True),
        tg.compile(lambda x: ops.clip(x, None, w.grad)),
    )
    for bound in (1.0, 1.0, 1.0, 2.0, 3.0):
        w.grad = np.full(3, bound)
        assert fast(np.full(3, 9.0)).data.tolist() == [bound] * 3


COLUMNS = np.arange(3)
INDICES = [
    (lambda W, i: W[i], (2, 2)),
    (lambda W, i: W[i[0]], (2, 2)),
    (lambda W, i: W[np.arange(2), i], (2,)),  # of some rows
    (lambda W, i: W[COLUMNS, i], (3,)),  # an element of each row
    (lambda W, i: W[i, COLUMNS], (3,)),  # and of each column
    (lambda W, i: W[i[:, None], COLUMNS], (2,)),
    (lambda W, i: W[i, 1], (2,)),
    (lambda W, i: W[i, i], (2,)),
    (lambda W, i: W[:1][0, i], ()),
    (lambda W, i: ops.log_softmax(W.T)[COLUMNS, i], (3,)),
    (lambda W, i: np.stack([W, W.T])[[[0], [1]], COLUMNS, i], (2, 3)),
    (lambda W, i: np.take_along_axis(W, i[:, None], 1), (3,)),
    (lambda W, i: np.take_along_axis(W, i[None], 0), (3,)),
    (lambda W, i: np.take_along_axis(W, i, 1), (3, 2)),
    (lambda W, i: ops.one_hot(np.maximum(i, -i), 4)[:, 1:] * W, (3,)),
]


@pytest.mark.parametrize(("take", "shape"), INDICES)
@pytest.mark.parametrize("copies", rows([1, 3], [3]))
def test_integers_that_differ_from_call_to_call_pick_elements_and_rows(take, shape, copies):
    """Also the same ones twice, and from the end; at one step, and at three."""
    rng = np.random.default_rng(0)
    W = tg.tensor(rng.standard_normal((3, 3)), requires_grad=True)

    def step(indices):
        ys = [take(W * (k + 1.0), i) for k, i in enumerate(indices)]
        return backward(sum((y * y * (k + 0.5)).sum() for k, y in enumerate(ys)))

    compare(step, [W], [(rng.integers(-3, 3, (copies, *shape)),) for _ in range(CALLS)])


def test_an_index_out_of_range_is_refused_at_a_replay():
    W = tg.tensor(np.eye(3), requires_grad=True)
    fast = tg.compile(lambda i: backward(W[COLUMNS, i].sum()))
    for _ in range(CALLS):
        fast(np.array([0, 2, -3]))
    for wrong in (3, -4):
        with pytest.raises(OpError, match=r"every index must be in 0\.\.2"):
            fast(np.array([0, wrong, 1]))


def test_a_tensor_as_an_index():
    compare(
        lambda x, index: x[index],
        [],
        [(np.arange(5.0) + k, np.array([k, 0])) for k in range(CALLS)],
    )


def test_a_tensor_among_slices():
    W = tg.tensor(np.arange(18.0).reshape(3, 3, 2), requires_grad=True)

    def step(i, j, scale):
        parts = W[:, i], W[:, :, j], W[:, i, j]
        return backward(sum((part * part * scale).sum() for part in parts))

    j = np.array([1, 0, 1])
    compare(step, [W], [(np.array([k % 2, 0, -1]), j, 1.0 + k) for k in range(CALLS)])


def random_index(rng, shape):
    """Integers, slices and arrays of integers of all kinds, for the first axes or all of them."""
    lead = tuple(rng.integers(1, 4, rng.integers(0, 3)))
    parts = []
    for n in shape[: rng.integers(1, len(shape) + 1)]:
        kinds = {
            "all": slice(None),
            "turned": slice(None, None, -1),
            "one": int(rng.integers(-n, n)),
            "some": rng.integers(-n, n, lead).astype(rng.choice([np.int8, np.int64])),
            "unsigned": rng.integers(0, n, lead).astype(np.uint8),
        }
        parts.append(kinds[rng.choice([*kinds])])
    return tuple(parts)


@pytest.mark.parametrize("seed", rows(range(40), range(4)))
def test_parts_at_indices_that_are_data(seed):
    """Whatever picks them, and however often: they are gathered, and their gradients added."""
    rng = np.random.default_rng(seed)
    for _ in range(10):
        shape = tuple(rng.integers(1, 5, rng.integers(1, 4)))
        W = tg.tensor(rng.standard_normal(shape), requires_grad=True)
        indices = [random_index(rng, shape) for _ in range(rng.integers(1, 4))]

        def step(scale, W=W, indices=indices):
            parts = [W[index] for index in indices]
            return backward(sum((part * part * scale + part).sum() for part in parts))

        compare(step, [W], [(1.0 + k,) for k in range(CALLS)])


def test_a_tensor_on_both_sides_of_a_slice_is_refused():
    W = tg.tensor(np.ones((3, 3, 2)), requires_grad=True)
    with pytest.raises(CompileError, match="is indexed by a tensor: take rows with"):
        tg.compile(lambda i: W[i, :, i].sum().backward())(np.array([0, 1]))


def test_an_index_that_is_given_twice_is_two():
    i, j = tg.tensor([0, 1]), tg.tensor([3, 2])
    calls = [(np.arange(4.0), *given) for given in ((i, i), (i, i), (i, j), (j, i))]
    compare(lambda x, first, second: (x[first], x[second]), [], calls)


def test_an_index_that_shares_its_array_with_an_operand_stays_what_it_is():
    operand = tg.tensor([0, 1])
    index, w = tg.Tensor(operand), tg.tensor([10.0, 20.0, 30.0])
    fast = tg.compile(lambda x: (operand * x).sum() + w[index].sum())
    for data in ([0, 1], [2, 2]):
        operand.data = np.array(data)
        assert [fast(np.ones(2)).item() for _ in range(CALLS)] == [sum(data) + 30.0] * CALLS


def test_targets_may_be_an_index_as_well():
    E = tg.tensor(np.random.default_rng(0).random((5, 5)), requires_grad=True)
    step = lambda i, scores: backward(
        tg.nn.cross_entropy(scores * E, i) + ops.embedding(E, i).sum()
    )
    compare(step, [E], [(np.arange(5) % (k + 1), np.eye(5) * k) for k in range(CALLS)])


@pytest.mark.parametrize(
    ("fn", "first", "then"),
    [
        (lambda w, option: w[option], 0, 2),
        (lambda w, option: w[:, None][option, 0], [0, 1], [2, 1]),
        (lambda w, option: ops.clip(w, option, 9.0), 0.5, 1.5),
        (lambda w, option: ops.clip(w, None, option), [1.0, 2.0, 3.0], [0.0, 0.0, 0.0]),
    ],
)
def test_a_tensor_from_outside_that_is_an_option_is_recorded_anew_once_it_is_another(
    fn, first, then
):
    w, option = tg.tensor([0.0, 1.0, 2.0], requires_grad=True), tg.tensor(first)
    runs = []

    @tg.compile
    def step():
        runs.append(True)
        loss = (fn(w, option) ** 2).sum()
        loss.backward()
        return loss

    for data, times in ((first, 4), (then, 4), (first, 2)):
        option.data = np.array(data)
        expected = (fn(w, option) ** 2).sum()
        (gradient,) = tg.grad(expected, [w])
        for _ in range(times):
            w.grad = None
            np.testing.assert_array_equal(step().data, expected.data)
            np.testing.assert_array_equal(w.grad.data, gradient.data)
    assert len(runs) == 8  # an array bound again is another array; each fourth call is a check


def test_one_index_used_often_is_compared_once():
    index, w = tg.tensor([0, 1]), tg.tensor([1.0, 2.0, 3.0])
    fast = tg.compile(lambda x: sum(w[index] * x for _ in range(50)))
    fast(np.ones(2))
    fast(np.ones(2))
    recording, _ = fast.latest()
    assert len(recording.options) == 1


def test_constants_among_options_are_compared_too():
    rows = iter(np.random.default_rng(0).integers(0, 100, (2, 5)))
    fast = tg.compile(lambda x: x[next(rows)])
    fast(np.arange(100.0))
    with pytest.raises(CompileError, match="not what it was"):
        fast(np.arange(100.0))


@pytest.mark.parametrize("op", [ops.softmax, ops.log_softmax, ops.logsumexp])
def test_the_line_of_an_op_that_is_made_of_others_is_the_users(op):
    shapes = iter([lambda x: op(x), lambda x: op(x * 2)])
    fast = tg.compile(lambda x: next(shapes)(x))
    fast(np.ones(3))
    with pytest.raises(CompileError, match=r"test_capture.py:\d+"):
        fast(np.ones(3))
