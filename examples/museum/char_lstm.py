"""A character LSTM that reads a long text chunk by chunk: truncated backpropagation through time.

R. J. Williams, J. Peng, An Efficient Gradient-Based Algorithm for On-Line Training of Recurrent
Network Trajectories (1990).
The state at the end of a chunk is where the next one begins. It is detached first, so that the
gradient stays within the chunk.
"""

import numpy as np

import tinygrad_rnn as tg

TEXT = "the cat sat on the mat. the rat sat on the cat. "
CHARS = sorted(set(TEXT))
CHUNK, HIDDEN = 6, 12
ids = np.array([CHARS.index(c) for c in TEXT])


class CharLSTM(tg.nn.Module):
    def __init__(self):
        self.embed = tg.nn.Embedding(len(CHARS), 6, rng=0)
        self.lstm = tg.nn.LSTM(6, HIDDEN, rng=1)
        self.head = tg.nn.Linear(HIDDEN, len(CHARS), rng=2)

    def forward(self, x, state=None):
        ys, state = self.lstm(self.embed(x), state)
        return self.head(ys), state


model = CharLSTM()
PARAMS = list(model.parameters())


def loss_fn(x, y, h, c):
    logits, _ = model(x, (h, c))
    return tg.nn.cross_entropy(logits, y)


def scaled(steps):
    letters = np.resize(ids, steps + 1)
    return letters[:-1], letters[1:], np.zeros((1, HIDDEN)), np.zeros((1, HIDDEN))


BATCH = scaled(CHUNK)
COLUMNS, ROWS = CHUNK, 1

if __name__ == "__main__":
    optimizer = tg.optim.RMSprop(model.parameters(), lr=0.01)
    for epoch in range(3):
        state, losses = None, []
        for start in range(0, len(ids) - CHUNK, CHUNK):
            x, y = ids[start : start + CHUNK], ids[start + 1 : start + CHUNK + 1]
            logits, state = model(x, tg.nn.detach(state))
            loss = tg.nn.cross_entropy(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(epoch, np.mean(losses))
