"""The tests that the ONNX project has for its ops, and what a loaded file makes of each."""

import importlib
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import onnx
from onnx import numpy_helper

import tinygrad_rnn as tg
from tinygrad_rnn.errors import OnnxError
from tinygrad_rnn.onnx.nodes.registry import HANDLERS, MODULES

NODES = "onnx.backend.test.case.node"
TABLE = Path(__file__).parents[1] / "docs" / "onnx_ops.md"
KINDS = ("node", "simple", "pytorch-operator", "pytorch-converted")


@dataclass(frozen=True)
class OnnxCase:
    """A model, and what it makes of some inputs."""

    name: str
    model: onnx.ModelProto
    sets: Sequence[tuple[Sequence[Any], Sequence[Any]]]
    rtol: float
    atol: float

    def __str__(self) -> str:
        return self.name

    def ops(self) -> set[str]:
        """The ops of its nodes, those in subgraphs too."""
        return ops_in(self.model.graph)

    def verdict(self) -> str:
        """What is not supported; "" where every output is right.

        Raises:
            AssertionError: an output is wrong.
        """
        try:
            network = tg.onnx.load(self.model.SerializeToString())
            for inputs, outputs in self.sets:
                with tg.no_grad():
                    made = network(*inputs)
                made = made if isinstance(made, tuple) else (made,)
                compare(list(made), list(outputs), self.rtol, self.atol)
        except OnnxError as error:
            return str(error)
        return ""


def ops_in(graph: onnx.GraphProto) -> set[str]:
    ops = set()
    for node in graph.node:
        ops.add(".".join(filter(None, [node.domain, node.op_type])))
        for attribute in node.attribute:
            if attribute.HasField("g"):
                ops |= ops_in(attribute.g)
    return ops


def compare(made: Any, expected: Any, rtol: float, atol: float) -> None:
    """Equal in dtype and shape, and within the tolerance in value."""
    if isinstance(expected, list | tuple):
        assert len(made) == len(expected)
        for one, other in zip(made, expected, strict=True):
            compare(one, other, rtol, atol)
        return
    if expected is None:
        assert made is None
        return
    expected = np.asarray(expected)
    array = made.data if isinstance(made, tg.Tensor) else made
    assert (array.dtype, array.shape) == (expected.dtype, expected.shape)
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(array, expected, rtol, atol)
    else:
        np.testing.assert_array_equal(array, expected)


@cache
def cases_of(*modules: str) -> list[OnnxCase]:
    """The cases of some modules of ONNX's own tests, which take long to make all at once."""
    node = importlib.import_module(NODES)

    def load(package: Any) -> None:
        for module in modules:
            importlib.import_module(f"{NODES}.{module}")

    before = {case.name for case in made_by(node, lambda package: None)}
    return [case for case in made_by(node, load) if case.name not in before]


def made_by(node: Any, load: Any) -> list[OnnxCase]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, of what the cases compute
        with patch.object(node, "import_recursive", load):
            return list(map(read, node.collect_testcases()))


def every_case() -> list[OnnxCase]:
    """All cases that bring their own data."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [read(case) for kind in KINDS for case in load_model_tests(kind=kind)]


def read(case: Any) -> OnnxCase:
    """A case of ONNX's, whose model may be a file."""
    if case.model is not None:
        return OnnxCase(case.name, case.model, case.data_sets, case.rtol, case.atol)
    folder = Path(case.model_dir)
    model = onnx.load(str(folder / "model.onnx"))
    data = folder / "test_data_set_0"
    sets = [
        tuple(
            [value(data / f"{kind}_{i}.pb", info) for i, info in enumerate(infos)]
            for kind, infos in (("input", model.graph.input), ("output", model.graph.output))
        )
    ]
    sets = [
        (inputs[: len(inputs) - len(model.graph.initializer)] or inputs, outputs)
        for inputs, outputs in sets
    ]
    return OnnxCase(case.name, model, sets, case.rtol, case.atol)


def value(path: Path, info: Any) -> Any:
    if not path.exists():
        return None
    if info.type.WhichOneof("value") == "sequence_type":
        return numpy_helper.to_list(onnx.SequenceProto.FromString(path.read_bytes()))
    return numpy_helper.to_array(onnx.TensorProto.FromString(path.read_bytes()))


def in_a_table(cases: Sequence[OnnxCase]) -> str:
    """How many of the cases are right and how many refused, for each op that is in them.

    Raises:
        AssertionError: one is wrong.
    """
    right, refused = Counter[str](), Counter[str]()
    total = 0
    for case in cases:
        is_right = not case.verdict()
        total += is_right
        (right if is_right else refused).update(case.ops())
    lines = [
        f"Of {len(cases)} cases {total} are right, {len(cases) - total} are refused, and none is "
        "wrong."
    ]
    for chapter, ops in groupby(sorted(right, key=lambda op: (chapter_of(op), op)), chapter_of):
        rows = (f"| {op} | {right[op]} | {refused[op] or ''} |" for op in ops)
        lines += ["", f"## {chapter}", "", "| op | right | refused |", "|---|---|---|", *rows]
    lines += ["", "## Not here", "", ", ".join(sorted(refused - right)) + "."]
    return "\n".join(lines)


def chapter_of(op: str) -> str:
    """The chapter of the package that runs an op, in its own words."""
    handler = HANDLERS.get(("", op))
    if op in MODULES:
        return "Recurrent layers, loops and branches: modules of their own"
    if handler is None:
        return "Functions: what ONNX itself says in other ops"
    title = sys.modules[handler.__module__].__doc__ or ""
    return title.partition("\n")[0].rstrip(".")


if __name__ == "__main__":
    begin, end = "<!-- cases -->\n", "\n<!-- end of cases -->"
    page = TABLE.read_text("utf-8")
    before, _, rest = page.partition(begin)
    TABLE.write_text(
        before + begin + in_a_table(every_case()) + end + rest.partition(end)[2], "utf-8"
    )
