"""Sums: many terms of one kind are one product, or one reduction.

A weight that a loop uses T times gets its gradient as a sum of T products Aᵀ G. Their rows laid
below each other, it is one product: Σ_t A_tᵀ G_t = [A_0; A_1; …]ᵀ [G_0; G_1; …].
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..program import Program, Value, uses_of
from .packing import rows_laid
from .rewriter import Match, Rewriter, key_of

_MANY = 3  # terms; fewer are added one by one


def long_sums(values: Sequence[Value], results: Sequence[Value]) -> list[Match]:
    """The sums whose terms may go together, with these."""
    uses = uses_of(values, results)
    sums = [value for value in values if _is_sum(value)]
    inner = {x for value in sums for x in value.inputs if _is_sum(x, value) and uses[x.id] == 1}
    return [_sum_of_terms(value, inner) for value in sums if value not in inner]


def summed_at_once(rewriter: Rewriter, match: Match) -> list[Value]:
    """The sum, with as few additions as its terms allow."""
    kinds: dict[Any, list[Value]] = defaultdict(list)
    for term in match.found:
        operands = tuple(x.id if x.is_fixed else key_of(x) for x in term.inputs)
        kinds[key_of(term), operands].append(rewriter[term])
    program = rewriter.program
    parts: list[Value] = []
    for alike in kinds.values():
        parts += [_total(program, alike)] if len(alike) >= _MANY else alike
    total = parts[0]
    for part in parts[1:]:
        total = program.ufunc(np.add, total, part, dtype=total.dtype)
    return [total]


def _is_sum(x: Value, like: Value | None = None) -> bool:
    """An addition without broadcasting."""
    if x.detail is not np.add:
        return False
    like = like or x
    return all(part.shape == like.shape and part.dtype == like.dtype for part in (x, *x.inputs))


def _sum_of_terms(total: Value, inner: set[Value]) -> Match:
    terms: list[Value] = []
    additions: list[Value] = []
    stack = [*reversed(total.inputs)]
    while stack:
        x = stack.pop()
        if x in inner:
            additions.append(x)
            stack += reversed(x.inputs)
        else:
            terms.append(x)
    return Match((total,), terms, additions)


def _total(program: Program, terms: Sequence[Value]) -> Value:
    terms = sorted(terms, key=lambda x: x.id)
    products = [product for x in terms if (product := _as_product(program, x))]
    if len(products) < len(terms):
        total = program.reduce(np.add, program.stack(terms), (0,))
    else:
        transposed = [program.transpose(column, (1, 0)) for column, _ in products]
        left = program.concatenate(transposed)
        right = program.concatenate([row for _, row in products])
        total = program.matmul(program.transpose(left, (1, 0)), right)
    total.stands_for = len(terms)
    return total


def _as_product(program: Program, x: Value) -> tuple[Value, Value] | None:
    """The factors of a product of matrices, or of an outer product written elementwise."""
    if x.kind == "matmul" and x.inputs[0].ndim == x.inputs[1].ndim == 2:
        return x.inputs[0], x.inputs[1]
    if x.kind == "ufunc" and x.detail is np.multiply and x.ndim == 2:
        a, b = x.inputs
        n, m = x.shape
        if a.shape == (n, 1) and b.shape in ((m,), (1, m)):
            return a, program.reshape(b, (1, m))
    return None


# Products of rows that lie below each other already


def products_of_rows(values: Sequence[Value], _results: Sequence[Value]) -> list[Match]:
    """Products Σ_t A_tᵀ B_t whose factors are laid together, and the parts of these by row."""
    matches: list[Match] = []
    for value in values:
        if value.kind == "matmul" and value.inputs[0].detail == ("transpose", (1, 0)):
            (transposed, b) = value.inputs
            left, right = _blocks(transposed.inputs[0]), _blocks(b)
            if left and right and len(left) == len(right):
                matches.append(Match((value,), (left, right)))
    return matches


def _blocks(x: Value) -> dict[int, Value] | None:
    """The parts that matrix x is a flat view of, if each of them is as many whole rows."""
    is_flat = x.kind == "view" and x.head == "reshape"
    laid = rows_laid(x.inputs[0] if is_flat else x)
    return laid if laid and not x.shape[0] % len(laid) else None


def in_order_made(rewriter: Rewriter, match: Match) -> list[Value]:
    """The product, with rows in the order in which those of B were made: there they lie so."""
    (value,), (left, right), program = match.values, match.found, rewriter.program
    a, b = value.inputs[0].inputs[0], value.inputs[1]
    order = sorted(right, key=lambda row: right[row].id)
    a_rows, b_rows = (
        program.reshape(program.stack([rewriter[blocks[row]] for row in order]), like.shape)
        for blocks, like in ((left, a), (right, b))
    )
    return [program.matmul(program.transpose(a_rows, (1, 0)), b_rows)]
