"""What one element was made of: the numbers behind a number, found by the op's own VJP, so that no op needs a table.

An output element's dependence on its inputs is the VJP of a cotangent that is 1 there and 0
elsewhere. What a VJP itself made of each cotangent element is the gradient of the VJP, which is
written so that Tensors pass through it.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from ...autograd.backward import grad
from ...autograd.state import switched
from ...autograd.tensor import Array, Tensor
from ...errors import TinygradError, TraceError
from ..recording.graph import Node

Index = tuple[int, ...]
PRODUCTS = ("linear", "matmul")
_LISTED = 512  # terms of one input


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


@dataclass(frozen=True, slots=True)
class Terms(Sequence[Term]):
    """What one element was made of: its terms; of very many the largest alone, and what the others come to."""

    listed: tuple[Term, ...] = ()
    others: int = 0  # how many are not listed
    rest: float = 0.0  # the sum of these
    weight: float = 0.0  # the sum of their sizes

    @overload
    def __getitem__(self, at: int) -> Term: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Term, ...]: ...
    def __getitem__(self, at: int | slice) -> Term | tuple[Term, ...]:
        return self.listed[at]

    def __len__(self) -> int:
        return len(self.listed)

    def __add__(self, other: "Terms") -> "Terms":
        return Terms(
            self.listed + other.listed,
            self.others + other.others,
            self.rest + other.rest,
            self.weight + other.weight,
        )

    @classmethod
    def of(
        cls,
        node: Node | None,
        slot: int,
        values: Array,
        at: Array,
        factors: Array,
        factor_at: Array | None = None,
    ) -> "Terms":
        """The terms of one input: `values` at the places `at`, times `factors` at `factor_at`, by default the same."""
        some, by = _at(values, at), _at(factors, at if factor_at is None else factor_at)
        with np.errstate(all="ignore"):
            products = some * by
        sizes = np.where(np.isfinite(products), np.abs(products), np.inf)
        kept, left = np.arange(len(some)), np.arange(0)
        if len(some) > _LISTED:
            order = np.argpartition(-sizes, _LISTED)
            kept, left = np.sort(order[:_LISTED]), order[_LISTED:]
        indices = _indices(at[kept])
        pairs = [None] * len(kept) if factor_at is None else _indices(factor_at[kept])
        rows = zip(indices, some[kept].tolist(), by[kept].tolist(), pairs, strict=True)
        listed = tuple(Term(node, slot, i, float(a), float(b), pair) for i, a, b, pair in rows)
        with np.errstate(all="ignore"):
            return cls(listed, len(left), float(products[left].sum()), float(sizes[left].sum()))


def forward_terms(node: Node, index: Index) -> Terms:
    """The input elements that `node[index]` depends on, each with its slope ∂y/∂x."""
    if node.rule is None:
        return Terms()
    if node.op in PRODUCTS:
        return _product_terms(node, index)
    return sum((_slope_terms(node, slot, index) for slot in range(len(node.inputs))), Terms())


def _slope_terms(node: Node, slot: int, index: Index) -> Terms:
    slopes = _vjp(node, slot, _one_hot(node.data, index), node.operands)
    if slopes is None:
        return Terms()
    return Terms.of(
        node.inputs[slot], slot, np.asarray(node.operands[slot]), _nonzero(slopes), slopes
    )


def _product_terms(node: Node, index: Index) -> Terms:
    """The pairs that a matrix product sums: where each input counts is seen with ones in place of the other."""
    ones = tuple(np.ones(np.shape(a)) for a in node.operands)
    g = _one_hot(node.data, index)
    places: list[Array] = []
    for slot in (0, 1):
        places.append(_nonzero(_vjp(node, slot, g, ones)))
    left, right = (np.asarray(a) for a in node.operands)
    return Terms.of(node.inputs[0], 0, left, places[0], right, places[1])


def backward_terms(of: Node, slot: int, cotangent: Array, index: Index) -> Terms:
    """The elements of ∂L/∂of that the term for input `slot` has at `index`, each with its slope."""
    slopes = _linear_in(of, slot, cotangent, of.operands, index, None)
    if slopes is None:
        return Terms()
    if of.op not in PRODUCTS:
        return Terms.of(of, slot, cotangent, _nonzero(slopes), slopes)
    ones = np.ones(cotangent.shape), tuple(np.ones(np.shape(a)) for a in of.operands)
    where = [_linear_in(of, slot, *ones, index, other) for other in (None, 1 - slot)]
    at, factor_at = (_nonzero(support) for support in where if support is not None)
    return Terms.of(of, slot, cotangent, at, np.asarray(of.operands[1 - slot]), factor_at)


def _linear_in(
    of: Node, slot: int, cotangent: Array, operands: Sequence[Any], index: Index, other: int | None
) -> Array | None:
    """How element `index` of a VJP changes with each element of the cotangent, or of operand `other`."""
    with switched(observers=(), recording=True), _again(of):
        variables = [
            Tensor(x, requires_grad=True) if i == other else x for i, x in enumerate(operands)
        ]
        g = Tensor(cotangent.astype(np.float64), requires_grad=other is None)
        term = _vjp(of, slot, g, variables)
        if not isinstance(term, Tensor):
            return None
        seed = _one_hot(term, index)
        return grad(term, g if other is None else variables[other], seed).data


def vjp_term(of: Node, slot: int, cotangent: Array) -> Array:
    """The term that `of` hands to its input `slot`, computed again as the engine does."""
    assert of.rule is not None
    with _again(of):
        term = of.rule.vjp(slot, cotangent, of.data, of.operands, of.options)
    assert term is not None
    return term


def _vjp(node: Node, slot: int, g: Any, operands: Sequence[Any]) -> Any:
    """A VJP in float64, whatever the dtype of the input: slopes of integers are no integers."""
    if node.rule is None or not node.rule.differentiable(slot):
        return None
    precise = list(operands)
    if not isinstance(precise[slot], Tensor):
        precise[slot] = np.asarray(precise[slot], dtype=np.float64)
    with _again(node):
        return node.rule.vjp(slot, g, node.data, precise, node.options)


@contextmanager
def _again(node: Node) -> Generator[None, None, None]:
    """Run a rule on recorded numbers: quietly, and if it fails, it is the recording or the rule that is wrong."""
    try:
        with np.errstate(all="ignore"):
            yield
    except TinygradError:
        raise
    except (
        ValueError,
        TypeError,
        IndexError,
        KeyError,
        AttributeError,
        ArithmeticError,
        MemoryError,
    ) as error:
        raise TraceError(f"{node.op} cannot be run again on what was recorded: {error}") from error


def _one_hot(like: Array | Tensor, index: Index) -> Array:
    hot = np.zeros(like.shape)
    hot[index] = 1.0
    return hot


def _nonzero(array: Array) -> Array:
    """The places of what is not zero, one a row."""
    return np.argwhere(array != 0)


def _at(array: Array, places: Array) -> Array:
    return array[tuple(places.T)] if array.ndim else np.repeat(array, len(places))


def _indices(places: Array) -> list[Index]:
    return [tuple(place) for place in places.tolist()]
