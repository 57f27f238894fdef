"""The manual of the op table: what each op computes, its gradient, an example and its check."""

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .autograd import ops
from .autograd.backward import grad
from .autograd.op import NUMPY, Op
from .autograd.tensor import Array, Tensor
from .check import gradcheck, gradgradcheck
from .errors import OpError, TinygradError

_ROW, _OTHER = [0.5, -1.0, 2.0], [2.0, 3.0, -0.5]
_TABLE = [[1.0, -2.0, 0.5], [0.3, 4.0, -1.0]]

_OF_BOOLEANS = (
    "logical_and", "logical_or", "logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor",
)  # fmt: skip

_STEPS = ("floor", "ceil", "rint", "trunc")  # whose jumps are at whole numbers
_OF_SMALL_NUMBERS = ("arcsin", "arccos", "arctanh", "tan")

# The example of an op that takes options, or that the two rows above do not show.
_EXAMPLES: Mapping[str, tuple[Sequence[Any], Mapping[str, Any]]] = {
    "pow": (([0.5, 1.0, 2.0], _OTHER), {}),
    "log": (([0.5, 1.0, 2.0],), {}),
    "sqrt": (([0.25, 1.0, 4.0],), {}),
    **{name: (([0.4, -1.2, 2.7],), {}) for name in _STEPS},
    **{name: (([0.5, -0.3, 0.0],), {}) for name in _OF_SMALL_NUMBERS},
    "log1p": (([0.5, 1e-9, 2.0],), {}),
    "arccosh": (([1.5, 2.0, 4.0],), {}),
    "remainder": (([0.5, -1.0, 2.0], [2.0, 3.0, -0.7]), {}),
    "fmod": (([0.5, -1.0, 2.0], [2.0, 3.0, -0.7]), {}),
    "matmul": ((_TABLE, [[1.0, 0.0], [2.0, -1.0], [0.0, 3.0]]), {}),
    "linear": ((_TABLE, [[1.0, 2.0, 0.0], [0.0, -1.0, 3.0]]), {}),
    "where": (([True, False, True], _ROW, _OTHER), {}),
    "clip": ((_ROW,), {"min": -0.5, "max": 1.5}),
    **{name: (([True, False], [True, True]), {}) for name in _OF_BOOLEANS},
    "logical_not": (([True, False],), {}),
    "invert": (([True, False],), {}),
    "any": (([[False, True], [False, False]],), {"axis": 1}),
    "all": (([[False, True], [True, True]],), {"axis": 1}),
    "sum": ((_TABLE,), {"axis": 1}),
    "mean": ((_TABLE,), {"axis": 1}),
    "max": ((_TABLE,), {"axis": 1}),
    "min": ((_TABLE,), {"axis": 1}),
    "prod": ((_TABLE,), {"axis": 1}),
    "cumsum": ((_TABLE,), {"axis": 1}),
    "argmax": ((_TABLE,), {"axis": 1}),
    "argmin": ((_TABLE,), {"axis": 1}),
    "gelu": ((_ROW,), {"approximate": "none"}),
    "isclose": ((_ROW, [0.5, -1.1, 2.0]), {"rtol": 1e-5}),
    "einsum": ((_TABLE, [[1.0, 0.0], [2.0, -1.0], [0.0, 3.0]]), {"subscripts": "ij,jk->ik"}),
    "flip": ((_ROW,), {"axis": 0}),
    "roll": ((_ROW,), {"shift": 1}),
    "repeat": ((_ROW,), {"repeats": 2}),
    "pad": ((_ROW,), {"pad_width": (1, 2)}),
    "take_along_axis": ((_TABLE, [[0, 2, 2], [1, 0, 1]]), {"axis": 1}),
    "one_hot": (([2, 0],), {"num_classes": 3}),
    "reshape": ((_TABLE,), {"shape": (3, 2)}),
    "transpose": ((_TABLE,), {}),
    "swapaxes": ((_TABLE,), {"axis1": 0, "axis2": 1}),
    "broadcast_to": ((_ROW,), {"shape": (2, 3)}),
    "squeeze": (([_ROW],), {}),
    "expand_dims": ((_ROW,), {"axis": 0}),
    "astype": ((_ROW,), {"dtype": np.float64}),
    "getitem": ((_ROW,), {"index": slice(1, None)}),
    "embedding": ((_TABLE, [1, 0, 1]), {}),
    "scatter": ((_ROW, _OTHER), {"indices": (slice(0, 3), slice(1, 4)), "shape": (4,)}),
    "cross_entropy": ((_TABLE, [0, 1]), {}),
}


# What Python's operators call.
_OPERATORS = {
    "@": "matmul", "+": "add", "-": "sub", "*": "mul", "/": "div", "//": "floor_divide",
    "%": "remainder", "**": "pow", "[]": "getitem", "~": "invert", "&": "bitwise_and",
    "|": "bitwise_or", "^": "bitwise_xor", "==": "equal", "!=": "not_equal", "<": "less",
    "<=": "less_equal", ">": "greater", ">=": "greater_equal",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """An op of the table: its names, and its rule in one paragraph."""

    name: str
    numpy: str | None  # what NumPy calls it
    rule: str
    function: Callable[..., Tensor]

    @property
    def op(self) -> Op:
        return self.function.op  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Example:
    """An op at work: y from the inputs, and from a cotangent ȳ that of each input.

    None stands for the cotangent of an input in which the op is not differentiable.
    """

    inputs: tuple[Array, ...]
    options: Mapping[str, Any]
    output: Array
    cotangent: Array | None
    gradients: tuple[Array | None, ...]


def table() -> list[Entry]:
    """Every op, in the order of the page."""
    served = {
        ours: function.__name__
        for function, ours in reversed(NUMPY.items())
        if getattr(np, function.__name__, None) is function
    }
    entries: list[Entry] = []
    for name, function in vars(ops).items():
        if isinstance(getattr(function, "op", None), Op) and not name.startswith("_"):
            rule = (inspect.getdoc(function) or "").partition("\n\n")[0]
            entries.append(Entry(name, served.get(function), rule, function))
    return entries


def find(name: str) -> Entry:
    """The op of that name, ours or NumPy's: "tanh", "tg.ops.tanh", "np.divide", or "/" of Python.

    Raises:
        OpError: there is none; says which names are close.
    """
    entries = {entry.numpy: entry for entry in table() if entry.numpy}
    entries |= {entry.name: entry for entry in table()}
    asked, name = name, _OPERATORS.get(name, name.rpartition(".")[2])
    if name not in entries:
        close = " or ".join(difflib.get_close_matches(name, entries))
        hint = f"did you mean {close}?" if close else "`explain` alone lists the table"
        raise OpError(f"no op {asked!r}: {hint}")
    return entries[name]


def source(entry: Entry) -> str:
    """The op as it stands in the engine: the formulas of its gradient, and its forward."""
    named = [rule for rule in entry.op.vjps if rule is not None and rule.__name__ != "<lambda>"]
    functions = [*dict.fromkeys(named), inspect.unwrap(entry.function)]
    return "\n\n".join(inspect.getsource(function).rstrip() for function in functions)


def example(entry: Entry) -> Example:
    """The op on a few numbers, forward and backward.

    The elements of ȳ are 1, 2, 3 …, so that they can be told apart.
    """
    tensors, options = _operands(entry)
    inputs = tuple(t.data for t in tensors)
    y = _call(entry, tensors, options)
    if not y.requires_grad:
        return Example(inputs, options, y.data, None, (None,) * len(tensors))
    cotangent = np.arange(1.0, y.size + 1).reshape(y.shape)
    gradients = tuple(grad(y, t, cotangent).data if t.requires_grad else None for t in tensors)
    return Example(inputs, options, y.data, cotangent, gradients)


def verdicts(entry: Entry) -> dict[str, str]:
    """Both derivatives of the example against central differences: "ok", or what is wrong."""
    tensors, options = _operands(entry)
    if not any(t.requires_grad for t in tensors):
        return {}
    found: dict[str, str] = {}
    for what, check in (("first derivative", gradcheck), ("second derivative", gradgradcheck)):
        try:
            check(lambda *operands: _call(entry, operands, options), tensors)
            found[what] = "ok"
        except TinygradError as error:
            found[what] = str(error)
    return found


def _operands(entry: Entry) -> tuple[list[Tensor], Mapping[str, Any]]:
    arity = 2 if entry.op.variadic else len(entry.op.vjps)
    values, options = _EXAMPLES.get(entry.name, ((_ROW, _OTHER)[:arity], {}))
    tensors = [
        Tensor(value, requires_grad=entry.op.differentiable(slot))
        for slot, value in enumerate(values)
    ]
    return tensors, options


def _call(entry: Entry, tensors: Sequence[Tensor], options: Mapping[str, Any]) -> Tensor:
    assert entry.op.function is not None
    return entry.op.function(*entry.op.given(tensors), **options)
