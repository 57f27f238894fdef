"""What an op is, and the one place that records.

An op is its forward on ndarrays, and one VJP (vector-Jacobian product) per input, written in plain
operators and NumPy names, so that the same formula serves ndarrays (the fast path) and Tensors
(gradients of gradients).
"""

# pyright: reportPrivateUsage=false

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

import numpy as np

from ..errors import OpError, refusal, require
from .state import STATE, notify
from .tensor import Array, Inputs, Tensor, creation_ids, freeze

Vjp = Callable[..., Any]

# NumPy's function -> ours: what `np.tanh(t)` and `np.where(c, t, 0)` mean.
NUMPY: dict[Callable[..., Any], Callable[..., Any]] = {}

_LEAF: Any = (None, (), (), {})  # the op, inputs, arrays and options of what no op made


@dataclass(frozen=True, eq=False)
class Op:
    """One op: `forward` on ndarrays, and a VJP for each input (None: not differentiable in that input).

    `vjps[i](g, y, *inputs, **options)` gives the cotangent of input i from the cotangent `g` of the
    output `y`, before broadcasting is undone; a variadic op gets its inputs as one sequence.
    `together[i](gs, inputs, options)` is the sum of many such terms in one call.
    """

    name: str
    forward: Callable[..., Array]
    vjps: tuple[Vjp | None, ...]
    variadic: bool
    together: Mapping[int, Vjp]

    def given(self, operands: Sequence[Any]) -> Sequence[Any]:
        """Operands as forward and VJPs take them: one by one for each of T inputs, they would be T² in all."""
        return (operands,) if self.variadic else operands


class _Shared(tuple[Any, ...]):
    """The VJPs of a variadic op: one formula, which is told the input's number."""

    def __getitem__(self, slot: Any) -> Any:
        return partial(super().__getitem__(0), slot)


def op(
    *vjps: Vjp | None,
    variadic: bool = False,
    numpy: Any = None,
    quiet: bool = False,
    together: Mapping[int, Vjp] = {},
) -> Callable[[Callable[..., Any]], Callable[..., Tensor]]:
    """Make a differentiable op of a forward function on ndarrays.

    Args:
        vjps: one per tensor input, in order: `lambda g, y, *inputs, **options: cotangent of that
            input`. `g` is the cotangent of the output `y`. None where the op is not differentiable
            in that input.
        variadic: the op takes one sequence of tensors; its single VJP is told which one: `(i, g, y,
            inputs)`.
        numpy: the NumPy function that is the forward, and that means this op when it is applied to
            a Tensor; the decorated function then states signature and rule alone.
        quiet: compute without NumPy's warnings: log 0 is -inf, and `detect_anomaly` is there to
            ask.
        together: for an input that receives many terms in a loop, their sum in one call; see `Op`.

    The forward's parameters after the inputs are options, which the VJPs receive by name. Undoing
    broadcasting is not the formula's business.

    Raises:
        OpError: the forward takes fewer inputs than there are VJPs.

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
    arity = 1 if variadic else len(vjps)

    def decorate(function: Callable[..., Any]) -> Callable[..., Tensor]:
        name, parameters = function.__name__, list(inspect.signature(function).parameters.values())
        require(
            len(parameters) >= arity,
            OpError,
            "@op: {} takes fewer inputs than it has VJPs: give one each",
            name,
        )
        forward: Callable[..., Array] = (
            np.errstate(all="ignore")(numpy or function) if quiet else numpy or function
        )
        made = Op(name, forward, _Shared(vjps) if variadic else vjps, variadic, together)
        record = _recorder(made, None if variadic else arity, any(vjps))
        call = (
            _with_options(made, arity, parameters[arity:], record)
            if variadic or parameters[arity:]
            else record
        )
        NUMPY[numpy or function] = public = wraps(function)(call)
        public.op = made  # type: ignore[attr-defined]
        return public

    return decorate


def _recorder(op: Op, arity: int | None, differentiable: bool) -> Callable[..., Tensor]:
    """The function that computes `op` and remembers how: every node of every graph is made here.

    It is most of what an eager step costs, so what never changes is looked up outside.
    """
    forward, state_of, new, next_id, ndarray = (
        op.forward,
        STATE.get,
        object.__new__,
        creation_ids.__next__,
        np.ndarray,
    )
    variadic = op.variadic

    def record(*inputs: Any, options: dict[str, Any] = _LEAF[-1]) -> Tensor:
        try:
            if arity == 2:
                a, b = inputs
                arrays, requires_grad = (a._data, b._data), a.requires_grad or b.requires_grad
            elif arity == 1:
                (x,) = inputs
                arrays, requires_grad = (x._data,), x.requires_grad
            else:
                inputs, arrays, requires_grad = _coerced(op, arity, inputs)
        except (AttributeError, ValueError):
            inputs, arrays, requires_grad = _coerced(op, arity, inputs)
        state = state_of()
        try:
            y = (
                forward(arrays, **options)
                if variadic
                else forward(*arrays, **options)
                if options
                else forward(*arrays)
            )
        except (
            RuntimeWarning,
            FloatingPointError,
        ):  # inf - inf, where these are made errors: NaN is a value here
            y = np.errstate(all="ignore")(forward)(*op.given(arrays), **options)
        except (ValueError, TypeError, IndexError, OverflowError, MemoryError) as reason:
            operands = [array if x is None else x for x, array in zip(inputs, arrays, strict=True)]
            error = refusal(op.name, operands, options, reason)
            notify("error", op, inputs, error)
            raise error from None
        y = y if type(y) is ndarray else np.asarray(y)
        y.setflags(False)  # pyright: ignore[reportCallIssue]  (a keyword takes twice as long)
        made = new(Tensor)
        made._data, made.id, made.scope = y, next_id(), state.scope
        made._grad = made._hooks = made.name = None
        made.retains_grad = False
        made.requires_grad = recorded = requires_grad and differentiable and state.recording
        made.op, made.inputs, made.arrays, made.options = (
            (op, inputs, arrays, options) if recorded else _LEAF
        )
        if state.observers:
            notify("forward", made, op, inputs, arrays, options)
        return made

    return record


def _with_options(
    op: Op, arity: int, options: Sequence[Any], record: Callable[..., Tensor]
) -> Callable[..., Tensor]:
    """`record`, called as the forward's signature says: the operands, or a sequence of them, then the options."""
    names, most = [option.name for option in options], arity + len(options)
    defaults = {
        option.name: option.default for option in options if option.default is not option.empty
    }

    def call(*args: Any, **kwargs: Any) -> Tensor:
        require(
            len(args) <= most,
            TypeError,
            "{} takes at most {} arguments, got {}",
            op.name,
            most,
            len(args),
        )
        given = dict(zip(names, args[arity:], strict=False))
        if kwargs and not kwargs.keys() <= set(names) - given.keys():
            raise TypeError(
                f"{op.name} has the options {names}, not {list(kwargs)} beside {list(given)}"
            )
        given = given if len(args) == most else defaults | given | kwargs
        fixed = {n: _fixed(op, n, v) if isinstance(v, _CHANGEABLE) else v for n, v in given.items()}
        return record(*(args[0] if op.variadic else args[:arity]), options=fixed)

    return call


def _coerced(
    op: Op, arity: int | None, given: Sequence[Any]
) -> tuple[Inputs, tuple[Any, ...], bool]:
    """Operands that are not all Tensors. A Python number stays one, since NumPy's dtype rules treat it so."""
    require(
        arity in (None, len(given)),
        TypeError,
        "{} takes {} operands, got {}",
        op.name,
        arity,
        len(given),
    )
    try:
        inputs = tuple(
            x if isinstance(x, Tensor) else None if isinstance(x, int | float) else Tensor(x)
            for x in given
        )
    except OpError as error:
        raise OpError(f"{op.name}: {error}") from None
    arrays = tuple(value if x is None else x._data for x, value in zip(inputs, given, strict=True))
    return inputs, arrays, any(x is not None and x.requires_grad for x in inputs)


_CHANGEABLE = (tuple, list, Tensor, np.ndarray)


def _fixed(op: Op, name: str, x: Any) -> Any:
    """An option as it is now: the caller may change an array later, and no gradient flows into it."""
    if type(x) in (tuple, list):
        return type(x)(_fixed(op, name, part) for part in x)
    if isinstance(x, Tensor):
        require(
            not x.requires_grad,
            OpError,
            "{}: {} = {} would lose its gradient; detach() it",
            op.name,
            name,
            x,
        )
        return x._data if (capture := STATE.get().capture) is None else capture.option(x)
    return freeze(x) if isinstance(x, np.ndarray) else x
