"""A recurrent network with a stack, which it pushes to and pops from by degrees.

A. Joulin, T. Mikolov, Inferring Algorithmic Patterns with Stack-Augmented Recurrent Nets (2015).
Hidden state and stack both go from step to step. The hidden state sees the top of the stack, and
decides how much of the stack moves down under a new element, and how much moves up.
"""

import numpy as np

import tinygrad_rnn as tg

SYMBOLS, HIDDEN, DEPTH, EMPTY = 3, 6, 4, -1.0

rng = np.random.default_rng(0)
U = tg.nn.Parameter(rng.normal(0, 0.5, (HIDDEN, SYMBOLS)), name="U")
R = tg.nn.Parameter(rng.normal(0, 0.5, (HIDDEN, HIDDEN)), name="R")
P = tg.nn.Parameter(rng.normal(0, 0.5, (HIDDEN, 2)), name="P")
A = tg.nn.Parameter(rng.normal(0, 0.5, (2, HIDDEN)), name="A")
D = tg.nn.Parameter(rng.normal(0, 0.5, (1, HIDDEN)), name="D")
V = tg.nn.Parameter(rng.normal(0, 0.5, (SYMBOLS, HIDDEN)), name="V")
PARAMS = [U, R, P, A, D, V]


def step(x, hidden, stack):
    hidden = tg.ops.sigmoid(U @ x + R @ hidden + P @ stack[:2])
    push, pop = tg.ops.unstack(tg.ops.softmax(A @ hidden))
    pushed = np.concatenate([tg.ops.sigmoid(D @ hidden), stack[:-1]])
    popped = np.concatenate([stack[1:], [EMPTY]])
    return hidden, push * pushed + pop * popped


def loss_fn(xs, following):
    hidden, stack = np.zeros(HIDDEN), np.full(DEPTH, EMPTY)
    loss = 0.0
    for x, symbol in zip(xs, following):
        hidden, stack = step(x, hidden, stack)
        loss = loss + tg.nn.cross_entropy(V @ hidden, symbol)
    return loss / len(xs)


def scaled(steps):
    """aⁿbⁿ and an end: count up, then down."""
    half = steps // 2
    symbols = np.array([0] * half + [1] * half + [2] * (steps + 1 - 2 * half))
    return np.eye(SYMBOLS)[symbols[:-1]], symbols[1:]


BATCH = scaled(6)
COLUMNS, ROWS = 6, 1

if __name__ == "__main__":
    optimizer = tg.optim.SGD(PARAMS, lr=0.5)
    for n in range(5):
        optimizer.zero_grad()
        loss = loss_fn(*BATCH)
        loss.backward()
        optimizer.step()
        print(n, loss.item())
