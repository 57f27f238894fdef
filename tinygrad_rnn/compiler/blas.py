"""What BLAS does well: how a product reaches it soonest, and in which layout it reads a matrix fastest."""

from math import inf
from typing import Any, cast

import numpy as np

from ..autograd.tensor import Array
from .program import Value

_MANY = 3  # products with one transposed matrix; from then on a copy pays, which BLAS reads faster
_MANY_OF_VECTORS = (
    160  # the same for vectors, over the bytes of an element: 20 in float64, 40 in float32
)
# With AVX-512 OpenBLAS has kernels for products of up to _SMALL multiplications; but with a
# transposed second factor only for those of up to _FEW results. In between they take 0.5 to 0.8 of
# the time, and a copy pays even for one product, if that has _ROWS to read it, and unless its
# source's rows take a multiple of _APART bytes: they fall into the same few sets of the cache, and
# are copied slowly.
_SMALL, _FEW, _ROWS, _APART = 100**3, 1200, 16, 512


def as_matrices(a: Array, b: Array, out: Array) -> tuple[Array, Array, Array]:
    """A product with one matrix as that of a vector or of one matrix, where that is a view."""
    if b.ndim == 2 and a.shape[:-1] in ((), (1,)) and _is_dense(a, out):
        return a.reshape(-1), b, out.reshape(-1)
    if (
        b.ndim == 2
        and a.ndim > 2
        and (rows := _rows(a)) is not None
        and (made := _rows(out)) is not None
    ):
        return rows, b, made
    return a, b, out


def is_for_dot(a: Array, b: Array, out: Array) -> bool:
    """Whether dot, which starts sooner than matmul, does the same; of operands with gaps it would make copies."""
    alike = a.dtype == b.dtype == out.dtype and out.dtype.char in "fdFD"
    return alike and max(a.ndim, b.ndim) <= 2 and out.flags.c_contiguous and _is_dense(a, b)


def is_readable(matrix: Array) -> bool:
    """Whether BLAS can read it where it lies."""
    dense = any(
        s == matrix.itemsize or n == 1
        for s, n in zip(matrix.strides[-2:], matrix.shape[-2:], strict=True)
    )
    return dense and min(matrix.strides) >= 0


def reads_that_pay(product: Value, b: Array) -> float:
    """How many products like this one must read the second factor, for a copy in which its rows are dense to pay."""
    if b.ndim != 2 or b.flags.c_contiguous or b.strides[1] == b.itemsize:
        return inf
    if product.shape[-1:] == (product.size,):
        return _MANY_OF_VECTORS / product.dtype.itemsize
    return 1 if _is_small(product, b) else _MANY


def _is_small(product: Value, b: Array) -> bool:
    """Whether a kernel for small products would compute it, were not the second factor transposed."""
    terms, columns = b.shape
    fits = (
        product.size > _FEW and product.size * terms <= _SMALL and product.size >= _ROWS * columns
    )
    return _HAS_SMALL_KERNELS and product.dtype.char in "fd" and fits and b.strides[1] % _APART != 0


def _has_small_kernels() -> bool:
    """Whether NumPy's BLAS is OpenBLAS, and the processor has AVX-512."""
    made = cast(Any, np.show_config(mode="dicts"))
    found = made.get("SIMD Extensions", {}).get("found", ())
    openblas = "openblas" in made.get("Build Dependencies", {}).get("blas", {}).get("name", "")
    return openblas and not {"AVX512_SKX", "X86_V4"}.isdisjoint(
        found
    )  # before NumPy 2.4, and since


_HAS_SMALL_KERNELS = _has_small_kernels()


def _is_dense(*arrays: Array) -> bool:
    return all(array.flags.forc for array in arrays)


def _rows(array: Array) -> Array | None:
    """A stack of matrices as one matrix, if that is a view."""
    if not array.size:
        return None
    rows = array.reshape(-1, array.shape[-1])
    return rows if np.may_share_memory(rows, array) else None
