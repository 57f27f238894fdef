"""A gain that no op reads and a shift that is detached: neither is ever trained."""

import numpy as np

import tinygrad_rnn as tg


class Net(tg.nn.Module):
    def __init__(self):
        self.inner = tg.nn.Linear(3, 2, rng=0)
        self.gain = tg.nn.Parameter(np.ones(2))
        self.shift = tg.nn.Parameter(np.ones(2))

    def forward(self, x):
        return self.inner(x) + self.shift.detach()


net = Net()
optimizer = tg.optim.Adam(net.parameters(), lr=0.1)
for _ in range(3):
    loss = (net(np.ones((1, 3))) ** 2).sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
