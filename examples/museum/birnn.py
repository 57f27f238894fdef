"""A bidirectional network: what comes later helps to label what came before.

M. Schuster, K. K. Paliwal, Bidirectional Recurrent Neural Networks (1997).
One recurrent layer reads from the first step to the last, a second one from the last to the first,
and neither sees the other. The output at each step reads both.
"""

import numpy as np

import tinygrad_rnn as tg

INPUTS, HIDDEN, LABELS = 3, 5, 2


class BRNN(tg.nn.Module):
    def __init__(self):
        self.forwards = tg.nn.RNNCell(INPUTS, HIDDEN, rng=0)
        self.backwards = tg.nn.RNNCell(INPUTS, HIDDEN, rng=1)
        self.output = tg.nn.Linear(2 * HIDDEN, LABELS, rng=2)

    def forward(self, xs):
        steps = len(xs)
        past, future = [None] * steps, [None] * steps
        h = None
        for t in range(steps):
            past[t] = h = self.forwards(xs[t], h)
        h = None
        for t in reversed(range(steps)):
            future[t] = h = self.backwards(xs[t], h)
        both = [np.concatenate(pair, axis=-1) for pair in zip(past, future)]
        return [self.output(h) for h in both]


model = BRNN()
PARAMS = list(model.parameters())
rng = np.random.default_rng(0)


def loss_fn(xs, labels):
    outputs = model(xs)
    return sum(tg.nn.cross_entropy(y, label) for y, label in zip(outputs, labels)) / len(outputs)


def scaled(steps):
    """Label a step by whether its neighbours' first features have a positive sum."""
    xs = rng.standard_normal((steps, 2, INPUTS))
    around = np.roll(xs[..., 0], 1, axis=0) + np.roll(xs[..., 0], -1, axis=0)
    return xs, (around > 0).astype(int)


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
