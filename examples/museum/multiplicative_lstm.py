"""A multiplicative LSTM: the character that is read chooses how the state is turned.

B. Krause, L. Lu, I. Murray, S. Renals, Multiplicative LSTM for Sequence Modelling (2016).
Input and old state are multiplied into an intermediate state m, from which all gates are computed.
So each character has, in effect, a recurrent matrix of its own.
"""

import numpy as np

import tinygrad_rnn as tg

TEXT = "abracadabra, said the magician. abracadabra! "
CHARS = sorted(set(TEXT))
HIDDEN = 6


class MultiplicativeLSTMCell(tg.nn.Module):
    def __init__(self, inputs, hidden, rng):
        self.W_mx = tg.nn.Linear(inputs, hidden, bias=False, rng=rng)
        self.W_mh = tg.nn.Linear(hidden, hidden, bias=False, rng=rng)
        self.lstm = tg.nn.LSTMCell(inputs, hidden, forget_bias=1.0, rng=rng)

    def forward(self, x, state):
        h, c = state
        m = self.W_mx(x) * self.W_mh(h)
        return self.lstm(x, (m, c))


class CharModel(tg.nn.Module):
    def __init__(self, rng):
        self.cell = MultiplicativeLSTMCell(len(CHARS), HIDDEN, rng)
        self.output = tg.nn.Linear(HIDDEN, len(CHARS), rng=rng)

    def forward(self, xs):
        h = c = np.full(HIDDEN, 0.1)  # of zeros alone, m would be zero
        hs = []
        for x in xs:
            h, c = self.cell(x, (h, c))
            hs.append(h)
        return self.output(np.stack(hs))


model = CharModel(np.random.default_rng(0))
PARAMS = list(model.parameters())


def loss_fn(xs, following):
    return tg.nn.cross_entropy(model(xs), following)


def scaled(steps):
    ids = np.resize([CHARS.index(c) for c in TEXT], steps + 1)
    return np.eye(len(CHARS))[ids[:-1]], ids[1:]


BATCH = scaled(5)
COLUMNS, ROWS = 5, 1

if __name__ == "__main__":
    optimizer = tg.optim.Adam(PARAMS, lr=0.02)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
