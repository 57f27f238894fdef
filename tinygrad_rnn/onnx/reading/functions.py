"""Functions: nodes that stand for other nodes, defined by the model or by ONNX itself."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ...errors import OnnxError
from ...text import elide
from ..package import onnx_module

_MOST_COPIED = 200_000


class Schemas(Protocol):
    """What tells the schema of an op, and the version of its domain."""

    @property
    def opsets(self) -> Mapping[str, int]: ...

    def schema(self, domain: str, op: str) -> Any: ...


class Functions:
    """The functions of one model.

    Args:
        proto: the ModelProto.
        is_known: whether a node of (domain, op) is run as it is.
    """

    def __init__(self, proto: Any, is_known: Callable[[tuple[str, str]], bool]) -> None:
        self._proto, self._is_known = proto, is_known
        self._own = {(one.domain, one.name, one.overload): one for one in proto.functions}
        self._types: dict[str, Any] | None = None
        self._copied = 0

    def call_of(self, schemas: Schemas, node: Any) -> tuple[Any, Any] | None:
        """The FunctionProto that a node stands for, and the node with all attributes.

        None: it is run as it is, or unknown.
        """
        own = self._own.get((node.domain, node.op_type, node.overload))
        if own is not None:
            return own, node
        domain = "" if node.domain == "ai.onnx" else node.domain
        schema = schemas.schema(domain, node.op_type)
        if schema is None or self._is_known((domain, node.op_type)):
            return None
        whole = _with_defaults(schema, node)
        body = self._of_schema(schema, whole, schemas.opsets[domain])
        return None if body is None else (body, whole)

    def _of_schema(self, schema: Any, node: Any, opset: int) -> Any:
        """What ONNX defines an op by, where it does."""
        function = onnx_module().FunctionProto()
        plain = [v for v in schema.function_opset_versions if v <= opset]
        if plain:
            function.ParseFromString(schema.get_function_with_opset_version(max(plain)))
            return function
        for_types = [v for v in schema.context_dependent_function_opset_versions if v <= opset]
        types = self._types_of(node)
        if not for_types or types is None:
            return None
        text = schema.get_context_dependent_function_with_opset_version(
            max(for_types), node.SerializeToString(), types
        )
        if not text:
            return None
        function.ParseFromString(text)
        return function

    def _types_of(self, node: Any) -> list[bytes] | None:
        """The types of a node's inputs; None where they cannot be told."""
        if self._types is None:
            self._types = _inferred(self._proto)
        nothing = onnx_module().TypeProto()
        if any(name and name not in self._types for name in node.input):
            return None
        return [self._types.get(name, nothing).SerializeToString() for name in node.input]

    def copied(self, node: Any, body: Any) -> list[Any]:
        """The nodes of a function as one call of it has them, under names of their own.

        Raises:
            OnnxError: functions that call functions make too many.
        """
        self._copied += len(body.node)
        if self._copied > _MOST_COPIED:
            raise OnnxError(f"functions come to more than {_MOST_COPIED} nodes")
        names: dict[str, str] = dict.fromkeys((*body.input, ""), "")
        names.update(zip(body.input, node.input, strict=False))
        outputs = zip(body.output, node.output, strict=False)
        names.update((inner, outer) for inner, outer in outputs if outer)
        given = {one.name: one for one in body.attribute_proto}
        given.update((one.name, one) for one in node.attribute)
        first = next(filter(None, node.output), node.name)
        prefix = f"{elide(first, 60)}/{node.op_type}{self._copied}/"
        copier = _Copier(names, given, prefix)
        return [copier.node(inner) for inner in body.node]


class _Copier:
    """Copies nodes, with their values renamed and the attributes of the call put in."""

    def __init__(self, names: Mapping[str, str], given: Mapping[str, Any], prefix: str) -> None:
        self._names, self._given, self._prefix = names, given, prefix

    def _name(self, name: str) -> str:
        return self._names[name] if name in self._names else self._prefix + name

    def node(self, node: Any) -> Any:
        made = onnx_module().NodeProto()
        made.CopyFrom(node)
        made.input[:] = [self._name(name) for name in node.input]
        made.output[:] = [self._name(name) for name in node.output]
        del made.attribute[:]
        for one in node.attribute:
            if not one.ref_attr_name:
                self._copy(made.attribute.add(), one)
            elif one.ref_attr_name in self._given:
                given = made.attribute.add()
                given.CopyFrom(self._given[one.ref_attr_name])
                given.name = one.name
        return made

    def _copy(self, to: Any, one: Any) -> None:
        to.CopyFrom(one)
        if not one.HasField("g"):
            return
        graph = to.g
        for value in (*graph.input, *graph.output, *graph.initializer):
            value.name = self._name(value.name)
        nodes = [self.node(inner) for inner in one.g.node]
        del graph.node[:]
        graph.node.extend(nodes)


def _with_defaults(schema: Any, node: Any) -> Any:
    whole = onnx_module().NodeProto()
    whole.CopyFrom(node)
    given = {one.name for one in node.attribute}
    for name, one in schema.attributes.items():
        if name not in given and one.default_value.name:
            whole.attribute.add().CopyFrom(one.default_value)
    return whole


def _inferred(proto: Any) -> dict[str, Any]:
    """The types that ONNX infers of a model's values, by name; none if it cannot."""
    types: dict[str, Any] = {}
    try:
        graph = onnx_module("shape_inference").infer_shapes(proto).graph
    except Exception:  # of C++, whatever it may be: then such ops are unknown
        graph = proto.graph
    for value in (*graph.value_info, *graph.input, *graph.output):
        types[value.name] = value.type
    for tensor in graph.initializer:
        one = onnx_module().TypeProto()
        one.tensor_type.elem_type = tensor.data_type
        types[tensor.name] = one
    return types
