"""What an op is, and the one place that records.

An op is its forward on ndarrays, and one VJP (vector-Jacobian product) per input. A VJP is written
in plain operators and NumPy names, so that the same formula serves ndarrays (the fast path) and
Tensors (gradients of gradients).
"""

# pyright: reportPrivateUsage=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Literal
from weakref import WeakValueDictionary

import numpy as np

from ..errors import GradientError, OpError, describe, refusal
from .origin import is_number, looking_on, owning
from .state import STATE, notify
from .switches import quietly
from .tensor import Array, Inputs, Tensor, creation_ids, freeze

Vjp = Callable[..., Any]
Cotangent = Any  # an ndarray, or a Tensor when the pass itself is recorded (create_graph)

Kind = Literal[
    "elementwise",  # an output element depends on the input elements at its place, by broadcasting
    "product",  # matrix products: sums of products of two inputs
    "reduction",  # axes of the input are summed, or the like
    "along",  # elements along one axis are mixed, all others are apart: softmax
    "move",  # the same numbers at other places
    "lookup",  # rows of a table
    "other",  # anything: nothing is known about which element depends on which
]

# NumPy's function -> ours: what `np.tanh(t)` and `np.where(c, t, 0)` mean.
NUMPY: dict[Callable[..., Any], Callable[..., Any]] = {}
# What people call, of every op that is there: one that is defined in a loop goes as it came.
PUBLIC: WeakValueDictionary[int, Callable[..., Any]] = WeakValueDictionary()


@dataclass(frozen=True, eq=False)
class Op:
    """One op: `forward` on ndarrays, and a VJP for each input, None where not differentiable.

    `vjps[i](g, y, *inputs, **options)` gives the cotangent of input i from the cotangent `g` of the
    output `y`, before broadcasting is undone. A variadic op gets its inputs as one sequence, and
    its one formula is told the input's number: `vjps[0](i, g, y, inputs, **options)`.
    `together[i](gs, inputs, options)` is the sum of many such terms in one call.
    """

    name: str
    forward: Callable[..., Array]
    vjps: tuple[Vjp | None, ...]
    variadic: bool = False
    together: Mapping[int, Vjp] = field(default_factory=dict[int, Vjp])
    kind: Kind = "other"
    sign: str = ""  # what a picture writes in its box
    function: Callable[..., Tensor] | None = None  # what people call: it records

    def given(self, operands: Sequence[Any]) -> Sequence[Any]:
        """Operands as the forward takes them: one by one, or as one sequence."""
        return (operands,) if self.variadic else operands

    def differentiable(self, slot: int) -> bool:
        """Whether a gradient passes to input number `slot`."""
        return self.vjps[0 if self.variadic else slot] is not None

    def vjp(
        self, slot: int, g: Cotangent, y: Any, operands: Sequence[Any], options: Mapping[str, Any]
    ) -> Cotangent | None:
        """The cotangent of input number `slot`, of its shape and dtype; None: not differentiable.

        Args:
            slot: which input.
            g: the cotangent of the output.
            y: the output.
            operands: one array, Tensor or Python number per input.
            options: those of the call.

        Raises:
            GradientError: the rule returned what no gradient of that input can be.
        """
        variadic = self.variadic
        rule = self.vjps[0 if variadic else slot]
        if rule is None:
            return None
        if variadic:
            term = rule(slot, g, y, operands, **options)
        elif options:
            term = rule(g, y, *operands, **options)
        else:
            term = rule(g, y, *operands)
        x = operands[slot]
        if type(term) is np.ndarray and term.dtype is x.dtype and term.shape == x.shape:
            return term
        return self.fitted(term, slot, x)

    def fitted(self, term: Any, slot: int, x: Any) -> Cotangent:
        """What a VJP of input number `slot` returned, in the shape and dtype of that input, `x`."""
        is_whole = type(term) is np.ndarray and term.dtype is x.dtype and term.size == x.size
        if is_whole and term.shape[term.ndim - x.ndim :] == x.shape:  # of a bias of one row, say
            return term.reshape(x.shape)
        if isinstance(term, np.generic):  # NumPy's result for arrays without axes
            term = np.asarray(term)
        wrong = _misfit(term, x)
        if wrong:
            raise GradientError(f"{self.name}: the VJP of input {slot} returned {wrong}")
        return unbroadcast(term, x)


def _misfit(term: Any, x: Any) -> str | None:
    """Why `term` cannot be a cotangent of `x`, before broadcasting is undone."""
    if not hasattr(term, "dtype"):
        return f"a {type(term)}, not one array; give @op one VJP per input"
    if term.dtype.kind not in "fiub":
        return f"dtype {term.dtype}, but the input has {x.dtype}"
    added = term.ndim - x.ndim
    if added < 0 or not _may_become(x.shape, term.shape[added:]):
        return f"shape {term.shape}, but the input has shape {x.shape}"
    return None


def _may_become(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Whether an array is broadcast so."""
    return shape == to or all(n in (1, m) for n, m in zip(shape, to, strict=True))


def unbroadcast(term: Cotangent, like: Any) -> Cotangent:
    """`term`, summed over the axes along which `like` was broadcast, in the dtype of `like`.

    A number that is used n times receives n cotangents, and its own is their sum.

    >>> unbroadcast(np.ones((3, 2)), np.zeros((1, 2))).tolist()
    [[3.0, 3.0]]
    """
    shape = like.shape
    if term.size != like.size:
        added = term.ndim - len(shape)
        stretched = [i for i, n in enumerate(shape, added) if n != term.shape[i]]
        term = term.sum(axis=(*range(added), *stretched)).reshape(shape)
    elif term.shape != shape:  # all that was added are axes of length 1
        term = term.reshape(shape)
    return term if term.dtype == like.dtype else term.astype(like.dtype)


def op(
    *vjps: Vjp | None,
    variadic: bool = False,
    numpy: Any = None,
    quiet: bool = False,
    together: Mapping[int, Vjp] = {},
    options: Mapping[str, Callable[[Any], Any]] = {},
    kind: Kind | None = None,
    sign: str | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Tensor]]:
    """Make a differentiable op of a forward function on ndarrays.

    Args:
        vjps: one per tensor input, in order: `lambda g, y, *inputs, **options: cotangent of that
            input`. `g` is the cotangent of the output `y`. None where the op is not differentiable
            in that input.
        variadic: the op takes one sequence of tensors; its single VJP is told which one:
            `(i, g, y, inputs)`.
        numpy: the NumPy function that is the forward, and that means this op when it is applied to
            a Tensor; the decorated function then states signature and rule alone.
        quiet: compute without NumPy's warnings: log 0 is -inf without a word, and
            `detect_anomaly` finds it.
        together: for an input that receives many terms in a loop, their sum in one call; see `Op`.
        options: by an option's name, a function that reads what the caller gave for it.
        kind: how output elements depend on input elements; see `Kind`. By default "elementwise"
            where `numpy` is a function of numbers, else "other".
        sign: what a picture writes in its box; by default its name.

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
        name = function.__name__
        parameters = list(inspect.signature(function).parameters.values())
        if len(parameters) < arity:
            raise OpError(f"@op: {name} takes fewer inputs than it has VJPs: give one each")
        forward = numpy or function
        rules = vjps
        if not function.__module__.startswith(_PACKAGE):
            forward = owning(forward)
            rules = tuple(rule and looking_on(rule, variadic) for rule in vjps)
        if quiet:
            forward = quietly(forward)
        made = Op(name, forward, rules, variadic, together, kind or _kind_of(numpy), sign or name)
        call = recorder(made)
        if variadic or len(parameters) > arity:
            call = _with_options(made, arity, parameters[arity:], options, call)
        public: Any = wraps(function)(call)
        public.op = made
        object.__setattr__(made, "function", public)  # frozen, but each needs the other
        PUBLIC[id(public)] = public
        if numpy is not None:
            NUMPY[numpy] = public
        return public

    return decorate


_PACKAGE = __name__.partition(".")[0] + "."


def _kind_of(function: Any) -> Kind:
    is_of_numbers = isinstance(function, np.ufunc) and function.signature is None
    return "elementwise" if is_of_numbers else "other"


NO_OPTIONS: dict[str, Any] = {}  # what every result has that keeps no graph


def recorder(op: Op) -> Callable[..., Tensor]:  # noqa: C901  (the one fast path)
    """The function that computes `op` and remembers how: every node of every graph is made here.

    It is most of what an eager step costs. So what never changes is looked up outside, and the
    rare paths stand below: operands that are not Tensors, and what NumPy refuses.
    """
    forward, variadic = op.forward, op.variadic
    arity = None if variadic else len(op.vjps)
    differentiable = any(op.vjps)
    state_of, next_id = STATE.get, creation_ids.__next__
    new, ndarray = object.__new__, np.ndarray

    def record(  # noqa: C901
        *inputs: Any, options: dict[str, Any] = NO_OPTIONS
    ) -> Tensor:
        if len(inputs) != arity and arity is not None:
            raise TypeError(f"{op.name} takes {arity} operands, got {len(inputs)}")
        arrays: Any = []
        requires_grad = False
        for x in inputs:
            if not isinstance(x, Tensor):
                inputs, arrays, requires_grad = _coerced(op, inputs)
                break
            arrays.append(x._data)
            if x._requires_grad:
                requires_grad = True
        arrays = tuple(arrays)
        try:
            if variadic:
                y = forward(arrays, **options)
            elif options:
                y = forward(*arrays, **options)
            else:
                y = forward(*arrays)
        except Exception as reason:
            y = _computed_after_all(op, inputs, arrays, options, reason)
        if type(y) is not ndarray:
            y = np.asarray(y)
        y.setflags(False)  # pyright: ignore[reportCallIssue]  (a keyword takes twice as long)
        recording, scope, observers, _, _ = state_of()
        made = new(Tensor)
        made._data = y
        made.id = next_id()
        made.scope = scope
        made._grad = made._hooks = made._name = None
        made.retains_grad = False
        if requires_grad and differentiable and recording:
            made._requires_grad = True
            made.op, made.inputs = op, inputs
            made.arrays, made.options = arrays, options
        else:
            made._requires_grad, made.op = False, None
            made.inputs = made.arrays = ()
            made.options = NO_OPTIONS
        for observer in observers:
            observer("forward", made, op, inputs, arrays, options)
        return made

    return record


def _coerced(op: Op, given: Sequence[Any]) -> tuple[Inputs, list[Any], bool]:
    """Operands that are not all Tensors, the arrays in them, and whether one requires a gradient.

    A Python number stays one, since NumPy's dtype rules treat it so: it is no input of the graph.
    A scalar of NumPy's is data, and so is a number that says which row is looked up.
    """
    inputs: list[Tensor | None] = []
    arrays: list[Any] = []
    requires_grad = False
    for x in given:
        if not isinstance(x, Tensor):
            if is_number(x, op.kind):
                inputs.append(None)
                arrays.append(x)
                continue
            try:
                x = Tensor(x)
            except OpError as error:
                raise OpError(f"{op.name}: {error}") from None
        inputs.append(x)
        arrays.append(x._data)
        requires_grad = requires_grad or x._requires_grad
    return tuple(inputs), arrays, requires_grad


_REFUSALS = (ValueError, TypeError, IndexError, OverflowError, MemoryError)


def _computed_after_all(
    op: Op, inputs: Inputs, arrays: Sequence[Any], options: dict[str, Any], reason: Exception
) -> Any:
    """The result where only a warning was raised as an error; else the op's own error."""
    if isinstance(reason, RuntimeWarning | FloatingPointError):  # inf - inf: NaN is a value here
        return quietly(op.forward)(*op.given(arrays), **options)
    if not isinstance(reason, _REFUSALS):
        raise reason
    operands = [array if x is None else x for x, array in zip(inputs, arrays, strict=True)]
    error = refusal(op.name, operands, options, reason)
    notify("error", op, inputs, error)
    raise error from None


def _with_options(
    op: Op,
    arity: int,
    options: Sequence[inspect.Parameter],
    read: Mapping[str, Callable[[Any], Any]],
    record: Callable[..., Tensor],
) -> Callable[..., Tensor]:
    """`record`, called as the forward's signature says: the operands, then the options."""
    names = [option.name for option in options]
    defaults = {
        option.name: option.default for option in options if option.default is not option.empty
    }

    def call(*args: Any, **kwargs: Any) -> Tensor:
        if len(args) > arity + len(names):
            raise TypeError(
                f"{op.name} takes at most {arity + len(names)} arguments, got {len(args)}"
            )
        given = defaults.copy()
        if kwargs or len(args) != arity:
            positional = dict(zip(names, args[arity:], strict=False))
            if not kwargs.keys() <= set(names) - positional.keys():
                raise TypeError(
                    f"{op.name} has the options {names}, "
                    f"not {list(kwargs)} beside {list(positional)}"
                )
            given |= positional | kwargs
        for name, function in read.items():
            try:
                given[name] = function(given[name])
            except (ValueError, TypeError) as reason:
                raise OpError(f"{op.name}: {name} = {given[name]!r}: {reason}") from None
        for name, value in given.items():
            if type(value) not in _FIXED and isinstance(value, _CHANGEABLE):
                given[name] = _fixed(op, name, value)
        operands = args[0] if op.variadic else args[:arity]
        return record(*operands, options=given)

    return call


_FIXED = {int, bool, str, type(None)}  # most are, and this is faster to see
_CHANGEABLE = (tuple, list, Tensor, np.ndarray)


def _fixed(op: Op, name: str, value: Any) -> Any:
    """An option as it is now: the caller may change an array later. No gradient flows into it."""
    if type(value) in (tuple, list):
        return type(value)(_fixed(op, name, part) for part in value)
    if isinstance(value, Tensor):
        if value.requires_grad:
            raise OpError(
                f"{op.name}: {name} = {describe(value)} would lose its gradient; detach() it"
            )
        array = value._data.view()  # an array of its own, by which an observer knows the tensor
        notify("option", value, array)
        return array
    return freeze(value) if isinstance(value, np.ndarray) else value
