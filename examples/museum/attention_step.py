"""An attention decoder whose step is one module, over an encoder that reads both ways.

D. Bahdanau, K. Cho, Y. Bengio, Neural Machine Translation by Jointly Learning to Align and
Translate (2015), as in their figure: a bidirectional encoder, and alignment inside the step.
The decoder's step reads its own state, the word before and all annotations of the source, and
returns scores and a new state.
"""

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn

WORDS, HIDDEN, PAIRS = 8, 4, 2


class DecoderStep(nn.Module):
    def __init__(self):
        self.embedding = nn.Embedding(WORDS, HIDDEN, rng=0)
        self.Wa, self.Ua = nn.Linear(HIDDEN, HIDDEN, rng=1), nn.Linear(2 * HIDDEN, HIDDEN, rng=2)
        self.Va = nn.Linear(HIDDEN, 1, rng=3)
        self.cell = nn.GRUCell(3 * HIDDEN, HIDDEN, rng=4)
        self.out = nn.Linear(HIDDEN, WORDS, rng=5)

    def forward(self, token, s, annotations):
        scores = self.Va(np.tanh(self.Wa(s) + self.Ua(annotations)))
        context = (tg.ops.softmax(scores, axis=0) * annotations).sum(axis=0)
        s = self.cell(np.concatenate([self.embedding(token), context], axis=1), s)
        return self.out(s), s


class RNNsearch(nn.Module):
    def __init__(self):
        self.embedding = nn.Embedding(WORDS, HIDDEN, rng=6)
        self.encoder = nn.GRU(HIDDEN, HIDDEN, bidirectional=True, rng=7)
        self.Ws = nn.Linear(HIDDEN, HIDDEN, rng=8)
        self.decoder = DecoderStep()

    def forward(self, source, target):
        annotations, last = self.encoder(self.embedding(source))
        s = np.tanh(self.Ws(last[1]))  # of the backward cell, which ends at the first word
        token, logits = np.zeros(PAIRS, int), []
        for word in target:
            y, s = self.decoder(token, s, annotations)
            logits.append(y)
            token = word
        return np.stack(logits)


model = RNNsearch()
PARAMS = list(model.parameters())
rng = np.random.default_rng(0)


def loss_fn(source, target):
    return nn.cross_entropy(model(source, target), target)


def scaled(steps):
    return rng.integers(1, WORDS, (steps, PAIRS)), rng.integers(1, WORDS, (steps, PAIRS))


BATCH = (rng.integers(1, WORDS, (4, PAIRS)), rng.integers(1, WORDS, (3, PAIRS)))
COLUMNS, ROWS = 4 + 3, 3

if __name__ == "__main__":
    optimizer = tg.optim.Adam(PARAMS, lr=0.01)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
