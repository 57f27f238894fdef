"""Modules, layers without a memory, and losses."""

import math
import pickle
from collections import UserDict, UserList, deque
from collections.abc import Mapping

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.errors import OpError, StateDictError


class Nest(tg.nn.Module):
    """Parameters and modules as attributes, in lists, in tuples and in dicts."""

    def __init__(self):
        self.scale = tg.nn.Parameter([2.0])
        self.first = tg.nn.Linear(2, 3, rng=0)
        self.rest = [tg.nn.Linear(3, 3, rng=1), tg.nn.Dropout(0.5, rng=0)]
        self.heads = {"a": tg.nn.Linear(3, 1, bias=False, rng=2)}
        self.tied = self.first
        self.other = "not a parameter"

    def forward(self, x):
        for layer in (self.first, *self.rest, self.heads["a"]):
            x = layer(x)
        return x * self.scale


NAMES = ["scale", "first.weight", "first.bias", "rest.0.weight", "rest.0.bias", "heads.a.weight"]


def test_parameters_are_found_once_wherever_they_are():
    assert [name for name, _ in Nest().named_parameters()] == NAMES
    assert len(list(Nest().parameters())) == len(NAMES)
    assert next(Nest().named_parameters("net"))[0] == "net.scale"


def test_modules_are_found():
    assert [name for name, _ in Nest().named_modules()] == [
        "",
        "first",
        "rest.0",
        "rest.1",
        "heads.a",
        "tied",
    ]


def test_train_and_eval_reach_every_module():
    module = Nest()
    assert module.eval() is module
    assert not any(inner.training for _, inner in module.named_modules())
    assert all(inner.training for _, inner in module.train().named_modules())


def test_zero_grad():
    module = Nest()
    module(np.ones((4, 2))).sum().backward()
    assert all(p.grad is not None for p in module.parameters())
    module.zero_grad()
    assert all(p.grad is None for p in module.parameters())


def test_astype():
    module = Nest()
    module(np.ones((4, 2))).sum().backward()
    assert module.astype(np.float32) is module
    assert {(p.dtype, p.grad) for p in module.parameters()} == {(np.dtype(np.float32), None)}
    assert module(np.ones((4, 2), np.float32)).dtype == np.float32


PRINTED = """\
Sequential(
  (0): Embedding(5, 2)
  (1): LSTM(2, 3, num_layers=2, bidirectional=True)
  (2): LayerNorm((6,), eps=1e-05, elementwise_affine=True)
  (3): Sequential(
    (0): Linear(in_features=6, out_features=3, bias=False)
    (1): ReLU()
    (2): Dropout(p=0.5)
  )
  (4): GRUCell(3, 4, bias=False, reset_after=False)
)"""


def test_a_model_is_printed_as_torch_prints_it():
    nn = tg.nn
    inner = nn.Sequential(nn.Linear(6, 3, bias=False), nn.ReLU(), nn.Dropout())
    model = nn.Sequential(
        nn.Embedding(5, 2),
        nn.LSTM(2, 3, num_layers=2, bidirectional=True),
        nn.LayerNorm(6),
        inner,
        nn.GRUCell(3, 4, bias=False, reset_after=False),
    )
    assert repr(model) == PRINTED
    assert repr(nn.RNN(2, 3, output_size=4, nonlinearity="relu", dtype=np.float32)) == (
        "RNN(2, 3, dtype=float32, nonlinearity=relu, output_size=4)"
    )
    assert repr(Nest()).splitlines()[1:3] == [
        "  (first): Linear(in_features=2, out_features=3, bias=True)",
        "  (rest.0): Linear(in_features=3, out_features=3, bias=True)",
    ]


def test_a_module_without_a_forward():
    with pytest.raises(NotImplementedError, match="Module needs a forward method"):
        tg.nn.Module()(1)


# Containers and sharing


def linear():
    return tg.nn.Linear(2, 2, bias=False)


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda a, b: [[a], [b]], ["x.0.0", "x.1.0"]),
        (lambda a, b: {"k": [a, (b,)]}, ["x.k.0", "x.k.1.0"]),
        (lambda a, b: ({"k": {"l": a}}, [[[b]]]), ["x.0.k.l", "x.1.0.0.0"]),
        (lambda a, b: [a, [b, a], {"k": b}], ["x.0", "x.1.0"]),
        (lambda a, b: [1, "text", None, [np.ones(2)], {"k": a}], ["x.4.k"]),
        (lambda a, b: [a.weight, {"k": [b.weight]}], ["x.0", "x.1.k.0"]),
    ],
)
def test_whatever_containers_hold_is_found_once(make, names):
    module = tg.nn.Module()
    module.x = make(linear(), linear())
    found = [name.removesuffix(".weight") for name, _ in module.named_parameters()]
    assert found == names
    assert list(module.state_dict()) == [name for name, _ in module.named_parameters()]
    assert module.eval() is module
    assert not any(inner.training for _, inner in module.named_modules())


def test_a_list_that_holds_itself_and_a_child_that_holds_its_parent():
    module, child = tg.nn.Module(), linear()
    module.x = [child]
    module.x.append(module.x)
    module.x.append([module.x])
    child.parent = module
    assert [name for name, _ in module.named_parameters()] == ["x.0.weight"]
    assert [name for name, _ in child.named_parameters()] == ["weight"]
    assert len(list(module.named_modules())) == 3
    assert repr(module).count("Module(…)") == 1
    module.train().astype(np.float32).zero_grad()


def test_modules_that_are_shared_a_million_ways_are_walked_once():
    module = linear()
    for _ in range(50):
        outer = tg.nn.Module()
        outer.a = outer.b = module
        module = outer
    assert len(list(module.parameters())) == 1
    assert len(list(module.named_modules())) == 101


def values_of(parts):
    return dict(enumerate(parts)).values()


def own_dict_of(parts):
    return UserDict(enumerate(parts))


@pytest.mark.parametrize("kind", [set, frozenset, deque, UserList, own_dict_of, values_of])
def test_containers_that_are_not_walked_are_refused(kind):
    module = tg.nn.Module()
    module.x = kind([1, 2])
    assert list(module.parameters()) == []
    module.x = [kind([linear()])]
    with pytest.raises(TypeError, match=r"Module\.x\.0 is a \w+: .* lists, tuples and dicts"):
        list(module.parameters())


@pytest.mark.parametrize("keys", [(1, "1"), ("a.weight", "a")])
def test_two_parameters_of_one_name_are_refused(keys):
    module = tg.nn.Module()
    one = linear().weight if "." in str(keys[0]) else linear()
    module.x = dict(zip(keys, (one, linear()), strict=True))
    with pytest.raises(StateDictError, match=r"Module: two tensors have the name 'x\."):
        module.state_dict()


def test_what_is_shared_is_one_parameter():
    first, second = tg.nn.Linear(3, 3), tg.nn.Linear(3, 3)
    second.weight = first.weight
    both = tg.nn.Sequential(first, second, first)
    assert list(both.state_dict()) == ["0.weight", "0.bias", "1.bias"]
    tg.optim.SGD(both.parameters())
    x = np.ones((1, 3))
    both(x).sum().backward()
    before = both(x).data
    for p in both.parameters():
        p.data = p.data - 0.01 * p.grad.data
    assert (both(x).data != before).all()
    assert both[1].weight is both[0].weight


@pytest.mark.parametrize("kind", [tg.nn.RNN, tg.nn.LSTM, tg.nn.GRU])
def test_a_cell_in_two_layers_is_one(kind):
    layer = kind(3, 3, num_layers=2, output_size=2, rng=0)
    count = len(list(layer.parameters()))
    per_cell = len(list(layer.cells[0].parameters()))
    layer.cells[1].W_hh = layer.cells[0].W_hh
    assert len(list(layer.parameters())) == count - 1
    assert layer.W_hh_l1 is layer.W_hh
    layer.cells[1] = layer.cells[0]
    assert len(list(layer.parameters())) == count - per_cell
    tg.optim.SGD(layer.parameters())


def test_what_a_user_adds_to_a_layer_is_found():
    class Scaled(tg.nn.GRU):
        def __init__(self):
            super().__init__(2, 3)
            self.scale = tg.nn.Parameter([1.0])
            self.head = linear()

    names = [name for name, _ in Scaled().named_parameters()]
    assert names == ["W_xh", "W_hh", "b_h", "b_x", "scale", "head.weight"]


# Buffers


class Masked(tg.nn.Module):
    def __init__(self):
        self.mask = tg.nn.Buffer([True, False])
        self.fixed = [tg.nn.Buffer([2.0, 3.0]), tg.nn.Buffer([4, 5])]
        self.scale = tg.nn.Parameter([1.0, 1.0])

    def forward(self, x):
        return tg.ops.where(self.mask, x * self.fixed[0], 0.0) * self.scale


def test_buffers_are_in_the_state_and_are_no_parameters():
    module = Masked()
    assert [name for name, _ in module.named_parameters()] == ["scale"]
    assert [name for name, _ in module.named_buffers("m")] == ["m.mask", "m.fixed.0", "m.fixed.1"]
    assert list(module.state_dict()) == ["mask", "fixed.0", "fixed.1", "scale"]
    module(np.ones(2)).sum().backward()
    assert [b.grad for b in module.buffers()] == [None] * 3
    assert module.scale.grad.data.tolist() == [2.0, 0.0]
    module.astype(np.float32)
    dtypes = [b.dtype for b in module.buffers()]
    assert dtypes == [np.bool_, np.float32, np.int64]
    other = Masked()
    other.mask.data = np.array([False, True])
    module.load_state_dict(other.state_dict())
    assert module.mask.data.tolist() == [False, True]
    assert repr(pickle.loads(pickle.dumps(module.mask))) == repr(module.mask)


def test_a_compiled_function_reads_buffers_as_they_are():
    module = Masked()
    fast = tg.compile(lambda x: module(x).sum())
    for k in range(6):
        if k == 4:
            module.fixed[0].data = np.array([7.0, 7.0])
        x = tg.tensor([1.0 + k, 2.0])
        assert fast(x).item() == module(x).sum().item()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("mask", [1, 0], "'mask' has dtype int64, needs booleans"),
        ("fixed.1", [0.5, 1.5], "'fixed.1' has dtype float64, needs int64"),
        ("scale", [True, True], "'scale' has dtype bool, needs numbers"),
        ("scale", [1j, 1], "'scale' has dtype complex128, needs numbers"),
        ("scale", np.ma.masked_array([1.0, 2.0], [True, False]), "'scale' has masked values"),
    ],
)
def test_values_of_another_kind_are_refused(name, value, message):
    module = Masked()
    with pytest.raises(StateDictError, match=message):
        module.load_state_dict(module.state_dict() | {name: np.asanyarray(value)})


def test_a_buffer_that_requires_a_gradient():
    with pytest.raises(OpError, match="Buffer: it cannot require a gradient"):
        tg.nn.Buffer([1.0], requires_grad=True)


@pytest.mark.parametrize("dtype", [np.int64, bool, complex])
def test_parameters_stay_floats(dtype):
    with pytest.raises(OpError, match="astype: parameters are floats"):
        Masked().astype(dtype)


# State dicts


def test_a_state_dict_goes_there_and_back():
    module, other = Nest(), Nest().astype(np.float32)
    module.scale.data = np.array([5.0])
    other.load_state_dict(module.state_dict())
    assert (other.scale.item(), other.scale.dtype) == (5.0, np.float32)


def test_what_does_not_fit_is_named_and_nothing_is_changed():
    module = Nest()
    before = module.state_dict()
    state = before | {
        "scale": np.ones(2),
        "extra": np.ones(1),
        "rest.0.bias": np.array(["a", "b", "c"]),
    }
    del state["first.bias"]
    with pytest.raises(StateDictError) as caught:
        module.load_state_dict(state)
    for part in (
        "load_state_dict: Nest: ",
        "missing 'first.bias'",
        "unknown 'extra'",
        "'scale' has shape (2,), needs (1,)",
        "'rest.0.bias' has dtype <U1, needs numbers",
    ):
        assert part in str(caught.value)
    assert all(module.state_dict()[name] is value for name, value in before.items())


# Layers


def test_linear():
    layer = tg.nn.Linear(2, 3, rng=0)
    x = np.random.default_rng(0).standard_normal((5, 4, 2))
    np.testing.assert_allclose(layer(x).data, x @ layer.weight.data.T + layer.bias.data)
    assert tg.nn.Linear(2, 3, bias=False).bias is None
    assert np.abs(layer.weight.data).max() <= 1 / math.sqrt(2)


def test_embedding():
    layer = tg.nn.Embedding(5, 3, rng=0)
    index = np.array([[1, 4], [1, 0]])
    np.testing.assert_array_equal(layer(index).data, layer.weight.data[index])
    layer(index).sum().backward()
    assert layer.weight.grad.data[:, 0].tolist() == [1, 2, 0, 0, 1]


def test_dropout():
    layer = tg.nn.Dropout(0.25, rng=0)
    x = tg.tensor(np.ones((100, 100)))
    seen = layer(x).data
    assert set(np.unique(seen)) == {0.0, 1 / 0.75}
    assert seen.mean() == pytest.approx(1, abs=0.02)
    assert layer.eval()(x) is x
    with pytest.raises(OpError, match="Dropout: p must be at least 0 and below 1, got 1"):
        tg.nn.Dropout(1)


def test_sequential():
    first, second = tg.nn.GRU(2, 3, rng=0), tg.nn.Linear(3, 1, rng=0)
    both = tg.nn.Sequential(first, second)
    xs = np.ones((4, 2))
    np.testing.assert_array_equal(both(xs).data, second(first(xs)[0]).data)
    assert (len(both), both[1], list(both)) == (2, second, [first, second])
    assert [name for name, _ in both.named_parameters()][-2:] == ["1.weight", "1.bias"]
    with pytest.raises(TypeError, match="Sequential: element 1 is not a Module but function"):
        tg.nn.Sequential(first, lambda x: x)


@pytest.mark.parametrize("shape", [4, (4,), (3, 4)])
@pytest.mark.parametrize("options", [{}, {"bias": False}, {"elementwise_affine": False}])
def test_layer_norm(shape, options):
    layer = tg.nn.LayerNorm(shape, eps=1e-3, **options)
    rng = np.random.default_rng(0)
    for p in layer.parameters():
        p.data = rng.standard_normal(p.shape)
    x = rng.standard_normal((2, 3, 4))
    axes = tuple(range(-len(layer.normalized_shape), 0))
    expected = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-3)
    if layer.weight is not None:
        expected = expected * layer.weight.data
    if layer.bias is not None:
        expected = expected + layer.bias.data
    np.testing.assert_allclose(layer(x).data, expected, rtol=1e-12)
    given = tg.tensor(x, requires_grad=True)
    assert tg.gradcheck(lambda x, *_: layer(x), [given, *layer.parameters()])
    assert layer.astype(np.float32)(x.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize(
    ("module", "function"),
    [(tg.nn.Tanh(), tg.ops.tanh), (tg.nn.Sigmoid(), tg.ops.sigmoid), (tg.nn.ReLU(), tg.ops.relu)],
)
def test_activations(module, function):
    x = tg.tensor([-1.0, 0.5], requires_grad=True)
    np.testing.assert_array_equal(module(x).data, function(x).data)
    assert tg.gradcheck(module, [x])
    assert (module.state_dict(), repr(module)) == ({}, f"{type(module).__name__}()")


def test_compiled_modules_are_the_eager_ones():
    nn = tg.nn
    model = nn.Sequential(
        nn.Linear(3, 4, rng=0), nn.LayerNorm(4), nn.Tanh(), nn.Linear(4, 4, rng=1), nn.ReLU(),
        nn.Linear(4, 2, rng=2), nn.Sigmoid(),
    )  # fmt: skip

    def step(x):
        model.zero_grad()
        loss = model(x).sum()
        loss.backward()
        return loss

    fast = tg.compile(step)
    for seed in range(5):
        x = tg.tensor(np.random.default_rng(seed).standard_normal((5, 3)))
        found = fast(x).item()
        gradients = [p.grad.data for p in model.parameters()]
        assert found == pytest.approx(step(x).item(), rel=1e-12)
        for g, p in zip(gradients, model.parameters(), strict=True):
            np.testing.assert_allclose(g, p.grad.data, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tg.nn.Linear(2.5, 3), "Linear: in_features must be an integer, 0 or more"),
        (lambda: tg.nn.Linear(2, "3"), "Linear: out_features must be an integer"),
        (lambda: tg.nn.Linear(2, -1), "Linear: out_features must be an integer"),
        (lambda: tg.nn.Linear(2, 3, bias="False"), "Linear: bias must be True or False"),
        (lambda: tg.nn.Linear(2, 3, bias=None), "Linear: bias must be True or False"),
        (lambda: tg.nn.Embedding(True, 3), "Embedding: num_embeddings must be an integer"),
        (lambda: tg.nn.Dropout("0.5"), "Dropout: p must be a number, got '0.5'"),
        (lambda: tg.nn.Dropout(float("nan")), "Dropout: p must be at least 0 and below 1"),
        (lambda: tg.nn.LayerNorm(0), "LayerNorm: normalized_shape must be a positive integer"),
        (lambda: tg.nn.LayerNorm(()), "must have one axis at least"),
        (lambda: tg.nn.LayerNorm(3, eps="small"), "LayerNorm: eps must be a number"),
        (lambda: tg.nn.LayerNorm(3, elementwise_affine="no"), "must be True or False, got 'no'"),
        (lambda: tg.nn.LayerNorm(3)(np.ones((3, 4))), r"x must be \(…, 3\), got shape \(3, 4\)"),
        (lambda: tg.nn.RNN(2, 3, batch_first="False"), "RNN: batch_first must be True or False"),
        (lambda: tg.nn.RNN(2, 3, bidirectional="no"), "RNN: bidirectional must be True or False"),
        (lambda: tg.nn.RNN(2, 3, bias="yes"), "RNNCell: bias must be True or False"),
        (lambda: tg.nn.RNN(2, "3", bidirectional=True), "hidden_size must be a positive integer"),
        (lambda: tg.nn.RNN(2, 3, dropout="0.5"), "RNN: dropout must be a number"),
        (lambda: tg.nn.LSTMCell(2, 3, peephole="False"), "LSTMCell: peephole must be True or"),
        (lambda: tg.nn.LSTMCell(2, 3, coupled=2), "LSTMCell: coupled must be True or False"),
        (lambda: tg.nn.LSTMCell(2, 3, forget_bias="1"), "LSTMCell: forget_bias must be a number"),
        (lambda: tg.nn.GRUCell(2, 3, reset_after="after"), "GRUCell: reset_after must be True"),
        (lambda: tg.nn.Tanh().train("False"), "Tanh: training must be True or False, got 'False'"),
        (lambda: tg.nn.clip_grad_norm_([], "1"), "clip_grad_norm_: max_norm must be a number"),
        (lambda: tg.nn.clip_grad_norm_([], 1, "inf"), "norm_type must be a number, got 'inf'"),
        (lambda: tg.nn.clip_grad_norm_([], 1, 2, "no"), "error_if_nonfinite must be True or False"),
        (lambda: tg.nn.clip_grad_value_([], None), "clip_value must be a number, got None"),
    ],
)
def test_arguments_that_are_refused(make, message):
    with pytest.raises(OpError, match=message):
        make()


def test_arguments_may_be_numpys():
    layer = tg.nn.Linear(np.int64(2), np.int32(3), bias=np.bool_(False))
    assert layer.config["bias"] is False
    assert tg.nn.Dropout(np.float32(0.5)).p == 0.5
    assert tg.nn.RNN(2, 3, batch_first=1).batch_first is True


# Losses


@pytest.mark.parametrize(
    ("reduction", "expected"), [("mean", 2.5), ("sum", 5.0), ("none", [1.0, 4.0])]
)
def test_mse_loss(reduction, expected):
    assert tg.nn.mse_loss(tg.tensor([1.0, 2.0]), [0.0, 4.0], reduction).data.tolist() == expected


def test_mse_loss_refuses_to_broadcast():
    with pytest.raises(
        OpError, match=r"mse_loss: input \(2,\) and target \(2, 1\) must have the same shape"
    ):
        tg.nn.mse_loss(tg.tensor([1.0, 2.0]), [[1.0], [2.0]])
    with pytest.raises(OpError, match="the reduction must be"):
        tg.nn.mse_loss(tg.tensor([1.0]), [1.0], "max")


class Refuses:
    """As torch refuses bfloat16, sparse, and what requires a gradient."""

    def __init__(self, error):
        self.error = error

    def __array__(self, *_, **__):
        raise self.error


class Mute(RuntimeError):
    def __str__(self):
        raise LookupError


class Lazy(Mapping):
    """As an archive that was closed: it knows its names, and no longer what they stand for."""

    def __init__(self, names):
        self.names = names

    def __iter__(self):
        return iter(self.names)

    def __len__(self):
        return len(self.names)

    def __getitem__(self, name):
        raise ValueError("read of closed file")


@pytest.mark.parametrize(
    "value",
    [
        Refuses(RuntimeError("Can't call numpy() on Tensor that requires grad.")),
        Refuses(TypeError("Got unsupported ScalarType BFloat16")),
        Refuses(Mute()),
        [[1.0, 2.0], [3.0]],
        object(),
        {1},
        np.zeros((3, 2), complex),
        np.zeros((3, 2), [("a", float)]),
        np.broadcast_to(0.0, (2**20, 2**20)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_entry_that_cannot_become_an_array_is_named(value):
    rnn = tg.nn.RNN(2, 3, rng=0)
    loads = [(rnn.load_state_dict, rnn.state_dict())]
    loads += [(rnn.load_torch_state_dict, rnn.to_torch_state_dict())]
    for load, state in loads:
        first = next(iter(state))
        with pytest.raises(StateDictError, match=first):
            load(dict(state) | {first: value})
        with pytest.raises(StateDictError, match=f"{first}' cannot become .* read of closed file"):
            load(Lazy(list(state)))


@pytest.mark.parametrize("state", [None, [("weight", 1.0)], "weight", 3])
def test_what_maps_no_names_is_no_state_dict(state):
    rnn = tg.nn.RNN(2, 3, rng=0)
    for load in (rnn.load_state_dict, rnn.load_torch_state_dict):
        with pytest.raises(StateDictError, match="a state dict maps names to arrays, and this is"):
            load(state)
