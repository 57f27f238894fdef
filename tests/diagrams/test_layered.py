"""Large graphs: their layout takes time that grows as they do, and no wire runs through a node."""

import random

import numpy as np
import pytest
from diagrams.reading import Picture
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tables import examples

import tinygrad_rnn as tg
from tinygrad_rnn.diagrams.picture import dot_layout
from tinygrad_rnn.diagrams.picture.dot_process import Wanted, laid_out
from tinygrad_rnn.diagrams.picture.layered import passes, through_the_ranks


def unmarked_loop(steps):
    """A loop of plain ops: its gradients pass the whole of it."""
    rng = np.random.default_rng(0)
    W, V = (tg.tensor(rng.standard_normal((3, 3)), requires_grad=True, name=n) for n in "WV")
    h, loss = tg.tensor(np.zeros(3)), 0
    for _ in range(steps):
        h = tg.ops.tanh(W @ h + tg.tensor(rng.standard_normal(3)))
        loss = loss + ((V @ h)[:2] ** 2).sum()
    return loss


def check_wires(diagram):
    """Assert that each wire meets the nodes at its ends, and no other."""
    picture = Picture(diagram.svg)
    nodes = picture.all("op", "input", "loss", "output", "fold")
    boxes = np.array([node.box for node in nodes])
    ends = {edge.id: {edge.source, edge.target} for edge in diagram.drawing.edges}
    for wire in picture.all("wire"):
        x, y = np.array(wire.points).T[:, :, None]
        left, top, right, bottom = boxes.T + np.array([[1], [1], [-1], [-1]])
        inside = ((left < x) & (x < right) & (top < y) & (y < bottom)).any(axis=0)
        met = {node.id for node, is_met in zip(nodes, inside, strict=True) if is_met}
        assert met <= ends[wire.id], (wire.id, met)


def test_the_backward_view_of_a_long_loop_of_plain_ops_has_a_layout():
    diagram = tg.draw(unmarked_loop(8), view="backward")
    assert len(diagram.drawing.edges) > 200
    check_wires(diagram)


def test_the_ranks_of_a_layout_are_dots_own_and_wires_bend_between_them():
    sizes = {n: (20.0, 10.0 + 10 * (n % 3)) for n in range(12)}
    edges = [(n, n + 1) for n in range(11)] + [(0, n) for n in range(2, 12, 3)] + [(0, 11)]
    wanted = Wanted(sizes, edges)
    found = laid_out(wanted, 10.0, quick=True)
    assert passes(found, edges) == 1 + 4 + 7 + 10 + 10
    routed = through_the_ranks(wanted, found, 10.0)
    assert [*routed.nodes] == [*sizes]
    order = sorted(sizes, key=lambda n: routed.nodes[n][1])
    assert order == [*sizes]
    for (source, target), points in zip(edges, routed.edges, strict=True):
        heights = [y for _, y in points]
        assert heights == pytest.approx(sorted(heights))
        assert points[0][1] == pytest.approx(routed.nodes[source][1] + sizes[source][1] / 2)
        assert points[-1][1] == pytest.approx(routed.nodes[target][1] - sizes[target][1] / 2)
    # One value has one trunk: both last edges are one until the first of them turns off.
    assert routed.edges[-1][:-6] == routed.edges[-2][:-6]


@given(st.randoms(use_true_random=False))
@example(random.Random(5))  # a wire that ends beside a node taller than its own
@settings(max_examples=examples(3), deadline=None)
def test_random_graphs_have_no_wire_through_a_node(rng: random.Random):
    count = rng.randint(3, 25)
    sizes = {n: (rng.uniform(10, 80), rng.uniform(10, 40)) for n in range(count)}
    edges = [(rng.randrange(n), n) for n in range(1, count)]
    edges += [tuple(sorted(rng.sample(range(count), 2))) for _ in range(count)]
    labels = [(30.0, 12.0) if rng.random() < 0.3 else None for _ in edges]
    wanted = Wanted(sizes, edges, labels)
    routed = through_the_ranks(wanted, laid_out(wanted, 10.0, quick=True), 10.0)
    for ends, points in zip(edges, routed.edges, strict=True):
        for node, (x, y) in routed.nodes.items():
            half = [length / 2 - 0.5 for length in sizes[node]]
            if node not in ends:
                for px, py in along(points):
                    assert abs(px - x) > half[0] or abs(py - y) > half[1], (ends, node)


def along(points, pieces=5):
    """Points along Bézier segments."""
    for first in range(0, len(points) - 1, 3):
        a, b, c, d = (np.array(p) for p in points[first : first + 4])
        for t in np.linspace(0, 1, pieces):
            yield a * (1 - t) ** 3 + 3 * b * t * (1 - t) ** 2 + 3 * c * t * t * (1 - t) + d * t**3


def test_a_small_graph_is_dots_own(monkeypatch):
    monkeypatch.setattr(dot_layout, "through_the_ranks", None)
    diagram = tg.draw(unmarked_loop(2), view="backward")
    assert len(diagram.drawing.edges) < 100
