"""A graph as a module, and the model of a file."""

import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Generic, TypeVar

import numpy as np

from ...autograd.tensor import Array, Tensor
from ...errors import OnnxError, describe
from ...nn.module import Buffer, Module, Parameter
from ...nn.recurrent import Recurrent
from ...tracing.recording.array_names import Called
from ..nodes import is_handled
from ..nodes.registry import MODULES
from ..reading.graph import Call, Graph, Model, Node, Value
from ..reading.origins import LayerOrigin, OpOrigin
from .control import If, Loop, Scan
from .linear import with_linear
from .lines import Lines
from .recurrent import WEIGHTS, RecurrentLayer
from .sections import Placed, sections
from .steps import ModuleStep, NodeStep, Step, named, run_all
from .tree import Tree, attach, path_of
from .values import Values
from .written import Group, LayerStep, layer_of, made_now, op_step

_GRAPHS: dict[str, Sequence[str]] = {
    "If": ("then_branch", "else_branch"),
    "Loop": ("body",),
    "Scan": ("body",),
}
_KINDS: dict[str, Any] = {"If": If, "Loop": Loop, "Scan": Scan}
T = TypeVar("T")


class Body(Module):
    """A graph: its parameters and modules by their names, its nodes in order.

    Args:
        model: the graph, and what the file says beside it.
    """

    def __init__(self, model: Model) -> None:
        written = model.graph.nodes
        graph = replace(model.graph, nodes=with_linear(model.graph))
        self._model, self._graph = model, graph
        self._fresh = model.fresh & model.leaves & graph.initializers.keys()
        self._lines = Lines(self, graph.name, written, model.lines)
        self._tree = Tree(self, list(graph.initializers))
        self._there, self._taken = Values(), frozenset[str]()
        self._fused = _made_by(written) - _made_by(graph.nodes)
        whole = [next(run) for _, run in groupby((node.whole or node for node in written), key=id)]
        self._counts = Counter(graph.reads())
        self._read_by_all = Counter(replace(model.graph, nodes=whole).reads())
        self._layers, self._written = _Layers[RecurrentLayer](), _Layers[Recurrent]()
        self._statistics = {
            name
            for node in graph.nodes
            if node.op == "BatchNormalization"
            for name in node.inputs[3:5]
        }
        self._steps = sections(self._tree, self._placed(whole))
        for name, array in graph.initializers.items():
            self._keep(name, array)

    @property
    def graph(self) -> Graph:
        """What the file says."""
        return self._graph

    @property
    def inputs(self) -> Sequence[Value]:
        """What it takes, in order."""
        return self._graph.inputs

    @property
    def outputs(self) -> Sequence[Value]:
        """What it returns, in order."""
        return self._graph.outputs

    def extra_repr(self) -> str:
        inputs, outputs = (", ".join(map(str, values)) for values in (self.inputs, self.outputs))
        return f"{inputs} -> {outputs}"

    def forward(self, outer: Values | None, *inputs: Any) -> tuple[Any, ...]:
        """Run the graph on its inputs, in the order of `inputs`; returns its outputs."""
        values = Values(self._there, outer)
        for value, given in zip(self.inputs, inputs, strict=True):
            values[value.name] = given
        run_all(self._steps(), values)
        return tuple(values[value.name] for value in self.outputs)

    # Steps

    def _placed(self, written: Sequence[Node]) -> list[Placed]:
        """A step for each node, or for each group of nodes that were one op or layer of ours.

        Args:
            written: the nodes as the file has them.
        """
        groups: dict[int | None, list[Node]] = {}
        for number, run in groupby(written, key=_group):
            groups[number] = [] if number in groups else list(run)  # one that is torn is none
        made: list[Placed] = []
        for number, run in groupby(self._graph.nodes, key=_group):
            nodes = list(run)
            again = None
            if number is not None and groups[number]:
                again = self._again(groups[number], nodes)
            made += [self._at(node) for node in nodes] if again is None else [again]
        return made

    def _at(self, node: Node) -> Placed:
        return Placed(self._step(node), node.calls or (), self._reads([node]))

    def _again(self, written: Sequence[Node], nodes: Sequence[Node]) -> Placed | None:
        """The op or the layer that a group of nodes was written from, if it is one."""
        last, origin = written[-1], written[-1].origin
        group, calls = Group(written, self._graph.initializers), last.calls or ()
        line = self._lines.of(nodes[-1])
        if isinstance(origin, LayerOrigin):
            layer = self._layer(origin, group, calls)
            if layer is None:
                return None
            step = LayerStep(layer, origin, group, line, self._model.names, self._renew)
            return Placed(step, calls[:-1], frozenset())
        if isinstance(origin, OpOrigin):
            plain = [self._step(node) for node in nodes]
            name = self._called(group.makes[-1])
            step = op_step(origin, group, plain, line, name, self._renew)
            if step is None or not self._is_closed(group, group.makes[-1:]):
                return None
            return Placed(step, calls, self._reads(nodes))
        return None

    def _layer(self, origin: LayerOrigin, group: Group, calls: Sequence[Call]) -> Recurrent | None:
        """The layer that a group is a call of, if it is so, at its place among the modules."""
        if not calls:
            return None
        found = self._tree.known(calls[-1])
        if not isinstance(found, Recurrent | None):
            return None
        layer = layer_of(origin, group, found)
        outputs = [group.makes[n] for n in origin.outputs if n is not None and n < len(group.makes)]
        weights = [name for name in group.reads if name in (self._model.trained or ())]
        numbers = {node.group for name in weights for node in self._readers(name)}
        if layer is None or None in numbers or not self._is_closed(group, outputs):
            return None
        if weights and found is None:
            self._taken |= set(weights)
            self._written.keep(min(weights, key=list(self._graph.initializers).index), layer)
        self._tree.place(calls, layer)
        return layer

    def _is_closed(self, group: Group, outputs: Sequence[str]) -> bool:
        """Whether it reads what is there, and of all that it makes others read only these."""
        if not self._fused.isdisjoint(group.reads):
            return False
        inside = set(group.makes) - set(outputs)
        own = Counter(name for node in group.nodes for name in node.inputs)
        return all(self._read_by_all[name] == own[name] for name in inside)

    def _renew(self, name: str, values: Values) -> None:
        """Make a tensor that every run of the program made anew, where it is first read."""
        if name in self._fresh and not values.has_own(name):
            values[name] = self._tensor(name, self._graph.initializers[name])

    def _tensor(self, name: str, array: Array) -> Tensor:
        """A leaf as the program had it: under its own name, or under that of a variable."""
        called = self._called(name)
        if name not in self._model.variables:
            return Tensor(array, name=called or None)
        made = Tensor(array)
        made.origin = made.origin._replace(owner=Called(called))
        return made

    def _called(self, name: str) -> str:
        """What the program called a tensor; "" where the file does not say."""
        return self._model.names.get(name, "")

    def _step(self, node: Node) -> Step:
        if node.op not in MODULES or node.domain:
            called = {name: self._called(name) for name in node.outputs if self._called(name)}
            return NodeStep(node, self._lines.of(node), called)
        reads = node.inputs
        if node.op in _GRAPHS:
            graphs = dict(node.graphs())
            inner = replace(self._model, names={}, lines=())
            bodies = [Body(replace(inner, graph=graphs[name])) for name in _GRAPHS[node.op]]
            module: Module = _KINDS[node.op](node, *bodies)
        else:
            weights = self._weights(node)
            reads = tuple("" if i in weights else name for i, name in enumerate(reads))
            known = self._layers.get(_layer_key(node)) if weights else None
            if known is not None:
                return ModuleStep(node, known, reads, False, self._lines.of(node))
            is_many = bool(weights) and self._counts[node.inputs[1]] > 1
            module = RecurrentLayer(_of_many(node) if is_many else node, weights)
            self._layers.keep(_layer_key(node), module)
        home = self._tree.called(node.calls or ())
        attach(home, _short(node), module)
        return ModuleStep(node, module, reads, node.op in _GRAPHS, self._lines.of(node))

    def _reads(self, nodes: Sequence[Node]) -> frozenset[tuple[str, str]]:
        """The parameters that nodes read, and by what op."""
        names = self._graph.initializers
        return frozenset((node.op, name) for node in nodes for name in node.inputs if name in names)

    def _weights(self, node: Node) -> dict[int, Array]:
        """The weights of a recurrent node that only such nodes read: they become its cells'."""
        arrays = {
            i: self._graph.initializers.get(name)
            for i, name in enumerate(node.inputs)
            if i in WEIGHTS and name
        }
        names = [node.inputs[i] for i in arrays]
        if any(array is None for array in arrays.values()):
            return {}
        key = _layer_key(node)
        if any(_layer_key(other) != key for name in names for other in self._readers(name)):
            return {}
        if any(self._counts[name] > len(self._readers(name)) for name in names):
            return {}  # a subgraph reads it, or it is an output
        self._taken |= set(names)
        return {i: array for i, array in arrays.items() if array is not None}

    def _keep(self, name: str, array: Array) -> None:
        """Make an initializer a parameter, a buffer or a constant."""
        if name in self._taken:
            self._there[name] = array  # for nodes that the file wrongly says to be of a layer
            layer = self._written.get(name)
            if layer is not None:
                made_now(layer)
            return
        if array.dtype.kind != "f" or not self._is_trained(name, array):
            is_leaf = name in self._model.leaves
            self._there[name] = self._tensor(name, array) if is_leaf else array
            return
        kind = Buffer if name in self._statistics else Parameter
        part = kind(array, name=self._called(name) or None)
        *path, last = self._path_of(name)
        attach(self._tree.home(path), last, part)
        self._there[name] = part

    def _readers(self, name: str) -> list[Node]:
        return [node for node in self._graph.nodes if name in node.inputs]

    def _path_of(self, name: str) -> list[str]:
        """The modules that an initializer is in, and its own name.

        One that an exporter made up belongs to the module of the nodes that read it.
        """
        readers = self._readers(name) if _MADE_UP.fullmatch(name) else []
        paths = {
            tuple(call.name for call in node.calls or () if not call.is_scope) for node in readers
        }
        path = next(iter(paths), ())
        if len(paths) != 1 or not path:
            return path_of(name)
        is_matrix = any(node.op in _PRODUCTS for node in readers)
        return [*path, "weight" if is_matrix else readers[0].op.lower()]

    def _is_trained(self, name: str, array: Array) -> bool:
        """Whether an initializer is a parameter.

        Our own files say so. In others all floats that have axes are, but for what an exporter made
        up: of these only what is a factor of a product.
        """
        if self._model.trained is not None:
            return name in self._model.trained
        if not _MADE_UP.fullmatch(name):
            return array.ndim > 0
        return array.ndim > 0 and any(node.op in _PRODUCTS for node in self._readers(name))


_PRODUCTS = ("MatMul", "Gemm", "Conv", "Einsum")


def _made_by(nodes: Sequence[Node]) -> set[str]:
    return {name for node in nodes for name in node.outputs}


def _group(node: Node) -> int | None:
    return node.group


class _Layers(Generic[T]):
    """Recurrent layers that are there: a layer that is called twice is one.

    An object of its own, since a dict would be looked through for modules.
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, T] = {}

    def get(self, key: Hashable) -> T | None:
        return self._known.get(key)

    def keep(self, key: Hashable, layer: T) -> None:
        self._known[key] = layer


def _layer_key(node: Node) -> Hashable:
    """What nodes of one layer have in common: its weights, and everything that is set."""
    weights = tuple(node.inputs[i] if i < len(node.inputs) else "" for i in WEIGHTS)
    return node.op, weights, repr(sorted(node.attributes.items()))


def _of_many(node: Node) -> Node:
    """The node with all its outputs, as other calls of the layer may read others."""
    names = ("Y", "Y_h", "Y_c") if node.op == "LSTM" else ("Y", "Y_h")
    return replace(node, outputs=names)


# "onnx::MatMul_216" and "val_142" of PyTorch's exporters.
_MADE_UP = re.compile(r"onnx::\w+|val_[0-9]+|_?[0-9]+")


def _short(node: Node) -> str:
    """What a module of a node is called: the end of the node's name, without its number."""
    last = node.name.rpartition("/")[2]
    is_name = any(letter.isalpha() for letter in last) and not last.startswith("node_")
    return last if is_name else node.op


class Network(Body):
    """The model of an ONNX file, as `tg.onnx.load` returns it.

    `y = network(x)`, or `network(x=…)` by the names that `print(network)` shows; several outputs
    come as a tuple. It is a module like any other: its parameters are trained, its calls recorded
    and drawn.

    Args:
        model: what the file says.
        dtype: of floats that are given; None: as the file's.
    """

    def __init__(self, model: Model, dtype: Any = None) -> None:
        check_supported(model.graph)
        super().__init__(model)
        self._dtype = dtype

    def __call__(self, *inputs: Any, **by_name: Any) -> Any:
        # A function is no call of its own: what it calls are the outermost modules.
        run = self.forward if self._model.is_function else super().__call__
        return run(*inputs, **by_name)

    def forward(self, *inputs: Any, **by_name: Any) -> Any:
        """Run the model.

        Raises:
            OnnxError: an input is missing, unknown, or of another dtype or shape.
        """
        given = self._given(inputs, by_name)
        tensors = [self._input(value, x) for value, x in zip(self.inputs, given, strict=True)]
        outputs = super().forward(None, *tensors)
        for value, made in zip(self.outputs, outputs, strict=True):
            named(made, self._called(value.name) or value.name)
        results = [x if isinstance(x, Tensor | list) else Tensor(x) for x in outputs]
        return results[0] if len(results) == 1 else tuple(results)

    def _given(self, inputs: Sequence[Any], by_name: Mapping[str, Any]) -> list[Any]:
        names = [value.name for value in self.inputs]
        given = dict(zip(names, inputs, strict=False))
        missing = [name for name in names if name not in given and name not in by_name]
        unknown = [name for name in by_name if name not in names or name in given]
        if len(inputs) > len(names) or missing or unknown:
            expected = ", ".join(map(str, self.inputs)) or "nothing"
            reason = f"it takes {expected}"
            reason += f"; missing {missing}" if missing else ""
            reason += f"; unknown {unknown}" if unknown else ""
            raise OnnxError(f"Network: {len(inputs) + len(by_name)} inputs given: {reason}")
        given.update(by_name)
        return [given[name] for name in names]

    def _input(self, value: Value, x: Any) -> Any:
        """An input as a tensor of the dtype that the file asks for.

        Raises:
            OnnxError: it cannot be converted, or its axes have other lengths.
        """
        if value.shape is None and isinstance(x, list | None):
            return x
        if not isinstance(x, Tensor):
            x = Tensor(np.asarray(x, self._wanted(value, np.asarray(x))), name=value.name)
        wanted = self._wanted(value, x)
        if wanted is not None and x.dtype != wanted:
            raise OnnxError(f"Network: {value} is needed, got {describe(x)}")
        if value.shape is not None and not _fits(x.shape, value.shape):
            raise OnnxError(f"Network: {value} is needed, got shape {x.shape}")
        return x

    def _wanted(self, value: Value, x: Any) -> Any:
        """The dtype of an input; floats that are given become the file's."""
        if value.dtype is None:
            return None
        wanted = np.dtype(value.dtype)
        if wanted.kind == "f" and self._dtype is not None:
            wanted = np.dtype(self._dtype)
        if isinstance(x, np.ndarray) and not np.can_cast(x.dtype, wanted, "same_kind"):
            raise OnnxError(f"Network: {value} is needed, got dtype {x.dtype}")
        return wanted


def _fits(shape: tuple[int, ...], wanted: tuple[int | str, ...]) -> bool:
    if len(shape) != len(wanted):
        return False
    return all(isinstance(n, str) or n == m for m, n in zip(shape, wanted, strict=True))


def check_supported(graph: Graph) -> None:
    """Refuse a file with nodes that cannot be run, all of them in one error.

    Raises:
        OnnxError: lists their ops, and how often each occurs.
    """
    unknown: Counter[str] = Counter()
    for node in graph.every_node():
        if not is_handled(node.key) or (node.version == 0 and not node.domain):
            unknown[f"{node.domain}.{node.op}".removeprefix(".")] += 1
    if unknown:
        listed = ", ".join(f"{op} ({count})" for op, count in sorted(unknown.items())[:40])
        total = sum(unknown.values())
        raise OnnxError(f"{total} nodes of ops that are not here: {listed}")
