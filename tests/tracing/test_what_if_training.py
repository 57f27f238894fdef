"""What if in training: optimisers, clipping, hooks, looks of Python; files, budgets and errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import programs, random_program
from tables import examples, rows

import tinygrad_rnn as tg
from tinygrad_rnn.autograd.op import PUBLIC
from tinygrad_rnn.errors import TraceError
from tinygrad_rnn.nn import optim
from tinygrad_rnn.tracing.trace import load_trace

XS = np.random.default_rng(0).standard_normal((4, 2, 3))
TARGETS = np.zeros((4, 2), int)

OPTIMIZERS = {
    "SGD": lambda ps: optim.SGD(ps, lr=0.1),
    "momentum": lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "Adagrad": lambda ps: optim.Adagrad(ps, lr=0.1, lr_decay=0.1),
    "RMSprop": lambda ps: optim.RMSprop(ps, lr=0.05, centered=True, momentum=0.5),
    "Adam": lambda ps: optim.Adam(ps, lr=0.05, amsgrad=True),
    "AdamW": lambda ps: optim.AdamW(ps, lr=0.05, maximize=True),
}


def trained(optimizer="Adam", steps=4, clip=None, start=None, max_memory=None, batches=1):
    """A few recorded training steps of a network that is always the same."""
    rnn = tg.nn.RNN(3, 4, output_size=2, rng=0)
    if start is not None:
        rnn.W_hh.data = start(rnn.W_hh.data)
    moves = OPTIMIZERS[optimizer](rnn.parameters())
    with tg.trace(max_memory=max_memory) as tr:
        for _ in range(steps):
            moves.zero_grad()
            for _ in range(batches):
                ys, _ = rnn(XS)
                loss = tg.nn.cross_entropy(ys, TARGETS)
                loss.name = "loss"
                loss.backward()
            if clip == "norm":
                tg.nn.clip_grad_norm_(rnn.parameters(), 0.1)
            elif clip == "value":
                tg.nn.clip_grad_value_(rnn.parameters(), 0.02)
            moves.step()
    return tr


def assert_same_numbers(a, b):
    assert len(a.events) == len(b.events)
    for one, other in zip(a.events, b.events, strict=True):
        if one.value is not None:
            np.testing.assert_allclose(one.value, other.value, rtol=1e-12, atol=1e-12)


CLIPPED = [("Adam", "norm"), ("SGD", "value")]


EVERY = [*((name, None) for name in OPTIMIZERS), *CLIPPED]


@pytest.mark.parametrize(("optimizer", "clip"), rows(EVERY, [("momentum", None), ("Adam", "norm")]))
def test_a_change_of_a_weight_is_carried_through_all_training_steps(optimizer, clip):
    tr = trained(optimizer, clip=clip, batches=2)
    assert tr.verify().is_exact
    other = tr.what_if({"W_hh": lambda w: 1.3 * w})
    assert_same_numbers(other, trained(optimizer, clip=clip, start=lambda w: 1.3 * w, batches=2))
    assert other["loss@3:"] != tr["loss@3:"]


@pytest.mark.parametrize("optimizer", ["momentum", "Adam"])
def test_a_change_in_one_step_reaches_the_loss_of_later_ones_alone(optimizer):
    tr = trained(optimizer)
    other = tr.what_if({"h@1:2": lambda h: h * 0})
    before, after = tr.compare(other).losses[0], tr.compare(other).losses[1:]
    assert before.norm == 0
    assert all(loss.norm > 0 for loss in after)
    assert tr.what_if({"h@2": 0})["loss@2:"] == tr["loss@2:"]  # the last step's own


def test_clipping_that_was_not_needed_is_done_where_it_would_be():
    def run(scale):
        w = tg.tensor([1.0, -2.0], requires_grad=True, name="w")
        x = tg.tensor([scale, 1.0], name="x")
        moves = optim.SGD([w], lr=0.1)
        with tg.trace() as tr:
            (w * x).sum().backward()
            norm = tg.nn.clip_grad_norm_([w], 3.0)
            moves.step()
            (w * x).sum().backward()
        return tr, norm

    (tr, small), (fresh, large) = run(1.0), run(50.0)
    assert small < 3 < large
    other = tr.what_if({"x[0]": 50.0})
    assert_same_numbers(other, fresh)
    assert [one.what for one in other.unfollowed] == ["was told the norm of the gradients"]


def test_a_gradient_can_be_cut_scaled_and_taken_from_another_run():
    tr = trained(steps=1)
    cut = tr.what_if({"d.h@2": 0})
    assert not cut["d.z@2"].any()
    assert (cut["d.h@3"] == tr["d.h@3"]).all()
    assert cut["loss"] == tr["loss"]
    one = tr.what_if({"d.h@2[0,1]": 5.0})
    assert one["d.h@2"][0, 1] == 5.0
    assert one["d.h@2"][1, 1] == tr["d.h@2"][1, 1]
    assert (tr.what_if({"d.h@2": one["d.h@2"]})["d.W_hh"] == one["d.W_hh"]).all()
    doubled = tr.what_if({"d.loss": 2.0})
    np.testing.assert_allclose(doubled["d.W_hh"], 2 * tr["d.W_hh"], rtol=1e-12)
    still = tr.what_if({"d.W_hh": 0})
    assert not still["d.W_hh"].any()
    assert (still["W_xh"] == tr["W_xh"]).all()
    assert (still["W_hh"] != tr["W_hh"]).any()


def test_what_another_run_had_can_be_put_in():
    clean, corrupted = trained(steps=1), trained(steps=1, start=lambda w: -w)
    patched = corrupted.what_if({f"h@{t}": clean[f"h@{t}"] for t in range(4)})
    assert patched["loss"] == clean["loss"] != corrupted["loss"]


def hooked(hook, scale=1.0):
    x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    w = tg.tensor([scale, 3.0], requires_grad=True, name="w")
    with tg.trace() as tr:
        h = tg.ops.tanh(x)
        h.name = "h"
        h.register_hook(lambda g: None)
        h.register_hook(hook)
        (h * w * w).sum().backward()
    return tr


def test_a_hook_that_is_written_with_ops_is_followed_and_any_other_is_kept_and_listed():
    def followed(g):
        return g * g * 0.5

    other = hooked(followed).what_if({"w[0]": 2.0})
    assert_same_numbers(other, hooked(followed, scale=2.0))
    assert other.unfollowed == ()
    tr = hooked(lambda g: np.clip(g.data, -0.1, 0.1))
    other = tr.what_if({"w[0]": 2.0})
    assert (other["d.x"] == tr["d.x"]).all()
    assert "a hook replaced ∂L/∂h" in [one.what for one in other.unfollowed]


def test_gradients_that_become_tensors_are_followed():
    """What `grad` returns, `.grad`, and a recorded pass: in each case as in a fresh run."""

    def run(start):
        x = tg.tensor(start, requires_grad=True, name="x")
        with tg.trace() as tr:
            y = (x * x * x).sum()
            (plain,) = tg.grad(y, [x])
            moved = x - 0.1 * plain
            (g,) = tg.grad((moved * moved).sum(), [x], create_graph=True)
            (g * g).sum().backward()
            penalty = (x.grad * x.grad).sum()
            x.grad = x.grad * 0.5
            (x * penalty).sum().backward()
            mask = tg.ops.greater(x, 0.5)
            tg.ops.where(mask, x, 0.0).sum().backward()
            x[tg.ops.argmax(x)].backward()
        return tr

    start, changed = np.array([1.0, 2.0]), np.array([3.0, 0.25])
    tr = run(start)
    assert tr.verify().is_exact
    assert_same_numbers(tr.what_if({"x": changed}), run(changed))


def test_looks_of_python_at_another_value_are_listed_with_their_line():
    w = tg.tensor([1.0, 2.0], requires_grad=True, name="w")
    with tg.trace() as tr:
        loss = (w * w).sum()
        loss.name = "loss"
        if loss < 100:
            pass
        loss.item()
        int(loss)
        loss.backward()
        w.data = w.data - 0.1 * w.grad.data
        (w * 2).sum().backward()
    other = tr.what_if({"w[0]": 1.01})
    told = [(one.what, one.source.text) for one in other.unfollowed]
    own = "w.data = w.data - 0.1 * w.grad.data"
    assert told == [
        ("looked at loss", "loss.item()"),
        ("looked at w", own),
        ("looked at ∂L/∂w", own),
        ("updated w by itself", own),
    ]
    assert other["w"].tolist() == tr["w"].tolist()  # the update stands
    assert "looked at less" not in str(other.unfollowed)
    branching = tr.what_if({"w[0]": 11.0})
    assert {one.source.text for one in branching.unfollowed} >= {"if loss < 100:", "int(loss)"}


def test_a_saved_run_is_run_again_as_the_run_itself(tmp_path):
    for clip in (None, "norm"):
        tr = trained(clip=clip)
        tr.save(tmp_path / "run.tgtrace")
        loaded = load_trace(tmp_path / "run.tgtrace")
        assert loaded.verify().is_exact
        changes = {"W_hh": lambda w: 1.3 * w, "h@2:1[0]": 0.5, "d.h@1:3": 0}
        assert_same_numbers(loaded.what_if(changes), tr.what_if(changes))
        told = [str(one) for one in tr.what_if(changes).unfollowed]
        assert [str(one) for one in loaded.what_if(changes).unfollowed] == told


def test_a_budget_lets_go_of_terms_that_are_computed_again_and_of_values_that_are_not():
    whole, small = trained(steps=6), trained(steps=6, max_memory="24K")
    assert small.memory().gone
    assert small.verify().is_exact
    change = {"h@5:2": lambda h: h + 0.1}
    expected, got = whole.what_if(change), small.what_if(change)
    assert got["loss@5:"] == expected["loss@5:"]
    assert (got["d.W_hh@5:"] == expected["d.W_hh@5:"]).all()
    with pytest.raises(TraceError, match="is gone: the recording went over its max_memory"):
        small.what_if({"h@0:2": 0})


def test_an_op_whose_code_is_not_there_is_said(tmp_path):
    @tg.op(lambda g, y, x: 3 * g * x**2)
    def gone(x):
        return x**3

    x = tg.tensor([1.0], requires_grad=True, name="x")
    with tg.trace() as tr:
        gone(x).backward()
    tr.save(tmp_path / "run.tgtrace")
    del PUBLIC[id(gone)]
    loaded = load_trace(tmp_path / "run.tgtrace")
    with pytest.raises(TraceError, match=r"event 0 .*the op 'gone' is not here"):
        loaded.what_if({"x": 2.0})


WRONG = [
    ({"q@3": 0}, "there is no 'q' in this run"),
    ({"h@9": 0}, "there is no h@9: only h@-1 to h@3"),
    ({"h@x": 0}, "is not a place in a run; write h@3"),
    ({"": 0}, "is not a place in a run"),
    ({"h@3[0,9]": 0}, r"there is no h@3\[0,9\]: its shape is \(2, 4\)"),
    ({"h@3[0;1]": 0}, r"an element is h@3\[0,5\]"),
    ({"h@3": np.zeros(3)}, r"h@3 has shape \(2, 4\), and the value \(3,\)"),
    ({"h@3": lambda h: h[0]}, r"h@3 has shape \(2, 4\), and the value \(4,\)"),
    ({"h@3": 1j}, "complex is not a number or an array"),
    ({"h@3": "0"}, "str is not a number or an array"),
    ({"h@3": None}, "NoneType is not a number or an array"),
    ({"G": 0}, "G is what one event has: change it in the debugger"),
    ({"d.x": 0}, "∂L/∂x@3 is not there: no backward pass reaches it"),
    ({"h@7:1": 0}, "there is no h@7:1"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_what_cannot_be_changed_is_one_clear_error(changes, message):
    with pytest.raises(TraceError, match=message):
        trained(steps=1).what_if(changes)


def test_a_change_of_another_dtype_and_one_before_the_run_are_refused():
    index = tg.tensor([0, 1], name="index")
    early = tg.ops.tanh(tg.tensor([0.5, 1.0], requires_grad=True))
    early.name = "early"
    with tg.trace() as tr:
        (early[index] * 2.0).sum().backward()
    with pytest.raises(TraceError, match="early was computed before the recording began, by tanh"):
        tr.what_if({"early": 0.0})
    x = tg.tensor([1, 2], name="count")
    with tg.trace() as tr:
        x * 2
    with pytest.raises(TraceError, match="count is of dtype int64, and the value of float64"):
        tr.what_if({"count": 0.5})
    assert tr.what_if({"count": 3})["count"].tolist() == [3, 3]
    with pytest.raises(TypeError, match="changes are a dict"):
        tr.what_if("count")


def test_another_number_of_elements_cannot_be_followed():
    x = tg.tensor([1.0, -1.0, 2.0], name="x")
    with tg.trace() as tr:
        positive = tg.ops.greater(x, 0.0)
        x[positive].sum()
    with pytest.raises(TraceError, match=r"would have shape \(1,\) in place of \(2,\)"):
        tr.what_if({"x[0]": -3.0})


def test_nan_may_be_put_in_on_purpose():
    other = trained(steps=1).what_if({"h@1[0,0]": np.nan})
    assert np.isnan(other["loss"])
    assert not np.isnan(other["h@1"][1]).any()


# Random changes of random programs


def recorded(program, arrays):
    xs = [tg.tensor(a, requires_grad=True, name=f"x{i}") for i, a in enumerate(arrays)]
    with tg.trace() as tr:
        y = program.run(tg.ops, xs)
        if y.requires_grad:
            (y * np.cos(np.arange(y.size).reshape(y.shape))).sum().backward()
    return tr


def disagreement(program, seed):
    """How a random change of a random program differs from a fresh run; "" where it does not."""
    rng = np.random.default_rng(seed)
    arrays = program.arrays()
    tr = recorded(program, arrays)
    if not tr.events:
        return ""
    verified = tr.verify()
    if not verified.is_exact:
        return f"{program}: {verified}"
    read = [i for i in range(program.leaves) if f"x{i}" in tr.queries.names]
    i = int(rng.choice(read))
    changed = [a.copy() for a in arrays]
    index = tuple(int(rng.integers(n)) for n in arrays[i].shape)
    changed[i][index] = rng.uniform(-1.5, 1.5)
    place = f"x{i}[{index[0]},{index[1]}]"
    other, fresh = tr.what_if({place: changed[i][index]}), recorded(program, changed)
    for one, two in zip(other.events, fresh.events, strict=True):
        if one.value is not None and not np.array_equal(one.value, two.value, equal_nan=True):
            return f"{program}, {place} = {changed[i][index]}: event {one.index}, {one.op}"
    back = other.what_if({place: arrays[i][index]})
    return "" if not tr.compare(back).different else f"{program}, {place}: undoing it"


@given(programs(most=10), st.integers(0, 2**32 - 1))
@settings(max_examples=examples(15))
def test_a_random_change_of_a_random_program_is_a_fresh_run(program, seed):
    assert disagreement(program, seed) == ""


@pytest.mark.slow
@pytest.mark.parametrize("batch", range(100))
def test_ten_thousand_random_changes(batch):
    rng = np.random.default_rng(batch)
    found = [disagreement(random_program(rng, 12), int(rng.integers(2**32))) for _ in range(100)]
    assert [one for one in found if one] == []
