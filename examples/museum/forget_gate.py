"""The LSTM as everybody knows it: with a forget gate, and three gates in one matrix product.

F. A. Gers, J. Schmidhuber, F. Cummins, Learning to Forget: Continual Prediction with LSTM (2000).
The memory c is multiplied by the forget gate before it is added to, so a network can begin anew
by itself. Here it predicts a stream of strings that nobody has cut into sequences.
"""

import numpy as np

import tinygrad_rnn as tg

SYMBOLS, H = 7, 8

rng = np.random.default_rng(0)
params = {
    "W": tg.tensor(rng.normal(0, 0.3, (SYMBOLS + H, 4 * H)), requires_grad=True),
    "b": tg.tensor(np.repeat([0.0, 1.0, 0.0, 0.0], H), requires_grad=True),
    "V": tg.tensor(rng.normal(0, 0.3, (H, SYMBOLS)), requires_grad=True),
}
PARAMS = params


def lstm_step(x, h, c):
    gates = np.concatenate([x, h]) @ params["W"] + params["b"]
    i, f, o, g = np.split(gates, 4)
    c = tg.ops.sigmoid(f) * c + tg.ops.sigmoid(i) * np.tanh(g)
    h = tg.ops.sigmoid(o) * np.tanh(c)
    return h, c


def loss_fn(stream, following):
    h, c = np.zeros(H), np.zeros(H)
    logits = []
    for x in stream:
        h, c = lstm_step(x, h, c)
        logits.append(h @ params["V"])
    return tg.nn.cross_entropy(np.stack(logits), following)


def scaled(steps):
    """Strings B T ... E like Reber's, one after the other."""
    string = np.array([0, 1, 2, 2, 3, 6, 0, 4, 5, 4, 3, 6])
    symbols = np.resize(string, steps + 1)
    return np.eye(SYMBOLS)[symbols[:-1]], symbols[1:]


BATCH = scaled(6)
COLUMNS, ROWS = 6, 1

if __name__ == "__main__":
    optimizer = tg.optim.Adam(params.values(), lr=0.02)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
