"""Adaptive computation time: the network decides how long to think about each input.

A. Graves, Adaptive Computation Time for Recurrent Neural Networks (2016).
Within a step of time the cell is run again and again, until its halting probabilities sum up to
nearly 1. The mean of the states under them goes to the next step; how often the cell ran, is part
of the loss.
"""

import numpy as np

import tinygrad_rnn as tg

INPUTS, HIDDEN, LABELS, EPSILON, MOST = 3, 6, 2, 0.01, 5


class ACT(tg.nn.Module):
    def __init__(self, rng):
        self.cell = tg.nn.RNNCell(INPUTS + 1, HIDDEN, rng=rng)
        self.halt = tg.nn.Linear(HIDDEN, 1, rng=rng)
        self.out = tg.nn.Linear(HIDDEN, LABELS, rng=rng)

    def ponder(self, x, s):
        """The state after one step of time, and the cost of thinking."""
        total, mean = 0.0, 0.0
        for n in range(1, MOST + 1):
            s = self.cell(np.concatenate([x, [float(n == 1)]]), s)
            p = tg.ops.sigmoid(self.halt(s))[0]
            if n == MOST or float(total + p) >= 1 - EPSILON:
                break
            total, mean = total + p, mean + p * s
        remainder = 1 - total
        return mean + remainder * s, n + remainder

    def forward(self, xs):
        s, ys, cost = np.zeros(HIDDEN), [], 0.0
        for x in xs:
            s, thinking = self.ponder(x, s)
            ys.append(self.out(s))
            cost = cost + thinking
        return np.stack(ys), cost


rng = np.random.default_rng(0)
model = ACT(rng)
PARAMS = list(model.parameters())
COMPILES = False  # whether it goes on thinking depends on values


def loss_fn(xs, labels):
    logits, cost = model(xs)
    return tg.nn.cross_entropy(logits, labels) + 0.01 * cost


def scaled(steps):
    return rng.standard_normal((steps, INPUTS)), rng.integers(0, LABELS, steps)


BATCH = scaled(4)
COLUMNS, ROWS = 9, 1  # it thinks nine times, in four brackets

if __name__ == "__main__":
    optimizer = tg.optim.Adam(PARAMS, lr=0.01)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
