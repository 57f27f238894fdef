"""Products of one operand with several parameters are one product, as if these were stacked.

A person may write an LSTM with a matrix for each gate. What all gates read is read once then, and
each gate is some columns of the result.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from ..program import Value, whole_of
from .ancestry import self_dependent
from .rewriter import Match, Rewriter


def recurrent_products(values: Sequence[Value]) -> set[Value]:
    """Products with a parameter that are made from a product with the same one: in a loop."""
    by_parameter: dict[Any, list[Value]] = defaultdict(list)
    for value in values:
        if is_projection(value):
            by_parameter[value.inputs[1], value.shape].append(value)
    groups = self_dependent([group for group in by_parameter.values() if len(group) > 1], values)
    return {value for group in groups for value in group}


def products_of_one(values: Sequence[Value], _results: Sequence[Value]) -> list[Match]:
    """Products of one value with several parameters, all of them in a loop or none.

    One in a loop must not wait for one that is computed for all timesteps at once.
    """
    carried = recurrent_products(values)
    groups: dict[Any, list[Value]] = defaultdict(list)
    for value in values:
        if is_projection(value):
            group = groups[value.operand, value in carried]
            if not group or _is_there_before(value.inputs[1], group[0]):
                group.append(value)
    return [Match(group) for group in groups.values() if len(group) > 1]


def _is_there_before(matrix: Value, product: Value) -> bool:
    """Whether a parameter, or what was made of parameters, cannot follow from a product."""
    whole = whole_of(matrix)
    return whole.kind == "source" or whole.id < product.id


def stacked(rewriter: Rewriter, match: Match) -> list[Value]:
    """One product; each of its parts is some columns."""
    program = rewriter.program
    rows = rewriter[match.values[0].operand]
    matrices = {value: rewriter[value.inputs[1]] for value in match.values}
    order = sorted(match.values, key=lambda value: order_of(matrices[value]))
    turned = [program.transpose(matrices[value], (1, 0)) for value in order]
    whole = program.matmul(rows, program.transpose(program.concatenate(turned), (1, 0)))
    whole.stands_for = len(order)
    parts: dict[Value, Value] = {}
    start = 0
    for value in order:
        stop = start + value.shape[-1]
        place = (*((0, n, 1) for n in value.shape[:-1]), (start, stop, 1))
        parts[value] = program.index(whole, place)
        start = stop
    return [parts[value] for value in match.values]


def is_projection(value: Value) -> bool:
    """Whether it is the product of rows with a parameter."""
    if value.kind != "matmul":
        return False
    rows, matrix = value.inputs
    return matrix.is_weight and matrix.ndim == 2 and rows.ndim <= 2


def order_of(matrix: Value) -> tuple[int, int]:
    """Parameters stand in the order in which they were first read, wherever they are stacked."""
    return whole_of(matrix).id, matrix.id
