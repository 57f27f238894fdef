"""Two clocks: a slow layer ticks once for every two steps of the fast one.

S. El Hihi, Y. Bengio, Hierarchical Recurrent Neural Networks for Long-Term Dependencies (1996).
The fast layer is recurrent over all steps, the slow one over every second, which reads what the
fast one has found and tells it at the next step what it remembers. On the slow layer gradients
have half as far to go.
"""

import numpy as np

import tinygrad_rnn as tg

INPUTS, FAST, SLOW, PERIOD = 2, 6, 4, 2


class TwoClocks(tg.nn.Module):
    def __init__(self):
        self.fast = tg.nn.RNNCell(INPUTS + SLOW, FAST, rng=0)
        self.slow = tg.nn.RNNCell(FAST, SLOW, rng=1)
        self.output = tg.nn.Linear(SLOW, 2, rng=2)

    def forward(self, xs):
        fast, slow = np.zeros(FAST), np.zeros(SLOW)
        for t, x in enumerate(xs):
            fast = self.fast(np.concatenate([x, slow]), fast)
            if t % PERIOD == PERIOD - 1:
                slow = self.slow(fast, slow)
        return self.output(slow)


model = TwoClocks()
PARAMS = list(model.parameters())
rng = np.random.default_rng(0)


def loss_fn(xs, label):
    return tg.nn.cross_entropy(model(xs), label)


def scaled(steps):
    xs = rng.standard_normal((steps, INPUTS))
    return xs, np.array(int(xs[0, 0] > 0))  # what was the first?


BATCH = scaled(6)
COLUMNS, ROWS = 6, 2

if __name__ == "__main__":
    optimizer = tg.optim.RMSprop(PARAMS, lr=0.01)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
