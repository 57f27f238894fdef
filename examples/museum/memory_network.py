"""A memory network answers a question in several hops over what it was told.

S. Sukhbaatar, A. Szlam, J. Weston, R. Fergus, End-To-End Memory Networks (2015), with layer-wise
tied weights, which they call RNN-like.
The recurrence runs over hops, not over words: what was read in the memory is added to the question,
and with that the memory is read again.
"""

import numpy as np

import tinygrad_rnn as tg

WORDS, SIZE, HOPS, SENTENCES, LENGTH = 9, 6, 3, 4, 3


class Hop(tg.nn.Module):
    def __init__(self, rng):
        self.H = tg.nn.Linear(SIZE, SIZE, bias=False, rng=rng)

    def forward(self, u, keys, values):
        p = tg.ops.softmax(keys @ u)
        o = p @ values
        return self.H(u) + o


class MemN2N(tg.nn.Module):
    def __init__(self, rng):
        self.A, self.B, self.C = (tg.nn.Embedding(WORDS, SIZE, rng=rng) for _ in range(3))
        self.T_A = tg.nn.Parameter(rng.normal(0, 0.1, (SENTENCES, SIZE)))
        self.hop = Hop(rng)
        self.W = tg.nn.Linear(SIZE, WORDS, bias=False, rng=rng)

    def forward(self, story, question):
        keys = self.A(story).sum(axis=1) + self.T_A
        values = self.C(story).sum(axis=1)
        u = self.B(question).sum(axis=0)
        for _ in range(HOPS):
            u = self.hop(u, keys, values)
        return self.W(u)


rng = np.random.default_rng(0)
model = MemN2N(rng)
PARAMS = list(model.parameters())


def loss_fn(story, question, answer):
    return tg.nn.cross_entropy(model(story, question), answer)


story = rng.integers(0, WORDS, (SENTENCES, LENGTH))
BATCH = (story, story[2, :2], np.array(story[2, 2]))
COLUMNS, ROWS = HOPS, 1

if __name__ == "__main__":
    optimizer = tg.optim.SGD(PARAMS, lr=0.01)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        tg.nn.clip_grad_norm_(PARAMS, 40.0)
        optimizer.step()
        print(step, loss.item())
