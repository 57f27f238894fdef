"""What is printed, read as NumPy, gives the numbers that were recorded."""

import numpy as np
import pytest
from diagrams.test_quotient_pictures import NAMES, recorded
from tables import rows
from tracing.written import Weight, value_of

import tinygrad_rnn as tg
from tinygrad_rnn.tracing.network.words.formulas import Region, formula_of, is_number
from tinygrad_rnn.tracing.recording.graph import reached

OPS_MOST = 4  # in one formula: it would be cut where it has many more


class Numbered:
    """Names of which no two are the same, and the numbers that they stand for."""

    def __init__(self, weights):
        self.weights, self.values = weights, {}

    def name(self, operand):
        return f"v{operand.node.id}"

    def told_apart(self, operands, *, at_any_step):
        for one in operands:
            data = one.node.data
            self.values[self.name(one)] = data.view(Weight) if one.node in self.weights else data
        return {one: self.name(one) for one in operands}


def moved(node):
    """A value, and what it is a part of."""
    while node is not None:
        yield node
        node = node.moved_from


def check(root):
    """The formula of every value, down to some ops before it; how many there were."""
    nodes = reached([root])
    weights = {one for node in nodes if node.op == "linear" for one in moved(node.inputs[1])}
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
        text = formula_of(node, Region(inside, read), names, most=1000) if inside else "…"
        if "…" in text or "·" in text:  # of many values not all are written
            continue
        found = value_of(text, names.values, {})
        if node.op == "broadcast_to" or is_number(text):  # of which nothing is said
            found = np.broadcast_to(found, node.shape)
        said[text] = node
        assert np.size(found) == node.size, (text, np.shape(found), node.shape)
        np.testing.assert_allclose(
            np.squeeze(found), np.squeeze(node.data), rtol=1e-4, atol=1e-6, err_msg=text
        )
    return said


SAMPLE = ["ctc", "hmm", "luong", "mamba", "kalman", "linear_attention"]


@pytest.mark.parametrize("name", rows(NAMES, SAMPLE))
def test_a_formula_read_as_numpy_gives_what_the_museum_recorded(name):
    assert len(check(recorded(name).graph().root)) > 5


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
    ("{a}[None][:, 1:][0]", lambda: a[None, :][:, 1:][0]),
    ("{a}^(1 + {a})", lambda: a ** (1.0 + a)),
    ("2π {a} + π", lambda: 2 * np.pi * a + np.pi),
    ("-3π {a} + 3.1416", lambda: -3 * np.pi * a + 3.1416),
    ("2 {A} {a}", lambda: 2 * (A @ a)),
    ("{A} (2 {a})", lambda: A @ (a * 2)),
    ("2 Σ {A}", lambda: 2 * A.sum()),
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
