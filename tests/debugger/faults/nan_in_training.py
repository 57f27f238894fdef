"""A loss that takes the logarithm of a probability, which becomes 0 once the scores are large."""

import numpy as np

import tinygrad_rnn as tg

layer = tg.nn.Linear(2, 3, rng=0)
optimizer = tg.optim.SGD(layer.parameters(), lr=400.0)
x, right = np.eye(2)[[0, 1, 0]], np.eye(3)
for _ in range(4):
    p = tg.ops.softmax(layer(x))
    loss = -(right * tg.ops.log(p)).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
