"""LSTMP: a large memory, and a small projection of it that is passed on.

H. Sak, A. Senior, F. Beaufays, Long Short-Term Memory Recurrent Neural Network Architectures for
Large Scale Acoustic Modeling (2014).
What the gates of the next step read is r, a projection of the output to fewer units; c stays large.
A second, non-recurrent projection p joins r on the way to the output alone.
"""

import numpy as np

import tinygrad_rnn as tg

FRAMES, CELLS, RECURRENT, EXTRA, PHONES, SPEAKERS = 4, 8, 3, 2, 3, 2
sigmoid = tg.ops.sigmoid


class LSTMPCell(tg.nn.Module):
    def __init__(self, rng):
        self.gates = tg.nn.Linear(FRAMES + RECURRENT, 4 * CELLS, rng=rng)
        self.w_ic, self.w_fc, self.w_oc = (
            tg.nn.Parameter(rng.normal(0, 0.2, CELLS)) for _ in range(3)
        )
        self.W_rm = tg.nn.Linear(CELLS, RECURRENT, bias=False, rng=rng)
        self.W_pm = tg.nn.Linear(CELLS, EXTRA, bias=False, rng=rng)

    def forward(self, x, r, c):
        i, f, g, o = np.split(self.gates(np.concatenate([x, r], axis=1)), 4, axis=1)
        i, f = sigmoid(i + self.w_ic * c), sigmoid(f + self.w_fc * c)
        c = f * c + i * np.tanh(g)
        m = sigmoid(o + self.w_oc * c) * np.tanh(c)
        return self.W_rm(m), self.W_pm(m), c


rng = np.random.default_rng(0)
cell, output = LSTMPCell(rng), tg.nn.Linear(RECURRENT + EXTRA, PHONES, rng=rng)
PARAMS = [*cell.parameters(), *output.parameters()]


def loss_fn(frames, phones):
    r, c = np.zeros((SPEAKERS, RECURRENT)), np.zeros((SPEAKERS, CELLS))
    scores = []
    for x in frames:
        r, p, c = cell(x, r, c)
        scores.append(output(np.concatenate([r, p], axis=1)))
    return tg.nn.cross_entropy(np.stack(scores), phones)


def scaled(steps):
    frames = rng.standard_normal((steps, SPEAKERS, FRAMES))
    return frames, rng.integers(0, PHONES, (steps, SPEAKERS))


BATCH = scaled(4)
COLUMNS, ROWS = 4, 1

if __name__ == "__main__":
    optimizer = tg.optim.SGD(PARAMS, lr=0.5)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
