"""What one element was made of: the numbers behind a number, found by the op's own VJP.

So no op needs a table. An output element's dependence on its inputs is the VJP of a cotangent that
is 1 there and 0 elsewhere. What a VJP itself made of each cotangent element is the gradient of the
VJP, which is written so that Tensors pass through it.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from ...autograd.backward import grad
from ...autograd.switches import quietly, switched
from ...autograd.tensor import Array, Tensor
from ...errors import TinygradError, TraceError, said
from ..recording.graph import Node
from .notation import Index

_LISTED = 512  # terms of one input


@dataclass(frozen=True, slots=True)
class Term:
    """One number that an element was made of: `value` of `node` at `index`, times `factor`.

    In a product of matrices the factor is element `factor_index` of the other operand.
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
    """The terms of one element; of very many the largest alone, and what the others come to."""

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


@dataclass(frozen=True, slots=True)
class _Elements:
    """Some elements of an array: `places` has one index a row."""

    array: Array
    places: Array

    @classmethod
    def nonzero(cls, array: Array, support: Array) -> "_Elements":
        """Those where `support` is not zero."""
        return cls(array, np.argwhere(support != 0))

    @property
    def values(self) -> Array:
        if not self.array.ndim:
            return np.repeat(self.array, len(self.places))
        return self.array[tuple(self.places.T)]

    def indices(self, chosen: Array) -> list[Index]:
        return [tuple(place) for place in self.places[chosen].tolist()]


@quietly
def _terms(
    node: Node | None, slot: int, values: _Elements, factors: _Elements, is_product: bool
) -> Terms:
    """One term for each pair of a value and a factor."""
    some, by = values.values, factors.values
    products = some * by
    sizes = np.where(np.isfinite(products), np.abs(products), np.inf)
    kept, left = np.arange(len(some)), np.arange(0)
    if len(some) > _LISTED:
        order = np.argpartition(-sizes, _LISTED)
        kept, left = np.sort(order[:_LISTED]), order[_LISTED:]
    at, numbers, slopes = values.indices(kept), some[kept].tolist(), by[kept].tolist()
    factor_at = factors.indices(kept) if is_product else [None] * len(kept)
    listed = tuple(
        Term(node, slot, index, float(a), float(b), factor_index)
        for index, a, b, factor_index in zip(at, numbers, slopes, factor_at, strict=True)
    )
    rest, weight = float(products[left].sum()), float(sizes[left].sum())
    return Terms(listed, len(left), rest, weight)


def forward_terms(node: Node, index: Index) -> Terms:
    """The input elements that `node[index]` depends on, each with its slope ∂y/∂x."""
    if node.rule is None:
        return Terms()
    if node.kind == "product":
        return _product_terms(node, index)
    return sum((_slope_terms(node, slot, index) for slot in range(len(node.inputs))), Terms())


def _slope_terms(node: Node, slot: int, index: Index) -> Terms:
    slopes = _vjp(node, slot, _one_hot(node.data, index), node.operands)
    if slopes is None:
        return Terms()
    values = _Elements.nonzero(np.asarray(node.operands[slot]), slopes)
    return _terms(node.inputs[slot], slot, values, _Elements(slopes, values.places), False)


def _product_terms(node: Node, index: Index) -> Terms:
    """The pairs that a matrix product sums.

    Where an input counts is seen with ones in place of the other.
    """
    ones = [np.ones(np.shape(operand)) for operand in node.operands]
    g = _one_hot(node.data, index)
    left, right = (
        _Elements.nonzero(np.asarray(operand), _vjp(node, slot, g, ones))
        for slot, operand in enumerate(node.operands)
    )
    return _terms(node.inputs[0], 0, left, right, True)


def backward_terms(of: Node, slot: int, cotangent: Array, index: Index) -> Terms:
    """The elements of ∂L/∂of that the term for input `slot` has at `index`, with their slopes."""
    slopes = _linear_in(of, slot, cotangent, of.operands, index)
    if slopes is None:
        return Terms()
    if of.kind != "product":
        values = _Elements.nonzero(cotangent, slopes)
        return _terms(of, slot, values, _Elements(slopes, values.places), False)
    # with ones in place of all numbers it is seen which of them meet
    g, ones = np.ones(cotangent.shape), [np.ones(np.shape(operand)) for operand in of.operands]
    other = 1 - slot
    counted, met = _linear_in(of, slot, g, ones, index), _linear_in(of, slot, g, ones, index, other)
    assert counted is not None
    assert met is not None
    factors = _Elements.nonzero(np.asarray(of.operands[other]), met)
    return _terms(of, slot, _Elements.nonzero(cotangent, counted), factors, True)


def _linear_in(
    of: Node,
    slot: int,
    cotangent: Array,
    operands: Sequence[Any],
    index: Index,
    other: int | None = None,
) -> Array | None:
    """How element `index` of a VJP changes with the cotangent, or with operand `other`."""
    with switched(observers=(), recording=True), _again(of):
        g = Tensor(cotangent.astype(np.float64), requires_grad=other is None)
        given, variable = list(operands), g
        if other is not None:
            given[other] = variable = Tensor(operands[other], requires_grad=True)
        term = _vjp(of, slot, g, given)
        if not isinstance(term, Tensor):
            return None
        return grad(term, variable, _one_hot(term, index)).data


@quietly
def vjp_term(of: Node, slot: int, cotangent: Array) -> Array:
    """The term that `of` hands to its input `slot`, computed again as the engine does."""
    return loud_vjp_term(of, slot, cotangent)


def loud_vjp_term(of: Node, slot: int, cotangent: Array) -> Array:
    """The same for those who compute many, and keep NumPy's warnings off themselves."""
    assert of.rule is not None
    try:
        term = of.rule.vjp(slot, cotangent, of.data, of.operands, of.options)
    except TinygradError:
        raise
    except _FAILURES as error:
        raise _cannot_run(of, error) from error
    assert term is not None
    made = np.asarray(term)  # of arrays without axes NumPy makes its own scalars
    made.flags.writeable = False
    return made


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
    """Run a rule on recorded numbers, quietly: a failure is the recording's or the rule's."""
    try:
        with np.errstate(), np.errstate(all="ignore"):
            yield
    except TinygradError:
        raise
    except _FAILURES as error:
        raise _cannot_run(node, error) from error


_FAILURES = (
    ValueError, TypeError, IndexError, KeyError, AttributeError, ArithmeticError, MemoryError,
)  # fmt: skip


def _cannot_run(node: Node, error: Exception) -> TraceError:
    return TraceError(f"{node.op} cannot be run again on what was recorded: {said(error)}")


def _one_hot(like: Array | Tensor, index: Index) -> Array:
    hot = np.zeros(like.shape)
    hot[index] = 1.0
    return hot
