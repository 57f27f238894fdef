"""A BiLSTM-CRF names entities: the best sequence of tags, not the best tag of each word.

Z. Huang, W. Xu, K. Yu, Bidirectional LSTM-CRF Models for Sequence Tagging (2015).
Two LSTMs read the sentence both ways and score each tag of each word. On top runs a second
recurrence: α sums up, by the forward algorithm, the scores of all sequences of tags so far.
"""

import numpy as np

import tinygrad_rnn as tg

WORDS, EMBED, HIDDEN, TAGS = 9, 4, 3, 3


class BiLSTMCRF(tg.nn.Module):
    def __init__(self, rng):
        self.word_embeds = tg.nn.Embedding(WORDS, EMBED, rng=rng)
        self.lstm = tg.nn.LSTM(EMBED, HIDDEN, bidirectional=True, rng=rng)
        self.hidden2tag = tg.nn.Linear(2 * HIDDEN, TAGS, rng=rng)
        self.transitions = tg.nn.Parameter(rng.normal(0, 0.5, (TAGS, TAGS)))  # from, to

    def features(self, sentence):
        hidden, _ = self.lstm(self.word_embeds(sentence))
        return self.hidden2tag(hidden)

    def log_partition(self, features):
        alpha = features[0]
        for feature in features[1:]:
            scores = alpha[:, None] + self.transitions + feature
            alpha = tg.ops.logsumexp(scores, axis=0)
        return tg.ops.logsumexp(alpha, axis=0)

    def score(self, features, tags):
        emitted = features[np.arange(len(features)), tags].sum()
        return emitted + self.transitions[tags[:-1], tags[1:]].sum()

    def forward(self, sentence, tags):
        features = self.features(sentence)
        return self.log_partition(features) - self.score(features, tags)


rng = np.random.default_rng(0)
model = BiLSTMCRF(rng)
PARAMS = list(model.parameters())


def loss_fn(sentence, tags):
    return model(sentence, tags)


def scaled(steps):
    return rng.integers(0, WORDS, steps), rng.integers(0, TAGS, steps)


BATCH = scaled(5)
COLUMNS, ROWS = 5, 3  # two directions, and the forward algorithm from the second word on

if __name__ == "__main__":
    optimizer = tg.optim.SGD(PARAMS, lr=0.05, weight_decay=1e-4)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
