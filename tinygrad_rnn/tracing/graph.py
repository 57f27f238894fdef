"""The recorded graph as plain data: one `Node` per tensor, inputs before outputs."""

import gc
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..autograd.op import Op
from ..autograd.scope import Scope
from ..autograd.tensor import Array, Tensor
from ..errors import TraceError
from .source import Source


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One tensor of a recorded run, and the op that made it (`op is None`: a leaf).

    It holds arrays by reference, never the tensor. A leaf whose data was replaced between two uses is two nodes with
    one id.
    """

    id: int  # creation order of the tensor
    op: str | None
    inputs: "tuple[Node | None, ...]"  # None stands for a Python number
    operands: tuple[Any, ...]  # what the forward saw: an array or a Python number per input
    data: Array
    name: str | None
    requires_grad: bool
    options: Mapping[str, Any]  # the op's other arguments: axis, index …
    scope: Scope | None
    source: Source | None = None
    rule: Op | None = None  # the op itself, to compute it again

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def is_parameter(self) -> bool:
        """Whether it is trained: a leaf that requires a gradient."""
        return self.op is None and self.requires_grad

    def tensors(self) -> "Iterator[Node]":
        """The inputs that are tensors."""
        return (x for x in self.inputs if x is not None)


def compute(rule: Op, operands: Sequence[Any], options: Mapping[str, Any]) -> Array:
    """The forward of an op once more."""
    value = rule.forward(operands, **options) if rule.variadic else rule.forward(*operands, **options)
    return np.asarray(value)


@contextmanager
def collector_paused() -> Generator[None, None, None]:
    """Let Python's garbage collector rest: plain data that all stays alive is no garbage, however often it looks."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Everything that `root` was made from, in creation order; also what the user named of it, say a slice."""

    nodes: tuple[Node, ...]
    root: Node
    names: Mapping[int, str]  # node id -> the name that the user gave the tensor
    gradients: Mapping[int, Array] = field(default_factory=dict[int, Array])  # node id -> ∂L/∂node, where recorded

    @classmethod
    @collector_paused()
    def of(cls, output: Tensor) -> "Graph":
        """The graph that a tensor itself remembers.

        Raises:
            TraceError: `output` is a leaf: nothing was recorded.
        """
        if output.op is None:
            raise TraceError(
                "nothing was recorded: this tensor was not made from anything that requires a gradient; give a "
                "parameter requires_grad=True, compute outside no_grad(), or record the run with tg.trace()"
            )
        made: dict[int, Node] = {}
        for tensor in sorted(_ancestors(output), key=lambda t: t.id):
            inputs = tuple(
                None if x is None else made.get(x.id) or made.setdefault(x.id, leaf_node(x, array))
                for x, array in zip(tensor.inputs, tensor.arrays, strict=True)
            )
            made[tensor.id] = Node(
                id=tensor.id,
                op=tensor.op.name if tensor.op else None,
                inputs=inputs,
                operands=tensor.arrays,
                data=tensor.data,
                name=tensor.name,
                requires_grad=tensor.requires_grad,
                options=tensor.options,
                scope=tensor.scope,
                rule=tensor.op,
            )
        nodes = tuple(sorted(made.values(), key=lambda node: node.id))
        return cls(nodes, made[output.id], {node.id: node.name for node in nodes if node.name})

    @classmethod
    @collector_paused()
    def leading_to(
        cls, root: Node, names: Mapping[int, str], named: Iterable[Node], gradients: Mapping[int, Array]
    ) -> "Graph":
        """The graph of everything that `root` was made from, and the `named` that were made directly from that."""
        seen = {root}
        stack = [root]
        while stack:
            for x in stack.pop().tensors():
                if x not in seen:
                    seen.add(x)
                    stack.append(x)
        seen |= {node for node in named if node.inputs and all(x in seen for x in node.tensors())}
        return cls(tuple(sorted(seen, key=lambda node: node.id)), root, names, gradients)


def leaf_node(tensor: Tensor, array: Array, name: str | None = None) -> Node:
    """A leaf as an op saw it; what was made before the recording began is a leaf too, but no parameter."""
    return Node(
        id=tensor.id,
        op=None,
        inputs=(),
        operands=(),
        data=array,
        name=tensor.name or name,
        requires_grad=tensor.requires_grad and tensor.is_leaf,
        options={},
        scope=tensor.scope,
    )


def _ancestors(output: Tensor) -> Iterable[Tensor]:
    """The tensors with a history that `output` was made from."""
    seen = {output}
    stack = [output]
    while stack:
        for x in stack.pop().inputs:
            if x is not None and x.op is not None and x not in seen:
                seen.add(x)
                stack.append(x)
    return seen
