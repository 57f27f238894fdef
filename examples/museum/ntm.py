"""A Neural Turing Machine copies a sequence through a memory that it addresses itself.

A. Graves, G. Wayne, I. Danihelka, Neural Turing Machines (2014).
From step to step go the controller's h and c, the memory, where each head was, and what was read.
The heads address by content and by shifting; the write head erases and adds.
"""

import numpy as np

import tinygrad_rnn as tg

BITS, H, CELLS, WIDTH = 4, 8, 5, 3
sigmoid, softmax = tg.ops.sigmoid, tg.ops.softmax


def softplus(x):
    return np.log(1 + np.exp(x))


class Head(tg.nn.Module):
    def __init__(self, rng, extras=0):
        self.sizes = [WIDTH, 1, 1, 3, 1, *[WIDTH] * extras]
        self.fc = tg.nn.Linear(H, sum(self.sizes), rng=rng)

    def forward(self, h, memory, before):
        key, beta, gate, shift, gamma, *extras = np.split(self.fc(h), np.cumsum(self.sizes)[:-1])
        key, gate, shift = np.tanh(key), sigmoid(gate), softmax(shift)
        lengths = np.sqrt((memory**2).sum(axis=1)) * np.sqrt((key**2).sum())
        w = softmax(softplus(beta) * (memory @ key) / (lengths + 1e-6))
        w = gate * w + (1 - gate) * before
        w = shift[0] * np.roll(w, -1) + shift[1] * w + shift[2] * np.roll(w, 1)
        w = (w + 1e-8) ** (1 + softplus(gamma))
        return w / w.sum(), extras


class NTM(tg.nn.Module):
    def __init__(self, rng):
        self.controller = tg.nn.LSTMCell(BITS + WIDTH, H, rng=rng)
        self.read_head, self.write_head = Head(rng), Head(rng, extras=2)
        self.out = tg.nn.Linear(H + WIDTH, BITS, rng=rng)
        self.memory_0 = tg.nn.Parameter(rng.standard_normal((CELLS, WIDTH)) * 0.3)

    def forward(self, xs):
        h, c, read = np.zeros(H), np.zeros(H), np.zeros(WIDTH)
        memory, w_read, w_write, ys = self.memory_0, np.eye(CELLS)[0], np.eye(CELLS)[0], []
        for x in xs:
            with tg.scope("ntm"):
                h, c = self.controller(np.concatenate([x, read]), (h, c))
                w_write, (erase, add) = self.write_head(h, memory, w_write)
                place = w_write[:, None]
                memory = memory * (1 - place * sigmoid(erase)) + place * np.tanh(add)
                w_read, _ = self.read_head(h, memory, w_read)
                read = w_read @ memory
                ys.append(self.out(np.concatenate([h, read])))
        return np.stack(ys)


model = NTM(np.random.default_rng(0))
PARAMS = list(model.parameters())


def loss_fn(xs, target):
    logits = model(xs)[len(xs) - len(target) :]
    return (softplus(logits) - target * logits).mean()


def scaled(steps):
    seq = (np.random.default_rng(1).random((steps // 2, BITS)) > 0.5).astype(float)
    return np.concatenate([seq, np.zeros((steps - len(seq), BITS))]), seq


BATCH, COLUMNS, ROWS = scaled(4), 4, 1
if __name__ == "__main__":
    optimizer = tg.optim.RMSprop(PARAMS, lr=0.01)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(step, loss.item())
