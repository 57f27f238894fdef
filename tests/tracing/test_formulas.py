"""What is printed, read as NumPy, gives the numbers that were recorded."""

from collections import defaultdict
from functools import partial

import numpy as np
import pytest
from diagrams.test_quotient_pictures import NAMES, recorded
from tables import rows
from tracing.written import Weight, value_of

import tinygrad_rnn as tg
from tinygrad_rnn.tracing.network import blocks
from tinygrad_rnn.tracing.network.words import programmed
from tinygrad_rnn.tracing.network.words.formulas import Operand, Region, formula_of, is_number
from tinygrad_rnn.tracing.recording.graph import reached

OPS_MOST = 4  # in one formula: it would be cut where it has many more


class Numbered:
    """Names of which no two are the same, and the numbers that they stand for."""

    def __init__(self, weights):
        self.weights, self.values = weights, {}

    def name(self, operand):
        return f"v{operand.node.id}"

    def made_of(self, operand):
        return ()

    def told_apart(self, operands, *, at_any_step):
        for one in operands:
            data = one.node.data
            self.values[self.name(one)] = data.view(Weight) if one.node in self.weights else data
        return {one: self.name(one) for one in operands}

    def step(self, operands):
        return None


class Lettered:
    """The names of others, each written as a letter, and the numbers that it stands for."""

    def __init__(self, names, number_of):
        self.name, self.made_of = names.name, names.made_of
        self._told_apart, self._number_of = names.told_apart, number_of
        self.values = {}

    def told_apart(self, operands, **options):
        names = self._told_apart(operands, **options)
        letters = defaultdict(lambda: f"v{len(letters)}")
        written = {x: name if is_number(name) else letters[name] for x, name in names.items()}
        self.values |= {letter: self._number_of(x) for x, letter in written.items()}
        return written


def moved(node):
    """A value, and what it is a part of."""
    while node is not None:
        yield node
        node = node.moved_from


def weights_in(nodes):
    """What the layers among them multiply by."""
    return {one for node in nodes if node.op == "linear" for one in moved(node.inputs[1])}


def check(root):
    """The formula of every value, down to some ops before it; how many there were."""
    nodes = reached([root])
    weights = weights_in(nodes)
    said = {}
    for node in nodes:
        inside = {node: None} if node.op else {}
        for one in inside.copy():
            waiting = [one]
            for x in waiting:  # grows
                if len(inside) < OPS_MOST:
                    waiting += [before for before in x.tensors() if before.op]
                inside[x] = None
        names = Numbered(weights)
        read = {(x, slot): None for x in inside for slot in range(len(x.inputs))}
        region = Region(inside, read)
        text = formula_of(node, region, names, most=1000, is_named=True) if inside else "…"
        if "…" in text or "·" in text:  # of many values not all are written
            continue
        found = value_of(text, names.values, {})
        said[text] = node
        check_is(found, node, text)
    return said


def check_is(found, node, text):
    """What a text says is a value, to the last axis of one."""
    if node.op == "broadcast_to" or is_number(text):  # of which nothing is said
        found = np.broadcast_to(found, node.shape)
    assert np.shape(found) == node.shape, (text, np.shape(found), node.shape)
    np.testing.assert_allclose(found, node.data, rtol=1e-4, atol=1e-6, err_msg=text)


SAMPLE = ["ctc", "hmm", "luong", "mamba", "kalman", "linear_attention"]


@pytest.mark.parametrize("name", rows(NAMES, SAMPLE))
def test_a_formula_read_as_numpy_gives_what_the_museum_recorded(name):
    assert len(check(recorded(name).graph().root)) > 5


EQUATIONS = ["bahdanau", "clockwork", "mamba", "tree_lstm"]


@pytest.mark.parametrize("name", rows(NAMES, EQUATIONS))
def test_a_line_of_an_equation_read_as_numpy_gives_what_the_copies_made(name, monkeypatch):
    graph, grouped, said = recorded(name).graph(), [], []

    def number_of(operand):
        cut = grouped[0].pieces.slices.get(operand.part)
        data = operand.node.data if cut is None else cut.of(operand.node.data)
        return data.view(Weight) if operand.node in weights else data

    def spied(node, region, operands, **options):
        said.append((node, region, operands, options))
        return formula_of(node, region, operands, **options)

    def returned(name, *given):
        """What a module returned that was given the same."""
        for made, call in region.calls.items():
            read = [Operand(x.inputs[slot], region.read.get((x, slot))) for x, slot in call.given]
            shapes = [np.shape(number_of(one)) for one in read]
            is_like = call.name == name and shapes == list(map(np.shape, given))
            if is_like and all(map(np.allclose, map(number_of, read), given)):
                return made.data
        raise AssertionError(name)

    def kept(*given):
        grouped.append(real(*given))
        return grouped[0]

    real, weights = blocks.grouped, weights_in(graph.nodes)
    monkeypatch.setattr(blocks, "grouped", kept)
    monkeypatch.setattr(programmed, "formula_of", spied)
    assert [row.equation for row in blocks.network_of(graph).rows]
    for node, region, operands, options in said:
        names = Lettered(operands, number_of)
        text = formula_of(node, region, names, **{**options, "most": 1000})
        is_one_of_several = node in region.calls and not region.calls[node].alone
        if "…" in text or "·" in text or is_one_of_several:
            continue
        called = {call.name: partial(returned, call.name) for call in region.calls.values()}
        check_is(value_of(text, names.values, called), node, text)


rng = np.random.default_rng(0)
a, A, B, T = (
    tg.tensor(rng.uniform(0.5, 2, shape), requires_grad=True)
    for shape in ((3,), (3, 3), (2, 3), (2, 3, 4))
)
ops = tg.ops
SAID = [
    ("logsumexp({a}[:, None] + {A}, axis=0)", lambda: ops.logsumexp(a[:, None] + A, axis=0)),
    ("{a}[:, None] + {A}", lambda: a[:, None] + A),
    ("{a} + {A}", lambda: a[None] + A),
    ("{A} ⊙ ({a} + {a})[:, None]", lambda: A * (a + a)[:, None]),
    ("{a} {a}ᵀ", lambda: a[:, None] * a[None, :]),
    ("({a} {A}) / ({a} {a})", lambda: (a @ A) / (a @ a)),
    ("[{a}, {a}]", lambda: ops.stack([a, a])),
    ("[{a}; {a}]", lambda: ops.concatenate([a, a])),
    ("stack([{a}, {a}], axis=1)", lambda: ops.stack([a, a], axis=1)),
    ("concatenate([{A}, {B}], axis=0)", lambda: ops.concatenate([A, B])),
    ("[{B}; {B}]", lambda: ops.concatenate([B, B], axis=1)),
    ("Σ {A}", lambda: A.sum()),
    ("sum({A}, axis=0)", lambda: A.sum(axis=0)),
    ("sum({A}, axis=-1)[:, None]", lambda: A.sum(axis=1, keepdims=True)),
    ("{A} / sum({A}, axis=-1)[:, None]", lambda: A / A.sum(axis=-1, keepdims=True)),
    ("{a} / (Σ {a})", lambda: a / a.sum(keepdims=True)),
    ("softmax({a})", lambda: ops.softmax(a, axis=0)),
    ("softmax({A})", lambda: ops.softmax(A)),
    ("softmax({A}, axis=0)", lambda: ops.softmax(A, axis=0)),
    ("max({T}, axis=(0, 2))", lambda: ops.max(T, axis=(0, 2))),
    ("cumsum({A}, axis=0)", lambda: ops.cumsum(A, axis=0)),
    ("{B}ᵀ", lambda: B.T),
    ("swapaxes({T}, 0, 1)", lambda: ops.swapaxes(T, 0, 1)),
    ("reshape({T}, (6, 4))", lambda: T.reshape(6, 4)),
    ("roll({a}, 1)", lambda: ops.roll(a, 1)),
    ("{A} {a}", lambda: A @ a),
    ("{A}[:, [0, 2, 0]]", lambda: A[:, np.array([0, 2, 0])]),
    ("{A}[[[0], [2]], [0, 1]]", lambda: A[np.array([[0], [2]]), np.array([0, 1])]),
    ("{a}[None][:, 1:][0]", lambda: a[None, :][:, 1:][0]),
    ("{a}^(1 + {a})", lambda: a ** (1.0 + a)),
    ("2π {a} + π", lambda: 2 * np.pi * a + np.pi),
    ("-3π {a} + 3.1416", lambda: -3 * np.pi * a + 3.1416),
    ("2 {A} {a}", lambda: 2 * (A @ a)),
    ("{A} (2 {a})", lambda: A @ (a * 2)),
    ("2 Σ {A}", lambda: 2 * A.sum()),
    ("(Σ {A}) ⊙ {a}", lambda: A.sum() * a),
    ("{a} ⊙ Σ {A}", lambda: a * A.sum()),
    ("2 {a} ⊙ {a}", lambda: 2 * a * a),
    ("{a} / (2 {a})", lambda: a / (2 * a)),
    ("2 ({a} + {a})²", lambda: 2 * (a + a) ** 2),
    ("2 ⊙ −{a}", lambda: 2 * -a),
    ("2 ⊙ 3 {a}", lambda: 2 * (a * 3)),
    ("(2 {a})[:, None] ⊙ {A}", lambda: 2 * a[:, None] * A),
]


@pytest.mark.parametrize(("written", "program"), SAID, ids=[text for text, _ in SAID])
def test_a_formula_says_what_an_axis_and_a_bracket_say(written, program):
    with tg.trace() as tr:
        (program() * 2.0).sum().backward()
    root = tr.graph().root
    letters = {a.shape: "a", A.shape: "A", B.shape: "B", T.shape: "T"}
    leaves = [node for node in reached([root]) if node.op is None]
    assert written.format(**{letters[x.shape]: f"v{x.id}" for x in leaves}) in check(root)
