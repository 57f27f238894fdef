"""Recurrent programs that nobody wrote: rows, chains, skips, joins, slices, heads, cut parts."""

import numpy as np
from hypothesis import strategies as st

import tinygrad_rnn as tg

SIZE = 3


class Own(tg.nn.Module):
    """A cell of one's own, with two states."""

    def __init__(self, rng):
        self.W, self.U = tg.nn.Linear(SIZE, SIZE, rng=rng), tg.nn.Linear(SIZE, SIZE, rng=rng)

    def forward(self, x, h, c):
        c = 0.5 * c + tg.ops.tanh(self.W(x) + self.U(h))
        return c * tg.ops.sigmoid(h), c


class Norm(tg.nn.Module):
    def __init__(self):
        self.gain = tg.nn.Parameter(np.ones(SIZE))

    def forward(self, x):
        return self.gain * x / tg.ops.sqrt((x * x).mean(axis=-1, keepdims=True) + 1)


class Program:
    """A sequence of values of shape (B, SIZE) goes through rows.

    Args:
        pick: decides how: of n possibilities the number of one.
    """

    def __init__(self, pick):
        self.pick = pick
        self.rng = np.random.default_rng(pick(1000))
        self.batch = 1 + pick(2)
        self.steps = 1 + pick(5)
        self.states = []  # what earlier rows ended with
        self.sequences = []  # what earlier rows made
        self.losses = []

    def choose(self, *choices):
        return choices[self.pick(len(choices))]

    def number(self):
        return int(self.rng.integers(0, 1000))

    def loss(self):
        xs = self.input()
        for _ in range(1 + self.pick(3)):
            self.sequences.append(xs)
            xs = self.between(self.row(xs))
        self.sequences.append(xs)
        self.head(xs)
        if self.choose(False, True):
            self.head(self.choose(*self.sequences[1:]))
        if self.states and self.choose(False, True):
            self.losses.append((self.choose(*self.states) ** 2).sum())
        return sum(self.losses[1:], self.losses[0])

    def input(self):
        array = self.rng.standard_normal((self.steps, self.batch, SIZE))
        match self.choose("arrays", "whole", "flipped", "embedded", "convolved"):
            case "arrays":
                return list(array)
            case "whole":
                return list(tg.tensor(array, name="xs"))
            case "flipped":
                return list(tg.ops.flip(tg.tensor(array), 0))
            case "convolved":
                return list(self.convolved(tg.tensor(array, name="xs")))
            case _:
                embed = tg.nn.Embedding(5, SIZE, rng=self.number())
                return list(embed(self.rng.integers(0, 5, (self.steps, self.batch))))

    def convolved(self, xs):
        """Each step and those before it, weighed: before the loop, and filled up with zeros."""
        if self.choose(False, True):
            xs = tg.nn.Linear(SIZE, SIZE, rng=self.number())(xs)
        width = 2 + self.pick(3)
        weights = tg.nn.Parameter(self.rng.standard_normal((width, SIZE)), name="weights")
        padded = tg.ops.concatenate([np.zeros((width - 1, self.batch, SIZE)), xs])
        terms = [weights[k] * padded[k : k + self.steps] for k in range(width)]
        if self.choose(False, True):
            terms.reverse()
        return sum(terms[1:], terms[0])

    def initial(self):
        like = self.choose("zeros", "trained", "last")
        if like == "last" and self.states:
            return self.choose(*self.states)
        if like == "trained":
            return tg.nn.Parameter(np.zeros((self.batch, SIZE)), name="h0")
        return tg.tensor(np.zeros((self.batch, SIZE)))

    def row(self, xs):
        kind = self.choose("rnn", "lstm", "own", "layer", "both", "scope", "plain", "joined")
        if kind in ("layer", "both"):
            return self.layer(xs, bidirectional=kind == "both")
        step, states = self.cell(kind)
        mask = self.rng.random((len(xs), self.batch, 1)) < 0.7
        form = self.choose(
            "plain", "masked", "residual", "norm", "cut", "euler", "attends", "twice"
        )
        norm, ys = Norm(), []
        order = range(len(xs))
        if self.choose(False, False, True):
            order = reversed(order)
        begin = states
        for k, t in enumerate(order):
            x = xs[t]
            if form == "attends":
                x = x + self.attention(self.sequences[-1], states[0])
            if form == "cut" and k == 2:
                states = tuple(state.detach() for state in states)
            if form == "twice" and k == len(xs) // 2:
                states = begin  # a second sequence for the same cell
            new = step(x, states)
            if form == "masked":
                new = tuple(tg.ops.where(mask[t], a, b) for a, b in zip(new, states, strict=True))
            if form == "euler":
                new = tuple(b + 0.1 * a for a, b in zip(new, states, strict=True))
            if form == "norm":
                new = (norm(new[0]), *new[1:])
            states = new
            ys.append(x + new[0] if form == "residual" else new[0])
        self.states.append(states[0])
        return ys[::-1] if isinstance(order, type(reversed(range(1)))) else ys

    def cell(self, kind):
        h = self.initial()
        match kind:
            case "rnn":
                cell = tg.nn.RNNCell(SIZE, SIZE, rng=self.number())
                return lambda x, s: (cell(x, s[0]),), (h,)
            case "lstm":
                cell = tg.nn.LSTMCell(SIZE, SIZE, rng=self.number())
                return lambda x, s: cell(x, s), (h, tg.tensor(np.zeros((self.batch, SIZE))))
            case "own":
                cell = Own(self.number())
                return lambda x, s: cell(x, *s), (h, tg.tensor(np.ones((self.batch, SIZE))))
            case "plain":
                W = tg.nn.Parameter(self.rng.standard_normal((SIZE, SIZE)) * 0.5, name="W")
                U = tg.nn.Parameter(self.rng.standard_normal((SIZE, SIZE)) * 0.5, name="U")
                return lambda x, s: (tg.ops.tanh(x @ W + s[0] @ U),), (h,)
            case "joined":
                W = tg.nn.Parameter(self.rng.standard_normal((2 * SIZE, SIZE)) * 0.5, name="W")
                return lambda x, s: (tg.ops.tanh(tg.ops.concatenate([x, s[0]], axis=-1) @ W),), (h,)
            case _:
                W = tg.nn.Parameter(self.rng.standard_normal((SIZE, SIZE)) * 0.5, name="W")
                name = f"row{len(self.sequences)}"

                def step(x, states):
                    with tg.scope(name):
                        return (tg.ops.tanh(x + states[0] @ W),)

                return step, (h,)

    def layer(self, xs, bidirectional):
        rnn = tg.nn.GRU(SIZE, SIZE, bidirectional=bidirectional, rng=self.number())
        ys, last = rnn(tg.ops.stack([tg.ops.reshape(x, (self.batch, SIZE)) for x in xs]))
        self.states.append(last[0])
        if bidirectional:
            ys = ys[..., :SIZE] + ys[..., SIZE:]
        return list(ys)

    def attention(self, keys, query):
        keys = tg.ops.stack([tg.ops.reshape(key, (self.batch, SIZE)) for key in keys])
        weights = tg.ops.softmax((keys * query).sum(axis=-1), axis=0)
        return (weights[..., None] * keys).sum(axis=0)

    def between(self, ys):
        form = self.choose("nothing", "stacked", "linear", "shifted", "pooled", "joined", "normed")
        if form == "nothing":
            return ys
        if form == "joined":
            skip = self.choose(*self.sequences)
            return [y + x for y, x in zip(ys, skip, strict=True)]
        sequence = tg.ops.stack(ys)
        match form:
            case "linear":
                sequence = tg.nn.Linear(SIZE, SIZE, rng=self.number())(sequence)
            case "shifted":
                before = tg.ops.concatenate([np.zeros((1, self.batch, SIZE)), sequence[:-1]])
                sequence = sequence + 0.5 * before
            case "pooled":
                sequence = sequence - sequence.mean(axis=0)
            case "normed":
                sequence = Norm()(sequence)
            case _:
                sequence = tg.ops.relu(sequence) + 0.1
        if self.choose(False, True):
            return tg.ops.unstack(sequence)
        return [sequence[t] for t in range(len(ys))]

    def head(self, xs):
        out = tg.nn.Linear(SIZE, 2, rng=self.number())
        targets = self.rng.integers(0, 2, (len(xs), self.batch))
        match self.choose("last", "each", "stacked", "sum"):
            case "last":
                self.losses.append(tg.nn.cross_entropy(out(xs[-1]), targets[-1]))
            case "each":
                terms = [tg.nn.cross_entropy(out(x), y) for x, y in zip(xs, targets, strict=True)]
                self.losses.append(sum(terms[1:], terms[0]))
            case "stacked":
                self.losses.append(tg.nn.cross_entropy(out(tg.ops.stack(list(xs))), targets))
            case _:
                self.losses.append((tg.ops.stack(list(xs)) ** 2).sum())


def random_graph(pick):
    """The recorded graph of a random program, differentiated."""
    with tg.trace() as tr:
        Program(pick).loss().backward()
    return tr.graph()


@st.composite
def graphs(draw):
    """Random graphs."""
    return random_graph(lambda n: draw(st.integers(0, n - 1)))
