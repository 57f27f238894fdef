"""minGRU: a GRU whose gate and candidate see the input alone.

L. Feng, F. Tung, M. O. Ahmed, Y. Bengio, H. Hajimirsadeghi, Were RNNs All We Needed? (2024), in
its sequential form.
The state goes to the next step through the gate's average and through nothing else, so that all
steps could be computed by a scan.
"""

import numpy as np

import tinygrad_rnn as tg

INPUTS, HIDDEN, SEQUENCES = 4, 6, 2


class MinGRUCell(tg.nn.Module):
    def __init__(self):
        self.linear_z = tg.nn.Linear(INPUTS, HIDDEN, rng=0)
        self.linear_h = tg.nn.Linear(INPUTS, HIDDEN, rng=1)

    def forward(self, x_t, h_prev):
        z_t = tg.ops.sigmoid(self.linear_z(x_t))
        h_tilde = self.linear_h(x_t)
        return (1 - z_t) * h_prev + z_t * h_tilde


cell, head = MinGRUCell(), tg.nn.Linear(HIDDEN, 2, rng=2)
PARAMS = [*cell.parameters(), *head.parameters()]
rng = np.random.default_rng(0)


def loss_fn(xs, label):
    h = np.zeros((SEQUENCES, HIDDEN))
    for x_t in xs:
        h = cell(x_t, h)
    return tg.nn.cross_entropy(head(h), label)


def scaled(steps):
    xs = rng.standard_normal((steps, SEQUENCES, INPUTS))
    return xs, rng.integers(0, 2, SEQUENCES)


BATCH = scaled(6)
COLUMNS, ROWS = 6, 1

if __name__ == "__main__":
    optimizer = tg.optim.Adam(PARAMS, lr=0.05)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
