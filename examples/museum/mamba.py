"""Mamba: a state space whose step length, input and output depend on what it reads.

A. Gu, T. Dao, Mamba: Linear-Time Sequence Modeling with Selective State Spaces (2023), with the
scan run step by step.
Each channel has a few states. They fade by exp(Δ A) and take in Δ B x, where Δ and B are computed
from the input, so that the network chooses what to keep; a short convolution goes before.
"""

import numpy as np

import tinygrad_rnn as tg

D, STATES, LABELS = 4, 3, 3


def silu(x):
    return x * tg.ops.sigmoid(x)


class SelectiveSSM(tg.nn.Module):
    """One step of the scan."""

    def __init__(self, rng):
        self.log_A = tg.nn.Parameter(np.log(np.arange(1.0, STATES + 1)) * np.ones((D, 1)))
        self.to_delta = tg.nn.Linear(D, D, rng=rng)
        self.to_B, self.to_C = (tg.nn.Linear(D, STATES, bias=False, rng=rng) for _ in range(2))
        self.skip = tg.nn.Parameter(np.ones(D))

    def forward(self, x, h):
        delta = np.log(1 + np.exp(self.to_delta(x)))[:, None]
        A = -np.exp(self.log_A)
        h = np.exp(delta * A) * h + delta * self.to_B(x) * x[:, None]
        return h @ self.to_C(x) + self.skip * x, h


class Mamba(tg.nn.Module):
    def __init__(self, rng):
        self.in_proj = tg.nn.Linear(D, 2 * D, rng=rng)
        self.conv = tg.nn.Parameter(rng.normal(0, 0.5, (2, D)))
        self.ssm = SelectiveSSM(rng)
        self.out_proj = tg.nn.Linear(D, D, rng=rng)

    def forward(self, xs):
        u, gate = np.split(self.in_proj(xs), 2, axis=-1)
        before = np.concatenate([np.zeros((1, D)), u[:-1]])
        u = silu(self.conv[0] * before + self.conv[1] * u)
        h, ys = np.zeros((D, STATES)), []
        for u_t in u:
            y, h = self.ssm(u_t, h)
            ys.append(y)
        return xs + self.out_proj(np.stack(ys) * silu(gate))


rng = np.random.default_rng(0)
block, head = Mamba(rng), tg.nn.Linear(D, LABELS, rng=rng)
PARAMS = [*block.parameters(), *head.parameters()]


def loss_fn(xs, labels):
    return tg.nn.cross_entropy(head(block(xs)), labels)


def scaled(steps):
    return rng.standard_normal((steps, D)), rng.integers(0, LABELS, steps)


BATCH, COLUMNS, ROWS = scaled(5), 5, 1
if __name__ == "__main__":
    optimizer = tg.optim.AdamW(PARAMS, lr=0.02)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
