"""Products of matrices, and sums of products."""

from typing import Any

import numpy as np

from ...autograd import ops
from ..reading.graph import Node
from .registry import handles
from .values import aside


@handles("MatMul")
def matmul(node: Node, a: Any, b: Any) -> Any:
    return ops.matmul(a, b)


@handles("Gemm")
def gemm(node: Node, a: Any, b: Any, c: Any = None) -> Any:
    """alpha A B + beta C; with B transposed it is our `linear`."""
    attributes = node.attributes
    a = ops.transpose(a) if attributes["transA"] else a
    y = ops.linear(a, b) if attributes["transB"] else ops.matmul(a, b)
    y = _scaled(y, attributes["alpha"])
    if c is None:
        return y
    return ops.add(y, _scaled(c, attributes["beta"]))


def _scaled(x: Any, factor: float) -> Any:
    if factor == 1:
        return x
    return ops.mul(x, np.asarray(factor, x.dtype))


@handles("Einsum")
def einsum(node: Node, *xs: Any) -> Any:
    return ops.einsum(node.attributes["equation"], *xs)


@handles("MatMulInteger")
def matmul_integer(node: Node, a: Any, b: Any, a_zero: Any = None, b_zero: Any = None) -> Any:
    def product(a: Any, b: Any, a_zero: Any, b_zero: Any) -> Any:
        a, b = a.astype(np.int32), b.astype(np.int32)
        a = a if a_zero is None else a - a_zero.astype(np.int32)
        b = b if b_zero is None else b - b_zero.astype(np.int32)
        return np.matmul(a, b)

    return aside(node, product, a, b, a_zero, b_zero)


@handles("Det")
def det(node: Node, x: Any) -> Any:
    return aside(node, lambda x: np.linalg.det(x).astype(x.dtype), x)
