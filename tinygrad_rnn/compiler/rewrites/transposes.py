"""Transposes move towards the results, and meet their opposites on the way.

`x @ W.T`, `W @ x` with columns, and `linear(x, W)` are one product: whatever a person writes, the
rows of x stand on the left, and a parameter on the right. What is made of transposed values is the
transpose of what is made of the values, up to a sum or a row, where the order no longer matters.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..program import Program, Value, seen, whole_of
from .patterns import ANY, Pattern, Peephole, ufunc, view


def _is_computed(x: Value) -> bool:
    """Whether it is more than a view of a source, or of what follows from parameters."""
    return not x.is_fixed and whole_of(x).kind not in ("source", "constant")


def _is_more_fixed(a: Value, b: Value) -> bool:
    """Whether a is a parameter and b is not, or a constant and b is computed."""
    return (a.is_fixed, a.is_weight) > (b.is_fixed, b.is_weight)


def _inverse(axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


def _moved(program: Program, x: Value) -> Value:
    """A matrix, transposed."""
    return program.transpose(x, (1, 0))


def _is_spread(x: Value) -> bool:
    return x.head == "broadcast"


# Products


def _parameter_on_the_right(program: Program, value: Value, a: Value, b: Value) -> Value | None:
    """W X = (Xᵀ Wᵀ)ᵀ."""
    if a.ndim != 2 or not _is_more_fixed(a, b) or not b.ndim:
        return None
    if b.ndim == 1:
        return program.matmul(b, _moved(program, a))
    swapped = (*range(b.ndim - 2), b.ndim - 1, b.ndim - 2)
    product = program.matmul(program.transpose(b, swapped), _moved(program, a))
    return program.transpose(product, swapped)


def _product_of_transposed(program: Program, value: Value, a: Value, b: Value) -> Value | None:
    """(A B)ᵀ = Bᵀ Aᵀ, unless B is a parameter, which stays on the right."""
    if value.ndim != 2 or a.ndim != 2 or _is_more_fixed(b, a):
        return None
    return program.matmul(_moved(program, b), _moved(program, a))


def _outer_of_transposed(program: Program, value: Value, a: Value, b: Value) -> Value | None:
    """(a bᵀ)ᵀ = b aᵀ, where a column is multiplied by a row elementwise."""
    n, m = value.operand.shape if value.ndim == 2 else (0, 0)
    if a.shape != (n, 1) or b.shape not in ((1, m), (m,)):
        return None
    column, row = program.reshape(b, (m, 1)), program.reshape(a, (1, n))
    return program.ufunc(np.multiply, column, row, dtype=value.dtype)


# What is made of transposed values


def _elementwise(program: Program, value: Value) -> Value | None:
    """f(Xᵀ, Yᵀ) = f(X, Y)ᵀ, where fewer are transposed afterwards."""
    axes = _order_of_most(value)
    if axes is None:
        return None
    back = _inverse(axes)
    inputs = [_in_order(program, x, back) for x in value.inputs]
    shape = [value.shape[axis] for axis in back]
    made = program.add(value.kind, inputs, value.detail, shape, value.dtype)
    return program.transpose(made, axes)


def _order_of_most(value: Value) -> tuple[int, ...] | None:
    """The order of axes in which most of the computed operands, all of one shape, are seen."""
    transposed: list[tuple[int, ...]] = []
    others = 0
    for x in value.inputs:
        if x.shape != value.shape or _is_spread(x) or not _is_computed(x):
            continue
        if x.head == "transpose":
            _, order = x.detail
            transposed.append(order)
        else:
            others += 1
    if not transposed:
        return None
    others += sum(axes != transposed[0] for axes in transposed)
    return transposed[0] if transposed.count(transposed[0]) > others else None


def _laid(program: Program, value: Value) -> Value | None:
    """[Xᵀ; Yᵀ] = [X Y]ᵀ, where all that is computed is transposed."""
    computed = [x for x in value.inputs if _is_computed(x)]
    orders = {x.detail for x in computed if x.head == "transpose"}
    indices, _ = value.detail
    is_stacked = any(isinstance(entry, int) for index in indices for entry in index)
    if is_stacked or len(orders) != 1 or any(x.head != "transpose" for x in computed):
        return None
    ((_, axes),) = orders
    back = _inverse(axes)
    parts = [program.transpose(x, back) for x in value.inputs]
    places = [tuple(index[axis] for axis in back) for index in indices]
    shape = [value.shape[axis] for axis in back]
    return program.transpose(program.assemble(parts, places, shape, value.dtype), axes)


def _in_order(program: Program, x: Value, axes: Sequence[int]) -> Value:
    """An operand with its axes in this order, so that it broadcasts as before."""
    if x.ndim == 0:
        return x
    padded = program.reshape(x, (1,) * (len(axes) - x.ndim) + x.shape)
    return program.transpose(padded, axes)


def _reduced(program: Program, value: Value, x: Value) -> Value | None:
    """Sums over axes do not mind their order."""
    _, order = value.operand.detail
    function, axes = value.detail
    kept = [axis for i, axis in enumerate(order) if i not in axes]
    if kept != sorted(kept) or not _is_computed(x):
        return None
    return program.reduce(function, x, [order[axis] for axis in axes], value.dtype)


# Views of transposed values


def _indexed(program: Program, value: Value, x: Value) -> Value | None:
    (_, order), (_, index) = value.operand.detail, value.detail
    if not _is_computed(x):
        return None
    part = program.index(x, tuple(index[i] for i in _inverse(order)))
    left = [axis for axis, entry in zip(order, index, strict=True) if not isinstance(entry, int)]
    places = sorted(left)
    return program.transpose(part, [places.index(axis) for axis in left])


def _has_one_row(x: Value) -> bool:
    return sum(n != 1 for n in x.shape) <= 1


def _row_reshaped(program: Program, value: Value, x: Value) -> Value | None:
    """A row is a column, but for its shape."""
    return program.reshape(x, value.shape) if _has_one_row(x) else None


def _reshaped_row(program: Program, value: Value, x: Value) -> Value | None:
    return program.reshape(x, value.shape) if _has_one_row(value) else None


def _spread(program: Program, value: Value, x: Value) -> Value | None:
    """What is repeated in rows is repeated in columns."""
    return program.broadcast(_in_order(program, x, value.detail[1]), value.shape)


def seen_constant(program: Program, value: Value, x: Value) -> Value | None:
    """A view of a constant is one itself."""
    return program.constant(seen(x.array(), *value.detail)) if x.kind == "constant" else None


_TRANSPOSED: Any = view("transpose", "x")

TRANSPOSES = (
    Peephole(
        "a parameter stands on the right",
        Pattern("matmul", None, ("a", "b")),
        _parameter_on_the_right,
    ),
    Peephole(
        "transposed product",
        view("transpose", Pattern("matmul", None, ("a", "b"))),
        _product_of_transposed,
    ),
    Peephole(
        "transposed outer product",
        view("transpose", ufunc(np.multiply, "a", "b")),
        _outer_of_transposed,
    ),
    Peephole("transpose of a constant", view("transpose", "x"), seen_constant, False),
    Peephole("transpose of a row", view("transpose", view("reshape", "x")), _reshaped_row, False),
    Peephole(
        "transpose of what is repeated", view("transpose", view("broadcast", "x")), _spread, False
    ),
    Peephole("row of a transpose", view("reshape", _TRANSPOSED), _row_reshaped, False),
    Peephole("part of a transpose", view("index", _TRANSPOSED), _indexed),
    Peephole("sum over a transpose", Pattern("reduce", ANY, (_TRANSPOSED,)), _reduced),
    Peephole("elementwise of transposes", ufunc(ANY), _elementwise),
    Peephole("choice of transposes", Pattern("where"), _elementwise),
    Peephole("cast of a transpose", Pattern("cast"), _elementwise),
    Peephole("transposes laid together", Pattern("assemble"), _laid),
)
