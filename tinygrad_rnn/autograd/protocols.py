"""What Python's operators, Tensor's methods and NumPy's functions mean for Tensors.

NumPy asks a Tensor what its own function means (`__array_ufunc__`, `__array_function__`). There is
an op for it, or a query that needs no gradient, or a TypeError: never a plain array in silence.
"""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportAttributeAccessIssue=false, reportPrivateUsage=false

import inspect
import operator
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from ..errors import OpError, describe
from . import ops
from .op import NUMPY
from .ops.parts import part_of
from .state import STATE, notify
from .tensor import Array, Tensor

# Tensors as arrays and numbers


def _item(x: Tensor) -> Any:
    """The one value as a Python number.

    Raises:
        OpError: there is not exactly one.
    """
    if x.size != 1:
        raise OpError(f"item: {describe(x)} holds {x.size} values, not one; reduce it first")
    return x.data.item()


def _numpy(x: Tensor) -> Array:
    """The values as a read-only array: an explicit detach."""
    return x.data


def _repr(x: Tensor) -> str:
    facts = [np.array2string(x._data, separator=", ", prefix="tensor(")]
    if x.dtype.name not in ("float64", "int64", "bool"):
        facts.append(f"dtype={x.dtype}")
    if x.op is not None:
        facts.append(f"op={x.op.name}")
    elif x.requires_grad:
        facts.append("requires_grad=True")
    if x.name:
        facts.append(f"name={x.name!r}")
    return f"tensor({', '.join(facts)})"


def _format(x: Tensor, spec: str) -> str:
    """Formats the one value as Python formats a number: f"{loss:.4f}"."""
    return format(x.item(), spec) if spec else str(x)


def _round(x: Tensor, digits: int | None = None) -> Any:
    return round(x.item(), digits)


def _asked(x: Tensor, kind: str) -> Any:
    """The one value, of which less than all is asked."""
    notify("asked", x, kind)
    return x.item()


Tensor.item, Tensor.numpy = _item, _numpy
Tensor.__bool__ = lambda x: bool(_asked(x, "bool"))
Tensor.__float__ = lambda x: float(x.item())
Tensor.__int__ = lambda x: int(_asked(x, "int"))
Tensor.__index__ = lambda x: operator.index(_asked(x, "int"))
Tensor.__repr__ = _repr
Tensor.__format__, Tensor.__round__ = _format, _round


# Operators


def _reflected(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`b + a`, where a is the Tensor."""
    return lambda a, b: function(b, a)


def _equal(a: Tensor, b: Any) -> Any:
    return False if b is None else ops.equal(a, b)


def _not_equal(a: Tensor, b: Any) -> Any:
    return True if b is None else ops.not_equal(a, b)


Tensor.__pos__ = lambda x: x
Tensor.__neg__ = ops.neg
Tensor.__abs__ = ops.abs
Tensor.__invert__ = ops.invert
Tensor.__add__, Tensor.__radd__ = ops.add, _reflected(ops.add)
Tensor.__sub__, Tensor.__rsub__ = ops.sub, _reflected(ops.sub)
Tensor.__mul__, Tensor.__rmul__ = ops.mul, _reflected(ops.mul)
Tensor.__truediv__, Tensor.__rtruediv__ = ops.div, _reflected(ops.div)
Tensor.__pow__, Tensor.__rpow__ = ops.pow, _reflected(ops.pow)
Tensor.__matmul__, Tensor.__rmatmul__ = ops.matmul, _reflected(ops.matmul)
Tensor.__and__, Tensor.__rand__ = ops.bitwise_and, _reflected(ops.bitwise_and)
Tensor.__or__, Tensor.__ror__ = ops.bitwise_or, _reflected(ops.bitwise_or)
Tensor.__xor__, Tensor.__rxor__ = ops.bitwise_xor, _reflected(ops.bitwise_xor)
Tensor.__eq__, Tensor.__ne__ = _equal, _not_equal
Tensor.__lt__, Tensor.__le__ = ops.less, ops.less_equal
Tensor.__gt__, Tensor.__ge__ = ops.greater, ops.greater_equal
Tensor.__getitem__ = part_of
Tensor.__len__ = lambda x: len(x._data)
Tensor.__iter__ = lambda x: (x[i] for i in range(len(x)))
Tensor.__contains__ = lambda x, value: bool(np.any(x.data == _plain(value)))


# Methods


def _reshape(x: Tensor, *shape: Any, order: str = "C") -> Tensor:
    """`x.reshape(2, 3)` and `x.reshape((2, 3))`."""
    if order != "C":
        raise OpError(f"reshape: the order of elements must be 'C', not {order!r}")
    return ops.reshape(x, shape[0] if len(shape) == 1 else shape)


def _transpose(x: Tensor, *axes: Any) -> Tensor:
    """`x.transpose()`, `x.transpose(1, 0)` and `x.transpose((1, 0))`."""
    return ops.transpose(x, axes[0] if len(axes) == 1 else axes or None)


def _astype(x: Tensor, dtype: Any, copy: bool = True) -> Tensor:
    """Tensors are immutable: whether `copy` or not makes no difference."""
    return ops.astype(x, dtype)


def _flatten(x: Tensor, order: str = "C") -> Tensor:
    """All elements in a row, the last axis changing fastest; the only `order` is "C"."""
    return _reshape(x, -1, order=order)


Tensor.sum, Tensor.mean, Tensor.max, Tensor.min = ops.sum, ops.mean, ops.max, ops.min
Tensor.prod, Tensor.var, Tensor.std, Tensor.cumsum = ops.prod, ops.var, ops.std, ops.cumsum
Tensor.any, Tensor.all, Tensor.argmax, Tensor.argmin = ops.any, ops.all, ops.argmax, ops.argmin
Tensor.dot, Tensor.repeat = ops.dot, ops.repeat
Tensor.flatten = Tensor.ravel = _flatten
Tensor.clip, Tensor.astype, Tensor.detach = ops.clip, _astype, ops.detach
Tensor.reshape, Tensor.transpose = _reshape, _transpose
Tensor.squeeze, Tensor.swapaxes = ops.squeeze, ops.swapaxes
Tensor.T = property(ops.transpose)
Tensor.mT = property(lambda x: ops.swapaxes(x, -1, -2))


# NumPy's functions

NUMPY[np.split] = ops.split
NUMPY[np.unstack] = ops.unstack
NUMPY[np.mean] = ops.mean
NUMPY[np.amax] = ops.max
NUMPY[np.amin] = ops.min
NUMPY[np.fabs] = ops.abs
NUMPY[np.positive] = lambda x: x
NUMPY[np.astype] = ops.astype
NUMPY[np.shape] = lambda x: x.shape  # read without a look at the values
NUMPY[np.ndim] = lambda x: x.ndim
NUMPY[np.size] = lambda x, axis=None: x.size if axis is None else x.shape[axis]
NUMPY[np.ravel] = _flatten
NUMPY[np.einsum] = ops.einsum
NUMPY[np.pad] = ops.pad
NUMPY[np.dot], NUMPY[np.tensordot], NUMPY[np.outer] = ops.dot, ops.tensordot, ops.outer
NUMPY[np.var], NUMPY[np.std], NUMPY[np.linalg.norm] = ops.var, ops.std, ops.norm
NUMPY[np.vstack], NUMPY[np.hstack], NUMPY[np.tile] = ops.vstack, ops.hstack, ops.tile
NUMPY[np.diff] = ops.diff
NUMPY[np.zeros_like], NUMPY[np.ones_like] = ops.zeros_like, ops.ones_like

_QUERIES = {
    np.isnan,
    np.isinf,
    np.isfinite,
    np.allclose,
    np.array_equal,
}

_OURS = {"a_min": "min", "a_max": "max", "newshape": "shape"}  # NumPy's option -> ours


def _called(function: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]) -> Any:
    """What `function`, one of NumPy's, is of Tensors: our op, or the answer to a query.

    Raises:
        TypeError: there is no such op, or it has no such argument.
    """
    if function in _QUERIES:
        return function(*map(_plain, args), **{name: _plain(x) for name, x in kwargs.items()})
    if function not in NUMPY:
        raise TypeError(
            f"{_name_of(function)} is not an op of tinygrad_rnn: "
            "write it with tg.ops, or without gradients on t.numpy()"
        )
    ours = NUMPY[function]
    operands = _operands_of(ours)
    if not kwargs and len(args) <= operands:
        return ours(*args)
    return _with_our_names(function, ours, operands, args, kwargs)


def _with_our_names(
    function: Any, ours: Any, operands: int, args: Any, kwargs: Mapping[str, Any]
) -> Any:
    """Call `ours` with NumPy's arguments: operands by their places, options by their names."""
    # NumPy has held the arguments against its signature before it asks us.
    bound = (_SIGNATURES.get(function) or inspect.signature(function)).bind(*args, **kwargs)
    given = bound.arguments
    # np.pad(x, 1, **kwargs) and np.einsum(*operands)
    given |= given.pop("kwargs", {})
    known = _names_of(ours)
    positional: list[Any] = list(given.pop("operands", ()))
    options: dict[str, Any] = {}
    for place, (name, value) in enumerate(given.items(), len(positional)):
        name = _OURS.get(name, name)
        if place < operands:
            positional.append(value)
        elif name in known:
            options[name] = value
        elif not (value is None or (name, value) in _NO_DIFFERENCE):
            raise TypeError(f"{_name_of(function)}: {name}={value!r} is not supported here")
    return ours(*positional, **options)


# Of functions in C, which tell theirs from NumPy 2.4 on.
_SIGNATURES = {
    np.concatenate: inspect.signature(
        lambda arrays, /, axis=0, out=None, *, dtype=None, casting="same_kind": None
    ),
    np.where: inspect.signature(lambda condition, x=None, y=None, /: None),
    np.dot: inspect.signature(lambda a, b, out=None: None),
}

# What an immutable Tensor does in any case.
_NO_DIFFERENCE = (
    ("order", "C"), ("order", "K"), ("copy", True), ("copy", False), ("subok", True),
    ("subok", False),
)  # fmt: skip


def _plain(x: Any) -> Any:
    return x.data if isinstance(x, Tensor) else x


def _operands_of(ours: Any) -> int:
    op = getattr(ours, "op", None)
    return 1 if op is None or op.variadic else len(op.vjps)


@cache
def _names_of(ours: Any) -> frozenset[str]:
    return frozenset(inspect.signature(ours).parameters)


def _name_of(function: Any) -> str:
    """As people write it: np.tanh, np.linalg.norm."""
    module = getattr(function, "__module__", None) or "numpy"
    return f"{module.replace('numpy', 'np', 1)}.{function.__name__}"


def _refuse_out(name: str, kwargs: Mapping[str, Any]) -> None:
    if kwargs.get("out") is not None:
        raise OpError(
            f"{name}: out= would write into an array and lose the gradient, as array += t does; "
            "use the result: array = array + t"
        )


def _array_function(self: Tensor, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
    _refuse_out(_name_of(function), kwargs)
    return _called(function, args, kwargs)


def _array_ufunc(self: Tensor, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    name = f"np.{ufunc.__name__}"
    _refuse_out(name, kwargs)
    if method != "__call__":
        raise TypeError(
            f"{name}.{method} is not an op of tinygrad_rnn: "
            "write it with tg.ops, or without gradients on t.numpy()"
        )
    if kwargs:
        raise TypeError(f"{name}: {', '.join(kwargs)}= is not supported here")
    return _called(ufunc, inputs, {})


def _array(self: Tensor, dtype: Any = None, copy: bool | None = None) -> Any:
    """An array of the values, for a tensor through which no gradient could be lost.

    Raises:
        OpError: it requires a gradient, and gradients are recorded.
    """
    if self.requires_grad and STATE.get().recording:
        raise OpError(
            f"np.array(t), a[i] = t, np.sum([t, …]): {describe(self)} requires a gradient, which "
            "an array would lose; write tg.ops.stack(ts), and tg.ops.stack(ts).mean() for the mean "
            "of a list, or t.numpy() for the values alone"
        )
    return np.array(self.data, dtype=dtype, copy=copy)


def _refuse_masked(self: Tensor) -> Any:
    """NumPy asks for it where a masked array meets something, whose `_data` it takes as it is."""
    raise OpError(
        f"np.ma: {describe(self)} and a masked array, whose result would be another masked array: "
        "fill it first, or write np.where(mask, 0, t)"
    )


Tensor._mask = property(_refuse_masked)
Tensor.__array__ = _array
Tensor.__array_ufunc__ = _array_ufunc
Tensor.__array_function__ = _array_function
