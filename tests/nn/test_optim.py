"""Optimisers: torch's numbers from a stored table, states that go on, and what they refuse."""

import json
from pathlib import Path

import numpy as np
import pytest
from optim_cases import CASES, ours

import tinygrad_rnn as tg
from tinygrad_rnn.errors import GradientError, OpError, StateDictError

TABLE = json.loads(Path(__file__).with_name("optim_reference.json").read_text("utf-8"))


def parameter(*values):
    return tg.nn.Parameter(np.array(values))


@pytest.mark.parametrize(("case", "expected"), list(zip(CASES, TABLE, strict=True)))
def test_every_step_is_torchs(case, expected):
    for found, value in zip(ours(*case), expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_a_state_goes_on_bit_for_bit(case):
    for whole, resumed in zip(ours(*case), ours(*case, resume_at=3), strict=True):
        np.testing.assert_array_equal(whole, resumed)


@pytest.mark.parametrize("kind", tg.optim.KINDS)
def test_float32_stays_float32(kind):
    p = tg.nn.Parameter(np.ones(3, np.float32))
    optimizer = tg.optim.KINDS[kind]([p])
    for _ in range(2):
        (p * p).sum().backward()
        optimizer.step()
    state = optimizer.state_dict()["state"][0]
    assert {p.dtype, *(v.dtype for v in state.values() if np.ndim(v))} == {np.dtype(np.float32)}


@pytest.mark.parametrize("kind", tg.optim.KINDS)
def test_a_step_between_forward_and_backward_changes_no_gradient(kind):
    p = parameter(2.0)
    y = p * p
    p.grad = np.array([1.0])
    tg.optim.KINDS[kind]([p]).step()
    p.grad = None
    y.backward()
    assert p.grad.item() == 4.0


def test_the_learning_rate_can_be_changed_between_steps():
    p = parameter(1.0)
    optimizer = tg.optim.SGD([p], lr=1.0)
    p.grad = np.array([1.0])
    optimizer.lr = 0.25
    optimizer.step()
    assert p.data[0] == 0.75


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("SGD", {"lr": -1.0}, "SGD: lr must not be negative, got -1.0"),
        ("SGD", {"lr": "0.1"}, "SGD: lr must be a number, got '0.1'"),
        ("SGD", {"nesterov": "False"}, "SGD: nesterov must be True or False, got 'False'"),
        ("SGD", {"maximize": 2}, "SGD: maximize must be True or False, got 2"),
        ("Adam", {"betas": 0.9}, "Adam: betas must be 2 numbers, got 0.9"),
        ("Adam", {"betas": (0.9,)}, r"Adam: betas must be 2 numbers, got \(0.9,\)"),
        ("SGD", {"lr": float("nan")}, "SGD: lr must not be negative, got nan"),
        (
            "SGD",
            {"nesterov": True},
            "SGD: nesterov needs a momentum and no dampening, got momentum=0.0",
        ),
        (
            "Adam",
            {"betas": (1.0, 0.9)},
            r"Adam: betas\[0\] must be at least 0 and below 1, got 1.0",
        ),
    ],
)
def test_settings_that_make_no_sense(kind, settings, message):
    with pytest.raises(OpError, match=message):
        tg.optim.KINDS[kind]([parameter(1.0)], **settings)


# What is taken


def result():
    return tg.tensor([1.0, 2.0], requires_grad=True) * 0.1


SAME = parameter(1.0)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (lambda: iter([]), "SGD: got no parameters"),
        (lambda: parameter(1.0, 2.0), "by itself, whose rows would be taken"),
        (lambda: np.ones((2, 2)), "takes parameters in a list or iterator, .* got ndarray"),
        (lambda: tg.nn.Linear(2, 2), r"as model\.parameters\(\), got Linear"),
        (lambda: {parameter(1.0)}, "in a list or iterator, .* got set"),
        (lambda: "weights", "in a list or iterator, .* got str"),
        (lambda: {"params": [parameter(1.0)]}, "groups stand in a list"),
        (lambda: tg.nn.Linear(2, 2).named_parameters(), "parameter 0 is a pair with a name"),
        (lambda: [parameter(1.0), np.ones(2)], "parameter 1 is not a Tensor but ndarray"),
        (lambda: [[parameter(1.0)]], "parameter 0 is not a Tensor but list"),
        (lambda: [result()], r"made by mul\), is a result, and steps move leaves"),
        (lambda: [SAME, parameter(2.0), SAME], r"parameters 0 and 2 are one"),
        (lambda: [tg.nn.Buffer([1.0])], "is a Buffer, and is not trained"),
        (lambda: [tg.tensor([1.0]), tg.tensor([1])], "none of its 2 parameters requires a gra"),
        (lambda: [{"params": [SAME]}, {"params": [SAME]}], "parameters 0 and 1 are one"),
        (lambda: [{"params": [SAME]}, {"params": iter([])}], "group 1: got no parameters"),
        (lambda: [{"params": [SAME]}, parameter(1.0)], 'group 1 must be a dict with "params"'),
        (lambda: [{"lr": 0.1}], 'group 0 must be a dict with "params"'),
        (lambda: [{"params": [SAME], "rate": 1}], "group 0 has no setting 'rate'; there are lr"),
        (lambda: [{"params": [SAME], "lr": "0.1"}], "lr must be a number, got '0.1'"),
        (lambda: [{"params": [SAME], "nesterov": "no"}], "nesterov must be True or False"),
    ],
)
def test_what_can_never_be_trained_is_refused_when_constructed(params, message):
    with pytest.raises(OpError, match=message):
        tg.optim.SGD(params(), lr=0.1)


def test_frozen_parameters_among_others_stay():
    frozen, free = parameter(1.0), parameter(1.0)
    frozen.requires_grad = False
    optimizer = tg.optim.SGD([frozen, free], lr=0.5)
    for p in optimizer.params:
        p.grad = np.ones(1)
    optimizer.step()
    assert (frozen.item(), free.item()) == (1.0, 0.5)
    frozen.requires_grad = True
    optimizer.step()
    assert (frozen.item(), free.item()) == (0.5, 0.0)


# Groups


@pytest.mark.parametrize("case", CASES)
def test_a_group_is_an_optimiser_of_its_own(case):
    kind, settings = case
    make = getattr(tg.optim, kind)
    alone, together = (
        [tg.nn.Parameter(np.full(3, 0.5)), tg.nn.Parameter(np.full(2, 0.5))] for _ in "ab"
    )
    optimizers = [make(alone[:1], lr=0.2), make(alone[1:], **settings)]
    grouped = make([{"params": together[:1]}], lr=0.2)
    maximize = {"maximize": False} | settings
    grouped.add_param_group({"params": together[1], **maximize, "lr": optimizers[1].lr})
    for step in range(4):
        for p, q in zip(alone, together, strict=True):
            p.grad = q.grad = np.arange(p.size) - step
        for optimizer in (*optimizers, grouped):
            optimizer.step()
    for p, q in zip(alone, together, strict=True):
        np.testing.assert_array_equal(p.data, q.data)


def test_settings_of_groups():
    optimizer = tg.optim.Adam(
        [{"params": [parameter(1.0)], "lr": 0.5, "betas": [0.5, 0.6]}, {"params": [SAME]}]
    )
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 1e-3]
    assert [group["betas"] for group in optimizer.param_groups] == [(0.5, 0.6), (0.9, 0.999)]
    with pytest.raises(OpError, match=r"Adam: lr differs between groups: \[0.5, 0.001\]"):
        _ = optimizer.lr
    optimizer.lr = np.float64(0.25)
    assert [type(group["lr"]) for group in optimizer.param_groups] == [float, float]
    assert (optimizer.lr, optimizer.eps) == (0.25, 1e-8)
    with pytest.raises(AttributeError, match="Adam has no attribute 'momentum'"):
        _ = optimizer.momentum


@pytest.mark.parametrize(
    ("name", "value"),
    [("lr", -1), ("lr", "0.1"), ("lr", None), ("lr", float("inf")), ("betas", (0.5, 1.0)),
     ("betas", 0.5), ("amsgrad", "False"), ("eps", True)],
)  # fmt: skip
def test_settings_are_checked_before_anything_moves(name, value):
    first, second = parameter(1.0), parameter(1.0)
    optimizer = tg.optim.Adam([{"params": [first]}, {"params": [second]}])
    first.grad = second.grad = np.ones(1)
    optimizer.param_groups[1][name] = value
    with pytest.raises(OpError, match=f"Adam: {name}"):
        optimizer.step()
    assert first.item() == 1.0
    with pytest.raises(OpError, match=f"Adam: {name}"):
        setattr(optimizer, name, value)


# Dtypes


RATES = [0.1, np.float64(0.1), np.float32(0.1), np.array(0.1), 1, tg.tensor(0.1)]


@pytest.mark.parametrize("kind", tg.optim.KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("late", [False, True])
def test_whatever_touches_them_parameters_and_state_keep_their_dtype(kind, dtype, late):
    for rate in RATES:
        layer = tg.nn.Linear(2, 2, dtype=np.float64 if late else dtype)
        optimizer = tg.optim.KINDS[kind](layer.parameters(), lr=rate)
        optimizer.weight_decay = np.float64(0.1)
        for _ in range(2):
            layer(np.ones((1, 2), layer.weight.dtype)).sum().backward()
            layer.weight.grad = layer.weight.grad.data * np.float64(2)
            layer.bias.register_hook(lambda g: g * np.float64(2))
            optimizer.step()
            layer.astype(dtype)
        state = optimizer.state_dict()["state"]
        arrays = [value for one in state for name, value in one.items() if name != "step"]
        found = {p.dtype for p in layer.parameters()} | {array.dtype for array in arrays}
        assert found == {np.dtype(dtype)}


@pytest.mark.parametrize("kind", tg.optim.KINDS)
def test_a_parameter_without_axes_has_a_state_without_axes(kind):
    p = tg.nn.Parameter(np.float32(1.0))
    optimizer = tg.optim.KINDS[kind]([p])
    p.grad = np.float32(1.0)
    optimizer.step()
    optimizer.step()
    (state,) = optimizer.state_dict()["state"]
    for name, value in state.items():
        assert name == "step" or (type(value), value.shape) == (np.ndarray, ())
    assert (p.dtype, p.shape) == (np.float32, ())


# States


def trained(kind, **settings):
    p = parameter(1.0, 2.0)
    optimizer = tg.optim.KINDS[kind]([p], **settings)
    p.grad = np.ones(2)
    optimizer.step()
    return optimizer


KEEPING = [
    ("SGD", {"momentum": 0.9}),
    ("Adagrad", {}),
    ("RMSprop", {"centered": True, "momentum": 0.9}),
    ("Adam", {"amsgrad": True}),
    ("AdamW", {}),
]
LIES = {
    "step": ["x", -5, None, 1.5, True, 10**400, np.array([1])],
    "array": ["x", None, np.ones(3), np.ones((2, 1)), 1.0, np.array(["a", "b"]), [1.0, 2.0],
              np.array([1j, 1]), np.array([None, None])],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "settings"), KEEPING)
def test_a_state_that_no_step_can_have_left_is_refused_by_entry(kind, settings):
    optimizer = trained(kind, **settings)
    (good,) = optimizer.state_dict()["state"]
    bad = [{**good, "unknown": 1}, "text", None, [1]]
    for name in good:
        bad.append({key: value for key, value in good.items() if key != name} or {"x": 1})
        bad += [{**good, name: lie} for lie in LIES["step" if name == "step" else "array"]]
        if name in ("square", "sum", "largest"):
            bad.append({**good, name: np.array([1.0, -1.0])})
    for state in bad:
        with pytest.raises(StateDictError, match=f"load_state_dict: {kind}: parameter 0"):
            optimizer.load_state_dict({**optimizer.state_dict(), "state": [state]})
        (after,) = optimizer.state_dict()["state"]
        assert all(after[name] is value for name, value in good.items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": -1.0}, "lr must not be negative"),
        ({"lr": "fast"}, "lr must be a number"),
        ({"momentum": ...}, "SGD has the settings lr, momentum"),
        ({"beta": 1}, "SGD has the settings lr, momentum"),
        ({"nesterov": 2}, "nesterov must be True or False"),
        ({"nesterov": True}, "nesterov needs a momentum"),
        ({"params": [0, 1]}, "the state is of 2 parameters, not of 1, in group 0"),
        ({"initial_lr": None, "lr": 0.5}, None),
        ({"initial_lr": "x"}, "initial_lr must be a number"),
    ],
)
def test_groups_that_lie(change, message):
    optimizer = tg.optim.SGD([parameter(1.0)])
    state = optimizer.state_dict()
    group = state["param_groups"][0] | change
    state["param_groups"] = [{k: v for k, v in group.items() if v is not ...}]
    if message is None:
        optimizer.load_state_dict(state)
        return
    with pytest.raises(StateDictError, match=message):
        optimizer.load_state_dict(state)
    assert optimizer.lr == 1e-3


@pytest.mark.parametrize("state", [{}, [], {"state": [{}]}, {"param_groups": []}, None, "x"])
def test_what_is_no_state_at_all(state):
    with pytest.raises(StateDictError, match='a state has "param_groups" and "state"'):
        tg.optim.SGD([parameter(1.0)]).load_state_dict(state)


def test_a_setting_switched_on_late_begins_as_if_it_had_been_on():
    for kind, name, value in (("Adam", "amsgrad", True), ("RMSprop", "centered", True)):
        optimizer = trained(kind)
        setattr(optimizer, name, value)
        again = tg.optim.KINDS[kind]([parameter(1.0, 2.0)])
        again.load_state_dict(optimizer.state_dict())
        assert getattr(again, name) is value
    optimizer = trained("SGD")
    optimizer.momentum = 0.9
    assert optimizer.state_dict()["state"] == [{}]


def test_a_state_dict_of_one_group_may_have_its_settings_alone():
    optimizer = trained("Adam")
    again = tg.optim.Adam([parameter(1.0, 2.0)])
    again.load_state_dict(
        {"settings": optimizer.settings, "state": optimizer.state_dict()["state"]}
    )
    assert again.state_dict()["state"][0]["step"] == 1


def test_states_of_others():
    adam = tg.optim.Adam([parameter(1.0, 2.0)])
    with pytest.raises(StateDictError, match="Adam has the settings lr, betas"):
        adam.load_state_dict(tg.optim.SGD([parameter(1.0)]).state_dict())
    with pytest.raises(StateDictError, match="of 2 parameters, not of 1"):
        adam.load_state_dict(tg.optim.Adam([parameter(1.0), parameter(1.0)]).state_dict())
    two = tg.optim.Adam([{"params": [parameter(1.0)]}, {"params": [parameter(1.0)]}])
    with pytest.raises(StateDictError, match="Adam has 1 groups, the state others"):
        adam.load_state_dict(two.state_dict())
    other = tg.optim.Adam([p := parameter(1.0)])
    p.grad = np.ones(1)
    other.step()
    with pytest.raises(StateDictError, match=r"parameter 0 of shape \(2,\) cannot have"):
        adam.load_state_dict(other.state_dict())


# Clipping


def with_gradient(*values):
    p = parameter(*np.zeros(len(values)))
    p.grad = np.array(values)
    return p


def test_the_norm_is_that_of_all_gradients_together():
    a, b, without = with_gradient(3.0, 0.0), with_gradient(4.0), parameter(1.0)
    assert tg.nn.clip_grad_norm_([a, b, without], 1.0) == 5.0
    np.testing.assert_allclose([*a.grad.data, *b.grad.data], [0.6, 0.0, 0.8], rtol=1e-6)
    assert without.grad is None


def test_a_small_norm_changes_nothing():
    p = with_gradient(0.3)
    before = p.grad
    assert tg.nn.clip_grad_norm_(p, 1.0) == 0.3
    assert p.grad is before


def test_a_norm_of_nothing():
    assert tg.nn.clip_grad_norm_([parameter(1.0)], 1.0) == 0.0


def test_a_norm_that_is_not_finite():
    p = with_gradient(np.nan, 1.0)
    with pytest.raises(GradientError, match="the gradients' norm is nan"):
        tg.nn.clip_grad_norm_([p], 1.0, error_if_nonfinite=True)
    assert np.isnan(tg.nn.clip_grad_norm_([p], 1.0))
    assert np.isnan(p.grad.data).all()


def test_clipping_by_value():
    p = with_gradient(-3.0, 0.5, 2.0)
    tg.nn.clip_grad_value_([p, parameter(1.0)], 1.0)
    assert p.grad.data.tolist() == [-1.0, 0.5, 1.0]


def test_bounds_that_make_no_sense():
    with pytest.raises(OpError, match="max_norm ≥ 0"):
        tg.nn.clip_grad_norm_([], -1.0)
    with pytest.raises(OpError, match="must not be negative"):
        tg.nn.clip_grad_value_([], float("nan"))


@pytest.mark.parametrize("clip", [tg.nn.clip_grad_norm_, tg.nn.clip_grad_value_])
def test_a_generator_that_is_used_up_is_not_clipped_in_silence(clip):
    layer = tg.nn.Linear(2, 2, rng=0)
    layer(np.full((1, 2), 1e6)).sum().backward()
    parameters = layer.parameters()
    tg.optim.SGD(parameters, lr=0.1)
    with pytest.raises(OpError, match="used up: call parameters"):
        clip(parameters, 1.0)
    clip([], 1.0)
    clip(layer.parameters(), 1.0)
    assert np.abs(layer.weight.grad.data).max() <= 1
