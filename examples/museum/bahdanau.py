"""Translation with attention: at each step the decoder looks at the source anew.

D. Bahdanau, K. Cho, Y. Bengio, Neural Machine Translation by Jointly Learning to Align and
Translate (2015); in the form of PyTorch's tutorial.
A GRU reads the source. At each step of the decoder its state is scored against all states of the
source, and their mean under a softmax is half of what the decoder's GRU reads.
"""

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn

SOS, WORDS, HIDDEN, PAIRS = 0, 8, 5, 2


class BahdanauAttention(nn.Module):
    def __init__(self):
        self.Wa, self.Ua = nn.Linear(HIDDEN, HIDDEN, rng=2), nn.Linear(HIDDEN, HIDDEN, rng=3)
        self.Va = nn.Linear(HIDDEN, 1, rng=4)

    def forward(self, query, keys):
        scores = self.Va(np.tanh(self.Wa(query) + self.Ua(keys)))
        weights = tg.ops.softmax(scores.squeeze(2)[:, None, :], axis=-1)
        return weights @ keys


class AttnDecoder(nn.Module):
    def __init__(self):
        self.embedding = nn.Embedding(WORDS, HIDDEN, rng=5)
        self.attention = BahdanauAttention()
        self.gru = nn.GRU(2 * HIDDEN, HIDDEN, batch_first=True, rng=6)
        self.out = nn.Linear(HIDDEN, WORDS, rng=7)

    def forward(self, encoder_outputs, hidden, target):
        decoder_input, outputs = np.full((PAIRS, 1), SOS), []
        for i in range(target.shape[1]):
            context = self.attention(hidden.transpose(1, 0, 2), encoder_outputs)
            gru_input = np.concatenate([self.embedding(decoder_input), context], axis=2)
            output, hidden = self.gru(gru_input, hidden)
            outputs.append(self.out(output))
            decoder_input = target[:, i : i + 1]  # teacher forcing
        return np.concatenate(outputs, axis=1)


embedding = nn.Embedding(WORDS, HIDDEN, rng=0)
encoder = nn.GRU(HIDDEN, HIDDEN, batch_first=True, rng=1)
decoder = AttnDecoder()
PARAMS = [*embedding.parameters(), *encoder.parameters(), *decoder.parameters()]
rng = np.random.default_rng(0)


def loss_fn(source, target):
    encoder_outputs, encoder_hidden = encoder(embedding(source))
    return nn.cross_entropy(decoder(encoder_outputs, encoder_hidden, target), target)


def scaled(steps):
    return rng.integers(1, WORDS, (PAIRS, steps)), rng.integers(1, WORDS, (PAIRS, steps))


BATCH = (rng.integers(1, WORDS, (PAIRS, 5)), rng.integers(1, WORDS, (PAIRS, 4)))
COLUMNS, ROWS = 5 + 4, 2

if __name__ == "__main__":
    optimizer = tg.optim.Adam(PARAMS, lr=0.01)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
