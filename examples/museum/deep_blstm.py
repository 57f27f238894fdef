"""Deep bidirectional LSTMs for speech, over recordings of different lengths.

A. Graves, A. Mohamed, G. Hinton, Speech Recognition with Deep Recurrent Neural Networks (2013).
Each layer has a recurrence in either direction, and both cells of the upper layer read both of the
lower one. A recording that is over keeps its state while the longer ones go on.
"""

import numpy as np

import tinygrad_rnn as tg

FRAMES, HIDDEN, PHONES = 4, 3, 3

lstm = tg.nn.LSTM(FRAMES, HIDDEN, num_layers=2, bidirectional=True, rng=0)
output = tg.nn.Linear(2 * HIDDEN, PHONES, rng=1)
PARAMS = [*lstm.parameters(), *output.parameters()]
rng = np.random.default_rng(0)


def loss_fn(frames, lengths, phones):
    ys, _ = lstm(frames, lengths=np.asarray(lengths))
    log_probabilities = tg.ops.log_softmax(output(ys))
    return -(log_probabilities * phones).sum() / lengths.sum()


def scaled(steps):
    """Two recordings, one of them shorter; one-hot phones, zero where it is over."""
    lengths = np.array([steps, steps // 2 + 1])
    spoken = np.arange(steps)[:, None] < lengths
    phones = np.eye(PHONES)[rng.integers(0, PHONES, (steps, 2))]
    return rng.standard_normal((steps, 2, FRAMES)), lengths, phones * spoken[:, :, None]


BATCH = scaled(4)
COLUMNS, ROWS = 4, 4

if __name__ == "__main__":
    optimizer = tg.optim.SGD(PARAMS, lr=0.5, momentum=0.9)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
