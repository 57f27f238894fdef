"""Copying ten letters, and an LSTM without a gate: the tasks, and what would refute each claim."""

import math

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.studies import STUDIES, Record
from tinygrad_rnn.studies.ablate import FULL, HIDDEN, KINDS, LATE, NOTHING, growth, network_of
from tinygrad_rnn.studies.copy import GAP, RATES, REMEMBER, baseline
from tinygrad_rnn.studies.tasks import Learner, copying, each, endless, register


def test_ten_letters_are_asked_for_after_the_signal():
    inputs, targets = copying(np.random.default_rng(0), 7, 50)
    symbols, answers = inputs.argmax(-1), targets.reshape(27, 50)
    np.testing.assert_array_equal(symbols[:10], answers[-10:])
    assert (symbols[10:16] == 8).all()
    assert (symbols[16] == 9).all()
    assert (symbols[17:] == 8).all()
    assert (answers[:-10] == 8).all()


def test_the_baseline_is_the_loss_of_one_who_guesses_letters_and_knows_blanks():
    inputs, targets = copying(np.random.default_rng(0), 5, 20)
    knows_when = np.repeat(inputs[..., :1] * 0, 9, axis=2) - 50.0
    knows_when[:-10, :, 8] = 50.0
    knows_when[-10:, :, :8] = 50.0
    loss = tg.nn.cross_entropy(knows_when.reshape(-1, 9), targets).item()
    assert loss == pytest.approx(baseline(5), abs=1e-6)
    assert baseline(100) == pytest.approx(10 * math.log(8) / 120)


def test_a_register_says_what_was_written_last():
    inputs, targets = register(np.random.default_rng(0), 40, 500)
    numbers, write, read = np.moveaxis(inputs, -1, 0)
    targets = targets.reshape(40, 500)
    for column in range(20):
        kept = 0.0
        for t in range(40):
            kept = numbers[t, column] if write[t, column] else kept
            assert targets[t, column] == (kept if read[t, column] else 0)
    assert np.mean(targets**2) == pytest.approx(NOTHING, abs=0.01)


def copied(kind, share):
    measured = {"updates": [0, 100], "errors": [9.0, share * baseline(GAP)], "right": 0.2}
    record = Record({"kind": kind, "gap": GAP}, 0, measured, 1.0)
    return [row.holds for row in STUDIES["copy"]().rows([record])]


@pytest.mark.parametrize("kind", RATES)
def test_copying_refutes_that_all_remember_and_that_none_does(kind):
    remembers = kind in REMEMBER
    assert copied(kind, 0.5) == [True, remembers]
    assert copied(kind, 1.0) == [True, not remembers]
    assert copied(kind, 1.5)[0] is False  # it would not even know when


def ablated(slow, late):
    """The verdicts if some kinds took 500 updates for 250, and the error grew tenfold for some."""
    records = []
    for kind in KINDS:
        at = 2 if kind in slow else 1
        errors = [NOTHING] * at + [0.001] * (4 - at)
        by_step = [0.001] * LATE + [0.01 if kind in late else 0.001] * 200
        measured = {"updates": [0, 250, 500, 750], "errors": errors, "by_step": by_step}
        records.append(Record({"kind": kind}, 0, measured, 1.0))
    return {row.claim: row.holds for row in STUDIES["ablate"]().rows(records)}


def test_ablation_refutes_that_a_gate_is_idle_and_that_each_is_needed_for_good():
    gates = set(KINDS) - {FULL}
    holds = ablated(slow=gates, late={"without forget gate"})
    assert len(holds) == 8
    assert all(holds.values())
    for gate in gates:  # "this gate is idle"
        assert not all(ablated(gates - {gate}, {"without forget gate"}).values())
    assert not all(ablated(gates, set()).values())  # "the memory need not forget"
    assert not all(ablated(gates, gates).values())  # "each is needed for good"
    assert not all(ablated(gates, {"without forget gate", FULL}).values())


def test_a_gate_that_was_taken_away_stays_away():
    rng = np.random.default_rng(0)
    for kind, gate in KINDS.items():
        network = network_of(kind, np.random.default_rng(0))
        Learner.of(network, tg.nn.mse_loss, 0.01, each).learn(
            endless(register, rng, 5, 8), register(rng, 5, 8), 4, 2, goal=0.0
        )
        with tg.trace() as run:
            network(register(rng, 5, 8)[0])[0].sum().backward()
        for name in "ifo":
            open_ = run[f"{name}@3"] == 1.0
            assert open_.all() if name == gate else not open_.any()
        assert network.cells[0].hidden_size == HIDDEN


def test_growth_is_late_over_early():
    by_step = [2.0] * 20 + [9.0] * (LATE - 20) + [3.0] * 200
    assert growth(Record({}, 0, {"by_step": by_step}, 1.0)) == 1.5
