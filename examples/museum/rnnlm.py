"""A language model of words: the network is one layer, and a step is a word.

T. Mikolov, M. Karafiát, L. Burget, J. Černocký, S. Khudanpur, Recurrent Neural Network Based
Language Model (2010), in the concise form of Dive into Deep Learning.
The hidden state of the word before is read with the new word, and guesses the next one. The layer
loops over a minibatch of one-hot words.
"""

import numpy as np

import tinygrad_rnn as tg

WORDS, HIDDEN, SENTENCES = 9, 8, 3


class RNNLM(tg.nn.Module):
    def __init__(self):
        self.rnn = tg.nn.RNN(WORDS, HIDDEN, rng=0)
        self.linear = tg.nn.Linear(HIDDEN, WORDS, rng=1)

    def forward(self, X, state=None):
        Y, state = self.rnn(X.swapaxes(0, 1), state)
        return self.linear(Y).swapaxes(0, 1), state


model = RNNLM()
PARAMS = list(model.parameters())
rng = np.random.default_rng(0)


def loss_fn(X, Y):
    logits, _ = model(X)
    return tg.nn.cross_entropy(logits, Y)


def scaled(steps):
    """One-hot words (B, T, WORDS), and the words after them (B, T)."""
    words = rng.integers(0, WORDS, (SENTENCES, steps + 1))
    return np.eye(WORDS)[words[:, :-1]], words[:, 1:]


BATCH = scaled(5)
COLUMNS, ROWS = 5, 1

if __name__ == "__main__":
    optimizer = tg.optim.SGD(model.parameters(), lr=1.0)
    for epoch in range(5):
        loss = loss_fn(*BATCH)
        optimizer.zero_grad()
        loss.backward()
        tg.nn.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        print(epoch, "perplexity", float(np.exp(loss.item())))
