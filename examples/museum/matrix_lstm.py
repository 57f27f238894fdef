"""mLSTM: the memory is a matrix, which keys and values are written into and queries read.

M. Beck et al., xLSTM: Extended Long Short-Term Memory (2024), section 2.3.
The gates see the input alone. From step to step go the matrix C, the normaliser n and the
stabiliser m; what is shown at a step goes nowhere but up.
"""

import numpy as np

import tinygrad_rnn as tg

D = 4


class MLSTMCell(tg.nn.Module):
    def __init__(self, rng):
        self.q, self.k, self.v, self.o = (tg.nn.Linear(D, D, rng=rng) for _ in range(4))
        self.gates = tg.nn.Linear(D, 2, rng=rng)

    def forward(self, x, C, n, m):
        q, k, v = self.q(x), self.k(x) / np.sqrt(D), self.v(x)
        log_i, log_f = tg.ops.unstack(self.gates(x))
        log_f = -np.log(1 + np.exp(-log_f))
        m_new = np.maximum(log_f + m, log_i)
        i, f = np.exp(log_i - m_new), np.exp(log_f + m - m_new)
        C = f * C + i * v[:, None] * k[None, :]
        n = f * n + i * k
        h = C @ q / np.maximum(np.abs(n @ q), np.exp(-m_new))
        return tg.ops.sigmoid(self.o(x)) * h, (C, n, m_new)


class AssociativeRecall(tg.nn.Module):
    def __init__(self, rng):
        self.cell = MLSTMCell(rng)
        self.head = tg.nn.Linear(D, D, rng=rng)

    def forward(self, xs):
        state = np.zeros((D, D)), np.zeros(D), np.zeros(())
        for x in xs:
            h, state = self.cell(x, *state)
        return self.head(h)


rng = np.random.default_rng(0)
model = AssociativeRecall(rng)
PARAMS = list(model.parameters())


def loss_fn(xs, answer):
    return tg.nn.mse_loss(model(xs), answer)


def scaled(steps):
    """The last step asks for what followed the first."""
    xs = rng.standard_normal((steps, D))
    xs[-1] = xs[0]
    return xs, xs[1]


BATCH = scaled(4)
COLUMNS, ROWS = 4, 1

if __name__ == "__main__":
    optimizer = tg.optim.Adam(PARAMS, lr=0.02)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
