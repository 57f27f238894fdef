"""Tensor: an array, and how it was made."""

import itertools
import operator
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import GradientError, OpError, describe, require
from .state import STATE, Scope, notify

Array: TypeAlias = NDArray[Any]
Inputs: TypeAlias = "tuple[Tensor | None, ...]"  # None stands for a Python number
Axis: TypeAlias = int | tuple[int, ...] | None

creation_ids = itertools.count()


def _of_data(attribute: str) -> Any:
    return property(operator.attrgetter(f"_data.{attribute}"))


class Tensor:
    """An immutable array in a graph of operations.

    A tensor is a *leaf* (made by the user, `op is None`) or the output of an op, and then it keeps
    what its backward needs: the op, its input tensors, and the very arrays that the forward saw.
        Binding `leaf.data` to another
    array therefore never changes a gradient of a forward that has already run.

    Use `tinygrad_rnn.tensor` to make one.
    """

    __slots__ = (
        "__weakref__", "_data", "_grad", "_hooks", "arrays", "id", "inputs", "name", "op", "options",
        "requires_grad", "retains_grad", "scope")  # fmt: skip

    def __init__(
        self, data: Any, *, dtype: Any = None, requires_grad: bool = False, name: str | None = None
    ) -> None:
        self._data = freeze(data, dtype, requires_grad)
        self._grad: Tensor | None = None
        self._hooks: list[Callable[[Tensor], Tensor | None]] | None = None
        self.id = next(creation_ids)  # creation order is a topological order of the graph
        self.name, self.requires_grad, self.retains_grad = name, requires_grad, False
        self.scope: Scope | None = STATE.get().scope
        self.op: Any = None  # the Op that made it
        self.inputs: Inputs = ()
        self.arrays: tuple[
            Any, ...
        ] = ()  # what the forward saw: one array or Python number per input
        self.options: dict[str, Any] = {}

    # What it holds

    @property
    def data(self) -> Array:
        """The values, read-only. Bind a leaf's `data` to another array to change it."""
        return self._data if (capture := STATE.get().capture) is None else capture.leaving(self)

    @data.setter
    def data(self, value: Any) -> None:
        require(
            self.op is None,
            GradientError,
            "data: {} is a result, and stays what it is; detach() it first",
            self,
        )
        before, after = self._data, freeze(value, None, self.requires_grad)
        require(
            after.shape == before.shape,
            OpError,
            "data: {} cannot take values of shape {}",
            self,
            after.shape,
        )
        self._data = after
        notify("update", self, before, after)

    @property
    def grad(self) -> "Tensor | None":
        """∂L/∂self, accumulated by `backward()`; None before the first."""
        return self._grad if (capture := STATE.get().capture) is None else capture.gradient_of(self)

    @grad.setter
    def grad(self, value: Any) -> None:
        gradient = value if value is None or isinstance(value, Tensor) else Tensor(value)
        if gradient is not None:
            require(
                gradient.shape == self.shape,
                OpError,
                "grad: {} cannot have the gradient {}",
                self,
                gradient,
            )
        if (
            gradient is None or STATE.get().capture is not None
        ):  # who records: what was there is gone in both cases
            notify("zero", self)
        self._grad = gradient

    shape: tuple[int, ...] = _of_data("shape")
    ndim: int = _of_data("ndim")
    dtype: np.dtype[Any] = _of_data("dtype")
    size: int = _of_data("size")
    is_leaf: Any = property(
        lambda self: self.op is None, doc="True when no recorded op made this tensor."
    )

    def item(self) -> Any:
        """The one value as a Python number.

        Raises:
            OpError: there is not exactly one.
        """
        require(
            self.size == 1,
            OpError,
            "item: {} holds {} values, not one; reduce it first",
            self,
            self.size,
        )
        return self.data.item()

    def numpy(self) -> Array:
        """The values as a read-only array: an explicit detach."""
        return self.data

    # Gradients

    def backward(self, gradient: Any = None) -> None:
        """Add ∂self/∂leaf to `leaf.grad` for every leaf that requires a gradient; see `backward.backward`."""
        _backward.backward(self, gradient)

    def retain_grad(self) -> None:
        """Make `backward()` fill `.grad` of this tensor too, though it is not a leaf.

        Raises:
            GradientError: it requires no gradient.
        """
        require(self.requires_grad, GradientError, "retain_grad: {} requires no gradient", self)
        self.retains_grad = True

    def register_hook(self, hook: "Callable[[Tensor], Tensor | None]") -> Callable[[], None]:
        """Call `hook(gradient)` when this tensor's gradient is complete; what it returns replaces the gradient.

        What the hook computes has no history, unless the pass is one of `grad` with `create_graph`.
        Returns a function that removes the hook.

        Raises:
            GradientError: the tensor requires no gradient.
        """
        require(self.requires_grad, GradientError, "register_hook: {} requires no gradient", self)
        hooks = self._hooks = self._hooks or []
        hooks.append(hook)
        return lambda: hooks.remove(hook) if hook in hooks else None

    # Python's protocols

    def __repr__(self) -> str:
        body = np.array2string(self._data, separator=", ", prefix="tensor(")
        dtype = "" if self.dtype.name in ("float64", "int64", "bool") else f", dtype={self.dtype}"
        made = (
            f", op={self.op.name}"
            if self.op
            else ", requires_grad=True"
            if self.requires_grad
            else ""
        )
        return f"tensor({body}{dtype}{made}{f', name={self.name!r}' if self.name else ''})"

    def __bool__(self) -> bool:
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        return operator.index(self.item())

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> "Iterator[Tensor]":
        return (self[i] for i in range(len(self)))

    def __contains__(self, value: Any) -> bool:
        return bool(np.any(self.data == np.asarray(value)))

    def __setitem__(self, index: object, value: object) -> None:
        fix = "write t = tg.ops.where(mask, v, t), tg.ops.stack a list of rows, or bind t.data to another array"
        raise OpError(f"t[...] = v: {describe(self)} is immutable; {fix}")

    def __reduce__(self) -> Any:
        require(
            self.op is None,
            GradientError,
            "copy: {} has a graph, which cannot be copied; detach() it first",
            self,
        )
        made = partial(type(self), requires_grad=self.requires_grad, name=self.name)
        return made, (self.data,), (None, {"_grad": self._grad})

    __hash__ = object.__hash__  # by identity: == compares elementwise

    # NumPy's protocols

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self.data, dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return self.__array_function__(
            ufunc if method == "__call__" else getattr(ufunc, method), (), inputs, kwargs
        )

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        require(
            kwargs.get("out") is None,
            OpError,
            "{}: out= would write into a tensor; use the result",
            func.__name__,
        )
        return ops.from_numpy(func)(*args, **kwargs)

    # Operators and methods: most are the ops of ops.py, bound there without a call in between

    def reshape(self, *shape: Any) -> "Tensor":
        return ops.reshape(self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> "Tensor":
        return ops.transpose(self, axes[0] if len(axes) == 1 else axes or None)

    if TYPE_CHECKING:  # what they are bound to there, for editors

        def _op(self, *args: Any, **options: Any) -> "Tensor": ...

        __neg__ = __abs__ = __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = (
            __truediv__
        ) = _op
        __rtruediv__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = __getitem__ = __lt__ = (
            __le__
        ) = __gt__ = _op
        __ge__ = sum = mean = max = min = clip = detach = astype = squeeze = swapaxes = _op
        __eq__ = __ne__ = _op  # pyright: ignore[reportAssignmentType]
        T = mT = property(_op)


def tensor(
    data: Any, *, dtype: Any = None, requires_grad: bool = False, name: str | None = None
) -> Tensor:
    """Make a leaf tensor from a copy of `data`.

    Args:
        data: a number, a nested sequence of numbers or an array: floats, integers or booleans of
            any shape.
        dtype: as NumPy's; Python floats give float64.
        requires_grad: whether `backward()` shall fill `.grad`; floats only.
        name: what diagrams and the debugger call it.

    Raises:
        OpError: ragged, non-numeric or object data, a generator, or integers that require a
            gradient.

    >>> tensor([1.0, 2.0], requires_grad=True, name="x")
    tensor([1., 2.], requires_grad=True, name='x')
    """
    return Tensor(data, dtype=dtype, requires_grad=requires_grad, name=name)


def freeze(data: Any, dtype: Any = None, requires_grad: bool = False) -> Array:
    """A read-only array of the values of `data` that nobody else can write into."""
    _refuse_graph_in(data)
    try:
        array: Array = data.data if isinstance(data, Tensor) else np.array(data)
        array = array if dtype is None else array.astype(dtype)
    except (ValueError, TypeError, OverflowError) as error:
        raise OpError(f"tensor: {type(data).__name__} is no array of numbers: {error}") from None
    kind, facts = array.dtype.kind, (type(data).__name__, array.dtype, array.shape)
    require(
        kind in "fiub", OpError, "tensor: a {} of dtype {}, shape {} is no array of numbers", *facts
    )
    rule = "tensor: only floats can require a gradient, not a {} of dtype {}, shape {}; pass dtype=float"
    require(kind == "f" or not requires_grad, OpError, rule, *facts)
    array.flags.writeable = False
    return array


def _refuse_graph_in(data: Any) -> None:
    """A list of tensors would silently lose its gradients."""
    for part in data if type(data) in (list, tuple) else ():
        kept = not getattr(part, "requires_grad", False)
        require(
            kept,
            OpError,
            "tensor: the list holds {}, whose gradient would be lost; use tg.ops.stack",
            part,
        )
        _refuse_graph_in(part)


from . import backward as _backward  # noqa: E402  (they need the class above)
from . import ops  # noqa: E402
