"""Reads a file: its bytes, checked, as a `Model`."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...autograd.tensor import Array
from ...errors import OnnxError
from ...files import NotRegular, read_regular
from ...text import elide
from ..package import onnx_module
from .functions import Functions
from .graph import Call, Graph, Model, Node, Value
from .origins import group_of, origin_of
from .scopes import (
    FRESH,
    KIND,
    LEAVES,
    LINES,
    NAMES,
    TRAINED,
    VARIABLES,
    calls_of,
    line_of,
    lines_of,
    placed,
)
from .tensors import array_of, dtype_of

MOST_BYTES = 2**31 - 1  # what protobuf reads
MOST_NODES = 200_000
_DEEPEST = 16  # subgraphs in subgraphs
_MOST_ATTRIBUTES = 64


def read_model(path: str | os.PathLike[str]) -> tuple[Any, Path]:
    """The ModelProto of a file, and the folder that it lies in.

    Raises:
        OnnxError: there is no such file, it is too large, or it is not a model.
    """
    name = os.fspath(path)
    try:
        data = read_regular(path, MOST_BYTES)
    except NotRegular as error:
        raise OnnxError(f"load: {name} is not a regular file") from error
    except (OSError, ValueError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "does not fit into memory"
        raise OnnxError(f"load: {name}: {reason}") from error
    return parsed(data), Path(name).resolve().parent


def parsed(data: bytes) -> Any:
    """The ModelProto in bytes.

    Raises:
        OnnxError: they are not a model.
    """
    onnx = onnx_module()
    try:
        proto = onnx.ModelProto.FromString(data)
    except Exception as error:  # protobuf's own, of another class in each of its versions
        raise OnnxError(f"not an ONNX file, or it is damaged: {elide(str(error), 200)}") from error
    if not proto.HasField("graph"):
        raise OnnxError("not an ONNX file: there is no graph in it")
    return proto


@dataclass(frozen=True, slots=True)
class Reader:
    """Makes plain data of one model.

    Args:
        opsets: domain -> version.
        folder: where external data may lie.
        functions: what stands for a node that is a function of others.
    """

    opsets: Mapping[str, int]
    folder: Path | None
    functions: Functions

    def graph(self, proto: Any, outer: frozenset[str] = frozenset(), depth: int = 0) -> Graph:
        """A graph, its nodes checked against what is there before them.

        Args:
            proto: a GraphProto.
            outer: the values of the graphs around it.
            depth: how many there are.

        Raises:
            OnnxError: anything in it is not as ONNX has it.
        """
        name = f"graph {elide(proto.name, 60)!r}"
        if depth > _DEEPEST:
            raise OnnxError(f"{name}: graphs in graphs deeper than {_DEEPEST}")
        if len(proto.node) > MOST_NODES:
            raise OnnxError(f"{name}: {len(proto.node)} nodes, more than {MOST_NODES}")
        if proto.sparse_initializer:
            raise OnnxError(f"{name}: sparse initializers are not read")
        initializers = self._initializers(name, proto)
        inputs = [value_of(value) for value in proto.input if value.name not in initializers]
        made = Made(name, outer, {*initializers, *(value.name for value in inputs)})
        made.check_inputs([value.name for value in inputs])
        nodes: list[Node] = []
        later = outputs_of(proto.node)
        for node in proto.node:
            made.check(node, later)
            nodes += self.nodes(node, made, depth)
        made.check_outputs(proto.output)
        nodes = placed(nodes, modules_of(initializers))
        return Graph(proto.name, nodes, inputs, list(map(value_of, proto.output)), initializers)

    def _initializers(self, name: str, proto: Any) -> dict[str, Array]:
        arrays: dict[str, Array] = {}
        for tensor in proto.initializer:
            if tensor.name in arrays or not tensor.name:
                raise OnnxError(f"{name}: two initializers {elide(tensor.name, 60)!r}")
            arrays[tensor.name] = array_of(tensor, self.folder)
        return arrays

    def nodes(self, proto: Any, made: "Made", depth: int = 0) -> list[Node]:
        """One node, or those of the function that it calls.

        Raises:
            OnnxError: an attribute that the op lacks, or of another type.
        """
        node = self.node(proto, made, depth)
        call = self.functions.call_of(self, proto)
        if call is None:
            made.add(proto)
            return [node]
        body, whole = call
        if depth > _DEEPEST:
            raise OnnxError(f"{node.title}: functions in functions deeper than {_DEEPEST}")
        inside = replace(self, opsets={**self.opsets, **opsets_of(body.opset_import)})
        copied, nodes = self.functions.copied(whole, body), list[Node]()
        for inner in copied:
            made.check(inner, outputs_of(copied))
            nodes += inside.nodes(inner, made, depth + 1)
        whole = node if depth == 0 else None
        nodes = [replace(one, line=node.line, group=node.group, whole=whole) for one in nodes]
        if node.calls is None:
            return nodes
        return [one.inside(*node.calls, Call(node.op)) for one in nodes]

    def node(self, proto: Any, made: "Made | None" = None, depth: int = 0) -> Node:
        """One node, whatever it calls."""
        domain = "" if proto.domain == "ai.onnx" else proto.domain
        schema = self.schema(domain, proto.op_type)
        attributes = {one.name: self._attribute(proto, one, made, depth) for one in proto.attribute}
        if len(attributes) > _MOST_ATTRIBUTES or len(attributes) != len(proto.attribute):
            raise OnnxError(f"{_title(proto)}: too many attributes, or one twice")
        version = 0
        if schema is not None:
            version = schema.since_version
            check_against(schema, proto)
            attributes = {**self._defaults(schema), **attributes}
        metadata = {entry.key: entry.value for entry in proto.metadata_props}
        return Node(
            op=proto.op_type,
            domain=domain,
            version=version,
            name=proto.name,
            inputs=tuple(proto.input),
            outputs=tuple(proto.output),
            attributes=attributes,
            calls=calls_of(proto.name, metadata),
            line=line_of(metadata),
            group=group_of(metadata),
            origin=origin_of(metadata),
        )

    def schema(self, domain: str, op: str) -> Any:
        """What ONNX says of an op; None where it does not have it."""
        defs = onnx_module("defs")
        if domain not in self.opsets:
            return None
        try:
            return defs.get_schema(op, self.opsets[domain], domain)
        except defs.SchemaError:
            return None

    def _defaults(self, schema: Any) -> dict[str, Any]:
        defaults: dict[str, Any] = {}
        for name, one in schema.attributes.items():
            if one.default_value.name:
                defaults[name] = self._attribute(None, one.default_value, None, 0)
        return defaults

    def _attribute(self, node: Any, proto: Any, made: "Made | None", depth: int) -> Any:
        kinds = onnx_module().AttributeProto
        read: dict[int, Any] = {
            kinds.FLOAT: lambda: proto.f,
            kinds.INT: lambda: proto.i,
            kinds.STRING: lambda: _text(proto.s),
            kinds.TENSOR: lambda: array_of(proto.t, self.folder),
            kinds.GRAPH: lambda: self.graph(
                proto.g, made.known if made else frozenset(), depth + 1
            ),
            kinds.FLOATS: lambda: list(proto.floats),
            kinds.INTS: lambda: list(proto.ints),
            kinds.STRINGS: lambda: [_text(text) for text in proto.strings],
            kinds.TYPE_PROTO: lambda: None,  # of a value that is absent
        }
        if proto.type not in read or proto.ref_attr_name:
            name = elide(proto.name, 60)
            raise OnnxError(f"{_title(node)}: attribute {name!r} is of a type that is not read")
        return read[proto.type]()


def nodes_of(protos: Iterable[Any], opset: int) -> list[Node]:
    """Nodes of ONNX's own ops in a version, as plain data."""
    onnx = onnx_module()
    reader = Reader({"": opset}, None, Functions(onnx.ModelProto(), lambda key: True))
    return [reader.node(proto) for proto in protos]


def modules_of(names: Iterable[str]) -> set[str]:
    """The modules that dotted names of parameters tell of: "a.b.weight" of "a" and "a.b"."""
    known: set[str] = set()
    for name in names:
        module = name.rpartition(".")[0]
        while module and module not in known:
            known.add(module)
            module = module.rpartition(".")[0]
    return known


def opsets_of(imports: Iterable[Any]) -> dict[str, int]:
    """The versions of the domains that a file uses.

    Raises:
        OnnxError: ONNX's own ops in a version that the installed package does not know.
    """
    opsets: dict[str, int] = {}
    for one in imports:
        opsets["" if one.domain == "ai.onnx" else one.domain] = one.version
    newest = onnx_module("defs").onnx_opset_version()
    if "" in opsets and not 1 <= opsets[""] <= newest:
        raise OnnxError(
            f"opset {opsets['']} is not known: the installed package onnx reads 1 to {newest}"
        )
    return opsets


def outputs_of(nodes: Iterable[Any]) -> set[str]:
    """The names of what nodes make."""
    return {output for node in nodes for output in node.output if output}


class Made:
    """The values that are there before a node.

    Args:
        graph: what errors call the graph.
        outer: the values of the graphs around it.
        own: its inputs and initializers.
    """

    def __init__(self, graph: str, outer: frozenset[str], own: set[str]) -> None:
        self._graph, self._outer, self._own = graph, outer, own

    @property
    def known(self) -> frozenset[str]:
        """All that a subgraph of the next node may read."""
        return self._outer | self._own

    def check_inputs(self, names: list[str]) -> None:
        if len(set(names)) != len(names) or not all(names):
            raise OnnxError(f"{self._graph}: two inputs of one name, or one without")

    def check(self, node: Any, later: set[str]) -> None:
        """Refuse a node that reads what is not there, or makes what is.

        Raises:
            OnnxError: says which.
        """
        for name in node.input:
            if name and name not in self._own and name not in self._outer:
                shown = elide(name, 60)
                reason = "which nothing makes"
                if name in later:
                    reason = "which is made later: the nodes run in a circle, or are out of order"
                raise OnnxError(f"{_title(node)} reads {shown!r}, {reason}")
        for name in node.output:
            if name in self._own:
                raise OnnxError(f"{_title(node)} makes {elide(name, 60)!r}, which is there already")

    def add(self, node: Any) -> None:
        self._own.update(name for name in node.output if name)

    def check_outputs(self, outputs: Iterable[Any]) -> None:
        for value in outputs:
            if value.name not in self._own and value.name not in self._outer:
                shown = elide(value.name, 60)
                raise OnnxError(f"{self._graph}: its output {shown!r} is made by nothing")


def check_against(schema: Any, proto: Any) -> None:
    """Refuse a node that is not as its op's schema says.

    Raises:
        OnnxError: the number of inputs or outputs, or an attribute.
    """
    title = _title(proto)
    for what, given, least, most in (
        ("inputs", len(proto.input), schema.min_input, schema.max_input),
        ("outputs", len(proto.output), schema.min_output, schema.max_output),
    ):
        if not least <= given <= most:
            raise OnnxError(f"{title}: {given} {what}, and the op has {least} to {most}")
    for one in proto.attribute:
        known = schema.attributes.get(one.name)
        if known is None:
            raise OnnxError(f"{title}: the op has no attribute {elide(one.name, 60)!r}")
        if int(known.type) != one.type:
            raise OnnxError(f"{title}: attribute {one.name!r} is of another type")
    given_names = {one.name for one in proto.attribute}
    for name, one in schema.attributes.items():
        if one.required and name not in given_names:
            raise OnnxError(f"{title}: attribute {name!r} is missing")


def value_of(proto: Any) -> Value:
    """An input or output as the file describes it.

    Raises:
        OnnxError: it is of a type that NumPy lacks.
    """
    tensor = proto.type.tensor_type
    if proto.type.WhichOneof("value") != "tensor_type" or not tensor.elem_type:
        return Value(proto.name)
    try:
        dtype = dtype_of(tensor.elem_type).name
    except OnnxError as error:
        raise OnnxError(f"{elide(proto.name, 60)!r}: {error}") from None
    if not tensor.HasField("shape"):
        return Value(proto.name, dtype)
    axes = [_axis(dim, i) for i, dim in enumerate(tensor.shape.dim[:33])]
    return Value(proto.name, dtype, tuple(axes))


def _axis(dim: Any, number: int) -> int | str:
    if dim.WhichOneof("value") == "dim_value":
        return dim.dim_value
    return elide(dim.dim_param, 30) or f"axis_{number}"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _title(proto: Any) -> str:
    if proto is None:
        return "a default"
    name = proto.name or next(filter(None, proto.output), "")
    return f"{elide(proto.op_type, 60)} {elide(name, 60)!r}"


def facts_of(proto: Any, graph: Graph, opset: int) -> Model:
    """The model, with what our own files say of their parameters and names."""
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    try:
        trained = frozenset(map(str, json.loads(metadata[TRAINED])))
        leaves = frozenset(map(str, json.loads(metadata[LEAVES])))
        pairs = json.loads(metadata[NAMES]).items()
        names = {str(key): elide(str(name), 60) for key, name in pairs}
        fresh = frozenset(map(str, json.loads(metadata.get(FRESH, "[]"))))
        variables = frozenset(map(str, json.loads(metadata.get(VARIABLES, "[]"))))
        lines = lines_of(metadata.get(LINES, "[]"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Model(graph, opset)  # another's file, or damaged: the names alone are lost
    is_function = metadata.get(KIND) == "function"
    return Model(graph, opset, trained, leaves, names, variables, fresh, lines, is_function)
