"""What each of our ops is in ONNX."""

import math
from typing import Any

import numpy as np

from ...errors import OnnxError
from ...tracing.recording.graph import Node
from .builder import Builder, axes_of, common, own_dtype, writes

# Arithmetic and functions of each number, whose operands have the output's dtype.
_SAME = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "pow": "Pow", "neg": "Neg",
    "tanh": "Tanh", "sigmoid": "Sigmoid", "relu": "Relu", "exp": "Exp", "log": "Log",
    "sqrt": "Sqrt", "abs": "Abs", "sin": "Sin", "cos": "Cos", "tan": "Tan", "sinh": "Sinh",
    "cosh": "Cosh", "arcsin": "Asin", "arccos": "Acos", "arctan": "Atan", "arcsinh": "Asinh",
    "arccosh": "Acosh", "arctanh": "Atanh", "erf": "Erf", "floor": "Floor", "ceil": "Ceil",
    "rint": "Round", "sign": "Sign", "softplus": "Softplus", "maximum": "Max", "minimum": "Min",
    "invert": "BitwiseNot", "bitwise_and": "BitwiseAnd", "bitwise_or": "BitwiseOr",
    "bitwise_xor": "BitwiseXor", "detach": "Identity",
}  # fmt: skip
_COMPARISONS = {
    "equal": "Equal", "less": "Less", "less_equal": "LessOrEqual", "greater": "Greater",
    "greater_equal": "GreaterOrEqual",
}  # fmt: skip
_LOGIC = {
    "logical_and": "And", "logical_or": "Or", "logical_xor": "Xor", "logical_not": "Not",
}  # fmt: skip
_OF_BOOLEANS = {"bitwise_and": "And", "bitwise_or": "Or", "bitwise_xor": "Xor", "invert": "Not"}


@writes(*_SAME)
def same(b: Builder, node: Node) -> str:
    op = _SAME[str(node.op)]
    if node.data.dtype.kind == "b":
        op = _OF_BOOLEANS.get(str(node.op), op)
    return b.add(op, *(b.operand(node, i) for i in range(len(node.inputs))))


@writes(*_COMPARISONS)
def comparison(b: Builder, node: Node) -> str:
    return b.add(_COMPARISONS[str(node.op)], *_compared(b, node))


def _compared(b: Builder, node: Node) -> list[str]:
    dtype = common(node.operands)
    return [b.operand(node, i, dtype) for i in range(2)]


@writes("not_equal")
def not_equal(b: Builder, node: Node) -> str:
    return b.add("Not", b.add("Equal", *_compared(b, node)))


@writes("isclose")
def isclose(b: Builder, node: Node) -> str:
    x, y = (b.operand(node, i, common(node.operands)) for i in range(2))
    dtype = common(node.operands)
    if node.options["equal_nan"] or dtype.kind != "f":
        raise OnnxError("save: isclose of integers, or with equal_nan, has no form in ONNX")
    bound = b.add("Mul", b.add("Abs", y), b.constant(node.options["rtol"], dtype))
    bound = b.add("Add", bound, b.constant(node.options["atol"], dtype))
    return b.add("LessOrEqual", b.add("Abs", b.add("Sub", x, y)), bound)


@writes(*_LOGIC)
def logic(b: Builder, node: Node) -> str:
    return b.add(_LOGIC[str(node.op)], *(b.operand(node, i, bool) for i in range(len(node.inputs))))


@writes("isnan", "isinf")
def finite(b: Builder, node: Node) -> str:
    op = "IsNaN" if node.op == "isnan" else "IsInf"
    return b.add(op, b.operand(node, 0, own_dtype(node, 0)))


@writes("square")
def square(b: Builder, node: Node) -> str:
    x = b.operand(node, 0)
    return b.add("Mul", x, x)


@writes("log1p")
def log1p(b: Builder, node: Node) -> str:
    return b.add("Log", b.add("Add", b.operand(node, 0), b.constant(1, node.data.dtype)))


@writes("expm1")
def expm1(b: Builder, node: Node) -> str:
    return b.add("Sub", b.add("Exp", b.operand(node, 0)), b.constant(1, node.data.dtype))


@writes("trunc")
def trunc(b: Builder, node: Node) -> str:
    x = b.operand(node, 0)
    return b.add("Mul", b.add("Sign", x), b.add("Floor", b.add("Abs", x)))


@writes("erfc")
def erfc(b: Builder, node: Node) -> str:
    return b.add("Sub", b.constant(1, node.data.dtype), b.add("Erf", b.operand(node, 0)))


@writes("log_sigmoid")
def log_sigmoid(b: Builder, node: Node) -> str:
    return b.add("Neg", b.add("Softplus", b.add("Neg", b.operand(node, 0))))


@writes("silu")
def silu(b: Builder, node: Node) -> str:
    x = b.operand(node, 0)
    return b.add("Mul", x, b.add("Sigmoid", x))


@writes("gelu")
def gelu(b: Builder, node: Node) -> str:
    return b.add("Gelu", b.operand(node, 0), approximate=node.options["approximate"])


@writes("remainder", "fmod")
def remainder(b: Builder, node: Node) -> str:
    """With the sign of b: a - floor(a / b) b, which Mod has of integers alone."""
    x, y = (b.operand(node, i) for i in range(2))
    if node.op == "fmod":
        return b.add("Mod", x, y, fmod=1)
    if node.data.dtype.kind != "f":
        return b.add("Mod", x, y)
    return b.add("Sub", x, b.add("Mul", b.add("Floor", b.add("Div", x, y)), y))


@writes("floor_divide")
def floor_divide(b: Builder, node: Node) -> str:
    x, y = (b.operand(node, i) for i in range(2))
    if node.data.dtype.kind == "f":
        return b.add("Floor", b.add("Div", x, y))
    return b.add("Div", b.add("Sub", x, b.add("Mod", x, y)), y)


@writes("where")
def where(b: Builder, node: Node) -> str:
    return b.add("Where", b.operand(node, 0, bool), b.operand(node, 1), b.operand(node, 2))


@writes("clip")
def clip(b: Builder, node: Node) -> str:
    x, dtype = b.operand(node, 0), node.data.dtype
    low, high = node.options["min"], node.options["max"]
    if np.ndim(low) == np.ndim(high) == 0:
        ends = ["" if end is None else b.constant(end, dtype) for end in (low, high)]
        return b.add("Clip", x, *ends)
    x = x if low is None else b.add("Max", x, b.constant(low, dtype))
    return x if high is None else b.add("Min", x, b.constant(high, dtype))


@writes("astype")
def astype(b: Builder, node: Node) -> str:
    x = node.inputs[0]
    assert x is not None
    name = b.cast(b.value(x.id), node.data.dtype)
    return name if name != b.value(x.id).name else b.add("Identity", name)


# Products


@writes("matmul")
def matmul(b: Builder, node: Node) -> str:
    return b.add("MatMul", b.operand(node, 0), b.operand(node, 1))


@writes("linear")
def linear(b: Builder, node: Node) -> str:
    x, W = b.operand(node, 0), b.operand(node, 1)
    if np.ndim(node.operands[0]) == 2:
        return b.add("Gemm", x, W, transB=1)
    return b.add("MatMul", x, b.add("Transpose", W, perm=[1, 0]))


@writes("einsum")
def einsum(b: Builder, node: Node) -> str:
    operands = [b.operand(node, i) for i in range(len(node.inputs))]
    return b.add("Einsum", *operands, equation=node.options["subscripts"].replace(" ", ""))


# Reductions

_REDUCTIONS = {
    "sum": "ReduceSum", "mean": "ReduceMean", "max": "ReduceMax", "min": "ReduceMin",
    "prod": "ReduceProd", "logsumexp": "ReduceLogSumExp",
}  # fmt: skip


@writes(*_REDUCTIONS)
def reduction(b: Builder, node: Node) -> str:
    x = b.operand(node, 0)
    axes = axes_of(node.options["axis"], np.ndim(node.operands[0]))
    if not axes:
        return b.add("Identity", x)
    keepdims = int(bool(node.options["keepdims"]))
    return b.add(_REDUCTIONS[str(node.op)], x, b.integers(axes), keepdims=keepdims)


@writes("any", "all")
def some(b: Builder, node: Node) -> str:
    axes = axes_of(node.options["axis"], np.ndim(node.operands[0]))
    numbers = b.add("Cast", b.operand(node, 0, bool), to=6)
    op = "ReduceMax" if node.op == "any" else "ReduceMin"
    keepdims = int(bool(node.options["keepdims"]))
    if axes:
        numbers = b.add(op, numbers, b.integers(axes), keepdims=keepdims)
    return b.add("Cast", numbers, to=9)


@writes("argmax", "argmin")
def place(b: Builder, node: Node) -> str:
    x = b.operand(node, 0, own_dtype(node, 0))
    axis, keepdims = node.options["axis"], int(bool(node.options["keepdims"]))
    if axis is None:
        x, axis = b.add("Reshape", x, b.integers([-1])), 0
    op = "ArgMax" if node.op == "argmax" else "ArgMin"
    return b.add(op, x, axis=int(axis), keepdims=keepdims)


@writes("cumsum")
def cumsum(b: Builder, node: Node) -> str:
    x, axis = b.operand(node, 0), node.options["axis"]
    if axis is None:
        x, axis = b.add("Reshape", x, b.integers([-1])), 0
    return b.add("CumSum", x, b.constant(np.array(axis, np.int64)))


@writes("softmax", "log_softmax")
def softmax(b: Builder, node: Node) -> str:
    op = "Softmax" if node.op == "softmax" else "LogSoftmax"
    return b.add(op, b.operand(node, 0), axis=int(node.options["axis"]))


@writes("cross_entropy")
def cross_entropy(b: Builder, node: Node) -> str:
    logits = b.operand(node, 0, own_dtype(node, 0))
    targets = b.operand(node, 1, np.int64)
    shape, how = np.shape(node.operands[0]), node.options["reduction"]
    if len(shape) != 2:
        logits = b.add("Reshape", logits, b.integers([math.prod(shape[:-1]), shape[-1]]))
        targets = b.add("Reshape", targets, b.integers([-1]))
    loss = b.add("SoftmaxCrossEntropyLoss", logits, targets, reduction=how)
    if how == "none" and len(shape) != 2:
        loss = b.add("Reshape", loss, b.integers(shape[:-1]))
    return loss


# Shapes


@writes("reshape", "squeeze", "expand_dims")
def reshape(b: Builder, node: Node) -> str:
    x, shape = b.operand(node, 0), node.data.shape
    ndim = np.ndim(node.operands[0])
    if node.op == "squeeze":
        axis = node.options["axis"]
        if axis is None:
            axis = tuple(i for i, n in enumerate(np.shape(node.operands[0])) if n == 1)
        return b.add("Squeeze", x, b.integers(axes_of(axis, ndim)))
    if node.op == "expand_dims":
        return b.add("Unsqueeze", x, b.integers(axes_of(node.options["axis"], len(shape))))
    return b.add("Reshape", x, b.integers(shape), allowzero=int(0 in shape))


@writes("transpose", "swapaxes")
def transpose(b: Builder, node: Node) -> str:
    ndim = node.data.ndim
    if node.op == "swapaxes":
        axes = list(range(ndim))
        i, j = (node.options[name] for name in ("axis1", "axis2"))
        axes[i], axes[j] = axes[j], axes[i]
    else:
        given = node.options["axes"]
        axes = list(range(ndim))[::-1] if given is None else [int(i) % ndim for i in given]
    return b.add("Transpose", b.operand(node, 0), perm=axes)


@writes("broadcast_to")
def broadcast_to(b: Builder, node: Node) -> str:
    return b.add("Expand", b.operand(node, 0), b.integers(node.data.shape))


@writes("flip")
def flip(b: Builder, node: Node) -> str:
    axes = axes_of(node.options["axis"], node.data.ndim)
    lists = ([-1] * len(axes), [-(2**31)] * len(axes), axes, [-1] * len(axes))
    return b.add("Slice", b.operand(node, 0), *map(b.integers, lists))


@writes("roll")
def roll(b: Builder, node: Node) -> str:
    """Wherever each number comes from, taken from a row of all."""
    places = np.arange(node.data.size).reshape(np.shape(node.operands[0]))
    return _taken(b, node, np.roll(places, node.options["shift"], node.options["axis"]))


@writes("repeat")
def repeat(b: Builder, node: Node) -> str:
    places = np.arange(np.size(node.operands[0])).reshape(np.shape(node.operands[0]))
    return _taken(b, node, np.repeat(places, node.options["repeats"], node.options["axis"]))


def _taken(b: Builder, node: Node, places: Any) -> str:
    """Numbers of x by their places in a row."""
    row = b.add("Reshape", b.operand(node, 0), b.integers([-1]))
    return b.add("Gather", row, b.constant(np.asarray(places, np.int64)))


@writes("concatenate")
def concatenate(b: Builder, node: Node) -> str:
    operands = [b.operand(node, i) for i in range(len(node.inputs))]
    axis = node.options["axis"]
    if axis is None:
        operands = [b.add("Reshape", x, b.integers([-1])) for x in operands]
    return b.add("Concat", *operands, axis=int(axis or 0))


@writes("stack")
def stack(b: Builder, node: Node) -> str:
    axis = b.integers([int(node.options["axis"]) % node.data.ndim])
    apart = [b.add("Unsqueeze", b.operand(node, i), axis) for i in range(len(node.inputs))]
    return b.add("Concat", *apart, axis=int(node.options["axis"]) % node.data.ndim)


@writes("pad")
def pad(b: Builder, node: Node) -> str:
    widths = np.broadcast_to(node.options["pad_width"], (node.data.ndim, 2))
    mode = {"constant": "constant", "edge": "edge", "reflect": "reflect", "wrap": "wrap"}
    how, fill = node.options["mode"], node.options["constant_values"]
    if how not in mode or np.size(fill) != 1:
        places = np.arange(np.size(node.operands[0])).reshape(np.shape(node.operands[0]))
        if how == "constant":
            raise OnnxError("save: a pad of several constants has no form in ONNX")
        return _taken(b, node, np.pad(places, node.options["pad_width"], how))
    pads = b.integers([*widths[:, 0].tolist(), *widths[:, 1].tolist()])
    inputs = [b.operand(node, 0), pads]
    if how == "constant":
        inputs.append(b.constant(np.asarray(fill).reshape(()), node.data.dtype))
    return b.add("Pad", *inputs, mode=mode[how])


# Parts


@writes("embedding")
def embedding(b: Builder, node: Node) -> str:
    return b.add("Gather", b.operand(node, 0), b.operand(node, 1, own_dtype(node, 1)), axis=0)


@writes("one_hot")
def one_hot(b: Builder, node: Node) -> str:
    ids = b.operand(node, 0, np.int64)
    values = b.constant(np.array([0, 1], np.int64))
    depth = b.constant(np.array(node.options["num_classes"], np.int64))
    return b.add("OneHot", ids, depth, values, axis=-1)


@writes("take_along_axis")
def take_along_axis(b: Builder, node: Node) -> str:
    x, places = b.operand(node, 0), b.operand(node, 1, np.int64)
    axis = node.options["axis"]
    if axis is None:
        x, axis = b.add("Reshape", x, b.integers([-1])), 0
    shape = list(np.shape(node.operands[0]))
    axis = int(axis) % len(shape)
    wanted = list(node.data.shape)
    wanted[axis] = shape[axis]
    if shape != wanted:  # which NumPy broadcasts
        x = b.add("Expand", x, b.integers(wanted))
    whole = list(np.shape(node.operands[1]))
    if whole != list(node.data.shape):
        places = b.add("Expand", places, b.integers(node.data.shape))
    return b.add("GatherElements", x, places, axis=axis)


@writes("getitem")
def getitem(b: Builder, node: Node) -> str:
    x, index = b.operand(node, 0), node.options["index"]
    parts = index if isinstance(index, tuple) else (index,)
    given = [b.tensor_option(part) for part in parts]
    shape = np.shape(node.operands[0])
    if any(given):
        return _by_tensors(b, x, shape, parts, given)
    is_basic = all(isinstance(part, int | np.integer | slice | None | type(...)) for part in parts)
    if is_basic:
        return _by_slices(b, x, shape, parts)
    arrays = [i for i, part in enumerate(parts) if isinstance(part, np.ndarray)]
    whole = all(part == slice(None) for i, part in enumerate(parts) if i not in arrays)
    if len(arrays) == 1 and whole and parts[arrays[0]].dtype.kind in "iu":
        # one array of integers: rows along its axis
        return b.add("Gather", x, b.constant(parts[arrays[0]].astype(np.int64)), axis=arrays[0])
    return _taken(b, node, np.arange(math.prod(shape)).reshape(shape)[index])


def _by_slices(b: Builder, x: str, shape: Any, parts: Any) -> str:
    """Slices, then the axes of single places taken out, then the new ones put in."""
    named = [part for part in parts if part is not None and part is not ...]
    filled: list[Any] = []
    for part in parts if ... in parts else (*parts, ...):
        filled += [slice(None)] * (len(shape) - len(named)) if part is ... else [part]
    axis, dropped, added, out = 0, list[int](), list[int](), 0
    lists: tuple[list[int], ...] = ([], [], [], [])
    only_places: list[tuple[int, int]] = []
    for part in filled:
        if part is None:
            added.append(out)
            out += 1
            continue
        if isinstance(part, slice):
            start, stop, step = part.indices(shape[axis])
            if (start, stop, step) != (0, shape[axis], 1):
                stop = stop if stop >= 0 else -(2**31)  # before the first, going back
                for numbers, value in zip(lists, (start, stop, axis, step), strict=True):
                    numbers.append(value)
            out += 1
        else:
            dropped.append(axis)
            only_places.append((axis, int(part)))
        axis += 1
    if lists[0]:
        x = b.add("Slice", x, *map(b.integers, lists))
    for axis, place in reversed(only_places):
        x = b.add("Gather", x, b.constant(np.array(place, np.int64)), axis=axis)
    return b.add("Unsqueeze", x, b.integers(added)) if added else _something(b, x)


def _something(b: Builder, x: str) -> str:
    """A value of its own, where an index takes everything."""
    return x if b.is_of_group(x) else b.add("Identity", x)


def _by_tensors(b: Builder, x: str, shape: Any, parts: Any, given: Any) -> str:
    """An index of tensors: rows along one axis, or places in the first axes."""
    places = [i for i, one in enumerate(given) if one is not None]
    others = [part for i, part in enumerate(parts) if i not in places]
    is_rows = len(places) == 1 and all(isinstance(o, slice) and o == slice(None) for o in others)
    if is_rows and given[places[0]].dtype.kind in "iu":
        return b.add("Gather", x, b.cast(given[places[0]], np.int64), axis=places[0])
    indices: list[str] = []
    whole = [part for part in parts if not isinstance(part, slice) or part != slice(None)]
    if len(whole) != len(parts) or any(one and one.dtype.kind not in "iu" for one in given):
        raise OnnxError("save: an index of tensors, beside slices or of booleans, has no form here")
    shapes = [np.shape(part) for part in parts]
    common_shape = np.broadcast_shapes(*shapes)
    for part, one in zip(parts, given, strict=True):
        name = b.constant(np.asarray(part), np.int64) if one is None else b.cast(one, np.int64)
        if np.shape(part) != common_shape:
            name = b.add("Expand", name, b.integers(common_shape))
        indices.append(b.add("Unsqueeze", name, b.integers([len(common_shape)])))
    whole_index = b.add("Concat", *indices, axis=len(common_shape))
    return b.add("GatherND", x, whole_index)


@writes("scatter")
def scatter(b: Builder, node: Node) -> str:
    """Zeros in a row, and each part added at its places."""
    shape = tuple(np.atleast_1d(node.options["shape"]).tolist())
    size = math.prod(shape)
    row = b.constant(np.zeros(size), node.data.dtype)
    numbers = np.arange(size).reshape(shape)
    for i, index in enumerate(node.options["indices"]):
        places = numbers[index].reshape(-1).astype(np.int64)
        part = b.add("Reshape", b.operand(node, i), b.integers([-1]))
        row = b.add("ScatterElements", row, b.constant(places), part, axis=0, reduction="add")
    return b.add("Reshape", row, b.integers(shape))
