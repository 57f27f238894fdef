"""Of a product in a loop only that is left there which needs the step before.

A person may write W [x, h], the product of what stands side by side. That of x, which is known
before the loop, is made for all timesteps at once: W [x, h] = W_x x + W_h h. In the backward pass
[x̄, h̄] = Wᵀ z̄, and only h̄ is handed on from step to step.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from ..program import Index, Slice, Value, uses_of
from .ancestry import above, below, bits_of
from .packing import is_stack
from .products import is_projection
from .rewriter import Match, Rewriter

_Part = tuple[int, int, Value]  # the first and last column of a value, and what stands there
_START = itemgetter(0)


class _Piece(NamedTuple):
    """Rows of a matrix, and what is multiplied by them; or columns, and what they make."""

    start: int
    stop: int
    value: Value
    is_carried: bool  # from one product with the matrix to another


def products_side_by_side(values: Sequence[Value], _results: Sequence[Value]) -> list[Match]:
    """Products of what stands side by side, a part of which no product with the matrix made."""
    laid = {x: parts for x in values if is_projection(x) and (parts := _side_by_side(x.operand))}
    return [
        Match((product,), pieces, is_told=True)
        for product, pieces in _told_apart(laid, values, above).items()
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
    taken: dict[Value, list[_Part]] = defaultdict(list)
    for value in values:
        if value.head != "index" or not is_projection(value.operand):
            continue
        columns = _columns_at(value.detail[1], value.operand.shape)
        if columns is not None:
            taken[value.operand].append((*columns, value))
    laid = {x: sorted(parts, key=_START) for x, parts in taken.items() if len(parts) == uses[x.id]}
    matches: list[Match] = []
    for product, pieces in _told_apart(laid, values, below).items():
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
    laid: Mapping[Value, Sequence[_Part]],
    values: Sequence[Value],
    on_the_way: Callable[[Sequence[int], Sequence[Value]], list[int]],
) -> dict[Value, list[_Piece]]:
    """The pieces of each product with a matrix of which some are carried, in any of its products.

    So the first step of a loop is divided as the others are.

    Args:
        laid: the parts of each product.
        values: all, in order.
        on_the_way: where to look for other products with its matrix: `above` a part, or `below`.
    """
    if not laid:
        return {}
    bits = bits_of(_with_same_matrix(laid, values), values)
    known = on_the_way(bits, values)
    carried: dict[Value, set[tuple[int, int]]] = defaultdict(set)
    for product, parts in laid.items():
        for start, stop, part in parts:
            if (known[part.id] | bits[part.id]) & bits[product.id]:
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


def _hull(pieces: Sequence[_Piece]) -> Slice:
    return (pieces[0].start, pieces[-1].stop, 1)


def _side_by_side(x: Value) -> list[_Part] | None:
    """The first and last column of each part of x, from left to right, if it is such parts."""
    if x.head == "reshape" and x.ndim == 1 and x.operand.ndim == 2 and is_stack(x.operand):
        n = x.operand.shape[1]  # vectors of one length
        return [(i * n, (i + 1) * n, part) for i, part in enumerate(x.operand.inputs)]
    if x.kind != "assemble" or not x.ndim or not x.detail[1]:
        return None
    found: list[_Part] = []
    for index, part in zip(x.detail[0], x.inputs, strict=True):
        columns = _columns_at(index, x.shape)
        if columns is None:
            return None
        found.append((*columns, part))
    return sorted(found, key=_START)


def _columns_at(index: Index, shape: Sequence[int]) -> tuple[int, int] | None:
    """The first and last column at an index, if it is of some columns beside each other."""
    *others, span = index
    every = [(0, n, 1) for n in shape[:-1]]
    if others != every or isinstance(span, int):
        return None
    start, stop, step = span
    return None if step != 1 or stop is None else (start, stop)


def _with_same_matrix(some: Iterable[Value], values: Sequence[Value]) -> list[list[Value]]:
    """All products with the matrix of some, by the matrix."""
    found: dict[Value, list[Value]] = {value.inputs[1]: [] for value in some}
    for value in values:
        if is_projection(value) and value.inputs[1] in found:
            found[value.inputs[1]].append(value)
    return list(found.values())
