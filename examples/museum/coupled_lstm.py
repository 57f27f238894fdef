"""An LSTM with one gate fewer: it writes exactly as much as it forgets.

K. Greff, R. K. Srivastava, J. Koutník, B. R. Steunebrink, J. Schmidhuber, LSTM: A Search Space
Odyssey (2017), variant CIFG.
Input and forget gate are coupled, i = 1 - f, so the memory is a moving average. A stack of two
layers labels each frame.
"""

import numpy as np

import tinygrad_rnn as tg

FEATURES, HIDDEN, LABELS, BATCH_SIZE = 4, 5, 3, 2


class FrameClassifier(tg.nn.Module):
    def __init__(self):
        self.lower = tg.nn.LSTM(FEATURES, HIDDEN, coupled=True, rng=0)
        self.upper = tg.nn.LSTM(HIDDEN, HIDDEN, coupled=True, rng=1)
        self.label = tg.nn.Linear(HIDDEN, LABELS, rng=2)

    def forward(self, frames):
        hidden, _ = self.lower(frames)
        hidden, _ = self.upper(hidden)
        return self.label(hidden)


model = FrameClassifier()
PARAMS = list(model.parameters())
rng = np.random.default_rng(0)


def loss_fn(frames, labels):
    return tg.nn.cross_entropy(model(frames), labels)


def scaled(steps):
    frames = rng.standard_normal((steps, BATCH_SIZE, FEATURES))
    return frames, rng.integers(0, LABELS, (steps, BATCH_SIZE))


BATCH = scaled(5)
COLUMNS, ROWS = 5, 2

if __name__ == "__main__":
    optimizer = tg.optim.SGD(PARAMS, lr=0.3, momentum=0.9, nesterov=True)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
