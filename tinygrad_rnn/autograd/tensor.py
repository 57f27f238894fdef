"""Tensor: an array, and how it was made."""

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import GradientError, OpError
from .scope import STATE, Scope

if TYPE_CHECKING:
    from .op import Op

Array: TypeAlias = NDArray[Any]
Inputs: TypeAlias = "tuple[Tensor | None, ...]"  # None stands for a Python number
Axis: TypeAlias = int | tuple[int, ...] | None

creation_ids = itertools.count()


class Tensor:
    """An immutable array in a graph of operations.

    A tensor is a *leaf* (made by the user, `op is None`) or the output of an op, and then it keeps what its backward
    needs: the op, its input tensors, and the very arrays that the forward saw. Binding `leaf.data` to another
    array therefore never changes a gradient of a forward that has already run.

    Use `tinygrad_rnn.tensor` to make one.
    """

    __slots__ = (
        "__weakref__",
        "_data",
        "_grad",
        "_hooks",
        "arrays",
        "id",
        "inputs",
        "name",
        "op",
        "options",
        "requires_grad",
        "retains_grad",
        "scope",
    )

    _data: Array
    _grad: "Tensor | None"
    _hooks: "list[Callable[[Tensor], Tensor | None]] | None"
    arrays: tuple[Any, ...]  # what the forward saw: one array or Python number per input
    id: int  # creation order, which is a topological order of the graph
    inputs: Inputs
    name: str | None
    op: "Op | None"
    options: dict[str, Any]
    requires_grad: bool
    retains_grad: bool
    scope: Scope | None

    def __init__(
        self, data: Any, *, dtype: Any = None, requires_grad: bool = False, name: str | None = None
    ) -> None:
        self._data = freeze(data, dtype)
        if requires_grad and self._data.dtype.kind != "f":
            raise OpError(
                f"tensor: only floats can require a gradient, got dtype {self._data.dtype} with shape "
                f"{self._data.shape}; pass dtype=float or write the numbers as 1.0"
            )
        self._grad = None
        self._hooks = None
        self.arrays = self.inputs = ()
        self.id = next(creation_ids)
        self.name = name
        self.op = None
        self.options = {}
        self.requires_grad = requires_grad
        self.retains_grad = False
        self.scope = STATE.get().scope

    # What it holds

    @property
    def data(self) -> Array:
        """The values, read-only. Bind a leaf's `data` to another array to change it."""
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        if self.op is not None:
            raise GradientError(
                f"{describe(self)} is the result of {self.op.name}: its data cannot be replaced, since the graph "
                "would no longer say how it was made; detach() it first"
            )
        after = freeze(value)
        if after.shape != self._data.shape:
            raise OpError(
                f"data: {describe(self)} cannot take values of shape {after.shape}; make a new tensor"
            )
        if self.requires_grad and after.dtype.kind != "f":
            raise OpError(f"data: {describe(self)} requires a gradient and cannot take dtype {after.dtype}")
        before, self._data = self._data, after
        for observer in STATE.get().observers:
            observer.update(self, before, after)

    @property
    def grad(self) -> "Tensor | None":
        """∂L/∂self, accumulated by `backward()`; None before the first."""
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is None:
            self._grad = None
            for observer in STATE.get().observers:
                observer.zero(self)
            return
        gradient = value if isinstance(value, Tensor) else Tensor(value)
        if gradient.shape != self.shape:
            raise OpError(f"grad: {describe(self)} cannot have a gradient of shape {gradient.shape}")
        self._grad = gradient

    @property
    def shape(self) -> tuple[int, ...]:
        return self._data.shape

    @property
    def ndim(self) -> int:
        return self._data.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._data.dtype

    @property
    def size(self) -> int:
        return self._data.size

    @property
    def is_leaf(self) -> bool:
        """True when no recorded op made this tensor."""
        return self.op is None

    @property
    def T(self) -> "Tensor":
        """The axes in reverse order."""
        return ops.transpose(self)

    @property
    def mT(self) -> "Tensor":
        """The last two axes swapped."""
        return ops.swapaxes(self, -1, -2)

    def item(self) -> Any:
        """The one value as a Python number; OpError when there is not exactly one."""
        if self.size != 1:
            raise OpError(f"item: {describe(self)} holds {self.size} values, not one; index it first")
        return self._data.item()

    def numpy(self) -> Array:
        """The values as a read-only array: an explicit detach."""
        return self._data

    # Gradients

    def backward(self, gradient: Any = None) -> None:
        """Add ∂self/∂leaf to `leaf.grad` for every leaf that requires a gradient; see `backward.backward`."""
        _backward.backward(self, gradient)

    def retain_grad(self) -> None:
        """Make `backward()` fill `.grad` of this tensor too, though it is not a leaf."""
        if not self.requires_grad:
            raise GradientError(
                f"retain_grad: {describe(self)} requires no gradient, so it will never have one"
            )
        self.retains_grad = True

    def register_hook(self, hook: "Callable[[Tensor], Tensor | None]") -> Callable[[], None]:
        """Call `hook(gradient)` when this tensor's gradient is complete; what it returns replaces the gradient.

        Returns a function that removes the hook.
        """
        if not self.requires_grad:
            raise GradientError(
                f"register_hook: {describe(self)} requires no gradient, so the hook would never run"
            )
        hooks = self._hooks = [*(self._hooks or ()), hook]
        return lambda: hooks.remove(hook) if hook in hooks else None

    # Python's protocols

    def __repr__(self) -> str:
        body = np.array2string(self._data, separator=", ", prefix="tensor(")
        made = f", op={self.op.name}" if self.op else ", requires_grad=True" if self.requires_grad else ""
        dtype = "" if self.dtype in (np.float64, np.int64, np.bool_) else f", dtype={self.dtype}"
        return f"tensor({body}{dtype}{made}{f', name={self.name!r}' if self.name else ''})"

    def __bool__(self) -> bool:
        if self.size != 1:
            raise OpError(
                f"bool: {describe(self)} holds {self.size} values, not one; use np.any or np.all on .data"
            )
        return bool(self._data.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise TypeError(f"{describe(self)} cannot be an index: it holds no integer")
        return int(self.item())

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError(f"len: {describe(self)} has no axes")
        return len(self._data)

    def __iter__(self) -> "Iterator[Tensor]":
        if self.ndim == 0:
            raise TypeError(f"iter: {describe(self)} has no axes")
        return (self[i] for i in range(len(self)))

    def __contains__(self, value: object) -> bool:
        return value in self._data

    def __setitem__(self, index: object, value: object) -> None:
        raise OpError(
            f"t[...] = v: {describe(self)} is immutable, so that every gradient is that of the forward that was; "
            "write t = tg.ops.where(mask, v, t), build the rows in a list and tg.ops.stack them, or bind t.data"
        )

    def __reduce__(self) -> Any:
        if self.op is not None:
            raise GradientError(
                f"{describe(self)} is the result of {self.op.name}: its graph cannot be copied or pickled; "
                "detach() it first"
            )
        return _rebuild, (
            type(self),
            self._data,
            self.requires_grad,
            self.name,
            self._grad and self._grad.data,
        )

    __hash__ = object.__hash__  # by identity: == compares elementwise

    # NumPy's protocols

    __array_priority__ = 1000

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.array(self._data, dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if kwargs.get("out") is not None:
            raise OpError(f"{ufunc.__name__}: out= would write into a tensor; use the result instead")
        return ops.from_numpy(ufunc if method == "__call__" else getattr(ufunc, method))(*inputs, **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if kwargs.get("out") is not None:
            raise OpError(f"{func.__name__}: out= would write into a tensor; use the result instead")
        return ops.from_numpy(func)(*args, **kwargs)

    # Operators and methods: the ops of ops.py, bound there without a call in between

    def reshape(self, *shape: Any) -> "Tensor":
        return ops.reshape(self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> "Tensor":
        return ops.transpose(self, axes[0] if len(axes) == 1 else axes or None)

    if TYPE_CHECKING:

        def __neg__(self) -> "Tensor": ...
        def __abs__(self) -> "Tensor": ...
        def __add__(self, other: Any) -> "Tensor": ...
        def __radd__(self, other: Any) -> "Tensor": ...
        def __sub__(self, other: Any) -> "Tensor": ...
        def __rsub__(self, other: Any) -> "Tensor": ...
        def __mul__(self, other: Any) -> "Tensor": ...
        def __rmul__(self, other: Any) -> "Tensor": ...
        def __truediv__(self, other: Any) -> "Tensor": ...
        def __rtruediv__(self, other: Any) -> "Tensor": ...
        def __pow__(self, other: Any) -> "Tensor": ...
        def __rpow__(self, other: Any) -> "Tensor": ...
        def __matmul__(self, other: Any) -> "Tensor": ...
        def __rmatmul__(self, other: Any) -> "Tensor": ...
        def __eq__(self, other: Any) -> "Tensor": ...  # type: ignore[override]
        def __ne__(self, other: Any) -> "Tensor": ...  # type: ignore[override]
        def __lt__(self, other: Any) -> "Tensor": ...
        def __le__(self, other: Any) -> "Tensor": ...
        def __gt__(self, other: Any) -> "Tensor": ...
        def __ge__(self, other: Any) -> "Tensor": ...
        def __getitem__(self, index: Any) -> "Tensor": ...
        def sum(self, axis: Axis = None, keepdims: bool = False) -> "Tensor": ...
        def mean(self, axis: Axis = None, keepdims: bool = False) -> "Tensor": ...
        def max(self, axis: Axis = None, keepdims: bool = False) -> "Tensor": ...
        def min(self, axis: Axis = None, keepdims: bool = False) -> "Tensor": ...
        def swapaxes(self, axis1: int, axis2: int) -> "Tensor": ...
        def squeeze(self, axis: Axis = None) -> "Tensor": ...
        def clip(self, min: Any = None, max: Any = None) -> "Tensor": ...
        def astype(self, dtype: Any) -> "Tensor": ...
        def detach(self) -> "Tensor": ...


def tensor(data: Any, *, dtype: Any = None, requires_grad: bool = False, name: str | None = None) -> Tensor:
    """Make a leaf tensor from a copy of `data`.

    Args:
        data: a number, a nested sequence of numbers or an array: floats, integers or booleans of any shape.
        dtype: as NumPy's; Python floats give float64.
        requires_grad: whether `backward()` shall fill `.grad`; floats only.
        name: what diagrams and the debugger call it.

    Raises:
        OpError: ragged, non-numeric or object data, a generator, or integers that require a gradient.

    >>> tensor([1.0, 2.0], requires_grad=True, name="x")
    tensor([1., 2.], requires_grad=True, name='x')
    """
    return Tensor(data, dtype=dtype, requires_grad=requires_grad, name=name)


def freeze(data: Any, dtype: Any = None) -> Array:
    """A read-only array of the values of `data` that nobody else can write into."""
    if isinstance(data, Tensor) and dtype in (None, data.dtype):
        return data.data
    _refuse_graph_in(data)
    try:
        array = np.array(data, dtype=dtype)
    except (ValueError, TypeError, OverflowError) as error:
        raise OpError(f"tensor: {type(data).__name__} is no array of numbers: {error}") from None
    if array.dtype.kind not in "fiub":
        raise OpError(
            f"tensor: data must be floats, integers or booleans, got {type(data).__name__} of dtype {array.dtype}; "
            "convert it first (a generator: list(...))"
        )
    array.setflags(False)
    return array


def _refuse_graph_in(data: Any) -> None:
    """A list of tensors would silently lose its gradients."""
    if isinstance(data, list | tuple):
        for part in data:  # type: ignore[reportUnknownVariableType]
            if isinstance(part, Tensor) and part.requires_grad:
                raise OpError(
                    f"tensor: the list holds {describe(part)}, whose gradient would be lost; use tg.ops.stack"
                )
            _refuse_graph_in(part)


def describe(value: Any) -> str:
    """What an error calls an operand: its name or 'a tensor', dtype, shape, and how it was made."""
    if not isinstance(value, Tensor):
        return f"{value!r}"
    made = f" (made by {value.op.name})" if value.op else ""
    return f"{repr(value.name) + ':' if value.name else 'tensor'} {value.dtype} {value.shape}{made}"


def _rebuild(
    cls: type[Tensor], data: Array, requires_grad: bool, name: str | None, grad: Array | None
) -> Tensor:
    made = cls.__new__(cls)
    Tensor.__init__(made, data, requires_grad=requires_grad, name=name)
    made._grad = None if grad is None else Tensor(grad)
    return made


from . import backward as _backward  # noqa: E402  (they need the class above)
from . import ops  # noqa: E402
