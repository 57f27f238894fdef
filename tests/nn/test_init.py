"""First values of parameters."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.errors import OpError

init = tg.nn.init


def matrix(rows, columns, dtype=np.float64):
    return tg.nn.Parameter(np.zeros((rows, columns)), dtype=dtype)


def test_uniform():
    p = matrix(200, 50, np.float32)
    init.uniform_(p, -0.5, 0.25, rng=0)
    assert p.dtype == np.float32
    assert p.data.min() == pytest.approx(-0.5, abs=1e-3)
    assert p.data.max() == pytest.approx(0.25, abs=1e-3)


@pytest.mark.parametrize("fill", [init.xavier_uniform_, init.xavier_normal_])
@pytest.mark.parametrize("blocks", [1, 4])
def test_xavier_has_the_variance_of_its_paper(fill, blocks):
    p = matrix(300 * blocks, 100)
    fill(p, 2.0, blocks=blocks, rng=0)
    assert p.data.std() == pytest.approx(2.0 * np.sqrt(2 / 400), rel=0.02)


@pytest.mark.parametrize(("rows", "columns"), [(3, 3), (5, 2), (2, 5)])
def test_orthogonal(rows, columns):
    p = matrix(rows, columns)
    init.orthogonal_(p, 3.0, rng=0)
    small = p.data @ p.data.T if rows < columns else p.data.T @ p.data
    np.testing.assert_allclose(small, 9 * np.eye(min(rows, columns)), atol=1e-12)


def test_each_gate_is_orthogonal():
    cell = tg.nn.LSTMCell(2, 3)
    init.orthogonal_(cell.W_hh, blocks=4, rng=0)
    for gate in np.split(cell.W_hh.data, 4):
        np.testing.assert_allclose(gate @ gate.T, np.eye(3), atol=1e-12)


def test_eye():
    p = matrix(4, 2)
    init.eye_(p, 0.5, blocks=2)
    assert p.data.tolist() == [[0.5, 0], [0, 0.5], [0.5, 0], [0, 0.5]]


@pytest.mark.parametrize("blocks", [0, 2])
def test_blocks_that_do_not_fit(blocks):
    with pytest.raises(
        OpError,
        match=rf"eye_: needs a matrix whose rows make {blocks} equal blocks, got shape \(3, 3\)",
    ):
        init.eye_(matrix(3, 3), blocks=blocks)
