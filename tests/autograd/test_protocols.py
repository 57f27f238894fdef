"""The Python and NumPy that people write: operators, formats, conversions, NumPy's functions."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import Tensor, ops, tensor
from tinygrad_rnn.errors import GradientError, OpError


def leaf(*values, **options):
    return tensor(list(values), requires_grad=True, **options)


LOST = r"'w': float64 \(\) requires a gradient, which an array would lose; write tg\.ops\.stack"


@pytest.mark.parametrize(
    "f",
    [
        np.array,
        np.asarray,
        np.mean,
        np.sum,
        np.max,
        np.tanh,
        np.prod,
        lambda ts: np.append(ts, ts),
        lambda ts: np.r_[ts[0], ts[1]],
        lambda ts: np.zeros((2, 1)).__setitem__(0, ts[0]),
        lambda ts: np.full(3, ts[0]),
    ],
)
def test_no_gradient_is_lost_in_an_array(f):
    w = tensor(3.0, requires_grad=True, name="w")
    with pytest.raises(OpError, match=LOST):
        f([w, w])


def test_where_no_gradient_could_be_lost_an_array_is_made():
    w = tensor(3.0, requires_grad=True)
    assert np.asarray([w.detach(), tensor(1.0)]).tolist() == [3.0, 1.0]
    with tg.no_grad():
        assert np.asarray([w, w]).tolist() == [3.0, 3.0]
    assert np.asarray(w.numpy()) == np.asarray(w.data) == 3.0


@pytest.mark.parametrize("join", [np.stack, np.concatenate])
def test_lists_of_tensors_are_joined(join):
    x = leaf(1.0, 2.0)
    y = join([x, 2 * x])
    assert isinstance(y, Tensor)
    y.sum().backward()
    assert x.grad.data.tolist() == [3.0, 3.0]


MASKS = {
    "and": lambda x: (x > 0) & (x < 1),
    "or": lambda x: (x < 0) | (x > 1),
    "xor": lambda x: (x < 0) ^ (x < 1),
    "not": lambda x: ~(x > 0),
    "any": lambda x: (x > 0).any(),
    "all": lambda x: (x > 0).all(),
    "any, axis": lambda x: (x > 0).any(axis=0),
    "reflected": lambda x: np.array([True, False, True]) & (x > 0),
    "logical_and": lambda x: np.logical_and(x > 0, x < 1),
    "plus": lambda x: +x,
    "in": lambda x: np.asarray(2.0 in x),
}


@pytest.mark.parametrize("f", MASKS.values(), ids=MASKS)
def test_masks_are_combined_as_arrays_are(f):
    x = tensor([0.5, 2.0, -1.0])
    np.testing.assert_array_equal(np.asarray(f(x)), f(x.numpy()))


def test_nothing_is_equal_to_none():
    x = leaf(1.0, 2.0)
    assert (x == None) is False  # noqa: E711
    assert (x != None) is True  # noqa: E711


def test_numbers_are_formatted_and_rounded():
    loss = tensor(1.23456, requires_grad=True)
    assert f"{loss:.2f} {loss:8.3f}" == "1.23    1.235"
    assert round(loss, 2) == 1.23
    assert round(loss) == 1
    assert f"{leaf(1.0)}" == "tensor([1.], requires_grad=True)"
    with pytest.raises(OpError, match=r"item: .* holds 2 values"):
        f"{leaf(1.0, 2.0):.2f}"


CALLS = {
    "clip": lambda x: np.clip(x, a_min=0, a_max=1),
    "clip min": lambda x: np.clip(x, min=0),
    "clip positional": lambda x: np.clip(x, 0, 1),
    "sum": lambda x: np.sum(a=x),
    "sum axis": lambda x: np.sum(x, axis=1, keepdims=True),
    "sum positional": lambda x: np.sum(x, 0, None, None, True),
    "mean": lambda x: np.mean(a=x, axis=0),
    "max": lambda x: np.max(x, 1),
    "transpose": lambda x: np.transpose(a=x),
    "expand_dims": lambda x: np.expand_dims(a=x, axis=0),
    "stack": lambda x: np.stack(arrays=[x, x]),
    "concatenate": lambda x: np.concatenate([x, x], axis=1),
    "split": lambda x: np.split(ary=x, indices_or_sections=2)[0],
    "reshape": lambda x: np.reshape(x, (4,), order="C"),
    "reshape method": lambda x: x.reshape((4,), order="C"),
    "astype": lambda x: x.astype("f4", copy=False),
    "squeeze": lambda x: np.squeeze(a=x),
    "swapaxes": lambda x: np.swapaxes(x, axis1=0, axis2=1),
    "broadcast_to": lambda x: np.broadcast_to(x, shape=(3, 2, 2)),
    "isnan": lambda x: tensor(np.isnan(x)),
    "allclose": lambda x: tensor(np.allclose(a=x, b=x)),
}


@pytest.mark.parametrize("f", CALLS.values(), ids=CALLS)
def test_arguments_have_numpys_names(f):
    x = tensor([[1.0, -2.0], [3.0, 0.5]])
    y = f(x)
    expected = f(x.numpy())
    assert isinstance(y, Tensor)
    np.testing.assert_array_equal(y.data, getattr(expected, "data", expected))


REFUSALS = {
    "np.linalg.inv": lambda x: np.linalg.inv(x),
    "np.median": lambda x: np.median(x),
    "np.add.reduce": lambda x: np.add.reduce(x),
    "np.add.at": lambda x: np.add.at(x, [0], 1.0),
    "np.multiply: dtype": lambda x: np.multiply(x, x, dtype="f4"),
    "np.sum: dtype": lambda x: np.sum(x, dtype="f4"),
    "np.reshape: order": lambda x: np.reshape(x, (2,), order="F"),
}


@pytest.mark.parametrize(("name", "f"), REFUSALS.items(), ids=REFUSALS)
def test_a_refusal_names_what_was_called(name, f):
    with pytest.raises(TypeError, match=name.replace(".", r"\.")):
        f(leaf(1.0, 2.0))


def test_adding_to_an_array_in_place_says_what_to_write():
    total = np.zeros(2)
    with pytest.raises(OpError, match=r"np\.add: out= .* as array \+= t does; .* array = array"):
        total += leaf(1.0, 2.0)


def test_requires_grad_is_for_leaves_of_floats():
    x = tensor([1.0, 2.0])
    x.requires_grad = True
    assert (x * 2.0).requires_grad
    with pytest.raises(OpError, match="only floats can require a gradient"):
        tensor([1, 2]).requires_grad = True
    with pytest.raises(TypeError, match="it is True or False, not 'no'"):
        x.requires_grad = "no"
    y = x * 2.0
    y.requires_grad = True
    with pytest.raises(GradientError, match=r"requires_grad: .*\(made by mul\).*use detach\(\)"):
        y.requires_grad = False


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_leaf_and_its_gradient_keep_their_dtype(dtype):
    x = tensor([1.0, 2.0], dtype=dtype, requires_grad=True)
    x.register_hook(lambda g: g * np.float64(0.1))
    ops.mul(x, x).sum().backward()
    assert x.grad.dtype == dtype
    x.grad = x.grad * np.float64(3)
    assert x.grad.dtype == dtype
    x.data = x.data - np.float64(0.1) * x.grad.data
    assert x.dtype == dtype
