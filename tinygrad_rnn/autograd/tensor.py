"""Tensor: an array, and how it was made.

Operators, methods that are ops, and NumPy's functions on Tensors are bound in `protocols.py`;
`backward` at the end of `backward.py`.
"""

# pyright: reportPrivateUsage=false

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from ..errors import GradientError, OpError, cut, describe
from .methods import Array, Methods
from .origin import Origin
from .state import STATE, Scope, notify

Inputs: TypeAlias = "tuple[Tensor | None, ...]"  # None stands for a Python number

creation_ids = itertools.count()

_IMMUTABLE = (
    "t[...] = v: {} is immutable; write t = tg.ops.where(mask, v, t), "
    "tg.ops.stack a list of rows, or bind t.data to another array"
)


class Tensor(Methods["Tensor"]):
    """An immutable array in a graph of operations.

    A tensor is a *leaf* (made by the user, `op is None`) or the output of an op. The output keeps
    what its backward needs: the op, its input tensors, and the very arrays that the forward saw.
    Binding `leaf.data` to another array therefore never changes a gradient of a forward that has
    already run.

    Use `tinygrad_rnn.tensor` to make one.
    """

    __slots__ = (
        "__weakref__", "_data", "_grad", "_hooks", "_name", "_requires_grad", "arrays", "id",
        "inputs", "op", "options", "origin", "retains_grad", "scope",
    )  # fmt: skip

    def __init__(
        self,
        data: Any,
        *,
        dtype: Any = None,
        requires_grad: bool = False,
        name: str | None = None,
    ) -> None:
        self._data = freeze(data, dtype, requires_grad)
        self.origin = Origin.of(data)
        self._grad: Tensor | None = None
        self._hooks: list[Callable[[Tensor], Tensor | None]] | None = None
        self.id = next(creation_ids)  # creation order is a topological order of the graph
        self.name = name
        self._requires_grad = requires_grad
        self.retains_grad = False
        self.scope: Scope | None = STATE.get().scope
        self.op: Any = None  # the Op that made it
        self.inputs: Inputs = ()
        self.arrays: tuple[Any, ...] = ()  # what the forward saw: an array or number per input
        self.options: dict[str, Any] = {}

    # What it holds

    @property
    def data(self) -> Array:
        """The values, read-only. Bind a leaf's `data` to another array to change it."""
        if STATE.get().observers:
            notify("read", self, "data")
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        if self.op is not None:
            raise GradientError(
                f"data: {describe(self)} is a result, and cannot be changed; detach() it first"
            )
        after = freeze(value)
        if after.shape != self.shape:
            raise OpError(f"data: {describe(self)} cannot take values of shape {after.shape}")
        if not np.can_cast(after.dtype, self.dtype, "same_kind"):
            raise OpError(
                f"data: {describe(self)} cannot take values of dtype {after.dtype}; astype() them"
            )
        self.bind(after.astype(self.dtype, copy=False))

    def bind(self, array: Array) -> None:
        """Make `array`, which nobody else may write into, the values of this leaf."""
        array.flags.writeable = False
        before, self._data = self._data, array
        notify("update", self, before, array)

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient is computed for it; can be switched on and off for a leaf.

        Raises:
            OpError: an integer cannot require a gradient.
            GradientError: a result requires what its operands require; use detach().
        """
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self.op is not None and not value:
            raise GradientError(
                f"requires_grad: {describe(self)} is a result, and its operands need its gradient; "
                "use detach()"
            )
        if value not in (True, False):
            raise TypeError(f"requires_grad: it is True or False, not {value!r}")
        if value:
            _require_floats(self._data, self._data)
        self._requires_grad = bool(value)

    @property
    def grad(self) -> "Tensor | None":
        """∂L/∂self, accumulated by `backward()`; None before the first."""
        if STATE.get().observers:
            notify("read", self, "grad")
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is None:
            notify("zero", self)
            self._grad = None
            return
        gradient = value if isinstance(value, Tensor) else Tensor(value)
        if gradient.shape != self.shape:
            raise OpError(f"grad: {describe(self)} cannot have the gradient {describe(gradient)}")
        if gradient.dtype != self.dtype:
            gradient = gradient.astype(self.dtype)
        notify("replace", self, gradient)
        self._grad = gradient

    @property
    def name(self) -> str | None:
        """What diagrams, the debugger and errors call it."""
        return self._name

    @name.setter
    def name(self, name: str | None) -> None:
        if not (name is None or isinstance(name, str)):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"name: a tensor's name is a str, not {type(name).__name__}")
        self._name = None if name is None else cut(str.__str__(name))

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

    # Gradients

    def retain_grad(self) -> None:
        """Make `backward()` fill `.grad` of this tensor too, though it is not a leaf.

        Raises:
            GradientError: it requires no gradient.
        """
        if not self.requires_grad:
            raise GradientError(f"retain_grad: {describe(self)} requires no gradient")
        self.retains_grad = True

    def register_hook(self, hook: "Callable[[Tensor], Tensor | None]") -> Callable[[], None]:
        """Call `hook(gradient)` once this gradient is complete; what it returns replaces it.

        What the hook computes has no history, unless the pass is one of `grad` with `create_graph`.
        Returns a function that removes the hook.

        Raises:
            GradientError: the tensor requires no gradient.
        """
        if not self.requires_grad:
            raise GradientError(f"register_hook: {describe(self)} requires no gradient")
        hooks = self._hooks = self._hooks or []
        hooks.append(hook)

        def remove() -> None:
            if hook in hooks:
                hooks.remove(hook)

        return remove

    # Python's protocols

    def __setitem__(self, index: object, value: object) -> None:
        raise OpError(_IMMUTABLE.format(describe(self)))

    def __reduce__(self) -> Any:
        if self.op is not None:
            raise GradientError(
                f"copy: {describe(self)} has a graph, which cannot be copied; detach() it first"
            )
        made = partial(type(self), requires_grad=self.requires_grad, name=self.name)
        return made, (self.data,), (None, {"_grad": self._grad})

    __hash__ = object.__hash__  # by identity: == compares elementwise


def tensor(
    data: Any, *, dtype: Any = None, requires_grad: bool = False, name: str | None = None
) -> Tensor:
    """Make a leaf tensor from a copy of `data`.

    Args:
        data: a number, a nested sequence of numbers or an array: floats, integers or booleans of
            any shape. Of a Tensor its values: without `requires_grad` what `detach()` gives.
        dtype: as NumPy's; Python floats give float64.
        requires_grad: whether `backward()` fills `.grad`; floats only.
        name: what diagrams and the debugger call it.

    Raises:
        OpError: ragged, non-numeric or object data, a generator, or integers that require a
            gradient.

    >>> tensor([1.0, 2.0], requires_grad=True, name="x")
    tensor([1., 2.], requires_grad=True, name='x')
    """
    if isinstance(data, Tensor) and not requires_grad and dtype in (None, data.dtype):
        made = data.detach()  # frozen values need no copy, and whoever looks on sees where they go
        made.name = name
        return made
    return Tensor(data, dtype=dtype, requires_grad=requires_grad, name=name)


def adopt(array: Any) -> Tensor:
    """A leaf that holds what a pass computed: the array itself, frozen, if no tensor has it yet.

    A frozen array belongs to a tensor, and a view keeps the whole of its base alive: both are
    copied.
    """
    if type(array) is not np.ndarray or array.base is not None or not array.flags.writeable:
        return Tensor(array)
    array.setflags(False)  # pyright: ignore[reportCallIssue]  (a keyword takes twice as long)
    made = object.__new__(Tensor)
    made._data, made.id, made.scope = array, next(creation_ids), STATE.get().scope
    made._grad = made._hooks = made._name = made.op = None
    made.retains_grad = made._requires_grad = False
    made.inputs = made.arrays = ()
    made.options = {}
    return made


def freeze(data: Any, dtype: Any = None, requires_grad: bool = False) -> Array:
    """A read-only array of the values of `data` that nobody else can write into."""
    _refuse_graph_in(data)
    if type(data) is not np.ndarray and hasattr(data, "mask") and hasattr(data, "filled"):
        raise OpError(
            "tensor: a masked array has values that do not count; fill or drop them first"
        )
    try:
        array: Array = data.data if isinstance(data, Tensor) else np.array(data)
        if dtype is not None:
            array = array.astype(dtype)
    except (ValueError, TypeError, OverflowError) as error:
        raise OpError(
            f"tensor: {type(data).__name__} is not an array of numbers: {error}"
        ) from None
    if array.dtype.kind not in "fiub":
        raise OpError(f"tensor: {_facts_of(data, array)} is not an array of numbers")
    if requires_grad:
        _require_floats(data, array)
    if isinstance(data, np.ndarray):
        notify("taken", data)
    array.setflags(False)  # pyright: ignore[reportCallIssue]  (a keyword takes twice as long)
    return array


def _require_floats(data: Any, array: Array) -> None:
    if array.dtype.kind != "f":
        raise OpError(
            f"tensor: only floats can require a gradient, not {_facts_of(data, array)}; "
            "pass dtype=float"
        )


def _facts_of(data: Any, array: Array) -> str:
    return f"a {type(data).__name__} of dtype {array.dtype}, shape {array.shape}"


def _refuse_graph_in(data: Any) -> None:
    """A list of tensors would silently lose its gradients."""
    if type(data) not in (list, tuple):
        return
    for part in data:
        if getattr(part, "requires_grad", False):
            raise OpError(
                f"tensor: the list holds {describe(part)}, whose gradient would be lost; "
                "use tg.ops.stack"
            )
        _refuse_graph_in(part)
