"""Recurrent layers as recurrent nodes: what the calls of RNN, LSTM and GRU become."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...autograd.state import Scope
from ...nn.cells import Cell
from ...nn.recurrent import GRU, LAYERS, LSTM, RNN, Recurrent
from ...tracing.recording.graph import Node
from .builder import Builder
from .recording import Recorded

# Which of our blocks of rows each of ONNX's is: it has i o f c, z r h, and peepholes i o f.
_GATES = {RNN: (0,), LSTM: (0, 3, 1, 2), GRU: (1, 0, 2)}
_PEEPHOLES = (0, 2, 1)


@dataclass(frozen=True, slots=True)
class LayerCall:
    """One call of a layer.

    Args:
        layer: what was called.
        scope: the call.
        xs: what it read.
        states: the initial ones, none where zeros were taken.
        lengths: of the sequences, where they differ.
        outputs: ys, then the states after the last step.
    """

    layer: Recurrent
    scope: Scope | None
    xs: Node
    states: Sequence[Node]
    lengths: Any
    outputs: Sequence[Node]


def layer_calls(run: Recorded) -> tuple[dict[int, LayerCall], set[int]]:
    """The calls that can be written as recurrent nodes.

    Returns:
        The call by the id of each output, and the ids of all nodes inside such calls.
    """
    inside: dict[Scope, list[Node]] = {}
    for node in run.nodes:
        scope = _layer_scope(node)
        if scope is not None and node.op is not None:
            inside.setdefault(scope, []).append(node)
    read_by = _readers(run)
    elsewhere = _read_elsewhere(run, inside)
    calls: dict[int, LayerCall] = {}
    covered: set[int] = set()
    for scope, nodes in inside.items():
        call = _call(scope, nodes)
        if call is None or not _is_closed(call, nodes, read_by) or call.layer in elsewhere:
            continue
        calls.update((output.id, call) for output in call.outputs)
        covered |= {node.id for node in nodes}
    return calls, covered


def _read_elsewhere(run: Recorded, inside: Mapping[Scope, Sequence[Node]]) -> set[object]:
    """The layers whose weights somebody else reads, too: then they must stay what they are."""
    readers: dict[int, set[object]] = {}
    for node in run.nodes:
        scope = _layer_scope(node)
        for x in node.tensors():
            readers.setdefault(x.id, set()).add(None if scope is None else scope.owner)
    layers: set[Any] = {scope.owner for scope in inside}
    return {
        layer
        for layer in layers
        for p in layer.parameters()
        if readers.get(p.id, {layer}) != {layer}
    }


def _layer_scope(node: Node) -> Scope | None:
    """The outermost call of a layer of ours that a node was made in."""
    return next((call for call in node.calls if type(call.owner) in LAYERS.values()), None)


def _readers(run: Recorded) -> dict[int, list[int]]:
    readers: dict[int, list[int]] = {}
    for node in run.nodes:
        for x in node.tensors():
            readers.setdefault(x.id, []).append(node.id)
    for _, id in run.outputs:
        readers.setdefault(id, []).append(-1)
    return readers


def _call(scope: Scope, nodes: Sequence[Node]) -> LayerCall | None:
    """What a call read and made, told by the ops that it ran itself; None if it ran others."""
    layer: Any = scope.owner
    own = [node for node in nodes if node.scope is scope]
    reads = [node for node in own if node.op == "getitem"]
    stacks = [node for node in own if node.op == "stack"]
    count = len(layer.cells[0].states)
    is_plain = all(_is_plain(cell) for cell in layer.cells)
    if not reads or len(stacks) != 1 + count or not is_plain:
        return None
    if any(node.op == "dropout_mask" for node in own):
        return None
    xs = reads[-1].inputs[0]
    assert xs is not None
    axis = int(layer.batch_first and xs.data.ndim == 3)
    steps = xs.shape[axis]
    before = reads[: len(reads) - steps]
    states = [before[k * len(layer.cells)].inputs[0] for k in range(count)] if before else []
    if len(before) not in (0, count * len(layer.cells)) or None in states:
        return None
    lengths = None
    if xs.op == "where" and xs.scope is scope:  # the padding was put out
        mask, xs = xs.operands[0], xs.inputs[1]
        lengths = np.sum(mask, axis=axis).reshape(-1)
    assert xs is not None
    return LayerCall(layer, scope, xs, [s for s in states if s is not None], lengths, stacks)


def _is_plain(cell: Cell) -> bool:
    """Whether a cell is one of ours, with parameters of its own."""
    known = {layer.cell_type for layer in LAYERS.values()}
    return type(cell) in known and all(p.is_leaf for p in cell.parameters()) and _has_all(cell)


def _has_all(cell: Any) -> bool:
    names = {name for name, _ in cell.named_parameters()}
    return {"W_xh", "W_hh"} <= names and (("b_h" in names) == cell.bias)


def _is_closed(call: LayerCall, nodes: Sequence[Node], readers: dict[int, list[int]]) -> bool:
    """Whether nobody else reads what is made inside."""
    own = {node.id for node in nodes}
    shown = {node.id for node in call.outputs}
    return all(id in own for node in own - shown for id in readers.get(node, ()))


class LayerWriter:
    """Writes one call: a node a layer, each fed what the one below shows."""

    def __init__(self, b: Builder, call: LayerCall, name: str, read: set[int]) -> None:
        self._b, self._call, self._name = b, call, name
        self._layer, self._dtype = call.layer, call.outputs[0].data.dtype
        self._is_batch = call.xs.data.ndim == 3
        self._read = [output.id in read for output in call.outputs]

    def write(self) -> None:
        """Add the nodes, and tell the builder what the outputs are."""
        b, layer, call = self._b, self._layer, self._call
        x = b.cast(b.value(call.xs.id), self._dtype)
        x = self._time_first(x)
        ends: list[list[str]] = [[] for _ in call.outputs[1:]]
        for k in range(layer.num_layers):
            x, finals = self._layer_node(k, x)
            for list_of, final in zip(ends, finals, strict=True):
                list_of.append(final)
        self._keep(0, self._batch_again(self._shown(x)))
        for i, parts in enumerate(ends, 1):
            if self._read[i]:
                whole = b.add("Concat", *parts, axis=0) if len(parts) > 1 else parts[0]
                self._keep(i, whole if self._is_batch else b.add("Squeeze", whole, b.integers([1])))

    def _keep(self, number: int, name: str) -> None:
        output = self._call.outputs[number]
        self._b.keep(output.id, name, output.data.dtype)

    def _time_first(self, x: str) -> str:
        if not self._is_batch:
            return self._b.add("Unsqueeze", x, self._b.integers([1]))
        return self._b.add("Transpose", x, perm=[1, 0, 2]) if self._layer.batch_first else x

    def _batch_again(self, y: str) -> str:
        if not self._is_batch:
            return self._b.add("Squeeze", y, self._b.integers([1]))
        return self._b.add("Transpose", y, perm=[1, 0, 2]) if self._layer.batch_first else y

    def _layer_node(self, k: int, x: str) -> tuple[str, list[str]]:
        """One layer: what it shows, (T, B, H · directions), and its last states."""
        b, layer, call = self._b, self._layer, self._call
        count = layer.directions
        cells: list[Any] = layer.cells[k * count : (k + 1) * count]
        name = f"{self._name}_l{k}" if layer.num_layers > 1 else self._name
        inputs = [x]
        for letter, part in (("W", _input), ("R", _recurrent), ("B", _biases)):
            is_there = letter != "B" or cells[0].bias
            inputs.append(self._weight(name, letter, k, part) if is_there else "")
        lengths = "" if call.lengths is None else b.constant(call.lengths, np.int32)
        starts = [self._start(state, k) for state in call.states]
        inputs += [lengths, *starts]
        kind, attributes = type(layer), dict[str, Any](hidden_size=cells[0].hidden_size)
        if layer.bidirectional:
            attributes["direction"] = "bidirectional"
        if kind is RNN:
            attributes["activations"] = [cell.nonlinearity.capitalize() for cell in cells]
        if kind is GRU:
            attributes["linear_before_reset"] = int(cells[0].reset_after)
        if kind is LSTM and cells[0].peephole:
            inputs += [""] * (7 - len(inputs))
            inputs.append(self._weight(name, "P", k, _peepholes))
        while not inputs[-1]:
            inputs.pop()
        made = b.several(kind.__name__, inputs, [True, *self._read[1:]], **attributes)
        if count == 1:
            return b.add("Squeeze", made[0], b.integers([1])), made[1:]
        turned = b.add("Transpose", made[0], perm=[0, 2, 1, 3])
        return b.add("Reshape", turned, b.integers([0, 0, -1])), made[1:]

    def _start(self, state: Node, k: int) -> str:
        """The rows of an initial state that belong to a layer: (directions, B, H)."""
        b, count = self._b, self._layer.directions
        name = b.cast(b.value(state.id), self._dtype)
        if self._layer.num_layers > 1:
            ends = ([k * count], [(k + 1) * count], [0])
            name = b.add("Slice", name, *map(b.integers, ends))
        return name if self._is_batch else b.add("Unsqueeze", name, b.integers([1]))

    def _weight(self, name: str, letter: str, k: int, part: Any) -> str:
        """The weights of a layer, for every call of it the same initializer."""
        count, order = self._layer.directions, _GATES[type(self._layer)]
        cells = self._layer.cells[k * count : (k + 1) * count]

        def stacked() -> Any:
            return np.stack([part(cell, order) for cell in cells])

        return self._shared((k, letter), stacked, f"{name}.{letter}")

    def _shared(self, key: Hashable, make: Callable[[], Any], name: str) -> str:
        """A parameter of the layer, which is as old as the first of them."""
        age = min(p.id for p in self._layer.parameters())
        return self._b.shared((id(self._layer), key), make, name, age)

    def _shown(self, y: str) -> str:
        """What the last layer shows: W_hy h + b_y where it has them, and zeros in the padding."""
        b, layer, call = self._b, self._layer, self._call
        if layer.W_hy is None:
            return y
        W_hy, b_y = layer.W_hy, layer.b_y
        W = self._shared("W_hy", lambda: W_hy.data, f"{self._name}.W_hy")
        y = b.add("MatMul", y, b.add("Transpose", W, perm=[1, 0]))
        if b_y is not None:
            y = b.add("Add", y, self._shared("b_y", lambda: b_y.data, f"{self._name}.b_y"))
        if call.lengths is None:
            return y
        steps = call.xs.shape[int(layer.batch_first)]
        alive = np.arange(steps)[:, None] < call.lengths
        return b.add("Where", b.constant(alive[..., None]), y, b.constant(0, self._dtype))


def _input(cell: Any, order: Sequence[int]) -> Any:
    return _ordered(cell, cell.W_xh.data, order)


def _recurrent(cell: Any, order: Sequence[int]) -> Any:
    return _ordered(cell, cell.W_hh.data, order)


def _biases(cell: Any, order: Sequence[int]) -> Any:
    """Wb and Rb in a row; a cell of one bias has it in the first."""
    rows = len(order) * cell.hidden_size
    nothing = np.zeros(rows, cell.W_hh.dtype)
    if not cell.bias:
        return np.concatenate([nothing, nothing])
    of_h = _ordered(cell, cell.b_h.data, order)
    of_x = getattr(cell, "b_x", None)
    if of_x is None:
        return np.concatenate([of_h, nothing])
    return np.concatenate([_ordered(cell, of_x.data, order), of_h])


def _ordered(cell: Any, array: Any, order: Sequence[int]) -> Any:
    size = cell.hidden_size
    blocks = [array[k * size : (k + 1) * size] for k in range(array.shape[0] // size)]
    if getattr(cell, "coupled", False):  # f, g, o: and 1 - σ(f) is σ(-f)
        blocks = [-blocks[0], *blocks]
    return np.concatenate([blocks[k] for k in order])


def _peepholes(cell: Any, order: Sequence[int]) -> Any:
    return _ordered(cell, cell.w_c.data, _PEEPHOLES)
