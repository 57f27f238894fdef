"""detect_anomaly names the first op that makes a NaN or inf of finite numbers, and its line."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import ops, tensor
from tinygrad_rnn.errors import AnomalyError


def leaf(*values, **options):
    return tensor(list(values), requires_grad=True, **options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ops.log(leaf(1.0, 0.0)),
            r"log \(forward\) made -inf at index \[1\] of shape \(2,\) from 0, at ",
        ),
        (
            lambda: leaf(1.0) / 0.0,
            r"div \(forward\) made inf at index \[0\] of shape \(1,\) from 1, 0, at ",
        ),
        (
            lambda: ops.sqrt(tensor([[4.0], [-1.0]])),
            r"sqrt \(forward\) made nan at index \[1, 0\] of shape \(2, 1\)",
        ),
        (
            lambda: tensor([[1e200, 1.0]]) @ tensor([[1e200], [2.0]]),
            r"matmul \(forward\) made inf .* from float64 \(1, 2\) in \[1, 1e\+200\], ",
        ),
    ],
)
def test_forward(call, message):
    with tg.detect_anomaly(), pytest.raises(AnomalyError, match=message), np.errstate(all="ignore"):
        call()


def test_backward_names_the_line_that_called_the_op():
    x = leaf(0.0, 4.0)
    with tg.detect_anomaly():
        y = ops.sqrt(x)  # this line
        with pytest.raises(
            AnomalyError,
            match=r"sqrt \(backward, input 0\) made inf at index \[0\].*test_anomaly\.py:\d+",
        ):
            y.sum().backward()


def test_backward_of_a_graph_made_before():
    y = ops.sqrt(leaf(0.0))
    with (
        tg.detect_anomaly(),
        pytest.raises(AnomalyError, match=r"at a line before detect_anomaly\(\)"),
    ):
        y.backward()


def test_a_deferred_term_is_looked_at_when_it_is_made():
    x = leaf(1.0)
    with tg.detect_anomaly():
        y = ops.linear(tensor([[1e200]]), tensor([[1.0]], requires_grad=True))
        with pytest.raises(AnomalyError, match=r"linear \(backward, input 1\) made inf"):
            y.backward([[1e200]])
        (x[0] * 2.0).backward()


def test_what_was_not_finite_before_is_nobodys_fault():
    with tg.detect_anomaly(), np.errstate(all="ignore"):
        y = ops.exp(leaf(np.nan, np.inf)) * 2.0
        y.sum().backward()
        ops.max(tensor(np.zeros((0, 2))), axis=1)


def test_outside_nothing_is_checked():
    assert np.isinf(ops.log(tensor(0.0)).item())
