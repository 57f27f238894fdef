"""Handwriting, stroke by stroke: two LSTM layers with skips, and a mixture of Gaussians on top.

A. Graves, Generating Sequences With Recurrent Neural Networks (2013), section 4.
Each layer has its own recurrence. Both layers read the pen's last move, and the output reads both
layers; it predicts the next move as a mixture density, and whether the pen is lifted.
"""

import numpy as np

import tinygrad_rnn as tg

MIXTURES, HIDDEN, WRITERS = 2, 6, 2


class Handwriting(tg.nn.Module):
    def __init__(self):
        self.lower = tg.nn.LSTMCell(3, HIDDEN, peephole=True, rng=0)
        self.upper = tg.nn.LSTMCell(3 + HIDDEN, HIDDEN, peephole=True, rng=1)
        self.out = tg.nn.Linear(2 * HIDDEN, 1 + 6 * MIXTURES, rng=2)

    def forward(self, strokes):
        below = above = None
        outputs = []
        for x in strokes:
            below = self.lower(x, below)
            above = self.upper(np.concatenate([x, below[0]], axis=1), above)
            outputs.append(self.out(np.concatenate([below[0], above[0]], axis=1)))
        return np.stack(outputs)


def mixture_loss(y, target):
    """-log of the density of the next move; eqs. 23 to 26 of the paper."""
    e, rest = y[..., 0], y[..., 1:]
    pi, mu_1, mu_2, log_s1, log_s2, rho = np.split(rest, 6, axis=-1)
    rho = np.tanh(rho)
    z_1 = (target[..., 0:1] - mu_1) / np.exp(log_s1)
    z_2 = (target[..., 1:2] - mu_2) / np.exp(log_s2)
    Z = z_1**2 + z_2**2 - 2 * rho * z_1 * z_2
    one = 1 - rho**2
    log_normal = -Z / (2 * one) - log_s1 - log_s2 - 0.5 * np.log(one) - np.log(2 * np.pi)
    move = tg.ops.logsumexp(tg.ops.log_softmax(pi) + log_normal, axis=-1)
    pen = target[..., 2] * e - np.log(1 + np.exp(e))
    return -(move + pen).mean()


model = Handwriting()
PARAMS = list(model.parameters())
rng = np.random.default_rng(0)


def loss_fn(strokes, following):
    return mixture_loss(model(strokes), following)


def scaled(steps):
    moves = rng.standard_normal((steps + 1, WRITERS, 2))
    lifted = rng.integers(0, 2, (steps + 1, WRITERS, 1))
    strokes = np.concatenate([moves, lifted], axis=-1)
    return strokes[:-1], strokes[1:]


BATCH, COLUMNS, ROWS = scaled(4), 4, 2
if __name__ == "__main__":
    optimizer = tg.optim.RMSprop(PARAMS, lr=0.005)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        tg.nn.clip_grad_value_(PARAMS, 10.0)
        optimizer.step()
        print(step, loss.item())
