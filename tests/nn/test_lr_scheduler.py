"""Learning-rate schedules: torch's rates, groups, states that go on, and what they refuse."""

import json
import math

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.errors import OpError, StateDictError

# The rate before each step, of a group that begins with 0.4 and one with 0.1. These are what
# torch.optim.lr_scheduler gives, whose documentation has the formulas.
REFERENCE = {
    "StepLR": [0.4, 0.4, 0.4, 0.2, 0.2, 0.2, 0.1, 0.1],
    "LambdaLR": [0.4, 0.36, 0.324, 0.2916, 0.26244, 0.236196, 0.2125764, 0.19131876],
    "CosineAnnealingLR": [
        0.4, 0.3487436867076458, 0.225, 0.1012563132923542, 0.05, 0.1012563132923542, 0.225,
        0.3487436867076458,
    ],
}  # fmt: skip
MAKE = {
    "StepLR": lambda o, **k: tg.optim.StepLR(o, 3, gamma=0.5, **k),
    "LambdaLR": lambda o, **k: tg.optim.LambdaLR(o, lambda epoch: 0.9**epoch, **k),
    "CosineAnnealingLR": lambda o, **k: tg.optim.CosineAnnealingLR(o, 4, eta_min=0.05, **k),
}
EVERY = pytest.mark.parametrize("kind", MAKE)


def optimizer(*rates, kind=tg.optim.SGD):
    groups = [{"params": [tg.nn.Parameter([1.0])], "lr": rate} for rate in rates or (0.4, 0.1)]
    return kind(groups)


def rates(schedule, steps):
    found = []
    for _ in range(steps):
        found.append(schedule.get_last_lr())
        schedule.step()
    return np.array(found)


@EVERY
def test_every_rate_is_torchs(kind):
    found = rates(MAKE[kind](optimizer()), 8)
    expected = np.array(REFERENCE[kind])
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-12)
    if kind == "CosineAnnealingLR":
        expected = 0.05 + (expected - 0.05) * (0.05 / 0.35)
    else:
        expected = expected / 4
    np.testing.assert_allclose(found[:, 1], expected, rtol=1e-12)


def test_a_cosine_is_its_formula_over_several_periods():
    for T_max in (1, 2, 3, 7):
        found = rates(tg.optim.CosineAnnealingLR(optimizer(), T_max), 5 * T_max)[:, 0]
        expected = [0.2 * (1 + math.cos(math.pi * t / T_max)) for t in range(5 * T_max)]
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@EVERY
def test_a_schedule_goes_on_from_its_state(kind):
    whole = rates(MAKE[kind](optimizer()), 8)
    first = optimizer()
    schedule = MAKE[kind](first)
    rates(schedule, 3)
    state = json.loads(json.dumps([first.state_dict()["param_groups"], schedule.state_dict()]))
    second = optimizer(1.0, 1.0)
    again = MAKE[kind](second)
    second.load_state_dict({"param_groups": state[0], "state": [{}, {}]})
    again.load_state_dict(state[1])
    np.testing.assert_array_equal(rates(again, 5), whole[3:])


@EVERY
def test_a_schedule_goes_on_from_an_epoch(kind):
    whole = rates(MAKE[kind](optimizer()), 8)
    first = optimizer()
    rates(MAKE[kind](first), 3)
    again = MAKE[kind](first, last_epoch=3)
    np.testing.assert_allclose(rates(again, 4), whole[4:], rtol=1e-12)


def test_a_rate_moves_what_the_optimiser_moves():
    moved = optimizer(0.5)
    schedule = tg.optim.StepLR(moved, 1, 0.5)
    (p,) = moved.params
    for expected in (0.5, 0.25, 0.125):
        p.grad = np.ones(1)
        moved.step()
        schedule.step()
        assert p.data[0] == expected


def test_a_group_added_later_has_its_own_first_rate():
    grown = optimizer(0.4)
    schedule = tg.optim.LambdaLR(grown, lambda epoch: 1 / (1 + epoch))
    schedule.step()
    grown.add_param_group({"params": [tg.nn.Parameter([1.0])], "lr": 1.0})
    schedule.step()
    np.testing.assert_allclose(schedule.get_last_lr(), [0.4 / 3, 1 / 3])
    assert schedule.base_lrs == [0.4, 1.0]


def test_one_function_for_each_group():
    schedule = tg.optim.LambdaLR(optimizer(), [lambda epoch: 1, lambda epoch: epoch])
    schedule.step()
    assert schedule.get_last_lr() == [0.4, 0.1]
    with pytest.raises(OpError, match="LambdaLR: 1 functions for 2 groups"):
        tg.optim.LambdaLR(optimizer(), [lambda epoch: 1])


def test_schedules_multiply():
    both = optimizer(1.0)
    first, second = tg.optim.StepLR(both, 2, 0.1), tg.optim.StepLR(both, 3, 0.5)
    for _ in range(6):
        first.step()
        second.step()
    assert both.lr == pytest.approx(0.1**3 * 0.5**2)


def test_a_numpy_rate_leaves_parameters_as_they_are():
    p = tg.nn.Parameter(np.ones(2, np.float32))
    moved = tg.optim.Adam([p], lr=np.float64(0.1))
    schedule = tg.optim.LambdaLR(moved, lambda epoch: np.cos(epoch / 4))
    for _ in range(2):
        p.grad = np.ones(2)
        moved.step()
        schedule.step()
    assert p.dtype == np.float32
    assert type(moved.lr) is float


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tg.optim.StepLR([1.0], 3), "takes an optimiser of tg.optim, got list"),
        (lambda: tg.optim.StepLR(optimizer(), 0), "step_size must be a positive integer, got 0"),
        (lambda: tg.optim.StepLR(optimizer(), 2.5), "step_size must be a positive integer"),
        (lambda: tg.optim.StepLR(optimizer(), 2, "0.1"), "gamma must be a number, got '0.1'"),
        (lambda: tg.optim.StepLR(optimizer(), 2, -1), "gamma must not be negative, got -1"),
        (lambda: tg.optim.StepLR(optimizer(), 2, last_epoch=4), "every group needs an initial_lr"),
        (lambda: tg.optim.CosineAnnealingLR(optimizer(), 0), "T_max must be a positive integer"),
        (lambda: tg.optim.LambdaLR(optimizer(), 0.9), "lr_lambda must be a function"),
        (lambda: tg.optim.LambdaLR(optimizer(), lambda _: -1.0), "lr must not be negative"),
        (lambda: tg.optim.LambdaLR(optimizer(), lambda _: None), "unsupported|must be a number"),
    ],
)
def test_what_schedules_refuse(make, message):
    with pytest.raises((OpError, TypeError), match=message):
        make()


@pytest.mark.parametrize(
    "change",
    [
        {"last_epoch": -1},
        {"last_epoch": "3"},
        {"step_size": 0},
        {"step_size": 2.5},
        {"gamma": None},
        {"gamma": float("nan")},
        {"other": 1},
        {"gamma": ...},
    ],
)
def test_a_state_that_lies(change):
    schedule = tg.optim.StepLR(optimizer(), 3)
    before = schedule.state_dict()
    state = {name: value for name, value in (before | change).items() if value is not ...}
    with pytest.raises(StateDictError, match="load_state_dict: StepLR"):
        schedule.load_state_dict(state)
    assert schedule.state_dict() == before
