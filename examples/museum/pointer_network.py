"""A pointer network sorts numbers: its output is a place in its own input.

O. Vinyals, M. Fortunato, N. Jaitly, Pointer Networks (2015).
An LSTM reads the numbers, a second one goes on from its last state. At each step attention over
the encoder's states is the output itself, and the number pointed at is the next input.
"""

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn

HIDDEN = 6


class PointerNetwork(nn.Module):
    def __init__(self):
        self.encoder = nn.LSTMCell(1, HIDDEN, rng=0)
        self.decoder = nn.LSTMCell(1, HIDDEN, rng=1)
        self.W1 = nn.Linear(HIDDEN, HIDDEN, bias=False, rng=2)
        self.W2 = nn.Linear(HIDDEN, HIDDEN, bias=False, rng=3)
        self.v = nn.Linear(HIDDEN, 1, bias=False, rng=4)
        self.go = nn.Parameter(np.zeros(1))

    def forward(self, numbers, order):
        state, encoded = None, []
        for number in numbers:
            state = self.encoder(number, state)
            encoded.append(state[0])
        encoded = np.stack(encoded)
        keys = self.W1(encoded)
        x, pointers = self.go, []
        for place in order:
            state = self.decoder(x, state)
            u = self.v(np.tanh(keys + self.W2(state[0])))
            pointers.append(u[:, 0])
            x = numbers[place]
        return np.stack(pointers)


model = PointerNetwork()
PARAMS = list(model.parameters())
rng = np.random.default_rng(0)


def loss_fn(numbers, order):
    return nn.cross_entropy(model(numbers, order), order)


def scaled(steps):
    numbers = rng.random((steps, 1))
    return numbers, numbers[:, 0].argsort()


BATCH = scaled(4)
COLUMNS, ROWS = 4 + 4, 2

if __name__ == "__main__":
    optimizer = tg.optim.Adam(PARAMS, lr=0.03)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
