"""A reversible GRU: each half of the state is updated by a gate that sees the other half only.

M. MacKay, P. Vicol, J. Ba, R. Grosse, Reversible Recurrent Neural Networks (2018).
First h₁ is renewed from the input and the old h₂, then h₂ from the input and the new h₁. As neither
update reads what it changes, the state before can be computed from the state after.
"""

import numpy as np

import tinygrad_rnn as tg

INPUTS, HALF, SYMBOLS = 4, 4, 4
sigmoid = tg.ops.sigmoid


class Half(tg.nn.Module):
    """What renews one half of the state."""

    def __init__(self, rng):
        self.gates = tg.nn.Linear(INPUTS + HALF, 2 * HALF, rng=rng)
        self.proposal = tg.nn.Linear(INPUTS + HALF, HALF, rng=rng)

    def forward(self, x, other, own):
        z, r = np.split(sigmoid(self.gates(np.concatenate([x, other]))), 2)
        g = np.tanh(self.proposal(np.concatenate([x, r * other])))
        return z * own + (1 - z) * g


class RevGRUCell(tg.nn.Module):
    def __init__(self, rng):
        self.first, self.second = Half(rng), Half(rng)

    def forward(self, x, h_1, h_2):
        h_1 = self.first(x, h_2, h_1)
        h_2 = self.second(x, h_1, h_2)
        return h_1, h_2


rng = np.random.default_rng(0)
cell, readout = RevGRUCell(rng), tg.nn.Linear(2 * HALF, SYMBOLS, rng=rng)
PARAMS = [*cell.parameters(), *readout.parameters()]


def loss_fn(xs, symbols):
    h_1, h_2 = np.zeros(HALF), np.zeros(HALF)
    logits = []
    for x in xs:
        h_1, h_2 = cell(x, h_1, h_2)
        logits.append(readout(np.concatenate([h_1, h_2])))
    return tg.nn.cross_entropy(np.stack(logits), symbols)


def scaled(steps):
    """Say again what came at the step before."""
    symbols = rng.integers(0, SYMBOLS, steps + 1)
    return np.eye(SYMBOLS)[symbols[1:]], symbols[:-1]


BATCH = scaled(4)
COLUMNS, ROWS = 4, 1

if __name__ == "__main__":
    optimizer = tg.optim.Adam(PARAMS, lr=0.02)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
