"""Modules, layers without a memory, and losses."""

import math

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
    with pytest.raises(TypeError, match="Sequential: element 1 is no Module but function"):
        tg.nn.Sequential(first, lambda x: x)


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
