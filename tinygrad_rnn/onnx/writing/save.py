"""Writes what a module or a function computes, as one run of it shows."""

import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...errors import OnnxError
from ...files import write_atomic
from ...text import elide
from ...tracing.recording.graph import Node, reached
from ..package import onnx_module
from ..reading.scopes import FRESH, KIND, LEAVES, LINES, NAMES, TRAINED, VARIABLES
from ..reading.tensors import NUMBERS
from . import rules
from .builder import OPSET, RULES, Builder
from .groups import layer_origin, op_origin
from .layers import LayerCall, LayerWriter, layer_calls
from .recording import Recorded, recorded

__all__ = ["model_of", "rules", "save_model"]

_IR = 10  # the first in which nodes have metadata


def save_model(
    path: str | os.PathLike[str],
    function: Callable[..., Any],
    example: Sequence[Any],
    *,
    unrolled: bool = False,
    dtype: Any = None,
) -> None:
    """Write a file; see `tg.onnx.save`."""
    data = model_of(function, example, unrolled=unrolled, dtype=dtype).SerializeToString()
    try:
        write_atomic(path, data)
    except OSError as error:
        raise OnnxError(f"save: {os.fspath(path)}: {error.strerror}") from error


def model_of(
    function: Callable[..., Any], example: Sequence[Any], *, unrolled: bool, dtype: Any
) -> Any:
    """The ModelProto of a function.

    Raises:
        OnnxError: it has ops that ONNX lacks, all in one error; or ONNX's checker refuses it.
    """
    if (dtype is not None and np.dtype(dtype) not in NUMBERS) or np.dtype(
        dtype or "f8"
    ).kind != "f":
        raise OnnxError(f"save: floats cannot be written as {dtype}")
    run = recorded(function, example)
    model = _Writer(run, unrolled, dtype).model()
    onnx = onnx_module()
    try:
        onnx_module("checker").check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise OnnxError(f"save: ONNX's checker refuses it: {elide(str(error), 400)}") from error
    except ValueError as error:  # protobuf holds no more than 2 GiB
        raise OnnxError(f"save: {elide(str(error), 200)}") from error
    return model


class _Writer:
    """Writes one run."""

    def __init__(self, run: Recorded, unrolled: bool, dtype: Any) -> None:
        self._run = run
        self._nodes = {node.id: node for node in run.nodes}
        self._b = Builder(dtype, run.options, run.root, run.modules, run.paths)
        self._needed = self._reached()
        self._calls, self._covered = ({}, set[int]()) if unrolled else layer_calls(run)
        self._names: dict[str, str] = {}
        self._variables: list[str] = []
        self._fresh: list[str] = []

    def _reached(self) -> set[int]:
        """The ids of what the outputs were made from, options that are tensors included."""
        nodes = self._nodes
        waiting = [nodes[id] for _, id in self._run.outputs]
        needed: set[Node] = set()
        while waiting:
            found = reached(waiting) - needed
            needed |= found
            waiting = [nodes[id] for node in found for id in self._in_options(node) if id in nodes]
        return {node.id for node in needed}

    def _in_options(self, node: Node) -> list[int]:
        found: list[int] = []
        for value in node.options.values():
            parts = value if isinstance(value, tuple | list) else (value,)
            found += [self._run.options[id(p)] for p in parts if id(p) in self._run.options]
        return found

    def model(self) -> Any:
        """The whole model."""
        helper = onnx_module("helper")
        self._refuse_unknown()
        inputs = [self._input(name, id) for name, id in self._run.inputs]
        for node in self._run.nodes:
            if node.id in self._needed and node.op is not None:
                self._write(node)
        outputs = [self._output(name, id) for name, id in self._run.outputs]
        title = type(self._run.root).__name__ if self._run.root else "function"
        graph = helper.make_graph(self._b.nodes, title, inputs, outputs, self._b.by_age())
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR)
        model.producer_name = "tinygrad_rnn"
        facts = {
            TRAINED: self._b.trained_names,
            LEAVES: self._b.leaves,
            FRESH: self._fresh,
            NAMES: self._names,
            VARIABLES: self._variables,
            LINES: self._b.lines,
        }
        for key, value in facts.items():
            model.metadata_props.add(key=key, value=json.dumps(value))
        kind = "module" if self._run.root else "function"
        model.metadata_props.add(key=KIND, value=kind)
        return model

    def _refuse_unknown(self) -> None:
        unknown: Counter[str] = Counter()
        for node in self._run.nodes:
            is_written = node.id in self._covered or node.op is None or node.op in RULES
            if node.id in self._needed and not is_written:
                unknown[str(node.op)] += 1
        if unknown:
            listed = ", ".join(f"{op} ({n})" for op, n in sorted(unknown.items()))
            hint = ""
            if "dropout_mask" in unknown:
                hint = "; dropout draws anew at each call: call model.eval() first"
            raise OnnxError(f"save: ops that have no form in ONNX here: {listed}{hint}")

    def _input(self, name: str, id: int) -> Any:
        node = self._run.kept_tensor(id)
        written = self._b.unique(name)
        self._b.keep(id, written, node.dtype)
        return _info(written, self._b.dtype_of(node.dtype), node.shape)

    def _output(self, name: str, id: int) -> Any:
        """An output under its own name: two may be one tensor, or an input."""
        node, b = self._run.node(id), self._b
        self._write(node)
        b.enter(None)
        written = b.add("Identity", b.value(id).name)
        final = b.rename(written, name)
        return _info(final, b.dtype_of(node.data.dtype), node.shape)

    def _write(self, node: Node) -> None:
        b = self._b
        if b.has(node.id):
            return
        if node.op is None:
            self._leaf(node)
        elif node.id in self._covered:
            call = self._calls.get(node.id)
            if call is not None:
                self._write_call(call)
        else:
            self._write_leaves(node)
            b.enter(node.scope, node.source)
            b.begin_group()
            name = RULES[str(node.op)](b, node)
            group = b.end_group()
            name = b.rename(name, self._run.given.get(node.id, ""))
            if node.id in self._run.named:
                self._names[name] = self._run.named[node.id]
            b.keep(node.id, name, node.data.dtype)
            origin = op_origin(b, node, group, self._run.options)
            if origin is not None:
                b.say_origin(group, origin)

    def _write_leaves(self, node: Node) -> None:
        """What an op reads that no op made, where it is first read."""
        by_id = {x.id: x for x in node.tensors()}
        by_id.update((id, self._nodes[id]) for id in self._in_options(node) if id in self._nodes)
        for x in by_id.values():
            if x.op is None and not self._b.has(x.id):
                self._leaf(x)

    def _write_call(self, call: LayerCall) -> None:
        for node in (call.xs, *call.states):
            self._write(node)
        assert call.scope is not None  # it was recorded
        b, calls = self._b, call.scope.chain()
        path = [b.name_of(scope) for scope in calls]
        if self._run.root is not None and calls[0].owner is self._run.root:
            path = path[1:] or path
        shown = call.outputs[0].source
        b.enter(call.scope, shown, [shown.variable if shown else None])
        b.begin_group()
        LayerWriter(b, call, ".".join(path), self._needed).write()
        group = b.end_group()
        for output in call.outputs:
            if b.has(output.id) and output.id in self._run.named:
                self._names[b.value(output.id).name] = self._run.named[output.id]
        origin = layer_origin(b, call, group)
        if origin is not None:
            b.say_origin(group, origin)

    def _leaf(self, node: Node) -> None:
        """A parameter, or what is always the same."""
        name = self._run.leaves.get(node.id) or self._run.given.get(node.id) or ""
        if node.requires_grad:
            written = self._b.array(node.data, name or "parameter", node.id)
            self._b.trained([written])
        else:
            written = self._b.array(node.data, name or "constant", node.id)
            self._b.leaves.append(written)
            if node.id > self._run.first:
                self._fresh.append(written)
        given = self._run.named.get(node.id)
        if node.id not in self._run.in_modules:
            given = given or node.name  # a parameter has its name in the modules
        if given:
            self._names[written] = given
            if node.id not in self._run.named:
                self._variables.append(written)
        self._b.keep(node.id, written, node.data.dtype)


def _info(name: str, dtype: Any, shape: Sequence[int]) -> Any:
    return onnx_module("helper").make_tensor_value_info(name, NUMBERS[np.dtype(dtype)], list(shape))
