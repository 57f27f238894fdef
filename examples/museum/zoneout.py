"""Zoneout: some units do not take part in a step, and keep the state that they had.

D. Krueger et al., Zoneout: Regularizing RNNs by Randomly Preserving Hidden Activations (2017).
At each step a random half of the memory and a tenth of the outputs are those of the step before,
so that the gradient has a way past the gates.
"""

import numpy as np

import tinygrad_rnn as tg

INPUTS, HIDDEN, LABELS, SEQUENCES = 3, 6, 3, 2
ZONEOUT_C, ZONEOUT_H = 0.5, 0.1

cell = tg.nn.LSTMCell(INPUTS, HIDDEN, rng=0)
output = tg.nn.Linear(HIDDEN, LABELS, rng=1)
PARAMS = [*cell.parameters(), *output.parameters()]
rng = np.random.default_rng(0)


def loss_fn(xs, labels, keep_h, keep_c):
    h, c = np.zeros((SEQUENCES, HIDDEN)), np.zeros((SEQUENCES, HIDDEN))
    loss = 0.0
    for t in range(len(xs)):
        h_new, c_new = cell(xs[t], (h, c))
        h = tg.ops.where(keep_h[t], h, h_new)
        c = tg.ops.where(keep_c[t], c, c_new)
        loss = loss + tg.nn.cross_entropy(output(h), labels[t])
    return loss / len(xs)


def masks(steps):
    """Which units are left out: drawn anew for each batch."""
    drawn = rng.random((2, steps, SEQUENCES, HIDDEN))
    return drawn[0] < ZONEOUT_H, drawn[1] < ZONEOUT_C


def scaled(steps):
    xs = rng.standard_normal((steps, SEQUENCES, INPUTS))
    return xs, rng.integers(0, LABELS, (steps, SEQUENCES)), *masks(steps)


BATCH = scaled(5)
COLUMNS, ROWS = 5, 1

if __name__ == "__main__":
    optimizer = tg.optim.Adam(PARAMS, lr=0.02)
    xs, labels, _, _ = BATCH
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(xs, labels, *masks(len(xs)))
        loss.backward()
        optimizer.step()
        print(step, loss.item())
