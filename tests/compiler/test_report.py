"""What the report says of the last call."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.errors import CompileError, GradientError


def test_the_report_says_what_was_saved():
    net = tg.nn.RNN(3, 8, output_size=5, rng=0)

    def step(xs, targets):
        loss = tg.nn.cross_entropy(net(xs)[0], targets)
        loss.backward()
        return loss

    fast = tg.compile(step)
    with pytest.raises(CompileError, match="nothing is compiled yet"):
        fast.report()
    for _ in range(3):
        net.zero_grad()
        fast(np.ones((30, 2, 3)), np.zeros((30, 2), int))
    report = fast.report()
    assert report.calls[1] < report.calls[0] / 2
    assert report.nbytes[1] < report.nbytes[0] / 2
    assert "calls" in str(report)


def test_the_report_is_that_of_the_last_call():
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    fast = tg.compile(lambda x: (w * x).sum().backward())

    def call(gradient):
        w.grad = gradient
        fast(np.ones(2))

    one = tg.tensor([1.0, 1.0])
    for gradient in (None, None, one, one):  # each kind is recorded twice
        call(gradient)
    adding = fast.report().calls[0]
    call(None)
    assert fast.report().calls[0] == adding - 1
    call(one)
    assert fast.report().calls[0] == adding


def test_the_report_says_which_rewrites_were_applied():
    W = tg.tensor(np.eye(3), requires_grad=True)
    fast = tg.compile(lambda h: sum((tg.ops.tanh(h @ W.T)).sum() for _ in range(3)).backward())
    for _ in range(2):
        W.grad = None
        fast(np.ones((2, 3)))
    assert fast.report().rewrites["transposed product"] > 0
    assert "transposed product" in str(fast.report())


def test_kinds_beyond_the_sixteenth_run_as_they_are_and_the_report_says_so():
    layer = tg.nn.RNN(3, 4, rng=0)

    def step(xs):
        loss = (layer(xs)[0] ** 2).sum()
        loss.backward()
        return loss

    fast, runs = tg.compile(step), [np.ones((n, 2, 3)) for n in range(1, 19)]
    for xs in runs[:16]:
        fast(xs)
    with pytest.warns(UserWarning, match="step was called with more than 16 kinds of arguments"):
        fast(runs[16])
    for xs in runs[17:] * 70:  # no second warning; in the end it is worth a recording
        results = []
        for function in (step, fast):
            layer.zero_grad()
            results.append([function(tg.tensor(xs)).data, layer.W_hh.grad.data])
        np.testing.assert_allclose(results[1][0], results[0][0])
        np.testing.assert_allclose(results[1][1], results[0][1])
    assert "as it is: the function was called with more than 16 kinds" in str(fast.report())
    assert fast.report().calls[1] < fast.report().calls[0] / 2
    with pytest.raises(GradientError, match="no history"):
        fast(runs[16]).backward()


def test_values_that_are_looked_at_are_recorded_a_few_times_and_then_run_as_they_are():
    W = tg.tensor(np.random.default_rng(0).random((4, 3)), requires_grad=True)

    def step(ids):
        loss = ((np.eye(4)[ids] @ W) ** 2).sum() + int(ids.max())
        loss.backward()
        return loss

    fast = tg.compile(step)
    calls = [np.array([n % 4, n // 4 % 4]) for n in range(12)]

    def agree(ids):
        results = []
        for function in (step, fast):
            W.grad = None
            results.append([function(tg.tensor(ids)).data, W.grad.data])
        for a, b in zip(*results, strict=True):
            np.testing.assert_allclose(a, b)

    for ids in calls[:4] * 3:
        agree(ids)
    with pytest.warns(UserWarning, match="step looks at the values of argument 0"):
        agree(calls[4])
    for ids in calls:
        agree(ids)


def test_lengths_may_be_an_argument():
    layer = tg.nn.LSTM(3, 4, bidirectional=True, rng=0)
    fast = tg.compile(lambda xs, lengths: layer(xs, None, lengths)[0])
    xs = np.random.default_rng(0).random((5, 2, 3))
    for lengths in ([5, 3], [5, 3], [5, 3], [2, 4], [2, 4], [2, 4]):
        y = layer(tg.tensor(xs), None, np.array(lengths))[0]
        np.testing.assert_allclose(fast(xs, np.array(lengths)).data, y.data)
