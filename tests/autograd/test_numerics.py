"""Where floating-point numbers run out: large scores, infinities, NaN, inactive branches."""

import array
import math
from collections import deque
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import ops, tensor

SCORES = np.array([[0.0, 1.0, 2.0], [-1.0, 3.0, 0.5]])


def slope(f, x):
    x = tensor(x, requires_grad=True)
    f(x).sum().backward()
    return x.grad.data


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shift", [1e3, 1e4, 1e5, 1e6])
def test_probabilities_do_not_depend_on_a_number_added_to_all_scores(dtype, shift):
    x, moved = SCORES.astype(dtype), (SCORES + shift).astype(dtype)
    moved = moved - (moved - x).mean(dtype=dtype) + dtype(shift)  # the shift that was rounded
    x = moved - dtype(shift)
    tolerance = 8 * np.finfo(dtype).eps
    for f in (ops.softmax, ops.log_softmax, lambda z: ops.cross_entropy(z, [0, 1], "none")):
        np.testing.assert_allclose(f(moved).data, f(x).data, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(ops.softmax(moved).data.sum(-1), 1, rtol=tolerance)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([-np.inf, -np.inf], -np.inf),
        ([np.inf, 0.0], np.inf),
        ([np.inf, np.inf], np.inf),
        ([-np.inf, 1.0], 1.0),
        ([1e308, 1e308], 1e308),
    ],
)
def test_logsumexp_of_infinities(values, expected):
    assert ops.logsumexp(values).item() == expected


def test_logsumexp_of_minus_infinity_hands_nothing_back():
    gradient = slope(ops.logsumexp, [-np.inf, 1.0])
    assert gradient.tolist() == [0.0, 1.0]


@given(st.floats(-745, 745))
def test_sigmoid_has_relative_accuracy_in_both_tails(x):
    exact = 1 / (1 + (-Decimal(x)).exp())
    assert ops.sigmoid(x).item() == pytest.approx(float(exact), rel=1e-15, abs=1e-308)


def normal_below(x):
    """Φ(x), with what the argument of `erfc` loses when it is rounded put back to first order."""
    exact = Decimal(-x) / Decimal(2).sqrt()
    a = float(exact)
    slope = -2 / math.sqrt(math.pi) * math.exp(-a * a)
    return 0.5 * (math.erfc(a) + slope * float(exact - Decimal(a)))


@given(st.floats(-700, 700))
@example(-24.0)
def test_smooth_rectifiers_have_relative_accuracy_in_both_tails(x):
    e = Decimal(x).exp()
    softplus = (1 + e).ln() if x > -30 else e * (1 - e / 2)
    close = {"rel": 4e-15, "abs": 1e-308}
    assert ops.softplus(x).item() == pytest.approx(float(softplus), **close)
    assert ops.log_sigmoid(-x).item() == pytest.approx(-float(softplus), **close)
    assert ops.silu(x).item() == pytest.approx(float(Decimal(x) * e / (1 + e)), **close)
    if x > -37:
        # A relative error of x/√2 becomes x² times as large in Φ.
        close = {"rel": 4e-15 + x * x * 2.3e-16, "abs": 1e-300}
        assert ops.gelu(x).item() == pytest.approx(x * normal_below(x), **close)


@pytest.mark.parametrize("f", [ops.softplus, ops.log_sigmoid, ops.silu, ops.gelu])
def test_derivatives_of_smooth_rectifiers_are_finite_afar(f):
    x = tensor([-1000.0, -40.0, 40.0, 1000.0], requires_grad=True)
    first = tg.grad(f(x).sum(), x, create_graph=True)
    assert np.isfinite(first.data).all()
    assert np.isfinite(tg.grad(first.sum(), x).data).all()


def test_a_variance_of_too_few_is_numpys():
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning):
        expected = np.var([1.0, 2.0], ddof=2), np.var([1.0], ddof=1)
    found = ops.var([1.0, 2.0], ddof=2).item(), ops.var([1.0], ddof=1).item()
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda x: ops.sqrt(ops.relu(x)), -1.0),
        (lambda x: ops.log(ops.relu(x)), -1.0),
        (lambda x: ops.sqrt(ops.maximum(x, 0.0)), -1.0),
        (lambda x: ops.log(ops.maximum(0.0, x)), -1.0),
        (lambda x: ops.sqrt(ops.clip(x, 0, 1)), -1.0),
        (lambda x: ops.sqrt(-ops.minimum(x, 0.0)), 1.0),
        (lambda x: ops.sqrt(ops.where(x > 0, x, 0.0)), -1.0),
        (lambda x: ops.sqrt(ops.max(ops.stack([x, tensor(0.0)]))), -1.0),
    ],
)
def test_an_infinite_slope_behind_an_inactive_branch_is_not_handed_on(f, x):
    assert slope(f, x) == 0


@pytest.mark.parametrize(
    ("f", "gradient"),
    [
        (ops.relu, 1.0),
        (lambda x: ops.maximum(x, 0.0), 1.0),
        (lambda x: ops.minimum(0.0, x), 1.0),
        (lambda x: ops.max(x), 1.0),
        (lambda x: ops.min(x), 1.0),
        (lambda x: ops.clip(x, 0.0, 1.0), 0.0),
    ],
)
def test_nan_passes_as_torch_has_it(f, gradient):
    y = f(tensor([np.nan]))
    assert np.isnan(y.data).all()
    assert slope(f, [np.nan]).tolist() == [gradient]


@pytest.mark.parametrize("reduced", [ops.sum, ops.mean, ops.max, ops.min, ops.logsumexp])
@pytest.mark.parametrize("axis", [None, 0, -1, ()])
def test_a_reduction_of_a_single_number_differentiates(reduced, axis):
    assert slope(lambda x: reduced(x, axis), 2.0) == 1.0


def test_a_mean_of_half_precision_does_not_overflow():
    x = tensor(np.full(4, 60_000, np.float16), requires_grad=True)
    assert x.mean().item() == 60_000
    assert x.mean().dtype == np.float16


@pytest.mark.parametrize(
    "index",
    [
        [0, 0],
        ((0, 0),),
        array.array("i", [0, 0]),
        memoryview(np.array([0, 0])),
        range(1),
        deque([0, 0]),
        ([0, 0],),
        np.array([True, False, False]),
        (None, [0, 0]),
        [[0, 1], [0, 2]],
        (slice(None), (0, 0)),
    ],
)
def test_an_element_counts_as_often_as_its_index_occurs(index):
    values = np.arange(9.0).reshape(3, 3)
    x = tensor(values, requires_grad=True)
    y = x[index]
    plain = tuple(index) if isinstance(index, tuple) else index
    plain = np.array(index) if isinstance(index, deque) else plain
    np.testing.assert_array_equal(y.data, values[plain])
    y.sum().backward()
    counts = np.zeros((3, 3))
    np.add.at(counts, plain, 1)
    np.testing.assert_array_equal(x.grad.data, counts)


def test_a_sequence_that_changes_later_is_still_the_index_that_it_was():
    index = array.array("i", [0, 0])
    x = tensor([1.0, 2.0], requires_grad=True)
    y = x[index]
    index[0] = 1
    y.sum().backward()
    assert x.grad.data.tolist() == [2.0, 0.0]


def test_a_persons_op_may_return_its_own_buffer():
    buffer = np.zeros(2)

    @tg.op(lambda g, y, x: g * 2)
    def double(x):
        """Twice: y = 2 x; x̄ = 2 ȳ."""
        np.multiply(x, 2, out=buffer)
        return buffer[:]

    first = double(tensor([1.0, 2.0]))
    double(tensor([10.0, 20.0]))
    assert first.data.tolist() == [2.0, 4.0]


def test_a_persons_vjp_may_return_its_own_buffer():
    """It is written into again, and what a backward pass left stays what it was."""
    buffer = np.zeros(2)

    def of_x(g, y, x):
        buffer[:] = g * 2
        return buffer

    @tg.op(of_x)
    def doubled(x):
        return x * 2

    first, second = (tensor(v, requires_grad=True) for v in ([1.0, 2.0], [3.0, 4.0]))
    doubled(first).sum().backward()
    (doubled(second) * 5.0).sum().backward()
    assert first.grad.data.tolist() == [2.0, 2.0]
    assert second.grad.data.tolist() == [10.0, 10.0]


def test_no_gradient_can_be_written_into():
    x, y = (tensor(v, requires_grad=True) for v in ([1.0, 2.0], [3.0, 4.0]))
    (x * y).sum().backward()
    (found,) = tg.grad((x * x).sum(), [x])
    for gradient in (x.grad, y.grad, found):
        with pytest.raises(ValueError, match="read-only"):
            gradient.data[0] = 7.0


def test_a_masked_array_is_refused():
    masked = np.ma.masked_array([1.0, 2.0], mask=[True, False])
    with pytest.raises(tg.errors.OpError, match="masked array has values that do not count"):
        tensor(masked)
    with pytest.raises(tg.errors.OpError, match="add: tensor: a masked array"):
        tensor([1.0, 2.0]) + masked


@pytest.mark.parametrize(
    "meet",
    [
        lambda masked, x: masked * x,
        lambda masked, x: np.ma.multiply(x, masked),
        lambda masked, x: masked.__isub__(x),
        lambda masked, x: masked / x,
        lambda masked, x: masked == x,
        lambda masked, x: np.ma.maximum(masked, x),
        lambda masked, x: np.ma.where(masked > 1, masked, x),
        lambda masked, x: np.ma.exp(x),
        lambda masked, x: np.ma.dot(masked, x),
    ],
)
def test_a_masked_array_takes_no_tensor(meet):
    """Its own operators would look at the numbers alone, and lose the gradient."""
    masked = np.ma.masked_array([1.0, 2.0], mask=[True, False])
    with pytest.raises(tg.errors.OpError, match=r"masked array|np\.array"):
        meet(masked, tensor([3.0, 4.0], requires_grad=True))


@pytest.mark.parametrize("target", [2, np.int64(2), np.array(2), tensor(2)], ids=type)
def test_cross_entropy_of_one_row_takes_one_number_however_it_comes(target):
    scores = tensor([0.0, 1.0, 2.0], requires_grad=True)
    ops.cross_entropy(scores, target).backward()
    expected = np.exp(scores.data) / np.exp(scores.data).sum() - [0, 0, 1]
    np.testing.assert_allclose(scores.grad.data, expected, rtol=1e-12)


@pytest.mark.parametrize("seen", [np.ascontiguousarray, np.asfortranarray, lambda x: x[::-1, ::2]])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_is_the_same_however_its_scores_lie_in_memory(seen, reduction):
    scores = seen(np.random.default_rng(0).standard_normal((6, 8)))
    targets = np.arange(6) % scores.shape[1]
    x = tensor(scores, requires_grad=True)
    y = ops.cross_entropy(x, targets, reduction)
    y.backward(np.ones(y.shape))
    p = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    expected = (p - np.eye(scores.shape[1])[targets]) / (6 if reduction == "mean" else 1)
    np.testing.assert_allclose(x.grad.data, expected, rtol=1e-12, atol=1e-15)


def test_two_losses_of_the_same_scores_keep_nothing_for_each_other():
    scores = np.random.default_rng(0).standard_normal((3, 4))
    x = tensor(scores, requires_grad=True)
    p = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    first = ops.cross_entropy(x, [0, 1, 2], "sum")
    second = ops.cross_entropy(x, [3, 3, 0], "sum")
    for loss, targets in ((first, [0, 1, 2]), (second, [3, 3, 0]), (first, [0, 1, 2])):
        expected = p - np.eye(4)[targets]
        np.testing.assert_allclose(tg.grad(loss, x).data, expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64])
def test_targets_of_every_width_and_scores_that_are_integers(dtype):
    scores = np.array([[0, 1, 3], [2, 2, 0]])
    loss = ops.cross_entropy(scores, np.array([2, 0], dtype), "none")
    expected = np.log(np.exp(scores).sum(-1)) - scores[[0, 1], [2, 0]]
    np.testing.assert_allclose(loss.data, expected, rtol=1e-15)


def test_the_mean_of_many_half_precision_losses_does_not_overflow():
    scores = np.tile(np.float16([0.0, 10.0]), (10_000, 1))
    loss = ops.cross_entropy(tensor(scores), np.zeros(10_000, int))
    assert loss.dtype == np.float16
    assert loss.item() == pytest.approx(10.0, rel=1e-3)
