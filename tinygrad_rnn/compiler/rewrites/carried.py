"""Of a product in a loop only that is left there which needs the step before.

A person may write W [x, h], the product of what stands side by side. That of x, which is known
before the loop, is made for all timesteps at once: W [x, h] = W_x x + W_h h. In the backward pass
[x̄, h̄] = Wᵀ z̄, and only h̄ is handed on from step to step.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from ..program import Slice, Value, count_of, uses_of
from .packing import is_stack
from .products import is_projection
from .rewriter import Match, Rewriter


class _Piece(NamedTuple):
    """Rows of a matrix, and what is multiplied by them; or columns, and what they make."""

    start: int
    stop: int
    value: Value
    is_carried: bool  # from one product with the matrix to another


def products_side_by_side(values: Sequence[Value], _results: Sequence[Value]) -> list[Match]:
    """Products of what stands side by side, a part of which no product with the matrix made."""
    laid = {x: parts for x in values if is_projection(x) and (parts := _side_by_side(x.operand))}
    made_of = _reached(_with_same_matrix(laid, values), values, lambda value: value.inputs)
    pieces_of = _told_apart(laid, made_of)
    return [
        Match((product,), pieces, is_told=True)
        for product, pieces in pieces_of.items()
        if len({piece.is_carried for piece in pieces}) > 1
    ]


def made_of_each(rewriter: Rewriter, match: Match) -> list[Value]:
    """The sum of a product for each run of parts that are carried, or are not."""
    (product,), program = match.values, rewriter.program
    matrix = rewriter[product.inputs[1]]
    total: Value | None = None
    for pieces in _runs(match.found):
        rows = program.concatenate([rewriter[one.value] for one in pieces], product.ndim - 1)
        term = program.matmul(rows, program.index(matrix, (_hull(pieces),)))
        total = term if total is None else program.ufunc(np.add, total, term, dtype=term.dtype)
    assert total is not None
    return [total]


def columns_not_handed_on(values: Sequence[Value], results: Sequence[Value]) -> list[Match]:
    """Products in a loop of which some columns lead to no other product with the matrix."""
    uses = uses_of(values, results)
    taken: dict[Value, list[tuple[int, int, Value]]] = defaultdict(list)
    for value in values:
        columns = _columns(value)
        if columns is not None and is_projection(value.operand):
            taken[value.operand].append((*columns, value))
    laid = {x: sorted(parts, key=_start) for x, parts in taken.items() if len(parts) == uses[x.id]}
    readers = _readers(values) if laid else {}
    leads_to = _reached(
        _with_same_matrix(laid, values), values[::-1], lambda value: readers.get(value, ())
    )
    matches: list[Match] = []
    for product, pieces in _told_apart(laid, leads_to).items():
        carried = sum(one.stop - one.start for one in pieces if one.is_carried)
        if carried < product.shape[-1]:
            order = sorted((one.value for one in pieces), key=lambda value: value.id)
            matches.append(Match(order, pieces, (product,)))
    return matches


def made_apart(rewriter: Rewriter, match: Match) -> list[Value]:
    """Columns, from a product for each run of those that are carried, or are not."""
    program = rewriter.program
    rows, matrix = (rewriter[x] for x in match.inside[0].inputs)
    made: dict[Value, Value] = {}
    for pieces in _runs(match.found):
        first, stop, _ = _hull(pieces)
        product = program.matmul(
            rows, program.index(matrix, ((0, matrix.shape[0], 1), (first, stop, 1)))
        )
        every = [(0, n, 1) for n in product.shape[:-1]]
        for one in pieces:
            made[one.value] = program.index(
                product, (*every, (one.start - first, one.stop - first, 1))
            )
    return [made[value] for value in match.values]


def _told_apart(
    laid: Mapping[Value, Sequence[tuple[int, int, Value]]],
    is_carried: Callable[[Value, Value], bool],
) -> dict[Value, list[_Piece]]:
    """The pieces of each product with a matrix of which some are carried, in any of its products.

    So the first step of a loop is divided as the others are.
    """
    carried: dict[Value, set[tuple[int, int]]] = defaultdict(set)
    for product, parts in laid.items():
        for start, stop, part in parts:
            if is_carried(part, product):
                carried[product.inputs[1]].add((start, stop))
    return {
        product: [
            _Piece(start, stop, part, (start, stop) in carried[product.inputs[1]])
            for start, stop, part in parts
        ]
        for product, parts in laid.items()
        if product.inputs[1] in carried
    }


def _runs(pieces: Sequence[_Piece]) -> Iterator[list[_Piece]]:
    for _, run in groupby(pieces, key=lambda piece: piece.is_carried):
        yield list(run)


def _start(part: tuple[int, int, Value]) -> int:
    return part[0]


def _hull(pieces: Sequence[_Piece]) -> Slice:
    return (pieces[0].start, pieces[-1].stop, 1)


def _side_by_side(x: Value) -> list[tuple[int, int, Value]] | None:
    """The first and last column of each part of x, from left to right, if it is such parts."""
    if x.head == "reshape" and x.ndim == 1 and x.operand.ndim == 2 and is_stack(x.operand):
        n = x.operand.shape[1]  # vectors of one length
        return [(i * n, (i + 1) * n, part) for i, part in enumerate(x.operand.inputs)]
    if x.kind != "assemble" or not x.ndim or not x.detail[1]:
        return None
    every = tuple((0, n, 1) for n in x.shape[:-1])
    found: list[tuple[int, int, Value]] = []
    for index, part in zip(x.detail[0], x.inputs, strict=True):
        *others, span = index
        if tuple(others) != every or isinstance(span, int) or span[2] != 1:
            return None
        start, stop, _ = span
        found.append((start, x.shape[-1] if stop is None else stop, part))
    return sorted(found, key=_start)


def _columns(x: Value) -> tuple[int, int] | None:
    """The first and last column that x is of another value."""
    if x.head != "index":
        return None
    *others, span = x.detail[1]
    every = [(0, n, 1) for n in x.operand.shape[:-1]]
    if others != every or isinstance(span, int) or span[2] != 1 or span[1] is None:
        return None
    return span[0], span[1]


def _with_same_matrix(some: Iterable[Value], values: Sequence[Value]) -> list[list[Value]]:
    """All products with the matrix of some, by the matrix."""
    matrices = {value.inputs[1] for value in some}
    found: dict[Value, list[Value]] = defaultdict(list)
    for value in values if matrices else ():
        if is_projection(value) and value.inputs[1] in matrices:
            found[value.inputs[1]].append(value)
    return list(found.values())


def _readers(values: Sequence[Value]) -> dict[Value, list[Value]]:
    found: dict[Value, list[Value]] = defaultdict(list)
    for value in values:
        for x in value.inputs:
            found[x].append(value)
    return found


def _reached(
    groups: Sequence[Sequence[Value]],
    values: Sequence[Value],
    before: Callable[[Value], Iterable[Value]],
) -> Callable[[Value, Value], bool]:
    """Ask whether a way leads to a value from another member of the group of a second one.

    Args:
        groups: the members, one bit a group.
        values: each after those that come `before` it.
        before: from where a step of a way leads to a value.
    """
    bits = [0] * count_of(values)
    for i, group in enumerate(groups):
        for value in group:
            bits[value.id] = 1 << i
    above = [0] * len(bits)
    for value in values if groups else ():
        mask = 0
        for x in before(value):
            mask |= above[x.id] | bits[x.id]
        above[value.id] = mask

    def reached(value: Value, member: Value) -> bool:
        return bool((above[value.id] | bits[value.id]) & bits[member.id])

    return reached
