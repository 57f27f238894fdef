"""Losses: their formulas written out, torch's means, their gradients, and what they refuse."""

import itertools

import numpy as np
import pytest
from tables import one_in

import tinygrad_rnn as tg
from tinygrad_rnn.errors import OpError

nn = tg.nn
RNG = np.random.default_rng(0)
LOGITS = RNG.standard_normal((4, 3, 5))
TARGETS = RNG.integers(0, 5, (4, 3))
TARGETS[1, 2] = TARGETS[3, 0] = -100
WEIGHT = np.array([0.5, 2.0, 0.0, 1.5, 1.0])
REDUCTIONS = ["mean", "sum", "none"]


def leaf(array):
    return tg.tensor(array, requires_grad=True)


def reduced(losses, reduction, count):
    return {"mean": losses.sum() / count, "sum": losses.sum(), "none": losses}[reduction]


def by_hand(weight, ignore, smoothing, targets):
    """Each position's loss and w_t, term by term, as torch's documentation has it."""
    losses, counted = np.zeros(targets.shape), np.zeros(targets.shape)
    for place in np.ndindex(*targets.shape):
        x, t = LOGITS[place], targets[place]
        if t == ignore:
            continue
        log_p = np.log(np.exp(x) / np.exp(x).sum())
        w = np.ones(5) if weight is None else weight
        losses[place] = -(1 - smoothing) * w[t] * log_p[t] - smoothing / 5 * (w * log_p).sum()
        counted[place] = w[t]
    return losses, counted.sum()


CASES = list(itertools.product([None, WEIGHT], [None, -100, 2], [0.0, 0.3]))


@pytest.mark.parametrize(
    ("case", "reduction"), one_in(4, list(itertools.product(range(len(CASES)), REDUCTIONS)))
)
def test_cross_entropy(case, reduction):
    weight, ignore, smoothing = CASES[case]
    targets = TARGETS if ignore == -100 else np.abs(TARGETS) % 5
    options = {"weight": weight, "ignore_index": ignore, "label_smoothing": smoothing}
    run = lambda x: nn.cross_entropy(x, targets, reduction, **options)
    losses, count = by_hand(weight, ignore, smoothing, targets)
    expected = reduced(losses, reduction, count)
    np.testing.assert_allclose(run(tg.tensor(LOGITS)).data, expected, rtol=1e-12)
    assert tg.gradcheck(run, [leaf(LOGITS)])
    assert run(tg.tensor(LOGITS.astype(np.float32))).dtype == np.float32


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_nll_loss_of_log_softmax_is_cross_entropy(reduction):
    x = leaf(LOGITS)
    options = {"weight": WEIGHT, "ignore_index": -100}
    found = nn.nll_loss(tg.ops.log_softmax(x), TARGETS, reduction, **options)
    expected = nn.cross_entropy(x, TARGETS, reduction, **options)
    np.testing.assert_allclose(found.data, expected.data, rtol=1e-12)
    assert tg.gradcheck(lambda x: nn.nll_loss(x, TARGETS, reduction, **options), [x])


@pytest.mark.parametrize("options", [{}, {"weight": WEIGHT}, {"label_smoothing": 0.1}])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_is_exact_however_large_the_scores(options, dtype):
    scores = np.array([[0.0, 1.0, 2.0, 3.0, 4.0]], dtype)
    small, large = (nn.cross_entropy(tg.tensor(scores + s), [1], **options) for s in (0, 2**20))
    assert small.item() == large.item()


def test_nothing_in_ignored_logits_reaches_a_gradient():
    x = leaf(np.where((TARGETS == -100)[..., None], np.nan, LOGITS))
    loss = nn.cross_entropy(x, TARGETS, ignore_index=-100)
    loss.backward()
    assert np.isfinite(loss.item())
    assert np.isfinite(x.grad.data).all()
    assert not x.grad.data[TARGETS == -100].any()


def test_the_mean_of_nothing_is_nan_as_torchs():
    assert np.isnan(nn.cross_entropy(tg.tensor(LOGITS[0, :1]), [-1], ignore_index=-1).item())


# Yes and no


@pytest.mark.parametrize("weight", [None, RNG.uniform(0.5, 2, (5,))])
@pytest.mark.parametrize("pos_weight", [None, RNG.uniform(0.5, 2, (3, 5))])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_binary_cross_entropy_with_logits(weight, pos_weight, reduction):
    t = RNG.uniform(0, 1, LOGITS.shape)
    run = lambda x, t: nn.binary_cross_entropy_with_logits(
        x, t, reduction, weight=weight, pos_weight=pos_weight
    )
    p = 1 / (1 + np.exp(-LOGITS))
    yes, w = (1.0 if one is None else one for one in (pos_weight, weight))
    losses = -w * (yes * t * np.log(p) + (1 - t) * np.log(1 - p))
    expected = reduced(losses, reduction, losses.size)
    np.testing.assert_allclose(run(tg.tensor(LOGITS), t).data, expected, rtol=1e-10)
    assert tg.gradcheck(run, [leaf(LOGITS), leaf(t)])


def test_binary_cross_entropy_neither_overflows_nor_loses_digits():
    x = leaf([1000.0, -1000.0, 40.0, -40.0])
    losses = nn.binary_cross_entropy_with_logits(x, [0, 1, 1, 0], "none")
    np.testing.assert_allclose(losses.data, [1000, 1000, np.exp(-40), np.exp(-40)], rtol=1e-12)
    losses.sum().backward()
    expected = [1, -1, -np.exp(-40), np.exp(-40)]
    np.testing.assert_allclose(x.grad.data, expected, rtol=1e-12)


def test_binary_targets_may_be_booleans():
    x = tg.tensor(np.array([0.5, -0.5], np.float32))
    one, other = (nn.binary_cross_entropy_with_logits(x, t) for t in ([True, False], [1.0, 0.0]))
    assert (one.item(), one.dtype) == (other.item(), np.float32)


# Compiled, and refused


def test_compiled_losses_are_the_eager_ones_with_other_targets():
    def loss(x, t, b):
        scores = nn.cross_entropy(x, t, weight=WEIGHT, ignore_index=-100, label_smoothing=0.1)
        return scores + nn.binary_cross_entropy_with_logits(x, b)

    fast = tg.compile(loss)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        given = rng.standard_normal((3, 5)), rng.integers(0, 5, 3), rng.uniform(0, 1, (3, 5))
        given[1][seed % 3] = -100
        found = fast(*map(tg.tensor, given)).item()
        assert found == pytest.approx(loss(*map(tg.tensor, given)).item(), rel=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.cross_entropy(LOGITS, TARGETS), r"every target must be in 0\.\.4"),
        (lambda: nn.cross_entropy(LOGITS, TARGETS, ignore_index=1), r"must be in 0\.\.4"),
        (lambda: nn.cross_entropy(LOGITS, TARGETS[0], ignore_index=-100), "need targets of shape"),
        (lambda: nn.cross_entropy(LOGITS, TARGETS * 1.0, ignore_index=-100), "must be an integer"),
        (lambda: nn.cross_entropy(LOGITS, TARGETS, weight=WEIGHT[:4]), "one number a class"),
        (lambda: nn.cross_entropy(LOGITS, TARGETS, label_smoothing=1), "label_smoothing must be"),
        (lambda: nn.cross_entropy(LOGITS, TARGETS % 5, "max"), "the reduction must be"),
        (lambda: nn.nll_loss(LOGITS, TARGETS % 5, "max"), "nll_loss: the reduction must be"),
        (lambda: nn.nll_loss(tg.tensor(1.0), 0), r"scores are \(…, C\)"),
        (
            lambda: nn.binary_cross_entropy_with_logits(LOGITS, LOGITS[0]),
            "must have the same shape",
        ),
        (
            lambda: nn.binary_cross_entropy_with_logits(WEIGHT, WEIGHT, weight=LOGITS),
            r"the weights make \(4, 3, 5\) of logits of shape \(5,\)",
        ),
    ],
)
def test_what_losses_refuse(call, message):
    with pytest.raises(OpError, match=message):
        call()
