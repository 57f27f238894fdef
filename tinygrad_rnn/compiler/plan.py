"""A plan: a program as a flat list of NumPy calls, every one with the arrays that it reads and writes.

Memory is planned in two steps. First every value gets memory of its own, which costs nothing as long as nobody
touches it; then, when it is known from which call to which each piece is needed, the pieces move together into one
arena, and what is never needed at the same time shares a place.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..autograd.tensor import Array
from ..errors import OpError
from .program import EFFECTS, Value, numpy_index

_ALIGNMENT = 64  # bytes: a cache line
_COMPUTED = frozenset({"ufunc", "where", "cast", "matmul", "reduce", "take", "assemble"})  # can write where it is told

Call = tuple[Callable[..., Any], tuple[Any, ...]]


@dataclass(slots=True, eq=False)
class Piece:
    """Memory for one value and all that is seen in it: `whole` as long as it lies alone, `first` to `last` call."""

    whole: Array
    first: int
    last: int
    pending: int = 0  # values that will still read it
    shared: bool = True  # with other values over time; else its content lasts from call to call
    offset: int = 0

    @property
    def nbytes(self) -> int:
        return -(-self.whole.nbytes // _ALIGNMENT) * _ALIGNMENT


@dataclass(slots=True)
class Plan:
    """What is run at each call."""

    values: Sequence[Value]

    loads: list[tuple[Value, Array]]  # sources, and where their values of the day are copied to
    calls: list[Call]
    results: list[Array]
    arena: int  # bytes
    separate: int  # bytes, had every value memory of its own
    in_place: int  # values that are written over an operand

    def run(self, read: Callable[[Value], Any]) -> list[Array]:
        """Copies of the results, for the sources that `read` gives."""
        with np.errstate(all="ignore"):
            for source, array in self.loads:
                np.copyto(array, read(source))
            for function, arguments in self.calls:
                function(*arguments)
        return [result.copy() for result in self.results]


def plan(values: Sequence[Value], results: Sequence[Value]) -> Plan:
    """Plan a program: `values` in an order in which they can be computed, nothing needless among them."""
    return _Planner(values, results).plan()


def needed(results: Sequence[Value], values: Sequence[Value]) -> list[Value]:
    """The values that results, and what must happen anyway, are made from."""
    wanted = {*results, *(value for value in values if value.kind in EFFECTS)}
    for value in reversed(values):
        if value in wanted:
            wanted.update(value.inputs)
    return [value for value in values if value in wanted]


class _Planner:
    def __init__(self, values: Sequence[Value], results: Sequence[Value]) -> None:
        self.values, self.results = values, results
        self.uses = Counter(x for value in values for x in value.inputs)
        self.uses.update(results)
        self.homes = _homes(values)
        self.arrays: dict[Value, Array] = {}
        self.pieces: dict[Value, Piece] = {}
        self.temporary: list[Piece] = []
        self.calls: list[Call] = []
        self.loads: list[tuple[Value, Array]] = []
        self.in_place = 0

    def plan(self) -> Plan:
        for value in self.values:
            getattr(self, f"_do_{value.kind}")(value)
            self._release(value)
        pieces = [*{id(piece): piece for piece in self.pieces.values()}.values(), *self.temporary]
        for result in self.results:
            self.pieces[result].last = len(self.calls)
        separate = sum(piece.nbytes for piece in pieces)
        arena = _share([piece for piece in pieces if piece.shared])
        moved = _Mover(pieces, arena)
        calls = [(function, tuple(map(moved, arguments))) for function, arguments in self.calls]
        loads = [(source, moved(array)) for source, array in self.loads]
        results = [moved(self.arrays[x]) for x in self.results]
        return Plan(self.values, loads, calls, results, arena, separate, self.in_place)

    # Memory

    def _release(self, value: Value) -> None:
        """Its inputs have been read once more; a view only stands for the reads that are to come."""
        for x in value.inputs:
            piece = self.pieces[x]
            piece.pending -= 1
            piece.last = len(self.calls)

    def _place(self, value: Value, shared: bool = True) -> Array:
        """Memory for a value: part of the whole it will be laid into, or its own."""
        if value in self.homes:
            whole, index = self.homes[value]
            if whole not in self.arrays:
                self._place(whole)
                self.pieces[whole].pending += 1  # until it is complete
            array, piece = self.arrays[whole][numpy_index(index)], self.pieces[whole]
        else:
            array = np.empty(value.shape, value.dtype)
            piece = Piece(array, len(self.calls), len(self.calls), shared=shared)
        return self._put(value, array, piece)

    def _put(self, value: Value, array: Array, piece: Piece) -> Array:
        self.arrays[value], self.pieces[value] = array, piece
        piece.pending += self.uses[value]
        return array

    def _output(self, value: Value) -> Array:
        """Where an elementwise call writes: over an operand that nobody needs any more, if there is one."""
        if value not in self.homes:
            for x, reads in Counter(value.inputs).items():
                piece, array = self.pieces[x], self.arrays[x]
                alike = x.shape == value.shape and x.dtype == value.dtype and array is piece.whole
                if alike and piece.shared and piece.pending == reads:
                    self.in_place += 1
                    return self._put(value, array, piece)
        return self._place(value)

    def _emit(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.calls.append((function, arguments))

    def _read(self, *values: Value) -> list[Array]:
        return [self.arrays[x] for x in values]

    # Kinds

    def _do_source(self, value: Value) -> None:
        self.loads.append((value, self._place(value, shared=False)))

    def _do_constant(self, value: Value) -> None:
        array = np.array(value.array())
        self._put(value, array, Piece(array, 0, 0, shared=False))

    def _do_ufunc(self, value: Value) -> None:
        arrays = self._read(*value.inputs)
        function: Callable[..., Any] = _NAMED_OUT.get(value.detail) or value.detail
        self._emit(function, *arrays, self._output(value))

    def _do_cast(self, value: Value) -> None:
        (x,) = self._read(*value.inputs)
        self._emit(_cast, self._place(value), x)

    def _do_where(self, value: Value) -> None:
        condition, a, b = self._read(*value.inputs)
        out = self._place(value)
        self._emit(np.copyto, out, b)
        self._emit(np.copyto, out, a, "same_kind", condition)

    def _do_matmul(self, value: Value) -> None:
        a, b = (self._for_blas(array) for array in self._read(*value.inputs))
        out = self._place(value)
        rows = _rows(a), _rows(out)
        if b.ndim == 2 and _is_vector(a) and _is_vector(out) and a.dtype == b.dtype == out.dtype:
            self._emit(np.dot, a.reshape(-1), b, out.reshape(-1))  # which starts sooner than matmul
        elif a.ndim > 2 and b.ndim == 2 and rows[0] is not None and rows[1] is not None:
            self._emit(np.matmul, rows[0], b, rows[1])
        else:
            self._emit(np.matmul, a, b, out)

    def _for_blas(self, array: Array) -> Array:
        """A matrix in a layout that BLAS reads: a copy, where its rows lie backwards or apart."""
        item = array.itemsize
        good = any(stride == item or n == 1 for stride, n in zip(array.strides[-2:], array.shape[-2:], strict=True))
        if array.ndim == 0 or (good and min(array.strides) >= 0):
            return array
        piece = Piece(np.empty(array.shape, array.dtype), len(self.calls), len(self.calls) + 1)
        self.temporary.append(piece)
        self._emit(np.copyto, piece.whole, array)
        return piece.whole

    def _do_reduce(self, value: Value) -> None:
        (x,), (function, axes) = self._read(*value.inputs), value.detail
        self._emit(function.reduce, x, axes if len(axes) > 1 else axes[0], value.dtype, self._place(value))

    def _do_take(self, value: Value) -> None:
        table, index = self._read(*value.inputs)
        out = self._place(value)
        if out.flags.c_contiguous:
            self._emit(np.take, table, index, 0, out, "clip")
        else:
            self._emit(_copy_rows, table, index, out)

    def _do_view(self, value: Value) -> None:
        (x,), piece = self._read(*value.inputs), self.pieces[value.inputs[0]]
        view = _seen(x, *value.detail)
        if np.may_share_memory(view, x) or not view.size:
            self._put(value, view, piece)
        else:
            out = self._place(value)
            self._emit(np.copyto, out.reshape(x.shape), x)

    def _do_assemble(self, value: Value) -> None:
        indices, covered = value.detail
        begun = value in self.arrays
        out = self.arrays[value] if begun else self._place(value)
        if not covered:
            self._emit(np.copyto, out, 0)
        for part, index in zip(value.inputs, indices, strict=True):
            if self.homes.get(part) != (value, index):
                place = out[numpy_index(index)]
                self._emit(np.copyto, place, self.arrays[part].reshape(place.shape))
        if begun:
            self.pieces[value].pending -= 1

    def _do_check(self, value: Value) -> None:
        (index,) = self._read(*value.inputs)
        self._emit(_check, index, *value.detail)
        self._place(value)

    def _do_sum_rows(self, value: Value) -> None:
        rows, index = self._read(*value.inputs)
        out = self._place(value)
        self._emit(np.copyto, out, 0)
        self._emit(np.add.at, out, index, rows)

    def _do_call(self, value: Value) -> None:
        inputs = self._read(*value.inputs)
        self._emit(value.detail, self._place(value), *inputs)

    _do_draw = _do_call


def _homes(values: Sequence[Value]) -> dict[Value, tuple[Value, Any]]:
    """For each value that is laid into a whole, where: there it is computed at once, and need not be copied."""
    homes: dict[Value, tuple[Value, Any]] = {}
    for whole in values:
        if whole.kind == "assemble" and whole.detail[1]:
            for part, index in zip(whole.inputs, whole.detail[0], strict=True):
                if part.kind in _COMPUTED and part.dtype == whole.dtype and part not in homes:
                    homes[part] = (whole, index)
    return homes


def _share(pieces: Sequence[Piece]) -> int:
    """Give each piece its offset, the largest first, where nothing lies that is needed at the same time."""
    placed: list[Piece] = []
    size = 0
    for piece in sorted(pieces, key=lambda piece: -piece.nbytes):
        rivals = sorted((p for p in placed if p.first <= piece.last and piece.first <= p.last), key=lambda p: p.offset)
        for rival in rivals:
            if piece.offset + piece.nbytes <= rival.offset:
                break
            piece.offset = max(piece.offset, rival.offset + rival.nbytes)
        placed.append(piece)
        size = max(size, piece.offset + piece.nbytes)
    return size


class _Mover:
    """Takes arrays that lie in pieces to where these lie in the arena."""

    def __init__(self, pieces: Sequence[Piece], nbytes: int) -> None:
        memory = np.empty(nbytes + _ALIGNMENT, np.uint8)
        self.arena = memory[-memory.ctypes.data % _ALIGNMENT :]
        self.pieces = {id(piece.whole): piece for piece in pieces if piece.shared}

    def __call__(self, argument: Any) -> Any:
        if not isinstance(argument, np.ndarray):
            return argument
        base = argument
        while base.base is not None:
            base = base.base
        piece = self.pieces.get(id(base))
        if piece is None:
            return argument
        offset = piece.offset + argument.ctypes.data - base.ctypes.data if argument.size else 0
        return np.ndarray(argument.shape, argument.dtype, self.arena, offset, argument.strides)


def _seen(x: Array, how: str, what: Any) -> Array:
    if how == "index":
        return x[numpy_index(what)]
    return {"reshape": np.reshape, "transpose": np.transpose, "broadcast": np.broadcast_to}[how](x, what)


def _is_vector(array: Array) -> bool:
    return array.ndim in (1, 2) and array.size == array.shape[-1] and array.flags.c_contiguous


def _rows(array: Array) -> Array | None:
    """A stack of matrices as one matrix, if that is a view."""
    rows = array.reshape(-1, array.shape[-1])
    return rows if np.may_share_memory(rows, array) else None


# Calls that are not NumPy's own


def _maximum(a: Array, b: Array, out: Array) -> None:
    np.maximum(a, b, out=out)


def _minimum(a: Array, b: Array, out: Array) -> None:
    np.minimum(a, b, out=out)


_NAMED_OUT: dict[Any, Callable[..., Any]] = {np.maximum: _maximum, np.minimum: _minimum}  # by position is deprecated


def _cast(out: Array, x: Array) -> None:
    np.copyto(out, x, casting="unsafe")


def _copy_rows(table: Array, index: Array, out: Array) -> None:
    out[...] = table[index]


def _check(index: Array, what: str, limit: int) -> None:
    if index.size and np.maximum.reduce(index.view(f"u{index.itemsize}"), None) >= limit:  # a negative one is huge
        raise OpError(f"every {what} must be in 0..{limit - 1}, got {index}")
