"""The network as a quotient of its graph: every piece in one block, every read on one arrow."""

from collections import Counter

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.tracing.network.blocks import network_of
from tinygrad_rnn.tracing.network.norms import norms_of
from tinygrad_rnn.tracing.recording.graph import reached


def recorded(program):
    with tg.trace() as tr:
        program().backward()
    return tr.graph()


def residual():
    one, two = tg.nn.RNN(3, 3, rng=0), tg.nn.LSTM(3, 3, rng=1)
    xs = tg.tensor(np.random.default_rng(0).standard_normal((5, 3)), name="xs")
    ys, _ = two(one(xs)[0] + xs)
    return (ys**2).mean()


def masked():
    cell, head = tg.nn.GRUCell(3, 4, rng=0), tg.nn.Linear(4, 2, rng=1)
    h, loss = tg.tensor(np.zeros((2, 4))), 0.0
    mask = np.array([[1, t < 3] for t in range(5)], bool)[..., None]
    for t, x in enumerate(np.random.default_rng(0).standard_normal((5, 2, 3))):
        h = tg.ops.where(mask[t], cell(tg.tensor(x), h), h)
        loss = loss + tg.nn.cross_entropy(head(h), np.array([0, 1]))
    return loss


def attention():
    enc, dec = tg.nn.GRUCell(3, 4, rng=0), tg.nn.GRUCell(3 + 4, 4, rng=1)
    h, hs = None, []
    for x in np.eye(3):
        h = enc(tg.tensor(x), h)
        hs.append(h)
    H, y = tg.ops.stack(hs), tg.tensor(np.ones(3))
    for _ in range(2):
        context = tg.ops.softmax(H @ h) @ H
        h = dec(tg.ops.concatenate([y, context]), h)
    return (h**2).sum()


programs = pytest.mark.parametrize("program", [residual, masked, attention])


@programs
def test_pieces_partition_the_elements(program):
    graph = recorded(program)
    held = {node: np.zeros(node.shape, int) for node in reached([graph.root])}
    for block in network_of(graph).blocks:
        for piece in block.pieces:
            mask = np.ones(piece.node.shape, int)
            held[piece.node] += mask if piece.where is None else piece.where.only(mask)
    assert all((count == 1).all() for count in held.values())


@programs
def test_contributions_along_the_arrows_into_leaves_sum_to_the_gradient(program):
    graph = recorded(program)
    quotient = network_of(graph)
    norms = norms_of(quotient)
    for parameter in quotient.parameters:
        (piece,) = parameter.pieces
        arrows = quotient.leaving[parameter]
        total = sum(norms.handed_back(piece, list(arrow.reads)) for arrow in arrows)
        np.testing.assert_allclose(total, graph.gradients[piece.node.id], rtol=1e-9, atol=1e-12)


@programs
def test_no_arrow_goes_back(program):
    for arrow in network_of(recorded(program)).arrows:
        if arrow.kind == "input":  # drawn in each column that reads it
            assert set(arrow.target.columns) <= set(arrow.source.columns)
        elif arrow.source.columns and arrow.target.columns:
            assert arrow.source.columns[-1] <= arrow.target.columns[-1]


def test_a_residual_on_a_stacked_sequence_is_one_sum_in_each_column():
    quotient = network_of(recorded(residual))
    assert quotient.columns == 5
    sums = [block for block in quotient.blocks if block.sign == "⊕"]
    assert Counter(block.columns for block in sums) == Counter((t,) for t in range(5))


def test_a_mask_sits_on_the_message():
    quotient = network_of(recorded(masked))
    masks = [block for block in quotient.blocks if block.sign == "◇"]
    assert [block.columns for block in masks] == [(t,) for t in range(5)]
    messages = [arrow for arrow in quotient.arrows if arrow.kind == "message"]
    assert [(a.source.sign, a.target.id) for a in messages] == [
        ("◇", f"cell-0-{t}") for t in range(1, 5)
    ]


def test_attention_reads_a_bar():
    quotient = network_of(recorded(attention))
    (bar,) = (block for block in quotient.blocks if block.kind == "bar")
    assert bar.columns == (0, 1, 2)
    assert len(quotient.entering[bar]) == 3
    assert {arrow.target.columns for arrow in quotient.leaving[bar]} == {(3,), (4,)}
