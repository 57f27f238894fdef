"""A learned optimiser: an LSTM reads gradients and writes updates.

M. Andrychowicz et al., Learning to Learn by Gradient Descent by Gradient Descent (2016).
Two things go from step to step: the LSTM's state, one for each coordinate, and the weights θ that
it trains, on other data each time. The gradient it reads is itself part of the graph, so that the
loss is differentiated twice.
"""

import numpy as np

import tinygrad_rnn as tg

COORDINATES, HIDDEN = 3, 4


class LearnedOptimizer(tg.nn.Module):
    """The same for each coordinate: they are the batch."""

    def __init__(self):
        self.lstm = tg.nn.LSTMCell(1, HIDDEN, rng=0)
        self.output = tg.nn.Linear(HIDDEN, 1, rng=1)

    def forward(self, gradient, state):
        state = self.lstm(gradient[:, None], state)
        return 0.1 * self.output(state[0])[:, 0], state


optimizer = LearnedOptimizer()
PARAMS = list(optimizer.parameters())


def quadratic(W, y, theta):
    return ((W @ theta - y) ** 2).sum()


def loss_fn(Ws, ys):
    theta = tg.tensor(np.zeros(COORDINATES), requires_grad=True)
    state = None
    total = 0.0
    for W, y in zip(Ws, ys):
        loss = quadratic(W, y, theta)
        total = total + loss
        (gradient,) = tg.grad(loss, [theta], create_graph=True)
        update, state = optimizer(gradient, state)
        theta = theta + update
    return total + quadratic(Ws[-1], ys[-1], theta)


def scaled(steps):
    """Noisy problems W θ = y, of one and the same θ."""
    rng = np.random.default_rng(0)
    Ws = rng.standard_normal((steps, COORDINATES, COORDINATES))
    return Ws, Ws @ np.ones(COORDINATES) + rng.normal(0, 0.1, (steps, COORDINATES))


BATCH = scaled(4)
COLUMNS, ROWS = 4, 1

if __name__ == "__main__":
    meta_optimizer = tg.optim.Adam(PARAMS, lr=0.01)
    for step in range(5):
        meta_optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        meta_optimizer.step()
        print(step, loss.item())
