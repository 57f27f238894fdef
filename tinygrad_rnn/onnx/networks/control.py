"""If, Loop and Scan: graphs in a graph, each a module."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...autograd import ops
from ...nn.module import Module
from ..nodes.values import integer, plain
from ..reading.graph import Node
from .values import Values

MOST_STEPS = 100_000


class If(Module):
    """One of two graphs, by a condition."""

    def __init__(self, node: Node, then_branch: Module, else_branch: Module) -> None:
        self._node = node
        self.then_branch, self.else_branch = then_branch, else_branch

    def forward(self, values: Values, condition: Any) -> tuple[Any, ...]:
        numbers = plain(condition)
        if numbers.size != 1:
            raise self._node.refused(f"its condition has shape {numbers.shape}")
        branch = self.then_branch if bool(numbers.reshape(())) else self.else_branch
        return branch(values)


class Loop(Module):
    """A graph that is run again and again: its body is called once per step.

    `finals, scans = loop(values, most, condition, *states)`.
    """

    def __init__(self, node: Node, body: Any) -> None:
        self._node, self.body = node, body
        if len(body.inputs) != len(node.inputs) or len(body.outputs) <= len(node.inputs) - 2:
            raise node.refused("its body has another number of inputs or outputs")

    def forward(
        self, values: Values, most: Any = None, condition: Any = None, *states: Any
    ) -> tuple[Any, ...]:
        limit = None if most is None else integer(most)
        going = condition is None or _is_true(condition)
        carried, count, step = list(states), len(states), 0
        shown: list[list[Any]] = [[] for _ in range(len(self.body.outputs) - 1 - count)]
        while going and (limit is None or step < limit):
            if step == MOST_STEPS:
                raise self._node.refused(f"more than {MOST_STEPS} steps")
            made = self.body(values, np.array(step, np.int64), np.array(True), *carried)
            going = _is_true(made[0])
            carried = list(made[1 : count + 1])
            for list_of, x in zip(shown, made[count + 1 :], strict=True):
                list_of.append(x)
            step += 1
        scans = [stacked(xs, 0, self.body, count + 1 + i) for i, xs in enumerate(shown)]
        return *carried, *scans


def _is_true(condition: Any) -> bool:
    return bool(plain(condition).reshape(()))


def stacked(xs: Sequence[Any], axis: int, body: Any, output: int) -> Any:
    """What a loop has shown at each step, along a new axis; nothing, where it never ran."""
    if all(isinstance(x, np.ndarray) for x in xs) and xs:
        return np.stack(xs, axis)
    if xs:
        return ops.stack(xs, axis)
    value = body.outputs[output]
    shape = [n if isinstance(n, int) else 0 for n in value.shape or ()]
    return np.zeros((0, *shape), value.dtype or np.float32)


class Scan(Module):
    """A graph that is called once for each element of sequences."""

    def __init__(self, node: Node, body: Any) -> None:
        self._node, self.body = node, body
        attributes = node.attributes
        self.scanned = scanned = attributes["num_scan_inputs"]
        given = len(node.inputs) - (node.version < 9)
        self.carried = given - scanned
        self.shown = shown = len(body.outputs) - self.carried
        if self.carried < 0 or shown < 0 or len(body.inputs) != given or scanned < 1:
            raise node.refused("its body has another number of inputs or outputs")
        old = attributes.get("directions") or [0] * scanned  # opset 8
        self._reads = attributes.get("scan_input_directions") or old
        self._writes = attributes.get("scan_output_directions") or [0] * shown
        self._axes = attributes.get("scan_input_axes") or [0] * scanned
        self._out_axes = attributes.get("scan_output_axes") or [0] * shown
        lists = (self._reads, self._axes), (self._writes, self._out_axes)
        lengths = [len(one) for pair in lists for one in pair]
        if lengths != [scanned, scanned, shown, shown]:
            raise node.refused("its axes or directions are not one for each sequence")

    def forward(self, values: Values, *inputs: Any) -> tuple[Any, ...]:
        if self._node.version >= 9:
            return self._scanned(values, inputs)
        return self._batched(values, inputs)

    def _batched(self, values: Values, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """Opset 8: the first axis of every input is the batch; each of its elements is scanned."""
        if inputs[0] is not None:
            raise self._node.refused("sequence_lens of opset 8 is not here")
        rows = [ops.unstack(x) for x in inputs[1:]]
        made = [self._scanned(values, row) for row in zip(*rows, strict=True)]
        return tuple(ops.stack(parts) for parts in zip(*made, strict=True))

    def _scanned(self, values: Values, inputs: Sequence[Any]) -> tuple[Any, ...]:
        carried = list(inputs[: self.carried])
        sequences = [
            _steps(x, axis, bool(turned))
            for x, axis, turned in zip(inputs[self.carried :], self._axes, self._reads, strict=True)
        ]
        lengths = {len(steps) for steps in sequences}
        if len(lengths) != 1:
            raise self._node.refused(f"sequences of {sorted(lengths)} steps")
        shown: list[list[Any]] = [[] for _ in range(self.shown)]
        for step in zip(*sequences, strict=True):
            made = self.body(values, *carried, *step)
            carried = list(made[: self.carried])
            for list_of, x in zip(shown, made[self.carried :], strict=True):
                list_of.append(x)
        rows = zip(shown, self._out_axes, self._writes, strict=True)
        scans = [
            stacked(xs[::-1] if turned else xs, axis, self.body, self.carried + i)
            for i, (xs, axis, turned) in enumerate(rows)
        ]
        return *carried, *scans


def _steps(x: Any, axis: int, turned: bool) -> list[Any]:
    steps = ops.unstack(x, axis)
    return steps[::-1] if turned else steps
