"""The first long short-term memory, which has no forget gate.

S. Hochreiter, J. Schmidhuber, Long Short-Term Memory (1997).
The memory c is only ever added to, so its error flows back undiminished: the constant error
carousel. Input gate and output gate see the outputs of the step before, and say what is written
and what is shown.
"""

import numpy as np

import tinygrad_rnn as tg

CELLS = 6
sigmoid = tg.ops.sigmoid


class MemoryCells(tg.nn.Module):
    def __init__(self, inputs, cells, rng):
        seen = inputs + cells
        self.input_gate = tg.nn.Linear(seen, cells, rng=rng)
        self.output_gate = tg.nn.Linear(seen, cells, rng=rng)
        self.net_c = tg.nn.Linear(seen, cells, rng=rng)
        self.input_gate.bias.data = np.full(cells, -1.0)  # shut at first

    def forward(self, x, y, c):
        seen = np.concatenate([x, y], axis=-1)
        g = 4 * sigmoid(self.net_c(seen)) - 2
        c = c + sigmoid(self.input_gate(seen)) * g
        h = 2 * sigmoid(c) - 1
        return sigmoid(self.output_gate(seen)) * h, c


rng = np.random.default_rng(0)
cells, output = MemoryCells(2, CELLS, rng), tg.nn.Linear(CELLS, 1, rng=rng)
PARAMS = [*cells.parameters(), *output.parameters()]


def loss_fn(sequence, target):
    y = c = np.zeros((len(target), CELLS))
    for x in sequence:
        y, c = cells(x, y, c)
    return tg.nn.mse_loss(sigmoid(output(y)), target)


def scaled(steps):
    """The adding problem: the sum of the two values that are marked, scaled into 0..1."""
    values, marks = rng.uniform(-1, 1, (steps, 3)), np.zeros((steps, 3))
    for row in range(3):
        marks[rng.choice(steps, 2, replace=False), row] = 1
    target = 0.5 + (values * marks).sum(axis=0) / 4
    return np.stack([values, marks], axis=-1), target[:, None]


BATCH = scaled(5)
COLUMNS, ROWS = 5, 1

if __name__ == "__main__":
    optimizer = tg.optim.SGD(PARAMS, lr=0.5)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
