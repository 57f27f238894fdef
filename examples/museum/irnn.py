"""IRNN: rectified units that begin by remembering, on the adding problem.

Q. V. Le, N. Jaitly, G. E. Hinton, A Simple Way to Initialize Recurrent Networks of Rectified
Linear Units (2015).
The recurrent matrix begins as the identity and the biases as zero, so that each unit first keeps
what it held.
"""

import numpy as np

import tinygrad_rnn as tg

HIDDEN, SEQUENCES = 10, 4

rnn = tg.nn.RNN(2, HIDDEN, nonlinearity="relu", batch_first=True, rng=0)
tg.nn.init.eye_(rnn.W_hh)
rnn.b_h.data = np.zeros(HIDDEN)
head = tg.nn.Linear(HIDDEN, 1, rng=1)
PARAMS = [*rnn.parameters(), *head.parameters()]
rng = np.random.default_rng(0)


def loss_fn(x, target):
    _, h = rnn(x)
    return tg.nn.mse_loss(head(h[-1]), target)


def scaled(steps):
    values, marks = rng.random((SEQUENCES, steps)), np.zeros((SEQUENCES, steps))
    for row in marks:
        row[rng.choice(steps, 2, replace=False)] = 1
    return np.stack([values, marks], axis=-1), (values * marks).sum(axis=1, keepdims=True)


BATCH = scaled(8)
COLUMNS, ROWS = 8, 1

if __name__ == "__main__":
    optimizer = tg.optim.SGD(PARAMS, lr=0.01, momentum=0.9)
    for step in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        tg.nn.clip_grad_norm_(PARAMS, 1.0)
        optimizer.step()
        print(step, loss.item())
