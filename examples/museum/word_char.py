"""A tagger of two storeys: characters make words, and words make a sentence.

W. Ling et al., Finding Function in Form: Compositional Character Models for Open Vocabulary Word
Representation (2015), with one direction.
A GRU begins anew with each word and reads its characters. Its last state stands for the word, and
an LSTM that ticks once a word reads these.
"""

import numpy as np

import tinygrad_rnn as tg

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SENTENCE = "the cat ran"


class CharEncoder(tg.nn.Module):
    def __init__(self):
        self.embed = tg.nn.Embedding(len(LETTERS), 4, rng=0)
        self.cell = tg.nn.GRUCell(4, 5, rng=1)

    def forward(self, word):
        h = None
        for letter in word:
            h = self.cell(self.embed(LETTERS.index(letter)), h)
        return h


class Tagger(tg.nn.Module):
    def __init__(self):
        self.chars = CharEncoder()
        self.words = tg.nn.LSTMCell(5, 6, rng=2)
        self.out = tg.nn.Linear(6, 3, rng=3)

    def forward(self, sentence):
        state, logits = None, []
        for word in sentence:
            state = self.words(self.chars(word), state)
            logits.append(self.out(state[0]))
        return np.stack(logits)


tagger = Tagger()
PARAMS = list(tagger.parameters())


def loss_fn(tags):
    words = SENTENCE.split()
    sentence = [words[k % len(words)] for k in range(len(tags))]
    return tg.nn.cross_entropy(tagger(sentence), tags)


def scaled(steps):
    """The tags of a sentence that has about so many letters."""
    return (np.resize([0, 1, 2], steps // 3),)


BATCH = scaled(len("thecatran"))
COLUMNS, ROWS = 9, 2

if __name__ == "__main__":
    optimizer = tg.optim.Adam(PARAMS, lr=0.02)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
