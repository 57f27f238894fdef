"""What a graph does, in order: nodes, modules, and stretches of both inside a module's call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ...autograd.switches import scope
from ...autograd.tensor import Tensor
from ...errors import TinygradError
from ...nn.cells import Cell
from ...nn.module import Module
from ..nodes import run_node
from ..reading.graph import Call, Node
from .lines import Line
from .values import Values


class Step(Protocol):
    """One thing that a graph does."""

    def run(self, values: Values) -> None:
        """Read values, and add those that are made."""
        ...


@dataclass(frozen=True, slots=True)
class NodeStep:
    """A node that is a few of our ops.

    Args:
        node: what it reads and makes.
        line: runs a function in the line of the node.
        names: of its outputs, what the program called them.
    """

    node: Node
    line: Line
    names: Mapping[str, str]

    def run(self, values: Values) -> None:
        made = self.line(run_node, self.node, [values[name] for name in self.node.inputs])
        keep(self.node, made, values)
        for output, name in self.names.items():
            named(values[output], name)


@dataclass(frozen=True, slots=True)
class ModuleStep:
    """A node that is a module: a recurrent layer, a loop.

    Args:
        node: what it reads and makes.
        module: what is called.
        reads: the inputs that it takes; the others are its parameters.
        has_graphs: whether graphs in it may read any value.
        line: runs a function in the line of the node.
    """

    node: Node
    module: Module
    reads: Sequence[str]
    has_graphs: bool
    line: Line

    def run(self, values: Values) -> None:
        inputs: list[Any] = [values[name] for name in self.reads]
        try:
            made = self.line(self.module, *([values] if self.has_graphs else []), *inputs)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            if isinstance(error, TinygradError):
                raise
            raise self.node.refused(error) from error
        keep(self.node, made, values)


@dataclass(frozen=True, slots=True)
class Section:
    """Steps inside one call of a module of the file."""

    part: "Part"
    steps: Sequence[Step]

    def run(self, values: Values) -> None:
        self.part(self.steps, values)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Steps inside a scope that the program named."""

    name: str
    steps: Sequence[Step]

    def run(self, values: Values) -> None:
        with scope(self.name):
            run_all(self.steps, values)


class Part(Module):
    """A module of the file, known by its name: its parameters, and the modules inside.

    Its calls are those that the file tells of.
    """

    def forward(self, steps: Sequence[Step], values: Values) -> None:
        run_all(steps, values)


class CellPart(Part, Cell):
    """A recurrent cell of the file, as a program of ours wrote it: with its states and equation."""

    known_equation = ""

    def __init__(self) -> None:
        # The parameters come one by one; a Cell would make its own.
        pass

    @property
    def equation(self) -> str | None:
        return self.known_equation or None

    forward: Any = Part.forward

    def extra_repr(self) -> str:
        return ""


def part_of(call: Call, has_weights: bool) -> Part:
    """A module for a call that a file tells of, of a class with the name that it had.

    Args:
        call: of it.
        has_weights: whether the file has the parameters that every cell of ours has.
    """
    name = call.kind if call.kind.isidentifier() else "Part"
    if call.states and has_weights:
        cell = type(name, (CellPart,), {"states": call.states, "known_equation": call.equation})
        return cell()
    return type(name, (Part,), {})()


def run_all(steps: Sequence[Step], values: Values) -> None:
    """Run steps in order."""
    for step in steps:
        step.run(values)


def keep(node: Node, made: Sequence[Any], values: Values) -> None:
    """Give what was made the names of the node's outputs.

    Raises:
        OnnxError: fewer values than the node names.
    """
    if len(made) < len(node.outputs) and any(node.outputs[len(made) :]):
        raise node.refused(f"{len(node.outputs)} outputs, and the op makes {len(made)}")
    for name, value in zip(node.outputs, made, strict=False):
        values[name] = value


def named(value: Any, name: str) -> None:
    """Call a tensor as the file does, if it has no name."""
    if isinstance(value, Tensor) and value.name is None:
        value.name = name
