"""Sequence to sequence: a deep LSTM reads a sentence backwards, another one translates it.

I. Sutskever, O. Vinyals, Q. V. Le, Sequence to Sequence Learning with Neural Networks (2014).
The states of both layers at the end of the reversed source are where the decoder's two layers
begin. In between nothing is handed over but these.
"""

import numpy as np

import tinygrad_rnn as tg

EOS, WORDS, HIDDEN, PAIRS = 0, 8, 5, 2


class Seq2Seq(tg.nn.Module):
    def __init__(self):
        self.source_embedding = tg.nn.Embedding(WORDS, HIDDEN, rng=0)
        self.target_embedding = tg.nn.Embedding(WORDS, HIDDEN, rng=1)
        self.encoder = tg.nn.LSTM(HIDDEN, HIDDEN, num_layers=2, rng=2)
        self.decoder = tg.nn.LSTM(HIDDEN, HIDDEN, num_layers=2, rng=3)
        self.output = tg.nn.Linear(HIDDEN, WORDS, rng=4)

    def forward(self, source, target_in):
        _, state = self.encoder(self.source_embedding(source[::-1]))
        ys, _ = self.decoder(self.target_embedding(target_in), state)
        return self.output(ys)


model = Seq2Seq()
PARAMS = list(model.parameters())
rng = np.random.default_rng(0)


def loss_fn(source, target_in, target_out):
    return tg.nn.cross_entropy(model(source, target_in), target_out)


def phrases(source_steps, target_steps):
    source = rng.integers(1, WORDS, (source_steps, PAIRS))
    target = rng.integers(1, WORDS, (target_steps - 1, PAIRS))
    end = np.full((1, PAIRS), EOS)
    return source, np.concatenate([end, target]), np.concatenate([target, end])


def scaled(steps):
    return phrases(steps, steps)


BATCH = phrases(4, 3)
COLUMNS, ROWS = 4 + 3, 4

if __name__ == "__main__":
    optimizer = tg.optim.SGD(PARAMS, lr=0.7)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        tg.nn.clip_grad_norm_(PARAMS, 5.0)
        optimizer.step()
        print(step, loss.item())
