"""What a group of nodes was written from: how that is said, and whether it is so."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...autograd.op import Op
from ...nn.recurrent import LAYERS, Recurrent
from ...tracing.file.schema import check_options, check_size
from ...tracing.recording.graph import Node
from ..package import onnx_module
from ..reading.origins import Given, LayerOrigin, OpOrigin, written
from . import rules
from .builder import RULES, Builder
from .layers import LayerCall, LayerWriter

__all__ = [
    "layer_nodes",
    "layer_origin",
    "op_nodes",
    "op_origin",
    "parts_of",
    "reads_and_makes",
    "rules",
]


def reads_and_makes(
    nodes: Iterable[tuple[Sequence[str], Sequence[str]]],
) -> tuple[list[str], list[str]]:
    """The values that a group reads from elsewhere, and all that it makes, each once and in order.

    Args:
        nodes: of each the inputs and the outputs.
    """
    nodes = list(nodes)
    made = list(dict.fromkeys(name for _, outputs in nodes for name in outputs if name))
    inside = set(made)
    read = (name for inputs, _ in nodes for name in inputs if name and name not in inside)
    return list(dict.fromkeys(read)), made


def _names(group: Iterable[Any]) -> tuple[list[str], list[str]]:
    return reads_and_makes((node.input, node.output) for node in group)


def op_origin(
    b: Builder, node: Node, group: Sequence[Any], options: Mapping[int, int]
) -> str | None:
    """What a group was written from, as text; None where the group does not read it all.

    Args:
        b: wrote it.
        node: the op.
        group: the nodes that it became.
        options: id of an array that is an option -> the id of the tensor whose values it holds.
    """
    number = {name: i for i, name in enumerate(_names(group)[0])}

    def given(id: int) -> Given:
        return Given(number[b.value(id).name])

    try:
        operands = [
            plain if x is None else given(x.id)
            for x, plain in zip(node.inputs, node.operands, strict=True)
        ]
        tensors = {key: given(id) for key, id in options.items() if b.has(id) and _has(node, key)}
        needs = any(x.requires_grad for x in node.tensors())
        origin = OpOrigin(
            str(node.op), tuple(operands), node.options, node.requires_grad or not needs
        )
        return written(origin, tensors)
    except (KeyError, ValueError):
        return None


def _has(node: Node, key: int) -> bool:
    return any(id(part) == key for value in node.options.values() for part in parts_of(value))


def parts_of(value: Any) -> Sequence[Any]:
    """An option, or the parts of one that is several."""
    return value if isinstance(value, tuple | list) else (value,)


def layer_origin(b: Builder, call: LayerCall, group: Sequence[Any]) -> str | None:
    """What the nodes of a layer's call were written from, as text; None where it cannot be said."""
    reads, makes = _names(group)
    layer = call.layer
    kind = next(name for name, one in LAYERS.items() if one is type(layer))
    config = {name: value for name, value in layer.config.items() if name not in _FROM_WEIGHTS}

    def given(name: str) -> Given:
        return Given(reads.index(name))

    try:
        origin = LayerOrigin(
            kind,
            config,
            given(b.value(call.xs.id).name),
            call.xs.shape,
            tuple(given(b.value(state.id).name) for state in call.states),
            None if call.lengths is None else given(b.constant(call.lengths, np.int32)),
            tuple(
                makes.index(b.value(output.id).name) if b.has(output.id) else None
                for output in call.outputs
            ),
        )
    except ValueError:
        return None
    return written(origin, {})


# What the weights say; and what was off, as the file is of an evaluation.
_FROM_WEIGHTS = ("input_size", "hidden_size", "output_size", "dtype", "dropout")


# Written once more


class Again(NamedTuple):
    """What an op or a layer becomes when it is written once more.

    Args:
        nodes: in order; as ONNX has them, or as they are read.
        arrays: the initializers among what they read.
        operands: the names of what stands for each operand.
        outputs: and of what it makes.
    """

    nodes: Sequence[Any]
    arrays: Mapping[str, Any]
    operands: Sequence[str]
    outputs: Sequence[str]


def op_nodes(
    op: Op,
    operands: Sequence[Any],
    options: Mapping[str, Any],
    tensors: Mapping[int, int],
    result: Any,
) -> Again:
    """The nodes that an op becomes.

    Args:
        op: of ours.
        operands: an array or a Python number for each input.
        options: the other arguments.
        tensors: id of an array that is an option -> the number of the tensor that it is, counted on
            after the operands.
        result: an array.

    Raises:
        OnnxError: there is no form for it.
        ValueError: it has no such options, or makes another number of elements.
    """
    names = [f"operand {i}" for i in range(len(operands) + len(tensors))]
    b = _scratch({key: -1 - number for key, number in tensors.items()})
    inputs: list[Node | None] = []
    for i, x in enumerate(operands):
        is_array = isinstance(x, np.ndarray)
        inputs.append(_leaf(i, x) if is_array else None)
        if is_array:
            b.keep(-1 - i, b.unique(names[i]), x.dtype)
    arrays = {id(part): part for value in options.values() for part in parts_of(value)}
    for key, number in tensors.items():
        b.keep(-1 - number, b.unique(names[number]), arrays[key].dtype)
    node = Node(
        id=0,
        op=op.name,
        inputs=tuple(inputs),
        operands=tuple(operands),
        data=result,
        name=None,
        requires_grad=False,
        options=options,
        scope=None,
        rule=op,
    )
    check_options(op, options)
    check_size(op, node)
    b.begin_group()
    output = RULES[op.name](b, node)
    return Again(b.end_group(), _arrays(b), names, [output])


def layer_nodes(layer: Recurrent, origin: LayerOrigin, lengths: Any) -> Again:
    """The nodes that a call of a layer becomes."""
    states = [_leaf(1 + i, _nothing(layer, ())) for i in range(len(origin.states))]
    xs = _leaf(0, _nothing(layer, origin.shape))
    outputs = [_leaf(10 + i, _nothing(layer, ())) for i in range(len(origin.outputs))]
    b = _scratch({})
    names = ["xs", *(f"state {i}" for i in range(len(states)))]
    for name, node in zip(names, (xs, *states), strict=True):
        b.keep(node.id, b.unique(name), node.data.dtype)
    call = LayerCall(layer, None, xs, states, lengths, outputs)
    is_read = {node.id for node, n in zip(outputs, origin.outputs, strict=True) if n is not None}
    b.begin_group()
    LayerWriter(b, call, "layer", is_read).write()
    shown = [b.value(node.id).name if b.has(node.id) else "" for node in outputs]
    return Again(b.end_group(), _arrays(b), names, shown)


def _scratch(options: Mapping[int, int]) -> Builder:
    return Builder(None, options, None, {}, {})


def _leaf(number: int, array: Any) -> Node:
    """A node of this id: -1 for number 0, and so on, which no tensor has."""
    return Node(-1 - number, None, (), (), array, None, False, {}, None)


def _nothing(layer: Recurrent, shape: tuple[int, ...]) -> Any:
    """An array of a shape, of no size: one number is all of it."""
    return np.broadcast_to(np.zeros((), layer.cells[0].W_hh.dtype), shape)


def _arrays(b: Builder) -> dict[str, Any]:
    to_array: Callable[[Any], Any] = onnx_module("numpy_helper").to_array
    return {name: to_array(tensor) for name, tensor in b.initializers.items()}
