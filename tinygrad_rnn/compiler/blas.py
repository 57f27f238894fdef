"""What BLAS does well: which call has the least overhead, which layout is read fastest."""

from math import inf
from typing import Any, cast

import numpy as np

from ..autograd.tensor import Array
from .program import Value

# So many products must read a transposed matrix for a copy to pay, which BLAS reads faster;
# products of vectors, over the bytes of an element: 20 in float64, 40 in float32.
_MANY = 3
_MANY_OF_VECTORS = 160
# With AVX-512 OpenBLAS has kernels for products of up to _SMALL multiplications; but with a
# transposed second factor only for those of up to _FEW results. In between they take 0.5 to 0.8 of
# the time, and a copy pays even for one product, if that has _ROWS to read it, and unless its
# source's rows take a multiple of _APART bytes: they fall into the same few sets of the cache, and
# are copied slowly.
_SMALL, _FEW, _ROWS, _APART = 100**3, 1200, 16, 512


def as_matrices(a: Array, b: Array, out: Array) -> tuple[Array, Array, Array]:
    """A product with one matrix as that of a vector or of one matrix, where that is a view."""
    if b.ndim != 2:
        return a, b, out
    if a.shape[:-1] in ((), (1,)) and _is_dense(a, out):
        return a.reshape(-1), b, out.reshape(-1)
    if a.ndim > 2:
        rows, made = _rows(a), _rows(out)
        if rows is not None and made is not None:
            return rows, b, made
    return a, b, out


def is_for_dot(a: Array, b: Array, out: Array) -> bool:
    """Whether dot, which has less overhead than matmul, does the same; it copies what has gaps."""
    alike = a.dtype == b.dtype == out.dtype and out.dtype.char in "fdFD"
    return alike and max(a.ndim, b.ndim) <= 2 and out.flags.c_contiguous and _is_dense(a, b)


def is_readable(matrix: Array) -> bool:
    """Whether BLAS can read it where it lies."""
    axes = zip(matrix.strides[-2:], matrix.shape[-2:], strict=True)
    dense = any(stride == matrix.itemsize or n == 1 for stride, n in axes)
    return dense and min(matrix.strides) >= 0


def reads_that_pay(product: Value, b: Array) -> float:
    """How many products like this must read the second factor for a copy of it to pay."""
    if b.ndim != 2 or b.flags.c_contiguous or b.strides[1] == b.itemsize:
        return inf
    if product.shape[-1:] == (product.size,):
        return _MANY_OF_VECTORS / product.dtype.itemsize
    return 1 if _is_small(product, b) else _MANY


def _is_small(product: Value, b: Array) -> bool:
    """Whether a kernel for small products would compute it, were b not transposed."""
    terms, columns = b.shape
    is_small = product.size > _FEW and product.size * terms <= _SMALL
    is_worth_a_copy = product.size >= _ROWS * columns and b.strides[1] % _APART != 0
    has_kernel = HAS_SMALL_KERNELS and product.dtype.char in "fd"
    return has_kernel and is_small and is_worth_a_copy


def _has_small_kernels() -> bool:
    """Whether NumPy's BLAS is OpenBLAS, and the processor has AVX-512."""
    made = cast(Any, np.show_config(mode="dicts"))
    found = made.get("SIMD Extensions", {}).get("found", ())
    openblas = "openblas" in made.get("Build Dependencies", {}).get("blas", {}).get("name", "")
    return openblas and ("AVX512_SKX" in found or "X86_V4" in found)  # before NumPy 2.4, and since


HAS_SMALL_KERNELS = _has_small_kernels()


def _is_dense(*arrays: Array) -> bool:
    return all(array.flags.forc for array in arrays)


def _rows(array: Array) -> Array | None:
    """A stack of matrices as one matrix, if that is a view."""
    if not array.size:
        return None
    rows = array.reshape(-1, array.shape[-1])
    return rows if np.may_share_memory(rows, array) else None
