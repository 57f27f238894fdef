"""A stack with residual connections, and a recurrent highway layer on top.

Y. Wu et al., Google's Neural Machine Translation System (2016), for the residual layers;
J. G. Zilly et al., Recurrent Highway Networks (2017), for the one on top.
Each of the lower layers has a recurrence of its own, and what it reads is added to what it shows,
over the whole sequence. The layer on top passes part of its own state on as it is.
"""

import numpy as np

import tinygrad_rnn as tg

D, LABELS = 6, 3


class HighwayCell(tg.nn.Module):
    def __init__(self, d, rng):
        self.W = tg.nn.Linear(d, 2 * d, bias=False, rng=rng)
        self.R = tg.nn.Linear(d, 2 * d, rng=rng)

    def forward(self, x, s):
        h, t = tg.ops.split(self.W(x) + self.R(s), 2, axis=-1)
        t = tg.ops.sigmoid(t)
        return np.tanh(h) * t + s * (1 - t)


class ResidualStack(tg.nn.Module):
    def __init__(self, rng):
        self.layers = [tg.nn.RNN(D, D, rng=rng), tg.nn.RNN(D, D, rng=rng)]
        self.highway = HighwayCell(D, rng)
        self.out = tg.nn.Linear(D, LABELS, rng=rng)

    def forward(self, x):
        for layer in self.layers:
            ys, _ = layer(x)
            x = x + ys
        s, outs = np.zeros(D), []
        for t in range(len(x)):
            s = self.highway(x[t], s)
            outs.append(self.out(s))
        return np.stack(outs)


rng = np.random.default_rng(0)
model = ResidualStack(rng)
PARAMS = list(model.parameters())


def loss_fn(xs, ys):
    return tg.nn.cross_entropy(model(xs), ys)


def scaled(steps):
    return rng.standard_normal((steps, D)), rng.integers(0, LABELS, steps)


BATCH = scaled(5)
COLUMNS, ROWS = 5, 3

if __name__ == "__main__":
    optimizer = tg.optim.Adam(PARAMS, lr=0.02)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
