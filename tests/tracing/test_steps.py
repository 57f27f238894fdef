"""Training steps: where they end, and what is called by them."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.errors import TraceError
from tinygrad_rnn.tracing.questions.training import gradients_of, steps_of
from tinygrad_rnn.tracing.recording.steps import Steps


def trained(steps=3, passes=1, *, inner=False, update=True, detach=True):
    """Windows of a carried state: micro-batches, an inner gradient, an update a step."""
    rnn = tg.nn.RNN(2, 3, output_size=2, rng=0)
    optimizer = tg.optim.SGD(rnn.parameters(), lr=0.1)
    state = None
    with tg.trace() as tr:
        for _ in range(steps):
            optimizer.zero_grad()
            for _ in range(passes):
                ys, state = rnn(np.ones((4, 1, 2)), tg.nn.detach(state) if detach else state)
                loss = tg.nn.mse_loss(ys, np.zeros((4, 1, 2)))
                if inner:
                    tg.grad(loss, rnn.W_hh)
                loss.backward()
            if update:
                optimizer.step()
    return tr


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({}, 3),
        ({"passes": 2}, 3),
        ({"inner": True}, 3),
        ({"update": False}, 3),
        ({"update": False, "passes": 2}, 6),
    ],
)
def test_a_step_ends_at_an_update_and_without_any_at_each_backward(options, steps):
    tr = trained(**options)
    counted = Steps(tr.events)
    assert counted.trained == len(counted) == steps
    assert [tr.events[first].step for first in counted.starts] == list(range(steps))


def test_what_follows_the_last_update_is_no_step_that_was_trained():
    tr = trained()
    with tg.trace() as longer:
        w = tg.tensor([1.0], requires_grad=True)
        (w * w).sum().backward()
        w.data = w.data - 1.0
        w * 2.0
    assert (Steps(longer.events).trained, len(Steps(longer.events))) == (1, 2)
    assert Steps(tr.events).of(10**6) == 2


@pytest.mark.parametrize("detach", [True, False])
def test_names_are_given_within_a_step(detach):
    tr = trained(detach=detach)
    end = len(tr.events) - 1
    value = lambda name: tr.queries.value(name, end)
    for step in (1, 2):
        assert np.array_equal(value(f"h@{step}:-1"), value(f"h@{step - 1}:3"))
    assert value("loss@0:") > value("loss@1:") > value("loss@2:")
    assert value("loss") == value("loss@2:")
    W = [value(f"W_hh@{step}:") for step in range(3)]
    assert np.allclose(W[0] - 0.1 * value("d.W_hh@0:"), W[1])
    with pytest.raises(TraceError, match="no step 3: the run has 3"):
        value("loss@3:")
    with pytest.raises(TraceError, match="only h@1:-1 to h@1:3"):
        value("h@1:4")


def test_a_row_a_step_and_a_row_a_parameter():
    tr = trained()
    rows = steps_of(tr.queries)
    for row in rows:
        gradients = [e.value for e in tr.events if e.kind == "accumulate" and e.step == row.step]
        assert row.gradient == pytest.approx(np.sqrt(sum((g**2).sum() for g in gradients)))
        assert row.loss == tr.queries.value(f"loss@{row.step}:", len(tr.events) - 1)
        assert row.optimizer == "SGD lr=0.1"
    changes = [
        (tr.queries.before(e), e.value) for e in tr.events if e.kind == "update" and e.step == 1
    ]
    moved = sum(((after - before) ** 2).sum() for before, after in changes)
    assert rows[1].change == pytest.approx(np.sqrt(moved / sum((b**2).sum() for b, _ in changes)))
    parameters = [x for x in tr.graph().nodes if x.is_parameter]
    for row in gradients_of(tr.queries, parameters, rows[1].last):
        assert row.uses == row.contributed == 4
