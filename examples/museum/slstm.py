"""sLSTM: an LSTM with exponential gates, which a normaliser and a stabiliser keep in bounds.

M. Beck et al., xLSTM: Extended Long Short-Term Memory (2024), section 2.2.
Four states go from step to step: the output h, the memory c, the normaliser n, which adds up the
input gates, and m, the largest log gate so far, which is subtracted before the exponential.
"""

import numpy as np

import tinygrad_rnn as tg

INPUTS, HIDDEN, SEQUENCES = 3, 5, 2


class SLSTMCell(tg.nn.Module):
    def __init__(self, rng):
        self.W = tg.nn.Linear(INPUTS, 4 * HIDDEN, rng=rng)
        self.R = tg.nn.Linear(HIDDEN, 4 * HIDDEN, bias=False, rng=rng)

    def forward(self, x, h, c, n, m):
        z, i, f, o = np.split(self.W(x) + self.R(h), 4, axis=-1)
        log_f = -np.log(1 + np.exp(-f))
        m_new = np.maximum(log_f + m, i)
        i, f = np.exp(i - m_new), np.exp(log_f + m - m_new)
        c = f * c + i * np.tanh(z)
        n = f * n + i
        h = tg.ops.sigmoid(o) * c / n
        return h, c, n, m_new


rng = np.random.default_rng(0)
cell, head = SLSTMCell(rng), tg.nn.Linear(HIDDEN, 2, rng=rng)
PARAMS = [*cell.parameters(), *head.parameters()]


def loss_fn(xs, labels):
    h, c, n, m = (np.zeros((SEQUENCES, HIDDEN)) for _ in range(4))
    for x in xs:
        h, c, n, m = cell(x, h, c, n, m)
    return tg.nn.cross_entropy(head(h), labels)


def scaled(steps):
    """Is the sum of the sequence positive?"""
    xs = rng.standard_normal((steps, SEQUENCES, INPUTS))
    return xs, (xs.sum(axis=(0, 2)) > 0).astype(int)


BATCH = scaled(5)
COLUMNS, ROWS = 5, 1

if __name__ == "__main__":
    optimizer = tg.optim.AdamW(PARAMS, lr=0.02)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
