"""min-char-rnn: a character model in column vectors, from scratch.

Elman's network of J. L. Elman, Finding Structure in Time (1990), as in A. Karpathy's gist of 2015.
The hidden state of each step is a function of the character that was read and of the hidden state
before. Each step guesses the next character.
"""

import numpy as np

import tinygrad_rnn as tg

data = "hello rnn, hello loop. "
chars = sorted(set(data))
vocab_size, hidden_size = len(chars), 12
char_to_ix = {ch: i for i, ch in enumerate(chars)}

rng = np.random.default_rng(0)
Wxh = tg.tensor(rng.standard_normal((hidden_size, vocab_size)) * 0.3, requires_grad=True)
Whh = tg.tensor(rng.standard_normal((hidden_size, hidden_size)) * 0.3, requires_grad=True)
Why = tg.tensor(rng.standard_normal((vocab_size, hidden_size)) * 0.3, requires_grad=True)
bh = tg.tensor(np.zeros((hidden_size, 1)), requires_grad=True)
by = tg.tensor(np.zeros((vocab_size, 1)), requires_grad=True)
PARAMS = [Wxh, Whh, Why, bh, by]


def loss_fn(inputs, targets, hprev):
    xs, hs, ys, ps = {}, {-1: hprev}, {}, {}
    loss = 0
    for t in range(len(inputs)):
        xs[t] = np.zeros((vocab_size, 1))
        xs[t][int(inputs[t])] = 1
        hs[t] = np.tanh(Wxh @ xs[t] + Whh @ hs[t - 1] + bh)
        ys[t] = Why @ hs[t] + by
        ps[t] = np.exp(ys[t]) / np.sum(np.exp(ys[t]))
        loss += -np.log(ps[t][int(targets[t]), 0])
    return loss


def scaled(steps):
    ids = np.array([char_to_ix[data[t % len(data)]] for t in range(steps + 1)])
    return ids[:-1], ids[1:], np.zeros((hidden_size, 1))


BATCH = scaled(6)
COLUMNS, ROWS = 6, 1

if __name__ == "__main__":
    memory = [np.zeros(p.shape) for p in PARAMS]  # Adagrad's
    for n in range(5):
        loss = loss_fn(*BATCH)
        for param, dparam, mem in zip(PARAMS, tg.grad(loss, PARAMS), memory):
            clipped = np.clip(dparam.data, -5, 5)
            mem += clipped * clipped
            param.data = param.data - 0.1 * clipped / np.sqrt(mem + 1e-8)
        print(n, loss.item())
