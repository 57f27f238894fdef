"""A cell that takes the logarithm of what it reads, and one input that is below zero."""

import numpy as np

import tinygrad_rnn as tg


class LogCell(tg.nn.Module):
    def __init__(self):
        rng = np.random.default_rng(0)
        self.W_hh = tg.nn.Parameter(0.3 * rng.standard_normal((4, 4)))
        self.W_xh = tg.nn.Parameter(0.3 * rng.standard_normal((4, 3)))

    def forward(self, x, h):
        size = tg.ops.log(x)
        z = tg.ops.linear(size, self.W_xh) + tg.ops.linear(h, self.W_hh)
        return tg.ops.tanh(z)


xs = np.random.default_rng(1).uniform(0.5, 2.0, (10, 3))
xs[7, 1] = -0.25
cell, h = LogCell(), tg.tensor(np.zeros(4))
for x in xs:
    h = cell(tg.tensor(x), h)
loss = (h * h).sum()
print("loss", loss.item())
loss.backward()
