"""Under a budget, what is let go of is computed again to the last bit, or says that it is gone."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import examples, one_in

import tinygrad_rnn as tg
from tinygrad_rnn.errors import TraceError
from tinygrad_rnn.tracing.recording.event import not_finite
from tinygrad_rnn.tracing.recording.held import Memory, parse_size
from tinygrad_rnn.tracing.trace import traced

KINDS = {"RNN": tg.nn.RNN, "LSTM": tg.nn.LSTM, "GRU": tg.nn.GRU}


def recorded(max_memory=None, kind="RNN", **options):
    return recorded_by(max_memory, kind, **options)[0]


def recorded_by(max_memory=None, kind="RNN", passes=2, hidden=8, steps=5):
    rng = np.random.default_rng(0)
    rnn = KINDS[kind](3, hidden, output_size=2, rng=0)
    V = tg.tensor(rng.standard_normal((2, 2)), requires_grad=True, name="V")
    xs = rng.standard_normal((steps, 2, 3))
    with traced(max_memory) as (tr, recorder):
        for _ in range(passes):
            ys, _ = rnn(xs)
            loss = tg.nn.cross_entropy(tg.ops.stack([y @ V for y in ys]), np.zeros((steps, 2), int))
            rnn.zero_grad()
            loss.backward()
            for p in rnn.parameters():
                p.data = p.data - 0.1 * p.grad.data
    return tr, recorder


@pytest.mark.parametrize(
    ("size", "count"),
    [
        (1, 1),
        ("1", 1),
        ("64K", 65536),
        ("256M", 2**28),
        ("256 MiB", 2**28),
        ("1.5g", 3 * 2**29),
        ("1GB", 2**30),
    ],
)
def test_sizes(size, count):
    assert parse_size(size) == count


@pytest.mark.parametrize(
    "size", [0, -1, "", "M", "-1M", "1X", "1e3", "٣M", "0", 1.5, True, [], "1M1", "nan"]
)
def test_what_is_no_size_is_one_error(size):
    with pytest.raises(
        TraceError, match='memory is a number of bytes above 0, "256M" or "1G", not'
    ):
        tg.trace(max_memory=size).__enter__()


def test_the_status_in_one_phrase():
    assert (
        str(Memory(3410, 96 * 2**20, 249 * 2**20))
        == "3410 events · 96 MiB held · 249 recomputable · 0 gone"
    )
    assert (
        str(Memory(2, 2048, 0, 5 * 2**20)) == "2 events · 2 KiB held · 0 recomputable · 5 MiB gone"
    )


def test_an_array_is_counted_once_whoever_shares_it_and_a_view_is_what_it_looks_at():
    with tg.trace() as tr:
        x = tg.tensor(np.zeros(1000))
        y = x + 1
        (y.reshape(10, 100), y[:5], y[5:], y.reshape(100, 10))
    assert tr.memory().held == 2 * 8000
    assert tr.memory().events == 5


def test_terms_of_weights_go_first_and_come_back_to_the_last_bit():
    whole = recorded()
    held = whole.memory().held
    weights = sum(
        e.value.nbytes
        for e in whole.events
        if e.kind == "vjp" and e.value is not None and not e.output.op
    )
    some = recorded(held - weights // 2)
    memory = some.memory()
    assert memory.gone == 0
    assert memory.held <= held - weights // 2
    assert memory.recomputable > whole.memory().recomputable > 0
    dropped = 0
    for before, now in zip(whole.events, some.events, strict=True):
        dropped += before.value is not None and now.value is None
        if before.kind == "vjp":
            assert np.array_equal(whole.queries.term(before.index), some.queries.term(now.index))
    assert dropped
    for name in ("W_xh", "W_hh", "b_h", "W_hy", "V"):
        one, other = whole.ledger(name), some.ledger(name)
        assert other.is_exact
        assert np.array_equal(one.total, other.total)
        assert [(r.t, r.source, r.norm) for r in one.rows] == [
            (r.t, r.source, r.norm) for r in other.rows
        ]


def answers(tr, event):
    """What can be asked about an event, each answer or the error in its place."""
    name = tr.queries.names.of(event.output)
    index = (0,) * len(event.output.shape)
    questions = (
        lambda: tr.queries.written_by(event),
        lambda: event.saved,
        lambda: str(tr.explainer.event(event, index)),
        lambda: tr.queries.value(name, event.index),
        lambda: tr.queries.value(f"d.{name}", event.index),
        lambda: str(tr.why(f"d.{name}", index, event.index)),
        lambda: [str(step) for step in tr.origin(f"d.{name}", index, event.index)],
        lambda: tr.queries.last(name, event.index),
    )
    for question in questions:
        try:
            yield question()
        except TraceError as error:
            yield str(error)


def same(a, b):
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b


@pytest.fixture(scope="module", params=one_in(3, list(KINDS)))
def whole(request):
    return request.param, recorded(kind=request.param)


@settings(max_examples=examples(6))
@given(share=st.floats(0.0, 1.0))
def test_every_question_is_answered_as_without_a_budget_or_says_gone(whole, share):
    kind, without = whole
    limit = max(int(share * without.memory().held), 1)
    tr, recorder = recorded_by(limit, kind)
    assert len(tr.events) == len(without.events)
    assert tr.memory().held == recorder.budget.held  # counted event by event, and all at once
    assert tr.memory().gone > 0 or tr.memory().held <= limit
    gone = [event.is_gone for event in tr.events if event.kind != "zero"]
    assert gone == sorted(gone, reverse=True)  # the oldest
    assert not gone[-1]
    for event in tr.events[:: len(tr.events) // 9]:
        for one, other in zip(
            answers(without, without.events[event.index]), answers(tr, event), strict=True
        ):
            assert same(one, other) or (isinstance(other, str) and " is gone: " in other)
            if not event.is_gone and one is without.events[event.index].value:
                assert same(one, other)


def test_what_is_gone_is_free_and_what_was_not_finite_is_remembered():
    with tg.trace(max_memory="4K") as tr:
        x = tg.tensor(np.full(256, -1.0))
        y = tg.ops.log(x)
        seen = weakref.ref(y.data)
        for _ in range(3):
            x = x + 1.0
        del y
        gc.collect()
        assert seen() is None
    assert [event.is_gone for event in tr.events] == [True, True, True, False]
    assert [event.nans for event in tr.events] == [True, False, False, False]
    assert [event.is_finite for event in tr.events] == [False, True, True, True]
    with pytest.raises(TraceError, match="y is gone: the recording went over its max_memory"):
        tr.why("y", (0,))


def test_what_the_program_uses_again_is_held_again():
    with tg.trace(max_memory="1K") as tr:
        kept = tg.tensor(np.arange(100.0), requires_grad=True, name="kept") * 2
        other = kept + 1
        for _ in range(5):
            other = other * 1.5
        assert tr.events[0].output.is_gone
        last = kept.sum()
        assert np.array_equal(tr.events[-1].saved[0], np.arange(100.0) * 2)
        last.backward()
    assert tr.name(tr.events[0].inputs[0]) == "kept"
    assert tr.events[-1].kind == "accumulate"
    assert np.array_equal(tr.events[-1].value, np.full(100, 2.0))


def test_a_budget_is_no_reason_for_another_graph_but_gone_gradients_are_not_taken_for_none():
    tr = recorded("2K", passes=1)
    graph, whole = tr.graph(), recorded(passes=1).graph()
    assert [node.op for node in graph.nodes] == [node.op for node in whole.nodes]
    assert "svg" in tg.draw(tr).svg
    with pytest.raises(TraceError, match="gone"):
        _ = tg.draw(tr, gradients=True).svg
    with pytest.raises(TraceError, match="gone"):
        graph.gradients.get(graph.root.id)
    assert graph.gradients.get(-1) is None


def test_terms_of_a_recorded_backward_pass_come_back_too():
    def run(max_memory):
        w = tg.tensor(np.linspace(-1, 1, 50), requires_grad=True, name="w")
        with tg.trace(max_memory=max_memory) as tr:
            y = tg.ops.tanh(w * w).sum() + (w * 3.0).sum()
            (g,) = tg.grad(y, [w], create_graph=True)
            (g * g).sum().backward()
        return tr

    whole, some = run(None), run("3K")
    kept = [e for e in some.events if e.kind == "vjp" and not e.is_gone]
    assert any(e.value is None for e in kept)
    for event in kept:
        assert np.array_equal(whole.queries.term(event.index), some.queries.term(event.index))


@pytest.mark.parametrize("limit", [None, "32K"])
def test_what_is_not_finite_is_found_among_many_values(limit):
    """Small values are looked through together: large ones, integers, what overflows beside."""
    rng, factors = np.random.default_rng(0), {3: np.inf, 97: np.inf, 200: 1e300, 390: np.nan}
    with tg.trace(max_memory=limit) as tr:
        for i in range(400):
            x = tg.tensor(rng.standard_normal(5000 if i % 97 == 0 else 3), requires_grad=True)
            y = x * factors.get(i, 2.0)
            (y - y).sum()
            (y > 0).sum()
    expected = [event.index for event in tr.events if not event.is_finite]
    assert len(expected) > 5
    assert not_finite(tr.events) == expected
