"""A plan: a program as a flat list of NumPy calls, every one with the arrays that it reads and writes.

Memory is planned in two steps. First every value gets a piece of its own, which nobody touches;
then, when it is known from which call to which each piece is needed, the pieces move together into
one arena, and what is never needed at the same time shares a place. Large sources and results have
no part in it: these are the caller's arrays, and the calls are bound to them.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from itertools import starmap
from math import inf
from operator import call, length_hint
from typing import Any

import numpy as np

from ..autograd.tensor import Array
from ..errors import OpError
from . import blas, kernels
from .memory import Arena, Blank, Piece, Place, Places, Port, share, with_fewest_axes, worth_binding
from .program import EFFECTS, PLACEABLE, Value, count_of, numpy_index, uses_of

_SHORT = (
    128  # terms: so many NumPy sums as plainly as BLAS; more of them in pairs, which is more exact
)
_ELEMENTWISE = frozenset({*kernels.NAMED_OUT.values(), kernels.cast, np.copyto})
_UNBOUND = np.empty(0)  # stands for the caller's arrays, until there is a call


class Plan:
    """What is run at each call.

    Args:
        planner: the calls, and all memory that they need.
        position: where among the arrays of a call those of each source are.
    """

    def __init__(self, planner: "_Planner", position: Callable[[Value], int]) -> None:
        self.values, self.results, self.in_place = planner.values, planner.results, planner.in_place
        pieces, find = planner.all_pieces(), planner.places.of
        ports = _ports(planner)
        self.nbytes = share([piece for piece in pieces if piece.shared])  # of the arena
        arena = Arena(self.nbytes)
        self.calls: list[tuple[Any, ...]] = []  # functions with their arguments
        self._functions: dict[
            int, Callable[..., Any]
        ] = {}  # of the calls that are bound, by number
        self._arguments: dict[int, list[Any]] = {}
        self._make_calls(planner.calls, ports, arena)
        self._reads: list[
            tuple[int, Port]
        ] = []  # sources that are read where they lie, by position
        self._loads: list[tuple[int, Array]] = []  # and those that are copied
        for source in planner.sources:
            if (port := ports.get(id(planner.pieces[source.id]))) is not None:
                self._reads.append((position(source), port))
            else:
                self._loads.append((position(source), arena.array(find(planner.arrays[source.id]))))
        self._results: list[
            tuple[Port | None, Any]
        ] = []  # given away, in this shape; else this array is copied
        for x in planner.results:
            port = ports.get(id(planner.pieces[x.id]))
            self._results.append(
                (port, x.shape if port else arena.array(find(planner.arrays[x.id])))
            )
        self._copied = [i for i, (port, _) in enumerate(self._results) if port is None]
        for piece in pieces:
            del piece.whole

    def _make_calls(self, planned: deque[Any], ports: dict[int, Port], arena: Arena) -> None:
        """The calls, with arrays in their places; each goes when it is made: together they are as large as the plan."""
        bound = {number for port in ports.values() for number, *_ in port.uses}
        array_at = lambda place: _UNBOUND if id(place.piece) in ports else arena.array(place)
        while planned:
            function, given = planned.popleft()
            arguments = [array_at(x) if isinstance(x, Place) else x for x in given]
            if (number := len(self.calls)) in bound:
                self._functions[number], self._arguments[number] = function, arguments
            self.calls.append(kernels.quickest(function, arguments))

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The results for the arrays of a call, in arrays that nobody else has."""
        bind = self._bind
        for position, port in self._reads:
            if (array := arrays[position]) is not port.bound:
                port.read(array, bind)
        results = [what if port is None else port.fresh(what, bind) for port, what in self._results]
        for position, array in self._loads:
            array[...] = arrays[position]
        self._call_all()
        for i in self._copied:
            results[i] = results[i].copy()
        return results

    @np.errstate(all="ignore")  # as a decorator it takes half as long
    def _call_all(self) -> None:
        calls = iter(self.calls)
        try:
            deque(starmap(call, calls), 0)  # sooner from one to the next than a loop
        except OpError:
            raise
        except (ValueError, TypeError, IndexError, OverflowError) as reason:
            function = self.calls[-1 - length_hint(calls)][0]
            raise OpError(f"compile: {getattr(function, '__name__', function)}: {reason}") from None

    def _bind(self, number: int, position: int, argument: Array) -> None:
        given = self._arguments[number]
        given[position] = argument
        self.calls[number] = kernels.quickest(self._functions[number], given)


def plan(
    values: Sequence[Value], results: Sequence[Value], position: Callable[[Value], int]
) -> Plan:
    """Plan a program: `values` in an order in which they can be computed, nothing needless among them."""
    return Plan(_Planner(values, results), position)


def _ports(planner: "_Planner") -> dict[int, Port]:
    """Pieces that are the caller's, by id: those that are bound more quickly than they are copied."""
    returned = {id(planner.pieces[x.id]) for x in planner.results}
    sources = [planner.pieces[x.id] for x in planner.sources]
    outer = [*(piece for piece in sources if id(piece) not in returned), *planner.given_away()]
    uses: dict[int, list[tuple[int, int, Place]]] = {id(piece): [] for piece in outer}
    for number, (_, given) in enumerate(planner.calls):
        for position, place in enumerate(given):
            if isinstance(place, Place) and id(place.piece) in uses:
                uses[id(place.piece)].append((number, position, place))
    ports = {
        id(piece): Port(piece, uses[id(piece)])
        for piece in outer
        if worth_binding(piece, len(uses[id(piece)]))
    }
    for port in ports.values():
        port.piece.shared = False
    return ports


def _as_flat(function: Callable[..., Any], given: Sequence[Any]) -> Sequence[Any]:
    """The arguments of a call; where NumPy runs over the elements, over as few axes as possible."""
    if isinstance(function, np.ufunc) and function.signature is None:
        return with_fewest_axes(given)
    if function in _ELEMENTWISE and isinstance(given[1], Place):
        first = function in (np.copyto, kernels.cast)  # these write to their first argument
        order = [i for i, x in enumerate(given) if isinstance(x, Place)]
        order = [*order[1:], order[0]] if first else order
        made = list(given)
        for i, place in zip(order, with_fewest_axes([given[i] for i in order]), strict=True):
            made[i] = place
        return made
    return given


def needed(results: Sequence[Value], values: Sequence[Value]) -> list[Value]:
    """The values that results, and what must happen anyway, are made from."""
    wanted = bytearray(count_of(values))
    for value in results:
        wanted[value.id] = True
    for value in reversed(values):
        if wanted[value.id] or value.kind in EFFECTS:
            wanted[value.id] = True
            for x in value.inputs:
                wanted[x.id] = True
    return [value for value in values if wanted[value.id]]


class _Planner:
    def __init__(self, values: Sequence[Value], results: Sequence[Value]) -> None:
        self.values, self.results = values, results
        self.uses = uses_of(values, results)  # that are to come
        self.products = Counter(value.inputs[1] for value in values if value.kind == "matmul")
        self.homes = _homes(values)
        self.blank = Blank(max((value.nbytes for value in values), default=0))
        self.arrays: list[Any] = [None] * len(self.uses)  # by id, until the last use
        self.pieces: list[Any] = [None] * len(self.uses)  # by id
        self.places = Places()
        self.made: list[Piece] = []  # of values
        self.more: dict[Any, tuple[Array, Piece]] = {}  # what no value stands for, by what it is
        self.lent: list[Piece] = []  # of those: what the value that is planned works with
        self.calls: deque[tuple[Callable[..., Any], Sequence[Any]]] = deque()
        self.sources: list[Value] = []
        self.in_place = 0
        for value in values:
            getattr(self, f"_do_{value.kind}")(value)
            self._release(value)
        for result in results:
            self.pieces[result.id].last = len(self.calls)

    def all_pieces(self) -> list[Piece]:
        """Every piece once."""
        return [*self.made, *(piece for _, piece in self.more.values())]

    def given_away(self) -> list[Piece]:
        """The pieces that are results as a whole, each of one alone."""
        found = [(self.pieces[x.id], self.arrays[x.id]) for x in self.results]
        counts = Counter(id(piece) for piece, _ in found)
        computed = [
            (piece, array) for piece, array in found if piece.shared and counts[id(piece)] == 1
        ]
        return [
            p
            for p, array in computed
            if array.flags.c_contiguous and array.nbytes == p.whole.nbytes
        ]

    # Memory

    def _release(self, value: Value) -> None:
        """Its inputs have been read once more; a view only stands for the reads that are to come."""
        for x in value.inputs:
            piece = self.pieces[x.id]
            piece.pending -= 1
            piece.last = len(self.calls)
            self.uses[x.id] -= 1
            if not self.uses[x.id]:
                self.arrays[x.id] = None
        while self.lent:
            self.lent.pop().last = len(self.calls)

    def _place(self, value: Value, shared: bool = True) -> Array:
        """Memory for a value: part of the whole it will be laid into, or its own."""
        if (home := self.homes[value.id]) is None:
            array = (self.blank.array if shared else np.empty)(value.shape, value.dtype)
            return self._own(value, array, shared)
        whole, index = home
        if self.arrays[whole.id] is None:
            self._place(whole)
            self.pieces[whole.id].pending += 1  # until it is complete
        return self._put(value, self.arrays[whole.id][numpy_index(index)], self.pieces[whole.id])

    def _own(self, value: Value, array: Array, shared: bool) -> Array:
        """A piece for a value."""
        piece = self._piece(array, shared)
        self.made.append(piece)
        return self._put(value, array, piece)

    def _piece(self, array: Array, shared: bool = True) -> Piece:
        now = len(self.calls)
        piece = Piece(array, now, now, shared=shared)
        self.places.add(piece)
        return piece

    def _put(self, value: Value, array: Array, piece: Piece) -> Array:
        self.arrays[value.id], self.pieces[value.id] = array, piece
        piece.pending += self.uses[value.id]
        return array

    def _output(self, value: Value) -> Array:
        """Where an elementwise call writes: over an operand that nobody needs any more, if there is one."""
        if self.homes[value.id] is None:
            for x, reads in Counter(value.inputs).items():
                piece, array = self.pieces[x.id], self.arrays[x.id]
                alike = x.shape == value.shape and x.dtype == value.dtype and array is piece.whole
                if alike and piece.shared and piece.pending == reads:
                    self.in_place += 1
                    return self._put(value, array, piece)
        return self._place(value)

    def _emit(self, function: Callable[..., Any], *arguments: Any) -> None:
        places = [self.places.of(x) if isinstance(x, np.ndarray) else x for x in arguments]
        self.calls.append((function, tuple(_as_flat(function, places))))

    def _read(self, *values: Value) -> list[Array]:
        return [self.arrays[x.id] for x in values]

    # Kinds

    def _do_source(self, value: Value) -> None:
        self.sources.append(value)
        self.uses[value.id] += 1  # before the calls, when it is read
        self._place(value, shared=False)

    def _do_constant(self, value: Value) -> None:
        self._own(value, np.array(value.array()), shared=False)

    def _do_ufunc(self, value: Value) -> None:
        arrays = self._read(*value.inputs)
        function: Callable[..., Any] = kernels.NAMED_OUT.get(value.detail) or value.detail
        self._emit(function, *arrays, self._output(value))

    def _do_cast(self, value: Value) -> None:
        (x,) = self._read(*value.inputs)
        self._emit(kernels.cast, self._place(value), x)

    def _do_where(self, value: Value) -> None:
        condition, a, b = self._read(*value.inputs)
        out = self._place(value)
        self._emit(np.copyto, out, b)
        self._emit(np.copyto, out, a, "same_kind", condition)

    def _do_matmul(self, value: Value) -> None:
        first, second = value.inputs
        a = self._for_blas(first)
        b = self._for_blas(second, blas.reads_that_pay(value, self.arrays[second.id]))
        a, b, out = blas.as_matrices(a, b, self._place(value))
        self._emit(np.dot if blas.is_for_dot(a, b, out) else np.matmul, a, b, out)

    def _for_blas(self, x: Value, reads: float = inf) -> Array:
        """Where it lies, if BLAS can read it there; else, or if so many products read it that this pays, a copy."""
        array = self.arrays[x.id]
        if array.ndim == 0 or (blas.is_readable(array) and self.products[x] < reads):
            return array
        return self._lend(
            ("for BLAS", x), array.shape, array.dtype, lambda out: self._emit(np.copyto, out, array)
        )

    def _lend(
        self,
        what: Any,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        make: "Callable[[Array], None] | None" = None,
    ) -> Array:
        """What no value stands for: made at its first use, and there until the last; without `make` just room."""
        if what not in self.more:
            array = self.blank.array(shape, dtype)
            self.more[what] = array, self._piece(array)
            if make is not None:
                make(array)
        array, piece = self.more[what]
        self.lent.append(piece)
        return array

    def _beginnings(self, count: int, length: int) -> Array:
        """Where each row of a matrix begins, counted in elements."""
        return self._always("rows", np.arange(count) * length)

    def _ones(self, count: int, dtype: np.dtype[Any]) -> Array:
        return self._always(("ones", dtype), np.ones(count, dtype))

    def _always(self, what: Any, array: Array) -> Array:
        """What is the same at every call; once, however often it is needed."""
        key = what, array.tobytes()
        if key not in self.more:
            self.more[key] = array, self._piece(array, shared=False)
        return self.more[key][0]

    def _do_reduce(self, value: Value) -> None:
        (x,), (function, axes) = self._read(*value.inputs), value.detail
        out = self._place(value)
        flat = _in_two_axes(x, axes, out)
        if flat is not None:
            x, axes, out = flat
        if function is np.add and _is_product_with_ones(x, axes, out):
            self._emit(np.dot, x, self._ones(x.shape[-1], x.dtype), out)
        elif (
            function is np.maximum
            and x.ndim == 2
            and list(axes) == [1]
            and flat is not None
            and x.dtype == out.dtype
        ):
            index = self._lend(("largest", value), out.shape, np.dtype(np.intp))
            self._emit(kernels.largest_of_rows, x, self._beginnings(*x.shape), index, out)
        else:
            self._emit(function.reduce, x, axes if len(axes) > 1 else axes[0], value.dtype, out)

    def _do_take(self, value: Value) -> None:
        table, index = self._read(*value.inputs)
        out = self._place(value)
        if out.flags.c_contiguous:
            self._emit(np.take, table, index, 0, out, "clip")
        else:
            self._emit(kernels.copy_rows, table, index, out)

    def _do_pick(self, value: Value) -> None:
        x, index = value.inputs
        flat, places = self._flat(x), self._elements(x, index)
        self._emit(np.take, flat, places, None, self._place(value).reshape(-1), "clip")

    def _do_less_one(self, value: Value) -> None:
        x, index = value.inputs
        places, before, out = self._elements(x, index), self.arrays[x.id], self._output(value)
        if out is not before:
            self._emit(np.copyto, out, before)
        flat = out.reshape(-1)
        picked = self._lend(("picked", value), places.shape, value.dtype)
        self._emit(np.take, flat, places, None, picked, "clip")
        self._emit(np.subtract, picked, self._ones(places.size, value.dtype), picked)
        self._emit(kernels.put, flat, places, picked)

    def _elements(self, x: Value, index: Value) -> Array:
        """Where in x, counted in one go, the element is that the index picks of each row."""
        rows = self._beginnings(index.size, x.shape[-1])
        flat = self._flat(index)

        def make(out: Array) -> None:
            if np.result_type(flat, rows) == rows.dtype:
                self._emit(np.add, flat, rows, out)
            else:
                self._emit(kernels.cast, out, flat)
                self._emit(np.add, out, rows, out)

        return self._lend(("places", index, x.shape[-1]), rows.shape, rows.dtype, make)

    def _flat(self, x: Value) -> Array:
        """All elements in a row: a copy where they do not lie so."""
        array = self.arrays[x.id]
        if array.flags.c_contiguous:
            return array.reshape(-1)
        copied = self._lend(
            ("flat", x), array.shape, array.dtype, lambda out: self._emit(np.copyto, out, array)
        )
        return copied.reshape(-1)

    def _do_view(self, value: Value) -> None:
        (x,), piece = self._read(*value.inputs), self.pieces[value.inputs[0].id]
        view = _seen(x, *value.detail)
        if np.may_share_memory(view, x) or not view.size:
            self._put(value, view, piece)
        else:
            out = self._place(value)
            self._emit(np.copyto, out.reshape(x.shape), x)

    def _do_assemble(self, value: Value) -> None:
        indices, covered = value.detail
        begun = self.arrays[value.id] is not None
        out = self.arrays[value.id] if begun else self._place(value)
        if not covered:
            self._emit(np.copyto, out, 0)
        for part, index in zip(value.inputs, indices, strict=True):
            if self.homes[part.id] != (value, index):
                place = out[numpy_index(index)]
                self._emit(np.copyto, place, self.arrays[part.id].reshape(place.shape))
        if begun:
            self.pieces[value.id].pending -= 1

    def _do_check(self, value: Value) -> None:
        index = self._flat(value.inputs[0])
        unsigned = index.view(index.dtype.str.replace("i", "u"))
        self._emit(kernels.check, index, unsigned, *value.detail)
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


def _homes(values: Sequence[Value]) -> list[tuple[Value, Any] | None]:
    """By id, where each value is laid into a whole, if it is: there it is computed at once, and need not be copied."""
    homes: list[tuple[Value, Any] | None] = [None] * count_of(values)
    for whole in values:
        if whole.kind == "assemble" and whole.detail[1]:
            for part, index in zip(whole.inputs, whole.detail[0], strict=True):
                if part.kind in PLACEABLE and part.dtype == whole.dtype and homes[part.id] is None:
                    homes[part.id] = (whole, index)
    return homes


def _seen(x: Array, how: str, what: Any) -> Array:
    if how == "index":
        return x[numpy_index(what)]
    return {"reshape": np.reshape, "transpose": np.transpose, "broadcast": np.broadcast_to}[how](
        x, what
    )


def _is_product_with_ones(x: Array, axes: Sequence[int], out: Array) -> bool:
    """Whether BLAS may sum: the last axis of few elements, as exactly as NumPy does, and starting sooner."""
    alike = (
        x.dtype == out.dtype
        and x.dtype.char in "fd"
        and x.flags.c_contiguous
        and out.flags.c_contiguous
    )
    return alike and 0 < x.shape[-1] <= _SHORT and x.ndim <= 2 and list(axes) == [x.ndim - 1]


def _in_two_axes(
    x: Array, axes: Sequence[int], out: Array
) -> tuple[Array, Sequence[int], Array] | None:
    """A reduction over the first or the last axes as one over a matrix, or over all as one over a row."""
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
