"""Sums: many terms of one kind are one product, or one reduction.

A weight that a loop uses T times gets its gradient as a sum of T products Aᵀ G. Their rows laid
below each other, it is one product: Σ_t A_tᵀ G_t = [A_0; A_1; …]ᵀ [G_0; G_1; …].
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..packing import rows_laid
from ..program import Program, Value, uses_of
from ..rewrite import Rewriter, again, key_of

_MANY = 3  # terms; fewer are added one by one


def gather_sums(
    values: Sequence[Value], results: Sequence[Value]
) -> tuple[list[Value], list[Value]]:
    """The program with long sums of terms of one kind taken together; also its results in it."""
    uses = uses_of(values, results)
    inner = {
        x
        for value in values
        if _is_sum(value)
        for x in value.inputs
        if _is_sum(x, value) and uses[x.id] == 1
    }
    rewriter = Rewriter(values)
    for value in values:
        if value in inner:
            continue
        if _is_sum(value):
            made = _sum(rewriter.program, [(x, rewriter[x]) for x in _terms(value, inner)])
        elif value.kind == "matmul":
            a, b = value.inputs
            made = rewriter.program.matmul(*_in_program_order(rewriter, a, b))
        else:
            made = again(rewriter.program, value, rewriter.inputs(value))
        rewriter[value] = made
    return rewriter.program.values, [rewriter[x] for x in results]


def _is_sum(x: Value, like: Value | None = None) -> bool:
    """An addition without broadcasting."""
    if x.detail is not np.add:
        return False
    like = like or x
    return all(part.shape == like.shape and part.dtype == like.dtype for part in (x, *x.inputs))


def _terms(total: Value, inner: set[Value]) -> list[Value]:
    terms: list[Value] = []
    stack = [total]
    while stack:
        x = stack.pop()
        if x is total or x in inner:
            stack += reversed(x.inputs)
        else:
            terms.append(x)
    return terms


def _sum(program: Program, terms: list[tuple[Value, Value]]) -> Value:
    """The sum of terms, given as (old, new)."""
    kinds: dict[Any, list[Value]] = defaultdict(list)
    for old, new in terms:
        kinds[key_of(old), tuple(x.id if x.fixed else key_of(x) for x in old.inputs)].append(new)
    parts: list[Value] = []
    for alike in kinds.values():
        parts += [_total(program, alike)] if len(alike) >= _MANY else alike
    total = parts[0]
    for part in parts[1:]:
        total = program.ufunc(np.add, total, part, dtype=total.dtype)
    return total


def _total(program: Program, terms: Sequence[Value]) -> Value:
    terms = sorted(terms, key=lambda x: x.id)
    products = [_as_product(program, x) for x in terms]
    if any(product is None for product in products):
        total = program.reduce(np.add, program.stack(terms), (0,))
        total.stands_for = len(terms)
        return total
    columns, rows = zip(*(product for product in products if product), strict=True)
    transposed = [program.transpose(column, (1, 0)) for column in columns]
    left, right = program.concatenate(transposed), program.concatenate(rows)
    total = program.matmul(program.transpose(left, (1, 0)), right)
    total.stands_for = len(terms)
    return total


def _as_product(program: Program, x: Value) -> tuple[Value, Value] | None:
    """The factors of a product of matrices; also of an outer product that was written elementwise."""
    if x.kind == "matmul" and x.inputs[0].ndim == x.inputs[1].ndim == 2:
        return x.inputs[0], x.inputs[1]
    if x.kind == "ufunc" and x.detail is np.multiply and x.ndim == 2:
        a, b = x.inputs
        n, m = x.shape
        if a.shape == (n, 1) and b.shape in ((m,), (1, m)):
            return a, program.reshape(b, (1, m))
    return None


def _in_program_order(rewriter: Rewriter, a: Value, b: Value) -> tuple[Value, Value]:
    """The factors, made anew; concatenated rows go in the order in which the program made them."""
    left = _blocks(a.inputs[0]) if a.kind == "view" and a.detail == ("transpose", (1, 0)) else None
    right = _blocks(b)
    if left is None or right is None or len(left) != len(right):
        return rewriter[a], rewriter[b]
    order = sorted(right, key=lambda row: right[row].id)
    program = rewriter.program
    rows = [
        program.reshape(program.stack([rewriter[x[row]] for row in order]), like.shape)
        for x, like in ((left, a.inputs[0]), (right, b))
    ]
    return program.transpose(rows[0], (1, 0)), rows[1]


def _blocks(x: Value) -> dict[int, Value] | None:
    """The parts that matrix x is a flat view of, if each of them is as many whole rows as the others."""
    whole = x.inputs[0] if x.kind == "view" and x.detail[0] == "reshape" else x
    laid = rows_laid(whole)
    return laid if laid and not x.shape[0] % len(laid) else None
