"""Truncated backpropagation whose learning rate is raised at step 30: from there on it explodes."""

import numpy as np

import tinygrad_rnn as tg

rng = np.random.default_rng(0)
rnn = tg.nn.RNN(3, 8, output_size=1, nonlinearity="relu", rng=0)
optimizer = tg.optim.SGD(rnn.parameters(), lr=0.01)
xs = rng.standard_normal((6, 4, 3))
targets = np.tanh(xs.sum(axis=2, keepdims=True))
state = None
for step in range(36):
    if step == 30:
        optimizer.param_groups[0]["lr"] = 1.5
    ys, state = rnn(xs, tg.nn.detach(state))
    loss = tg.nn.mse_loss(ys, targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print("loss", loss.item())
