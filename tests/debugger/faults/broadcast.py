"""Targets of shape (B,) against outputs of shape (B, 1): the difference is (B, B)."""

import numpy as np

import tinygrad_rnn as tg

rng = np.random.default_rng(0)
layer = tg.nn.Linear(3, 1, rng=0)
optimizer = tg.optim.SGD(layer.parameters(), lr=0.1)
xs = rng.standard_normal((5, 3))
targets = tg.tensor(xs @ [1.0, -2.0, 0.5], name="targets")
for _ in range(20):
    y = layer(xs)
    error = y - targets
    loss = (error * error).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("loss", loss.item())
