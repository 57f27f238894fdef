"""What the op table says of a node: which options there can be, how large its result is, its cost.

A file may say anything; so this is asked before an op is called on what it says.
"""

# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false
# What a file holds has no one type.

import inspect
from collections.abc import Callable, Mapping, Sequence
from math import prod
from types import EllipsisType
from typing import Any

import numpy as np

from ...autograd.op import Op
from ...autograd.tensor import Array
from ..recording.graph import Node
from ..recording.held import Gone, is_array, owner_of
from .rules import OWN

# Multiplications of a matrix product that take as long as to read a byte: where BLAS does them,
# and where a plain loop does.
_PER_BYTE, _PER_BYTE_SLOWLY = 64, 4
_WORD = 1000  # characters of an option: the subscripts of a long einsum
_GONE = 16  # bytes that are gone, of which a shape is left, that weigh as one that is there


def _is_int(x: Any) -> bool:
    return isinstance(x, int | np.integer) and not isinstance(x, bool)


def _is_ints(x: Any) -> bool:
    return _is_int(x) or (isinstance(x, tuple | list) and all(map(_is_int, x)))


def _is_index(x: Any) -> bool:
    parts: Sequence[Any] = x if isinstance(x, tuple) else (x,)
    return all(map(_is_index_part, parts))


def _is_index_part(x: Any) -> bool:
    if isinstance(x, slice):
        return all(end is None or _is_int(end) for end in (x.start, x.stop, x.step))
    if is_array(x):
        return x.dtype.kind in "iub"
    if isinstance(x, list):
        return all(map(_is_index_part, x))
    return x is None or isinstance(x, EllipsisType | bool | np.bool_) or _is_int(x)


def _is_dtype(x: Any) -> bool:
    if isinstance(x, str) and len(x) > 20:
        return False
    return isinstance(x, str | type | np.dtype) and np.dtype(x).kind in "fiub"


def _is_data(x: Any) -> bool:
    """Whether it is a number, a word, an array, or several of them: what any other option is."""
    if isinstance(x, tuple | list):
        return all(map(_is_data, x))
    return _is_bound(x) or _is_index_part(x) or (isinstance(x, str) and len(x) <= _WORD)


def _is_bound(x: Any) -> bool:
    return x is None or is_array(x) or isinstance(x, int | float | np.number)


_OPTIONS: dict[str, Callable[[Any], bool]] = {
    "axis": lambda x: x is None or _is_ints(x),
    "axes": lambda x: x is None or _is_ints(x),
    "axis1": _is_int,
    "axis2": _is_int,
    "keepdims": lambda x: isinstance(x, bool | np.bool_),
    "shape": _is_ints,
    "index": _is_index,
    "indices": lambda x: isinstance(x, tuple | list) and all(map(_is_index, x)),
    "dtype": _is_dtype,
    "min": _is_bound,
    "max": _is_bound,
    "reduction": lambda x: x in ("mean", "sum", "none"),
}


def check_options(own: Op, options: Mapping[str, Any]) -> None:
    """Refuse options that the op of the table does not have, or that are of another type.

    Raises:
        ValueError: it names the option.
    """
    assert own.function is not None
    name = own.name
    arity = 1 if own.variadic else len(own.vjps)
    names = list(inspect.signature(own.function).parameters)[arity:]
    if sorted(options) != sorted(names):
        raise ValueError(f"{name} has the options {names}, not {list(options)!s:.80}")
    for option, value in options.items():
        if not _OPTIONS.get(option, _is_data)(value):
            raise ValueError(f"{name}: no {option} is {value!r:.40}")


def check_size(own: Op, node: Node) -> None:
    """Refuse a result that is not as large as its operands say, before the op makes it.

    Raises:
        ValueError: it is larger or smaller.
    """
    data, operands = node.seen
    shapes = [np.shape(x) for x in operands]
    size = prod(data.shape)
    expected = _expected_size(own, shapes, node.options, size)
    if expected != size:
        raise ValueError(f"{node.op} makes {expected} elements of {shapes}, not {data.shape}")


def _expected_size(
    own: Op, shapes: Sequence[tuple[int, ...]], options: Mapping[str, Any], size: int
) -> int:
    """How many elements an op makes; where that is no more than it is given, what the file says."""
    if own.kind == "elementwise":
        bounds = [np.shape(x) for x in options.values() if x is not None]
        return prod(np.broadcast_shapes(*shapes, *bounds))
    if own.name not in _SIZES or (own.name == "getitem" and 0 in shapes[0]):
        return size
    return _SIZES[own.name](shapes, options)


# Ops whose result may be larger than what they are given: how many elements it has.
_SIZES: dict[str, Callable[[Sequence[tuple[int, ...]], Mapping[str, Any]], int]] = {
    "linear": lambda shapes, _: prod(shapes[0][:-1]) * shapes[1][0],
    "matmul": lambda shapes, _: _product_size(shapes[0], shapes[1]),
    "embedding": lambda shapes, _: prod(shapes[1]) * prod(shapes[0][1:]),
    "stack": lambda shapes, _: sum(map(prod, shapes)),
    "concatenate": lambda shapes, _: sum(map(prod, shapes)),
    "broadcast_to": lambda _, options: int(np.prod(options["shape"], dtype=object)),
    "scatter": lambda _, options: int(np.prod(options["shape"], dtype=object)),
    "one_hot": lambda shapes, options: prod(shapes[0]) * options["num_classes"],
    "getitem": lambda shapes, options: _picked(shapes[0], options["index"]),
    "take_along_axis": lambda shapes, options: _taken(shapes[0], shapes[1], options["axis"]),
    "repeat": lambda shapes, options: _repeated(shapes[0], options["repeats"], options["axis"]),
    "pad": lambda shapes, options: _padded(shapes[0], options["pad_width"]),
}


def _padded(x: tuple[int, ...], widths: Any) -> int:
    borders = np.broadcast_to(widths, (len(x), 2)).tolist()
    return prod(n + before + after for n, (before, after) in zip(x, borders, strict=True))


def _product_size(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    stack = np.broadcast_shapes(a[:-2], b[:-2])
    rows = a[-2] if len(a) > 1 else 1
    columns = b[-1] if len(b) > 1 else 1
    return prod(stack) * rows * columns


def _taken(x: tuple[int, ...], indices: tuple[int, ...], axis: int | None) -> int:
    if axis is None:
        return prod(indices)
    beside = [n for i, n in enumerate(x) if i != axis % len(x)]
    taken = [n for i, n in enumerate(indices) if i != axis % len(x)]
    return prod(np.broadcast_shapes(beside, taken)) * indices[axis]


def _repeated(x: tuple[int, ...], repeats: Any, axis: int | None) -> int:
    numbers = np.asarray(repeats)
    n = prod(x) if axis is None else x[axis]
    if numbers.size == 1:
        return prod(x) * int(numbers.reshape(()))
    return prod(x) // max(n, 1) * int(numbers.sum())


def _picked(shape: tuple[int, ...], index: Any) -> int:
    """How many elements an index picks; arrays in it are broadcast against each other."""
    basic: list[Any] = []
    shapes: list[tuple[int, ...]] = []
    for part in index if isinstance(index, tuple) else (index,):
        if not (is_array(part) or isinstance(part, bool | np.bool_)):
            basic.append(part)
            continue
        array = np.asarray(part)
        is_mask = array.dtype.kind == "b"
        basic += [slice(0, 1)] * (array.ndim if is_mask else 1)
        shapes.append((int(np.count_nonzero(array)),) if is_mask else array.shape)
    if not shapes:
        return np.broadcast_to(np.int8(0), shape)[index].size
    picks = prod(np.broadcast_shapes(*shapes))
    return picks * np.broadcast_to(np.int8(0), shape)[tuple(basic)].size


# What it costs to compute with the recording, in bytes that are read


def excess(array: Any) -> int:
    """The bytes by which an array is larger than its memory, by reading the same ones again."""
    return max(0, array.nbytes - owner_of(array).nbytes) if is_array(array) else 0


def cost(node: Node) -> int:
    """What it takes to hold a node's data, and to compute it once."""
    data, operands = node.seen
    held = data.nbytes + sum(map(excess, operands))
    if isinstance(data, Gone):
        return data.nbytes // _GONE
    if node.rule is OWN["einsum"]:
        shapes = [np.shape(x) for x in operands]
        return held + _multiplications(node.options["subscripts"], shapes) // _PER_BYTE_SLOWLY
    if node.kind != "product" or not is_array(operands[0]):
        return held
    inner = max(operands[0].shape[-1:], default=1)
    return held + prod(data.shape) * inner // _speed(operands)


def _multiplications(subscripts: str, shapes: Sequence[tuple[int, ...]]) -> int:
    """What an einsum makes of all letters at once: the most that any order of them takes."""
    terms = subscripts.replace(" ", "").partition("->")[0].split(",")
    lengths: dict[str, int] = {}
    others: list[tuple[int, ...]] = []
    for term, shape in zip(terms, shapes, strict=True):
        before, _, after = term.partition("...")
        named = [*shape[: len(before)], *shape[len(shape) - len(after) :]]
        for letter, n in zip(before + after, named, strict=True):
            lengths[letter] = max(n, lengths.get(letter, 1))
        others.append(shape[len(before) : len(shape) - len(after)])
    return prod(lengths.values()) * prod(np.broadcast_shapes(*others))


def _speed(operands: Sequence[Any]) -> int:
    is_for_blas = all(is_array(x) and x.dtype.char in "fd" and not excess(x) for x in operands)
    return _PER_BYTE if is_for_blas else _PER_BYTE_SLOWLY


def check_extent(
    shape: Sequence[int], strides: Sequence[int], offset: int, item: int, memory: Array
) -> None:
    """Refuse an array that reaches out of its memory; in Python's integers, which do not overflow.

    Raises:
        ValueError: it does.
    """
    low = high = offset
    if prod(shape):
        for n, stride in zip(shape, strides, strict=True):
            reach = (n - 1) * stride
            low, high = low + min(reach, 0), high + max(reach, 0)
        high += item
    if low < 0 or high > memory.nbytes:
        raise ValueError(f"an array from byte {low} to {high} of {memory.nbytes}")
