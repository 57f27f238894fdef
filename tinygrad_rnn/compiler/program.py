"""A program: what one step computes, as values that follow from each other.

Every value has a kind, one of a few that NumPy computes in one call, or in none. What was computed
before is found again; a simpler way to the same value is for `rewrites.peepholes` to know.

===========  ===============================  ===========================================
kind         inputs, `detail`                 value
===========  ===============================  ===========================================
source       none, what to read at each call  an argument, a leaf's data or its gradient
constant     none, dtype, shape and bytes     an array that never changes
ufunc        operands, the ufunc              elementwise, with broadcasting
where        condition, a, b                  a where the condition holds, else b
cast         x                                x as another dtype
matmul       a, b                             np.matmul
reduce       x, (ufunc, axes)                 ufunc.reduce over axes, which vanish
take         table, index                     rows of a table
view         x, (how, what)                   the same memory, seen in another way
pick         x, index                         the element of every row at the index
less_one     x, index                         x, less 1 at that element of every row
assemble     parts, (indices, covered)        disjoint parts of one array, zeros elsewhere
check        index, (what, limit)             nothing; raises unless all are in 0..limit-1
sum_rows     rows, index                      rows added into a table of zeros
call         operands, how to call it         any other op
draw         none, how to call it             random numbers, new at each call
===========  ===============================  ===========================================
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from ..autograd.tensor import Array

# Facts about kinds, each told here alone
FREE = frozenset({"source", "constant", "view", "assemble", "check"})  # compute nothing
EFFECTS = frozenset({"check", "draw"})  # must happen although nobody uses the value
ELEMENTWISE = frozenset({"ufunc", "where", "cast"})  # an operand broadcasts
PLACEABLE = ELEMENTWISE | {
    "matmul",
    "reduce",
    "take",
    "assemble",
}  # can write into part of an array

Slice = tuple[int, int | None, int]  # (start, stop, step): slices have no hash
Index = tuple["int | Slice", ...]  # one entry an axis
Key = tuple[str, "tuple[Value, ...]", Any, tuple[int, ...], np.dtype[Any]]


@dataclass(eq=False, slots=True)
class Value:
    """One array of the program.

    Args:
        id: inputs have smaller ones.
        is_fixed: it is a constant, or a parameter, or what is made of these as a parameter might
            be made: it depends on no argument and on no data from outside.
        stands_for: how many values of the recording are computed as this one; of a sum, its terms.
    """

    kind: str
    inputs: "tuple[Value, ...]"
    detail: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    id: int
    is_fixed: bool = False
    stands_for: int = 1

    @property
    def is_weight(self) -> bool:
        """Whether it is a parameter, or made of parameters."""
        return self.is_fixed and whole_of(self).kind != "constant"

    @property
    def operand(self) -> "Value":
        """Its first input: of a view, a cast, a reduction the only one."""
        return self.inputs[0]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def key(self) -> Key:
        """What makes it what it is: of two values with one key there is one."""
        return self.kind, self.inputs, self.detail, self.shape, self.dtype

    @property
    def head(self) -> Any:
        """What its kind leaves open: which ufunc, or which way of seeing."""
        if self.kind == "ufunc":
            return self.detail
        if self.kind in ("reduce", "view"):
            head, _ = self.detail
            return head
        return None

    @property
    def call_name(self) -> str:
        """The ufunc, op or kind that makes it, in a word."""
        if self.kind == "ufunc":
            return self.detail.__name__
        if self.kind in ("call", "draw"):
            return self.detail.op.name
        return self.kind

    def array(self) -> Array:
        """The array of a constant."""
        dtype, shape, data = self.detail
        return np.frombuffer(data, dtype).reshape(shape)

    def is_all(self, number: int) -> bool:
        """Whether it is a constant, and every element this number."""
        whole = whole_of(self)
        return whole.kind == "constant" and bool((whole.array() == number).all())

    def __repr__(self) -> str:
        return f"%{self.id} = {self.kind}{[x.id for x in self.inputs]} {self.shape}"


@lru_cache(1024)
def once(numbers: Any) -> Any:
    """The tuple equal to this one: of few shapes and slices there would be many copies."""
    return numbers


class _Known:
    """Finds values by their keys, and keeps no key: these would be more than the values."""

    def __init__(self) -> None:
        # By hash; where two have the same one, the later is at the next that is free.
        self._values: dict[int, Value] = {}

    def get(self, key: Key) -> Value | None:
        at = hash(key)
        while (value := self._values.get(at)) is not None and value.key != key:
            at += 1
        return value

    def put(self, value: Value) -> None:
        at = hash(value.key)
        while at in self._values:
            at += 1
        self._values[at] = value

    def clear(self) -> None:
        self._values.clear()


Simpler = Callable[["Program", Value], Value | None]  # a simpler way to a value, if one is known


def _as_it_is(_program: "Program", _value: Value) -> None:
    return None


class Program:
    """Values in an order in which each can be computed.

    Every method that makes a value finds an equal one again.

    Args:
        simpler: is asked of every value that is to be made.
    """

    def __init__(self, simpler: Simpler = _as_it_is) -> None:
        self.values: list[Value] = []
        self.simpler = simpler
        self.repeated = 0  # values that were there already
        self.rewrites: Counter[str] = Counter()  # that were applied, by name
        self._known = _Known()
        self._rows: dict[tuple[int, ...], tuple[Index, ...]] = {}  # by shape
        self._parts: dict[Value, dict[Index, Value]] = {}  # of what is laid together

    def add(
        self, kind: str, inputs: Sequence[Value], detail: Any, shape: Iterable[int], dtype: Any
    ) -> Value:
        """The value that is so made: a simpler way to it, an equal one, or a new one."""
        key = (kind, tuple(inputs), detail, once(tuple(shape)), np.dtype(dtype))
        made = Value(*key, len(self.values))
        simpler = self.simpler(self, made)
        if simpler is not None:
            return simpler
        value = self._known.get(key)
        if value is not None:
            self.repeated += kind not in FREE
            return value
        return self._new(made)

    def find(
        self, kind: str, inputs: Sequence[Value], detail: Any, shape: tuple[int, ...], dtype: Any
    ) -> Value | None:
        """The value that is so made, if there is one."""
        return self._known.get((kind, tuple(inputs), detail, shape, np.dtype(dtype)))

    def _new(self, value: Value) -> Value:
        """A value equal to none before."""
        value.is_fixed = _is_fixed(value)
        self.values.append(value)
        self._known.put(value)
        return value

    def forget(self) -> None:
        """Let go of how values follow from each other, which is larger than their arrays."""
        for value in self.values:
            value.inputs = ()
        for kept in (self.values, self._known, self._parts, self._rows):
            kept.clear()

    # What it is made of

    def constant(self, array: Any, dtype: Any = None) -> Value:
        array = np.asarray(array, dtype)
        return self.add(
            "constant", (), (array.dtype, array.shape, array.tobytes()), array.shape, array.dtype
        )

    def ufunc(self, function: np.ufunc, *inputs: Value, dtype: Any) -> Value:
        return self.add("ufunc", inputs, function, broadcast_shape(inputs), dtype)

    def where(self, condition: Value, a: Value, b: Value, dtype: Any) -> Value:
        inputs = condition, a, b
        return self.add("where", inputs, None, broadcast_shape(inputs), dtype)

    def cast(self, x: Value, dtype: Any) -> Value:
        if x.dtype == dtype:  # as most are: no value is made to be thrown away
            return x
        return self.add("cast", (x,), None, x.shape, dtype)

    def matmul(self, a: Value, b: Value) -> Value:
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        rows = a.shape[-2:-1]
        columns = b.shape[-1:] if b.ndim > 1 else ()
        dtype = np.result_type(a.dtype, b.dtype)
        return self.add("matmul", (a, b), None, (*lead, *rows, *columns), dtype)

    def reduce(self, function: np.ufunc, x: Value, axes: Sequence[int], dtype: Any = None) -> Value:
        gone = tuple(sorted(axis % x.ndim for axis in axes))
        shape = [n for axis, n in enumerate(x.shape) if axis not in gone]
        return self.add("reduce", (x,), (function, gone), shape, dtype or x.dtype)

    def take(self, table: Value, index: Value) -> Value:
        return self.add("take", (table, index), None, (*index.shape, *table.shape[1:]), table.dtype)

    # Views

    def reshape(self, x: Value, shape: Iterable[int]) -> Value:
        shape = tuple(shape)
        return self._view(x, "reshape", shape, shape)

    def transpose(self, x: Value, axes: Sequence[int]) -> Value:
        axes = tuple(int(axis) % x.ndim for axis in axes)
        return self._view(x, "transpose", axes, [x.shape[axis] for axis in axes])

    def broadcast(self, x: Value, shape: Iterable[int]) -> Value:
        shape = tuple(shape)
        return self._view(x, "broadcast", shape, shape)

    def index(self, x: Value, index: Index) -> Value:
        """Part of an array; `index` as `plain_index` gives it."""
        index = for_all_axes(index, x.shape)
        return self._view(x, "index", index, shape_at(x.shape, index))

    def _view(self, x: Value, how: str, what: Any, shape: Sequence[int]) -> Value:
        return self.add("view", (x,), (how, what), shape, x.dtype)

    # Parts and wholes

    def assemble(
        self, parts: Sequence[Value], indices: Sequence[Index], shape: Iterable[int], dtype: Any
    ) -> Value:
        """One array with each part at its index; they must not overlap."""
        shape = tuple(shape)
        indices = tuple(for_all_axes(index, shape) for index in indices)
        covered = sum(part.size for part in parts) == prod(shape)
        return self.add("assemble", parts, (indices, covered), shape, dtype)

    def part_at(self, whole: Value, index: Index) -> Value | None:
        """The part of an assembled value at an index, if one is laid right there."""
        if whole not in self._parts:
            self._parts[whole] = dict(zip(whole.detail[0], whole.inputs, strict=True))
        return self._parts[whole].get(index)

    def stack(self, parts: Sequence[Value]) -> Value:
        shape = (len(parts), *parts[0].shape)
        if shape not in self._rows:
            self._rows[shape] = tuple(for_all_axes((i,), shape) for i in range(len(parts)))
        return self.assemble(parts, self._rows[shape], shape, parts[0].dtype)

    def concatenate(self, parts: Sequence[Value], axis: int = 0) -> Value:
        first = parts[0].shape
        shape = (*first[:axis], sum(part.shape[axis] for part in parts), *first[axis + 1 :])
        if axis == 0 and all(part.shape == first for part in parts):
            return self.reshape(self.stack(parts), shape)
        indices: list[Index] = []
        start = 0
        for part in parts:
            stop = start + part.shape[axis]
            indices.append((*for_all_axes((), shape[:axis]), (start, stop, 1)))
            start = stop
        return self.assemble(parts, indices, shape, parts[0].dtype)


def _is_fixed(value: Value) -> bool:
    if value.kind == "source":
        return value.detail[0] == "leaf"
    if value.kind in ("matmul", "take"):  # of constants: these are data, in a loop as likely as not
        return all(x.is_weight for x in value.inputs)
    return value.kind != "draw" and all(x.is_fixed for x in value.inputs)


def broadcast_shape(values: Sequence[Value]) -> tuple[int, ...]:
    """The shape that these are broadcast to, which most have already."""
    shape = values[0].shape
    if all(x.shape == shape for x in values):
        return shape
    return np.broadcast_shapes(*(x.shape for x in values))


def count_of(values: Iterable[Value]) -> int:
    """How many places a list needs that has one for every value's id."""
    return max((value.id for value in values), default=-1) + 1


def uses_of(values: Sequence[Value], results: Iterable[Value] = ()) -> list[int]:
    """How often each is read, by id, or is a result."""
    uses = [0] * count_of(values)
    for value in values:
        for x in value.inputs:
            uses[x.id] += 1
    for x in results:
        uses[x.id] += 1
    return uses


def needed(results: Sequence[Value], values: Sequence[Value], effects: bool = True) -> list[Value]:
    """The values that results, and what must happen anyway, are made from."""
    wanted = bytearray(count_of(values))
    for value in results:
        wanted[value.id] = True
    for value in reversed(values):
        if wanted[value.id] or (effects and value.kind in EFFECTS):
            wanted[value.id] = True
            for x in value.inputs:
                wanted[x.id] = True
    return [value for value in values if wanted[value.id]]


def whole_of(x: Value) -> Value:
    """What a view is of."""
    while x.kind == "view":
        (x,) = x.inputs
    return x


def seen(x: Array, how: str, what: Any) -> Array:
    """An array, as a view of these details shows it."""
    if how == "index":
        return x[numpy_index(what)]
    see = {"reshape": np.reshape, "transpose": np.transpose, "broadcast": np.broadcast_to}[how]
    return see(x, what)


def plain_index(index: Any, shape: Sequence[int]) -> "tuple[Index, tuple[int, ...]] | None":
    """NumPy's basic index as one entry an axis, and the shape of the result; None: it is not basic.

    New axes are in the shape alone.
    """
    entries = list(index) if isinstance(index, tuple) else [index]
    if not all(_is_basic(entry) for entry in entries):
        return None
    used = sum(entry is not None and entry is not Ellipsis for entry in entries)
    gap = next((i for i, entry in enumerate(entries) if entry is Ellipsis), len(entries))
    entries[gap : gap + 1] = [slice(None)] * (len(shape) - used)
    plain: list[Any] = []
    lengths: list[int] = []
    for entry in entries:
        if entry is None:
            lengths.append(1)
            continue
        n = shape[len(plain)]
        if isinstance(entry, slice):
            span = range(n)[entry]
            plain.append(_as_slice(span))
            lengths.append(len(span))
        else:
            plain.append(int(entry) % n)
    return tuple(plain), tuple(lengths)


def _is_basic(entry: Any) -> bool:
    is_bool = isinstance(entry, bool | np.bool_)
    is_integer = isinstance(entry, int | np.integer) and not is_bool
    return entry is None or entry is Ellipsis or isinstance(entry, slice) or is_integer


def _as_slice(span: range) -> Slice:
    if not span:
        return (0, 0, 1)
    stop = span.stop if span.stop >= 0 else None
    return once((span.start, stop, span.step))


def for_all_axes(index: Index, shape: Sequence[int]) -> Index:
    """An index of the first axes as one of all of them."""
    if len(index) == len(shape):
        return index
    return (*index, *(once((0, n, 1)) for n in shape[len(index) :]))


def numpy_index(index: Index) -> tuple[Any, ...]:
    """A plain index as NumPy wants it; with the dots one element, too, is a view."""
    return (*(entry if isinstance(entry, int) else slice(*entry) for entry in index), ...)


def shape_at(shape: Sequence[int], index: Index) -> tuple[int, ...]:
    """The shape of the part at an index."""
    pairs = zip(shape, index, strict=True)
    return tuple(len(range(n)[slice(*entry)]) for n, entry in pairs if not isinstance(entry, int))
