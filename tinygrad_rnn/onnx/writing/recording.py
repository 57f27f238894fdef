"""One run of what is to be written: its ops, its inputs, and what everything is called."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...autograd.switches import observed
from ...autograd.tensor import Tensor
from ...errors import OnnxError, describe
from ...nn.module import Module
from ...tracing.recording.graph import Node
from ...tracing.trace import Trace, trace


@dataclass(frozen=True, slots=True)
class Recorded:
    """A run.

    Args:
        nodes: of all tensors, in the order in which they were made.
        inputs: names of the arguments, and their tensors' ids.
        outputs: names of what was returned, and the ids.
        leaves: what parameters are called, by id.
        given: node id -> what the program calls the tensor.
        options: id of an array that is an option -> the tensor's id, where it is one's values.
        kept: what keeps these arrays and tensors alive, so that no id is used again.
        root: the module that was called, if it was one.
        modules: the names of the modules that the function sees.
        named: node id -> the name that the program gave the tensor itself.
        first: no tensor of a lower id was made in the run.
        paths: where each module sits, by the names that the function sees.
        in_modules: the ids of the parameters in them.
    """

    nodes: Sequence[Node]
    inputs: Sequence[tuple[str, int]]
    outputs: Sequence[tuple[str, int]]
    leaves: Mapping[int, str]
    given: Mapping[int, str]
    options: Mapping[int, int]
    kept: Sequence[Any]
    root: Module | None
    modules: Mapping[object, str]
    named: Mapping[int, str]
    first: int
    paths: Mapping[object, str]
    in_modules: Set[int]

    def node(self, id: int) -> Node:
        """The node of a tensor."""
        return next(node for node in self.nodes if node.id == id)

    def kept_tensor(self, id: int) -> Tensor:
        """An input."""
        return next(x for x in self.kept if isinstance(x, Tensor) and x.id == id)


def recorded(function: Callable[..., Any], example: Sequence[Any]) -> Recorded:
    """Run a function on an example.

    Args:
        function: or a module.
        example: its arguments; arrays and Tensors become inputs, all else is as it is.

    Raises:
        OnnxError: it looks at the numbers of an input, or returns no tensor.
    """
    names = _argument_names(function, len(example))
    arguments = [_argument(x, name) for x, name in zip(example, names, strict=True)]
    watch = _Watch(
        {x.id: name for x, name in zip(arguments, names, strict=True) if isinstance(x, Tensor)}
    )
    first = Tensor(0.0).id
    with trace() as run, observed(watch.observe):
        returned = function(*arguments)
        outputs = list(_outputs(returned))
        given = dict(run.run.given_names())
    nodes = run.run.nodes
    owners = _owners(nodes.values(), run.run.owners)
    missing = [x for _, x in outputs if x.id not in nodes]
    if not outputs or missing:
        raise OnnxError("save: the function must return what it computes, one tensor or several")
    modules: dict[object, str] = {value: name for name, value in _modules(function)} | owners
    outermost = [function] if isinstance(function, Module) else modules
    parameters = (p for one in outermost if isinstance(one, Module) for p in one.parameters())
    inputs = [(name, x.id) for name, x in watch.inputs(arguments, names)]
    return Recorded(
        nodes=list(nodes.values()),
        inputs=inputs,
        outputs=[(name, x.id) for name, x in outputs],
        leaves=_leaf_names(function, run),
        given=_variables(nodes.values()) | given,
        options=watch.options,
        kept=[*watch.kept, *arguments, returned],
        root=function if isinstance(function, Module) else None,
        modules=modules,
        named=given,
        first=first,
        paths=_paths(function, modules),
        in_modules={p.id for p in parameters},
    )


def _paths(function: Any, modules: Mapping[object, str]) -> dict[object, str]:
    """Where each module sits: "model.encoder.cells.0"."""
    if isinstance(function, Module):
        return {one: name for name, one in function.named_modules() if name}
    found: dict[object, str] = {}
    for module, name in modules.items():
        if isinstance(module, Module):
            for inner, one in module.named_modules():
                found.setdefault(one, f"{name}.{inner}".rstrip("."))
    return found


def _owners(nodes: Iterable[Node], names: Mapping[int, str]) -> dict[object, str]:
    """What the run knows the outermost modules as."""
    owners = {node.calls[0].owner for node in nodes if node.op is not None and node.calls}
    return {owner: names[id(owner)] for owner in owners if id(owner) in names}


class _Watch:
    """An observer: which tensors depend on inputs, and which are the options of an op."""

    def __init__(self, inputs: Mapping[int, str]) -> None:
        self._depends = dict(inputs)
        self.options: dict[int, int] = {}
        self.kept: list[Any] = []

    def inputs(self, arguments: Sequence[Any], names: Sequence[str]) -> list[tuple[str, Tensor]]:
        """The arguments that are tensors, with their names."""
        pairs = zip(names, arguments, strict=True)
        return [(name, x) for name, x in pairs if isinstance(x, Tensor)]

    def observe(self, kind: str, *facts: Any) -> None:
        """Refuse a look at numbers that are another input's at the next call."""
        if kind == "forward":
            output, _, inputs, _, options = facts
            of_inputs = [x.id for x in inputs if x is not None] + list(self._in_options(options))
            name = next((self._depends[id] for id in of_inputs if id in self._depends), None)
            if name is not None:
                self._depends[output.id] = name
        elif kind == "option":
            tensor, array = facts
            self.options[id(array)] = tensor.id
            self.kept += facts
        elif kind == "read" and facts[1] in ("data", "grad"):
            name = self._depends.get(getattr(facts[0], "id", -1))
            if name is not None:
                raise OnnxError(
                    f"save: the function looks at the numbers of {describe(facts[0])}, which comes "
                    f"from the input {name!r}: they would be the same for every input; bind it, "
                    "as in tg.onnx.save(path, lambda x: f(x, y), x)"
                )

    def _in_options(self, value: Any) -> Iterator[int]:
        if isinstance(value, dict):
            value = tuple(value.values())
        if isinstance(value, tuple | list):
            for part in value:
                yield from self._in_options(part)
        elif id(value) in self.options:
            yield self.options[id(value)]


def _argument_names(function: Any, count: int) -> list[str]:
    called = function.forward if isinstance(function, Module) else function
    try:
        parameters = list(inspect.signature(called).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in parameters if p.kind in plain]
    return [names[i] if i < len(names) else f"input_{i}" for i in range(count)]


def _argument(x: Any, name: str) -> Any:
    """An array as a named tensor; a Tensor without its history; all else as it is."""
    if isinstance(x, Tensor):
        return Tensor(x.data, name=x.name or name)
    if isinstance(x, np.ndarray):
        return Tensor(x, name=name)
    return x


def _outputs(returned: Any, name: str = "") -> Iterator[tuple[str, Tensor]]:
    """The tensors in what a function returned."""
    if isinstance(returned, Tensor):
        yield returned.name or name or "output", returned
    elif isinstance(returned, tuple | list):
        for i, part in enumerate(returned):
            yield from _outputs(part, f"{name}_{i}" if name else f"output_{i}")
    elif isinstance(returned, dict):
        for key, part in returned.items():
            yield from _outputs(part, f"{name}_{key}" if name else str(key))


def _variables(nodes: Any) -> dict[int, str]:
    """What the program's lines call the tensors."""
    return {node.id: node.given_name for node in nodes if node.given_name}


def _leaf_names(function: Any, run: Trace) -> dict[int, str]:
    """What the parameters are called: in the module, or by the variables that the function sees."""
    names: dict[int, str] = {}
    if isinstance(function, Module):
        for name, part in function.named_tensors():
            names.setdefault(part.id, name)
        return names
    for variable, value in _visible(function).items():
        for name, part in _named(variable, value):
            names.setdefault(part.id, part.name or name)
    return names


def _modules(function: Any) -> Iterator[tuple[str, Module]]:
    """The modules that a function sees, by name; those in lists and dicts too."""
    if isinstance(function, Module):
        return
    for variable, value in _visible(function).items():
        if isinstance(value, Module):
            yield variable, value
        elif isinstance(value, dict | list | tuple):
            parts = value.items() if isinstance(value, dict) else enumerate(value)
            yield from ((f"{variable}.{key}", x) for key, x in parts if isinstance(x, Module))


def _visible(function: Any) -> dict[str, Any]:
    """The variables that a function sees, those of functions around it too."""
    plain = inspect.unwrap(function)
    plain = getattr(plain, "__func__", plain)
    seen = dict(getattr(plain, "__globals__", {}))
    closure = _closure(plain)
    for value in closure.values():
        if inspect.isfunction(value):
            seen.update(value.__globals__)
    return seen | closure


def _closure(function: Any) -> dict[str, Any]:
    cells = getattr(function, "__closure__", None) or ()
    code = getattr(function, "__code__", None)
    found: dict[str, Any] = {}
    for name, cell in zip(code.co_freevars if code else (), cells, strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # it is empty yet
            continue
    return found


def _named(name: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, Module):
        for inner, part in value.named_tensors():
            yield f"{name}.{inner}", part
    elif isinstance(value, dict | list | tuple):
        parts = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in parts:
            if isinstance(part, Tensor | Module):
                yield from _named(f"{name}.{key}", part)
