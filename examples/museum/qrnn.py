"""A quasi-recurrent network: convolutions over time, and pooling as the only recurrence.

J. Bradbury, S. Merity, C. Xiong, R. Socher, Quasi-Recurrent Neural Networks (2017).
Candidates and gates of step t are computed from the inputs t - 1 and t, of all steps at once. Then
c goes from step to step, forgotten and filled by these gates (fo-pooling). Two layers.
"""

import numpy as np

import tinygrad_rnn as tg

INPUTS, HIDDEN, LABELS = 4, 5, 3


class QRNNLayer(tg.nn.Module):
    def __init__(self, inputs, hidden, rng):
        self.conv = tg.nn.Linear(2 * inputs, 3 * hidden, rng=rng)

    def forward(self, xs):
        before = np.concatenate([np.zeros_like(xs[:1]), xs[:-1]])
        windows = np.concatenate([before, xs], axis=-1)
        Z, F, O = np.split(self.conv(windows), 3, axis=-1)
        Z, F, O = np.tanh(Z), tg.ops.sigmoid(F), tg.ops.sigmoid(O)
        c, hs = np.zeros(Z.shape[1:]), []
        for z, f, o in zip(Z, F, O):
            c = f * c + (1 - f) * z
            hs.append(o * c)
        return np.stack(hs)


class QRNN(tg.nn.Module):
    def __init__(self, rng):
        self.layers = [QRNNLayer(INPUTS, HIDDEN, rng), QRNNLayer(HIDDEN, HIDDEN, rng)]
        self.head = tg.nn.Linear(HIDDEN, LABELS, rng=rng)

    def forward(self, xs):
        for layer in self.layers:
            xs = layer(xs)
        return self.head(xs)


rng = np.random.default_rng(0)
model = QRNN(rng)
PARAMS = list(model.parameters())


def loss_fn(xs, labels):
    return tg.nn.cross_entropy(model(xs), labels)


def scaled(steps):
    return rng.standard_normal((steps, INPUTS)), rng.integers(0, LABELS, steps)


BATCH = scaled(5)
COLUMNS, ROWS = 5, 2

if __name__ == "__main__":
    optimizer = tg.optim.RMSprop(PARAMS, lr=0.01)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
