"""An echo state network: the recurrent weights are drawn once and never trained.

H. Jaeger, The "Echo State" Approach to Analysing and Training Recurrent Neural Networks (2001).
The reservoir reads the input, itself, and through a feedback matrix the output of the step before;
only the readout is learned. As the output comes back, the gradient of the readout runs through the
fixed weights.
"""

import numpy as np

import tinygrad_rnn as tg

RESERVOIR, RADIUS = 15, 0.8

rng = np.random.default_rng(0)
weights = rng.uniform(-1, 1, (RESERVOIR, RESERVOIR)) * (rng.random((RESERVOIR, RESERVOIR)) < 0.3)
W = tg.tensor(weights * RADIUS / np.abs(np.linalg.eigvals(weights)).max())
W_in = tg.tensor(rng.uniform(-0.5, 0.5, (RESERVOIR, 1)))
W_back = tg.tensor(rng.uniform(-0.5, 0.5, (RESERVOIR, 1)))
W_out = tg.tensor(np.zeros((1, RESERVOIR + 1)), requires_grad=True, name="W_out")
PARAMS = [W_out]


def loss_fn(us, targets):
    x, y = tg.tensor(np.zeros(RESERVOIR)), tg.tensor(np.zeros(1))
    error = 0.0
    for u, target in zip(us, targets):
        x = np.tanh(W @ x + W_in @ u + W_back @ y)
        y = W_out @ np.concatenate([x, u])
        error = error + ((y - target) ** 2).sum()
    return error / len(us)


def scaled(steps):
    """A sine in, and out its seventh power, as in the report."""
    us = np.sin(np.arange(1, steps + 1) / 2)[:, None]
    return us, 0.5 * us**7


BATCH = scaled(6)
COLUMNS, ROWS = 6, 1

if __name__ == "__main__":
    optimizer = tg.optim.SGD(PARAMS, lr=0.1)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
