"""Recorded gradients are checked against the recorded graph, computed again."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.errors import TraceError
from tinygrad_rnn.tracing.questions.checks import check_gradients, replay


def recorded(fn):
    with tg.trace() as tr:
        fn().backward()
    return tr.graph()


def test_a_replay_is_the_forward_that_was():
    rnn = tg.nn.RNN(3, 4, output_size=2, num_layers=2, rng=0)
    graph = recorded(lambda: tg.nn.cross_entropy(rnn(np.eye(3))[0], [0, 1, 0]))
    assert replay(graph, {}) == graph.root.data


def test_right_gradients_pass_each_with_a_row():
    rnn = tg.nn.RNN(3, 4, output_size=2, rng=0)
    rows = list(
        check_gradients(recorded(lambda: tg.nn.cross_entropy(rnn(np.eye(3))[0], [0, 1, 0])))
    )
    assert [row.name for row in rows] == ["W_xh", "W_hh", "b_h", "W_hy", "b_y"]
    assert [row.checked for row in rows] == [12, 16, 4, 8, 2]
    assert all(row.passed for row in rows)


def test_a_wrong_vjp_is_found_with_both_numbers():
    @tg.op(lambda g, y, x: 1.01 * g * y)
    def bad_exp(x):
        return np.exp(x)

    w = tg.tensor([0.5, -0.5], requires_grad=True, name="w")
    (row,) = check_gradients(recorded(lambda: bad_exp(w).sum()))
    assert not row.passed
    assert row.worst == pytest.approx(0.01, rel=1e-3)
    assert row.analytic == pytest.approx(1.01 * row.numeric)


def test_what_lies_behind_a_detach_does_not_move():
    w = tg.tensor(2.0, requires_grad=True, name="w")
    (row,) = check_gradients(recorded(lambda: w * (w * w).detach()))
    assert row.passed
    assert row.numeric == pytest.approx(4.0)


def test_float32_is_compared_in_float64():
    rnn = tg.nn.RNN(3, 4, output_size=2, rng=0, dtype=np.float32)
    xs = np.eye(3, dtype=np.float32)
    rows = list(check_gradients(recorded(lambda: tg.nn.cross_entropy(rnn(xs)[0], [0, 1, 0]))))
    assert all(row.passed and row.rtol == 1e-3 for row in rows)


def test_samples_bound_the_work():
    w = tg.tensor(np.ones(100), requires_grad=True, name="w")
    (row,) = check_gradients(recorded(lambda: (w * w).sum()), samples=7)
    assert row.checked == 7
    assert row.passed


def test_without_a_backward_pass_there_is_nothing_to_check():
    with tg.trace() as tr:
        tg.tensor(1.0, requires_grad=True) * 2
    with pytest.raises(TraceError, match=r"call loss\.backward"):
        list(check_gradients(tr.graph()))
