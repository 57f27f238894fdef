"""The planner: every value of a program as NumPy calls that read and write where things lie."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from math import inf, prod
from typing import Any

import numpy as np

from ..autograd.tensor import Array
from . import blas, kernels
from .layout import Layout
from .memory import Place, with_fewest_axes
from .program import Value, numpy_index, seen

# Terms that NumPy sums as plainly as BLAS; more of them it sums in pairs, which is more exact.
_FEW_TERMS = 128
_COPIES = frozenset({np.copyto, kernels.cast})  # write to their first argument
_RUN_OVER_ELEMENTS = _COPIES | set(kernels.NAMED_OUT.values())


class Planner:
    """Goes through a program once; a method for each kind of value plans its calls.

    Args:
        values: in an order in which they can be computed.
        results: those that are needed after the last call.
    """

    def __init__(self, values: Sequence[Value], results: Sequence[Value]) -> None:
        self.results = results
        self.layout = Layout(values, results)
        self.calls: deque[tuple[Callable[..., Any], Sequence[Any]]] = deque()
        self.sources: list[Value] = []
        self.in_place = 0  # values that are written over an operand
        self._products = Counter(value.inputs[1] for value in values if value.kind == "matmul")
        for value in values:
            getattr(self, f"_do_{value.kind}")(value)
            self.layout.release(value)
        for result in results:
            self.layout.pieces[result.id].last = len(self.calls)

    def _emit(self, function: Callable[..., Any], *arguments: Any) -> None:
        place_of = self.layout.place_of
        places = [place_of(x) if isinstance(x, np.ndarray) else x for x in arguments]
        self.calls.append((function, tuple(_as_flat(function, places))))
        self.layout.now = len(self.calls)

    def _array(self, value: Value) -> Array:
        return self.layout.arrays[value.id]

    def _read(self, value: Value) -> list[Array]:
        """The arrays of its inputs."""
        return [self.layout.arrays[x.id] for x in value.inputs]

    def _output(self, value: Value) -> Array:
        """Where an elementwise call writes: over an operand, if there is one nobody needs."""
        array = self.layout.over_operand(value)
        if array is None:
            return self.layout.place(value)
        self.in_place += 1
        return array

    # Kinds

    def _do_source(self, value: Value) -> None:
        self.sources.append(value)
        self.layout.uses[value.id] += 1  # before the calls, when it is read
        self.layout.place(value, shared=False)

    def _do_constant(self, value: Value) -> None:
        self.layout.own(value, np.array(value.array()), shared=False)

    def _do_ufunc(self, value: Value) -> None:
        arrays = self._read(value)
        function: Callable[..., Any] = kernels.NAMED_OUT.get(value.detail) or value.detail
        self._emit(function, *arrays, self._output(value))

    def _do_cast(self, value: Value) -> None:
        (x,) = self._read(value)
        self._emit(kernels.cast, self.layout.place(value), x)

    def _do_where(self, value: Value) -> None:
        condition, a, b = self._read(value)
        out = self.layout.place(value)
        self._emit(np.copyto, out, b)
        self._emit(np.copyto, out, a, "same_kind", condition)

    def _do_matmul(self, value: Value) -> None:
        first, second = value.inputs
        a = self._for_blas(first)
        b = self._for_blas(second, blas.reads_that_pay(value, self._array(second)))
        a, b, out = blas.as_matrices(a, b, self.layout.place(value))
        product = np.dot if blas.is_for_dot(a, b, out) else np.matmul
        self._emit(product, a, b, out)

    def _for_blas(self, x: Value, reads: float = inf) -> Array:
        """Where it lies, if BLAS can read it there; a copy also if so many products read it."""
        array = self._array(x)
        if array.ndim == 0 or (blas.is_readable(array) and self._products[x] < reads):
            return array
        return self._copied("for BLAS", x)

    def _do_reduce(self, value: Value) -> None:
        (x,), (function, axes) = self._read(value), value.detail
        out = self.layout.place(value)
        flat = _in_two_axes(x, axes, out)
        if flat is not None:
            x, axes, out = flat
        if function is np.add and _is_product_with_ones(x, axes, out):
            self._emit(np.dot, x, self._ones(x.shape[-1], x.dtype), out)
        elif function is np.maximum and flat is not None and _is_of_rows(x, axes, out):
            index = self.layout.lend(("largest", value), out.shape, np.dtype(np.intp))
            self._emit(kernels.largest_of_rows, x, self._beginnings(*x.shape), index, out)
        else:
            axis = axes if len(axes) > 1 else axes[0]
            self._emit(function.reduce, x, axis, value.dtype, out)

    def _do_take(self, value: Value) -> None:
        table, index = self._read(value)
        out = self.layout.place(value)
        if out.flags.c_contiguous:
            self._emit(np.take, table, index, 0, out, "clip")
        else:
            self._emit(kernels.copy_rows, table, index, out)

    def _do_pick(self, value: Value) -> None:
        x, index = value.inputs
        flat, places = self._flat(x), self._elements(x, index)
        self._emit(np.take, flat, places, None, self.layout.place(value).reshape(-1), "clip")

    def _do_less_one(self, value: Value) -> None:
        x, index = value.inputs
        places, before = self._elements(x, index), self._array(x)
        out = self._output(value)
        if out is not before:
            self._emit(np.copyto, out, before)
        flat = out.reshape(-1)
        picked = self.layout.lend(("picked", value), places.shape, value.dtype)
        self._emit(np.take, flat, places, None, picked, "clip")
        self._emit(np.subtract, picked, self._ones(places.size, value.dtype), picked)
        self._emit(kernels.put, flat, places, picked)

    def _elements(self, x: Value, index: Value) -> Array:
        """Where in x, seen flat, the element of each row is that the index picks."""
        rows = self._beginnings(index.size, x.shape[-1])
        flat = self._flat(index)

        def make(out: Array) -> None:
            if np.result_type(flat, rows) == rows.dtype:
                self._emit(np.add, flat, rows, out)
            else:
                self._emit(kernels.cast, out, flat)
                self._emit(np.add, out, rows, out)

        return self.layout.lend(("places", index, x.shape[-1]), rows.shape, rows.dtype, make)

    def _beginnings(self, count: int, length: int) -> Array:
        """Where each row of a matrix begins, counted in elements."""
        return self.layout.always("rows", np.arange(count) * length)

    def _ones(self, count: int, dtype: np.dtype[Any]) -> Array:
        return self.layout.always(("ones", dtype), np.ones(count, dtype))

    def _flat(self, x: Value) -> Array:
        """All elements in a row: a copy where they do not lie so."""
        array = self._array(x)
        if not array.flags.c_contiguous:
            array = self._copied("flat", x)
        return array.reshape(-1)

    def _copied(self, why: str, x: Value) -> Array:
        array = self._array(x)
        copy = lambda out: self._emit(np.copyto, out, array)
        return self.layout.lend((why, x), array.shape, array.dtype, copy)

    def _do_view(self, value: Value) -> None:
        (x,) = self._read(value)
        view = seen(x, *value.detail)
        if np.may_share_memory(view, x) or not view.size:
            self.layout.put(value, view, self.layout.pieces[value.operand.id])
        else:
            out = self.layout.place(value)
            self._emit(np.copyto, out.reshape(x.shape), x)

    def _do_assemble(self, value: Value) -> None:
        layout, (indices, covered) = self.layout, value.detail
        begun = layout.arrays[value.id] is not None
        if not begun:
            layout.place(value)
        out = self._array(value)
        if not covered:
            self._emit(np.copyto, out, 0)
        for part, index in zip(value.inputs, indices, strict=True):
            if layout.homes[part.id] != (value, index):
                place = out[numpy_index(index)]
                self._emit(np.copyto, place, self._array(part).reshape(place.shape))
        if begun:
            layout.pieces[value.id].pending -= 1

    def _do_check(self, value: Value) -> None:
        index = self._flat(value.operand)
        unsigned = index.view(index.dtype.str.replace("i", "u"))
        what, limit = value.detail
        # Of int8, say, -1 is seen as 255: then 128 is too large, and no index can be.
        bound = min(limit, np.iinfo(index.dtype).max + 1)
        self._emit(kernels.check, index, unsigned, bound, what, limit)
        self.layout.place(value)

    def _do_sum_rows(self, value: Value) -> None:
        rows, index = value.inputs
        terms, places = self._flat(rows), self._elements_of_rows(index, prod(value.shape[1:]))
        out = self.layout.place(value)
        self._emit(np.copyto, out, 0)
        self._emit(np.add.at, out.reshape(-1), places, terms)

    def _elements_of_rows(self, index: Value, length: int) -> Array:
        """Where in a table, seen flat, the elements of its rows at an index are."""
        if index.kind == "constant":
            places = index.array().reshape(-1, 1) * length + np.arange(length)
            return self.layout.always("elements of rows", places.flatten())
        columns = self.layout.always("columns", np.arange(length))
        width = self.layout.always("width", np.array(length))
        numbers = self._flat(index).reshape(-1, 1)

        def make(out: Array) -> None:
            out = out.reshape(-1, length)
            self._emit(np.multiply, numbers, width, out)
            self._emit(np.add, out, columns, out)

        key = ("elements of rows", index, length)
        return self.layout.lend(key, (index.size * length,), np.dtype(np.intp), make)

    def _do_call(self, value: Value) -> None:
        inputs = self._read(value)
        self._emit(value.detail, self.layout.place(value), *inputs)

    _do_draw = _do_call


def _as_flat(function: Callable[..., Any], given: Sequence[Any]) -> Sequence[Any]:
    """The arguments of a call; where it runs over elements, over as few axes as possible."""
    if isinstance(function, np.ufunc) and function.signature is None:
        return with_fewest_axes(given)
    if function not in _RUN_OVER_ELEMENTS or not isinstance(given[1], Place):
        return given
    order = [i for i, x in enumerate(given) if isinstance(x, Place)]
    if function in _COPIES:
        order = [*order[1:], order[0]]
    made = list(given)
    for i, place in zip(order, with_fewest_axes([given[i] for i in order]), strict=True):
        made[i] = place
    return made


def _is_product_with_ones(x: Array, axes: Sequence[int], out: Array) -> bool:
    """Whether BLAS may sum: few elements of the last axis, as exactly as NumPy, starting sooner."""
    alike = x.dtype == out.dtype and x.dtype.char in "fd"
    dense = x.flags.c_contiguous and out.flags.c_contiguous
    is_last = x.ndim <= 2 and list(axes) == [x.ndim - 1]
    return alike and dense and is_last and 0 < x.shape[-1] <= _FEW_TERMS


def _is_of_rows(x: Array, axes: Sequence[int], out: Array) -> bool:
    return x.ndim == 2 and list(axes) == [1] and x.dtype == out.dtype


def _in_two_axes(
    x: Array, axes: Sequence[int], out: Array
) -> tuple[Array, Sequence[int], Array] | None:
    """A reduction over the first or last axes as one of a matrix, over all as one of a row."""
    if not (x.flags.c_contiguous and out.flags.c_contiguous and x.size):
        return None
    count = len(axes)
    if list(axes) == list(range(x.ndim)):
        return x.reshape(-1), (0,), out.reshape(())
    if list(axes) == list(range(count)):
        return x.reshape(-1, out.size), (0,), out.reshape(-1)
    if list(axes) == list(range(x.ndim - count, x.ndim)):
        return x.reshape(out.size, -1), (1,), out.reshape(-1)
    return None
