"""What an op is, and the one place that records.

An op is its forward on ndarrays, and one VJP (vector-Jacobian product) per input, written in plain operators and
NumPy names, so that the same formula serves ndarrays (the fast path) and Tensors (gradients of gradients).
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np

from ..errors import OpError
from .scope import STATE
from .tensor import Array, Tensor, creation_ids, describe, freeze

Vjp = Callable[..., Any]

# NumPy's function -> ours: what `np.tanh(t)` and `np.where(c, t, 0)` mean.
NUMPY: dict[Callable[..., Any], Callable[..., Any]] = {}

_NO_OPTIONS: dict[str, Any] = {}
_REFUSALS = (ValueError, TypeError, IndexError, OverflowError, MemoryError)


@dataclass(frozen=True, slots=True, eq=False)
class Op:
    """One op: `forward` on ndarrays, and a VJP for each input (None: not differentiable in that input).

    `vjps[i](g, y, *inputs, **options)` gives the cotangent of input i from the cotangent `g` of the output `y`,
    before broadcasting is undone. `together[i](gs, inputs, options)` is the sum of many such terms in one call.
    """

    name: str
    forward: Callable[..., Array]
    vjps: "tuple[Vjp | None, ...] | _Shared"
    variadic: bool
    together: Mapping[int, Vjp]
    differentiable: bool


@dataclass(frozen=True, slots=True)
class _Shared:
    """The VJPs of a variadic op: one formula, which is told the input's number."""

    formula: Vjp

    def __getitem__(self, slot: int) -> Vjp:
        return lambda g, y, *xs, **options: self.formula(g, y, slot, *xs, **options)


def op(
    *vjps: Vjp | None,
    variadic: bool = False,
    numpy: Callable[..., Any] | Sequence[Callable[..., Any]] = (),
    together: Mapping[int, Vjp] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Tensor]]:
    """Make a differentiable op of a forward function on ndarrays.

    Args:
        vjps: one per tensor input, in order: `lambda g, y, *inputs, **options: cotangent of that input`. `g` is the
            cotangent of the output `y`. None where the op is not differentiable in that input.
        variadic: the op takes one sequence of tensors; its single VJP is told which one: `(g, y, i, *inputs)`.
        numpy: the NumPy functions that, applied to a Tensor, mean this op.
        together: for an input that receives many terms in a loop, their sum in one call; see `Op`.

    The forward's parameters after the inputs are options, which the VJPs receive by name. Undoing broadcasting is
    not the formula's business.

    >>> import tinygrad_rnn as tg
    >>> @tg.op(lambda g, y, x: g * 3 * x ** 2)
    ... def cube(x):
    ...     "The cube, elementwise: y = x³; x̄ = 3 x² ȳ."
    ...     return x ** 3
    >>> x = tg.tensor(2.0, requires_grad=True)
    >>> cube(x).backward()
    >>> x.grad.item()
    12.0
    """

    def decorate(forward: Callable[..., Any]) -> Callable[..., Tensor]:
        arity = 1 if variadic else len(vjps)
        options = list(inspect.signature(forward).parameters.values())[arity:]
        compute = (lambda *arrays, **given: forward(arrays, **given)) if variadic else forward
        rules = _Shared(vjps[0]) if variadic else vjps
        made = Op(forward.__name__, compute, rules, variadic, together or {}, any(vjps))
        call = _recorder(made, arity)
        if options or variadic:
            call = _with_options(made, arity, {p.name: p.default for p in options}, call)
        function = wraps(forward)(call)
        function.op = made  # type: ignore[attr-defined]
        for served in numpy if isinstance(numpy, Sequence) else (numpy,):
            NUMPY[served] = function
        return function

    return decorate


def _recorder(op: Op, arity: int) -> Callable[..., Tensor]:
    """The function that computes `op` and remembers how: every node of every graph is made here.

    It is most of what an eager step costs, so what never changes is looked up outside.
    """
    forward, differentiable = op.forward, op.differentiable
    state_of, new, next_id, ndarray = STATE.get, Tensor.__new__, creation_ids.__next__, np.ndarray

    def record(*inputs: Any, options: dict[str, Any] = _NO_OPTIONS) -> Tensor:
        try:
            if arity == 2:
                a, b = inputs
                arrays, requires_grad = (a._data, b._data), a.requires_grad or b.requires_grad
            else:
                arrays = tuple([x._data for x in inputs])
                requires_grad = True in [x.requires_grad for x in inputs]
        except (AttributeError, ValueError):
            inputs, arrays, requires_grad = _coerced(op, arity, inputs)
        state = state_of()
        try:
            y = forward(*arrays, **options) if options else forward(*arrays)
        except RuntimeWarning:  # inf - inf, where the user made warnings errors: NaN is a value here
            with np.errstate(all="ignore"):
                y = forward(*arrays, **options)
        except _REFUSALS as reason:
            raise _refusal(op, inputs, arrays, options, reason) from None
        if type(y) is not ndarray:
            y = np.asarray(y)
        y.setflags(False)
        made = new(Tensor)
        made._data = y
        made._grad = made._hooks = made.name = None
        made.id = next_id()
        made.retains_grad = False
        made.scope = state.scope
        if requires_grad and differentiable and state.recording:
            made.requires_grad = True
            made.op = op
            made.inputs = inputs
            made.arrays = arrays
            made.options = options
        else:
            made.requires_grad = False
            made.op = None
            made.inputs = made.arrays = ()
            made.options = _NO_OPTIONS
        if state.observers:
            for observer in state.observers:
                observer.forward(made, op, inputs, arrays, options)
        return made

    return record


def _with_options(
    op: Op, arity: int, defaults: dict[str, Any], record: Callable[..., Tensor]
) -> Callable[..., Tensor]:
    """`record`, called as the forward's signature says: the operands, or a sequence of them, then the options."""

    def call(*args: Any, **kwargs: Any) -> Tensor:
        given = defaults | dict(zip(defaults, args[arity:], strict=False)) | kwargs
        options = {name: _fixed(op, name, value) for name, value in given.items()}
        return record(*(args[0] if op.variadic else args[:arity]), options=options)

    return call


def _coerced(
    op: Op, arity: int, values: Sequence[Any]
) -> tuple[tuple[Tensor | None, ...], tuple[Any, ...], bool]:
    """Operands that are not all Tensors. A Python number stays one, since NumPy's dtype rules treat it so."""
    if not op.variadic and len(values) != arity:
        raise TypeError(f"{op.name} takes {arity} operands, got {len(values)}")
    inputs = tuple(
        None if isinstance(x, int | float) else x if isinstance(x, Tensor) else _constant(op, x)
        for x in values
    )
    arrays = tuple(value if x is None else x.data for x, value in zip(inputs, values, strict=True))
    return inputs, arrays, any(x is not None and x.requires_grad for x in inputs)


def _constant(op: Op, value: Any) -> Tensor:
    try:
        return Tensor(value)
    except OpError as error:
        raise OpError(f"{op.name}: {error}") from None


def _fixed(op: Op, name: str, option: Any) -> Any:
    """An option as it is now: the caller may change an array later, and no gradient flows into it."""
    if isinstance(option, tuple):
        return tuple(_fixed(op, name, part) for part in option)
    if isinstance(option, Tensor) and option.requires_grad:
        raise OpError(f"{op.name}: {name} = {describe(option)} would lose its gradient; detach() it")
    return freeze(option) if isinstance(option, np.ndarray | Tensor | list) else option


def _refusal(op: Op, inputs: Any, arrays: Any, options: dict[str, Any], reason: Exception) -> Exception:
    """NumPy's refusal, with the op, every operand and every option in it; observers may add where they were made."""
    operands = ", ".join(describe(a if x is None else x) for x, a in zip(inputs, arrays, strict=True))
    given = "".join(f", {name}={value!r}" for name, value in options.items())
    error = OpError(f"{op.name}({operands}{given}): {reason}")
    for observer in STATE.get().observers:
        observer.error(op, inputs, error)
    return error
