"""Every op of the table: its values, its first and second derivatives, its dtypes, its refusals."""

import re

import numpy as np
import pytest
from op_cases import CASES, RECORDS, with_every_case

import tinygrad_rnn as tg
from tinygrad_rnn import ops
from tinygrad_rnn.errors import OpError, TinygradError

PUBLIC = set(ops.__all__)


def differentiable(case):
    return RECORDS[case.op].differentiable


def double(case):
    return case.double and differentiable(case)


def test_every_op_has_a_record_and_the_table_is_large():
    assert set(RECORDS) == PUBLIC
    assert len(CASES) >= 1500


@with_every_case()
def test_forward_is_numpys_value_and_dtype(case):
    tensors = case.tensors()
    arrays = [x.data for x in tensors]
    before = [a.copy() for a in arrays]
    y = case.call(*tensors)
    expected = np.asarray(case.reference(*arrays))
    assert y.shape == expected.shape
    assert y.dtype == expected.dtype
    rtol, atol = (1e-12, 1e-12) if case.double else (1e-5, 1e-6)
    np.testing.assert_allclose(y.data, expected, rtol, atol)
    for a, b in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not y.data.flags.writeable


@with_every_case(differentiable)
def test_gradient_is_the_central_difference(case):
    assert tg.gradcheck(case.call, case.tensors(), float32=not case.double)


@with_every_case(differentiable, one_in=4, one_op_in=4)
def test_a_gradient_with_a_graph_is_the_one_without(case):
    """A rule may go another way for Tensors, which second derivatives are held against alone."""
    xs = case.tensors()
    y = case.call(*xs)
    g = np.random.default_rng(0).standard_normal(y.shape).astype(y.dtype)
    leaves = [x for x in xs if x.requires_grad]
    plain, recorded = (
        tg.grad(y, leaves, gradient=g, create_graph=graph) for graph in (False, True)
    )
    tolerance = 1e-12 if case.double else 1e-5
    for a, b in zip(plain, recorded, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_allclose(a.data, b.data, tolerance, tolerance)


@with_every_case(double, one_in=8)
def test_second_derivative_is_the_central_difference_of_the_first(case):
    assert tg.gradgradcheck(case.call, case.tensors())


@with_every_case(lambda case: not differentiable(case))
def test_what_is_not_differentiable_is_not_recorded(case):
    y = case.call(*case.tensors())
    assert y.is_leaf
    assert not y.requires_grad


@pytest.mark.parametrize(
    ("call", "message"),
    [
        pytest.param(*error, id=f"{op}-{i}")
        for op, record in RECORDS.items()
        for i, error in enumerate(record.errors)
    ],
)
def test_bad_operands_are_refused_by_name(call, message):
    pattern = re.escape(message).replace(re.escape("..."), ".*")
    with pytest.raises((TinygradError, TypeError), match=f"^{pattern}"):
        call()


@pytest.mark.parametrize(
    ("call", "inputs", "gradients"),
    [
        pytest.param(*kink, id=f"{op}-{i}")
        for op, record in RECORDS.items()
        for i, kink in enumerate(record.kinks)
    ],
)
def test_kinks_have_torchs_gradient(call, inputs, gradients):
    tensors = [tg.tensor(x, requires_grad=True) for x in inputs]
    with np.errstate(all="raise"):  # the engine asks for silence itself
        for found, expected in zip(tg.grad(call(*tensors).sum(), tensors), gradients, strict=True):
            np.testing.assert_allclose(found.data, expected)


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_every_op_says_what_it_computes_and_its_rule(name):
    op = getattr(ops, name)
    assert op.__name__ == name
    first = op.__doc__.splitlines()[0]
    assert first.endswith(".")
    assert len(first) <= 100
    if not hasattr(op, "op"):  # it is made of others
        return
    assert op.op.name == name
    if RECORDS[name].differentiable:
        assert "ȳ" in op.__doc__.lower()


@with_every_case(double, one_op_in=4)
def test_the_gradient_is_linear_in_the_cotangent(case):
    tensors = case.tensors()
    y = case.call(*tensors)
    inputs = [x for x in tensors if x.requires_grad]
    rng = np.random.default_rng(0)
    u, v = rng.standard_normal((2, *y.shape))
    both = tg.grad(y, inputs, gradient=2 * u - 3 * v)
    for whole, a, b in zip(
        both, tg.grad(y, inputs, gradient=u), tg.grad(y, inputs, gradient=v), strict=True
    ):
        np.testing.assert_allclose(whole.data, 2 * a.data - 3 * b.data, rtol=1e-9, atol=1e-9)


@with_every_case(double, one_op_in=4)
def test_many_uses_of_one_input_add_up(case):
    """Sums that are deferred equal the sums of their terms."""
    tensors = case.tensors()
    inputs = [x for x in tensors if x.requires_grad]
    once = tg.grad(case.call(*tensors).sum(), inputs)
    y = sum(case.call(*tensors).sum() * factor for factor in (1.0, 2.0, 0.5))
    for total, one in zip(tg.grad(y, inputs), once, strict=True):
        np.testing.assert_allclose(total.data, 3.5 * one.data, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("letters", "expected"), [("mean", 1.0), ("sum", 2.0), ("none", [0.5, 1.5])]
)
def test_a_reduction_is_known_by_its_letters(letters, expected):
    """Not by which string object it is: one that was read from a file is another."""
    scores = tg.tensor(
        [[0.0, np.log(np.exp(0.5) - 1)], [0.0, np.log(np.exp(1.5) - 1)]], requires_grad=True
    )
    loss = ops.cross_entropy(scores, [0, 0], reduction="".join(letters))
    np.testing.assert_allclose(loss.data, expected, rtol=1e-12)
    loss.backward(np.ones_like(expected))
    share = 0.5 if letters == "mean" else 1.0
    np.testing.assert_allclose(
        scores.grad.data[:, 0], share * (np.exp([-0.5, -1.5]) - 1), rtol=1e-12
    )


def test_a_border_is_known_by_its_letters():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    ops.pad(x, 1, mode="".join("constant"), constant_values=5.0).sum().backward()
    assert x.grad.data.tolist() == [1.0, 1.0]


def test_split_and_unstack_refuse_as_ops_do():
    with pytest.raises(OpError, match=r"split: axis 1 of 'x': float64 \(2,\): "):
        ops.split(tg.tensor([1.0, 2.0], name="x"), 2, axis=1)


@pytest.mark.parametrize("dtype", [bool, int])
def test_nothing_goes_back_through_integers(dtype):
    x = tg.tensor([0.3, 1.7], requires_grad=True)
    (x.astype(dtype) * 2.5).sum().backward()
    assert x.grad.data.tolist() == [0.0, 0.0]
    assert x.grad.dtype == x.dtype


def test_a_linear_map_of_no_features():
    x = tg.tensor(np.ones((2, 3, 0)), requires_grad=True)
    W = tg.tensor(np.ones((4, 0)), requires_grad=True)
    y = ops.linear(x, W)
    y.sum().backward()
    assert y.data.tolist() == np.zeros((2, 3, 4)).tolist()
    assert (x.grad.shape, W.grad.shape) == (x.shape, W.shape)


@pytest.mark.parametrize("dtype", [bool, np.int64, np.float64])
def test_a_power_has_the_same_gradient_whatever_the_dtype_of_its_exponents(dtype):
    x = tg.tensor([2.0, 0.0, 3.0], requires_grad=True)
    (x ** np.array([1, 0, 1], dtype)).sum().backward()
    assert x.grad.data.tolist() == [1.0, 0.0, 1.0]


NUMBERS = {
    "a number of NumPy's": (np.int64(2), "embedding"),
    "several": (np.array([[0, 2], [1, 2]]), "embedding"),
    "a number": (2, "getitem"),
    "from the end": (np.array([0, -1]), "getitem"),
    "a mask": (np.array([True, False, True]), "getitem"),
    "of two axes": ((np.array([0, 1]), np.array([1, 1])), "getitem"),
}


@pytest.mark.parametrize("which", NUMBERS)
def test_rows_of_a_trained_table_that_data_names_are_looked_up(which):
    index, op = NUMBERS[which]
    table = np.arange(6.0).reshape(3, 2)
    E = tg.tensor(table, requires_grad=True)
    rows = E[index]
    assert rows.op.name == op
    np.testing.assert_array_equal(rows.data, table[index])
    rows.sum().backward()
    counted = np.zeros((3, 2))
    np.add.at(counted, index, 1.0)
    np.testing.assert_array_equal(E.grad.data, counted)


def test_a_part_of_what_is_no_table_is_a_part():
    index = np.array([0, 1])
    for x in (
        tg.tensor(np.ones(3), requires_grad=True),
        2 * tg.tensor(np.ones((3, 2)), requires_grad=True),
    ):
        assert x[index].op.name == "getitem"
