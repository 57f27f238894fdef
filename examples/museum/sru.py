"""Simple recurrent units: one large product for all steps, and a recurrence without any.

T. Lei, Y. Zhang, S. I. Wang, H. Dai, Y. Artzi, Simple Recurrent Units for Highly Parallelizable
Recurrence (2018).
Only c goes from step to step, element by element: the gates see it through vectors, not matrices.
The output is a highway past the cell, from the input of the layer. Two layers.
"""

import numpy as np

import tinygrad_rnn as tg

D, SEQUENCES, LABELS = 6, 2, 3


class SRUCell(tg.nn.Module):
    """The recurrence alone: what the authors' CUDA kernel does."""

    def __init__(self, d, rng):
        self.v_f, self.v_r = (tg.nn.Parameter(rng.uniform(-0.5, 0.5, d)) for _ in range(2))
        self.b_f, self.b_r = (tg.nn.Parameter(np.zeros(d)) for _ in range(2))

    def forward(self, x, u0, u1, u2, c):
        f = tg.ops.sigmoid(u1 + self.v_f * c + self.b_f)
        r = tg.ops.sigmoid(u2 + self.v_r * c + self.b_r)
        c = f * c + (1 - f) * u0
        h = r * c + (1 - r) * x
        return h, c


class SRU(tg.nn.Module):
    def __init__(self, d, layers, rng):
        self.W = [tg.nn.Parameter(rng.standard_normal((d, 3 * d)) * 0.3) for _ in range(layers)]
        self.cells = [SRUCell(d, rng) for _ in range(layers)]

    def forward(self, x):
        for W, cell in zip(self.W, self.cells):
            u0, u1, u2 = np.split(x @ W, 3, axis=-1)
            c, hs = np.zeros(x.shape[1:]), []
            for t in range(len(x)):
                h, c = cell(x[t], u0[t], u1[t], u2[t], c)
                hs.append(h)
            x = np.stack(hs)
        return x


rng = np.random.default_rng(0)
model, head = SRU(D, 2, rng), tg.nn.Linear(D, LABELS, rng=1)
PARAMS = [*model.parameters(), *head.parameters()]


def loss_fn(x, y):
    return tg.nn.cross_entropy(head(model(x)), y)


def scaled(steps):
    x = rng.standard_normal((steps, SEQUENCES, D))
    return x, rng.integers(0, LABELS, (steps, SEQUENCES))


BATCH = scaled(5)
COLUMNS, ROWS = 5, 2

if __name__ == "__main__":
    optimizer = tg.optim.Adam(PARAMS, lr=0.02)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
