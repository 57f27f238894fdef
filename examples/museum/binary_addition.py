"""Binary addition, least significant bit first.

D. E. Rumelhart, G. E. Hinton, R. J. Williams, Learning Internal Representations by Error
Propagation (1986), with its binary adder; the code is close to Trask's blog post of 2015.
Two bits come in at each step. What the hidden layer was is seen again at the next step, and there
it has to remember the carry.
"""

import numpy as np

import tinygrad_rnn as tg

HIDDEN = 8

rng = np.random.default_rng(1)
synapse_0 = tg.tensor(2 * rng.random((2, HIDDEN)) - 1, requires_grad=True)
synapse_1 = tg.tensor(2 * rng.random((HIDDEN, 1)) - 1, requires_grad=True)
synapse_h = tg.tensor(2 * rng.random((HIDDEN, HIDDEN)) - 1, requires_grad=True)
PARAMS = [synapse_0, synapse_1, synapse_h]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def to_bits(number, count):
    return np.array([(number >> k) & 1 for k in range(count)], dtype=float)


def loss_fn(a, b, c):
    layer_1 = np.zeros((1, HIDDEN))
    overall_error = 0.0
    for position in range(len(c)):
        with tg.scope("adder"):
            X = np.stack([a[position], b[position]]).reshape(1, 2)
            layer_1 = sigmoid(X @ synapse_0 + layer_1 @ synapse_h)
        layer_2 = sigmoid(layer_1 @ synapse_1)
        overall_error = overall_error + 0.5 * ((c[position] - layer_2) ** 2).sum()
    return overall_error


def scaled(steps):
    a, b = (int(n) for n in rng.integers(0, 2 ** min(steps - 1, 60), 2))
    return to_bits(a, steps), to_bits(b, steps), to_bits(a + b, steps)


BATCH = scaled(8)
COLUMNS, ROWS = 8, 1

if __name__ == "__main__":
    for j in range(5):
        overall_error = loss_fn(*BATCH)
        gradients = tg.grad(overall_error, PARAMS)
        for synapse, update in zip(PARAMS, gradients):
            synapse.data = synapse.data - 0.3 * update.data
        print(j, overall_error.item())
