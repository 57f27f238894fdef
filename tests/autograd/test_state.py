"""Switches, scopes and observers: put back whatever happens, and never seen by another thread."""

import asyncio
import inspect
import threading
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import ops, tensor
from tinygrad_rnn.autograd.state import STATE, Scope
from tinygrad_rnn.autograd.switches import Switch, observed
from tinygrad_rnn.check import Mismatch
from tinygrad_rnn.errors import OpError


def leaf(*values, **options):
    return tensor(list(values), requires_grad=True, **options)


def events_of(run):
    events = []
    with observed(lambda kind, *facts: events.append((kind, *facts))):
        run()
    return events


def test_no_grad_also_as_a_decorator():
    x = leaf(1.0)

    @tg.no_grad()
    def frozen():
        return x * 2.0

    assert not frozen().requires_grad
    assert not frozen().requires_grad
    assert (x * 2.0).requires_grad


SWITCHES = {
    "no_grad": tg.no_grad,
    "scope": lambda: tg.scope("s"),
    "observed": lambda: observed(print),
    "detect_anomaly": tg.detect_anomaly,
}
every_switch = pytest.mark.parametrize("switch", SWITCHES.values(), ids=SWITCHES)


@every_switch
def test_a_switch_is_entered_again_and_within_itself(switch):
    again, before = switch(), STATE.get()
    for _ in range(2):
        with again:
            once = STATE.get()
            with again:
                assert STATE.get() != before
            assert STATE.get() is once != before
        assert STATE.get() is before


@every_switch
def test_a_decorated_generator_or_coroutine_is_on_while_it_runs(switch):
    before, seen = STATE.get(), []

    @switch()
    def generate():
        try:
            seen.append(STATE.get())
            got = yield 1
            seen.append(STATE.get())
            with pytest.raises(ZeroDivisionError):
                yield got
            seen.append(STATE.get())
            yield 3
        finally:
            seen.append(STATE.get())

    @switch()
    async def wait():
        seen.append(STATE.get())
        await asyncio.sleep(0)
        seen.append(STATE.get())
        return 5

    made = generate()
    for step in (
        lambda: next(made) == 1,
        lambda: made.send(2) == 2,
        lambda: made.throw(ZeroDivisionError) == 3,
        lambda: made.close() is None,
        lambda: asyncio.run(wait()) == 5,
    ):
        assert step()
        assert STATE.get() is before
    assert len(seen) == 6
    assert before not in seen
    assert inspect.isgeneratorfunction(generate)
    assert inspect.iscoroutinefunction(wait)


def test_a_generator_of_one_call_is_one_call_of_its_scope():
    @tg.scope("cell")
    def generate():
        yield STATE.get().scope
        yield STATE.get().scope

    first, second = generate()
    assert first is second
    assert next(generate()) is not first


async def without_end():
    yield


@pytest.mark.parametrize("function", [without_end, int, 5], ids=["asynchronous", "class", "int"])
def test_what_a_switch_cannot_decorate_is_refused(function):
    with pytest.raises(TypeError, match=r"write `with`|decorates a function"):
        tg.no_grad()(function)
    with pytest.raises(TypeError, match="would lose its recording"):
        tg.trace()(function)


@given(st.permutations(list(SWITCHES)), st.permutations(list(SWITCHES)))
def test_blocks_that_overlap_take_back_their_own_change(begun, ended):
    def block(switch):
        with switch():
            yield

    blocks, before = {name: block(SWITCHES[name]) for name in begun}, STATE.get()
    for name in begun:
        next(blocks[name])
    left = set(begun)
    for name in ended:
        blocks[name].close()
        left.remove(name)
        state = STATE.get()
        assert state.recording == ("no_grad" not in left)
        assert (state.scope is not None) == ("scope" in left)
        assert len(state.observers) == len(left & {"observed", "detect_anomaly"})
    assert STATE.get() is before


def test_a_block_that_outlives_the_call_of_a_module_is_taken_back():
    class Begins(tg.nn.Module):
        def forward(self, block):
            next(block)

    def block():
        with tg.no_grad():
            yield

    before, begun = STATE.get(), block()
    Begins()(begun)
    assert (STATE.get().recording, STATE.get().scope) == (False, None)
    begun.close()
    assert STATE.get() is before


def test_a_block_ends_in_the_thread_in_which_it_began():
    def block():
        with tg.no_grad():
            yield

    begun = block()
    thread = threading.Thread(target=lambda: next(begun))
    thread.start()
    thread.join()
    with pytest.raises(RuntimeError, match="another thread or task"):
        next(begun)


def test_scopes_nest_and_count_their_calls():
    with tg.scope("outer") as outer:
        with tg.scope("cell") as first:
            y = leaf(1.0) * 2.0
        with tg.scope("cell") as second:
            pass
    assert (first.name, first.owner, first.parent) == ("cell", "cell", outer)
    assert first.chain() == (outer, first)
    assert outer.chain() == (outer,)
    with tg.scope("a") as a, tg.scope("b") as b, tg.scope("c") as c, tg.scope("d") as d:
        assert d.chain() == (a, b, c, d)
    assert second.id > first.id > outer.id
    assert y.scope is y.inputs[0].scope is first
    assert tensor(1.0).scope is None
    assert not hasattr(first, "__dict__")  # a recording keeps one for every call


def test_a_scope_may_belong_to_an_object():
    owner = ["which cannot be hashed"]
    with tg.scope("cell", owner) as here:
        assert here.owner is owner
    assert len({here, here}) == 1


@pytest.mark.parametrize("name", [None, 3, b"cell"])
def test_a_scopes_name_is_a_str(name):
    with (
        pytest.raises(TypeError, match=f"scope: the name must be a str, got {type(name).__name__}"),
        tg.scope(name),
    ):
        pass


@pytest.mark.parametrize(
    "fixed", [STATE.get(), Scope("s", "s", None, 0), ops.add.op, Mismatch("f", "x", (), 1.0, 2.0)]
)
def test_what_many_hold_cannot_be_changed(fixed):
    names = fixed._fields if isinstance(fixed, tuple) else [field.name for field in fields(fixed)]
    for name in names:
        with pytest.raises(AttributeError):
            setattr(fixed, name, None)


@every_switch
def test_every_switch_is_put_back_on_exceptions(switch):
    before = STATE.get()
    seen = []

    @switch()
    def fails():
        seen.append(STATE.get())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert seen[0] != before
    assert STATE.get() is before


def test_switches_belong_to_their_thread():
    seen = []
    with tg.no_grad(), tg.scope("here"), observed(lambda *facts: seen.append(facts)):
        thread = threading.Thread(
            target=lambda: seen.append((leaf(1.0) * 2.0).requires_grad or STATE.get())
        )
        thread.start()
        thread.join()
    assert seen == [True]


def test_what_observers_are_told_of_a_pass():
    x, c = leaf(3.0), tensor([2.0])
    kinds = []

    def run():
        tensor(np.array([2.0]))
        y = x * c + 1.0
        y.backward()
        x.grad = None
        x.data = [4.0]

    for kind, *facts in events_of(run):
        kinds.append(kind)
        match kind:
            case "forward" if facts[1].name == "mul":
                assert (facts[0].op, facts[2], facts[3][0].tolist(), facts[4]) == (
                    ops.mul.op,
                    (x, c),
                    [3.0],
                    {},
                )
            case "forward":
                assert facts[2][1] is None
                assert facts[3][1] == 1.0
            case "taken" | "seed":
                assert facts[-1].tolist() in ([1.0], [2.0])
            case "vjp":
                node, slot, cotangent, contribution = facts
                assert (slot, cotangent.tolist()) == (0, [1.0])
                assert contribution.tolist() == ([2.0] if node.op.name == "mul" else [1.0])
            case "accumulate":
                assert facts[0] is x
                assert facts[1].tolist() == [2.0]
            case "zero":
                assert facts == [x]
            case "update":
                assert [facts[0], facts[1].tolist(), facts[2].tolist()] == [x, [3.0], [4.0]]
    assert kinds == [
        *("taken", "forward", "forward", "seed", "vjp", "vjp", "accumulate"),
        *("zero", "update"),
    ]


def test_observers_are_told_of_forwards_that_are_not_recorded():
    with tg.no_grad():
        ((kind, output, op, inputs, _, options),) = events_of(lambda: ops.sum(leaf(1.0), axis=0))
    assert (kind, op.name, output.is_leaf, len(inputs), options) == (
        "forward",
        "sum",
        True,
        1,
        {"axis": 0, "keepdims": False},
    )


def test_observers_are_told_of_deferred_terms_and_of_scalars_as_arrays():
    x = leaf(1.0, 2.0)
    contributions = [
        facts[3] for kind, *facts in events_of(lambda: (x[0] * x[1]).backward()) if kind == "vjp"
    ]
    assert [type(c) for c in contributions] == [np.ndarray, np.ndarray, type(None), type(None)]


def test_observers_are_told_of_errors_before_they_are_raised():
    a, b = leaf(1.0, 2.0), leaf(1.0, 2.0, 3.0)
    seen = []

    def watch(kind, *facts):
        seen.append((kind, *facts[:2]))
        facts[2].add_note("made up")

    with observed(watch), pytest.raises(OpError) as caught:
        a + b
    assert seen == [("error", ops.add.op, (a, b))]
    assert caught.value.__notes__ == ["made up"]


def test_observers_nest():
    outer, inner = [], []
    with observed(lambda *facts: outer.append(facts)):
        with observed(lambda *facts: inner.append(facts)):
            ops.neg(leaf(1.0))
        ops.neg(leaf(1.0))
    assert (len(outer), len(inner)) == (2, 1)


def test_a_change_that_fails_leaves_the_state_as_it_was():
    before = STATE.get()

    def fails(state):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), Switch(lambda: (fails, None, lambda: None)):
        raise AssertionError("the block does not begin")
    assert STATE.get() is before


def test_an_object_that_can_be_called_can_be_decorated():
    class Twice:
        def __call__(self, x):
            return x * 2.0

    assert not tg.no_grad()(Twice())(tensor(1.0, requires_grad=True)).requires_grad


def test_observers_are_told_what_is_read_of_a_tensor():
    x, seen = tg.tensor([1.0], requires_grad=True), []
    with observed(lambda *event: seen.append(event)):
        _ = x.data, x.grad
    assert [(kind, part) for kind, _, part in seen] == [("read", "data"), ("read", "grad")]
    assert all(node is x for _, node, _ in seen)
