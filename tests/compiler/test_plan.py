"""Which NumPy calls are planned, and the arrays that they read and write."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn import ops
from tinygrad_rnn.compiler.memory import Piece, share, worth_binding


@pytest.mark.parametrize(
    ("product", "name"),
    [
        (lambda a, b: a @ b, "dot"),
        (lambda a, b: ops.linear(a, b), "dot"),
        (lambda a, b: ops.linear(a[:, :3], b[:, :3]), "matmul"),
        (lambda a, b: ops.stack([a, a]) @ ops.stack([b, b]), "matmul"),
    ],
)
def test_a_product_begins_with_what_starts_soonest_and_copies_nothing(product, name):
    """np.dot copies what has gaps, and knows no stacks of matrices."""
    a, b = np.arange(16.0).reshape(4, 4), np.arange(16.0).reshape(4, 4) - 7
    fast = tg.compile(product)
    for _ in range(3):
        y = fast(a, b)
    np.testing.assert_allclose(y.data, product(tg.tensor(a), tg.tensor(b)).data)
    _, plan = fast.latest()
    assert [function.__name__ for function, *_ in plan.calls] == [name]


@pytest.mark.parametrize(
    ("shapes", "dtype", "copied"),
    [
        (((25, 65), (100, 65)), "f4", True),
        (((25, 65), (100, 65)), "f8", True),
        (((5, 5, 65), (100, 65)), "f8", True),  # in one product of 25 rows
        (((12, 65), (100, 65)), "f8", False),  # 1,200 results: small, transposed or not
        (((154, 65), (100, 65)), "f8", False),  # not small
        (((15, 65), (100, 65)), "f8", False),  # few rows read it
        (((25, 64), (100, 64)), "f8", False),  # its rows are 512 bytes long
        (((25, 65), (100, 65)), "i8", False),
    ],
)
@pytest.mark.parametrize("has_kernels", [True, False])
def test_of_a_transposed_matrix_there_is_a_copy_where_small_products_are_quicker(
    monkeypatch, shapes, dtype, copied, has_kernels
):
    monkeypatch.setattr("tinygrad_rnn.compiler.blas.HAS_SMALL_KERNELS", has_kernels)
    a, b = (np.random.default_rng(0).integers(-9, 9, shape).astype(dtype) for shape in shapes)
    fast = tg.compile(ops.linear)
    for _ in range(3):
        y = fast(a, b)
    np.testing.assert_array_equal(y.data, a @ b.T)
    _, plan = fast.latest()
    assert len(plan.calls) == 1 + (copied and has_kernels)


def test_the_columns_of_a_wider_matrix_are_read_where_they_lie():
    fast = tg.compile(lambda a, b: a @ b[:, :100])
    a, b = np.ones((25, 65)), np.ones((65, 128))
    for _ in range(3):
        fast(a, b)
    assert fast.report().calls[1] == 1


@pytest.mark.parametrize("order", ["C", "transposed", "every other", "backwards"])
def test_an_array_that_the_caller_writes_into_is_read_at_each_call(order):
    whole = np.zeros((64, 64))
    seen = {
        "C": whole,
        "transposed": whole.T,
        "every other": whole[:, ::2],
        "backwards": whole[::-1],
    }[order]
    fast = tg.compile(lambda x: (x * 2.0).sum())
    for k in range(6):
        whole[...] = k
        assert fast(seen).item() == 2 * k * seen.size


def test_an_array_that_is_written_into_and_locked_again_is_read_at_each_call():
    fast, a = tg.compile(lambda x: x * 2 + 1), np.asfortranarray(np.ones((40, 40)))
    for k in range(6):
        a.flags.writeable = True
        a[...] = k
        a.flags.writeable = False
        assert (fast(a).data == 2 * k + 1).all()


@pytest.mark.parametrize(
    ("nbytes", "uses", "worth"),
    [(2048, 1, True), (2047, 1, False), (4096, 2, True), (4095, 2, False), (6144, 3, True)],
)
def test_to_bind_an_argument_takes_as_long_as_to_copy_2_kb(nbytes, uses, worth):
    piece = Piece(np.empty(nbytes, np.uint8), 0, 0)
    assert worth_binding(piece, uses) is worth
    assert worth_binding(piece, 0)


@given(
    st.lists(
        st.tuples(st.integers(0, 300), st.integers(0, 200), st.integers(0, 40)),
        min_size=1,
        max_size=60,
    )
)
def test_what_is_needed_at_the_same_time_lies_apart(lives):
    pieces = [Piece(np.empty(size), first, first + length) for first, length, size in lives]
    whole = share(pieces)
    assert whole <= sum(piece.nbytes for piece in pieces)
    for i, a in enumerate(pieces):
        assert 0 <= a.offset <= a.offset + a.nbytes <= whole
        for b in pieces[:i]:
            apart = a.offset + a.nbytes <= b.offset or b.offset + b.nbytes <= a.offset
            assert apart or a.last < b.first or b.last < a.first or not (a.nbytes and b.nbytes)
