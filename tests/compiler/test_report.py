"""What the report says of the last call."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.errors import CompileError


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
