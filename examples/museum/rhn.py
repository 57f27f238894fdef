"""A recurrent highway network: several layers within one step of time.

J. G. Zilly, R. K. Srivastava, J. Koutník, J. Schmidhuber, Recurrent Highway Networks (2017).
The state goes through a highway of two layers at each step, each of which carries on part of it
as it is; only the first layer sees the input. The end of the highway is the state of the next step.
"""

import numpy as np

import tinygrad_rnn as tg

WORDS, HIDDEN, DEPTH = 7, 5, 2


class RHNCell(tg.nn.Module):
    """Transform gate t, and carry gate 1 - t."""

    def __init__(self, hidden, depth, rng):
        self.W = tg.nn.Linear(hidden, 2 * hidden, bias=False, rng=rng)
        self.R = [tg.nn.Linear(hidden, 2 * hidden, rng=rng) for _ in range(depth)]
        for R in self.R:
            R.bias.data = np.repeat([0.0, -2.0], hidden)  # carry, at first

    def forward(self, x, s):
        for layer, R in enumerate(self.R):
            pre = R(s)
            if layer == 0:
                pre = pre + self.W(x)
            h, t = tg.ops.split(pre, 2, axis=-1)
            t = tg.ops.sigmoid(t)
            s = np.tanh(h) * t + s * (1 - t)
        return s


rng = np.random.default_rng(0)
embedding = tg.nn.Embedding(WORDS, HIDDEN, rng=rng)  # also the output's matrix
cell = RHNCell(HIDDEN, DEPTH, rng)
PARAMS = [*embedding.parameters(), *cell.parameters()]


def loss_fn(words):
    s = np.zeros(HIDDEN)
    loss = 0.0
    for t in range(len(words) - 1):
        s = cell(embedding(words[t]), s)
        logits = tg.ops.linear(s, embedding.weight)
        loss = loss + tg.nn.cross_entropy(logits, words[t + 1])
    return loss / (len(words) - 1)


def scaled(steps):
    return (rng.integers(0, WORDS, steps + 1),)


BATCH = scaled(5)
COLUMNS, ROWS = 5, 1

if __name__ == "__main__":
    optimizer = tg.optim.SGD(PARAMS, lr=0.2)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
