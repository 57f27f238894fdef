"""A Siamese LSTM: two sentences are read by the same cell, and their last states are compared.

J. Mueller, A. Thyagarajan, Siamese Recurrent Architectures for Learning Sentence Similarity (2016).
There are two recurrences with one set of weights. Neither sees the other; the distance of their
ends says how much the sentences mean the same.
"""

import numpy as np

import tinygrad_rnn as tg

WORDS, EMBED, HIDDEN, PAIRS = 8, 4, 5, 2


class MaLSTM(tg.nn.Module):
    def __init__(self):
        self.embedding = tg.nn.Embedding(WORDS, EMBED, rng=0)
        self.cell = tg.nn.LSTMCell(EMBED, HIDDEN, forget_bias=2.5, rng=1)

    def read(self, sentence):
        state = None
        for word in sentence:
            state = self.cell(self.embedding(word), state)
        return state[0]

    def forward(self, left, right):
        distance = np.abs(self.read(left) - self.read(right)).sum(axis=-1)
        return np.exp(-distance)


model = MaLSTM()
PARAMS = list(model.parameters())
rng = np.random.default_rng(0)


def loss_fn(left, right, similarity):
    return tg.nn.mse_loss(model(left, right), similarity)


def scaled(steps):
    left, right = rng.integers(0, WORDS, (2, steps, PAIRS))
    return left, right, np.array([1.0, 0.0])


BATCH = (rng.integers(0, WORDS, (4, PAIRS)), rng.integers(0, WORDS, (3, PAIRS)), np.array([1.0, 0]))
COLUMNS, ROWS = 4 + 3, 1

if __name__ == "__main__":
    optimizer = tg.optim.Adam(PARAMS, lr=0.02)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        tg.nn.clip_grad_norm_(PARAMS, 1.0)
        optimizer.step()
        print(step, loss.item())
