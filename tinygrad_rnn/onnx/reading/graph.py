"""A model as plain data: graphs of nodes, whose values are known by name."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ...autograd.tensor import Array
from ...errors import OnnxError
from ...text import elide
from ...tracing.recording.place import Place
from .origins import Origin


@dataclass(frozen=True, slots=True)
class Call:
    """A module or a scope that a node stands in, and which call of it."""

    name: str
    number: int | None = None  # None: the file does not say, and order must tell
    states: tuple[str, ...] = ()  # of a recurrent cell: what a copy passes on
    equation: str = ""
    is_scope: bool = False  # a scope that the program named, not a module
    kind: str = ""  # the module's class
    module: int | None = None  # which module: one that is called at two places is one
    path: str = ""  # where it sits among all modules, if the file says so


@dataclass(frozen=True, slots=True)
class Node:
    """One node: an op of ONNX, and the names of what it reads and makes.

    Args:
        op: as ONNX calls it: "MatMul".
        domain: "" for ONNX's own ops.
        version: the opset in which the op became what it is here.
        name: the node's own; may be empty.
        inputs: names of values; "" where an optional one is left out.
        outputs: likewise.
        attributes: numbers, texts, arrays, lists and graphs, defaults included.
        calls: the modules around it, the outermost first; None where nothing says so yet.
        line: which line of the program it stood in, a number; None where the file does not say.
        group: the number of the nodes that were written from one op or layer; None: it was none.
        origin: what its group was written from, which ends with this node.
        whole: the node that it is a part of, where that is a function of others.
    """

    op: str
    domain: str
    version: int
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    calls: tuple[Call, ...] | None = ()
    line: int | None = None
    group: int | None = None
    origin: Origin | None = None
    whole: "Node | None" = None

    @property
    def title(self) -> str:
        """What errors call it."""
        name = self.name or next(filter(None, self.outputs), "")
        return f"{self.op} {elide(name, 60)!r}"

    @property
    def key(self) -> tuple[str, str]:
        return self.domain, self.op

    def graphs(self) -> "Iterator[tuple[str, Graph]]":
        """The subgraphs among its attributes, by name."""
        for name, value in self.attributes.items():
            if isinstance(value, Graph):
                yield name, value

    def has_output(self, number: int) -> bool:
        """Whether anybody may read an output."""
        return number < len(self.outputs) and bool(self.outputs[number])

    def refused(self, reason: object) -> OnnxError:
        """The error that names this node."""
        return OnnxError(f"{self.title}: {elide(str(reason), 400)}")

    def inside(self, *calls: Call) -> "Node":
        """The same node, in calls around its own."""
        return replace(self, calls=(*calls, *(self.calls or ())))


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the program that wrote a file.

    Args:
        file: its name, without folders.
        number: counted from 1.
        variable: what it calls the value; a list of that for the parts of a tuple.
        is_inside_package: whether a line of this package called the op, not the program's own.
        places: where the calls stood that led there.
        part_of: which part the value is of what its functions return, or its line binds.
    """

    file: str
    number: int
    variable: Any
    is_inside_package: bool
    places: tuple[Place, ...] = ()
    part_of: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Value:
    """An input or output: its name, dtype and axes, each a length or the name of one."""

    name: str
    dtype: Any = None  # None: no tensor, or one of a type that the file does not say
    shape: tuple[int | str, ...] | None = None

    def __str__(self) -> str:
        if self.shape is None:
            return f"{self.name} {self.dtype or ''}".rstrip()
        return f"{self.name} {self.dtype} ({', '.join(map(str, self.shape))})"


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in an order in which each reads what is there already."""

    name: str
    nodes: Sequence[Node]
    inputs: Sequence[Value]
    outputs: Sequence[Value]
    initializers: Mapping[str, Array]

    def every_node(self) -> Iterator[Node]:
        """All nodes, those of subgraphs included."""
        for node in self.nodes:
            yield node
            for _, graph in node.graphs():
                yield from graph.every_node()

    def reads(self) -> Iterator[str]:
        """The names of values that its nodes and outputs read."""
        for node in self.nodes:
            yield from node.inputs
            for _, graph in node.graphs():
                yield from graph.reads()
        for value in self.outputs:
            yield value.name


@dataclass(frozen=True, slots=True)
class Model:
    """A file: its graph, and what stands beside it.

    Args:
        graph: the main one.
        opset: the version of ONNX's own ops.
        trained: the initializers that are parameters; None where the file does not say.
        leaves: other initializers that were tensors, and so are drawn.
        names: value name -> what the program that wrote it called the tensor.
        variables: those of them that had no name of their own, but a variable's.
        fresh: those of the leaves that were made anew in each run.
        lines: of the program, as the nodes know them by their numbers.
        is_function: whether it was a function, not a module, so that it is no call of its own.
    """

    graph: Graph
    opset: int
    trained: frozenset[str] | None = None
    leaves: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    variables: frozenset[str] = frozenset()
    fresh: frozenset[str] = frozenset()
    lines: Sequence[Line] = ()
    is_function: bool = False
