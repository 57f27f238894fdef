"""What a compiled function says of itself: stages, their sources and results, and the report."""

import gc

import numpy as np
import pytest
from compiler.recorded import T, compiled_step

import tinygrad_rnn as tg
from tinygrad_rnn import ops
from tinygrad_rnn.compiler.program import Value


def stages(step, what):
    return [stage for stage in step.outline().stages if str(stage) == what]


def test_projections_are_made_at_once_and_the_recurrence_in_order():
    step = compiled_step()
    (inputs,) = stages(step, f"matmul ({T}, 2, 3) × (3, 4)")
    assert (inputs.calls, inputs.at_once, inputs.manner) == (1, T, f"{T} at once")
    (tanh,) = stages(step, "tanh (2, 4)")
    assert (tanh.calls, tanh.at_once, tanh.manner) == (T, 1, f"{T}, one after the other")


def test_terms_of_a_sum_are_one_product():
    """A row and a column for each step: T outer products that the engine did not put together."""
    W = tg.nn.Parameter(np.ones((5, 3)))

    @tg.compile
    def step(columns, rows):
        loss = 0.0
        for t in range(T):
            loss = loss + (columns[t][:, None] * rows[t] * W).sum()
        loss.backward()
        return loss

    for _ in range(2):
        W.grad = None
        step(np.ones((T, 5)), np.ones((T, 3)))
    (product,) = stages(step, f"matmul (5, {T}) × ({T}, 3)")
    assert product.at_once == T


def test_a_sum_of_rows_counts_its_terms():
    """The bias is read at every step."""
    (rows,) = stages(compiled_step(), "sum (4,)")
    assert rows.at_once == T


def test_sources_and_results_have_their_names():
    outline = compiled_step().outline()
    parameters = {source.name: source.shape for source in outline.sources if source.is_parameter}
    assert parameters == {"W_xh": (4, 3), "W_hh": (4, 4), "b_h": (4,), "W_hy": (5, 4), "b_y": (5,)}
    assert {source.name for source in outline.sources if not source.is_parameter} == {
        "argument 0",
        "argument 1",
    }
    assert {name for name, _ in outline.results} == {
        "output",
        *(f"∂L/∂{name}" for name in parameters),
    }
    ids = {source.id for source in outline.sources} | {stage.id for stage in outline.stages}
    read = {id for stage in outline.stages for id in stage.reads} | {
        id for _, made in outline.results for id in made
    }
    assert read <= ids


def test_a_gradient_that_is_added_to_is_a_source():
    w = tg.tensor([1.0, 2.0], requires_grad=True, name="w")

    @tg.compile
    def step(x):
        (w * x).sum().backward()

    for _ in range(3):
        step(np.ones(2))
    assert {source.name for source in step.outline().sources} == {"argument 0", "∂L/∂w before"}
    w.grad = None


def test_an_argument_that_gets_a_gradient():
    fast = tg.compile(lambda x: ops.exp(x).sum().backward())
    for _ in range(2):
        fast(tg.tensor([1.0, 2.0], requires_grad=True))
    assert [name for name, _ in fast.outline().results] == ["∂L/∂argument 0"]


@pytest.mark.parametrize("kind", [tg.nn.RNN, tg.nn.LSTM, tg.nn.GRU])
def test_the_report_lists_what_is_done_at_once_and_what_in_order(kind):
    step = compiled_step(kind)
    text = str(step.report())
    at_once, in_order = text.partition("at once:\n")[2].split("one after the other:\n")
    in_order, rewritten = in_order.split("rewritten:\n")
    assert all(
        line.endswith(("each needs the one before", "made in different ways"))
        for line in in_order.splitlines()
    )
    assert "what is alike at every step is one call" in rewritten
    counts = [[int(line.split()[0]) for line in part.splitlines()] for part in (at_once, in_order)]
    assert all(count > 1 for part in counts for count in part)
    assert [max(part) >= T for part in counts] == [True, True]
    assert sum(stage.calls for stage in step.outline().stages) <= step.report().calls[1]


def test_a_program_without_copies_lists_nothing():
    fast = tg.compile(lambda x: ops.exp(x) + 1)
    for _ in range(2):
        fast(np.ones(3))
    assert len(str(fast.report()).splitlines()) == 5


def test_what_is_planned_is_remembered_once():
    """Neither the program as it was recorded, nor those on the way from it to the plan."""

    def known():
        gc.collect()
        return sum(type(x) is Value for x in gc.get_objects())

    before = known()
    step = compiled_step()
    recording, plan = step.latest()
    ends = len(recording.outputs) + len(recording.gradients)
    assert known() - before <= len(plan.values) + ends
