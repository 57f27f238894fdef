"""Four layers, of which one has recurrent weights that are far too large."""

import numpy as np

import tinygrad_rnn as tg

rng = np.random.default_rng(0)
rnn = tg.nn.RNN(3, 6, num_layers=4, nonlinearity="relu", rng=0)
rnn.W_hh_l2.data = 3.0 * np.eye(6)
xs = rng.uniform(0.0, 1.0, (12, 3))
ys, _ = rnn(xs)
loss = (ys * ys).mean()
loss.backward()
