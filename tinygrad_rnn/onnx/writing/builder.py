"""Builds a graph: nodes, constants, names."""

import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from os.path import basename
from typing import Any

import numpy as np

from ...autograd.state import Scope
from ...errors import OnnxError
from ...nn.cells import Cell
from ...nn.module import Module
from ...text import elide
from ...tracing.recording.graph import Node
from ...tracing.recording.place import plain_places
from ...tracing.recording.source import Source
from ..package import onnx_module
from ..reading.origins import GROUP, ORIGIN
from ..reading.scopes import LINE, SCOPES
from ..reading.tensors import NUMBERS

OPSET = 20

Rule = Callable[["Builder", Node], str]
# Our op -> what writes it.
RULES: dict[str, Rule] = {}


def writes(*ops: str) -> Callable[[Rule], Rule]:
    """Make a function what writes our ops of these names."""

    def decorate(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(ops, rule))
        return rule

    return decorate


@dataclass(frozen=True, slots=True)
class Written:
    """A value of the graph."""

    name: str
    dtype: np.dtype[Any]


class Builder:
    """The graph as far as it is written.

    Args:
        dtype: what floats are written as; None: as they are.
        options: id of an array that is an option -> the id of the tensor whose values it holds.
        root: the module that is written, which no scope names.
        named: what the program calls modules that nothing but a function calls.
        paths: where the modules sit, from the variables of the program on.
    """

    def __init__(
        self,
        dtype: Any,
        options: Mapping[int, int],
        root: Module | None,
        named: Mapping[object, str],
        paths: Mapping[object, str],
    ) -> None:
        self._dtype = None if dtype is None else np.dtype(dtype)
        self._options, self._root, self._named, self._paths = options, root, named, paths
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}
        self.leaves: list[str] = []
        self.trained_names: list[str] = []
        self._values: dict[int, Written] = {}
        self._constants: dict[tuple[Any, ...], str] = {}
        self._taken: set[str] = set()
        self._shared: dict[Hashable, str] = {}
        self._ages: dict[str, int] = {}
        self._scope: Scope | None = None
        self._line: int | str = ""
        self.lines: list[Sequence[Any]] = []
        self._sources: dict[int, int] = {}
        self._functions: dict[Hashable, int] = {}
        self._modules: dict[int, int] = {}
        self._groups = 0
        self._group_start: int | None = None

    # Values

    def dtype_of(self, dtype: Any) -> np.dtype[Any]:
        """What numbers of a dtype are written as."""
        dtype = np.dtype(dtype)
        return self._dtype if self._dtype is not None and dtype.kind == "f" else dtype

    def unique(self, name: str) -> str:
        """A name that no value has yet."""
        first = name = elide(name, 80) or "value"
        number = 1
        while name in self._taken:
            name, number = f"{first}_{number}", number + 1
        self._taken.add(name)
        return name

    def keep(self, id: int, name: str, dtype: Any) -> None:
        """Remember which value a tensor is."""
        self._values[id] = Written(name, self.dtype_of(dtype))

    def value(self, id: int) -> Written:
        """The value that a tensor is."""
        return self._values[id]

    def has(self, id: int) -> bool:
        """Whether a tensor is written."""
        return id in self._values

    def array(self, array: Any, name: str, age: int | None = None) -> str:
        """An initializer of this name or one like it; `age` is the id of its tensor."""
        array = np.asarray(array)
        array = np.ascontiguousarray(array, self.dtype_of(array.dtype)).reshape(array.shape)
        if array.dtype not in NUMBERS:
            raise OnnxError(f"save: no numbers of {array.dtype} in ONNX")
        name = self.unique(name)
        tensor = onnx_module("numpy_helper").from_array(array, name)
        self.initializers[name] = tensor
        if age is not None:
            self._ages[name] = age
        return name

    def by_age(self) -> list[Any]:
        """The initializers: tensors in the order in which they were made, then the constants."""
        ages, last = self._ages, max(self._ages.values(), default=0) + 1
        names = sorted(self.initializers, key=lambda name: ages.get(name, last))
        return [self.initializers[name] for name in names]

    def shared(self, key: Hashable, make: Callable[[], Any], name: str, age: int) -> str:
        """A parameter that several nodes read, written once."""
        if key not in self._shared:
            self._shared[key] = self.array(make(), name, age)
            self.trained([self._shared[key]])
        return self._shared[key]

    def constant(self, array: Any, dtype: Any = None) -> str:
        """A value that is always the same; two that are equal are one."""
        array = np.asarray(array, None if dtype is None else self.dtype_of(dtype))
        key = (array.dtype, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self.array(array, "constant")
        return self._constants[key]

    def trained(self, names: Iterable[str]) -> None:
        """Say that initializers are parameters."""
        self.trained_names += names

    def integers(self, numbers: Iterable[int]) -> str:
        """A shape, or axes."""
        return self.constant(np.array(list(numbers), np.int64).reshape(-1))

    def operand(self, node: Node, number: int, dtype: Any = None) -> str:
        """An input of an op, in a dtype: by default the output's."""
        wanted = self.dtype_of(node.data.dtype if dtype is None else dtype)
        x = node.inputs[number]
        if x is None:
            return self.constant(node.operands[number], wanted)
        return self.cast(self.value(x.id), wanted)

    def tensor_option(self, array: Any) -> Written | None:
        """The value that an option is, where it is a tensor's and not always the same."""
        id_of = self._options.get(id(array))
        return None if id_of is None else self._values.get(id_of)

    # Nodes

    def cast(self, value: Written, dtype: Any) -> str:
        """A value in a dtype."""
        wanted = self.dtype_of(dtype)
        if value.dtype == wanted:
            return value.name
        return self.add("Cast", value.name, to=NUMBERS[wanted])

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """A node of one output, whose name is returned."""
        return self.several(op, inputs, 1, **attributes)[0]

    def several(
        self, op: str, inputs: Sequence[str], outputs: int | Sequence[bool], **attributes: Any
    ) -> list[str]:
        """A node; the names of its outputs, "" for those that nobody reads."""
        wanted = [True] * outputs if isinstance(outputs, int) else outputs
        names = [self.unique(op.lower()) if one else "" for one in wanted]
        name = self.unique("/".join([*(call.name for call in self._calls()), op]))
        made = onnx_module("helper").make_node(op, inputs, names, name=name, **attributes)
        calls = [self._described(call) for call in self._calls()]
        group = "" if self._group_start is None else str(self._groups)
        facts = {SCOPES: json.dumps(calls), LINE: str(self._line), GROUP: group}
        for key, text in facts.items():
            if text:
                made.metadata_props.add(key=key, value=text)
        self.nodes.append(made)
        return names

    # Groups: what one op or one layer becomes

    def begin_group(self) -> None:
        """The next nodes are what one op or layer becomes."""
        self._groups += 1
        self._group_start = len(self.nodes)

    def end_group(self) -> Sequence[Any]:
        """They were these."""
        nodes = self.nodes[self._group_start :]
        self._group_start = None
        return nodes

    def say_origin(self, group: Sequence[Any], text: str) -> None:
        """Say on the last node of a group what it was written from."""
        group[-1].metadata_props.add(key=ORIGIN, value=text)

    def is_of_group(self, name: str) -> bool:
        """Whether the last node of the group that is being written makes a value."""
        own = self.nodes[self._group_start or 0 :]
        return bool(own) and name in own[-1].output

    def rename(self, old: str, new: str) -> str:
        """Call what the last node makes as the program does."""
        last = self.nodes[-1] if self.nodes else None
        if last is None or old not in last.output or not new:
            return old
        name = self.unique(new)
        last.output[list(last.output).index(old)] = name
        return name

    # Calls

    def enter(
        self, scope: Scope | None, source: Source | None = None, variables: Any = None
    ) -> None:
        """Say which call the next nodes stand in, and which line of the program.

        Args:
            scope: the call.
            source: the line.
            variables: what it calls the parts of the value, where it is a tuple.
        """
        self._scope, self._line = scope, ""
        if source is None:
            return
        if id(source) not in self._sources:
            self._sources[id(source)] = len(self.lines)
            variable = source.variable if variables is None else variables
            where = basename(source.file), source.line
            places = plain_places(source.places, self._functions)
            inside, part_of = source.is_inside_package, list(source.part_of)
            self.lines.append((*where, variable, inside, places, part_of))
        self._line = self._sources[id(source)]

    def _calls(self) -> list[Scope]:
        calls = [] if self._scope is None else list(self._scope.chain())
        if calls and self._root is not None and calls[0].owner is self._root:
            return calls[1:]
        return calls

    def name_of(self, call: Scope) -> str:
        """What a call is called; of the outermost the program knows the variable."""
        return self._named.get(call.owner, call.name) if call.parent is None else call.name

    def _described(self, call: Scope) -> dict[str, Any]:
        described: dict[str, Any] = {"name": self.name_of(call), "call": call.id}
        if isinstance(call.owner, str):
            return {**described, "scope": True}
        described["class"] = type(call.owner).__name__
        described["module"] = self._modules.setdefault(id(call.owner), len(self._modules))
        if call.owner in self._paths:
            described["path"] = self._paths[call.owner]
        if isinstance(call.owner, Cell):
            described["states"] = list(call.owner.states)
            described["equation"] = call.owner.equation or ""
        return described


def axes_of(axis: Any, ndim: int) -> list[int]:
    """Axes, counted from 0: all where none is said."""
    if axis is None:
        return list(range(ndim))
    given = axis if isinstance(axis, tuple | list) else (axis,)
    return [int(one) % ndim for one in given]


def own_dtype(node: Node, number: int) -> np.dtype[Any]:
    """The dtype that an operand has, whatever is made of it."""
    return np.asarray(node.operands[number]).dtype


def common(arrays: Iterable[Any]) -> np.dtype[Any]:
    """The dtype in which operands are compared."""
    return np.result_type(*arrays)
