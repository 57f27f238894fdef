"""Finds our `linear` in a file: a product with a transposed matrix, written in several nodes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from ..reading.graph import Graph, Node

_GEMM = {"transA": 0, "transB": 1, "alpha": 1.0, "beta": 1.0}


def with_linear(graph: Graph) -> Sequence[Node]:
    """The nodes, with x Wᵀ as one of them where W is a matrix of the file and only that is done."""
    transposed = {
        node.outputs[0]: node
        for node in graph.nodes
        if node.op == "Transpose" and not node.domain and _is_matrix(graph, node.inputs[0])
    }
    factors = Counter(node.inputs[1] for node in graph.nodes if node.op == "MatMul")
    reads = Counter(graph.reads())
    fused = {name for name in transposed if factors[name] == reads[name] > 0}
    made: list[Node] = []
    for node in graph.nodes:
        if node.op == "MatMul" and node.inputs[1] in fused:
            x, W = node.inputs[0], transposed[node.inputs[1]].inputs[0]
            node = replace(node, op="Gemm", inputs=(x, W), attributes=_GEMM)
        if not (node.op == "Transpose" and node.outputs[0] in fused):
            made.append(node)
    return made


def _is_matrix(graph: Graph, name: str) -> bool:
    return name in graph.initializers and graph.initializers[name].ndim == 2
