"""What a picture calls what it shows: each value as the program does, and no two alike."""

from itertools import pairwise

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.tracing.network.blocks import network_of
from tinygrad_rnn.tracing.recording.array_names import index_of, stem_of

T = 3
XS = np.random.default_rng(0).standard_normal((T, 3))


def network(program):
    """Of what a program returns, recorded."""
    with tg.trace() as tr:
        program().backward()
    return network_of(tr.graph())


def rows_of(quotient):
    return [row for row in quotient.rows if row.kind in ("cell", "loop")]


def labels(quotient, kind):
    return [block.label for block in quotient.blocks if block.kind == kind]


# The state before, in an equation


def both_ways(xs):
    forwards, backwards = tg.nn.RNNCell(3, 4, rng=0), tg.nn.RNNCell(3, 4, rng=1)
    h, hs = None, []
    for x in xs:
        h = forwards(x, h)
        hs.append(h)
    h = None
    for t in reversed(range(len(xs))):
        h = backwards(xs[t], h)
        hs[t] = hs[t] + h
    return tg.ops.stack(hs).sum()


def test_an_equation_names_the_step_that_its_arrow_comes_from():
    quotient = network(lambda: both_ways(XS))
    forwards, backwards = rows_of(quotient)
    assert forwards.equation == "hₜ = tanh(W_xh xₜ + W_hh hₜ₋₁ + b_h)"
    assert backwards.equation == "hₜ = tanh(W_xh xₜ + W_hh hₜ₊₁ + b_h)"
    for row, step in ((forwards, -1), (backwards, 1)):
        messages = [a for a in quotient.arrows if a.kind == "message" and a.target.row is row]
        assert {a.source.time - a.target.time for a in messages} == {step}


def in_turn():
    """One cell, in turn on two sequences: there each chain counts its own steps."""
    cell, a, b = tg.nn.RNNCell(3, 4, rng=0), None, None
    for x in XS:
        a, b = cell(x, a), cell(-x, b)
    return (a * b).sum()


def branching():
    """Two ways to go on from one state."""
    cell = tg.nn.RNNCell(3, 4, rng=0)
    start = cell(XS[0])
    one, other = cell(XS[1], start), cell(XS[2], start)
    return (one * other).sum()


def test_an_equation_says_how_far_back_the_arrow_comes_from_or_that_it_differs():
    (row,) = rows_of(network(in_turn))
    assert row.equation == "hₜ = tanh(W_xh xₜ + W_hh hₜ₋₁ + b_h)"
    assert [b.equation for b in row.blocks if b.label == "h′₁"] == [
        "h′ₜ = tanh(W_xh x′ₜ + W_hh h′ₜ₋₁ + b_h)"
    ]
    (row,) = rows_of(network(branching))
    assert row.equation.splitlines() == [
        "hₜ = tanh(W_xh XSₜ + W_hh hₚ + b_h)", "p: where the arrow comes from",
    ]  # fmt: skip


def begun_anew():
    """One sequence: in the middle of it the state is set to zero."""
    cell, h, hs = tg.nn.RNNCell(3, 4, rng=0), np.zeros(4), []
    for t, x in enumerate(tg.tensor(np.ones((5, 3)), name="xs")):
        h = cell(x, np.zeros(4) if t == 2 else h)
        hs.append(h)
    return tg.ops.stack(hs).sum()


def test_a_chain_that_goes_on_with_a_sequence_goes_on_with_its_count():
    quotient = network(begun_anew)
    (row,) = rows_of(quotient)
    assert [block.label for block in row.blocks] == ["h₀", "h₁", "h′₂", "h′₃", "h′₄"]
    assert labels(quotient, "initial") == ["h₋₁", "h′₁"]
    assert labels(quotient, "input") == ["x₀", "x₁", "x₂", "x₃", "x₄"]


@pytest.mark.parametrize("words", [(2, 2), (1, 3, 2)])
def test_what_enters_a_row_of_another_clock_has_no_step_in_its_equation(words):
    """Letters begin anew with each word: how far the last one's step is from the word's differs."""
    letters, reader = tg.nn.RNNCell(3, 4, rng=0), tg.nn.RNNCell(4, 4, rng=1)

    def run(s=None):
        for length in words:
            h = np.zeros(4)
            for x in XS[:length]:
                h = letters(x, h)
            s = reader(h, s)
        return s.sum()

    _, upper = rows_of(network(run))
    (first, *others) = upper.equation.splitlines()
    assert first == "sₜ = tanh(W_xh h + W_hh sₜ₋₁ + b_h)"
    assert not others


def test_what_a_cell_keeps_to_itself_takes_no_name_that_enters_it():
    cell, h, c = tg.nn.LSTMCell(3, 4, rng=0), np.zeros(4), np.zeros(4)
    gru, z = tg.nn.GRUCell(4, 4, rng=1), np.zeros(4)

    def run(h=h, c=c, z=z):
        for z_in in np.split(XS, T):
            h, c = cell(z_in[0], (h, c))
            z = gru(h, z)
        return z.sum()

    _, upper = rows_of(network(run))
    assert upper.equation.splitlines()[1:] == [
        "h_rₜ, h_zₜ, h_nₜ = W_hh zₜ₋₁ + b_h",
        "rₜ, z′ₜ = σ(x_rₜ + h_rₜ), σ(x_zₜ + h_zₜ)",
        "nₜ = tanh(x_nₜ + rₜ ⊙ h_nₜ)",
        "zₜ = (1 − z′ₜ) ⊙ nₜ + z′ₜ ⊙ zₜ₋₁",
    ]


class Doubled(tg.nn.RNNCell):
    """Works otherwise than its class says."""

    def step(self, x, h):
        return (2 * super().step(x, h)[0],)


def doubled():
    cell, h = Doubled(3, 4, rng=0), None
    for x in XS:
        h = cell(x, h)
    return h.sum()


def test_a_class_that_works_otherwise_than_the_one_it_comes_from_has_no_equation_of_that():
    (row,) = rows_of(network(doubled))
    assert row.equation == "hₜ = 2 tanh(W_xh xₜ + W_hh hₜ₋₁ + b_h)"


def masked():
    """Two sequences, the second of which is over at once."""
    gru = tg.nn.GRU(3, 4, rng=0)
    return gru(np.stack([XS, XS], 1), lengths=np.array([3, 1]))[0].sum()


class Gated(tg.nn.Module):
    """Names twice what it makes, and returns its states in an order of its own."""

    def __init__(self):
        self.gates, self.out = tg.nn.Linear(7, 8, rng=0), tg.nn.Linear(4, 2, rng=1)
        self.scale = tg.nn.Parameter(np.ones(4))

    def forward(self, x, h, c):
        f, g = np.split(self.gates(np.concatenate([x, h])), 2)
        f = 1 / (1 + np.exp(-f))
        c = f * c + (1 - f) * g
        h = np.tanh(c) * self.scale
        return h, c, self.out(h)


class Wrapped(tg.nn.Module):
    """Hands on what another cell returns."""

    def __init__(self):
        self.look, self.lstm = tg.nn.Linear(3, 3, rng=0), tg.nn.LSTMCell(3, 4, rng=1)

    def forward(self, x, h, c):
        h, c = self.lstm(np.tanh(self.look(x)), (h, c))
        return h, c, h.sum()


def of_two_states(kind):
    cell, h, c, loss = kind(), np.zeros(4), np.zeros(4), 0.0
    for x in XS:
        h, c, y = cell(x, h, c)
        loss = loss + (y * y).sum()
    return loss + (c * h).sum()


def stepping_through():
    """A plain loop that takes its steps of two sequences."""
    U = tg.tensor(np.eye(3), requires_grad=True)
    us, alpha = XS @ U, np.zeros(3)
    for t in range(T):
        alpha = np.tanh(alpha * U[0] + us[t])
    return alpha.sum()


def stacked():
    """A layer whose input is added to what it shows, under the name that the input had."""
    cell, x, s = tg.nn.Linear(3, 3, rng=2), tg.tensor(XS), np.zeros(3)
    for layer in (tg.nn.RNN(3, 3, rng=0), tg.nn.RNN(3, 3, rng=1)):
        x = x + layer(x)[0]
    for t in range(T):
        s = np.tanh(cell(x[t]) + s)
    return s.sum()


class Head(tg.nn.Module):
    """Returns what is left of a split in a list."""

    def __init__(self):
        self.fc = tg.nn.Linear(4, 10, rng=0)

    def forward(self, w):
        gate, *extras = np.split(self.fc(w), [4, 7])
        return 1 / (1 + np.exp(-gate)) * w, extras


def heads():
    head, w, ys = Head(), np.zeros(4), []
    for x in XS:
        with tg.scope("step"):
            w, (erase, add) = head(w)
            ys.append(x * np.tanh(erase) + add)
    return tg.ops.stack(ys).sum() + w.sum()


def descending():
    """Reads the gradient of a loss by one of two inputs."""
    cell, r = Projected(), np.zeros(2)
    scale, theta = (tg.tensor(np.ones(3), requires_grad=True) for _ in range(2))
    for x in XS:
        loss = ((x * theta * scale) ** 2).sum()
        _, gradient = tg.grad(loss, [scale, theta], create_graph=True)
        r = cell(gradient, r)
    return r.sum()


class Turning(tg.nn.Module):
    """NumPy counts the whole turns."""

    def __init__(self):
        self.speed, self.W = tg.nn.Parameter(np.ones(3)), tg.nn.Linear(3, 3, rng=0)

    def forward(self, x, h):
        turns = self.speed * x
        phase = turns - np.floor(turns.numpy())
        return np.tanh(self.W(h)) + phase


def turning():
    cell, h = Turning(), np.zeros(3)
    for x in XS:
        h = cell(x, h)
    return h.sum()


class Tree(tg.nn.Module):
    """Adds up what its branches are."""

    def __init__(self):
        self.W, self.U = tg.nn.Linear(3, 2, rng=0), tg.nn.Linear(2, 2, bias=False, rng=1)

    def forward(self, tree):
        x, branches = tree
        s = self.W(x)
        for branch in branches:
            s = s + self.U(self(branch))
        return np.tanh(s)


def branches():
    leaf, other, x = ((x, []) for x in XS)
    h = Tree()((x[0], [leaf, other]))
    return h.sum()


class Reader(tg.nn.Module):
    """What it shows is read at the end alone."""

    def __init__(self):
        self.W, self.q = tg.nn.Linear(3 + 2, 2, rng=0), tg.nn.Linear(3, 2, rng=1)

    def forward(self, x, m):
        m = np.tanh(self.W(np.concatenate([x, m])))
        y = self.q(x)
        return y * np.exp(-m), m


def read_at_the_end():
    reader, m = Reader(), np.zeros(2)
    for x in XS:
        y, m = reader(x, m)
    return y.sum()


def a_step_of_a_layer():
    gru, state, loss = tg.nn.GRU(3, 2, rng=0), None, 0.0
    for x in XS:
        shown, state = gru(x[None], state)
        loss = loss + shown.sum()
    return loss


OWN = {
    "a tree": (
        branches,
        ["in h₀, h₁: hₜ = tanh(W(xₜ))", "in h₂: hₜ = tanh(W(xₜ) + U(hₜ₋₂) + U(hₜ₋₁))"],
    ),
    "what an input is about": (
        turning,
        ["turnsₜ = speed ⊙ xₜ", "hₜ = tanh(W(hₜ₋₁)) + turnsₜ − floor(turns)ₜ"],
    ),
    "read at the end": (
        read_at_the_end,
        ["mₜ = tanh(W([xₜ; mₜ₋₁]))", "in m₂: yₜ = q(xₜ) ⊙ exp(−mₜ)"],
    ),
    "what is left of a split": (
        heads,
        ["wₜ, eraseₜ, addₜ = head(wₜ₋₁)", "yₜ = xₜ ⊙ tanh(eraseₜ) + addₜ"],
    ),
    "a gradient": (descending, ["rₜ = W(tanh(gates([gradientₜ; rₜ₋₁])))"]),
    "stacked": (
        stacked,
        [
            "sₜ = tanh(cell(xₜ + hₜ⁽⁰⁾ + hₜ⁽¹⁾) + sₜ₋₁)",
            "⁽⁰⁾: of layer 0",
            "⁽¹⁾: of layer 1",
        ],
    ),
    "gates": (
        lambda: of_two_states(Gated),
        [
            "fₜ, gₜ = gates([xₜ; hₜ₋₁])",
            "f′ₜ = σ(fₜ)",
            "cₜ = f′ₜ ⊙ cₜ₋₁ + (1 − f′ₜ) ⊙ gₜ",
            "hₜ = tanh(cₜ) ⊙ scale",
            "yₜ = out(hₜ)",
        ],
    ),
    "wrapped": (
        lambda: of_two_states(Wrapped),
        ["hₜ, cₜ = lstm(tanh(look(xₜ)), hₜ₋₁, cₜ₋₁)", "yₜ = Σ hₜ"],
    ),
    "loop": (stepping_through, ["alphaₜ = tanh(alphaₜ₋₁ ⊙ U[0] + uₜ)"]),
}


@pytest.mark.parametrize("kind", OWN)
def test_a_cell_of_the_program_s_own_says_what_it_computes(kind, tmp_path):
    program, expected = OWN[kind]
    with tg.trace() as tr:
        program().backward()
    tr.save(tmp_path / "run.safetensors")
    for run in (tr, tg.load_trace(tmp_path / "run.safetensors")):
        *_, row = rows_of(network_of(run.graph()))
        assert row.equation.splitlines() == expected


def test_a_layer_of_ours_that_is_called_step_by_step_says_what_its_cell_computes():
    """Its state is stacked: h[0] is that of the only layer."""
    (row,) = rows_of(network(a_step_of_a_layer))
    assert row.equation.splitlines() == [
        "x_rₜ, x_zₜ, x_nₜ = W_xh xₜ[0] + b_x",
        "h_rₜ, h_zₜ, h_nₜ = W_hh hₜ₋₁[0] + b_h",
        "zₜ = σ(x_zₜ + h_zₜ)",
        "nₜ = tanh(x_nₜ + σ(x_rₜ + h_rₜ) ⊙ h_nₜ)",
        "hₜ = shownₜ = ((1 − zₜ) ⊙ nₜ + zₜ ⊙ hₜ₋₁[0])[None]",
    ]


def test_a_loss_that_is_too_long_goes_by_the_names_in_it():
    cell, goals = tg.nn.RNNCell(3, 4, rng=0), np.ones((T, 4))

    def program():
        h, distance, size, change = None, 0.0, 0.0, 0.0
        for x, goal in zip(XS, goals, strict=True):
            before, h = h, cell(x, h)
            distance = distance + np.sqrt(((h - goal) ** 2).sum() + 0.001)
            size = size + np.log(1 + np.exp(np.abs(h).sum()))
            change = change + (0.0 if before is None else ((h - before) ** 2).sum())
        return distance + 0.5 * size - 0.25 * change

    said = network(program).loss.formula.split("; ")
    assert said[0] == "distance + 0.5 size − 0.25 change"
    assert said[1] == "distance = Σₜ sqrt(Σ (hₜ − goalₜ)² + 0.001)"
    assert said[2] == "size = Σₜ log(1 + exp(Σ abs(hₜ)))"


def test_a_loss_by_names_says_of_which_step_each_is():
    """A density of the next code, which is made in a step of its own."""
    code, cell, mixture = (tg.nn.Linear(3, 2, rng=0), tg.nn.RNNCell(2, 4, rng=1),
                           tg.nn.Linear(4, 4, rng=2))  # fmt: skip

    def program():
        codes, h, terms = [np.tanh(code(x)) for x in np.vstack([XS, np.ones(3)])], None, []
        for t in range(T):
            h = cell(codes[t], h)
            mu, sigma = np.split(mixture(h), 2)
            error = (codes[t + 1] - mu) / np.exp(sigma)
            normal = -0.5 * error**2 - sigma - 0.5 * np.log(2 * np.pi)
            terms.append(-tg.ops.logsumexp(normal, axis=0) - 0.001 * np.abs(normal).sum())
        return np.stack(terms).mean()

    said = network(program).loss.formula.split("; ")
    assert "errorₜ = (codesₜ₊₁ − muₜ) / exp(sigmaₜ)" in said


def test_an_equation_says_in_which_copies_a_mask_keeps_the_state():
    quotient = network(masked)
    (row,) = rows_of(quotient)
    assert row.equation.splitlines()[5:] == ["in h₁, h₂: hₜ = hₜ₋₁ where not aliveₜ"]
    copies = [block.equation.splitlines()[5:] for block in row.blocks]
    assert copies == [[], *[["hₜ = hₜ₋₁ where not aliveₜ"]] * 2]


# What a cell makes


class Projected(tg.nn.Module):
    """Hands on a projection, which has no name in here."""

    def __init__(self):
        self.gates, self.W = tg.nn.Linear(3 + 2, 4, rng=0), tg.nn.Linear(4, 2, bias=False, rng=1)

    def forward(self, x, r):
        return self.W(np.tanh(self.gates(np.concatenate([x, r]))))


class Step(tg.nn.Module):
    """Has one of our cells inside, and another letter for its state."""

    def __init__(self):
        self.cell, self.out = tg.nn.GRUCell(3, 4, rng=0), tg.nn.Linear(4, 2, bias=False, rng=1)

    def forward(self, x, s):
        s = self.cell(x, s)
        return self.out(s), s


def projected():
    cell, r = Projected(), np.zeros(2)
    for x in XS:
        r = cell(x, r)
    return r.sum()


def one_inside():
    step, s, loss = Step(), np.zeros(4), 0.0
    for x in XS:
        scores, s = step(x, s)
        loss = loss + (scores**2).sum()
    return loss


def two_clocks():
    fast, slow = tg.nn.RNNCell(3, 4, rng=0), tg.nn.RNNCell(4, 4, rng=1)
    quick = calm = np.zeros(4)
    for x in XS:
        quick = fast(x, quick)
        calm = slow(quick, calm)
    return calm.sum()


def a_state_in_one_variable():
    cell, state = tg.nn.LSTMCell(3, 4, rng=0), None
    for x in XS:
        state = cell(x, state)
    return state[0].sum()


NAMED = {
    "projected": (projected, [("r",)]),
    "one inside": (one_inside, [("s",)]),
    "two clocks": (two_clocks, [("quick",), ("calm",)]),
    "a pair in one variable": (a_state_in_one_variable, [("h", "c")]),
    "a layer of ours": (lambda: tg.nn.GRU(3, 4, rng=0)(XS)[0].sum(), [("h",)]),
}


@pytest.mark.parametrize("program", NAMED)
def test_a_state_is_called_as_the_program_calls_it(program):
    run, states = NAMED[program]
    assert [row.states for row in rows_of(network(run))] == states


def test_what_becomes_of_a_state_on_its_way_is_another_value():
    """Zoneout: what the cell makes is not what the next step gets."""
    cell, keep = tg.nn.LSTMCell(3, 4, rng=0), np.arange(4 * T).reshape(T, 4) % 2 == 0

    def run():
        h, c = np.zeros(4), np.zeros(4)
        for t in range(T):
            h_new, c_new = cell(XS[t], (h, c))
            h = tg.ops.where(keep[t], h, h_new)
            c = tg.ops.where(keep[t], c, c_new)
        return (h * c).sum()

    quotient = network(run)
    (row,) = rows_of(quotient)
    assert row.states == ("h_new", "c_new")
    assert row.equation.splitlines()[2:] == [
        "c_newₜ = fₜ ⊙ cₜ₋₁ + iₜ ⊙ gₜ",
        "h_newₜ = oₜ ⊙ tanh(c_newₜ)",
        "hₜ = where(keepₜ, hₜ₋₁, h_newₜ)",
        "cₜ = where(keepₜ, cₜ₋₁, c_newₜ)",
    ]
    assert labels(quotient, "initial") == ["h₋₁, c₋₁"]
    formulas = {block.formula for block in quotient.blocks if block.kind == "between"}
    assert {"where(keep, hₜ₋₁, h_new)", "where(keep, cₜ₋₁, c_new)"} <= formulas


def test_what_nobody_named_and_is_no_state_yet_is_called_as_what_makes_it():
    """An Euler step: z + f(z)."""
    f = Projected()

    def run():
        z = np.zeros(2)
        for x in XS:
            z = z + 0.1 * f(x, z)
        return z.sum()

    quotient = network(run)
    assert labels(quotient, "cell") == ["f₀", "f₁", "f₂"]
    assert set(labels(quotient, "initial")) == {"z₋₁"}


# Parameters


def test_parameters_are_told_apart_by_the_variables_of_their_modules():
    embedding, cell = tg.nn.Embedding(5, 3, rng=0), tg.nn.RNNCell(3, 4, rng=1)
    first, second = tg.nn.Linear(4, 2, rng=2), tg.nn.Linear(4, 2, bias=False, rng=3)

    def run():
        h, loss = np.zeros(4), 0.0
        for word in np.arange(T):
            with tg.scope("step"):
                h = cell(embedding(word), h)
            loss = loss + (first(h) * second(h)).sum()
        return loss

    assert {block.label for block in network(run).parameters} == {
        "embedding.weight", "W_xh", "W_hh", "b_h", "first.weight", "first.bias", "second.weight",
    }  # fmt: skip


def test_a_name_that_ends_another_one_is_ambiguous():
    step, weight = Step(), tg.nn.Linear(4, 2, rng=2)

    def run():
        s = np.zeros(4)
        for x in XS:
            _, s = step(x, s)
        return weight(s).sum() + step.out(s).sum()

    names = {block.label for block in network(run).parameters}
    assert {"out.weight", "weight.weight"} <= names


# Leaves


def test_what_our_functions_call_their_arguments_is_no_name():
    embedding, cell = tg.nn.Embedding(5, 3, rng=0), tg.nn.RNNCell(3, 5, rng=1)
    words = np.array([1, 3, 0, 2])

    def run():
        h, loss = np.zeros(5), 0.0
        for t in range(T):
            h = cell(embedding(words[t]), h)
            loss = loss + tg.nn.cross_entropy(h, words[t + 1])
        return loss

    quotient = network(run)
    assert labels(quotient, "input") == ["words₀", "words₁", "words₂"]
    assert set(labels(quotient, "target")) == {"words"}
    assert quotient.loss.formula == "Σₜ cross_entropy(hₜ, wordsₜ₊₁)"


@pytest.mark.parametrize(
    ("steps", "shift", "formula"),
    [
        (T, 0, "Σₜ cross_entropy(hₜ, wordsₜ)"),
        (T, 2, "Σₜ cross_entropy(hₜ, wordsₜ₊₂)"),
        (2, 1, "0 + cross_entropy(h₀, words₁) + cross_entropy(h₁, words₂)"),
    ],
)
def test_a_target_that_the_program_indexes_says_of_which_step_it_is(steps, shift, formula):
    cell, words = tg.nn.RNNCell(3, 5, rng=1), np.array([1, 3, 0, 2, 4])

    def run():
        h, loss = np.zeros(5), 0.0
        for t in range(steps):
            h = cell(XS[t], h)
            loss = loss + tg.nn.cross_entropy(h, words[t + shift])
        return loss

    assert network(run).loss.formula == formula


def test_two_targets_of_one_array_are_told_apart_by_their_steps():
    cell, words = tg.nn.RNNCell(3, 5, rng=1), np.eye(5)

    def run():
        h, loss = np.zeros(5), 0.0
        for t in range(T):
            h = cell(XS[t], h)
            loss = loss + ((h - words[t]) * (h - words[t + 1])).sum()
        return loss

    assert network(run).loss.formula == "Σₜ Σ ((hₜ − wordsₜ) ⊙ (hₜ − wordsₜ₊₁))"


def test_a_target_that_is_read_by_its_own_name_a_step_later_has_that_and_its_number():
    """Another array's rows have the same name before."""
    first, second = (tg.nn.RNNCell(3, 5, rng=k) for k in (0, 1))
    embedding, source, target = tg.nn.Embedding(5, 3, rng=2), np.array([0, 1]), np.array([3, 1, 4])

    def run():
        h, loss, y = np.zeros(5), 0.0, np.zeros(3)
        for word in source:
            h = first(embedding(word), h)
        for word in target:
            h = second(y, h)
            loss = loss + tg.nn.cross_entropy(h, word)
            y = embedding(word)
        return loss

    quotient = network(run)
    assert labels(quotient, "input") == ["word₀", "word₁", "y", "word′₀", "word′₁"]
    assert set(labels(quotient, "target")) == {"word′"}
    assert quotient.loss.formula == "Σₜ cross_entropy(hₜ, word′ₜ)"


def test_an_array_that_is_read_backwards_has_its_name():
    embedding, rnn = tg.nn.Embedding(5, 3, rng=0), tg.nn.RNN(3, 4, rng=1)
    source = np.array([1, 3, 0])
    quotient = network(lambda: rnn(embedding(source[::-1]))[0].sum())
    assert labels(quotient, "input") == ["source₂", "source₁", "source₀"]


def test_a_row_of_a_table_is_written_as_the_row_it_is():
    embedding, cell = tg.nn.Embedding(5, 3, rng=0), tg.nn.RNNCell(3, 4, rng=1)

    def run(words):
        h = None
        for word in words:
            h = cell(embedding(word), h)
        return h.sum()

    quotient = network(lambda: run(np.array([1, 3, 0])))
    between = [block for block in quotient.blocks if block.kind == "between"]
    assert {(block.label, block.formula) for block in between} == {("embedding", "weight[word]")}


def test_a_leaf_has_its_name_and_what_has_none_is_x():
    cell = tg.nn.RNNCell(3, 4, rng=0)

    def run(source):
        h = np.zeros(4)
        for t in range(T):
            h = cell(source[t] if t else source[t] + 1.0, h)
        return h.sum()

    quotient = network(lambda: run(np.ones((T, 3))))
    assert labels(quotient, "input") == ["x₀", "source₁", "source₂"]


def test_an_input_that_is_a_row_of_an_array_says_which():
    """The array is read in an order of its own."""
    cell, source, rows = tg.nn.RNNCell(3, 4, rng=0), np.eye(4, 3), [2, 0, 3]

    def run():
        h = np.zeros(4)
        for row in rows:
            h = cell(source[row], h)
        return h.sum()

    assert labels(network(run), "input") == ["source₂", "source₀", "source₃"]


def own_x():
    """The program's x is what is looked up, and of nothing that it is looked up by."""
    table, cell = tg.tensor(np.eye(4, 3), requires_grad=True), tg.nn.RNNCell(3, 4, rng=0)
    caption, h, loss = np.array([2, 0, 3]), np.zeros(4), 0.0
    x = tg.ops.embedding(table, np.zeros((), int))
    for t in range(T):
        h = cell(x, h)
        loss = loss + tg.nn.cross_entropy(h, caption[t])
        x = tg.ops.embedding(table, caption[t])
    return cell(x, h).sum() + loss


def made_by_numpy():
    """What NumPy makes of data and of what is no tensor, before an op sees it."""
    W_in, W, h = np.ones((4, 3)), tg.tensor(np.eye(4), requires_grad=True), np.zeros(4)
    for x in XS:
        with tg.scope("step"):
            h = tg.ops.tanh(W @ h + W_in @ x)
            h = h * np.round(9.0 * h.numpy())
    return h.sum()


def looked_up_by_words():
    embed, cell, h = tg.nn.Embedding(3, 3, rng=0), tg.nn.RNNCell(3, 4, rng=1), np.zeros(4)
    for word in ("the", "cat", "sat"):
        h = cell(embed(["cat", "sat", "the"].index(word)), h)
    return h.sum()


def a_later_part():
    rnn, words = tg.nn.RNN(3, 4, rng=0), np.eye(5, 3)
    return rnn(words[2:])[0].sum()


def looked_up_in_a_plain_table():
    table, cell = tg.tensor(np.eye(4, 3), requires_grad=True), tg.nn.RNNCell(3, 4, rng=0)
    h = np.zeros(4)
    for token in np.array([2, 0, 3]):
        h = cell(table[token], h)
    return h.sum()


LETTERS = {
    "of a table": (looked_up_in_a_plain_table, ["token₀", "token₁", "token₂"]),
    "x is another": (own_x, ["input₀", "caption₀", "caption₁", "caption₂"]),
    "made by NumPy": (
        made_by_numpy,
        [name for t in "₀₁₂" for name in ("W_in x", f"round(9 h){t}")],
    ),
    "by index": (looked_up_by_words, ["index(word)₀", "index(word)₁", "index(word)₂"]),
    "from the third on": (a_later_part, ["words₂", "words₃", "words₄"]),
}


@pytest.mark.parametrize("program", LETTERS)
def test_an_input_is_x_only_where_nothing_else_is(program):
    run, written = LETTERS[program]
    assert labels(network(run), "input") == written


@pytest.mark.parametrize("program", LETTERS)
def test_a_saved_recording_calls_its_inputs_the_same(program, tmp_path):
    run, written = LETTERS[program]
    with tg.trace() as tr:
        run().backward()
    tr.save(tmp_path / "run.trace")
    assert labels(network_of(tg.load_trace(tmp_path / "run.trace").graph()), "input") == written


def x_is_a_state():
    cell, x = tg.nn.RNNCell(3, 4, rng=0), np.zeros(4)
    for t in range(T):
        x = cell(np.eye(3)[t], x)
    return x.sum()


def names_of_inputs(program):
    """What the picture writes in their circles, and what the debugger calls them."""
    with tg.trace() as tr:
        program().backward()
    inputs = [block for block in network_of(tr.graph()).blocks if block.kind == "input"]
    return [(block.label, tr.queries.names.of(block.pieces[0].node)) for block in inputs]


def test_the_debugger_calls_an_input_as_the_picture_does():
    found = names_of_inputs(x_is_a_state)
    assert found == [(f"input{'₀₁₂'[t]}", f"input@{t}") for t in range(T)]


def test_the_debugger_calls_what_no_variable_holds_as_the_function_that_made_it():
    """A picture has the whole expression, which nobody would type."""
    wanted = [("W_in x", "matmul"), ("round(9 h)", "round")]
    assert [(label.rstrip("₀₁₂"), name) for label, name in names_of_inputs(made_by_numpy)] == [
        (label, f"{name}@{t}") for t in range(T) for label, name in wanted
    ]


@pytest.mark.parametrize("index", ["9" * 5000, "٣", "1:2:3:4", "t", ""])
def test_a_name_from_a_file_tells_of_no_part_that_is_none(index):
    name = f"words[{index}]"
    assert (stem_of(name), index_of(name)) == (name, None)


def test_a_target_says_which_part_of_an_array_it_is():
    target = np.array([0, 1, 2, 3])

    def run(hs):
        return tg.nn.cross_entropy(np.stack(hs), target[1:])

    assert "cross_entropy([h₀, h₁, h₂], target[1:])" in formulas(lambda: after_a_cell(run))


def test_what_the_loss_read_first_has_another_name_as_an_input():
    cell, following = tg.nn.RNNCell(3, 3, rng=0), np.eye(3)

    def run():
        h, x, loss = np.zeros(3), np.zeros(3), 0.0
        for wanted in following:
            h = cell(x, h)
            loss = loss + ((h - wanted) ** 2).sum()
            x = wanted
        return loss

    quotient = network(run)
    assert labels(quotient, "input") == ["x₀", "x₁", "x₂"]
    assert quotient.loss.formula == "Σₜ Σ (hₜ − wantedₜ)²"


def test_an_output_has_its_name_and_one_of_many_the_singular():
    cell, head, other = tg.nn.RNNCell(3, 4, rng=0), *(tg.nn.Linear(4, 2, rng=k) for k in (1, 2))

    def run():
        h, ys, loss = np.zeros(4), [], 0.0
        for x in XS:
            h = cell(x, h)
            logits = head(h)
            ys.append(other(h))
            loss = loss + (logits**2).sum() + (ys[-1] ** 4).sum()
        return loss

    outputs = {output.label for output in network(run).outputs}
    assert outputs == {"logits₀", "logits₁", "logits₂", "y₀", "y₁", "y₂"}


def test_a_letter_that_is_a_state_s_is_no_output_s():
    """The program says y of what comes back, and nothing of what goes out."""
    cell, head = tg.nn.RNNCell(3, 4, rng=0), tg.nn.Linear(4, 2, rng=1)

    def run():
        y = np.zeros(4)
        for x in XS:
            y = cell(x, y)
        return (head(y) ** 2).sum()

    assert [output.label for output in network(run).outputs] == ["out₂"]


def many_outputs(finish):
    """The loss of a head on each state of a cell; `finish` is given the states and the head."""
    cell, head = tg.nn.RNNCell(3, 4, rng=0), tg.nn.Linear(4, 3, rng=1)
    h, hs = np.zeros(4), []
    for x in XS:
        h = cell(x, h)
        hs.append(h)
    return finish(hs, head)


def y_is_something_else(hs, head):
    """The program's y is what is made of a state, and comes to no loss as it is."""
    ys = [np.tanh(h) for h in hs]
    return sum((head(y) ** 2).sum() for y in ys)


def two_that_nobody_named(hs, head):
    """At the first step there is one of them alone."""
    loss = (head(hs[0]) ** 2).sum()
    for h in hs[1:]:
        loss = loss + ((U @ h) ** 2).sum() + (head(h) ** 2).sum()
    return loss


def of_a_list(hs, head):
    codes = [head(h) for h in hs]
    return sum((code**2).sum() for code in codes)


U, V = (tg.tensor(np.ones((2, 4)), requires_grad=True, name=name) for name in "UV")
NAMELESS = {
    "y is free": (lambda hs, head: sum((head(h) ** 2).sum() for h in hs), {"y₀", "y₁", "y₂"}),
    "y is another": (y_is_something_else, {"out₀", "out₁", "out₂"}),
    "two": (two_that_nobody_named, {"head₀", "head₁", "head₂", "y₁", "y₂"}),
    "of a list": (of_a_list, {"codes₀", "codes₁", "codes₂"}),
}


@pytest.mark.parametrize("program", NAMELESS)
def test_an_output_is_y_only_where_nothing_else_is(program):
    finish, labels = NAMELESS[program]
    assert {output.label for output in network(lambda: many_outputs(finish)).outputs} == labels


def test_outputs_of_one_name_change_no_places_from_step_to_step():
    """Where a step lacks one of two, the other keeps its name."""

    def run(hs, head):
        loss = ((V @ hs[0]) ** 2).sum()
        for h in hs[1:]:
            loss = loss + ((U @ h) ** 2).sum() + ((V @ h) ** 2).sum()
        return loss

    outputs = network(lambda: many_outputs(run)).outputs
    read = {(one.label.rstrip("₀₁₂"), one.value.node.inputs[0].name) for one in outputs}
    assert read == {("y", "V"), ("y′", "U")}


def test_the_outputs_of_a_turned_sequence_are_those_that_the_program_calls_so():
    """Its logits[0] are of the last step, and stand in its column."""
    rnn, out = tg.nn.RNN(3, 4, rng=0), tg.nn.Linear(4, 2, rng=1)

    def program():
        ys, _ = rnn(XS)
        logits = out(ys[::-1])
        return tg.nn.cross_entropy(logits, np.array([0, 1, 0]))

    outputs = network(program).outputs
    assert [(one.column, one.label) for one in outputs] == [
        (0, "logits₂"),
        (1, "logits₁"),
        (2, "logits₀"),
    ]


# Formulas


def formulas(program):
    quotient = network(program)
    return {block.formula for block in quotient.blocks if block.kind in ("between", "bar")} | {
        quotient.loss.formula
    }


def after_a_cell(finish):
    """What is made of the states of a cell, all of them."""
    cell, hs, h = tg.nn.RNNCell(3, 4, rng=0), [], np.zeros(4)
    for x in XS:
        h = cell(x, h)
        hs.append(h)
    return finish(hs)


INDEXED = {
    "some steps": (lambda hs: np.stack(hs)[1:], "Σ [h₀, h₁, h₂][1:]²"),
    "one of each": (
        lambda hs: np.stack(hs)[np.arange(T), [0, 1, 2]],
        "Σ [h₀, h₁, h₂][[0, 1, 2], [0, 1, 2]]²",
    ),
    "all": (lambda hs: np.stack(hs)[:, None], "Σ [h₀, h₁, h₂]²"),
    "the last": (lambda hs: np.stack(hs)[-1], "Σ h²"),
    "turned": (lambda hs: np.stack(hs)[:, ::2], "Σ [h₀, h₁, h₂][:, ::2]²"),
}


@pytest.mark.parametrize("program", INDEXED)
def test_what_an_index_leaves_out_is_seen(program):
    take, written = INDEXED[program]
    quotient = network(lambda: after_a_cell(lambda hs: (take(hs) ** 2).sum()))
    assert quotient.loss.formula == written


def test_what_is_compared_with_a_target_is_an_output_where_the_program_names_it():
    def squared(hs):
        loss = 0.0
        for h, y in zip(hs, np.eye(3, 4), strict=True):
            guess = 1 / (1 + np.exp(-h))
            loss = loss + ((guess - y) ** 2).sum()
        return loss

    def nameless(hs):
        return sum(
            ((1 / (1 + np.exp(-h)) - y) ** 2).sum() for h, y in zip(hs, np.eye(3, 4), strict=True)
        )

    quotient = network(lambda: after_a_cell(squared))
    assert [one.label for one in quotient.outputs] == ["guess₀", "guess₁", "guess₂"]
    assert quotient.loss.formula == "Σₜ Σ (guessₜ − yₜ)²"
    quotient = network(lambda: after_a_cell(nameless))
    assert [one.label for one in quotient.outputs] == ["h₀", "h₁", "h₂"]


def test_an_index_that_differs_from_step_to_step_is_seen():
    def picked(hs):
        loss = 0.0
        for t, h in enumerate(hs):
            loss = loss - tg.ops.log_softmax(h)[t]
        return loss / T

    quotient = network(lambda: after_a_cell(picked))
    assert quotient.loss.formula == "−Σₜ log_softmax(hₜ)[(0, 1, 2)ₜ] / 3"


def test_a_value_that_a_loss_reads_twice_is_one_letter():
    def divergence(hs):
        spread = tg.nn.Linear(4, 2, rng=1)
        logvar = spread(hs[-1])
        loss = sum((h**2).sum() for h in hs)
        return loss - (1 + logvar - tg.ops.exp(logvar)).sum()

    assert "logvar − exp(logvar)" in network(lambda: after_a_cell(divergence)).loss.formula


def test_several_sums_over_the_steps_are_several():
    def losses(hs):
        fit = size = 0.0
        for h in hs:
            fit = fit + (h - 1.0).sum()
            size = size + (h**2).sum()
        return fit - 0.1 * size + 2.0

    quotient = network(lambda: after_a_cell(losses))
    assert quotient.loss.formula == "Σₜ Σ (hₜ − 1) − 0.1 Σₜ Σ hₜ² + 2"


def test_two_directions_are_two_letters():
    rnn, out = tg.nn.RNN(3, 4, bidirectional=True, rng=0), tg.nn.Linear(8, 2, rng=1)
    assert "weight [→h; ←h] + bias" in formulas(lambda: out(rnn(XS)[0]).sum())


def test_two_layers_and_two_cells_are_two_letters():
    fast, slow = tg.nn.RNNCell(3, 4, rng=0), tg.nn.RNNCell(4, 4, rng=1)
    out = tg.nn.Linear(8, 2, rng=2)

    def run():
        state, loss = [None, None], 0.0
        for x in XS:
            state[0] = fast(x, state[0])
            state[1] = slow(state[0], state[1])
            loss = loss + out(np.concatenate(state)).sum()
        return loss

    assert "weight [fast.state; slow.state] + bias" in formulas(run)
    deep = tg.nn.RNN(3, 4, num_layers=2, rng=0)
    both = formulas(lambda: out(np.concatenate(deep(XS)[1])).sum())
    assert "weight [h; h_l1] + bias" in both


def test_what_comes_from_another_step_says_from_which():
    cell = tg.nn.RNNCell(3, 4, rng=0)

    def run():
        h = before = np.zeros(4)
        loss = 0.0
        for x in XS:
            before, h = h, cell(x, h)
            change = np.tanh(h - before)
            loss = loss + (change**2).sum()
        return loss

    assert "Σₜ Σ tanh(hₜ − hₜ₋₁)²" in formulas(run)


def test_parameters_and_calls_in_one_formula_are_told_apart():
    cell, W1, W2, v = tg.nn.RNNCell(3, 4, rng=0), *(tg.nn.Linear(4, 4, rng=k) for k in range(3))

    def attended(hs):
        keys = W1(np.stack(hs))
        query = cell(XS[0])
        return (tg.ops.softmax(v(np.tanh(keys + W2(query)))) ** 2).sum()

    found = formulas(lambda: after_a_cell(attended))
    assert "weight tanh(keys + W2(query)) + bias" in found


def test_an_input_has_no_caption_that_the_program_gave_it_a_step_before():
    """What comes next is the target of this step, under another name than it is read by then."""

    def program():
        cell, h, loss = tg.nn.RNNCell(3, 3, rng=0), None, 0.0
        for x, following in pairwise(XS):
            h = cell(x, h)
            loss = loss + ((h - following) ** 2).sum()
        return loss

    inputs = [block for block in network(program).blocks if block.kind == "input"]
    assert [(block.label, block.caption) for block in inputs] == [("x₀", ""), ("x₁", "")]


def test_what_a_chain_begins_with_has_the_function_of_a_module_s_result():
    V, cell = tg.nn.Linear(3, 4, rng=0), tg.nn.RNNCell(3, 4, rng=1)

    def program():
        h = tg.ops.tanh(V(np.ones(3)))
        for x in XS:
            h = cell(x, h)
        return h.sum()

    (row,) = rows_of(network(program))
    assert "h₋₁ = tanh(V(" in row.equation


def test_an_index_into_other_axes_stands_behind_what_has_these():
    head, cell = tg.nn.Linear(4, 6, rng=0), tg.nn.RNNCell(3, 4, rng=1)

    def program():
        h, losses = None, []
        for x in XS:
            h = cell(x, h)
            mixture = head(h)
            losses.append(mixture.reshape(3, 2)[1:].sum())
        return sum(losses)

    assert "reshape(mixtureₜ, (3, 2))[1:]" in network(program).loss.formula


def test_a_block_that_several_values_leave_has_a_formula_of_each():
    cell, halt = tg.nn.RNNCell(3, 4, rng=0), tg.nn.Linear(4, 1, rng=1)

    def program():
        h, total, mean = np.zeros(4), 0.0, 0.0
        for x in XS:
            h = cell(x, h)
            p = tg.ops.sigmoid(halt(h))[0]
            total, mean = total + p, mean + p * h
            h = mean * (2 - total)
        return h.sum()

    assert "p = σ(weight h′ + bias)[0]; p ⊙ h′" in formulas(program)


def test_a_block_that_parts_of_one_value_leave_has_the_formula_of_that():
    cell, head = tg.nn.RNNCell(3, 4, rng=0), tg.nn.Linear(4, 4, rng=1)

    def program():
        h, loss = np.zeros(4), 0.0
        for x in XS:
            h = cell(x, h)
            a, b = tg.ops.split(head(h), 2)
            loss = loss + (a * b).sum()
        return loss

    assert "weight h + bias" in formulas(program)


def test_the_last_copy_of_a_row_is_called_as_the_others_where_it_makes_that_state():
    cell, scope = tg.nn.RNNCell(3, 4, rng=0), tg.nn.Linear(4, 2, rng=1)

    def program():
        h, loss = np.zeros(4), 0.0
        for x in XS:
            with tg.scope("step"):
                h = cell(x, h)
                out = scope(h)
            loss = loss + (out**2).sum()
        return loss

    copies = [block for block in network(program).blocks if block.kind == "cell"]
    assert [copy.label for copy in copies] == ["h₀", "h₁", "h₂"]
    assert [copy.called.shape for copy in copies] == [(4,)] * 3
    assert [copy.is_called_otherwise for copy in copies] == [False, False, True]


def test_copies_of_several_states_that_only_go_on_are_called_by_what_all_of_them_show():
    project = tg.nn.Linear(3, 4, rng=0)

    def program():
        total, weight, loss = np.zeros(4), np.zeros(4), 0.0
        for x in XS:
            with tg.scope("step"):
                k = project(x)
                mean = (total + k) / (weight + np.exp(k))
                total, weight = total + k * k, weight + np.exp(k)
            loss = loss + (mean**2).sum()
        return loss

    copies = [block for block in network(program).blocks if block.kind == "cell"]
    assert [copy.label for copy in copies] == ["mean₀", "mean₁", "mean₂"]
    assert not any(copy.is_called_otherwise for copy in copies[2:])


# Rows that the program's own numbers pick


def spelled(cell, table):
    h, loss = None, 0.0
    for token in (3, 1, 0):
        h = cell(table[token], h)
        loss = loss + (h * h).sum()
    return loss


def reshaped(cell, table):
    h, loss = None, 0.0
    for token in (3, 1, 0):
        h = cell(table[token].reshape(1, 3), h)
        loss = loss + (h * h).sum()
    return loss


def in_a_plain_loop(W, U):
    h, loss = np.zeros(4), 0.0
    for ix in (3, 1, 3):
        h = np.tanh(W[:, ix] + U @ h)
        loss = loss + (h * h).sum()
    return loss


def test_a_row_that_each_step_looks_up_is_an_input_of_the_step():
    """A number of the program is no tensor; what it picks stands in its step all the same."""
    cell, table = tg.nn.RNNCell(3, 4, rng=0), tg.tensor(np.ones((5, 3)), requires_grad=True)
    W, U = (tg.tensor(np.ones((4, n)), requires_grad=True) for n in (5, 4))
    quotient = network(lambda: spelled(cell, table))
    (row,) = rows_of(quotient)
    assert row.equation == "hₜ = tanh(W_xh table[…] + W_hh hₜ₋₁ + b_h)"
    of_calls = [b for b in quotient.blocks if b.kind == "between"]
    assert [b.label for b in of_calls] == ["table[3]", "table[1]", "table[0]"]
    assert [b.column for b in of_calls] == [0, 1, 2]
    moved = labels(network(lambda: reshaped(cell, table)), "between")
    assert moved == ["table[3]", "table[1]", "table[0]"]
    looked_up = labels(network(lambda: in_a_plain_loop(W, U)), "between")
    assert looked_up == ["W[:, 3]", "W[:, 1]", "W[:, 3]"]


def test_what_is_doubled_on_its_way_is_looked_through_once():
    """All ways from a row to the copy are 2⁴⁰."""
    cell, table = tg.nn.RNNCell(3, 4, rng=0), tg.tensor(np.ones((5, 3)), requires_grad=True)

    def program():
        h, loss = None, 0.0
        for token in (3, 1, 0):
            x = table[token]
            for _ in range(40):
                x = (x + x) / 2
            h = cell(x, h)
            loss = loss + (h * h).sum()
        return loss

    between = [block for block in network(program).blocks if block.kind == "between"]
    assert {node.options["index"] for block in between for node in block.nodes[:1]} == {3, 1, 0}


def test_parts_of_a_parameter_that_each_step_reads_are_no_inputs():
    b, U = (tg.tensor(np.ones((n, 4)), requires_grad=True) for n in (3, 4))

    def program():
        h, loss = np.zeros(4), 0.0
        for x in np.ones((T, 4)):
            gates = [x + b[k] for k in range(3)]
            h = np.tanh(gates[0] + (U @ h) * gates[1] + gates[2])
            loss = loss + (h * h).sum()
        return loss

    quotient = network(program)
    assert not labels(quotient, "between")
    assert labels(quotient, "input") == ["x₀", "x₁", "x₂"]


def test_what_fills_a_sequence_up_is_a_number_and_no_step():
    """A second layer that reads each step one step late reads 0 first."""

    def program():
        first, second = tg.nn.RNN(3, 4, rng=0), tg.nn.RNN(4, 4, rng=1)
        ys, _ = first(XS)
        late, _ = second(np.pad(ys[:-1], ((1, 0), (0, 0))))
        return (late**2).sum()

    found = network(program)
    between = [block for block in found.blocks if block.kind == "between"]
    assert {block.sign for block in between} == {""}  # nothing but the slices
    (upper,) = (row for row in found.rows if row.number == 1 and row.kind == "cell")
    assert "in h₀: 0 for hₜ₋₁⁽⁰⁾" in upper.equation


def test_a_sequence_that_a_function_makes_is_called_by_that_step_by_step():
    """And not by the whole expression; what draws numbers says nothing of what they are for."""

    def one_hot(text):
        return np.eye(3)[[ord(letter) - ord("a") for letter in text]]

    found = network(lambda: (tg.nn.RNN(3, 4, rng=0)(one_hot("abc"))[0] ** 2).sum())
    assert labels(found, "input") == ["one_hot₀", "one_hot₁", "one_hot₂"]
    rng = np.random.default_rng(0)
    found = network(lambda: (tg.nn.RNN(3, 4, rng=0)(rng.standard_normal((2, 3)))[0] ** 2).sum())
    assert labels(found, "input") == ["x₀", "x₁"]


def test_every_leaf_of_a_tree_has_its_step():
    """Also one that is read by a node further up than the others are."""
    embed, left, right = tg.nn.Embedding(5, 3, rng=0), tg.nn.Linear(3, 3), tg.nn.Linear(3, 3)

    class Node(tg.nn.Module):
        def __init__(self):
            self.left, self.right = left, right

        def forward(self, a, b):
            return np.tanh(self.left(a) + self.right(b))

    node = Node()

    def read(tree):
        if isinstance(tree, int):
            return embed(np.array(tree))
        return node(*map(read, tree))

    found = network(lambda: (read(((0, 1), (2, (3, 4)))) ** 2).sum())
    assert labels(found, "input") == ["x₀", "x′₀", "x′′₀", "x′′′₀", "x′⁴₀"]


def test_a_gradient_of_a_vector_has_no_index():
    """A product's formula makes a column of a vector, and a vector of the column again."""
    W, cell = tg.tensor(np.ones((4, 3))), tg.nn.RNNCell(3, 3, rng=0)
    theta = tg.tensor(np.ones(3), requires_grad=True)

    def program():
        h, loss = None, 0.0
        for y in np.ones((T, 4)):
            error = W @ theta - y
            (gradient,) = tg.grad((error * error).sum(), [theta], create_graph=True)
            h = cell(gradient, h)
            loss = loss + (h * h).sum()
        return loss

    found = formulas(program)
    assert any("Wᵀ" in formula for formula in found)
    assert not any("[" in formula for formula in found)


def held_back(xs):
    cell, h, c = tg.nn.LSTMCell(3, 4, rng=0), np.zeros(4), np.zeros(4)
    for x, keep in zip(xs, np.array([True, False, True]), strict=True):
        h_new, c_new = cell(x, (h, c))
        h, c = tg.ops.where(keep, h, h_new), tg.ops.where(keep, c, c_new)
    return (h * c).sum()


def test_what_reads_one_of_two_initial_states_is_told_which():
    drawing = tg.draw(held_back(XS)).drawing
    told = {
        edge.target: edge.label.text
        for edge in drawing.edges
        if edge.label and edge.source == "initial-0"
    }
    assert sorted(told.values()) == ["c₋₁", "h₋₁", "h₋₁, c₋₁"]
    assert told["cell-0-0"] == "h₋₁, c₋₁"


class Looks(tg.nn.Module):
    """Looks back at what it read a step before, which it calls otherwise than the program does."""

    def __init__(self):
        self.here = tg.nn.Linear(4, 4, rng=0)

    def forward(self, a, before):
        return np.tanh(self.here(a) * before)


def looking_back():
    cell, look = tg.nn.LSTMCell(3, 4, rng=0), Looks()
    h = c = y_before = np.zeros(4)
    loss = 0.0
    for x in XS:
        h, c = cell(x, (h, c))
        y = h * h
        loss = loss + (look(y, y_before) ** 2).sum()
        y_before = y
    return loss


READ_BEFORE = [("₀", "y_before"), ("₁", "y₀"), ("₂", "y₁")]


def test_one_array_of_several_names_is_called_where_it_is_read_as_it_is_called_there(tmp_path):
    """By the program, and not by the function that it is given to."""
    with tg.trace() as tr:
        looking_back().backward()
    tr.save(tmp_path / "run.safetensors")
    for run in (tr, tg.load_trace(tmp_path / "run.safetensors")):
        found = network_of(run.graph())
        (begun,) = [block for block in found.blocks if block.kind == "initial"]
        assert (begun.label, begun.caption) == ("h₋₁, c₋₁", "y_before")
        assert found.loss.formula == " + ".join(
            f"Σ tanh(out{step} ⊙ {before})²" for step, before in READ_BEFORE
        )


def test_what_each_step_of_an_outer_loop_makes_once_counts_these():
    cell, head = tg.nn.RNNCell(3, 4, rng=0), tg.nn.Linear(4, 2, rng=1)

    def program():
        h, ys = None, []
        for x, times in zip(XS, (2, 1, 3), strict=True):
            for _ in range(times):
                h = cell(x, h)
            ys.append(head(h))
        return (tg.ops.stack(ys) ** 2).sum()

    assert [output.label for output in network(program).outputs] == ["y₀", "y₁", "y₂"]


def test_what_numpy_makes_of_a_first_state_is_no_name_of_it():
    W, F = tg.tensor(np.eye(2), requires_grad=True), np.eye(2) / 2

    def program():
        m, loss = np.ones(2), 0.0
        for z in np.ones((T, 2)):
            m = W @ (F @ m) + z
            loss = loss + (m * m).sum()
        return loss

    (begun,) = [block for block in network(program).blocks if block.kind == "initial"]
    assert (begun.label, begun.caption) == ("m₋₁", "")


class Mixed(tg.nn.Module):
    """Reads a part of what it has, and what another module has."""

    def __init__(self, table):
        self.mix, self.table = tg.nn.Parameter(np.ones((2, 4))), table

    def forward(self, h):
        return (h * self.mix[0] + (1 - self.mix[1]) * np.tanh(h)) @ self.table.weight.T


def test_a_formula_says_whose_a_weight_is_but_in_the_module_that_has_it():
    cell, table = tg.nn.RNNCell(3, 4, rng=0), tg.nn.Embedding(5, 4, rng=1)
    embed, mixed = tg.nn.Linear(3, 3, bias=False, rng=2), Mixed(table)

    def run():
        h, loss = np.zeros(4), 0.0
        for x in XS:
            h = cell(embed(x), h)
            loss = loss + (mixed(h) ** 2).sum() + ((h @ table.weight.T) ** 2).sum()
        return loss

    said = {block.label: block.formula for block in network(run).blocks}
    assert said["embed"] == "weight x"
    assert said["mixed"] == "(h ⊙ mix[0] + (1 − mix[1]) ⊙ tanh(h)) table.weightᵀ"
    assert said["h table.weightᵀ"] == "h table.weightᵀ"


class ChannelMix(tg.nn.Module):
    """A gate and candidates of one size, each with a module of its own."""

    def __init__(self):
        self.scale = tg.nn.Parameter(np.ones(4))
        self.R, self.K = (tg.nn.Linear(4, 4, bias=False, rng=k) for k in range(2))

    def forward(self, h):
        r = self.R(np.tanh(h * self.scale) + np.exp(h) / (1 + h * h))
        k = self.K(np.tanh(h / self.scale) - np.exp(h) / (2 + h * h))
        return tg.ops.sigmoid(r) * np.tanh(k) ** 2


def test_two_weights_have_two_names_in_one_box():
    cell, mix = tg.nn.RNNCell(3, 4, rng=0), ChannelMix()

    def run():
        h, loss = None, 0.0
        for x in XS:
            h = cell(x, h)
            loss = loss + (mix(h) ** 2).sum()
        return loss

    (said,) = {block.formula for block in network(run).blocks if block.label == "mix"}
    assert said.split("; ") == [
        "σ(r) ⊙ tanh(k)²",
        "r = R.weight (tanh(h ⊙ scale) + exp(h) / (1 + h ⊙ h))",
        "k = K.weight (tanh(h / scale) − exp(h) / (2 + h ⊙ h))",
    ]


def layer_of(x, weight, cell, width):
    """A layer whose product reads this step, or this one and the step before: as a convolution."""
    before = np.concatenate([np.zeros_like(x[:1]), x[:-1]])
    x = np.concatenate([before, x], axis=-1) if width == 2 else x
    u, h, hs = weight(x), np.zeros(4), []
    for t in range(T):
        h = cell(u[t], h)
        hs.append(h)
    return np.stack(hs)


@pytest.mark.parametrize(
    ("width", "said"),
    [
        (1, ["weight x + bias", "weight h + bias"]),
        (2, ["weight x + bias", "weight [0; h] + bias", "weight [hₜ₋₁; hₜ] + bias"]),
    ],
)
def test_what_the_next_layer_calls_as_an_input_goes_by_the_names_of_what_it_is_made_of(width, said):
    weights = [tg.nn.Linear(width * n, 4, rng=n) for n in (3, 4)]
    cells = [tg.nn.RNNCell(4, 4, rng=k) for k in range(2)]

    def run(x):
        for weight, cell in zip(weights, cells, strict=True):
            x = layer_of(x, weight, cell, width)
        return (x * x).sum()

    boxes = (block for block in network(lambda: run(XS + 0)).blocks if block.kind == "between")
    formulas = dict.fromkeys(one.formula.removeprefix("u = ") for one in boxes)
    assert [one for one in formulas if "bias" in one] == said


class Scorer(tg.nn.Module):
    """A small network of its own."""

    def __init__(self):
        self.first, self.second, self.third = (tg.nn.Linear(4, 4, rng=k) for k in range(3))

    def forward(self, h):
        return self.third(np.tanh(self.second(np.tanh(self.first(h)) + np.exp(h))) * h)


class Tagger(tg.nn.Module):
    """Copies are made in it, and what is made of these."""

    def __init__(self):
        self.rnn, self.out = tg.nn.RNN(3, 4, rng=0), tg.nn.Linear(4, 3, rng=1)

    def forward(self, xs):
        hs, _ = self.rnn(xs)
        return np.tanh(self.out(hs))


def test_a_box_says_into_which_parts_the_program_splits_what_it_makes():
    layer, inward = (tg.nn.Linear(3, n, bias=False, rng=n) for n in (8, 4))
    recur, head = (tg.nn.Linear(4, n, bias=False, rng=n) for n in (4, 2))

    def program():
        xs = tg.tensor(np.stack(XS), name="x")
        inner, gate = np.split(layer(xs), 2, axis=-1)
        h, loss = np.zeros(4), 0.0
        for t in range(T):
            h = np.tanh(inner[t] + recur(h) + inward(xs[t]))
            loss = loss + (head(h * gate[t]) ** 2).sum()
        return loss

    formulas = {block.formula for block in network(program).blocks if block.kind == "between"}
    assert "inner, gate = weight x" in formulas


def test_a_box_says_by_which_name_the_formula_of_another_one_goes_on_with_it():
    lower, upper = tg.nn.RNN(3, 4, rng=0), tg.nn.RNNCell(3, 4, rng=1)
    encode, score = (tg.nn.Linear(4, n, bias=False, rng=n) for n in (4, 1))

    def program():
        encoded, last = lower(tg.tensor(np.stack(XS)))
        h, keys, loss = last[0], encode(encoded), 0.0
        for x in XS:
            h = upper(x, h)
            u = score(np.tanh(keys + h))
            loss = loss + tg.ops.logsumexp(u, axis=0).sum()
        return loss

    formulas = {block.formula for block in network(program).blocks if block.kind == "between"}
    assert "keys = weight encoded" in formulas
    assert "weight tanh(keys + h)" in formulas


def test_a_formula_goes_by_no_call_of_which_something_stands_elsewhere():
    tagger, head = Tagger(), tg.nn.Linear(3, 2, rng=2)
    said = network(lambda: (head(tagger(XS)) ** 2).sum()).blocks
    assert {block.formula for block in said if block.label == "out, head"} == {"head(tanh(out(h)))"}


def test_a_formula_goes_by_calls_where_several_make_it_or_it_would_be_too_long():
    cell, up, down = (tg.nn.RNNCell(3, 4, rng=0), tg.nn.Linear(4, 6, rng=1),
                      tg.nn.Linear(6, 2, rng=2))  # fmt: skip
    score = Scorer()

    def run():
        h, loss = np.zeros(4), 0.0
        for x in XS:
            h = cell(x, h)
            loss = loss + (score(h) ** 2).sum() + (down(np.tanh(up(h))) ** 2).sum()
        return loss

    said = {block.label: block.formula for block in network(run).blocks}
    assert said["up, down"] == "down(tanh(up(h)))"
    assert said["score"] == "third(tanh(second(tanh(first(h)) + exp(h))) ⊙ h)"


@pytest.mark.parametrize(
    ("goals", "said"),
    [(np.ones((T, 4)), "Σₜ Σ (hₜ − goalₜ)²"), ([np.ones(4)] * T, "Σₜ Σ (hₜ − goal)²")],
)
def test_a_sum_says_whether_each_step_is_compared_with_another_target(goals, said):
    cell = tg.nn.RNNCell(3, 4, rng=0)

    def run():
        h, loss = None, 0.0
        for x, goal in zip(XS, goals, strict=True):
            h = cell(x, h)
            loss = loss + ((h - goal) ** 2).sum()
        return loss

    assert network(run).loss.formula == said


def test_a_box_says_the_name_by_which_an_equation_goes_on():
    cell, look, out = Projected(), tg.nn.Linear(3, 3, rng=2), tg.nn.Linear(2, 2, rng=3)

    def run():
        r, loss = np.zeros(2), 0.0
        for x in XS:
            gain = np.exp(look(x))
            r = cell(gain, r)
            scores = out(r)
            loss = loss + (scores**2).sum()
        return loss

    quotient = network(run)
    said = {block.label: block.formula for block in quotient.blocks}
    assert rows_of(quotient)[0].equation == "rₜ = W(tanh(gates([gainₜ; rₜ₋₁])))"
    assert (said["look"], said["out"]) == ("gain = exp(weight x + bias)", "weight r + bias")


@pytest.mark.parametrize(
    ("first_is_read", "first_said", "out_said"),
    [
        (True, "", "weight (tanh(u + y) ⊙ (u + y)) + bias"),
        (False, "; u = weight x + bias", "weight (tanh(u′ + y) ⊙ (u′ + y)) + bias"),
    ],
    ids=["from another block", "in one block"],
)
def test_one_name_is_one_value_though_the_program_binds_it_anew(
    first_is_read, first_said, out_said
):
    """A box makes an x′; what a sign makes is written in full, and a call of that is cut."""

    class Step(tg.nn.Module):
        def __init__(self):
            self.inner, self.mix = tg.nn.RNNCell(4, 4, rng=0), tg.nn.Linear(4, 4, rng=1)

        def forward(self, u, h):
            h = self.inner(u, h)
            y = np.tanh(self.mix(h))
            return y, h

    step, first, out = Step(), tg.nn.Linear(3, 4, rng=2), tg.nn.Linear(4, 2, rng=3)

    def run():
        h, loss = np.zeros(4), 0.0
        for x in XS:
            u = before = first(x)
            u = u / np.sqrt((u * u).sum() + 1.0) * np.tanh(u)
            y, h = step(u, h)
            y = (before if first_is_read else u) + y
            scores = out(np.tanh(y) * y)
            loss = loss + (scores**2).sum()
        return loss

    quotient = network(run)
    formulas = {block.formula for block in quotient.blocks if block.kind == "between"}
    assert f"u′ = u / sqrt(Σ (u ⊙ u) + 1) ⊙ tanh(u){first_said}" in formulas
    assert out_said in formulas
    assert "u′ₜ" in rows_of(quotient)[0].equation
