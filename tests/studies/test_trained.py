"""The studies that train, in a reduced setting: what each claims holds, and can fail."""

import math

import numpy as np
import pytest
from tables import one_in, rows

import tinygrad_rnn as tg
from tinygrad_rnn.errors import StudyError
from tinygrad_rnn.studies import STUDIES, Findings, Record, conduct
from tinygrad_rnn.studies import adding as adding_study
from tinygrad_rnn.studies import gates as gates_study
from tinygrad_rnn.studies.cliff import Unit, descend, loss, wall
from tinygrad_rnn.studies.commands import named
from tinygrad_rnn.studies.conduct import run_one
from tinygrad_rnn.studies.gap import first_gradient, network_of
from tinygrad_rnn.studies.tasks import Learner, adding, endless, recall
from tinygrad_rnn.studies.tbptt import PIECES, compared_gradients, forgetting, remembering


def held(study, *runs, seed=0):
    """Whether each row of some runs of a study held."""
    records = [run_one(study, seed, run) for run in runs]
    return [row.holds for row in study.rows(records)]


# Tasks


def test_adding_is_what_it_says():
    inputs, sums = adding(np.random.default_rng(0), 20, 5000)
    assert inputs.shape == (20, 5000, 2)
    assert (inputs[:10, :, 1].sum(0) == 1).all()
    assert (inputs[10:, :, 1].sum(0) == 1).all()
    np.testing.assert_allclose((inputs[..., 0] * inputs[..., 1]).sum(0), sums[:, 0], rtol=1e-6)
    assert abs(np.mean((sums - 1) ** 2) - 1 / 6) < 0.01


def test_recall_shows_the_bit_once():
    inputs, bits = recall(np.random.default_rng(0), 9, 500)
    np.testing.assert_array_equal(inputs[0, :, 0], 2 * bits - 1)
    assert not inputs[1:, :, 0].any()
    assert abs(bits.mean() - 0.5) < 0.1


@pytest.mark.parametrize("seed", one_in(3, range(3)))
def test_a_learner_learns_until_its_goal_and_no_longer(seed):
    rng = np.random.default_rng(seed)
    learner = Learner.of(tg.nn.GRU(2, 8, output_size=2, rng=rng), tg.nn.cross_entropy, lr=0.02)
    found = learner.learn(
        endless(recall, rng, 3, 16), recall(rng, 3, 64), updates=200, every=10, goal=0.1
    )
    assert found["errors"][-1] < 0.1 <= found["errors"][-2]
    assert found["updates"] == list(range(0, found["updates"][-1] + 1, 10))
    assert abs(found["errors"][0] - math.log(2)) < 0.3


# Adding


@pytest.mark.parametrize("cell", rows(["RNN", "LSTM", "GRU"], ["GRU"]))
def test_adding_gets_below_guessing_over_a_short_gap_and_not_without_learning(cell, monkeypatch):
    monkeypatch.setattr(adding_study, "PASSED", 0.1)
    monkeypatch.setattr(adding_study, "TESTED", 200)
    short = {"cell": cell, "steps": 4, "limit": 400}
    assert held(STUDIES["adding"](), short) == [True]
    assert held(STUDIES["adding"](), {**short, "limit": 0}) == [False]


def test_adding_asks_of_tanh_at_a_hundred_steps_that_it_stays():
    study = STUDIES["adding"]()
    settings = {"cell": "RNN", "steps": 100, "limit": 1000}
    for best, holds in ((0.16, True), (0.02, False)):
        (row,) = study.rows(
            [Record(settings, 0, {"updates": [0, 100], "errors": [0.5, best]}, 1.0)]
        )
        assert row.holds is holds


def test_adding_says_what_tanh_reaches_over_half_the_gap():
    settings = {"cell": "RNN", "steps": 50, "limit": 10_000}
    assert settings in STUDIES["adding"]().runs(full=True)
    assert settings not in STUDIES["adding"]().runs(full=False)
    for best, holds in ((0.03, True), (0.15, False)):
        (row,) = STUDIES["adding"]().rows(
            [Record(settings, 0, {"updates": [0, 100], "errors": [0.5, best]}, 1.0)]
        )
        assert row.holds is holds


# Forget bias


@pytest.mark.parametrize("bias", [0.0, 1.0, 3.0, 5.0])
def test_the_memory_s_gradient_shrinks_by_the_forget_gate_and_no_other_theory_passes(bias):
    study = STUDIES["forget-bias"]()
    record = run_one(study, 0, {"kind": "flow", "bias": bias})
    assert [row.holds for row in study.rows([record])] == [True, True]
    for theory in (bias + 0.01, bias - 1, bias + 4):
        wrong = Record({**record.settings, "bias": theory}, 0, record.measured, 1.0)
        assert not study.rows([wrong])[0].holds


@pytest.mark.rest
def test_a_bias_of_one_learns_a_gap_that_a_bias_of_zero_does_not():
    run = {"kind": "learn", "gap": 30}
    assert held(STUDIES["forget-bias"](), {**run, "bias": 3.0}) == [True]
    records = [
        Record({**run, "bias": bias}, 0, {"updates": [0], "errors": [0.7]}, 1.0)
        for bias in (0.0, 1.0)
    ]
    assert [row.holds for row in STUDIES["forget-bias"]().rows(records)] == [True, False]


def test_what_is_in_between_is_seen_and_not_claimed():
    between = Record(
        {"kind": "learn", "gap": 80, "bias": 3.0}, 0, {"updates": [0], "errors": [0.7]}, 1.0
    )
    assert STUDIES["forget-bias"]().rows([between]) == []


# Gap


def gap_row(kind, gap, error):
    record = Record({"kind": kind, "gap": gap}, 0, {"error": error, "updates": 200}, 1.0)
    return [row.holds for row in STUDIES["gap"]().rows([record])]


def test_gap_refutes_that_every_lstm_outlasts_tanh_and_that_none_does():
    assert gap_row("LSTM, bias 0", 40, 0.69) == gap_row("LSTM, bias 3", 40, 0.01) == [True]
    assert gap_row("LSTM, bias 0", 40, 0.01) == gap_row("LSTM, bias 3", 40, 0.69) == [False]
    assert gap_row("GRU", 5, 0.69) == [False]
    assert gap_row("RNN", 40, 0.69) == gap_row("RNN", 80, 0.01) == []


def test_gap_sees_an_open_gate_outlast_a_half_shut_one():
    xs = recall(np.random.default_rng(0), 20, 1)[0][:, 0]
    open_, shut = (first_gradient(network_of(f"LSTM, bias {bias}", 0), xs) for bias in (3, 0))
    assert open_ > 1000 * shut > 0


# Truncation


def test_truncation_loses_the_weights_that_read_the_bit():
    for network in (forgetting(0), remembering(3.0, 0)):
        found = compared_gradients(network, np.random.default_rng(0))
        assert [reading == 0 for reading in found["reading"]] == [piece < 32 for piece in PIECES]
        assert found["cosines"][-1] == pytest.approx(1, abs=1e-12)


def test_truncation_loses_next_to_nothing_where_the_network_forgets():
    study = STUDIES["tbptt"]()
    for memory in ("short", "long"):
        assert held(study, {"kind": "cosine", "memory": memory}) == [True, True]


@pytest.mark.slow
def test_truncated_gradients_learn_a_long_gap_that_the_state_keeps():
    assert held(
        STUDIES["tbptt"](), {"kind": "train", "asked": "last", "piece": 4, "bias": 3.0}
    ) == [True]


# The wall


def test_the_gradient_at_the_wall_is_that_of_the_loss():
    weights = [tg.tensor(value, requires_grad=True) for value in (5.2, -2.5)]
    assert tg.gradcheck(lambda w, b: loss(_unit(w, b)), weights)


def _unit(w, b):
    unit = Unit(0.0, 0.0)
    unit.w, unit.b = w, b
    return unit


@pytest.mark.parametrize("b", [-2.5, -3.0])
def test_the_wall_is_where_the_loop_stands_still(b):
    below, at, above = (Unit(wall(b) + step, b) for step in (-0.05, 0.0, 0.05))
    assert abs(at(tg.tensor(0.5)).item() - 0.5) < 1e-12
    assert loss(below).item() > loss(above).item() + 0.2


@pytest.mark.rest
def test_a_clipped_step_is_never_longer_than_the_bound():
    loose, bound = descend(Unit(5.4, -2.5), math.inf), descend(Unit(5.4, -2.5), 0.1)
    assert max(bound["moves"]) <= 0.1 + 1e-9
    assert max(loose["moves"]) > 1


@pytest.mark.slow
def test_every_claim_about_the_wall_holds():
    findings = conduct(STUDIES["cliff"](), backend="sequential")
    assert [row for row in findings.rows if not row.holds] == []
    assert len(findings.charts) == 2


# A text


@pytest.mark.slow
def test_a_person_s_own_text(tmp_path):
    path = tmp_path / "own.txt"
    path.write_text(
        "the quick brown fox jumps over the lazy dog and the dog says hello to the fox. " * 40,
        "utf-8",
    )
    study = named("text", path)
    assert isinstance(study, STUDIES["text"])
    assert study.corpus.name == str(path)
    (record,) = (
        run_one(study, 0, {**run, "limit": 100})
        for run in study.runs(False)
        if run["cell"] == "gru"
    )
    assert [row.holds for row in study.rows([record])] == [True, True]
    assert [
        row.holds for row in study.rows([Record(record.settings, 0, {"losses": [5.0]}, 1.0)])
    ] == [False, False]
    (chart,) = Findings(study, [record]).charts
    assert [line.form for line in chart.lines] == ["line", *["reference"] * 3]


def test_a_study_without_a_text_takes_no_file(tmp_path):
    with pytest.raises(StudyError, match="reads no file"):
        named("vanish", tmp_path / "own.txt")


# All of them


@pytest.mark.parametrize("name", one_in(4, list(STUDIES)))
def test_its_gradient_flow_can_be_drawn(name):
    assert "on the way back" in tg.draw(STUDIES[name]().loss(), gradients=True).svg


@pytest.mark.slow
@pytest.mark.parametrize("name", STUDIES)
def test_every_claim_holds_for_three_seeds(name):
    findings = conduct(STUDIES[name](), seeds=3)
    assert [row for row in findings.rows if not row.holds] == []


# Gates


@pytest.mark.rest
def test_a_gate_shut_loses_all_and_open_nothing_and_the_other_way_round_is_refused(monkeypatch):
    monkeypatch.setattr(gates_study, "TESTED", 64)
    monkeypatch.setattr(gates_study, "HELD", (0.0, 1.0))
    study = STUDIES["gates"]()
    record = run_one(study, 0, {"gap": 20})
    assert all(row.holds for row in study.rows([record]))
    losses = {gate: list(reversed(found)) for gate, found in record["losses"].items()}
    wrong = Record(record.settings, 0, {**record.measured, "losses": losses}, 1.0)
    assert [row.holds for row in study.rows([wrong])][1:-1] == [False] * 6
    apart = Record(record.settings, 0, {**record.measured, "apart": 1e-6}, 1.0)
    assert not study.rows([apart])[-1].holds
    flows = record["flows"]
    assert flows["f shut"][0] < 1e-3 * flows["f open"][0]


@pytest.mark.slow
def test_every_claim_about_gates_holds_for_three_seeds():
    findings = conduct(STUDIES["gates"](), seeds=3, backend="sequential")
    assert [row for row in findings.rows if not row.holds] == []
