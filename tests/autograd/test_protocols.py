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
    "dot": lambda x: np.dot(a=x, b=x),
    "dot of an array": lambda x: np.dot(np.ones((3, 2)), x),
    "einsum": lambda x: np.einsum("ij,kj", x, x, optimize=True),
    "einsum of an array": lambda x: np.einsum("ij,jk->k", np.ones((3, 2)), x),
    "tensordot": lambda x: np.tensordot(x, x, axes=([0], [1])),
    "outer": lambda x: np.outer(a=x, b=[1.0, 2.0]),
    "prod": lambda x: np.prod(a=x, axis=1, keepdims=True),
    "cumsum": lambda x: np.cumsum(a=x, axis=0),
    "var": lambda x: np.var(a=x, axis=0, ddof=1),
    "var positional": lambda x: np.var(x, 0, None, None, 1),
    "std": lambda x: np.std(x, axis=0, correction=1, keepdims=True),
    "norm": lambda x: np.linalg.norm(x, axis=1, keepdims=True),
    "norm ord": lambda x: np.linalg.norm(x=x, ord=1),
    "norm counts": lambda x: np.linalg.norm(x, ord=0, axis=0),
    "norm of integers": lambda x: np.linalg.norm((x * 2.0).astype(int), axis=0),
    "pad": lambda x: np.pad(x, ((1, 0), (0, 2)), constant_values=-1.0),
    "pad mode": lambda x: np.pad(array=x, pad_width=1, mode="reflect"),
    "roll": lambda x: np.roll(a=x, shift=1, axis=0),
    "flip": lambda x: np.flip(m=x, axis=(0, 1)),
    "repeat": lambda x: np.repeat(a=x, repeats=[2, 1], axis=0),
    "tile": lambda x: np.tile(A=x, reps=(2, 1)),
    "take_along_axis": lambda x: np.take_along_axis(x, np.array([[1], [0]]), axis=1),
    "take_along_axis, names": lambda x: np.take_along_axis(
        arr=x, indices=np.array([[1, 0]]), axis=-1
    ),
    "vstack": lambda x: np.vstack(tup=[x, x[0]]),
    "hstack": lambda x: np.hstack((x, x)),
    "diff": lambda x: np.diff(a=x, n=1, axis=0),
    "argmax": lambda x: np.argmax(a=x, axis=1),
    "argmin": lambda x: np.argmin(x, axis=0, keepdims=True),
    "isclose": lambda x: np.isclose(x, [[1.0, 2.0]], rtol=0, atol=0.1),
    "zeros_like": lambda x: np.zeros_like(a=x, order="K", subok=False),
    "ones_like": lambda x: np.ones_like(x, dtype=int),
    "ravel": lambda x: np.ravel(x, order="C"),
    "size": lambda x: tensor(np.size(x, 1) + np.size(x) + np.ndim(x) + np.shape(x)[0]),
    "methods": lambda x: x.var(0) + x.std(ddof=1) + x.prod(axis=1) + x.cumsum()[2:].dot(x[0]),
    "methods of places": lambda x: x.argmax(1) + x.argmin(axis=1) + x.argmax(),
    "flatten": lambda x: x.flatten() + x.ravel() + x.repeat(2, axis=1).ravel(order="C")[::2],
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
    "np.cumsum: dtype": lambda x: np.cumsum(x, dtype="f4"),
    "np.var: where": lambda x: np.var(x, where=np.array([True, False])),
    "np.einsum: dtype": lambda x: np.einsum("i", x, dtype="f4"),
    "np.diff: prepend": lambda x: np.diff(x, prepend=0.0),
    "np.pad: stat_length": lambda x: np.pad(x, 1, "mean", stat_length=1),
    "np.maximum.accumulate": lambda x: np.maximum.accumulate(x),
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


@pytest.mark.parametrize(("make", "value"), [(tg.zeros, 0.0), (tg.ones, 1.0)])
def test_tensors_are_made_of_a_shape(make, value):
    for x in (make(2, 3), make((2, 3)), make([2, np.int64(3)])):
        assert x.data.tolist() == [[value] * 3] * 2
        assert (x.dtype, x.requires_grad) == (np.float64, False)
    x = make(2, dtype=np.float32, requires_grad=True, name="x")
    assert (x.dtype, x.requires_grad, x.name, x.is_leaf) == (np.float32, True, "x", True)
    assert make(()).shape == make().shape == ()
    with pytest.raises(OpError, match="only floats can require a gradient"):
        make(2, dtype=int, requires_grad=True)
    for shape in [((2, 3), np.float32), (2.5,), ("2",)]:
        with pytest.raises(TypeError, match=f"{make.__name__}: the shape is a tuple or several"):
            make(*shape)


def test_random_tensors_come_from_a_generator_a_seed_or_anywhere():
    rng = np.random.default_rng(0)
    expected = np.random.default_rng(0).standard_normal((2, 2, 3))
    np.testing.assert_array_equal(tg.randn(2, 3, rng=rng).data, expected[0])
    np.testing.assert_array_equal(tg.randn((2, 3), rng=rng).data, expected[1])
    np.testing.assert_array_equal(tg.randn(2, 3, rng=0).data, expected[0])
    assert (tg.randn(4).data != tg.randn(4).data).any()
    x = tg.randn(2, dtype=np.float32, requires_grad=True, name="x")
    assert (x.dtype, x.requires_grad, x.name, x.is_leaf) == (np.float32, True, "x", True)


def test_a_compiled_function_draws_anew():
    rng = np.random.default_rng(0)
    fast = tg.compile(lambda x: x + tg.randn(2, rng=rng) + tg.zeros(2) + tg.ones_like(x))
    drawn = [tuple(fast(np.ones(2)).data) for _ in range(5)]
    assert len(set(drawn)) == 5


def test_tensors_like_others():
    x = leaf(1.0, 2.0, dtype=np.float32)
    assert (tg.zeros_like(x).dtype, tg.ones_like(x, dtype=int).data.tolist()) == ("f4", [1, 1])
    assert tg.ones_like(x, requires_grad=True).requires_grad
    assert tg.zeros_like(np.ones((2, 1))).shape == (2, 1)


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


def test_elements_have_one_order():
    for order in "FAK":
        with pytest.raises(OpError, match=f"order of elements must be 'C', not '{order}'"):
            leaf(1.0, 2.0).reshape((2, 1), order=order)
    with pytest.raises(OpError, match=r"getitem: index = \[\[0, 1\], \[1\]\]: .*inhomogeneous"):
        leaf(1.0, 2.0)[[[0, 1], [1]]]
