"""The studies whose reference is exact: the triangle, ln ρ, and two ways to one gradient."""

import math

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.studies import STUDIES, Record, conduct
from tinygrad_rnn.studies import chaos as chaos_study
from tinygrad_rnn.studies.chaos import cell_of, deviation, growth, recorded
from tinygrad_rnn.studies.conduct import run_one
from tinygrad_rnn.studies.history import STEPS, by_hand, dependence
from tinygrad_rnn.studies.rtrl import CELLS, real_time, through_time
from tinygrad_rnn.studies.vanish import RADII, RotatingCell, flow, states

SEEDS = 3


@pytest.mark.rest
@pytest.mark.parametrize("name", ["history", "vanish", "rtrl"])
def test_every_claim_holds_for_three_seeds(name):
    findings = conduct(STUDIES[name](), seeds=SEEDS, backend="sequential")
    assert [row for row in findings.rows if not row.holds] == []
    assert {row.seed for row in findings.rows} == set(range(SEEDS))


def test_the_upper_half_of_history_is_zero_to_the_last_bit():
    for record in conduct(STUDIES["history"](), seeds=SEEDS, backend="sequential").records:
        norms = np.array(record["norms"])
        assert norms.shape == (STEPS, STEPS)
        later = norms[np.triu_indices(STEPS, 1)]
        assert (later > 0).all() if "two directions" in record["network"] else not later.any()
        assert (norms[np.tril_indices(STEPS)] > 0).all()


def test_history_agrees_with_the_product_of_jacobians_and_with_differences():
    rng = np.random.default_rng(7)
    network, xs, step = tg.nn.RNN(2, 4, output_size=3, rng=rng), rng.standard_normal((5, 2)), 1e-6
    found = dependence(network, xs)
    np.testing.assert_allclose(found, by_hand(network, xs), rtol=0, atol=1e-15)
    moved = xs.copy()
    moved[1, 0] += step
    difference = (network(moved)[0].data - network(xs)[0].data) / step
    np.testing.assert_allclose(found[:, 1, :, 0], difference, atol=1e-6)


def test_history_sees_a_network_that_looks_ahead():
    """The study can fail: a layer that is fed x_{t+1} does depend on what comes later."""
    network = tg.nn.RNN(2, 4, output_size=3, rng=0)
    ahead = lambda xs: network(tg.ops.concatenate([xs[1:], np.zeros((1, *xs.shape[1:]))]))
    found = dependence(ahead, np.random.default_rng(0).standard_normal((4, 2)))
    assert np.abs(found[0, 1]).max() > 0


@pytest.mark.parametrize("radius", RADII)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_the_slope_is_the_logarithm_of_the_radius(radius, seed):
    rng = np.random.default_rng(seed)
    cell = RotatingCell(16, radius, bend=False, rng=rng)
    logs = np.log(flow(cell, rng.standard_normal((50, 16))))
    assert abs(np.polyfit(np.arange(50), logs, 1)[0] - math.log(radius)) <= 1e-4
    np.testing.assert_allclose(logs, np.arange(50) * math.log(radius), atol=1e-9)


def test_tanh_without_input_is_not_bent():
    """What bends is the distance from 0, not the function: at h = 0 its slope is 1."""
    cell = RotatingCell(8, 1.1, bend=True, rng=np.random.default_rng(0))
    np.testing.assert_allclose(flow(cell, np.zeros((20, 8))), 1.1 ** np.arange(20), rtol=1e-12)


def test_states_are_those_of_the_equation():
    cell, xs = RotatingCell(3, 0.9, bend=True, rng=np.random.default_rng(0)), np.eye(3)
    h = np.zeros(3)
    for x, state in zip(xs, states(cell, xs, 2)[1:], strict=True):
        h = np.tanh(cell.W.data @ h + x)
        np.testing.assert_allclose(state.data, [h, h], rtol=1e-15)


@pytest.mark.parametrize("cell_type", CELLS.values())
def test_real_time_is_through_time(cell_type):
    rng = np.random.default_rng(11)
    cell = cell_type(3, 4, rng=rng)
    xs, targets = rng.standard_normal((9, 3)), rng.standard_normal((9, 4))
    for one, other in zip(
        through_time(cell, xs, targets), real_time(cell, xs, targets), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12 * np.abs(one).max())


# A push


@pytest.mark.parametrize(("cell", "gain"), [("tanh", 4.0), ("tanh", 0.5), ("GRU", 2.0)])
def test_a_push_grows_as_the_product_of_the_jacobians_and_as_no_other(cell, gain):
    study = STUDIES["chaos"]()
    record = run_one(study, 0, {"cell": cell, "gain": gain})
    (row,) = study.rows([record])
    assert row.holds
    predicted = record["predicted"]
    late = [predicted[0], *predicted[:-1]]  # a step behind
    twice = [2 * value for value in predicted]
    for theory in (late, twice, [value * 1.02**t for t, value in enumerate(predicted)]):
        wrong = Record(record.settings, 0, {**record.measured, "predicted": theory}, 1.0)
        assert not study.rows([wrong])[0].holds


def test_a_push_does_not_grow_as_at_the_origin():
    """There the slope of tanh is 1, and the product W^t: true below a gain of 1 alone."""
    study, rng = STUDIES["chaos"](), np.random.default_rng(0)
    record = run_one(study, 0, {"cell": "tanh", "gain": 4.0})
    cell = cell_of("tanh", 4.0, rng)
    recorded(cell, rng)
    direction = rng.standard_normal(chaos_study.HIDDEN)
    moved = chaos_study.PUSH * direction / np.linalg.norm(direction)
    linear = []
    for _ in range(chaos_study.STEPS):
        linear.append(float(np.linalg.norm(moved)))
        moved = cell.W_hh.data @ moved
    assert linear[0] == pytest.approx(record["predicted"][0])
    wrong = Record(record.settings, 0, {**record.measured, "predicted": linear}, 1.0)
    assert not study.rows([wrong])[0].holds


def test_a_push_is_compared_while_it_is_small_alone():
    assert deviation([1e-6, 1e-4, 2e-3, 1.0], [1e-6, 1e-4, 1e-3, 1e-2]) == (0.0, 2)
    assert deviation([1e-6, 1e-13, 1e-6], [1e-6, 1e-13, 1e-6]) == (0.0, 1)
    error, steps = deviation([1e-6, 1.02e-6], [1e-6, 1e-6])
    assert (round(error, 6), steps) == (0.02, 2)


def test_growth_is_that_of_differences(monkeypatch):
    monkeypatch.setattr(chaos_study, "STEPS", 10)
    rng = np.random.default_rng(3)
    cell = cell_of("LSTM", 2.0, rng)
    run, push = recorded(cell, rng), 1e-7 * rng.standard_normal(chaos_study.HIDDEN)
    moved = run.what_if({"h@0": lambda h: h + push})
    for t, expected in enumerate(growth(cell, run, push)):
        both = [moved[f"{name}@{t}"] - run[f"{name}@{t}"] for name in ("h", "c")]
        assert np.linalg.norm(np.concatenate(both)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.rest
def test_every_claim_of_chaos_holds_for_three_seeds():
    findings = conduct(STUDIES["chaos"](), seeds=SEEDS, backend="sequential")
    assert [row for row in findings.rows if not row.holds] == []
    assert len(findings.rows) == SEEDS * len(chaos_study.CELLS) * len(chaos_study.GAINS)
