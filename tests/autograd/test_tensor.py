"""What a Tensor is: its data, Python's and NumPy's protocols, and everything it refuses."""

import copy
import pickle
from fractions import Fraction

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import Tensor, ops, tensor
from tinygrad_rnn.errors import GradientError, OpError


def leaf(*values, **options):
    return tensor(list(values), requires_grad=True, **options)


# What it holds


def test_data_is_copied_in_and_read_only():
    source = np.array([1.0, 2.0])
    x = tensor(source)
    source[0] = 9.0
    assert x.data.tolist() == [1.0, 2.0]
    for array in (x.data, x.numpy(), np.asarray(x), (x * 2.0).data, x[:1].data, x.T.data):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0
    assert np.asarray(x) is x.data
    assert np.array(x).flags.writeable


@pytest.mark.parametrize(
    ("data", "dtype", "shape"),
    [
        (1, np.int64, ()), (1.0, np.float64, ()), (True, np.bool_, ()),
        ([1, 2.5], np.float64, (2,)), ([], np.float64, (0,)), (np.float32(1), np.float32, ()),
        (((1, 2), (3, 4)), np.int64, (2, 2)), (range(3), np.int64, (3,)),
        (np.zeros((2, 0), np.uint8), np.uint8, (2, 0)), ([np.float32(1.0)], np.float32, (1,)),
    ],
)  # fmt: skip
def test_what_data_may_be(data, dtype, shape):
    x = tensor(data)
    assert (x.dtype, x.shape, x.ndim, x.size) == (dtype, shape, len(shape), int(np.prod(shape)))
    assert x.is_leaf
    assert not x.requires_grad


def test_a_tensor_of_a_tensor_shares_its_array_and_not_its_graph():
    x = leaf(1.0)
    y = tensor(x * 2.0)
    assert y.is_leaf
    assert y.data.tolist() == [2.0]
    assert tensor(x, dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("x", r"a str of dtype <U1, shape \(\)"),
        (object(), "a object of dtype object"),
        (None, "a NoneType of dtype object"),
        ([1, None], "a list of dtype object"),
        ([[1.0], [1.0, 2.0]], "list.*inhomogeneous"),
        ((x for x in [1.0]), "a generator of dtype object"),
        (1j, "a complex of dtype complex128"),
        (np.array(["2020"], "M8[Y]"), "a ndarray of dtype datetime64"),
        ([Fraction(1, 2)], "a list of dtype object"),
        (10**400, "a int of dtype object"),
    ],
)
def test_what_data_may_not_be(data, message):
    with pytest.raises(OpError, match=f"^tensor: (?=.*not an array of numbers).*{message}"):
        tensor(data)


def test_an_exhausted_iterator_is_no_data():
    exhausted = iter([1.0])
    next(exhausted)
    with pytest.raises(OpError, match="a list_iterator of dtype object"):
        tensor(exhausted)


def test_a_dtype_that_is_none_is_refused():
    with pytest.raises(OpError, match=r"list is not an array of numbers: .*no dtype"):
        tensor([1.0], dtype="no dtype")
    with pytest.raises(OpError, match="dtype complex128"):
        tensor([1.0], dtype=complex)


def test_a_list_that_holds_a_graph_is_refused():
    x = leaf(1.0, name="x")
    for nested in ([x], (x, 1.0), [[x], [x]]):
        with pytest.raises(
            OpError,
            match=r"the list holds 'x': float64 \(1,\), whose gradient would be lost; use tg.ops",
        ):
            tensor(nested)
    assert tensor([tensor(1.0), 2.0]).data.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("data", [1, [True], np.zeros(2, np.uint8)])
def test_only_floats_can_require_a_gradient(data):
    with pytest.raises(
        OpError,
        match=r"tensor: only floats can require a gradient.* a \w+ of dtype .*; pass dtype=float",
    ):
        tensor(data, requires_grad=True)
    assert tensor(data, dtype=float, requires_grad=True).requires_grad


@pytest.mark.parametrize("make", [tensor, Tensor, tg.nn.Parameter])
def test_what_a_tensor_shall_be_is_said_by_name(make):
    with pytest.raises(TypeError, match="positional"):
        make([1.0], float)


def test_data_of_a_leaf_can_be_bound_anew():
    x = leaf(1.0, 2.0)
    new = np.array([3.0, 4.0])
    x.data = new
    new[0] = 9.0
    assert x.data.tolist() == [3.0, 4.0]
    x.data = [5.0, 6.0]
    x.data = np.array([7.0, 8.0], np.float32)
    assert (x.data.tolist(), x.dtype) == ([7.0, 8.0], np.float64)
    x.data = [9, 10]
    assert (x.data.tolist(), x.dtype) == ([9.0, 10.0], np.float64)


@pytest.mark.parametrize(
    ("x", "attribute", "value", "message"),
    [
        (leaf(1.0), "data", [1.0, 2.0], r"data: tensor float64 \(1,\) cannot .*\(2,\)"),
        (leaf(1.0, 2.0), "data", [1.0], r"data: tensor float64 \(2,\) cannot .*\(1,\)"),
        (tensor([1]), "data", [0.5], r"data: tensor int64 \(1,\) cannot .* dtype float64"),
        (leaf(1.0), "data", "x", "a str of dtype <U1"),
        (leaf(1.0), "grad", [1.0, 2.0], r"grad: tensor float64 \(1,\) cannot have"),
        (leaf(1.0, 2.0), "grad", [1.0], r"grad: tensor float64 \(2,\) cannot have"),
    ],
)
def test_values_that_are_refused(x, attribute, value, message):
    with pytest.raises(OpError, match=message):
        setattr(x, attribute, value)


def test_changes_that_are_refused():
    y = leaf(1.0) * 2.0
    with pytest.raises(GradientError, match=r"data: .* \(made by mul\)"):
        y.data = [1.0]
    with pytest.raises(OpError, match=r"t\[...\] = v: tensor float64 \(1,\) is immutable; "):
        leaf(1.0)[0] = 1.0


def test_a_refused_change_changes_nothing():
    x = leaf(1.0)
    x.grad = [2.0]
    for name in ("data", "grad"):
        with pytest.raises(OpError):
            setattr(x, name, [1.0, 2.0])
    assert x.data.tolist() == [1.0]
    assert x.grad.data.tolist() == [2.0]


def test_grad_takes_a_tensor_as_it_is():
    x, g = leaf(1.0), tensor([2.0])
    x.grad = g
    assert x.grad is g


def test_augmented_assignment_rebinds_the_name():
    x = y = leaf(1.0)
    y += 1.0
    assert x.data.tolist() == [1.0]
    assert y.op.name == "add"


# Python's protocols


def test_repr_says_how_it_was_made():
    x = leaf(1.0, name="x")
    assert repr(x) == "tensor([1.], requires_grad=True, name='x')"
    assert repr(x * 2.0) == "tensor([2.], op=mul)"
    assert repr(tensor([1, 2])) == "tensor([1, 2])"
    assert repr(tensor(True)) == "tensor(True)"
    assert repr(tensor(1.5, dtype=np.float32)) == "tensor(1.5, dtype=float32)"
    assert len(repr(tensor(np.zeros(10_000)))) < 100


def test_numbers():
    x = tensor(2.5)
    assert (float(x), int(x), x.item(), bool(x)) == (2.5, 2, 2.5, True)
    assert not tensor([[0.0]])
    assert isinstance(x.item(), float)
    assert [10, 20, 30][tensor(1)] == 20
    with pytest.raises(TypeError, match="float"):
        [10][tensor(0.0)]


@pytest.mark.parametrize("convert", [bool, float, int, Tensor.item, lambda x: [1][x]])
@pytest.mark.parametrize("size", [0, 2])
def test_many_values_are_no_number(convert, size):
    x = tensor(np.ones(size), name="x")
    with pytest.raises(
        OpError, match=rf"item: 'x': float64 \({size},\) holds {size} values, not one; reduce it"
    ):
        convert(x)


def test_sequences():
    x = leaf(1.0, 2.0)
    assert len(x) == 2
    first, second = x
    assert (first.item(), second.item()) == (1.0, 2.0)
    assert first.op.name == "getitem"
    assert 2.0 in x
    assert tensor(2.0) in x
    assert all(other not in x for other in (0.0, 1.5, 3.0))
    for use in (len, iter):
        with pytest.raises(TypeError, match="unsized"):
            use(tensor(1.0))


def test_equality_is_elementwise_and_hash_is_identity():
    x, y = leaf(1.0, 2.0), leaf(1.0, 3.0)
    assert (x == y).data.tolist() == [True, False]
    assert (x != y).data.tolist() == [False, True]
    assert (x == 1.0).data.tolist() == [True, False]
    assert (x < y).data.tolist() == [False, True]
    assert (x <= y).data.tolist() == [True, True]
    assert (x > y).data.tolist() == [False, False]
    assert (x >= y).data.tolist() == [True, False]
    assert len({x, y, x}) == 2


@pytest.mark.parametrize(
    "clone", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
def test_leaves_can_be_copied_and_pickled(clone):
    x = leaf(1.0, 2.0, name="x", dtype=np.float32)
    x.grad = [3.0, 4.0]
    y = clone(x)
    assert (type(y), y.name, y.requires_grad, y.dtype) == (Tensor, "x", True, np.float32)
    assert (y.data.tolist(), y.grad.data.tolist()) == ([1.0, 2.0], [3.0, 4.0])
    assert y.id != x.id
    assert not y.data.flags.writeable
    (y * y).sum().backward()
    assert x.grad.data.tolist() == [3.0, 4.0]
    assert clone(tensor(1)).dtype == np.int64


def test_a_parameter_stays_one():
    p = copy.deepcopy(tg.nn.Parameter([1.0], name="p", requires_grad=False))
    assert (type(p), p.name, p.requires_grad) == (tg.nn.Parameter, "p", False)


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, pickle.dumps])
def test_graphs_are_neither_copied_nor_pickled(clone):
    with pytest.raises(
        GradientError,
        match=r"copy: tensor float64 \(1,\) \(made by mul\) has a graph.*detach\(\) it first",
    ):
        clone(leaf(1.0) * 2.0)


def test_a_tensor_of_a_tensor_has_its_values_and_no_history():
    x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    y = tg.tensor(x * 2.0)
    assert (y.data.tolist(), y.is_leaf, y.requires_grad, y.name) == ([2.0, 4.0], True, False, None)
    assert tg.tensor(x, name="y").name == "y"
    z = tg.tensor(x, requires_grad=True)
    (z * z).sum().backward()
    assert (z.grad.data.tolist(), x.grad) == ([2.0, 4.0], None)


def test_detach_shares_values_and_no_history():
    x = leaf(1.0)
    y = (x * 2.0).detach()
    assert y.is_leaf
    assert not y.requires_grad


# Operators and methods


def test_operators_with_numbers_and_arrays_on_either_side():
    x = tensor([4.0])
    for value in (2.0, np.array([2.0]), [2.0]):
        left = [value + x, value - x, value * x, value / x, value**x]
        right = [x + value, x - value, x * value, x / value, x**value]
        assert [y.item() for y in left] == [6.0, -2.0, 8.0, 0.5, 16.0]
        assert [y.item() for y in right] == [6.0, 2.0, 8.0, 2.0, 16.0]
    one, three = np.array([[1.0]]), tensor([[3.0]])
    assert (one @ three).item() == (three @ one).item() == 3.0
    assert ([[2.0]] @ tensor([[3.0]])).item() == 6.0
    assert (-x).item() == -4.0
    assert abs(-x).item() == 4.0


def test_methods():
    x = tensor(np.arange(6.0).reshape(2, 3))
    for y in (x.reshape(3, 2), x.reshape((3, 2)), x.transpose(), x.T):
        assert y.shape == (3, 2)
    assert x.reshape(-1).shape == (6,)
    assert x[:1, :1].reshape().shape == x[:1, :1].reshape(()).shape == ()
    assert x.transpose(1, 0).shape == x.transpose((1, 0)).shape == x.swapaxes(0, 1).shape == (3, 2)
    assert tensor(np.zeros((2, 3, 4))).mT.shape == (2, 4, 3)
    assert tensor(np.zeros((2, 3, 4))).T.shape == (4, 3, 2)
    assert (x.sum().item(), x.mean(0).shape) == (15.0, (3,))
    assert (x.max(axis=1).data.tolist(), x.min(0, True).shape) == ([2.0, 5.0], (1, 3))
    assert (x.clip(1, 2).max().item(), x.astype(np.float32).dtype) == (2.0, np.float32)
    assert tensor([[1.0]]).squeeze(0).shape == (1,)


def test_python_scalars_are_weak_and_arrays_are_not():
    x = tensor([1.0], dtype=np.float32)
    for y in (x * 2.0, 2.0 * x, x**2, ops.maximum(x, 0.0), x * True):
        assert y.dtype == np.float32
    for y in (x * np.float64(2.0), x * np.array([2.0]), x * tensor(2.0)):
        assert y.dtype == np.float64
    assert (tensor([1]) * 2.0).dtype == np.float64
    assert (tensor([1]) / 2).dtype == np.float64
    assert (tensor([1]) + 1).dtype == np.int64


# NumPy's protocols


def test_numpy_functions_give_tensors():
    x = leaf(1.0, 4.0)
    made = {
        "tanh": [np.tanh(x)], "exp": [np.exp(x)], "sqrt": [np.sqrt(x)], "log": [np.log(x)],
        "sin": [np.sin(x)], "cos": [np.cos(x)], "neg": [np.negative(x)],
        "abs": [np.abs(x), np.fabs(x)], "add": [np.add(x, x)], "sub": [np.subtract(2.0, x)],
        "mul": [np.array([1.0, 2.0]) * x, np.float64(2.0) * x], "div": [np.divide(x, 2)],
        "pow": [np.power(x, 2)], "matmul": [np.matmul(np.eye(2), x)],
        "maximum": [np.maximum(x, 2.0)], "minimum": [np.minimum(x, 2.0)],
        "where": [np.where(np.array([True, False]), x, 0)], "clip": [np.clip(x, 0, 2)],
        "sum": [np.sum(x, axis=0)], "mean": [np.mean(x)], "max": [np.max(x), np.amax(x)],
        "min": [np.min(x), np.amin(x)], "reshape": [np.reshape(x, (2, 1))],
        "transpose": [np.transpose(x)], "swapaxes": [np.swapaxes(x, 0, 0)],
        "squeeze": [np.squeeze(x)], "expand_dims": [np.expand_dims(x, 0)],
        "broadcast_to": [np.broadcast_to(x, (2, 2))], "concatenate": [np.concatenate([x, x])],
        "stack": [np.stack([x, x])], "getitem": [np.split(x, 2)[1], np.unstack(x)[0]],
    }  # fmt: skip
    for op, ys in made.items():
        assert {(type(y), y.op.name) for y in ys} == {(Tensor, op)}
    assert np.equal(x, x).data.all()


def test_numpy_queries_give_arrays():
    x = leaf(1.0, np.nan)
    assert np.isnan(x).tolist() == [False, True]
    assert np.isfinite(x).tolist() == [True, False]
    assert (np.shape(x), np.ndim(x), np.size(x)) == ((2,), 1, 2)
    assert np.allclose(x, x, equal_nan=True)
    assert not np.array_equal(x, x)
    assert not np.isinf(x).any()


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda x: np.median(x), "median"),
        (lambda x: np.arctan2(x, x), "arctan2"),
        (lambda x: np.add.reduce(x), "reduce"),
        (lambda x: np.interp(x, x, x), "interp"),
        (lambda x: np.linalg.det(x), "det"),
        (lambda x: np.add.at(x, [0], 1.0), "at"),
    ],
)
def test_other_numpy_functions_raise(call, name):
    with pytest.raises(
        TypeError,
        match=rf"np\..*{name} is not an op of tinygrad_rnn: write it with tg.ops, or without",
    ):
        call(leaf(1.0))


@pytest.mark.parametrize(
    "call",
    [
        lambda x, out: np.add(x, x, out=out),
        lambda x, out: np.sum(x, out=out),
        lambda x, out: np.add(out, out, out=x),
        lambda x, out: np.concatenate([x, x], out=out),
    ],
)
def test_out_is_refused(call):
    with pytest.raises(
        OpError, match=r"np\.(add|sum|concatenate): out= would write into an array.*use the result"
    ):
        call(leaf(1.0), np.zeros(1))


def test_an_array_cannot_be_changed_by_a_tensor_in_place():
    array = np.zeros(1)
    with pytest.raises(OpError, match="out="):
        array += leaf(1.0)


def test_conversions_to_arrays():
    x = tensor([1.0])
    assert np.asarray(x, dtype=np.float32).dtype == np.float32
    assert np.array(x, copy=True).flags.writeable
    with pytest.raises(ValueError, match="copy"):
        np.asarray(x, dtype=np.float32, copy=False)
    assert np.asarray([tensor(1.0), tensor(2.0)]).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("name", [5, b"x", ["a"], object()])
def test_a_name_is_text(name):
    with pytest.raises(TypeError, match="a tensor's name is a str"):
        tensor(1.0, name=name)
    x = tensor(1.0, name=np.str_("x"))
    with pytest.raises(TypeError, match="a tensor's name is a str"):
        x.name = name
    assert (x.name, type(x.name)) == ("x", str)


def test_an_endless_name_is_cut_in_errors():
    x = tensor([1.0, 2.0], name="x\u200b" * 100_000)
    with pytest.raises(OpError) as caught:
        x + tensor([1.0, 2.0, 3.0])
    assert len(str(caught.value)) < 500
    assert "\u200b" not in str(caught.value)


def test_a_tensor_knows_the_array_that_it_was_made_of():
    whole = np.arange(12.0).reshape(3, 4)
    origin = tg.Tensor(whole).origin
    assert origin.is_of(whole)
    assert origin.is_of(whole[:]), "another view of the same numbers"
    assert not origin.is_of(whole.copy())
    assert not origin.is_of(whole[:2]), "other numbers of the same memory"
    assert not origin.is_of(whole.T)
    assert not origin.is_of(whole.view(np.int64)), "its bytes, read as other numbers"
    rows = tg.Tensor(whole[:2]).origin
    assert rows.is_of(whole[:2])
    assert not rows.is_of(whole[1:]), "of the same shape, elsewhere in the memory"
