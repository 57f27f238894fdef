"""Sums: many terms of one kind are one product, or one reduction.

A weight that a loop uses T times gets its gradient as a sum of T products Aᵀ G. Their rows laid
below each other, it is one product: Σ_t A_tᵀ G_t = [A_0; A_1; …]ᵀ [G_0; G_1; …].
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..program import Program, Value, uses_of
from .packing import rows_laid
from .products import is_projection, order_of, recurrent_products
from .rewriter import Match, Rewriter, key_of

_MANY = 3  # terms; fewer are added one by one


def long_sums(values: Sequence[Value], results: Sequence[Value]) -> list[Match]:
    """The sums whose terms may go together, with these."""
    uses = uses_of(values, results)
    sums = [value for value in values if _is_sum(value)]
    inner = {x for value in sums for x in value.inputs if _is_sum(x, value) and uses[x.id] == 1}
    carried = recurrent_products(values)
    return [_sum_of_terms(value, inner, carried) for value in sums if value not in inner]


def summed_at_once(rewriter: Rewriter, match: Match) -> list[Value]:
    """The sum, with as few additions as its terms allow."""
    terms, carried = match.found
    kinds: dict[Any, list[Value]] = defaultdict(list)
    for term, is_taken in terms:
        kinds[is_taken, *_kind_of(term, term in carried)].append(rewriter[term])
    program = rewriter.program
    total: Value | None = None
    for (is_taken, kind, *facts), alike in sorted(kinds.items(), key=lambda item: item[0][0]):
        for part in _SUMMED[kind](program, alike, *facts):
            if total is None:
                total = part
            else:
                sign = np.subtract if is_taken else np.add
                total = program.ufunc(sign, total, part, dtype=total.dtype)
    assert total is not None
    return [total]


def _kind_of(term: Value, is_carried: bool) -> tuple[Any, ...]:
    """Terms of one kind go together: products however their factors were made, others alike."""
    if is_projection(term):
        return "projections", term.operand.ndim, is_carried
    if _factors(term) is not None:
        return ("products",)
    if term.kind == "sum_rows":
        return ("tables",)
    operands = tuple(x.id if x.is_fixed else key_of(x) for x in term.inputs)
    return "others", key_of(term), operands


def _is_sum(x: Value, like: Value | None = None) -> bool:
    """An addition or subtraction without broadcasting."""
    if x.detail is not np.add and x.detail is not np.subtract:
        return False
    like = like or x
    return all(part.shape == like.shape and part.dtype == like.dtype for part in (x, *x.inputs))


def _sum_of_terms(total: Value, inner: set[Value], carried: set[Value]) -> Match:
    terms: list[tuple[Value, bool]] = []  # and whether it is taken from the others
    additions: list[Value] = []
    stack = [(total, False)]
    while stack:
        x, is_taken = stack.pop()
        if x is not total and x not in inner:
            terms.append((x, is_taken))
            continue
        if x is not total:
            additions.append(x)
        a, b = x.inputs
        stack += (b, is_taken != (x.detail is np.subtract)), (a, is_taken)
    return Match((total,), (terms, carried), additions)


def _others(program: Program, terms: list[Value]) -> list[Value]:
    if len(terms) < _MANY:
        return terms
    shape, axes = terms[0].shape, _summed_axes(terms)
    if axes:  # Σ_t Σ_b g_tb is one sum, over t as well
        terms = [_unshaped(x).operand for x in terms]
    terms = sorted(terms, key=lambda x: x.id)
    whole = program.stack(terms)
    total = program.reduce(np.add, whole, (0, *(axis + 1 for axis in axes)))
    total.stands_for = len(terms)
    return [program.reshape(total, shape)]


def _summed_axes(terms: list[Value]) -> tuple[int, ...]:
    """The axes that all terms are sums over, if they are such sums of values alike."""
    sums = [_unshaped(x) for x in terms]
    if any(x.head is not np.add or x.kind != "reduce" for x in sums):
        return ()
    kinds = {(x.detail, x.operand.shape, x.operand.dtype, x.dtype) for x in sums}
    ((_, axes), _, dtype, made) = next(iter(kinds))
    return axes if len(kinds) == 1 and dtype == made else ()


def _unshaped(x: Value) -> Value:
    return x.operand if x.head == "reshape" else x


def _products(program: Program, terms: list[Value]) -> list[Value]:
    """Σ A_tᵀ G_t as one product; the rows of G_t in the order in which they were made."""
    if len(terms) < _MANY:
        return terms
    products = [factors for x in terms if (factors := _as_product(program, x))]
    if len(products) < len(terms):  # one that has become simpler
        return _others(program, terms)
    if len({row for _, row in products}) == 1:  # Σ (A_tᵀ G) = (Σ A_t)ᵀ G
        (total,) = _others(program, [column for column, _ in products])
        return [program.matmul(total, products[0][1])]
    products.sort(key=lambda factors: factors[1].id)
    left = program.concatenate([program.transpose(column, (1, 0)) for column, _ in products])
    right = program.concatenate([row for _, row in products])
    total = program.matmul(program.transpose(left, (1, 0)), right)
    total.stands_for = len(terms)
    return [total]


def _projections(program: Program, terms: list[Value], is_carried: bool) -> list[Value]:
    """Σ X_k W_k: of one parameter (Σ X_k) W, of several the product of what stands side by side.

    Side by side only in a loop, where a product for each of them would be computed at every step.
    """
    of_each: dict[Value, list[Value]] = defaultdict(list)
    for term in terms:
        if term.kind != "matmul":
            return terms
        of_each[term.inputs[1]].append(term)
    rows: dict[Value, list[Value]] = {}
    for matrix, these in of_each.items():
        rows[matrix] = _others(program, [x.operand for x in these])
    apart = len(rows) == 1 or not is_carried or any(len(these) > 1 for these in rows.values())
    if apart:
        return [program.matmul(x, matrix) for matrix, these in rows.items() for x in these]
    matrices = sorted(rows, key=order_of)
    side_by_side = program.concatenate([rows[matrix][0] for matrix in matrices], terms[0].ndim - 1)
    total = program.matmul(side_by_side, program.concatenate(matrices))
    total.stands_for = len(terms)
    return [total]


def _tables(program: Program, terms: list[Value]) -> list[Value]:
    """Rows added into several tables are added into one."""
    if any(x.kind != "sum_rows" for x in terms):
        return terms
    pairs = zip(*(x.inputs for x in terms), strict=True)
    rows, numbers = (program.concatenate(parts) for parts in pairs)
    first = terms[0]
    return [program.add("sum_rows", (rows, numbers), None, first.shape, first.dtype)]


_SUMMED: dict[str, Callable[..., list[Value]]] = {
    "others": lambda program, terms, *_: _others(program, terms),
    "products": _products,
    "tables": _tables,
    "projections": lambda program, terms, _, is_carried: _projections(program, terms, is_carried),
}


def _factors(x: Value) -> tuple[Value, Value] | None:
    """The factors of a product of matrices, or of an outer product written elementwise."""
    if x.kind == "matmul":
        a, b = x.inputs
        return (a, b) if a.ndim == b.ndim == 2 else None
    if x.kind == "ufunc" and x.detail is np.multiply and x.ndim == 2:
        a, b = x.inputs
        n, m = x.shape
        if a.shape == (n, 1) and b.shape in ((m,), (1, m)):
            return a, b
    return None


def _as_product(program: Program, x: Value) -> tuple[Value, Value] | None:
    factors = _factors(x)
    if factors is None:
        return None
    column, row = factors
    return column, program.reshape(row, (1, row.size)) if row.ndim == 1 else row


# Products of rows that lie below each other already


def products_of_rows(values: Sequence[Value], _results: Sequence[Value]) -> list[Match]:
    """Products Σ_t A_tᵀ B_t whose factors are laid together, and the parts of these by row."""
    matches: list[Match] = []
    for value in values:
        if value.kind == "matmul" and value.operand.detail == ("transpose", (1, 0)):
            transposed, b = value.inputs
            left, right = _blocks(transposed.operand), _blocks(b)
            if left and right and len(left) == len(right):
                matches.append(Match((value,), (left, right)))
    return matches


def _blocks(x: Value) -> dict[int, Value] | None:
    """The parts that matrix x is a flat view of, if each of them is as many whole rows."""
    laid = rows_laid(x.operand if x.head == "reshape" else x)
    return laid if laid and not x.shape[0] % len(laid) else None


def in_order_made(rewriter: Rewriter, match: Match) -> list[Value]:
    """The product, with rows in the order in which those of B were made: there they lie so."""
    (value,), (left, right), program = match.values, match.found, rewriter.program
    transposed, b = value.inputs
    a = transposed.operand
    order = sorted(right, key=lambda row: right[row].id)
    a_rows, b_rows = (
        program.reshape(program.stack([rewriter[blocks[row]] for row in order]), like.shape)
        for blocks, like in ((left, a), (right, b))
    )
    return [program.matmul(program.transpose(a_rows, (1, 0)), b_rows)]
