"""An LSTM whose gates see the memory: it learns when the next spike is due.

F. A. Gers, J. Schmidhuber, Recurrent Nets that Time and Count (2000).
Beside input and output of the step before, the gates read the memory c itself through "peepholes".
Input and forget gate see the old memory, the output gate sees the new one.
"""

import numpy as np

import tinygrad_rnn as tg

HIDDEN = 5

lstm = tg.nn.LSTM(1, HIDDEN, peephole=True, forget_bias=1.0, output_size=1, rng=0)
PARAMS = list(lstm.parameters())


def loss_fn(spikes, target):
    ys, _ = lstm(spikes)
    return tg.nn.mse_loss(tg.ops.sigmoid(ys), target)


def scaled(steps):
    """Spikes every three or four steps; the target is the next element."""
    t = np.arange(steps + 1)
    spikes = np.stack([t % 3 == 0, t % 4 == 0], axis=1).astype(float)[:, :, None]
    return spikes[:-1], spikes[1:]


BATCH = scaled(6)
COLUMNS, ROWS = 6, 1

if __name__ == "__main__":
    optimizer = tg.optim.Adam(PARAMS, lr=0.02)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
