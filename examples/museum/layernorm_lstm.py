"""A layer-normalised LSTM, in two layers: sums and memory are centred and scaled before use.

J. L. Ba, J. R. Kiros, G. E. Hinton, Layer Normalization (2016), equations 20 to 22.
The recurrence is the LSTM's. What comes from the input, what comes from the old state, and the
memory on its way out each have a norm of their own; the memory itself is passed on as it is.
"""

import numpy as np

import tinygrad_rnn as tg

INPUTS, HIDDEN, LABELS, SEQUENCES = 4, 5, 2, 2
sigmoid = tg.ops.sigmoid


class LayerNorm(tg.nn.Module):
    def __init__(self, size, eps=1e-5):
        self.gain, self.bias = tg.nn.Parameter(np.ones(size)), tg.nn.Parameter(np.zeros(size))
        self.eps = eps

    def forward(self, x):
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = (centred**2).mean(axis=-1, keepdims=True)
        return centred / np.sqrt(variance + self.eps) * self.gain + self.bias


class LNLSTMCell(tg.nn.Module):
    def __init__(self, inputs, hidden, rng):
        self.x2g = tg.nn.Linear(inputs, 4 * hidden, bias=False, rng=rng)
        self.h2g = tg.nn.Linear(hidden, 4 * hidden, bias=False, rng=rng)
        self.ln_x, self.ln_h = LayerNorm(4 * hidden), LayerNorm(4 * hidden)
        self.ln_c = LayerNorm(hidden)

    def forward(self, x, state):
        h, c = state
        gates = self.ln_x(self.x2g(x)) + self.ln_h(self.h2g(h))
        i, f, g, o = np.split(gates, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(self.ln_c(c)), c


class Stack(tg.nn.Module):
    def __init__(self, rng):
        self.cells = [LNLSTMCell(INPUTS, HIDDEN, rng), LNLSTMCell(HIDDEN, HIDDEN, rng)]
        self.out = tg.nn.Linear(HIDDEN, LABELS, rng=rng)

    def forward(self, xs):
        rest = np.zeros((SEQUENCES, HIDDEN))
        states = [(rest, rest) for _ in self.cells]
        logits = []
        for x in xs:
            for k, cell in enumerate(self.cells):
                states[k] = x, _ = cell(x, states[k])
            logits.append(self.out(x))
        return np.stack(logits)


rng = np.random.default_rng(0)
model = Stack(rng)
PARAMS = list(model.parameters())


def loss_fn(xs, ys):
    return tg.nn.cross_entropy(model(xs), ys)


def scaled(steps):
    xs = rng.standard_normal((steps, SEQUENCES, INPUTS))
    return xs, rng.integers(0, LABELS, (steps, SEQUENCES))


BATCH, COLUMNS, ROWS = scaled(4), 4, 2
if __name__ == "__main__":
    optimizer = tg.optim.AdamW(PARAMS, lr=0.02)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
