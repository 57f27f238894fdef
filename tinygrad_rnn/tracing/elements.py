"""What one element was made of: the numbers behind a number, found by the op's own VJP, so that no op needs a table.

An output element's dependence on its inputs is the VJP of a cotangent that is 1 there and 0 elsewhere. What a VJP
itself made of each cotangent element is the gradient of the VJP, which is written so that Tensors pass through it.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd.backward import grad
from ..autograd.op import Op
from ..autograd.scope import switched
from ..autograd.tensor import Array, Tensor
from ..errors import TinygradError, TraceError
from .graph import Node

Index = tuple[int, ...]
PRODUCTS = ("linear", "matmul")


@dataclass(frozen=True, slots=True)
class Term:
    """One number that an element was made of: `value` of `node` at `index`, times `factor`.

    In a product of matrices the factor is element `factor_index` of `factor_node`.
    """

    node: Node | None  # None: a Python number
    slot: int
    index: Index
    value: float
    factor: float
    factor_index: Index | None = None

    @property
    def product(self) -> float:
        return self.value * self.factor

    @property
    def weight(self) -> float:
        """How much it matters: its size, and what is not finite most of all."""
        size = abs(self.product)
        return size if np.isfinite(size) else np.inf


def forward_terms(node: Node, index: Index) -> list[Term]:
    """The input elements that `node[index]` depends on, each with its slope ∂y/∂x."""
    if node.rule is None:
        return []
    if node.op in PRODUCTS:
        return _product_terms(node, index)
    return [term for slot in range(len(node.inputs)) for term in _slope_terms(node, slot, index)]


def _slope_terms(node: Node, slot: int, index: Index) -> list[Term]:
    assert node.rule is not None
    slopes = _vjp(node.rule, slot, _one_hot(node.data, index), node.data, node.operands, node)
    if slopes is None:
        return []
    operand = np.asarray(node.operands[slot])
    slopes = summed_to(slopes, operand.shape)
    return [Term(node.inputs[slot], slot, at, float(operand[at]), float(slopes[at])) for at in _nonzero(slopes)]


def _product_terms(node: Node, index: Index) -> list[Term]:
    """The pairs that a matrix product sums: where each input counts is seen with ones in place of the other."""
    assert node.rule is not None
    ones = tuple(np.ones(np.shape(a)) for a in node.operands)
    g = _one_hot(node.data, index)
    places: list[list[Index]] = []
    for slot in (0, 1):
        support = _vjp(node.rule, slot, g, node.data, ones, node)
        assert support is not None
        places.append(_nonzero(summed_to(support, ones[slot].shape)))
    left, right = (np.asarray(a) for a in node.operands)
    return [Term(node.inputs[0], 0, a, float(left[a]), float(right[b]), b) for a, b in zip(*places, strict=True)]


def backward_terms(of: Node, slot: int, cotangent: Array, index: Index) -> list[Term]:
    """The elements of ∂L/∂of that the term for input `slot` has at `index`, each with its slope."""
    slopes = _linear_in(of, slot, cotangent, of.operands, index, None)
    if slopes is None:
        return []
    terms = [Term(of, slot, at, float(cotangent[at]), float(slopes[at])) for at in _nonzero(slopes)]
    if of.op not in PRODUCTS:
        return terms
    ones = np.ones(cotangent.shape), tuple(np.ones(np.shape(a)) for a in of.operands)
    where = [_linear_in(of, slot, *ones, index, other) for other in (None, 1 - slot)]
    pairs = [_nonzero(support) for support in where if support is not None]
    factor = np.asarray(of.operands[1 - slot])
    return [Term(of, slot, g, float(cotangent[g]), float(factor[f]), f) for g, f in zip(*pairs, strict=True)]


def _linear_in(
    of: Node, slot: int, cotangent: Array, operands: Sequence[Any], index: Index, other: int | None
) -> Array | None:
    """How element `index` of a VJP changes with each element of the cotangent, or of operand `other`."""
    vjp = of.rule.vjps[slot] if of.rule is not None else None
    if of.rule is None or vjp is None:
        return None
    shape = np.shape(operands[slot])
    with switched(observers=(), recording=True), _again(of):
        g = Tensor(cotangent.astype(np.float64), requires_grad=other is None)
        given = [Tensor(a, requires_grad=True) if i == other else a for i, a in enumerate(operands)]
        term = vjp(g, of.data, *of.rule.given(given), **of.options)
        if not isinstance(term, Tensor):
            return None
        seed = np.zeros((1,) * (term.ndim - len(shape)) + shape)
        seed[(0,) * (term.ndim - len(shape)) + index] = 1.0
        return grad(term, g if other is None else given[other], np.broadcast_to(seed, term.shape)).data


def vjp_term(of: Node, slot: int, cotangent: Array) -> Array:
    """The term that `of` hands to its input `slot`, computed again as the engine does."""
    assert of.rule is not None
    term = _vjp(of.rule, slot, cotangent, of.data, of.operands, of)
    assert term is not None
    operand = np.asarray(of.operands[slot])
    return summed_to(term, operand.shape).astype(operand.dtype, copy=False)


def _vjp(op: Op, slot: int, g: Array, y: Array, operands: Sequence[Any], node: Node) -> Array | None:
    vjp = op.vjps[slot]
    if vjp is None:
        return None
    with _again(node):
        return np.asarray(vjp(g, y, *op.given(operands), **node.options))


@contextmanager
def _again(node: Node) -> Generator[None, None, None]:
    """Run a rule on recorded numbers: quietly, and if it fails, it is the recording or the rule that is wrong."""
    try:
        with np.errstate(all="ignore"):
            yield
    except TinygradError:
        raise
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, ArithmeticError, MemoryError) as error:
        raise TraceError(f"{node.op} cannot be run again on what was recorded: {error}") from error


def summed_to(term: Array, shape: Index) -> Array:
    """A term of the broadcast shape, summed over what was broadcast."""
    padded = (1,) * (term.ndim - len(shape)) + shape
    axes = tuple(i for i, n in enumerate(padded) if n != term.shape[i])
    return (term.sum(axis=axes) if axes else term).reshape(shape)


def _one_hot(like: Array, index: Index) -> Array:
    hot = np.zeros(like.shape)
    hot[index] = 1.0
    return hot


def _nonzero(array: Array) -> list[Index]:
    return [tuple(at) for at in np.argwhere(array != 0).tolist()]
