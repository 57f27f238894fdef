"""RNN encoder-decoder: one vector stands for a whole phrase.

K. Cho et al., Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
Translation (2014).
A gated recurrent encoder reads the source phrase, its last state is the summary c. A second one
writes the target: each step reads its own state, the word before, and c again.
"""

import numpy as np

import tinygrad_rnn as tg

WORDS, EMBED, HIDDEN, PAIRS = 7, 4, 5, 2


class EncoderDecoder(tg.nn.Module):
    def __init__(self):
        self.source_words = tg.nn.Embedding(WORDS, EMBED, rng=0)
        self.target_words = tg.nn.Embedding(WORDS, EMBED, rng=1)
        self.encoder = tg.nn.GRUCell(EMBED, HIDDEN, reset_after=False, rng=2)
        self.decoder = tg.nn.GRUCell(EMBED + HIDDEN, HIDDEN, reset_after=False, rng=3)
        self.V = tg.nn.Linear(HIDDEN, HIDDEN, rng=4)
        self.output = tg.nn.Linear(2 * HIDDEN + EMBED, WORDS, rng=5)

    def forward(self, source, target):
        h = None
        for word in source:
            h = self.encoder(self.source_words(word), h)
        c = np.tanh(h)
        h = np.tanh(self.V(c))
        y = np.zeros((PAIRS, EMBED))
        loss = 0.0
        for word in target:
            h = self.decoder(np.concatenate([y, c], axis=1), h)
            logits = self.output(np.concatenate([h, y, c], axis=1))
            loss = loss + tg.nn.cross_entropy(logits, word)
            y = self.target_words(word)  # the word that is right, not the one that was guessed
        return loss / len(target)


model = EncoderDecoder()
PARAMS = dict(model.named_parameters())
rng = np.random.default_rng(0)


def loss_fn(source, target):
    return model(source, target)


def scaled(steps):
    return rng.integers(0, WORDS, (steps, PAIRS)), rng.integers(0, WORDS, (steps, PAIRS))


BATCH = (rng.integers(0, WORDS, (4, PAIRS)), rng.integers(0, WORDS, (3, PAIRS)))
COLUMNS, ROWS = 4 + 3, 2

if __name__ == "__main__":
    optimizer = tg.optim.Adagrad(model.parameters(), lr=0.05)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
