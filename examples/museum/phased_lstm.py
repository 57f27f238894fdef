"""A Phased LSTM: each unit is open at times of its own, and sleeps in between.

D. Neil, M. Pfeiffer, S.-C. Liu, Phased LSTM: Accelerating Recurrent Network Training for Long or
Event-based Sequences (2016).
A time gate k opens and closes with a period and a shift that are learned, by the time stamp of the
step. Where it is shut, h and c stay as they were.
"""

import numpy as np

import tinygrad_rnn as tg

HIDDEN, OPEN, LEAK = 6, 0.6, 0.01


class PhasedLSTMCell(tg.nn.Module):
    def __init__(self, inputs, hidden, rng):
        self.lstm = tg.nn.LSTMCell(inputs, hidden, rng=rng)
        self.log_period = tg.nn.Parameter(rng.uniform(0, 2, hidden))
        self.shift = tg.nn.Parameter(rng.uniform(0, 1, hidden))

    def time_gate(self, time):
        turns = (time - self.shift) / np.exp(self.log_period)
        phase = turns - np.floor(turns.numpy())  # its whole turns have no gradient
        rising = 2 * phase / OPEN
        falling = np.where(phase < OPEN, 2 - rising, LEAK * phase)
        return np.where(phase < OPEN / 2, rising, falling)

    def forward(self, time, x, h, c):
        h_open, c_open = self.lstm(x, (h, c))
        k = self.time_gate(time)
        return k * h_open + (1 - k) * h, k * c_open + (1 - k) * c


rng = np.random.default_rng(0)
cell, head = PhasedLSTMCell(1, HIDDEN, rng), tg.nn.Linear(HIDDEN, 1, rng=rng)
PARAMS = [*cell.parameters(), *head.parameters()]
COMPILES = False  # np.floor of a phase is taken outside of the graph


def loss_fn(times, samples, target):
    h, c = np.zeros(HIDDEN), np.zeros(HIDDEN)
    for time, x in zip(times, samples):
        h, c = cell(time, x, h, c)
    return tg.nn.mse_loss(head(h), target)


def scaled(steps):
    """A sine that is sampled now and then; what is its frequency?"""
    times = rng.uniform(0, 2, steps).cumsum()
    return times, np.sin(1.5 * times)[:, None], np.array([1.5])


BATCH = scaled(5)
COLUMNS, ROWS = 5, 1

if __name__ == "__main__":
    optimizer = tg.optim.Adam(PARAMS, lr=0.02)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
