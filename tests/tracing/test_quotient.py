"""The network as a quotient of its graph: every piece in one block, every read on one arrow."""

import runpy
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from tables import examples, one_in
from tracing.proofs import prove, prove_time
from tracing.random_networks import graphs

import tinygrad_rnn as tg
from tinygrad_rnn.errors import TraceError
from tinygrad_rnn.tracing.network.blocks import network_of
from tinygrad_rnn.tracing.network.quotient import place_of

MUSEUM = Path(__file__).parents[2] / "examples" / "museum"
NAMES = sorted(path.stem for path in MUSEUM.glob("*.py"))


def traced(program):
    with tg.trace() as tr:
        program().backward()
    return tr


def recorded(program):
    return traced(program).graph()


@cache
def exhibit(name):
    """A museum program, its run and the quotient of that."""
    here = runpy.run_path(str(MUSEUM / f"{name}.py"), run_name=name)
    run = traced(lambda: here["loss_fn"](*here["BATCH"]))
    return here, run, network_of(run.graph())


@pytest.mark.parametrize("name", one_in(8, NAMES))
def test_columns_and_rows_are_those_that_the_program_states(name):
    here, _, quotient = exhibit(name)
    if not here["COLUMNS"]:
        assert quotient is None
        return
    rows = [row for row in quotient.rows if row.kind in ("cell", "loop")]
    assert (quotient.columns, len(rows)) == (here["COLUMNS"], here["ROWS"])
    prove_time(quotient)


@pytest.mark.parametrize("name", one_in(10, NAMES))
def test_the_museum_is_proved(name):
    _, run, quotient = exhibit(name)
    if quotient is not None:
        prove(run.graph(), quotient)


def answered(run, place):
    """What a place holds, or the words of its error."""
    try:
        return run[place]
    except TraceError as error:
        return str(error)


@pytest.mark.parametrize("name", one_in(10, NAMES))
def test_a_run_knows_the_outputs_of_its_picture_by_their_labels(name):
    """What is a value of its own it gives; of a part it says of which value."""
    _, run, quotient = exhibit(name)
    outputs = quotient.outputs if quotient is not None else ()
    for output in outputs:
        node, where = output.value
        answer = answered(run, place_of(output.label))
        if isinstance(answer, str):
            assert where is not None
            assert answer.endswith(where.text)
        else:
            np.testing.assert_array_equal(answer, output.value.of(node.data))


QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]


def prove_random(graph):
    quotient = network_of(graph)
    if quotient is not None:
        prove(graph, quotient)


@settings(max_examples=examples(15), derandomize=True, deadline=None, suppress_health_check=QUIET)
@given(graphs())
def test_random_networks_are_proved(graph):
    prove_random(graph)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None, suppress_health_check=QUIET)
@given(graphs())
def test_two_thousand_random_networks_are_proved(graph):
    prove_random(graph)


def residual():
    one, two = tg.nn.RNN(3, 3, rng=0), tg.nn.LSTM(3, 3, rng=1)
    xs = tg.tensor(np.random.default_rng(0).standard_normal((5, 3)), name="xs")
    ys, _ = two(one(xs)[0] + xs)
    return (ys**2).mean()


def masked():
    cell, head = tg.nn.GRUCell(3, 4, rng=0), tg.nn.Linear(4, 2, rng=1)
    h, loss = tg.tensor(np.zeros((2, 4))), 0.0
    mask = np.array([[1, t < 3] for t in range(5)], bool)[..., None]
    for t, x in enumerate(np.random.default_rng(0).standard_normal((5, 2, 3))):
        h = tg.ops.where(mask[t], cell(tg.tensor(x), h), h)
        loss = loss + tg.nn.cross_entropy(head(h), np.array([0, 1]))
    return loss


def attention(steps=3, answers=2):
    enc, dec = tg.nn.GRUCell(3, 4, rng=0), tg.nn.GRUCell(3 + 4, 4, rng=1)
    h, hs = None, []
    for x in np.eye(steps, 3):
        h = enc(tg.tensor(x), h)
        hs.append(h)
    H, y = tg.ops.stack(hs), tg.tensor(np.ones(3))
    for _ in range(answers):
        context = tg.ops.softmax(H @ h) @ H
        h = dec(tg.ops.concatenate([y, context]), h)
    return (h**2).sum()


def test_a_residual_on_a_stacked_sequence_is_one_sum_in_each_column():
    quotient = network_of(recorded(residual))
    assert quotient.columns == 5
    sums = [block for block in quotient.blocks if block.sign == "⊕"]
    assert Counter(block.columns for block in sums) == Counter((t,) for t in range(5))


def test_a_mask_sits_on_the_message():
    quotient = network_of(recorded(masked))
    masks = [block for block in quotient.blocks if block.sign == "◇"]
    assert [block.columns for block in masks] == [(t,) for t in range(5)]
    messages = [arrow for arrow in quotient.arrows if arrow.kind == "message"]
    assert [(a.source.sign, a.target.id) for a in messages] == [
        ("◇", f"cell-0-{t}") for t in range(1, 5)
    ]


def test_attention_reads_a_bar():
    quotient = network_of(recorded(attention))
    (bar,) = (block for block in quotient.blocks if block.kind == "bar")
    assert bar.columns == (0, 1, 2)
    assert len(quotient.entering[bar]) == 3
    assert {arrow.target.columns for arrow in quotient.leaving[bar]} == {(3,), (4,)}


def test_what_reads_a_whole_sequence_reads_one_value():
    """The reads of attention grow with its ops, and not with their square."""

    def reads_per_op(size):
        graph = recorded(lambda: attention(size, size))
        quotient = network_of(graph)
        return sum(len(arrow.reads) for arrow in quotient.arrows) / len(graph.nodes)

    assert reads_per_op(16) < 1.1 * reads_per_op(4)


READ = {"bilstm_crf": "sentence", "ctc": "frames", "hierarchical_rnn": "x", "hmm": "observations"}


@pytest.mark.parametrize("name", READ)
def test_inputs_have_the_time_of_the_copy_that_reads_them(name):
    """Above them a chain may begin later, or tick more slowly."""
    _, _, quotient = exhibit(name)
    inputs = [b for b in quotient.blocks if b.kind == "input" and b.label.startswith(READ[name])]
    assert [b.label for b in sorted(inputs, key=lambda b: b.columns)] == [
        f"{READ[name]}{'₀₁₂₃₄₅'[t]}" for t in range(quotient.columns)
    ]


def test_outputs_have_the_time_of_what_they_are_made_of():
    _, _, crf = exhibit("bilstm_crf")
    features = {o.column: o.label for o in crf.outputs if o.label.startswith("features")}
    assert features == {t: f"features{'₀₁₂₃₄'[t]}" for t in range(5)}
    _, _, words = exhibit("word_char")
    assert [o.label for o in words.outputs] == ["logits₀", "logits₁", "logits₂"]


@pytest.mark.parametrize("name", ["actor_critic", "world_model"])
def test_two_outputs_of_a_step_have_two_names(name):
    _, _, quotient = exhibit(name)
    labels = [(output.column, output.label) for output in quotient.outputs]
    assert len(set(labels)) == len(labels)


def output_layer(with_targets):
    """Each step's prediction is a sum of two terms; without targets a penalty is put on both."""
    cell, C, D = tg.nn.RNNCell(3, 4, rng=0), tg.nn.Parameter(np.ones(4)), tg.nn.Parameter(0.5)
    h, ys = tg.tensor(np.zeros(4)), []
    for x in np.random.default_rng(0).standard_normal((3, 3)):
        h = cell(x, h)
        ys.append((C * h).sum() + D * (h * h).sum())
    return tg.nn.mse_loss(tg.ops.stack(ys), np.ones(3)) if with_targets else sum(ys)


def test_what_is_put_together_before_it_meets_a_target_is_the_output():
    quotient = network_of(recorded(lambda: output_layer(with_targets=True)))
    assert [(one.label, one.column) for one in quotient.outputs] == [
        (f"y{'₀₁₂'[t]}", t) for t in range(3)
    ]
    loss = quotient.loss
    assert [node.op for node in loss.nodes] == ["stack", "sub", "pow", "mean"]
    assert all(one.source.columns == (one.column,) for one in quotient.outputs)
    assert all("mul" in [node.op for node in one.source.nodes] for one in quotient.outputs)


def test_what_meets_no_target_is_a_term_of_the_loss():
    quotient = network_of(recorded(lambda: output_layer(with_targets=False)))
    assert {node.op for node in quotient.loss.nodes} >= {"add"}
    assert len(quotient.outputs) > 3
