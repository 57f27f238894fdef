"""A Mogrifier LSTM: before each step, input and state scale each other in several rounds.

G. Melis, T. Kočiský, P. Blunsom, Mogrifier LSTM (2020).
In odd rounds the state gates the input, in even rounds the input gates the state, and only then
the LSTM runs. What it reads as h is therefore not what the step before has returned.
"""

import numpy as np

import tinygrad_rnn as tg

WORDS, EMBED, HIDDEN, ROUNDS, SEQUENCES = 8, 4, 5, 3, 2


class MogrifierLSTMCell(tg.nn.Module):
    def __init__(self, inputs, hidden, rng):
        self.lstm = tg.nn.LSTMCell(inputs, hidden, rng=rng)
        self.Q = [
            tg.nn.Linear(hidden, inputs, bias=False, rng=rng) for _ in range(1, ROUNDS + 1, 2)
        ]
        self.R = [
            tg.nn.Linear(inputs, hidden, bias=False, rng=rng) for _ in range(2, ROUNDS + 1, 2)
        ]

    def mogrify(self, x, h):
        for round in range(ROUNDS):
            if round % 2 == 0:
                x = 2 * tg.ops.sigmoid(self.Q[round // 2](h)) * x
            else:
                h = 2 * tg.ops.sigmoid(self.R[round // 2](x)) * h
        return x, h

    def forward(self, x, state):
        h, c = state
        x, h = self.mogrify(x, h)
        return self.lstm(x, (h, c))


class LanguageModel(tg.nn.Module):
    def __init__(self, rng):
        self.embedding = tg.nn.Embedding(WORDS, EMBED, rng=rng)
        self.cell = MogrifierLSTMCell(EMBED, HIDDEN, rng)
        self.decoder = tg.nn.Linear(HIDDEN, WORDS, rng=rng)

    def forward(self, words):
        state = np.zeros((SEQUENCES, HIDDEN)), np.zeros((SEQUENCES, HIDDEN))
        logits = []
        for x in self.embedding(words):
            state = self.cell(x, state)
            logits.append(self.decoder(state[0]))
        return np.stack(logits)


rng = np.random.default_rng(0)
model = LanguageModel(rng)
PARAMS = list(model.parameters())


def loss_fn(words, following):
    return tg.nn.cross_entropy(model(words), following)


def scaled(steps):
    words = rng.integers(0, WORDS, (steps + 1, SEQUENCES))
    return words[:-1], words[1:]


BATCH = scaled(4)
COLUMNS, ROWS = 4, 1

if __name__ == "__main__":
    optimizer = tg.optim.Adam(PARAMS, lr=0.02)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
