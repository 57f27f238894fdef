"""A Clockwork RNN: groups of units that tick at periods of 1, 2 and 4 steps.

J. Koutník, K. Greff, F. Gomez, J. Schmidhuber, A Clockwork RNN (2014).
All units are one hidden state. A group whose turn it is not keeps what it held, and a group reads
only the groups that are as slow as itself or slower.
"""

import numpy as np

import tinygrad_rnn as tg

PERIODS, GROUP, INPUTS = (1, 2, 4), 3, 2
HIDDEN = GROUP * len(PERIODS)


class ClockworkCell(tg.nn.Module):
    def __init__(self, rng):
        self.W_I = tg.nn.Parameter(rng.standard_normal((HIDDEN, INPUTS)) * 0.5)
        self.W_H = tg.nn.Parameter(rng.standard_normal((HIDDEN, HIDDEN)) * 0.3)
        self.b = tg.nn.Parameter(np.zeros(HIDDEN))
        self.period = np.repeat(PERIODS, GROUP)
        self.slower = self.period[:, None] <= self.period  # block upper triangular

    def forward(self, t, x, h):
        ticks = t % self.period == 0
        new = np.tanh(self.W_I @ x + (self.W_H * self.slower) @ h + self.b)
        return np.where(ticks, new, h)


rng = np.random.default_rng(0)
cell, output = ClockworkCell(rng), tg.nn.Linear(HIDDEN, 1, rng=rng)
PARAMS = [*cell.parameters(), *output.parameters()]


def loss_fn(xs, target):
    h, ys = np.zeros(HIDDEN), []
    for t, x in enumerate(xs):
        h = cell(t, x, h)
        ys.append(output(h))
    return tg.nn.mse_loss(np.stack(ys), target)


def scaled(steps):
    return rng.standard_normal((steps, INPUTS)), np.sin(np.arange(steps))[:, None]


BATCH = scaled(8)
COLUMNS, ROWS = 8, 1

if __name__ == "__main__":
    optimizer = tg.optim.SGD(PARAMS, lr=0.05, momentum=0.95, nesterov=True)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
