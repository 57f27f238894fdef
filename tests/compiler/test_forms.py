"""However a step is written, compiled it does what it does: random cells in random spellings."""

import numpy as np
import pytest
from compiler.side_by_side import compare
from tables import rows

import tinygrad_rnn as tg
from tinygrad_rnn import ops

# W x for each row of x, or each column, as people write it.
ROWS = [
    ops.linear,
    lambda x, W: x @ W.T,
    lambda x, W: (W @ x.T).T,
    lambda x, W: x @ (1.0 * W.T),
    lambda x, W: np.einsum("oi,bi->bo", W, x),
]
COLUMNS = [
    lambda x, W: W @ x,
    lambda x, W: ops.linear(x.T, W).T,
    lambda x, W: (x.T @ W.T).T,
    lambda x, W: np.einsum("ib,oi->ob", x, W),
]
# The same for one-hot x, of which the numbers are given; as rows.
LOOKUPS = [
    lambda ids, W: W.T[ids],
    lambda ids, W: W[:, ids].T,
    lambda ids, W: ops.embedding(W.T, ids),
    lambda ids, W: ops.one_hot(ids, W.shape[1]) @ W.T,
]
ACTIVATIONS = [ops.tanh, ops.sigmoid, ops.sin, lambda z: 1 / (1 + np.exp(-z))]
# The new state from the old one and three gates.
CELLS = [
    lambda h, a, b, c: a,
    lambda h, a, b, c: (1 - a) * b + a * h,
    lambda h, a, b, c: ops.tanh(a * h + b * c),
    lambda h, a, b, c: a * h - b * c,
    lambda h, a, b, c: b + a * (c - h),
    lambda h, a, b, c: 0.5 * a * (h + b) + c,
]


def p_of(y):
    """A softmax written out."""
    return np.exp(y) / np.sum(np.exp(y), axis=-1, keepdims=True)


# The loss of one step, from scores in rows.
LOSSES = [
    lambda y, t: tg.nn.cross_entropy(y, t),
    lambda y, t: tg.nn.cross_entropy(y, t, "none").sum(),
    lambda y, t: -np.log(p_of(y)[np.arange(len(y)), t]).mean(),
    lambda y, t: -(ops.one_hot(t, y.shape[-1]) * np.log(p_of(y))).sum(),
    lambda y, t: -np.take_along_axis(ops.log_softmax(y), t[:, None], -1).mean(),
    lambda y, t: -ops.log_softmax(y.T, 0)[t, np.arange(len(y))].sum(),
    lambda y, t: (ops.logsumexp(y) - (ops.one_hot(t, y.shape[-1]) * y).sum(-1)).mean(),
    lambda y, t: ((y - ops.one_hot(t, y.shape[-1])) ** 2).mean(),
]


def added(losses):
    total = 0.0
    for loss in losses:
        total = total + loss
    return total


def taken(losses):
    total = 0.0
    for loss in losses:
        total = total - loss
    return -total / len(losses)


TOTALS = [added, taken, sum, lambda losses: ops.stack(losses).mean(), lambda losses: losses[-1]]


class Form:
    """A random cell in a random spelling, and what it is called with."""

    def __init__(self, rng):
        self.rng, self.seed = rng, int(rng.integers(2**32))
        self.steps, self.batch = int(rng.integers(1, 6)), int(rng.integers(1, 4))
        self.inputs, self.hidden, self.classes = (int(n) for n in rng.integers(1, 5, 3))
        self.gates = int(rng.integers(1, 4))
        self.columns, self.separate, self.joined, self.biased = rng.integers(0, 2, 4).astype(bool)
        self.looked_up = not self.joined and rng.random() < 0.3
        self.data = self.from_outside() if rng.random() < 0.3 else None
        width = self.inputs + self.hidden if self.joined else None
        self.W = self.matrices(width or self.inputs)
        self.U = None if self.joined else self.matrices(self.hidden)
        self.b = self.parameter(self.hidden, 1) if self.columns else self.parameter(self.hidden)
        self.V = self.parameter(self.classes, self.hidden)

    def from_outside(self):
        """Inputs and targets that the step sees, whatever it is called with."""
        (given,) = self.calls(1)
        return given if self.rng.random() < 0.5 else tuple(map(tg.tensor, given))

    def parameter(self, *shape):
        return tg.tensor(self.rng.standard_normal(shape) * 0.7, requires_grad=True)

    def matrices(self, width):
        count = self.gates if self.separate else 1
        return [self.parameter(self.hidden * self.gates // count, width) for _ in range(count)]

    @property
    def parameters(self):
        return [*self.W, *(self.U or []), self.b, self.V]

    def calls(self, count):
        shape = self.steps, self.batch
        for _ in range(count):
            xs = self.rng.standard_normal((*shape, self.inputs))
            if self.looked_up:
                xs = self.rng.integers(0, self.inputs, shape)
            yield xs, self.rng.integers(0, self.classes, shape)

    def step(self, xs, targets):
        """The loss and the last state; every choice is the same at each call."""
        pick = np.random.default_rng(self.seed)
        spellings = COLUMNS if self.columns else ROWS
        spelling, lookup, activations, cell, loss_of, total_of = (
            options[pick.integers(len(options))]
            for options in (spellings, LOOKUPS, ACTIVATIONS, CELLS, LOSSES, TOTALS)
        )
        of_input = spelling
        if self.looked_up:
            of_input = (lambda ids, W: lookup(ids, W).T) if self.columns else lookup
        xs, targets = self.data or (xs, targets)
        shape = (self.hidden, self.batch) if self.columns else (self.batch, self.hidden)
        h = tg.Tensor(np.zeros(shape))
        losses = []
        for x, target in zip(xs, targets, strict=True):
            if self.columns and not self.looked_up:
                x = x.T
            gates = [activations(z) for z in self.sums(of_input, spelling, x, h)]
            h = cell(h, *(gates * 3)[:3])
            y = spelling(h, self.V)
            losses.append(loss_of(y.T if self.columns else y, target))
        loss = total_of(losses)
        loss.backward()
        return loss, h

    def sums(self, of_input, spelling, x, h):
        """The input of every gate."""
        axis = 0 if self.columns else 1
        if self.joined:
            both = [spelling(np.concatenate([x, h], axis), W) for W in self.W]
        else:
            pairs = zip(self.W, self.U, strict=True)
            both = [of_input(x, W) + spelling(h, U) for W, U in pairs]
        if not self.separate:
            both = ops.split(both[0], self.gates, axis)
        return [z + self.b if self.biased else z for z in both]


def look_at(form):
    """Compiled, the form does what it does."""
    compare(form.step, form.parameters, form.calls(3))


@pytest.mark.parametrize("batch", rows(range(201), [0], pytest.mark.slow))
def test_random_cells_in_random_spellings(batch):
    """`pytest -m slow` looks at 20,000 of them."""
    rng = np.random.default_rng(batch)
    for _ in range(100 if batch else 8):
        look_at(Form(rng))
