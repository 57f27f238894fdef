"""A neural differential equation, integrated by Euler's method.

R. T. Q. Chen, Y. Rubanova, J. Bettencourt, D. Duvenaud, Neural Ordinary Differential Equations
(2018).
The network says in which direction the state moves, and each step goes a little that way: the
recurrence is a sum, z + Δt f(z), through which the gradient passes undiminished.
"""

import numpy as np

import tinygrad_rnn as tg

SIZE, HIDDEN, DT = 2, 8, 0.2


class Dynamics(tg.nn.Module):
    def __init__(self):
        self.first, self.second = (
            tg.nn.Linear(SIZE, HIDDEN, rng=0),
            tg.nn.Linear(HIDDEN, SIZE, rng=1),
        )

    def forward(self, z):
        return self.second(np.tanh(self.first(z)))


f = Dynamics()
PARAMS = list(f.parameters())


def euler(f, z, steps):
    path = []
    for _ in range(steps):
        z = z + DT * f(z)
        path.append(z)
    return np.stack(path)


def loss_fn(start, path):
    return ((euler(f, start, len(path)) - path) ** 2).mean()


def scaled(steps):
    """A spiral into the origin."""
    t = DT * np.arange(steps + 1)
    spiral = np.exp(-0.1 * t)[:, None] * np.stack([np.cos(2 * t), np.sin(2 * t)], axis=1)
    return spiral[0], spiral[1:]


BATCH = scaled(5)
COLUMNS, ROWS = 5, 1

if __name__ == "__main__":
    optimizer = tg.optim.RMSprop(PARAMS, lr=0.01)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
