"""The state is carried from window to window with its graph: each pass goes back further."""

import numpy as np

import tinygrad_rnn as tg

cell = tg.nn.RNNCell(2, 3, rng=0)
optimizer = tg.optim.SGD(cell.parameters(), lr=0.01)
h = tg.tensor(np.zeros(3))
for _ in range(5):
    for x in np.eye(2):
        h = cell(x, h)
    loss = (h * h).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
