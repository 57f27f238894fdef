"""What would have been is what a fresh run makes: values and gradients, over the whole museum."""

import runpy
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tables import rows

import tinygrad_rnn as tg
from tinygrad_rnn.autograd.switches import observed
from tinygrad_rnn.tracing.recording.event import Forward

MUSEUM = Path(__file__).parents[2] / "examples" / "museum"
NAMES = sorted(path.stem for path in MUSEUM.glob("*.py"))
FAST = ("elman", "learned_optimizer", "lstm", "neural_ode")
ALSO = ("ntm", "tree_lstm")  # in CI
LOOKS = ("act", "phased_lstm")  # programs that branch on values
OTHERS = [name for name in NAMES if name not in ALSO]
museum = pytest.mark.parametrize(
    "name", rows(OTHERS, FAST, pytest.mark.slow) + rows(ALSO, default=())
)


@cache
def program(name):
    here = runpy.run_path(str(MUSEUM / f"{name}.py"), run_name=name)
    parameters = here["PARAMS"]
    parameters = list(parameters.values() if isinstance(parameters, dict) else parameters)
    batch = here["scaled"](3) if "scaled" in here else here["BATCH"]
    return SimpleNamespace(loss_fn=here["loss_fn"], parameters=parameters, batch=batch)


def run(here, observer=None):
    """A fresh run of the program, recorded, with its loss and gradients."""
    for p in here.parameters:
        p.grad = None
    with tg.trace() as tr:
        if observer is None:
            loss = here.loss_fn(*here.batch)
        else:
            with observed(observer):
                loss = here.loss_fn(*here.batch)
        loss.backward()
    return tr


@cache
def recorded(name):
    return run(program(name))


def numbers(tr):
    """Every array that the events of a run hold."""
    return [array for event in tr.events for array in (event.value, *event.arrays)]


def assert_same_bits(a, b):
    assert len(a.events) == len(b.events)
    for one, other in zip(numbers(a), numbers(b), strict=True):
        if one is None or other is None:
            assert one is other
        else:
            assert (one.shape, one.dtype) == (other.shape, other.dtype)
            assert one.tobytes() == other.tobytes()


def assert_same_run(a, b):
    """All values and gradients agree to 1e-12."""
    assert len(a.events) == len(b.events)
    for one, other in zip(a.events, b.events, strict=True):
        assert (one.kind, one.op) == (other.kind, other.op)
        if one.value is None or other.value is None:
            assert one.value is other.value
        else:
            np.testing.assert_allclose(one.value, other.value, rtol=1e-12, atol=1e-12)


@museum
def test_every_event_follows_from_its_own_numbers(name):
    verified = recorded(name).verify()
    assert verified.deviations == ()
    assert verified.exact > 0.9 * len(recorded(name).events)


@museum
def test_nothing_changed_is_the_same_run(name):
    tr = recorded(name)
    other = tr.what_if({})
    assert all(a is b for a, b in zip(tr.events, other.events, strict=True))
    assert not tr.compare(other).different


@museum
def test_a_change_at_a_leaf_is_a_fresh_run_with_that_leaf(name):
    here, tr = program(name), recorded(name)
    rng = np.random.default_rng(0)
    known = {node.id: node for node in tr.queries.names.places if node.is_parameter}
    parameters = [p for p in here.parameters if p.id in known]
    for p in [parameters[i] for i in rng.permutation(len(parameters))[:3]]:
        changed = p.data + 0.05 * rng.standard_normal(p.shape)
        other = tr.what_if({tr.queries.names.of(known[p.id]): changed})
        kept, p.data = p.data, changed
        try:
            fresh = run(here)
        finally:
            p.data = kept
        if other.unfollowed:  # the program looks at values, and would have done something else
            assert name in LOOKS
        else:
            assert_same_run(other, fresh)


def results(tr):
    """The events of results that own their array, and have more than the loss behind them."""
    return [
        event.index
        for event in tr.events
        if isinstance(event, Forward)
        and event.value.base is None
        and event.value.dtype.kind == "f"
        and event.output.requires_grad
    ]


def overwriting(event, value):
    """An observer that makes the op of one event give another result, before anybody has read it.

    It counts the results, of which the first events consist.
    """
    left = [event]

    def observe(kind, *facts):
        if kind == "forward":
            if not left[0]:
                array = facts[0].data
                array.flags.writeable = True
                array[...] = value
                array.flags.writeable = False
            left[0] -= 1

    return observe


@museum
def test_a_change_of_a_value_is_a_fresh_run_whose_op_made_that_value(name):
    tr = recorded(name)
    rng = np.random.default_rng(1)
    forward = [e.index for e in tr.events[: tr.queries.seeds[0]] if isinstance(e, Forward)]
    for index in rng.choice(sorted(set(results(tr)) & set(forward)), 3):
        node = tr.events[index].output
        changed = node.data + 0.01 * rng.standard_normal(node.shape)
        other = tr.branch_of([edit(tr, node, index, changed)])
        assert_same_run(other, run(program(name), overwriting(forward.index(index), changed)))


def edit(tr, node, event, value):
    from tinygrad_rnn.tracing.whatif.edits import Edit, OfNode

    return Edit("it", OfNode(node, event), None, value)


@museum
def test_undoing_is_the_identity(name):
    tr = recorded(name)
    index = results(tr)[0]
    node = tr.events[index].output
    other = tr.branch_of([edit(tr, node, index, lambda x: 2 * x + 1)])
    back = other.branch_of([edit(tr, node, index, node.data)])
    assert tr.compare(other).different
    assert_same_bits(tr, back)


@museum
def test_a_small_change_moves_the_loss_by_the_gradient_times_the_change(name):
    """Of second order: what is left over falls with the square of the change."""
    here, tr = program(name), recorded(name)
    rng = np.random.default_rng(2)
    named = {node.id: tr.queries.names.of(node) for node in tr.queries.names.places}
    moves = {
        named[p.id]: 1e-5 * rng.standard_normal(p.shape) for p in here.parameters if p.id in named
    }
    last, known = (
        len(tr.events) - 1,
        {tr.queries.names.of(x): x for x in tr.queries.names.places if x.is_parameter},
    )
    found = {at: tr.queries.gradient(known[at], last) for at in moves}
    expected = sum(float(np.sum(found[at] * move)) for at, move in moves.items())
    up = tr.compare(tr.what_if({at: lambda w, m=move: w + m for at, move in moves.items()}))
    down = tr.compare(tr.what_if({at: lambda w, m=move: w - m for at, move in moves.items()}))
    assert (up.loss.after - down.loss.after) / 2 == pytest.approx(expected, rel=1e-5, abs=1e-10)
