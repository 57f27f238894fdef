"""From ops to the program: what each op is in NumPy calls that can write where they are told.

An op that has no rule here is called as it is.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..autograd import ops
from ..autograd.op import Op
from ..autograd.tensor import Array
from ..errors import CompileError, OpError, refusal
from .contraction import contracted
from .gather import Picked, added, counted, gathered, has_value
from .program import Index, Program, Value, numpy_index, plain_index, shape_at

_PACKAGE = f"{__name__.partition('.')[0]}."

Operand = Value | int | float  # a Python number stays one until its dtype is known

RULES: dict[Any, Callable[..., Value]] = {}


def rule(*keys: Any) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    """Say what ops become, or the NumPy functions that are their forward.

    The rule is called as `rule(program, like, *operands, **options)`, where `like` is the array
    that the op made when it was recorded. It may return NotImplemented.
    """

    def decorate(function: Callable[..., Value]) -> Callable[..., Value]:
        RULES.update({getattr(key, "op", key): function for key in keys})
        return function

    return decorate


def lower(
    program: Program, op: Op, operands: Sequence[Operand], options: dict[str, Any], like: Array
) -> Value:
    """The value that `op` makes of the operands."""
    known, forward = RULES.get(op), op.forward
    if known is None and forward not in RULES:  # NumPy's own functions are wrapped, too
        forward = inspect.unwrap(forward, stop=RULES.__contains__)
    known = known or RULES.get(forward)
    if known is not None:
        given = [operands] if op.variadic else operands
        made = known(program, like, *given, **options)
        if made is not NotImplemented:
            return made
    elif isinstance(forward, np.ufunc) and forward.signature is None:
        typed = _typed(program, operands)
        if typed:
            return program.ufunc(forward, *typed, dtype=like.dtype)
    inputs: list[Value] = []
    call = Applied(op, slots_for(tuple(operands), inputs), slots_for(options, inputs))
    return program.add("call" if operands else "draw", inputs, call, like.shape, like.dtype)


@dataclass(frozen=True, slots=True)
class Slot:
    """Stands for input number `number` among the operands and options of an op."""

    number: int


@dataclass(frozen=True, slots=True, eq=False)
class Applied:
    """An op that is called as it is; two such calls are never taken for one."""

    op: Op
    operands: tuple[Any, ...]
    options: dict[str, Any]

    def __call__(self, out: Array, *inputs: Array) -> None:
        if not self.is_ours:  # it may keep what it gets, and these arrays are used again
            inputs = tuple(map(_copied, inputs))
        operands, options = filled(self.operands, inputs), filled(self.options, inputs)
        try:
            made = self.op.forward(*self.op.given(operands), **options)
        except (ValueError, TypeError, IndexError, OverflowError, MemoryError) as reason:
            raise refusal(self.op.name, operands, options, reason) from None
        except StopIteration as end:  # whoever runs the calls would take it for their end
            raise OpError(f"compile: {self.op.name} raised StopIteration") from end
        made = np.asarray(made)
        for what in ("shape", "dtype"):
            recorded, now = getattr(out, what), getattr(made, what)
            if now != recorded:
                raise CompileError(
                    f"compile: {self.op.name}: the {what} of the result depends on values: "
                    f"{recorded} when recorded, now {now}"
                )
        out[...] = made

    @property
    def is_ours(self) -> bool:
        """Whether it is an op of this package, none of which keeps an array."""
        return self.op.function is not None and self.op.function.__module__.startswith(_PACKAGE)


def _copied(array: Array) -> Array:
    """An array like those that an op gets when it is not replayed: read-only, and never changed."""
    copy = array.copy()
    copy.setflags(write=False)
    return copy


def slots_for(tree: Any, inputs: list[Value]) -> Any:
    """The tree with slots in place of its values, which are appended to `inputs`."""
    if isinstance(tree, Value):
        inputs.append(tree)
        return Slot(len(inputs) - 1)
    return _mapped(lambda part: slots_for(part, inputs), tree)


def filled(tree: Any, inputs: Sequence[Array]) -> Any:
    """The tree with arrays in its slots."""
    if isinstance(tree, Slot):
        return inputs[tree.number]
    return _mapped(lambda part: filled(part, inputs), tree)


def _mapped(function: Callable[[Any], Any], tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: function(part) for name, part in tree.items()}
    if type(tree) in (tuple, list):
        return type(tree)(map(function, tree))
    return tree


def _typed(program: Program, operands: Sequence[Operand]) -> list[Value]:
    """Python numbers as arrays of the dtype that NumPy gives them here; [] if they do not fit."""
    dtypes = [x.dtype for x in operands if isinstance(x, Value)]
    numbers = [x for x in operands if not isinstance(x, Value)]
    try:
        dtype = np.result_type(*dtypes, *numbers)
        return [x if isinstance(x, Value) else program.constant(x, dtype) for x in operands]
    except OverflowError:
        return []


@rule(ops.softplus)
def _softplus(program: Program, like: Array, x: Value) -> Value:
    zero = program.constant(0, like.dtype)
    return program.ufunc(np.logaddexp, x, zero, dtype=like.dtype)


@rule(ops.log_sigmoid)
def _log_sigmoid(program: Program, like: Array, x: Value) -> Value:
    negative = program.ufunc(np.negative, x, dtype=x.dtype)
    return program.ufunc(np.negative, _softplus(program, like, negative), dtype=like.dtype)


@rule(np.flip)
def _flip(program: Program, like: Array, x: Value, axis: Any) -> Value:
    axes = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    steps = [slice(None, None, -1 if i in axes else 1) for i in range(x.ndim)]
    return _getitem(program, like, x, tuple(steps))


@rule(np.matmul)
def _matmul(program: Program, like: Array, a: Value, b: Value) -> Value:
    return program.matmul(a, b)


@rule(ops.einsum)
def _einsum(
    program: Program, like: Array, xs: Sequence[Operand], subscripts: str, optimize: Any
) -> Value:
    if like.dtype.kind not in "fc":
        return NotImplemented
    terms = [_part(program, x, like.dtype) for x in xs]
    made = contracted(program, subscripts, terms)
    return NotImplemented if made is None else made


@rule(np.where)
def _where(program: Program, like: Array, *operands: Operand) -> Value:
    condition, a, b = (x if isinstance(x, Value) else program.constant(x) for x in operands)
    a, b = (_cast(program, x, like.dtype) for x in (a, b))
    return program.where(program.cast(condition, np.bool_), a, b, dtype=like.dtype)


def _cast(program: Program, x: Value, dtype: Any) -> Value:
    """x in this dtype; a constant is cast at once."""
    if x.kind == "constant":
        return program.constant(x.array(), dtype)
    return program.cast(x, dtype)


@rule(np.clip)
def _clip(program: Program, like: Array, x: Value, min: Any, max: Any) -> Value:
    for bound, function in ((min, np.maximum), (max, np.minimum)):
        if bound is not None:
            x = program.ufunc(function, x, _part(program, bound, like.dtype), dtype=like.dtype)
    return x


@rule(ops.astype)
def _astype(program: Program, like: Array, x: Value, dtype: Any) -> Value:
    return program.cast(x, like.dtype)


@rule(ops.detach)
def _detach(program: Program, like: Array, x: Value) -> Value:
    return x


# Reductions


def _reduced(
    program: Program, like: Array, function: np.ufunc, x: Value, axis: Any, keepdims: bool
) -> Value:
    axes = axis if isinstance(axis, tuple) else (axis,)
    if axis is None or not x.ndim:
        axes = tuple(range(x.ndim))
    if function is np.add and not np.issubdtype(x.dtype, np.floating):
        x = program.cast(x, like.dtype)
    return program.reshape(program.reduce(function, x, axes, like.dtype), like.shape)


@rule(np.sum)
def _sum(program: Program, like: Array, x: Value, **options: Any) -> Value:
    return _reduced(program, like, np.add, x, **options)


@rule(ops.mean)
def _mean(program: Program, like: Array, x: Value, **options: Any) -> Value:
    total = _reduced(program, like, np.add, x, **options)
    count = program.constant(x.size / (like.size or 1), like.dtype)
    return program.ufunc(np.divide, total, count, dtype=like.dtype)


@rule(np.max)
def _max(program: Program, like: Array, x: Value, **options: Any) -> Value:
    return _reduced(program, like, np.maximum, x, **options)


@rule(np.min)
def _min(program: Program, like: Array, x: Value, **options: Any) -> Value:
    return _reduced(program, like, np.minimum, x, **options)


# Shapes


@rule(np.reshape, np.squeeze, np.expand_dims)
def _reshape(program: Program, like: Array, x: Value, **options: Any) -> Value:
    return program.reshape(x, like.shape)


@rule(np.transpose)
def _transpose(program: Program, like: Array, x: Value, axes: Any) -> Value:
    return program.transpose(x, range(x.ndim)[::-1] if axes is None else axes)


@rule(np.swapaxes)
def _swapaxes(program: Program, like: Array, x: Value, axis1: int, axis2: int) -> Value:
    axes = list(range(x.ndim))
    axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
    return program.transpose(x, axes)


@rule(np.broadcast_to)
def _broadcast_to(program: Program, like: Array, x: Value, shape: Any) -> Value:
    return program.broadcast(x, like.shape)


# Parts and wholes


@rule(ops.getitem)
def _getitem(program: Program, like: Array, x: Value, index: Any) -> Value:
    plain = plain_index(index, x.shape)
    if plain is None:
        made = None if has_value(index) else gathered(program, x, index, like)
        return NotImplemented if made is None else made
    place, shape = plain
    return program.reshape(program.index(x, place), shape)


@rule(np.stack)
def _stack(program: Program, like: Array, xs: Sequence[Operand], axis: int) -> Value:
    parts = [_part(program, x, like.dtype) for x in xs]
    stacked = program.stack(parts)
    axes = list(range(1, stacked.ndim))
    axes.insert(axis % like.ndim, 0)
    return program.transpose(stacked, axes)


@rule(np.concatenate)
def _concatenate(program: Program, like: Array, xs: Sequence[Operand], axis: int | None) -> Value:
    if axis is None:
        return NotImplemented
    parts = [_part(program, x, like.dtype) for x in xs]
    return program.concatenate(parts, axis % like.ndim)


def _part(program: Program, x: Operand, dtype: Any) -> Value:
    return program.cast(x, dtype) if isinstance(x, Value) else program.constant(x, dtype)


@rule(ops.scatter)
def _scatter(
    program: Program, like: Array, parts: Sequence[Operand], indices: Any, shape: Any
) -> Value:
    terms = [_part(program, part, like.dtype) for part in parts]
    at_integers = added(program, terms, indices, like.shape)
    if at_integers is not None:
        return at_integers
    totals: dict[Index, Value] = {}
    for part, index in zip(parts, indices, strict=True):
        plain = plain_index(index, like.shape)
        if plain is None:
            return NotImplemented
        place, _ = plain
        shape = shape_at(like.shape, place)
        x = _part(program, part, like.dtype)
        if x.size != prod(shape):
            return NotImplemented  # it is broadcast
        x = program.reshape(x, shape)
        if place in totals:
            x = program.ufunc(np.add, totals[place], x, dtype=like.dtype)
        totals[place] = x
    if _overlap(like.shape, list(totals)):
        return NotImplemented
    return program.assemble(list(totals.values()), list(totals), like.shape, like.dtype)


def _overlap(shape: Sequence[int], places: Sequence[Index]) -> bool:
    """Whether two places share an element."""
    counts = np.zeros(shape, np.int8)
    for place in places:
        counts[numpy_index(place)] += 1
    return bool((counts > 1).any())


@rule(ops.embedding)
def _embedding(program: Program, like: Array, table: Value, index: Operand) -> Value:
    index = _checked(program, index, "index", table.shape[0])
    return program.take(table, index)


def _checked(program: Program, numbers: Operand, what: str, limit: int) -> Value:
    """Numbers in 0..limit-1; constants were looked at when they were recorded."""
    if not isinstance(numbers, Value):
        return program.constant(numbers)
    if numbers.kind != "constant":
        program.add("check", (numbers,), (what, limit), (), np.bool_)
    return numbers


@rule(ops.one_hot)
def _one_hot(program: Program, like: Array, ids: Operand, num_classes: int) -> Value:
    ids = _checked(program, ids, "id", num_classes)
    numbers = program.reshape(ids, (*ids.shape, 1))
    classes = program.constant(np.arange(num_classes))
    return program.cast(program.ufunc(np.equal, numbers, classes, dtype=np.bool_), like.dtype)


@rule(ops.take_along_axis)
def _take_along_axis(
    program: Program, like: Array, x: Value, indices: Operand, axis: int | None
) -> Value:
    if axis is None or not isinstance(indices, Value) or indices.shape[axis] != 1:
        return NotImplemented
    lead = tuple(n for k, n in enumerate(indices.shape) if k != axis % x.ndim)
    if lead != tuple(n for k, n in enumerate(x.shape) if k != axis % x.ndim):
        return NotImplemented
    index = counted(program, program.reshape(indices, lead), x.shape[axis])
    return program.reshape(Picked(axis % x.ndim, index).of(program, x), like.shape)


# Ops that are made of others: their own formula says of which, run on Tensors; where that calls
# what NumPy alone has, one without it


def _cross_entropy(logits: Any, targets: Any, reduction: str) -> Any:
    one_hot = np.expand_dims(targets, -1) == np.arange(logits.shape[-1])
    top = np.max(logits, axis=-1, keepdims=True)
    normaliser = np.log(np.sum(np.exp(logits - top), axis=-1, keepdims=True)) + top
    y = normaliser[..., 0] - np.sum(np.where(one_hot, logits, 0), axis=-1)
    if reduction == "none":
        return y
    return np.mean(y) if reduction == "mean" else np.sum(y)


def _linear(x: Any, W: Any) -> Any:
    return x @ W.T


_made_of_others: list[Any] = [
    ops.sigmoid, ops.relu, ops.silu, ops.gelu, ops.softmax, ops.log_softmax, ops.logsumexp,
]  # fmt: skip
COMPOSED: dict[Op, Callable[..., Any]] = {
    function.op: function.op.forward for function in _made_of_others
}
COMPOSED[getattr(ops.linear, "op")] = _linear  # noqa: B009  (a type checker sees a plain function)
COMPOSED[getattr(ops.cross_entropy, "op")] = _cross_entropy  # noqa: B009
