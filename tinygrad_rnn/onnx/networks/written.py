"""Steps that are once more what a file was written from: one op or one call of a layer of ours.

What a file says of itself is not believed: the op or layer takes the place of its nodes only where
writing it once more gives the same nodes. Else they run as they are.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...autograd.op import Op
from ...autograd.switches import no_grad, switched
from ...autograd.tensor import Array, Tensor
from ...nn.cells import state_of, state_parts
from ...nn.module import Parameter
from ...nn.recurrent import LAYERS, Recurrent
from ...tracing.file.rules import OWN
from ..nodes.running import REFUSALS
from ..reading.graph import Node
from ..reading.origins import Given, LayerOrigin, OpOrigin
from ..reading.read import nodes_of
from ..writing.builder import OPSET
from ..writing.groups import Again, layer_nodes, op_nodes, parts_of, reads_and_makes
from .lines import Line
from .recurrent import WEIGHTS, weights_of_cell
from .steps import Step, named, run_all
from .values import Values

_CLOSE = 1e-6  # numbers of a file in single precision, beside ours in double
_MOST_LENGTHS = 2**24

Arrays = Mapping[str, Array]
# What an op, a layer and the numbers of a file may raise when they do not fit together.
_UNFIT = (*REFUSALS, AssertionError)


class Group:
    """The nodes that one op or layer was written as.

    Args:
        nodes: in order.
        constants: the initializers of their graph.

    Attributes:
        reads: the values that it reads from elsewhere.
        makes: the values that it makes.
    """

    def __init__(self, nodes: Sequence[Node], constants: Arrays) -> None:
        self.nodes, self.constants = nodes, constants
        names = [(node.inputs, node.outputs) for node in nodes]
        self.reads, self.makes = reads_and_makes(names)

    def is_again(self, again: Again, operands: Sequence[str], outputs: Sequence[str]) -> bool:
        """Whether an op or layer that was written once more became the same nodes.

        Args:
            again: what it became.
            operands: the values that stand where its operands do.
            outputs: those that it makes.
        """
        if len(again.nodes) != len(self.nodes):
            return False
        here = dict(zip(again.operands, operands, strict=True))
        for own, other in zip(self.nodes, again.nodes, strict=True):
            if not _are_alike(own, other) or not self._reads_same(own, other, here, again.arrays):
                return False
            here.update(zip(other.outputs, own.outputs, strict=True))
        return [here.get(name, "") for name in again.outputs] == list(outputs)

    def _reads_same(self, own: Node, other: Node, here: Mapping[str, str], arrays: Arrays) -> bool:
        for name, there in zip(own.inputs, other.inputs, strict=True):
            if there in here or not there:
                if here.get(there, "") != name:
                    return False
            elif name not in self.constants or not _are_equal(self.constants[name], arrays[there]):
                return False
        return True


def _as_read(again: Again) -> Again:
    """With its nodes as they would be read from a file."""
    return again._replace(nodes=nodes_of(again.nodes, OPSET))


def _are_alike(own: Node, other: Node) -> bool:
    counts = [(len(x.inputs), [bool(name) for name in x.outputs]) for x in (own, other)]
    return (
        (own.key, own.version) == (other.key, other.version)
        and counts[0] == counts[1]
        and own.attributes.keys() == other.attributes.keys()
        and all(_are_equal(own.attributes[name], x) for name, x in other.attributes.items())
    )


def _are_equal(a: Any, b: Any) -> bool:
    x, y = np.asarray(a), np.asarray(b)
    if x.shape != y.shape or x.dtype.kind != y.dtype.kind:
        return False
    if x.dtype.kind == "f":
        return np.allclose(x, y, rtol=_CLOSE, atol=0, equal_nan=True)
    return np.array_equal(x, y)


# Ops

# What calls of ops became, by all that decides it.
_FORMS: dict[Hashable, Again] = {}
_MOST_FORMS = 1000


@dataclass(slots=True)
class OpStep:
    """One op of ours.

    Args:
        op: of the op table.
        origin: how it was called.
        group: the nodes that it was written as.
        plain: the steps of these.
        line: runs a function in the line of the program.
        name: what the program called the tensor; "" where it did not.
        renew: makes a value that every run of the program made anew.
    """

    op: Op
    origin: OpOrigin
    group: Group
    plain: Sequence[Step]
    line: Line
    name: str
    renew: Callable[[str, Values], None]
    _known: dict[Any, bool] = field(default_factory=dict[Any, bool])

    def run(self, values: Values) -> None:
        for name in self.group.reads:
            self.renew(name, values)
        operands = [
            values[self.group.reads[x.number]] if isinstance(x, Given) else x
            for x in self.origin.operands
        ]
        if not self._is_so(operands, values):
            run_all(self.plain, values)
            return
        options = _filled(self.origin.options, lambda n: values[self.group.reads[n]])
        y = self.line(self._call, operands, options)
        named(y, self.name)
        values[self.group.makes[-1]] = y

    def _call(self, operands: Sequence[Any], options: Mapping[str, Any]) -> Tensor:
        function = self.op.function
        assert function is not None
        given = (operands,) if self.op.variadic else operands
        if self.origin.is_recorded:
            return function(*given, **options)
        with no_grad():
            return function(*given, **options)

    def _is_so(self, operands: Sequence[Any], values: Values) -> bool:
        """Whether the op is what its nodes say, asked once for each shape of the operands."""
        key = tuple([getattr(x, "shape", None) for x in operands])
        if key not in self._known:
            try:
                with switched(observers=(), recording=False):
                    self._known[key] = self._is_written_so(operands, values)
            except _UNFIT:
                self._known[key] = False
        return self._known[key]

    def _is_written_so(self, operands: Sequence[Any], values: Values) -> bool:
        reads = self.group.reads
        arrays = [_array(x) for x in operands]
        names = [reads[x.number] if isinstance(x, Given) else "" for x in self.origin.operands]
        tensors: dict[int, int] = {}

        def filled(number: int) -> Array:
            array = _array(values[reads[number]]).view()
            tensors[id(array)] = len(names)
            names.append(reads[number])
            return array

        options = _filled(self.origin.options, filled)
        made = Values(values)
        run_all(self.plain, made)
        result = _array(made[self.group.makes[-1]])
        again = self._form(arrays, options, tensors, result)
        return self.group.is_again(again, names, self.group.makes[-1:])

    def _form(
        self,
        arrays: Sequence[Any],
        options: Mapping[str, Any],
        tensors: Mapping[int, int],
        result: Array,
    ) -> Again:
        """The nodes that the op becomes: those of T copies of a cell are the same."""
        parts = [part for value in options.values() for part in parts_of(value)]
        if any(isinstance(part, np.ndarray) for part in parts):
            return _as_read(op_nodes(self.op, arrays, options, tensors, result))
        key = self.op, _shapes((*arrays, result)), repr(options)
        if key not in _FORMS:
            if len(_FORMS) == _MOST_FORMS:
                _FORMS.clear()
            _FORMS[key] = _as_read(op_nodes(self.op, arrays, options, tensors, result))
        return _FORMS[key]


def _shapes(operands: Sequence[Any]) -> tuple[Any, ...]:
    """Of arrays the shapes and dtypes; of numbers themselves, and what kind they are."""
    arrays = (x if isinstance(x, np.ndarray) else None for x in operands)
    return tuple(
        (type(x), repr(x)) if array is None else (array.shape, array.dtype)
        for x, array in zip(operands, arrays, strict=True)
    )


def op_step(
    origin: OpOrigin,
    group: Group,
    plain: Sequence[Step],
    line: Line,
    name: str,
    renew: Callable[[str, Values], None],
) -> OpStep | None:
    """The step of a group; None where the file says what cannot be."""
    op = OWN.get(origin.op)
    numbers = [x.number for x in origin.operands if isinstance(x, Given)]
    _filled(origin.options, numbers.append)
    if op is None or any(number >= len(group.reads) for number in numbers):
        return None
    return OpStep(op, origin, group, plain, line, name, renew)


def _array(x: Any) -> Any:
    return x.data if isinstance(x, Tensor) else x


def _filled(options: Mapping[str, Any], value: Callable[[int], Any]) -> dict[str, Any]:
    """Options with values in the places where they are given by their numbers."""

    def fill(part: Any) -> Any:
        if isinstance(part, Given):
            return value(part.number)
        return type(part)(map(fill, part)) if type(part) in (tuple, list) else part

    return {name: fill(part) for name, part in options.items()}


# Layers


@dataclass(slots=True)
class LayerStep:
    """A call of a recurrent layer of ours.

    Args:
        layer: what is called.
        origin: how.
        group: the nodes that it was written as.
        line: runs a function in the line of the program.
        names: of values that it makes, what the program called the tensors.
        renew: makes a value that every run of the program made anew.
    """

    layer: Recurrent
    origin: LayerOrigin
    group: Group
    line: Line
    names: Mapping[str, str]
    renew: Callable[[str, Values], None]

    def run(self, values: Values) -> None:
        reads, origin = self.group.reads, self.origin
        for given in (origin.xs, *origin.states):
            self.renew(reads[given.number], values)
        states = [values[reads[state.number]] for state in origin.states]
        lengths = None
        if origin.lengths is not None:
            lengths = self.group.constants[reads[origin.lengths.number]]
        state = state_of(states) if states else None
        ys, state = self.line(self.layer, values[reads[origin.xs.number]], state, lengths)
        for number, made in zip(origin.outputs, (ys, *state_parts(state)), strict=True):
            if number is not None:
                name = self.group.makes[number]
                values[name] = made
                named(made, self.names.get(name, ""))


def layer_of(origin: LayerOrigin, group: Group, known: Recurrent | None) -> Recurrent | None:
    """The layer that a group is a call of; None where it is none.

    Args:
        origin: what the file says.
        group: the nodes.
        known: the layer, where it was called before.
    """
    try:
        layer = _made(origin, group) if known is None else known
        operands = [group.reads[given.number] for given in (origin.xs, *origin.states)]
        outputs = ["" if n is None else group.makes[n] for n in origin.outputs]
        lengths = None
        if origin.lengths is not None and np.prod(origin.shape, dtype=float) < _MOST_LENGTHS:
            lengths = group.constants[group.reads[origin.lengths.number]]
        again = _as_read(layer_nodes(layer, origin, lengths))
        return layer if group.is_again(again, operands, outputs) else None
    except _UNFIT:
        return None


def _made(origin: LayerOrigin, group: Group) -> Recurrent:
    """A layer with the weights of its nodes."""
    kind = LAYERS[origin.kind]
    nodes = [node for node in group.nodes if node.op == kind.__name__]
    arrays = [[_weight(group, node, i) for i in WEIGHTS] for node in nodes]
    (W, R, *_), *_ = arrays
    outputs = _output_weights(group)
    if origin.config.get("num_layers") != len(nodes) or W is None or R is None:
        raise ValueError("another number of layers")
    sizes = {"input_size": W.shape[2], "hidden_size": R.shape[2], "dtype": R.dtype}
    if outputs:
        sizes["output_size"] = outputs[0].shape[0]
    layer = kind(**origin.config, **sizes, rng=0)
    for k, weights in enumerate(arrays):
        for d in range(layer.directions):
            cell = layer.cells[k * layer.directions + d]
            for name, array in weights_of_cell(kind.__name__, cell, weights, d).items():
                setattr(cell, name, None if array is None else Parameter(array))
    for name, array in zip(("W_hy", "b_y"), outputs, strict=False):
        setattr(layer, name, Parameter(array))
    return layer


def made_now(layer: Recurrent) -> None:
    """Make its parameters anew: they are as old as their place among those of the file says."""
    for part in (*layer.cells, layer):
        for name, parameter in list(vars(part).items()):
            if isinstance(parameter, Parameter):
                setattr(part, name, Parameter(parameter.data))


def _weight(group: Group, node: Node, number: int) -> Array | None:
    name = node.inputs[number] if number < len(node.inputs) else ""
    return group.constants[name] if name else None


def _output_weights(group: Group) -> list[Array]:
    """W_hy and b_y, as far as they are there."""
    transposed = {node.outputs[0]: node.inputs[0] for node in group.nodes if node.op == "Transpose"}
    found: list[Array] = []
    for node in group.nodes:
        if node.op == "MatMul":
            found.append(group.constants[transposed[node.inputs[1]]])
        elif node.op == "Add" and found:
            found.append(group.constants[node.inputs[1]])
    return found
