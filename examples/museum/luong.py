"""Attention after the LSTM, whose result is fed to the next step.

M.-T. Luong, H. Pham, C. D. Manning, Effective Approaches to Attention-based Neural Machine
Translation (2015), global attention with the general score.
The decoder's LSTM runs first; its h is scored against the source, and h and context together give
the attentional vector. That one goes to the output, and with the next word into the next step.
"""

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn

WORDS, HIDDEN, PAIRS = 8, 4, 2


class Translator(nn.Module):
    def __init__(self):
        self.words = nn.Embedding(WORDS, HIDDEN, rng=0)
        self.encoder = nn.LSTM(HIDDEN, HIDDEN, rng=1)
        self.cell = nn.LSTMCell(2 * HIDDEN, HIDDEN, rng=2)
        self.W_a = nn.Linear(HIDDEN, HIDDEN, bias=False, rng=3)
        self.W_c = nn.Linear(2 * HIDDEN, HIDDEN, bias=False, rng=4)
        self.W_s = nn.Linear(HIDDEN, WORDS, bias=False, rng=5)

    def attend(self, h, memory):
        """h (B, H) and memory (S, B, H) to the context (B, H)."""
        scores = (self.W_a(h) * memory).sum(axis=-1)
        align = tg.ops.softmax(scores, axis=0)
        return (align[:, :, None] * memory).sum(axis=0)

    def forward(self, source, target_in):
        memory, (h, c) = self.encoder(self.words(source))
        state = h[0], c[0]
        attentional, logits = np.zeros((PAIRS, HIDDEN)), []
        for word in target_in:
            state = self.cell(np.concatenate([self.words(word), attentional], axis=1), state)
            context = self.attend(state[0], memory)
            attentional = np.tanh(self.W_c(np.concatenate([context, state[0]], axis=1)))
            logits.append(self.W_s(attentional))
        return np.stack(logits)


model = Translator()
PARAMS = list(model.parameters())
rng = np.random.default_rng(0)


def loss_fn(source, target):
    logits = model(source, target[:-1])
    return nn.cross_entropy(logits, target[1:])


def scaled(steps):
    return rng.integers(0, WORDS, (steps, PAIRS)), rng.integers(0, WORDS, (steps + 1, PAIRS))


BATCH = (rng.integers(0, WORDS, (4, PAIRS)), rng.integers(0, WORDS, (4, PAIRS)))
COLUMNS, ROWS = 4 + 3, 2

if __name__ == "__main__":
    optimizer = tg.optim.SGD(PARAMS, lr=1.0)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        nn.clip_grad_norm_(PARAMS, 5.0)
        optimizer.step()
        print(step, loss.item())
