"""Recurrent programs that nobody wrote: rows, chains, skips, joins, slices, heads, cut parts."""

from dataclasses import dataclass

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


@dataclass
class Held:
    """Where a program keeps its states between the steps."""

    states: tuple


FORMS = ["plain", "masked", "residual", "norm", "cut", "euler", "attends", "twice"]
FORMS += ["slow", "remembers", "gated", "differs"]
BETWEEN = ["nothing", "stacked", "linear", "shifted", "pooled", "joined", "normed"]
BETWEEN += ["ahead", "concatenated", "paired"]


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
        like = self.choose(
            "arrays", "whole", "flipped", "embedded", "convolved", "ahead", "strided", "parts"
        )
        match like:
            case "arrays":
                return list(array)
            case "whole":
                return list(tg.tensor(array, name="xs"))
            case "flipped":
                return list(tg.ops.flip(tg.tensor(array), 0))
            case "convolved":
                return list(self.convolved(tg.tensor(array, name="xs")))
            case "ahead":
                return list(self.looking_ahead(tg.tensor(array, name="xs")))
            case "strided":
                xs = tg.tensor(np.repeat(array, 2, axis=0) + 0.5, name="xs")
                return list(xs[::2] * xs[1::2])
            case "parts":
                xs = tg.tensor(np.concatenate([array, array + 1], axis=-1), name="xs")
                left, right = xs[..., :SIZE], xs[..., SIZE:]
                return [left[t] + tg.ops.tanh(right[t]) for t in range(self.steps)]
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

    def looking_ahead(self, xs):
        """Each step and the one after it; nothing comes after the last."""
        after = tg.ops.concatenate([xs[1:], np.zeros((1, self.batch, SIZE))])
        return xs + 0.5 * after

    def initial(self):
        like = self.choose("zeros", "trained", "last")
        if like == "last" and self.states:
            return self.choose(*self.states)
        if like == "trained":
            return tg.nn.Parameter(np.zeros((self.batch, SIZE)), name="h0")
        return tg.tensor(np.zeros((self.batch, SIZE)))

    def row(self, xs):
        kind = self.choose(
            "rnn", "lstm", "own", "layer", "both", "scope", "plain", "joined", "layers", "tied"
        )
        if kind in ("layer", "both"):
            return self.layer(xs, bidirectional=kind == "both")
        step, states = self.cell(kind)
        mask = self.rng.random((len(xs), self.batch, 1)) < 0.7
        form = self.choose(*FORMS)
        norm, beside, ys = Norm(), tg.nn.Linear(SIZE, SIZE, rng=self.number()), []
        backwards = self.choose(False, False, True)
        held = Held(states)
        for k, t in enumerate(reversed(range(len(xs))) if backwards else range(len(xs))):
            before = held.states
            if form == "twice" and k == len(xs) // 2:
                before = states  # a second sequence for the same cell
            if form == "cut" and k == 2:
                before = tuple(state.detach() for state in before)
            x = self.read(form, xs[t], before[0], ys)
            new = before if form == "slow" and k % 2 else step(x, before)
            held.states = new = self.kept(form, new, before, mask[t], norm)
            ys.append(self.made(form, new[0], before[0], x, beside))
        self.states.append(held.states[0])
        return ys[::-1] if backwards else ys

    def read(self, form, x, h, ys):
        """What a step reads."""
        if form == "attends":
            return x + self.attention(self.sequences[-1], h)
        if form == "remembers" and ys:
            return x + self.attention(ys, h)
        return x

    def kept(self, form, new, before, mask, norm):
        """What a row keeps of what its cell made."""
        match form:
            case "masked":
                pairs = zip(new, before, strict=True)
                return tuple(tg.ops.where(mask, a, b) for a, b in pairs)
            case "euler":
                return tuple(b + 0.1 * a for a, b in zip(new, before, strict=True))
            case "norm":
                return norm(new[0]), *new[1:]
            case _:
                return new

    def made(self, form, h, before, x, beside):
        """What a row hands on."""
        match form:
            case "residual":
                return x + h
            case "gated":
                return tg.ops.sigmoid(beside(x)) * h
            case "differs":
                return h - before.detach()
            case _:
                return h

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
            case "layers" | "tied":
                return self.layers(tied=kind == "tied"), (h, tg.tensor(np.ones((self.batch, SIZE))))
            case _:
                W = tg.nn.Parameter(self.rng.standard_normal((SIZE, SIZE)) * 0.5, name="W")
                name = f"row{len(self.sequences)}"

                def step(x, states):
                    with tg.scope(name):
                        return (tg.ops.tanh(x + states[0] @ W),)

                return step, (h,)

    def layers(self, tied):
        """Two cells that are called at each step; they may share a weight."""
        lower, upper = (tg.nn.RNNCell(SIZE, SIZE, rng=self.number()) for _ in range(2))
        if tied:
            upper.W_hh = lower.W_hh

        def step(x, states):
            below = lower(x, states[1])
            return upper(below, states[0]), below

        return step

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
        form = self.choose(*BETWEEN)
        match form:
            case "nothing":
                return ys
            case "joined":
                return [y + x for y, x in zip(ys, self.choose(*self.sequences), strict=True)]
            case "concatenated":
                W = tg.nn.Linear(2 * SIZE, SIZE, rng=self.number())
                pairs = zip(ys, self.choose(*self.sequences), strict=True)
                return [W(tg.ops.concatenate(pair, axis=-1)) for pair in pairs]
            case _:
                sequence = self.mixed(form, tg.ops.stack(ys))
        if self.choose(False, True):
            return tg.ops.unstack(sequence)
        return [sequence[t] for t in range(len(ys))]

    def mixed(self, form, ys):
        """What is made of a whole sequence, step by step or not."""
        match form:
            case "linear":
                return tg.nn.Linear(SIZE, SIZE, rng=self.number())(ys)
            case "shifted":
                before = tg.ops.concatenate([np.zeros((1, self.batch, SIZE)), ys[:-1]])
                return ys + 0.5 * before
            case "pooled":
                return ys - ys.mean(axis=0)
            case "normed":
                return Norm()(ys)
            case "ahead":
                return self.looking_ahead(ys)
            case "paired":
                pairs = (ys[t - t % 2 : t - t % 2 + 2] for t in range(len(ys)))
                return tg.ops.stack([pair.mean(axis=0) for pair in pairs])
            case _:
                return tg.ops.relu(ys) + 0.1

    def head(self, xs):
        out = tg.nn.Linear(SIZE, 2, rng=self.number())
        targets = self.rng.integers(0, 2, (len(xs), self.batch))
        match self.choose("last", "each", "stacked", "sum", "weighed", "smooth"):
            case "last":
                self.losses.append(tg.nn.cross_entropy(out(xs[-1]), targets[-1]))
            case "each":
                terms = [tg.nn.cross_entropy(out(x), y) for x, y in zip(xs, targets, strict=True)]
                self.losses.append(sum(terms[1:], terms[0]))
            case "stacked":
                self.losses.append(tg.nn.cross_entropy(out(tg.ops.stack(list(xs))), targets))
            case "weighed":
                weights = self.rng.random((len(xs), self.batch, 1)) < 0.7
                self.losses.append((tg.ops.where(weights, out(tg.ops.stack(xs)), 0.0) ** 2).sum())
            case "smooth":
                ys = tg.ops.stack(xs)
                self.losses.append((out(ys[-1]) ** 2).sum() + ((ys[1:] - ys[:-1]) ** 2).sum())
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
