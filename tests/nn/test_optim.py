"""Optimisers: torch's numbers from a stored table, states that go on, and what they refuse."""

import json
from pathlib import Path

import numpy as np
import pytest
from optim_cases import CASES, ours

import tinygrad_rnn as tg
from tinygrad_rnn.errors import GradientError, OpError, StateDictError

TABLE = json.loads(Path(__file__).with_name("optim_reference.json").read_text("utf-8"))


def parameter(*values):
    return tg.nn.Parameter(np.array(values))


@pytest.mark.parametrize(("case", "expected"), list(zip(CASES, TABLE, strict=True)))
def test_every_step_is_torchs(case, expected):
    for found, value in zip(ours(*case), expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_a_state_goes_on_bit_for_bit(case):
    for whole, resumed in zip(ours(*case), ours(*case, resume_at=3), strict=True):
        np.testing.assert_array_equal(whole, resumed)


@pytest.mark.parametrize("kind", tg.optim.KINDS)
def test_float32_stays_float32(kind):
    p = tg.nn.Parameter(np.ones(3, np.float32))
    optimizer = tg.optim.KINDS[kind]([p])
    for _ in range(2):
        (p * p).sum().backward()
        optimizer.step()
    state = optimizer.state_dict()["state"][0]
    assert {p.dtype, *(v.dtype for v in state.values() if np.ndim(v))} == {np.dtype(np.float32)}


@pytest.mark.parametrize("kind", tg.optim.KINDS)
def test_a_step_between_forward_and_backward_changes_no_gradient(kind):
    p = parameter(2.0)
    y = p * p
    p.grad = np.array([1.0])
    tg.optim.KINDS[kind]([p]).step()
    p.grad = None
    y.backward()
    assert p.grad.item() == 4.0


def test_the_learning_rate_can_be_changed_between_steps():
    p = parameter(1.0)
    optimizer = tg.optim.SGD([p], lr=1.0)
    p.grad = np.array([1.0])
    optimizer.lr = 0.25
    optimizer.step()
    assert p.data[0] == 0.75


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("SGD", {"lr": -1.0}, "SGD: lr must not be negative, got -1.0"),
        ("SGD", {"lr": float("nan")}, "SGD: lr must not be negative, got nan"),
        (
            "SGD",
            {"nesterov": True},
            "SGD: nesterov needs a momentum and no dampening, got momentum=0.0",
        ),
        (
            "Adam",
            {"betas": (1.0, 0.9)},
            r"Adam: betas\[0\] must be at least 0 and below 1, got 1.0",
        ),
    ],
)
def test_settings_that_make_no_sense(kind, settings, message):
    with pytest.raises(OpError, match=message):
        tg.optim.KINDS[kind]([parameter(1.0)], **settings)


def test_no_parameters():
    with pytest.raises(OpError, match="SGD: got no parameters"):
        tg.optim.SGD(iter([]))


def test_states_of_others():
    adam = tg.optim.Adam([parameter(1.0, 2.0)])
    with pytest.raises(StateDictError, match="Adam has the settings lr, betas"):
        adam.load_state_dict(tg.optim.SGD([parameter(1.0)]).state_dict())
    with pytest.raises(StateDictError, match="of 2 parameters, not of 1"):
        adam.load_state_dict(tg.optim.Adam([parameter(1.0), parameter(1.0)]).state_dict())
    other = tg.optim.Adam([p := parameter(1.0)])
    p.grad = np.ones(1)
    other.step()
    with pytest.raises(StateDictError, match=r"parameter 0 of shape \(2,\) cannot have"):
        adam.load_state_dict(other.state_dict())


# Clipping


def with_gradient(*values):
    p = parameter(*np.zeros(len(values)))
    p.grad = np.array(values)
    return p


def test_the_norm_is_that_of_all_gradients_together():
    a, b, without = with_gradient(3.0, 0.0), with_gradient(4.0), parameter(1.0)
    assert tg.nn.clip_grad_norm_([a, b, without], 1.0) == 5.0
    np.testing.assert_allclose([*a.grad.data, *b.grad.data], [0.6, 0.0, 0.8], rtol=1e-6)
    assert without.grad is None


def test_a_small_norm_changes_nothing():
    p = with_gradient(0.3)
    before = p.grad
    assert tg.nn.clip_grad_norm_(p, 1.0) == 0.3
    assert p.grad is before


def test_a_norm_of_nothing():
    assert tg.nn.clip_grad_norm_([parameter(1.0)], 1.0) == 0.0


def test_a_norm_that_is_not_finite():
    p = with_gradient(np.nan, 1.0)
    with pytest.raises(GradientError, match="the gradients' norm is nan"):
        tg.nn.clip_grad_norm_([p], 1.0, error_if_nonfinite=True)
    assert np.isnan(tg.nn.clip_grad_norm_([p], 1.0))
    assert np.isnan(p.grad.data).all()


def test_clipping_by_value():
    p = with_gradient(-3.0, 0.5, 2.0)
    tg.nn.clip_grad_value_([p, parameter(1.0)], 1.0)
    assert p.grad.data.tolist() == [-1.0, 0.5, 1.0]


def test_bounds_that_make_no_sense():
    with pytest.raises(OpError, match="max_norm ≥ 0"):
        tg.nn.clip_grad_norm_([], -1.0)
    with pytest.raises(OpError, match="must not be negative"):
        tg.nn.clip_grad_value_([], float("nan"))


@pytest.mark.parametrize("clip", [tg.nn.clip_grad_norm_, tg.nn.clip_grad_value_])
def test_a_generator_that_is_used_up_is_not_clipped_in_silence(clip):
    layer = tg.nn.Linear(2, 2, rng=0)
    layer(np.full((1, 2), 1e6)).sum().backward()
    parameters = layer.parameters()
    tg.optim.SGD(parameters, lr=0.1)
    with pytest.raises(OpError, match="used up: call parameters"):
        clip(parameters, 1.0)
    clip([], 1.0)
    clip(layer.parameters(), 1.0)
    assert np.abs(layer.weight.grad.data).max() <= 1
