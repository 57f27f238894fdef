"""A program: what one step computes, as values that follow from each other in a few kinds of NumPy calls.

Building it simplifies it: what was computed before is found again, views of views are one view, and
a part that is taken out of a whole is that part.

===========  =======================================  ========================================================
kind         inputs, `detail`                         value
===========  =======================================  ========================================================
source       none, what to read at each call          an argument, a leaf's data or its gradient
constant     none, dtype, shape and bytes             an array that never changes
ufunc        operands, the ufunc                      elementwise, with broadcasting
where        condition, a, b                          a where the condition holds, else b
cast         x                                        x as another dtype
matmul       a, b                                     np.matmul
reduce       x, (ufunc, axes)                         ufunc.reduce over axes, which vanish
take         table, index                             rows of a table
view         x, (how, what)                           the same memory, seen in another way
pick         x, index                                 of every row of x, the element that the index says
less_one     x, index                                 x, where that element of every row is less by one
assemble     parts, (indices, covered)                parts laid into one array, disjoint; zeros where none is
check        index, (what, limit)                     nothing; raises unless all integers are in 0..limit-1
sum_rows     rows, index                              rows added into a table of zeros
call         operands, how to call it                 any other op
draw         none, how to call it                     random numbers, new at each call
===========  =======================================  ========================================================
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any, NoReturn

import numpy as np

from ..autograd.tensor import Array
from ..errors import CompileError
from ..tracing.recording.source import Source

Slice = tuple[int, int | None, int]
Index = tuple[
    "int | Slice", ...
]  # one entry an axis; a slice is (start, stop, step), since slices have no hash
Key = tuple[str, "tuple[Value, ...]", Any, tuple[int, ...], np.dtype[Any]]

EFFECTS = ("check", "draw")  # what must happen although nobody uses the value

FREE = ("source", "constant", "view", "assemble", "check")  # what computes nothing


@dataclass(eq=False, slots=True)
class Value:
    """One array of the program."""

    kind: str
    inputs: "tuple[Value, ...]"
    detail: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    id: int  # inputs have smaller ones
    fixed: bool  # depends on no argument: constants, parameters, and what follows from them alone
    stands_for: int = (
        1  # values of the recording that are computed as this one; of a sum, its terms
    )

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

    def array(self) -> Array:
        """The values of a constant."""
        dtype, shape, data = self.detail
        return np.frombuffer(data, dtype).reshape(shape)

    def __repr__(self) -> str:
        return f"%{self.id} = {self.kind}{[x.id for x in self.inputs]} {self.shape}"


@lru_cache(1024)
def once(numbers: Any) -> Any:
    """The tuple that equals this one, be it a shape, strides or a slice: there are few, and many that have them."""
    return numbers


class _Known:
    """Finds values by their keys, and keeps no key: there would be more of these than of values."""

    def __init__(self) -> None:
        self._values: dict[
            int, Value
        ] = {}  # by hash; if two have one, the later is by the next that is free

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


class Program:
    """Values in an order in which each can be computed; every method that makes one finds equal ones again."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self._known = _Known()
        self._rows: dict[tuple[int, ...], tuple[Index, ...]] = {}  # of arrays of these shapes
        self._parts: dict[
            int, dict[Index, Value]
        ] = {}  # of what is laid together (by id), each at its index
        self._limits: dict[
            tuple[int, int], Value
        ] = {}  # integers (by id) that are to be below, and what checks it
        self.met = 0  # values that there are so far
        self.repeated = 0  # values that were there already

    @property
    def is_complete(self) -> bool:
        """Whether all values have come: a repetition has them before."""
        return self.met == len(self.values)

    def add(
        self, kind: str, inputs: Sequence[Value], detail: Any, shape: Iterable[int], dtype: Any
    ) -> Value:
        key = (kind, tuple(inputs), detail, once(tuple(shape)), np.dtype(dtype))
        value = self._known.get(key) or self._made(key)
        if value.id < self.met:
            self.repeated += kind not in FREE
        else:
            self._meet(value)
        return value

    def _made(self, key: Key) -> Value:
        """A value that there is none equal to."""
        kind, inputs, detail, *_ = key
        fixed = (
            detail[0] == "leaf"
            if kind == "source"
            else kind != "draw" and all(x.fixed for x in inputs)
        )
        value = Value(*key, len(self.values), fixed)
        self.values.append(value)
        self._known.put(value)
        if kind == "check":
            self._limits.setdefault(
                (inputs[0].id, detail[1]), value
            )  # the first: in a repetition the others are to come
        return value

    def _meet(self, value: Value) -> None:
        """A value comes for the first time."""
        self.met += 1

    def forget(self) -> None:
        """Let go of how values follow from each other, once that is planned: it is more than their arrays."""
        for value in self.values:
            value.inputs = ()
        for kept in (self.values, self._known, self._parts, self._limits, self._rows):
            kept.clear()

    # What it is made of

    def constant(self, array: Any, dtype: Any = None) -> Value:
        array = np.asarray(array, dtype)
        return self.add(
            "constant", (), (array.dtype, array.shape, array.tobytes()), array.shape, array.dtype
        )

    def ufunc(self, function: np.ufunc, *inputs: Value, dtype: Any) -> Value:
        if all(x.kind == "constant" for x in inputs):
            with np.errstate(all="ignore"):
                return self.constant(function(*(x.array() for x in inputs)), dtype)
        shape = np.broadcast_shapes(*(x.shape for x in inputs))
        if function is np.multiply and (kept := _times_one(inputs, shape, dtype)):
            return kept
        if function is np.subtract and (index := self._one_hot_index(inputs[1], inputs[0])):
            return self.add("less_one", (inputs[0], index), None, shape, dtype)
        if function is np.exp and (share := self._share_of_known(inputs[0])):
            return self.ufunc(np.divide, *share, dtype=dtype)
        return self.add("ufunc", inputs, function, shape, dtype)

    def _share_of_known(self, x: Value) -> tuple[Value, Value] | None:
        """(e^(a - b), s) for e^(a - (ln s + b)), where b = max a and s = Σ e^(a - b): softmax after log-sum-exp."""
        if x.detail is not np.subtract or x.inputs[1].detail is not np.add:
            return None
        a, (log, b) = x.inputs[0], x.inputs[1].inputs
        difference = self._find(np.subtract, (a, b), x)
        exponential = self._find(np.exp, (difference,), x) if difference else None
        if exponential is None or log.detail is not np.log or not _is_reduced(b, np.maximum, a):
            return None
        return (
            (exponential, log.inputs[0])
            if _is_reduced(log.inputs[0], np.add, exponential)
            else None
        )

    def _one_hot_index(self, x: Value, like: Value) -> Value | None:
        """i for i[..., None] == [0, 1, …], one comparison a class of `like`, if i is known to be one of these."""
        if x.detail is not np.equal or x.shape != like.shape or not x.ndim:
            return None
        numbers, classes = x.inputs
        count = x.shape[-1]
        if (
            numbers.shape != (*x.shape[:-1], 1)
            or classes.kind != "constant"
            or classes.shape != (count,)
        ):
            return None
        index = self.reshape(numbers, x.shape[:-1])
        check = self._limits.get((index.id, count))
        checked = (
            check is not None
            and check.id < self.met
            and bool((classes.array() == np.arange(count)).all())
        )
        return index if checked else None

    def _find(self, function: np.ufunc, inputs: tuple[Value, ...], like: Value) -> Value | None:
        return self._known.get(("ufunc", inputs, function, like.shape, like.dtype))

    def where(self, condition: Value, a: Value, b: Value, dtype: Any) -> Value:
        return self.add(
            "where",
            (condition, a, b),
            None,
            np.broadcast_shapes(condition.shape, a.shape, b.shape),
            dtype,
        )

    def cast(self, x: Value, dtype: Any) -> Value:
        return x if x.dtype == dtype else self.add("cast", (x,), None, x.shape, dtype)

    def matmul(self, a: Value, b: Value) -> Value:
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        shape = (*lead, *a.shape[-2:-1], *(b.shape[-1:] if b.ndim > 1 else ()))
        return self.add("matmul", (a, b), None, shape, np.result_type(a.dtype, b.dtype))

    def reduce(self, function: np.ufunc, x: Value, axes: Sequence[int], dtype: Any = None) -> Value:
        gone = tuple(sorted(axis % x.ndim for axis in axes))
        shape = [n for axis, n in enumerate(x.shape) if axis not in gone]
        if (
            function is np.add
            and x.kind == "where"
            and gone == (x.ndim - 1,)
            and _is_all(x.inputs[2], 0)
        ):
            condition, chosen, _ = x.inputs
            if index := self._one_hot_index(condition, chosen):
                return self.add("pick", (chosen, index), None, shape, x.dtype)
        if not gone:
            return self.cast(x, dtype or x.dtype)
        return self.add("reduce", (x,), (function, gone), shape, dtype or x.dtype)

    def take(self, table: Value, index: Value) -> Value:
        return self.add("take", (table, index), None, (*index.shape, *table.shape[1:]), table.dtype)

    # Views

    def reshape(self, x: Value, shape: Iterable[int]) -> Value:
        shape = tuple(shape)
        if x.kind == "view" and x.detail[0] == "reshape":
            x = x.inputs[0]
        if x.kind == "constant":
            return self.constant(x.array().reshape(shape))
        return x if x.shape == shape else self.add("view", (x,), ("reshape", shape), shape, x.dtype)

    def transpose(self, x: Value, axes: Sequence[int]) -> Value:
        axes = tuple(axis % x.ndim for axis in axes)
        if x.kind == "view" and x.detail[0] == "transpose":
            x, axes = x.inputs[0], tuple(x.detail[1][axis] for axis in axes)
        if axes == tuple(range(x.ndim)):
            return x
        return self.add(
            "view", (x,), ("transpose", axes), [x.shape[axis] for axis in axes], x.dtype
        )

    def broadcast(self, x: Value, shape: Iterable[int]) -> Value:
        shape = tuple(shape)
        return (
            x if x.shape == shape else self.add("view", (x,), ("broadcast", shape), shape, x.dtype)
        )

    def index(self, x: Value, index: Index) -> Value:
        """Part of an array; `index` as `plain_index` gives it."""
        index = _for_all_axes(index, x.shape)
        if index == _for_all_axes((), x.shape):
            return x
        if x.kind == "assemble" and (part := self._parts_of(x).get(index)) is not None:
            return self.reshape(part, shape_at(x.shape, index))
        return self.add("view", (x,), ("index", index), shape_at(x.shape, index), x.dtype)

    def assemble(
        self, parts: Sequence[Value], indices: Sequence[Index], shape: Iterable[int], dtype: Any
    ) -> Value:
        """One array with each part at its index; they must not overlap."""
        shape = tuple(shape)
        indices = tuple(_for_all_axes(index, shape) for index in indices)
        if len(parts) == 1 and indices[0] == _for_all_axes((), shape):
            return self.cast(parts[0], dtype)
        covered = sum(part.size for part in parts) == prod(shape)
        return self.add("assemble", parts, (indices, covered), shape, dtype)

    def _parts_of(self, whole: Value) -> dict[Index, Value]:
        if whole.id not in self._parts:
            self._parts[whole.id] = dict(zip(whole.detail[0], whole.inputs, strict=True))
        return self._parts[whole.id]

    def stack(self, parts: Sequence[Value]) -> Value:
        shape = (len(parts), *parts[0].shape)
        if shape not in self._rows:
            self._rows[shape] = tuple(_for_all_axes((i,), shape) for i in range(len(parts)))
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
            indices.append((*_for_all_axes((), shape[:axis]), (start, stop, 1)))
            start = stop
        return self.assemble(parts, indices, shape, parts[0].dtype)


class Repetition(Program):
    """A program that is made again: every value must be what came in its place the first time, and is that one."""

    def __init__(self, first: Program) -> None:
        vars(self).update(vars(first) | {"met": 0, "repeated": 0})

    def _made(self, key: Key) -> Value:
        """The one in its place, of what is never found again: two calls of an op with no rule are always two."""
        there = None if self.is_complete else self.values[self.met]
        return (
            there
            if there is not None and _identity(there.key) == _identity(key)
            else self._refuse(key)
        )

    def _meet(self, value: Value) -> None:
        if value.id > self.met:
            self._refuse(value.key)
        super()._meet(value)

    def _refuse(self, key: Key) -> NoReturn:
        """What differs a replay would repeat as it was."""
        kind, _, detail, shape, _ = key
        what = (
            detail.__name__
            if kind == "ufunc"
            else detail.op.name
            if kind in ("call", "draw")
            else kind
        )
        raise CompileError(
            f"compile: {Source.of_caller()}: {what} {shape} is not what it was at the first call: "
            "random numbers, a clock or changing data; pass it as an argument"
        )


def _identity(key: Key) -> Any:
    """What two runs must have in common."""
    kind, inputs, detail, *what = key
    return (
        kind,
        inputs,
        detail if isinstance(detail, np.ufunc) else getattr(detail, "identity", detail),
        *what,
    )


def _times_one(inputs: Sequence[Value], shape: tuple[int, ...], dtype: Any) -> Value | None:
    """x for 1 · x: what a backward pass starts with."""
    for one, other in (inputs, inputs[::-1]):
        if other.shape == shape and other.dtype == dtype and _is_all(one, 1):
            return other
    return None


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


def whole_of(x: Value) -> Value:
    """What a view is of."""
    while x.kind == "view":
        x = x.inputs[0]
    return x


def _is_reduced(x: Value, function: np.ufunc, whole: Value) -> bool:
    """Whether x is the sum, say, of the rows of another."""
    x = whole_of(x)
    return x.kind == "reduce" and x.detail == (function, (whole.ndim - 1,)) and x.inputs[0] is whole


def _is_all(x: Value, number: int) -> bool:
    whole = whole_of(x)
    return whole.kind == "constant" and bool((whole.array() == number).all())


def plain_index(index: Any, shape: Sequence[int]) -> "tuple[Index, tuple[int, ...]] | None":
    """NumPy's basic index as one entry an axis, and the shape of the result, new axes included; None: not basic."""
    entries = list(index) if isinstance(index, tuple) else [index]
    if not all(
        e is None or e is Ellipsis or isinstance(e, slice) or _is_integer(e) for e in entries
    ):
        return None
    used = sum(e is not None and e is not Ellipsis for e in entries)
    gap = next((i for i, e in enumerate(entries) if e is Ellipsis), len(entries))
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
            stop = span.stop if span.stop >= 0 else None
            plain.append(once((span.start, stop, span.step) if span else (0, 0, 1)))
            lengths.append(len(span))
        else:
            plain.append(int(entry) % n)
    return tuple(plain), tuple(lengths)


def _for_all_axes(index: Index, shape: Sequence[int]) -> Index:
    """An index of the first axes as one of all of them."""
    return (
        index
        if len(index) == len(shape)
        else (*index, *(once((0, n, 1)) for n in shape[len(index) :]))
    )


def _is_integer(entry: Any) -> bool:
    return isinstance(entry, int | np.integer) and not isinstance(entry, bool | np.bool_)


def numpy_index(index: Index) -> tuple[Any, ...]:
    """A plain index as NumPy wants it; with the dots one element, too, is a view."""
    return (*(entry if isinstance(entry, int) else slice(*entry) for entry in index), ...)


def shape_at(shape: Sequence[int], index: Index) -> tuple[int, ...]:
    """The shape of the part at an index."""
    pairs = zip(shape, index, strict=True)
    return tuple(len(range(n)[slice(*entry)]) for n, entry in pairs if not isinstance(entry, int))
